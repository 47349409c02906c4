/* Header values: Content-Type, Accept, entity tags. */
#include "api/media.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void content_types_are_read_or_refused(void **state)
{
	(void)state;
	static const struct {
		const char *header, *type, *boundary, *charset; /* type NULL: refused */
	} rows[] = {
	    {NULL, "", "", ""},
	    {"", "", "", ""},
	    {"Application/JSON", "application/json", "", ""},
	    {" text/x-cuda ; charset=UTF-8", "text/x-cuda", "", "utf-8"},
	    {"text/plain; charset=\"us-ascii\"", "text/plain", "", "us-ascii"},
	    {"multipart/form-data; boundary=abc", "multipart/form-data", "abc", ""},
	    {"multipart/form-data; BOUNDARY=\"a b\\\"c\"; x=y", "multipart/form-data", "a b\"c", ""},
	    {"text/plain;;", "text/plain", "", ""},
	    {"text", NULL, NULL, NULL},
	    {"text/", NULL, NULL, NULL},
	    {"/plain", NULL, NULL, NULL},
	    {"text/plain charset", NULL, NULL, NULL},
	    {"text/plain; charset", NULL, NULL, NULL},
	    {"text/plain; charset=", NULL, NULL, NULL},
	    {"text/plain; charset=\"x", NULL, NULL, NULL},
	    {"multipart/form-data; boundary=", NULL, NULL, NULL},
	    {"multipart/form-data; boundary=\"\"", NULL, NULL, NULL},
	    {"multipart/form-data; boundary=a; boundary=b", NULL, NULL, NULL},
	    {"text/plain, text/html", NULL, NULL, NULL},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct gd_media media;
		bool is_good = gd_media_parse(rows[i].header, &media);
		if (is_good != (rows[i].type != NULL))
			print_error("%s\n", rows[i].header);
		assert_int_equal(is_good, rows[i].type != NULL);
		if (!is_good)
			continue;
		assert_string_equal(media.type, rows[i].type);
		assert_string_equal(media.boundary, rows[i].boundary);
		assert_string_equal(media.charset, rows[i].charset);
	}
}

static void a_boundary_has_at_most_seventy_characters(void **state)
{
	(void)state;
	for (int over = 0; over < 2; over++) {
		char header[200];
		struct gd_media media;
		snprintf(header, sizeof header, "multipart/form-data; boundary=%0*d", GD_BOUNDARY_MAX + over,
			 0);
		assert_int_equal(gd_media_parse(header, &media), !over);
	}
}

static void accept_weighs_the_most_specific_range(void **state)
{
	(void)state;
	static const struct {
		const char *accept, *type;
		unsigned weight;
	} rows[] = {
	    {NULL, "application/json", 1000},
	    {"", "application/json", 1000},
	    {"*/*", "application/json", 1000},
	    {"text/*;q=0.5", "text/plain", 500},
	    {"text/*;q=0.5, text/plain;q=0.25", "text/plain", 250},
	    {"text/plain;q=0.25,text/*;q=0.5", "text/plain", 250},
	    {"text/plain;q=0, */*", "text/plain", 0},
	    {"text/plain;q=0, */*", "text/html", 1000},
	    {"APPLICATION/JSON", "application/json", 1000},
	    {"application/jsonx", "application/json", 0},
	    {"application/json;version=1;q=0.125", "application/json", 125},
	    {"application/json ; q=0.3 , x/y", "application/json", 300},
	    {"application/json;q=2", "application/json", 1000},
	    {"application/json;q=0.12345", "application/json", 123},
	    {"application/json;q=", "application/json", 1000},
	    {"text", "text/plain", 0},
	    {"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
	     "text/plain", 300},
	    {"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3,*/*;q=0.2",
	     "application/json", 200},
	    {",,,", "text/plain", 0},
	    {";;;", "text/plain", 0},
	    {"*", "text/plain", 0},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		unsigned weight = gd_accept_quality(rows[i].accept, rows[i].type);
		if (weight != rows[i].weight)
			print_error("%s for %s\n", rows[i].accept, rows[i].type);
		assert_int_equal(weight, rows[i].weight);
	}
	assert_true(gd_accept_is_open(NULL));
	assert_true(gd_accept_is_open(" */* ;q=0.8"));
	assert_false(gd_accept_is_open("*/*;q=0"));
	assert_false(gd_accept_is_open("text/*"));
}

static void entity_tags_are_found_in_lists(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		bool is_listed;
	} rows[] = {{NULL, false},
		    {"", false},
		    {"\"abc\"", true},
		    {"W/\"abc\"", true},
		    {"*", true},
		    {"\"x\", \"abc\"", true},
		    {"\"x\",\"y\"", false},
		    {"abc", false},
		    {"\"abcd\"", false},
		    {"\"a,\", \"abc\"", true},
		    {"\"abc", false},
		    {"\"x\" \"abc\"", true}};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(gd_etag_listed(rows[i].header, "\"abc\""), rows[i].is_listed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(content_types_are_read_or_refused),
	    cmocka_unit_test(a_boundary_has_at_most_seventy_characters),
	    cmocka_unit_test(accept_weighs_the_most_specific_range),
	    cmocka_unit_test(entity_tags_are_found_in_lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
