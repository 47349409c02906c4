/* Shuffles, votes, match, redux, and every atomic operation. */
#include "tests/unit/gpu/device/reference/rig.h"

static const char source[] =
    "extern \"C\" __global__ void shuffles(const int *x, int *y)\n"
    "{\n"
    "  int i = threadIdx.x, v = x[i], k = 0; const int n = blockDim.x;\n"
    "  y[n * k++ + i] = __shfl_sync(~0u, v, (i * 7) % 40);\n"
    "  y[n * k++ + i] = __shfl_up_sync(~0u, v, 3);\n"
    "  y[n * k++ + i] = __shfl_down_sync(~0u, v, 5);\n"
    "  y[n * k++ + i] = __shfl_xor_sync(~0u, v, 9);\n"
    "  y[n * k++ + i] = __shfl_sync(~0u, v, i + 1, 8);\n"
    "  y[n * k++ + i] = __shfl_up_sync(~0u, v, 2, 16);\n"
    "  y[n * k++ + i] = __shfl_down_sync(~0u, v, 2, 4);\n"
    "  y[n * k++ + i] = __shfl_xor_sync(~0u, v, 6, 4);\n"
    "  y[n * k++ + i] = (int)__shfl_sync(~0u, (double)v * 1e9, 4) ^ (int)__shfl_xor_sync(~0u, (long long)v "
    "<< 20, 1);\n"
    "}\n"
    "extern \"C\" __global__ void divergent(const int *x, int *y)\n"
    "{\n"
    "  int i = threadIdx.x, v = x[i];\n"
    "  if (i & 1) v = __shfl_sync(0xaaaaaaaau, v, 3); else v = __shfl_sync(0x55555555u, v, 6);\n"
    "  y[i] = v;\n"
    "  /* lanes arrive one after the other, at two places in the code, and meet in the shuffle */\n"
    "  for (int j = 0; j < (i % 5); j++) v = v * 3 + 1;\n"
    "  if (i < 16) v = __shfl_xor_sync(~0u, v, 16); else v = __shfl_xor_sync(~0u, v, 16) + 1;\n"
    "  y[32 + i] = v;\n"
    "  __syncwarp();\n"
    "  y[64 + i] = __ballot_sync(~0u, v & 1);\n"
    "}\n"
    "extern \"C\" __global__ void votes(const int *x, int *y)\n"
    "{\n"
    "  int i = threadIdx.x, v = x[i], k = 0, p; const int n = blockDim.x;\n"
    "  y[n * k++ + i] = __all_sync(~0u, v > -9); y[n * k++ + i] = __all_sync(~0u, v > 0);\n"
    "  y[n * k++ + i] = __any_sync(~0u, v == x[3]); y[n * k++ + i] = __any_sync(~0u, v == 12345);\n"
    "  y[n * k++ + i] = __ballot_sync(~0u, v & 2);\n"
    "  y[n * k++ + i] = __match_any_sync(~0u, v % 5);\n"
    "  y[n * k++ + i] = __match_all_sync(~0u, i / 32, &p) + p; y[n * k++ + i] = __match_all_sync(~0u, v, &p) "
    "+ p;\n"
    "  y[n * k++ + i] = __match_any_sync(~0u, (long long)(v % 3) << 40);\n"
    "  y[n * k++ + i] = __reduce_add_sync(~0u, (unsigned)v); y[n * k++ + i] = __reduce_min_sync(~0u, v - "
    "500);\n"
    "  y[n * k++ + i] = __reduce_max_sync(~0u, (unsigned)(v - 500)); y[n * k++ + i] = __reduce_and_sync(~0u, "
    "(unsigned)v | 3);\n"
    "  y[n * k++ + i] = __reduce_or_sync(~0u, (unsigned)v); y[n * k++ + i] = __reduce_xor_sync(~0u, "
    "(unsigned)v);\n"
    "}\n"
    "typedef unsigned long long u64;\n"
    "static __device__ long long atomicAdd(long long *p, long long v) { return atomicAdd((u64 *)p, (u64)v); "
    "}\n"
    "static __device__ long long atomicExch(long long *p, long long v) { return atomicExch((u64 *)p, "
    "(u64)v); }\n"
    "static __device__ long long atomicCAS(long long *p, long long a, long long b) { return atomicCAS((u64 "
    "*)p, (u64)a, (u64)b); }\n"
    "template <class T> static __device__ void all_atomics(T *p, T v)\n"
    "{\n"
    "  atomicAdd(&p[0], v); atomicMin(&p[1], v); atomicMax(&p[2], v); atomicAnd(&p[3], v | 64); "
    "atomicOr(&p[4], v); atomicXor(&p[5], v);\n"
    "  T old = p[6], seen; do { seen = old; old = atomicCAS(&p[6], seen, seen + 2 * v); } while (old != "
    "seen);\n"
    "  atomicExch(&p[7], (T)5);\n"
    "}\n"
    "extern \"C\" __global__ void atomics(const int *x, int *y)\n"
    "{\n"
    "  int v = x[threadIdx.x] % 1000; __shared__ unsigned s[8]; __shared__ unsigned long long w[8];\n"
    "  if (threadIdx.x < 8) { s[threadIdx.x] = threadIdx.x == 1 || threadIdx.x == 3 ? ~0u : 0; "
    "w[threadIdx.x] = s[threadIdx.x]; }\n"
    "  __syncthreads();\n"
    "  all_atomics((unsigned *)y, (unsigned)v); all_atomics(y + 8, v - 500); all_atomics((unsigned long long "
    "*)(y + 16), (unsigned long long)v);\n"
    "  all_atomics((long long *)(y + 32), (long long)v - 500); all_atomics(s, (unsigned)v); all_atomics(w, "
    "(unsigned long long)v);\n"
    "  atomicInc((unsigned *)y + 48, 9); atomicDec((unsigned *)y + 49, 9); atomicSub(y + 50, v);\n"
    "  atomicAdd((float *)y + 51, (float)v); atomicAdd((float4 *)(y + 56), make_float4(1, 2, (float)v, 4)); "
    "atomicAdd((double *)(y + 52), v * 0.5);\n"
    "  __syncthreads();\n"
    "  if (threadIdx.x < 8) { y[64 + threadIdx.x] = s[threadIdx.x]; y[72 + threadIdx.x] = "
    "(int)w[threadIdx.x]; }\n"
    "}\n"
    "extern \"C\" __global__ void ordered(const int *x, int *y) { y[1 + atomicAdd(y, 1)] = threadIdx.x; }\n";

#define INTS 2048
static int x[INTS], y[INTS];
static struct rig rig;

static void run(const char *entry, uint32_t grid, uint32_t block)
{
	rig_open(&rig);
	rig_compile(&rig, source, entry, NULL, NULL);
	const struct rig_buffer buffers[] = {{RIG_IN, x, sizeof(x)}, {RIG_INOUT, y, sizeof(y)}};
	rig_must_run(&rig, &(struct rig_launch){
			       .grid = {grid}, .block = {block}, .buffers = buffers, .buffer_count = 2});
	rig_close(&rig);
}

static void fill(void)
{
	for (uint32_t i = 0; i < INTS; i++)
		x[i] = (int)((i * 2654435761u) >> 22);
	memset(y, 0, sizeof(y));
}

/* The lane that a shuffle of the CUDA C++ API reads. */
static int source_lane(int kind, int lane, int operand, int width)
{
	int start = lane & ~(width - 1), from = lane;
	if (kind == 0)
		from = start | (operand & (width - 1));
	else if (kind == 1)
		from = lane - operand >= start ? lane - operand : lane;
	else if (kind == 2)
		from = lane + operand < start + width ? lane + operand : lane;
	else
		from = (lane ^ operand) < start + width ? lane ^ operand : lane;
	return from;
}

static void shuffles_of_all_kinds_and_widths_read_the_right_lane(void **state)
{
	static const struct {
		int kind, operand, width;
	} rows[] = {{0, 0, 32}, {1, 3, 32}, {2, 5, 32}, {3, 9, 32},
		    {0, 0, 8},  {1, 2, 16}, {2, 2, 4},  {3, 6, 4}};
	(void)state;
	fill();
	run("shuffles", 1, 64);
	for (int k = 0; k < 8; k++) {
		for (int i = 0; i < 64; i++) {
			int lane = i % 32, warp = i & ~31, operand = rows[k].operand;
			if (k == 0)
				operand = i * 7 % 40;
			if (k == 4)
				operand = i + 1;
			assert_int_equal(y[64 * k + i],
					 x[warp + source_lane(rows[k].kind, lane, operand, rows[k].width)]);
		}
	}
	for (int i = 0; i < 64; i++) {
		double far = (double)x[(i & ~31) + 4] * 1e9;
		int first = far >= 2147483648.0 ? INT32_MAX : (int)far;
		assert_int_equal(y[512 + i], first ^ (int)((long long)x[i ^ 1] << 20));
	}
}

static void lanes_that_arrive_apart_meet_in_a_shuffle(void **state)
{
	int v[32];
	unsigned int ballot = 0;
	(void)state;
	fill();
	run("divergent", 1, 32);
	for (int i = 0; i < 32; i++) {
		v[i] = x[i & 1 ? 3 : 6];
		assert_int_equal(y[i], v[i]);
		for (int j = 0; j < i % 5; j++)
			v[i] = v[i] * 3 + 1;
	}
	for (int i = 0; i < 32; i++) {
		int got = v[i ^ 16] + (i >= 16);
		assert_int_equal(y[32 + i], got);
		ballot |= (unsigned int)(got & 1) << i;
	}
	for (int i = 0; i < 32; i++)
		assert_int_equal((unsigned int)y[64 + i], ballot);
}

static void votes_matches_and_reductions_see_all_lanes(void **state)
{
	enum { N = 64 };
	(void)state;
	fill();
	run("votes", 1, N);
	for (int i = 0; i < N; i++) {
		const int *lanes = x + (i & ~31);
		unsigned int ballot = 0, same5 = 0, same3 = 0, sum = 0, most = 0, all = ~0u, any = 0, odd = 0;
		int least = INT32_MAX;
		for (int j = 0; j < 32; j++) {
			unsigned int v = (unsigned int)lanes[j];
			ballot |= (v >> 1 & 1) << j;
			same5 |= (unsigned int)(lanes[j] % 5 == x[i] % 5) << j;
			same3 |= (unsigned int)(lanes[j] % 3 == x[i] % 3) << j;
			sum += v;
			least = lanes[j] - 500 < least ? lanes[j] - 500 : least;
			most = v - 500 > most ? v - 500 : most;
			all &= v | 3;
			any |= v;
			odd ^= v;
		}
		bool zero = false;
		bool third = false;
		for (int j = 0; j < 32; j++) {
			zero |= lanes[j] <= 0;
			third |= lanes[j] == x[3];
		}
		const unsigned int want[] = {
		    1,    !zero, third, 0,  ballot, same5, ~0u + 1u, 0, same3, sum, (unsigned int)least,
		    most, all,   any,   odd};
		for (int k = 0; k < 15; k++) {
			if ((unsigned int)y[N * k + i] != want[k])
				fail_msg("value %d of thread %d is %d, not %d", k, i, y[N * k + i],
					 (int)want[k]);
		}
	}
}

static void atomics_of_all_types_lose_nothing(void **state)
{
	enum { BLOCKS = 9, THREADS = 200 };
	unsigned int u[8] = {0, ~0u, 0, ~0u, 0, 0, 0, 0}, inc = 0, dec = 0, part[8];
	int s[8] = {0, INT32_MAX, INT32_MIN, -1, 0, 0, 0, 0}, sub = 0;
	unsigned long long w[8] = {0, ~0ull, 0, ~0ull, 0, 0, 0, 0};
	long long l[8] = {0, INT64_MAX, INT64_MIN, -1, 0, 0, 0, 0};
	float f = 0;
	double d = 0;
	(void)state;
	fill();
	memcpy(y, u, sizeof(u));
	memcpy(y + 8, s, sizeof(s));
	memcpy(y + 16, w, sizeof(w));
	memcpy(y + 32, l, sizeof(l));
	run("atomics", BLOCKS, THREADS);
	for (int b = 0; b < BLOCKS; b++) {
		const unsigned int start[8] = {0, ~0u, 0, ~0u, 0, 0, 0, 0};
		memcpy(part, start, sizeof(part));
		for (int t = 0; t < THREADS; t++) {
			unsigned int v = (unsigned int)(x[t] % 1000);
			int n = (int)v - 500;
#define APPLY(p, v)                                                                                          \
	p[0] += v, p[1] = v < p[1] ? v : p[1], p[2] = v > p[2] ? v : p[2], p[3] &= v | 64, p[4] |= v,        \
		   p[5] ^= v, p[6] += v + v, p[7] = 5
			APPLY(u, v);
			APPLY(s, n);
			APPLY(w, v);
			APPLY(l, n);
			APPLY(part, v);
			inc = inc >= 9 ? 0 : inc + 1;
			dec = dec == 0 || dec > 9 ? 9 : dec - 1;
			sub -= (int)v;
			f += (float)v;
			d += v * 0.5;
		}
	}
	assert_memory_equal(y, u, sizeof(u));
	assert_memory_equal(y + 8, s, sizeof(s));
	assert_memory_equal(y + 16, w, sizeof(w));
	assert_memory_equal(y + 32, l, sizeof(l));
	assert_int_equal((unsigned int)y[48], inc);
	assert_int_equal((unsigned int)y[49], dec);
	assert_int_equal(y[50], sub);
	assert_memory_equal(y + 51, &f, sizeof(f));
	assert_memory_equal(y + 52, &d, sizeof(d));
	const float four[] = {BLOCKS * THREADS, 2 * BLOCKS * THREADS, f, 4 * BLOCKS * THREADS};
	assert_memory_equal(y + 56, four, sizeof(four));
	for (int i = 0; i < 8; i++) {
		assert_int_equal((unsigned int)y[64 + i], part[i]);
		assert_int_equal((unsigned int)y[72 + i], part[i]);
	}
}

static void atomics_give_each_thread_a_place_of_its_own(void **state)
{
	static char seen[1024];
	(void)state;
	fill();
	run("ordered", 1, 1000);
	assert_int_equal(y[0], 1000);
	for (int i = 0; i < 1000; i++)
		seen[y[1 + i]]++;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(seen[i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(shuffles_of_all_kinds_and_widths_read_the_right_lane),
	    cmocka_unit_test(lanes_that_arrive_apart_meet_in_a_shuffle),
	    cmocka_unit_test(votes_matches_and_reductions_see_all_lanes),
	    cmocka_unit_test(atomics_of_all_types_lose_nothing),
	    cmocka_unit_test(atomics_give_each_thread_a_place_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
