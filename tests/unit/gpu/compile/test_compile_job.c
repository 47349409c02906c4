/* What a compile makes of a source, and what it says when it cannot. */
#include "harness.h"

static struct harness usual;

static int open_usual(void **state)
{
	(void)state;
	harness_open(&usual, (struct gd_compiler_config){.jobs = 2});
	return 0;
}

static int close_usual(void **state)
{
	(void)state;
	harness_close(&usual);
	return 0;
}

static const char saxpy[] =
    "extern \"C\" __global__ void saxpy(float a, const float *x, float *y, int n)\n"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = a * x[i] + y[i]; }\n";

static void expect_made(const struct harness_job *job)
{
	if (!job->job.artifact)
		fail_msg("%s; %s; log: %s", job->job.error.text, job->job.error.fix,
			 job->job.diagnostics.log ? job->job.diagnostics.log : "");
}

static void expect_failure(const struct harness_job *job, enum gd_code code, const char *words)
{
	assert_null(job->job.artifact);
	if (job->job.error.code != code || !strstr(job->job.error.text, words))
		fail_msg("want %d with '%s', got %d: %s", (int)code, words, (int)job->job.error.code,
			 job->job.error.text);
	assert_true(job->job.error.fix[0] != '\0');
}

static void a_kernel_becomes_ptx_and_cubin_with_its_signature(void **state)
{
	(void)state;
	static struct harness_job job;
	harness_need_nvrtc(&usual);
	struct gd_program_input input = harness_source(saxpy, NULL);
	harness_compile(&usual, &job, &input, GD_COMPILE_CUDA);
	expect_made(&job);
	const struct gd_artifact *artifact = job.job.artifact;
	assert_string_equal(artifact->entry, "saxpy");
	assert_non_null(strstr(artifact->ptx, ".entry saxpy"));
	assert_int_equal(strlen(artifact->ptx), artifact->ptx_bytes);
	assert_memory_equal(artifact->cubin,
			    "\x7f"
			    "ELF",
			    4);
	assert_true(artifact->reproducible);
	assert_true(artifact->compile_ns > 0);
	assert_int_equal(strlen(artifact->toolchain.build_id), 64);
	assert_int_equal(artifact->signature.count, 4);
	assert_int_equal(artifact->signature.params[3].offset, 24);
	assert_int_equal(artifact->signature.bytes, 28);
	harness_drop(&job);
}

static void the_reference_gets_ptx_alone(void **state)
{
	(void)state;
	static struct harness_job job;
	harness_need_nvrtc(&usual);
	struct gd_program_input input = harness_source(saxpy, "saxpy");
	harness_compile(&usual, &job, &input, GD_COMPILE_REFERENCE);
	expect_made(&job);
	assert_string_equal(job.job.artifact->target, "reference-sm_90");
	assert_null(job.job.artifact->cubin);
	assert_non_null(strstr(job.job.artifact->ptx, ".target sm_90"));
	/* the probe that found the signature is not in it */
	assert_null(strstr(job.job.artifact->ptx, "gd_"));
	harness_drop(&job);
}

static void the_same_program_gives_the_same_bytes(void **state)
{
	(void)state;
	static const char *const options[] = {"--lineinfo", "--use_fast_math", "-DN=3"};
	static struct harness_job jobs[2];
	harness_need_nvrtc(&usual);
	struct gd_program_input input = harness_source(saxpy, "saxpy");
	input.options = options;
	input.option_count = 3;
	for (int i = 0; i < 2; i++) {
		harness_compile(&usual, &jobs[i], &input, GD_COMPILE_CUDA);
		expect_made(&jobs[i]);
	}
	const struct gd_artifact *a = jobs[0].job.artifact, *b = jobs[1].job.artifact;
	assert_memory_equal(a->ptx_sha256, b->ptx_sha256, GD_SHA256_BYTES);
	assert_memory_equal(a->cubin_sha256, b->cubin_sha256, GD_SHA256_BYTES);
	harness_drop(&jobs[0]);
	harness_drop(&jobs[1]);
}

static void what_depends_on_the_moment_says_so(void **state)
{
	(void)state;
	static const char *const sources[] = {
	    "__device__ const char *when = __DATE__; extern \"C\" __global__ void k(char *o) { *o = when[0]; "
	    "}",
	    "__device__ const char *when = __TIME__; extern \"C\" __global__ void k(char *o) { *o = when[0]; "
	    "}",
	    "namespace { __global__ void k(char *o) { *o = 1; } }",
	};
	harness_need_nvrtc(&usual);
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		static struct harness_job job;
		struct gd_program_input input = harness_source(sources[i], "k");
		harness_compile(&usual, &job, &input, GD_COMPILE_CUDA);
		expect_made(&job);
		assert_false(job.job.artifact->reproducible);
		harness_drop(&job);
	}
}

static void every_allowed_option_is_known_to_the_compiler(void **state)
{
	(void)state;
	static const char *const options[] = {
	    "--std=c++11",
	    "--std=c++14",
	    "--std=c++17",
	    "-std=c++20",
	    "--use_fast_math",
	    "--fmad=false",
	    "--ftz=true",
	    "--prec-div=false",
	    "--prec-sqrt=true",
	    "--maxrregcount=32",
	    "-DX",
	    "-DY=3",
	    "-UX",
	    "--lineinfo",
	    "--default-device",
	    "--extra-device-vectorization",
	    "--diag-suppress=177",
	    "--disable-warnings",
	};
	harness_need_nvrtc(&usual);
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		static struct harness_job job;
		struct gd_program_input input = harness_source(saxpy, "saxpy");
		input.options = &options[i];
		input.option_count = 1;
		harness_compile(&usual, &job, &input, GD_COMPILE_CUDA);
		if (!job.job.artifact)
			fail_msg("%s: %s", options[i], job.job.error.text);
		harness_drop(&job);
	}
}

static void options_reach_the_compiler(void **state)
{
	(void)state;
	static const char *const options[] = {"-DVALUE=4242", "-DTYPE=short"};
	static struct harness_job job;
	harness_need_nvrtc(&usual);
	struct gd_program_input input =
	    harness_source("extern \"C\" __global__ void k(TYPE *o) { *o = VALUE; }", NULL);
	input.options = options;
	input.option_count = 2;
	harness_compile(&usual, &job, &input, GD_COMPILE_REFERENCE);
	expect_made(&job);
	assert_non_null(strstr(job.job.artifact->ptx, "4242"));
	assert_int_equal(job.job.artifact->signature.params[0].element, GD_TYPE_I16);
	harness_drop(&job);
}

static void headers_of_the_client_and_of_cuda_can_be_included(void **state)
{
	(void)state;
	static const struct gd_header_input headers[] = {
	    {.name = "lib/scale.cuh", .text = "#include \"two.h\"\n#define SCALE TWO\n", .bytes = 35},
	    {.name = "two.h", .text = "#define TWO 2.0f\n", .bytes = 17},
	};
	static const char *const sources[] = {
	    "#include \"lib/scale.cuh\"\nextern \"C\" __global__ void k(float *o) { *o = SCALE; }",
	    "#include <lib/scale.cuh>\nextern \"C\" __global__ void k(float *o) { *o = SCALE; }",
	    "#include <cuda_fp16.h>\nextern \"C\" __global__ void k(__half *o) { *o = __hadd(o[1], o[2]); }",
	    "#include \"cuda_bf16.h\"\nextern \"C\" __global__ void k(__nv_bfloat16 *o) { *o = o[1] + o[2]; "
	    "}",
	    "#include <cuda_fp8.h>\nextern \"C\" __global__ void k(__nv_fp8_e4m3 *o) { *o = "
	    "__nv_fp8_e4m3(1.0f); }",
	    "#include <cuComplex.h>\nextern \"C\" __global__ void k(cuFloatComplex *o) { *o = cuCmulf(o[1], "
	    "o[2]); }",
	    "#include <math_constants.h>\nextern \"C\" __global__ void k(float *o) { *o = CUDART_PI_F; }",
	    "#include <cooperative_groups.h>\nextern \"C\" __global__ void k(float *o) { "
	    "cooperative_groups::this_thread_block().sync(); *o = 1; }",
	    "#include <mma.h>\nextern \"C\" __global__ void k(float *o) { *o = 1; }",
	    "#include <cuda_runtime.h>\nextern \"C\" __global__ void k(float4 *o) { *o = make_float4(1, 2, "
	    "3, 4); }",
	    "#include <cuda/std/type_traits>\n#include <cuda/std/limits>\nextern \"C\" __global__ void "
	    "k(float *o) { *o = cuda::std::numeric_limits<float>::max(); }",
	    "#include <cuda/std/cstdint>\nextern \"C\" __global__ void k(cuda::std::uint8_t *o) { *o = 1; }",
	    "#include <cuda/atomic>\nextern \"C\" __global__ void k(int *o) { cuda::atomic_ref<int> r(*o); "
	    "r.fetch_add(1); }",
	    "#include <curand_kernel.h>\nextern \"C\" __global__ void k(float *o) { curandState s; "
	    "curand_init(1, 2, 3, "
	    "&s); *o = curand_uniform(&s); }",
	};
	harness_need_nvrtc(&usual);
	if (!gd_compiler_toolchain(usual.compiler)->has_headers)
		printf("SKIP: this NVRTC has no CUDA headers beside it\n");
	size_t count =
	    gd_compiler_toolchain(usual.compiler)->has_headers ? sizeof sources / sizeof *sources : 2;
	unsigned wrong = 0;
	for (size_t i = 0; i < count; i++) {
		static struct harness_job job;
		struct gd_program_input input = harness_source(sources[i], "k");
		input.headers = headers;
		input.header_count = 2;
		harness_compile(&usual, &job, &input, GD_COMPILE_CUDA);
		/* what an installation may lack, besides the half types and what they include */
		bool is_optional =
		    i > 3 && job.job.diagnostics.log && strstr(job.job.diagnostics.log, "open source file");
		if (!job.job.artifact && is_optional) {
			printf("SKIP: this NVRTC lacks headers for: %s\n", sources[i]);
		} else if (!job.job.artifact) {
			print_error("%s\n%s\n%.600s\n", sources[i], job.job.error.text,
				    job.job.diagnostics.log);
			wrong++;
		}
		harness_drop(&job);
	}
	assert_int_equal(wrong, 0);
}

static void an_error_has_its_line_column_and_excerpt(void **state)
{
	(void)state;
	static struct harness_job job;
	harness_need_nvrtc(&usual);
	struct gd_program_input input =
	    harness_source("extern \"C\" __global__ void k(float *y)\n{\n\ty[0] = missing;\n}\n", "k");
	harness_compile(&usual, &job, &input, GD_COMPILE_CUDA);
	expect_failure(&job, GD_KERNEL_COMPILE_FAILED, "kernel.cu(3): identifier \"missing\" is undefined");
	const struct gd_diagnostic *first = &job.job.diagnostics.items[0];
	assert_int_equal(first->severity, GD_SEVERITY_ERROR);
	assert_string_equal(first->file, "kernel.cu");
	assert_int_equal(first->line, 3);
	assert_int_equal(first->column, 9);
	assert_non_null(strstr(first->excerpt, "y[0] = missing;"));
	assert_false(job.job.retryable);
	harness_drop(&job);
}

static void warnings_come_with_the_artifact(void **state)
{
	(void)state;
	static struct harness_job job;
	harness_need_nvrtc(&usual);
	struct gd_program_input input =
	    harness_source("extern \"C\" __global__ void k(float *y) { int unused; y[0] = 1; }", "k");
	harness_compile(&usual, &job, &input, GD_COMPILE_CUDA);
	expect_made(&job);
	assert_int_equal(job.job.artifact->diagnostics.count, 1);
	assert_int_equal(job.job.artifact->diagnostics.items[0].severity, GD_SEVERITY_WARNING);
	assert_int_equal(job.job.artifact->diagnostics.items[0].number, 177);
	harness_drop(&job);
}

static void the_kernel_must_exist_and_be_one(void **state)
{
	(void)state;
	static const struct {
		const char *source, *kernel, *words;
	} rows[] = {
	    {"extern \"C\" __global__ void here(int *p) {}", "gone", "`here`"},
	    {"namespace n { __global__ void here(int *p) {} }", "here", "`n::here`"},
	    {"__global__ void a(int *p) {} extern \"C\" __global__ void b(int *p) {}", NULL,
	     "several kernels"},
	    {"__global__ void a(int *p) {} __global__ void b(int *p) {}", NULL, "`a`, `b`"},
	    {"template<class T> __global__ void t(T *p) {}", NULL, "only templates"},
	    {"template<class T> __global__ void t(T *p) {}", "t", "no kernel"},
	    {"template<class T> __global__ void t(T *p) {}", "u<int>", "no kernel"},
	    {"template<int N> __global__ void t(int *p) { static_assert(N > 0); }", "t<-1>", "no kernel"},
	    {"// __global__\n__device__ int x;", NULL, ""},
	    {"__device__ int helper() { return 1; } __global__ void k(int *p) { *p = helper(); }", "helper",
	     "no kernel"},
	    {"__device__ int value; __global__ void k(int *p) { *p = value; }", "value", "no kernel"},
	    {"__global__ void k(int *p) {} __global__ void k(float *p) {}", "k", "more than one"},
	};
	harness_need_nvrtc(&usual);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static struct harness_job job;
		struct gd_program_input input = harness_source(rows[i].source, rows[i].kernel);
		harness_compile(&usual, &job, &input, GD_COMPILE_CUDA);
		assert_null(job.job.artifact);
		if (job.job.error.code != GD_INVALID_PROGRAM || !strstr(job.job.error.text, rows[i].words))
			fail_msg("row %zu (%s): %d %s | %s", i, rows[i].source, (int)job.job.error.code,
				 job.job.error.text, job.job.diagnostics.log ? job.job.diagnostics.log : "");
		harness_drop(&job);
	}
}

static void declared_params_are_checked_against_the_kernel(void **state)
{
	(void)state;
	struct gd_param_input params[] = {
	    {.name = "alpha", .type = "f32"},
	    {.name = "in", .type = "buffer", .element = "f32", .access = "read"},
	    {.name = "out", .type = "buffer", .access = "write"},
	    {.name = "count", .type = "i32"}};
	static struct harness_job job;
	harness_need_nvrtc(&usual);
	struct gd_program_input input = harness_source(saxpy, "saxpy");
	input.params = params;
	input.param_count = 4;
	harness_compile(&usual, &job, &input, GD_COMPILE_CUDA);
	expect_made(&job);
	assert_string_equal(job.job.artifact->signature.params[2].name, "out");
	assert_int_equal(job.job.artifact->signature.params[2].access, GD_PARAM_WRITE);
	harness_drop(&job);
	params[3].type = "f64";
	harness_compile(&usual, &job, &input, GD_COMPILE_CUDA);
	expect_failure(&job, GD_INVALID_PROGRAM, "`count`");
	assert_string_equal(job.job.error.pointer, "/params/3");
	harness_drop(&job);
}

static void a_kernel_that_cannot_be_probed_needs_params(void **state)
{
	(void)state;
	/* two functions of one name: the compiler cannot say which one decltype means, and C linkage hides
	 * the types */
	static const char source[] = "extern \"C\" __global__ void k(float *p, int n) { p[n] = 1; }\n"
				     "__device__ void k(double) {}\n";
	static const struct gd_param_input right[] = {{.type = "buffer", .element = "f32"},
						      {.name = "n", .type = "i32"}};
	static const struct gd_param_input wrong[] = {{.type = "buffer"}, {.name = "n", .type = "i64"}};
	static struct harness_job job;
	harness_need_nvrtc(&usual);
	struct gd_program_input input = harness_source(source, NULL);
	harness_compile(&usual, &job, &input, GD_COMPILE_CUDA);
	expect_failure(&job, GD_INVALID_PROGRAM, "types");
	assert_string_equal(job.job.error.pointer, "/params");
	assert_non_null(strstr(job.job.error.fix, "params"));
	harness_drop(&job);
	input.params = right;
	input.param_count = 2;
	harness_compile(&usual, &job, &input, GD_COMPILE_CUDA);
	expect_made(&job);
	assert_int_equal(job.job.artifact->signature.params[0].element, GD_TYPE_F32);
	assert_int_equal(job.job.artifact->signature.params[0].access, GD_PARAM_READ_WRITE);
	assert_int_equal(job.job.artifact->signature.params[1].offset, 8);
	harness_drop(&job);
	input.params = wrong;
	harness_compile(&usual, &job, &input, GD_COMPILE_CUDA);
	expect_failure(&job, GD_INVALID_PROGRAM, "size");
	assert_string_equal(job.job.error.pointer, "/params/1");
	harness_drop(&job);
}

int main(int argc, char **argv)
{
	harness_role(argc, argv);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_kernel_becomes_ptx_and_cubin_with_its_signature),
	    cmocka_unit_test(the_reference_gets_ptx_alone),
	    cmocka_unit_test(the_same_program_gives_the_same_bytes),
	    cmocka_unit_test(what_depends_on_the_moment_says_so),
	    cmocka_unit_test(every_allowed_option_is_known_to_the_compiler),
	    cmocka_unit_test(options_reach_the_compiler),
	    cmocka_unit_test(headers_of_the_client_and_of_cuda_can_be_included),
	    cmocka_unit_test(an_error_has_its_line_column_and_excerpt),
	    cmocka_unit_test(warnings_come_with_the_artifact),
	    cmocka_unit_test(the_kernel_must_exist_and_be_one),
	    cmocka_unit_test(declared_params_are_checked_against_the_kernel),
	    cmocka_unit_test(a_kernel_that_cannot_be_probed_needs_params),
	};
	return cmocka_run_group_tests(tests, open_usual, close_usual);
}
