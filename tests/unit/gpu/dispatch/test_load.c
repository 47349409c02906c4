/* Many kernels at once: loads and unloads in bursts, and more kernels than a worker keeps. */
#include "tests/unit/gpu/dispatch/rig_more.h"

#include "gpu/base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { BURST = 300, BATCH = 128 };

static struct rig rig;

static int set_up(void **state)
{
	(void)state;
	rig_begin(&rig, 0);
	rig_until_state(&rig, GD_DEVICE_READY);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rig_end(&rig);
	return 0;
}

static struct gd_kernel *numbered_kernel(unsigned number)
{
	char text[80];
	snprintf(text, sizeof text, RIG_TWO_BUFFERS "# %u\n", number);
	return rig_kernel(&rig, text, 2, 16);
}

/* One dispatch of each kernel, all at the same time. */
static void dispatch_each(struct gd_kernel *const *kernels, unsigned count, struct outcome *outcomes)
{
	struct gd_dispatch **dispatches = calloc(count, sizeof(struct gd_dispatch *));
	struct gd_error error = {0};
	assert_non_null(dispatches);
	for (unsigned i = 0; i < count; i++) {
		dispatches[i] = rig_dispatch(&rig, kernels[i], &outcomes[i]);
		gd_dispatch_add(dispatches[i], 1, 8, GD_ACCESS_WRITE, GD_INIT_ZERO, &error);
		rig_plan(&rig, dispatches[i]);
		rig_start_dispatch(dispatches[i], 20000);
	}
	for (unsigned i = 0; i < count; i++)
		rig_until(&rig, &outcomes[i].ended);
	for (unsigned i = 0; i < count; i++)
		gd_dispatch_free(dispatches[i]);
	free(dispatches);
}

static void a_burst_of_loads_does_not_cost_the_worker(void **state)
{
	(void)state;
	static struct gd_kernel *kernels[BURST];
	static struct outcome outcomes[BURST];
	struct gd_station *station = &rig.engine->stations[0];
	uint64_t generation = station->generation;
	unsigned fds = rig_open_fds();
	for (unsigned i = 0; i < BURST; i++)
		kernels[i] = numbered_kernel(i);
	/* it reads nothing for now, as one that is busy with a large module */
	pid_t worker = rig_worker(&rig);
	assert_int_equal(kill(worker, SIGSTOP), 0);
	int status;
	assert_int_equal(waitpid(worker, &status, WUNTRACED), worker);
	assert_true(WIFSTOPPED(status));
	struct gd_dispatch **dispatches = calloc(BURST, sizeof(struct gd_dispatch *));
	assert_non_null(dispatches);
	for (unsigned i = 0; i < BURST; i++) {
		dispatches[i] = rig_dispatch(&rig, kernels[i], &outcomes[i]);
		rig_plan(&rig, dispatches[i]);
		rig_start_dispatch(dispatches[i], 20000);
		rig_step(&rig);
	}
	assert_true(station->link->outbox_count > 0);
	assert_int_equal(kill(worker, SIGCONT), 0);
	for (unsigned i = 0; i < BURST; i++) {
		rig_until(&rig, &outcomes[i].ended);
		if (!outcomes[i].good)
			fail_msg("kernel %u: %s", i, outcomes[i].error.text);
		gd_dispatch_free(dispatches[i]);
	}
	free(dispatches);
	assert_int_equal(station->module_count, BURST);
	assert_int_equal(station->link->outbox_count, 0);
	assert_int_equal(station->link->unanswered, 0);
	assert_int_equal(rig_open_fds(), fds);
	/* and all go at once */
	for (unsigned i = 0; i < BURST; i++)
		gd_kernel_unref(kernels[i]);
	rig_run_for(&rig, 50);
	assert_int_equal(station->module_count, 0);
	struct outcome outcome;
	kernels[0] = numbered_kernel(0);
	assert_true(rig_round(&rig, kernels[0], 100, 1, 10000, &outcome));
	gd_kernel_unref(kernels[0]);
	assert_int_equal(station->generation, generation);
}

static void what_waits_for_a_worker_that_dies_is_answered_and_closed(void **state)
{
	(void)state;
	static struct gd_kernel *kernels[BURST];
	static struct outcome outcomes[BURST];
	unsigned fds = rig_open_fds();
	pid_t worker = rig_worker(&rig);
	assert_int_equal(kill(worker, SIGSTOP), 0);
	int status;
	assert_int_equal(waitpid(worker, &status, WUNTRACED), worker);
	struct gd_dispatch **dispatches = calloc(BURST, sizeof(struct gd_dispatch *));
	assert_non_null(dispatches);
	for (unsigned i = 0; i < BURST; i++) {
		kernels[i] = numbered_kernel(1000 + i);
		dispatches[i] = rig_dispatch(&rig, kernels[i], &outcomes[i]);
		rig_plan(&rig, dispatches[i]);
		rig_start_dispatch(dispatches[i], 20000);
		rig_step(&rig);
	}
	assert_true(rig.engine->stations[0].link->outbox_count > 0);
	assert_int_equal(kill(worker, SIGKILL), 0);
	for (unsigned i = 0; i < BURST; i++) {
		rig_until(&rig, &outcomes[i].ended);
		assert_int_equal(outcomes[i].error.code, GD_DEVICE_LOST);
		gd_dispatch_free(dispatches[i]);
		gd_kernel_unref(kernels[i]);
	}
	free(dispatches);
	rig_until_state(&rig, GD_DEVICE_READY);
	assert_int_equal(rig_open_fds(), fds);
}

static void more_kernels_than_a_worker_keeps_take_turns(void **state)
{
	(void)state;
	enum { ALL = GD_MODULES_MAX + 2 * BATCH };
	struct gd_kernel **kernels = calloc(ALL, sizeof(struct gd_kernel *));
	struct outcome *outcomes = calloc(BATCH, sizeof *outcomes);
	assert_non_null(kernels);
	assert_non_null(outcomes);
	for (unsigned first = 0; first < ALL; first += BATCH) {
		for (unsigned i = 0; i < BATCH; i++)
			kernels[first + i] = numbered_kernel(first + i);
		dispatch_each(kernels + first, BATCH, outcomes);
		for (unsigned i = 0; i < BATCH; i++)
			if (!outcomes[i].good)
				fail_msg("kernel %u: %s", first + i, outcomes[i].error.text);
	}
	assert_int_equal(rig.engine->stations[0].module_count, GD_MODULES_MAX);
	/* the first are gone, and come back when they are asked for */
	assert_int_equal(kernels[0]->on[0].loaded, 0);
	dispatch_each(kernels, BATCH, outcomes);
	for (unsigned i = 0; i < BATCH; i++)
		assert_true(outcomes[i].good);
	assert_int_equal(rig.engine->stations[0].module_count, GD_MODULES_MAX);
	for (unsigned i = 0; i < ALL; i++)
		gd_kernel_unref(kernels[i]);
	for (int i = 0; i < 100 && rig.engine->stations[0].module_count; i++)
		rig_step(&rig);
	assert_int_equal(rig.engine->stations[0].module_count, 0);
	struct outcome outcome;
	kernels[0] = numbered_kernel(0);
	assert_true(rig_round(&rig, kernels[0], 100, 1, 10000, &outcome));
	gd_kernel_unref(kernels[0]);
	free(kernels);
	free(outcomes);
}

int main(int argc, char **argv)
{
	bool was_role;
	int status = rig_roles(argc, argv, &was_role);
	if (was_role)
		return status;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_burst_of_loads_does_not_cost_the_worker),
	    cmocka_unit_test(what_waits_for_a_worker_that_dies_is_answered_and_closed),
	    cmocka_unit_test(more_kernels_than_a_worker_keeps_take_turns),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
