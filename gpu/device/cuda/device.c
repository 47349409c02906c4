/* Opening and closing, what the device says of itself, and the slabs. */
#include "gpu/device/cuda/placement.h"

#include "gpu/base/cleanup.h"
#include "gpu/device/cuda/result.h"

#include <stdio.h>
#include <string.h>

static uint32_t cuda_count(struct gd_error *error)
{
	const struct gd_cuda_driver *driver = gd_cuda_driver_get(error);
	int count = 0;
	if (!driver)
		return 0;
	gd_cu_result result = driver->device_count(&count);
	if (result == GD_CUDA_SUCCESS && count > 0)
		return (uint32_t)count;
	gd_cuda_error(error, result == GD_CUDA_SUCCESS ? GD_CUDA_ERROR_NO_DEVICE : result,
		      "cuDeviceGetCount");
	return 0;
}

static gd_cu_result make_current(struct gd_device *device)
{
	static _Thread_local uint64_t current;
	if (current == device->serial)
		return GD_CUDA_SUCCESS;
	gd_cu_result result = device->driver->ctx_set_current(device->context);
	if (result == GD_CUDA_SUCCESS)
		current = device->serial;
	return result;
}

bool gd_cuda_enter(struct gd_device *device, struct gd_error *error)
{
	int lost = atomic_load_explicit(&device->lost, memory_order_relaxed);
	if (lost)
		return gd_cuda_error(error, lost, "the device was lost to this process before");
	return gd_cuda_check(device, make_current(device), "cuCtxSetCurrent", error);
}

void gd_cuda_enter_to_free(struct gd_device *device)
{
	(void)make_current(device);
}

bool gd_cuda_check(struct gd_device *device, gd_cu_result result, const char *doing, struct gd_error *error)
{
	if (result == GD_CUDA_SUCCESS)
		return true;
	int none = 0;
	if (gd_cuda_verdict_of(result)->sticky)
		atomic_compare_exchange_strong(&device->lost, &none, result);
	return gd_cuda_error(error, result, doing);
}

/* An attribute as a count; 0 where the driver does not know it or says nonsense. */
static uint32_t attribute(const struct gd_device *device, int name)
{
	int value = 0;
	if (device->driver->device_attribute(&value, name, device->handle) != GD_CUDA_SUCCESS || value < 0)
		return 0;
	return (uint32_t)value;
}

static void describe_limits(struct gd_device *device, struct gd_device_info *info)
{
	info->compute_major = (int)attribute(device, GD_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
	info->compute_minor = (int)attribute(device, GD_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
	info->max_threads_per_block = attribute(device, GD_CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
	for (int i = 0; i < 3; i++) {
		info->max_block[i] = attribute(device, GD_CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i);
		info->max_grid[i] = attribute(device, GD_CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i);
		device->max_block[i] = info->max_block[i];
		device->max_grid[i] = info->max_grid[i];
	}
	info->max_shared_bytes = attribute(device, GD_CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
	info->max_shared_optin_bytes =
	    attribute(device, GD_CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
	if (info->max_shared_optin_bytes < info->max_shared_bytes)
		info->max_shared_optin_bytes = info->max_shared_bytes;
	info->registers_per_block = attribute(device, GD_CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK);
	info->multiprocessors = attribute(device, GD_CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
	info->warp_size = attribute(device, GD_CU_DEVICE_ATTRIBUTE_WARP_SIZE);
	info->pageable_memory_access = attribute(device, GD_CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS);
	device->max_shared_bytes = info->max_shared_bytes;
	device->max_shared_optin_bytes = info->max_shared_optin_bytes;
	device->multiprocessors = info->multiprocessors;
	device->threads_per_multiprocessor =
	    attribute(device, GD_CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
}

static void describe_features(struct gd_device *device, struct gd_device_info *info)
{
	const struct gd_cuda_driver *driver = device->driver;
	device->has_cooperative = attribute(device, GD_CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH);
	device->has_read_only_register =
	    attribute(device, GD_CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED);
	device->has_pools = driver->mem_alloc_async && driver->mem_free_async &&
			    attribute(device, GD_CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED);
	device->has_vmm = driver->mem_granularity && driver->mem_create && driver->mem_release &&
			  driver->mem_reserve && driver->mem_address_free && driver->mem_map &&
			  driver->mem_unmap && driver->mem_set_access &&
			  attribute(device, GD_CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED);
	device->can_export =
	    device->has_vmm && driver->mem_export && driver->mem_import &&
	    attribute(device, GD_CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED);
	info->can_export = device->can_export;
}

static void write_uuid(char *text, size_t bytes, const struct gd_cu_uuid *uuid)
{
	static const uint8_t dash_before[16] = {[4] = 1, [6] = 1, [8] = 1, [10] = 1};
	size_t used = (size_t)snprintf(text, bytes, "GPU-");
	for (size_t i = 0; i < sizeof uuid->bytes && used < bytes; i++)
		used += (size_t)snprintf(text + used, bytes - used, "%s%02x", dash_before[i] ? "-" : "",
					 uuid->bytes[i]);
}

static bool describe(struct gd_device *device, struct gd_device_info *info, struct gd_error *error)
{
	const struct gd_cuda_driver *driver = device->driver;
	struct gd_cu_uuid uuid;
	size_t total = 0, unused = 0;
	if (!gd_cuda_check(device, driver->device_name(info->name, sizeof info->name, device->handle),
			   "cuDeviceGetName", error) ||
	    !gd_cuda_check(device, driver->device_uuid(&uuid, device->handle), "cuDeviceGetUuid", error) ||
	    !gd_cuda_check(device, driver->device_total_memory(&total, device->handle), "cuDeviceTotalMem",
			   error) ||
	    !gd_cuda_check(device, driver->mem_info(&unused, &total), "cuMemGetInfo", error))
		return false;
	info->name[sizeof info->name - 1] = '\0';
	info->memory_bytes = total;
	info->memory_free_bytes = unused;
	device->memory_bytes = total;
	write_uuid(info->id, sizeof info->id, &uuid);
	describe_limits(device, info);
	describe_features(device, info);
	if (!info->compute_major || !info->max_threads_per_block || !info->multiprocessors ||
	    !attribute(device, GD_CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING))
		return gd_error_set(error, GD_BACKEND_UNAVAILABLE,
				    "Use a GPU that the installed driver supports.",
				    "the driver does not tell what device %d can do", device->handle);
	snprintf(info->architecture, sizeof info->architecture, "sm_%d%d", info->compute_major,
		 info->compute_minor);
	snprintf(info->driver, sizeof info->driver, "%d.%d", driver->version / 1000,
		 driver->version % 1000 / 10);
	return true;
}

static void cuda_close(struct gd_device *device)
{
	if (!device)
		return;
	const struct gd_cuda_driver *driver = device->driver;
	if (device->context) {
		gd_cuda_enter_to_free(device);
		gd_cuda_limbo_reap(device, true);
		if (device->control_done)
			driver->event_destroy(device->control_done);
		if (device->control)
			driver->stream_destroy(device->control);
		if (device->in_is_registered)
			driver->host_unregister((void *)(uintptr_t)device->in);
		if (device->out_is_registered)
			driver->host_unregister(device->out);
		driver->primary_release(device->handle);
	}
	free(device);
}

static void cuda_close_scoped(struct gd_device **device)
{
	cuda_close(*device);
}

static bool open_context(struct gd_device *device, struct gd_error *error)
{
	const struct gd_cuda_driver *driver = device->driver;
	/*
	 * Launches are waited for by polling events, which the flag does not touch (H100: 12.2 to 13.2 us a
	 * launch under each of the four); it rules only the few waits inside the driver. It cannot be set
	 * where something in the process holds the context already, and need not be.
	 */
	(void)driver->primary_set_flags(device->handle, GD_CU_CTX_SCHED_AUTO);
	return gd_cuda_check(device, driver->primary_retain(&device->context, device->handle),
			     "cuDevicePrimaryCtxRetain", error) &&
	       gd_cuda_enter(device, error) &&
	       gd_cuda_check(device, driver->stream_create(&device->control, GD_CU_STREAM_NON_BLOCKING),
			     "cuStreamCreate", error) &&
	       gd_cuda_check(device, driver->event_create(&device->control_done, GD_CU_EVENT_DISABLE_TIMING),
			     "cuEventCreate", error);
}

static bool cuda_open(uint32_t ordinal, struct gd_device **out_device, struct gd_device_info *out_info,
		      struct gd_error *error)
{
	static _Atomic uint64_t last_serial;
	uint32_t count = cuda_count(error);
	if (!count)
		return false;
	if (ordinal >= count)
		return gd_error_set(error, GD_BACKEND_UNAVAILABLE, "Name a device that GET /devices lists.",
				    "there is no CUDA device %u, only %u", ordinal, count);
	__attribute__((cleanup(cuda_close_scoped))) struct gd_device *device = calloc(1, sizeof *device);
	struct gd_device_info info = {0};
	if (!device)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL, "no memory for a device");
	device->driver = gd_cuda_driver_get(error);
	device->serial = atomic_fetch_add(&last_serial, 1) + 1;
	device->small_bytes_max = GD_CUDA_SMALL_BYTES_MAX;
	gd_cu_result result = device->driver->device_get(&device->handle, (int)ordinal);
	if (!gd_cuda_check(device, result, "cuDeviceGet", error) || !open_context(device, error) ||
	    !describe(device, &info, error)) {
		/* Whatever it was, the caller can only do without this device. */
		if (error && error->code != GD_DEVICE_OUT_OF_MEMORY)
			error->code = GD_BACKEND_UNAVAILABLE;
		return false;
	}
	*out_info = info;
	*out_device = gd_move(device);
	return true;
}

/*
 * Pin a mapping, so that copies run at full speed and without the driver's waiting. The driver pins it
 * writable unless told otherwise, which fails for a read-only mapping; where the device knows the read-only
 * flag, that is also what keeps kernels from changing the inputs.
 */
static bool register_slab(struct gd_device *device, void *start, size_t bytes, bool is_read_only,
			  struct gd_error *error)
{
	const struct gd_cuda_driver *driver = device->driver;
	unsigned flags = GD_CU_MEMHOSTREGISTER_DEVICEMAP | GD_CU_MEMHOSTREGISTER_PORTABLE;
	gd_cu_result result = GD_CUDA_ERROR_NOT_SUPPORTED;
	if (is_read_only && device->has_read_only_register)
		result = driver->host_register(start, bytes, flags | GD_CU_MEMHOSTREGISTER_READ_ONLY);
	if (result != GD_CUDA_SUCCESS && !gd_cuda_verdict_of(result)->sticky)
		result = driver->host_register(start, bytes, flags);
	return gd_cuda_check(device, result, "cuMemHostRegister of a slab", error);
}

static bool cuda_slabs(struct gd_device *device, const void *in, size_t in_bytes, void *out, size_t out_bytes,
		       struct gd_error *error)
{
	struct gd_error ignored;
	if (!gd_cuda_enter(device, error))
		return false;
	if (device->in || device->out)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "the slabs were announced before");
	if (!in || !in_bytes || !out || !out_bytes)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "a slab is empty");
	/* A copy into memory that is not pinned would wait for the kernel before it; one out of it is only
	 * slower. */
	if (!register_slab(device, out, out_bytes, false, error))
		return false;
	device->in_is_registered = register_slab(device, (void *)(uintptr_t)in, in_bytes, true, &ignored);
	if (!device->in_is_registered && ignored.sticky) {
		device->driver->host_unregister(out);
		if (error)
			*error = ignored;
		return false;
	}
	device->out_is_registered = true;
	device->in = in;
	device->in_bytes = in_bytes;
	device->out = out;
	device->out_bytes = out_bytes;
	return true;
}

const struct gd_device_ops gd_device_cuda_ops = {
    .kind = GD_DEVICE_CUDA,
    .name = "cuda",
    .count = cuda_count,
    .open = cuda_open,
    .close = cuda_close,
    .slabs = cuda_slabs,
    .chunk_new = gd_cuda_chunk_new,
    .chunk_import = gd_cuda_chunk_import,
    .chunk_free = gd_cuda_chunk_free,
    .module_load = gd_cuda_module_load,
    .module_free = gd_cuda_module_free,
    .stream_new = gd_cuda_stream_new,
    .stream_free = gd_cuda_stream_free,
    .submit = gd_cuda_submit,
    .poll = gd_cuda_poll,
    .copy = gd_cuda_copy,
    .zero = gd_cuda_zero,
};
