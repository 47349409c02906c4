/*
 * The seam between the worker process and whatever executes kernels.
 *
 * Three implementations: cuda (the Driver API, loaded at run time), reference (PTX on the CPU) and echo
 * (copies inputs to outputs; for tests of everything above the seam). All of this runs in the worker process
 * and nowhere else.
 *
 * Threads: open, slab, chunk and module calls come from the worker's control thread, one at a time. A stream
 * belongs to one pump thread, which alone calls submit and poll on it; different streams run concurrently
 * with each other and with module calls. A module or chunk is never freed while a launch that names it is in
 * flight (the worker sees to it).
 *
 * A kernel may fail; an implementation never aborts. Errors: GD_DISPATCH_FAILED for a fault of the kernel
 * (sticky when the process can do no more work on that device), GD_DEVICE_OUT_OF_MEMORY, GD_INVALID_REQUEST
 * for a launch that can not be, GD_COOPERATIVE_RESIDENCY_EXCEEDED, GD_UNSUPPORTED_FEATURE, GD_DEVICE_LOST,
 * GD_UNKNOWN.
 */
#ifndef GD_DEVICE_DEVICE_H
#define GD_DEVICE_DEVICE_H

#include "gpu/base/error.h"

#include <stddef.h>
#include <stdint.h>

#define GD_PARAMS_MAX 512 /* parameters of one kernel */
#define GD_PARAM_BYTES_MAX                                                                                   \
	4096 /* bytes of all parameters of one kernel (CUDA C Programming Guide, 12.x limits) */

enum gd_device_kind { GD_DEVICE_ECHO, GD_DEVICE_REFERENCE, GD_DEVICE_CUDA };

/* Plain data; copied into the hello message to the front. */
struct gd_device_info {
	char id[64];           /* "cuda:0" is written by the front; here the UUID text or "reference" */
	char name[128];        /* "NVIDIA H100 80GB HBM3" */
	char architecture[32]; /* "sm_90", "reference-sm_90", "echo" */
	char driver[32];       /* "13.0", empty when there is none */
	int compute_major, compute_minor;
	uint64_t memory_bytes;      /* total device memory; for reference the host's */
	uint64_t memory_free_bytes; /* at probe time */
	uint32_t max_threads_per_block;
	uint32_t max_block[3];
	uint32_t max_grid[3];
	uint32_t max_shared_bytes;       /* per block, without opt-in */
	uint32_t max_shared_optin_bytes; /* per block, dynamic + static, with opt-in */
	uint32_t registers_per_block;
	uint32_t multiprocessors;
	uint32_t warp_size;
	uint32_t pageable_memory_access; /* CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS */
	bool can_export;                 /* chunks can be exported as descriptors (attributes 102, 103) */
};

/* What the loaded kernel says of itself; sizes and offsets are what the launch block is checked against. */
struct gd_kernel_info {
	uint32_t param_count;
	uint32_t param_bytes; /* size of the launch block: end of the last parameter */
	struct {
		uint32_t offset, size;
	} params[GD_PARAMS_MAX];
	uint32_t registers, shared_bytes, local_bytes, const_bytes; /* static, per block / thread / module */
	uint32_t max_threads;                                       /* per block, for this kernel */
	uint32_t max_dynamic_shared_bytes;                          /* what a launch may ask for */
	uint32_t
	    occupancy_blocks; /* resident blocks per multiprocessor at occupancy_threads, no dynamic shared */
	uint32_t occupancy_threads;
};

enum gd_image_kind { GD_IMAGE_PTX, GD_IMAGE_CUBIN };

struct gd_image {
	enum gd_image_kind kind;
	const void *data; /* PTX is NUL-terminated text; bytes counts without the NUL */
	size_t bytes;
	const char *entry;          /* entry symbol as it stands in the image (mangled name) */
	const char *source_name;    /* for messages that name a source line; may be NULL */
	uint32_t occupancy_threads; /* block size to ask occupancy for */
};

/* Where a buffer argument's bytes are. In and out are the worker's two slabs. */
enum gd_space { GD_SPACE_NULL, GD_SPACE_IN, GD_SPACE_OUT, GD_SPACE_CHUNK };

enum gd_access { GD_ACCESS_READ = 1, GD_ACCESS_WRITE = 2, GD_ACCESS_READ_WRITE = 3 };

struct gd_chunk;
struct gd_module;
struct gd_stream;
struct gd_device;

/*
 * One buffer parameter. The kernel sees `bytes` bytes at a device address that the implementation chooses and
 * writes over params[param_offset .. +8). Before the first launch the buffer's content is
 *   - for source GD_SPACE_IN: the bytes at in + source_offset (for READ access the kernel may read them in
 * place),
 *   - for source GD_SPACE_CHUNK: what the chunk holds already (space is then GD_SPACE_CHUNK too),
 *   - for source GD_SPACE_NULL: zeroes.
 * After the last launch a writable buffer whose space is GD_SPACE_OUT has its bytes at out + offset.
 * `bytes` 0 is a null pointer.
 */
struct gd_buffer_arg {
	uint32_t param_offset; /* into the launch block */
	uint8_t access;        /* enum gd_access */
	uint8_t space;  /* where the buffer lives: IN (read-only inputs), OUT (anything written), CHUNK */
	uint8_t source; /* where its initial content comes from */
	uint8_t reserved;
	uint64_t offset; /* into out slab or chunk; for IN into the in slab */
	uint64_t source_offset;
	uint64_t bytes;
	struct gd_chunk *chunk; /* when space is CHUNK */
};

struct gd_launch {
	struct gd_module *module;
	uint32_t grid[3], block[3];
	uint32_t shared_bytes; /* dynamic */
	uint32_t iterations;   /* launches on the same memory, at least 1 */
	bool cooperative;
	const uint8_t
	    *params; /* launch block, param_bytes long; pointer slots are overwritten in a private copy */
	uint32_t param_bytes;
	uint32_t buffer_count;
	const struct gd_buffer_arg *buffers; /* both arrays stay valid until poll says done */
};

struct gd_launch_timing {
	uint64_t h2d_ns, kernel_ns, d2h_ns; /* device time; kernel_ns is at least 1 for a real launch */
};

enum gd_poll { GD_POLL_PENDING, GD_POLL_DONE, GD_POLL_FAILED };

struct gd_device_ops {
	enum gd_device_kind kind;
	const char *name; /* "cuda", "reference", "echo" */

	/* Count the devices of this kind. Returns 0 with `error` set when there is none, saying why. Cheap;
	 * no context. */
	uint32_t (*count)(struct gd_error *error);

	/* Open device `ordinal` (makes the context). Fails: GD_BACKEND_UNAVAILABLE, GD_DEVICE_OUT_OF_MEMORY.
	 */
	bool (*open)(uint32_t ordinal, struct gd_device **out_device, struct gd_device_info *out_info,
		     struct gd_error *error);
	void (*close)(struct gd_device *device); /* NULL is a no-op */

	/*
	 * Announce the slabs, already mapped and populated by the caller: `in` readable, `out` writable. They
	 * stay mapped until close. Called once, before any stream. Fails: GD_DEVICE_OUT_OF_MEMORY,
	 * GD_INTERNAL_STATE.
	 */
	bool (*slabs)(struct gd_device *device, const void *in, size_t in_bytes, void *out, size_t out_bytes,
		      struct gd_error *error);

	/*
	 * Make a chunk of device memory of at least `bytes` (rounded up to the granularity; out_bytes says to
	 * what), zeroed. *out_fd is a descriptor the front keeps (-1 when the device cannot export). Fails:
	 * OUT_OF_MEMORY.
	 */
	bool (*chunk_new)(struct gd_device *device, uint64_t bytes, struct gd_chunk **out_chunk,
			  uint64_t *out_bytes, int *out_fd, struct gd_error *error);
	/* Map a chunk that another worker made; takes no ownership of fd. */
	bool (*chunk_import)(struct gd_device *device, int fd, uint64_t bytes, struct gd_chunk **out_chunk,
			     struct gd_error *error);
	void (*chunk_free)(struct gd_device *device, struct gd_chunk *chunk);

	/*
	 * Load an image and find its entry. Fails: GD_UNSUPPORTED_FEATURE (an instruction the reference does
	 * not know: named with its PTX line and source line), GD_INVALID_PROGRAM (no such entry; image
	 * damaged; too many params).
	 */
	bool (*module_load)(struct gd_device *device, const struct gd_image *image,
			    struct gd_module **out_module, struct gd_kernel_info *out_info,
			    struct gd_error *error);
	void (*module_free)(struct gd_device *device, struct gd_module *module);

	bool (*stream_new)(struct gd_device *device, struct gd_stream **out_stream, struct gd_error *error);
	void (*stream_free)(struct gd_stream *stream);

	/*
	 * Start one dispatch; a stream has one in flight at most. A synchronous device runs it to its end
	 * here.
	 * __device__ and __constant__ variables have their initial values. Fails at once: the codes above.
	 */
	bool (*submit)(struct gd_stream *stream, const struct gd_launch *launch, struct gd_error *error);
	/* Has it ended? Sets out_timing on DONE and error on FAILED. */
	enum gd_poll (*poll)(struct gd_stream *stream, struct gd_launch_timing *out_timing,
			     struct gd_error *error);

	/*
	 * Copy between a window (host memory inside the in or out slab, named by its space and offset) and a
	 * chunk, on a stream with nothing in flight; ends like a launch, through poll. `to_chunk` says the
	 * direction.
	 */
	bool (*copy)(struct gd_stream *stream, bool to_chunk, struct gd_chunk *chunk, uint64_t chunk_offset,
		     uint64_t slab_offset, uint64_t bytes, struct gd_error *error);
	/* Fill part of a chunk with zeroes; ends like a launch. */
	bool (*zero)(struct gd_stream *stream, struct gd_chunk *chunk, uint64_t chunk_offset, uint64_t bytes,
		     struct gd_error *error);
};

extern const struct gd_device_ops gd_device_echo_ops;
extern const struct gd_device_ops gd_device_reference_ops;
extern const struct gd_device_ops gd_device_cuda_ops;

/* The table of a kind; never NULL. */
const struct gd_device_ops *gd_device_ops_of(enum gd_device_kind kind);

#endif
