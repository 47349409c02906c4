/*
 * f16, bf16 and pairs of them: every element is widened to f32, computed there and rounded once to the half.
 * f32 has enough bits that rounding twice is rounding once for all but fma, which goes through a sum rounded
 * to odd.
 */
#include "gpu/device/reference/lower.h"
#include "gpu/device/reference/sync.h"

bool gd_lower_is_half(enum gd_ptx_type type)
{
	return type == GD_T_F16 || type == GD_T_BF16 || type == GD_T_F16X2 || type == GD_T_BF16X2;
}

static bool is_bf16(enum gd_ptx_type type)
{
	return type == GD_T_BF16 || type == GD_T_BF16X2;
}

bool gd_lower_widen(struct gd_lower *lower, enum gd_ptx_type type, uint32_t from, uint32_t *out_f32)
{
	*out_f32 = gd_lower_temp(lower, GD_CLASS_32);
	if (!*out_f32)
		return gd_lower_wrong(lower, "too many registers");
	return gd_lower_op(lower, is_bf16(type) ? GD_OP_cvt_f32_bf16 : GD_OP_cvt_f32_f16, *out_f32, from, 0,
			   0);
}

static bool narrow_f64(struct gd_lower *lower, enum gd_ptx_type type, uint32_t f64, uint32_t to)
{
	return gd_lower_op(lower, is_bf16(type) ? GD_OP_cvt_bf16_f64 : GD_OP_cvt_f16_f64, to, f64, 0, 0);
}

bool gd_lower_narrow(struct gd_lower *lower, enum gd_ptx_type type, uint32_t f32, uint32_t to)
{
	uint32_t f64 = gd_lower_temp(lower, GD_CLASS_64);
	if (!f64)
		return gd_lower_wrong(lower, "too many registers");
	return gd_lower_op(lower, GD_OP_cvt_f64_f32, f64, f32, 0, 0) && narrow_f64(lower, type, f64, to);
}

struct half_form {
	enum gd_ptx_type type;
	enum gd_op op;
	uint32_t sources;
	bool is_ftz, is_saturated, has_relu;
};

/* One element: o[0] and the sources are 16-bit registers. */
static bool element(struct gd_lower *lower, const struct half_form *form, const uint32_t *o)
{
	uint32_t wide[4] = {0}, sum;
	for (uint32_t i = 1; i <= form->sources; i++) {
		uint32_t from = o[i];
		if (form->is_ftz) {
			from = gd_lower_temp(lower, GD_CLASS_16);
			if (!from || !gd_lower_op(lower, GD_OP_ftz_f16, from, o[i], 0, 0))
				return false;
		}
		if (!gd_lower_widen(lower, form->type, from, &wide[i]))
			return false;
	}
	if (form->op == GD_OP_fma_f32) {
		sum = gd_lower_temp(lower, GD_CLASS_64);
		if (!sum || !gd_lower_op(lower, GD_OP_fma_odd_f32, sum, wide[1], wide[2], wide[3]) ||
		    !narrow_f64(lower, form->type, sum, o[0]))
			return false;
		/* Clamping after rounding gives the same as before. */
		if (form->is_saturated || form->has_relu) {
			if (!gd_lower_widen(lower, form->type, o[0], &sum) ||
			    !gd_lower_op(lower, form->is_saturated ? GD_OP_sat_f32 : GD_OP_relu_f32, sum, sum,
					 0, 0) ||
			    !gd_lower_narrow(lower, form->type, sum, o[0]))
				return false;
		}
	} else {
		sum = gd_lower_temp(lower, GD_CLASS_32);
		if (!sum || !gd_lower_op(lower, form->op, sum, wide[1], wide[2], wide[3]))
			return false;
		if (form->is_saturated && !gd_lower_saturate(lower, GD_T_F32, sum))
			return false;
		if (!gd_lower_narrow(lower, form->type, sum, o[0]))
			return false;
	}
	return !form->is_ftz || gd_lower_op(lower, GD_OP_ftz_f16, o[0], o[0], 0, 0);
}

static bool split_pair(struct gd_lower *lower, uint32_t pair, uint32_t *out_low, uint32_t *out_high)
{
	*out_low = gd_lower_temp(lower, GD_CLASS_16);
	*out_high = gd_lower_temp(lower, GD_CLASS_16);
	struct gd_lir *lir = gd_lower_emit(lower, GD_OP_unpack_16);
	if (!lir || !*out_low || !*out_high)
		return gd_lower_wrong(lower, "too many registers");
	lir->o[0] = *out_low;
	lir->o[1] = *out_high;
	lir->o[2] = pair;
	lir->defs = 3;
	return true;
}

bool gd_lower_half(struct gd_lower *lower, enum gd_ptx_type type, enum gd_op op, uint32_t sources)
{
	struct half_form form = {.type = type, .op = op, .sources = sources};
	enum gd_ptx_type types[4];
	uint32_t o[4] = {0}, low[4] = {0}, high[4] = {0};
	gd_lower_mod(lower, "rn");
	gd_lower_mod(lower, "noftz");
	form.is_ftz = gd_lower_mod(lower, "ftz");
	form.is_saturated = gd_lower_mod(lower, "sat");
	form.has_relu = op == GD_OP_fma_f32 && gd_lower_mod(lower, "relu");
	if (gd_lower_types(lower, types) != 1 || types[0] != type)
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_operands(lower, sources + 1, sources + 1) || !gd_lower_dst(lower, 0, type, &o[0]))
		return false;
	for (uint32_t i = 1; i <= sources; i++) {
		if (!gd_lower_src(lower, i, type, &o[i]))
			return false;
	}
	if (gd_ptx_types[type].bytes == 2)
		return element(lower, &form, o);
	for (uint32_t i = 1; i <= sources; i++) {
		if (!split_pair(lower, o[i], &low[i], &high[i]))
			return false;
	}
	low[0] = gd_lower_temp(lower, GD_CLASS_16);
	high[0] = gd_lower_temp(lower, GD_CLASS_16);
	if (!low[0] || !high[0])
		return gd_lower_wrong(lower, "too many registers");
	return element(lower, &form, low) && element(lower, &form, high) &&
	       gd_lower_op(lower, GD_OP_pack_16, o[0], low[0], high[0], 0);
}
