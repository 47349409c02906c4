/* Lanes: who gets room, dispatches started by the end of others, and ends in every state. */
#include "tests/unit/gpu/dispatch/rig.h"

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
	bool spun = rig.lane->may_spin;
	rig.lane->may_spin = true;
	rig.lane->spin_misses = 0;
	start_link(&chain);
	rig_until(&rig, &chain.ended);
	rig.lane->may_spin = spun;
	print_message("deepest %u\n", chain.deepest);
	assert_true(chain.deepest <= 3);
	gd_kernel_unref(chain.kernel);
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
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
