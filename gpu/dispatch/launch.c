#include "gpu/dispatch/launch.h"

static const char axis_names[3] = {'x', 'y', 'z'};

bool gd_block_check(const struct gd_device_info *device, const uint64_t block[3], struct gd_error *error)
{
	for (int i = 0; i < 3; i++) {
		if (block[i] >= 1 && block[i] <= device->max_block[i])
			continue;
		gd_error_set(error, GD_INVALID_REQUEST,
			     "Choose a workgroup size within the device's limits (GET /devices).",
			     "workgroup size %c is %llu, and must be 1 to %u", axis_names[i],
			     (unsigned long long)block[i], device->max_block[i]);
		return gd_error_at(error, "/workgroup_size/%d", i);
	}
	/* each axis is at most 2^32 - 1 here, so only the third product could wrap */
	uint64_t threads = block[0] * block[1];
	if (threads > device->max_threads_per_block || threads * block[2] > device->max_threads_per_block) {
		gd_error_set(error, GD_INVALID_REQUEST, "Make the product of the three axes smaller.",
			     "a workgroup of %llu x %llu x %llu threads is over the device's %u",
			     (unsigned long long)block[0], (unsigned long long)block[1],
			     (unsigned long long)block[2], device->max_threads_per_block);
		return gd_error_at(error, "/workgroup_size");
	}
	return true;
}

bool gd_launch_check(const struct gd_device_info *device, const struct gd_kernel_info *info,
		     const uint64_t grid[3], const uint64_t block[3], uint64_t shared_bytes,
		     struct gd_error *error)
{
	if (!gd_block_check(device, block, error))
		return false;
	uint64_t threads = block[0] * block[1] * block[2];
	if (info && info->max_threads && threads > info->max_threads) {
		gd_error_set(
		    error, GD_INVALID_REQUEST,
		    "Use a smaller workgroup, or compile with --maxrregcount to use fewer registers.",
		    "a workgroup of %llu threads is over the %u that this kernel's registers allow",
		    (unsigned long long)threads, info->max_threads);
		return gd_error_at(error, "/workgroup_size");
	}
	for (int i = 0; i < 3; i++) {
		if (grid[i] >= 1 && grid[i] <= device->max_grid[i])
			continue;
		gd_error_set(error, GD_INVALID_REQUEST,
			     "Choose a grid within the device's limits (GET /devices).",
			     "grid %c is %llu, and must be 1 to %u", axis_names[i],
			     (unsigned long long)grid[i], device->max_grid[i]);
		return gd_error_at(error, "/grid/%d", i);
	}
	uint64_t shared_max = info ? info->max_dynamic_shared_bytes : device->max_shared_optin_bytes;
	if (shared_bytes > shared_max) {
		gd_error_set(
		    error, GD_INVALID_REQUEST, "Ask for less dynamic shared memory.",
		    "%llu bytes of dynamic shared memory are over the %llu that this kernel may have",
		    (unsigned long long)shared_bytes, (unsigned long long)shared_max);
		return gd_error_at(error, "/shared_bytes");
	}
	return true;
}
