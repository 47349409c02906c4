#include "tests/unit/gpu/dispatch/rig_more.h"

#include "gpu/base/clock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

void rig_config(struct gd_engine_config *out_config)
{
	gd_engine_config_init(out_config);
	out_config->backend = GD_BACKEND_ECHO;
	out_config->slab_bytes = 8u << 20;
	out_config->nvrtc = "/nonexistent";
}

void rig_begin_with(struct rig *rig, const struct gd_engine_config *config)
{
	struct gd_error error = {0};
	memset(rig, 0, sizeof *rig);
	if (!gd_loop_new(&rig->supervisor, &error) || !gd_loop_new(&rig->shard, &error) ||
	    !gd_engine_new(config, rig->supervisor, &rig->engine, &error) ||
	    !gd_lane_new(rig->engine, 0, rig->shard, &rig->lane, &error))
		fail_msg("cannot start: %s", error.text);
}

void rig_begin(struct rig *rig, uint32_t worker_limit_ms)
{
	struct gd_engine_config config;
	rig_config(&config);
	config.worker_limit_ms = worker_limit_ms;
	rig_begin_with(rig, &config);
}

static uint8_t byte_at(uint8_t seed, size_t i)
{
	return (uint8_t)(seed + i * 31 + (i >> 12));
}

static bool write_all(struct rig *rig, struct gd_dispatch *dispatch, size_t bytes, uint8_t seed, uint64_t end)
{
	static uint8_t data[70001];
	for (size_t at = 0; at < bytes;) {
		size_t piece = bytes - at < sizeof data ? bytes - at : sizeof data;
		for (size_t i = 0; i < piece; i++)
			data[i] = byte_at(seed, at + i);
		size_t taken = gd_dispatch_write(dispatch, 0, at, data, piece);
		at += taken;
		if (!taken)
			rig_step(rig);
		if (gd_now_ns() > end)
			return false;
	}
	return true;
}

static bool read_all(struct rig *rig, struct gd_dispatch *dispatch, size_t bytes, uint8_t seed, uint64_t end)
{
	static uint8_t back[50021];
	bool same = true;
	for (size_t at = 0; at < bytes;) {
		int64_t got = gd_dispatch_read(dispatch, 1, at, back,
					       bytes - at < sizeof back ? bytes - at : sizeof back);
		if (got < 0 || gd_now_ns() > end)
			return false;
		if (!got)
			rig_step(rig);
		for (size_t i = 0; i < (size_t)got; i++)
			same &= back[i] == byte_at(seed, at + i);
		at += (size_t)got;
	}
	return same;
}

static void note(struct gd_dispatch *dispatch)
{
	struct outcome *outcome = gd_dispatch_owner(dispatch);
	outcome->ended = true;
	outcome->calls++;
	outcome->good = gd_dispatch_result(dispatch, &outcome->timing, &outcome->error);
}

bool rig_round(struct rig *rig, struct gd_kernel *kernel, size_t bytes, uint8_t seed, uint64_t timeout_ms,
	       struct outcome *out_outcome)
{
	uint64_t end = gd_now_ns() + timeout_ms * GD_NS_PER_MS;
	struct gd_dispatch *dispatch = NULL;
	memset(out_outcome, 0, sizeof *out_outcome);
	while (!gd_dispatch_new(rig->lane, kernel, &dispatch, &out_outcome->error)) {
		/* none is ready: one will be */
		if (out_outcome->error.code != GD_DEVICE_LOST || gd_now_ns() > end)
			return false;
		rig_step(rig);
	}
	gd_dispatch_notify(dispatch, out_outcome, note, NULL, NULL);
	gd_dispatch_add(dispatch, 0, bytes, GD_ACCESS_READ, GD_INIT_DATA, &out_outcome->error);
	gd_dispatch_add(dispatch, 1, bytes, GD_ACCESS_READ_WRITE, GD_INIT_ZERO, &out_outcome->error);
	enum gd_plan plan;
	while ((plan = gd_dispatch_plan(dispatch, &out_outcome->error)) == GD_PLAN_WAIT && gd_now_ns() < end)
		rig_step(rig);
	bool same = false;
	if (plan == GD_PLAN_READY && write_all(rig, dispatch, bytes, seed, end)) {
		uint64_t now = gd_now_ns();
		rig_start_dispatch(dispatch, end > now ? (end - now) / GD_NS_PER_MS + 1 : 1);
		rig_until(rig, &out_outcome->ended);
		same = out_outcome->good && read_all(rig, dispatch, bytes, seed, end);
	}
	gd_dispatch_free(dispatch);
	return same;
}

void rig_run_for(struct rig *rig, uint64_t ms)
{
	for (uint64_t end = gd_now_ns() + ms * GD_NS_PER_MS; gd_now_ns() < end;)
		rig_step(rig);
}

unsigned rig_open_fds(void)
{
	unsigned count = 0;
	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}
