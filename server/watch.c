#include "server/watch.h"

#include "server/log.h"

static void look_at_device(struct gd_watch *watch, uint32_t index, const struct gd_device_status *now)
{
	static const char *const states[] = {[GD_DEVICE_STARTING] = "starting",
					     [GD_DEVICE_READY] = "ready",
					     [GD_DEVICE_RECOVERING] = "recovering",
					     [GD_DEVICE_UNAVAILABLE] = "unavailable"};
	bool is_new = !watch->devices[index].known || watch->devices[index].state != now->state;
	if (now->restarts != watch->devices[index].restarts)
		gd_log(GD_LOG_WARN, "a worker was replaced", gd_log_text("device", now->id),
		       gd_log_number("restarts", now->restarts));
	if (is_new) {
		bool is_well = now->state == GD_DEVICE_READY || now->state == GD_DEVICE_STARTING;
		gd_log(is_well ? GD_LOG_INFO : GD_LOG_WARN, "device", gd_log_text("id", now->id),
		       gd_log_text("state", states[now->state]),
		       gd_log_text("name", *now->info.name ? now->info.name : now->backend),
		       gd_log_text(*now->detail ? "detail" : NULL, now->detail));
	}
	watch->devices[index].known = true;
	watch->devices[index].state = now->state;
	watch->devices[index].restarts = now->restarts;
}

static void look_at_toolchain(struct gd_watch *watch, struct gd_engine *engine)
{
	struct gd_toolchain toolchain;
	gd_engine_toolchain(engine, &toolchain);
	if (!toolchain.known || watch->toolchain_known)
		return;
	watch->toolchain_known = true;
	if (toolchain.available)
		gd_log(GD_LOG_INFO, "NVRTC is ready");
	else
		gd_log(GD_LOG_WARN, "sources cannot be compiled", gd_log_text("reason", toolchain.why_not));
}

void gd_watch_look(struct gd_watch *watch, struct gd_engine *engine)
{
	static _Thread_local struct gd_device_status devices[GD_DEVICES_MAX]; /* too large for the stack */
	uint32_t count = gd_engine_devices(engine, devices);
	for (uint32_t i = 0; i < count && i < GD_DEVICES_MAX; i++)
		look_at_device(watch, i, &devices[i]);
	look_at_toolchain(watch, engine);
}
