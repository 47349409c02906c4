#include "gpu/device/reference/lower.h"

#include <string.h>

/* The 64-bit value in parameter `words`. */
static bool wide_of(struct gd_lower *lower, const struct gd_vm_words *words, uint32_t *out_opnd)
{
	uint32_t word = words->offset / 128;
	*out_opnd = gd_lower_temp(lower, GD_CLASS_64);
	if (!*out_opnd)
		return gd_lower_wrong(lower, "too many registers");
	return gd_lower_op(lower, GD_OP_pack_32, *out_opnd, GD_OPND(GD_OPND_WORD, word),
			   GD_OPND(GD_OPND_WORD, word + 1), 0);
}

static bool has_words(const struct gd_vm_words *words, uint32_t count, uint32_t expected_count,
		      const uint32_t *expected)
{
	bool same = count == expected_count;
	for (uint32_t i = 0; same && i < count; i++)
		same = words[i].words == expected[i];
	return same;
}

static bool lower_printf(struct gd_lower *lower, const struct gd_vm_call *call)
{
	uint32_t zero = gd_lower_const(lower, GD_CLASS_32, 0);
	if (call->result_count != 1 || !zero)
		return true;
	return gd_lower_op(lower, GD_OP_mov_32, GD_OPND(GD_OPND_WORD, call->results[0].offset / 128), zero, 0,
			   0);
}

static bool lower_malloc(struct gd_lower *lower, const struct gd_vm_call *call)
{
	uint32_t bytes, address = gd_lower_temp(lower, GD_CLASS_64);
	if (!address || !wide_of(lower, &call->args[0], &bytes) ||
	    !gd_lower_op(lower, GD_OP_builtin_malloc, address, bytes, 0, 0))
		return false;
	struct gd_lir *lir = gd_lower_emit(lower, GD_OP_unpack_32);
	if (!lir)
		return gd_lower_wrong(lower, "too many instructions");
	lir->o[0] = GD_OPND(GD_OPND_WORD, call->results[0].offset / 128);
	lir->o[1] = GD_OPND(GD_OPND_WORD, call->results[0].offset / 128 + 1);
	lir->o[2] = address;
	lir->defs = 3;
	lower->uses_heap = true;
	return true;
}

static bool lower_free(struct gd_lower *lower, const struct gd_vm_call *call)
{
	uint32_t address;
	if (!wide_of(lower, &call->args[0], &address))
		return false;
	struct gd_lir *lir = gd_lower_emit(lower, GD_OP_builtin_free);
	if (!lir)
		return gd_lower_wrong(lower, "too many instructions");
	lir->o[0] = address;
	lower->uses_heap = true;
	return true;
}

static bool lower_assert(struct gd_lower *lower, const struct gd_vm_call *call)
{
	uint32_t text, file;
	if (!wide_of(lower, &call->args[0], &text) || !wide_of(lower, &call->args[1], &file))
		return false;
	struct gd_lir *lir = gd_lower_emit(lower, GD_OP_builtin_assert);
	if (!lir)
		return gd_lower_wrong(lower, "too many instructions");
	lir->o[0] = text;
	lir->o[1] = file;
	lir->o[2] = GD_OPND(GD_OPND_WORD, call->args[2].offset / 128);
	return true;
}

bool gd_lower_builtin(struct gd_lower *lower, const char *name, const struct gd_vm_call *call,
		      bool *out_known)
{
	static const uint32_t one_wide[] = {2}, assert_args[] = {2, 2, 1, 2, 2};
	bool is_printf = !strcmp(name, "vprintf"), is_malloc = !strcmp(name, "malloc"),
	     is_free = !strcmp(name, "free");
	bool is_assert = !strcmp(name, "__assertfail");
	*out_known = is_printf || is_malloc || is_free || is_assert;
	if ((is_malloc && (!has_words(call->args, call->arg_count, 1, one_wide) ||
			   !has_words(call->results, call->result_count, 1, one_wide))) ||
	    (is_free && !has_words(call->args, call->arg_count, 1, one_wide)) ||
	    (is_assert && !has_words(call->args, call->arg_count, 5, assert_args)))
		return gd_lower_wrong(lower, "other parameters than `%s` takes", name);
	return is_printf   ? lower_printf(lower, call)
	       : is_malloc ? lower_malloc(lower, call)
	       : is_free   ? lower_free(lower, call)
	       : is_assert ? lower_assert(lower, call)
			   : true;
}
