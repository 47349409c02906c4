/* The library that stub.h describes. Errors are answered as libcuda documents them; nothing is asserted here.
 */
#include "stub.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default"), used))

/* Count a call; 0 or the result it is told to fail with. */
#define BEGIN(field)                                                                                         \
	gd_cu_result result_ = count_call(STUB_##field);                                                     \
	if (result_)                                                                                         \
	return result_
/* The same for calls that free: they report old errors and free all the same. */
#define BEGIN_FREE(field, kind)                                                                              \
	stub.live[kind]--;                                                                                   \
	gd_cu_result result_ = count_call(STUB_##field)

struct CUmod_st {
	unsigned counter; /* the __device__ variable of the kernel "count" */
};

struct CUfunc_st {
	struct CUmod_st *module;
	char name[16];
};

struct CUevent_st {
	int recorded;
};

struct CUstream_st {
	int unused;
};

struct CUctx_st {
	int unused;
};

struct block { /* in front of every allocation */
	size_t bytes;
	char pad[256 - sizeof(size_t)];
};

static struct stub stub;
static struct CUctx_st context;
static struct CUfunc_st functions[64];
static unsigned next_function;
static int fault;

EXPORT struct stub *stub_get(void);
struct stub *stub_get(void)
{
	return &stub;
}

static gd_cu_result count_call(enum stub_call call)
{
	int before = stub.calls[call]++;
	return (int)call == stub.fail_call && before >= stub.fail_after ? stub.fail_result : 0;
}

#define DEFINE(symbol, parameters)                                                                           \
	EXPORT gd_cu_result symbol parameters;                                                               \
	gd_cu_result symbol parameters

DEFINE(cuInit, (unsigned flags))
{
	(void)flags;
	fault = 0;
	BEGIN(init);
	return 0;
}

DEFINE(cuDriverGetVersion, (int *out_version))
{
	BEGIN(driver_version);
	*out_version = 12040;
	return 0;
}

DEFINE(cuDeviceGetCount, (int *out_count))
{
	fault = 0;
	BEGIN(device_count);
	*out_count = 2;
	return 0;
}

DEFINE(cuDeviceGet, (gd_cu_device * out_device, int ordinal))
{
	BEGIN(device_get);
	*out_device = ordinal;
	return 0;
}

DEFINE(cuDeviceGetName, (char *out_name, int bytes, gd_cu_device device))
{
	BEGIN(device_name);
	memset(out_name, 'N', (size_t)bytes);
	memcpy(out_name, device ? "Stub 1" : "Stub 0", 7);
	return 0;
}

DEFINE(cuDeviceGetUuid, (struct gd_cu_uuid * out_uuid, gd_cu_device device))
{
	BEGIN(device_uuid);
	for (int i = 0; i < 16; i++)
		out_uuid->bytes[i] = (unsigned char)(i * 16 + device);
	return 0;
}

DEFINE(cuDeviceTotalMem_v2, (size_t * out_bytes, gd_cu_device device))
{
	(void)device;
	BEGIN(device_total_memory);
	*out_bytes = 1u << 30;
	return 0;
}

DEFINE(cuDeviceGetAttribute, (int *out_value, int attribute, gd_cu_device device))
{
	(void)device;
	BEGIN(device_attribute);
	*out_value = stub.attributes[attribute];
	return 0;
}

DEFINE(cuDevicePrimaryCtxSetFlags_v2, (gd_cu_device device, unsigned flags))
{
	(void)device, (void)flags;
	BEGIN(primary_set_flags);
	return 0;
}

DEFINE(cuDevicePrimaryCtxRetain, (struct CUctx_st * *out_context, gd_cu_device device))
{
	(void)device;
	BEGIN(primary_retain);
	stub.live[STUB_CONTEXTS]++;
	*out_context = &context;
	return 0;
}

DEFINE(cuDevicePrimaryCtxRelease_v2, (gd_cu_device device))
{
	(void)device;
	BEGIN_FREE(primary_release, STUB_CONTEXTS);
	return result_;
}

DEFINE(cuCtxSetCurrent, (struct CUctx_st * which))
{
	BEGIN(ctx_set_current);
	return which == &context ? 0 : 201;
}

DEFINE(cuMemGetInfo_v2, (size_t * out_free, size_t *out_total))
{
	BEGIN(mem_info);
	*out_free = 1u << 29;
	*out_total = 1u << 30;
	return 0;
}

static gd_cu_result allocate(gd_cu_pointer *out_pointer, size_t bytes)
{
	struct block *block = aligned_alloc(256, sizeof *block + (bytes + 255) / 256 * 256);
	if (!block)
		return GD_CUDA_ERROR_OUT_OF_MEMORY;
	block->bytes = bytes;
	memset(block + 1, STUB_DIRT, bytes);
	stub.live[STUB_MEMORY]++;
	*out_pointer = (gd_cu_pointer)(uintptr_t)(block + 1);
	return 0;
}

DEFINE(cuMemAlloc_v2, (gd_cu_pointer * out_pointer, size_t bytes))
{
	BEGIN(mem_alloc);
	return allocate(out_pointer, bytes);
}

DEFINE(cuMemFree_v2, (gd_cu_pointer pointer))
{
	BEGIN_FREE(mem_free, STUB_MEMORY);
	free((struct block *)(uintptr_t)pointer - 1);
	return result_;
}

DEFINE(cuMemAllocAsync, (gd_cu_pointer * out_pointer, size_t bytes, struct CUstream_st *stream))
{
	(void)stream;
	BEGIN(mem_alloc_async);
	return allocate(out_pointer, bytes);
}

DEFINE(cuMemFreeAsync, (gd_cu_pointer pointer, struct CUstream_st *stream))
{
	(void)stream;
	BEGIN_FREE(mem_free_async, STUB_MEMORY);
	free((struct block *)(uintptr_t)pointer - 1);
	return result_;
}

DEFINE(cuMemHostRegister_v2, (void *start, size_t bytes, unsigned flags))
{
	(void)start, (void)bytes;
	BEGIN(host_register);
	stub.register_flags[1] = stub.register_flags[0];
	stub.register_flags[0] = flags;
	stub.live[STUB_REGISTRATIONS]++;
	return 0;
}

DEFINE(cuMemHostUnregister, (void *start))
{
	(void)start;
	BEGIN_FREE(host_unregister, STUB_REGISTRATIONS);
	return result_;
}

DEFINE(cuMemHostGetDevicePointer_v2, (gd_cu_pointer * out_pointer, void *start, unsigned flags))
{
	(void)flags;
	BEGIN(host_device_pointer);
	*out_pointer = (gd_cu_pointer)(uintptr_t)start;
	return 0;
}

DEFINE(cuModuleLoadDataEx,
       (struct CUmod_st * *out_module, const void *image, unsigned count, int *options, void **values))
{
	(void)image;
	for (unsigned i = 0; i < count; i++)
		if (options[i] == GD_CU_JIT_ERROR_LOG_BUFFER)
			strncpy(values[i], "ptxas: line 7 is wrong", 64);
	BEGIN(module_load);
	struct CUmod_st *module = calloc(1, sizeof *module);
	if (!module)
		return GD_CUDA_ERROR_OUT_OF_MEMORY;
	stub.live[STUB_MODULES]++;
	*out_module = module;
	return 0;
}

DEFINE(cuModuleUnload, (struct CUmod_st * module))
{
	BEGIN_FREE(module_unload, STUB_MODULES);
	free(module);
	return result_;
}

DEFINE(cuModuleGetFunction, (struct CUfunc_st * *out_function, struct CUmod_st *module, const char *name))
{
	BEGIN(module_function);
	if (!strcmp(name, "missing"))
		return GD_CUDA_ERROR_NOT_FOUND;
	struct CUfunc_st *function = &functions[next_function++ % 64];
	function->module = module;
	strncpy(function->name, name, sizeof function->name - 1);
	*out_function = function;
	return 0;
}

DEFINE(cuFuncGetParamInfo, (struct CUfunc_st * function, size_t index, size_t *out_offset, size_t *out_bytes))
{
	static const size_t copy_sizes[] = {8, 8, 4}, count_sizes[] = {8};
	BEGIN(func_param);
	size_t wide = (size_t)stub.param_bytes, count = 0;
	const size_t *sizes = NULL;
	if (!strcmp(function->name, "copy"))
		sizes = copy_sizes, count = 3;
	else if (!strcmp(function->name, "count"))
		sizes = count_sizes, count = 1;
	else if (!strcmp(function->name, "wide"))
		sizes = &wide, count = 1;
	else if (!strcmp(function->name, "many") && index < 600) {
		*out_offset = index;
		*out_bytes = 1;
		return 0;
	}
	if (index >= count)
		return GD_CUDA_ERROR_INVALID_VALUE;
	*out_offset = index * 8;
	*out_bytes = sizes[index];
	return 0;
}

DEFINE(cuFuncGetAttribute, (int *out_value, int attribute, struct CUfunc_st *function))
{
	(void)function;
	BEGIN(func_attribute);
	switch (attribute) {
	case GD_CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
		*out_value = stub.local_bytes;
		break;
	case GD_CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
		*out_value = stub.shared_bytes;
		break;
	case GD_CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
		*out_value = stub.max_threads;
		break;
	default:
		*out_value = 32;
	}
	return 0;
}

DEFINE(cuFuncSetAttribute, (struct CUfunc_st * function, int attribute, int value))
{
	(void)function, (void)attribute;
	BEGIN(func_set_attribute);
	stub.last_dynamic_limit = value;
	return 0;
}

DEFINE(cuOccupancyMaxActiveBlocksPerMultiprocessor,
       (int *out_blocks, struct CUfunc_st *function, int threads, size_t shared_bytes))
{
	(void)function, (void)threads, (void)shared_bytes;
	BEGIN(occupancy);
	*out_blocks = stub.occupancy;
	return 0;
}

DEFINE(cuStreamCreate, (struct CUstream_st * *out_stream, unsigned flags))
{
	(void)flags;
	BEGIN(stream_create);
	stub.live[STUB_STREAMS]++;
	*out_stream = calloc(1, sizeof **out_stream);
	return 0;
}

DEFINE(cuStreamDestroy_v2, (struct CUstream_st * stream))
{
	BEGIN_FREE(stream_destroy, STUB_STREAMS);
	free(stream);
	return result_;
}

DEFINE(cuEventCreate, (struct CUevent_st * *out_event, unsigned flags))
{
	(void)flags;
	BEGIN(event_create);
	stub.live[STUB_EVENTS]++;
	*out_event = calloc(1, sizeof **out_event);
	return 0;
}

DEFINE(cuEventDestroy_v2, (struct CUevent_st * event))
{
	BEGIN_FREE(event_destroy, STUB_EVENTS);
	free(event);
	return result_;
}

DEFINE(cuEventRecord, (struct CUevent_st * event, struct CUstream_st *stream))
{
	(void)stream;
	BEGIN(event_record);
	event->recorded = 1;
	return 0;
}

DEFINE(cuEventQuery, (struct CUevent_st * event))
{
	(void)event;
	BEGIN(event_query);
	if (stub.pending) {
		stub.pending -= stub.pending > 0;
		return GD_CUDA_ERROR_NOT_READY;
	}
	stub.launches_in_queue = 0;
	return fault;
}

DEFINE(cuEventElapsedTime, (float *out_ms, struct CUevent_st *start, struct CUevent_st *end))
{
	BEGIN(event_elapsed);
	*out_ms = stub.elapsed_ms;
	return start->recorded && end->recorded ? 0 : 400;
}

static void run_kernel(const struct CUfunc_st *function, const unsigned char *block)
{
	unsigned char *target = NULL;
	const unsigned char *source = NULL;
	unsigned bytes;
	stub.launches_in_queue++;
	if (stub.launches_in_queue > stub.deepest_queue)
		stub.deepest_queue = stub.launches_in_queue;
	fault = stub.kernel_faults;
	if (fault)
		return;
	if (!strcmp(function->name, "copy")) {
		memcpy(&target, block, sizeof target);
		memcpy(&source, block + 8, sizeof source);
		memcpy(&bytes, block + 16, sizeof bytes);
		memcpy(target, source, bytes);
	} else if (!strcmp(function->name, "count")) {
		function->module->counter++;
		memcpy(&target, block, sizeof target);
		memcpy(target, &function->module->counter, sizeof function->module->counter);
	}
}

DEFINE(cuLaunchKernel, (struct CUfunc_st * function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
			unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
			struct CUstream_st *stream, void **params, void **extra))
{
	(void)grid_x, (void)grid_y, (void)grid_z, (void)block_x, (void)block_y, (void)block_z,
	    (void)shared_bytes;
	(void)stream, (void)params;
	BEGIN(launch);
	run_kernel(function, extra ? extra[1] : NULL);
	return 0;
}

DEFINE(cuLaunchCooperativeKernel,
       (struct CUfunc_st * function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
	unsigned block_y, unsigned block_z, unsigned shared_bytes, struct CUstream_st *stream, void **params))
{
	(void)grid_x, (void)grid_y, (void)grid_z, (void)block_x, (void)block_y, (void)block_z,
	    (void)shared_bytes;
	(void)stream;
	BEGIN(launch_cooperative);
	run_kernel(function, params[0]); /* the parameters of one block lie where its first one does */
	return 0;
}

DEFINE(cuMemcpyHtoDAsync_v2,
       (gd_cu_pointer target, const void *source, size_t bytes, struct CUstream_st *stream))
{
	(void)stream;
	BEGIN(copy_to_device);
	memcpy((void *)(uintptr_t)target, source, bytes);
	return 0;
}

DEFINE(cuMemcpyDtoHAsync_v2, (void *target, gd_cu_pointer source, size_t bytes, struct CUstream_st *stream))
{
	(void)stream;
	BEGIN(copy_to_host);
	memcpy(target, (const void *)(uintptr_t)source, bytes);
	return 0;
}

DEFINE(cuMemsetD8Async, (gd_cu_pointer target, unsigned char value, size_t bytes, struct CUstream_st *stream))
{
	(void)stream;
	BEGIN(fill);
	memset((void *)(uintptr_t)target, value, bytes);
	return 0;
}
