#include "gpu/device/reference/lower_access.h"

static bool check_range(struct gd_lower *lower, const struct gd_ptx_operand *operand,
			const struct gd_lower_elements *elements, uint64_t size)
{
	uint64_t bytes = (uint64_t)elements->count * gd_ptx_types[elements->type].bytes;
	if (operand->is_memory && operand->value <= size && bytes <= size - operand->value)
		return true;
	return gd_lower_wrong(lower, "an access outside of `%.60s`", operand->var->name);
}

/* The word of byte `at`. */
static uint32_t word_of(uint64_t at)
{
	return GD_OPND(GD_OPND_WORD, at / 4);
}

static bool load_element(struct gd_lower *lower, uint64_t at, enum gd_ptx_type type, enum gd_class class,
			 uint32_t to)
{
	uint32_t bytes = gd_ptx_types[type].bytes, narrow = to;
	bool sign = gd_ptx_types[type].kind == GD_K_SIGNED;
	if (bytes == 8)
		return gd_lower_op(lower, GD_OP_pack_32, to, word_of(at), word_of(at + 4), 0);
	if (bytes == 4 && class == GD_CLASS_32)
		return gd_lower_op(lower, GD_OP_mov_32, to, word_of(at), 0, 0);
	if (bytes == 4)
		return gd_lower_op(lower, sign ? GD_OP_cvt_64_s32 : GD_OP_cvt_64_u32, to, word_of(at), 0, 0);
	if (class != GD_CLASS_16)
		narrow = gd_lower_temp(lower, GD_CLASS_16);
	if (!narrow || !gd_lower_op(lower, GD_OP_extract, narrow, word_of(at), 0, 0))
		return gd_lower_wrong(lower, "too many registers");
	struct gd_lir *lir = &lower->func->lir[lower->func->lir_count - 1];
	lir->aux = (uint32_t)(at & 3) * 8;
	lir->aux2 = bytes | (sign ? 4 : 0);
	if (class == GD_CLASS_32)
		return gd_lower_op(lower, sign ? GD_OP_cvt_32_s16 : GD_OP_cvt_32_u16, to, narrow, 0, 0);
	if (class == GD_CLASS_64)
		return gd_lower_op(lower, sign ? GD_OP_cvt_64_s16 : GD_OP_cvt_64_u16, to, narrow, 0, 0);
	return true;
}

static bool store_element(struct gd_lower *lower, uint64_t at, enum gd_ptx_type type, enum gd_class class,
			  uint32_t from)
{
	uint32_t bytes = gd_ptx_types[type].bytes, narrow = from;
	if (bytes == 8) {
		struct gd_lir *wide = gd_lower_emit(lower, GD_OP_unpack_32);
		if (!wide)
			return gd_lower_wrong(lower, "too many instructions");
		wide->o[0] = word_of(at);
		wide->o[1] = word_of(at + 4);
		wide->o[2] = from;
		wide->defs = 3;
		return true;
	}
	if (bytes == 4)
		return gd_lower_op(lower, class == GD_CLASS_32 ? GD_OP_mov_32 : GD_OP_cvt_32_u64, word_of(at),
				   from, 0, 0);
	if (class != GD_CLASS_16) {
		narrow = gd_lower_temp(lower, GD_CLASS_16);
		if (!narrow || !gd_lower_op(lower, class == GD_CLASS_32 ? GD_OP_cvt_16_u32 : GD_OP_cvt_16_u64,
					    narrow, from, 0, 0))
			return gd_lower_wrong(lower, "too many registers");
	}
	if (!gd_lower_op(lower, GD_OP_insert, word_of(at), narrow, 0, 0))
		return false;
	struct gd_lir *lir = &lower->func->lir[lower->func->lir_count - 1];
	lir->aux = (uint32_t)(at & 3) * 8;
	lir->aux2 = bytes;
	return true;
}

static bool check_words(struct gd_lower *lower, const struct gd_ptx_operand *operand,
			const struct gd_lower_elements *elements)
{
	uint32_t bytes = gd_ptx_types[elements->type].bytes;
	if (!check_range(lower, operand, elements, operand->var->size))
		return false;
	return !(operand->value % (bytes < 4 ? bytes : 4)) ||
	       gd_lower_wrong(lower, "a parameter that is not aligned");
}

bool gd_lower_words_load(struct gd_lower *lower, const struct gd_ptx_operand *from,
			 const struct gd_lower_elements *elements)
{
	uint64_t at = from->var->address + from->value;
	if (!check_words(lower, from, elements))
		return false;
	for (uint32_t i = 0; i < elements->count; i++) {
		enum gd_class class;
		uint32_t to;
		if (!gd_lower_element_dst(lower, &elements->items[i], elements->type, &class, &to) ||
		    !load_element(lower, at, elements->type, class, to))
			return false;
		at += gd_ptx_types[elements->type].bytes;
	}
	return true;
}

bool gd_lower_words_store(struct gd_lower *lower, const struct gd_ptx_operand *to,
			  const struct gd_lower_elements *elements)
{
	uint64_t at = to->var->address + to->value;
	if (!check_words(lower, to, elements))
		return false;
	for (uint32_t i = 0; i < elements->count; i++) {
		enum gd_class class;
		uint32_t from;
		if (!gd_lower_element_src(lower, &elements->items[i], elements->type, &class, &from) ||
		    !store_element(lower, at, elements->type, class, from))
			return false;
		at += gd_ptx_types[elements->type].bytes;
	}
	return true;
}

bool gd_lower_params_load(struct gd_lower *lower, const struct gd_ptx_operand *from,
			  const struct gd_lower_elements *elements)
{
	static const enum gd_op ops[GD_CLASS_COUNT] = {[GD_CLASS_16] = GD_OP_uniform_16,
						       [GD_CLASS_32] = GD_OP_uniform_32,
						       [GD_CLASS_64] = GD_OP_uniform_64};
	uint32_t bytes = gd_ptx_types[elements->type].bytes;
	/* The window of all parameters: an access may run from one into the next, as in memory. */
	if (!check_range(lower, from, elements, lower->func->func->param_bytes - from->var->address))
		return false;
	for (uint32_t i = 0; i < elements->count; i++) {
		enum gd_class class;
		uint32_t to;
		if (!gd_lower_element_dst(lower, &elements->items[i], elements->type, &class, &to) ||
		    !gd_lower_op(lower, ops[class], to, 0, 0, 0))
			return false;
		struct gd_lir *lir = &lower->func->lir[lower->func->lir_count - 1];
		lir->imm = from->var->address + from->value + (uint64_t)i * bytes;
		lir->aux = bytes;
		lir->aux2 = gd_ptx_types[elements->type].kind == GD_K_SIGNED;
	}
	return true;
}
