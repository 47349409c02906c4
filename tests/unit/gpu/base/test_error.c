/* The error object: what is written, what is kept, and that nothing overruns. */
#include "gpu/base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void setting_writes_every_field_and_returns_false(void **state)
{
	(void)state;
	struct gd_error error;
	memset(&error, 0xa5, sizeof error);
	assert_false(gd_error_set(&error, GD_NOT_FOUND, "Look elsewhere.", "no %s %d", "thing", 7));
	assert_int_equal(error.code, GD_NOT_FOUND);
	assert_string_equal(error.text, "no thing 7");
	assert_string_equal(error.fix, "Look elsewhere.");
	assert_string_equal(error.pointer, "");
	assert_int_equal(error.native, 0);
	assert_null(error.native_name);
	assert_false(error.sticky);
	gd_error_set(&error, GD_GONE, NULL, "gone");
	assert_string_equal(error.fix, "");
}

static void no_error_wanted_is_no_error(void **state)
{
	(void)state;
	assert_false(gd_error_set(NULL, GD_UNKNOWN, "fix", "text"));
	assert_false(gd_error_errno(NULL, EIO, "text"));
	assert_false(gd_error_context(NULL, "context"));
	assert_false(gd_error_at(NULL, "/a"));
	assert_false(gd_error_native(NULL, 1, "NAME", true));
}

static void texts_at_the_limit_fit_and_longer_ones_are_cut(void **state)
{
	(void)state;
	struct gd_error error;
	static char text[2000];
	static const struct {
		size_t bytes, kept;
		const char *why;
	} rows[] = {
	    {sizeof error.text - 2, sizeof error.text - 2, "one below the limit"},
	    {sizeof error.text - 1, sizeof error.text - 1, "at the limit"},
	    {sizeof error.text, sizeof error.text - 1, "one past the limit"},
	    {sizeof text - 1, sizeof error.text - 1, "far past the limit"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		memset(text, 'x', sizeof text);
		text[rows[i].bytes] = 0;
		gd_error_set(&error, GD_UNKNOWN, text, "%s", text);
		if (strlen(error.text) != rows[i].kept)
			fail_msg("%s: %zu", rows[i].why, strlen(error.text));
		assert_true(strlen(error.fix) <= sizeof error.fix - 1);
		gd_error_at(&error, "%s", text);
		assert_true(strlen(error.pointer) <= sizeof error.pointer - 1);
	}
}

static void an_errno_is_told_by_number_and_text(void **state)
{
	(void)state;
	struct gd_error error;
	assert_false(gd_error_errno(&error, ENOENT, "cannot open %s", "it"));
	assert_int_equal(error.code, GD_INTERNAL_STATE);
	assert_int_equal(error.native, ENOENT);
	assert_string_equal(error.text, "cannot open it: No such file or directory");
	static char text[1000];
	memset(text, 'y', sizeof text - 1);
	gd_error_errno(&error, ENOENT, "%s", text);
	assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

static void context_stands_before_the_text(void **state)
{
	(void)state;
	struct gd_error error;
	gd_error_set(&error, GD_CONFLICT, "fix", "inner");
	gd_error_at(&error, "/x/%d", 3);
	assert_false(gd_error_context(&error, "middle"));
	assert_false(gd_error_context(&error, "outer %d", 1));
	assert_string_equal(error.text, "outer 1: middle: inner");
	assert_string_equal(error.pointer, "/x/3");
	assert_string_equal(error.fix, "fix");
	assert_int_equal(error.code, GD_CONFLICT);
}

static void context_that_does_not_fit_keeps_the_outermost_part(void **state)
{
	(void)state;
	struct gd_error error;
	static char text[600];
	memset(text, 'i', 470);
	gd_error_set(&error, GD_CONFLICT, NULL, "%s", text);
	gd_error_context(&error, "outermost");
	assert_int_equal(strncmp(error.text, "outermost: iii", 14), 0);
	assert_int_equal(strlen(error.text), sizeof error.text - 1);
	memset(text, 'o', sizeof text - 1);
	gd_error_context(&error, "%s", text);
	assert_int_equal(strlen(error.text), sizeof error.text - 1);
	assert_int_equal(error.text[0], 'o');
}

static void a_native_cause_is_added_to_what_is_set(void **state)
{
	(void)state;
	struct gd_error error;
	gd_error_set(&error, GD_DISPATCH_FAILED, NULL, "fault");
	assert_false(gd_error_native(&error, 700, "CUDA_ERROR_ILLEGAL_ADDRESS", true));
	assert_int_equal(error.native, 700);
	assert_string_equal(error.native_name, "CUDA_ERROR_ILLEGAL_ADDRESS");
	assert_true(error.sticky);
	assert_string_equal(error.text, "fault");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(setting_writes_every_field_and_returns_false),
	    cmocka_unit_test(no_error_wanted_is_no_error),
	    cmocka_unit_test(texts_at_the_limit_fit_and_longer_ones_are_cut),
	    cmocka_unit_test(an_errno_is_told_by_number_and_text),
	    cmocka_unit_test(context_stands_before_the_text),
	    cmocka_unit_test(context_that_does_not_fit_keeps_the_outermost_part),
	    cmocka_unit_test(a_native_cause_is_added_to_what_is_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
