/* Several lanes on threads of their own, beside the supervisor, while workers are killed: nothing is mixed
 * up. */
#include "tests/unit/gpu/dispatch/rig_compile.h"

#include "gpu/base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LANES = 3, PROGRAMS = 8, RUN_MS = 1500, WAIT_MS = 30000 };

struct lane_thread {
	pthread_t thread;
	struct gd_loop *loop;
	struct gd_lane *lane;
	unsigned number;
	uint32_t seed;
	unsigned compiled, good, lost;
	struct gd_kernel *copy; /* of RIG_TWO_BUFFERS; the supervisor made it */
};

static struct gd_engine *engine;
static struct gd_loop *supervisor;
static struct gd_program *programs[PROGRAMS];
static _Atomic bool stop;
static _Atomic unsigned running;

static uint32_t random_next(struct lane_thread *self)
{
	self->seed = self->seed * 1664525u + 1013904223u;
	return self->seed >> 8;
}

#define insist(holds) insist_at(holds, __LINE__)

static void insist_at(bool holds, int line)
{
	if (holds)
		return;
	fprintf(stderr, "line %d does not hold\n", line);
	abort(); /* on these threads cmocka cannot fail the test */
}

static void until(struct lane_thread *self, const bool *flag)
{
	uint64_t end = gd_now_ns() + WAIT_MS * GD_NS_PER_MS;
	while (!*flag) {
		gd_loop_run(self->loop, 5);
		insist(gd_now_ns() < end);
	}
}

static bool is_loss(const struct gd_error *error)
{
	return error->code == GD_DEVICE_LOST;
}

static void ended(struct gd_dispatch *dispatch)
{
	struct outcome *outcome = gd_dispatch_owner(dispatch);
	outcome->ended = true;
	outcome->good = gd_dispatch_result(dispatch, &outcome->timing, &outcome->error);
}

static void compile_one(struct lane_thread *self)
{
	struct compile compile;
	static const enum gd_cache_mode modes[] = {GD_CACHE_USE, GD_CACHE_USE,     GD_CACHE_USE,
						   GD_CACHE_USE, GD_CACHE_REFRESH, GD_CACHE_BYPASS};
	rig_ask(self->lane, &compile, programs[random_next(self) % PROGRAMS], modes[random_next(self) % 6]);
	until(self, &compile.ended);
	insist(compile.calls == 1);
	if (!compile.request.kernel && !is_loss(&compile.request.error))
		fprintf(stderr, "%s\n", compile.request.error.text);
	insist(compile.request.kernel || is_loss(&compile.request.error));
	self->compiled += compile.request.kernel != NULL;
	struct gd_dispatch *dispatch = NULL;
	struct gd_error error = {0};
	if (compile.request.kernel &&
	    gd_dispatch_new(self->lane, compile.request.kernel, &dispatch, &error)) {
		struct outcome outcome = {0};
		gd_dispatch_notify(dispatch, &outcome, ended, NULL, NULL);
		if (gd_dispatch_plan(dispatch, &error) == GD_PLAN_READY) {
			rig_start_dispatch(dispatch, WAIT_MS);
			/* some go before they have ended */
			if (random_next(self) % 4)
				until(self, &outcome.ended);
			insist(!outcome.ended || outcome.good || is_loss(&outcome.error));
		}
		gd_dispatch_free(dispatch);
	}
	rig_answered(&compile);
}

static void dispatch_one(struct lane_thread *self, uint8_t *data, size_t bytes)
{
	struct gd_dispatch *dispatch = NULL;
	struct gd_error error = {0};
	struct outcome outcome = {0};
	for (size_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)(random_next(self) + self->number);
	if (!gd_dispatch_new(self->lane, self->copy, &dispatch, &error)) {
		insist(is_loss(&error));
		gd_loop_run(self->loop, 5);
		return;
	}
	gd_dispatch_notify(dispatch, &outcome, ended, NULL, NULL);
	gd_dispatch_add(dispatch, 0, bytes, GD_ACCESS_READ, GD_INIT_DATA, &error);
	gd_dispatch_add(dispatch, 1, bytes, GD_ACCESS_WRITE, GD_INIT_ZERO, &error);
	if (gd_dispatch_plan(dispatch, &error) == GD_PLAN_READY) {
		insist(gd_dispatch_write(dispatch, 0, 0, data, bytes) == bytes);
		rig_start_dispatch(dispatch, WAIT_MS);
		until(self, &outcome.ended);
		insist(outcome.good || is_loss(&outcome.error));
		if (outcome.good)
			insist(!memcmp(gd_dispatch_output(dispatch, 1), data, bytes));
		self->good += outcome.good;
		self->lost += !outcome.good;
	}
	gd_dispatch_free(dispatch);
}

static void *run_lane(void *argument)
{
	struct lane_thread *self = argument;
	uint8_t *data = malloc(100000);
	insist(data != NULL);
	while (!stop) {
		if (random_next(self) % 3 == 0)
			compile_one(self);
		else
			dispatch_one(self, data, 1 + random_next(self) % 100000);
	}
	free(data);
	running--;
	return NULL;
}

static void start(struct lane_thread *threads)
{
	struct gd_engine_config config;
	struct gd_error error = {0};
	rig_config(&config);
	config.lane_count = LANES;
	config.cache_entries = PROGRAMS / 2; /* so that some are dropped while they are in use */
	if (!gd_loop_new(&supervisor, &error) || !gd_engine_new(&config, supervisor, &engine, &error))
		fail_msg("%s", error.text);
	struct rig rig = {.engine = engine};
	for (unsigned i = 0; i < PROGRAMS; i++)
		programs[i] = rig_program("", i);
	for (unsigned i = 0; i < LANES; i++) {
		threads[i].number = i;
		threads[i].seed = 99 + i;
		threads[i].copy = rig_kernel(&rig, RIG_TWO_BUFFERS, 2, 16);
		assert_true(gd_loop_new(&threads[i].loop, &error));
		assert_true(gd_lane_new(engine, i, threads[i].loop, &threads[i].lane, &error));
	}
	running = LANES;
	for (unsigned i = 0; i < LANES; i++)
		assert_int_equal(pthread_create(&threads[i].thread, NULL, run_lane, &threads[i]), 0);
}

static void end(struct lane_thread *threads)
{
	for (unsigned i = 0; i < LANES; i++)
		pthread_join(threads[i].thread, NULL);
	for (unsigned i = 0; i < LANES; i++) {
		gd_kernel_unref(threads[i].copy);
		gd_lane_free(threads[i].lane);
	}
	gd_engine_free(engine);
	for (unsigned i = 0; i < LANES; i++)
		gd_loop_free(threads[i].loop);
	gd_loop_free(supervisor);
	for (unsigned i = 0; i < PROGRAMS; i++)
		gd_program_free(programs[i]);
}

static void lanes_beside_each_other_get_their_own_answers_while_workers_die(void **state)
{
	(void)state;
	static struct lane_thread threads[LANES];
	start(threads);
	uint64_t begun = gd_now_ns(), next_kill = begun + 300 * GD_NS_PER_MS;
	unsigned kills = 0;
	while (running) {
		uint64_t now = gd_now_ns();
		stop = now - begun > RUN_MS * GD_NS_PER_MS;
		assert_true(now - begun < 2 * WAIT_MS * GD_NS_PER_MS);
		int32_t pid;
		if (!stop && now > next_kill && gd_engine_children(engine, &pid, 1)) {
			kill(pid, SIGKILL);
			kills++;
			next_kill = now + 400 * GD_NS_PER_MS;
		}
		gd_loop_run(supervisor, 5);
	}
	unsigned good = 0, lost = 0, compiled = 0;
	for (unsigned i = 0; i < LANES; i++) {
		good += threads[i].good;
		lost += threads[i].lost;
		compiled += threads[i].compiled;
	}
	end(threads);
	print_message("%u answers, %u lost, %u compiled, %u kills\n", good, lost, compiled, kills);
	assert_true(good && compiled && kills);
}

int main(int argc, char **argv)
{
	bool was_role;
	int status = rig_roles(argc, argv, &was_role);
	if (was_role)
		return status;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lanes_beside_each_other_get_their_own_answers_while_workers_die),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
