/* Dispatches that wait for room: in the slabs, for windows, for cells. First come, first served. */
#include "gpu/dispatch/payload.h"

void gd_dispatch_wait_for_room(struct gd_dispatch *dispatch)
{
	if (dispatch->waits)
		return;
	dispatch->waits = true;
	struct gd_dispatch **last = &dispatch->lane->waiting;
	while (*last)
		last = &(*last)->next_waiting;
	dispatch->next_waiting = NULL;
	*last = dispatch;
}

void gd_dispatch_stop_waiting(struct gd_dispatch *dispatch)
{
	if (!dispatch->waits)
		return;
	struct gd_dispatch **link = &dispatch->lane->waiting;
	while (*link != dispatch)
		link = &(*link)->next_waiting;
	*link = dispatch->next_waiting;
	dispatch->waits = false;
}

void gd_lane_room(struct gd_lane *lane)
{
	/* as many turns as there are waiting now: those that find nothing queue up again behind, and a
	 * callback may free any of them or bring new ones */
	uint32_t turns = 0;
	for (const struct gd_dispatch *dispatch = lane->waiting; dispatch; dispatch = dispatch->next_waiting)
		turns++;
	for (; turns > 0 && lane->waiting; turns--) {
		struct gd_dispatch *dispatch = lane->waiting;
		gd_dispatch_stop_waiting(dispatch);
		if (dispatch->state == GD_DISPATCH_STARTING)
			gd_dispatch_advance(dispatch);
		else if (dispatch->state == GD_DISPATCH_DONE && dispatch->readable)
			dispatch->readable(dispatch);
		else if (dispatch->writable)
			dispatch->writable(dispatch);
	}
}
