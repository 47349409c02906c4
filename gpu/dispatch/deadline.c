/* What happens when a dispatch has run out of its time: its sender is told, and its worker may have to go. */
#include "gpu/dispatch/payload.h"

#include "gpu/base/clock.h"

#include <stdlib.h>

enum { KILL_AFTER_MS = 1000, STUCK_MS = 5000, LOOK_EVERY_MS = 50, LOOKS_MIN = 5 };

/* Asked of the supervisor: end the worker in which a request has run out of its time. */
struct kill_mail {
	struct gd_mail mail;
	struct gd_station *station;
	uint64_t generation;
};

static void kill_worker(struct gd_mail *mail)
{
	struct kill_mail *order = gd_container(mail, struct kill_mail, mail);
	struct gd_station *station = order->station;
	if (station->link && station->generation == order->generation && !atomic_load(&station->link->lost)) {
		atomic_store(&station->deadline_kill, true);
		gd_child_kill(&station->link->child);
	}
	free(order);
}

static bool order_kill(struct gd_dispatch *dispatch)
{
	struct kill_mail *order = malloc(sizeof *order);
	if (!order)
		return false;
	*order = (struct kill_mail){.mail.fn = kill_worker,
				    .station = dispatch->view->station,
				    .generation = dispatch->view->generation};
	gd_loop_post(dispatch->lane->engine->loop, &order->mail);
	return true;
}

static bool anything_runs(struct gd_link *link)
{
	uint32_t lanes = link->station->engine->config.lane_count + 1;
	for (uint32_t lane = 0; lane < lanes; lane++)
		for (uint32_t i = 0; i < GD_CELLS_PER_LANE; i++)
			if (atomic_load_explicit(&gd_control_cell(link->control, lane, i)->state,
						 memory_order_relaxed) == GD_CELL_RUNNING)
				return true;
	return false;
}

/*
 * A pump that has nothing to do looks for work twice a second at least. Where some waits for seconds, none of
 * it is taken, and each time that we look nothing runs, for no lane, the worker has stopped working: by a
 * signal, or because it was taken over.
 */
static bool is_stuck(struct gd_dispatch *dispatch, uint64_t now)
{
	struct gd_view *view = dispatch->view;
	struct gd_link *link = view->link;
	uint32_t limit_ms = dispatch->lane->engine->config.worker_limit_ms;
	if (!limit_ms || limit_ms > STUCK_MS)
		limit_ms = STUCK_MS;
	/* looking at all cells costs something, and many may wait */
	if (now - view->looked_ns < LOOK_EVERY_MS * GD_NS_PER_MS)
		return false;
	view->looked_ns = now;
	uint32_t taken = atomic_load(&link->control->lanes[view->lane->index].submitted.tail);
	if (taken != view->still_at || anything_runs(link))
		view->still_looks = 0;
	if (!view->still_looks++)
		view->still_since_ns = now;
	view->still_at = taken;
	return view->still_looks >= LOOKS_MIN && now - view->still_since_ns >= limit_ms * GD_NS_PER_MS &&
	       now - dispatch->submitted_ns >= limit_ms * GD_NS_PER_MS;
}

/* Its time is over and the worker has it: end the worker, or look again later. */
static void judge_worker(struct gd_dispatch *dispatch)
{
	struct gd_cell *cell = gd_errand_cell(&dispatch->errand);
	atomic_store(&cell->cancelled, 1);
	uint64_t now = gd_now_ns();
	uint64_t started = atomic_load(&cell->started_ns);
	uint64_t floor_ms =
	    dispatch->options.timeout_ms < KILL_AFTER_MS ? dispatch->options.timeout_ms : KILL_AFTER_MS;
	bool runs = atomic_load(&cell->state) == GD_CELL_RUNNING && started && started <= now;
	/* a short timeout behind somebody's long kernel is no weapon: only a request that itself has run for
	 * its time costs a worker, or one that the worker does not even take */
	bool guilty = runs ? now - started >= floor_ms * GD_NS_PER_MS : is_stuck(dispatch, now);
	if (!guilty || !order_kill(dispatch))
		gd_loop_arm(dispatch->lane->loop, &dispatch->deadline,
			    (runs && !guilty ? started : now) + floor_ms * GD_NS_PER_MS + GD_NS_PER_MS);
}

void gd_dispatch_deadline_passed(struct gd_timer *timer)
{
	struct gd_dispatch *dispatch = gd_container(timer, struct gd_dispatch, deadline);
	if (dispatch->flying)
		judge_worker(dispatch);
	if (dispatch->state == GD_DISPATCH_DONE || dispatch->discarded)
		return;
	gd_error_set(&dispatch->error, GD_DEADLINE_EXCEEDED,
		     "Give it more time (timeout_ms), or make the kernel do less.",
		     "the dispatch did not end within %llu ms",
		     (unsigned long long)dispatch->options.timeout_ms);
	gd_dispatch_fail(dispatch);
}
