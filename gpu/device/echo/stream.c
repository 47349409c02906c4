#include "gpu/device/echo/echo.h"

#include "gpu/base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum job { JOB_NONE, JOB_LAUNCH, JOB_COPY };

struct gd_stream {
	struct gd_device *device;
	enum job job;
	struct gd_launch launch;
	uint64_t started_ns, due_ns;
};

bool gd_echo_stream_new(struct gd_device *device, struct gd_stream **out_stream, struct gd_error *error)
{
	if (!gd_echo_device_is_usable(device, error))
		return false;
	struct gd_stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL, "no memory for a stream");
	stream->device = device;
	*out_stream = stream;
	return true;
}

void gd_echo_stream_free(struct gd_stream *stream)
{
	free(stream);
}

static const uint8_t *source_of(const struct gd_device *device, const struct gd_buffer_arg *buffer)
{
	switch ((enum gd_space)buffer->source) {
	case GD_SPACE_IN:
		return gd_echo_fits(buffer->source_offset, buffer->bytes, device->in_bytes)
			   ? device->in + buffer->source_offset
			   : NULL;
	case GD_SPACE_CHUNK:
		return buffer->chunk && gd_echo_fits(buffer->offset, buffer->bytes, buffer->chunk->bytes)
			   ? buffer->chunk->data + buffer->offset
			   : NULL;
	case GD_SPACE_NULL:
	case GD_SPACE_OUT:
		break;
	}
	return NULL;
}

static uint8_t *target_of(const struct gd_device *device, const struct gd_buffer_arg *buffer)
{
	if (buffer->space == GD_SPACE_OUT)
		return gd_echo_fits(buffer->offset, buffer->bytes, device->out_bytes)
			   ? device->out + buffer->offset
			   : NULL;
	if (buffer->space == GD_SPACE_CHUNK)
		return buffer->chunk && gd_echo_fits(buffer->offset, buffer->bytes, buffer->chunk->bytes)
			   ? buffer->chunk->data + buffer->offset
			   : NULL;
	return NULL;
}

static bool is_pointer_param(const struct gd_kernel_info *info, uint32_t offset)
{
	for (uint32_t i = 0; i < info->param_count; i++)
		if (info->params[i].offset == offset)
			return info->params[i].size == 8;
	return false;
}

static bool check_buffer(const struct gd_stream *stream, const struct gd_launch *launch, uint32_t index,
			 struct gd_error *error)
{
	const struct gd_buffer_arg *buffer = &launch->buffers[index];
	const struct gd_module *module = launch->module;
	bool writes = buffer->access & GD_ACCESS_WRITE;
	if (!gd_echo_fits(buffer->param_offset, 8, launch->param_bytes) ||
	    (module->image.is_described && !is_pointer_param(&module->info, buffer->param_offset)))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "buffer %u belongs to no pointer parameter", index);
	if (!buffer->bytes)
		return true;
	if ((writes && !target_of(stream->device, buffer)) ||
	    (buffer->source != GD_SPACE_NULL && !source_of(stream->device, buffer)))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "buffer %u is outside its memory", index);
	return true;
}

static bool check_grid(const struct gd_launch *launch, struct gd_error *error)
{
	const struct gd_module *module = launch->module;
	static const uint32_t grid_max[3] = {2147483647u, 65535u, 65535u}, block_max[3] = {1024u, 1024u, 64u};
	uint64_t threads = 1, blocks = 1;
	for (int i = 0; i < 3; i++) {
		if (!launch->grid[i] || launch->grid[i] > grid_max[i] || !launch->block[i] ||
		    launch->block[i] > block_max[i])
			return gd_error_set(error, GD_INVALID_REQUEST,
					    "Keep grid and block inside the device's limits.",
					    "grid %u or block %u in dimension %d is not possible",
					    launch->grid[i], launch->block[i], i);
		threads *= launch->block[i];
		blocks = blocks > UINT64_MAX / launch->grid[i] ? UINT64_MAX : blocks * launch->grid[i];
	}
	if (threads > module->image.max_threads)
		return gd_error_set(error, GD_INVALID_REQUEST, "Use a smaller block.",
				    "%llu threads in a block, the kernel allows %u",
				    (unsigned long long)threads, module->image.max_threads);
	if (launch->shared_bytes > GD_ECHO_SHARED_OPTIN)
		return gd_error_set(error, GD_INVALID_REQUEST, "Ask for less shared memory.",
				    "%u bytes of shared memory in a block, the device has %u",
				    launch->shared_bytes, GD_ECHO_SHARED_OPTIN);
	if (launch->cooperative && blocks > GD_ECHO_MULTIPROCESSORS * (GD_ECHO_THREADS_PER_MP / threads))
		return gd_error_set(error, GD_COOPERATIVE_RESIDENCY_EXCEEDED,
				    "Launch fewer or smaller blocks.",
				    "%llu blocks of %llu threads cannot all be resident",
				    (unsigned long long)blocks, (unsigned long long)threads);
	return true;
}

bool gd_echo_submit(struct gd_stream *stream, const struct gd_launch *launch, struct gd_error *error)
{
	if (!gd_echo_device_is_usable(stream->device, error))
		return false;
	if (stream->job != JOB_NONE)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "the stream has work in flight");
	const struct gd_module *module = launch->module;
	if (!launch->iterations ||
	    (module->image.is_described && launch->param_bytes != module->info.param_bytes))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "%u iterations, launch block of %u bytes: the kernel takes %u",
				    launch->iterations, launch->param_bytes, module->info.param_bytes);
	if (!check_grid(launch, error))
		return false;
	for (uint32_t i = 0; i < launch->buffer_count; i++)
		if (!check_buffer(stream, launch, i, error))
			return false;
	uint64_t spin_ns;
	if (__builtin_mul_overflow(module->image.spin_ns, (uint64_t)launch->iterations, &spin_ns))
		spin_ns = UINT64_MAX / 2;
	stream->launch = *launch;
	stream->job = JOB_LAUNCH;
	stream->started_ns = gd_now_ns();
	stream->due_ns = stream->started_ns + spin_ns;
	return true;
}

/* The bytes that every writable buffer is given: those of the first read-only one, if there is one. */
static const struct gd_buffer_arg *echoed_buffer(const struct gd_launch *launch)
{
	for (uint32_t i = 0; i < launch->buffer_count; i++)
		if (launch->buffers[i].access == GD_ACCESS_READ && launch->buffers[i].bytes)
			return &launch->buffers[i];
	return NULL;
}

static void run(const struct gd_stream *stream)
{
	const struct gd_launch *launch = &stream->launch;
	const struct gd_buffer_arg *echoed = echoed_buffer(launch);
	const uint8_t *echo = echoed ? source_of(stream->device, echoed) : NULL;
	for (uint32_t i = 0; i < launch->buffer_count; i++) {
		const struct gd_buffer_arg *buffer = &launch->buffers[i];
		if (!(buffer->access & GD_ACCESS_WRITE) || !buffer->bytes)
			continue;
		uint8_t *target = target_of(stream->device, buffer);
		const uint8_t *source = source_of(stream->device, buffer);
		if (!source)
			memset(target, 0, buffer->bytes);
		else if (source != target)
			memmove(target, source, buffer->bytes);
		if (echo)
			memmove(target, echo, echoed->bytes < buffer->bytes ? echoed->bytes : buffer->bytes);
		else if (echoed) /* a read-only buffer of zeroes */
			memset(target, 0, echoed->bytes < buffer->bytes ? echoed->bytes : buffer->bytes);
	}
}

static enum gd_poll end_launch(struct gd_stream *stream, uint64_t now_ns, struct gd_launch_timing *out_timing,
			       struct gd_error *error)
{
	const struct gd_echo_image *image = &stream->launch.module->image;
	if (image->end == GD_ECHO_HANGS)
		return GD_POLL_PENDING;
	if (image->end == GD_ECHO_EXITS)
		_exit(image->exit_status);
	stream->job = JOB_NONE;
	if (image->end == GD_ECHO_FAULTS_STICKY) {
		atomic_store(&stream->device->is_lost, true);
		gd_echo_device_is_usable(stream->device, error);
		return GD_POLL_FAILED;
	}
	if (image->end == GD_ECHO_FAULTS) {
		gd_error_set(error, GD_DISPATCH_FAILED, "Remove the fault directive.",
			     "the kernel faulted as told");
		gd_error_native(error, GD_ECHO_NATIVE_FAULT, "ECHO_FAULT", false);
		return GD_POLL_FAILED;
	}
	run(stream);
	*out_timing = (struct gd_launch_timing){.kernel_ns = now_ns - stream->started_ns};
	if (!out_timing->kernel_ns)
		out_timing->kernel_ns = 1;
	return GD_POLL_DONE;
}

enum gd_poll gd_echo_poll(struct gd_stream *stream, struct gd_launch_timing *out_timing,
			  struct gd_error *error)
{
	if (stream->job == JOB_NONE) {
		gd_error_set(error, GD_INTERNAL_STATE, NULL, "the stream has no work in flight");
		return GD_POLL_FAILED;
	}
	if (!gd_echo_device_is_usable(stream->device, error)) {
		stream->job = JOB_NONE;
		return GD_POLL_FAILED;
	}
	uint64_t now_ns = gd_now_ns();
	if (now_ns < stream->due_ns)
		return GD_POLL_PENDING;
	if (stream->job == JOB_LAUNCH)
		return end_launch(stream, now_ns, out_timing, error);
	stream->job = JOB_NONE;
	*out_timing = (struct gd_launch_timing){0};
	return GD_POLL_DONE;
}

/* What copy and zero share: the stream is free and the range lies in the chunk. */
static bool start_job(struct gd_stream *stream, const struct gd_chunk *chunk, uint64_t chunk_offset,
		      uint64_t bytes, struct gd_error *error)
{
	if (!gd_echo_device_is_usable(stream->device, error))
		return false;
	if (stream->job != JOB_NONE)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "the stream has work in flight");
	if (!gd_echo_fits(chunk_offset, bytes, chunk->bytes))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "a range outside its chunk");
	return true;
}

bool gd_echo_copy(struct gd_stream *stream, bool to_chunk, struct gd_chunk *chunk, uint64_t chunk_offset,
		  uint64_t slab_offset, uint64_t bytes, struct gd_error *error)
{
	struct gd_device *device = stream->device;
	if (!start_job(stream, chunk, chunk_offset, bytes, error))
		return false;
	if (!gd_echo_fits(slab_offset, bytes, to_chunk ? device->in_bytes : device->out_bytes))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "a window outside its slab");
	if (to_chunk)
		memcpy(chunk->data + chunk_offset, device->in + slab_offset, bytes);
	else
		memcpy(device->out + slab_offset, chunk->data + chunk_offset, bytes);
	stream->job = JOB_COPY;
	stream->due_ns = 0;
	return true;
}

bool gd_echo_zero(struct gd_stream *stream, struct gd_chunk *chunk, uint64_t chunk_offset, uint64_t bytes,
		  struct gd_error *error)
{
	if (!start_job(stream, chunk, chunk_offset, bytes, error))
		return false;
	memset(chunk->data + chunk_offset, 0, bytes);
	stream->job = JOB_COPY;
	stream->due_ns = 0;
	return true;
}
