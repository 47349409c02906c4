#include "common.h"

static const char ptx[] =
    ".version 9.0\n.target sm_90\n"
    ".visible .entry add(.param .f32 a, .param .u64 x, .param .align 4 .b8 s[12]) { ret; }\n"
    ".visible .entry none() { ret; }\n";

static const struct gd_param_input params[] = {{.name = "a", .type = "f32"},
					       {.type = "buffer", .element = "f32", .access = "read"},
					       {.type = "bytes", .size = 12}};

static struct gd_program_input posted(enum gd_language language, const char *text, const char *kernel)
{
	struct gd_program_input input = common_input(text);
	input.language = language;
	input.kernel = kernel;
	return input;
}

static bool make(const struct gd_program_input *input, struct gd_artifact **out, struct gd_error *error)
{
	struct gd_program *program = common_program(input);
	bool ok = gd_artifact_from_posted(program, "sm_90", out, error);
	gd_program_free(program);
	return ok;
}

static void ptx_becomes_an_artifact_without_a_compiler(void **state)
{
	(void)state;
	struct gd_artifact *artifact = NULL;
	struct gd_error error = {0};
	struct gd_program_input input = posted(GD_LANGUAGE_PTX, ptx, "add");
	input.params = params;
	input.param_count = 3;
	if (!make(&input, &artifact, &error))
		fail_msg("%s", error.text);
	assert_string_equal(artifact->entry, "add");
	assert_string_equal(artifact->ptx, ptx);
	assert_null(artifact->cubin);
	assert_string_equal(artifact->toolchain.version, "");
	assert_int_equal(artifact->compile_ns, 0);
	assert_int_equal(artifact->signature.params[2].offset, 16);
	assert_int_equal(artifact->signature.params[1].access, GD_PARAM_READ);
	uint8_t digest[GD_SHA256_BYTES];
	gd_sha256_of(ptx, sizeof ptx - 1, digest);
	assert_memory_equal(artifact->ptx_sha256, digest, sizeof digest);
	struct gd_artifact *again = gd_artifact_ref(artifact);
	gd_artifact_free(artifact);
	assert_true(gd_artifact_bytes(again) > sizeof ptx);
	gd_artifact_free(again);
	gd_artifact_free(NULL);
}

static void a_kernel_without_parameters_needs_no_declaration(void **state)
{
	(void)state;
	struct gd_artifact *artifact = NULL;
	struct gd_error error = {0};
	struct gd_program_input input = posted(GD_LANGUAGE_PTX, ptx, "none");
	assert_true(make(&input, &artifact, &error));
	assert_int_equal(artifact->signature.count, 0);
	gd_artifact_free(artifact);
}

static void ptx_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	static const struct gd_param_input wrong[] = {
	    {.type = "f32"}, {.type = "buffer"}, {.type = "bytes", .size = 16}};
	struct gd_artifact *artifact = NULL;
	struct gd_error error = {0};
	struct gd_program_input input = posted(GD_LANGUAGE_PTX, ptx, "add");
	assert_false(make(&input, &artifact, &error));
	assert_int_equal(error.code, GD_INVALID_PROGRAM);
	assert_string_equal(error.pointer, "/params");
	input.params = wrong;
	input.param_count = 3;
	assert_false(make(&input, &artifact, &error));
	assert_string_equal(error.pointer, "/params/2");
	input = posted(GD_LANGUAGE_PTX, ptx, "sub");
	assert_false(make(&input, &artifact, &error));
	assert_non_null(strstr(error.text, "`add`, `none`"));
	input = posted(GD_LANGUAGE_PTX, ptx, NULL);
	assert_false(make(&input, &artifact, &error));
	assert_non_null(strstr(error.text, "several"));
	input = posted(GD_LANGUAGE_PTX, ".version 9.0\n", NULL);
	assert_false(make(&input, &artifact, &error));
	assert_int_equal(error.code, GD_INVALID_PROGRAM);
	assert_null(artifact);
}

static void a_cubin_needs_kernel_and_params(void **state)
{
	(void)state;
	struct gd_artifact *artifact = NULL;
	struct gd_error error = {0};
	struct gd_program_input input = posted(GD_LANGUAGE_CUBIN,
					       "\x7f"
					       "ELF",
					       NULL);
	assert_false(make(&input, &artifact, &error));
	assert_string_equal(error.pointer, "/kernel");
	input.kernel = "_Z3addf";
	assert_false(make(&input, &artifact, &error));
	assert_string_equal(error.pointer, "/params");
	input.params = params;
	input.param_count = 3;
	assert_true(make(&input, &artifact, &error));
	assert_string_equal(artifact->entry, "_Z3addf");
	assert_null(artifact->ptx);
	assert_int_equal(artifact->cubin_bytes, 4);
	assert_false(artifact->signature.laid_out);
	assert_int_equal(artifact->signature.params[1].access, GD_PARAM_READ);
	gd_artifact_free(artifact);
	input.params_declared = true;
	input.param_count = 0;
	assert_true(make(&input, &artifact, &error));
	gd_artifact_free(artifact);
}

static void an_artifact_has_an_entry_and_an_image(void **state)
{
	(void)state;
	struct gd_signature none = {0};
	struct gd_artifact *artifact = NULL;
	struct gd_error error = {0};
	struct gd_artifact_parts parts = {.target = "sm_90", .entry = "k", .signature = &none};
	assert_false(gd_artifact_new(&parts, &artifact, &error));
	parts.ptx = "x";
	parts.ptx_bytes = 1;
	parts.entry = "";
	assert_false(gd_artifact_new(&parts, &artifact, &error));
	assert_int_equal(error.code, GD_INTERNAL_STATE);
	struct gd_program_input input = common_input("__global__");
	assert_false(make(&input, &artifact, &error));
	assert_int_equal(error.code, GD_INVALID_REQUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ptx_becomes_an_artifact_without_a_compiler),
	    cmocka_unit_test(a_kernel_without_parameters_needs_no_declaration),
	    cmocka_unit_test(ptx_that_does_not_fit_is_refused),
	    cmocka_unit_test(a_cubin_needs_kernel_and_params),
	    cmocka_unit_test(an_artifact_has_an_entry_and_an_image),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
