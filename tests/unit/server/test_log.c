#include "server/log.h"

#include "gpu/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char line[GD_LOG_LINE_MAX + 1];

static const char *compose(enum gd_log_format format, const char *message, const struct gd_log_field *fields,
			   uint64_t repeated)
{
	size_t bytes = gd_log_compose(format, GD_LOG_WARN, 1700000000123, message, fields, repeated, line);
	assert_true(bytes <= GD_LOG_LINE_MAX);
	line[bytes] = '\0';
	return line;
}

static void text_lines_have_time_level_message_and_fields(void **state)
{
	(void)state;
	assert_string_equal(compose(GD_LOG_TEXT, "hello there",
				    gd_log_fields(gd_log_text("a", "b"), gd_log_number("n", -5)), 0),
			    "2023-11-14T22:13:20.123Z warn hello there a=b n=-5\n");
	assert_string_equal(compose(GD_LOG_TEXT, "m", NULL, 3),
			    "2023-11-14T22:13:20.123Z warn m repeated=3\n");
}

static void json_lines_are_objects(void **state)
{
	(void)state;
	assert_string_equal(
	    compose(GD_LOG_JSON, "m", gd_log_fields(gd_log_text("a", "b"), gd_log_number("n", 5)), 0),
	    "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"warn\",\"message\":\"m\",\"a\":\"b\",\"n\":5}"
	    "\n");
}

static void values_cannot_forge_lines(void **state)
{
	(void)state;
	const struct gd_log_field *fields = gd_log_fields(gd_log_text("v", "a\nb \"c\" \\ \x7f \xff"));
	const char *text = compose(GD_LOG_TEXT, "m", fields, 0);
	assert_non_null(strstr(text, "v=\"a\\u000ab \\\"c\\\" \\\\ \\u007f \\u00ff\"\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	const char *empty =
	    compose(GD_LOG_TEXT, "m", gd_log_fields(gd_log_text("v", NULL), gd_log_text("w", "x y")), 0);
	assert_non_null(strstr(empty, "v=\"\" w=\"x y\"\n"));
}

static void long_lines_are_cut_and_still_end(void **state)
{
	(void)state;
	static char value[4 * GD_LOG_LINE_MAX];
	memset(value, 'x', sizeof value);
	value[sizeof value - 1] = '\0';
	for (int format = GD_LOG_TEXT; format <= GD_LOG_JSON; format++) {
		const char *text =
		    compose((enum gd_log_format)format, "m", gd_log_fields(gd_log_text("v", value)), 0);
		assert_true(strlen(text) < GD_LOG_LINE_MAX);
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
		if (format == GD_LOG_JSON)
			assert_string_equal(text + strlen(text) - 3, "\"}\n");
	}
}

static void a_message_that_repeats_is_held_back_and_counted(void **state)
{
	(void)state;
	struct gd_log_meter meter = {.message = "m"};
	uint64_t repeated = 99, now = 5 * GD_NS_PER_S;
	for (int i = 0; i < GD_LOG_BURST; i++) {
		assert_true(gd_log_meter_take(&meter, now, &repeated));
		assert_int_equal(repeated, 0);
	}
	for (int i = 0; i < 7; i++)
		assert_false(gd_log_meter_take(&meter, now + GD_NS_PER_S - 1, &repeated));
	assert_true(gd_log_meter_take(&meter, now + GD_NS_PER_S, &repeated));
	assert_int_equal(repeated, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_lines_have_time_level_message_and_fields),
	    cmocka_unit_test(json_lines_are_objects),
	    cmocka_unit_test(values_cannot_forge_lines),
	    cmocka_unit_test(long_lines_are_cut_and_still_end),
	    cmocka_unit_test(a_message_that_repeats_is_held_back_and_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
