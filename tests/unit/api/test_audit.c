/* The cache audit: arithmetic at its edges, the windowed alarm, the window. */
#include "api/audit.h"

#include "gpu/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void audit_tracks_hits_misses_and_unknowns(void **state)
{
	(void)state;
	struct gd_audit audit = {.hits = 2, .misses = 1, .unknowns = 1};
	struct gd_audit_verdict verdict = gd_audit_judge(&audit, 7000);
	assert_true(verdict.has_rate);
	assert_int_equal(verdict.hit_rate_bps, 6666);
	assert_true(verdict.below_threshold);
}

static void audit_without_data_raises_no_alarm(void **state)
{
	(void)state;
	struct gd_audit audit = {.unknowns = 9};
	struct gd_audit_verdict verdict = gd_audit_judge(&audit, 9000);
	assert_false(verdict.has_rate);
	assert_false(verdict.below_threshold);
}

static void audit_with_zero_threshold_is_off(void **state)
{
	(void)state;
	struct gd_audit audit = {.misses = 1};
	struct gd_audit_verdict verdict = gd_audit_judge(&audit, 0);
	assert_true(verdict.has_rate);
	assert_int_equal(verdict.hit_rate_bps, 0);
	assert_false(verdict.below_threshold);
}

static void audit_at_exactly_the_threshold_raises_no_alarm(void **state)
{
	(void)state;
	struct gd_audit audit = {.hits = 7, .misses = 3};
	assert_false(gd_audit_judge(&audit, 7000).below_threshold);
	assert_true(gd_audit_judge(&audit, 7001).below_threshold);
	assert_false(gd_audit_judge(&audit, 6999).below_threshold);
}

static void audit_does_not_overflow(void **state)
{
	(void)state;
	struct gd_audit audit = {.hits = UINT64_MAX, .misses = UINT64_MAX};
	assert_int_equal(gd_audit_judge(&audit, 1).hit_rate_bps, 5000);
	audit.misses = 0;
	assert_int_equal(gd_audit_judge(&audit, 1).hit_rate_bps, 10000);
	audit.misses = 1;
	assert_int_equal(gd_audit_judge(&audit, 10000).hit_rate_bps, 9999);
	assert_int_equal(gd_add_saturating(UINT64_MAX, 1), UINT64_MAX);
	assert_int_equal(gd_add_saturating(UINT64_MAX - 1, 1), UINT64_MAX);
	assert_int_equal(gd_add_saturating(1, 2), 3);
}

static void the_windowed_alarm_needs_samples_and_has_hysteresis(void **state)
{
	(void)state;
	static const struct {
		uint64_t hits, misses;
		bool was, is;
		const char *why;
	} rows[] = {
	    {0, 99, false, false, "too few samples"},
	    {0, 100, false, true, "just enough"},
	    {70, 30, false, false, "at the threshold"},
	    {69, 31, false, true, "below it"},
	    {70, 30, true, true, "raised: holds at the threshold"},
	    {71, 29, true, true, "raised: holds below the margin"},
	    {72, 28, true, false, "raised: ends at the margin"},
	    {0, 99, true, false, "raised: ends without samples"},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct gd_audit audit = {.hits = rows[i].hits, .misses = rows[i].misses};
		if (gd_audit_alarm(&audit, 7000, 100, rows[i].was) != rows[i].is)
			print_error("%s\n", rows[i].why);
		assert_int_equal(gd_audit_alarm(&audit, 7000, 100, rows[i].was), rows[i].is);
	}
	struct gd_audit full = {.hits = 100};
	assert_false(gd_audit_alarm(&full, 10000, 100, true));
	struct gd_audit off = {.misses = 100};
	assert_false(gd_audit_alarm(&off, 0, 100, true));
}

static void a_window_forgets_what_is_older(void **state)
{
	(void)state;
	static struct gd_audit_window window;
	uint32_t window_s = 64;
	uint64_t start = 1000 * GD_NS_PER_S;
	for (unsigned i = 0; i < 200; i++) {
		gd_audit_window_add(&window, i % 2 ? GD_AUDIT_HIT : GD_AUDIT_MISS, start + i * GD_NS_PER_S,
				    window_s);
		struct gd_audit sum = {0};
		gd_audit_window_sum(&window, start + i * GD_NS_PER_S, window_s, &sum);
		assert_int_equal(sum.hits + sum.misses, i + 1 < 64 ? i + 1 : 64);
	}
	struct gd_audit later = {0};
	gd_audit_window_sum(&window, start + 1000 * GD_NS_PER_S, window_s, &later);
	assert_int_equal(later.hits + later.misses, 0);
	struct gd_audit half = {0};
	gd_audit_window_sum(&window, start + (199 + 32) * GD_NS_PER_S, window_s, &half);
	assert_int_equal(half.hits + half.misses, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(audit_tracks_hits_misses_and_unknowns),
	    cmocka_unit_test(audit_without_data_raises_no_alarm),
	    cmocka_unit_test(audit_with_zero_threshold_is_off),
	    cmocka_unit_test(audit_at_exactly_the_threshold_raises_no_alarm),
	    cmocka_unit_test(audit_does_not_overflow),
	    cmocka_unit_test(the_windowed_alarm_needs_samples_and_has_hysteresis),
	    cmocka_unit_test(a_window_forgets_what_is_older),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
