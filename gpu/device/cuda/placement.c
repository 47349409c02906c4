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

/* The address of the buffer in a mapped slab, 0 when it cannot be used in place. */
static gd_cu_pointer mapped_address(const struct gd_device *device, const struct gd_buffer_arg *buffer)
{
	gd_cu_pointer base = 0;
	uint64_t offset = 0;
	if (buffer->space == GD_SPACE_OUT) {
		base = device->out_device;
		offset = buffer->offset;
	} else if (buffer->source == GD_SPACE_IN) {
		base = device->in_device;
		offset = buffer->source_offset;
	}
	return base && (base + offset) % GD_CUDA_ALIGNMENT == 0 ? base + offset : 0;
}

static bool reserve_staging(struct gd_cuda_placement *placement, uint64_t bytes, uint64_t *out_offset)
{
	uint64_t offset = placement->staging_bytes, end;
	if (__builtin_add_overflow(offset, bytes, &end) ||
	    __builtin_add_overflow(end, GD_CUDA_ALIGNMENT - 1, &end))
		return false;
	placement->staging_bytes = end / GD_CUDA_ALIGNMENT * GD_CUDA_ALIGNMENT;
	*out_offset = offset;
	return true;
}

static bool is_small(const struct gd_device *device, const struct gd_launch *launch)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < launch->buffer_count; i++)
		if (launch->buffers[i].space != GD_SPACE_CHUNK &&
		    __builtin_add_overflow(bytes, launch->buffers[i].bytes, &bytes))
			return false;
	return bytes <= device->mapped_bytes_max;
}

bool gd_cuda_placement_choose(const struct gd_device *device, const struct gd_launch *launch, bool may_map,
			      struct gd_cuda_placement *placement, struct gd_error *error)
{
	if (launch->buffer_count > GD_PARAMS_MAX)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "%u buffers in a launch",
				    launch->buffer_count);
	may_map = may_map && is_small(device, launch);
	placement->staging_bytes = 0;
	placement->has_uploads = placement->has_downloads = placement->has_mapped = false;
	for (uint32_t i = 0; i < launch->buffer_count; i++) {
		const struct gd_buffer_arg *buffer = &launch->buffers[i];
		struct gd_cuda_place *place = &placement->places[i];
		if (!check_buffer(device, buffer, i, error))
			return false;
		*place = (struct gd_cuda_place){0};
		if (!buffer->bytes)
			continue;
		if (buffer->space == GD_SPACE_CHUNK) {
			place->address = chunk_address(launch, buffer);
			placement->has_uploads |= buffer->source != GD_SPACE_CHUNK;
			continue;
		}
		if (may_map && (place->address = mapped_address(device, buffer))) {
			placement->has_mapped = true;
			continue;
		}
		uint64_t offset;
		if (!reserve_staging(placement, buffer->bytes, &offset))
			return refuse(i, "has no possible size", error);
		*place = (struct gd_cuda_place){.address = offset, .is_staged = true};
		placement->has_uploads = true;
		placement->has_downloads |=
		    buffer->space == GD_SPACE_OUT && (buffer->access & GD_ACCESS_WRITE);
	}
	return true;
}

void gd_cuda_placement_settle(const struct gd_device *device, const struct gd_launch *launch,
			      struct gd_cuda_placement *placement, gd_cu_pointer staging)
{
	for (uint32_t i = 0; i < launch->buffer_count; i++) {
		const struct gd_buffer_arg *buffer = &launch->buffers[i];
		struct gd_cuda_place *place = &placement->places[i];
		if (place->is_staged) {
			place->address += staging;
		} else if (buffer->bytes && buffer->space == GD_SPACE_OUT) {
			if (buffer->source == GD_SPACE_IN)
				memcpy(device->out + buffer->offset, device->in + buffer->source_offset,
				       buffer->bytes);
			else
				memset(device->out + buffer->offset, 0, buffer->bytes);
		}
	}
}

bool gd_cuda_placement_upload(struct gd_device *device, const struct gd_launch *launch,
			      const struct gd_cuda_placement *placement, struct CUstream_st *stream,
			      struct gd_error *error)
{
	const struct gd_cuda_driver *driver = device->driver;
	for (uint32_t i = 0; i < launch->buffer_count; i++) {
		const struct gd_buffer_arg *buffer = &launch->buffers[i];
		const struct gd_cuda_place *place = &placement->places[i];
		gd_cu_pointer target = place->address;
		if (!buffer->bytes || (!place->is_staged && buffer->space != GD_SPACE_CHUNK))
			continue;
		if (buffer->space == GD_SPACE_CHUNK)
			target = buffer->chunk->writable + buffer->offset;
		if (buffer->source == GD_SPACE_IN) {
			if (!gd_cuda_check(device,
					   driver->copy_to_device(target, device->in + buffer->source_offset,
								  buffer->bytes, stream),
					   "cuMemcpyHtoDAsync", error))
				return false;
		} else if (buffer->source == GD_SPACE_NULL) {
			if (!gd_cuda_check(device, driver->fill(target, 0, buffer->bytes, stream),
					   "cuMemsetD8Async", error))
				return false;
		}
	}
	return true;
}

bool gd_cuda_placement_download(struct gd_device *device, const struct gd_launch *launch,
				const struct gd_cuda_placement *placement, struct CUstream_st *stream,
				struct gd_error *error)
{
	for (uint32_t i = 0; i < launch->buffer_count; i++) {
		const struct gd_buffer_arg *buffer = &launch->buffers[i];
		const struct gd_cuda_place *place = &placement->places[i];
		if (!place->is_staged || buffer->space != GD_SPACE_OUT || !(buffer->access & GD_ACCESS_WRITE))
			continue;
		gd_cu_result result = device->driver->copy_to_host(device->out + buffer->offset,
								   place->address, buffer->bytes, stream);
		if (!gd_cuda_check(device, result, "cuMemcpyDtoHAsync", error))
			return false;
	}
	return true;
}
