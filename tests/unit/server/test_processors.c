#include "server/processors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void quotas_are_rounded_up_and_max_is_none(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t count;
	} rows[] = {
	    {"max 100000\n", 0},    {"100000 100000\n", 1},
	    {"150000 100000\n", 2}, {"1000 100000\n", 1},
	    {"400000 100000", 4},   {"", 0},
	    {"0 100000", 0},        {"5 0", 0},
	    {"garbage", 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(gd_processors_of_quota(rows[i].text), rows[i].count);
}

static void there_is_at_least_one_processor(void **state)
{
	(void)state;
	assert_true(gd_processors() >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(quotas_are_rounded_up_and_max_is_none),
	    cmocka_unit_test(there_is_at_least_one_processor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
