/*
 * Modules: an image handed to the driver, and what its kernel says of itself.
 *
 * A program without variables of its own in device memory has one instance, which all streams launch. Any
 * other gets a fresh instance for each dispatch, so that its variables start from their initial values and no
 * two dispatches see each other's.
 */
#include "gpu/device/cuda/context.h"

#include "gpu/base/cleanup.h"
#include "gpu/device/cuda/image.h"

#include <stdio.h>
#include <string.h>

#define JIT_LOG_BYTES 8192u

/*
 * The share of the device's memory that the local memory of one kernel may take with every multiprocessor
 * full. The driver keeps what it once reserved, so a single kernel could otherwise starve all that come after
 * it.
 */
#define LOCAL_MEMORY_SHARE 4u

/* Where the driver writes what its PTX compiler says. */
struct jit_log {
	char text[JIT_LOG_BYTES];
};

static gd_cu_result load_image(const struct gd_device *device, const struct gd_module *module,
			       struct jit_log *log, struct CUmod_st **out_module)
{
	if (module->kind == GD_IMAGE_CUBIN || !log)
		return device->driver->module_load(out_module, module->image, 0, NULL, NULL);
	int options[] = {GD_CU_JIT_ERROR_LOG_BUFFER, GD_CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	void *values[] = {log->text, (void *)(uintptr_t)(sizeof log->text - 1)};
	return device->driver->module_load(out_module, module->image, 2, options, values);
}

/* Load one instance. `log` may be NULL: then a failure of the PTX compiler goes without its words. */
static bool load_instance(struct gd_device *device, const struct gd_module *module, struct jit_log *log,
			  struct gd_cuda_instance *out_instance, struct gd_error *error)
{
	struct gd_cuda_instance instance = {0};
	gd_cu_result result = load_image(device, module, log, &instance.module);
	if (!gd_cuda_check(device, result, "loading the program", error)) {
		if (error && log && log->text[0]) {
			size_t used = strlen(error->text);
			snprintf(error->text + used, sizeof error->text - used, ": %s", log->text);
		}
		return false;
	}
	result = device->driver->module_function(&instance.function, instance.module, module->entry);
	if (result != GD_CUDA_SUCCESS) {
		gd_cuda_check(device, result, "cuModuleGetFunction", error);
		if (result == GD_CUDA_ERROR_NOT_FOUND) {
			gd_error_set(error, GD_INVALID_PROGRAM,
				     "Name a __global__ function that the program defines.",
				     "the program has no kernel \"%.200s\"", module->entry);
			gd_error_native(error, result, "CUDA_ERROR_NOT_FOUND", false);
		}
		device->driver->module_unload(instance.module);
		return false;
	}
	*out_instance = instance;
	return true;
}

/* Read the layout of the launch block from the driver, one parameter after the other until it says there is
 * none. */
static bool read_params(struct gd_device *device, struct CUfunc_st *function, struct gd_kernel_info *info,
			struct gd_error *error)
{
	if (!device->driver->func_param)
		return gd_error_set(error, GD_UNSUPPORTED_FEATURE,
				    "Install an NVIDIA driver for CUDA 12.4 or newer (release 550 or newer).",
				    "the CUDA driver (%d.%d) cannot tell a kernel's parameters",
				    device->driver->version / 1000, device->driver->version % 1000 / 10);
	for (uint32_t i = 0;; i++) {
		size_t offset = 0, bytes = 0;
		gd_cu_result result = device->driver->func_param(function, i, &offset, &bytes);
		if (result == GD_CUDA_ERROR_INVALID_VALUE)
			return true;
		if (!gd_cuda_check(device, result, "cuFuncGetParamInfo", error))
			return false;
		if (i == GD_PARAMS_MAX || offset < info->param_bytes || !bytes ||
		    !gd_cuda_fits(offset, bytes, GD_PARAM_BYTES_MAX))
			return gd_error_set(error, GD_INVALID_PROGRAM,
					    "Pass less by value, and more through buffers.",
					    "the kernel takes more than %u parameters or %u bytes of them",
					    GD_PARAMS_MAX, GD_PARAM_BYTES_MAX);
		info->params[i].offset = (uint32_t)offset;
		info->params[i].size = (uint32_t)bytes;
		info->param_count = i + 1;
		info->param_bytes = (uint32_t)(offset + bytes);
	}
}

static bool read_attribute(struct gd_device *device, struct CUfunc_st *function, int attribute,
			   uint32_t *out_value, struct gd_error *error)
{
	int value = 0;
	gd_cu_result result = device->driver->func_attribute(&value, attribute, function);
	if (!gd_cuda_check(device, result, "cuFuncGetAttribute", error))
		return false;
	*out_value = value > 0 ? (uint32_t)value : 0;
	return true;
}

static bool check_local_memory(const struct gd_device *device, const struct gd_kernel_info *info,
			       struct gd_error *error)
{
	uint64_t threads = (uint64_t)device->multiprocessors * device->threads_per_multiprocessor;
	uint64_t limit = threads ? device->memory_bytes / LOCAL_MEMORY_SHARE / threads : UINT64_MAX;
	if (info->local_bytes <= limit)
		return true;
	return gd_error_set(
	    error, GD_DEVICE_OUT_OF_MEMORY, "Use smaller local arrays, or a buffer instead of them.",
	    "each thread of the kernel needs %u bytes of local memory; on this device it may have %llu",
	    info->local_bytes, (unsigned long long)limit);
}

static bool read_info(struct gd_device *device, struct CUfunc_st *function, uint32_t occupancy_threads,
		      struct gd_kernel_info *info, struct gd_error *error)
{
	if (!read_params(device, function, info, error) ||
	    !read_attribute(device, function, GD_CU_FUNC_ATTRIBUTE_NUM_REGS, &info->registers, error) ||
	    !read_attribute(device, function, GD_CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, &info->shared_bytes,
			    error) ||
	    !read_attribute(device, function, GD_CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, &info->local_bytes,
			    error) ||
	    !read_attribute(device, function, GD_CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES, &info->const_bytes,
			    error) ||
	    !read_attribute(device, function, GD_CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &info->max_threads,
			    error) ||
	    !check_local_memory(device, info, error))
		return false;
	if (info->shared_bytes < device->max_shared_optin_bytes)
		info->max_dynamic_shared_bytes = device->max_shared_optin_bytes - info->shared_bytes;
	info->occupancy_threads = occupancy_threads;
	if (!occupancy_threads || occupancy_threads > info->max_threads)
		return true;
	int blocks = 0;
	gd_cu_result result = device->driver->occupancy(&blocks, function, (int)occupancy_threads, 0);
	if (!gd_cuda_check(device, result, "cuOccupancyMaxActiveBlocksPerMultiprocessor", error))
		return false;
	info->occupancy_blocks = blocks > 0 ? (uint32_t)blocks : 0;
	return true;
}

/* A private copy closed by zeroes: the bytes that are checked are the bytes that the driver reads. */
static bool copy_image(const struct gd_image *image, struct gd_module *module, struct gd_error *error)
{
	static const size_t margin = 64;
	if (!image->data || !image->entry || !image->bytes || image->bytes > GD_CUDA_IMAGE_BYTES_MAX)
		return gd_error_set(error, GD_INVALID_PROGRAM, NULL, "an image of %zu bytes cannot be loaded",
				    image->bytes);
	module->kind = image->kind;
	module->image_bytes = image->bytes;
	module->entry = strdup(image->entry);
	module->image = calloc(1, image->bytes + margin);
	if (!module->entry || !module->image)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL,
				    "no memory for a program of %zu bytes", image->bytes);
	memcpy(module->image, image->data, image->bytes);
	if (image->kind == GD_IMAGE_PTX)
		return gd_cuda_ptx_check(module->image, image->bytes, &module->has_variables, error);
	return gd_cuda_cubin_check(module->image, image->bytes, &module->has_variables, error);
}

static void free_parts(struct gd_device *device, struct gd_module *module)
{
	if (module->shared.module)
		device->driver->module_unload(module->shared.module);
	free(module->image);
	free(module->entry);
	free(module);
}

void gd_cuda_module_free(struct gd_device *device, struct gd_module *module)
{
	if (!module)
		return;
	gd_cuda_enter_to_free(device);
	free_parts(device, module);
}

bool gd_cuda_module_load(struct gd_device *device, const struct gd_image *image,
			 struct gd_module **out_module, struct gd_kernel_info *out_info,
			 struct gd_error *error)
{
	if (!gd_cuda_enter(device, error))
		return false;
	gd_auto_free struct jit_log *log = calloc(1, sizeof *log);
	struct gd_module *module = calloc(1, sizeof *module);
	if (!log || !module) {
		free(module);
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL, "no memory for a module");
	}
	if (!copy_image(image, module, error) ||
	    !load_instance(device, module, log, &module->shared, error) ||
	    !read_info(device, module->shared.function, image->occupancy_threads, &module->info, error)) {
		free_parts(device, module);
		return false;
	}
	if (!module->has_variables) {
		free(gd_move(module->image));
		free(gd_move(module->entry));
	}
	*out_info = module->info;
	*out_module = module;
	return true;
}

/* Lift the limit of dynamic shared memory of a function from its default to what the device allows at most.
 */
static bool raise_shared(struct gd_device *device, const struct gd_module *module, struct CUfunc_st *function,
			 struct gd_error *error)
{
	gd_cu_result result =
	    device->driver->func_set_attribute(function, GD_CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
					       (int)module->info.max_dynamic_shared_bytes);
	return gd_cuda_check(device, result, "cuFuncSetAttribute", error);
}

bool gd_cuda_instance_take(struct gd_device *device, struct gd_module *module, uint32_t shared_bytes,
			   struct gd_cuda_instance *out_instance, struct gd_error *error)
{
	bool is_above_default = shared_bytes + module->info.shared_bytes > device->max_shared_bytes;
	struct gd_cuda_instance instance = module->shared;
	if (module->has_variables && !load_instance(device, module, NULL, &instance, error))
		return false;
	if (is_above_default && (module->has_variables || !atomic_load(&module->is_raised))) {
		if (!raise_shared(device, module, instance.function, error)) {
			gd_cuda_instance_drop(device, module, &instance);
			return false;
		}
		atomic_store(&module->is_raised, true);
	}
	*out_instance = instance;
	return true;
}

void gd_cuda_instance_drop(struct gd_device *device, struct gd_module *module,
			   struct gd_cuda_instance *instance)
{
	if (instance->module && instance->module != module->shared.module)
		device->driver->module_unload(instance->module);
	*instance = (struct gd_cuda_instance){0};
}
