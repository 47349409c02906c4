/* Base64: what is accepted, what is not, and that pieces make no difference. */
#include "api/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static bool decode(const char *text, size_t characters, size_t piece, uint8_t *out, size_t *out_bytes)
{
	struct gd_base64 state = {0};
	*out_bytes = 0;
	for (size_t at = 0; at < characters; at += piece) {
		size_t part = characters - at < piece ? characters - at : piece;
		*out_bytes += gd_base64_feed(&state, text + at, part, out + *out_bytes);
	}
	return gd_base64_end(&state);
}

static void the_vectors_of_rfc_4648_encode_and_decode(void **state)
{
	(void)state;
	static const char *const vectors[][2] = {{"", ""},
						 {"f", "Zg=="},
						 {"fo", "Zm8="},
						 {"foo", "Zm9v"},
						 {"foob", "Zm9vYg=="},
						 {"fooba", "Zm9vYmE="},
						 {"foobar", "Zm9vYmFy"}};
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		char text[16] = "";
		uint8_t bytes[32];
		size_t count;
		size_t length = gd_base64_encode(vectors[i][0], strlen(vectors[i][0]), text);
		assert_int_equal(length, strlen(vectors[i][1]));
		assert_int_equal(length, gd_base64_length(strlen(vectors[i][0])));
		assert_memory_equal(text, vectors[i][1], length);
		assert_true(decode(vectors[i][1], length, 64, bytes, &count));
		assert_int_equal(count, strlen(vectors[i][0]));
		assert_memory_equal(bytes, vectors[i][0], count);
	}
}

static void what_is_not_exactly_base64_is_refused_at_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
		int64_t at; /* -1: only the end tells */
	} rows[] = {
	    {"Z", "one character of a group", -1},
	    {"Zg", "padding missing", -1},
	    {"Zg=", "one padding of two", -1},
	    {"Zm8", "padding missing after three", -1},
	    {"Zh==", "unused bits are not zero", 2},
	    {"Zm9=", "unused bits are not zero", 3},
	    {"====", "nothing but padding", 0},
	    {"Z===", "too much padding", 1},
	    {"Zg==Zg==", "text after the padding", 4},
	    {"Zg===", "three paddings", 4},
	    {" Zg==", "leading blank", 0},
	    {"Zg==\n", "line end", 4},
	    {"Zm9v\nZm9v", "line end inside", 4},
	    {"Zm-v", "URL alphabet", 2},
	    {"Zm9\xc3", "no ASCII", 3},
	    {"Zm8=Zm9v", "padding inside", 4},
	    {"Z=g=", "padding in second place", 1},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (size_t piece = 1; piece <= 9; piece++) {
			uint8_t bytes[64];
			size_t count, length = strlen(rows[i].text);
			struct gd_base64 decoder = {0};
			for (size_t at = 0; at < length; at += piece)
				gd_base64_feed(&decoder, rows[i].text + at,
					       length - at < piece ? length - at : piece, bytes);
			if (gd_base64_end(&decoder))
				print_error("accepted: %s\n", rows[i].why);
			assert_true(decoder.failed);
			if (rows[i].at >= 0)
				assert_int_equal(decoder.taken, rows[i].at);
			assert_false(decode(rows[i].text, length, piece, bytes, &count));
		}
	}
}

static void every_length_and_every_piece_size_round_trips(void **state)
{
	(void)state;
	uint8_t data[300], back[400];
	char text[404];
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 151 + i / 7);
	for (size_t bytes = 0; bytes <= sizeof data; bytes += bytes < 40 ? 1 : 37) {
		size_t length = gd_base64_encode(data, bytes, text);
		for (size_t piece = 1; piece <= length + 1; piece++) {
			size_t count;
			assert_true(decode(text, length, piece, back, &count));
			assert_int_equal(count, bytes);
			assert_memory_equal(back, data, bytes);
		}
	}
}

static void every_single_character_is_judged_alike_everywhere(void **state)
{
	(void)state;
	/* the fast path and the slow one must agree on every byte in every place of a group */
	for (unsigned place = 0; place < 8; place++) {
		for (unsigned c = 0; c < 256; c++) {
			char text[12] = "AAAAAAAAAAAA";
			uint8_t fast[16], slow[16];
			size_t fast_bytes, slow_bytes;
			text[place] = (char)c;
			bool is_fast = decode(text, 12, 12, fast, &fast_bytes);
			bool is_slow = decode(text, 12, 1, slow, &slow_bytes);
			assert_int_equal(is_fast, is_slow);
			bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
					 (c >= '0' && c <= '9') || c == '+' || c == '/';
			assert_int_equal(is_fast, is_letter);
			if (is_fast)
				assert_memory_equal(fast, slow, 9);
		}
	}
}

static void base64url_takes_exactly_the_bytes_asked_for(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t bytes;
		bool is_good;
	} rows[] = {{"_-8", 2, true},   {"_-8=", 2, true},  {"_-8", 3, false},   {"_-8", 1, false},
		    {"/+8=", 2, false}, {"", 0, true},      {"", 1, false},      {"A", 0, false},
		    {"AAAA", 3, true},  {"AAAA", 2, false}, {"AAA A", 3, false}, {"AA==", 1, true},
		    {"AA=", 1, false},  {"AAAAA", 3, false}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t out[8];
		assert_int_equal(gd_base64url_exact(rows[i].text, strlen(rows[i].text), out, rows[i].bytes),
				 rows[i].is_good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_vectors_of_rfc_4648_encode_and_decode),
	    cmocka_unit_test(what_is_not_exactly_base64_is_refused_at_its_place),
	    cmocka_unit_test(every_length_and_every_piece_size_round_trips),
	    cmocka_unit_test(every_single_character_is_judged_alike_everywhere),
	    cmocka_unit_test(base64url_takes_exactly_the_bytes_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
