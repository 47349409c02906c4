/* setp, set and testp. A comparison that the machine lacks is another one with its operands or its results
 * swapped. */
#include "gpu/device/reference/lower.h"

struct comparison {
	const char *name;
	uint8_t shape;   /* index into the rows below */
	bool is_swapped; /* compare b with a */
	bool is_float_only;
};

enum shape { EQ, NE, LT, LE, EQU, NEU, LTU, LEU, NUM, NAN_ };

/* Longer names stand where a shorter one would not match them: modifiers are whole words. */
static const struct comparison comparisons[] = {
    {"eq", EQ, false, false},  {"ne", NE, false, false},  {"lt", LT, false, false},
    {"le", LE, false, false},  {"gt", LT, true, false},   {"ge", LE, true, false},
    {"lo", LT, false, false},  {"ls", LE, false, false},  {"hi", LT, true, false},
    {"hs", LE, true, false},   {"equ", EQU, false, true}, {"neu", NEU, false, true},
    {"ltu", LTU, false, true}, {"leu", LEU, false, true}, {"gtu", LTU, true, true},
    {"geu", LEU, true, true},  {"num", NUM, false, true}, {"nan", NAN_, false, true},
};

static const uint16_t shapes[][GD_T_COUNT] = {
    [EQ] = {[GD_T_B16] = GD_OP_set_eq_16,
	    [GD_T_U16] = GD_OP_set_eq_16,
	    [GD_T_S16] = GD_OP_set_eq_16,
	    [GD_T_B32] = GD_OP_set_eq_32,
	    [GD_T_U32] = GD_OP_set_eq_32,
	    [GD_T_S32] = GD_OP_set_eq_32,
	    [GD_T_B64] = GD_OP_set_eq_64,
	    [GD_T_U64] = GD_OP_set_eq_64,
	    [GD_T_S64] = GD_OP_set_eq_64,
	    [GD_T_F32] = GD_OP_set_eq_f32,
	    [GD_T_F64] = GD_OP_set_eq_f64},
    [NE] = {[GD_T_B16] = GD_OP_set_ne_16,
	    [GD_T_U16] = GD_OP_set_ne_16,
	    [GD_T_S16] = GD_OP_set_ne_16,
	    [GD_T_B32] = GD_OP_set_ne_32,
	    [GD_T_U32] = GD_OP_set_ne_32,
	    [GD_T_S32] = GD_OP_set_ne_32,
	    [GD_T_B64] = GD_OP_set_ne_64,
	    [GD_T_U64] = GD_OP_set_ne_64,
	    [GD_T_S64] = GD_OP_set_ne_64,
	    [GD_T_F32] = GD_OP_set_ne_f32,
	    [GD_T_F64] = GD_OP_set_ne_f64},
    [LT] = {[GD_T_U16] = GD_OP_set_lt_u16,
	    [GD_T_S16] = GD_OP_set_lt_s16,
	    [GD_T_U32] = GD_OP_set_lt_u32,
	    [GD_T_S32] = GD_OP_set_lt_s32,
	    [GD_T_U64] = GD_OP_set_lt_u64,
	    [GD_T_S64] = GD_OP_set_lt_s64,
	    [GD_T_F32] = GD_OP_set_lt_f32,
	    [GD_T_F64] = GD_OP_set_lt_f64},
    [LE] = {[GD_T_U16] = GD_OP_set_le_u16,
	    [GD_T_S16] = GD_OP_set_le_s16,
	    [GD_T_U32] = GD_OP_set_le_u32,
	    [GD_T_S32] = GD_OP_set_le_s32,
	    [GD_T_U64] = GD_OP_set_le_u64,
	    [GD_T_S64] = GD_OP_set_le_s64,
	    [GD_T_F32] = GD_OP_set_le_f32,
	    [GD_T_F64] = GD_OP_set_le_f64},
    [EQU] = {[GD_T_F32] = GD_OP_set_equ_f32, [GD_T_F64] = GD_OP_set_equ_f64},
    [NEU] = {[GD_T_F32] = GD_OP_set_neu_f32, [GD_T_F64] = GD_OP_set_neu_f64},
    [LTU] = {[GD_T_F32] = GD_OP_set_ltu_f32, [GD_T_F64] = GD_OP_set_ltu_f64},
    [LEU] = {[GD_T_F32] = GD_OP_set_leu_f32, [GD_T_F64] = GD_OP_set_leu_f64},
    [NUM] = {[GD_T_F32] = GD_OP_set_num_f32, [GD_T_F64] = GD_OP_set_num_f64},
    [NAN_] = {[GD_T_F32] = GD_OP_set_nan_f32, [GD_T_F64] = GD_OP_set_nan_f64},
};

/* What a setp or set compares, and what it combines the result with. */
struct test {
	const struct comparison *comparison;
	uint32_t boolean; /* 0 none, 1 and, 2 or, 3 xor */
	bool is_ftz;
};

static bool read_test(struct gd_lower *lower, struct test *out_test)
{
	static const char *const booleans[] = {"and", "or", "xor"};
	struct test test = {0};
	for (size_t i = 0; i < sizeof(comparisons) / sizeof(comparisons[0]) && !test.comparison; i++) {
		if (gd_lower_mod(lower, comparisons[i].name))
			test.comparison = &comparisons[i];
	}
	test.boolean = gd_lower_mod_of(lower, booleans, 3);
	test.is_ftz = gd_lower_mod(lower, "ftz");
	*out_test = test;
	return test.comparison || gd_lower_unknown(lower, "%s", "");
}

/* Emit the comparison of operands `first` and `first` + 1; pairs of halves give two predicates. */
static bool emit_compare(struct gd_lower *lower, const struct test *test, enum gd_ptx_type type, uint32_t a,
			 uint32_t b, uint32_t p, uint32_t q, uint32_t c, bool c_negated)
{
	if (gd_lower_is_half(type)) {
		if (!gd_lower_widen(lower, type, a, &a) || !gd_lower_widen(lower, type, b, &b))
			return false;
		type = GD_T_F32;
	} else if (test->is_ftz && type == GD_T_F32) {
		uint32_t flushed_a = gd_lower_temp(lower, GD_CLASS_32),
			 flushed_b = gd_lower_temp(lower, GD_CLASS_32);
		if (!flushed_a || !flushed_b || !gd_lower_op(lower, GD_OP_ftz_f32, flushed_a, a, 0, 0) ||
		    !gd_lower_op(lower, GD_OP_ftz_f32, flushed_b, b, 0, 0))
			return gd_lower_wrong(lower, "too many registers");
		a = flushed_a;
		b = flushed_b;
	}
	uint16_t op = shapes[test->comparison->shape][type];
	if (!op)
		return gd_lower_unknown(lower, "%s", "");
	if (!q)
		q = gd_lower_temp(lower, GD_CLASS_PRED);
	struct gd_lir *lir = gd_lower_emit(lower, (enum gd_op)op);
	if (!lir || !q)
		return gd_lower_wrong(lower, "too many instructions");
	lir->o[0] = p;
	lir->o[1] = q;
	lir->o[2] = test->comparison->is_swapped ? b : a;
	lir->o[3] = test->comparison->is_swapped ? a : b;
	lir->o[4] = test->boolean ? c : GD_OPND_NONE;
	lir->aux = test->boolean;
	lir->aux2 = c_negated;
	lir->defs = 3;
	return true;
}

/* setp on f16x2: the first predicate is the low half's, the second the high half's. */
static bool compare_pair(struct gd_lower *lower, const struct test *test, enum gd_ptx_type type, uint32_t a,
			 uint32_t b, uint32_t p, uint32_t q, uint32_t c, bool c_negated)
{
	uint32_t words[2] = {a, b}, halves[2][2];
	enum gd_ptx_type half = type == GD_T_BF16X2 ? GD_T_BF16 : GD_T_F16;
	for (uint32_t i = 0; i < 2; i++) {
		halves[i][0] = gd_lower_temp(lower, GD_CLASS_16);
		halves[i][1] = gd_lower_temp(lower, GD_CLASS_16);
		struct gd_lir *lir = gd_lower_emit(lower, GD_OP_unpack_16);
		if (!lir || !halves[i][0] || !halves[i][1])
			return gd_lower_wrong(lower, "too many registers");
		lir->o[0] = halves[i][0];
		lir->o[1] = halves[i][1];
		lir->o[2] = words[i];
		lir->defs = 3;
	}
	return emit_compare(lower, test, half, halves[0][0], halves[1][0], p, 0, c, c_negated) &&
	       (!q || emit_compare(lower, test, half, halves[0][1], halves[1][1], q, 0, c, c_negated));
}

static bool lower_setp(struct gd_lower *lower)
{
	const struct gd_ptx_operand *result = &lower->stmt.operands[0];
	enum gd_ptx_type types[4];
	struct test test;
	uint32_t a, b, p, q = 0, c = 0;
	bool c_negated = false;
	if (!read_test(lower, &test) || !gd_lower_operands(lower, test.boolean ? 4 : 3, test.boolean ? 4 : 3))
		return false;
	if (gd_lower_types(lower, types) != 1)
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_dst_of(lower, result, GD_T_PRED, &p) ||
	    (result->second && !gd_lower_dst_of(lower, result->second, GD_T_PRED, &q)) ||
	    !gd_lower_src(lower, 1, types[0], &a) || !gd_lower_src(lower, 2, types[0], &b) ||
	    (test.boolean && !gd_lower_pred(lower, &lower->stmt.operands[3], &c, &c_negated)))
		return false;
	/* The second result may be written before the first source of a combination is read. */
	if (q && q == p)
		return gd_lower_wrong(lower, "both results in one register");
	if (types[0] == GD_T_F16X2 || types[0] == GD_T_BF16X2)
		return compare_pair(lower, &test, types[0], a, b, p, q, c, c_negated);
	return emit_compare(lower, &test, types[0], a, b, p, q, c, c_negated);
}

/* What `set` writes for true. */
static bool truth_of(enum gd_ptx_type type, uint64_t *out_bits)
{
	switch (type) {
	case GD_T_U32:
	case GD_T_S32:
		*out_bits = UINT32_MAX;
		return true;
	case GD_T_U16:
	case GD_T_S16:
		*out_bits = 0xffff;
		return true;
	case GD_T_F32:
		*out_bits = 0x3f800000;
		return true;
	case GD_T_F16:
		*out_bits = 0x3c00;
		return true;
	case GD_T_BF16:
		*out_bits = 0x3f80;
		return true;
	default:
		return false;
	}
}

static bool set_pair(struct gd_lower *lower, const struct test *test, enum gd_ptx_type to_type,
		     enum gd_ptx_type type, uint32_t to, uint32_t a, uint32_t b)
{
	uint32_t p = gd_lower_temp(lower, GD_CLASS_PRED), q = gd_lower_temp(lower, GD_CLASS_PRED);
	uint32_t low = gd_lower_temp(lower, GD_CLASS_16), high = gd_lower_temp(lower, GD_CLASS_16);
	uint64_t bits = to_type == GD_T_F16X2 ? 0x3c00 : to_type == GD_T_BF16X2 ? 0x3f80 : 0xffff;
	uint32_t yes = gd_lower_const(lower, GD_CLASS_16, bits), no = gd_lower_const(lower, GD_CLASS_16, 0);
	if (!p || !q || !low || !high || !yes || !no || test->boolean)
		return gd_lower_unknown(lower, "%s", "");
	return compare_pair(lower, test, type, a, b, p, q, 0, false) &&
	       gd_lower_op(lower, GD_OP_selp_16, low, yes, no, p) &&
	       gd_lower_op(lower, GD_OP_selp_16, high, yes, no, q) &&
	       gd_lower_op(lower, GD_OP_pack_16, to, low, high, 0);
}

static bool lower_set(struct gd_lower *lower)
{
	enum gd_ptx_type types[4];
	struct test test;
	uint32_t to, a, b, c = 0, p = gd_lower_temp(lower, GD_CLASS_PRED);
	uint64_t bits;
	bool c_negated = false;
	if (!p || !read_test(lower, &test) ||
	    !gd_lower_operands(lower, test.boolean ? 4 : 3, test.boolean ? 4 : 3))
		return false;
	if (gd_lower_types(lower, types) != 2)
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_dst(lower, 0, types[0], &to) || !gd_lower_src(lower, 1, types[1], &a) ||
	    !gd_lower_src(lower, 2, types[1], &b) ||
	    (test.boolean && !gd_lower_pred(lower, &lower->stmt.operands[3], &c, &c_negated)))
		return false;
	if (types[1] == GD_T_F16X2 || types[1] == GD_T_BF16X2) {
		if (gd_ptx_types[types[0]].bytes != 4)
			return gd_lower_unknown(lower, "%s", "");
		return set_pair(lower, &test, types[0], types[1], to, a, b);
	}
	if (!truth_of(types[0], &bits))
		return gd_lower_unknown(lower, "%s", "");
	enum gd_class class = gd_ptx_types[types[0]].class;
	uint32_t yes = gd_lower_const(lower, class, bits), no = gd_lower_const(lower, class, 0);
	return yes && no && emit_compare(lower, &test, types[1], a, b, p, 0, c, c_negated) &&
	       gd_lower_op(lower, class == GD_CLASS_16 ? GD_OP_selp_16 : GD_OP_selp_32, to, yes, no, p);
}

static bool lower_testp(struct gd_lower *lower)
{
	static const char *const names[] = {"finite", "infinite", "notanumber",
					    "number", "normal",   "subnormal"};
	static const enum gd_op f32[] = {GD_OP_test_finite_f32, GD_OP_test_infinite_f32,
					 GD_OP_test_nan_f32,    GD_OP_test_nan_f32,
					 GD_OP_test_normal_f32, GD_OP_test_subnormal_f32};
	static const enum gd_op f64[] = {GD_OP_test_finite_f64, GD_OP_test_infinite_f64,
					 GD_OP_test_nan_f64,    GD_OP_test_nan_f64,
					 GD_OP_test_normal_f64, GD_OP_test_subnormal_f64};
	enum gd_ptx_type types[4];
	uint32_t p, a, which = gd_lower_mod_of(lower, names, 6), other = gd_lower_temp(lower, GD_CLASS_PRED);
	if (!gd_lower_operands(lower, 2, 2))
		return false;
	if (!which || !other || gd_lower_types(lower, types) != 1 ||
	    (types[0] != GD_T_F32 && types[0] != GD_T_F64))
		return gd_lower_unknown(lower, "%s", "");
	bool is_number = which == 4;
	if (!gd_lower_dst(lower, 0, GD_T_PRED, &p) || !gd_lower_src(lower, 1, types[0], &a))
		return false;
	struct gd_lir *lir = gd_lower_emit(lower, (types[0] == GD_T_F32 ? f32 : f64)[which - 1]);
	if (!lir)
		return gd_lower_wrong(lower, "too many instructions");
	lir->o[0] = is_number ? other : p;
	lir->o[1] = is_number ? p : other;
	lir->o[2] = lir->o[3] = a;
	lir->defs = 3;
	return true;
}

const struct gd_lower_rule gd_lower_compare_rules[] = {
    {.name = "setp", .fn = lower_setp},
    {.name = "set", .fn = lower_set},
    {.name = "testp", .fn = lower_testp},
    {.name = NULL},
};
