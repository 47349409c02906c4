/* Lanes: who gets room, dispatches started by the end of others, and ends in every state. */
#include "tests/unit/gpu/dispatch/rig_more.h"

#include "gpu/base/clock.h"
#include "gpu/dispatch/payload.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TWO_BUFFERS "echo\nparam 0 8\nparam 8 8\n"
#define ONE_BUFFER  "echo\nparam 0 8\n"

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

static struct gd_dispatch *new_dispatch(struct gd_kernel *kernel, void *owner,
					void (*done)(struct gd_dispatch *),
					void (*writable)(struct gd_dispatch *))
{
	struct gd_error error = {0};
	struct gd_dispatch *dispatch = NULL;
	if (!gd_dispatch_new(rig.lane, kernel, &dispatch, &error))
		fail_msg("%s", error.text);
	gd_dispatch_notify(dispatch, owner, done, writable, NULL);
	return dispatch;
}

/* ---- room ---- */

enum { CROWD = 6 };

struct waiting {
	struct gd_dispatch *crowd[CROWD];
	struct gd_kernel *kernel;
	unsigned calls;
};

/* The first to be called frees the last in line and brings a new one; all go on waiting. */
static void wants_room(struct gd_dispatch *dispatch)
{
	struct waiting *waiting = gd_dispatch_owner(dispatch);
	waiting->calls++;
	assert_true(waiting->calls < 100);
	if (waiting->calls == 1) {
		gd_dispatch_free(waiting->crowd[CROWD - 1]);
		waiting->crowd[CROWD - 1] = new_dispatch(waiting->kernel, waiting, NULL, wants_room);
		gd_dispatch_wait_for_room(waiting->crowd[CROWD - 1]);
	}
	gd_dispatch_wait_for_room(dispatch);
}

static void room_gives_each_that_waits_one_turn_whoever_goes_meanwhile(void **state)
{
	(void)state;
	static struct waiting waiting;
	waiting.kernel = rig_kernel(&rig, ONE_BUFFER, 1, 8);
	for (int i = 0; i < CROWD; i++) {
		waiting.crowd[i] = new_dispatch(waiting.kernel, &waiting, NULL, wants_room);
		gd_dispatch_wait_for_room(waiting.crowd[i]);
	}
	gd_lane_room(rig.lane);
	/* freeing one makes room too: two rounds at most */
	assert_true(waiting.calls >= CROWD);
	assert_true(waiting.calls <= 2 * CROWD);
	for (int i = 0; i < CROWD; i++)
		gd_dispatch_free(waiting.crowd[i]);
	gd_kernel_unref(waiting.kernel);
}

/* ---- chains ---- */

struct chain {
	struct gd_kernel *kernel;
	unsigned left, depth, deepest;
	bool ended;
};

static void start_link(struct chain *chain);

static void link_ended(struct gd_dispatch *dispatch)
{
	struct chain *chain = gd_dispatch_owner(dispatch);
	struct gd_dispatch_timing timing;
	struct gd_error error = {0};
	if (!gd_dispatch_result(dispatch, &timing, &error))
		fail_msg("%s", error.text);
	gd_dispatch_free(dispatch);
	if (!--chain->left) {
		chain->ended = true;
		return;
	}
	chain->depth++;
	if (chain->depth > chain->deepest)
		chain->deepest = chain->depth;
	start_link(chain);
	chain->depth--;
}

static void start_link(struct chain *chain)
{
	struct gd_dispatch *dispatch = new_dispatch(chain->kernel, chain, link_ended, NULL);
	rig_plan(&rig, dispatch);
	rig_start_dispatch(dispatch, 20000);
}

static void dispatches_that_start_one_another_do_not_pile_up_on_the_stack(void **state)
{
	(void)state;
	static struct chain chain;
	chain = (struct chain){.kernel = rig_kernel(&rig, "echo\n", 0, 0), .left = 3000};
	rig.engine->config.spin_us = 50;
	rig.lane->spin_misses = 0;
	start_link(&chain);
	rig_until(&rig, &chain.ended);
	rig.engine->config.spin_us = 0;
	print_message("deepest %u\n", chain.deepest);
	assert_true(chain.deepest <= 3);
	gd_kernel_unref(chain.kernel);
}

/* ---- ends ---- */

static void check_round(void)
{
	struct gd_kernel *kernel = rig_kernel(&rig, TWO_BUFFERS, 2, 16);
	struct outcome outcome;
	struct gd_error error = {0};
	struct gd_dispatch *dispatch = rig_dispatch(&rig, kernel, &outcome);
	assert_int_equal(gd_dispatch_add(dispatch, 0, 5, GD_ACCESS_READ, GD_INIT_DATA, &error), 0);
	assert_int_equal(gd_dispatch_add(dispatch, 1, 5, GD_ACCESS_WRITE, GD_INIT_ZERO, &error), 1);
	rig_plan(&rig, dispatch);
	assert_int_equal(gd_dispatch_write(dispatch, 0, 0, "hello", 5), 5);
	rig_start_dispatch(dispatch, 10000);
	rig_until(&rig, &outcome.ended);
	assert_true(outcome.good);
	assert_memory_equal(gd_dispatch_output(dispatch, 1), "hello", 5);
	gd_dispatch_free(dispatch);
	gd_kernel_unref(kernel);
}

enum end_state { ENDS_PLANNED, ENDS_WAITING, ENDS_LOADING, ENDS_RUNNING, ENDS_STEPPED };

/* Begin a dispatch, bring it to a state, and let its owner drop it there. */
static void drop_in(enum end_state end, struct gd_kernel *kernel, uint64_t bytes)
{
	struct outcome outcome;
	struct gd_error error = {0};
	static uint8_t data[1 << 20];
	struct gd_dispatch *dispatch = rig_dispatch(&rig, kernel, &outcome);
	gd_dispatch_add(dispatch, 0, bytes, GD_ACCESS_READ, GD_INIT_DATA, &error);
	gd_dispatch_add(dispatch, 1, bytes, GD_ACCESS_READ_WRITE, GD_INIT_ZERO, &error);
	if (end == ENDS_WAITING) {
		/* large ones wait for their chunk here */
		gd_dispatch_plan(dispatch, &error);
		gd_dispatch_free(dispatch);
		return;
	}
	rig_plan(&rig, dispatch);
	for (uint64_t at = 0; at < bytes;) {
		size_t piece = bytes - at < sizeof data ? (size_t)(bytes - at) : sizeof data;
		size_t taken = gd_dispatch_write(dispatch, 0, at, data, piece);
		at += taken;
		if (!taken)
			rig_step(&rig);
	}
	if (end >= ENDS_LOADING)
		rig_start_dispatch(dispatch, 20000);
	for (int i = 0; end >= ENDS_RUNNING && i < (end == ENDS_STEPPED ? 10 : 2); i++)
		rig_step(&rig);
	gd_dispatch_free(dispatch);
}

static void a_lane_may_end_with_dropped_dispatches_in_every_state(void **state)
{
	(void)state;
	for (enum end_state end = ENDS_PLANNED; end <= ENDS_STEPPED; end++)
		for (int large = 0; large < 2; large++) {
			/* a kernel of its own each time, so that it has to be loaded */
			char text[80];
			snprintf(text, sizeof text, TWO_BUFFERS "spin 300000000\n# %d %d\n", (int)end, large);
			struct gd_kernel *slow = rig_kernel(&rig, text, 2, 16);
			for (int i = 0; i < 3; i++)
				drop_in(end, slow, large ? 3u << 20 : 1000);
			gd_kernel_unref(slow);
			if (large)
				check_round();
			rig_end(&rig);
			rig_start(&rig, GD_BACKEND_ECHO, 8u << 20);
		}
}

static void a_ring_that_claims_billions_of_completions_costs_one_round(void **state)
{
	(void)state;
	struct gd_ring *ring = &rig.lane->views[0]->link->control->lanes[0].completed;
	uint32_t tail = atomic_load(&ring->tail);
	for (uint32_t i = 0; i < GD_CELLS_PER_LANE; i++)
		ring->entries[i] = i * 3;
	atomic_store(&ring->head, tail + 0x80000000u);
	assert_int_equal(gd_view_drain(rig.lane->views[0]), 0);
	assert_int_equal(atomic_load(&ring->tail) - tail, GD_CELLS_PER_LANE);
	atomic_store(&ring->head, atomic_load(&ring->tail));
	check_round();
}

static void many_tiny_outputs_fit_a_lane_with_little_room(void **state)
{
	(void)state;
	enum { OUTPUTS = 40 };
	struct gd_engine_config config;
	struct gd_error error = {0};
	struct outcome outcome;
	char text[OUTPUTS * 16 + 8] = "echo\n";
	for (unsigned i = 0, at = 5; i < OUTPUTS; i++)
		at += (unsigned)snprintf(text + at, sizeof text - at, "param %u 8\n", i * 8);
	rig_end(&rig);
	rig_config(&config);
	config.lane_count = 64; /* a 65th of the slab each */
	rig_begin_with(&rig, &config);
	rig_until_state(&rig, GD_DEVICE_READY);
	struct gd_kernel *kernel = rig_kernel(&rig, text, OUTPUTS, OUTPUTS * 8);
	struct gd_dispatch *dispatch = rig_dispatch(&rig, kernel, &outcome);
	for (uint32_t i = 0; i < OUTPUTS; i++)
		gd_dispatch_add(dispatch, i, 1, GD_ACCESS_WRITE, GD_INIT_ZERO, &error);
	assert_true(gd_arena_size(rig.lane->views[0]->out) < OUTPUTS * GD_ARENA_MIN_BLOCK);
	rig_plan(&rig, dispatch);
	rig_start_dispatch(dispatch, 5000);
	rig_until(&rig, &outcome.ended);
	assert_true(outcome.good);
	gd_dispatch_free(dispatch);
	gd_kernel_unref(kernel);
}

static void an_engine_has_1_to_64_lanes(void **state)
{
	(void)state;
	struct gd_engine_config config;
	struct gd_engine *engine = NULL;
	struct gd_error error = {0};
	rig_config(&config);
	static const uint32_t refused[] = {0, 65, 66, UINT32_MAX};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		config.lane_count = refused[i];
		assert_false(gd_engine_new(&config, rig.supervisor, &engine, &error));
		assert_int_equal(error.code, GD_INTERNAL_STATE);
	}
	assert_null(engine);
}

static void there_are_only_as_many_lanes_as_were_asked_for(void **state)
{
	(void)state;
	struct gd_error error = {0};
	struct gd_lane *lane = NULL;
	static const uint32_t refused[] = {0, 64, 65, 66, UINT32_MAX};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_false(gd_lane_new(rig.engine, refused[i], rig.shard, &lane, &error));
	assert_null(lane);
}

static void the_index_of_a_lane_that_has_ended_is_not_used_again(void **state)
{
	(void)state;
	struct gd_error error = {0};
	struct gd_lane *lane = NULL;
	gd_lane_free(rig.lane);
	rig.lane = NULL;
	assert_false(gd_lane_new(rig.engine, 0, rig.shard, &lane, &error));
	gd_lane_free(NULL);
}

int main(int argc, char **argv)
{
	bool was_role;
	int status = rig_roles(argc, argv, &was_role);
	if (was_role)
		return status;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(room_gives_each_that_waits_one_turn_whoever_goes_meanwhile),
	    cmocka_unit_test(dispatches_that_start_one_another_do_not_pile_up_on_the_stack),
	    cmocka_unit_test(a_lane_may_end_with_dropped_dispatches_in_every_state),
	    cmocka_unit_test(a_ring_that_claims_billions_of_completions_costs_one_round),
	    cmocka_unit_test(many_tiny_outputs_fit_a_lane_with_little_room),
	    cmocka_unit_test(an_engine_has_1_to_64_lanes),
	    cmocka_unit_test(there_are_only_as_many_lanes_as_were_asked_for),
	    cmocka_unit_test(the_index_of_a_lane_that_has_ended_is_not_used_again),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
