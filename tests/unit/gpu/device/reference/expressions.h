/*
 * The expressions that the reference device and the host both compute, as lists: what they are, and within
 * how many ULP they must agree. Owned by test_reference_expressions.c; it evaluates nothing itself.
 */
#ifndef GD_TEST_REFERENCE_EXPRESSIONS_H
#define GD_TEST_REFERENCE_EXPRESSIONS_H

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

#endif
