/* Parsing with pointers: where an error is, and values from JSON and text at their limits. */
#include "api/json_in.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void a_place_becomes_a_pointer(void **state)
{
	(void)state;
	static const struct {
		const char *text, *pointer; /* the place is the first ! */
	} rows[] = {
	    {"!", ""},
	    {"{!", ""},
	    {"{\"a\": !", "/a"},
	    {"{\"a\": 1, \"b\": !", "/b"},
	    {"{\"a\": {\"b\": [1, {\"c\": !", "/a/b/1/c"},
	    {"{\"a\": [1, 2], \"b\": [[], !", "/b/1"},
	    {"[!", "/0"},
	    {"[1,2,!", "/2"},
	    {"{\"a/b~c\": !", "/a~1b~0c"},
	    {"{\"a\\\"{\": !", "/a\\\"{"},
	    {"{\"a\": \"x{[,\", \"b\": !", "/b"},
	    {"{\"a\": 1}!", ""},
	    {"]]}}!", ""},
	    {"{\"a!", "/a"},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char pointer[64];
		gd_json_pointer_at(rows[i].text, strlen(rows[i].text), strcspn(rows[i].text, "!"), pointer,
				   sizeof pointer);
		if (strcmp(pointer, rows[i].pointer) != 0)
			print_error("%s\n", rows[i].text);
		assert_string_equal(pointer, rows[i].pointer);
	}
	/* deep and long ones are cut, never written past */
	char deep[200];
	memset(deep, '[', sizeof deep);
	for (size_t capacity = 1; capacity < 80; capacity++) {
		char *out = malloc(capacity);
		assert_non_null(out);
		gd_json_pointer_at(deep, sizeof deep, sizeof deep, out, capacity);
		assert_true(strlen(out) < capacity);
		gd_json_pointer_at("{\"aaaaaaaaaaaa/aaaaaaaaaa~~~~\": ", 32, 32, out, capacity);
		assert_true(strlen(out) < capacity);
		free(out);
	}
}

static void what_cannot_be_parsed_is_malformed_and_what_is_twice_is_invalid(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum gd_code code;
		const char *pointer;
	} rows[] = {{"", GD_MALFORMED_BODY, ""},
		    {"{\"a\": [1, }", GD_MALFORMED_BODY, "/a/1"},
		    {"{\"a\": {\"b\": 1, \"b\": 2}}", GD_INVALID_REQUEST, "/a/b"},
		    {"{\"a\": 99999999999999999999}", GD_INVALID_REQUEST, "/a"},
		    {"nul", GD_MALFORMED_BODY, ""}};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct gd_error error = {0};
		json_t *json = gd_json_parse(rows[i].text, strlen(rows[i].text), "the body", &error);
		assert_null(json);
		assert_int_equal(error.code, rows[i].code);
		assert_string_equal(error.pointer, rows[i].pointer);
	}
}

static void numbers_are_taken_in_their_range_only(void **state)
{
	(void)state;
	static const struct {
		const char *json; /* and as text, without quotes */
		bool is_good, is_good_text;
	} rows[] = {{"1", true, true},        {"9", true, true},      {"0", false, false},
		    {"10", false, false},     {"-1", false, false},   {"1.0", false, false},
		    {"true", false, false},   {"null", false, false}, {"\"5\"", true, false},
		    {"\"5x\"", false, false}, {"[]", false, false},   {"1e0", false, false}};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct gd_error error;
		uint64_t number = 0;
		json_t *json = json_loads(rows[i].json, JSON_DECODE_ANY, NULL);
		assert_non_null(json);
		assert_int_equal(gd_value_u64(&(struct gd_value){.json = json}, "/n", 1, 9, &number, &error),
				 rows[i].is_good);
		json_decref(json);
		assert_int_equal(
		    gd_value_u64(&(struct gd_value){.text = rows[i].json}, "n", 1, 9, &number, &error),
		    rows[i].is_good_text);
	}
	uint64_t value;
	assert_true(gd_parse_u64("18446744073709551615", 20, &value));
	assert_true(value == UINT64_MAX);
	assert_false(gd_parse_u64("18446744073709551616", 20, &value));
	assert_false(gd_parse_u64("", 0, &value));
}

static void dims_are_one_to_three(void **state)
{
	(void)state;
	static const struct {
		const char *json, *text;
		bool is_good;
		uint64_t dims[3];
	} rows[] = {{"[4]", "4", true, {4, 1, 1}},
		    {"[4,2]", "4,2", true, {4, 2, 1}},
		    {"[4,2,3]", "4,2,3", true, {4, 2, 3}},
		    {"[0]", "0", true, {0, 1, 1}},
		    {"[]", "", false, {0}},
		    {"[1,1,1,1]", "1,1,1,1", false, {0}},
		    {"[-1]", "-1", false, {0}},
		    {"[\"1\"]", "1,", false, {0}},
		    {"4", ",1", false, {0}},
		    {"[1.0]", "1 ", false, {0}}};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct gd_error error;
		uint64_t dims[3];
		json_t *json = json_loads(rows[i].json, JSON_DECODE_ANY, NULL);
		assert_non_null(json);
		assert_int_equal(gd_value_dims(&(struct gd_value){.json = json}, "/d", dims, &error),
				 rows[i].is_good);
		if (rows[i].is_good)
			assert_memory_equal(dims, rows[i].dims, sizeof dims);
		json_decref(json);
		assert_int_equal(gd_value_dims(&(struct gd_value){.text = rows[i].text}, "d", dims, &error),
				 rows[i].is_good);
		if (rows[i].is_good)
			assert_memory_equal(dims, rows[i].dims, sizeof dims);
	}
}

static void unknown_members_are_named(void **state)
{
	(void)state;
	json_t *json = json_loads("{\"a\": 1, \"x/y\": 2}", 0, NULL);
	assert_non_null(json);
	struct gd_error error;
	assert_false(gd_json_only(json, (const char *const[]){"a", NULL}, "/p", &error));
	assert_string_equal(error.pointer, "/p/x~1y");
	assert_true(gd_json_only(json, (const char *const[]){"a", "x/y", NULL}, "/p", &error));
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_place_becomes_a_pointer),
	    cmocka_unit_test(what_cannot_be_parsed_is_malformed_and_what_is_twice_is_invalid),
	    cmocka_unit_test(numbers_are_taken_in_their_range_only),
	    cmocka_unit_test(dims_are_one_to_three),
	    cmocka_unit_test(unknown_members_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
