/* Moves, packing, logic, shifts, selection. */
#include "gpu/device/reference/lower.h"
#include "gpu/device/reference/special.h"

#include <string.h>

struct special {
	const char *name;
	enum gd_special which;
	bool has_axes; /* .x .y .z .w */
};

static const struct special specials[] = {
    {"%tid", GD_SPECIAL_TID, true},
    {"%ntid", GD_SPECIAL_NTID, true},
    {"%ctaid", GD_SPECIAL_CTAID, true},
    {"%nctaid", GD_SPECIAL_NCTAID, true},
    {"%laneid", GD_SPECIAL_LANEID, false},
    {"%warpid", GD_SPECIAL_WARPID, false},
    {"%nwarpid", GD_SPECIAL_NWARPID, false},
    {"%smid", GD_SPECIAL_SMID, false},
    {"%nsmid", GD_SPECIAL_NSMID, false},
    {"%gridid", GD_SPECIAL_GRIDID, false},
    {"%lanemask_eq", GD_SPECIAL_LANEMASK_EQ, false},
    {"%lanemask_le", GD_SPECIAL_LANEMASK_LE, false},
    {"%lanemask_lt", GD_SPECIAL_LANEMASK_LT, false},
    {"%lanemask_ge", GD_SPECIAL_LANEMASK_GE, false},
    {"%lanemask_gt", GD_SPECIAL_LANEMASK_GT, false},
    {"%clock", GD_SPECIAL_CLOCK, false},
    {"%clock_hi", GD_SPECIAL_CLOCK_HI, false},
    {"%clock64", GD_SPECIAL_CLOCK64, false},
    {"%globaltimer", GD_SPECIAL_GLOBALTIMER, false},
    {"%globaltimer_lo", GD_SPECIAL_GLOBALTIMER_LO, false},
    {"%globaltimer_hi", GD_SPECIAL_GLOBALTIMER_HI, false},
    {"%dynamic_smem_size", GD_SPECIAL_DYNAMIC_SMEM, false},
    {"%total_smem_size", GD_SPECIAL_TOTAL_SMEM, false},
    {"%aggr_smem_size", GD_SPECIAL_TOTAL_SMEM, false},
    {"%is_explicit_cluster", GD_SPECIAL_ZERO, false},
    {"%clusterid", GD_SPECIAL_CTAID, true}, /* clusters of one block */
    {"%nclusterid", GD_SPECIAL_NCTAID, true},
    {"%cluster_ctarank", GD_SPECIAL_ZERO, false},
    {"%cluster_nctarank", GD_SPECIAL_ONE, false},
};

/* The special register an operand names; false when there is none such. */
static bool find_special(const struct gd_ptx_operand *operand, uint32_t *out_which)
{
	const char *text = operand->text;
	uint32_t length = operand->length, axis = 0;
	const char *dot = memchr(text, '.', length);
	if (dot) {
		if (text + length - dot != 2)
			return false;
		axis = dot[1] == 'x' ? 0 : dot[1] == 'y' ? 1 : dot[1] == 'z' ? 2 : 3;
		if (axis == 3 && dot[1] != 'w')
			return false;
		length = (uint32_t)(dot - text);
	}
	if (length > 7 && !memcmp(text, "%envreg", 7)) {
		bool is_one_digit = length == 8;
		*out_which = is_one_digit && text[7] == '1'   ? GD_SPECIAL_ENVREG1
			     : is_one_digit && text[7] == '2' ? GD_SPECIAL_ENVREG2
							      : GD_SPECIAL_ZERO;
		return !dot;
	}
	if (length == 14 && !memcmp(text, "%cluster_ctaid", 14)) {
		*out_which = GD_SPECIAL_ZERO;
		return dot;
	}
	if (length == 15 && !memcmp(text, "%cluster_nctaid", 15)) {
		*out_which = GD_SPECIAL_ONE;
		return dot;
	}
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
		if (strlen(specials[i].name) != length || memcmp(specials[i].name, text, length))
			continue;
		if (specials[i].has_axes != (dot != NULL))
			return false;
		*out_which = axis == 3 ? (uint32_t)GD_SPECIAL_ZERO : (uint32_t)specials[i].which + axis;
		return true;
	}
	return false;
}

static bool move_special(struct gd_lower *lower, const struct gd_ptx_operand *operand, uint32_t to,
			 enum gd_class class)
{
	uint32_t which, narrow = to;
	if (!find_special(operand, &which))
		return gd_lower_unknown(lower, " with `%.*s`", (int)(operand->length & 63), operand->text);
	bool is_wide = which == GD_SPECIAL_CLOCK64 || which == GD_SPECIAL_GLOBALTIMER;
	bool is_lane = which < GD_SPECIAL_NTID || which == GD_SPECIAL_LANEID ||
		       (which >= GD_SPECIAL_LANEMASK_EQ && which <= GD_SPECIAL_LANEMASK_GT);
	if (class == GD_CLASS_PRED || (is_wide && class != GD_CLASS_64))
		return gd_lower_wrong(lower, "a special register of another size");
	if (!is_wide && class != GD_CLASS_32)
		narrow = gd_lower_temp(lower, GD_CLASS_32);
	if (!narrow || !gd_lower_op(lower,
				    is_wide   ? GD_OP_special_64
				    : is_lane ? GD_OP_special_lane
					      : GD_OP_special_32,
				    narrow, 0, 0, 0))
		return gd_lower_wrong(lower, "too many registers");
	lower->func->lir[lower->func->lir_count - 1].aux = which;
	if (is_wide || class == GD_CLASS_32)
		return true;
	return gd_lower_op(lower, class == GD_CLASS_64 ? GD_OP_cvt_64_u32 : GD_OP_cvt_16_u32, to, narrow, 0,
			   0);
}

/* The address of a variable or function, in its own state space. */
static bool move_address(struct gd_lower *lower, const struct gd_ptx_operand *operand, uint32_t to,
			 enum gd_class class)
{
	uint64_t address;
	uint32_t from, wide = to;
	if (class != GD_CLASS_64 && class != GD_CLASS_32)
		return gd_lower_wrong(lower, "an address in a register of another size");
	if (operand->kind == GD_O_FUNC) {
		if (!operand->func->has_body || operand->func->is_entry || class != GD_CLASS_64)
			return gd_lower_unknown(lower, ": the address of `%.60s`", operand->func->name);
		if (!gd_lower_want(lower, operand->func))
			return false;
		address = GD_SLOT_BASE(GD_SLOT_CODE) + (uint64_t)operand->func->index * GD_CODE_STEP;
		from = gd_lower_const(lower, GD_CLASS_64, address);
		return gd_lower_op(lower, GD_OP_mov_64, to, from, 0, 0);
	}
	const struct gd_ptx_var *var = operand->var;
	gd_lower_touch(lower, operand->var);
	if (class == GD_CLASS_32) {
		if (var->space != GD_SP_SHARED && var->space != GD_SP_LOCAL)
			return gd_lower_wrong(lower, "a 64-bit address in a 32-bit register");
		wide = gd_lower_temp(lower, GD_CLASS_64);
		if (!wide)
			return gd_lower_wrong(lower, "too many registers");
	}
	if (var->space == GD_SP_LOCAL) {
		if (!gd_lower_op(lower, GD_OP_local_address, wide, 0, 0, 0))
			return false;
		lower->func->lir[lower->func->lir_count - 1].imm = var->address + operand->value;
	} else {
		if (var->space == GD_SP_PARAM_FUNC)
			return gd_lower_unknown(lower, ": the address of a parameter of a function");
		if (var->is_extern && !var->is_dynamic)
			return gd_lower_wrong(lower, "`%.60s` is defined nowhere", var->name);
		/* Kernel parameters count from their window, like addresses of every other space. */
		from = var->is_dynamic ? gd_lower_dynamic(lower, operand->value)
				       : gd_lower_const(lower, GD_CLASS_64, var->address + operand->value);
		if (!from || !gd_lower_op(lower, GD_OP_mov_64, wide, from, 0, 0))
			return gd_lower_wrong(lower, "too many constants");
	}
	return class == GD_CLASS_64 || gd_lower_op(lower, GD_OP_cvt_32_u64, to, wide, 0, 0);
}

/* mov.b64 {lo, hi}, x and mov.b64 x, {lo, hi}, with 2 or 4 elements. */
static bool move_vector(struct gd_lower *lower, enum gd_ptx_type type)
{
	const struct gd_ptx_operand *to = &lower->stmt.operands[0], *from = &lower->stmt.operands[1];
	bool is_pack = from->kind == GD_O_LIST;
	const struct gd_ptx_operand *list = is_pack ? from : to;
	uint32_t bytes = gd_ptx_types[type].bytes, whole, parts[4] = {0};
	if (to->kind == GD_O_LIST && from->kind == GD_O_LIST)
		return gd_lower_unknown(lower, " between vectors");
	if ((list->count != 2 && list->count != 4) || bytes / list->count < 2 || bytes > 8)
		return gd_lower_unknown(lower, " with %u elements", list->count);
	enum gd_ptx_type part = bytes / list->count == 4 ? GD_T_B32 : GD_T_B16;
	if (is_pack ? !gd_lower_dst(lower, 0, type, &whole) : !gd_lower_src(lower, 1, type, &whole))
		return false;
	for (uint32_t i = 0; i < list->count; i++) {
		if (is_pack ? !gd_lower_src_of(lower, &list->items[i], part, &parts[i])
			    : !gd_lower_dst_of(lower, &list->items[i], part, &parts[i]))
			return false;
	}
	enum gd_op pack = list->count == 4   ? GD_OP_pack4_16
			  : part == GD_T_B32 ? GD_OP_pack_32
					     : GD_OP_pack_16;
	enum gd_op unpack = list->count == 4   ? GD_OP_unpack4_16
			    : part == GD_T_B32 ? GD_OP_unpack_32
					       : GD_OP_unpack_16;
	struct gd_lir *lir = gd_lower_emit(lower, is_pack ? pack : unpack);
	if (!lir)
		return gd_lower_wrong(lower, "too many instructions");
	memcpy(lir->o + is_pack, parts, list->count * sizeof(parts[0]));
	lir->o[is_pack ? 0 : list->count] = whole;
	lir->defs = (uint8_t)(is_pack ? 1u : (1u << list->count) - 1u);
	return true;
}

static bool lower_mov(struct gd_lower *lower)
{
	static const enum gd_op ops[GD_CLASS_COUNT] = {[GD_CLASS_PRED] = GD_OP_pred_mov,
						       [GD_CLASS_16] = GD_OP_mov_16,
						       [GD_CLASS_32] = GD_OP_mov_32,
						       [GD_CLASS_64] = GD_OP_mov_64};
	const struct gd_ptx_operand *from = &lower->stmt.operands[1];
	enum gd_ptx_type types[4];
	uint32_t to, a;
	bool is_negated;
	if (!gd_lower_operands(lower, 2, 2))
		return false;
	if (gd_lower_types(lower, types) != 1 || gd_ptx_types[types[0]].class == GD_CLASS_COUNT)
		return gd_lower_unknown(lower, "%s", "");
	if (lower->stmt.operands[0].kind == GD_O_LIST || from->kind == GD_O_LIST)
		return move_vector(lower, types[0]);
	enum gd_class class = gd_ptx_types[types[0]].class;
	if (!gd_lower_dst(lower, 0, types[0], &to))
		return false;
	if (from->is_memory)
		return gd_lower_wrong(lower, "a memory operand");
	if (from->kind == GD_O_SPECIAL)
		return move_special(lower, from, to, class);
	if (from->kind == GD_O_VAR || from->kind == GD_O_FUNC)
		return move_address(lower, from, to, class);
	if (class == GD_CLASS_PRED)
		return gd_lower_pred(lower, from, &a, &is_negated) &&
		       gd_lower_op(lower, is_negated ? GD_OP_pred_not : GD_OP_pred_mov, to, a, 0, 0);
	return gd_lower_src(lower, 1, types[0], &a) && gd_lower_op(lower, ops[class], to, a, 0, 0);
}

/* and, or, xor, not: by class, predicates too. */
static bool logic(struct gd_lower *lower, const enum gd_op ops[GD_CLASS_COUNT], uint32_t sources)
{
	enum gd_ptx_type types[4];
	uint32_t o[3] = {0};
	bool is_negated = false;
	if (!gd_lower_operands(lower, sources + 1, sources + 1))
		return false;
	if (gd_lower_types(lower, types) != 1 || gd_ptx_types[types[0]].class == GD_CLASS_COUNT ||
	    (gd_ptx_types[types[0]].kind != GD_K_BITS))
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_dst(lower, 0, types[0], &o[0]))
		return false;
	for (uint32_t i = 1; i <= sources; i++) {
		if (types[0] != GD_T_PRED
			? !gd_lower_src(lower, i, types[0], &o[i])
			: !gd_lower_pred(lower, &lower->stmt.operands[i], &o[i], &is_negated))
			return false;
		if (is_negated)
			return gd_lower_wrong(lower, "a negated predicate");
	}
	return gd_lower_op(lower, ops[gd_ptx_types[types[0]].class], o[0], o[1], o[2], 0);
}

#define BY_CLASS(name)                                                                                       \
	{                                                                                                    \
		[GD_CLASS_PRED] = GD_OP_pred_##name, [GD_CLASS_16] = GD_OP_##name##_16,                      \
		[GD_CLASS_32] = GD_OP_##name##_32, [GD_CLASS_64] = GD_OP_##name##_64                         \
	}

static bool lower_and(struct gd_lower *lower)
{
	static const enum gd_op ops[] = BY_CLASS(and);
	return logic(lower, ops, 2);
}

static bool lower_or(struct gd_lower *lower)
{
	static const enum gd_op ops[] = BY_CLASS(or);
	return logic(lower, ops, 2);
}

static bool lower_xor(struct gd_lower *lower)
{
	static const enum gd_op ops[] = BY_CLASS(xor);
	return logic(lower, ops, 2);
}

static bool lower_not(struct gd_lower *lower)
{
	static const enum gd_op ops[] = BY_CLASS(not );
	return logic(lower, ops, 1);
}

static bool lower_cnot(struct gd_lower *lower)
{
	static const enum gd_op ops[] = {[GD_CLASS_PRED] = GD_OP_pred_not,
					 [GD_CLASS_16] = GD_OP_cnot_16,
					 [GD_CLASS_32] = GD_OP_cnot_32,
					 [GD_CLASS_64] = GD_OP_cnot_64};
	return logic(lower, ops, 1);
}

static bool shift(struct gd_lower *lower, const uint16_t ops[GD_T_COUNT])
{
	enum gd_ptx_type types[4];
	uint32_t to, a, b;
	if (!gd_lower_operands(lower, 3, 3))
		return false;
	if (gd_lower_types(lower, types) != 1 || !ops[types[0]])
		return gd_lower_unknown(lower, "%s", "");
	return gd_lower_dst(lower, 0, types[0], &to) && gd_lower_src(lower, 1, types[0], &a) &&
	       gd_lower_src(lower, 2, GD_T_U32, &b) &&
	       gd_lower_op(lower, (enum gd_op)ops[types[0]], to, a, b, 0);
}

static bool lower_shl(struct gd_lower *lower)
{
	static const uint16_t ops[GD_T_COUNT] = {
	    [GD_T_B16] = GD_OP_shl_16, [GD_T_B32] = GD_OP_shl_32, [GD_T_B64] = GD_OP_shl_64};
	return shift(lower, ops);
}

static bool lower_shr(struct gd_lower *lower)
{
	static const uint16_t ops[GD_T_COUNT] = {
	    [GD_T_B16] = GD_OP_shr_u16, [GD_T_B32] = GD_OP_shr_u32, [GD_T_B64] = GD_OP_shr_u64,
	    [GD_T_U16] = GD_OP_shr_u16, [GD_T_U32] = GD_OP_shr_u32, [GD_T_U64] = GD_OP_shr_u64,
	    [GD_T_S16] = GD_OP_shr_s16, [GD_T_S32] = GD_OP_shr_s32, [GD_T_S64] = GD_OP_shr_s64};
	return shift(lower, ops);
}

/* Three 32-bit sources. */
static bool three_words(struct gd_lower *lower, enum gd_op op, uint32_t operands)
{
	enum gd_ptx_type types[4];
	uint32_t o[4];
	if (!gd_lower_operands(lower, operands, operands))
		return false;
	if (gd_lower_types(lower, types) != 1 || types[0] != GD_T_B32)
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_dst(lower, 0, GD_T_B32, &o[0]))
		return false;
	for (uint32_t i = 1; i < 4; i++) {
		if (!gd_lower_src(lower, i, GD_T_B32, &o[i]))
			return false;
	}
	return gd_lower_op(lower, op, o[0], o[1], o[2], o[3]);
}

static bool lower_shf(struct gd_lower *lower)
{
	bool is_left = gd_lower_mod(lower, "l"), is_wrap = gd_lower_mod(lower, "wrap");
	if (!is_left && !gd_lower_mod(lower, "r"))
		return gd_lower_unknown(lower, "%s", "");
	if (!is_wrap && !gd_lower_mod(lower, "clamp"))
		return gd_lower_unknown(lower, "%s", "");
	enum gd_op left = is_wrap ? GD_OP_shf_l_wrap : GD_OP_shf_l_clamp;
	enum gd_op right = is_wrap ? GD_OP_shf_r_wrap : GD_OP_shf_r_clamp;
	return three_words(lower, is_left ? left : right, 4);
}

static bool lower_prmt(struct gd_lower *lower)
{
	static const char *const modes[] = {"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"};
	static const enum gd_op ops[] = {GD_OP_prmt,     GD_OP_prmt_f4e, GD_OP_prmt_b4e, GD_OP_prmt_rc8,
					 GD_OP_prmt_ecl, GD_OP_prmt_ecr, GD_OP_prmt_rc16};
	return three_words(lower, ops[gd_lower_mod_of(lower, modes, 6)], 4);
}

static bool lower_lop3(struct gd_lower *lower)
{
	const struct gd_ptx_operand *table = &lower->stmt.operands[4];
	if (!gd_lower_operands(lower, 5, 5))
		return false;
	if (table->kind != GD_O_INT || table->value > 255)
		return gd_lower_wrong(lower, "a table that is no byte");
	if (!three_words(lower, GD_OP_lop3_32, 5))
		return false;
	lower->func->lir[lower->func->lir_count - 1].aux = (uint32_t)table->value;
	return true;
}

static bool lower_selp(struct gd_lower *lower)
{
	static const enum gd_op ops[] = {[GD_CLASS_PRED] = GD_OP_selp_pred,
					 [GD_CLASS_16] = GD_OP_selp_16,
					 [GD_CLASS_32] = GD_OP_selp_32,
					 [GD_CLASS_64] = GD_OP_selp_64};
	enum gd_ptx_type types[4];
	uint32_t to, a, b, p;
	bool is_negated;
	if (!gd_lower_operands(lower, 4, 4))
		return false;
	if (gd_lower_types(lower, types) != 1 || gd_ptx_types[types[0]].class == GD_CLASS_COUNT)
		return gd_lower_unknown(lower, "%s", "");
	if (types[0] == GD_T_PRED)
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_dst(lower, 0, types[0], &to) || !gd_lower_src(lower, 1, types[0], &a) ||
	    !gd_lower_src(lower, 2, types[0], &b) ||
	    !gd_lower_pred(lower, &lower->stmt.operands[3], &p, &is_negated))
		return false;
	return gd_lower_op(lower, ops[gd_ptx_types[types[0]].class], to, is_negated ? b : a,
			   is_negated ? a : b, p);
}

static bool lower_slct(struct gd_lower *lower)
{
	static const enum gd_op by_s32[] = {[GD_CLASS_16] = GD_OP_slct_16_s32,
					    [GD_CLASS_32] = GD_OP_slct_32_s32,
					    [GD_CLASS_64] = GD_OP_slct_64_s32};
	static const enum gd_op by_f32[] = {[GD_CLASS_16] = GD_OP_slct_16_f32,
					    [GD_CLASS_32] = GD_OP_slct_32_f32,
					    [GD_CLASS_64] = GD_OP_slct_64_f32};
	enum gd_ptx_type types[4];
	uint32_t to, a, b, c;
	bool is_ftz = gd_lower_mod(lower, "ftz");
	if (!gd_lower_operands(lower, 4, 4))
		return false;
	if (gd_lower_types(lower, types) != 2 || (types[1] != GD_T_S32 && types[1] != GD_T_F32) ||
	    types[0] == GD_T_PRED || gd_ptx_types[types[0]].class == GD_CLASS_COUNT)
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_dst(lower, 0, types[0], &to) || !gd_lower_src(lower, 1, types[0], &a) ||
	    !gd_lower_src(lower, 2, types[0], &b) || !gd_lower_src(lower, 3, types[1], &c))
		return false;
	if (is_ftz && types[1] == GD_T_F32) {
		uint32_t flushed = gd_lower_temp(lower, GD_CLASS_32);
		if (!flushed || !gd_lower_op(lower, GD_OP_ftz_f32, flushed, c, 0, 0))
			return gd_lower_wrong(lower, "too many registers");
		c = flushed;
	}
	return gd_lower_op(lower, (types[1] == GD_T_S32 ? by_s32 : by_f32)[gd_ptx_types[types[0]].class], to,
			   a, b, c);
}

const struct gd_lower_rule gd_lower_move_rules[] = {
    {.name = "mov", .fn = lower_mov},   {.name = "and", .fn = lower_and},
    {.name = "or", .fn = lower_or},     {.name = "xor", .fn = lower_xor},
    {.name = "not", .fn = lower_not},   {.name = "cnot", .fn = lower_cnot},
    {.name = "shl", .fn = lower_shl},   {.name = "shr", .fn = lower_shr},
    {.name = "shf", .fn = lower_shf},   {.name = "prmt", .fn = lower_prmt},
    {.name = "lop3", .fn = lower_lop3}, {.name = "selp", .fn = lower_selp},
    {.name = "slct", .fn = lower_slct}, {.name = NULL},
};
