/* The growing buffer: its maximum at the byte, and what a refusal leaves. */
#include "gpu/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_maximum_fits_and_one_byte_more_does_not(void **state)
{
	(void)state;
	static char data[1001];
	memset(data, 'a', sizeof data);
	static const size_t maxima[] = {0, 1, 2, 255, 256, 257, 511, 1000};
	for (size_t i = 0; i < sizeof maxima / sizeof *maxima; i++) {
		struct gd_buf buf;
		gd_buf_init(&buf, maxima[i]);
		assert_true(gd_buf_add(&buf, data, maxima[i]));
		assert_int_equal(buf.len, maxima[i]);
		assert_int_equal(buf.data[buf.len], 0);
		assert_false(gd_buf_add(&buf, data, 1));
		assert_true(buf.failed);
		assert_int_equal(buf.len, maxima[i]);
		gd_buf_done(&buf);
		gd_buf_init(&buf, maxima[i]);
		assert_false(gd_buf_add(&buf, data, maxima[i] + 1));
		assert_int_equal(buf.len, 0);
		gd_buf_done(&buf);
	}
}

static void byte_by_byte_reaches_the_maximum_too(void **state)
{
	(void)state;
	struct gd_buf buf;
	gd_buf_init(&buf, 700);
	for (int i = 0; i < 700; i++)
		assert_true(gd_buf_add(&buf, &(char){(char)i}, 1));
	assert_false(gd_buf_puts(&buf, "x"));
	for (int i = 0; i < 700; i++)
		assert_int_equal((uint8_t)buf.data[i], (uint8_t)i);
	gd_buf_done(&buf);
}

static void after_a_refusal_nothing_more_is_taken_until_it_is_cleared(void **state)
{
	(void)state;
	struct gd_buf buf;
	gd_buf_init(&buf, 8);
	assert_true(gd_buf_puts(&buf, "abc"));
	assert_false(gd_buf_puts(&buf, "123456"));
	assert_false(gd_buf_puts(&buf, "x"));
	assert_string_equal(buf.data, "abc");
	gd_buf_clear(&buf);
	assert_false(buf.failed);
	assert_string_equal(buf.data, "");
	assert_true(gd_buf_puts(&buf, "12345678"));
	gd_buf_done(&buf);
}

static void printing_counts_towards_the_maximum(void **state)
{
	(void)state;
	struct gd_buf buf;
	gd_buf_init(&buf, 6);
	assert_true(gd_buf_printf(&buf, "%d-%s", 12, "ab"));
	assert_string_equal(buf.data, "12-ab");
	assert_true(gd_buf_printf(&buf, "%s", ""));
	assert_false(gd_buf_printf(&buf, "%d", 34));
	assert_string_equal(buf.data, "12-ab");
	assert_true(buf.failed);
	gd_buf_done(&buf);
}

static void reserved_room_reads_as_empty_text_until_it_is_used(void **state)
{
	(void)state;
	struct gd_buf buf;
	gd_buf_init(&buf, 4096);
	char *room = gd_buf_reserve(&buf, 3000);
	assert_non_null(room);
	assert_string_equal(buf.data, "");
	memset(room, 'z', 3000);
	gd_buf_clear(&buf);
	assert_true(gd_buf_puts(&buf, "q"));
	assert_non_null(gd_buf_reserve(&buf, 4000));
	assert_string_equal(buf.data, "q");
	size_t length = 99;
	char *taken = gd_buf_take(&buf, &length);
	assert_string_equal(taken, "q");
	assert_int_equal(length, 1);
	assert_null(buf.data);
	assert_int_equal(buf.max, 4096);
	free(taken);
}

static void taking_an_empty_buffer_gives_an_empty_text(void **state)
{
	(void)state;
	struct gd_buf buf;
	gd_buf_init(&buf, 0);
	size_t length = 99;
	char *taken = gd_buf_take(&buf, &length);
	assert_non_null(taken);
	assert_string_equal(taken, "");
	assert_int_equal(length, 0);
	free(taken);
	gd_buf_done(&buf);
	gd_buf_done(&buf);
}

static void sizes_that_would_wrap_are_refused(void **state)
{
	(void)state;
	struct gd_buf buf;
	static const size_t maxima[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1};
	for (size_t i = 0; i < sizeof maxima / sizeof *maxima; i++) {
		gd_buf_init(&buf, maxima[i]);
		assert_true(gd_buf_puts(&buf, "abc"));
		static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 3, SIZE_MAX - 4,
					       SIZE_MAX / 2 + 2};
		for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
			assert_null(gd_buf_reserve(&buf, sizes[k]));
			buf.failed = false;
		}
		assert_true(gd_buf_puts(&buf, "def"));
		assert_string_equal(buf.data, "abcdef");
		gd_buf_done(&buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_maximum_fits_and_one_byte_more_does_not),
	    cmocka_unit_test(byte_by_byte_reaches_the_maximum_too),
	    cmocka_unit_test(after_a_refusal_nothing_more_is_taken_until_it_is_cleared),
	    cmocka_unit_test(printing_counts_towards_the_maximum),
	    cmocka_unit_test(reserved_room_reads_as_empty_text_until_it_is_used),
	    cmocka_unit_test(taking_an_empty_buffer_gives_an_empty_text),
	    cmocka_unit_test(sizes_that_would_wrap_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
