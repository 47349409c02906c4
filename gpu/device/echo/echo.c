#include "gpu/device/echo/echo.h"

#include "gpu/base/cleanup.h"

#include <stdio.h>
#include <unistd.h>

bool gd_echo_device_is_usable(struct gd_device *device, struct gd_error *error)
{
	if (!atomic_load(&device->is_lost))
		return true;
	gd_error_set(error, GD_DISPATCH_FAILED, "Remove the fault directive.",
		     "the kernel faulted as told; the device is lost to this process");
	return gd_error_native(error, GD_ECHO_NATIVE_FAULT_STICKY, "ECHO_FAULT_STICKY", true);
}

static uint32_t echo_count(struct gd_error *error)
{
	(void)error;
	return 1;
}

static bool echo_open(uint32_t ordinal, struct gd_device **out_device, struct gd_device_info *out_info,
		      struct gd_error *error)
{
	if (ordinal)
		return gd_error_set(error, GD_BACKEND_UNAVAILABLE, "Use device 0.",
				    "there is no echo device %u", ordinal);
	struct gd_device *device = calloc(1, sizeof *device);
	if (!device)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL, "no memory for the echo device");
	long pages = sysconf(_SC_PHYS_PAGES), free_pages = sysconf(_SC_AVPHYS_PAGES);
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	*out_info = (struct gd_device_info){
	    .compute_major =
		9, /* limits of compute capability 9.0: CUDA C++ Programming Guide, table of them */
	    .memory_bytes = pages > 0 ? (uint64_t)pages * page_bytes : 0,
	    .memory_free_bytes = free_pages > 0 ? (uint64_t)free_pages * page_bytes : 0,
	    .max_threads_per_block = 1024,
	    .max_block = {1024, 1024, 64},
	    .max_grid = {2147483647u, 65535, 65535},
	    .max_shared_bytes = 49152,
	    .max_shared_optin_bytes = GD_ECHO_SHARED_OPTIN,
	    .registers_per_block = 65536,
	    .multiprocessors = GD_ECHO_MULTIPROCESSORS,
	    .warp_size = 32,
	    .can_export = true,
	};
	snprintf(out_info->id, sizeof out_info->id, "echo");
	snprintf(out_info->name, sizeof out_info->name, "echo (copies inputs to outputs)");
	snprintf(out_info->architecture, sizeof out_info->architecture, "echo");
	*out_device = device;
	return true;
}

static void echo_close(struct gd_device *device)
{
	free(device);
}

static bool echo_slabs(struct gd_device *device, const void *in, size_t in_bytes, void *out, size_t out_bytes,
		       struct gd_error *error)
{
	if (!gd_echo_device_is_usable(device, error))
		return false;
	if (device->in)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "the slabs were announced before");
	device->in = in;
	device->in_bytes = in_bytes;
	device->out = out;
	device->out_bytes = out_bytes;
	return true;
}

static bool echo_module_load(struct gd_device *device, const struct gd_image *image,
			     struct gd_module **out_module, struct gd_kernel_info *out_info,
			     struct gd_error *error)
{
	if (!gd_echo_device_is_usable(device, error))
		return false;
	gd_auto_free struct gd_module *module = calloc(1, sizeof *module);
	if (!module)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL, "no memory for a module");
	if (!gd_echo_image_read(image, &module->image, &module->info, error))
		return false;
	if (module->image.refuses)
		return gd_error_set(error, GD_UNSUPPORTED_FEATURE, "Remove the refuse directive.",
				    "the image asks to be refused");
	struct gd_kernel_info *info = &module->info;
	info->registers = 16;
	info->max_threads = module->image.max_threads;
	info->max_dynamic_shared_bytes = GD_ECHO_SHARED_OPTIN;
	info->occupancy_threads = image->occupancy_threads;
	if (image->occupancy_threads && image->occupancy_threads <= 1024)
		info->occupancy_blocks = GD_ECHO_THREADS_PER_MP / image->occupancy_threads < 32
					     ? GD_ECHO_THREADS_PER_MP / image->occupancy_threads
					     : 32;
	*out_info = *info;
	*out_module = gd_move(module);
	return true;
}

static void echo_module_free(struct gd_device *device, struct gd_module *module)
{
	(void)device;
	free(module);
}

const struct gd_device_ops gd_device_echo_ops = {
    .kind = GD_DEVICE_ECHO,
    .name = "echo",
    .count = echo_count,
    .open = echo_open,
    .close = echo_close,
    .slabs = echo_slabs,
    .chunk_new = gd_echo_chunk_new,
    .chunk_import = gd_echo_chunk_import,
    .chunk_free = gd_echo_chunk_free,
    .module_load = echo_module_load,
    .module_free = echo_module_free,
    .stream_new = gd_echo_stream_new,
    .stream_free = gd_echo_stream_free,
    .submit = gd_echo_submit,
    .poll = gd_echo_poll,
    .copy = gd_echo_copy,
    .zero = gd_echo_zero,
};
