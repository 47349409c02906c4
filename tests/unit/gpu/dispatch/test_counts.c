/* Counters, phases and native errors: written by lanes, summed by anyone, kept when lanes end. */
#include "tests/unit/gpu/dispatch/rig_more.h"

#include "gpu/base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct rig rig;
static struct gd_engine_counts *counts, *before;

static int set_up(void **state)
{
	(void)state;
	rig_begin(&rig, 0);
	rig_until_state(&rig, GD_DEVICE_READY);
	counts = calloc(2, sizeof *counts);
	before = counts + 1;
	return counts ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	free(counts);
	rig_end(&rig);
	return 0;
}

static void a_time_falls_into_the_bucket_whose_bound_it_does_not_pass(void **state)
{
	(void)state;
	static struct gd_lane_counts lane;
	for (unsigned i = 0; i + 1 < GD_BUCKETS; i++) {
		assert_true(gd_bucket_bounds_ns[i] < gd_bucket_bounds_ns[i + 1]);
		gd_count_phase(&lane, GD_PHASE_KERNEL, gd_bucket_bounds_ns[i]);
		assert_int_equal(lane.phases[GD_PHASE_KERNEL].buckets[i], i ? 2 : 1);
		gd_count_phase(&lane, GD_PHASE_KERNEL, gd_bucket_bounds_ns[i] + 1);
		assert_int_equal(lane.phases[GD_PHASE_KERNEL].buckets[i + 1], 1);
	}
	gd_count_phase(&lane, GD_PHASE_QUEUE, 0);
	assert_int_equal(lane.phases[GD_PHASE_QUEUE].buckets[0], 1);
	gd_count_phase(&lane, GD_PHASE_H2D, UINT64_MAX);
	assert_int_equal(lane.phases[GD_PHASE_H2D].buckets[GD_BUCKETS - 1], 1);
	assert_int_equal(lane.phases[GD_PHASE_H2D].sum_ns, UINT64_MAX);
	assert_int_equal(gd_bucket_bounds_ns[0], 10 * GD_NS_PER_US);
	assert_int_equal(gd_bucket_bounds_ns[GD_BUCKETS - 1], UINT64_MAX);
}

static void a_dispatch_counts_its_launches_bytes_and_slots(void **state)
{
	(void)state;
	struct outcome outcome;
	struct gd_kernel *kernel = rig_kernel(&rig, RIG_TWO_BUFFERS, 2, 16);
	gd_engine_counts(rig.engine, before);
	assert_true(rig_round(&rig, kernel, 3, 1, 5000, &outcome));
	gd_engine_counts(rig.engine, counts);
	static const struct {
		enum gd_counter counter;
		uint64_t more;
	} rows[] = {{GD_COUNT_DISPATCH_OK, 1},     {GD_COUNT_LAUNCHES, 1},
		    {GD_COUNT_INPUT_BYTES, 3},     {GD_COUNT_OUTPUT_BYTES, 3},
		    {GD_COUNT_OUTPUT_SLOTS, 1},    {GD_COUNT_OUTPUT_SLOTS_APPENDED, 1},
		    {GD_COUNT_DISPATCH_FAILED, 0}, {GD_COUNT_OUTPUT_SLOTS_REUSED, 0},
		    {GD_COUNT_DISPATCH_LOST, 0},   {GD_COUNT_DISPATCH_EXPIRED, 0}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(counts->counters[rows[i].counter] - before->counters[rows[i].counter],
				 rows[i].more);
	assert_int_equal(counts->phases[GD_PHASE_KERNEL].count - before->phases[GD_PHASE_KERNEL].count, 1);
	gd_kernel_unref(kernel);
}

static void each_end_of_a_dispatch_has_its_counter(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t timeout_ms;
		enum gd_counter counter;
		enum gd_code code;
		bool costs_the_worker;
	} rows[] = {
	    {"echo\nfault\n", 5000, GD_COUNT_DISPATCH_FAILED, GD_DISPATCH_FAILED, false},
	    {"echo\nrefuse\n", 5000, GD_COUNT_DISPATCH_FAILED, GD_UNSUPPORTED_FEATURE, false},
	    {"echo\nspin 300000000\n", 20, GD_COUNT_DISPATCH_EXPIRED, GD_DEADLINE_EXCEEDED, true},
	    {"echo\nexit 7\n", 5000, GD_COUNT_DISPATCH_LOST, GD_DEVICE_LOST, true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct outcome outcome;
		rig_until_state(&rig, GD_DEVICE_READY);
		gd_engine_counts(rig.engine, before);
		struct gd_kernel *kernel = rig_kernel(&rig, rows[i].text, 0, 0);
		struct gd_dispatch *dispatch = rig_dispatch(&rig, kernel, &outcome);
		rig_plan(&rig, dispatch);
		rig_start_dispatch(dispatch, rows[i].timeout_ms);
		rig_until(&rig, &outcome.ended);
		assert_int_equal(outcome.error.code, rows[i].code);
		gd_dispatch_free(dispatch);
		gd_kernel_unref(kernel);
		gd_engine_counts(rig.engine, counts);
		assert_int_equal(counts->counters[rows[i].counter] - before->counters[rows[i].counter], 1);
		assert_int_equal(counts->counters[GD_COUNT_DISPATCH_OK],
				 before->counters[GD_COUNT_DISPATCH_OK]);
		if (rows[i].costs_the_worker)
			rig_until_state(&rig, GD_DEVICE_RECOVERING);
	}
	rig_until_state(&rig, GD_DEVICE_READY);
	gd_engine_counts(rig.engine, counts);
	assert_int_equal(counts->counters[GD_COUNT_WORKER_RESTARTS_DEADLINE], 1);
	assert_int_equal(counts->counters[GD_COUNT_WORKER_RESTARTS_EXIT], 1);
	assert_int_equal(counts->counters[GD_COUNT_WORKER_RESTARTS_FAULT], 0);
}

static struct gd_error native_error(const char *name, bool sticky)
{
	struct gd_error error;
	gd_error_set(&error, GD_DISPATCH_FAILED, NULL, "fault");
	gd_error_native(&error, 1, name, sticky);
	return error;
}

static void native_errors_are_counted_by_name_and_kind_up_to_a_limit(void **state)
{
	(void)state;
	struct gd_error error = native_error("A", false);
	gd_engine_count_error(rig.engine, &error);
	gd_engine_count_error(rig.engine, &error);
	error = native_error("A", true);
	gd_engine_count_error(rig.engine, &error);
	error = native_error(NULL, true);
	gd_engine_count_error(rig.engine, &error);
	gd_engine_counts(rig.engine, counts);
	assert_int_equal(counts->device_error_count, 2);
	assert_int_equal(counts->device_errors[0].count, 2);
	assert_int_equal(counts->device_errors[1].count, 1);
	assert_true(counts->device_errors[1].sticky);
	static char names[60][48];
	for (unsigned i = 0; i < 60; i++) {
		snprintf(names[i], sizeof names[i], "N%u", i);
		error = native_error(names[i], false);
		gd_engine_count_error(rig.engine, &error);
	}
	error = native_error("A", false);
	gd_engine_count_error(rig.engine, &error);
	gd_engine_counts(rig.engine, counts);
	assert_int_equal(counts->device_error_count, 32);
	assert_int_equal(counts->device_errors[0].count, 3);
}

static void a_lane_that_ends_leaves_its_counts(void **state)
{
	(void)state;
	struct outcome outcome;
	struct gd_kernel *kernel = rig_kernel(&rig, RIG_TWO_BUFFERS, 2, 16);
	for (int i = 0; i < 5; i++)
		assert_true(rig_round(&rig, kernel, 300, 1, 5000, &outcome));
	gd_kernel_unref(kernel);
	gd_engine_counts(rig.engine, before);
	gd_lane_free(rig.lane);
	rig.lane = NULL;
	gd_engine_counts(rig.engine, counts);
	for (unsigned i = 0; i < GD_COUNTERS; i++)
		if (i != GD_COUNT_OUTPUT_SLOT_RETAINED_CAPACITY_BYTES)
			assert_int_equal(counts->counters[i], before->counters[i]);
	assert_int_equal(counts->phases[GD_PHASE_KERNEL].count, 5);
	assert_int_equal(counts->slab_in_used, 0);
}

static void retained_space_is_a_gauge_that_comes_back_to_nothing(void **state)
{
	(void)state;
	struct outcome outcome;
	struct gd_kernel *kernel = rig_kernel(&rig, RIG_TWO_BUFFERS, 2, 16);
	static const size_t sizes[] = {100, 5000, 100, 9000, 300000};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		assert_true(rig_round(&rig, kernel, sizes[i], 1, 5000, &outcome));
	gd_engine_counts(rig.engine, counts);
	assert_int_equal(counts->counters[GD_COUNT_OUTPUT_SLOT_RETAINED_CAPACITY_BYTES], 524288);
	assert_int_equal(counts->counters[GD_COUNT_OUTPUT_SLOTS_APPENDED], 1);
	assert_int_equal(counts->counters[GD_COUNT_OUTPUT_SLOTS_MOVED], 3);
	assert_int_equal(counts->counters[GD_COUNT_OUTPUT_SLOTS_REUSED], 1);
	gd_retained_drop(rig.lane->views[0], NULL);
	gd_engine_counts(rig.engine, counts);
	assert_int_equal(counts->counters[GD_COUNT_OUTPUT_SLOT_RETAINED_CAPACITY_BYTES], 0);
	gd_kernel_unref(kernel);
}

static _Atomic bool stop;

static void *keep_asking(void *argument)
{
	struct gd_engine_counts *mine = argument;
	uint64_t last = 0;
	while (!stop) {
		gd_engine_counts(rig.engine, mine);
		assert_true(mine->counters[GD_COUNT_DISPATCH_OK] >= last);
		last = mine->counters[GD_COUNT_DISPATCH_OK];
		static struct gd_device_status devices[GD_DEVICES_MAX];
		gd_engine_devices(rig.engine, devices);
		int32_t pids[4];
		gd_engine_children(rig.engine, pids, 4);
	}
	return NULL;
}

static void whoever_asks_from_another_thread_sees_counts_that_only_grow(void **state)
{
	(void)state;
	pthread_t thread;
	struct outcome outcome;
	struct gd_kernel *kernel = rig_kernel(&rig, RIG_TWO_BUFFERS, 2, 16);
	stop = false;
	assert_int_equal(pthread_create(&thread, NULL, keep_asking, before), 0);
	for (int i = 0; i < 50; i++)
		assert_true(rig_round(&rig, kernel, 300, 1, 5000, &outcome));
	stop = true;
	pthread_join(thread, NULL);
	gd_kernel_unref(kernel);
}

int main(int argc, char **argv)
{
	bool was_role;
	int status = rig_roles(argc, argv, &was_role);
	if (was_role)
		return status;
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_time_falls_into_the_bucket_whose_bound_it_does_not_pass),
	    WITH_RIG(a_dispatch_counts_its_launches_bytes_and_slots),
	    WITH_RIG(each_end_of_a_dispatch_has_its_counter),
	    WITH_RIG(native_errors_are_counted_by_name_and_kind_up_to_a_limit),
	    WITH_RIG(a_lane_that_ends_leaves_its_counts),
	    WITH_RIG(retained_space_is_a_gauge_that_comes_back_to_nothing),
	    WITH_RIG(whoever_asks_from_another_thread_sees_counts_that_only_grow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
