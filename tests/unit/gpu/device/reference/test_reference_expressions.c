/*
 * Many small CUDA expressions over random and extreme operands, computed by the reference device and by the
 * same expression on the host. Integers and basic arithmetic must agree bit for bit, NVRTC's math functions
 * within a stated number of ULP of the host's in double (or long double).
 */
#include "tests/unit/gpu/device/reference/rig.h"

#include "tests/unit/gpu/device/reference/expressions.h"
#include "tests/unit/gpu/device/reference/intrinsics.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

/* The expressions mix signs as CUDA programs do. */
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wsign-compare"

#define COUNT 512 /* operands of each expression */

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
