#include "gpu/dispatch/inside.h"

#include "gpu/base/clock.h"
#include "gpu/worker/process.h"

enum { BACKOFF_FIRST_MS = 20, BACKOFF_FAULT_MAX_MS = 200, BACKOFF_MAX_MS = 5000, QUICK_S = 5 };

enum restart_reason { RESTART_FAULT, RESTART_KILLED, RESTART_DEADLINE, RESTART_EXIT };

static void set_state(struct gd_station *station, enum gd_device_state state, const char *detail)
{
	pthread_mutex_lock(&station->engine->lock);
	station->status.state = state;
	station->status.workers = state == GD_DEVICE_READY ? 1 : 0;
	if (state != GD_DEVICE_READY)
		station->status.canary_passed = false;
	snprintf(station->status.detail, sizeof station->status.detail, "%s", detail);
	pthread_mutex_unlock(&station->engine->lock);
}

static void restart_now(struct gd_timer *timer)
{
	gd_station_start(gd_container(timer, struct gd_station, restart));
}

/*
 * A worker that lasted is replaced at once; one that keeps dying waits longer each time. What requests do to
 * workers says little of the next one: were it waited out, a client with a few endless or faulting kernels
 * would keep everybody from the device. A deadline's kill costs no wait; after faults, which a broken device
 * has too, it stays short.
 */
static void restart_later(struct gd_station *station, uint64_t longest_ms)
{
	uint64_t delay_ms = 0;
	if (!longest_ms || gd_now_ns() - station->last_start_ns >= QUICK_S * GD_NS_PER_S) {
		station->quick_failures = 0;
	} else {
		uint32_t doublings = station->quick_failures < 8 ? station->quick_failures : 8;
		if (station->quick_failures)
			delay_ms = (uint64_t)BACKOFF_FIRST_MS << doublings;
		station->quick_failures++;
	}
	if (delay_ms > longest_ms)
		delay_ms = longest_ms;
	station->restart.fn = restart_now;
	gd_loop_arm(station->engine->loop, &station->restart, gd_now_ns() + delay_ms * GD_NS_PER_MS);
}

void gd_station_start(struct gd_station *station)
{
	struct gd_error error = {0};
	station->last_start_ns = gd_now_ns();
	if (gd_link_new(station, &station->link, &error)) {
		pthread_mutex_lock(&station->engine->lock);
		station->worker_pid = station->link->child.pid;
		pthread_mutex_unlock(&station->engine->lock);
		return;
	}
	set_state(station, GD_DEVICE_RECOVERING, error.text);
	station->quick_failures++;
	restart_later(station, BACKOFF_MAX_MS);
}

static bool is_text(const char *text, size_t capacity)
{
	for (size_t i = 0; i < capacity; i++) {
		if (!text[i])
			return true;
		if (text[i] < ' ' || text[i] > '~')
			return false;
	}
	return false;
}

/* Numbers that others calculate with, and texts that go into answers, keys and metrics. */
static bool device_is_sound(const struct gd_device_info *info)
{
	for (int i = 0; i < 3; i++)
		if (!info->max_block[i] || !info->max_grid[i])
			return false;
	return is_text(info->id, sizeof info->id) && is_text(info->name, sizeof info->name) &&
	       is_text(info->architecture, sizeof info->architecture) && info->architecture[0] &&
	       is_text(info->driver, sizeof info->driver) && info->compute_major >= 0 &&
	       info->compute_major < 1000 && info->compute_minor >= 0 && info->compute_minor < 10 &&
	       info->memory_bytes <= INT64_MAX && info->memory_free_bytes <= INT64_MAX &&
	       info->max_threads_per_block;
}

bool gd_station_ready(struct gd_station *station, const struct gd_device_info *info)
{
	struct gd_engine *engine = station->engine;
	if (!device_is_sound(info))
		return false;
	pthread_mutex_lock(&engine->lock);
	station->status.info = *info;
	pthread_mutex_unlock(&engine->lock);
	station->chunk_limit =
	    engine->config.payload_bytes ? engine->config.payload_bytes : info->memory_free_bytes / 2;
	set_state(station, GD_DEVICE_READY, "");
	gd_lanes_tell_up(engine, station->link);
	gd_canary_kick(engine->canary);
	return true;
}

void gd_station_ailing(struct gd_station *station, const char *last_words)
{
	if (station->status.state == GD_DEVICE_READY)
		set_state(station, GD_DEVICE_RECOVERING, last_words);
}

static enum restart_reason why_lost(const struct gd_station *station, const struct gd_child_exit *how)
{
	if (station->deadline_kill)
		return RESTART_DEADLINE;
	if (how->signalled)
		return RESTART_KILLED;
	return how->value == GD_WORKER_EXIT_FAULT ? RESTART_FAULT : RESTART_EXIT;
}

void gd_station_lost(struct gd_station *station)
{
	struct gd_engine *engine = station->engine;
	struct gd_link *link = station->link;
	struct gd_child_exit how = {0};
	gd_child_reap(&link->child, &how);
	enum restart_reason reason = why_lost(station, &how);
	atomic_store(&station->deadline_kill, false);
	atomic_fetch_add(&engine->restarts[reason], 1);

	struct gd_error error;
	gd_error_set(&error, GD_DEVICE_LOST, "Send the request again; a new worker is being started.",
		     "the worker of %s ended%s%s", station->status.id, link->last_words.text[0] ? ": " : "",
		     link->last_words.text);
	bool was_ready = link->ready;
	pthread_mutex_lock(&engine->lock);
	station->status.restarts++;
	station->worker_pid = 0;
	pthread_mutex_unlock(&engine->lock);
	set_state(station, was_ready ? GD_DEVICE_RECOVERING : GD_DEVICE_UNAVAILABLE, error.text);
	gd_link_detach(link);
	close(link->child.socket);
	close(link->child.pid_fd);
	link->child = (struct gd_child){.pid_fd = -1, .socket = -1};
	station->link = NULL;
	gd_station_forget_modules(station, &error);
	gd_station_forget_chunks(station, &error);
	gd_lanes_tell_lost(engine, link);
	gd_link_unref(link);
	gd_canary_kick(engine->canary);
	if (!engine->ending)
		restart_later(station, !was_ready                   ? BACKOFF_MAX_MS
				       : reason == RESTART_DEADLINE ? 0
				       : reason == RESTART_FAULT    ? BACKOFF_FAULT_MAX_MS
								    : BACKOFF_MAX_MS);
}
