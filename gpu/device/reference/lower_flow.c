/* Branches, calls, returns, and what ends or delays a thread. */
#include "gpu/device/reference/lower.h"

#include <string.h>

static bool no_types(struct gd_lower *lower, uint32_t least, uint32_t most)
{
	gd_lower_mod(lower, "uni");
	return gd_lower_operands(lower, least, most);
}

static bool lower_bra(struct gd_lower *lower)
{
	struct gd_ptx_stmt *stmt = &lower->stmt;
	bool has_guard = stmt->has_guard;
	uint32_t target;
	if (!no_types(lower, 1, 1) || !gd_lower_label_named(lower, &stmt->operands[0], &target))
		return false;
	stmt->has_guard = false;
	struct gd_lir *lir = gd_lower_emit(lower, has_guard ? GD_OP_bra : GD_OP_jump);
	if (!lir)
		return gd_lower_wrong(lower, "too many instructions");
	lir->kind = has_guard ? GD_LIR_BRA : GD_LIR_JUMP;
	lir->o[0] = has_guard ? GD_OPND(GD_OPND_REG, stmt->guard) : GD_OPND_NONE;
	lir->aux2 = stmt->guard_negated;
	lir->target = target;
	lir->target_count = 1;
	return true;
}

/* brx.idx index, list; the list stands before it. */
static bool lower_brx(struct gd_lower *lower)
{
	const struct gd_ptx_operand *name = &lower->stmt.operands[1];
	uint32_t index, first = 0;
	gd_lower_mod(lower, "idx");
	if (!no_types(lower, 2, 2) || !gd_lower_src(lower, 0, GD_T_U32, &index))
		return false;
	const struct gd_ptx_label *list = name->kind != GD_O_NAME
					      ? NULL
					      : gd_lower_label_find(lower->func, name->text, name->length,
								    lower->scopes[lower->scope_depth]);
	if (!list || !list->targets)
		return gd_lower_wrong(lower, "there is no list of branch targets of that name before it");
	for (uint32_t i = 0; i < list->target_count; i++) {
		uint32_t target;
		if (!gd_lower_label_named(lower, &list->targets[i], &target))
			return false;
		/* The targets are named in the block that the list stands in. */
		lower->func->uses[target].scope = list->scope;
		if (!i)
			first = target;
	}
	struct gd_lir *lir = gd_lower_emit(lower, GD_OP_brx);
	if (!lir || !list->target_count)
		return gd_lower_wrong(lower, "an empty list of branch targets");
	lir->kind = GD_LIR_BRX;
	lir->o[0] = index;
	lir->target = first;
	lir->target_count = list->target_count;
	return true;
}

static bool end(struct gd_lower *lower, enum gd_op op)
{
	if (!no_types(lower, 0, 0))
		return false;
	struct gd_lir *lir = gd_lower_emit(lower, op);
	if (!lir)
		return gd_lower_wrong(lower, "too many instructions");
	lir->kind = GD_LIR_END;
	return true;
}

static bool lower_exit(struct gd_lower *lower)
{
	return end(lower, GD_OP_exit);
}

static bool lower_ret(struct gd_lower *lower)
{
	return end(lower, lower->func->func->is_entry ? GD_OP_exit : GD_OP_ret);
}

static bool plain(struct gd_lower *lower, enum gd_op op)
{
	return gd_lower_operands(lower, 0, 1) &&
	       (gd_lower_emit(lower, op) || gd_lower_wrong(lower, "too many instructions"));
}

static bool lower_trap(struct gd_lower *lower)
{
	return plain(lower, GD_OP_trap);
}

static bool lower_nanosleep(struct gd_lower *lower)
{
	gd_lower_mod(lower, "u32");
	return plain(lower, GD_OP_yield);
}

static bool lower_pmevent(struct gd_lower *lower)
{
	gd_lower_mod(lower, "mask");
	return plain(lower, GD_OP_nop);
}

static bool lower_fence(struct gd_lower *lower)
{
	static const char *const words[] = {"sc",  "acq_rel", "acquire", "release", "cta",  "gpu",
					    "sys", "cluster", "gl",      "proxy",   "alias"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		gd_lower_mod(lower, words[i]);
	return plain(lower, GD_OP_fence);
}

/* The words of a call's parameters or results. */
static bool call_words(struct gd_lower *lower, const struct gd_ptx_operand *list,
		       const struct gd_vm_words **out_words, uint32_t *out_count)
{
	uint32_t count = list ? list->count : 0;
	struct gd_vm_words *words = gd_scratch_take(lower->arena, count, sizeof(*words));
	if (!words)
		return gd_ptx_no_memory(lower->module);
	for (uint32_t i = 0; i < count; i++) {
		const struct gd_ptx_operand *item = &list->items[i];
		if (item->kind != GD_O_VAR || item->var->space != GD_SP_PARAM_FUNC || item->value)
			return gd_lower_unknown(lower, ": parameters that are no .param variables");
		words[i] = (struct gd_vm_words){.offset = (uint32_t)(item->var->address / 4 * 128),
						.words = (uint32_t)((item->var->size + 3) / 4)};
	}
	*out_words = words;
	*out_count = count;
	return true;
}

static bool same_words(const struct gd_vm_words *words, uint32_t count, const struct gd_ptx_param *params,
		       size_t param_count)
{
	if (count != param_count)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (words[i].words != (params[i].size + 3) / 4)
			return false;
	}
	return true;
}

static bool note_callee(struct gd_lower *lower, struct gd_ptx_func *callee)
{
	struct gd_lower_func *func = lower->func;
	func->callees = gd_scratch_grow(lower->arena, func->callees, func->callee_count,
					&func->callee_capacity, sizeof(*func->callees));
	if (!func->callees)
		return gd_ptx_no_memory(lower->module);
	func->callees[func->callee_count++] = callee->index;
	return gd_lower_want(lower, callee);
}

/* call (results), function, (parameters), prototype; all but the function may be left out. */
static bool lower_call(struct gd_lower *lower)
{
	const struct gd_ptx_operand *o = lower->stmt.operands, *results = NULL, *target, *args = NULL;
	uint32_t count = lower->stmt.operand_count, at = 0, pointer;
	bool is_known = false;
	if (!no_types(lower, 1, 4))
		return false;
	if (o[at].kind == GD_O_LIST)
		results = &o[at++];
	if (at == count)
		return gd_lower_wrong(lower, "a call of nothing");
	target = &o[at++];
	if (at < count && o[at].kind == GD_O_LIST)
		args = &o[at++];
	struct gd_vm_call *call = gd_scratch_take(lower->arena, 1, sizeof(*call));
	if (!call)
		return gd_ptx_no_memory(lower->module);
	if (!call_words(lower, args, &call->args, &call->arg_count) ||
	    !call_words(lower, results, &call->results, &call->result_count))
		return false;
	if (target->kind == GD_O_FUNC && !target->func->has_body) {
		if (!gd_lower_builtin(lower, target->func->name, call, &is_known))
			return false;
		return is_known ||
		       gd_lower_unknown(lower, " of `%.60s`, which is defined nowhere", target->func->name);
	}
	if (target->kind == GD_O_FUNC) {
		const struct gd_ptx_func *callee = target->func;
		if (callee->is_entry)
			return gd_lower_unknown(lower, " of a kernel");
		if (!same_words(call->args, call->arg_count, callee->params, callee->param_count) ||
		    !same_words(call->results, call->result_count, callee->returns, callee->return_count))
			return gd_lower_wrong(lower, "other parameters than `%.60s` takes", callee->name);
		if (!note_callee(lower, target->func))
			return false;
	} else if (!gd_lower_src_of(lower, target, GD_T_U64, &pointer)) {
		return false;
	}
	bool is_direct = target->kind == GD_O_FUNC;
	struct gd_lir *lir = gd_lower_emit(lower, is_direct ? GD_OP_call : GD_OP_call_indirect);
	if (!lir)
		return gd_lower_wrong(lower, "too many instructions");
	lir->imm = (uint64_t)(uintptr_t)call;
	if (is_direct) {
		lir->aux = target->func->index;
	} else {
		lir->o[0] = pointer;
		lower->func->has_indirect_call = true;
	}
	return true;
}

/* setmaxnreg, griddepcontrol: nothing to do with one warp at a time. */
static bool lower_ignored(struct gd_lower *lower)
{
	static const char *const words[] = {"launch_dependents", "wait"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		gd_lower_mod(lower, words[i]);
	return plain(lower, GD_OP_nop);
}

const struct gd_lower_rule gd_lower_flow_rules[] = {
    {.name = "bra", .fn = lower_bra},
    {.name = "brx", .fn = lower_brx, .is_branchy = true},
    {.name = "exit", .fn = lower_exit, .is_branchy = true},
    {.name = "ret", .fn = lower_ret, .is_branchy = true},
    {.name = "call", .fn = lower_call, .is_branchy = true},
    {.name = "trap", .fn = lower_trap, .is_branchy = true},
    {.name = "brkpt", .fn = lower_trap, .is_branchy = true},
    {.name = "nanosleep", .fn = lower_nanosleep, .is_branchy = true},
    {.name = "pmevent", .fn = lower_pmevent},
    {.name = "membar", .fn = lower_fence},
    {.name = "fence", .fn = lower_fence},
    {.name = "griddepcontrol", .fn = lower_ignored},
    {.name = NULL},
};
