/* The memory checker: what a kernel may touch to the byte, and what a fault says. */
#include "tests/unit/gpu/device/reference/rig.h"

static const char source[] =
    "__device__ int spare[4] = {1, 2, 3, 4};\n"
    "__constant__ int fixed[3] = {5, 6, 7};\n"
    "extern \"C\" __global__ void read_at(const char *x, long long *y, long long at, int size)\n"
    "{\n"
    "  if (threadIdx.x != 5) return;\n"
    "  if (size == 1) y[0] = x[at]; else if (size == 2) y[0] = *(short *)(x + at); else if (size == 4) y[0] "
    "= *(int *)(x + at);\n"
    "  else if (size == 8) y[0] = *(long long *)(x + at); else { int4 v = *(const int4 *)(x + at); y[0] = "
    "v.x + v.y + v.z + v.w; }\n"
    "}\n"
    "extern \"C\" __global__ void write_at(char *x, long long *y, long long at, int size)\n"
    "{\n"
    "  if (threadIdx.x != 5) return;\n"
    "  if (size == 1) x[at] = 1; else if (size == 2) *(short *)(x + at) = 1; else if (size == 4) *(int *)(x "
    "+ at) = 1;\n"
    "  else if (size == 8) *(long long *)(x + at) = 1; else *(int4 *)(x + at) = make_int4(1, 2, 3, 4);\n"
    "}\n"
    "extern \"C\" __global__ void every_thread_reads(const int *x, long long *y, long long at, int size) { "
    "if (x[threadIdx.x + at] == 77) y[0] = 1; }\n"
    "extern \"C\" __global__ void add_at(char *x, long long *y, long long at, int size) { atomicAdd((int "
    "*)(x + at), 1); }\n"
    "extern \"C\" __global__ void shared_at(char *x, int *y, long long at, int size)\n"
    "{\n"
    "  __shared__ int s[32]; __shared__ int t[32];\n"
    "  s[threadIdx.x] = 1; t[threadIdx.x] = 2; __syncthreads(); y[0] = s[at] + t[31];\n"
    "}\n"
    "extern \"C\" __global__ void local_at(char *x, int *y, long long at, int size) { int a[16]; for (int i "
    "= 0; i < 16; i++) a[i] = size; y[0] = a[at]; }\n"
    "extern \"C\" __global__ void global_at(char *x, int *y, long long at, int size) { y[0] = spare[at]; }\n"
    "extern \"C\" __global__ void constant_at(char *x, int *y, long long at, int size) { y[0] = fixed[at]; "
    "}\n"
    "extern \"C\" __global__ void null_pointer(char *x, int *y, long long at, int size) { *(int *)at = 3; }\n"
    "extern \"C\" __global__ void traps(char *x, int *y, long long at, int size) { if (threadIdx.x == at) "
    "__trap(); }\n"
    "extern \"C\" __global__ void asserts(char *x, int *y, long long at, int size) { assert(size < 3); y[0] "
    "= 1; }\n"
    "extern \"C\" __global__ void deadlock(char *x, int *y, long long at, int size)\n"
    "{\n"
    "  if (threadIdx.x < 32) __syncthreads(); else asm volatile(\"bar.sync 1, 96;\"); y[0] = 1;\n"
    "}\n"
    "extern \"C\" __global__ void spins(volatile char *x, int *y, long long at, int size) { while (x[0] == "
    "0) ; }\n"
    "static __device__ __noinline__ int deeper(const int *x, long long at) { return x[at]; }\n"
    "extern \"C\" __global__ void faults_in_function(const int *x, int *y, long long at, int size) { y[0] = "
    "deeper(x, at); }\n";

static struct rig rig;

static void open_with(const char *entry)
{
	rig_open(&rig);
	rig_compile(&rig, source, entry, "--generate-line-info", NULL);
}

/* x has 64 bytes between two other buffers; y is the result. */
static const struct rig_launch *launch_of(int direction, long long at, int size)
{
	static char x[64];
	static long long result[4];
	static struct rig_buffer buffers[2];
	static struct rig_launch launch;
	static long long kept_at;
	static int kept_size;
	kept_at = at;
	kept_size = size;
	buffers[0] = (struct rig_buffer){direction, x, sizeof(x)};
	buffers[1] = (struct rig_buffer){RIG_OUT, result, sizeof(result)};
	launch = (struct rig_launch){
	    .block = {32}, .buffers = buffers, .buffer_count = 2, .scalars = {&kept_at, &kept_size}};
	return &launch;
}

static void reads_are_checked_to_the_byte(void **state)
{
	static const int sizes[] = {1, 2, 4, 8, 16};
	char text[80];
	(void)state;
	open_with("read_at");
	for (size_t i = 0; i < 5; i++) {
		int size = sizes[i];
		rig_must_run(&rig, launch_of(RIG_IN, 0, size));
		rig_must_run(&rig, launch_of(RIG_IN, 64 - size, size));
		snprintf(text, sizeof(text), "reads %d bytes at offset 64 of parameter 0 (64 bytes)", size);
		rig_must_fault(&rig, launch_of(RIG_IN, 64, size), "CUDA_ERROR_ILLEGAL_ADDRESS", text);
		assert_int_equal(rig.error.native, 700);
		snprintf(text, sizeof(text), "reads %d bytes at offset -%d of parameter 0 (64 bytes)", size,
			 size);
		rig_must_fault(&rig, launch_of(RIG_IN, -size, size), "CUDA_ERROR_ILLEGAL_ADDRESS", text);
	}
	assert_non_null(strstr(rig.error.text, "kernel `read_at`"));
	assert_non_null(strstr(rig.error.text, "block 0,0,0, thread 5,0,0"));
	assert_non_null(strstr(rig.error.text, "line 7 of kernel.cu"));
	assert_non_null(strstr(rig.error.text, "PTX line"));
	rig_close(&rig);
}

static void writes_are_checked_to_the_byte(void **state)
{
	static const int sizes[] = {1, 2, 4, 8, 16};
	char text[80];
	(void)state;
	open_with("write_at");
	for (size_t i = 0; i < 5; i++) {
		int size = sizes[i];
		rig_must_run(&rig, launch_of(RIG_INOUT, 64 - size, size));
		snprintf(text, sizeof(text), "writes %d bytes at offset 64 of parameter 0 (64 bytes)", size);
		rig_must_fault(&rig, launch_of(RIG_INOUT, 64, size), "CUDA_ERROR_ILLEGAL_ADDRESS", text);
		rig_must_fault(&rig, launch_of(RIG_INOUT, -size, size), "CUDA_ERROR_ILLEGAL_ADDRESS",
			       "of parameter 0");
	}
	rig_close(&rig);
}

static void a_fault_far_away_still_names_the_nearest_buffer_or_none(void **state)
{
	(void)state;
	open_with("read_at");
	rig_must_fault(&rig, launch_of(RIG_IN, 1ll << 30, 4), "CUDA_ERROR_ILLEGAL_ADDRESS",
		       "at offset 1073741824 of parameter 0");
	rig_must_fault(&rig, launch_of(RIG_IN, 1ll << 50, 4), "CUDA_ERROR_ILLEGAL_ADDRESS",
		       "at an address that belongs to no buffer");
	rig_must_fault(&rig, launch_of(RIG_IN, -(1ll << 62), 4), "CUDA_ERROR_ILLEGAL_ADDRESS",
		       "belongs to no buffer");
	rig_close(&rig);
}

static void inputs_are_read_only(void **state)
{
	(void)state;
	open_with("write_at");
	rig_must_fault(&rig, launch_of(RIG_IN, 0, 4), "CUDA_ERROR_ILLEGAL_ADDRESS",
		       "parameter 0 (64 bytes), which is read-only");
	rig_close(&rig);
	open_with("add_at");
	rig_must_fault(&rig, launch_of(RIG_IN, 0, 4), "CUDA_ERROR_ILLEGAL_ADDRESS",
		       "updates 4 bytes at offset 0");
	rig_close(&rig);
}

static void misaligned_accesses_are_faults(void **state)
{
	static const int sizes[] = {2, 4, 8, 16};
	(void)state;
	open_with("read_at");
	for (size_t i = 0; i < 4; i++) {
		rig_must_fault(&rig, launch_of(RIG_IN, sizes[i] / 2, sizes[i]),
			       "CUDA_ERROR_MISALIGNED_ADDRESS", "which is not aligned");
		assert_int_equal(rig.error.native, 716);
	}
	rig_close(&rig);
	open_with("add_at");
	rig_must_run(&rig, launch_of(RIG_INOUT, 60, 4));
	rig_must_fault(&rig, launch_of(RIG_INOUT, 6, 4), "CUDA_ERROR_MISALIGNED_ADDRESS", "updates 4 bytes");
	rig_must_fault(&rig, launch_of(RIG_INOUT, 64, 4), "CUDA_ERROR_ILLEGAL_ADDRESS", "updates 4 bytes");
	rig_close(&rig);
}

static void one_lane_too_many_in_a_contiguous_access_is_found(void **state)
{
	(void)state;
	open_with("every_thread_reads");
	struct rig_launch launch = *launch_of(RIG_IN, 0, 4);
	launch.block[0] = 16;
	rig_must_run(&rig, &launch);
	launch.block[0] = 17;
	rig_must_fault(&rig, &launch, "CUDA_ERROR_ILLEGAL_ADDRESS", "thread 16,0,0");
	launch = *launch_of(RIG_IN, -15, 4);
	launch.block[0] = 31;
	rig_must_fault(&rig, &launch, "CUDA_ERROR_ILLEGAL_ADDRESS", "at offset -60 of parameter 0");
	rig_close(&rig);
}

static void variables_of_the_module_and_the_block_have_bounds_of_their_own(void **state)
{
	static const struct {
		const char *entry, *text;
		long long last;
	} rows[] = {{"shared_at", "s` (128 bytes)", 31},
		    {"local_at", "local memory", 15},
		    {"global_at", "`spare` (16 bytes)", 3},
		    {"constant_at", "`fixed` (12 bytes)", 2}};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		open_with(rows[i].entry);
		rig_must_run(&rig, launch_of(RIG_IN, rows[i].last, 4));
		rig_must_fault(&rig, launch_of(RIG_IN, rows[i].last + 1, 4), "CUDA_ERROR_ILLEGAL_ADDRESS",
			       rows[i].text);
		rig_must_fault(&rig, launch_of(RIG_IN, -1, 4), "CUDA_ERROR_ILLEGAL_ADDRESS", rows[i].text);
		rig_close(&rig);
	}
}

static void a_null_pointer_is_called_one(void **state)
{
	(void)state;
	open_with("null_pointer");
	rig_must_fault(&rig, launch_of(RIG_IN, 0, 4), "CUDA_ERROR_ILLEGAL_ADDRESS",
		       "writes 4 bytes through a null pointer");
	rig_must_fault(&rig, launch_of(RIG_IN, 4096, 4), "CUDA_ERROR_ILLEGAL_ADDRESS",
		       "through a null pointer");
	rig_close(&rig);
}

static void an_empty_buffer_is_a_null_pointer(void **state)
{
	long long at = 0, result[4];
	int size = 4;
	(void)state;
	open_with("read_at");
	const struct rig_buffer buffers[] = {{RIG_IN, result, 0}, {RIG_OUT, result, sizeof(result)}};
	rig_must_fault(&rig,
		       &(struct rig_launch){
			   .block = {32}, .buffers = buffers, .buffer_count = 2, .scalars = {&at, &size}},
		       "CUDA_ERROR_ILLEGAL_ADDRESS", "through a null pointer");
	rig_close(&rig);
}

static void traps_and_assertions_are_told(void **state)
{
	(void)state;
	open_with("traps");
	rig_must_run(&rig, launch_of(RIG_IN, 99, 4));
	rig_must_fault(&rig, launch_of(RIG_IN, 9, 4), "CUDA_ERROR_LAUNCH_FAILED", "executes a trap");
	assert_non_null(strstr(rig.error.text, "thread 9,0,0"));
	rig_close(&rig);
	open_with("asserts");
	rig_must_run(&rig, launch_of(RIG_IN, 0, 2));
	rig_must_fault(&rig, launch_of(RIG_IN, 0, 3), "CUDA_ERROR_ASSERT",
		       "fails its assertion `size < 3` at kernel.cu:");
	assert_int_equal(rig.error.native, 710);
	rig_close(&rig);
}

static void a_barrier_that_nobody_completes_is_a_fault(void **state)
{
	(void)state;
	open_with("deadlock");
	struct rig_launch launch = *launch_of(RIG_IN, 0, 4);
	launch.block[0] = 64;
	rig_must_fault(&rig, &launch, "CUDA_ERROR_LAUNCH_FAILED", "waits for ever at a barrier");
	rig_close(&rig);
}

static void a_budget_ends_what_would_run_for_ever(void **state)
{
	(void)state;
	open_with("spins");
	gd_reference_set_budget(rig.device, 1000000);
	rig_must_fault(&rig, launch_of(RIG_IN, 0, 4), "CUDA_ERROR_LAUNCH_TIMEOUT", "budget");
	rig_close(&rig);
}

static void a_fault_in_a_function_names_it(void **state)
{
	(void)state;
	open_with("faults_in_function");
	rig_must_fault(&rig, launch_of(RIG_IN, 16, 4), "CUDA_ERROR_ILLEGAL_ADDRESS", "in function `");
	assert_non_null(strstr(rig.error.text, "deeper"));
	rig_close(&rig);
}

static void the_stream_works_on_after_a_fault(void **state)
{
	(void)state;
	open_with("read_at");
	for (int i = 0; i < 100; i++) {
		rig_must_fault(&rig, launch_of(RIG_IN, 64, 4), "CUDA_ERROR_ILLEGAL_ADDRESS", "parameter 0");
		rig_must_run(&rig, launch_of(RIG_IN, 60, 4));
	}
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_are_checked_to_the_byte),
	    cmocka_unit_test(writes_are_checked_to_the_byte),
	    cmocka_unit_test(a_fault_far_away_still_names_the_nearest_buffer_or_none),
	    cmocka_unit_test(inputs_are_read_only),
	    cmocka_unit_test(misaligned_accesses_are_faults),
	    cmocka_unit_test(one_lane_too_many_in_a_contiguous_access_is_found),
	    cmocka_unit_test(variables_of_the_module_and_the_block_have_bounds_of_their_own),
	    cmocka_unit_test(a_null_pointer_is_called_one),
	    cmocka_unit_test(an_empty_buffer_is_a_null_pointer),
	    cmocka_unit_test(traps_and_assertions_are_told),
	    cmocka_unit_test(a_barrier_that_nobody_completes_is_a_fault),
	    cmocka_unit_test(a_budget_ends_what_would_run_for_ever),
	    cmocka_unit_test(a_fault_in_a_function_names_it),
	    cmocka_unit_test(the_stream_works_on_after_a_fault),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
