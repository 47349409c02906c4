#include "common.h"

#define KERNEL "extern \"C\" __global__ void k(float *y, int n) { y[n] = 1; }"

static void the_source_may_be_as_large_as_the_limit_and_no_larger(void **state)
{
	(void)state;
	struct gd_program_limits limits = gd_program_limits_default();
	struct gd_error error;
	struct gd_program *program = NULL;
	limits.source_bytes = strlen(KERNEL);
	struct gd_program_input input = common_input(KERNEL);
	assert_true(gd_program_new(&input, &limits, &program, &error));
	gd_program_free(program);
	limits.source_bytes--;
	assert_false(gd_program_new(&input, &limits, &program, &error));
	assert_int_equal(error.code, GD_TOO_LARGE);
	assert_string_equal(error.pointer, "/source");
	assert_int_equal(gd_program_limits_default().source_bytes, 1 << 20);
}

static void sources_that_are_none_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *why, *source;
		size_t bytes;
		enum gd_code code;
	} rows[] = {
	    {"empty", "", 0, GD_INVALID_REQUEST},
	    {"blank", " \n\t", 3, GD_INVALID_REQUEST},
	    {"NUL", "__global__\0x", 12, GD_INVALID_REQUEST},
	    {"overlong form", "__global__ \xc0\xaf", 13, GD_INVALID_REQUEST},
	    {"surrogate", "__global__ \xed\xa0\x80", 14, GD_INVALID_REQUEST},
	    {"over U+10FFFF", "__global__ \xf4\x90\x80\x80", 15, GD_INVALID_REQUEST},
	    {"cut character", "__global__ \xe2\x82", 13, GD_INVALID_REQUEST},
	    {"lone continuation", "__global__ \x80", 12, GD_INVALID_REQUEST},
	    {"no kernel", "__device__ int x;", 17, GD_INVALID_PROGRAM},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_program_input input = common_input("");
		input.source = rows[i].source;
		input.source_bytes = rows[i].bytes;
		common_refuse(&input, rows[i].code, "/source", rows[i].why);
	}
	static const char good[] = "// \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf\n" KERNEL;
	struct gd_program_input input = common_input(good);
	gd_program_free(common_program(&input));
}

static void a_kernel_may_stand_in_a_header_or_behind_an_option(void **state)
{
	(void)state;
	static const struct gd_header_input header = {"k.cuh", KERNEL, sizeof KERNEL - 1};
	static const char *const option = "-DKERNEL=__global__";
	struct gd_program_input input = common_input("#include \"k.cuh\"");
	input.headers = &header;
	input.header_count = 1;
	gd_program_free(common_program(&input));
	input = common_input("extern \"C\" KERNEL void k() {}");
	input.options = &option;
	input.option_count = 1;
	gd_program_free(common_program(&input));
}

static void headers_are_sorted_and_unique(void **state)
{
	(void)state;
	struct gd_header_input headers[] = {{"z.h", "z", 1}, {"a/b.h", "ab", 2}, {"m.h", "", 0}};
	struct gd_program_input input = common_input(KERNEL);
	input.headers = headers;
	input.header_count = 3;
	struct gd_program *program = common_program(&input);
	assert_int_equal(gd_program_header_count(program), 3);
	assert_string_equal(gd_program_header(program, 0).name, "a/b.h");
	assert_string_equal(gd_program_header(program, 0).text, "ab");
	assert_string_equal(gd_program_header(program, 2).name, "z.h");
	gd_program_free(program);
	headers[2].name = "a/b.h";
	common_refuse(&input, GD_INVALID_REQUEST, "/headers/a~1b.h", "twice");
}

static void headers_have_limits(void **state)
{
	(void)state;
	static char text[2000], name[1100];
	static struct gd_header_input headers[65];
	static char names[65][8];
	memset(text, 'x', sizeof text);
	memset(name, 'n', sizeof name);
	struct gd_program_input input = common_input(KERNEL);
	input.headers = headers;
	for (int i = 0; i < 65; i++) {
		snprintf(names[i], sizeof names[i], "h%d", i);
		headers[i] = (struct gd_header_input){names[i], "", 0};
	}
	input.header_count = 64;
	gd_program_free(common_program(&input));
	input.header_count = 65;
	common_refuse(&input, GD_INVALID_REQUEST, "/headers", "65 headers");
	input.header_count = 1;
	name[1024] = '\0';
	headers[0].name = name;
	gd_program_free(common_program(&input));
	name[1024] = 'n';
	name[1025] = '\0';
	struct gd_error error;
	struct gd_program *program = NULL;
	struct gd_program_limits limits = gd_program_limits_default();
	assert_false(gd_program_new(&input, &limits, &program, &error));
	limits.header_bytes = 2000;
	headers[0] = (struct gd_header_input){"a", text, 1500};
	headers[1] = (struct gd_header_input){"b", text, 500};
	input.header_count = 2;
	assert_true(gd_program_new(&input, &limits, &program, &error));
	gd_program_free(program);
	headers[1].bytes = 501;
	assert_false(gd_program_new(&input, &limits, &program, &error));
	assert_int_equal(error.code, GD_TOO_LARGE);
	assert_string_equal(error.pointer, "/headers/b");
}

static void headers_with_impossible_names_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *name, *pointer;
	} rows[] = {{"", "/headers/"},       {"a\"b", "/headers/a\"b"}, {"a\tb", "/headers/a\tb"},
		    {"a>b", "/headers/a>b"}, {"a\\b", "/headers/a\\b"}, {"\xff", "/headers/?"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_header_input header = {rows[i].name, "", 0};
		struct gd_program_input input = common_input(KERNEL);
		input.headers = &header;
		input.header_count = 1;
		common_refuse(&input, GD_INVALID_REQUEST, rows[i].pointer, rows[i].name);
	}
}

static void the_workgroup_has_a_default_and_no_zero(void **state)
{
	(void)state;
	struct gd_program_input input = common_input(KERNEL);
	struct gd_program *program = common_program(&input);
	const uint32_t *size = gd_program_workgroup_size(program);
	assert_true(size[0] == 64 && size[1] == 1 && size[2] == 1);
	gd_program_free(program);
	input.workgroup_size[0] = 8;
	common_refuse(&input, GD_INVALID_REQUEST, "/workgroup_size/1", "8,0,0");
	input.workgroup_size[1] = input.workgroup_size[2] = 2;
	program = common_program(&input);
	assert_int_equal(gd_program_workgroup_size(program)[2], 2);
	gd_program_free(program);
}

static void compiled_programs_take_no_headers_or_options(void **state)
{
	(void)state;
	static const char *const option = "--lineinfo";
	static const struct gd_header_input header = {"a.h", "", 0};
	struct gd_program_input input = common_input(".version 8.0");
	input.language = GD_LANGUAGE_PTX;
	gd_program_free(common_program(&input));
	input.options = &option;
	input.option_count = 1;
	common_refuse(&input, GD_INVALID_REQUEST, "/options", "options");
	input.option_count = 0;
	input.headers = &header;
	input.header_count = 1;
	common_refuse(&input, GD_INVALID_REQUEST, "/headers", "headers");
	input = common_input("\x7f"
			     "ELF\xff");
	input.language = GD_LANGUAGE_CUBIN;
	gd_program_free(common_program(&input));
}

static void declared_params_are_read(void **state)
{
	(void)state;
	static const struct gd_param_input params[] = {
	    {.name = "a", .type = "f32"},
	    {.name = "x", .type = "buffer", .element = "bf16", .access = "read"},
	    {.type = "buffer"},
	    {.name = "s", .type = "bytes", .size = 12},
	    {.type = "buffer", .element = "bytes", .size = 24, .access = "write"},
	    {.type = "i64", .size = 8},
	};
	struct gd_program_input input = common_input(KERNEL);
	struct gd_program *program = common_program(&input);
	assert_null(gd_program_declared(program));
	gd_program_free(program);
	input.params = params;
	input.param_count = 6;
	program = common_program(&input);
	const struct gd_signature *declared = gd_program_declared(program);
	assert_int_equal(declared->count, 6);
	assert_int_equal(declared->params[0].type, GD_TYPE_F32);
	assert_int_equal(declared->params[0].size, 4);
	assert_int_equal(declared->params[1].element, GD_TYPE_BF16);
	assert_int_equal(declared->params[1].access, GD_PARAM_READ);
	assert_int_equal(declared->params[2].element, GD_TYPE_NONE);
	assert_int_equal(declared->params[3].size, 12);
	assert_int_equal(declared->params[4].element_size, 24);
	assert_false(declared->laid_out);
	gd_program_free(program);
}

static void declared_params_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *why, *pointer;
		struct gd_param_input param;
	} rows[] = {
	    {"no type", "/params/1/type", {.name = "p"}},
	    {"unknown type", "/params/1/type", {.type = "float"}},
	    {"unknown element", "/params/1/element", {.type = "buffer", .element = "f31"}},
	    {"buffer of buffers", "/params/1/element", {.type = "buffer", .element = "buffer"}},
	    {"unknown access", "/params/1/access", {.type = "buffer", .access = "rw"}},
	    {"element of a scalar", "/params/1/element", {.type = "f32", .element = "f32"}},
	    {"access of a scalar", "/params/1/access", {.type = "f32", .access = "read"}},
	    {"bytes without size", "/params/1/size", {.type = "bytes"}},
	    {"bytes over the limit", "/params/1/size", {.type = "bytes", .size = 4097}},
	    {"a wrong size", "/params/1/size", {.type = "f32", .size = 8}},
	    {"a wrong element size", "/params/1/size", {.type = "buffer", .element = "f32", .size = 8}},
	    {"no identifier", "/params/1/name", {.type = "f32", .name = "a-b"}},
	    {"a digit first", "/params/1/name", {.type = "f32", .name = "1a"}},
	    {"an empty name", "/params/1/name", {.type = "f32", .name = ""}},
	    {"a name that is there", "/params/1/name", {.type = "f32", .name = "first"}},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_param_input params[2] = {{.name = "first", .type = "i32"}, rows[i].param};
		struct gd_program_input input = common_input(KERNEL);
		input.params = params;
		input.param_count = 2;
		common_refuse(&input, GD_INVALID_REQUEST, rows[i].pointer, rows[i].why);
	}
}

static void parameters_have_a_limit(void **state)
{
	(void)state;
	static struct gd_param_input params[GD_SIGNATURE_PARAMS_MAX + 1];
	for (size_t i = 0; i <= GD_SIGNATURE_PARAMS_MAX; i++)
		params[i].type = "u8";
	struct gd_program_input input = common_input(KERNEL);
	input.params = params;
	input.param_count = GD_SIGNATURE_PARAMS_MAX;
	gd_program_free(common_program(&input));
	input.param_count++;
	common_refuse(&input, GD_INVALID_REQUEST, "/params", "513");
}

static void a_reference_keeps_it_alive(void **state)
{
	(void)state;
	struct gd_program_input input = common_input(KERNEL);
	struct gd_program *program = common_program(&input), *again = gd_program_ref(program);
	gd_program_free(program);
	size_t bytes;
	assert_string_equal(gd_program_source(again, &bytes), KERNEL);
	assert_int_equal(bytes, sizeof KERNEL - 1);
	assert_true(gd_program_bytes(again) > bytes);
	gd_program_free(again);
	gd_program_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_source_may_be_as_large_as_the_limit_and_no_larger),
	    cmocka_unit_test(sources_that_are_none_are_refused),
	    cmocka_unit_test(a_kernel_may_stand_in_a_header_or_behind_an_option),
	    cmocka_unit_test(headers_are_sorted_and_unique),
	    cmocka_unit_test(headers_have_limits),
	    cmocka_unit_test(headers_with_impossible_names_are_refused),
	    cmocka_unit_test(the_workgroup_has_a_default_and_no_zero),
	    cmocka_unit_test(compiled_programs_take_no_headers_or_options),
	    cmocka_unit_test(declared_params_are_read),
	    cmocka_unit_test(declared_params_that_make_no_sense_are_refused),
	    cmocka_unit_test(parameters_have_a_limit),
	    cmocka_unit_test(a_reference_keeps_it_alive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
