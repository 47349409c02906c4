#include "harness.h"

static int open_usual(void **state)
{
	static struct harness harness;
	harness_open(&harness, (struct gd_compiler_config){.jobs = 2});
	*state = &harness;
	return 0;
}

static int close_usual(void **state)
{
	harness_close(*state);
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

static void a_kernel_becomes_ptx_and_cubin_with_its_signature(void **state)
{
	struct harness *harness = *state;
	struct harness_job job;
	harness_need_nvrtc(harness);
	struct gd_program_input input = harness_source(saxpy, NULL);
	harness_compile(harness, &job, &input, GD_COMPILE_CUDA);
	expect_made(&job);
	const struct gd_artifact *artifact = job.job.artifact;
	assert_string_equal(artifact->entry, "saxpy");
	assert_non_null(strstr(artifact->ptx, ".entry saxpy"));
	assert_memory_equal(artifact->cubin,
			    "\x7f"
			    "ELF",
			    4);
	assert_true(artifact->reproducible);
	assert_int_equal(artifact->signature.count, 4);
	assert_string_equal(artifact->signature.params[0].name, "a");
	assert_int_equal(artifact->signature.params[0].type, GD_TYPE_F32);
	assert_int_equal(artifact->signature.params[1].access, GD_PARAM_READ);
	assert_int_equal(artifact->signature.params[2].access, GD_PARAM_READ_WRITE);
	assert_int_equal(artifact->signature.params[3].offset, 24);
	assert_int_equal(artifact->signature.bytes, 28);
	harness_drop(&job);
}

int main(int argc, char **argv)
{
	harness_role(argc, argv);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_kernel_becomes_ptx_and_cubin_with_its_signature),
	};
	return cmocka_run_group_tests(tests, open_usual, close_usual);
}
