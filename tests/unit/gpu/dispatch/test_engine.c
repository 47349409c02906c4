/* The engine with real worker processes on the echo device: answers, losses, deadlines, windows, reuse. */
#include "tests/unit/gpu/dispatch/rig.h"

#include "gpu/base/clock.h"
#include "gpu/dispatch/payload.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TWO_BUFFERS "echo\nparam 0 8\nparam 8 8\n"

static struct rig rig;

static int set_up(void **state)
{
	(void)state;
	rig_start(&rig, GD_BACKEND_ECHO, 8u << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rig_end(&rig);
	return 0;
}

/* Send `bytes` of data through a copy kernel and check what comes back. */
static void round_trip(struct gd_kernel *kernel, size_t bytes, uint8_t seed)
{
	struct gd_error error = {0};
	struct outcome outcome;
	uint8_t *data = malloc(bytes), *back = calloc(1, bytes);
	assert_non_null(data);
	assert_non_null(back);
	for (size_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)(seed + i * 31 + (i >> 12));
	struct gd_dispatch *dispatch = rig_dispatch(&rig, kernel, &outcome);
	assert_int_equal(gd_dispatch_add(dispatch, 0, bytes, GD_ACCESS_READ, GD_INIT_DATA, &error), 0);
	assert_int_equal(gd_dispatch_add(dispatch, 1, bytes, GD_ACCESS_READ_WRITE, GD_INIT_ZERO, &error), 1);
	rig_plan(&rig, dispatch);
	uint64_t end = gd_now_ns() + RIG_WAIT_MS * GD_NS_PER_MS;
	for (size_t at = 0; at < bytes;) {
		size_t piece = bytes - at < 70001 ? bytes - at : 70001;
		size_t taken = gd_dispatch_write(dispatch, 0, at, data + at, piece);
		at += taken;
		if (!taken)
			rig_step(&rig);
		assert_true(gd_now_ns() < end);
	}
	rig_start_dispatch(dispatch, 10000);
	rig_until(&rig, &outcome.ended);
	if (!outcome.good)
		fail_msg("%s", outcome.error.text);
	for (size_t at = 0; at < bytes;) {
		int64_t got =
		    gd_dispatch_read(dispatch, 1, at, back + at, bytes - at < 50021 ? bytes - at : 50021);
		assert_true(got >= 0);
		if (!got)
			rig_step(&rig);
		at += (size_t)got;
		assert_true(gd_now_ns() < end);
	}
	assert_memory_equal(data, back, bytes);
	assert_int_equal(outcome.calls, 1);
	gd_dispatch_free(dispatch);
	free(data);
	free(back);
}

static void small_payloads_come_back(void **state)
{
	(void)state;
	struct gd_kernel *kernel = rig_kernel(&rig, TWO_BUFFERS, 2, 16);
	static const size_t sizes[] = {1, 3, 255, 256, 257, 4096, 8192, 65536, 1 << 20};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		round_trip(kernel, sizes[i], (uint8_t)i);
	gd_kernel_unref(kernel);
}

static void large_payloads_come_back_through_windows(void **state)
{
	(void)state;
	struct gd_kernel *kernel = rig_kernel(&rig, TWO_BUFFERS, 2, 16);
	static const size_t sizes[] = {(1 << 20) + 200000, 5000001, 40u << 20};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		round_trip(kernel, sizes[i], (uint8_t)i);
	/* the same sizes again: chunks are used again, and hold nothing of what was there */
	round_trip(kernel, sizes[1], 99);
	gd_kernel_unref(kernel);
}

static void every_call_is_a_launch(void **state)
{
	(void)state;
	struct gd_kernel *kernel = rig_kernel(&rig, TWO_BUFFERS, 2, 16);
	struct gd_engine_counts *before = calloc(2, sizeof *before), *after = before + 1;
	assert_non_null(before);
	gd_engine_counts(rig.engine, before);
	for (int i = 0; i < 10; i++)
		round_trip(kernel, 3, 7);
	gd_engine_counts(rig.engine, after);
	assert_int_equal(after->counters[GD_COUNT_LAUNCHES] - before->counters[GD_COUNT_LAUNCHES], 10);
	assert_int_equal(after->counters[GD_COUNT_INPUT_BYTES] - before->counters[GD_COUNT_INPUT_BYTES], 30);
	assert_int_equal(after->counters[GD_COUNT_OUTPUT_BYTES] - before->counters[GD_COUNT_OUTPUT_BYTES],
			 30);
	assert_int_equal(after->counters[GD_COUNT_OUTPUT_SLOTS] - before->counters[GD_COUNT_OUTPUT_SLOTS],
			 10);
	assert_int_equal(after->counters[GD_COUNT_OUTPUT_SLOTS_APPENDED] -
			     before->counters[GD_COUNT_OUTPUT_SLOTS_APPENDED],
			 1);
	assert_int_equal(after->counters[GD_COUNT_OUTPUT_SLOTS_REUSED] -
			     before->counters[GD_COUNT_OUTPUT_SLOTS_REUSED],
			 9);
	free(before);
	gd_kernel_unref(kernel);
}

static void many_are_in_flight_at_once(void **state)
{
	(void)state;
	enum { MANY = 600 }; /* more than there are cells */
	struct gd_kernel *kernel = rig_kernel(&rig, "echo\nparam 0 8\nspin 20000\n", 1, 8);
	struct outcome *outcomes = calloc(MANY, sizeof *outcomes);
	struct gd_dispatch **dispatches = calloc(MANY, sizeof(struct gd_dispatch *));
	struct gd_error error = {0};
	assert_non_null(outcomes);
	assert_non_null(dispatches);
	for (int i = 0; i < MANY; i++) {
		dispatches[i] = rig_dispatch(&rig, kernel, &outcomes[i]);
		assert_int_equal(gd_dispatch_add(dispatches[i], 0, 64, GD_ACCESS_WRITE, GD_INIT_ZERO, &error),
				 0);
		rig_plan(&rig, dispatches[i]);
		rig_start_dispatch(dispatches[i], 20000);
	}
	for (int i = 0; i < MANY; i++) {
		rig_until(&rig, &outcomes[i].ended);
		assert_true(outcomes[i].good);
		gd_dispatch_free(dispatches[i]);
	}
	assert_int_equal(gd_lane_inflight(rig.lane), 0);
	free(outcomes);
	free(dispatches);
	gd_kernel_unref(kernel);
}

static struct gd_dispatch *start_plain(struct gd_kernel *kernel, struct outcome *outcome, uint64_t timeout_ms)
{
	struct gd_dispatch *dispatch = rig_dispatch(&rig, kernel, outcome);
	rig_plan(&rig, dispatch);
	rig_start_dispatch(dispatch, timeout_ms);
	return dispatch;
}

static void a_fault_of_the_kernel_costs_its_sender_alone(void **state)
{
	(void)state;
	struct gd_kernel *bad = rig_kernel(&rig, "echo\nfault\n", 0, 0);
	struct gd_kernel *good = rig_kernel(&rig, TWO_BUFFERS, 2, 16);
	struct outcome outcome;
	struct gd_dispatch *dispatch = start_plain(bad, &outcome, 5000);
	rig_until(&rig, &outcome.ended);
	assert_false(outcome.good);
	assert_int_equal(outcome.error.code, GD_DISPATCH_FAILED);
	gd_dispatch_free(dispatch);
	round_trip(good, 100, 1);
	gd_kernel_unref(bad);
	gd_kernel_unref(good);
}

static void a_sticky_fault_convicts_the_only_one_and_the_worker_is_replaced(void **state)
{
	(void)state;
	struct gd_kernel *bad = rig_kernel(&rig, "echo\nfault sticky\n", 0, 0);
	struct gd_kernel *good = rig_kernel(&rig, TWO_BUFFERS, 2, 16);
	pid_t before = rig_worker(&rig);
	struct outcome outcome;
	struct gd_dispatch *dispatch = start_plain(bad, &outcome, 5000);
	rig_until(&rig, &outcome.ended);
	assert_false(outcome.good);
	assert_int_equal(outcome.error.code, GD_DISPATCH_FAILED);
	assert_true(outcome.error.sticky);
	gd_dispatch_free(dispatch);
	rig_until_state(&rig, GD_DEVICE_RECOVERING);
	rig_until_state(&rig, GD_DEVICE_READY);
	assert_int_not_equal(rig_worker(&rig), before);
	round_trip(good, 100, 1);
	gd_kernel_unref(bad);
	gd_kernel_unref(good);
}

static void a_killed_worker_fails_what_was_in_it_with_a_retryable_error(void **state)
{
	(void)state;
	struct gd_kernel *hang = rig_kernel(&rig, "echo\nhang\n", 0, 0);
	struct gd_kernel *good = rig_kernel(&rig, TWO_BUFFERS, 2, 16);
	struct outcome outcomes[3];
	struct gd_dispatch *dispatches[3];
	for (int i = 0; i < 3; i++)
		dispatches[i] = start_plain(hang, &outcomes[i], 60000);
	for (int i = 0; i < 20; i++)
		rig_step(&rig);
	assert_int_equal(kill(rig_worker(&rig), SIGKILL), 0);
	for (int i = 0; i < 3; i++) {
		rig_until(&rig, &outcomes[i].ended);
		assert_int_equal(outcomes[i].error.code, GD_DEVICE_LOST);
		assert_int_equal(outcomes[i].calls, 1);
		gd_dispatch_free(dispatches[i]);
	}
	rig_until_state(&rig, GD_DEVICE_READY);
	round_trip(good, 5000, 2);
	gd_kernel_unref(hang);
	gd_kernel_unref(good);
}

static void a_worker_that_keeps_dying_is_replaced_each_time(void **state)
{
	(void)state;
	struct gd_kernel *good = rig_kernel(&rig, TWO_BUFFERS, 2, 16);
	for (int i = 0; i < 5; i++) {
		rig_until_state(&rig, GD_DEVICE_READY);
		round_trip(good, 5000, (uint8_t)i);
		assert_int_equal(kill(rig_worker(&rig), SIGKILL), 0);
		rig_until_state(&rig, GD_DEVICE_RECOVERING);
	}
	rig_until_state(&rig, GD_DEVICE_READY);
	round_trip(good, 3u << 20, 9);
	gd_kernel_unref(good);
}

static void an_endless_kernel_is_ended_by_its_deadline(void **state)
{
	(void)state;
	struct gd_kernel *hang = rig_kernel(&rig, "echo\nhang\n", 0, 0);
	struct gd_kernel *good = rig_kernel(&rig, TWO_BUFFERS, 2, 16);
	pid_t before = rig_worker(&rig);
	struct outcome outcome;
	struct gd_dispatch *dispatch = start_plain(hang, &outcome, 150);
	rig_until(&rig, &outcome.ended);
	assert_int_equal(outcome.error.code, GD_DEADLINE_EXCEEDED);
	gd_dispatch_free(dispatch);
	rig_until_state(&rig, GD_DEVICE_RECOVERING);
	rig_until_state(&rig, GD_DEVICE_READY);
	assert_int_not_equal(rig_worker(&rig), before);
	struct gd_engine_counts *counts = calloc(1, sizeof *counts);
	assert_non_null(counts);
	gd_engine_counts(rig.engine, counts);
	assert_true(counts->counters[GD_COUNT_WORKER_RESTARTS_DEADLINE] >= 1);
	free(counts);
	round_trip(good, 10, 2);
	gd_kernel_unref(hang);
	gd_kernel_unref(good);
}

static void a_short_timeout_behind_a_long_kernel_kills_nobody(void **state)
{
	(void)state;
	/* more long ones than the worker has streams, so that the short one never starts */
	enum { LONG_ONES = 40 };
	struct gd_kernel *slow = rig_kernel(&rig, "echo\nspin 400000000\n", 0, 0);
	struct gd_kernel *quick = rig_kernel(&rig, "echo\n", 0, 0);
	pid_t before = rig_worker(&rig);
	static struct outcome outcomes[LONG_ONES], last;
	struct gd_dispatch *dispatches[LONG_ONES];
	for (int i = 0; i < LONG_ONES; i++)
		dispatches[i] = start_plain(slow, &outcomes[i], 20000);
	struct gd_dispatch *short_one = start_plain(quick, &last, 30);
	rig_until(&rig, &last.ended);
	assert_int_equal(last.error.code, GD_DEADLINE_EXCEEDED);
	gd_dispatch_free(short_one);
	for (int i = 0; i < LONG_ONES; i++) {
		rig_until(&rig, &outcomes[i].ended);
		assert_true(outcomes[i].good);
		gd_dispatch_free(dispatches[i]);
	}
	assert_int_equal(rig_worker(&rig), before);
	gd_kernel_unref(slow);
	gd_kernel_unref(quick);
}

static void freeing_a_running_dispatch_gives_everything_back(void **state)
{
	(void)state;
	struct gd_kernel *slow = rig_kernel(&rig, "echo\nparam 0 8\nspin 30000000\n", 1, 8);
	struct gd_kernel *quick = rig_kernel(&rig, TWO_BUFFERS, 2, 16);
	struct gd_error error = {0};
	for (int i = 0; i < 30; i++) {
		struct outcome outcome;
		struct gd_dispatch *dispatch = rig_dispatch(&rig, slow, &outcome);
		gd_dispatch_add(dispatch, 0, 1000, GD_ACCESS_READ_WRITE, GD_INIT_ZERO, &error);
		rig_plan(&rig, dispatch);
		rig_start_dispatch(dispatch, 5000);
		if (i % 3 == 0)
			rig_step(&rig);
		gd_dispatch_free(dispatch);
		assert_false(outcome.ended);
	}
	round_trip(quick, 10, 2);
	uint64_t end = gd_now_ns() + RIG_WAIT_MS * GD_NS_PER_MS;
	while (gd_lane_inflight(rig.lane) && gd_now_ns() < end)
		rig_step(&rig);
	assert_int_equal(gd_lane_inflight(rig.lane), 0);
	gd_retained_drop(rig.lane->views[0], NULL);
	assert_int_equal(gd_arena_used(rig.lane->views[0]->in), 0);
	assert_int_equal(gd_arena_used(rig.lane->views[0]->out), 0);
	gd_kernel_unref(slow);
	gd_kernel_unref(quick);
}

static void a_kernel_that_does_not_load_says_why(void **state)
{
	(void)state;
	struct gd_kernel *refused = rig_kernel(&rig, "echo\nrefuse\n", 0, 0);
	struct outcome outcome;
	struct gd_dispatch *dispatch = start_plain(refused, &outcome, 5000);
	rig_until(&rig, &outcome.ended);
	assert_int_equal(outcome.error.code, GD_UNSUPPORTED_FEATURE);
	gd_dispatch_free(dispatch);
	gd_kernel_unref(refused);
}

static void freed_kernels_leave_no_module_behind(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		char text[64];
		snprintf(text, sizeof text, "echo\n# %d\nparam 0 8\nparam 8 8\n", i);
		struct gd_kernel *kernel = rig_kernel(&rig, text, 2, 16);
		round_trip(kernel, 10, 1);
		gd_kernel_unref(kernel);
	}
	rig_step(&rig);
	/* the canary has none on this device */
	assert_int_equal(rig.engine->stations[0].module_count, 0);
}

static void nonsense_in_the_completion_ring_harms_nobody(void **state)
{
	(void)state;
	struct gd_kernel *kernel = rig_kernel(&rig, TWO_BUFFERS, 2, 16);
	struct gd_view *view = rig.lane->views[0];
	struct gd_lane_control *control = &view->link->control->lanes[0];
	for (uint32_t i = 0; i < 1000; i++) {
		gd_ring_push(&control->completed, i * 2654435761u);
		if (i % 100 == 0)
			gd_view_drain(view);
	}
	for (int i = 0; i < 20; i++)
		gd_view_drain(view);
	round_trip(kernel, 500, 3);
	gd_kernel_unref(kernel);
}

int main(int argc, char **argv)
{
	bool was_role;
	int status = rig_roles(argc, argv, &was_role);
	if (was_role)
		return status;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(small_payloads_come_back),
	    cmocka_unit_test(large_payloads_come_back_through_windows),
	    cmocka_unit_test(every_call_is_a_launch),
	    cmocka_unit_test(many_are_in_flight_at_once),
	    cmocka_unit_test(a_fault_of_the_kernel_costs_its_sender_alone),
	    cmocka_unit_test(a_sticky_fault_convicts_the_only_one_and_the_worker_is_replaced),
	    cmocka_unit_test(a_killed_worker_fails_what_was_in_it_with_a_retryable_error),
	    cmocka_unit_test(a_worker_that_keeps_dying_is_replaced_each_time),
	    cmocka_unit_test(an_endless_kernel_is_ended_by_its_deadline),
	    cmocka_unit_test(a_short_timeout_behind_a_long_kernel_kills_nobody),
	    cmocka_unit_test(freeing_a_running_dispatch_gives_everything_back),
	    cmocka_unit_test(a_kernel_that_does_not_load_says_why),
	    cmocka_unit_test(freed_kernels_leave_no_module_behind),
	    cmocka_unit_test(nonsense_in_the_completion_ring_harms_nobody),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
