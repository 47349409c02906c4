#include "server/request_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void ids_of_one_to_128_token_characters_are_kept(void **state)
{
	(void)state;
	char text[GD_REQUEST_ID_MAX + 2];
	memset(text, 'a', sizeof text);
	text[GD_REQUEST_ID_MAX + 1] = '\0';
	assert_false(gd_request_id_is_valid(text));
	text[GD_REQUEST_ID_MAX] = '\0';
	assert_true(gd_request_id_is_valid(text));
	assert_false(gd_request_id_is_valid(""));
	static const char *const good[] = {"1", "0af7651916cd43dd8448eb211c80319c", "a-b_c.d~e",
					   "Zm9v+/8=", "svc:42"};
	static const char *const bad[] = {"a b", "a\tb",     "a\"b",      "a\\b", "a,b",
					  "<a>", "\xc3\xa4", "a\r\nX: y", "{}"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(gd_request_id_is_valid(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(gd_request_id_is_valid(bad[i]));
}

static void made_ids_are_valid_and_unlike(void **state)
{
	(void)state;
	enum { IDS = 100 };
	struct gd_id_pool pool = {.left = 0};
	static char ids[IDS][GD_REQUEST_ID_MAX + 1];
	for (int i = 0; i < IDS; i++) {
		gd_request_id_make(&pool, ids[i]);
		assert_int_equal(strlen(ids[i]), 32);
		assert_true(gd_request_id_is_valid(ids[i]));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(ids[k], ids[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ids_of_one_to_128_token_characters_are_kept),
	    cmocka_unit_test(made_ids_are_valid_and_unlike),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
