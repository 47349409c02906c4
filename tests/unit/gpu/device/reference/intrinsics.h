/*
 * CUDA's integer intrinsics in plain C, so that the host can compute what the device must. Pure functions;
 * owned by test_reference_expressions.c.
 */
#ifndef GD_TEST_REFERENCE_INTRINSICS_H
#define GD_TEST_REFERENCE_INTRINSICS_H

#include <stdbool.h>

/* They mix signs as CUDA does. */
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wsign-compare"

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;
typedef short s16;
typedef unsigned short u16;

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

#endif
