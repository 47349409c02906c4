/* Virtual memory management of the stub: an allocation is a memfd, a reservation an inaccessible mapping. */
#include "stub.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default"), used))
#define DEFINE(symbol, parameters)                                                                           \
	EXPORT gd_cu_result symbol parameters;                                                               \
	gd_cu_result symbol parameters
#define BEGIN(field)                                                                                         \
	struct stub *stub = stub_get();                                                                      \
	gd_cu_result result_ = count_call(stub, STUB_##field);                                               \
	if (result_)                                                                                         \
	return result_
#define BEGIN_FREE(field, kind)                                                                              \
	struct stub *stub = stub_get();                                                                      \
	stub->live[kind]--;                                                                                  \
	gd_cu_result result_ = count_call(stub, STUB_##field)

stub_get_fn stub_get;

static gd_cu_result count_call(struct stub *stub, enum stub_call call)
{
	int before = stub->calls[call]++;
	return (int)call == stub->fail_call && before >= stub->fail_after ? stub->fail_result : 0;
}

DEFINE(cuMemGetAllocationGranularity,
       (size_t * out_bytes, const struct gd_cu_allocation_prop *prop, int option))
{
	(void)option;
	BEGIN(mem_granularity);
	*out_bytes = STUB_GRANULARITY;
	return prop->type == GD_CU_MEM_ALLOCATION_TYPE_PINNED ? 0 : GD_CUDA_ERROR_INVALID_VALUE;
}

DEFINE(cuMemCreate, (gd_cu_allocation * out_allocation, size_t bytes,
		     const struct gd_cu_allocation_prop *prop, unsigned long long flags))
{
	(void)prop, (void)flags;
	BEGIN(mem_create);
	char dirt[1024];
	memset(dirt, STUB_DIRT, sizeof dirt);
	int fd = memfd_create("stub", MFD_CLOEXEC);
	for (size_t at = 0; fd >= 0 && at < bytes; at += sizeof dirt)
		if (write(fd, dirt, sizeof dirt) != (ssize_t)sizeof dirt)
			return GD_CUDA_ERROR_OUT_OF_MEMORY;
	stub->live[STUB_ALLOCATIONS]++;
	*out_allocation = (gd_cu_allocation)fd;
	return fd >= 0 ? 0 : GD_CUDA_ERROR_OUT_OF_MEMORY;
}

DEFINE(cuMemRelease, (gd_cu_allocation allocation))
{
	BEGIN_FREE(mem_release, STUB_ALLOCATIONS);
	close((int)allocation);
	return result_;
}

DEFINE(cuMemAddressReserve, (gd_cu_pointer * out_pointer, size_t bytes, size_t alignment, gd_cu_pointer wish,
			     unsigned long long flags))
{
	(void)alignment, (void)wish, (void)flags;
	BEGIN(mem_reserve);
	void *start = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED)
		return GD_CUDA_ERROR_OUT_OF_MEMORY;
	stub->live[STUB_RESERVATIONS]++;
	*out_pointer = (gd_cu_pointer)(uintptr_t)start;
	return 0;
}

DEFINE(cuMemAddressFree, (gd_cu_pointer pointer, size_t bytes))
{
	BEGIN_FREE(mem_address_free, STUB_RESERVATIONS);
	munmap((void *)(uintptr_t)pointer, bytes);
	return result_;
}

DEFINE(cuMemMap, (gd_cu_pointer pointer, size_t bytes, size_t offset, gd_cu_allocation allocation,
		  unsigned long long flags))
{
	(void)offset, (void)flags;
	BEGIN(mem_map);
	struct stat status;
	if (fstat((int)allocation, &status) < 0 || (size_t)status.st_size < bytes)
		return GD_CUDA_ERROR_INVALID_VALUE;
	if (mmap((void *)(uintptr_t)pointer, bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, (int)allocation, 0) ==
	    MAP_FAILED)
		return 205;
	stub->live[STUB_MAPPINGS]++;
	return 0;
}

DEFINE(cuMemUnmap, (gd_cu_pointer pointer, size_t bytes))
{
	BEGIN_FREE(mem_unmap, STUB_MAPPINGS);
	mmap((void *)(uintptr_t)pointer, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	return result_;
}

DEFINE(cuMemSetAccess, (gd_cu_pointer pointer, size_t bytes, const struct gd_cu_access *access, size_t count))
{
	BEGIN(mem_set_access);
	int rights =
	    access->flags == GD_CU_MEM_ACCESS_FLAGS_PROT_READWRITE ? PROT_READ | PROT_WRITE : PROT_READ;
	return count == 1 && !mprotect((void *)(uintptr_t)pointer, bytes, rights)
		   ? 0
		   : GD_CUDA_ERROR_INVALID_VALUE;
}

DEFINE(cuMemExportToShareableHandle,
       (void *out_handle, gd_cu_allocation allocation, int type, unsigned long long flags))
{
	(void)flags;
	BEGIN(mem_export);
	int fd = dup((int)allocation);
	memcpy(out_handle, &fd, sizeof fd);
	return fd >= 0 && type == GD_CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ? 0
									      : GD_CUDA_ERROR_INVALID_VALUE;
}

DEFINE(cuMemImportFromShareableHandle, (gd_cu_allocation * out_allocation, void *handle, int type))
{
	(void)type;
	BEGIN(mem_import);
	int fd = dup((int)(intptr_t)handle);
	if (fd < 0)
		return GD_CUDA_ERROR_INVALID_VALUE;
	stub->live[STUB_ALLOCATIONS]++;
	*out_allocation = (gd_cu_allocation)fd;
	return 0;
}
