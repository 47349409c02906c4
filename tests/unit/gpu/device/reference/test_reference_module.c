/* Modules: variables, shared memory, signatures, what is refused and how, and launches that cannot be. */
#include "tests/unit/gpu/device/reference/rig.h"

#include <stdio.h>

static const char source[] =
    "__device__ int counter = 10;\n"
    "__device__ int zeroes[100];\n"
    "__device__ int *pointer = &counter;\n"
    "__device__ const char *text = \"hello\";\n"
    "__constant__ float tab[4] = {1.5f, 2.5f, 3.5f, 4.5f};\n"
    "__constant__ const int *chain[2] = {zeroes + 3, &counter};\n"
    "struct Pair { int a; long long b; double c; const char *name; };\n"
    "__device__ Pair pairs[2] = {{1, 1ll << 40, 2.5, \"x\"}, {2, -1, -0.5, \"yz\"}};\n"
    "extern \"C\" __global__ void variables(int *y, int n)\n"
    "{\n"
    "  y[0] = atomicAdd(&counter, 1); y[1] = *pointer; y[2] = text[4]; y[3] = (int)(tab[n & 3] * 2); y[4] = "
    "zeroes[n]; zeroes[n] = 5;\n"
    "  y[5] = chain[0] - zeroes; y[6] = *chain[1]; y[7] = pairs[n & 1].a + (int)(pairs[n & 1].b >> 38) + "
    "(int)(pairs[n & 1].c * 2) + pairs[n & 1].name[0];\n"
    "}\n"
    "extern __shared__ double dynamic[];\n"
    "extern \"C\" __global__ void shared_kinds(int *y, int n)\n"
    "{\n"
    "  __shared__ char a[3]; __shared__ double b[2];\n"
    "  a[threadIdx.x % 3] = 1; b[threadIdx.x % 2] = 2.5; dynamic[threadIdx.x] = threadIdx.x; ((int "
    "*)dynamic)[2 * n + threadIdx.x] = 3;\n"
    "  __syncthreads();\n"
    "  unsigned size; asm(\"mov.u32 %0, %%dynamic_smem_size;\" : \"=r\"(size));\n"
    "  if (threadIdx.x == 0) { y[0] = a[0] + a[1] + a[2] + (int)(b[0] + b[1]); y[1] = (int)dynamic[n - 1]; "
    "y[2] = size; y[3] = ((size_t)dynamic & 15) == 0; }\n"
    "  y[4 + threadIdx.x] = ((int *)dynamic)[2 * n + threadIdx.x];\n"
    "}\n"
    "extern \"C\" __global__ void increments(int *y, int n) { y[threadIdx.x] += n; counter++; if "
    "(threadIdx.x == 0) y[40] = counter; }\n"
    "extern \"C\" __global__ void __launch_bounds__(64) bounded(int *y, int n) { y[threadIdx.x] = n; }\n"
    "struct P { char c; short s; float4 f; int a[5]; };\n"
    "extern \"C\" __global__ void parameters(int *y, P p, char c, double d, short s, long long l, bool b)\n"
    "{ y[0] = p.c + p.s + (int)p.f.z + p.a[threadIdx.x % 5]; y[1] = c; y[2] = (int)d; y[3] = s; y[4] = "
    "(int)(l >> 32); y[5] = b; }\n"
    "template <int N> __global__ void scaled(int *y, int n) { y[threadIdx.x] = N * n; }\n"
    "template __global__ void scaled<7>(int *, int);\n";
static int y[512];
static struct rig rig;

static struct rig_launch launch_of(const int *n)
{
	static const struct rig_buffer buffers[] = {{RIG_INOUT, y, sizeof(y)}};
	return (struct rig_launch){.block = {32}, .buffers = buffers, .buffer_count = 1, .scalars = {n}};
}

static void variables_have_their_initial_values_at_every_submit(void **state)
{
	int n = 2;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "variables", NULL, NULL);
	struct rig_launch launch = launch_of(&n);
	launch.block[0] = 1;
	for (int i = 0; i < 3; i++) {
		const int want[] = {10, 11, 'o', 7, 0, 3, 11, 1 + 4 + 5 + 'x'};
		rig_must_run(&rig, &launch);
		for (int j = 0; j < 8; j++)
			assert_int_equal(y[j], want[j]);
	}
	rig_close(&rig);
}

static void iterations_run_on_the_same_memory(void **state)
{
	int n = 3;
	(void)state;
	memset(y, 0, sizeof(y));
	rig_open(&rig);
	rig_compile(&rig, source, "increments", NULL, NULL);
	struct rig_launch launch = launch_of(&n);
	launch.iterations = 5;
	rig_must_run(&rig, &launch);
	assert_int_equal(y[7], 15);
	assert_int_equal(y[40], 15);
	rig_close(&rig);
}

static void static_and_dynamic_shared_memory_lie_side_by_side(void **state)
{
	int n = 32;
	(void)state;
	memset(y, 0, sizeof(y));
	rig_open(&rig);
	rig_compile(&rig, source, "shared_kinds", NULL, NULL);
	assert_true(rig.kernel.shared_bytes >= 19 && rig.kernel.shared_bytes <= 32);
	struct rig_launch launch = launch_of(&n);
	launch.shared_bytes = 32 * 8 + 32 * 4;
	rig_must_run(&rig, &launch);
	assert_int_equal(y[0], 8);
	assert_int_equal(y[1], 31);
	assert_int_equal(y[2], 384);
	assert_int_equal(y[3], 1);
	assert_int_equal(y[35], 3);
	launch.shared_bytes -= 4;
	rig_must_fault(&rig, &launch, "CUDA_ERROR_ILLEGAL_ADDRESS",
		       "writes 4 bytes at offset 380 of `dynamic shared memory`");
	rig_close(&rig);
}

static void the_largest_shared_memory_is_there_and_no_more(void **state)
{
	int n = 32;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "shared_kinds", NULL, NULL);
	struct rig_launch launch = launch_of(&n);
	launch.shared_bytes = rig.kernel.max_dynamic_shared_bytes;
	assert_true(launch.shared_bytes > 226 * 1024);
	rig_must_run(&rig, &launch);
	launch.shared_bytes++;
	assert_false(rig_run(&rig, &launch));
	assert_int_equal(rig.error.code, GD_INVALID_REQUEST);
	rig_close(&rig);
}

static void parameters_of_all_kinds_arrive(void **state)
{
	struct {
		char c;
		short s;
		_Alignas(16) float f[4];
		int a[5];
	} p = {1, 20, {0, 0, 300, 0}, {4000, 1, 2, 3, 4}};
	char c = -5;
	double d = 1234.75;
	short s = -300;
	long long l = 77ll << 32;
	_Bool b = true;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "parameters", NULL, NULL);
	assert_int_equal(rig.kernel.param_count, 7);
	assert_int_equal(rig.kernel.params[1].offset, 16);
	assert_int_equal(rig.kernel.params[1].size, sizeof(p));
	const struct rig_buffer buffers[] = {{RIG_INOUT, y, sizeof(y)}};
	rig_must_run(&rig, &(struct rig_launch){
			       .buffers = buffers, .buffer_count = 1, .scalars = {&p, &c, &d, &s, &l, &b}});
	const int want[] = {4321, -5, 1234, -300, 77, 1};
	assert_memory_equal(y, want, sizeof(want));
	rig_close(&rig);
}

static void a_template_is_found_by_its_mangled_name(void **state)
{
	int n = 6;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "_Z6scaledILi7EEvPii", NULL, NULL);
	struct rig_launch launch = launch_of(&n);
	rig_must_run(&rig, &launch);
	assert_int_equal(y[31], 42);
	rig_close(&rig);
}

static void launches_outside_of_the_limits_are_refused(void **state)
{
	static const struct {
		const char *why;
		uint32_t grid[3], block[3];
		bool is_legal;
	} rows[] = {{"the largest block", {1, 1, 1}, {1024, 1, 1}, true},
		    {"one thread too many", {1, 1, 1}, {1025, 1, 1}, false},
		    {"the largest depth", {1, 1, 1}, {1, 1, 64}, true},
		    {"too deep", {1, 1, 1}, {1, 1, 65}, false},
		    {"too many in all", {1, 1, 1}, {33, 32, 1}, false},
		    {"the largest second dimension", {1, 65535, 1}, {1, 1, 1}, true},
		    {"too many in the second", {1, 65536, 1}, {1, 1, 1}, false},
		    {"too many in the third", {1, 1, 65536}, {1, 1, 1}, false},
		    {"too many in the first", {0x80000000u, 1, 1}, {1, 1, 1}, false}};
	int n = 1;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "_Z6scaledILi7EEvPii", NULL, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static int large[1024];
		const struct rig_buffer buffers[] = {{RIG_INOUT, large, sizeof(large)}};
		struct rig_launch launch = {.buffers = buffers, .buffer_count = 1, .scalars = {&n}};
		memcpy(launch.grid, rows[i].grid, sizeof(launch.grid));
		memcpy(launch.block, rows[i].block, sizeof(launch.block));
		if (rig_run(&rig, &launch) != rows[i].is_legal)
			fail_msg("%s: %s", rows[i].why, rig.error.text);
		if (!rows[i].is_legal)
			assert_int_equal(rig.error.code, GD_INVALID_REQUEST);
	}
	rig_close(&rig);
	rig_open(&rig);
	rig_compile(&rig, source, "bounded", NULL, NULL);
	assert_int_equal(rig.kernel.max_threads, 64);
	struct rig_launch launch = launch_of(&n);
	launch.block[0] = 64;
	rig_must_run(&rig, &launch);
	launch.block[0] = 65;
	assert_false(rig_run(&rig, &launch));
	assert_int_equal(rig.error.code, GD_INVALID_REQUEST);
	rig_close(&rig);
}

static bool load(const char *body)
{
	static char text[4096];
	snprintf(text, sizeof(text),
		 ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 p)\n{\n.reg "
		 ".b32 %%r<9>; .reg "
		 ".b64 %%rd<9>; .reg .pred %%p<4>; .reg .f32 %%f<4>;\n%s\nret;\n}\n",
		 body);
	memset(&rig.error, 0, sizeof(rig.error));
	return rig_try_load(&rig, text, strlen(text), "k");
}

static void unknown_instructions_are_named_with_their_lines(void **state)
{
	static const struct {
		const char *body, *name;
	} rows[] = {{NULL, NULL},
		    {"wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 %r1, %r2, %r3, %r4;", "wmma.mma.sync"},
		    {"frobnicate.u32 %r1, %r2;", "frobnicate.u32"},
		    {"add.frob.u32 %r1, %r2, %r3;", "add.frob.u32"},
		    {"cp.async.ca.shared.global [%r1], [%rd1], 16;", "cp.async.ca.shared.global"}};
	(void)state;
	rig_open(&rig);
	for (size_t i = 1; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(load(rows[i].body));
		assert_int_equal(rig.error.code, GD_UNSUPPORTED_FEATURE);
		assert_non_null(strstr(rig.error.text, rows[i].name));
		assert_non_null(strstr(rig.error.text, "PTX line 7"));
		assert_null(strstr(rig.error.text, "source line"));
	}
	assert_false(load(".loc 1 42 3\nfrobnicate.u32 %r1, %r2;"));
	assert_non_null(strstr(rig.error.text, "line 42 of kernel.cu, PTX line 8"));
	rig_close(&rig);
}

static void an_unknown_instruction_elsewhere_does_no_harm(void **state)
{
	static const char text[] = ".version 8.0\n.target sm_90\n.address_size 64\n"
				   ".visible .entry other()\n{ wgmma.fence.sync.aligned; ret; }\n"
				   ".visible .entry k()\n{ ret; }\n";
	(void)state;
	rig_open(&rig);
	assert_true(rig_try_load(&rig, text, strlen(text), "k"));
	assert_false(rig_try_load(&rig, text, strlen(text), "other"));
	assert_int_equal(rig.error.code, GD_UNSUPPORTED_FEATURE);
	assert_false(rig_try_load(&rig, text, strlen(text), "third"));
	assert_int_equal(rig.error.code, GD_INVALID_PROGRAM);
	assert_non_null(strstr(rig.error.text, "third"));
	rig_close(&rig);
}

static void wrong_ptx_is_refused_with_its_line(void **state)
{
	static const char *const rows[] = {
	    "add.u32 %r1, %r2;",
	    "add.u32 %r1, %rd2, %r3;",
	    "add.u32 %r1, %r99, %r3;",
	    "bra nowhere;",
	    "ld.global.u32 %r1, [%r2];",
	    "st.global.u64 [%rd1], %r2;",
	    "@%r1 bra x; x:",
	    "mov.u32 %r1, %p1;",
	    "x: x: ret;",
	    "ld.param.u32 %r1, [p+6];",
	    "ld.param.u32 %r1, [q];",
	    "call missing;",
	    "shl.b32 %r1, %r2, %rd1;",
	    "mov.b64 {%r1,%r2,%r3}, %rd1;",
	    "ld.global.v2.u32 {%r1}, [%rd1];",
	    "setp.lt.u32 %r1, %r2, %r3;",
	    "lop3.b32 %r1, %r2, %r3, %r4, 256;",
	    "{ add.u32 %r1, %r2, %r3;",
	    "add.u32 %r1, %r2, 0f3F800000;",
	    "add.f32 %f1, %f2, 7;",
	    "brx.idx %r1, list;",
	    "add.u32 %r1, %r2, %r3",
	    "\"",
	    "/*",
	    "mov.u32 %r1, 0x;",
	    "mov.u32 %r1, 99999999999999999999;",
	    "ret %r1;",
	    ".reg .b32 %big<99999999>;",
	    ".shared .b8 s[99999999999];",
	    "ld.shared.u32 %r1, [%rd1+%rd2];",
	    "mov.u32 5, %r1;",
	    "cvt.u32.u64 %r1, %r2;",
	    "shfl.sync.up.b32 %r1, %r2, 1, 0;",
	    "bar.sync;",
	    "mad.wide.u32 %rd1, %r1, %r2, %r3;",
	    "st.const.u32 [%rd1], %r1;",
	};
	(void)state;
	rig_open(&rig);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (load(rows[i]))
			fail_msg("`%s` was accepted", rows[i]);
		if (rig.error.code != GD_INVALID_PROGRAM && rig.error.code != GD_UNSUPPORTED_FEATURE)
			fail_msg("`%s`: %s", rows[i], rig.error.text);
		if (!strstr(rig.error.text, "line"))
			fail_msg("`%s`: %s", rows[i], rig.error.text);
	}
	rig_close(&rig);
}

static void deep_nesting_and_empty_texts_are_refused(void **state)
{
	static char text[8192];
	static const char *const texts[] = {"",
					    ";",
					    "}",
					    ".",
					    ".entry",
					    ".visible .entry k(",
					    ".func",
					    ".global",
					    ".version",
					    ".version 8.0",
					    "\xff\xfe",
					    ".entry k() {",
					    ".entry k() { ret; } .entry k() { ret; }"};
	(void)state;
	rig_open(&rig);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(rig_try_load(&rig, texts[i], strlen(texts[i]), "k"));
	size_t length = (size_t)snprintf(text, sizeof(text), ".version 8.0 .target sm_90 .entry k() {");
	for (int i = 0; i < 3000; i++)
		text[length++] = '{';
	for (int i = 0; i < 3001; i++)
		text[length++] = '}';
	assert_false(rig_try_load(&rig, text, length, "k"));
	assert_non_null(strstr(rig.error.text, "deeper"));
	rig_close(&rig);
}

static void cubins_are_refused(void **state)
{
	const struct gd_image image = {.kind = GD_IMAGE_CUBIN, .data = "x", .bytes = 1, .entry = "k"};
	(void)state;
	rig_open(&rig);
	assert_false(ops->module_load(rig.device, &image, &rig.module, &rig.kernel, &rig.error));
	assert_int_equal(rig.error.code, GD_UNSUPPORTED_FEATURE);
	rig_close(&rig);
}

static const char grid_source[] =
    "extern \"C\" __global__ void grid_barrier(int *y, int n)\n"
    "{\n"
    "  /* what cooperative groups do: the workspace's address is in %envreg1 and %envreg2 */\n"
    "  unsigned hi, lo; asm(\"mov.u32 %0, %%envreg1;\" : \"=r\"(hi)); asm(\"mov.u32 %0, %%envreg2;\" : "
    "\"=r\"(lo));\n"
    "  volatile unsigned *arrived = (volatile unsigned *)((unsigned long long)hi << 32 | lo);\n"
    "  y[blockIdx.x] = blockIdx.x + n;\n"
    "  for (int round = 1; round <= 3; round++) {\n"
    "    __threadfence(); __syncthreads();\n"
    "    if (threadIdx.x == 0) { atomicAdd((unsigned *)arrived, 1); while (*arrived < round * gridDim.x) ; "
    "}\n"
    "    __syncthreads();\n"
    "  }\n"
    "  if (threadIdx.x == 0) y[gridDim.x + blockIdx.x] = y[(blockIdx.x + 1) % gridDim.x];\n"
    "}\n";

static void blocks_of_a_cooperative_grid_wait_for_each_other(void **state)
{
	int n = 100;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, grid_source, "grid_barrier", NULL, NULL);
	struct rig_launch launch = launch_of(&n);
	launch.grid[0] = 20;
	launch.block[0] = 70;
	launch.cooperative = true;
	launch.iterations = 2;
	rig_must_run(&rig, &launch);
	for (int i = 0; i < 20; i++)
		assert_int_equal(y[20 + i], (i + 1) % 20 + 100);
	launch.grid[0] = 100000;
	assert_false(rig_run(&rig, &launch));
	assert_int_equal(rig.error.code, GD_COOPERATIVE_RESIDENCY_EXCEEDED);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(variables_have_their_initial_values_at_every_submit),
	    cmocka_unit_test(iterations_run_on_the_same_memory),
	    cmocka_unit_test(static_and_dynamic_shared_memory_lie_side_by_side),
	    cmocka_unit_test(the_largest_shared_memory_is_there_and_no_more),
	    cmocka_unit_test(parameters_of_all_kinds_arrive),
	    cmocka_unit_test(a_template_is_found_by_its_mangled_name),
	    cmocka_unit_test(launches_outside_of_the_limits_are_refused),
	    cmocka_unit_test(unknown_instructions_are_named_with_their_lines),
	    cmocka_unit_test(an_unknown_instruction_elsewhere_does_no_harm),
	    cmocka_unit_test(wrong_ptx_is_refused_with_its_line),
	    cmocka_unit_test(deep_nesting_and_empty_texts_are_refused),
	    cmocka_unit_test(cubins_are_refused),
	    cmocka_unit_test(blocks_of_a_cooperative_grid_wait_for_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
