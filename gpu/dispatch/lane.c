#include "gpu/dispatch/inside.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

static bool has_processor_to_spare(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 1;
}

bool gd_lane_new(struct gd_engine *engine, uint32_t index, struct gd_loop *loop, struct gd_lane **out_lane,
		 struct gd_error *error)
{
	struct gd_lane *lane = calloc(1, sizeof *lane);
	if (!lane)
		return gd_error_errno(error, ENOMEM, "cannot make a lane");
	lane->engine = engine;
	lane->index = index;
	lane->loop = loop;
	lane->may_spin = has_processor_to_spare();
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
	engine->closed[lane->index] = lane;
	if (lane != engine->own_lane)
		gd_engine_retire_counts(engine, &lane->counts);
	pthread_mutex_unlock(&engine->lock);
	for (uint32_t i = 0; i < GD_DEVICES_MAX; i++) {
		gd_view_unref(lane->views[i]);
		lane->views[i] = NULL;
	}
}

unsigned gd_lane_drain(struct gd_lane *lane)
{
	unsigned ended = 0;
	for (uint32_t i = 0; i < GD_DEVICES_MAX; i++)
		if (lane->views[i])
			ended += gd_view_drain(lane->views[i]);
	return ended;
}

uint32_t gd_lane_inflight(const struct gd_lane *lane)
{
	return lane->inflight;
}
