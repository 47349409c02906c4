#include "common.h"

#include "gpu/program/diagnostics.h"

static void parse(const char *log, struct gd_diagnostics *out)
{
	struct gd_error error;
	assert_true(gd_diagnostics_parse(log, strlen(log), out, &error));
}

static void errors_and_warnings_have_place_number_and_excerpt(void **state)
{
	(void)state;
	/* as NVRTC 13.0 prints it: two blanks before the source line, tabs as they are */
	static const char log[] =
	    "kernel.cu(4): error: identifier \"undefd\" is undefined\n"
	    "  \t\ty[n]=undefd+1;\n"
	    "  \t\t     ^\n"
	    "\n"
	    "kernel.cu(3): warning #177-D: variable \"q\" was declared but never referenced\n"
	    "  int q;\n"
	    "      ^\n"
	    "\n"
	    "Remark: The warnings can be suppressed with \"-diag-suppress <warning-number>\"\n"
	    "\n"
	    "lib/a(1).h(7): error: expression must have class type but it has type \"int\"\n"
	    "  return a.x;\n"
	    "         ^\n"
	    "          detected during instantiation of \"T f(T) [with T=int]\" at line 8\n"
	    "          instantiation of something at line 9\n"
	    "\n"
	    "2 errors detected in the compilation of \"kernel.cu\".\n";
	struct gd_diagnostics found;
	parse(log, &found);
	assert_int_equal(found.count, 3);
	const struct gd_diagnostic *item = &found.items[0];
	assert_int_equal(item->severity, GD_SEVERITY_ERROR);
	assert_string_equal(item->file, "kernel.cu");
	assert_int_equal(item->line, 4);
	assert_int_equal(item->column, 8);
	assert_int_equal(item->number, 0);
	assert_string_equal(item->message, "identifier \"undefd\" is undefined");
	assert_string_equal(item->excerpt, "  \t\ty[n]=undefd+1;\n  \t\t     ^");
	item = &found.items[1];
	assert_int_equal(item->severity, GD_SEVERITY_WARNING);
	assert_int_equal(item->number, 177);
	assert_int_equal(item->column, 5);
	item = &found.items[2];
	assert_string_equal(item->file, "lib/a(1).h");
	assert_int_equal(item->line, 7);
	assert_non_null(strstr(item->message, "\ndetected during instantiation of \"T f(T)"));
	assert_non_null(strstr(item->message, "at line 9"));
	assert_string_equal(found.log, log);
	gd_diagnostics_done(&found);
}

static void every_form_of_a_head_is_read(void **state)
{
	(void)state;
	static const struct {
		const char *log, *file, *message;
		enum gd_severity severity;
		uint32_t line, number;
	} rows[] = {
	    {"kernel.cu(2): catastrophic error: cannot open source file \"x.h\"\n", "kernel.cu",
	     "cannot open source file \"x.h\"", GD_SEVERITY_ERROR, 2, 0},
	    {"kernel.cu(2): error #20014-D: calling a host function", "kernel.cu", "calling a host function",
	     GD_SEVERITY_ERROR, 2, 20014},
	    {"kernel.cu(2): remark: a remark\n", "kernel.cu", "a remark", GD_SEVERITY_NOTE, 2, 0},
	    {"kernel.cu(2): note #7: a note\n", "kernel.cu", "a note", GD_SEVERITY_NOTE, 2, 7},
	    {"kernel.cu(2): internal error: assertion\n", "kernel.cu", "assertion", GD_SEVERITY_ERROR, 2, 0},
	    {"nvrtc: error: invalid value for --gpu-architecture (-arch)\n", "",
	     "invalid value for --gpu-architecture (-arch)", GD_SEVERITY_ERROR, 0, 0},
	    {"ptxas error   : Entry function 'k' uses too much shared data\n", "",
	     "Entry function 'k' uses too much shared data", GD_SEVERITY_ERROR, 0, 0},
	    {"ptxas application ptx input, line 24; error   : Not a name of any known instruction: 'bad'\n",
	     "ptx", "Not a name of any known instruction: 'bad'", GD_SEVERITY_ERROR, 24, 0},
	    {"ptxas fatal   : Ptx assembly aborted due to errors\n", "", "Ptx assembly aborted due to errors",
	     GD_SEVERITY_ERROR, 0, 0},
	    {"ptxas warning : Unresolved\n", "", "Unresolved", GD_SEVERITY_WARNING, 0, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_diagnostics found;
		parse(rows[i].log, &found);
		assert_int_equal(found.count, 1);
		const struct gd_diagnostic *item = &found.items[0];
		assert_string_equal(item->file, rows[i].file);
		assert_string_equal(item->message, rows[i].message);
		assert_int_equal(item->severity, rows[i].severity);
		assert_int_equal(item->line, rows[i].line);
		assert_int_equal(item->number, rows[i].number);
		gd_diagnostics_done(&found);
	}
}

static void a_log_that_cannot_be_read_is_one_diagnostic(void **state)
{
	(void)state;
	struct gd_diagnostics found;
	parse("LLVM ERROR: out of memory\n", &found);
	assert_int_equal(found.count, 1);
	assert_string_equal(found.items[0].message, "LLVM ERROR: out of memory\n");
	assert_int_equal(found.items[0].line, 0);
	gd_diagnostics_done(&found);
}

static void no_log_is_no_diagnostic(void **state)
{
	(void)state;
	struct gd_diagnostics found;
	struct gd_error error;
	parse("", &found);
	assert_int_equal(found.count, 0);
	assert_null(found.log);
	parse(" \n\n", &found);
	assert_null(found.log);
	assert_true(gd_diagnostics_parse(NULL, 0, &found, &error));
	assert_int_equal(found.count, 0);
	gd_diagnostics_done(&found);
}

static void what_is_no_text_is_mended(void **state)
{
	(void)state;
	struct gd_diagnostics found;
	struct gd_error error;
	static const char log[] = "kernel.cu(1): error: \xff\x1b[31m caf\xc3\xa9 \xe2\x82\n";
	assert_true(gd_diagnostics_parse(log, sizeof log - 1, &found, &error));
	assert_string_equal(found.items[0].message, "??[31m caf\xc3\xa9 ??");
	gd_diagnostics_done(&found);
	assert_true(gd_diagnostics_parse("a(1): error: x\0hidden", 21, &found, &error));
	assert_string_equal(found.log, "a(1): error: x");
	gd_diagnostics_done(&found);
}

static void long_logs_and_lists_are_cut(void **state)
{
	(void)state;
	static const char line[] = "kernel.cu(1): error: the same again and again\n\n";
	size_t bytes = 2 * GD_LOG_BYTES_MAX;
	char *log = malloc(bytes);
	struct gd_diagnostics found;
	struct gd_error error;
	assert_non_null(log);
	for (size_t i = 0; i < bytes; i++)
		log[i] = line[i % (sizeof line - 1)];
	assert_true(gd_diagnostics_parse(log, bytes, &found, &error));
	assert_int_equal(strlen(found.log), GD_LOG_BYTES_MAX);
	assert_int_equal(found.count, GD_DIAGNOSTICS_MAX);
	gd_diagnostics_done(&found);
	free(log);
}

static void any_bytes_are_read_safely(void **state)
{
	(void)state;
	static const char alphabet[] = "kernel.cu(1): error #1-D: ^\n \tx(:;";
	uint64_t seed = 88172645463325252ull; /* xorshift64, Marsaglia 2003 */
	for (int round = 0; round < 20000; round++) {
		char log[64];
		for (size_t i = 0; i < sizeof log; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			log[i] =
			    seed % 5 ? alphabet[(seed >> 8) % (sizeof alphabet - 1)] : (char)(seed >> 16);
		}
		/* often a true beginning, so that the body is reached */
		if (round % 2)
			memcpy(log, "a(1): error: ", 13);
		struct gd_diagnostics found;
		struct gd_error error;
		assert_true(gd_diagnostics_parse(log, (size_t)round % (sizeof log + 1), &found, &error));
		gd_diagnostics_done(&found);
	}
}

static void a_copy_is_independent(void **state)
{
	(void)state;
	struct gd_diagnostics found, copy;
	struct gd_error error;
	parse("kernel.cu(1): error: one\n\nkernel.cu(2): error: two\n", &found);
	assert_true(gd_diagnostics_copy(&found, &copy, &error));
	gd_diagnostics_done(&found);
	assert_int_equal(copy.count, 2);
	assert_string_equal(copy.items[1].message, "two");
	assert_non_null(copy.log);
	gd_diagnostics_done(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(errors_and_warnings_have_place_number_and_excerpt),
	    cmocka_unit_test(every_form_of_a_head_is_read),
	    cmocka_unit_test(a_log_that_cannot_be_read_is_one_diagnostic),
	    cmocka_unit_test(no_log_is_no_diagnostic),
	    cmocka_unit_test(what_is_no_text_is_mended),
	    cmocka_unit_test(long_logs_and_lists_are_cut),
	    cmocka_unit_test(any_bytes_are_read_safely),
	    cmocka_unit_test(a_copy_is_independent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
