/* Chunks: physical memory with a descriptor (CUDA's virtual memory management), or plain memory where there
 * is none. */
#include "gpu/device/cuda/context.h"

#include "gpu/base/cleanup.h"
#include "gpu/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/*
 * How long zeroing a chunk may take. 1 GiB takes about a millisecond on an H100; what can delay it is a
 * kernel that keeps all multiprocessors.
 */
#define ZERO_DEADLINE_NS (2 * GD_NS_PER_S)
#define ZERO_NAP_NS      (20 * GD_NS_PER_US)

static struct gd_cu_allocation_prop allocation_prop(const struct gd_device *device)
{
	return (struct gd_cu_allocation_prop){
	    .type = GD_CU_MEM_ALLOCATION_TYPE_PINNED,
	    .requested_handle_types =
		device->can_export ? GD_CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR : GD_CU_MEM_HANDLE_TYPE_NONE,
	    .location = {.type = GD_CU_MEM_LOCATION_TYPE_DEVICE, .id = device->handle},
	};
}

static bool granularity(struct gd_device *device, uint64_t *out_bytes, struct gd_error *error)
{
	struct gd_cu_allocation_prop prop = allocation_prop(device);
	size_t bytes = 0;
	gd_cu_result result =
	    device->driver->mem_granularity(&bytes, &prop, GD_CU_MEM_ALLOC_GRANULARITY_MINIMUM);
	if (!gd_cuda_check(device, result, "cuMemGetAllocationGranularity", error))
		return false;
	*out_bytes = bytes ? bytes : 1;
	return true;
}

/* Take the mapping at `pointer` down; its last step frees the addresses. */
static void unmap(struct gd_device *device, gd_cu_pointer pointer, uint64_t bytes)
{
	device->driver->mem_unmap(pointer, bytes);
	device->driver->mem_address_free(pointer, bytes);
}

static bool map(struct gd_device *device, const struct gd_chunk *chunk, int access,
		gd_cu_pointer *out_pointer, struct gd_error *error)
{
	const struct gd_cuda_driver *driver = device->driver;
	struct gd_cu_access rights = {
	    .location = {.type = GD_CU_MEM_LOCATION_TYPE_DEVICE, .id = device->handle}, .flags = access};
	gd_cu_pointer pointer = 0;
	if (!gd_cuda_check(device, driver->mem_reserve(&pointer, chunk->bytes, 0, 0, 0),
			   "cuMemAddressReserve", error))
		return false;
	if (!gd_cuda_check(device, driver->mem_map(pointer, chunk->bytes, 0, chunk->allocation, 0),
			   "cuMemMap", error)) {
		driver->mem_address_free(pointer, chunk->bytes);
		return false;
	}
	if (!gd_cuda_check(device, driver->mem_set_access(pointer, chunk->bytes, &rights, 1),
			   "cuMemSetAccess", error)) {
		unmap(device, pointer, chunk->bytes);
		return false;
	}
	*out_pointer = pointer;
	return true;
}

/* Map both ways. Without the read-only mapping kernels read through the writable one, which is no failure. */
static bool map_both(struct gd_device *device, struct gd_chunk *chunk, struct gd_error *error)
{
	struct gd_error ignored;
	if (!map(device, chunk, GD_CU_MEM_ACCESS_FLAGS_PROT_READWRITE, &chunk->writable, error))
		return false;
	if (!map(device, chunk, GD_CU_MEM_ACCESS_FLAGS_PROT_READ, &chunk->readable, &ignored)) {
		if (ignored.sticky) {
			if (error)
				*error = ignored;
			return false;
		}
		chunk->readable = chunk->writable;
	}
	return true;
}

static void release(struct gd_device *device, struct gd_chunk *chunk)
{
	const struct gd_cuda_driver *driver = device->driver;
	if (chunk->has_allocation) {
		if (chunk->readable && chunk->readable != chunk->writable)
			unmap(device, chunk->readable, chunk->bytes);
		if (chunk->writable)
			unmap(device, chunk->writable, chunk->bytes);
		driver->mem_release(chunk->allocation);
	} else if (chunk->writable) {
		driver->mem_free(chunk->writable);
	}
	free(chunk);
}

void gd_cuda_chunk_free(struct gd_device *device, struct gd_chunk *chunk)
{
	if (!chunk)
		return;
	gd_cuda_enter_to_free(device);
	release(device, chunk);
}

void gd_cuda_limbo_reap(struct gd_device *device, bool all)
{
	if (!device->limbo || (!all && device->driver->event_query(device->control_done) != GD_CUDA_SUCCESS))
		return;
	while (device->limbo) {
		struct gd_chunk *chunk = device->limbo;
		device->limbo = chunk->next;
		release(device, chunk);
	}
}

/* Fill with zeroes and wait. *out_is_pending says, on failure, that the device may still write the chunk. */
static bool zero_chunk(struct gd_device *device, const struct gd_chunk *chunk, bool *out_is_pending,
		       struct gd_error *error)
{
	const struct gd_cuda_driver *driver = device->driver;
	if (!gd_cuda_check(device, driver->fill(chunk->writable, 0, chunk->bytes, device->control),
			   "cuMemsetD8Async", error))
		return false;
	*out_is_pending = true;
	if (!gd_cuda_check(device, driver->event_record(device->control_done, device->control),
			   "cuEventRecord", error))
		return false;
	for (uint64_t deadline = gd_now_ns() + ZERO_DEADLINE_NS; gd_now_ns() < deadline;) {
		gd_cu_result result = driver->event_query(device->control_done);
		if (result != GD_CUDA_ERROR_NOT_READY) {
			*out_is_pending = false;
			return gd_cuda_check(device, result, "zeroing a chunk", error);
		}
		nanosleep(&(struct timespec){.tv_nsec = (long)ZERO_NAP_NS}, NULL);
	}
	return gd_error_set(error, GD_OVERLOADED, "Try again when the kernels that run now have ended.",
			    "the device was too busy to zero new memory within %llu ms",
			    (unsigned long long)(ZERO_DEADLINE_NS / GD_NS_PER_MS));
}

static bool make_vmm(struct gd_device *device, struct gd_chunk *chunk, int *out_fd, struct gd_error *error)
{
	const struct gd_cuda_driver *driver = device->driver;
	struct gd_cu_allocation_prop prop = allocation_prop(device);
	if (!gd_cuda_check(device, driver->mem_create(&chunk->allocation, chunk->bytes, &prop, 0),
			   "cuMemCreate", error))
		return false;
	chunk->has_allocation = true;
	if (!map_both(device, chunk, error))
		return false;
	if (!device->can_export)
		return true;
	int fd = -1;
	gd_cu_result result =
	    driver->mem_export(&fd, chunk->allocation, GD_CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
	if (!gd_cuda_check(device, result, "cuMemExportToShareableHandle", error))
		return false;
	*out_fd = fd;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return gd_error_errno(error, errno, "the descriptor of a chunk");
	return true;
}

bool gd_cuda_chunk_new(struct gd_device *device, uint64_t bytes, struct gd_chunk **out_chunk,
		       uint64_t *out_bytes, int *out_fd, struct gd_error *error)
{
	if (!gd_cuda_enter(device, error))
		return false;
	gd_cuda_limbo_reap(device, false);
	uint64_t unit = GD_CUDA_ALIGNMENT;
	if (device->has_vmm && !granularity(device, &unit, error))
		return false;
	if (!bytes || bytes > device->memory_bytes)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, "Ask for less than the device has.",
				    "%llu bytes of device memory: the device has %llu",
				    (unsigned long long)bytes, (unsigned long long)device->memory_bytes);
	gd_auto_close int fd = -1;
	struct gd_chunk *chunk = calloc(1, sizeof *chunk);
	if (!chunk)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL, "no memory for a chunk");
	chunk->bytes = (bytes + unit - 1) / unit * unit;
	bool is_made, is_pending = false;
	if (device->has_vmm)
		is_made = make_vmm(device, chunk, &fd, error);
	else
		is_made = gd_cuda_check(device, device->driver->mem_alloc(&chunk->writable, chunk->bytes),
					"cuMemAlloc", error);
	if (!chunk->readable)
		chunk->readable = chunk->writable;
	if (!is_made || !zero_chunk(device, chunk, &is_pending, error)) {
		if (is_pending) {
			chunk->next = device->limbo;
			device->limbo = chunk;
		} else {
			release(device, chunk);
		}
		return false;
	}
	*out_bytes = chunk->bytes;
	*out_fd = gd_move_fd(&fd);
	*out_chunk = chunk;
	return true;
}

bool gd_cuda_chunk_import(struct gd_device *device, int fd, uint64_t bytes, struct gd_chunk **out_chunk,
			  struct gd_error *error)
{
	uint64_t unit;
	if (!gd_cuda_enter(device, error))
		return false;
	if (!device->can_export)
		return gd_error_set(error, GD_UNSUPPORTED_FEATURE, NULL,
				    "this device cannot take over memory of another process");
	if (!granularity(device, &unit, error))
		return false;
	if (fd < 0 || !bytes || bytes % unit)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "a chunk of %llu bytes cannot be imported", (unsigned long long)bytes);
	struct gd_chunk *chunk = calloc(1, sizeof *chunk);
	if (!chunk)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL, "no memory for a chunk");
	chunk->bytes = bytes;
	gd_cu_result result = device->driver->mem_import(&chunk->allocation, (void *)(intptr_t)fd,
							 GD_CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
	chunk->has_allocation = result == GD_CUDA_SUCCESS;
	if (!gd_cuda_check(device, result, "cuMemImportFromShareableHandle", error) ||
	    !map_both(device, chunk, error)) {
		release(device, chunk);
		return false;
	}
	*out_chunk = chunk;
	return true;
}
