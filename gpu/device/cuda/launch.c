#include "gpu/device/cuda/launch.h"

#include <stdio.h>
#include <string.h>

static bool check_shape(const struct gd_device *device, const struct gd_launch *launch,
			struct gd_error *error)
{
	uint64_t threads = 1;
	for (int i = 0; i < 3; i++) {
		if (!launch->grid[i] || launch->grid[i] > device->max_grid[i])
			return gd_error_set(error, GD_INVALID_REQUEST,
					    "Keep the grid inside the limits of GET /devices.",
					    "grid %c is %u; the device allows 1 to %u", 'x' + i,
					    launch->grid[i], device->max_grid[i]);
		if (!launch->block[i] || launch->block[i] > device->max_block[i])
			return gd_error_set(error, GD_INVALID_REQUEST,
					    "Keep the workgroup inside the limits of GET /devices.",
					    "workgroup %c is %u; the device allows 1 to %u", 'x' + i,
					    launch->block[i], device->max_block[i]);
		threads *= launch->block[i];
	}
	if (threads > launch->module->info.max_threads)
		return gd_error_set(error, GD_INVALID_REQUEST, "Use a smaller workgroup.",
				    "the workgroup has %llu threads; this kernel allows %u",
				    (unsigned long long)threads, launch->module->info.max_threads);
	if (launch->shared_bytes > launch->module->info.max_dynamic_shared_bytes)
		return gd_error_set(error, GD_INVALID_REQUEST, "Ask for less dynamic shared memory.",
				    "%u bytes of dynamic shared memory; this kernel may have %u",
				    launch->shared_bytes, launch->module->info.max_dynamic_shared_bytes);
	return true;
}

/* Buffers usually come in parameter order, so that the search for each begins where the last one ended. */
static bool check_params(const struct gd_launch *launch, struct gd_error *error)
{
	const struct gd_kernel_info *info = &launch->module->info;
	uint32_t at = 0;
	for (uint32_t i = 0; i < launch->buffer_count; i++) {
		uint32_t steps = 0;
		while (steps < info->param_count &&
		       info->params[at].offset != launch->buffers[i].param_offset) {
			at = at + 1 == info->param_count ? 0 : at + 1;
			steps++;
		}
		if (steps == info->param_count || info->params[at].size != sizeof(gd_cu_pointer))
			return gd_error_set(error, GD_INTERNAL_STATE, NULL,
					    "buffer %u of the launch belongs to no pointer parameter", i);
	}
	return true;
}

bool gd_cuda_launch_check(const struct gd_device *device, const struct gd_launch *launch,
			  struct gd_error *error)
{
	const struct gd_kernel_info *info = &launch->module->info;
	if (!launch->iterations)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "a launch of no iterations");
	if (launch->param_bytes != info->param_bytes || (launch->param_bytes && !launch->params))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "a launch block of %u bytes; the kernel takes %u", launch->param_bytes,
				    info->param_bytes);
	return check_shape(device, launch, error) && check_params(launch, error);
}

bool gd_cuda_launch_check_residency(struct gd_device *device, const struct gd_launch *launch,
				    struct CUfunc_st *function, struct gd_error *error)
{
	if (!launch->cooperative)
		return true;
	if (!device->has_cooperative)
		return gd_error_set(error, GD_UNSUPPORTED_FEATURE, "Launch without cooperative.",
				    "the device has no cooperative launches");
	uint64_t blocks = 1;
	for (int i = 0; i < 3; i++)
		if (__builtin_mul_overflow(blocks, (uint64_t)launch->grid[i], &blocks))
			blocks = UINT64_MAX;
	int threads = (int)(launch->block[0] * launch->block[1] * launch->block[2]);
	int resident = 0;
	gd_cu_result result = device->driver->occupancy(&resident, function, threads, launch->shared_bytes);
	if (!gd_cuda_check(device, result, "cuOccupancyMaxActiveBlocksPerMultiprocessor", error))
		return false;
	uint64_t limit = resident > 0 ? (uint64_t)resident * device->multiprocessors : 0;
	if (blocks <= limit)
		return true;
	return gd_error_set(error, GD_COOPERATIVE_RESIDENCY_EXCEEDED,
			    "Launch fewer or smaller blocks, or use less shared memory.",
			    "a cooperative launch of %llu blocks; %llu of them can be resident",
			    (unsigned long long)blocks, (unsigned long long)limit);
}

void gd_cuda_launch_copy(const struct gd_launch *launch, struct gd_cuda_block *block)
{
	if (launch->param_bytes)
		memcpy(block->bytes, launch->params, launch->param_bytes);
	for (uint32_t i = 0; i < launch->buffer_count; i++)
		memset(block->bytes + launch->buffers[i].param_offset, 0, sizeof(gd_cu_pointer));
}

void gd_cuda_launch_patch(const struct gd_launch *launch, const struct gd_cuda_placement *placement,
			  struct gd_cuda_block *block)
{
	const struct gd_kernel_info *info = &launch->module->info;
	for (uint32_t i = 0; i < launch->buffer_count; i++)
		memcpy(block->bytes + launch->buffers[i].param_offset, &placement->places[i].address,
		       sizeof placement->places[i].address);
	if (launch->cooperative)
		for (uint32_t i = 0; i < info->param_count; i++)
			block->params[i] = block->bytes + info->params[i].offset;
}

bool gd_cuda_launch_enqueue(struct gd_device *device, const struct gd_launch *launch,
			    struct CUfunc_st *function, struct gd_cuda_block *block,
			    struct CUstream_st *stream, struct gd_error *error)
{
	const uint32_t *grid = launch->grid, *threads = launch->block;
	size_t bytes = launch->param_bytes;
	void *extra[] = {GD_CU_LAUNCH_PARAM_BUFFER_POINTER, block->bytes, GD_CU_LAUNCH_PARAM_BUFFER_SIZE,
			 &bytes, GD_CU_LAUNCH_PARAM_END};
	gd_cu_result result;
	if (launch->cooperative)
		result = device->driver->launch_cooperative(function, grid[0], grid[1], grid[2], threads[0],
							    threads[1], threads[2], launch->shared_bytes,
							    stream, block->params);
	else
		result = device->driver->launch(function, grid[0], grid[1], grid[2], threads[0], threads[1],
						threads[2], launch->shared_bytes, stream, NULL,
						bytes ? extra : NULL);
	if (gd_cuda_check(device, result, "launching the kernel", error))
		return true;
	if (error && result == GD_CUDA_ERROR_INVALID_VALUE) {
		error->code = GD_INVALID_REQUEST;
		snprintf(error->text, sizeof error->text,
			 "the kernel cannot be launched with this grid, workgroup and shared memory (%s, %d)",
			 error->native_name, result);
		snprintf(
		    error->fix, sizeof error->fix, "%s",
		    "Use the workgroup that the kernel's __cluster_dims__ and block size attributes demand.");
	}
	return false;
}
