/* From a program to a loaded kernel: the cache, single flight, failures, and ends in the middle of it. */
#include "tests/unit/gpu/dispatch/rig_compile.h"

#include "gpu/base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { MANY = 20 };

static struct rig rig;

static int set_up(void **state)
{
	(void)state;
	rig_begin(&rig, 5000);
	rig_until_state(&rig, GD_DEVICE_READY);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rig_end(&rig);
	return 0;
}

static uint64_t counter(enum gd_counter which)
{
	struct gd_engine_counts *counts = calloc(1, sizeof *counts);
	assert_non_null(counts);
	gd_engine_counts(rig.engine, counts);
	uint64_t value = counts->counters[which];
	free(counts);
	return value;
}

static void ask_and_wait(struct compile *compile, struct gd_program *program, enum gd_cache_mode mode)
{
	rig_ask(rig.lane, compile, program, mode);
	rig_until(&rig, &compile->ended);
	assert_int_equal(compile->calls, 1);
}

static void run_once(struct gd_kernel *kernel)
{
	struct outcome outcome;
	struct gd_dispatch *dispatch = rig_dispatch(&rig, kernel, &outcome);
	rig_plan(&rig, dispatch);
	rig_start_dispatch(dispatch, 10000);
	rig_until(&rig, &outcome.ended);
	if (!outcome.good)
		fail_msg("%s", outcome.error.text);
	gd_dispatch_free(dispatch);
}

static void a_posted_program_is_loaded_and_then_a_hit(void **state)
{
	(void)state;
	struct compile first, second;
	struct gd_program *program = rig_program("", 1);
	ask_and_wait(&first, program, GD_CACHE_USE);
	assert_non_null(first.request.kernel);
	/* no compiler runs for PTX */
	assert_int_equal(first.request.cache_hit, -1);
	assert_int_equal(first.request.tier, GD_TIER_NONE);
	assert_int_equal(gd_kernel_info(first.request.kernel)->max_threads, 1024);
	run_once(first.request.kernel);
	rig_ask(rig.lane, &second, program, GD_CACHE_USE);
	assert_true(second.ended); /* at once, within the call */
	assert_ptr_equal(second.request.kernel, first.request.kernel);
	assert_int_equal(second.request.cache_hit, 1);
	assert_int_equal(second.request.tier, GD_TIER_MEMORY);
	assert_int_equal(second.request.miss_reason, GD_MISS_NONE);
	assert_int_equal(counter(GD_COUNT_CACHE_UNKNOWNS), 1);
	assert_int_equal(counter(GD_COUNT_CACHE_HITS), 1);
	assert_int_equal(counter(GD_COUNT_CACHE_MEMORY_HITS), 1);
	assert_int_equal(counter(GD_COUNT_CACHE_MISSES), 0);
	rig_answered(&first);
	rig_answered(&second);
	gd_program_free(program);
}

static void equal_requests_at_the_same_time_are_one_load(void **state)
{
	(void)state;
	static struct compile compiles[MANY];
	struct gd_program *program = rig_program("", 2);
	for (unsigned i = 0; i < MANY; i++) {
		rig_ask(rig.lane, &compiles[i], program, GD_CACHE_USE);
		assert_false(compiles[i].ended);
	}
	for (unsigned i = 0; i < MANY; i++) {
		rig_until(&rig, &compiles[i].ended);
		assert_int_equal(compiles[i].calls, 1);
		assert_non_null(compiles[i].request.kernel);
		assert_ptr_equal(compiles[i].request.kernel, compiles[0].request.kernel);
	}
	assert_int_equal(rig.engine->modules_loaded, 1);
	assert_int_equal(rig.engine->compiles_inflight, 0);
	for (unsigned i = 0; i < MANY; i++)
		rig_answered(&compiles[i]);
	gd_program_free(program);
}

static void a_bypass_has_a_kernel_of_its_own_and_stores_nothing(void **state)
{
	(void)state;
	static struct compile bypass[2], used, again;
	struct gd_program *program = rig_program("", 3);
	rig_ask(rig.lane, &bypass[0], program, GD_CACHE_BYPASS);
	rig_ask(rig.lane, &bypass[1], program, GD_CACHE_BYPASS);
	rig_until(&rig, &bypass[0].ended);
	rig_until(&rig, &bypass[1].ended);
	assert_non_null(bypass[0].request.kernel);
	assert_ptr_not_equal(bypass[0].request.kernel, bypass[1].request.kernel);
	ask_and_wait(&used, program, GD_CACHE_USE);
	assert_ptr_not_equal(used.request.kernel, bypass[0].request.kernel);
	assert_int_not_equal(used.request.cache_hit, 1);
	rig_ask(rig.lane, &again, program, GD_CACHE_USE);
	assert_ptr_equal(again.request.kernel, used.request.kernel);
	rig_answered(&bypass[0]);
	rig_answered(&bypass[1]);
	rig_answered(&used);
	rig_answered(&again);
	gd_program_free(program);
}

static void a_refresh_replaces_what_the_cache_holds(void **state)
{
	(void)state;
	static struct compile first, refresh, meanwhile, after;
	struct gd_program *program = rig_program("", 4);
	ask_and_wait(&first, program, GD_CACHE_USE);
	rig_ask(rig.lane, &refresh, program, GD_CACHE_REFRESH);
	rig_ask(rig.lane, &meanwhile, program, GD_CACHE_USE);
	assert_ptr_equal(meanwhile.request.kernel, first.request.kernel);
	rig_until(&rig, &refresh.ended);
	assert_ptr_not_equal(refresh.request.kernel, first.request.kernel);
	rig_ask(rig.lane, &after, program, GD_CACHE_USE);
	assert_ptr_equal(after.request.kernel, refresh.request.kernel);
	/* the old one still works for those who have it */
	run_once(first.request.kernel);
	run_once(after.request.kernel);
	rig_answered(&first);
	rig_answered(&refresh);
	rig_answered(&meanwhile);
	rig_answered(&after);
	gd_program_free(program);
}

static void a_kernel_that_does_not_load_is_everybodys_error_and_is_not_kept(void **state)
{
	(void)state;
	static struct compile compiles[MANY];
	struct gd_program *program = rig_program("refuse\n", 5);
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < MANY; i++)
			rig_ask(rig.lane, &compiles[i], program, GD_CACHE_USE);
		for (unsigned i = 0; i < MANY; i++) {
			rig_until(&rig, &compiles[i].ended);
			assert_null(compiles[i].request.kernel);
			assert_int_equal(compiles[i].request.error.code, GD_UNSUPPORTED_FEATURE);
			rig_answered(&compiles[i]);
		}
	}
	rig_step(&rig);
	assert_int_equal(rig.engine->modules_loaded, 0);
	gd_program_free(program);
}

static void a_program_without_an_entry_is_refused(void **state)
{
	(void)state;
	struct compile compile;
	struct gd_program *program = rig_program_of(GD_LANGUAGE_PTX, "echo\n# nothing here\n");
	ask_and_wait(&compile, program, GD_CACHE_USE);
	assert_null(compile.request.kernel);
	assert_int_equal(compile.request.error.code, GD_INVALID_PROGRAM);
	rig_answered(&compile);
	gd_program_free(program);
}

static void another_backend_is_refused_at_once(void **state)
{
	(void)state;
	static const enum gd_backend others[] = {GD_BACKEND_CUDA, GD_BACKEND_REFERENCE};
	struct gd_program *program = rig_program("", 6);
	struct compile compile;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		rig_ask_backend(rig.lane, &compile, program, others[i]);
		assert_true(compile.ended);
		assert_null(compile.request.kernel);
		assert_int_equal(compile.request.error.code, GD_BACKEND_UNAVAILABLE);
		assert_true(compile.request.error.fix[0]);
		rig_answered(&compile);
	}
	rig_ask_backend(rig.lane, &compile, program, GD_BACKEND_ECHO);
	rig_until(&rig, &compile.ended);
	assert_non_null(compile.request.kernel);
	rig_answered(&compile);
	gd_program_free(program);
}

static void a_cubin_is_for_cuda_alone(void **state)
{
	(void)state;
	struct compile compile;
	struct gd_program *program = rig_program_of(GD_LANGUAGE_CUBIN, "\177ELF not really");
	rig_ask(rig.lane, &compile, program, GD_CACHE_USE);
	assert_true(compile.ended);
	assert_int_equal(compile.request.error.code, GD_UNSUPPORTED_FEATURE);
	rig_answered(&compile);
	gd_program_free(program);
}

static void without_a_compiler_sources_are_refused_with_the_way_to_get_one(void **state)
{
	(void)state;
	struct compile compile;
	struct gd_program *program =
	    rig_program_of(GD_LANGUAGE_CUDA, "extern \"C\" __global__ void k() {}\n");
	struct gd_toolchain toolchain;
	uint64_t end = gd_now_ns() + RIG_WAIT_MS * GD_NS_PER_MS;
	do {
		rig_step(&rig);
		gd_engine_toolchain(rig.engine, &toolchain);
	} while (!toolchain.known && gd_now_ns() < end);
	assert_true(toolchain.known);
	assert_false(toolchain.available);
	ask_and_wait(&compile, program, GD_CACHE_USE);
	assert_null(compile.request.kernel);
	assert_int_equal(compile.request.error.code, GD_BACKEND_UNAVAILABLE);
	assert_non_null(strstr(compile.request.error.fix, "NVRTC"));
	rig_answered(&compile);
	gd_program_free(program);
}

static void a_cached_kernel_outlives_its_worker(void **state)
{
	(void)state;
	struct compile first, second;
	struct gd_program *program = rig_program("", 7);
	ask_and_wait(&first, program, GD_CACHE_USE);
	assert_int_equal(kill(rig_worker(&rig), SIGKILL), 0);
	rig_until_state(&rig, GD_DEVICE_RECOVERING);
	rig_until_state(&rig, GD_DEVICE_READY);
	rig_ask(rig.lane, &second, program, GD_CACHE_USE);
	assert_ptr_equal(second.request.kernel, first.request.kernel);
	run_once(second.request.kernel);
	rig_answered(&first);
	rig_answered(&second);
	gd_program_free(program);
}

/* Stop the worker, so that loads stay under way for as long as the test wants. */
static pid_t hold_worker(void)
{
	pid_t worker = rig_worker(&rig);
	int status;
	assert_int_equal(kill(worker, SIGSTOP), 0);
	assert_int_equal(waitpid(worker, &status, WUNTRACED), worker);
	return worker;
}

static void a_worker_that_dies_during_a_load_is_everybodys_error(void **state)
{
	(void)state;
	static struct compile compiles[MANY];
	struct gd_program *program = rig_program("", 8);
	pid_t worker = hold_worker();
	for (unsigned i = 0; i < MANY; i++)
		rig_ask(rig.lane, &compiles[i], program, i % 5 ? GD_CACHE_USE : GD_CACHE_BYPASS);
	rig_run_for(&rig, 20);
	assert_int_equal(kill(worker, SIGKILL), 0);
	for (unsigned i = 0; i < MANY; i++) {
		rig_until(&rig, &compiles[i].ended);
		assert_int_equal(compiles[i].calls, 1);
		assert_null(compiles[i].request.kernel);
		assert_int_equal(compiles[i].request.error.code, GD_DEVICE_LOST);
		rig_answered(&compiles[i]);
	}
	rig_until_state(&rig, GD_DEVICE_READY);
	ask_and_wait(&compiles[0], program, GD_CACHE_USE);
	assert_non_null(compiles[0].request.kernel);
	run_once(compiles[0].request.kernel);
	rig_answered(&compiles[0]);
	gd_program_free(program);
}

/* Requests of every kind under way, at every step of it; then the lane ends, and their owner frees them. */
static void end_lane_after(unsigned steps, bool ends_engine)
{
	struct compile *compiles = calloc(MANY, sizeof *compiles);
	struct gd_program *programs[4];
	static const enum gd_cache_mode modes[] = {GD_CACHE_USE, GD_CACHE_REFRESH, GD_CACHE_BYPASS};
	assert_non_null(compiles);
	pid_t worker = steps >= 2 ? hold_worker() : 0;
	for (unsigned i = 0; i < 4; i++)
		programs[i] = rig_program(i == 3 ? "refuse\n" : "", 100 + i);
	for (unsigned i = 0; i < MANY; i++)
		rig_ask(rig.lane, &compiles[i], programs[i % 4], modes[i % 3]);
	/* 0: letters are on their way; 1: the supervisor has them; 2: the worker has them */
	for (unsigned i = 0; i < steps; i++)
		gd_loop_run(rig.supervisor, 0);
	gd_lane_free(rig.lane);
	rig.lane = NULL;
	for (unsigned i = 0; i < MANY; i++) {
		assert_true(compiles[i].calls <= 1);
		if (compiles[i].ended)
			rig_answered(&compiles[i]);
	}
	free(compiles);
	for (unsigned i = 0; i < 4; i++)
		gd_program_free(programs[i]);
	if (worker && !ends_engine)
		assert_int_equal(kill(worker, SIGCONT), 0);
	if (!ends_engine) {
		uint64_t end = gd_now_ns() + RIG_WAIT_MS * GD_NS_PER_MS;
		while (rig.engine->compiles_inflight && gd_now_ns() < end)
			gd_loop_run(rig.supervisor, 10);
		assert_int_equal(rig.engine->compiles_inflight, 0);
	}
}

static void a_lane_may_end_while_its_requests_are_under_way(void **state)
{
	(void)state;
	for (unsigned steps = 0; steps <= 3; steps++) {
		end_lane_after(steps, false);
		rig_end(&rig);
		set_up(NULL);
	}
}

static void an_engine_may_end_while_compiles_are_under_way(void **state)
{
	(void)state;
	for (unsigned steps = 0; steps <= 3; steps++) {
		end_lane_after(steps, true);
		rig_end(&rig);
		set_up(NULL);
	}
}

int main(int argc, char **argv)
{
	bool was_role;
	int status = rig_roles(argc, argv, &was_role);
	if (was_role)
		return status;
#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    WITH_RIG(a_posted_program_is_loaded_and_then_a_hit),
	    WITH_RIG(equal_requests_at_the_same_time_are_one_load),
	    WITH_RIG(a_bypass_has_a_kernel_of_its_own_and_stores_nothing),
	    WITH_RIG(a_refresh_replaces_what_the_cache_holds),
	    WITH_RIG(a_kernel_that_does_not_load_is_everybodys_error_and_is_not_kept),
	    WITH_RIG(a_program_without_an_entry_is_refused),
	    WITH_RIG(another_backend_is_refused_at_once),
	    WITH_RIG(a_cubin_is_for_cuda_alone),
	    WITH_RIG(without_a_compiler_sources_are_refused_with_the_way_to_get_one),
	    WITH_RIG(a_cached_kernel_outlives_its_worker),
	    WITH_RIG(a_worker_that_dies_during_a_load_is_everybodys_error),
	    WITH_RIG(a_lane_may_end_while_its_requests_are_under_way),
	    WITH_RIG(an_engine_may_end_while_compiles_are_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
