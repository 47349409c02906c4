/* SHA-256 against FIPS 180-4's own examples, and fields that cannot run into each other. */
#include "gpu/base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void digest_text(const void *data, size_t bytes, char out_hex[GD_SHA256_HEX + 1])
{
	uint8_t digest[GD_SHA256_BYTES];
	gd_sha256_of(data, bytes, digest);
	gd_hex(digest, sizeof digest, out_hex);
}

static void the_examples_of_the_standard_hold(void **state)
{
	(void)state;
	static const struct {
		const char *text, *digest, *why;
	} rows[] = {
	    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "empty"},
	    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "one block"},
	    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", "two blocks"},
	};
	char hex[GD_SHA256_HEX + 1];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		digest_text(rows[i].text, strlen(rows[i].text), hex);
		if (strcmp(hex, rows[i].digest) != 0)
			fail_msg("%s: %s", rows[i].why, hex);
	}
	char *million = malloc(1000000);
	assert_non_null(million);
	memset(million, 'a', 1000000);
	digest_text(million, 1000000, hex);
	assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(million);
}

static void pieces_of_any_size_make_the_same_digest(void **state)
{
	(void)state;
	uint8_t data[300], whole[GD_SHA256_BYTES], pieced[GD_SHA256_BYTES];
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 7);
	gd_sha256_of(data, sizeof data, whole);
	for (size_t size = 1; size <= 130; size++) {
		struct gd_sha256 hash;
		gd_sha256_init(&hash);
		for (size_t at = 0; at < sizeof data; at += size)
			gd_sha256_add(&hash, data + at, sizeof data - at < size ? sizeof data - at : size);
		gd_sha256_add(&hash, NULL, 0);
		gd_sha256_done(&hash, pieced);
		assert_memory_equal(whole, pieced, sizeof whole);
	}
}

static void fields_digest(const char *const *fields, size_t count, uint8_t out_digest[GD_SHA256_BYTES])
{
	struct gd_sha256 hash;
	gd_sha256_init(&hash);
	for (size_t i = 0; i < count; i++)
		gd_sha256_add_text(&hash, fields[i]);
	gd_sha256_done(&hash, out_digest);
}

static void field_boundaries_cannot_shift(void **state)
{
	(void)state;
	static const char *const splits[][3] = {
	    {"ab", "cd", ""}, {"abc", "d", ""}, {"a", "bcd", ""}, {"abcd", "", ""},
	    {"", "abcd", ""}, {"", "", "abcd"}, {"ab", "", "cd"},
	};
	enum { COUNT = sizeof splits / sizeof *splits };
	static uint8_t digests[COUNT][GD_SHA256_BYTES];
	for (size_t i = 0; i < COUNT; i++)
		fields_digest(splits[i], 3, digests[i]);
	for (size_t i = 0; i < COUNT; i++)
		for (size_t k = i + 1; k < COUNT; k++)
			assert_memory_not_equal(digests[i], digests[k], GD_SHA256_BYTES);
	uint8_t two[GD_SHA256_BYTES];
	fields_digest(splits[0], 2, two);
	assert_memory_not_equal(two, digests[0], GD_SHA256_BYTES);
}

static void a_field_is_its_length_in_eight_little_endian_bytes_and_its_bytes(void **state)
{
	(void)state;
	struct gd_sha256 hash;
	uint8_t field[GD_SHA256_BYTES], number[GD_SHA256_BYTES], expected[GD_SHA256_BYTES];
	gd_sha256_init(&hash);
	gd_sha256_add_field(&hash, "xyz", 3);
	gd_sha256_done(&hash, field);
	gd_sha256_of("\3\0\0\0\0\0\0\0xyz", 11, expected);
	assert_memory_equal(field, expected, sizeof field);
	gd_sha256_init(&hash);
	gd_sha256_add_u64(&hash, 0x0102030405060708ull);
	gd_sha256_done(&hash, number);
	gd_sha256_of("\10\0\0\0\0\0\0\0\10\7\6\5\4\3\2\1", 16, expected);
	assert_memory_equal(number, expected, sizeof number);
}

static void no_text_counts_as_an_empty_one(void **state)
{
	(void)state;
	static const char *const none[] = {NULL}, *const empty[] = {""};
	uint8_t first[GD_SHA256_BYTES], second[GD_SHA256_BYTES];
	fields_digest(none, 1, first);
	fields_digest(empty, 1, second);
	assert_memory_equal(first, second, sizeof first);
}

static void hex_is_lower_case_and_ended(void **state)
{
	(void)state;
	char text[9];
	memset(text, 'Z', sizeof text);
	gd_hex((const uint8_t *)"\x00\xff\x1a\xb2", 4, text);
	assert_string_equal(text, "00ff1ab2");
	gd_hex(NULL, 0, text);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_examples_of_the_standard_hold),
	    cmocka_unit_test(pieces_of_any_size_make_the_same_digest),
	    cmocka_unit_test(field_boundaries_cannot_shift),
	    cmocka_unit_test(a_field_is_its_length_in_eight_little_endian_bytes_and_its_bytes),
	    cmocka_unit_test(no_text_counts_as_an_empty_one),
	    cmocka_unit_test(hex_is_lower_case_and_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
