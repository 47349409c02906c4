#include "gpu/device/cuda/result.h"

#include <stddef.h>

#define FIX_FREE "Send smaller buffers, delete resident buffers, or wait until other work has ended."
#define FIX_INSTALL                                                                                          \
	"Install an NVIDIA driver that fits the GPU (for CUDA 12.4 or newer), or use --backend reference."
#define FIX_MODE    "Set the GPU's compute mode to default, or stop the process that holds it."
#define FIX_LIST    "Name a device that GET /devices lists."
#define FIX_REBUILD "Compile the program for this device's architecture; GET /devices names it."
#define FIX_RETRY   "Send the request again; a fresh worker serves it."
#define FIX_PTX     "Correct the PTX at the line named, or post CUDA C and let the service compile it."
#define FIX_CUBIN   "Post CUDA C or a cubin for this device instead of PTX."
#define FIX_NAME    "Name a __global__ function that the program defines."
#define FIX_INDEX   "Check every index against the size of its buffer; run on reference to be told the line."
#define FIX_BLOCK   "Use a smaller workgroup, or compile with __launch_bounds__ or fewer registers."
#define FIX_SHORTER "Split the work into shorter kernels."
#define FIX_ASSERT  "Correct the condition that the kernel asserts, or the data that breaks it."
#define FIX_STACK   "Use less recursion or smaller local arrays."
#define FIX_TRAP    "Find what leads to __trap or the illegal instruction; run on reference to be told the line."
#define FIX_ALIGN   "Cast only to types whose alignment the address has; float4 needs 16 bytes."
#define FIX_FEWER   "Launch fewer or smaller blocks, or use less shared memory."
#define FIX_TENSOR  "Free all tensor memory before the kernel ends."
#define FIX_SERVICE "Ask the operator to bring the GPU's driver services up."

#define ROW(name, value, kind, is_sticky, why, how)                                                          \
	{                                                                                                    \
		value, "CUDA_" name, kind, is_sticky, why, how                                               \
	}
#define NONE(name, value, why, how)    ROW(#name, value, GD_OK, false, why, how)
#define FAULT(name, value, why, how)   ROW("ERROR_" #name, value, GD_DISPATCH_FAILED, true, why, how)
#define LOST(name, value, why, how)    ROW("ERROR_" #name, value, GD_DEVICE_LOST, true, why, how)
#define ABSENT(name, value, why, how)  ROW("ERROR_" #name, value, GD_BACKEND_UNAVAILABLE, true, why, how)
#define NODEV(name, value, why, how)   ROW("ERROR_" #name, value, GD_BACKEND_UNAVAILABLE, false, why, how)
#define MEMORY(name, value, why, how)  ROW("ERROR_" #name, value, GD_DEVICE_OUT_OF_MEMORY, false, why, how)
#define REQUEST(name, value, why, how) ROW("ERROR_" #name, value, GD_INVALID_REQUEST, false, why, how)
#define RESIDENCY(name, value, why, how)                                                                     \
	ROW("ERROR_" #name, value, GD_COOPERATIVE_RESIDENCY_EXCEEDED, false, why, how)
#define PROGRAM(name, value, why, how)  ROW("ERROR_" #name, value, GD_INVALID_PROGRAM, false, why, how)
#define FEATURE(name, value, why, how)  ROW("ERROR_" #name, value, GD_UNSUPPORTED_FEATURE, false, why, how)
#define INTERNAL(name, value, why, how) ROW("ERROR_" #name, value, GD_INTERNAL_STATE, false, why, how)

/* In the order of cuda.h (13.0), enum cudaError_enum; rising values, searched by halving. */
static const struct gd_cuda_verdict verdicts[] = {
    NONE(SUCCESS, 0, "no error", NULL),
    INTERNAL(INVALID_VALUE, 1, "a call that should not have been made", NULL),
    MEMORY(OUT_OF_MEMORY, 2, "the device has not enough free memory", FIX_FREE),
    LOST(NOT_INITIALIZED, 3, "the process has lost the device", FIX_RETRY),
    LOST(DEINITIALIZED, 4, "the process has lost the device", FIX_RETRY),
    INTERNAL(PROFILER_DISABLED, 5, "a call that should not have been made", NULL),
    INTERNAL(PROFILER_NOT_INITIALIZED, 6, "a call that should not have been made", NULL),
    INTERNAL(PROFILER_ALREADY_STARTED, 7, "a call that should not have been made", NULL),
    INTERNAL(PROFILER_ALREADY_STOPPED, 8, "a call that should not have been made", NULL),
    ABSENT(STUB_LIBRARY, 34, "the library found is NVIDIA's stub, not a driver", FIX_INSTALL),
    ABSENT(CALL_REQUIRES_NEWER_DRIVER, 36, "the driver is older than this call", FIX_INSTALL),
    ABSENT(DEVICE_UNAVAILABLE, 46, "the device is in exclusive or prohibited mode, or busy", FIX_MODE),
    ABSENT(NO_DEVICE, 100, "the driver sees no CUDA device", FIX_INSTALL),
    NODEV(INVALID_DEVICE, 101, "there is no such device", FIX_LIST),
    ABSENT(DEVICE_NOT_LICENSED, 102, "the GRID licence is not applied", NULL),
    PROGRAM(INVALID_IMAGE, 200, "the device rejects the machine code", FIX_REBUILD),
    LOST(INVALID_CONTEXT, 201, "the process has lost the device", FIX_RETRY),
    INTERNAL(CONTEXT_ALREADY_CURRENT, 202, "a call that should not have been made", NULL),
    INTERNAL(MAP_FAILED, 205, "a call that should not have been made", NULL),
    INTERNAL(UNMAP_FAILED, 206, "a call that should not have been made", NULL),
    INTERNAL(ARRAY_IS_MAPPED, 207, "a call that should not have been made", NULL),
    INTERNAL(ALREADY_MAPPED, 208, "a call that should not have been made", NULL),
    PROGRAM(NO_BINARY_FOR_GPU, 209, "the machine code is not for this device's architecture", FIX_REBUILD),
    INTERNAL(ALREADY_ACQUIRED, 210, "a call that should not have been made", NULL),
    INTERNAL(NOT_MAPPED, 211, "a call that should not have been made", NULL),
    INTERNAL(NOT_MAPPED_AS_ARRAY, 212, "a call that should not have been made", NULL),
    INTERNAL(NOT_MAPPED_AS_POINTER, 213, "a call that should not have been made", NULL),
    LOST(ECC_UNCORRECTABLE, 214, "the device's memory had an error that ECC could not correct", FIX_RETRY),
    FEATURE(UNSUPPORTED_LIMIT, 215, "the device or driver does not support this", NULL),
    INTERNAL(CONTEXT_ALREADY_IN_USE, 216, "a call that should not have been made", NULL),
    FEATURE(PEER_ACCESS_UNSUPPORTED, 217, "the device or driver does not support this", NULL),
    PROGRAM(INVALID_PTX, 218, "the PTX does not assemble", FIX_PTX),
    INTERNAL(INVALID_GRAPHICS_CONTEXT, 219, "a call that should not have been made", NULL),
    LOST(NVLINK_UNCORRECTABLE, 220, "NVLink had an error that could not be corrected", FIX_RETRY),
    FEATURE(JIT_COMPILER_NOT_FOUND, 221, "the driver's PTX compiler is not installed", FIX_CUBIN),
    FEATURE(UNSUPPORTED_PTX_VERSION, 222, "the PTX is of a newer version than the driver knows", FIX_CUBIN),
    FEATURE(JIT_COMPILATION_DISABLED, 223, "compiling PTX is switched off in this process", FIX_CUBIN),
    FEATURE(UNSUPPORTED_EXEC_AFFINITY, 224, "the device or driver does not support this", NULL),
    FEATURE(UNSUPPORTED_DEVSIDE_SYNC, 225,
	    "the PTX calls cudaDeviceSynchronize, which devices no longer have", FIX_PTX),
    LOST(CONTAINED, 226, "the device contained a hardware error", FIX_RETRY),
    PROGRAM(INVALID_SOURCE, 300, "the device rejects the program", FIX_REBUILD),
    PROGRAM(FILE_NOT_FOUND, 301, "the device rejects the program", FIX_REBUILD),
    PROGRAM(SHARED_OBJECT_SYMBOL_NOT_FOUND, 302, "the device rejects the program", FIX_REBUILD),
    PROGRAM(SHARED_OBJECT_INIT_FAILED, 303, "the device rejects the program", FIX_REBUILD),
    LOST(OPERATING_SYSTEM, 304, "the process has lost the device", FIX_RETRY),
    INTERNAL(INVALID_HANDLE, 400, "a call that should not have been made", NULL),
    INTERNAL(ILLEGAL_STATE, 401, "a call that should not have been made", NULL),
    INTERNAL(LOSSY_QUERY, 402, "a call that should not have been made", NULL),
    PROGRAM(NOT_FOUND, 500, "no symbol of this name", FIX_NAME),
    INTERNAL(NOT_READY, 600, "a call that should not have been made", NULL),
    FAULT(ILLEGAL_ADDRESS, 700, "the kernel read or wrote an address that is not its own", FIX_INDEX),
    REQUEST(LAUNCH_OUT_OF_RESOURCES, 701, "a block needs more registers or arguments than the device has",
	    FIX_BLOCK),
    FAULT(LAUNCH_TIMEOUT, 702, "the kernel ran longer than the display's watchdog allows", FIX_SHORTER),
    FEATURE(LAUNCH_INCOMPATIBLE_TEXTURING, 703, "the kernel uses textures in a way the device does not",
	    NULL),
    INTERNAL(PEER_ACCESS_ALREADY_ENABLED, 704, "a call that should not have been made", NULL),
    INTERNAL(PEER_ACCESS_NOT_ENABLED, 705, "a call that should not have been made", NULL),
    INTERNAL(PRIMARY_CONTEXT_ACTIVE, 708, "a call that should not have been made", NULL),
    LOST(CONTEXT_IS_DESTROYED, 709, "the process has lost the device", FIX_RETRY),
    FAULT(ASSERT, 710, "an assertion in the kernel failed", FIX_ASSERT),
    INTERNAL(TOO_MANY_PEERS, 711, "a call that should not have been made", NULL),
    INTERNAL(HOST_MEMORY_ALREADY_REGISTERED, 712, "a call that should not have been made", NULL),
    INTERNAL(HOST_MEMORY_NOT_REGISTERED, 713, "a call that should not have been made", NULL),
    FAULT(HARDWARE_STACK_ERROR, 714, "the kernel overran its stack", FIX_STACK),
    FAULT(ILLEGAL_INSTRUCTION, 715, "the kernel executed an illegal instruction", FIX_TRAP),
    FAULT(MISALIGNED_ADDRESS, 716, "the kernel accessed an address that is not aligned to the access",
	  FIX_ALIGN),
    FAULT(INVALID_ADDRESS_SPACE, 717, "the kernel used an address in the wrong memory space", FIX_INDEX),
    FAULT(INVALID_PC, 718, "the kernel jumped outside its code", FIX_INDEX),
    FAULT(LAUNCH_FAILED, 719, "the kernel stopped itself (__trap) or faulted", FIX_TRAP),
    RESIDENCY(COOPERATIVE_LAUNCH_TOO_LARGE, 720, "the blocks of a cooperative launch cannot all be resident",
	      FIX_FEWER),
    FAULT(TENSOR_MEMORY_LEAK, 721, "the kernel left tensor memory allocated", FIX_TENSOR),
    INTERNAL(NOT_PERMITTED, 800, "a call that should not have been made", NULL),
    FEATURE(NOT_SUPPORTED, 801, "the device or driver does not support this", NULL),
    ABSENT(SYSTEM_NOT_READY, 802, "the system's driver services are not ready", FIX_SERVICE),
    ABSENT(SYSTEM_DRIVER_MISMATCH, 803, "kernel driver and libcuda are of different versions", FIX_INSTALL),
    ABSENT(COMPAT_NOT_SUPPORTED_ON_DEVICE, 804, "the compatibility libcuda does not support this device",
	   FIX_INSTALL),
    ABSENT(MPS_CONNECTION_FAILED, 805, "the device cannot be used here", FIX_SERVICE),
    ABSENT(MPS_RPC_FAILURE, 806, "the device cannot be used here", FIX_SERVICE),
    ABSENT(MPS_SERVER_NOT_READY, 807, "the device cannot be used here", FIX_SERVICE),
    ABSENT(MPS_MAX_CLIENTS_REACHED, 808, "the device cannot be used here", FIX_SERVICE),
    ABSENT(MPS_MAX_CONNECTIONS_REACHED, 809, "the device cannot be used here", FIX_SERVICE),
    LOST(MPS_CLIENT_TERMINATED, 810, "the MPS server ended this client", FIX_RETRY),
    FEATURE(CDP_NOT_SUPPORTED, 811, "dynamic parallelism is not supported here", NULL),
    FEATURE(CDP_VERSION_MISMATCH, 812, "dynamic parallelism of different versions", NULL),
    INTERNAL(STREAM_CAPTURE_UNSUPPORTED, 900, "a call that should not have been made", NULL),
    INTERNAL(STREAM_CAPTURE_INVALIDATED, 901, "a call that should not have been made", NULL),
    INTERNAL(STREAM_CAPTURE_MERGE, 902, "a call that should not have been made", NULL),
    INTERNAL(STREAM_CAPTURE_UNMATCHED, 903, "a call that should not have been made", NULL),
    INTERNAL(STREAM_CAPTURE_UNJOINED, 904, "a call that should not have been made", NULL),
    INTERNAL(STREAM_CAPTURE_ISOLATION, 905, "a call that should not have been made", NULL),
    INTERNAL(STREAM_CAPTURE_IMPLICIT, 906, "a call that should not have been made", NULL),
    INTERNAL(CAPTURED_EVENT, 907, "a call that should not have been made", NULL),
    INTERNAL(STREAM_CAPTURE_WRONG_THREAD, 908, "a call that should not have been made", NULL),
    INTERNAL(TIMEOUT, 909, "a call that should not have been made", NULL),
    INTERNAL(GRAPH_EXEC_UPDATE_FAILURE, 910, "a call that should not have been made", NULL),
    LOST(EXTERNAL_DEVICE, 911, "an external device signalled an error", FIX_RETRY),
    REQUEST(INVALID_CLUSTER_SIZE, 912, "the cluster size is not possible", FIX_BLOCK),
    INTERNAL(FUNCTION_NOT_LOADED, 913, "a call that should not have been made", NULL),
    INTERNAL(INVALID_RESOURCE_TYPE, 914, "a call that should not have been made", NULL),
    INTERNAL(INVALID_RESOURCE_CONFIGURATION, 915, "a call that should not have been made", NULL),
    INTERNAL(KEY_ROTATION, 916, "a call that should not have been made", NULL),
    LOST(UNKNOWN, 999, "an unknown internal error of the driver", FIX_RETRY),
};

static const struct gd_cuda_verdict unlisted = {
    -1,       "CUDA_ERROR_UNLISTED", GD_DEVICE_LOST, true, "the driver answers with a code that is not known",
    FIX_RETRY};

const struct gd_cuda_verdict *gd_cuda_verdict_of(int result)
{
	size_t low = 0, high = sizeof verdicts / sizeof *verdicts;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (verdicts[middle].result == result)
			return &verdicts[middle];
		if (verdicts[middle].result < result)
			low = middle + 1;
		else
			high = middle;
	}
	return &unlisted;
}

bool gd_cuda_error(struct gd_error *error, int result, const char *doing)
{
	const struct gd_cuda_verdict *verdict = gd_cuda_verdict_of(result);
	gd_error_set(error, verdict->code, verdict->fix, "%s: %s (%s, %d)", doing, verdict->reason,
		     verdict->name, result);
	return gd_error_native(error, result, verdict->name, verdict->sticky);
}
