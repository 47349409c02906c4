/*
 * The part of the CUDA Driver API that this device uses, in our own words, so that the build needs no CUDA
 * toolkit and the program starts where there is no GPU: libcuda is opened at run time.
 *
 * Every value and prototype stands in NVIDIA's cuda.h (13.0) under the name without the prefix GD_; a unit
 * test compares them with that header where it is installed. Functions are taken by their versioned export
 * names, which keep their binary interface when cuda.h moves a plain name on to a newer one (cuCtxCreate is
 * _v4 since 13.0).
 *
 * The table is loaded once per process and never unloaded: libcuda does not survive dlclose. Loading belongs
 * to the control thread; afterwards the table is constant.
 *
 * The environment variable GPUDISPATCH_LIBCUDA names another library than libcuda.so.1, for drivers in
 * unusual places and for tests.
 */
#ifndef GD_DEVICE_CUDA_DRIVER_H
#define GD_DEVICE_CUDA_DRIVER_H

#include "gpu/base/error.h"

#include <stddef.h>
#include <stdint.h>

#define GD_CUDA_LIBRARY_ENV "GPUDISPATCH_LIBCUDA"

struct CUctx_st;
struct CUmod_st;
struct CUfunc_st;
struct CUstream_st;
struct CUevent_st;

typedef int gd_cu_result;                    /* CUresult */
typedef int gd_cu_device;                    /* CUdevice */
typedef unsigned long long gd_cu_pointer;    /* CUdeviceptr */
typedef unsigned long long gd_cu_allocation; /* CUmemGenericAllocationHandle */

enum { /* CUresult; all codes with their meaning stand in result.c */
       GD_CUDA_SUCCESS = 0,
       GD_CUDA_ERROR_INVALID_VALUE = 1,
       GD_CUDA_ERROR_OUT_OF_MEMORY = 2,
       GD_CUDA_ERROR_NO_DEVICE = 100,
       GD_CUDA_ERROR_NOT_FOUND = 500,
       GD_CUDA_ERROR_NOT_READY = 600,
       GD_CUDA_ERROR_ILLEGAL_ADDRESS = 700,
       GD_CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE = 720,
       GD_CUDA_ERROR_NOT_SUPPORTED = 801,
       GD_CUDA_ERROR_UNKNOWN = 999
};

enum { /* CUdevice_attribute */
       GD_CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 1,
       GD_CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X = 2,
       GD_CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y = 3,
       GD_CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z = 4,
       GD_CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X = 5,
       GD_CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y = 6,
       GD_CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z = 7,
       GD_CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK = 8,
       GD_CU_DEVICE_ATTRIBUTE_WARP_SIZE = 10,
       GD_CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK = 12,
       GD_CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
       GD_CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR = 39,
       GD_CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING = 41,
       GD_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
       GD_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
       GD_CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS = 88,
       GD_CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH = 95,
       GD_CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
       GD_CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED = 102,
       GD_CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED = 103,
       GD_CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED = 113,
       GD_CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED = 115
};

enum { /* CUfunction_attribute */
       GD_CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 0,
       GD_CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES = 1,
       GD_CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES = 2,
       GD_CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES = 3,
       GD_CU_FUNC_ATTRIBUTE_NUM_REGS = 4,
       GD_CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8
};

enum { /* flags of several calls */
       GD_CU_CTX_SCHED_AUTO = 0x00,
       GD_CU_CTX_SCHED_SPIN = 0x01,
       GD_CU_CTX_SCHED_YIELD = 0x02,
       GD_CU_CTX_SCHED_BLOCKING_SYNC = 0x04,
       GD_CU_STREAM_NON_BLOCKING = 0x1,
       GD_CU_EVENT_DEFAULT = 0x0,
       GD_CU_EVENT_DISABLE_TIMING = 0x2,
       GD_CU_MEMHOSTREGISTER_PORTABLE = 0x01,
       GD_CU_MEMHOSTREGISTER_DEVICEMAP = 0x02,
       GD_CU_MEMHOSTREGISTER_READ_ONLY = 0x08
};

enum { /* CUjit_option */
       GD_CU_JIT_INFO_LOG_BUFFER = 3,
       GD_CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES = 4,
       GD_CU_JIT_ERROR_LOG_BUFFER = 5,
       GD_CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6
};

enum { /* physical memory: handle, allocation, location types, access, granularity */
       GD_CU_MEM_HANDLE_TYPE_NONE = 0,
       GD_CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR = 1,
       GD_CU_MEM_ALLOCATION_TYPE_PINNED = 1,
       GD_CU_MEM_LOCATION_TYPE_DEVICE = 1,
       GD_CU_MEM_ACCESS_FLAGS_PROT_READ = 1,
       GD_CU_MEM_ACCESS_FLAGS_PROT_READWRITE = 3,
       GD_CU_MEM_ALLOC_GRANULARITY_MINIMUM = 0
};

/* Keys of cuLaunchKernel's `extra` list (CU_LAUNCH_PARAM_*). */
#define GD_CU_LAUNCH_PARAM_END            ((void *)0)
#define GD_CU_LAUNCH_PARAM_BUFFER_POINTER ((void *)1)
#define GD_CU_LAUNCH_PARAM_BUFFER_SIZE    ((void *)2)

struct gd_cu_uuid { /* CUuuid */
	unsigned char bytes[16];
};

struct gd_cu_location { /* CUmemLocation */
	int type;
	int id;
};

struct gd_cu_allocation_prop { /* CUmemAllocationProp */
	int type;
	int requested_handle_types;
	struct gd_cu_location location;
	void *win32_metadata;
	unsigned char compression_type;
	unsigned char gpu_direct_rdma;
	unsigned short usage;
	unsigned char reserved[4];
};

struct gd_cu_access { /* CUmemAccessDesc */
	struct gd_cu_location location;
	int flags;
};

/* Functions that every supported driver exports: X(field, exported name, parameters). All return CUresult. */
#define GD_CUDA_REQUIRED(X)                                                                                  \
	X(init, "cuInit", (unsigned flags))                                                                  \
	X(driver_version, "cuDriverGetVersion", (int *out_version))                                          \
	X(device_count, "cuDeviceGetCount", (int *out_count))                                                \
	X(device_get, "cuDeviceGet", (gd_cu_device * out_device, int ordinal))                               \
	X(device_name, "cuDeviceGetName", (char *out_name, int bytes, gd_cu_device device))                  \
	X(device_uuid, "cuDeviceGetUuid", (struct gd_cu_uuid * out_uuid, gd_cu_device device))               \
	X(device_total_memory, "cuDeviceTotalMem_v2", (size_t * out_bytes, gd_cu_device device))             \
	X(device_attribute, "cuDeviceGetAttribute", (int *out_value, int attribute, gd_cu_device device))    \
	X(primary_set_flags, "cuDevicePrimaryCtxSetFlags_v2", (gd_cu_device device, unsigned flags))         \
	X(primary_retain, "cuDevicePrimaryCtxRetain", (struct CUctx_st * *out_context, gd_cu_device device)) \
	X(primary_release, "cuDevicePrimaryCtxRelease_v2", (gd_cu_device device))                            \
	X(ctx_set_current, "cuCtxSetCurrent", (struct CUctx_st * context))                                   \
	X(mem_info, "cuMemGetInfo_v2", (size_t * out_free, size_t * out_total))                              \
	X(mem_alloc, "cuMemAlloc_v2", (gd_cu_pointer * out_pointer, size_t bytes))                           \
	X(mem_free, "cuMemFree_v2", (gd_cu_pointer pointer))                                                 \
	X(host_register, "cuMemHostRegister_v2", (void *start, size_t bytes, unsigned flags))                \
	X(host_unregister, "cuMemHostUnregister", (void *start))                                             \
	X(host_device_pointer, "cuMemHostGetDevicePointer_v2",                                               \
	  (gd_cu_pointer * out_pointer, void *start, unsigned flags))                                        \
	X(module_load, "cuModuleLoadDataEx",                                                                 \
	  (struct CUmod_st * *out_module, const void *image, unsigned count, int *options, void **values))   \
	X(module_unload, "cuModuleUnload", (struct CUmod_st * module))                                       \
	X(module_function, "cuModuleGetFunction",                                                            \
	  (struct CUfunc_st * *out_function, struct CUmod_st * module, const char *name))                    \
	X(func_attribute, "cuFuncGetAttribute", (int *out_value, int attribute, struct CUfunc_st *function)) \
	X(func_set_attribute, "cuFuncSetAttribute", (struct CUfunc_st * function, int attribute, int value)) \
	X(occupancy, "cuOccupancyMaxActiveBlocksPerMultiprocessor",                                          \
	  (int *out_blocks, struct CUfunc_st *function, int threads, size_t shared_bytes))                   \
	X(stream_create, "cuStreamCreate", (struct CUstream_st * *out_stream, unsigned flags))               \
	X(stream_destroy, "cuStreamDestroy_v2", (struct CUstream_st * stream))                               \
	X(event_create, "cuEventCreate", (struct CUevent_st * *out_event, unsigned flags))                   \
	X(event_destroy, "cuEventDestroy_v2", (struct CUevent_st * event))                                   \
	X(event_record, "cuEventRecord", (struct CUevent_st * event, struct CUstream_st * stream))           \
	X(event_query, "cuEventQuery", (struct CUevent_st * event))                                          \
	X(event_elapsed, "cuEventElapsedTime",                                                               \
	  (float *out_ms, struct CUevent_st *start, struct CUevent_st *end))                                 \
	X(launch, "cuLaunchKernel",                                                                          \
	  (struct CUfunc_st * function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, \
	   unsigned block_y, unsigned block_z, unsigned shared_bytes, struct CUstream_st *stream,            \
	   void **params, void **extra))                                                                     \
	X(launch_cooperative, "cuLaunchCooperativeKernel",                                                   \
	  (struct CUfunc_st * function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, \
	   unsigned block_y, unsigned block_z, unsigned shared_bytes, struct CUstream_st *stream,            \
	   void **params))                                                                                   \
	X(copy_to_device, "cuMemcpyHtoDAsync_v2",                                                            \
	  (gd_cu_pointer target, const void *source, size_t bytes, struct CUstream_st *stream))              \
	X(copy_to_host, "cuMemcpyDtoHAsync_v2",                                                              \
	  (void *target, gd_cu_pointer source, size_t bytes, struct CUstream_st *stream))                    \
	X(fill, "cuMemsetD8Async",                                                                           \
	  (gd_cu_pointer target, unsigned char value, size_t bytes, struct CUstream_st *stream))

/* Functions that a driver may lack; NULL then. Who uses one says what happens without it. */
#define GD_CUDA_OPTIONAL(X)                                                                                  \
	X(func_param, "cuFuncGetParamInfo", /* 12.4 */                                                       \
	  (struct CUfunc_st * function, size_t index, size_t * out_offset, size_t * out_bytes))              \
	X(mem_alloc_async, "cuMemAllocAsync", /* 11.2 */                                                     \
	  (gd_cu_pointer * out_pointer, size_t bytes, struct CUstream_st * stream))                          \
	X(mem_free_async, "cuMemFreeAsync", (gd_cu_pointer pointer, struct CUstream_st * stream))            \
	X(mem_granularity, "cuMemGetAllocationGranularity", /* this and all below: 10.2 */                   \
	  (size_t * out_bytes, const struct gd_cu_allocation_prop *prop, int option))                        \
	X(mem_create, "cuMemCreate",                                                                         \
	  (gd_cu_allocation * out_allocation, size_t bytes, const struct gd_cu_allocation_prop *prop,        \
	   unsigned long long flags))                                                                        \
	X(mem_release, "cuMemRelease", (gd_cu_allocation allocation))                                        \
	X(mem_reserve, "cuMemAddressReserve",                                                                \
	  (gd_cu_pointer * out_pointer, size_t bytes, size_t alignment, gd_cu_pointer wish,                  \
	   unsigned long long flags))                                                                        \
	X(mem_address_free, "cuMemAddressFree", (gd_cu_pointer pointer, size_t bytes))                       \
	X(mem_map, "cuMemMap",                                                                               \
	  (gd_cu_pointer pointer, size_t bytes, size_t offset, gd_cu_allocation allocation,                  \
	   unsigned long long flags))                                                                        \
	X(mem_unmap, "cuMemUnmap", (gd_cu_pointer pointer, size_t bytes))                                    \
	X(mem_set_access, "cuMemSetAccess",                                                                  \
	  (gd_cu_pointer pointer, size_t bytes, const struct gd_cu_access *access, size_t count))            \
	X(mem_export, "cuMemExportToShareableHandle",                                                        \
	  (void *out_handle, gd_cu_allocation allocation, int type, unsigned long long flags))               \
	X(mem_import, "cuMemImportFromShareableHandle",                                                      \
	  (gd_cu_allocation * out_allocation, void *handle, int type))

struct gd_cuda_driver {
	int version; /* 13000 for CUDA 13.0; what the driver supports */
#define GD_CUDA_FIELD(field, symbol, parameters) gd_cu_result(*field) parameters;
	GD_CUDA_REQUIRED(GD_CUDA_FIELD)
	GD_CUDA_OPTIONAL(GD_CUDA_FIELD)
#undef GD_CUDA_FIELD
};

/*
 * Open libcuda (once; a failure is remembered), take its functions and call cuInit. Control thread only.
 * Fails, returning NULL: GD_BACKEND_UNAVAILABLE (no libcuda; too old, naming the missing function; cuInit
 * failed).
 */
const struct gd_cuda_driver *gd_cuda_driver_get(struct gd_error *error);

#endif
