/*
 * What the files of the cuda device share: the open device and how its calls are made and judged.
 *
 * One process opens one device through its primary context, which is made current on each thread that calls
 * in (remembered per thread). Once a call has come back with a sticky code the device is lost: every later
 * call answers with that same code and does not enter the driver, except to free. Frees never fail and never
 * wait.
 *
 * Owner: the worker owns device, chunks, modules and streams and frees children before the device. Threads:
 * see device.h; `lost` is the only field that changes while streams run.
 */
#ifndef GD_DEVICE_CUDA_CONTEXT_H
#define GD_DEVICE_CUDA_CONTEXT_H

#include "gpu/device/cuda/driver.h"
#include "gpu/device/cuda/mapping.h"
#include "gpu/device/device.h"

#include <stdatomic.h>

#define GD_CUDA_ALIGNMENT 256u /* what cuMemAlloc guarantees at least; every buffer starts so aligned */

struct gd_device {
	const struct gd_cuda_driver *driver;
	gd_cu_device handle;
	struct CUctx_st *context;
	uint64_t serial;  /* tells a thread whether this device's context is its current one */
	_Atomic int lost; /* the sticky CUresult; 0 while the device works */

	uint32_t max_grid[3], max_block[3];
	uint32_t max_shared_bytes, max_shared_optin_bytes;
	uint32_t multiprocessors, threads_per_multiprocessor;
	uint64_t memory_bytes;
	bool has_cooperative, has_pools, has_vmm, can_export, has_read_only_register;

	const uint8_t *in;
	uint8_t *out;
	size_t in_bytes, out_bytes;
	bool in_is_registered, out_is_registered;
	uint64_t small_bytes_max; /* GD_CUDA_SMALL_BYTES_MAX, but for measurements of what it should be */
	bool maps_untried;        /* for measurements only: map whatever is small */

	struct CUstream_st *control; /* for zeroing chunks; control thread only */
	struct CUevent_st *control_done;
	struct gd_chunk *limbo; /* chunks whose zeroing did not end in time; freed when it has */
};

struct gd_chunk {
	uint64_t bytes;
	bool has_allocation;
	gd_cu_allocation allocation; /* without: plain memory of cuMemAlloc */
	gd_cu_pointer writable;
	gd_cu_pointer readable; /* a second, read-only mapping; equal to writable where the device has none */
	struct gd_chunk *next;  /* in limbo */
};

struct gd_cuda_instance {
	struct CUmod_st *module;
	struct CUfunc_st *function;
};

struct gd_module {
	struct gd_cuda_instance shared; /* what launches use, unless the program has variables */
	struct gd_kernel_info info;
	struct gd_cuda_mapping mapping;
	bool has_variables;
	_Atomic bool is_raised; /* shared.function may take more than the default dynamic shared memory */
	enum gd_image_kind kind;
	void *image; /* kept for further instances only if has_variables */
	size_t image_bytes;
	char *entry;
};

/* Make the device's context current on this thread. Fails: the sticky error when the device is lost. */
bool gd_cuda_enter(struct gd_device *device, struct gd_error *error);

/* The same for freeing: takes a lost device too, and cannot fail. */
void gd_cuda_enter_to_free(struct gd_device *device);

/* Judge a call's result: true for success; else writes `error`, marks the device lost if sticky, returns
 * false. */
bool gd_cuda_check(struct gd_device *device, gd_cu_result result, const char *doing, struct gd_error *error);

/* The slots that live in other files than device.c; device.h says what they do. */
bool gd_cuda_chunk_new(struct gd_device *device, uint64_t bytes, struct gd_chunk **out_chunk,
		       uint64_t *out_bytes, int *out_fd, struct gd_error *error);
bool gd_cuda_chunk_import(struct gd_device *device, int fd, uint64_t bytes, struct gd_chunk **out_chunk,
			  struct gd_error *error);
void gd_cuda_chunk_free(struct gd_device *device, struct gd_chunk *chunk);
bool gd_cuda_module_load(struct gd_device *device, const struct gd_image *image,
			 struct gd_module **out_module, struct gd_kernel_info *out_info,
			 struct gd_error *error);
void gd_cuda_module_free(struct gd_device *device, struct gd_module *module);
bool gd_cuda_stream_new(struct gd_device *device, struct gd_stream **out_stream, struct gd_error *error);
void gd_cuda_stream_free(struct gd_stream *stream);
bool gd_cuda_submit(struct gd_stream *stream, const struct gd_launch *launch, struct gd_error *error);
enum gd_poll gd_cuda_poll(struct gd_stream *stream, struct gd_launch_timing *out_timing,
			  struct gd_error *error);
bool gd_cuda_copy(struct gd_stream *stream, bool to_chunk, struct gd_chunk *chunk, uint64_t chunk_offset,
		  uint64_t slab_offset, uint64_t bytes, struct gd_error *error);
bool gd_cuda_zero(struct gd_stream *stream, struct gd_chunk *chunk, uint64_t chunk_offset, uint64_t bytes,
		  struct gd_error *error);

/* Free the chunks in limbo whose zeroing has ended, or all of them. Control thread. */
void gd_cuda_limbo_reap(struct gd_device *device, bool all);

/*
 * The function to launch, ready for `shared_bytes` of dynamic shared memory: the module's own, or, when the
 * program has variables, that of a freshly loaded instance, which the caller drops after the launch. Any pump
 * thread. Fails: as module_load.
 */
bool gd_cuda_instance_take(struct gd_device *device, struct gd_module *module, uint32_t shared_bytes,
			   struct gd_cuda_instance *out_instance, struct gd_error *error);
void gd_cuda_instance_drop(struct gd_device *device, struct gd_module *module,
			   struct gd_cuda_instance *instance);

/* Is [offset, offset + bytes) inside `limit` bytes? Cannot wrap. */
static inline bool gd_cuda_fits(uint64_t offset, uint64_t bytes, uint64_t limit)
{
	return offset <= limit && bytes <= limit - offset;
}

#endif
