#include "gpu/dispatch/inside.h"

#include "gpu/base/clock.h"
#include "gpu/base/shm.h"

#include <stdlib.h>
#include <unistd.h>

struct gd_kernel *gd_kernel_new(struct gd_engine *engine, struct gd_artifact *artifact,
				uint32_t occupancy_threads)
{
	struct gd_kernel *kernel = calloc(1, sizeof *kernel);
	if (!kernel)
		return NULL;
	atomic_init(&kernel->references, 1);
	kernel->engine = engine;
	kernel->serial = atomic_fetch_add(&engine->next_serial, 1) + 1;
	kernel->artifact = gd_artifact_ref(artifact);
	kernel->occupancy_threads = occupancy_threads;
	return kernel;
}

struct gd_kernel *gd_kernel_ref(struct gd_kernel *kernel)
{
	atomic_fetch_add_explicit(&kernel->references, 1, memory_order_relaxed);
	return kernel;
}

static void unload(struct gd_station *station, struct gd_kernel *kernel)
{
	struct gd_placement *placement = &kernel->on[station->index];
	if (station->modules[placement->module] != kernel)
		return;
	station->modules[placement->module] = NULL;
	station->module_count--;
	atomic_fetch_sub(&station->engine->modules_loaded, 1);
	atomic_store(&placement->loaded, 0);
	placement->loading = 0;
	if (!station->link)
		return;
	struct gd_message *message = calloc(1, sizeof *message);
	if (!message) { /* the worker keeps the module until the index is used again */
		return;
	}
	message->kind = GD_MESSAGE_UNLOAD;
	message->index = placement->module;
	gd_link_send(station->link, message, NULL, 0, NULL);
	free(message);
}

static void bury(struct gd_mail *mail)
{
	struct gd_kernel *kernel = gd_container(mail, struct gd_kernel, burial);
	for (uint32_t i = 0; i < kernel->engine->station_count; i++)
		unload(&kernel->engine->stations[i], kernel);
	gd_artifact_free(kernel->artifact);
	free(kernel);
}

void gd_kernel_unref(struct gd_kernel *kernel)
{
	if (!kernel || atomic_fetch_sub_explicit(&kernel->references, 1, memory_order_acq_rel) != 1)
		return;
	kernel->burial.fn = bury;
	gd_loop_post(kernel->engine->loop, &kernel->burial);
}

struct gd_artifact *gd_kernel_artifact(const struct gd_kernel *kernel)
{
	return kernel->artifact;
}

const struct gd_kernel_info *gd_kernel_info(const struct gd_kernel *kernel)
{
	return &kernel->info;
}

const struct gd_device_info *gd_kernel_device(const struct gd_kernel *kernel)
{
	return &kernel->device;
}

static void answer_waiters(struct gd_placement *placement, const struct gd_error *failed)
{
	struct gd_load_wait *newest = placement->waiters, *wait = NULL, *next;
	placement->waiters = NULL;
	/* whoever came first goes first */
	for (; newest; newest = next) {
		next = newest->next;
		newest->next = wait;
		wait = newest;
	}
	for (; wait; wait = next) {
		next = wait->next;
		wait->loaded = !failed;
		if (failed)
			wait->error = *failed;
		if (wait->lane)
			gd_lane_post(wait->lane, &wait->mail);
		else
			gd_loop_post(wait->kernel->engine->loop, &wait->mail);
	}
}

/* The module that was used longest ago and serves nothing now goes. */
static bool make_room(struct gd_station *station)
{
	struct gd_kernel *oldest = NULL;
	for (uint32_t i = 0; i < GD_MODULES_MAX; i++) {
		struct gd_kernel *kernel = station->modules[i];
		if (!kernel || kernel->on[station->index].loading ||
		    atomic_load(&kernel->on[station->index].in_use))
			continue;
		if (!oldest || atomic_load(&kernel->on[station->index].used_ns) <
				   atomic_load(&oldest->on[station->index].used_ns))
			oldest = kernel;
	}
	if (!oldest)
		return false;
	/* a lane counts itself in before it looks whether the module is loaded, so one of us sees the other
	 */
	struct gd_placement *placement = &oldest->on[station->index];
	uint64_t word = atomic_exchange(&placement->loaded, 0);
	if (atomic_load(&placement->in_use)) {
		atomic_store(&placement->loaded, word);
		return false;
	}
	unload(station, oldest);
	return true;
}

static bool pick_index(struct gd_station *station, uint32_t *out_index)
{
	if (station->module_count >= GD_MODULES_MAX && !make_room(station))
		return false;
	while (station->modules[station->module_next])
		station->module_next = (station->module_next + 1) % GD_MODULES_MAX;
	*out_index = station->module_next;
	return true;
}

static int image_fd(const struct gd_artifact *artifact, struct gd_message *message, struct gd_error *error)
{
	/* the cubin where there is one; the worker needs a NUL behind a text, which PTX here has */
	bool cubin = artifact->cubin != NULL;
	size_t bytes = cubin ? artifact->cubin_bytes : artifact->ptx_bytes;
	char *copy = malloc(bytes + 1);
	if (!copy) {
		gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
		return -1;
	}
	memcpy(copy, cubin ? artifact->cubin : artifact->ptx, bytes);
	copy[bytes] = 0;
	int fd = gd_shm_of("gd-image", copy, bytes + 1, error);
	free(copy);
	message->u.load.image_kind = cubin ? GD_IMAGE_CUBIN : GD_IMAGE_PTX;
	message->u.load.bytes = bytes;
	return fd;
}

static bool send_load(struct gd_station *station, struct gd_kernel *kernel, uint32_t module,
		      struct gd_error *error)
{
	struct gd_message *message = calloc(1, sizeof *message);
	if (!message)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
	message->kind = GD_MESSAGE_LOAD;
	message->index = module;
	message->ticket = station->generation;
	message->u.load.occupancy_threads = kernel->occupancy_threads;
	snprintf(message->u.load.entry, sizeof message->u.load.entry, "%s", kernel->artifact->entry);
	int fd = image_fd(kernel->artifact, message, error);
	bool sent = fd >= 0 && gd_link_send(station->link, message, &fd, 1, error);
	if (fd >= 0)
		close(fd);
	free(message);
	return sent;
}

void gd_station_load(struct gd_engine *engine, struct gd_load_wait *wait)
{
	struct gd_station *station = &engine->stations[wait->station];
	struct gd_kernel *kernel = wait->kernel;
	struct gd_placement *placement = &kernel->on[station->index];
	bool waits_already = placement->waiters != NULL;
	wait->next = placement->waiters;
	placement->waiters = wait;
	struct gd_error error = {0};
	if (!station->link || !station->link->ready) {
		gd_error_set(&error, GD_DEVICE_LOST, "Send the request again in a moment.",
			     "the worker of %s is being replaced", station->status.id);
		answer_waiters(placement, &error);
		return;
	}
	if (atomic_load(&placement->loaded) >> 16 == station->generation) {
		answer_waiters(placement, NULL);
		return;
	}
	if (waits_already || placement->loading == station->generation)
		return;
	uint32_t module;
	if (!pick_index(station, &module)) {
		gd_error_set(&error, GD_OVERLOADED, "Send the request again in a moment.",
			     "all %u modules of the device are in use", GD_MODULES_MAX);
		answer_waiters(placement, &error);
		return;
	}
	if (!send_load(station, kernel, module, &error)) {
		answer_waiters(placement, &error);
		return;
	}
	station->modules[module] = kernel;
	station->module_count++;
	atomic_fetch_add(&engine->modules_loaded, 1);
	placement->module = module;
	placement->loading = station->generation;
}

/* What a worker says of a kernel is checked before anything relies on it. */
static bool info_is_sound(const struct gd_kernel_info *info)
{
	if (info->param_count > GD_PARAMS_MAX || info->param_bytes > GD_PARAM_BYTES_MAX)
		return false;
	for (uint32_t i = 0; i < info->param_count; i++)
		if (info->params[i].size > info->param_bytes ||
		    info->params[i].offset > info->param_bytes - info->params[i].size)
			return false;
	return true;
}

void gd_station_loaded(struct gd_station *station, const struct gd_message *message)
{
	if (message->index >= GD_MODULES_MAX || message->ticket != station->generation)
		return;
	struct gd_kernel *kernel = station->modules[message->index];
	if (!kernel || kernel->on[station->index].loading != station->generation)
		return;
	struct gd_placement *placement = &kernel->on[station->index];
	placement->loading = 0;
	gd_link_answered(station->link);
	struct gd_error error = {0};
	if (message->error.code)
		gd_wire_error_unpack(&message->error, &error);
	else if (!info_is_sound(&message->u.loaded))
		gd_error_set(&error, GD_INTERNAL_STATE, NULL, "the worker told nonsense about a kernel");
	if (error.code) {
		station->modules[message->index] = NULL;
		station->module_count--;
		atomic_fetch_sub(&station->engine->modules_loaded, 1);
		answer_waiters(placement, &error);
		return;
	}
	/* what the first load told stays: lanes rely on it, and a later worker may tell anything */
	if (!kernel->info_known && !kernel->info.param_bytes && !kernel->info.max_threads) {
		kernel->info = message->u.loaded;
		kernel->device = station->status.info;
	}
	kernel->info_known = true;
	atomic_store(&placement->used_ns, gd_now_ns());
	atomic_store(&placement->loaded, gd_placement_word(station->generation, message->index));
	answer_waiters(placement, NULL);
}

void gd_station_forget_modules(struct gd_station *station, const struct gd_error *error)
{
	for (uint32_t i = 0; i < GD_MODULES_MAX; i++) {
		struct gd_kernel *kernel = station->modules[i];
		if (!kernel)
			continue;
		station->modules[i] = NULL;
		atomic_fetch_sub(&station->engine->modules_loaded, 1);
		struct gd_placement *placement = &kernel->on[station->index];
		atomic_store(&placement->loaded, 0);
		placement->loading = 0;
		answer_waiters(placement, error);
	}
	station->module_count = 0;
}
