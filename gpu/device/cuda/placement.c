#include "gpu/device/cuda/placement.h"

#include <string.h>

static bool refuse(uint32_t index, const char *why, struct gd_error *error)
{
	return gd_error_set(error, GD_INTERNAL_STATE, NULL, "buffer %u of the launch %s", index, why);
}

/* The combinations of access, space and source that device.h describes, each range inside its memory. */
static bool check_buffer(const struct gd_device *device, const struct gd_buffer_arg *buffer, uint32_t index,
			 struct gd_error *error)
{
	bool writes = buffer->access & GD_ACCESS_WRITE;
	if (!buffer->access || buffer->access > GD_ACCESS_READ_WRITE)
		return refuse(index, "is neither read nor written", error);
	if (!buffer->bytes)
		return true;
	if (buffer->space == GD_SPACE_CHUNK) {
		if (!buffer->chunk || !gd_cuda_fits(buffer->offset, buffer->bytes, buffer->chunk->bytes))
			return refuse(index, "is outside its chunk", error);
	} else if (buffer->space == GD_SPACE_OUT) {
		if (!gd_cuda_fits(buffer->offset, buffer->bytes, device->out_bytes))
			return refuse(index, "is outside the out slab", error);
	} else if (buffer->space != GD_SPACE_IN || writes) {
		return refuse(index, "is in no memory of its access", error);
	}
	if (buffer->source == GD_SPACE_IN)
		return gd_cuda_fits(buffer->source_offset, buffer->bytes, device->in_bytes) ||
		       refuse(index, "comes from outside the in slab", error);
	if (buffer->source == GD_SPACE_CHUNK)
		return buffer->space == GD_SPACE_CHUNK || refuse(index, "comes from another chunk", error);
	return buffer->source == GD_SPACE_NULL || refuse(index, "has no source", error);
}

/*
 * A kernel that is to read a chunk only gets its read-only mapping, so that it cannot change what it was
 * lent; unless it also writes that chunk: one kernel that sees the same memory under two addresses may read
 * stale values (CUDA C++ Programming Guide, virtual aliasing).
 */
static bool is_written_too(const struct gd_launch *launch, const struct gd_chunk *chunk)
{
	for (uint32_t i = 0; i < launch->buffer_count; i++)
		if (launch->buffers[i].chunk == chunk && launch->buffers[i].space == GD_SPACE_CHUNK &&
		    (launch->buffers[i].access & GD_ACCESS_WRITE))
			return true;
	return false;
}

static gd_cu_pointer chunk_address(const struct gd_launch *launch, const struct gd_buffer_arg *buffer)
{
	const struct gd_chunk *chunk = buffer->chunk;
	return (is_written_too(launch, chunk) ? chunk->writable : chunk->readable) + buffer->offset;
}

/* Is the buffer's place in bounce or staging, rather than null or a chunk? */
static bool is_placed(const struct gd_buffer_arg *buffer)
{
	return buffer->bytes && buffer->space != GD_SPACE_CHUNK;
}

static bool is_output(const struct gd_buffer_arg *buffer)
{
	return is_placed(buffer) && (buffer->access & GD_ACCESS_WRITE);
}

/* Lay the written buffers, or the others, behind what is laid out already. */
static bool lay_out(const struct gd_launch *launch, bool outputs, struct gd_cuda_placement *placement,
		    struct gd_error *error)
{
	for (uint32_t i = 0; i < launch->buffer_count; i++) {
		const struct gd_buffer_arg *buffer = &launch->buffers[i];
		uint64_t end;
		if (!is_placed(buffer) || is_output(buffer) != outputs)
			continue;
		placement->places[i].offset = placement->bytes;
		if (__builtin_add_overflow(placement->bytes, buffer->bytes, &end) ||
		    __builtin_add_overflow(end, GD_CUDA_ALIGNMENT - 1, &end))
			return refuse(i, "has no possible size", error);
		placement->bytes = end / GD_CUDA_ALIGNMENT * GD_CUDA_ALIGNMENT;
	}
	return true;
}

bool gd_cuda_placement_choose(const struct gd_device *device, const struct gd_launch *launch, bool may_map,
			      struct gd_cuda_placement *placement, struct gd_error *error)
{
	if (launch->buffer_count > GD_PARAMS_MAX)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "%u buffers in a launch",
				    launch->buffer_count);
	for (uint32_t i = 0; i < launch->buffer_count; i++)
		if (!check_buffer(device, &launch->buffers[i], i, error))
			return false;
	placement->bytes = 0;
	if (!lay_out(launch, false, placement, error))
		return false;
	placement->outputs_offset = placement->bytes;
	if (!lay_out(launch, true, placement, error))
		return false;
	placement->is_small =
	    placement->bytes <= device->small_bytes_max && placement->bytes <= GD_CUDA_BOUNCE_BYTES;
	placement->is_mapped = placement->is_small && may_map;
	placement->has_uploads = placement->bytes && !placement->is_mapped;
	placement->has_downloads = placement->bytes > placement->outputs_offset && !placement->is_mapped;
	for (uint32_t i = 0; i < launch->buffer_count; i++)
		placement->has_uploads |= launch->buffers[i].bytes &&
					  launch->buffers[i].space == GD_SPACE_CHUNK &&
					  launch->buffers[i].source != GD_SPACE_CHUNK;
	return true;
}

uint64_t gd_cuda_placement_staging(const struct gd_cuda_placement *placement)
{
	return placement->is_mapped ? 0 : placement->bytes;
}

/* The buffer's initial content and, behind it, zeroes up to where the next one may start. */
static void assemble(const struct gd_device *device, const struct gd_buffer_arg *buffer, uint8_t *target)
{
	uint64_t bytes = buffer->bytes;
	uint64_t whole = (bytes + GD_CUDA_ALIGNMENT - 1) / GD_CUDA_ALIGNMENT * GD_CUDA_ALIGNMENT;
	if (buffer->source != GD_SPACE_IN)
		bytes = 0;
	else
		memcpy(target, device->in + buffer->source_offset, bytes);
	memset(target + bytes, 0, whole - bytes);
}

void gd_cuda_placement_settle(const struct gd_device *device, const struct gd_launch *launch,
			      struct gd_cuda_placement *placement, gd_cu_pointer staging,
			      const struct gd_cuda_bounce *bounce)
{
	gd_cu_pointer base = placement->is_mapped ? bounce->device : staging;
	for (uint32_t i = 0; i < launch->buffer_count; i++) {
		const struct gd_buffer_arg *buffer = &launch->buffers[i];
		struct gd_cuda_place *place = &placement->places[i];
		if (!buffer->bytes)
			place->address = 0;
		else if (buffer->space == GD_SPACE_CHUNK)
			place->address = chunk_address(launch, buffer);
		else
			place->address = base + place->offset;
		if (placement->is_small && is_placed(buffer))
			assemble(device, buffer, bounce->host + place->offset);
	}
}

/* Fill one buffer in device memory: from the in slab, with zeroes, or not at all when it holds its content.
 */
static bool fill(struct gd_device *device, const struct gd_buffer_arg *buffer, gd_cu_pointer target,
		 struct CUstream_st *stream, struct gd_error *error)
{
	const struct gd_cuda_driver *driver = device->driver;
	if (buffer->source == GD_SPACE_IN)
		return gd_cuda_check(
		    device,
		    driver->copy_to_device(target, device->in + buffer->source_offset, buffer->bytes, stream),
		    "cuMemcpyHtoDAsync", error);
	if (buffer->source == GD_SPACE_NULL)
		return gd_cuda_check(device, driver->fill(target, 0, buffer->bytes, stream),
				     "cuMemsetD8Async", error);
	return true;
}

bool gd_cuda_placement_upload(struct gd_device *device, const struct gd_launch *launch,
			      const struct gd_cuda_placement *placement, gd_cu_pointer staging,
			      const struct gd_cuda_bounce *bounce, struct CUstream_st *stream,
			      struct gd_error *error)
{
	if (placement->is_small && !placement->is_mapped && placement->bytes &&
	    !gd_cuda_check(device,
			   device->driver->copy_to_device(staging, bounce->host, placement->bytes, stream),
			   "cuMemcpyHtoDAsync", error))
		return false;
	for (uint32_t i = 0; i < launch->buffer_count; i++) {
		const struct gd_buffer_arg *buffer = &launch->buffers[i];
		gd_cu_pointer target = staging + placement->places[i].offset;
		if (!buffer->bytes || (placement->is_small && is_placed(buffer)))
			continue;
		if (buffer->space == GD_SPACE_CHUNK)
			target = buffer->chunk->writable + buffer->offset;
		if (!fill(device, buffer, target, stream, error))
			return false;
	}
	return true;
}

bool gd_cuda_placement_download(struct gd_device *device, const struct gd_launch *launch,
				const struct gd_cuda_placement *placement, gd_cu_pointer staging,
				const struct gd_cuda_bounce *bounce, struct CUstream_st *stream,
				struct gd_error *error)
{
	uint64_t outputs = placement->outputs_offset;
	if (placement->is_small)
		return gd_cuda_check(device,
				     device->driver->copy_to_host(bounce->host + outputs, staging + outputs,
								  placement->bytes - outputs, stream),
				     "cuMemcpyDtoHAsync", error);
	for (uint32_t i = 0; i < launch->buffer_count; i++) {
		const struct gd_buffer_arg *buffer = &launch->buffers[i];
		if (!is_output(buffer))
			continue;
		gd_cu_result result = device->driver->copy_to_host(device->out + buffer->offset,
								   staging + placement->places[i].offset,
								   buffer->bytes, stream);
		if (!gd_cuda_check(device, result, "cuMemcpyDtoHAsync", error))
			return false;
	}
	return true;
}

void gd_cuda_placement_collect(const struct gd_device *device, const struct gd_launch *launch,
			       const struct gd_cuda_placement *placement, const struct gd_cuda_bounce *bounce)
{
	for (uint32_t i = 0; placement->is_small && i < launch->buffer_count; i++)
		if (is_output(&launch->buffers[i]))
			memcpy(device->out + launch->buffers[i].offset,
			       bounce->host + placement->places[i].offset, launch->buffers[i].bytes);
}
