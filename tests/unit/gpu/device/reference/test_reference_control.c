/* Divergence, calls, barriers and forward progress. */
#include "tests/unit/gpu/device/reference/rig.h"

/* Every kernel takes one buffer of ints and a number. */
static const char source[] =
    "extern \"C\" __global__ void nested(int *y, int n)\n"
    "{\n"
    "  int i = threadIdx.x, v = 0;\n"
    "  for (int j = 0; j < i; j++) {\n"
    "    if (j % 3 == 0) { if (j % 2) v += 2; else v += 5; continue; }\n"
    "    if (j == 17) break;\n"
    "    for (int k = j; k > 0; k /= 2) { if (k == 5) goto out; v += k & 1; }\n"
    "  out:\n"
    "    v ^= j;\n"
    "  }\n"
    "  y[i] = v;\n"
    "}\n"
    "extern \"C\" __global__ void loops_of_different_length(int *y, int n)\n"
    "{\n"
    "  int i = threadIdx.x, steps = 0;\n"
    "  unsigned v = i + 1;\n"
    "  while (v != 1) { v = v & 1 ? 3 * v + 1 : v / 2; steps++; }\n"
    "  unsigned together = __popc(__activemask());\n"
    "  y[2 * i] = steps; y[2 * i + 1] = together;\n"
    "}\n"
    "extern \"C\" __global__ void switches(int *y, int n)\n"
    "{\n"
    "  int i = threadIdx.x, v = i;\n"
    "  switch (i % 11) { case 0: v *= 3; break; case 1: v += 7; case 2: v -= 2; break; case 3: v ^= 99; "
    "break; case 4: v = -v; break;\n"
    "  case 5: v <<= 2; break; case 6: v %= 5; break; case 7: v /= 3; case 8: v |= 64; break; case 9: "
    "return; default: v = 1; }\n"
    "  y[i] = v;\n"
    "}\n"
    "extern \"C\" __global__ void spin_lock_within_a_warp(int *y, int n)\n"
    "{\n"
    "  /* y[0] lock, y[1] counter: each lane takes the lock in turn, others of the same warp spin meanwhile "
    "*/\n"
    "  for (int j = 0; j < n; j++) {\n"
    "    while (atomicCAS(&y[0], 0, 1) != 0) ;\n"
    "    y[1] = *(volatile int *)&y[1] + 1;\n"
    "    __threadfence();\n"
    "    atomicExch(&y[0], 0);\n"
    "  }\n"
    "}\n"
    "extern \"C\" __global__ void wait_for_another_lane(volatile int *y, int n)\n"
    "{\n"
    "  int lane = threadIdx.x;\n"
    "  /* lane 0 waits for lane 31, lane 31 for nobody */\n"
    "  if (lane < 31) while (!y[lane + 1]) ;\n"
    "  y[lane] = lane + 1;\n"
    "}\n"
    "extern \"C\" __global__ void wait_for_another_warp(volatile int *y, int n)\n"
    "{\n"
    "  int w = threadIdx.x / 32;\n"
    "  if (threadIdx.x % 32 == 0) { while (y[0] != w) ; y[w + 1] = w * w; __threadfence(); y[0] = w + 1; }\n"
    "}\n"
    "extern \"C\" __global__ void wait_for_earlier_blocks(volatile int *y, int n)\n"
    "{\n"
    "  if (blockIdx.x) while (!y[blockIdx.x - 1]) ;\n"
    "  y[blockIdx.x] = (blockIdx.x ? y[blockIdx.x - 1] : 0) + 1;\n"
    "}\n"
    "extern \"C\" __global__ void producer_consumer(int *y, int n)\n"
    "{\n"
    "  __shared__ int box[32];\n"
    "  for (int j = 0; j < n; j++) {\n"
    "    if (threadIdx.x < 32) { box[threadIdx.x] = j * 100 + threadIdx.x; asm volatile(\"bar.arrive 1, "
    "64;\"); asm volatile(\"bar.sync 2, 64;\"); }\n"
    "    else { asm volatile(\"bar.sync 1, 64;\"); y[threadIdx.x - 32] += box[threadIdx.x - 32]; asm "
    "volatile(\"bar.arrive 2, 64;\"); }\n"
    "  }\n"
    "}\n"
    "extern \"C\" __global__ void barrier_in_both_branches(int *y, int n)\n"
    "{\n"
    "  __shared__ int s[64];\n"
    "  s[threadIdx.x] = threadIdx.x;\n"
    "  if (threadIdx.x & 1) { __syncthreads(); y[threadIdx.x] = s[63 - threadIdx.x]; }\n"
    "  else { __syncthreads(); y[threadIdx.x] = -s[63 - threadIdx.x]; }\n"
    "}\n"
    "extern \"C\" __global__ void barrier_after_exit(int *y, int n)\n"
    "{\n"
    "  __shared__ int s[96];\n"
    "  if (threadIdx.x >= n) return;\n"
    "  s[threadIdx.x] = threadIdx.x * 2;\n"
    "  __syncthreads();\n"
    "  y[threadIdx.x] = s[n - 1 - threadIdx.x];\n"
    "}\n"
    "extern \"C\" __global__ void barrier_reductions(int *y, int n)\n"
    "{\n"
    "  y[3 * threadIdx.x] = __syncthreads_count(threadIdx.x % 3 == 0);\n"
    "  y[3 * threadIdx.x + 1] = __syncthreads_and(threadIdx.x < n);\n"
    "  y[3 * threadIdx.x + 2] = __syncthreads_or(threadIdx.x == n);\n"
    "}\n"
    "static __device__ __noinline__ int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n "
    "- 2); }\n"
    "static __device__ __noinline__ int ackermann(int m, int n) { return m == 0 ? n + 1 : n == 0 ? "
    "ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1)); }\n"
    "static __device__ __noinline__ int with_array(int depth, int *up)\n"
    "{\n"
    "  int a[8];\n"
    "  for (int i = 0; i < 8; i++) a[i] = depth * 10 + i;\n"
    "  if (up) up[depth & 7] += 1;\n"
    "  if (depth == 0) return a[3];\n"
    "  int v = with_array(depth - 1, a);\n"
    "  return v + a[(depth - 1) & 7];\n"
    "}\n"
    "extern \"C\" __global__ void recursion(int *y, int n)\n"
    "{\n"
    "  y[3 * threadIdx.x] = fibonacci(threadIdx.x % 12);\n"
    "  y[3 * threadIdx.x + 1] = ackermann(2, threadIdx.x % 4);\n"
    "  y[3 * threadIdx.x + 2] = with_array(threadIdx.x % 7 + 1, 0);\n"
    "}\n"
    "extern \"C\" __global__ void endless_recursion(int *y, int n) { y[threadIdx.x] = fibonacci(n + "
    "1000000000); }\n"
    "static __device__ __noinline__ int twice(int x) { return 2 * x; }\n"
    "static __device__ __noinline__ int square(int x) { return x * x; }\n"
    "static __device__ __noinline__ int negate(int x) { return -x; }\n"
    "__device__ int (*table[3])(int) = {twice, square, negate};\n"
    "extern \"C\" __global__ void function_pointers(int *y, int n) { y[threadIdx.x] = table[threadIdx.x % "
    "3](threadIdx.x); }\n"
    "struct Big { int v[10]; double d; char c; };\n"
    "static __device__ __noinline__ Big change(Big b, int k) { b.v[k] += 5; b.d *= 2; b.c = (char)k; return "
    "b; }\n"
    "extern \"C\" __global__ void structs_by_value(int *y, int n)\n"
    "{\n"
    "  Big b; for (int i = 0; i < 10; i++) b.v[i] = i * (int)threadIdx.x; b.d = 1.5; b.c = 0;\n"
    "  b = change(b, threadIdx.x % 10);\n"
    "  int sum = 0; for (int i = 0; i < 10; i++) sum += b.v[i];\n"
    "  y[threadIdx.x] = sum + (int)b.d + b.c;\n"
    "}\n"
    "extern \"C\" __global__ void local_arrays(int *y, int n)\n"
    "{\n"
    "  int a[32]; for (int i = 0; i < 32; i++) a[i] = i * 3;\n"
    "  for (int i = 0; i < 50; i++) { int j = (threadIdx.x * 7 + i * 5) % 32, k = (threadIdx.x + i) % 32; "
    "int t = a[j]; a[j] = a[k]; a[k] = t; }\n"
    "  unsigned char *bytes = (unsigned char *)a; int sum = 0;\n"
    "  for (int i = 0; i < 128; i++) sum = sum * 31 + bytes[(i * (n + 3)) % 128];\n"
    "  y[threadIdx.x] = sum;\n"
    "}\n"
    "extern \"C\" __global__ void indices(int *y, int n)\n"
    "{\n"
    "  int b = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;\n"
    "  int t = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;\n"
    "  y[b * blockDim.x * blockDim.y * blockDim.z + t] = b * 1000 + t;\n"
    "}\n"
    "extern \"C\" __global__ void count_blocks(int *y, int n) { if (threadIdx.x == 0) "
    "atomicAdd(&y[(blockIdx.x ^ blockIdx.y) & 7], 1); }\n"
    "extern \"C\" __global__ void uses_printf(int *y, int n) { printf(\"%d %s\\n\", n, \"text\"); "
    "y[threadIdx.x] = 7; }\n"
    "extern \"C\" __global__ void uses_malloc(int *y, int n)\n"
    "{\n"
    "  int *p = (int *)malloc(4 * (threadIdx.x + 1));\n"
    "  if (!p) { y[threadIdx.x] = -1; return; }\n"
    "  for (int i = 0; i <= threadIdx.x; i++) p[i] = i;\n"
    "  int sum = 0; for (int i = 0; i <= threadIdx.x; i++) sum += p[i];\n"
    "  free(p); y[threadIdx.x] = sum;\n"
    "}\n";
#define INTS 4096
static int y[INTS];
static struct rig rig;

static void run(const char *entry, uint32_t grid, uint32_t block, int n)
{
	rig_open(&rig);
	rig_compile(&rig, source, entry, NULL, NULL);
	memset(y, 0, sizeof(y));
	const struct rig_buffer buffers[] = {{RIG_INOUT, y, sizeof(y)}};
	rig_must_run(
	    &rig,
	    &(struct rig_launch){
		.grid = {grid}, .block = {block}, .buffers = buffers, .buffer_count = 1, .scalars = {&n}});
	rig_close(&rig);
}

static void nested_loops_with_break_continue_and_goto_follow_each_thread(void **state)
{
	(void)state;
	run("nested", 1, 64, 0);
	for (int i = 0; i < 64; i++) {
		int v = 0;
		for (int j = 0; j < i; j++) {
			if (j % 3 == 0) {
				v += j % 2 ? 2 : 5;
				continue;
			}
			if (j == 17)
				break;
			for (int k = j; k > 0 && k != 5; k /= 2)
				v += k & 1;
			v ^= j;
		}
		assert_int_equal(y[i], v);
	}
}

static void lanes_meet_again_behind_a_loop(void **state)
{
	(void)state;
	run("loops_of_different_length", 1, 64, 0);
	for (int i = 0; i < 64; i++) {
		int steps = 0;
		for (unsigned int v = (unsigned int)i + 1; v != 1; v = v & 1 ? 3 * v + 1 : v / 2)
			steps++;
		assert_int_equal(y[2 * i], steps);
		assert_int_equal(y[2 * i + 1], 32);
	}
}

static void a_switch_takes_each_lane_to_its_case(void **state)
{
	(void)state;
	run("switches", 1, 100, 0);
	for (int i = 0; i < 100; i++) {
		static const int none = 0;
		int v = i;
		switch (i % 11) {
		case 0:
			v *= 3;
			break;
		case 1:
			v += 5;
			break;
		case 2:
			v -= 2;
			break;
		case 3:
			v ^= 99;
			break;
		case 4:
			v = -v;
			break;
		case 5:
			v <<= 2;
			break;
		case 6:
			v %= 5;
			break;
		case 7:
			v = v / 3 | 64;
			break;
		case 8:
			v |= 64;
			break;
		case 9:
			v = none;
			break;
		default:
			v = 1;
		}
		assert_int_equal(y[i], v);
	}
}

static void a_lock_goes_round_among_the_lanes_of_warps(void **state)
{
	(void)state;
	run("spin_lock_within_a_warp", 3, 96, 4);
	assert_int_equal(y[1], 3 * 96 * 4);
	assert_int_equal(y[0], 0);
}

static void a_lane_may_wait_for_another_of_its_warp(void **state)
{
	(void)state;
	run("wait_for_another_lane", 1, 32, 0);
	for (int i = 0; i < 32; i++)
		assert_int_equal(y[i], i + 1);
}

static void a_warp_may_wait_for_another(void **state)
{
	(void)state;
	run("wait_for_another_warp", 1, 1024, 0);
	for (int i = 0; i < 32; i++)
		assert_int_equal(y[i + 1], i * i);
}

static void a_block_may_wait_for_an_earlier_one(void **state)
{
	(void)state;
	run("wait_for_earlier_blocks", 1000, 1, 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(y[i], i + 1);
}

static void named_barriers_pair_arrivals_with_waits(void **state)
{
	(void)state;
	run("producer_consumer", 1, 64, 20);
	for (int i = 0; i < 32; i++)
		assert_int_equal(y[i], 19000 + 20 * i);
}

static void threads_of_one_warp_may_reach_the_barrier_at_different_places(void **state)
{
	(void)state;
	run("barrier_in_both_branches", 1, 64, 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(y[i], i & 1 ? 63 - i : i - 63);
}

static void threads_that_ended_are_not_waited_for(void **state)
{
	(void)state;
	run("barrier_after_exit", 1, 96, 41);
	for (int i = 0; i < 41; i++)
		assert_int_equal(y[i], 2 * (40 - i));
}

static void barriers_reduce_over_partial_warps(void **state)
{
	(void)state;
	run("barrier_reductions", 1, 77, 76);
	for (int i = 0; i < 77; i++) {
		assert_int_equal(y[3 * i], 26);
		assert_int_equal(y[3 * i + 1], 0);
		assert_int_equal(y[3 * i + 2], 1);
	}
}

static int fibonacci(int n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static void recursion_keeps_each_threads_frames_and_arrays_apart(void **state)
{
	(void)state;
	run("recursion", 2, 70, 0);
	for (int i = 0; i < 70; i++) {
		int n = i % 4, depth = i % 7 + 1, sum = 3;
		/* Each call adds the cell of its array that its callee had counted up. */
		for (int d = 1; d <= depth; d++)
			sum += d * 10 + (d - 1) + 1;
		assert_int_equal(y[3 * i], fibonacci(i % 12));
		assert_int_equal(y[3 * i + 1], 2 * n + 3);
		assert_int_equal(y[3 * i + 2], sum);
	}
}

static void endless_recursion_is_a_fault_and_not_a_crash(void **state)
{
	int n = 5;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "endless_recursion", NULL, NULL);
	const struct rig_buffer buffers[] = {{RIG_INOUT, y, sizeof(y)}};
	const struct rig_launch launch = {
	    .block = {64}, .buffers = buffers, .buffer_count = 1, .scalars = {&n}};
	rig_must_fault(&rig, &launch, "CUDA_ERROR_HARDWARE_STACK_ERROR", "calls too deep");
	assert_int_equal(rig.error.native, 714);
	rig_close(&rig);
	/* The device goes on. */
	run("switches", 1, 32, 0);
	assert_int_equal(y[3], 3 ^ 99);
}

static void lanes_call_through_different_pointers(void **state)
{
	(void)state;
	run("function_pointers", 1, 50, 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(y[i], i % 3 == 0 ? 2 * i : i % 3 == 1 ? i * i : -i);
}

static void structs_travel_by_value(void **state)
{
	(void)state;
	run("structs_by_value", 1, 64, 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(y[i], 45 * i + 5 + 3 + i % 10);
}

static void local_arrays_are_indexed_by_words_and_bytes(void **state)
{
	(void)state;
	run("local_arrays", 1, 40, 4);
	for (int t = 0; t < 40; t++) {
		int a[32];
		unsigned char bytes[128];
		unsigned int sum = 0;
		for (int i = 0; i < 32; i++)
			a[i] = i * 3;
		for (int i = 0; i < 50; i++) {
			int j = (t * 7 + i * 5) % 32, k = (t + i) % 32, swapped = a[j];
			a[j] = a[k];
			a[k] = swapped;
		}
		memcpy(bytes, a, sizeof(a));
		for (int i = 0; i < 128; i++)
			sum = sum * 31 + bytes[i * 7 % 128];
		assert_int_equal(y[t], (int)sum);
	}
}

static void indices_run_in_three_dimensions(void **state)
{
	int n = 0;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "indices", NULL, NULL);
	const struct rig_buffer buffers[] = {{RIG_OUT, y, sizeof(y)}};
	rig_must_run(&rig, &(struct rig_launch){.grid = {2, 3, 4},
						.block = {5, 3, 7},
						.buffers = buffers,
						.buffer_count = 1,
						.scalars = {&n}});
	for (int b = 0; b < 24; b++) {
		for (int t = 0; t < 105; t++)
			assert_int_equal(y[b * 105 + t], b * 1000 + t);
	}
	rig_close(&rig);
}

static void a_million_blocks_run_in_bounded_memory(void **state)
{
	int n = 0;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "count_blocks", NULL, NULL);
	memset(y, 0, sizeof(y));
	const struct rig_buffer buffers[] = {{RIG_INOUT, y, sizeof(y)}};
	rig_must_run(&rig, &(struct rig_launch){.grid = {1u << 16, 16},
						.block = {32},
						.buffers = buffers,
						.buffer_count = 1,
						.scalars = {&n}});
	for (int i = 0; i < 8; i++)
		assert_int_equal(y[i], 1 << 17);
	rig_close(&rig);
}

static void printf_is_accepted_and_discarded(void **state)
{
	(void)state;
	run("uses_printf", 1, 40, 3);
	assert_int_equal(y[39], 7);
}

static void kernels_allocate_and_free(void **state)
{
	(void)state;
	run("uses_malloc", 4, 128, 3);
	for (int i = 0; i < 128; i++)
		assert_int_equal(y[i], i * (i + 1) / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nested_loops_with_break_continue_and_goto_follow_each_thread),
	    cmocka_unit_test(lanes_meet_again_behind_a_loop),
	    cmocka_unit_test(a_switch_takes_each_lane_to_its_case),
	    cmocka_unit_test(a_lock_goes_round_among_the_lanes_of_warps),
	    cmocka_unit_test(a_lane_may_wait_for_another_of_its_warp),
	    cmocka_unit_test(a_warp_may_wait_for_another),
	    cmocka_unit_test(a_block_may_wait_for_an_earlier_one),
	    cmocka_unit_test(named_barriers_pair_arrivals_with_waits),
	    cmocka_unit_test(threads_of_one_warp_may_reach_the_barrier_at_different_places),
	    cmocka_unit_test(threads_that_ended_are_not_waited_for),
	    cmocka_unit_test(barriers_reduce_over_partial_warps),
	    cmocka_unit_test(recursion_keeps_each_threads_frames_and_arrays_apart),
	    cmocka_unit_test(endless_recursion_is_a_fault_and_not_a_crash),
	    cmocka_unit_test(lanes_call_through_different_pointers),
	    cmocka_unit_test(structs_travel_by_value),
	    cmocka_unit_test(local_arrays_are_indexed_by_words_and_bytes),
	    cmocka_unit_test(indices_run_in_three_dimensions),
	    cmocka_unit_test(a_million_blocks_run_in_bounded_memory),
	    cmocka_unit_test(printf_is_accepted_and_discarded),
	    cmocka_unit_test(kernels_allocate_and_free),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
