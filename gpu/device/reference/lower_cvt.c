/*
 * cvt: every pair of types goes through at most three simple operations. Integers travel as 64-bit values
 * when they are clamped, halves as f32 or f64.
 */
#include "gpu/device/reference/lower.h"
#include "gpu/device/reference/sync.h"

#include <string.h>

struct cvt {
	enum gd_ptx_type to, from;
	enum gd_class to_class; /* of the destination register: may be wider than its type */
	enum gd_rounding rounding;
	bool is_integer_rounding, is_ftz, is_saturated, has_relu;
	size_t lir_before; /* instructions before this one */
};

static bool one(struct gd_lower *lower, enum gd_op op, enum gd_class class, uint32_t from, uint32_t *out_to)
{
	*out_to = gd_lower_temp(lower, class);
	if (!*out_to)
		return gd_lower_wrong(lower, "too many registers");
	return gd_lower_op(lower, op, *out_to, from, 0, 0);
}

static bool is_half(enum gd_ptx_type type)
{
	return type == GD_T_F16 || type == GD_T_BF16;
}

static bool is_signed(enum gd_ptx_type type)
{
	return gd_ptx_types[type].kind == GD_K_SIGNED;
}

/* A register of any integer class read as `type`, extended to `class`. */
static bool extend(struct gd_lower *lower, enum gd_ptx_type type, enum gd_class have, enum gd_class class,
		   uint32_t from, uint32_t *out_to)
{
	static const enum gd_op cuts[GD_CLASS_COUNT][GD_CLASS_COUNT] = {
	    [GD_CLASS_32][GD_CLASS_16] = GD_OP_cvt_16_u32,
	    [GD_CLASS_64][GD_CLASS_16] = GD_OP_cvt_16_u64,
	    [GD_CLASS_64][GD_CLASS_32] = GD_OP_cvt_32_u64,
	};
	static const enum gd_op from_16[2][GD_CLASS_COUNT] = {{[GD_CLASS_16] = GD_OP_mov_16,
							       [GD_CLASS_32] = GD_OP_cvt_32_u16,
							       [GD_CLASS_64] = GD_OP_cvt_64_u16},
							      {[GD_CLASS_16] = GD_OP_mov_16,
							       [GD_CLASS_32] = GD_OP_cvt_32_s16,
							       [GD_CLASS_64] = GD_OP_cvt_64_s16}};
	static const enum gd_op from_8[2][GD_CLASS_COUNT] = {{[GD_CLASS_16] = GD_OP_cvt_16_u8,
							      [GD_CLASS_32] = GD_OP_cvt_32_u8,
							      [GD_CLASS_64] = GD_OP_cvt_64_u8},
							     {[GD_CLASS_16] = GD_OP_cvt_16_s8,
							      [GD_CLASS_32] = GD_OP_cvt_32_s8,
							      [GD_CLASS_64] = GD_OP_cvt_64_s8}};
	enum gd_class own = gd_ptx_types[type].class;
	bool sign = is_signed(type);
	if (have < own)
		return gd_lower_wrong(lower, "a source narrower than its type");
	if (have > own) {
		if (!one(lower, cuts[have][own], own, from, &from))
			return false;
	}
	if (gd_ptx_types[type].bytes == 1)
		return one(lower, from_8[sign][class], class, from, out_to);
	if (own == GD_CLASS_16)
		return one(lower, from_16[sign][class], class, from, out_to);
	if (own == class) {
		*out_to = from;
		return true;
	}
	if (own > class)
		return one(lower, cuts[own][class], class, from, out_to);
	return one(lower, sign ? GD_OP_cvt_64_s32 : GD_OP_cvt_64_u32, class, from, out_to);
}

/* Clamp a 64-bit value (signed or not) to the range of `to`. */
static bool clamp(struct gd_lower *lower, enum gd_ptx_type to, bool value_signed, uint32_t *wide)
{
	uint32_t bits = gd_ptx_types[to].bytes * 8u;
	bool sign = is_signed(to);
	uint64_t most = sign ? (1ull << (bits - 1)) - 1 : bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
	uint64_t least = sign ? 0 - (1ull << (bits - 1)) : 0;
	uint32_t value = *wide, low = gd_lower_temp(lower, GD_CLASS_64),
		 high = gd_lower_temp(lower, GD_CLASS_64);
	if (value_signed && most > INT64_MAX)
		most = INT64_MAX;
	uint32_t least_of = gd_lower_const(lower, GD_CLASS_64, least),
		 most_of = gd_lower_const(lower, GD_CLASS_64, most);
	if (!low || !high || !least_of || !most_of)
		return gd_lower_wrong(lower, "too many registers");
	*wide = high;
	if (!value_signed)
		return gd_lower_op(lower, GD_OP_min_u64, high, value, most_of, 0);
	return gd_lower_op(lower, GD_OP_max_s64, low, value, least_of, 0) &&
	       gd_lower_op(lower, GD_OP_min_s64, high, low, most_of, 0);
}

/* The value in a register of its type's own class becomes the destination, sign or zero extended if that is
 * wider. */
static bool finish_integer(struct gd_lower *lower, const struct cvt *cvt, enum gd_class have, uint32_t from)
{
	static const enum gd_op moves[GD_CLASS_COUNT] = {
	    [GD_CLASS_16] = GD_OP_mov_16, [GD_CLASS_32] = GD_OP_mov_32, [GD_CLASS_64] = GD_OP_mov_64};
	enum gd_ptx_type type = cvt->to_class == GD_CLASS_64   ? GD_T_B64
				: cvt->to_class == GD_CLASS_32 ? GD_T_B32
							       : GD_T_B16;
	size_t before = cvt->lir_before;
	uint32_t value, to;
	if (!gd_lower_dst_of(lower, &lower->stmt.operands[0], type, &to) ||
	    !extend(lower, cvt->to, have, cvt->to_class, from, &value))
		return false;
	/* The last operation writes the destination itself when there was one. */
	struct gd_lir *last = &lower->func->lir[lower->func->lir_count - 1];
	if (lower->func->lir_count > before && last->defs == 1 && last->o[0] == value) {
		last->o[0] = to;
		return true;
	}
	return gd_lower_op(lower, moves[cvt->to_class], to, value, 0, 0);
}

static bool integer_to_integer(struct gd_lower *lower, const struct cvt *cvt, uint32_t from,
			       enum gd_class have)
{
	if (!cvt->is_saturated) {
		/* The source in the wider of both types' classes, then cut to the destination's type. */
		enum gd_class wide =
		    gd_ptx_types[cvt->to].class > gd_ptx_types[cvt->from].class ? gd_ptx_types[cvt->to].class
										: gd_ptx_types[cvt->from]
										      .class;
		return extend(lower, cvt->from, have, wide, from, &from) &&
		       finish_integer(lower, cvt, wide, from);
	}
	return extend(lower, cvt->from, have, GD_CLASS_64, from, &from) &&
	       clamp(lower, cvt->to, is_signed(cvt->from), &from) &&
	       finish_integer(lower, cvt, GD_CLASS_64, from);
}

static bool integer_to_float(struct gd_lower *lower, const struct cvt *cvt, uint32_t from, enum gd_class have)
{
	bool sign = is_signed(cvt->from), is_wide = cvt->to == GD_T_F64;
	enum gd_class class =
	    gd_ptx_types[cvt->from].bytes == 8 || cvt->rounding != GD_ROUND_RN ? GD_CLASS_64 : GD_CLASS_32;
	static const enum gd_op ops[2][2][2] = {
	    {{GD_OP_cvt_f32_u32, GD_OP_cvt_f32_s32}, {GD_OP_cvt_f32_u64, GD_OP_cvt_f32_s64}},
	    {{GD_OP_cvt_f64_u32, GD_OP_cvt_f64_s32}, {GD_OP_cvt_f64_u64, GD_OP_cvt_f64_s64}}};
	uint32_t to, f32;
	if (!extend(lower, cvt->from, have, class, from, &from))
		return false;
	if (is_half(cvt->to)) {
		/* Integers of up to 53 bits are exact in f64; larger ones only round to infinity. */
		uint32_t f64;
		if (cvt->rounding != GD_ROUND_RN || !gd_lower_dst(lower, 0, cvt->to, &to))
			return gd_lower_unknown(lower, "%s", "");
		return one(lower, ops[1][class == GD_CLASS_64][sign], GD_CLASS_64, from, &f64) &&
		       gd_lower_op(lower, cvt->to == GD_T_BF16 ? GD_OP_cvt_bf16_f64 : GD_OP_cvt_f16_f64, to,
				   f64, 0, 0);
	}
	if (!gd_lower_dst(lower, 0, cvt->to, &to))
		return false;
	f32 = to;
	if (cvt->rounding == GD_ROUND_RN) {
		if (!gd_lower_op(lower, ops[is_wide][class == GD_CLASS_64][sign], f32, from, 0, 0))
			return false;
	} else {
		if (!gd_lower_op(lower, GD_OP_round_cvt, f32, from, 0, 0))
			return false;
		struct gd_lir *lir = &lower->func->lir[lower->func->lir_count - 1];
		lir->aux = is_wide ? (sign ? GD_ROUND_F64_S64 : GD_ROUND_F64_U64)
				   : (sign ? GD_ROUND_F32_S64 : GD_ROUND_F32_U64);
		lir->aux2 = cvt->rounding;
	}
	return !cvt->is_saturated || gd_lower_saturate(lower, cvt->to, to);
}

/* Round to an integer that is still a float. */
static bool round_to_integer(struct gd_lower *lower, enum gd_ptx_type type, enum gd_rounding rounding,
			     uint32_t *value)
{
	static const enum gd_op f32[] = {GD_OP_rni_f32, GD_OP_rzi_f32, GD_OP_rmi_f32, GD_OP_rpi_f32};
	static const enum gd_op f64[] = {GD_OP_rni_f64, GD_OP_rzi_f64, GD_OP_rmi_f64, GD_OP_rpi_f64};
	bool is_wide = type == GD_T_F64;
	return one(lower, (is_wide ? f64 : f32)[rounding], is_wide ? GD_CLASS_64 : GD_CLASS_32, *value,
		   value);
}

static bool float_to_integer(struct gd_lower *lower, const struct cvt *cvt, uint32_t from)
{
	static const enum gd_op ops[2][2][2] = {
	    {{GD_OP_cvt_u32_f32, GD_OP_cvt_s32_f32}, {GD_OP_cvt_u64_f32, GD_OP_cvt_s64_f32}},
	    {{GD_OP_cvt_u32_f64, GD_OP_cvt_s32_f64}, {GD_OP_cvt_u64_f64, GD_OP_cvt_s64_f64}}};
	enum gd_ptx_type type = cvt->from == GD_T_F64 ? GD_T_F64 : GD_T_F32;
	bool is_small = gd_ptx_types[cvt->to].bytes < 4, is_wide = gd_ptx_types[cvt->to].bytes == 8;
	bool sign = is_signed(cvt->to);
	uint32_t value;
	if (!cvt->is_integer_rounding)
		return gd_lower_unknown(lower, " without integer rounding");
	if (!round_to_integer(lower, type, cvt->rounding, &from))
		return false;
	/* Small integers are clamped from 32 bits. */
	if (!one(lower, ops[type == GD_T_F64][is_wide][is_small || sign], is_wide ? GD_CLASS_64 : GD_CLASS_32,
		 from, &value))
		return false;
	if (!is_small)
		return finish_integer(lower, cvt, is_wide ? GD_CLASS_64 : GD_CLASS_32, value);
	return one(lower, GD_OP_cvt_64_s32, GD_CLASS_64, value, &value) &&
	       clamp(lower, cvt->to, true, &value) && finish_integer(lower, cvt, GD_CLASS_64, value);
}

static bool narrow_to_half(struct gd_lower *lower, const struct cvt *cvt, uint32_t from, uint32_t to)
{
	static const enum gd_op f16[] = {GD_OP_cvt_f16_f64, GD_OP_cvt_f16_f64_rz, GD_OP_cvt_f16_f64_rm,
					 GD_OP_cvt_f16_f64_rp};
	static const enum gd_op bf16[] = {GD_OP_cvt_bf16_f64, GD_OP_cvt_bf16_f64_rz, GD_OP_cvt_bf16_f64_rm,
					  GD_OP_cvt_bf16_f64_rp};
	if (cvt->from != GD_T_F64 && !one(lower, GD_OP_cvt_f64_f32, GD_CLASS_64, from, &from))
		return false;
	return gd_lower_op(lower, (cvt->to == GD_T_BF16 ? bf16 : f16)[cvt->rounding], to, from, 0, 0);
}

/* `from` is f32 or f64 (halves are widened already). */
static bool float_to_float(struct gd_lower *lower, const struct cvt *cvt, uint32_t from)
{
	enum gd_ptx_type type = cvt->from == GD_T_F64 ? GD_T_F64 : GD_T_F32;
	uint32_t to;
	if (!gd_lower_dst(lower, 0, cvt->to, &to))
		return false;
	if (cvt->is_integer_rounding && !round_to_integer(lower, type, cvt->rounding, &from))
		return false;
	if (cvt->has_relu && !one(lower, GD_OP_relu_f32, GD_CLASS_32, from, &from))
		return false;
	if (cvt->is_saturated && is_half(cvt->to)) {
		bool is_wide = type == GD_T_F64;
		if (!one(lower, is_wide ? GD_OP_sat_f64 : GD_OP_sat_f32, is_wide ? GD_CLASS_64 : GD_CLASS_32,
			 from, &from))
			return false;
	}
	if (is_half(cvt->to)) {
		struct cvt narrow = *cvt;
		narrow.from = type;
		if (cvt->is_integer_rounding)
			narrow.rounding = GD_ROUND_RN;
		return narrow_to_half(lower, &narrow, from, to);
	}
	if (type == cvt->to) {
		if (!gd_lower_op(lower, type == GD_T_F64 ? GD_OP_mov_64 : GD_OP_mov_32, to, from, 0, 0))
			return false;
	} else if (cvt->to == GD_T_F64) {
		if (!gd_lower_op(lower, GD_OP_cvt_f64_f32, to, from, 0, 0))
			return false;
	} else if (cvt->rounding == GD_ROUND_RN || cvt->is_integer_rounding) {
		if (!gd_lower_op(lower, GD_OP_cvt_f32_f64, to, from, 0, 0))
			return false;
	} else {
		if (!gd_lower_op(lower, GD_OP_round_cvt, to, from, 0, 0))
			return false;
		struct gd_lir *lir = &lower->func->lir[lower->func->lir_count - 1];
		lir->aux = GD_ROUND_F32_F64;
		lir->aux2 = cvt->rounding;
	}
	if (cvt->is_ftz && cvt->to == GD_T_F32 && !gd_lower_op(lower, GD_OP_ftz_f32, to, to, 0, 0))
		return false;
	return !cvt->is_saturated || gd_lower_saturate(lower, cvt->to, to);
}

/* cvt.f16x2.f32 d, a, b: a is the high half. */
static bool pair_from_floats(struct gd_lower *lower, struct cvt *cvt)
{
	uint32_t to, from, halves[2];
	cvt->to = cvt->to == GD_T_BF16X2 ? GD_T_BF16 : GD_T_F16;
	if (cvt->from != GD_T_F32 || cvt->is_saturated || cvt->is_integer_rounding)
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_operands(lower, 3, 3) || !gd_lower_dst(lower, 0, GD_T_B32, &to))
		return false;
	for (uint32_t i = 0; i < 2; i++) {
		halves[i] = gd_lower_temp(lower, GD_CLASS_16);
		if (!halves[i] || !gd_lower_src(lower, 1 + i, GD_T_F32, &from))
			return false;
		if (cvt->has_relu && !one(lower, GD_OP_relu_f32, GD_CLASS_32, from, &from))
			return false;
		if (!narrow_to_half(lower, cvt, from, halves[i]))
			return false;
	}
	return gd_lower_op(lower, GD_OP_pack_16, to, halves[1], halves[0], 0);
}

/* An operand's register class: cvt takes registers wider than their type. Immediates take the type's own. */
static bool operand_class(struct gd_lower *lower, uint32_t index, enum gd_ptx_type type,
			  enum gd_class *out_class)
{
	const struct gd_ptx_operand *operand = &lower->stmt.operands[index];
	enum gd_class own = gd_ptx_types[type].class;
	*out_class = own;
	if (operand->kind == GD_O_REG && gd_ptx_types[type].kind != GD_K_FLOAT)
		*out_class = gd_ptx_types[operand->type].class;
	if (own == GD_CLASS_COUNT || own == GD_CLASS_PRED || *out_class == GD_CLASS_COUNT ||
	    *out_class == GD_CLASS_PRED)
		return gd_lower_unknown(lower, "%s", "");
	return *out_class >= own || gd_lower_wrong(lower, "an operand narrower than its type");
}

static bool read_cvt(struct gd_lower *lower, struct cvt *out_cvt)
{
	static const char *const roundings[] = {"rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi"};
	enum gd_ptx_type types[4];
	uint32_t rounding = gd_lower_mod_of(lower, roundings, 8);
	struct cvt cvt = {.rounding = rounding ? (enum gd_rounding)((rounding - 1) & 3) : GD_ROUND_RN};
	cvt.is_integer_rounding = rounding > 4;
	cvt.is_ftz = gd_lower_mod(lower, "ftz");
	cvt.is_saturated = gd_lower_mod(lower, "sat");
	cvt.has_relu = gd_lower_mod(lower, "relu");
	if (gd_lower_types(lower, types) != 2 || types[0] == GD_T_PRED || types[1] == GD_T_PRED)
		return gd_lower_unknown(lower, "%s", "");
	cvt.to = types[0];
	cvt.from = types[1];
	cvt.lir_before = lower->func->lir_count;
	*out_cvt = cvt;
	return true;
}

/* cvt.rna.tf32.f32: the only conversion whose result type is no register type. */
static bool to_tf32(struct gd_lower *lower)
{
	enum gd_ptx_type types[4];
	uint32_t to, from;
	if (!gd_lower_mod(lower, "rna") || gd_lower_types(lower, types) != 1 || types[0] != GD_T_F32)
		return gd_lower_unknown(lower, "%s", "");
	return gd_lower_operands(lower, 2, 2) && gd_lower_dst(lower, 0, GD_T_B32, &to) &&
	       gd_lower_src(lower, 1, GD_T_F32, &from) &&
	       gd_lower_op(lower, GD_OP_cvt_tf32_f32, to, from, 0, 0);
}

static bool lower_cvt(struct gd_lower *lower)
{
	static const enum gd_ptx_type by_class[GD_CLASS_COUNT] = {
	    [GD_CLASS_16] = GD_T_B16, [GD_CLASS_32] = GD_T_B32, [GD_CLASS_64] = GD_T_B64};
	struct cvt cvt = {0};
	enum gd_class have;
	uint32_t from;
	if (gd_lower_mod(lower, "tf32"))
		return to_tf32(lower);
	if (gd_lower_mod(lower, "pack"))
		return gd_lower_unknown(lower, "%s", "");
	if (!read_cvt(lower, &cvt))
		return false;
	if (cvt.to == GD_T_F16X2 || cvt.to == GD_T_BF16X2)
		return pair_from_floats(lower, &cvt);
	bool from_float = gd_ptx_types[cvt.from].kind == GD_K_FLOAT,
	     to_float = gd_ptx_types[cvt.to].kind == GD_K_FLOAT;
	bool from_integer =
	    gd_ptx_types[cvt.from].kind == GD_K_SIGNED || gd_ptx_types[cvt.from].kind == GD_K_UNSIGNED;
	bool to_integer =
	    gd_ptx_types[cvt.to].kind == GD_K_SIGNED || gd_ptx_types[cvt.to].kind == GD_K_UNSIGNED;
	if ((!from_float && !from_integer) || (!to_float && !to_integer) || cvt.from == GD_T_F16X2 ||
	    cvt.from == GD_T_BF16X2 || cvt.from == GD_T_U16X2 || cvt.to == GD_T_U16X2 ||
	    cvt.from == GD_T_S16X2 || cvt.to == GD_T_S16X2)
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_operands(lower, 2, 2) || !operand_class(lower, 1, cvt.from, &have) ||
	    !operand_class(lower, 0, cvt.to, &cvt.to_class) ||
	    !gd_lower_src(lower, 1, from_float ? cvt.from : by_class[have], &from))
		return false;
	if (cvt.is_ftz && cvt.from == GD_T_F32 && !one(lower, GD_OP_ftz_f32, GD_CLASS_32, from, &from))
		return false;
	if (is_half(cvt.from) && !gd_lower_widen(lower, cvt.from, from, &from))
		return false;
	if (from_float)
		return to_float ? float_to_float(lower, &cvt, from) : float_to_integer(lower, &cvt, from);
	return to_float ? integer_to_float(lower, &cvt, from, have)
			: integer_to_integer(lower, &cvt, from, have);
}

const struct gd_lower_rule gd_lower_cvt_rules[] = {{.name = "cvt", .fn = lower_cvt}, {.name = NULL}};
