/* Loading libcuda: what is said when it is not there, too old, or fails; and our constants against NVIDIA's.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef GD_CUDA_H
#include <cuda.h>
#endif

/* Run count() in a child with `library`, since a process loads libcuda once; the error comes back by a pipe.
 */
static uint32_t count_in_child(const char *library, gd_cu_result init_result, struct gd_error *out_error)
{
	int ends[2];
	uint32_t count = 0;
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct gd_error error = {0};
		if (init_result) {
			struct stub *stub = stub_reset();
			stub->fail_call = STUB_init;
			stub->fail_result = init_result;
		}
		setenv(GD_CUDA_LIBRARY_ENV, library, 1);
		count = gd_device_cuda_ops.count(&error);
		bool is_written = write(ends[1], &count, sizeof count) == (ssize_t)sizeof count &&
				  write(ends[1], &error, sizeof error) == (ssize_t)sizeof error;
		_exit(is_written ? 0 : 1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &count, sizeof count), sizeof count);
	assert_int_equal(read(ends[0], out_error, sizeof *out_error), sizeof *out_error);
	close(ends[0]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	return count;
}

static void without_libcuda_the_backend_is_unavailable(void **state)
{
	(void)state;
	struct gd_error error;
	assert_int_equal(count_in_child("libno-such-cuda.so.1", 0, &error), 0);
	assert_int_equal(error.code, GD_BACKEND_UNAVAILABLE);
	assert_non_null(strstr(error.text, "no CUDA driver"));
	assert_non_null(strstr(error.fix, "Install"));
}

static void a_driver_that_is_too_old_is_named_with_what_it_lacks(void **state)
{
	(void)state;
	struct gd_error error;
	assert_int_equal(count_in_child(GD_BROKEN_STUB_PATH, 0, &error), 0);
	assert_int_equal(error.code, GD_BACKEND_UNAVAILABLE);
	assert_non_null(strstr(error.text, "10.2"));
	assert_non_null(strstr(error.text, "cuDeviceGetCount"));
}

static void a_driver_that_does_not_start_tells_its_reason(void **state)
{
	(void)state;
	struct gd_error error;
	static const gd_cu_result results[] = {GD_CUDA_ERROR_NO_DEVICE, 34, 803, GD_CUDA_ERROR_UNKNOWN,
					       12345};
	for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
		assert_int_equal(count_in_child(GD_STUB_PATH, results[i], &error), 0);
		assert_int_equal(error.code, GD_BACKEND_UNAVAILABLE);
		assert_int_equal(error.native, results[i]);
	}
}

static void a_driver_that_works_counts_its_devices(void **state)
{
	(void)state;
	struct gd_error error;
	assert_int_equal(count_in_child(GD_STUB_PATH, 0, &error), 2);
}

static void our_constants_are_those_of_cuda_h(void **state)
{
	(void)state;
#ifndef GD_CUDA_H
	print_message("skipped: no cuda.h on this machine to compare with\n");
	skip();
#else
#define ROW(name)                                                                                            \
	{                                                                                                    \
#name, (long)GD_##name, (long)name                                                           \
	}
	static const struct {
		const char *name;
		long ours, theirs;
	} rows[] = {
	    ROW(CUDA_SUCCESS),
	    ROW(CUDA_ERROR_INVALID_VALUE),
	    ROW(CUDA_ERROR_OUT_OF_MEMORY),
	    ROW(CUDA_ERROR_NO_DEVICE),
	    ROW(CUDA_ERROR_NOT_FOUND),
	    ROW(CUDA_ERROR_NOT_READY),
	    ROW(CUDA_ERROR_ILLEGAL_ADDRESS),
	    ROW(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE),
	    ROW(CUDA_ERROR_NOT_SUPPORTED),
	    ROW(CUDA_ERROR_UNKNOWN),
	    ROW(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
	    ROW(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X),
	    ROW(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y),
	    ROW(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z),
	    ROW(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X),
	    ROW(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y),
	    ROW(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z),
	    ROW(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
	    ROW(CU_DEVICE_ATTRIBUTE_WARP_SIZE),
	    ROW(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
	    ROW(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
	    ROW(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR),
	    ROW(CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING),
	    ROW(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
	    ROW(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
	    ROW(CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS),
	    ROW(CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH),
	    ROW(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
	    ROW(CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED),
	    ROW(CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED),
	    ROW(CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED),
	    ROW(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED),
	    ROW(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK),
	    ROW(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES),
	    ROW(CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES),
	    ROW(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES),
	    ROW(CU_FUNC_ATTRIBUTE_NUM_REGS),
	    ROW(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES),
	    ROW(CU_CTX_SCHED_AUTO),
	    ROW(CU_CTX_SCHED_SPIN),
	    ROW(CU_CTX_SCHED_YIELD),
	    ROW(CU_CTX_SCHED_BLOCKING_SYNC),
	    ROW(CU_STREAM_NON_BLOCKING),
	    ROW(CU_EVENT_DEFAULT),
	    ROW(CU_EVENT_DISABLE_TIMING),
	    ROW(CU_MEMHOSTREGISTER_PORTABLE),
	    ROW(CU_MEMHOSTREGISTER_DEVICEMAP),
	    ROW(CU_MEMHOSTREGISTER_READ_ONLY),
	    ROW(CU_JIT_ERROR_LOG_BUFFER),
	    ROW(CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES),
	    ROW(CU_MEM_HANDLE_TYPE_NONE),
	    ROW(CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR),
	    ROW(CU_MEM_ALLOCATION_TYPE_PINNED),
	    ROW(CU_MEM_LOCATION_TYPE_DEVICE),
	    ROW(CU_MEM_ACCESS_FLAGS_PROT_READ),
	    ROW(CU_MEM_ACCESS_FLAGS_PROT_READWRITE),
	    ROW(CU_MEM_ALLOC_GRANULARITY_MINIMUM),
	    {"CU_LAUNCH_PARAM_END", (long)(intptr_t)GD_CU_LAUNCH_PARAM_END, CU_LAUNCH_PARAM_END_AS_INT},
	    {"CU_LAUNCH_PARAM_BUFFER_POINTER", (long)(intptr_t)GD_CU_LAUNCH_PARAM_BUFFER_POINTER,
	     CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT},
	    {"CU_LAUNCH_PARAM_BUFFER_SIZE", (long)(intptr_t)GD_CU_LAUNCH_PARAM_BUFFER_SIZE,
	     CU_LAUNCH_PARAM_BUFFER_SIZE_AS_INT},
	    {"CUresult", sizeof(gd_cu_result), sizeof(CUresult)},
	    {"CUdevice", sizeof(gd_cu_device), sizeof(CUdevice)},
	    {"CUdeviceptr", sizeof(gd_cu_pointer), sizeof(CUdeviceptr)},
	    {"CUmemGenericAllocationHandle", sizeof(gd_cu_allocation), sizeof(CUmemGenericAllocationHandle)},
	    {"CUuuid", sizeof(struct gd_cu_uuid), sizeof(CUuuid)},
	    {"CUmemLocation", sizeof(struct gd_cu_location), sizeof(CUmemLocation)},
	    {"CUmemAccessDesc", sizeof(struct gd_cu_access), sizeof(CUmemAccessDesc)},
	    {"CUmemAccessDesc.flags", offsetof(struct gd_cu_access, flags), offsetof(CUmemAccessDesc, flags)},
	    {"CUmemAllocationProp", sizeof(struct gd_cu_allocation_prop), sizeof(CUmemAllocationProp)},
	    {"CUmemAllocationProp.requestedHandleTypes",
	     offsetof(struct gd_cu_allocation_prop, requested_handle_types),
	     offsetof(CUmemAllocationProp, requestedHandleTypes)},
	    {"CUmemAllocationProp.location", offsetof(struct gd_cu_allocation_prop, location),
	     offsetof(CUmemAllocationProp, location)},
	    {"CUmemAllocationProp.win32HandleMetaData",
	     offsetof(struct gd_cu_allocation_prop, win32_metadata),
	     offsetof(CUmemAllocationProp, win32HandleMetaData)},
	    {"CUmemAllocationProp.allocFlags", offsetof(struct gd_cu_allocation_prop, compression_type),
	     offsetof(CUmemAllocationProp, allocFlags)},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].ours != rows[i].theirs)
			fail_msg("%s: ours %ld, cuda.h %ld", rows[i].name, rows[i].ours, rows[i].theirs);
#endif
}

static void every_function_is_in_cuda_h_under_its_name(void **state)
{
	(void)state;
#ifndef GD_CUDA_H
	print_message("skipped: no cuda.h on this machine to compare with\n");
	skip();
#else
	static const char *const names[] = {
#define NAME(field, symbol, parameters) symbol,
	    GD_CUDA_REQUIRED(NAME) GD_CUDA_OPTIONAL(NAME)
#undef NAME
	};
	FILE *file = fopen(GD_CUDA_H, "r");
	assert_non_null(file);
	static char text[4u << 20];
	size_t bytes = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	assert_true(bytes > 0 && bytes < sizeof text - 1);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strstr(text, names[i]))
			fail_msg("%s is not in cuda.h", names[i]);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_libcuda_the_backend_is_unavailable),
	    cmocka_unit_test(a_driver_that_is_too_old_is_named_with_what_it_lacks),
	    cmocka_unit_test(a_driver_that_does_not_start_tells_its_reason),
	    cmocka_unit_test(a_driver_that_works_counts_its_devices),
	    cmocka_unit_test(our_constants_are_those_of_cuda_h),
	    cmocka_unit_test(every_function_is_in_cuda_h_under_its_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
