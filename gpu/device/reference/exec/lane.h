/*
 * What one lane computes: the functions that the expressions of ops_list.h use.
 *
 * Pure functions on values; rounding is to nearest unless the name says otherwise. NaN results of single
 * precision are canonical (0x7fffffff), as PTX demands. Compiled with -ffp-contract=off: nothing is fused
 * that PTX does not fuse.
 */
#ifndef GD_REFERENCE_EXEC_LANE_H
#define GD_REFERENCE_EXEC_LANE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LANE_MIN(type, x, y) ((type)(x) < (type)(y) ? (uint16_t)(x) : (uint16_t)(y))
#define LANE_MAX(type, x, y) ((type)(x) > (type)(y) ? (uint16_t)(x) : (uint16_t)(y))

static inline uint32_t lane_bits32(float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline float lane_float(uint32_t bits)
{
	float value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline uint64_t lane_bits64(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline double lane_double(uint64_t bits)
{
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline uint32_t lane_clz32(uint32_t a)
{
	return a ? (uint32_t)__builtin_clz(a) : 32;
}

static inline uint32_t lane_clz64(uint64_t a)
{
	return a ? (uint32_t)__builtin_clzll(a) : 64;
}

static inline uint32_t lane_bfind_amount32(uint32_t a)
{
	return a ? lane_clz32(a) : ~0u;
}

static inline uint32_t lane_bfind_amount64(uint64_t a)
{
	return a ? lane_clz64(a) : ~0u;
}

static inline uint32_t lane_brev32(uint32_t a)
{
	a = (a >> 1 & 0x55555555u) | (a & 0x55555555u) << 1;
	a = (a >> 2 & 0x33333333u) | (a & 0x33333333u) << 2;
	a = (a >> 4 & 0x0f0f0f0fu) | (a & 0x0f0f0f0fu) << 4;
	return __builtin_bswap32(a);
}

static inline uint64_t lane_brev64(uint64_t a)
{
	return (uint64_t)lane_brev32((uint32_t)a) << 32 | lane_brev32((uint32_t)(a >> 32));
}

static inline int32_t lane_sat32(int64_t a)
{
	return a > INT32_MAX ? INT32_MAX : a < INT32_MIN ? INT32_MIN : (int32_t)a;
}

static inline uint32_t lane_pair(uint32_t low, uint32_t high)
{
	return (low & 0xffffu) | high << 16;
}

static inline uint64_t lane_mulhi_u64(uint64_t a, uint64_t b)
{
	return (uint64_t)((unsigned __int128)a * b >> 64);
}

static inline uint64_t lane_mulhi_s64(int64_t a, int64_t b)
{
	return (uint64_t)((__int128)a * b >> 64);
}

/* The low 24 bits, sign extended to 64. */
static inline int64_t lane_s24(uint32_t a)
{
	return (int32_t)(a << 8) >> 8;
}

static inline int64_t lane_div_s64(int64_t a, int64_t b)
{
	return b == 0 ? -1 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static inline uint32_t lane_bmsk_clamp(uint32_t a, uint32_t b)
{
	uint32_t ones = b < 32 ? (1u << b) - 1 : ~0u;
	return a < 32 ? ones << a : 0;
}

/* Keep the low `bits` (0 to 32) of a, sign or zero extended. */
static inline uint32_t lane_szext(uint32_t a, uint32_t bits, bool is_signed)
{
	if (bits == 0)
		return 0;
	uint32_t shift = 32 - bits;
	return is_signed ? (uint32_t)((int32_t)(a << shift) >> shift) : a << shift >> shift;
}

/* PTX ISA, bfe: position and length are the low bytes of b and c. */
static inline uint64_t lane_bfe(uint64_t a, uint32_t b, uint32_t c, bool is_signed, uint32_t msb)
{
	uint32_t position = b & 0xff, length = c & 0xff;
	uint64_t sign = 0, field = position > msb ? 0 : a >> position;
	if (is_signed && length) {
		uint32_t top = position + length - 1;
		sign = a >> (top < msb ? top : msb) & 1;
	}
	if (length > msb)
		length = msb + 1;
	uint64_t ones = length > 63 ? ~0ull : (1ull << length) - 1;
	uint32_t have = position > msb ? 0 : msb + 1 - position;
	uint64_t valid = have > 63 ? ~0ull : (1ull << have) - 1;
	return sign ? (field & ones & valid) | ~(ones & valid) : field & ones;
}

static inline uint32_t lane_bfe32(uint32_t a, uint32_t b, uint32_t c, bool is_signed)
{
	return (uint32_t)lane_bfe(a, b, c, is_signed, 31);
}

static inline uint64_t lane_bfe64(uint64_t a, uint32_t b, uint32_t c, bool is_signed)
{
	return lane_bfe(a, b, c, is_signed, 63);
}

/* PTX ISA, bfi: `count` bits of a go into b at `position`. */
static inline uint64_t lane_bfi(uint64_t a, uint64_t b, uint32_t position, uint32_t count, uint32_t bits)
{
	position &= 0xff;
	count &= 0xff;
	if (position >= bits || !count)
		return b;
	uint64_t ones = count > 63 ? ~0ull : (1ull << count) - 1;
	return (b & ~(ones << position)) | (a & ones) << position;
}

static inline uint32_t lane_shf_l_clamp(uint32_t a, uint32_t b, uint32_t c)
{
	uint64_t both = (uint64_t)b << 32 | a;
	return c < 32 ? (uint32_t)(both << c >> 32) : a;
}

static inline uint32_t lane_prmt(uint32_t a, uint32_t b, uint32_t selector)
{
	uint64_t both = (uint64_t)b << 32 | a;
	uint32_t result = 0;
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t pick = selector >> (4 * i) & 15;
		uint32_t byte = (uint32_t)(both >> (8 * (pick & 7))) & 0xff;
		if (pick & 8)
			byte = byte & 0x80 ? 0xff : 0;
		result |= byte << (8 * i);
	}
	return result;
}

static inline uint32_t lane_b4e(uint32_t c)
{
	static const uint16_t selectors[4] = {0x5670, 0x6701, 0x7012, 0x0123};
	return selectors[c & 3];
}

static inline uint32_t lane_ecl(uint32_t c)
{
	static const uint16_t selectors[4] = {0x3210, 0x3211, 0x3222, 0x3333};
	return selectors[c & 3];
}

static inline uint32_t lane_ecr(uint32_t c)
{
	static const uint16_t selectors[4] = {0x0000, 0x1110, 0x2210, 0x3210};
	return selectors[c & 3];
}

static inline int32_t lane_part(uint32_t value, uint32_t bits, bool is_signed)
{
	return is_signed ? (int32_t)(value << (32 - bits)) >> (32 - bits)
			 : (int32_t)(value & ((1u << bits) - 1));
}

static inline uint32_t lane_dp4a(uint32_t a, uint32_t b, uint32_t c, bool a_signed, bool b_signed)
{
	for (uint32_t shift = 0; shift < 32; shift += 8)
		c += (uint32_t)(lane_part(a >> shift, 8, a_signed) * lane_part(b >> shift, 8, b_signed));
	return c;
}

static inline uint32_t lane_dp2a(uint32_t a, uint32_t b, uint32_t c, bool a_signed, bool b_signed)
{
	for (uint32_t i = 0; i < 2; i++)
		c += (uint32_t)(lane_part(a >> 16 * i, 16, a_signed) * lane_part(b >> 8 * i, 8, b_signed));
	return c;
}

/* PTX ISA, fns: the n-th set bit from `base` on. */
static inline uint32_t lane_fns(uint32_t mask, uint32_t base, int32_t offset)
{
	if (base > 31)
		return ~0u;
	if (!offset)
		return mask >> base & 1 ? base : ~0u;
	int32_t step = offset > 0 ? 1 : -1;
	uint32_t count = (offset > 0 ? (uint32_t)offset : 0u - (uint32_t)offset) - 1;
	for (int32_t at = (int32_t)base; at >= 0 && at < 32; at += step) {
		if (mask >> at & 1 && !count--)
			return (uint32_t)at;
	}
	return ~0u;
}

static inline float lane_nan32(float a)
{
	return a != a ? lane_float(0x7fffffffu) : a;
}

static inline uint32_t lane_ftz32(uint32_t a)
{
	return a & 0x7f800000u ? a : a & 0x80000000u;
}

static inline float lane_ftz(float a)
{
	return lane_float(lane_ftz32(lane_bits32(a)));
}

static inline double lane_ftz64(double a)
{
	uint64_t bits = lane_bits64(a);
	return bits << 1 >> 53 ? a : lane_double(bits & 1ull << 63);
}

/* rcp.approx.ftz.f64: only the upper word is computed (PTX ISA). */
static inline uint64_t lane_high64(double a)
{
	return lane_bits64(a != a ? lane_double(0x7fffffffull << 32) : lane_ftz64(a)) & ~0xffffffffull;
}

/* PTX: a NaN gives way to a number; -0 is less than +0. */
static inline float lane_min32(float a, float b)
{
	float less = a < b ? a : b < a ? b : lane_float(lane_bits32(a) | lane_bits32(b));
	return a != a ? lane_nan32(b) : b != b ? a : less;
}

static inline float lane_max32(float a, float b)
{
	float more = a > b ? a : b > a ? b : lane_float(lane_bits32(a) & lane_bits32(b));
	return a != a ? lane_nan32(b) : b != b ? a : more;
}

static inline double lane_min64(double a, double b)
{
	double less = a < b ? a : b < a ? b : lane_double(lane_bits64(a) | lane_bits64(b));
	return a != a ? b : b != b ? a : less;
}

static inline double lane_max64(double a, double b)
{
	double more = a > b ? a : b > a ? b : lane_double(lane_bits64(a) & lane_bits64(b));
	return a != a ? b : b != b ? a : more;
}

/* a + b rounded to odd (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008). */
static inline double lane_add_odd(double a, double b)
{
	double sum = a + b, part = sum - a, error = (a - (sum - part)) + (b - part);
	uint64_t bits = lane_bits64(sum);
	/* An inexact sum with an even last bit moves one step towards the error. */
	bool is_inexact = error != 0.0 && !(bits & 1) && (bits << 1 >> 53) != 0x7ff;
	uint64_t step = (error > 0.0) == (sum > 0.0) ? 1 : ~0ull;
	return is_inexact ? lane_double(bits + step) : sum;
}

static inline float lane_fma32(float a, float b, float c)
{
#ifdef __FMA__
	return __builtin_fmaf(a, b, c);
#else
	return (float)lane_add_odd((double)a * (double)b, (double)c);
#endif
}

/* div.approx: a * (1/b), which is 0 where 1/b would be subnormal (PTX ISA). */
static inline float lane_div_approx(float a, float b)
{
	uint32_t exponent = lane_bits32(b) << 1;
	bool is_huge = exponent > 253u << 24 && exponent < 255u << 24;
	uint32_t sign = (lane_bits32(a) ^ lane_bits32(b)) & 0x80000000u;
	bool is_finite = lane_bits32(a) << 1 < 255u << 24;
	float flushed = is_finite ? lane_float(sign) : lane_float(0x7fffffffu);
	return is_huge ? flushed : lane_nan32(a / b);
}

/* 1/sqrt(a): a single-precision estimate and one step of Newton in double precision, good to about 2^-46. */
static inline float lane_rsqrt(float a)
{
	float estimate = 1.0f / __builtin_sqrtf(a);
	double y = (double)estimate, e = 1.0 - (double)a * y * y;
	float refined = (float)(y + y * e * (0.5 + 0.375 * e));
	bool is_plain = estimate > 0.0f && estimate < 3.0e38f && a < 3.0e38f;
	return is_plain ? refined : lane_nan32(estimate);
}

/* 2^a: the fraction by a polynomial in double precision, far below half an ULP of a float. */
static inline float lane_ex2(float a)
{
	double x = (double)a;
	double bounded = x < -200.0 ? -200.0 : x > 200.0 ? 200.0 : x;
	/* Adding and taking away 1.5 * 2^52 rounds to the nearest integer. */
	double shifted = bounded + 0x1.8p52;
	double whole = shifted - 0x1.8p52;
	double t = (bounded - whole) * 0x1.62e42fefa39efp-1; /* ln 2 */
	double p = 1.0 / 3628800;
	p = p * t + 1.0 / 362880;
	p = p * t + 1.0 / 40320;
	p = p * t + 1.0 / 5040;
	p = p * t + 1.0 / 720;
	p = p * t + 1.0 / 120;
	p = p * t + 1.0 / 24;
	p = p * t + 1.0 / 6;
	p = p * t + 0.5;
	p = p * t + 1.0;
	p = p * t + 1.0;
	uint64_t exponent = lane_bits64(shifted) + 1023;
	float result = (float)(p * lane_double(exponent << 52));
	return a != a ? lane_float(0x7fffffffu) : result;
}

/* log2(a): the mantissa by the series of atanh in double precision. */
static inline float lane_lg2(float a)
{
	uint64_t bits = lane_bits64((double)a);
	/* Mantissa between sqrt(1/2) and sqrt(2). */
	uint64_t offset = bits - 0x3fe6a09e667f3bcdull;
	int64_t exponent = (int64_t)offset >> 52;
	double m = lane_double(bits - ((uint64_t)exponent << 52));
	double s = (m - 1.0) / (m + 1.0), z = s * s;
	double p = 1.0 / 19;
	p = p * z + 1.0 / 17;
	p = p * z + 1.0 / 15;
	p = p * z + 1.0 / 13;
	p = p * z + 1.0 / 11;
	p = p * z + 1.0 / 9;
	p = p * z + 1.0 / 7;
	p = p * z + 1.0 / 5;
	p = p * z + 1.0 / 3;
	p = p * z + 1.0;
	float result = (float)((double)(int32_t)exponent + s * p * 0x1.71547652b82fep1); /* 2 / ln 2 */
	result = a > 0.0f ? result : a == 0.0f ? -INFINITY : lane_float(0x7fffffffu);
	return a > 3.4028234663852886e38f ? a : result;
}

/* Float to integer: round first (rni_f32 and its like); these cut, clamp and give NaN its value (PTX ISA,
 * cvt). */
static inline int32_t lane_s32_f32(float a)
{
	return a != a ? 0 : a >= 0x1p31f ? INT32_MAX : a < -0x1p31f ? INT32_MIN : (int32_t)a;
}

static inline uint32_t lane_u32_f32(float a)
{
	return !(a > 0.0f) ? 0 : a >= 0x1p32f ? UINT32_MAX : (uint32_t)(int64_t)a;
}

static inline int32_t lane_s32_f64(double a)
{
	return a != a ? INT32_MIN : a >= 0x1p31 ? INT32_MAX : a <= -0x1p31 ? INT32_MIN : (int32_t)a;
}

static inline uint32_t lane_u32_f64(double a)
{
	return a != a ? 1u << 31 : a <= 0.0 ? 0 : a >= 0x1p32 ? UINT32_MAX : (uint32_t)(int64_t)a;
}

static inline int64_t lane_s64_f64(double a)
{
	return a != a ? INT64_MIN : a >= 0x1p63 ? INT64_MAX : a < -0x1p63 ? INT64_MIN : (int64_t)a;
}

static inline uint64_t lane_u64_f64(double a)
{
	return a != a ? 1ull << 63 : a <= 0.0 ? 0 : a >= 0x1p64 ? UINT64_MAX : (uint64_t)a;
}

static inline float lane_f32_bf16(uint16_t a)
{
	return lane_float((uint32_t)a << 16);
}

static inline float lane_f32_f16(uint16_t a)
{
	uint32_t magnitude = (uint32_t)(a & 0x7fff) << 13, sign = (uint32_t)(a & 0x8000) << 16;
	if (magnitude >= 0x7c00u << 13)
		return lane_float(sign | magnitude | 0x70000000u); /* infinity, NaN */
	/* Multiplying by 2^112 moves the exponent and makes subnormals normal. */
	return lane_float(sign | lane_bits32(lane_float(magnitude) * 0x1p112f));
}

/*
 * A double to a format of `mantissa` bits behind the point, exponents from `least` to `most`; mode 0 to
 * nearest even, 1 to zero, 2 down, 3 up. Returns the bits without sign; infinity is one past the largest.
 */
static inline uint32_t lane_narrow(double a, int mode, int mantissa, int least, int most)
{
	uint64_t bits = lane_bits64(a) & ~(1ull << 63);
	bool is_negative = lane_bits64(a) >> 63;
	int exponent = (int)(bits >> 52) - 1023;
	uint64_t fraction = (bits & ((1ull << 52) - 1)) | 1ull << 52;
	uint32_t largest = ((uint32_t)(most - least + 2) << mantissa) - 1;
	int drop = 52 - mantissa + (exponent < least ? least - exponent : 0);
	bool away = mode == (is_negative ? 2 : 3);
	if (!bits)
		return 0;
	if (exponent > most)
		return mode == 0 || away ? largest + 1 : largest;
	if (drop > 54)
		return away;
	uint64_t kept = fraction >> drop, rest = fraction & ((1ull << drop) - 1), half = 1ull << (drop - 1);
	bool up = mode == 0 ? rest > half || (rest == half && (kept & 1)) : away && rest;
	/* A carry into the exponent is right by itself; the hidden bit counts as 1 of the exponent. */
	uint64_t result = kept + up;
	if (exponent > least)
		result += (uint64_t)(exponent - least) << mantissa;
	return (uint32_t)result;
}

static inline uint16_t lane_f16_f64(double a, int mode)
{
	if (a != a)
		return 0x7fff;
	return (uint16_t)(lane_narrow(a, mode, 10, -14, 15) | (uint32_t)(lane_bits64(a) >> 48 & 0x8000));
}

static inline uint16_t lane_bf16_f64(double a, int mode)
{
	if (a != a)
		return 0x7fff;
	return (uint16_t)(lane_narrow(a, mode, 7, -126, 127) | (uint32_t)(lane_bits64(a) >> 48 & 0x8000));
}

/* cvt.rna.tf32: 10 bits of mantissa, halves away from zero. */
static inline uint32_t lane_tf32(uint32_t a)
{
	return (a & 0x7f800000u) == 0x7f800000u ? (a & 0x7fffffu ? 0x7fffffffu : a)
						: (a + 0x1000u) & ~0x1fffu;
}

#endif
