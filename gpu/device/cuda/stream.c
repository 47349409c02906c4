/*
 * Streams: one dispatch (or copy) at a time, started by submit and finished by poll, neither of which waits.
 *
 * A launch of many iterations is enqueued in bursts, the next when poll sees the last one end: the driver's
 * queue is finite, and a launch into a full one would block behind a kernel that may never end.
 *
 * A step that fails after others were enqueued does not fail submit, because the device still reads and
 * writes the slabs: poll answers PENDING until those steps have ended, then FAILED.
 *
 * Staging memory grows to what launches need and is kept up to a limit. It comes from the stream-ordered pool
 * where there is one: taking from it and giving back never waits for kernels of other streams, as cuMemFree
 * does.
 */
#include "gpu/device/cuda/launch.h"

#include "gpu/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define BURST_LAUNCHES     128u
#define STAGING_BYTES_MIN  (1ull << 20)
#define STAGING_BYTES_KEPT (32ull << 20) /* per stream; above it staging is given back after the launch */

enum job { JOB_NONE, JOB_LAUNCH, JOB_COPY_IN, JOB_COPY_OUT, JOB_ZERO };

/* What the timing events stand between: uploads, kernels, downloads. */
enum { MARK_START, MARK_KERNEL, MARK_KERNEL_END, MARK_END, MARK_COUNT };

struct gd_stream {
	struct gd_device *device;
	struct CUstream_st *handle;
	struct CUevent_st *marks[MARK_COUNT];

	enum job job;
	int awaited; /* the mark that ends the work enqueued so far */
	uint32_t iterations_left;
	bool has_failed; /* in `failure`; told when what was enqueued has ended */
	struct gd_launch launch;
	struct gd_cuda_instance instance;
	struct gd_cuda_placement placement;
	struct gd_cuda_block block;
	uint64_t shape; /* of the launch; see mapping.h */
	struct gd_error failure;

	gd_cu_pointer staging;
	uint64_t staging_bytes;
	struct gd_cuda_bounce bounce;
};

static void staging_release(struct gd_stream *stream)
{
	const struct gd_cuda_driver *driver = stream->device->driver;
	if (!stream->staging)
		return;
	if (stream->device->has_pools)
		driver->mem_free_async(stream->staging, stream->handle);
	else
		driver->mem_free(stream->staging);
	stream->staging = 0;
	stream->staging_bytes = 0;
}

static bool staging_reserve(struct gd_stream *stream, uint64_t bytes, struct gd_error *error)
{
	struct gd_device *device = stream->device;
	if (bytes <= stream->staging_bytes)
		return true;
	staging_release(stream);
	uint64_t size = STAGING_BYTES_MIN;
	while (size < bytes && size < STAGING_BYTES_KEPT)
		size *= 2;
	if (size < bytes)
		size = bytes;
	gd_cu_pointer pointer = 0;
	gd_cu_result result = device->has_pools
				  ? device->driver->mem_alloc_async(&pointer, size, stream->handle)
				  : device->driver->mem_alloc(&pointer, size);
	if (!gd_cuda_check(device, result, "staging memory for the buffers", error))
		return false;
	stream->staging = pointer;
	stream->staging_bytes = size;
	return true;
}

static bool bounce_new(struct gd_device *device, struct gd_cuda_bounce *out_bounce, struct gd_error *error)
{
	const struct gd_cuda_driver *driver = device->driver;
	struct gd_cuda_bounce bounce;
	bounce.host =
	    mmap(NULL, GD_CUDA_BOUNCE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bounce.host == MAP_FAILED)
		return gd_error_errno(error, errno, "memory for a stream");
	gd_cu_result result =
	    driver->host_register(bounce.host, GD_CUDA_BOUNCE_BYTES,
				  GD_CU_MEMHOSTREGISTER_DEVICEMAP | GD_CU_MEMHOSTREGISTER_PORTABLE);
	if (!gd_cuda_check(device, result, "cuMemHostRegister for a stream", error)) {
		munmap(bounce.host, GD_CUDA_BOUNCE_BYTES);
		return false;
	}
	result = driver->host_device_pointer(&bounce.device, bounce.host, 0);
	if (!gd_cuda_check(device, result, "cuMemHostGetDevicePointer for a stream", error)) {
		driver->host_unregister(bounce.host);
		munmap(bounce.host, GD_CUDA_BOUNCE_BYTES);
		return false;
	}
	*out_bounce = bounce;
	return true;
}

void gd_cuda_stream_free(struct gd_stream *stream)
{
	if (!stream)
		return;
	const struct gd_cuda_driver *driver = stream->device->driver;
	gd_cuda_enter_to_free(stream->device);
	/*
	 * With work in flight cuMemFree and unpinning would wait for it, and the kernel still uses the
	 * bounce; all that goes with the process, which is about to end.
	 */
	if (stream->device->has_pools || stream->job == JOB_NONE)
		staging_release(stream);
	if (stream->bounce.host && stream->job == JOB_NONE) {
		driver->host_unregister(stream->bounce.host);
		munmap(stream->bounce.host, GD_CUDA_BOUNCE_BYTES);
	}
	for (int i = 0; i < MARK_COUNT; i++)
		if (stream->marks[i])
			driver->event_destroy(stream->marks[i]);
	if (stream->handle)
		driver->stream_destroy(stream->handle);
	free(stream);
}

bool gd_cuda_stream_new(struct gd_device *device, struct gd_stream **out_stream, struct gd_error *error)
{
	if (!gd_cuda_enter(device, error))
		return false;
	struct gd_stream *stream = aligned_alloc(_Alignof(struct gd_stream), sizeof *stream);
	if (!stream)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL, "no memory for a stream");
	memset(stream, 0, sizeof *stream);
	stream->device = device;
	bool is_made =
	    gd_cuda_check(device, device->driver->stream_create(&stream->handle, GD_CU_STREAM_NON_BLOCKING),
			  "cuStreamCreate", error);
	is_made = is_made && bounce_new(device, &stream->bounce, error);
	for (int i = 0; is_made && i < MARK_COUNT; i++)
		is_made = gd_cuda_check(device,
					device->driver->event_create(&stream->marks[i], GD_CU_EVENT_DEFAULT),
					"cuEventCreate", error);
	if (!is_made) {
		gd_cuda_stream_free(stream);
		return false;
	}
	*out_stream = stream;
	return true;
}

static bool mark(struct gd_stream *stream, int which, struct gd_error *error)
{
	gd_cu_result result = stream->device->driver->event_record(stream->marks[which], stream->handle);
	if (!gd_cuda_check(stream->device, result, "cuEventRecord", error))
		return false;
	stream->awaited = which;
	return true;
}

/* Enqueue the next burst and, behind the last one, the way back. */
static bool enqueue_burst(struct gd_stream *stream, struct gd_error *error)
{
	struct gd_device *device = stream->device;
	uint32_t burst = stream->iterations_left < BURST_LAUNCHES ? stream->iterations_left : BURST_LAUNCHES;
	for (uint32_t i = 0; i < burst; i++)
		if (!gd_cuda_launch_enqueue(device, &stream->launch, stream->instance.function,
					    &stream->block, stream->handle, error))
			return false;
	stream->iterations_left -= burst;
	if (!mark(stream, MARK_KERNEL_END, error))
		return false;
	if (stream->iterations_left || !stream->placement.has_downloads)
		return true;
	return gd_cuda_placement_download(device, &stream->launch, &stream->placement, stream->staging,
					  &stream->bounce, stream->handle, error) &&
	       mark(stream, MARK_END, error);
}

static bool enqueue_launch(struct gd_stream *stream, struct gd_error *error)
{
	if (stream->placement.has_uploads &&
	    (!mark(stream, MARK_START, error) ||
	     !gd_cuda_placement_upload(stream->device, &stream->launch, &stream->placement, stream->staging,
				       &stream->bounce, stream->handle, error)))
		return false;
	return mark(stream, MARK_KERNEL, error) && enqueue_burst(stream, error);
}

/* Leave the stream idle, its launch's own instance dropped, and large staging given back. */
static void settle(struct gd_stream *stream)
{
	if (stream->job == JOB_LAUNCH)
		gd_cuda_instance_drop(stream->device, stream->launch.module, &stream->instance);
	if (stream->staging_bytes > STAGING_BYTES_KEPT && stream->device->has_pools)
		staging_release(stream);
	stream->job = JOB_NONE;
	stream->has_failed = false;
}

/*
 * Turn a failure amid the enqueued steps into one that poll tells when they have ended. Returns false, with
 * the error made sticky, when not even their end can be known: the slabs are not safe then as long as this
 * process lives.
 */
static bool fail_later(struct gd_stream *stream, struct gd_error *error)
{
	struct gd_error second = {0};
	if (!atomic_load(&stream->device->lost) && mark(stream, MARK_END, &second)) {
		stream->failure = *error;
		stream->has_failed = true;
		return true;
	}
	int none = 0;
	if (second.native)
		atomic_compare_exchange_strong(&stream->device->lost, &none, second.native);
	error->sticky = true;
	settle(stream);
	return false;
}

static bool is_idle(const struct gd_stream *stream, struct gd_error *error)
{
	return stream->job == JOB_NONE ||
	       gd_error_set(error, GD_INTERNAL_STATE, NULL, "the stream has work in flight");
}

bool gd_cuda_submit(struct gd_stream *stream, const struct gd_launch *launch, struct gd_error *error)
{
	struct gd_device *device = stream->device;
	struct gd_error failure = {0};
	if (!gd_cuda_enter(device, error) || !is_idle(stream, error) ||
	    !gd_cuda_launch_check(device, launch, error))
		return false;
	gd_cuda_launch_copy(launch, &stream->block);
	stream->shape = gd_cuda_shape_of(launch, stream->block.bytes);
	bool may_map =
	    device->maps_untried || gd_cuda_mapping_allows(&launch->module->mapping, stream->shape);
	if (!gd_cuda_placement_choose(device, launch, may_map, &stream->placement, error) ||
	    !staging_reserve(stream, gd_cuda_placement_staging(&stream->placement), error) ||
	    !gd_cuda_instance_take(device, launch->module, launch->shared_bytes, &stream->instance, error))
		return false;
	if (!gd_cuda_launch_check_residency(device, launch, stream->instance.function, error)) {
		gd_cuda_instance_drop(device, launch->module, &stream->instance);
		return false;
	}
	stream->launch = *launch;
	stream->iterations_left = launch->iterations;
	stream->job = JOB_LAUNCH;
	gd_cuda_placement_settle(device, launch, &stream->placement, stream->staging, &stream->bounce);
	gd_cuda_launch_patch(launch, &stream->placement, &stream->block);
	if (enqueue_launch(stream, &failure) || fail_later(stream, &failure))
		return true;
	if (error)
		*error = failure;
	return false;
}

/* Nanoseconds between two marks that have passed. */
static bool elapsed(struct gd_stream *stream, int from, int to, uint64_t *out_ns, struct gd_error *error)
{
	float milliseconds = 0;
	gd_cu_result result =
	    stream->device->driver->event_elapsed(&milliseconds, stream->marks[from], stream->marks[to]);
	if (!gd_cuda_check(stream->device, result, "cuEventElapsedTime", error))
		return false;
	*out_ns = milliseconds > 0 ? (uint64_t)((double)milliseconds * 1e6) : 0;
	return true;
}

static bool read_timing(struct gd_stream *stream, struct gd_launch_timing *out_timing, struct gd_error *error)
{
	struct gd_launch_timing timing = {0};
	uint64_t *copy_ns = stream->job == JOB_COPY_OUT ? &timing.d2h_ns : &timing.h2d_ns;
	if (stream->job != JOB_LAUNCH) {
		if (!elapsed(stream, MARK_START, MARK_END, copy_ns, error))
			return false;
	} else {
		const struct gd_cuda_placement *placement = &stream->placement;
		if ((placement->has_uploads &&
		     !elapsed(stream, MARK_START, MARK_KERNEL, &timing.h2d_ns, error)) ||
		    !elapsed(stream, MARK_KERNEL, MARK_KERNEL_END, &timing.kernel_ns, error) ||
		    (placement->has_downloads &&
		     !elapsed(stream, MARK_KERNEL_END, MARK_END, &timing.d2h_ns, error)))
			return false;
		if (!timing.kernel_ns)
			timing.kernel_ns = 1;
	}
	*out_timing = timing;
	return true;
}

static enum gd_poll poll_failed(struct gd_stream *stream)
{
	settle(stream);
	return GD_POLL_FAILED;
}

enum gd_poll gd_cuda_poll(struct gd_stream *stream, struct gd_launch_timing *out_timing,
			  struct gd_error *error)
{
	struct gd_device *device = stream->device;
	struct gd_error failure = {0};
	if (stream->job == JOB_NONE) {
		gd_error_set(error, GD_INTERNAL_STATE, NULL, "the stream has no work in flight");
		return GD_POLL_FAILED;
	}
	if (!gd_cuda_enter(device, error))
		return poll_failed(stream);
	gd_cu_result result = device->driver->event_query(stream->marks[stream->awaited]);
	if (result == GD_CUDA_ERROR_NOT_READY)
		return GD_POLL_PENDING;
	if (!gd_cuda_check(device, result, "the kernel", error))
		return poll_failed(stream);
	if (stream->has_failed) {
		if (error)
			*error = stream->failure;
		return poll_failed(stream);
	}
	if (stream->job == JOB_LAUNCH && stream->iterations_left) {
		if (enqueue_burst(stream, &failure) || fail_later(stream, &failure))
			return GD_POLL_PENDING;
		if (error)
			*error = failure;
		return GD_POLL_FAILED;
	}
	if (!read_timing(stream, out_timing, error))
		return poll_failed(stream);
	if (stream->job == JOB_LAUNCH) {
		gd_cuda_placement_collect(device, &stream->launch, &stream->placement, &stream->bounce);
		gd_cuda_mapping_learn(&stream->launch.module->mapping, stream->shape,
				      stream->placement.is_mapped, out_timing->kernel_ns);
	}
	settle(stream);
	return GD_POLL_DONE;
}

/* Start a copy or fill: `enqueue`d between two marks. */
static bool finish_start(struct gd_stream *stream, enum job job, gd_cu_result result, const char *doing,
			 struct gd_error *error)
{
	struct gd_error failure = {0};
	stream->job = job;
	if (gd_cuda_check(stream->device, result, doing, &failure) && mark(stream, MARK_END, &failure))
		return true;
	if (fail_later(stream, &failure))
		return true;
	if (error)
		*error = failure;
	return false;
}

static bool can_start(struct gd_stream *stream, const struct gd_chunk *chunk, uint64_t chunk_offset,
		      uint64_t bytes, struct gd_error *error)
{
	if (!gd_cuda_enter(stream->device, error) || !is_idle(stream, error))
		return false;
	if (!bytes || !gd_cuda_fits(chunk_offset, bytes, chunk->bytes))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "a range outside its chunk");
	return true;
}

bool gd_cuda_copy(struct gd_stream *stream, bool to_chunk, struct gd_chunk *chunk, uint64_t chunk_offset,
		  uint64_t slab_offset, uint64_t bytes, struct gd_error *error)
{
	struct gd_device *device = stream->device;
	if (!can_start(stream, chunk, chunk_offset, bytes, error))
		return false;
	if (!gd_cuda_fits(slab_offset, bytes, to_chunk ? device->in_bytes : device->out_bytes))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "a window outside its slab");
	if (!mark(stream, MARK_START, error))
		return false;
	gd_cu_pointer pointer = chunk->writable + chunk_offset;
	if (to_chunk)
		return finish_start(
		    stream, JOB_COPY_IN,
		    device->driver->copy_to_device(pointer, device->in + slab_offset, bytes, stream->handle),
		    "cuMemcpyHtoDAsync", error);
	return finish_start(
	    stream, JOB_COPY_OUT,
	    device->driver->copy_to_host(device->out + slab_offset, pointer, bytes, stream->handle),
	    "cuMemcpyDtoHAsync", error);
}

bool gd_cuda_zero(struct gd_stream *stream, struct gd_chunk *chunk, uint64_t chunk_offset, uint64_t bytes,
		  struct gd_error *error)
{
	if (!can_start(stream, chunk, chunk_offset, bytes, error) || !mark(stream, MARK_START, error))
		return false;
	gd_cu_pointer pointer = chunk->writable + chunk_offset;
	return finish_start(stream, JOB_ZERO, stream->device->driver->fill(pointer, 0, bytes, stream->handle),
			    "cuMemsetD8Async", error);
}
