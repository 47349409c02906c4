/*
 * One launch as the driver wants it: checked against kernel and device, its launch block patched with
 * addresses.
 *
 * Nothing here waits. Pump thread of the stream concerned.
 */
#ifndef GD_DEVICE_CUDA_LAUNCH_H
#define GD_DEVICE_CUDA_LAUNCH_H

#include "gpu/device/cuda/placement.h"

/* A private launch block; the pointers into it are what cooperative launches take instead of the block. */
struct gd_cuda_block {
	_Alignas(64) uint8_t bytes[GD_PARAM_BYTES_MAX];
	void *params[GD_PARAMS_MAX];
};

/*
 * Check grid, workgroup, shared memory, launch block and the buffers' parameters against the kernel and the
 * device. Fails: GD_INVALID_REQUEST (grid, workgroup, shared memory), GD_INTERNAL_STATE (a launch block that
 * does not fit).
 */
bool gd_cuda_launch_check(const struct gd_device *device, const struct gd_launch *launch,
			  struct gd_error *error);

/*
 * Check that all blocks of a cooperative launch can be resident; true for any other launch.
 * Fails: GD_COOPERATIVE_RESIDENCY_EXCEEDED, GD_UNSUPPORTED_FEATURE.
 */
bool gd_cuda_launch_check_residency(struct gd_device *device, const struct gd_launch *launch,
				    struct CUfunc_st *function, struct gd_error *error);

/* Copy the launch block, its buffers' parameters zeroed. */
void gd_cuda_launch_copy(const struct gd_launch *launch, struct gd_cuda_block *block);

/* Write the buffers' addresses into the copy. */
void gd_cuda_launch_patch(const struct gd_launch *launch, const struct gd_cuda_placement *placement,
			  struct gd_cuda_block *block);

/* Enqueue the kernel once. Fails: the driver's errors; GD_INVALID_REQUEST for a configuration the kernel
 * refuses. */
bool gd_cuda_launch_enqueue(struct gd_device *device, const struct gd_launch *launch,
			    struct CUfunc_st *function, struct gd_cuda_block *block,
			    struct CUstream_st *stream, struct gd_error *error);

#endif
