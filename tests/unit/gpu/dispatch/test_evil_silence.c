/* Workers that say nothing, stop or go: the front gives them up in time, and never one that is only busy. */
#include "tests/unit/gpu/dispatch/rig_front.h"

#include "gpu/base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

static void check_never_ready(enum evil evil)
{
	replace_by(evil);
	generation_before = station()->generation;
	wait_for(was_lost, "the front giving it up");
	assert_false(is_up());
	struct gd_device_status devices[1];
	static struct gd_device_status all[GD_DEVICES_MAX];
	assert_int_equal(gd_engine_devices(rig.engine, all), 1);
	devices[0] = all[0];
	assert_int_not_equal(devices[0].state, GD_DEVICE_READY);
}

static void one_that_is_never_ready_is_given_up(void **state)
{
	(void)state;
	check_never_ready(EVIL_MUTE);
}

static void one_that_closes_its_socket_at_once_is_given_up(void **state)
{
	(void)state;
	check_never_ready(EVIL_CLOSES);
}

static void one_that_stops_before_it_is_ready_is_given_up(void **state)
{
	(void)state;
	check_never_ready(EVIL_STOPS_EARLY);
}

static void nonsense_about_the_device_is_not_believed(void **state)
{
	(void)state;
	check_never_ready(EVIL_READY_NUMBERS);
	check_never_ready(EVIL_READY_TEXT);
	check_never_ready(EVIL_READY_LIMITS);
}

static void one_that_closes_its_socket_later_is_replaced(void **state)
{
	(void)state;
	replace_by(EVIL_CLOSES_LATE);
	generation_before = station()->generation;
	wait_for(was_lost, "the loss");
}

static void one_that_answers_no_load_is_given_up(void **state)
{
	(void)state;
	static const enum evil kinds[] = {EVIL_DEAF, EVIL_NO_ANSWERS};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct outcome outcome;
		replace_by(kinds[i]);
		wait_for(is_up, "the worker");
		generation_before = station()->generation;
		assert_false(rig_round(&rig, kernel, 100, 4, 20000, &outcome));
		assert_int_equal(outcome.error.code, GD_DEVICE_LOST);
		wait_for(was_lost, "the loss");
	}
}

static void one_that_never_answers_for_a_chunk_is_given_up(void **state)
{
	(void)state;
	struct outcome outcome;
	replace_by(EVIL_NO_ANSWERS);
	wait_for(is_up, "the worker");
	generation_before = station()->generation;
	assert_false(rig_round(&rig, kernel, 3u << 20, 4, 20000, &outcome));
	assert_int_equal(outcome.error.code, GD_DEVICE_LOST);
	wait_for(was_lost, "the loss");
}

static void one_that_stops_taking_work_is_replaced(void **state)
{
	(void)state;
	struct outcome outcome;
	generation_before = station()->generation;
	pid_t worker = station()->link->child.pid;
	int status;
	assert_int_equal(kill(worker, SIGSTOP), 0);
	assert_int_equal(waitpid(worker, &status, WUNTRACED), worker);
	assert_false(rig_round(&rig, kernel, 100, 8, 100, &outcome));
	assert_int_equal(outcome.error.code, GD_DEADLINE_EXCEEDED);
	wait_for(was_lost, "the loss");
	struct gd_engine_counts *counts = calloc(1, sizeof *counts);
	assert_non_null(counts);
	gd_engine_counts(rig.engine, counts);
	assert_int_equal(counts->counters[GD_COUNT_WORKER_RESTARTS_DEADLINE], 1);
	free(counts);
}

static void a_long_queue_is_no_reason_to_replace_it(void **state)
{
	(void)state;
	enum { MANY = 3 * 40 };
	static struct outcome outcomes[MANY], last;
	static struct gd_dispatch *dispatches[MANY];
	struct gd_kernel *slow = rig_kernel(&rig, "echo\nspin 400000000\n", 0, 0);
	uint64_t generation = station()->generation;
	for (int i = 0; i < MANY; i++) {
		dispatches[i] = rig_dispatch(&rig, slow, &outcomes[i]);
		rig_plan(&rig, dispatches[i]);
		rig_start_dispatch(dispatches[i], 20000);
	}
	struct gd_dispatch *behind = rig_dispatch(&rig, slow, &last);
	rig_plan(&rig, behind);
	rig_start_dispatch(behind, 20);
	for (int i = 0; i < MANY; i++) {
		rig_until(&rig, &outcomes[i].ended);
		if (!outcomes[i].good)
			fail_msg("dispatch %d: %s", i, outcomes[i].error.text);
		gd_dispatch_free(dispatches[i]);
	}
	assert_int_equal(last.error.code, GD_DEADLINE_EXCEEDED);
	gd_dispatch_free(behind);
	gd_kernel_unref(slow);
	assert_int_equal(station()->generation, generation);
}

int main(int argc, char **argv)
{
	int status = front_roles(argc, argv);
	if (status >= 0)
		return status;
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    WITH_RIG(one_that_is_never_ready_is_given_up),
	    WITH_RIG(one_that_closes_its_socket_at_once_is_given_up),
	    WITH_RIG(one_that_stops_before_it_is_ready_is_given_up),
	    WITH_RIG(nonsense_about_the_device_is_not_believed),
	    WITH_RIG(one_that_closes_its_socket_later_is_replaced),
	    WITH_RIG(one_that_answers_no_load_is_given_up),
	    WITH_RIG(one_that_never_answers_for_a_chunk_is_given_up),
	    WITH_RIG(one_that_stops_taking_work_is_replaced),
	    WITH_RIG(a_long_queue_is_no_reason_to_replace_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
