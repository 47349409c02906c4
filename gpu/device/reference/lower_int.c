/* Integer arithmetic, bits and shifts. Each row of a table says which operation a type takes; 0 is none. */
#include "gpu/device/reference/lower.h"

#include <string.h>

typedef uint16_t gd_ops_by_type[GD_T_COUNT];

#define BY_SIGN(name)                                                                                        \
	[GD_T_U16] = GD_OP_##name##_u16, [GD_T_S16] = GD_OP_##name##_s16, [GD_T_U32] = GD_OP_##name##_u32,   \
	[GD_T_S32] = GD_OP_##name##_s32, [GD_T_U64] = GD_OP_##name##_u64, [GD_T_S64] = GD_OP_##name##_s64
#define BY_WIDTH(name)                                                                                       \
	[GD_T_U16] = GD_OP_##name##_16, [GD_T_S16] = GD_OP_##name##_16, [GD_T_U32] = GD_OP_##name##_32,      \
	[GD_T_S32] = GD_OP_##name##_32, [GD_T_U64] = GD_OP_##name##_64, [GD_T_S64] = GD_OP_##name##_64
#define BY_BITS(name)                                                                                        \
	[GD_T_B16] = GD_OP_##name##_16, [GD_T_B32] = GD_OP_##name##_32, [GD_T_B64] = GD_OP_##name##_64
#define BY_32_64(name)                                                                                       \
	[GD_T_U32] = GD_OP_##name##_u32, [GD_T_S32] = GD_OP_##name##_s32, [GD_T_U64] = GD_OP_##name##_u64,   \
	[GD_T_S64] = GD_OP_##name##_s64

static bool find_op(struct gd_lower *lower, const gd_ops_by_type ops, enum gd_ptx_type *out_type,
		    enum gd_op *out_op)
{
	enum gd_ptx_type types[4];
	if (gd_lower_types(lower, types) != 1 || !ops[types[0]])
		return gd_lower_unknown(lower, "%s", "");
	*out_type = types[0];
	*out_op = (enum gd_op)ops[types[0]];
	return true;
}

/* `sources` operands of the result's own type. */
static bool same_type(struct gd_lower *lower, const gd_ops_by_type ops, uint32_t sources)
{
	enum gd_ptx_type type;
	enum gd_op op;
	uint32_t o[4] = {0};
	if (!gd_lower_operands(lower, sources + 1, sources + 1) || !find_op(lower, ops, &type, &op) ||
	    !gd_lower_dst(lower, 0, type, &o[0]))
		return false;
	for (uint32_t i = 1; i <= sources; i++) {
		if (!gd_lower_src(lower, i, type, &o[i]))
			return false;
	}
	return gd_lower_op(lower, op, o[0], o[1], o[2], o[3]);
}

/* add.cc, addc, sub.cc, subc: CC is a predicate register of its own. */
static bool carry_register(struct gd_lower *lower)
{
	if (!lower->func->carry)
		lower->func->carry = gd_lower_temp(lower, GD_CLASS_PRED);
	return lower->func->carry || gd_lower_wrong(lower, "too many registers");
}

static bool emit_carry(struct gd_lower *lower, bool is_sub, bool is_wide, bool has_in, bool has_out,
		       uint32_t to, uint32_t a, uint32_t b)
{
	enum gd_op op = is_sub ? (is_wide ? GD_OP_sub_cc_64 : GD_OP_sub_cc_32)
			       : (is_wide ? GD_OP_add_cc_64 : GD_OP_add_cc_32);
	uint32_t out;
	if (!carry_register(lower))
		return false;
	out = has_out ? lower->func->carry : gd_lower_temp(lower, GD_CLASS_PRED);
	struct gd_lir *lir = gd_lower_emit(lower, op);
	if (!lir || !out)
		return gd_lower_wrong(lower, "too many instructions");
	lir->o[0] = to;
	lir->o[1] = out;
	lir->o[2] = a;
	lir->o[3] = b;
	lir->o[4] = has_in ? lower->func->carry : GD_OPND_NONE;
	lir->aux = has_in;
	lir->defs = 3;
	return true;
}

static bool add_sub_carry(struct gd_lower *lower, bool is_sub, bool has_in)
{
	enum gd_ptx_type types[4];
	bool has_out = gd_lower_mod(lower, "cc");
	uint32_t o[3];
	if (!gd_lower_operands(lower, 3, 3))
		return false;
	if (gd_lower_types(lower, types) != 1 || gd_ptx_types[types[0]].kind == GD_K_FLOAT ||
	    gd_ptx_types[types[0]].bytes < 4 || types[0] == GD_T_U16X2 || types[0] == GD_T_S16X2)
		return gd_lower_unknown(lower, "%s", "");
	return gd_lower_dst(lower, 0, types[0], &o[0]) && gd_lower_src(lower, 1, types[0], &o[1]) &&
	       gd_lower_src(lower, 2, types[0], &o[2]) &&
	       emit_carry(lower, is_sub, gd_ptx_types[types[0]].bytes == 8, has_in, has_out, o[0], o[1],
			  o[2]);
}

static bool lower_addc(struct gd_lower *lower)
{
	return add_sub_carry(lower, false, true);
}

static bool lower_subc(struct gd_lower *lower)
{
	return add_sub_carry(lower, true, true);
}

bool gd_lower_int_add(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {
	    BY_WIDTH(add), [GD_T_U16X2] = GD_OP_add_16x2, [GD_T_S16X2] = GD_OP_add_16x2};
	static const gd_ops_by_type saturated = {[GD_T_S32] = GD_OP_add_sat_s32};
	for (uint32_t i = 0; i < lower->stmt.mod_count; i++) {
		if (lower->stmt.mods[i].length == 2 && !memcmp(lower->stmt.mods[i].text, "cc", 2))
			return add_sub_carry(lower, false, false);
	}
	return same_type(lower, gd_lower_mod(lower, "sat") ? saturated : ops, 2);
}

bool gd_lower_int_sub(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {BY_WIDTH(sub)};
	static const gd_ops_by_type saturated = {[GD_T_S32] = GD_OP_sub_sat_s32};
	for (uint32_t i = 0; i < lower->stmt.mod_count; i++) {
		if (lower->stmt.mods[i].length == 2 && !memcmp(lower->stmt.mods[i].text, "cc", 2))
			return add_sub_carry(lower, true, false);
	}
	return same_type(lower, gd_lower_mod(lower, "sat") ? saturated : ops, 2);
}

static const enum gd_ptx_type wider[GD_T_COUNT] = {
    [GD_T_U16] = GD_T_U32, [GD_T_S16] = GD_T_S32, [GD_T_U32] = GD_T_U64, [GD_T_S32] = GD_T_S64};
static const gd_ops_by_type mul_lo = {BY_WIDTH(mul)};
static const gd_ops_by_type mul_hi = {BY_SIGN(mul_hi)};
static const gd_ops_by_type mul_wide = {[GD_T_U16] = GD_OP_mul_wide_u16,
					[GD_T_S16] = GD_OP_mul_wide_s16,
					[GD_T_U32] = GD_OP_mul_wide_u32,
					[GD_T_S32] = GD_OP_mul_wide_s32};

bool gd_lower_int_mul(struct gd_lower *lower)
{
	enum gd_ptx_type type;
	enum gd_op op;
	uint32_t to, a, b;
	if (!gd_lower_mod(lower, "wide"))
		return same_type(lower,
				 gd_lower_mod(lower, "hi") ? mul_hi : (gd_lower_mod(lower, "lo"), mul_lo), 2);
	return gd_lower_operands(lower, 3, 3) && find_op(lower, mul_wide, &type, &op) &&
	       gd_lower_dst(lower, 0, wider[type], &to) && gd_lower_src(lower, 1, type, &a) &&
	       gd_lower_src(lower, 2, type, &b) && gd_lower_op(lower, op, to, a, b, 0);
}

/* mad.hi and the carrying forms: the product, then the sum. */
static bool product_then_sum(struct gd_lower *lower, bool is_hi, bool has_in, bool has_out)
{
	enum gd_ptx_type type;
	enum gd_op op;
	uint32_t to, a, b, c;
	static const gd_ops_by_type adds = {BY_WIDTH(add)};
	if (!gd_lower_operands(lower, 4, 4) || !find_op(lower, is_hi ? mul_hi : mul_lo, &type, &op))
		return false;
	bool is_wide = gd_ptx_types[type].bytes == 8;
	if ((has_in || has_out) && gd_ptx_types[type].bytes < 4)
		return gd_lower_unknown(lower, "%s", "");
	uint32_t product = gd_lower_temp(lower, gd_ptx_types[type].class);
	if (!product || !gd_lower_dst(lower, 0, type, &to) || !gd_lower_src(lower, 1, type, &a) ||
	    !gd_lower_src(lower, 2, type, &b) || !gd_lower_src(lower, 3, type, &c) ||
	    !gd_lower_op(lower, op, product, a, b, 0))
		return false;
	if (has_in || has_out)
		return emit_carry(lower, false, is_wide, has_in, has_out, to, product, c);
	return gd_lower_op(lower, (enum gd_op)adds[type], to, product, c, 0);
}

bool gd_lower_int_mad(struct gd_lower *lower)
{
	static const gd_ops_by_type lo = {BY_WIDTH(mad)};
	static const gd_ops_by_type hi_sat = {[GD_T_S32] = GD_OP_mad_hi_sat_s32};
	static const gd_ops_by_type wide = {[GD_T_U16] = GD_OP_mad_wide_u16,
					    [GD_T_S16] = GD_OP_mad_wide_s16,
					    [GD_T_U32] = GD_OP_mad_wide_u32,
					    [GD_T_S32] = GD_OP_mad_wide_s32};
	enum gd_ptx_type type;
	enum gd_op op;
	uint32_t to, a, b, c;
	bool is_hi = gd_lower_mod(lower, "hi"), has_out = gd_lower_mod(lower, "cc");
	if (gd_lower_mod(lower, "wide"))
		return gd_lower_operands(lower, 4, 4) && find_op(lower, wide, &type, &op) &&
		       gd_lower_dst(lower, 0, wider[type], &to) && gd_lower_src(lower, 1, type, &a) &&
		       gd_lower_src(lower, 2, type, &b) && gd_lower_src(lower, 3, wider[type], &c) &&
		       gd_lower_op(lower, op, to, a, b, c);
	gd_lower_mod(lower, "lo");
	if (is_hi && gd_lower_mod(lower, "sat"))
		return same_type(lower, hi_sat, 3);
	if (is_hi || has_out)
		return product_then_sum(lower, is_hi, false, has_out);
	return same_type(lower, lo, 3);
}

static bool lower_madc(struct gd_lower *lower)
{
	bool is_hi = gd_lower_mod(lower, "hi"), has_out = gd_lower_mod(lower, "cc");
	gd_lower_mod(lower, "lo");
	return product_then_sum(lower, is_hi, true, has_out);
}

static bool lower_mul24(struct gd_lower *lower)
{
	static const gd_ops_by_type lo = {[GD_T_U32] = GD_OP_mul24_lo_u32, [GD_T_S32] = GD_OP_mul24_lo_s32};
	static const gd_ops_by_type hi = {[GD_T_U32] = GD_OP_mul24_hi_u32, [GD_T_S32] = GD_OP_mul24_hi_s32};
	return same_type(lower, gd_lower_mod(lower, "hi") ? hi : (gd_lower_mod(lower, "lo"), lo), 2);
}

static bool lower_mad24(struct gd_lower *lower)
{
	static const gd_ops_by_type lo = {[GD_T_U32] = GD_OP_mul24_lo_u32, [GD_T_S32] = GD_OP_mul24_lo_s32};
	static const gd_ops_by_type hi = {[GD_T_U32] = GD_OP_mul24_hi_u32, [GD_T_S32] = GD_OP_mul24_hi_s32};
	enum gd_ptx_type type;
	enum gd_op op;
	uint32_t to, a, b, c, product = gd_lower_temp(lower, GD_CLASS_32);
	bool is_hi = gd_lower_mod(lower, "hi"), is_saturated = is_hi && gd_lower_mod(lower, "sat");
	gd_lower_mod(lower, "lo");
	return product && gd_lower_operands(lower, 4, 4) && find_op(lower, is_hi ? hi : lo, &type, &op) &&
	       gd_lower_dst(lower, 0, type, &to) && gd_lower_src(lower, 1, type, &a) &&
	       gd_lower_src(lower, 2, type, &b) && gd_lower_src(lower, 3, type, &c) &&
	       gd_lower_op(lower, op, product, a, b, 0) &&
	       gd_lower_op(lower, is_saturated ? GD_OP_add_sat_s32 : GD_OP_add_32, to, product, c, 0);
}

static bool lower_sad(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {BY_SIGN(sad)};
	return same_type(lower, ops, 3);
}

bool gd_lower_int_div(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {BY_SIGN(div)};
	return same_type(lower, ops, 2);
}

static bool lower_rem(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {BY_SIGN(rem)};
	return same_type(lower, ops, 2);
}

bool gd_lower_int_abs(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {
	    [GD_T_S16] = GD_OP_abs_s16, [GD_T_S32] = GD_OP_abs_s32, [GD_T_S64] = GD_OP_abs_s64};
	return same_type(lower, ops, 1);
}

bool gd_lower_int_neg(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {
	    [GD_T_S16] = GD_OP_neg_16, [GD_T_S32] = GD_OP_neg_32, [GD_T_S64] = GD_OP_neg_64};
	return same_type(lower, ops, 1);
}

bool gd_lower_int_min(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {
	    BY_SIGN(min), [GD_T_U16X2] = GD_OP_min_u16x2, [GD_T_S16X2] = GD_OP_min_s16x2};
	return same_type(lower, ops, 2);
}

bool gd_lower_int_max(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {
	    BY_SIGN(max), [GD_T_U16X2] = GD_OP_max_u16x2, [GD_T_S16X2] = GD_OP_max_s16x2};
	return same_type(lower, ops, 2);
}

/* Counting bits: the result is .u32 whatever the source. */
static bool to_u32(struct gd_lower *lower, const gd_ops_by_type ops)
{
	enum gd_ptx_type type;
	enum gd_op op;
	uint32_t to, a;
	return gd_lower_operands(lower, 2, 2) && find_op(lower, ops, &type, &op) &&
	       gd_lower_dst(lower, 0, GD_T_U32, &to) && gd_lower_src(lower, 1, type, &a) &&
	       gd_lower_op(lower, op, to, a, 0, 0);
}

static bool lower_popc(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {[GD_T_B32] = GD_OP_popc_32, [GD_T_B64] = GD_OP_popc_64};
	return to_u32(lower, ops);
}

static bool lower_clz(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {[GD_T_B32] = GD_OP_clz_32, [GD_T_B64] = GD_OP_clz_64};
	return to_u32(lower, ops);
}

static bool lower_bfind(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {BY_32_64(bfind)}, amounts = {BY_32_64(bfind_amount)};
	return to_u32(lower, gd_lower_mod(lower, "shiftamt") ? amounts : ops);
}

static bool lower_brev(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {[GD_T_B32] = GD_OP_brev_32, [GD_T_B64] = GD_OP_brev_64};
	return same_type(lower, ops, 1);
}

static bool lower_bfe(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {BY_32_64(bfe)};
	enum gd_ptx_type type;
	enum gd_op op;
	uint32_t to, a, b, c;
	return gd_lower_operands(lower, 4, 4) && find_op(lower, ops, &type, &op) &&
	       gd_lower_dst(lower, 0, type, &to) && gd_lower_src(lower, 1, type, &a) &&
	       gd_lower_src(lower, 2, GD_T_U32, &b) && gd_lower_src(lower, 3, GD_T_U32, &c) &&
	       gd_lower_op(lower, op, to, a, b, c);
}

static bool lower_bfi(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {[GD_T_B32] = GD_OP_bfi_32, [GD_T_B64] = GD_OP_bfi_64};
	enum gd_ptx_type type;
	enum gd_op op;
	uint32_t to, a, b, c, d;
	if (!gd_lower_operands(lower, 5, 5) || !find_op(lower, ops, &type, &op) ||
	    !gd_lower_dst(lower, 0, type, &to) || !gd_lower_src(lower, 1, type, &a) ||
	    !gd_lower_src(lower, 2, type, &b) || !gd_lower_src(lower, 3, GD_T_U32, &c) ||
	    !gd_lower_src(lower, 4, GD_T_U32, &d) || !gd_lower_op(lower, op, to, a, b, c))
		return false;
	lower->func->lir[lower->func->lir_count - 1].o[4] = d;
	return true;
}

static bool lower_bmsk(struct gd_lower *lower)
{
	static const gd_ops_by_type clamp = {[GD_T_B32] = GD_OP_bmsk_clamp},
				    wrap = {[GD_T_B32] = GD_OP_bmsk_wrap};
	return same_type(lower, gd_lower_mod(lower, "wrap") ? wrap : (gd_lower_mod(lower, "clamp"), clamp),
			 2);
}

static bool lower_szext(struct gd_lower *lower)
{
	static const gd_ops_by_type clamp = {
	    [GD_T_U32] = GD_OP_szext_clamp_u32, [GD_T_S32] = GD_OP_szext_clamp_s32};
	static const gd_ops_by_type wrap = {
	    [GD_T_U32] = GD_OP_szext_wrap_u32, [GD_T_S32] = GD_OP_szext_wrap_s32};
	return same_type(lower, gd_lower_mod(lower, "wrap") ? wrap : (gd_lower_mod(lower, "clamp"), clamp),
			 2);
}

static bool lower_fns(struct gd_lower *lower)
{
	static const gd_ops_by_type ops = {[GD_T_B32] = GD_OP_fns};
	return same_type(lower, ops, 3);
}

/* dp4a.atype.btype, dp2a.mode.atype.btype */
static bool dot_product(struct gd_lower *lower, enum gd_op first)
{
	enum gd_ptx_type types[4];
	uint32_t o[4];
	if (!gd_lower_operands(lower, 4, 4))
		return false;
	if (gd_lower_types(lower, types) != 2 || (types[0] != GD_T_U32 && types[0] != GD_T_S32) ||
	    (types[1] != GD_T_U32 && types[1] != GD_T_S32))
		return gd_lower_unknown(lower, "%s", "");
	uint32_t row = (types[0] == GD_T_S32 ? 2u : 0u) + (types[1] == GD_T_S32 ? 1u : 0u);
	if (!gd_lower_dst(lower, 0, GD_T_B32, &o[0]))
		return false;
	for (uint32_t i = 1; i < 4; i++) {
		if (!gd_lower_src(lower, i, GD_T_B32, &o[i]))
			return false;
	}
	return gd_lower_op(lower, (enum gd_op)(first + row), o[0], o[1], o[2], o[3]);
}

static bool lower_dp4a(struct gd_lower *lower)
{
	return dot_product(lower, GD_OP_dp4a_uu);
}

static bool lower_dp2a(struct gd_lower *lower)
{
	return dot_product(lower, gd_lower_mod(lower, "hi") ? GD_OP_dp2a_hi_uu
							    : (gd_lower_mod(lower, "lo"), GD_OP_dp2a_lo_uu));
}

const struct gd_lower_rule gd_lower_int_rules[] = {
    {.name = "addc", .fn = lower_addc},
    {.name = "subc", .fn = lower_subc},
    {.name = "madc", .fn = lower_madc},
    {.name = "mul24", .fn = lower_mul24},
    {.name = "mad24", .fn = lower_mad24},
    {.name = "sad", .fn = lower_sad},
    {.name = "rem", .fn = lower_rem},
    {.name = "popc", .fn = lower_popc},
    {.name = "clz", .fn = lower_clz},
    {.name = "bfind", .fn = lower_bfind},
    {.name = "brev", .fn = lower_brev},
    {.name = "bfe", .fn = lower_bfe},
    {.name = "bfi", .fn = lower_bfi},
    {.name = "bmsk", .fn = lower_bmsk},
    {.name = "szext", .fn = lower_szext},
    {.name = "fns", .fn = lower_fns},
    {.name = "dp4a", .fn = lower_dp4a},
    {.name = "dp2a", .fn = lower_dp2a},
    {.name = NULL},
};
