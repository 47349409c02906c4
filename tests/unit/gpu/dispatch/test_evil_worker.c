/* Workers that lie: the front answers on, mixes nothing up, keeps no descriptor, and recovers with the next
 * one. */
#include "tests/unit/gpu/dispatch/rig_front.h"

#include "gpu/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void nonsense_about_a_kernel_is_an_error_of_its_load(void **state)
{
	(void)state;
	static const enum evil kinds[] = {EVIL_BIG_INFO, EVIL_WIDE_INFO};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct outcome outcome;
		replace_by(kinds[i]);
		wait_for(is_up, "the worker");
		assert_false(rig_round(&rig, kernel, 100, 5, 5000, &outcome));
		assert_int_equal(outcome.error.code, GD_INTERNAL_STATE);
	}
}

static void what_a_kernel_is_does_not_change_with_a_later_worker(void **state)
{
	(void)state;
	struct outcome outcome;
	struct gd_error error = {0};
	/* the first life of the kind that the tickets tell: a fresh engine */
	gd_kernel_unref(kernel);
	rig_end(&rig);
	evil_choose(EVIL_INFO_GROWS);
	rig_begin(&rig, LIMIT_MS);
	wait_for(is_up, "the worker");
	kernel = rig_kernel(&rig, RIG_TWO_BUFFERS, 0, 0);
	/* one that was made before the kernel was known, as none should be */
	struct gd_dispatch *early = rig_dispatch(&rig, kernel, &outcome);
	struct gd_dispatch *first = rig_dispatch(&rig, kernel, &outcome);
	rig_plan(&rig, first);
	rig_start_dispatch(first, 2000);
	rig_until(&rig, &outcome.ended);
	gd_dispatch_free(first);
	assert_int_equal(gd_kernel_info(kernel)->param_count, 0);
	gd_dispatch_free(early);
	for (int i = 0; i < 2; i++) {
		replace_by(EVIL_INFO_GROWS);
		wait_for(is_up, "the worker");
	}
	early = rig_dispatch(&rig, kernel, &outcome);
	struct outcome second;
	first = rig_dispatch(&rig, kernel, &second);
	rig_plan(&rig, first);
	rig_start_dispatch(first, 2000);
	rig_until(&rig, &second.ended);
	gd_dispatch_free(first);
	assert_int_equal(gd_kernel_info(kernel)->param_count, 0);
	assert_int_equal(gd_dispatch_add(early, 0, 100, GD_ACCESS_READ, GD_INIT_DATA, &error), -1);
	gd_dispatch_free(early);
	gd_kernel_unref(kernel);
	kernel = rig_kernel(&rig, RIG_TWO_BUFFERS, 2, 16);
}

static void random_bytes_in_all_that_it_can_write_harm_nobody(void **state)
{
	(void)state;
	replace_by(EVIL_RANDOM);
	uint64_t end = gd_now_ns() + 700 * GD_NS_PER_MS;
	for (unsigned i = 0; gd_now_ns() < end; i++) {
		struct outcome outcome;
		rig_round(&rig, kernel, 100 + i * 77, (uint8_t)i, TRY_MS, &outcome);
		assert_true(outcome.calls <= 1);
	}
	assert_true(gd_lane_inflight(rig.lane) <= 1);
}

static void a_result_with_somebody_elses_ticket_is_nobodys(void **state)
{
	(void)state;
	enum { MANY = 10 };
	static struct outcome outcomes[MANY];
	struct gd_dispatch *dispatches[MANY];
	struct gd_error error = {0};
	replace_by(EVIL_TICKETS);
	wait_for(is_up, "the worker");
	for (int i = 0; i < MANY; i++) {
		dispatches[i] = rig_dispatch(&rig, kernel, &outcomes[i]);
		gd_dispatch_add(dispatches[i], 1, 100, GD_ACCESS_WRITE, GD_INIT_ZERO, &error);
		rig_plan(&rig, dispatches[i]);
		rig_start_dispatch(dispatches[i], TRY_MS);
	}
	for (int i = 0; i < MANY; i++) {
		rig_until(&rig, &outcomes[i].ended);
		assert_false(outcomes[i].good);
		assert_int_equal(outcomes[i].calls, 1);
		gd_dispatch_free(dispatches[i]);
	}
}

static void a_result_told_three_times_counts_once(void **state)
{
	(void)state;
	replace_by(EVIL_TWICE);
	wait_for(is_up, "the worker");
	for (unsigned i = 0; i < 600; i++) {
		struct outcome outcome;
		rig_round(&rig, kernel, 10, (uint8_t)i, 5000, &outcome);
		assert_true(outcome.good);
		assert_int_equal(outcome.calls, 1);
	}
	assert_int_equal(gd_lane_inflight(rig.lane), 0);
	assert_int_equal(rig.lane->views[0]->free_count, GD_CELLS_PER_LANE);
}

static void wild_results_become_sound_errors_and_times(void **state)
{
	(void)state;
	unsigned good = 0, bad = 0;
	replace_by(EVIL_RESULTS);
	wait_for(is_up, "the worker");
	for (unsigned i = 0; i < 200; i++) {
		struct outcome outcome;
		rig_round(&rig, kernel, 10, (uint8_t)i, 5000, &outcome);
		if (!outcome.good) {
			bad++;
			assert_true(outcome.error.code > 0 && outcome.error.code < GD_CODE_COUNT);
			assert_true(strlen(outcome.error.text) < sizeof outcome.error.text);
			assert_null(outcome.error.native_name);
			continue;
		}
		good++;
		const struct gd_dispatch_timing *timing = &outcome.timing;
		assert_true(timing->queue_ns <= timing->total_ns);
		assert_true(timing->h2d_ns <= timing->total_ns);
		assert_true(timing->kernel_ns <= timing->total_ns && timing->kernel_ns > 0);
		assert_true(timing->d2h_ns <= timing->total_ns);
	}
	assert_true(good && bad);
}

static void odd_chunks_are_survived(void **state)
{
	(void)state;
	replace_by(EVIL_CHUNKS);
	wait_for(is_up, "the worker");
	for (unsigned i = 0; i < 5; i++) {
		struct outcome outcome;
		rig_round(&rig, kernel, (3u + i) << 20, (uint8_t)i, 2000, &outcome);
	}
}

static void messages_that_are_too_short_are_passed_over(void **state)
{
	(void)state;
	struct outcome outcome;
	replace_by(EVIL_SHORT);
	wait_for(is_up, "the worker");
	rig_round(&rig, kernel, 100, 6, 5000, &outcome);
	assert_true(outcome.good);
}

static void a_message_that_is_too_long_or_empty_ends_it(void **state)
{
	(void)state;
	static const enum evil kinds[] = {EVIL_LONG, EVIL_EMPTY};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		replace_by(kinds[i]);
		generation_before = station()->generation;
		wait_for(was_lost, "the loss");
	}
}

static void last_words_are_taken_once_and_end_it(void **state)
{
	(void)state;
	struct gd_engine_counts *counts = calloc(1, sizeof *counts);
	assert_non_null(counts);
	replace_by(EVIL_LAST_WORDS);
	generation_before = station()->generation;
	wait_for(was_lost, "the loss");
	gd_engine_counts(rig.engine, counts);
	/* one for each such worker, not twenty */
	assert_true(counts->device_error_count >= 1);
	for (uint32_t i = 0; i < counts->device_error_count; i++)
		assert_string_equal(counts->device_errors[i].name, "EVIL_0");
	free(counts);
}

static void answers_that_nobody_asked_for_are_passed_over(void **state)
{
	(void)state;
	replace_by(EVIL_NOISE);
	wait_for(is_up, "the worker");
	uint64_t generation = station()->generation;
	uint64_t end = gd_now_ns() + 400 * GD_NS_PER_MS;
	for (unsigned i = 0; gd_now_ns() < end; i++)
		honest_round(1 + i % 9000, (uint8_t)i);
	honest_round(5u << 20, 7);
	for (int i = 0; i < 20; i++) {
		char text[80];
		struct outcome outcome;
		snprintf(text, sizeof text, RIG_TWO_BUFFERS "# %d\n", i);
		struct gd_kernel *fresh = rig_kernel(&rig, text, 2, 16);
		assert_true(rig_round(&rig, fresh, 300, (uint8_t)i, 10000, &outcome));
		gd_kernel_unref(fresh);
	}
	assert_int_equal(station()->generation, generation);
	assert_true(rig_open_fds() <= fds_before + 1);
}

struct tick {
	struct gd_timer timer;
	unsigned count;
};

static void ticked(struct gd_timer *timer)
{
	struct tick *tick = gd_container(timer, struct tick, timer);
	tick->count++;
	gd_loop_arm(rig.supervisor, timer, gd_now_ns() + 5 * GD_NS_PER_MS);
}

static void a_flood_of_messages_does_not_starve_the_supervisor(void **state)
{
	(void)state;
	struct tick tick = {.timer.fn = ticked};
	replace_by(EVIL_FLOOD);
	wait_for(is_up, "the worker");
	gd_loop_arm(rig.supervisor, &tick.timer, gd_now_ns());
	uint64_t end = gd_now_ns() + 400 * GD_NS_PER_MS;
	for (unsigned i = 0; gd_now_ns() < end; i++)
		honest_round(1000, (uint8_t)i);
	gd_loop_disarm(rig.supervisor, &tick.timer);
	assert_true(tick.count >= 10);
}

int main(int argc, char **argv)
{
	int status = front_roles(argc, argv);
	if (status >= 0)
		return status;
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    WITH_RIG(nonsense_about_a_kernel_is_an_error_of_its_load),
	    WITH_RIG(what_a_kernel_is_does_not_change_with_a_later_worker),
	    WITH_RIG(random_bytes_in_all_that_it_can_write_harm_nobody),
	    WITH_RIG(a_result_with_somebody_elses_ticket_is_nobodys),
	    WITH_RIG(a_result_told_three_times_counts_once),
	    WITH_RIG(wild_results_become_sound_errors_and_times),
	    WITH_RIG(odd_chunks_are_survived),
	    WITH_RIG(messages_that_are_too_short_are_passed_over),
	    WITH_RIG(a_message_that_is_too_long_or_empty_ends_it),
	    WITH_RIG(last_words_are_taken_once_and_end_it),
	    WITH_RIG(answers_that_nobody_asked_for_are_passed_over),
	    WITH_RIG(a_flood_of_messages_does_not_starve_the_supervisor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
