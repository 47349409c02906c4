#include "common.h"

#include "gpu/program/options.h"

static void allowed_options_have_one_spelling(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
	    {"--std=c++11", "--std=c++11"},
	    {"-std=c++14", "--std=c++14"},
	    {"--std=c++17", "--std=c++17"},
	    {"--std=c++20", "--std=c++20"},
	    {"--use_fast_math", "--use_fast_math"},
	    {"-use_fast_math", "--use_fast_math"},
	    {"-fmad=true", "--fmad=true"},
	    {"--ftz=false", "--ftz=false"},
	    {"--prec-div=true", "--prec-div=true"},
	    {"-prec-sqrt=false", "--prec-sqrt=false"},
	    {"--maxrregcount=1", "--maxrregcount=1"},
	    {"-maxrregcount=255", "--maxrregcount=255"},
	    {"--maxrregcount=032", "--maxrregcount=32"},
	    {"-DX", "-DX"},
	    {"-DX=", "-DX="},
	    {"-D_x9=1,2\"'$(ls)", "-D_x9=1,2\"'$(ls)"},
	    {"-UX", "-UX"},
	    {"-lineinfo", "--lineinfo"},
	    {"--lineinfo", "--lineinfo"},
	    {"-default-device", "--default-device"},
	    {"--extra-device-vectorization", "--extra-device-vectorization"},
	    {"--diag-suppress=177", "--diag-suppress=177"},
	    {"-disable-warnings", "--disable-warnings"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char out[GD_OPTION_BYTES_MAX + 16];
		struct gd_error error = {0};
		if (!gd_option_canonical(rows[i][0], 0, out, sizeof out, &error))
			fail_msg("%s: %s", rows[i][0], error.text);
		assert_string_equal(out, rows[i][1]);
	}
}

static void all_else_is_refused_by_name_and_place(void **state)
{
	(void)state;
	static const char *const rows[] = {
	    "",
	    "-",
	    "--",
	    "x",
	    "-D",
	    "-U",
	    "-D1",
	    "-D=1",
	    "-DA B",
	    "-DA=b c",
	    "-DA=b\tc",
	    "-DA=b\nc",
	    "-DA(x)=1",
	    "-DA=\xc3\xa9",
	    "-UA=1",
	    "--std",
	    "--std=",
	    "--std=c++98",
	    "--std=c++23",
	    "--std=c++17 ",
	    "--std c++17",
	    "---std=c++17",
	    "--use_fast_math=true",
	    "--fmad",
	    "--fmad=1",
	    "--fmad=TRUE",
	    "--maxrregcount=0",
	    "--maxrregcount=256",
	    "--maxrregcount=-1",
	    "--maxrregcount=1e2",
	    "--maxrregcount=4294967297",
	    "--maxrregcount=",
	    "--diag-suppress=0",
	    "--diag-suppress=177,178",
	    "--diag-suppress=100000",
	    "-I/etc",
	    "--include-path=/etc",
	    "-include=/etc/passwd",
	    "--pre-include=/etc/hostname",
	    "-optf=/etc/passwd",
	    "--options-file=/etc/passwd",
	    "@/etc/passwd",
	    "--ptxas-options=--options-file=/etc/passwd",
	    "-Xptxas=-v",
	    "--time=/tmp/x",
	    "-time=/tmp/x",
	    "--fdevice-time-trace=/tmp/x",
	    "-fdevice-time-trace=/tmp/x",
	    "--create-pch=/tmp/x",
	    "--use-pch=/tmp/x",
	    "--pch",
	    "--pch-dir=/tmp",
	    "--gpu-architecture=sm_90",
	    "-arch=sm_90",
	    "--split-compile=0",
	    "-dlto",
	    "-rdc=true",
	    "--relocatable-device-code=true",
	    "-G",
	    "-dc",
	    "--device-debug",
	    "--dopt=on",
	    "--no-cache",
	    "-fdevice-syntax-only",
	    "--minimal",
	    "-w",
	    "--version-ident=true",
	    "--diag-error=1",
	    "--lineinf",
	    "--lineinfo2",
	    "--LINEINFO",
	    "--generate-line-info",
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char out[GD_OPTION_BYTES_MAX + 16] = "untouched";
		struct gd_error error = {0};
		if (gd_option_canonical(rows[i], 2, out, sizeof out, &error))
			fail_msg("'%s' became '%s'", rows[i], out);
		assert_int_equal(error.code, GD_INVALID_REQUEST);
		assert_string_equal(error.pointer, "/options/2");
		assert_string_equal(out, "untouched");
		assert_true(error.fix[0] != '\0');
	}
}

static void the_error_names_the_option(void **state)
{
	(void)state;
	char out[GD_OPTION_BYTES_MAX + 16];
	struct gd_error error = {0};
	assert_false(gd_option_canonical("-I/etc\n\xff", 0, out, sizeof out, &error));
	assert_non_null(strstr(error.text, "`-I/etc??`"));
}

static void an_option_has_a_limit(void **state)
{
	(void)state;
	static char option[GD_OPTION_BYTES_MAX + 2];
	char out[GD_OPTION_BYTES_MAX + 16];
	struct gd_error error;
	memset(option, 'x', sizeof option - 1);
	memcpy(option, "-DA=", 4);
	assert_false(gd_option_canonical(option, 0, out, sizeof out, &error));
	option[GD_OPTION_BYTES_MAX] = '\0';
	assert_true(gd_option_canonical(option, 0, out, sizeof out, &error));
	assert_string_equal(out, option);
}

static void a_list_is_sorted_and_holds_each_once(void **state)
{
	(void)state;
	static const char *const given[] = {"-DB=2",
					    "--lineinfo",
					    "-DA",
					    "-std=c++17",
					    "-lineinfo",
					    "--diag-suppress=9",
					    "--diag-suppress=177",
					    "-DB=2",
					    "-UC"};
	static const char *const want[] = {
	    "--diag-suppress=177", "--diag-suppress=9", "--lineinfo", "--std=c++17", "-DA", "-DB=2", "-UC"};
	char **options = NULL;
	size_t count = 0;
	struct gd_error error;
	assert_true(gd_options_canonical(given, 9, &options, &count, &error));
	assert_int_equal(count, 7);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(options[i], want[i]);
	gd_options_free(options, count);
	gd_options_free(NULL, 0);
}

static void contradictions_are_refused(void **state)
{
	(void)state;
	static const char *const rows[][2] = {{"--std=c++17", "--std=c++20"},
					      {"--fmad=true", "--fmad=false"},
					      {"-DA=1", "-DA=2"},
					      {"-DA", "-DA=1"},
					      {"-DA", "-UA"},
					      {"--maxrregcount=8", "--maxrregcount=9"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char **options = NULL;
		size_t count = 0;
		struct gd_error error;
		assert_false(gd_options_canonical(rows[i], 2, &options, &count, &error));
		assert_int_equal(error.code, GD_INVALID_REQUEST);
		assert_string_equal(error.pointer, "/options/1");
	}
}

static void a_list_has_a_limit(void **state)
{
	(void)state;
	const char *given[GD_OPTIONS_MAX + 1];
	char **options = NULL;
	size_t count = 0;
	struct gd_error error;
	for (size_t i = 0; i <= GD_OPTIONS_MAX; i++)
		given[i] = "-DA";
	assert_true(gd_options_canonical(given, GD_OPTIONS_MAX, &options, &count, &error));
	assert_int_equal(count, 1);
	gd_options_free(options, count);
	assert_false(gd_options_canonical(given, GD_OPTIONS_MAX + 1, &options, &count, &error));
	assert_string_equal(error.pointer, "/options");
}

static void kernels_have_one_form(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
	    {"saxpy", "saxpy"},
	    {"  saxpy\n", "saxpy"},
	    {" scale < float , 3 > ", "scale<float,3>"},
	    {"k<unsigned   long\tlong>", "k<unsigned long long>"},
	    {"ns :: k", "ns::k"},
	    {"::k", "::k"},
	    {"k<const float *, int &>", "k<const float*,int&>"},
	    {"(void (*)(int *)) k", "(void(*)(int*))k"},
	    {"&k", "&k"},
	    {"k<(1 + 2) % 3>", "k<(1+2)%3>"},
	    {"", ""},
	    {" \t\r\n", ""},
	};
	char out[GD_KERNEL_BYTES_MAX + 1];
	struct gd_error error;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		error = (struct gd_error){0};
		if (!gd_kernel_canonical(rows[i][0], out, &error))
			fail_msg("%s: %s", rows[i][0], error.text);
		assert_string_equal(out, rows[i][1]);
	}
	assert_true(gd_kernel_canonical(NULL, out, &error));
	assert_string_equal(out, "");
}

static void kernels_outside_the_grammar_are_refused(void **state)
{
	(void)state;
	static const char *const rows[] = {
	    "k;",  "k{}", "k}",    "#k", "k\"",   "k'",    "k\\",       "k=1", "k.x", "k?", "k[0]",
	    "k/",  "k@",  "k$",    "k`", "k\x01", "k\x7f", "k\xc3\xa9", "1k",  "9",   "(k", "k)",
	    "k)(", "a:b", "a:::b", "k:", "a,b",   ",k",    "<k>",       "*k",  "-k",  "+k",
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char out[GD_KERNEL_BYTES_MAX + 1] = "untouched";
		struct gd_error error = {0};
		if (gd_kernel_canonical(rows[i], out, &error))
			fail_msg("'%s' became '%s'", rows[i], out);
		assert_int_equal(error.code, GD_INVALID_REQUEST);
		assert_string_equal(error.pointer, "/kernel");
		assert_string_equal(out, "untouched");
	}
}

static void a_kernel_has_a_limit(void **state)
{
	(void)state;
	static char kernel[GD_KERNEL_BYTES_MAX + 2];
	char out[GD_KERNEL_BYTES_MAX + 1];
	struct gd_error error;
	memset(kernel, 'k', GD_KERNEL_BYTES_MAX + 1);
	assert_false(gd_kernel_canonical(kernel, out, &error));
	kernel[GD_KERNEL_BYTES_MAX] = '\0';
	assert_true(gd_kernel_canonical(kernel, out, &error));
	/* white space that goes away does not count */
	kernel[0] = ' ';
	kernel[GD_KERNEL_BYTES_MAX] = 'k';
	assert_true(gd_kernel_canonical(kernel, out, &error));
	assert_int_equal(strlen(out), GD_KERNEL_BYTES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(allowed_options_have_one_spelling),
	    cmocka_unit_test(all_else_is_refused_by_name_and_place),
	    cmocka_unit_test(the_error_names_the_option),
	    cmocka_unit_test(an_option_has_a_limit),
	    cmocka_unit_test(a_list_is_sorted_and_holds_each_once),
	    cmocka_unit_test(contradictions_are_refused),
	    cmocka_unit_test(a_list_has_a_limit),
	    cmocka_unit_test(kernels_have_one_form),
	    cmocka_unit_test(kernels_outside_the_grammar_are_refused),
	    cmocka_unit_test(a_kernel_has_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
