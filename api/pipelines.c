#include "api/pipelines.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

struct gd_pipelines {
	pthread_rwlock_t lock;
	_Atomic uint64_t generation;
	uint32_t count, room, max;
	uint64_t bytes, bytes_max;
	struct gd_pipeline **items; /* sorted by id */
};

struct gd_pipeline *gd_pipeline_ref(struct gd_pipeline *pipeline)
{
	atomic_fetch_add_explicit(&pipeline->references, 1, memory_order_relaxed);
	return pipeline;
}

void gd_pipeline_free(struct gd_pipeline *pipeline)
{
	if (!pipeline || atomic_fetch_sub_explicit(&pipeline->references, 1, memory_order_acq_rel) != 1)
		return;
	gd_program_free(pipeline->program);
	gd_kernel_unref(pipeline->kernel);
	gd_pipeline_config_done(&pipeline->config);
	free(pipeline->manifest_rest);
	free(pipeline);
}

const char *gd_pipeline_hex(const char *id)
{
	const char *colon = strchr(id, ':');
	return colon ? colon + 1 : id;
}

bool gd_pipelines_new(uint32_t max, uint64_t bytes_max, struct gd_pipelines **out_pipelines,
		      struct gd_error *error)
{
	struct gd_pipelines *pipelines = calloc(1, sizeof *pipelines);
	if (!pipelines)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
	int failed = pthread_rwlock_init(&pipelines->lock, NULL);
	if (failed) {
		free(pipelines);
		return gd_error_errno(error, failed, "cannot make a lock");
	}
	pipelines->max = max;
	pipelines->bytes_max = bytes_max;
	*out_pipelines = pipelines;
	return true;
}

void gd_pipelines_free(struct gd_pipelines *pipelines)
{
	if (!pipelines)
		return;
	for (uint32_t i = 0; i < pipelines->count; i++)
		gd_pipeline_free(pipelines->items[i]);
	free(pipelines->items);
	pthread_rwlock_destroy(&pipelines->lock);
	free(pipelines);
}

/* The index of `id`, or where it would stand; *out_is_there says which. */
static uint32_t place_of(const struct gd_pipelines *pipelines, const char *id, bool *out_is_there)
{
	uint32_t low = 0, high = pipelines->count;
	*out_is_there = false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(pipelines->items[middle]->id, id);
		if (!order) {
			*out_is_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct gd_pipeline *gd_pipelines_find(struct gd_pipelines *pipelines, const char *id)
{
	bool is_there;
	pthread_rwlock_rdlock(&pipelines->lock);
	uint32_t index = place_of(pipelines, id, &is_there);
	struct gd_pipeline *found = is_there ? gd_pipeline_ref(pipelines->items[index]) : NULL;
	pthread_rwlock_unlock(&pipelines->lock);
	return found;
}

/* What a pipeline keeps in memory; an artifact in the cache too is counted at both places. */
static uint64_t bytes_of(const struct gd_pipeline *pipeline)
{
	uint64_t bytes = sizeof *pipeline;
	if (pipeline->program)
		bytes += gd_program_bytes(pipeline->program);
	if (pipeline->kernel)
		bytes += gd_artifact_bytes(gd_kernel_artifact(pipeline->kernel));
	if (pipeline->manifest_rest)
		bytes += strlen(pipeline->manifest_rest);
	return bytes;
}

static bool make_room(struct gd_pipelines *pipelines, uint64_t bytes, struct gd_error *error)
{
	if (bytes > pipelines->bytes_max || pipelines->bytes > pipelines->bytes_max - bytes)
		return gd_error_set(error, GD_QUOTA_EXCEEDED, "delete pipelines that are no longer needed",
				    "the table is full: its pipelines take %llu MiB of memory",
				    (unsigned long long)(pipelines->bytes >> 20));
	if (pipelines->count >= pipelines->max)
		return gd_error_set(error, GD_QUOTA_EXCEEDED, "delete pipelines that are no longer needed",
				    "the table is full: it holds %u pipelines", pipelines->max);
	if (pipelines->count < pipelines->room)
		return true;
	uint32_t room = pipelines->room ? pipelines->room * 2 : FIRST_ROOM;
	struct gd_pipeline **items = realloc(pipelines->items, room * sizeof *items);
	if (!items)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
	pipelines->items = items;
	pipelines->room = room;
	return true;
}

bool gd_pipelines_add(struct gd_pipelines *pipelines, struct gd_pipeline *pipeline,
		      struct gd_pipeline **out_pipeline, bool *out_is_new, struct gd_error *error)
{
	bool is_there, is_good = true;
	uint64_t bytes = bytes_of(pipeline);
	pthread_rwlock_wrlock(&pipelines->lock);
	uint32_t index = place_of(pipelines, pipeline->id, &is_there);
	if (!is_there && (is_good = make_room(pipelines, bytes, error))) {
		memmove(pipelines->items + index + 1, pipelines->items + index,
			(pipelines->count - index) * sizeof *pipelines->items);
		pipelines->items[index] = gd_pipeline_ref(pipeline);
		pipelines->count++;
		pipelines->bytes += bytes;
	}
	if (is_good) {
		*out_pipeline = gd_pipeline_ref(pipelines->items[index]);
		*out_is_new = !is_there;
	}
	pthread_rwlock_unlock(&pipelines->lock);
	return is_good;
}

bool gd_pipelines_remove(struct gd_pipelines *pipelines, const char *id)
{
	bool is_there;
	struct gd_pipeline *removed = NULL;
	pthread_rwlock_wrlock(&pipelines->lock);
	uint32_t index = place_of(pipelines, id, &is_there);
	if (is_there) {
		removed = pipelines->items[index];
		pipelines->count--;
		pipelines->bytes -= bytes_of(removed);
		memmove(pipelines->items + index, pipelines->items + index + 1,
			(pipelines->count - index) * sizeof *pipelines->items);
		atomic_fetch_add(&pipelines->generation, 1);
	}
	pthread_rwlock_unlock(&pipelines->lock);
	gd_pipeline_free(removed);
	return is_there;
}

uint32_t gd_pipelines_page(struct gd_pipelines *pipelines, const char *after, uint32_t limit,
			   struct gd_pipeline **out_items, bool *out_more)
{
	bool is_there = false;
	pthread_rwlock_rdlock(&pipelines->lock);
	uint32_t index = after ? place_of(pipelines, after, &is_there) : 0;
	if (is_there)
		index++;
	uint32_t count = pipelines->count - index < limit ? pipelines->count - index : limit;
	for (uint32_t i = 0; i < count; i++)
		out_items[i] = gd_pipeline_ref(pipelines->items[index + i]);
	*out_more = index + count < pipelines->count;
	pthread_rwlock_unlock(&pipelines->lock);
	return count;
}

uint32_t gd_pipelines_count(struct gd_pipelines *pipelines)
{
	pthread_rwlock_rdlock(&pipelines->lock);
	uint32_t count = pipelines->count;
	pthread_rwlock_unlock(&pipelines->lock);
	return count;
}

uint64_t gd_pipelines_generation(struct gd_pipelines *pipelines)
{
	return atomic_load(&pipelines->generation);
}
