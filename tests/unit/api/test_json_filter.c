/* The JSON filter: what it takes out, what it leaves, and that pieces and mutations make no difference to its
 * honesty. */
#include "api/json_filter.h"

#include "api/scalar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

struct result {
	json_t *root;
	struct gd_json_filter filter;
	struct gd_buf store;
	struct gd_error error;
};

static void result_done(struct result *result)
{
	json_decref(result->root);
	gd_json_filter_done(&result->filter);
	gd_buf_done(&result->store);
}

#define auto_result __attribute__((cleanup(result_done))) struct result

static void run(struct result *result, const char *text, size_t bytes, size_t piece, size_t skeleton_max,
		size_t store_max)
{
	gd_buf_init(&result->store, store_max);
	gd_json_filter_init(&result->filter, skeleton_max, &result->store);
	for (size_t at = 0; at < bytes; at += piece) {
		size_t part = bytes - at < piece ? bytes - at : piece;
		/* of exactly that size, so that reading past it is seen */
		char *copy = malloc(part);
		assert_non_null(copy);
		memcpy(copy, text + at, part);
		bool is_good = gd_json_filter_feed(&result->filter, copy, part, &result->error);
		free(copy);
		if (!is_good)
			return;
	}
	result->root = gd_json_filter_end(&result->filter, "the body", &result->error);
}

static void data_goes_to_the_store_and_the_rest_stays(void **state)
{
	(void)state;
	static const char text[] =
	    "{\"args\": [{\"data\": \"Zm9v\"}, {\"data\" :\t\"Zm\\/v\"}, {\"data\": \"Zm\\u002bv\"},\n"
	    " {\"data\": \"\"}, {\"value\": \"data\"}, \"data\", {\"date\": \"Zm9v\", \"dat\": {\"data\": "
	    "\"Zg==\"}},\n"
	    " {\"data\": 5}, {\"data\": [\"Zm9v\"]}], \"n\": 12345678901234567890, \"m\": -12.5e1}";
	static const char *const decoded[] = {"foo", "f\x6f\xef", "f\x6f\xaf", "", "f"};
	for (size_t piece = 1; piece < sizeof text; piece++) {
		auto_result result = {0};
		run(&result, text, sizeof text - 1, piece, 4096, 4096);
		assert_non_null(result.root);
		assert_int_equal(result.filter.blob_count, 5);
		json_t *args = json_object_get(result.root, "args");
		for (size_t i = 0; i < 4; i++) {
			const struct gd_blob *blob = gd_json_filter_blob(
			    &result.filter, json_object_get(json_array_get(args, i), "data"));
			assert_non_null(blob);
			assert_false(blob->is_bad);
			if (i == 1 || i == 2)
				continue; /* compared below: they are no text */
			assert_int_equal(blob->bytes, strlen(decoded[i]));
			assert_memory_equal(result.store.data + blob->offset, decoded[i], blob->bytes);
		}
		assert_int_equal((uint8_t)result.store.data[result.filter.blobs[1].offset + 2], 0xef);
		assert_int_equal((uint8_t)result.store.data[result.filter.blobs[2].offset + 2], 0xaf);
		assert_null(gd_json_filter_blob(&result.filter, json_array_get(args, 5)));
		assert_string_equal(json_string_value(json_object_get(json_array_get(args, 6), "date")),
				    "Zm9v");
		const char *number = json_string_value(json_object_get(result.root, "n"));
		assert_int_equal(number[0], GD_MARK_NUMBER);
		assert_string_equal(number + 1, "12345678901234567890");
		assert_true(json_is_real(json_object_get(result.root, "m")));
	}
}

static void wrong_base64_is_remembered_with_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t at;
	} rows[] = {{"{\"data\": \"Zm9*\"}", 3},        {"{\"data\": \"Zm9v\\nZg==\"}", 4},
		    {"{\"data\": \"Zg=\"}", 3},         {"{\"data\": \"\\\"\"}", 0},
		    {"{\"data\": \"Zm9v\\u00e9\"}", 4}, {"{\"data\": \"Z\xc3\xa9\"}", 1}};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (size_t piece = 1; piece <= strlen(rows[i].text); piece++) {
			auto_result result = {0};
			run(&result, rows[i].text, strlen(rows[i].text), piece, 4096, 4096);
			assert_non_null(result.root);
			const struct gd_blob *blob =
			    gd_json_filter_blob(&result.filter, json_object_get(result.root, "data"));
			assert_non_null(blob);
			assert_true(blob->is_bad);
			assert_int_equal(blob->bad_at, rows[i].at);
		}
	}
}

static void what_is_no_json_stays_none(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum gd_code code;
	} rows[] = {
	    {"", GD_MALFORMED_BODY},
	    {"{\"data\": \"Zm9v", GD_MALFORMED_BODY},
	    {"{\"data\": \"Zm9v\\", GD_MALFORMED_BODY},
	    {"{\"data\": \"Zm9v\\u00", GD_MALFORMED_BODY},
	    {"{\"data\": \"Zm\n9v\"}", GD_MALFORMED_BODY},
	    {"{\"data\": \"Zm\\q9v\"}", GD_MALFORMED_BODY},
	    {"{\"data\": \"Zm\\u00zz\"}", GD_MALFORMED_BODY},
	    {"{\"data\" \"Zm9v\"}", GD_MALFORMED_BODY},
	    {"{\"data\": \"Zm9v\" \"x\"}", GD_MALFORMED_BODY},
	    {"{\"data\": \"Zm9v\"}}", GD_MALFORMED_BODY},
	    {"{\"data\": \"Zm9v\", \"data\": \"Zm9v\"}", GD_INVALID_REQUEST},
	    {"{\"n\": 012345678901234567890}", GD_MALFORMED_BODY},
	    {"{\"n\": 1234567890123456789012-}", GD_INVALID_REQUEST},
	    {"{\"n\": -}", GD_MALFORMED_BODY},
	    {"{\"s\": \"\\u00010\"}", GD_INVALID_REQUEST},
	    {"{\"s\": \"\\u00021\"}", GD_INVALID_REQUEST},
	    {"{\"\\u00010\": 1}", GD_INVALID_REQUEST},
	    {"[\"\\u00010\"]", GD_INVALID_REQUEST},
	    {"{\"s\": \"\x01"
	     "0\"}",
	     GD_MALFORMED_BODY},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (size_t piece = 1; piece <= strlen(rows[i].text) + 1; piece++) {
			auto_result result = {0};
			run(&result, rows[i].text, strlen(rows[i].text), piece, 4096, 4096);
			if (result.root)
				print_error("taken: %s\n", rows[i].text);
			assert_null(result.root);
			if (result.error.code != rows[i].code)
				print_error("%s, %zu at a time: %s\n", rows[i].text, piece,
					    result.error.text);
			assert_int_equal(result.error.code, rows[i].code);
		}
	}
}

static void limits_hold_at_the_byte(void **state)
{
	(void)state;
	static const char text[] = "{\"data\": \"Zm9vYmFy\"}"; /* skeleton: {"data": "\u00010"} */
	size_t skeleton = strlen("{\"data\": \"\\u00010\"}");
	for (size_t piece = 1; piece < sizeof text; piece++) {
		auto_result at = {0}, over = {0}, store = {0};
		run(&at, text, sizeof text - 1, piece, skeleton, 6);
		assert_non_null(at.root);
		assert_int_equal(at.store.len, 6);
		run(&over, text, sizeof text - 1, piece, skeleton - 1, 6);
		assert_null(over.root);
		assert_int_equal(over.error.code, GD_TOO_LARGE);
		run(&store, text, sizeof text - 1, piece, skeleton, 5);
		assert_null(store.root);
		assert_int_equal(store.error.code, GD_TOO_LARGE);
	}
}

/* Any change of one byte gives the same verdict in one piece and in single bytes; nothing is read out of
 * bounds. */
static void mutations_are_judged_alike_whole_and_in_pieces(void **state)
{
	(void)state;
	static const char seed[] = "{\"args\":[{\"data\":\"Zm9vYg==\"},{\"value\":12345678901234567890},{"
				   "\"data\":\"\\u002b\\/8=\"}],"
				   "\"grid\":[1,2.5,-3e2],\"s\":\"a\\\"b\\\\\"}";
	static const char bytes[] = "\"\\{}[]:,0-eu1dZ= \n\x01\x80\xff";
	char text[sizeof seed];
	for (size_t at = 0; at < sizeof seed - 1; at++) {
		for (size_t b = 0; b < sizeof bytes; b++) {
			memcpy(text, seed, sizeof seed);
			text[at] = bytes[b];
			auto_result whole = {0}, single = {0};
			run(&whole, text, sizeof seed - 1, sizeof seed, 4096, 4096);
			run(&single, text, sizeof seed - 1, 1, 4096, 4096);
			assert_int_equal(whole.root != NULL, single.root != NULL);
			assert_int_equal(whole.error.code, single.error.code);
			assert_int_equal(whole.filter.blob_count, single.filter.blob_count);
			assert_true(json_equal(whole.root, single.root) || !whole.root);
			assert_int_equal(whole.store.len, single.store.len);
			/* and what the filter takes, a plain parser takes too; no JSON gets in through the
			 * filter */
			json_t *plain =
			    json_loadb(text, sizeof seed - 1, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
			bool is_bad = false;
			for (uint32_t i = 0; i < whole.filter.blob_count; i++)
				is_bad |= whole.filter.blobs[i].is_bad;
			/* but for long integers, and data that is refused where it is used */
			bool has_mark = memmem(whole.filter.skeleton.data, whole.filter.skeleton.len,
					       "\\u0002", 6) != NULL;
			if (whole.root && !plain && !is_bad && !has_mark)
				print_error("let in: %s\n", text);
			assert_true(!whole.root || plain || is_bad || has_mark);
			json_decref(plain);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(data_goes_to_the_store_and_the_rest_stays),
	    cmocka_unit_test(wrong_base64_is_remembered_with_its_place),
	    cmocka_unit_test(what_is_no_json_stays_none),
	    cmocka_unit_test(limits_hold_at_the_byte),
	    cmocka_unit_test(mutations_are_judged_alike_whole_and_in_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
