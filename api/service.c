/* What the service says of itself: root, version, openapi.yaml, devices, liveness and readiness. */
#include "api/base.h"

#include "api/json_out.h"
#include "api/openapi.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- root, version, openapi.yaml ---- */

static void get_root(struct gd_exchange *exchange)
{
	gd_buf_printf(
	    &exchange->text,
	    "{\"name\":\"gpudispatchd\",\"version\":\"%s\",\"backend\":\"%s\",\"links\":{\"openapi\":"
	    "\"/openapi.yaml\",\"devices\":\"/devices\",\"pipelines\":\"/pipelines\",\"metrics\":\"/"
	    "metrics\","
	    "\"ready\":\"/readyz\",\"version\":\"/version\"},\"try\":\"curl --data-binary @kernel.cu "
	    "'/pipelines', then POST buffers to /pipelines/{id}/dispatch\"}\n",
	    GD_VERSION, gd_engine_backend(exchange->lane->api->engine));
	gd_exchange_answer(exchange, 200, "application/json");
}

static void get_version(struct gd_exchange *exchange)
{
	struct gd_engine *engine = exchange->lane->api->engine;
	struct gd_toolchain toolchain = {0};
	gd_engine_toolchain(engine, &toolchain);
	struct gd_buf *out = &exchange->text;
	gd_buf_printf(
	    out, "{\"name\":\"gpudispatchd\",\"version\":\"%s\",\"api\":\"v1\",\"backend\":\"%s\",\"nvrtc\":",
	    GD_VERSION, gd_engine_backend(engine));
	gd_json_string(out, toolchain.available ? toolchain.id.version : NULL);
	gd_buf_puts(out, "}\n");
	gd_exchange_answer(exchange, 200, "application/json");
}

static void get_openapi(struct gd_exchange *exchange)
{
	gd_exchange_answer_memory(exchange, 200, "application/yaml", gd_openapi_text, gd_openapi_bytes());
}

/* ---- devices ---- */

static const char *state_text(enum gd_device_state state)
{
	static const char *const texts[] = {[GD_DEVICE_STARTING] = "starting",
					    [GD_DEVICE_READY] = "ready",
					    [GD_DEVICE_RECOVERING] = "recovering",
					    [GD_DEVICE_UNAVAILABLE] = "unavailable"};
	return (unsigned)state < sizeof texts / sizeof texts[0] ? texts[state] : "unknown";
}

static struct gd_device_status *get_all(struct gd_exchange *exchange, uint32_t *out_count)
{
	struct gd_device_status *devices = calloc(GD_DEVICES_MAX, sizeof *devices);
	if (devices) {
		*out_count = gd_engine_devices(exchange->lane->api->engine, devices);
		return devices;
	}
	struct gd_error error;
	gd_error_set(&error, GD_OVERLOADED, NULL, "no memory for the answer");
	gd_exchange_refuse(exchange, &error);
	return NULL;
}

static void put_device(struct gd_buf *out, const struct gd_device_status *device)
{
	const struct gd_device_info *info = &device->info;
	gd_buf_puts(out, "{\"id\":");
	gd_json_string(out, device->id);
	gd_buf_printf(out, ",\"backend\":\"%s\",\"name\":", device->backend);
	gd_json_string(out, info->name);
	gd_buf_puts(out, ",\"uuid\":");
	gd_json_string(out, info->id);
	gd_buf_puts(out, ",\"architecture\":");
	gd_json_string(out, info->architecture);
	gd_buf_puts(out, ",\"driver\":");
	gd_json_string(out, info->driver[0] ? info->driver : NULL);
	gd_buf_printf(out,
		      ",\"compute_capability\":\"%d.%d\",\"memory\":{\"total_bytes\":%" PRIu64
		      ",\"free_bytes\":%" PRIu64 "}",
		      info->compute_major, info->compute_minor, info->memory_bytes, info->memory_free_bytes);
	gd_buf_printf(
	    out, ",\"limits\":{\"max_threads_per_block\":%u,\"max_block\":[%u,%u,%u],\"max_grid\":[%u,%u,%u]",
	    info->max_threads_per_block, info->max_block[0], info->max_block[1], info->max_block[2],
	    info->max_grid[0], info->max_grid[1], info->max_grid[2]);
	gd_buf_printf(out,
		      ",\"max_shared_bytes\":%u,\"max_shared_optin_bytes\":%u,\"registers_per_block\":%u,"
		      "\"multiprocessors\":%u,\"warp_size\":%u}",
		      info->max_shared_bytes, info->max_shared_optin_bytes, info->registers_per_block,
		      info->multiprocessors, info->warp_size);
	gd_buf_printf(
	    out,
	    ",\"workers\":{\"count\":%u,\"restarts\":%u,\"queue_depth\":%u},\"state\":\"%s\",\"detail\":",
	    device->workers, device->restarts, device->queue_depth, state_text(device->state));
	gd_json_string(out, device->detail);
	gd_buf_printf(out, ",\"canary_passed\":%s,\"survives_faults\":%s}",
		      device->canary_passed ? "true" : "false", info->can_export ? "true" : "false");
}

static void get_devices(struct gd_exchange *exchange)
{
	uint32_t count = 0;
	gd_auto_free struct gd_device_status *devices = get_all(exchange, &count);
	if (!devices)
		return;
	gd_buf_puts(&exchange->text, "{\"items\":[");
	for (uint32_t i = 0; i < count; i++) {
		gd_buf_puts(&exchange->text, i ? "," : "");
		put_device(&exchange->text, &devices[i]);
	}
	gd_buf_puts(&exchange->text, "],\"next\":null}\n");
	gd_exchange_answer(exchange, 200, "application/json");
}

/* ---- health ---- */

static void get_live(struct gd_exchange *exchange)
{
	static const char text[] = "{\"status\":\"live\"}\n";
	gd_exchange_answer_memory(exchange, 200, "application/json", text, sizeof text - 1);
}

static bool has_compiler_spoken(struct gd_api *api)
{
	struct gd_toolchain toolchain = {0};
	if (atomic_load(&api->has_compiler_spoken))
		return true;
	gd_engine_toolchain(api->engine, &toolchain);
	if (toolchain.known)
		atomic_store(&api->has_compiler_spoken, true);
	return toolchain.known;
}

/* What keeps the service from serving a dispatch now; false when something does. */
static bool check_ready(const struct gd_exchange *exchange, const struct gd_device_status *devices,
			uint32_t count, struct gd_error *error)
{
	const struct gd_device_status *nearest = NULL;
	if (atomic_load(&exchange->lane->api->facts->draining))
		return gd_error_set(error, GD_DRAINING, NULL, "the service is shutting down");
	/* at the start only: a compiler that is replaced later keeps no dispatch from being served */
	if (!has_compiler_spoken(exchange->lane->api))
		return gd_error_set(error, GD_BACKEND_UNAVAILABLE, "wait a moment",
				    "the compiler is starting");
	bool is_full = false;
	for (uint32_t i = 0; i < count; i++) {
		bool is_up = devices[i].state == GD_DEVICE_READY && devices[i].canary_passed;
		if (is_up && devices[i].queue_depth < devices[i].queue_limit)
			return true;
		is_full |= is_up;
		if (!nearest || devices[i].state < nearest->state || devices[i].state == GD_DEVICE_READY)
			nearest = &devices[i];
	}
	if (is_full)
		return gd_error_set(error, GD_OVERLOADED, "send less, or start more servers",
				    "the queue of every device is full");
	if (!nearest)
		return gd_error_set(error, GD_BACKEND_UNAVAILABLE, "give the process a device",
				    "there is no device");
	if (nearest->state == GD_DEVICE_RECOVERING)
		return gd_error_set(error, GD_DEVICE_LOST, NULL,
				    "device %s lost its worker and recovers: %.180s", nearest->id,
				    nearest->detail);
	return gd_error_set(error, GD_BACKEND_UNAVAILABLE,
			    "wait until the device is up; GET /devices says more",
			    "device %s is not ready: %s %.180s", nearest->id,
			    nearest->state == GD_DEVICE_READY ? "its canary launch has not passed"
							      : state_text(nearest->state),
			    nearest->detail);
}

static void get_ready(struct gd_exchange *exchange)
{
	struct gd_engine *engine = exchange->lane->api->engine;
	uint32_t count = 0;
	gd_auto_free struct gd_device_status *devices = get_all(exchange, &count);
	struct gd_error error;
	if (!devices)
		return;
	if (!check_ready(exchange, devices, count, &error)) {
		gd_exchange_refuse(exchange, &error);
		return;
	}
	struct gd_buf *out = &exchange->text;
	struct gd_toolchain toolchain = {0};
	gd_engine_toolchain(engine, &toolchain);
	gd_buf_printf(out, "{\"status\":\"ready\",\"backend\":\"%s\",\"devices\":[",
		      gd_engine_backend(engine));
	for (uint32_t i = 0; i < count; i++)
		gd_buf_printf(out, "%s{\"id\":\"%s\",\"state\":\"%s\"}", i ? "," : "", devices[i].id,
			      state_text(devices[i].state));
	gd_buf_puts(out, "],\"degraded\":[");
	if (toolchain.known && !toolchain.available) {
		gd_buf_puts(out, "\"compiler: sources cannot be compiled here\"");
	}
	gd_buf_puts(out, "]}\n");
	gd_exchange_answer(exchange, 200, "application/json");
}

const struct gd_handler gd_root_handler = {.end = get_root};
const struct gd_handler gd_version_handler = {.end = get_version};
const struct gd_handler gd_openapi_handler = {.end = get_openapi};
const struct gd_handler gd_devices_handler = {.end = get_devices};
const struct gd_handler gd_live_handler = {.end = get_live};
const struct gd_handler gd_ready_handler = {.end = get_ready};
