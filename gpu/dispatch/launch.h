/* Checks of a launch against the device's and the kernel's limits, before anything runs. Pure; any thread. */
#ifndef GD_DISPATCH_LAUNCH_H
#define GD_DISPATCH_LAUNCH_H

#include "gpu/device/device.h"

/*
 * Block axes 1 to the device's, their product to the device's and the kernel's max_threads; grid axes 1 to
 * the device's; dynamic shared memory to what the kernel may ask for. `info` may be NULL before the kernel is
 * known. Fails: GD_INVALID_REQUEST with pointer "/workgroup_size", "/grid" or "/shared_bytes".
 */
bool gd_launch_check(const struct gd_device_info *device, const struct gd_kernel_info *info,
		     const uint64_t grid[3], const uint64_t block[3], uint64_t shared_bytes,
		     struct gd_error *error);

/* Only the block axes (the compile request's workgroup size). */
bool gd_block_check(const struct gd_device_info *device, const uint64_t block[3], struct gd_error *error);

#endif
