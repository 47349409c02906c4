/*
 * Many small CUDA expressions over random and extreme operands, computed by the reference device and by the
 * same expression on the host. Integers and basic arithmetic must agree bit for bit, NVRTC's math functions
 * within a stated number of ULP of the host's in double (or long double).
 */
#include "tests/unit/gpu/device/reference/rig.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

/* The expressions mix signs as CUDA programs do. */
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wsign-compare"

#define COUNT 512 /* operands of each expression */

/* Expressions over a, b, c that mean the same in CUDA C++ and in C. These may overflow: T is unsigned, or a,
 * b, c small. */
#define RING_EXPRESSIONS(X, T)                                                                               \
	X(T, add, a + b)                                                                                     \
	X(T, sub, a - b)                                                                                     \
	X(T, mul, 1u * a * b)                                                                                \
	X(T, mad, 1u * a * b + c)                                                                            \
	X(T, poly, ((1u * a * 3 + b) * 5 + c) * 7)                                                           \
	X(T, neg, 0 - a)

#define SHIFT_EXPRESSIONS(X, T)                                                                              \
	X(T, shl, (T)(a << (c & 7)))                                                                         \
	X(T, shl_const, (T)(a << 3))                                                                         \
	X(T, spread, (T)((T)(a << 5) | (T)(a >> 3)))

#define ORDER_EXPRESSIONS(X, T)                                                                              \
	X(T, div, b == 0 || b == (T)-1 ? a : a / b)                                                          \
	X(T, rem, b == 0 || b == (T)-1 ? a : a % b)                                                          \
	X(T, div7, a / 7)                                                                                    \
	X(T, rem10, a % 10)                                                                                  \
	X(T, and, a &b)                                                                                      \
	X(T, or, a | b)                                                                                      \
	X(T, xor, a ^ b)                                                                                     \
	X(T, andn, a & ~b)                                                                                   \
	X(T, not, ~a)                                                                                        \
	X(T, shr, (T)(a >> (c & 7)))                                                                         \
	X(T, shr_const, (T)(a >> 5))                                                                         \
	X(T, lt, a < b ? c : a)                                                                              \
	X(T, le, a <= b ? c : a)                                                                             \
	X(T, gt, a > b ? c : b)                                                                              \
	X(T, ge, a >= b ? c : b)                                                                             \
	X(T, eq, a == b ? c : b)                                                                             \
	X(T, ne, a != c ? c : b)                                                                             \
	X(T, min, a < b ? a : b)                                                                             \
	X(T, max, a > b ? a : b)                                                                             \
	X(T, clamp, a<b ? b : a> c ? c : a)                                                                  \
	X(T, both, (a > b && b > c) || a == c ? a : c)                                                       \
	X(T, either, (a < b) != (b < c) ? 1 : 0)                                                             \
	X(T, lop, (a & b) ^ (c | ~a))                                                                        \
	X(T, maj, (a & b) | (b & c) | (a & c))                                                               \
	X(T, to_s8, (T)(signed char)a)                                                                       \
	X(T, to_u8, (T)(unsigned char)b)                                                                     \
	X(T, to_s16, (T)(short)a)                                                                            \
	X(T, to_u16, (T)(unsigned short)b)                                                                   \
	X(T, to_s32, (T)(int)a)                                                                              \
	X(T, to_u32, (T)(unsigned)c)                                                                         \
	X(T, to_s64, (T)((long long)a >> 1))                                                                 \
	X(T, to_u64, (T)((unsigned long long)a >> 1))                                                        \
	X(T, to_f32, (T)(int)(float)(short)a)                                                                \
	X(T, to_f64, (T)(long long)(double)(int)a)                                                           \
	X(T, loop, loop_##T(a, b, c))

#define BIT_EXPRESSIONS(X, T)                                                                                \
	X(T, popc, (unsigned)__popc(a))                                                                      \
	X(T, clz, (unsigned)__clz((int)a))                                                                   \
	X(T, clz_shift, (unsigned)__clz((int)(a >> (b & 31))))                                               \
	X(T, ffs, (unsigned)__ffs((int)a))                                                                   \
	X(T, brev, __brev(a))                                                                                \
	X(T, perm, __byte_perm(a, b, c))                                                                     \
	X(T, funnel_l, __funnelshift_l(a, b, c))                                                             \
	X(T, funnel_r, __funnelshift_r(a, b, c))                                                             \
	X(T, funnel_lc, __funnelshift_lc(a, b, c & 63))                                                      \
	X(T, funnel_rc, __funnelshift_rc(a, b, c & 63))                                                      \
	X(T, umulhi, __umulhi(a, b))                                                                         \
	X(T, mulhi, (unsigned)__mulhi((int)a, (int)b))                                                       \
	X(T, mul24, (unsigned)__mul24((int)a, (int)b))                                                       \
	X(T, umul24, __umul24(a, b))                                                                         \
	X(T, sad, __sad((int)a, (int)b, c))                                                                  \
	X(T, usad, __usad(a, b, c))                                                                          \
	X(T, hadd, (unsigned)__hadd((int)a, (int)b))                                                         \
	X(T, urhadd, __urhadd(a, b))                                                                         \
	X(T, dp4a_s, (unsigned)__dp4a((int)a, (int)b, (int)c))                                               \
	X(T, dp4a_u, __dp4a(a, b, c))                                                                        \
	X(T, dp2a_lo, __dp2a_lo(a, b, c))                                                                    \
	X(T, dp2a_hi, __dp2a_hi(a, b, c))                                                                    \
	X(T, vadd4, __vadd4(a, b))                                                                           \
	X(T, vabsdiffu4, __vabsdiffu4(a, b))                                                                 \
	X(T, vsadu4, __vsadu4(a, b))                                                                         \
	X(T, vmaxs2, __vmaxs2(a, b))                                                                         \
	X(T, vminu2, __vminu2(a, b))                                                                         \
	X(T, vavgu4, __vavgu4(a, b))                                                                         \
	X(T, bfe, (a >> (b & 15)) & ((1u << (c & 15)) - 1))                                                  \
	X(T, sbfe, (unsigned)((int)(a << 7) >> 13))

#define WIDE_EXPRESSIONS(X, T)                                                                               \
	X(T, popcll, (u64)__popcll(a))                                                                       \
	X(T, clzll, (u64)__clzll((s64)a))                                                                    \
	X(T, ffsll, (u64)__ffsll((s64)a))                                                                    \
	X(T, brevll, __brevll(a))                                                                            \
	X(T, umul64hi, __umul64hi(a, b))                                                                     \
	X(T, mul64hi, (u64)__mul64hi((s64)a, (s64)b))                                                        \
	X(T, rotate, a << (b & 63) | a >> (-b & 63))                                                         \
	X(T, wide, (u64)(unsigned)a *(unsigned)b + c)                                                        \
	X(T, wide_s, (u64)((s64)(int)a * (int)b) + c)                                                        \
	X(T, shift, (a << (b & 63)) ^ (c >> (a & 63)))                                                       \
	X(T, sshift, (u64)((s64)a >> (b & 63)))

/* ULP is the distance allowed: 0 for what IEEE 754 defines. The host's expression is in double. */
#define FLOAT_EXPRESSIONS(X)                                                                                 \
	X(0, add, a + b, a + b)                                                                              \
	X(0, sub, a - b, a - b)                                                                              \
	X(0, mul, a *b, a *b)                                                                                \
	X(0, div, a / b, a / b)                                                                              \
	X(0, sqrt, sqrtf(fabsf(a)), sqrt(fabs(a)))                                                           \
	X(0, rcp, 1.0f / a, 1.0 / a)                                                                         \
	X(0, floor, floorf(a), floor(a))                                                                     \
	X(0, ceil, ceilf(a), ceil(a))                                                                        \
	X(0, trunc, truncf(a), trunc(a))                                                                     \
	X(0, rint, rintf(a), rint(a))                                                                        \
	X(0, round, roundf(a), round(a))                                                                     \
	X(0, fabs, fabsf(a), fabs(a))                                                                        \
	X(0, fmin, fminf(a, b), fmin(a, b))                                                                  \
	X(0, fmax, fmaxf(a, b), fmax(a, b))                                                                  \
	X(0, copysign, copysignf(a, b), copysign(a, b))                                                      \
	X(0, fmod, fmodf(a, b), fmod(a, b))                                                                  \
	X(0, remainder, remainderf(a, b), remainder(a, b))                                                   \
	X(0, select, a < b ? a : b + 1, a < b ? a : b + 1)                                                   \
	X(0, unordered, !(a < b) ? a : b, !(a < b) ? a : b)                                                  \
	X(0, isnan, isnan(a) ? 1.0f : 0.0f, isnan(a) ? 1 : 0)                                                \
	X(0, signbit, signbit(a) ? 1.0f : 0.0f, signbit(a) ? 1 : 0)                                          \
	X(0, saturate, __saturatef(a), a > 1 ? 1 : a > 0 ? a : 0)                                            \
	X(2, sin, sinf(a), sin(a))                                                                           \
	X(2, cos, cosf(a), cos(a))                                                                           \
	X(4, tan, tanf(a), tan(a))                                                                           \
	X(2, exp, expf(a), exp(a))                                                                           \
	X(2, exp2, exp2f(a), exp2(a))                                                                        \
	X(2, exp10, exp10f(a), pow(10, a))                                                                   \
	X(2, expm1, expm1f(a), expm1(a))                                                                     \
	X(1, log, logf(fabsf(a)), log(fabs(a)))                                                              \
	X(2, log2, log2f(fabsf(a)), log2(fabs(a)))                                                           \
	X(2, log10, log10f(fabsf(a)), log10(fabs(a)))                                                        \
	X(2, log1p, log1pf(fabsf(a)), log1p(fabs(a)))                                                        \
	X(4, pow, powf(fabsf(a), b / 8), pow(fabs(a), (double)((float)b / 8)))                               \
	X(2, rsqrt, rsqrtf(fabsf(a)), 1 / sqrt(fabs(a)))                                                     \
	X(1, cbrt, cbrtf(a), cbrt(a))                                                                        \
	X(2, asin, asinf(a / 20000), asin((double)((float)a / 20000)))                                       \
	X(2, acos, acosf(a / 20000), acos((double)((float)a / 20000)))                                       \
	X(2, atan, atanf(a), atan(a))                                                                        \
	X(3, atan2, atan2f(a, b), atan2(a, b))                                                               \
	X(3, sinh, sinhf(a), sinh(a))                                                                        \
	X(2, cosh, coshf(a), cosh(a))                                                                        \
	X(2, tanh, tanhf(a), tanh(a))                                                                        \
	X(3, asinh, asinhf(a), asinh(a))                                                                     \
	X(2, erf, erff(a), erf(a))                                                                           \
	X(4, erfc, erfcf(a), erfc(a))                                                                        \
	X(6, hypot, hypotf(a, b), hypot(a, b))                                                               \
	X(0, ldexp, ldexpf(a, 3), ldexp(a, 3))                                                               \
	X(0, logb, logbf(a), logb(a))                                                                        \
	X(0, fdim, fdimf(a, b), isnan(a) || isnan(b) ? NAN : a > b ? a - b : 0)                              \
	X(0, int_rz, (float)(int)(a > -1e9f && a < 1e9f ? a : 7),                                            \
	  (double)(float)(int)(a > -1e9 && a < 1e9 ? a : 7))                                                 \
	X(0, u8, (float)(unsigned char)(a > 0 && a < 255 ? a : 3), (unsigned char)(a > 0 && a < 255 ? a : 3))

#define DOUBLE_EXPRESSIONS(X)                                                                                \
	X(0, add, a + b, a + b)                                                                              \
	X(0, mul, a *b, a *b)                                                                                \
	X(0, div, a / b, a / b)                                                                              \
	X(0, fma, fma(a, b, c), fma(a, b, c))                                                                \
	X(0, sqrt, sqrt(fabs(a)), sqrt(fabs(a)))                                                             \
	X(0, rint, rint(a), rint(a))                                                                         \
	X(0, floor, floor(a), floor(a))                                                                      \
	X(0, round, round(a), round(a))                                                                      \
	X(0, fmod, fmod(a, b), fmod(a, b))                                                                   \
	X(0, fmin, fmin(a, b), fmin(a, b))                                                                   \
	X(0, fmax, fmax(a, b), fmax(a, b))                                                                   \
	X(0, select, a <= b ? a : c, a <= b ? a : c)                                                         \
	X(2, sin, sin(a), sin(a))                                                                            \
	X(2, cos, cos(a), cos(a))                                                                            \
	X(2, tan, tan(a), tan(a))                                                                            \
	X(1, exp, exp(a), exp(a))                                                                            \
	X(1, log, log(fabs(a)), log(fabs(a)))                                                                \
	X(2, log10, log10(fabs(a)), log10(fabs(a)))                                                          \
	X(2, pow, pow(fabs(a), b / 8), pow(fabs(a), b / 8))                                                  \
	X(1, cbrt, cbrt(a), cbrtl(a))                                                                        \
	X(1, rsqrt, rsqrt(fabs(a)), 1 / sqrtl(fabsl(a)))                                                     \
	X(2, atan2, atan2(a, b), atan2(a, b))                                                                \
	X(2, asin, asin(a / 1e5), asin(a / 1e5))                                                             \
	X(2, sinh, sinh(a), sinh(a))                                                                         \
	X(2, tanh, tanh(a), tanh(a))                                                                         \
	X(2, erf, erf(a), erf(a))                                                                            \
	X(6, erfc, erfc(a), erfc(a))                                                                         \
	X(10, tgamma, tgamma(a / 1000), tgamma(a / 1000))                                                    \
	X(2, hypot, hypot(a, b), hypot(a, b))                                                                \
	X(0, f32, (double)(float)a, (double)(float)a)                                                        \
	X(0, s64, (double)(long long)(fabs(a) < 1e18 ? a : 3), (double)(long long)(fabs(a) < 1e18 ? a : 3))  \
	X(0, u32, (double)(unsigned)(a > 0 && a < 4e9 ? a : 3),                                              \
	  (double)(unsigned)(a > 0 && a < 4e9 ? a : 3))                                                      \
	X(0, ldexp, ldexp(a, -5), ldexp(a, -5))

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;
typedef short s16;
typedef unsigned short u16;

#define LOOP(T)                                                                                              \
	static inline T loop_##T(T a, T b, T c)                                                              \
	{                                                                                                    \
		unsigned long long sum = (unsigned long long)c;                                              \
		for (int i = 0; i < (int)(b & 15); i++)                                                      \
			sum = sum * 3 + (unsigned long long)(a ^ (T)i);                                      \
		return (T)sum;                                                                               \
	}

static const char prelude[] =
    "typedef unsigned u32; typedef unsigned long long u64; typedef long long s64;\n"
    "typedef short s16; typedef unsigned short u16;\n"
    "#define LOOP(T) static __device__ T loop_##T(T a, T b, T c) { unsigned long long sum = c;\\\n"
    "for (int i = 0; i < (int)(b & 15); i++) sum = sum * 3 + (unsigned long long)(a ^ (T)i); return (T)sum; "
    "}\n"
    "typedef int ring_int; typedef s64 ring_s64; typedef u32 bits32; typedef u64 bits64;\n"
    "LOOP(int) LOOP(u32) LOOP(s64) LOOP(u64) LOOP(s16) LOOP(u16)\n";

/* A kernel that computes every expression of a list: out[expression * n + i]. */
#define KERNEL(T, lines)                                                                                     \
	"extern \"C\" __global__ void k(const " #T " *in, " #T " *out, int n)\n"                             \
	"{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i >= n) return; int e = 0;\n"                  \
	"  const " #T " a = in[i], b = in[n + i], c = in[2 * n + i];\n" lines "}\n"
#define LINE(T, name, expression)           "  out[e++ * n + i] = (" #T ")(" #expression ");\n"
#define FLOAT_LINE(ulp, name, device, host) "  out[e++ * n + i] = " #device ";\n"

LOOP(int)
LOOP(u32)
LOOP(s64)
LOOP(u64)
LOOP(s16)
LOOP(u16)

#define HOST(T, name, expression)                                                                            \
	static T T##_##name(T a, T b, T c)                                                                   \
	{                                                                                                    \
		(void)a;                                                                                     \
		(void)b;                                                                                     \
		(void)c;                                                                                     \
		return (T)(expression);                                                                      \
	}
#define HOST_ROW(T, name, expression) {#name ": " #expression, T##_##name},

/* One test of one integer type: all lists, `limit` bounds the operands (0: any bits). */
#define INTEGER_TEST(T, sentence, lists, extra)                                                              \
	lists(HOST, T) static void sentence(void **state)                                                    \
	{                                                                                                    \
		static const struct {                                                                        \
			const char *why;                                                                     \
			T (*host)(T a, T b, T c);                                                            \
		} rows[] = {lists(HOST_ROW, T)};                                                             \
		static T in[3 * COUNT], out[sizeof(rows) / sizeof(rows[0]) * COUNT];                         \
		static struct rig rig;                                                                       \
		static char source[1 << 16];                                                                 \
		int n = COUNT;                                                                               \
		(void)state;                                                                                 \
		rig_open(&rig);                                                                              \
		snprintf(source, sizeof(source), "%s%s", prelude, KERNEL(T, lists(LINE, T)));                \
		rig_compile(&rig, source, "k", NULL, NULL);                                                  \
		for (uint32_t i = 0; i < 3 * COUNT; i++)                                                     \
			in[i] = (T)(extra(i));                                                               \
		const struct rig_buffer buffers[] = {{RIG_IN, in, sizeof(in)}, {RIG_OUT, out, sizeof(out)}}; \
		rig_must_run(&rig, &(struct rig_launch){.grid = {4},                                         \
							.block = {COUNT / 4},                                \
							.buffers = buffers,                                  \
							.buffer_count = 2,                                   \
							.scalars = {&n}});                                   \
		for (size_t e = 0; e < sizeof(rows) / sizeof(rows[0]); e++) {                                \
			for (size_t i = 0; i < COUNT; i++) {                                                 \
				T want = rows[e].host(in[i], in[COUNT + i], in[2 * COUNT + i]);              \
				if (out[e * COUNT + i] != want)                                              \
					fail_msg("%s of %lld, %lld, %lld is %lld, not %lld", rows[e].why,    \
						 (long long)in[i], (long long)in[COUNT + i],                 \
						 (long long)in[2 * COUNT + i],                               \
						 (long long)out[e * COUNT + i], (long long)want);            \
			}                                                                                    \
		}                                                                                            \
		rig_close(&rig);                                                                             \
	}

static uint64_t mix(uint64_t i)
{
	i = (i + 1) * 0x9e3779b97f4a7c15ull;
	i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9ull;
	return i ^ i >> 27;
}

/* Random bits of random length, and every eighth an extreme. */
static uint64_t any_bits(uint32_t i)
{
	static const uint64_t extremes[] = {
	    0,           1,           ~0ull,       0x7fff,     0x8000,
	    0x7fffffff,  0x80000000u, 0xffffffffu, 1ull << 63, (1ull << 63) - 1,
	    0x100000000, 31,          32,          63,         64};
	uint64_t bits = mix(i);
	if (bits % 8 == 0)
		return extremes[bits / 8 % (sizeof(extremes) / sizeof(extremes[0]))];
	return (uint64_t)((int64_t)mix(i + 100000) >> (bits % 60));
}

static int small_bits(uint32_t i)
{
	return (int)(mix(i) % 101) - 50;
}

#define ALL_LISTS(X, T)    RING_EXPRESSIONS(X, T) SHIFT_EXPRESSIONS(X, T) ORDER_EXPRESSIONS(X, T)
#define ORDER_LISTS(X, T)  ORDER_EXPRESSIONS(X, T)
#define SIGNED_LISTS(X, T) RING_EXPRESSIONS(X, T)

INTEGER_TEST(u32, unsigned_expressions_agree_with_the_host, ALL_LISTS, any_bits)
INTEGER_TEST(u64, unsigned_long_long_expressions_agree_with_the_host, ALL_LISTS, any_bits)
INTEGER_TEST(u16, unsigned_short_expressions_agree_with_the_host, ALL_LISTS, any_bits)
INTEGER_TEST(int, int_comparisons_divisions_and_conversions_agree_with_the_host, ORDER_LISTS, any_bits)
INTEGER_TEST(s64, long_long_comparisons_divisions_and_conversions_agree_with_the_host, ORDER_LISTS, any_bits)
INTEGER_TEST(s16, short_comparisons_divisions_and_conversions_agree_with_the_host, ORDER_LISTS, any_bits)

typedef int ring_int;
typedef s64 ring_s64;
INTEGER_TEST(ring_int, int_arithmetic_agrees_with_the_host, SIGNED_LISTS, small_bits)
INTEGER_TEST(ring_s64, long_long_arithmetic_agrees_with_the_host, SIGNED_LISTS, small_bits)

/* What the intrinsics of BIT_EXPRESSIONS and WIDE_EXPRESSIONS mean (CUDA Math API), in plain C. */
static int __popc(u32 a)
{
	return __builtin_popcount(a);
}

static int __clz(int a)
{
	return a ? __builtin_clz((u32)a) : 32;
}

static int __ffs(int a)
{
	return __builtin_ffs(a);
}

static int __popcll(u64 a)
{
	return __builtin_popcountll(a);
}

static int __clzll(s64 a)
{
	return a ? __builtin_clzll((u64)a) : 64;
}

static int __ffsll(s64 a)
{
	return __builtin_ffsll(a);
}

static u64 __brevll(u64 a)
{
	u64 result = 0;
	for (int i = 0; i < 64; i++)
		result |= (a >> i & 1) << (63 - i);
	return result;
}

static u32 __brev(u32 a)
{
	return (u32)(__brevll(a) >> 32);
}

static u32 __byte_perm(u32 a, u32 b, u32 s)
{
	u64 both = (u64)b << 32 | a;
	u32 result = 0;
	for (int i = 0; i < 4; i++)
		result |= ((u32)(both >> (8 * (s >> (4 * i) & 7))) & 0xff) << (8 * i);
	return result;
}

static u32 __funnelshift_l(u32 lo, u32 hi, u32 shift)
{
	return (u32)(((u64)hi << 32 | lo) << (shift & 31) >> 32);
}

static u32 __funnelshift_r(u32 lo, u32 hi, u32 shift)
{
	return (u32)(((u64)hi << 32 | lo) >> (shift & 31));
}

static u32 __funnelshift_lc(u32 lo, u32 hi, u32 shift)
{
	return shift >= 32 ? lo : __funnelshift_l(lo, hi, shift);
}

static u32 __funnelshift_rc(u32 lo, u32 hi, u32 shift)
{
	return shift >= 32 ? hi : __funnelshift_r(lo, hi, shift);
}

static u32 __umulhi(u32 a, u32 b)
{
	return (u32)((u64)a * b >> 32);
}

static int __mulhi(int a, int b)
{
	return (int)((s64)a * b >> 32);
}

static u64 __umul64hi(u64 a, u64 b)
{
	return (u64)((unsigned __int128)a * b >> 64);
}

static s64 __mul64hi(s64 a, s64 b)
{
	return (s64)((__int128)a * b >> 64);
}

static int __mul24(int a, int b)
{
	return (int)((s64)((int)((u32)a << 8) >> 8) * ((int)((u32)b << 8) >> 8));
}

static u32 __umul24(u32 a, u32 b)
{
	return (a & 0xffffff) * (b & 0xffffff);
}

static u32 __usad(u32 a, u32 b, u32 c)
{
	return c + (a > b ? a - b : b - a);
}

static u32 __sad(int a, int b, u32 c)
{
	return c + (a > b ? (u32)a - (u32)b : (u32)b - (u32)a);
}

static int __hadd(int a, int b)
{
	return (int)(((s64)a + b) >> 1);
}

static u32 __urhadd(u32 a, u32 b)
{
	return (u32)(((u64)a + b + 1) >> 1);
}

static u32 dot4(u32 a, u32 b, u32 c, bool is_signed)
{
	for (int i = 0; i < 32; i += 8)
		c += is_signed ? (u32)((signed char)(a >> i) * (signed char)(b >> i))
			       : (a >> i & 255) * (b >> i & 255);
	return c;
}

/* The two overloads of CUDA C++. */
#define __dp4a(a, b, c) dot4((u32)(a), (u32)(b), (u32)(c), _Generic((a), int : true, default : false))

static u32 __dp2a_lo(u32 a, u32 b, u32 c)
{
	return c + (a & 0xffff) * (b & 255) + (a >> 16) * (b >> 8 & 255);
}

static u32 __dp2a_hi(u32 a, u32 b, u32 c)
{
	return __dp2a_lo(a, b >> 16, c);
}

static u32 bytes(u32 a, u32 b, int what)
{
	u32 result = 0, sum = 0;
	for (int i = 0; i < 32; i += 8) {
		u32 x = a >> i & 255, y = b >> i & 255, difference = x > y ? x - y : y - x;
		u32 part = what == 0 ? x + y : what == 1 ? difference : (x + y + 1) >> 1;
		result |= (part & 255) << i;
		sum += difference;
	}
	return what == 3 ? sum : result;
}

#define __vadd4(a, b)      bytes(a, b, 0)
#define __vabsdiffu4(a, b) bytes(a, b, 1)
#define __vavgu4(a, b)     bytes(a, b, 2)
#define __vsadu4(a, b)     bytes(a, b, 3)

static u32 __vmaxs2(u32 a, u32 b)
{
	u32 low = (short)a > (short)b ? a : b, high = (short)(a >> 16) > (short)(b >> 16) ? a : b;
	return (low & 0xffff) | (high & 0xffff0000u);
}

static u32 __vminu2(u32 a, u32 b)
{
	u32 low = (a & 0xffff) < (b & 0xffff) ? a : b, high = a >> 16 < b >> 16 ? a : b;
	return (low & 0xffff) | (high & 0xffff0000u);
}

typedef u32 bits32;
typedef u64 bits64;
#define BIT_LISTS(X, T)  BIT_EXPRESSIONS(X, T)
#define WIDE_LISTS(X, T) WIDE_EXPRESSIONS(X, T)
INTEGER_TEST(bits32, bit_intrinsics_agree_with_their_definitions, BIT_LISTS, any_bits)
INTEGER_TEST(bits64, wide_bit_intrinsics_agree_with_their_definitions, WIDE_LISTS, any_bits)

#define HOST_FLOAT(ulp, name, device, expression)                                                            \
	static double f32_##name(double a, double b, double c)                                               \
	{                                                                                                    \
		(void)b;                                                                                     \
		(void)c;                                                                                     \
		return (double)(expression);                                                                 \
	}
#define HOST_DOUBLE(ulp, name, device, expression)                                                           \
	static double f64_##name(double a, double b, double c)                                               \
	{                                                                                                    \
		(void)b;                                                                                     \
		(void)c;                                                                                     \
		return (double)(expression);                                                                 \
	}
#define FLOAT_ROW(ulp, name, device, expression)  {#name, ulp, f32_##name},
#define DOUBLE_ROW(ulp, name, device, expression) {#name, ulp, f64_##name},
FLOAT_EXPRESSIONS(HOST_FLOAT)
DOUBLE_EXPRESSIONS(HOST_DOUBLE)

/* Numbers of every size, the usual ones most often, and every eighth a special one. */
static float any_float(uint32_t i)
{
	static const float specials[] = {
	    0.0f,    -0.0f,           1.0f,      -1.0f,       INFINITY,   -INFINITY, NAN,   1e-45f,
	    -1e-40f, 1.17549435e-38f, FLT_MAX,   0.5f,        1.5f,       2.5f,      -3.5f, 8388609.0f,
	    1e10f,   -1e22f,          105615.0f, 3.14159265f, 16777216.0f};
	uint64_t bits = mix(i);
	float value;
	if (bits % 8 == 0)
		return specials[bits / 8 % (sizeof(specials) / sizeof(specials[0]))];
	if (bits % 8 == 1) {
		uint32_t any = (uint32_t)(bits >> 32);
		memcpy(&value, &any, sizeof(value));
		return value;
	}
	return (float)((double)((int64_t)bits >> 32) / 2147483648.0 * pow(10, (double)(bits >> 8 & 7) - 3));
}

static uint32_t ulp_apart_f32(float a, float b)
{
	int32_t x, y;
	memcpy(&x, &a, 4);
	memcpy(&y, &b, 4);
	if (a != a || b != b)
		return a != a && b != b ? 0 : UINT32_MAX;
	int64_t p = x < 0 ? INT32_MIN - (int64_t)x : x, q = y < 0 ? INT32_MIN - (int64_t)y : y;
	int64_t apart = p > q ? p - q : q - p;
	return apart > UINT32_MAX ? UINT32_MAX : (uint32_t)apart;
}

static uint64_t ulp_apart_f64(double a, double b)
{
	int64_t x, y;
	memcpy(&x, &a, 8);
	memcpy(&y, &b, 8);
	if (a != a || b != b)
		return a != a && b != b ? 0 : UINT64_MAX;
	__int128 p = x < 0 ? (__int128)INT64_MIN - x : x, q = y < 0 ? (__int128)INT64_MIN - y : y;
	__int128 apart = p > q ? p - q : q - p;
	return apart > UINT64_MAX ? UINT64_MAX : (uint64_t)apart;
}

static void float_expressions_are_within_their_ulp(void **state)
{
	static const struct {
		const char *why;
		uint32_t ulp;
		double (*host)(double a, double b, double c);
	} rows[] = {FLOAT_EXPRESSIONS(FLOAT_ROW)};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	static float in[3 * COUNT], out[ROWS * COUNT];
	static struct rig rig;
	int n = COUNT;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, KERNEL(float, FLOAT_EXPRESSIONS(FLOAT_LINE)), "k", "--fmad=false", NULL);
	for (uint32_t i = 0; i < 3 * COUNT; i++)
		in[i] = any_float(i);
	const struct rig_buffer buffers[] = {{RIG_IN, in, sizeof(in)}, {RIG_OUT, out, sizeof(out)}};
	rig_must_run(
	    &rig,
	    &(struct rig_launch){
		.grid = {4}, .block = {COUNT / 4}, .buffers = buffers, .buffer_count = 2, .scalars = {&n}});
	for (size_t e = 0; e < ROWS; e++) {
		uint32_t worst = 0;
		for (size_t i = 0; i < COUNT; i++) {
			float want = (float)rows[e].host((double)in[i], (double)in[COUNT + i],
							 (double)in[2 * COUNT + i]);
			uint32_t apart = ulp_apart_f32(out[e * COUNT + i], want);
			worst = apart > worst ? apart : worst;
			if (apart > rows[e].ulp)
				fail_msg("%s(%.9g, %.9g) is %.9g, not %.9g: %u ULP", rows[e].why,
					 (double)in[i], (double)in[COUNT + i], (double)out[e * COUNT + i],
					 (double)want, apart);
		}
		if (getenv("REFERENCE_ULP"))
			print_message("%s: %u\n", rows[e].why, worst);
	}
	rig_close(&rig);
}

static void double_expressions_are_within_their_ulp(void **state)
{
	static const struct {
		const char *why;
		uint32_t ulp;
		double (*host)(double a, double b, double c);
	} rows[] = {DOUBLE_EXPRESSIONS(DOUBLE_ROW)};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	static double in[3 * COUNT], out[ROWS * COUNT];
	static struct rig rig;
	int n = COUNT;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, KERNEL(double, DOUBLE_EXPRESSIONS(FLOAT_LINE)), "k", "--fmad=false", NULL);
	for (uint32_t i = 0; i < 3 * COUNT; i++)
		in[i] = (double)any_float(i) * (1 + (double)(mix(i + 7) >> 40) * 0x1p-50);
	const struct rig_buffer buffers[] = {{RIG_IN, in, sizeof(in)}, {RIG_OUT, out, sizeof(out)}};
	rig_must_run(
	    &rig,
	    &(struct rig_launch){
		.grid = {4}, .block = {COUNT / 4}, .buffers = buffers, .buffer_count = 2, .scalars = {&n}});
	for (size_t e = 0; e < ROWS; e++) {
		for (size_t i = 0; i < COUNT; i++) {
			double want = rows[e].host(in[i], in[COUNT + i], in[2 * COUNT + i]);
			uint64_t apart = ulp_apart_f64(out[e * COUNT + i], want);
			if (apart > rows[e].ulp)
				fail_msg("%s(%.17g, %.17g) is %.17g, not %.17g: %llu ULP", rows[e].why, in[i],
					 in[COUNT + i], out[e * COUNT + i], want, (unsigned long long)apart);
		}
	}
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(unsigned_expressions_agree_with_the_host),
	    cmocka_unit_test(unsigned_long_long_expressions_agree_with_the_host),
	    cmocka_unit_test(unsigned_short_expressions_agree_with_the_host),
	    cmocka_unit_test(int_comparisons_divisions_and_conversions_agree_with_the_host),
	    cmocka_unit_test(long_long_comparisons_divisions_and_conversions_agree_with_the_host),
	    cmocka_unit_test(short_comparisons_divisions_and_conversions_agree_with_the_host),
	    cmocka_unit_test(int_arithmetic_agrees_with_the_host),
	    cmocka_unit_test(long_long_arithmetic_agrees_with_the_host),
	    cmocka_unit_test(bit_intrinsics_agree_with_their_definitions),
	    cmocka_unit_test(wide_bit_intrinsics_agree_with_their_definitions),
	    cmocka_unit_test(float_expressions_are_within_their_ulp),
	    cmocka_unit_test(double_expressions_are_within_their_ulp),
	};
	return rig_run_variants(tests);
}
