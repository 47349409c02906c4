#include "gpu/dispatch/engine.h"

#include "gpu/dispatch/inside.h"

#include "gpu/base/clock.h"
#include "gpu/base/shm.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	PROBE_LIMIT_MS = 20000,
	SLAB_DEFAULT = 64 << 20,
	SLAB_MIN = 8 << 20,
};

void gd_engine_config_init(struct gd_engine_config *out_config)
{
	*out_config = (struct gd_engine_config){
	    .backend = GD_BACKEND_AUTO,
	    .lane_count = 1,
	    .compile_timeout_ms = 30000,
	    .compile_memory_bytes = 2ull << 30,
	    .queue_limit = 4096,
	    .cache_bytes = 512u << 20,
	    .cache_entries = 100000,
	};
}

/* Ask a child how many devices of a kind there are; only children may touch CUDA. */
static uint32_t probe(enum gd_device_kind kind, struct gd_error *error)
{
	char text[12];
	snprintf(text, sizeof text, "%d", (int)kind);
	const char *arguments[] = {text, "probe", NULL};
	const char *environment[4] = {NULL};
	char *library = NULL, *visible = NULL;
	unsigned count = 0;
	if (getenv("GPUDISPATCH_LIBCUDA") &&
	    asprintf(&library, "GPUDISPATCH_LIBCUDA=%s", getenv("GPUDISPATCH_LIBCUDA")) > 0)
		environment[count++] = library;
	if (getenv("CUDA_VISIBLE_DEVICES") &&
	    asprintf(&visible, "CUDA_VISIBLE_DEVICES=%s", getenv("CUDA_VISIBLE_DEVICES")) > 0)
		environment[count++] = visible;
	struct gd_child child = {.pid_fd = -1, .socket = -1};
	struct gd_message *message = calloc(1, sizeof *message);
	uint32_t devices = 0;
	bool started = message && gd_child_start("gd-worker", arguments, environment, &child, error);
	free(library);
	free(visible);
	if (started) {
		struct pollfd readable = {.fd = child.socket, .events = POLLIN};
		int fds[GD_FDS_MAX];
		size_t fd_count = 0;
		bool answered = poll(&readable, 1, PROBE_LIMIT_MS) > 0 &&
				gd_message_receive(child.socket, message, sizeof *message, fds, &fd_count) ==
				    (ssize_t)sizeof *message &&
				message->kind == GD_MESSAGE_PROBED;
		for (size_t i = 0; i < fd_count; i++)
			close(fds[i]);
		if (!answered)
			gd_error_set(error, GD_BACKEND_UNAVAILABLE, NULL,
				     "the probe for devices did not answer");
		else if (message->error.code)
			gd_wire_error_unpack(&message->error, error);
		else
			devices = message->u.probed.count;
		gd_child_end(&child);
	}
	free(message);
	return devices < GD_DEVICES_MAX ? devices : GD_DEVICES_MAX;
}

static uint64_t memory_limit(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	uint64_t limit = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
	FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
	if (file) {
		char text[32] = "";
		if (fgets(text, sizeof text, file)) {
			char *end;
			unsigned long long max = strtoull(text, &end, 10);
			if (end != text && max && max < limit)
				limit = max;
		}
		fclose(file);
	}
	return limit;
}

static size_t slab_size(const struct gd_engine_config *config)
{
	size_t bytes = config->slab_bytes ? config->slab_bytes : SLAB_DEFAULT;
	uint64_t share = memory_limit() / 16; /* in and out together: an eighth */
	if (!config->slab_bytes && bytes > share)
		bytes = (size_t)share;
	size_t power = SLAB_MIN;
	while (power * 2 <= bytes)
		power *= 2;
	return power;
}

static bool choose_backend(struct gd_engine *engine, uint32_t *out_count, struct gd_error *error)
{
	static const enum gd_device_kind kinds[] = {[GD_BACKEND_CUDA] = GD_DEVICE_CUDA,
						    [GD_BACKEND_REFERENCE] = GD_DEVICE_REFERENCE,
						    [GD_BACKEND_ECHO] = GD_DEVICE_ECHO};
	enum gd_backend wanted = engine->config.backend;
	*out_count = 1;
	if (wanted == GD_BACKEND_AUTO || wanted == GD_BACKEND_CUDA) {
		struct gd_error why = {0};
		*out_count = probe(GD_DEVICE_CUDA, &why);
		if (!*out_count && wanted == GD_BACKEND_CUDA) {
			gd_error_set(error, GD_BACKEND_UNAVAILABLE, why.fix[0] ? why.fix : NULL,
				     "backend cuda: %s", why.text);
			return gd_error_native(error, why.native, why.native_name, why.sticky);
		}
		snprintf(engine->why_reference, sizeof engine->why_reference, "%s",
			 *out_count ? "" : why.text);
		wanted = *out_count ? GD_BACKEND_CUDA : GD_BACKEND_REFERENCE;
		if (!*out_count)
			*out_count = 1;
	}
	engine->backend = wanted;
	for (uint32_t i = 0; i < *out_count; i++) {
		struct gd_station *station = &engine->stations[i];
		station->engine = engine;
		station->index = station->ordinal = i;
		station->kind = kinds[wanted];
		station->status.backend = gd_engine_backend(engine);
		station->status.state = GD_DEVICE_STARTING;
		snprintf(station->status.id, sizeof station->status.id, "%s:%u", gd_engine_backend(engine),
			 i);
		for (uint32_t k = 0; k < GD_CHUNKS_MAX; k++)
			station->chunks[k].fd = -1;
	}
	engine->station_count = *out_count;
	return true;
}

static void toolchain_changed(void *context)
{
	struct gd_engine *engine = context;
	if (!engine->compiler)
		return;
	pthread_mutex_lock(&engine->lock);
	engine->toolchain = *gd_compiler_toolchain(engine->compiler);
	pthread_mutex_unlock(&engine->lock);
	if (engine->canary)
		gd_canary_kick(engine->canary);
}

static void *retain_kernel(void *value)
{
	return gd_kernel_ref(value);
}

static void release_kernel(void *value)
{
	gd_kernel_unref(value);
}

static bool start_compiler(struct gd_engine *engine, struct gd_error *error)
{
	struct gd_compiler_config config = {.nvrtc = engine->config.nvrtc,
					    .jobs = engine->config.compile_jobs,
					    .timeout_ms = engine->config.compile_timeout_ms,
					    .cpu_ms = engine->config.compile_timeout_ms,
					    .memory_bytes = engine->config.compile_memory_bytes};
	return gd_compiler_new(engine->loop, &config, toolchain_changed, engine, &engine->compiler, error);
}

bool gd_engine_new(const struct gd_engine_config *config, struct gd_loop *loop, struct gd_engine **out_engine,
		   struct gd_error *error)
{
	if (config->lane_count < 1 || config->lane_count >= GD_LANES_MAX)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "an engine has 1 to %u lanes, not %u",
				    GD_LANES_MAX - 1, config->lane_count);
	struct gd_engine *engine = calloc(1, sizeof *engine);
	if (!engine)
		return gd_error_errno(error, ENOMEM, "cannot make the engine");
	engine->config = *config;
	engine->config.slab_bytes = slab_size(config);
	engine->loop = loop;
	atomic_init(&engine->next_ticket, 1);
	pthread_mutex_init(&engine->lock, NULL);
	struct gd_cache_config cache = {.bytes_max = config->cache_bytes,
					.entries_max = config->cache_entries,
					.retain = retain_kernel,
					.release = release_kernel};
	uint32_t count;
	bool made = choose_backend(engine, &count, error) && gd_cache_new(&cache, &engine->cache, error) &&
		    gd_lane_new(engine, config->lane_count, loop, &engine->own_lane, error) &&
		    gd_canary_new(engine, &engine->canary, error) && start_compiler(engine, error);
	if (!made) {
		gd_engine_free(engine);
		return false;
	}
	toolchain_changed(engine);
	for (uint32_t i = 0; i < engine->station_count; i++)
		gd_station_start(&engine->stations[i]);
	*out_engine = engine;
	return true;
}

void gd_engine_free(struct gd_engine *engine)
{
	if (!engine)
		return;
	engine->ending = true;
	gd_canary_free(engine->canary);
	gd_loop_deliver(engine->loop);
	gd_engine_end_flights(engine);
	gd_lane_free(engine->own_lane);
	for (uint32_t i = 0; i < engine->station_count; i++) {
		struct gd_station *station = &engine->stations[i];
		gd_loop_disarm(engine->loop, &station->restart);
		struct gd_link *link = station->link;
		struct gd_error error;
		gd_error_set(&error, GD_DRAINING, NULL, "the service is shutting down");
		station->link = NULL;
		gd_station_forget_modules(station, &error);
		gd_station_forget_chunks(station, &error);
		if (link) {
			gd_link_end(link);
			gd_link_unref(link);
		}
	}
	for (struct gd_lane *lane = engine->closed; lane; lane = lane->next_closed)
		for (uint32_t i = 0; i < engine->station_count; i++)
			if (lane->views[i])
				gd_lane_lose_view(lane, i);
	gd_compiler_free(engine->compiler);
	gd_cache_free(engine->cache);
	/* kernels whose last reference went just now, waits whose lane is gone */
	gd_loop_deliver(engine->loop);
	gd_loop_deliver(engine->loop);
	for (struct gd_lane *lane = engine->closed, *next; lane; lane = next) {
		next = lane->next_closed;
		free(lane);
	}
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}

uint32_t gd_engine_devices(struct gd_engine *engine, struct gd_device_status out_devices[GD_DEVICES_MAX])
{
	pthread_mutex_lock(&engine->lock);
	for (uint32_t i = 0; i < engine->station_count; i++) {
		out_devices[i] = engine->stations[i].status;
		out_devices[i].queue_limit = engine->config.queue_limit;
		out_devices[i].queue_depth =
		    atomic_load_explicit(&engine->stations[i].depth, memory_order_relaxed);
	}
	pthread_mutex_unlock(&engine->lock);
	return engine->station_count;
}

const char *gd_engine_backend(const struct gd_engine *engine)
{
	switch (engine->backend) {
	case GD_BACKEND_CUDA:
		return "cuda";
	case GD_BACKEND_ECHO:
		return "echo";
	case GD_BACKEND_AUTO:
	case GD_BACKEND_REFERENCE:
		break;
	}
	return "reference";
}

const char *gd_engine_why_reference(const struct gd_engine *engine)
{
	return engine->why_reference;
}

void gd_engine_toolchain(struct gd_engine *engine, struct gd_toolchain *out_toolchain)
{
	pthread_mutex_lock(&engine->lock);
	*out_toolchain = engine->toolchain;
	pthread_mutex_unlock(&engine->lock);
}

uint32_t gd_engine_children(struct gd_engine *engine, int32_t *out_pids, uint32_t max)
{
	uint32_t count = 0;
	pthread_mutex_lock(&engine->lock);
	for (uint32_t i = 0; i < engine->station_count && count < max; i++)
		if (engine->stations[i].worker_pid)
			out_pids[count++] = engine->stations[i].worker_pid;
	pthread_mutex_unlock(&engine->lock);
	return count;
}
