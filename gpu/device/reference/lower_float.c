/* Floating arithmetic. Opcodes that integers have too are told apart by the type and handed to lower_int.c.
 */
#include "gpu/device/reference/lower.h"
#include "gpu/device/reference/sync.h"

/* What the modifiers of an arithmetic instruction say. */
struct form {
	enum gd_ptx_type type;
	enum gd_rounding rounding;
	bool is_ftz, is_saturated, is_approximate;
};

static enum gd_ptx_type peek_type(const struct gd_lower *lower)
{
	for (uint32_t i = 0; i < lower->stmt.mod_count; i++) {
		enum gd_ptx_type type =
		    gd_ptx_type_named(lower->stmt.mods[i].text, lower->stmt.mods[i].length);
		if (type)
			return type;
	}
	return GD_T_NONE;
}

static bool is_float(enum gd_ptx_type type)
{
	return gd_ptx_types[type].kind == GD_K_FLOAT;
}

static bool read_form(struct gd_lower *lower, uint32_t operands, struct form *out_form)
{
	static const char *const roundings[] = {"rn", "rz", "rm", "rp"};
	enum gd_ptx_type types[4];
	struct form form = {0};
	uint32_t rounding = gd_lower_mod_of(lower, roundings, 4);
	form.rounding = rounding ? (enum gd_rounding)(rounding - 1) : GD_ROUND_RN;
	form.is_ftz = gd_lower_mod(lower, "ftz");
	form.is_saturated = gd_lower_mod(lower, "sat");
	form.is_approximate = gd_lower_mod(lower, "approx");
	gd_lower_mod(lower, "noftz");
	if (gd_lower_types(lower, types) != 1 || !is_float(types[0]))
		return gd_lower_unknown(lower, "%s", "");
	form.type = types[0];
	*out_form = form;
	return gd_lower_operands(lower, operands, operands);
}

bool gd_lower_saturate(struct gd_lower *lower, enum gd_ptx_type type, uint32_t opnd)
{
	return gd_lower_op(lower, type == GD_T_F64 ? GD_OP_sat_f64 : GD_OP_sat_f32, opnd, opnd, 0, 0);
}

/* Replace the sources by copies with subnormals flushed. */
static bool flush(struct gd_lower *lower, uint32_t *o, uint32_t sources)
{
	for (uint32_t i = 1; i <= sources; i++) {
		uint32_t flushed = gd_lower_temp(lower, GD_CLASS_32);
		if (!flushed || !gd_lower_op(lower, GD_OP_ftz_f32, flushed, o[i], 0, 0))
			return gd_lower_wrong(lower, "too many registers");
		o[i] = flushed;
	}
	return true;
}

static bool emit(struct gd_lower *lower, const struct form *form, enum gd_op op, uint32_t sources,
		 bool is_flushing)
{
	uint32_t o[4] = {0};
	if (!gd_lower_dst(lower, 0, form->type, &o[0]))
		return false;
	for (uint32_t i = 1; i <= sources; i++) {
		if (!gd_lower_src(lower, i, form->type, &o[i]))
			return false;
	}
	bool must_flush = form->is_ftz && form->type == GD_T_F32 && !is_flushing;
	if ((must_flush && !flush(lower, o, sources)) || !gd_lower_op(lower, op, o[0], o[1], o[2], o[3]))
		return false;
	if (must_flush && !gd_lower_op(lower, GD_OP_ftz_f32, o[0], o[0], 0, 0))
		return false;
	return !form->is_saturated || gd_lower_saturate(lower, form->type, o[0]);
}

/* With another rounding than to nearest; sources that the operation lacks repeat the first. */
static bool emit_rounded(struct gd_lower *lower, const struct form *form, uint32_t operation,
			 uint32_t sources, bool negates_second)
{
	bool is_wide = form->type == GD_T_F64;
	uint32_t o[4] = {0};
	if (!gd_lower_dst(lower, 0, form->type, &o[0]))
		return false;
	for (uint32_t i = 1; i <= sources; i++) {
		if (!gd_lower_src(lower, i, form->type, &o[i]))
			return false;
	}
	if (form->is_ftz && !is_wide && !flush(lower, o, sources))
		return false;
	for (uint32_t i = sources + 1; i < 4; i++)
		o[i] = o[1];
	if (negates_second) {
		uint32_t negated = gd_lower_temp(lower, is_wide ? GD_CLASS_64 : GD_CLASS_32);
		if (!negated ||
		    !gd_lower_op(lower, is_wide ? GD_OP_neg_f64 : GD_OP_neg_f32, negated, o[2], 0, 0))
			return gd_lower_wrong(lower, "too many registers");
		o[2] = negated;
	}
	if (!gd_lower_op(lower, is_wide ? GD_OP_round_f64 : GD_OP_round_f32, o[0], o[1], o[2], o[3]))
		return false;
	struct gd_lir *lir = &lower->func->lir[lower->func->lir_count - 1];
	lir->aux = operation;
	lir->aux2 = form->rounding;
	if (form->is_ftz && !is_wide && !gd_lower_op(lower, GD_OP_ftz_f32, o[0], o[0], 0, 0))
		return false;
	return !form->is_saturated || gd_lower_saturate(lower, form->type, o[0]);
}

struct ops {
	enum gd_op f32, f32_ftz, f64;
	uint32_t rounded; /* GD_ROUND_ */
	uint32_t sources;
	bool negates_second;
};

static bool arithmetic(struct gd_lower *lower, const struct ops *ops)
{
	struct form form;
	if (gd_lower_is_half(peek_type(lower)))
		return gd_lower_half(lower, peek_type(lower), ops->f32, ops->sources);
	if (!read_form(lower, ops->sources + 1, &form))
		return false;
	if (form.is_approximate || (form.type == GD_T_F64 && (form.is_ftz || form.is_saturated)))
		return gd_lower_unknown(lower, "%s", "");
	if (form.rounding != GD_ROUND_RN)
		return emit_rounded(lower, &form, ops->rounded, ops->sources, ops->negates_second);
	if (form.type == GD_T_F64)
		return emit(lower, &form, ops->f64, ops->sources, false);
	return emit(lower, &form, form.is_ftz ? ops->f32_ftz : ops->f32, ops->sources, true);
}

static bool lower_add(struct gd_lower *lower)
{
	static const struct ops ops = {GD_OP_add_f32, GD_OP_add_ftz_f32, GD_OP_add_f64, GD_ROUND_ADD, 2,
				       false};
	return is_float(peek_type(lower)) ? arithmetic(lower, &ops) : gd_lower_int_add(lower);
}

static bool lower_sub(struct gd_lower *lower)
{
	static const struct ops ops = {GD_OP_sub_f32, GD_OP_sub_ftz_f32, GD_OP_sub_f64, GD_ROUND_ADD, 2,
				       true};
	return is_float(peek_type(lower)) ? arithmetic(lower, &ops) : gd_lower_int_sub(lower);
}

static bool lower_mul(struct gd_lower *lower)
{
	static const struct ops ops = {GD_OP_mul_f32, GD_OP_mul_ftz_f32, GD_OP_mul_f64, GD_ROUND_MUL, 2,
				       false};
	return is_float(peek_type(lower)) ? arithmetic(lower, &ops) : gd_lower_int_mul(lower);
}

static bool lower_fma(struct gd_lower *lower)
{
	static const struct ops ops = {GD_OP_fma_f32, GD_OP_fma_ftz_f32, GD_OP_fma_f64, GD_ROUND_FMA, 3,
				       false};
	return arithmetic(lower, &ops);
}

/* mad of floats is fma since compute capability 2.0. */
static bool lower_mad(struct gd_lower *lower)
{
	return is_float(peek_type(lower)) ? lower_fma(lower) : gd_lower_int_mad(lower);
}

static bool lower_div(struct gd_lower *lower)
{
	struct form form;
	if (!is_float(peek_type(lower)))
		return gd_lower_int_div(lower);
	bool is_full = gd_lower_mod(lower, "full");
	if (!read_form(lower, 3, &form) || gd_lower_is_half(form.type) || form.is_saturated)
		return gd_lower_unknown(lower, "%s", "");
	if (form.type == GD_T_F64 && (form.is_ftz || form.is_approximate || is_full))
		return gd_lower_unknown(lower, "%s", "");
	if (form.rounding != GD_ROUND_RN)
		return emit_rounded(lower, &form, GD_ROUND_DIV, 2, false);
	enum gd_op op = form.is_approximate ? GD_OP_div_approx_f32 : GD_OP_div_f32;
	return emit(lower, &form, form.type == GD_T_F64 ? GD_OP_div_f64 : op, 2, false);
}

static bool unary(struct gd_lower *lower, enum gd_op f32, enum gd_op f64, enum gd_op f64_ftz,
		  uint32_t rounded)
{
	struct form form;
	if (!read_form(lower, 2, &form) || gd_lower_is_half(form.type) || form.is_saturated)
		return gd_lower_unknown(lower, "%s", "");
	if (form.rounding != GD_ROUND_RN)
		return rounded ? emit_rounded(lower, &form, rounded, 1, false)
			       : gd_lower_unknown(lower, "%s", "");
	enum gd_op op = form.type == GD_T_F32 ? f32 : form.is_ftz ? f64_ftz : f64;
	return op ? emit(lower, &form, op, 1, false) : gd_lower_unknown(lower, "%s", "");
}

static bool lower_rcp(struct gd_lower *lower)
{
	return unary(lower, GD_OP_rcp_f32, GD_OP_rcp_f64, GD_OP_rcp_high_f64, GD_ROUND_RCP);
}

static bool lower_sqrt(struct gd_lower *lower)
{
	return unary(lower, GD_OP_sqrt_f32, GD_OP_sqrt_f64, (enum gd_op)0, GD_ROUND_SQRT);
}

static bool lower_rsqrt(struct gd_lower *lower)
{
	return unary(lower, GD_OP_rsqrt_f32, GD_OP_rsqrt_f64, GD_OP_rsqrt_high_f64, 0);
}

/* sin, cos, lg2, ex2, tanh: .approx only; the last two also of halves. */
static bool transcendental(struct gd_lower *lower, enum gd_op op, bool has_half)
{
	if (has_half && gd_lower_is_half(peek_type(lower))) {
		gd_lower_mod(lower, "approx");
		return gd_lower_half(lower, peek_type(lower), op, 1);
	}
	return unary(lower, op, (enum gd_op)0, (enum gd_op)0, 0);
}

static bool lower_sin(struct gd_lower *lower)
{
	return transcendental(lower, GD_OP_sin_f32, false);
}

static bool lower_cos(struct gd_lower *lower)
{
	return transcendental(lower, GD_OP_cos_f32, false);
}

static bool lower_lg2(struct gd_lower *lower)
{
	return transcendental(lower, GD_OP_lg2_f32, false);
}

static bool lower_ex2(struct gd_lower *lower)
{
	return transcendental(lower, GD_OP_ex2_f32, true);
}

static bool lower_tanh(struct gd_lower *lower)
{
	return transcendental(lower, GD_OP_tanh_f32, true);
}

/* abs and neg work on the bits, halves of a pair included. */
static bool sign_operation(struct gd_lower *lower, enum gd_op f32, enum gd_op f64, enum gd_op half)
{
	struct form form;
	uint32_t to, a, mask = 0;
	if (!read_form(lower, 2, &form))
		return false;
	if (!gd_lower_is_half(form.type))
		return emit(lower, &form, form.type == GD_T_F64 ? f64 : f32, 1, false);
	if (form.is_ftz)
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_dst(lower, 0, form.type, &to) || !gd_lower_src(lower, 1, form.type, &a))
		return false;
	if (gd_ptx_types[form.type].bytes == 2)
		return gd_lower_op(lower, half, to, a, 0, 0);
	mask = gd_lower_const(lower, GD_CLASS_32, half == GD_OP_abs_f16 ? 0x7fff7fffu : 0x80008000u);
	return gd_lower_op(lower, half == GD_OP_abs_f16 ? GD_OP_and_32 : GD_OP_xor_32, to, a, mask, 0);
}

static bool lower_abs(struct gd_lower *lower)
{
	if (!is_float(peek_type(lower)))
		return gd_lower_int_abs(lower);
	return sign_operation(lower, GD_OP_abs_f32, GD_OP_abs_f64, GD_OP_abs_f16);
}

static bool lower_neg(struct gd_lower *lower)
{
	if (!is_float(peek_type(lower)))
		return gd_lower_int_neg(lower);
	return sign_operation(lower, GD_OP_neg_f32, GD_OP_neg_f64, GD_OP_neg_f16);
}

static bool extremum(struct gd_lower *lower, enum gd_op f32, enum gd_op f32_nan, enum gd_op f64)
{
	struct form form;
	bool is_nan = gd_lower_mod(lower, "NaN");
	if (gd_lower_is_half(peek_type(lower)))
		return gd_lower_half(lower, peek_type(lower), is_nan ? f32_nan : f32, 2);
	if (!read_form(lower, 3, &form) || (is_nan && form.type == GD_T_F64))
		return gd_lower_unknown(lower, "%s", "");
	return emit(lower, &form, form.type == GD_T_F64 ? f64 : is_nan ? f32_nan : f32, 2, false);
}

static bool lower_min(struct gd_lower *lower)
{
	if (!is_float(peek_type(lower)))
		return gd_lower_int_min(lower);
	return extremum(lower, GD_OP_min_f32, GD_OP_min_nan_f32, GD_OP_min_f64);
}

static bool lower_max(struct gd_lower *lower)
{
	if (!is_float(peek_type(lower)))
		return gd_lower_int_max(lower);
	return extremum(lower, GD_OP_max_f32, GD_OP_max_nan_f32, GD_OP_max_f64);
}

static bool lower_copysign(struct gd_lower *lower)
{
	struct form form;
	if (!read_form(lower, 3, &form) || gd_lower_is_half(form.type))
		return gd_lower_unknown(lower, "%s", "");
	return emit(lower, &form, form.type == GD_T_F64 ? GD_OP_copysign_f64 : GD_OP_copysign_f32, 2, false);
}

const struct gd_lower_rule gd_lower_float_rules[] = {
    {.name = "add", .fn = lower_add},           {.name = "sub", .fn = lower_sub},
    {.name = "mul", .fn = lower_mul},           {.name = "fma", .fn = lower_fma},
    {.name = "mad", .fn = lower_mad},           {.name = "div", .fn = lower_div},
    {.name = "rcp", .fn = lower_rcp},           {.name = "sqrt", .fn = lower_sqrt},
    {.name = "rsqrt", .fn = lower_rsqrt},       {.name = "sin", .fn = lower_sin},
    {.name = "cos", .fn = lower_cos},           {.name = "lg2", .fn = lower_lg2},
    {.name = "ex2", .fn = lower_ex2},           {.name = "tanh", .fn = lower_tanh},
    {.name = "abs", .fn = lower_abs},           {.name = "neg", .fn = lower_neg},
    {.name = "min", .fn = lower_min},           {.name = "max", .fn = lower_max},
    {.name = "copysign", .fn = lower_copysign}, {.name = NULL},
};
