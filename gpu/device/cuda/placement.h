/*
 * Where the buffers of one launch are while the kernel runs, and how their bytes get there and back.
 *
 * A kernel never works in the slabs, which hold other requests' bytes too: a write past the end of a buffer
 * there would be somebody else's wrong answer. A buffer is in one of three places:
 *   - a chunk, in place;
 *   - staging memory on the device, filled from the in slab (or with zeroes) before and read back after;
 *   - the stream's bounce: a small piece of pinned host memory where all buffers of a small launch are
 * assembled by the CPU. Either the kernel works there over the bus (mapped; mapping.h says when), which saves
 * all copies, or its whole image goes to staging in one copy and its outputs come back in one. Whatever a
 * kernel is given is initialised in full first.
 *
 * A placement belongs to the stream whose launch it describes. Pump thread of that stream.
 */
#ifndef GD_DEVICE_CUDA_PLACEMENT_H
#define GD_DEVICE_CUDA_PLACEMENT_H

#include "gpu/device/cuda/context.h"

/*
 * The most bytes that a launch has in its slab buffers, all together and each rounded up to
 * GD_CUDA_ALIGNMENT, to be assembled in the bounce. Measured on an H100 (design.md): a streaming kernel on
 * two vectors of 64 KiB took 13 us mapped and 30 us copied. Above this the CPU's copying costs more than
 * calls saved.
 */
#define GD_CUDA_SMALL_BYTES_MAX (64u << 10)

/* Size of a bounce; room above the default limit is for measurements of what that should be. */
#define GD_CUDA_BOUNCE_BYTES (256u << 10)

struct gd_cuda_bounce {
	uint8_t *host;
	gd_cu_pointer device;
};

struct gd_cuda_place {
	uint64_t offset;       /* in bounce and staging alike */
	gd_cu_pointer address; /* what the kernel is given */
};

struct gd_cuda_placement {
	uint64_t bytes;          /* of bounce or staging that the launch needs */
	uint64_t outputs_offset; /* written buffers lie behind this, read-only ones before */
	bool is_small;           /* assembled in the bounce */
	bool is_mapped;          /* and used there by the kernel; else in staging */
	bool has_uploads;        /* anything to do on the device before the first launch */
	bool has_downloads;      /* anything to copy back after the last */
	struct gd_cuda_place places[GD_PARAMS_MAX];
};

/*
 * Check every buffer of `launch` against its memory and choose its place; mapped only if may_map. Touches no
 * memory. Fails: GD_INTERNAL_STATE (a range outside its memory, a combination device.h does not allow).
 */
bool gd_cuda_placement_choose(const struct gd_device *device, const struct gd_launch *launch, bool may_map,
			      struct gd_cuda_placement *placement, struct gd_error *error);

/* Bytes of staging memory the launch needs; 0 for none. */
uint64_t gd_cuda_placement_staging(const struct gd_cuda_placement *placement);

/* Give the buffers their addresses and assemble a small launch in the bounce. */
void gd_cuda_placement_settle(const struct gd_device *device, const struct gd_launch *launch,
			      struct gd_cuda_placement *placement, gd_cu_pointer staging,
			      const struct gd_cuda_bounce *bounce);

/* Enqueue what gives buffers in device memory their initial content. Fails: the driver's errors. */
bool gd_cuda_placement_upload(struct gd_device *device, const struct gd_launch *launch,
			      const struct gd_cuda_placement *placement, gd_cu_pointer staging,
			      const struct gd_cuda_bounce *bounce, struct CUstream_st *stream,
			      struct gd_error *error);

/* Enqueue the copies back. Fails: the driver's errors. */
bool gd_cuda_placement_download(struct gd_device *device, const struct gd_launch *launch,
				const struct gd_cuda_placement *placement, gd_cu_pointer staging,
				const struct gd_cuda_bounce *bounce, struct CUstream_st *stream,
				struct gd_error *error);

/* After all that has ended: bring the outputs of a small launch from the bounce to the out slab. */
void gd_cuda_placement_collect(const struct gd_device *device, const struct gd_launch *launch,
			       const struct gd_cuda_placement *placement,
			       const struct gd_cuda_bounce *bounce);

#endif
