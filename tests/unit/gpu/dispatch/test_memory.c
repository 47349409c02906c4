/* Each allocation of the front fails once: nothing crashes, hangs or leaks, and the next request is served.
 */
#include "tests/support/alloc_fail.h"
#include "tests/unit/gpu/dispatch/rig_compile.h"

#include "gpu/base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MAX = 500 };

static struct rig rig;

static int set_up(void **state)
{
	(void)state;
	rig_begin(&rig, 2000);
	rig_until_state(&rig, GD_DEVICE_READY);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rig_end(&rig);
	return 0;
}

static bool is_honest(enum gd_code code)
{
	return code == GD_OVERLOADED || code == GD_INTERNAL_STATE || code == GD_DEVICE_LOST;
}

static void check_rounds(size_t bytes)
{
	unsigned failures = 0;
	for (unsigned long n = 1; n < MAX; n++) {
		struct outcome outcome;
		char text[80];
		snprintf(text, sizeof text, RIG_TWO_BUFFERS "# %lu %zu\n", n, bytes);
		struct gd_kernel *kernel = rig_kernel(&rig, text, 2, 16);
		gd_alloc_fail_at(n);
		bool good = rig_round(&rig, kernel, bytes, 1, 3000, &outcome);
		bool refused = gd_alloc_failed();
		if (!good && (!refused || !is_honest(outcome.error.code)))
			fail_msg("allocation %lu: %s", n, outcome.error.text);
		failures += !good;
		rig_until_state(&rig, GD_DEVICE_READY);
		if (!rig_round(&rig, kernel, bytes, 2, 10000, &outcome))
			fail_msg("after the refusal of allocation %lu: %s", n, outcome.error.text);
		gd_kernel_unref(kernel);
		if (!refused)
			break;
	}
	assert_true(failures > 0);
	print_message("%u of the refusals were failures\n", failures);
	assert_int_equal(gd_lane_inflight(rig.lane), 0);
}

static void small_dispatches_survive_each_refusal(void **state)
{
	(void)state;
	check_rounds(1000);
}

static void large_dispatches_survive_each_refusal(void **state)
{
	(void)state;
	check_rounds(3u << 20);
}

static void compiles_survive_each_refusal(void **state)
{
	(void)state;
	static const enum gd_cache_mode modes[] = {GD_CACHE_USE, GD_CACHE_REFRESH, GD_CACHE_BYPASS};
	unsigned failures = 0;
	for (size_t mode = 0; mode < 3; mode++)
		for (unsigned long n = 1; n < MAX; n++) {
			struct gd_program *program = rig_program("", (unsigned)n + 1000 * (unsigned)mode);
			static struct compile compiles[2], after;
			gd_alloc_fail_at(n);
			rig_ask(rig.lane, &compiles[0], program, modes[mode]);
			rig_ask(rig.lane, &compiles[1], program, modes[mode]);
			rig_until(&rig, &compiles[0].ended);
			rig_until(&rig, &compiles[1].ended);
			bool refused = gd_alloc_failed();
			for (int i = 0; i < 2; i++) {
				const struct gd_compile_request *request = &compiles[i].request;
				assert_int_equal(compiles[i].calls, 1);
				failures += !request->kernel;
				if (!request->kernel && (!refused || !is_honest(request->error.code)))
					fail_msg("allocation %lu: %s", n, request->error.text);
				rig_answered(&compiles[i]);
			}
			rig_until_state(&rig, GD_DEVICE_READY);
			rig_ask(rig.lane, &after, program, GD_CACHE_USE);
			rig_until(&rig, &after.ended);
			if (!after.request.kernel)
				fail_msg("after the refusal of %lu: %s", n, after.request.error.text);
			rig_answered(&after);
			gd_program_free(program);
			if (!refused)
				break;
		}
	assert_true(failures > 0);
	print_message("%u failures\n", failures);
	assert_int_equal(rig.engine->compiles_inflight, 0);
}

static void an_engine_starts_or_says_why_not(void **state)
{
	(void)state;
	struct gd_engine_config config;
	rig_config(&config);
	unsigned fds = rig_open_fds(), failures = 0;
	for (unsigned long n = 1; n < MAX; n++) {
		struct gd_loop *loop = NULL;
		struct gd_engine *engine = NULL;
		struct gd_error error = {0};
		gd_alloc_fail_at(n);
		bool good = gd_loop_new(&loop, &error) && gd_engine_new(&config, loop, &engine, &error);
		bool refused = gd_alloc_failed();
		if (!good) {
			failures++;
			assert_int_not_equal(error.code, GD_OK);
			assert_null(engine);
		}
		gd_engine_free(engine);
		gd_loop_free(loop);
		assert_int_equal(rig_open_fds(), fds);
		if (!refused) {
			assert_true(good);
			break;
		}
	}
	assert_true(failures > 0);
}

static void a_lane_is_made_or_not(void **state)
{
	(void)state;
	struct gd_engine_config config;
	struct gd_engine *engine = NULL;
	struct gd_loop *loop = NULL;
	struct gd_error error = {0};
	rig_config(&config);
	assert_true(gd_loop_new(&loop, &error));
	assert_true(gd_engine_new(&config, loop, &engine, &error));
	struct gd_lane *lane = NULL;
	gd_alloc_fail_at(1);
	assert_false(gd_lane_new(engine, 0, loop, &lane, &error));
	assert_true(gd_alloc_failed());
	assert_true(gd_lane_new(engine, 0, loop, &lane, &error));
	gd_lane_free(lane);
	gd_engine_free(engine);
	gd_loop_free(loop);
}

int main(int argc, char **argv)
{
	bool was_role;
	int status = rig_roles(argc, argv, &was_role);
	if (was_role)
		return status;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(small_dispatches_survive_each_refusal, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(large_dispatches_survive_each_refusal, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(compiles_survive_each_refusal, set_up, tear_down),
	    cmocka_unit_test(an_engine_starts_or_says_why_not),
	    cmocka_unit_test(a_lane_is_made_or_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
