/* What happens when a dispatch has run out of its time: its sender is told, and its worker may have to go. */
#include "gpu/dispatch/payload.h"

#include "gpu/base/clock.h"

#include <stdlib.h>

enum { KILL_AFTER_MS = 1000 };

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

static void order_kill(struct gd_dispatch *dispatch)
{
	struct kill_mail *order = malloc(sizeof *order);
	if (!order)
		return;
	*order = (struct kill_mail){.mail.fn = kill_worker,
				    .station = dispatch->view->station,
				    .generation = dispatch->view->generation};
	gd_loop_post(dispatch->lane->engine->loop, &order->mail);
}

void gd_dispatch_deadline_passed(struct gd_timer *timer)
{
	struct gd_dispatch *dispatch = gd_container(timer, struct gd_dispatch, deadline);
	if (dispatch->flying) {
		struct gd_cell *cell = gd_errand_cell(&dispatch->errand);
		atomic_store(&cell->cancelled, 1);
		uint64_t now = gd_now_ns();
		uint64_t started = atomic_load(&cell->started_ns);
		uint64_t floor_ms = dispatch->options.timeout_ms < KILL_AFTER_MS
					? dispatch->options.timeout_ms
					: KILL_AFTER_MS;
		bool runs = atomic_load(&cell->state) == GD_CELL_RUNNING && started && started <= now;
		/* a short timeout behind somebody's long kernel is no weapon: only a request that itself has
		 * run for its time costs a worker */
		if (runs && now - started >= floor_ms * GD_NS_PER_MS)
			order_kill(dispatch);
		else
			gd_loop_arm(dispatch->lane->loop, &dispatch->deadline,
				    (runs ? started : now) + floor_ms * GD_NS_PER_MS + GD_NS_PER_MS);
	}
	if (dispatch->state == GD_DISPATCH_DONE || dispatch->discarded)
		return;
	gd_error_set(&dispatch->error, GD_DEADLINE_EXCEEDED,
		     "Give it more time (timeout_ms), or make the kernel do less.",
		     "the dispatch did not end within %llu ms",
		     (unsigned long long)dispatch->options.timeout_ms);
	gd_dispatch_fail(dispatch);
}
