#include "gpu/dispatch/payload.h"

#include <errno.h>
#include <stdlib.h>

bool gd_lane_new(struct gd_engine *engine, uint32_t index, struct gd_loop *loop, struct gd_lane **out_lane,
		 struct gd_error *error)
{
	bool taken = index > engine->config.lane_count || engine->lanes[index];
	for (const struct gd_lane *lane = engine->closed; lane; lane = lane->next_closed)
		taken |= lane->index == index;
	if (taken)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "there is no lane %u to be made", index);
	struct gd_lane *lane = calloc(1, sizeof *lane);
	if (!lane)
		return gd_error_errno(error, ENOMEM, "cannot make a lane");
	lane->engine = engine;
	lane->index = index;
	lane->loop = loop;
	pthread_mutex_lock(&engine->lock);
	engine->lanes[index] = lane;
	pthread_mutex_unlock(&engine->lock);
	for (uint32_t i = 0; i < engine->station_count; i++)
		if (engine->stations[i].link && engine->stations[i].link->ready)
			gd_lane_tell_up(lane, engine->stations[i].link);
	*out_lane = lane;
	return true;
}

void gd_lane_post(struct gd_lane *lane, struct gd_mail *mail)
{
	if (lane->closed)
		mail->fn(mail);
	else
		gd_loop_post(lane->loop, mail);
}

/*
 * What was freed while it ran still uses its module, chunk, cell and blocks: it stays as it is until the
 * worker has ended (gd_engine_free), only the loop hears no more of it.
 */
static void close_view(struct gd_lane *lane, uint32_t station)
{
	struct gd_view *view = lane->views[station];
	gd_view_drain(view);
	gd_loop_remove(lane->loop, &view->event);
	for (uint32_t i = 0; i < GD_CELLS_PER_LANE; i++)
		if (view->errands[i])
			gd_loop_disarm(lane->loop, &view->errands[i]->dispatch->deadline);
	if (view->inflight)
		return;
	lane->views[station] = NULL;
	gd_view_unref(view);
}

void gd_lane_free(struct gd_lane *lane)
{
	if (!lane)
		return;
	struct gd_engine *engine = lane->engine;
	gd_engine_forget_requests(engine, lane);
	lane->closed = true;
	gd_loop_deliver(lane->loop);
	pthread_mutex_lock(&engine->lock);
	engine->lanes[lane->index] = NULL;
	lane->next_closed = engine->closed;
	engine->closed = lane;
	if (lane != engine->own_lane)
		gd_engine_retire_counts(engine, &lane->counts);
	pthread_mutex_unlock(&engine->lock);
	for (uint32_t i = 0; i < GD_DEVICES_MAX; i++)
		if (lane->views[i])
			close_view(lane, i);
}

uint32_t gd_lane_inflight(const struct gd_lane *lane)
{
	return lane->inflight;
}
