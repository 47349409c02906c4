/* Problems: every code has its row, and the document is valid JSON with a fix whatever the texts are. */
#include "api/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <string.h>

static json_t *write(const struct gd_problem *problem)
{
	struct gd_buf out;
	gd_buf_init(&out, 1 << 20);
	assert_true(gd_problem_write(&out, problem));
	json_t *json = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
	if (!json)
		print_error("%s\n", out.data);
	assert_non_null(json);
	gd_buf_done(&out);
	return json;
}

static const char *text_of(const json_t *json, const char *member)
{
	const char *text = json_string_value(json_object_get(json, member));
	assert_non_null(text);
	return text;
}

static void every_code_has_number_word_status_and_fix(void **state)
{
	(void)state;
	/* the table of contract.md */
	static const struct {
		enum gd_code code;
		unsigned number, status;
		const char *word;
	} rows[] = {
	    {GD_DEVICE_OUT_OF_MEMORY, 1001, 507, "device_out_of_memory"},
	    {GD_UNSUPPORTED_FEATURE, 1002, 501, "unsupported_feature"},
	    {GD_BACKEND_UNAVAILABLE, 1002, 503, "backend_unavailable"},
	    {GD_INTERNAL_STATE, 1003, 500, "internal_state"},
	    {GD_KERNEL_COMPILE_FAILED, 1004, 422, "kernel_compile_failed"},
	    {GD_DISPATCH_FAILED, 1005, 422, "dispatch_failed"},
	    {GD_INVALID_PROGRAM, 1006, 422, "invalid_program"},
	    {GD_INVALID_REQUEST, 1006, 422, "invalid_request"},
	    {GD_MALFORMED_BODY, 1006, 400, "malformed_request"},
	    {GD_METHOD_NOT_ALLOWED, 1006, 405, "method_not_allowed"},
	    {GD_NOT_ACCEPTABLE, 1006, 406, "not_acceptable"},
	    {GD_PRECONDITION_FAILED, 1006, 412, "precondition_failed"},
	    {GD_UNSUPPORTED_MEDIA_TYPE, 1006, 415, "unsupported_media_type"},
	    {GD_RANGE_NOT_SATISFIABLE, 1006, 416, "range_not_satisfiable"},
	    {GD_PRECONDITION_REQUIRED, 1006, 428, "precondition_required"},
	    {GD_HEADERS_TOO_LARGE, 1006, 431, "headers_too_large"},
	    {GD_COOPERATIVE_RESIDENCY_EXCEEDED, 1007, 422, "cooperative_residency_exceeded"},
	    {GD_DEVICE_LOST, 1008, 503, "device_lost"},
	    {GD_DEADLINE_EXCEEDED, 1009, 504, "deadline_exceeded"},
	    {GD_NOT_FOUND, 1010, 404, "not_found"},
	    {GD_GONE, 1010, 410, "gone"},
	    {GD_CONFLICT, 1011, 409, "conflict"},
	    {GD_TOO_LARGE, 1012, 413, "too_large"},
	    {GD_OVERLOADED, 1013, 503, "overloaded"},
	    {GD_DRAINING, 1013, 503, "draining"},
	    {GD_QUOTA_EXCEEDED, 1013, 429, "quota_exceeded"},
	    {GD_UNAUTHENTICATED, 1014, 401, "unauthenticated"},
	    {GD_FORBIDDEN, 1014, 403, "forbidden"},
	    {GD_UNKNOWN, 1999, 500, "unknown"},
	};
	assert_int_equal(sizeof rows / sizeof rows[0], GD_CODE_COUNT - 1);
	for (unsigned i = 0; i < GD_CODE_COUNT - 1; i++) {
		struct gd_error error;
		gd_error_set(&error, rows[i].code, NULL, "it went wrong");
		json_t *json = write(&(struct gd_problem){.error = &error, .instance = "r"});
		assert_int_equal(json_integer_value(json_object_get(json, "number")), rows[i].number);
		assert_int_equal(json_integer_value(json_object_get(json, "status")), rows[i].status);
		assert_string_equal(text_of(json, "code"), rows[i].word);
		assert_int_equal(strncmp(text_of(json, "detail"), "it went wrong. Fix: ", 20), 0);
		assert_true(strlen(text_of(json, "detail")) > 30);
		assert_non_null(strstr(text_of(json, "detail"), text_of(json, "fix")));
		assert_string_equal(text_of(json, "error"), text_of(json, "detail"));
		assert_true(strlen(text_of(json, "title")) > 0 && strlen(text_of(json, "stage")) > 0);
		json_decref(json);
	}
	assert_ptr_equal(gd_problem_row(GD_CODE_COUNT), gd_problem_row(GD_UNKNOWN));
	assert_ptr_equal(gd_problem_row(GD_OK), gd_problem_row(GD_UNKNOWN));
}

static void any_text_makes_valid_json(void **state)
{
	(void)state;
	static const char *const texts[] = {"\"quotes\\\"",    "line\nend\ttab\r\x01\x7f",
					    "cut \xc3",        "\xff\xfe",
					    "\xed\xa0\x80",    "\xf4\x90\x80\x80",
					    "\xc0\x80",        "ends.",
					    "ends. ",          "",
					    "\xf0\x9f\x98\x80"};
	for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct gd_error error;
		gd_error_set(&error, GD_INVALID_REQUEST, texts[i], "%s", texts[i]);
		gd_error_at(&error, "%s", *texts[i] ? texts[i] : "/x");
		gd_error_native(&error, 700, texts[i], true);
		struct gd_diagnostic item = {.severity = GD_SEVERITY_ERROR,
					     .line = 1,
					     .file = (char *)(uintptr_t)texts[i],
					     .message = (char *)(uintptr_t)texts[i],
					     .excerpt = (char *)(uintptr_t)texts[i]};
		struct gd_diagnostics diagnostics = {
		    .count = 1, .items = &item, .log = (char *)(uintptr_t)texts[i]};
		json_t *json = write(&(struct gd_problem){
		    .error = &error, .instance = texts[i], .diagnostics = &diagnostics, .status = 418});
		assert_int_equal(json_integer_value(json_object_get(json, "status")), 418);
		assert_non_null(strstr(text_of(json, "detail"), ". Fix: "));
		assert_null(strstr(text_of(json, "detail"), ".. Fix: "));
		assert_int_equal(json_array_size(json_object_get(json, "diagnostics")), 1);
		assert_int_equal(json_array_size(json_object_get(json, "errors")), 1);
		assert_non_null(json_object_get(json, "cuda"));
		json_decref(json);
	}
}

static void a_full_buffer_is_told(void **state)
{
	(void)state;
	struct gd_error error;
	gd_error_set(&error, GD_UNKNOWN, NULL, "x");
	struct gd_problem problem = {.error = &error};
	for (size_t max = 0; max < 600; max++) {
		struct gd_buf out;
		gd_buf_init(&out, max);
		if (gd_problem_write(&out, &problem))
			assert_true(max > 300);
		assert_true(out.len <= max);
		gd_buf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_code_has_number_word_status_and_fix),
	    cmocka_unit_test(any_text_makes_valid_json),
	    cmocka_unit_test(a_full_buffer_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
