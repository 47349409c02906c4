#include "tests/unit/gpu/dispatch/rig.h"

#include "gpu/base/clock.h"
#include "gpu/worker/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

int rig_roles(int argc, char **argv, bool *out_was_role)
{
	*out_was_role = true;
	if (!strcmp(argv[0], "gd-worker"))
		return gd_worker_main(argc, argv);
	if (!strcmp(argv[0], "gd-compiler"))
		return gd_compiler_main(argc, argv);
	*out_was_role = false;
	return 0;
}

void rig_start(struct rig *rig, enum gd_backend backend, size_t slab_bytes)
{
	struct gd_error error = {0};
	struct gd_engine_config config;
	gd_engine_config_init(&config);
	config.backend = backend;
	config.slab_bytes = slab_bytes;
	config.nvrtc = "/nonexistent";
	memset(rig, 0, sizeof *rig);
	if (!gd_loop_new(&rig->supervisor, &error) || !gd_loop_new(&rig->shard, &error) ||
	    !gd_engine_new(&config, rig->supervisor, &rig->engine, &error) ||
	    !gd_lane_new(rig->engine, 0, rig->shard, &rig->lane, &error))
		fail_msg("cannot start: %s", error.text);
	rig_until_state(rig, GD_DEVICE_READY);
}

void rig_end(struct rig *rig)
{
	gd_lane_free(rig->lane);
	gd_engine_free(rig->engine);
	gd_loop_free(rig->shard);
	gd_loop_free(rig->supervisor);
}

void rig_step(struct rig *rig)
{
	gd_loop_run(rig->supervisor, 1);
	gd_loop_run(rig->shard, 1);
}

void rig_until(struct rig *rig, const bool *flag)
{
	uint64_t end = gd_now_ns() + RIG_WAIT_MS * GD_NS_PER_MS;
	while (!*flag) {
		rig_step(rig);
		if (gd_now_ns() > end)
			fail_msg("waited in vain");
	}
}

void rig_until_state(struct rig *rig, enum gd_device_state state)
{
	uint64_t end = gd_now_ns() + RIG_WAIT_MS * GD_NS_PER_MS;
	for (;;) {
		static struct gd_device_status devices[GD_DEVICES_MAX];
		gd_engine_devices(rig->engine, devices);
		bool there = devices[0].state == state;
		if (state == GD_DEVICE_READY)
			there = there && devices[0].canary_passed && rig->lane && rig->lane->views[0];
		if (there)
			return;
		rig_step(rig);
		if (gd_now_ns() > end)
			fail_msg("the device never came to state %d: %s", (int)state, devices[0].detail);
	}
}

struct gd_kernel *rig_kernel(struct rig *rig, const char *text, uint32_t param_count, uint32_t param_bytes)
{
	struct gd_error error = {0};
	struct gd_signature signature = {0};
	struct gd_artifact_parts parts = {
	    .target = "echo", .entry = "k", .signature = &signature, .ptx = text, .ptx_bytes = strlen(text)};
	struct gd_artifact *artifact = NULL;
	if (!gd_artifact_new(&parts, &artifact, &error))
		fail_msg("%s", error.text);
	struct gd_kernel *kernel = gd_kernel_new(rig->engine, artifact, 64);
	gd_artifact_free(artifact);
	assert_non_null(kernel);
	/* what the load of a compile would have told */
	kernel->info.param_count = param_count;
	kernel->info.param_bytes = param_bytes;
	for (uint32_t i = 0; i < param_count; i++) {
		kernel->info.params[i].offset = i * 8;
		kernel->info.params[i].size = 8;
	}
	return kernel;
}

static void note(struct gd_dispatch *dispatch)
{
	struct outcome *outcome = gd_dispatch_owner(dispatch);
	outcome->ended = true;
	outcome->calls++;
	outcome->good = gd_dispatch_result(dispatch, &outcome->timing, &outcome->error);
}

struct gd_dispatch *rig_dispatch(struct rig *rig, struct gd_kernel *kernel, struct outcome *outcome)
{
	struct gd_error error = {0};
	struct gd_dispatch *dispatch = NULL;
	memset(outcome, 0, sizeof *outcome);
	if (!gd_dispatch_new(rig->lane, kernel, &dispatch, &error))
		fail_msg("%s", error.text);
	gd_dispatch_notify(dispatch, outcome, note, NULL, NULL);
	return dispatch;
}

void rig_plan(struct rig *rig, struct gd_dispatch *dispatch)
{
	struct gd_error error = {0};
	uint64_t end = gd_now_ns() + RIG_WAIT_MS * GD_NS_PER_MS;
	enum gd_plan plan;
	while ((plan = gd_dispatch_plan(dispatch, &error)) == GD_PLAN_WAIT) {
		rig_step(rig);
		if (gd_now_ns() > end)
			fail_msg("no room ever came");
	}
	if (plan != GD_PLAN_READY)
		fail_msg("%s", error.text);
}

void rig_start_dispatch(struct gd_dispatch *dispatch, uint64_t timeout_ms)
{
	struct gd_dispatch_options options = {.grid = {1, 1, 1},
					      .block = {1, 1, 1},
					      .timeout_ms = timeout_ms,
					      .deadline_ns = gd_now_ns() + timeout_ms * GD_NS_PER_MS};
	gd_dispatch_start(dispatch, &options);
}

pid_t rig_worker(struct rig *rig)
{
	int32_t pids[4];
	return gd_engine_children(rig->engine, pids, 4) ? (pid_t)pids[0] : 0;
}
