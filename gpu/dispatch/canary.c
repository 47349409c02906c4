/*
 * The canary: a small launch now and then on every device, so that readiness says what is true and not what
 * was.
 *
 * It is compiled like any program, launched through a lane of the supervisor's own, and counted nowhere.
 * Where there is no compiler it falls back on PTX (any PTX version that every driver takes). Supervisor's
 * thread.
 */
#include "gpu/dispatch/inside.h"

#include "gpu/base/clock.h"

#include <stdlib.h>

enum { PERIOD_MS = 5000, RETRY_MS = 100, LIMIT_MS = 2000 };

static const char source[] = ".version 7.0\n"
			     ".target sm_70\n"
			     ".address_size 64\n"
			     ".visible .entry gd_canary(.param .u64 gd_canary_param_0)\n"
			     "{\n"
			     "\t.reg .b32 %r<2>;\n"
			     "\t.reg .b64 %rd<3>;\n"
			     "\tld.param.u64 %rd1, [gd_canary_param_0];\n"
			     "\tcvta.to.global.u64 %rd2, %rd1;\n"
			     "\tmov.u32 %r1, 0x600dca1f;\n"
			     "\tst.global.u32 [%rd2], %r1;\n"
			     "\tret;\n"
			     "}\n";

static const uint32_t expected = 0x600dca1f;

struct gd_canary {
	struct gd_engine *engine;
	struct gd_kernel *kernel;
	struct gd_timer timer;
	struct gd_dispatch *dispatch;
	uint32_t station;
};

static void tell(struct gd_canary *canary, bool passed, const char *detail)
{
	struct gd_engine *engine = canary->engine;
	pthread_mutex_lock(&engine->lock);
	for (uint32_t i = 0; i < engine->station_count; i++) {
		struct gd_device_status *status = &engine->stations[i].status;
		if (status->state != GD_DEVICE_READY)
			continue;
		status->canary_passed = passed;
		snprintf(status->detail, sizeof status->detail, "%s", detail);
	}
	pthread_mutex_unlock(&engine->lock);
}

static void again(struct gd_canary *canary, uint64_t delay_ms)
{
	gd_loop_arm(canary->engine->loop, &canary->timer, gd_now_ns() + delay_ms * GD_NS_PER_MS);
}

static void ended(struct gd_dispatch *dispatch)
{
	struct gd_canary *canary = gd_dispatch_owner(dispatch);
	struct gd_dispatch_timing timing;
	struct gd_error error = {0};
	bool good = gd_dispatch_result(dispatch, &timing, &error);
	if (good) {
		uint32_t got;
		memcpy(&got, gd_dispatch_output(dispatch, 0), sizeof got);
		good = got == expected;
		if (!good)
			gd_error_set(&error, GD_DEVICE_LOST, NULL, "the canary's answer is wrong");
	}
	canary->dispatch = NULL;
	gd_dispatch_free(dispatch);
	tell(canary, good, good ? "" : error.text);
	again(canary, good ? PERIOD_MS : RETRY_MS);
}

static bool launch(struct gd_canary *canary, struct gd_error *error)
{
	struct gd_dispatch *dispatch;
	if (!gd_dispatch_new(canary->engine->own_lane, canary->kernel, &dispatch, error))
		return false;
	gd_dispatch_notify(dispatch, canary, ended, NULL, NULL);
	struct gd_dispatch_options options = {.grid = {1, 1, 1},
					      .block = {1, 1, 1},
					      .timeout_ms = LIMIT_MS,
					      .deadline_ns = gd_now_ns() + LIMIT_MS * GD_NS_PER_MS};
	if (gd_dispatch_add(dispatch, 0, sizeof expected, GD_ACCESS_WRITE, GD_INIT_ZERO, error) < 0 ||
	    gd_dispatch_plan(dispatch, error) != GD_PLAN_READY) {
		gd_dispatch_free(dispatch);
		return false;
	}
	canary->dispatch = dispatch;
	gd_dispatch_start(dispatch, &options);
	return true;
}

static bool make_kernel(struct gd_canary *canary, struct gd_error *error)
{
	struct gd_engine *engine = canary->engine;
	if (canary->kernel)
		return true;
	struct gd_signature signature = {0};
	if (!gd_signature_init(&signature, 1, error))
		return false;
	signature.params[0].type = GD_TYPE_POINTER;
	signature.params[0].size = 8;
	struct gd_artifact_parts parts = {.target = engine->stations[0].status.info.architecture,
					  .entry = "gd_canary",
					  .signature = &signature,
					  .ptx = source,
					  .ptx_bytes = sizeof source - 1,
					  .reproducible = true};
	struct gd_artifact *artifact = NULL;
	bool made = gd_artifact_new(&parts, &artifact, error);
	gd_signature_done(&signature);
	if (made)
		canary->kernel = gd_kernel_new(engine, artifact, 1);
	gd_artifact_free(artifact);
	if (!canary->kernel)
		return false;
	/* known from the text above; the load confirms it */
	canary->kernel->info.param_count = 1;
	canary->kernel->info.param_bytes = 8;
	canary->kernel->info.params[0].size = 8;
	return true;
}

static void run(struct gd_timer *timer)
{
	struct gd_canary *canary = gd_container(timer, struct gd_canary, timer);
	struct gd_engine *engine = canary->engine;
	bool ready = false;
	for (uint32_t i = 0; i < engine->station_count; i++)
		ready = ready || engine->stations[i].status.state == GD_DEVICE_READY;
	if (engine->backend == GD_BACKEND_ECHO) { /* runs no PTX: its worker's word has to do */
		if (ready)
			tell(canary, true, "");
		again(canary, PERIOD_MS);
		return;
	}
	struct gd_error error = {0};
	if (canary->dispatch)
		return;
	if (!ready || !make_kernel(canary, &error) || !launch(canary, &error))
		again(canary, RETRY_MS);
}

bool gd_canary_new(struct gd_engine *engine, struct gd_canary **out_canary, struct gd_error *error)
{
	struct gd_canary *canary = calloc(1, sizeof *canary);
	if (!canary)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
	canary->engine = engine;
	canary->timer.fn = run;
	*out_canary = canary;
	return true;
}

void gd_canary_free(struct gd_canary *canary)
{
	if (!canary)
		return;
	gd_loop_disarm(canary->engine->loop, &canary->timer);
	gd_dispatch_free(canary->dispatch);
	gd_kernel_unref(canary->kernel);
	free(canary);
}

void gd_canary_kick(struct gd_canary *canary)
{
	gd_loop_arm(canary->engine->loop, &canary->timer, gd_now_ns() + GD_NS_PER_MS);
}
