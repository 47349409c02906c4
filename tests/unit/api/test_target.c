/* Request targets: decoded once, split before decoding, refused when broken. */
#include "api/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void paths_are_split_and_decoded_once(void **state)
{
	(void)state;
	static const struct {
		const char *raw;
		bool is_prefixed;
		unsigned count;
		const char *segments[4];
	} rows[] = {
	    {"/", false, 0, {NULL}},
	    {"/v1", true, 0, {NULL}},
	    {"/v1/", true, 0, {NULL}},
	    {"/v1x/a", false, 2, {"v1x", "a"}},
	    {"/pipelines", false, 1, {"pipelines"}},
	    {"/v1/pipelines/cuda%3Aab/ptx", true, 3, {"pipelines", "cuda:ab", "ptx"}},
	    {"/pipelines/cuda%253Aab", false, 2, {"pipelines", "cuda%3Aab"}},
	    {"/a%2Fb/c", false, 2, {"a/b", "c"}},
	    {"/a/", false, 2, {"a", ""}},
	    {"/a//b", false, 3, {"a", "", "b"}},
	    {"/a+b", false, 1, {"a+b"}},
	    {"http://host:1/a/b?c=d", false, 2, {"a", "b"}},
	    {"http://host", false, 0, {NULL}},
	    {"/a#b/c", false, 1, {"a"}},
	    {"/1/2/3/4/5/6/7", false, 7, {"1", "2", "3", "4"}},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct gd_target target;
		struct gd_error error;
		assert_true(gd_target_parse(rows[i].raw, &target, &error));
		assert_int_equal(target.is_prefixed, rows[i].is_prefixed);
		if (target.segment_count != rows[i].count)
			print_error("%s\n", rows[i].raw);
		assert_int_equal(target.segment_count, rows[i].count);
		for (unsigned s = 0; s < 4 && rows[i].segments[s]; s++)
			assert_string_equal(target.segments[s], rows[i].segments[s]);
		gd_target_done(&target);
	}
}

static void queries_are_names_and_values_each_once(void **state)
{
	(void)state;
	struct gd_target target;
	struct gd_error error;
	assert_true(gd_target_parse("/x?a=1&b=%26%3D&c&&d=+%2B&%65=e=f", &target, &error));
	assert_int_equal(target.item_count, 5);
	assert_string_equal(gd_target_query(&target, "a"), "1");
	assert_string_equal(gd_target_query(&target, "b"), "&=");
	assert_string_equal(gd_target_query(&target, "c"), "");
	assert_string_equal(gd_target_query(&target, "d"), " +");
	assert_string_equal(gd_target_query(&target, "e"), "e=f");
	assert_null(gd_target_query(&target, "f"));
	assert_true(gd_target_only(&target, (const char *const[]){"e", "d", "c", "b", "a", NULL}, &error));
	assert_false(gd_target_only(&target, (const char *const[]){"e", "d", "c", "b", NULL}, &error));
	assert_string_equal(error.pointer, "a");
	gd_target_done(&target);
}

static void broken_targets_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *raw;
		enum gd_code code;
	} rows[] = {
	    {"", GD_MALFORMED_BODY},
	    {"*", GD_MALFORMED_BODY},
	    {"x/y", GD_MALFORMED_BODY},
	    {"/%", GD_MALFORMED_BODY},
	    {"/%4", GD_MALFORMED_BODY},
	    {"/%zz", GD_MALFORMED_BODY},
	    {"/%00", GD_MALFORMED_BODY},
	    {"/a%4/b", GD_MALFORMED_BODY},
	    {"/a%/41", GD_MALFORMED_BODY},
	    {"/x?a=%", GD_MALFORMED_BODY},
	    {"/x?%0=1", GD_MALFORMED_BODY},
	    {"/x?a=%00", GD_MALFORMED_BODY},
	    {"/x?a=%4&b=1", GD_MALFORMED_BODY},
	    {"/x?a=1&a=2", GD_INVALID_REQUEST},
	    {"/x?a=1&%61=2", GD_INVALID_REQUEST},
	    {"/x?=1", GD_INVALID_REQUEST},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct gd_target target;
		struct gd_error error = {0};
		bool is_good = gd_target_parse(rows[i].raw, &target, &error);
		if (is_good || error.code != rows[i].code)
			print_error("%s\n", rows[i].raw);
		assert_false(is_good);
		assert_int_equal(error.code, rows[i].code);
		gd_target_done(&target);
	}
}

static void the_number_of_items_has_a_limit(void **state)
{
	(void)state;
	size_t room = 3 + (GD_QUERY_ITEMS_MAX + 1) * 8;
	char *raw = malloc(room);
	assert_non_null(raw);
	for (unsigned over = 0; over < 2; over++) {
		size_t used = 0;
		used += (size_t)snprintf(raw, room, "/x?");
		for (unsigned i = 0; i < GD_QUERY_ITEMS_MAX + over; i++)
			used += (size_t)snprintf(raw + used, room - used, "%sn%u=", i ? "&" : "", i);
		struct gd_target target;
		struct gd_error error;
		assert_int_equal(gd_target_parse(raw, &target, &error), !over);
		gd_target_done(&target);
	}
	free(raw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_are_split_and_decoded_once),
	    cmocka_unit_test(queries_are_names_and_values_each_once),
	    cmocka_unit_test(broken_targets_are_refused),
	    cmocka_unit_test(the_number_of_items_has_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
