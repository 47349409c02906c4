/*
 * Where the buffers of one launch are while the kernel runs, and how their bytes get there and back.
 *
 * Three places: a chunk; the slab itself, which the kernel reads and writes over the bus (mapped); staging
 * memory on the device, filled before and read back after. Mapped is for small launches that mapping.h
 * allows: it saves three calls and their latency, but a kernel pays the bus for every access. Whatever a
 * kernel may see is initialised in full first.
 *
 * A placement belongs to the stream whose launch it describes. Pump thread of that stream.
 */
#ifndef GD_DEVICE_CUDA_PLACEMENT_H
#define GD_DEVICE_CUDA_PLACEMENT_H

#include "gpu/device/cuda/context.h"

/*
 * The most bytes that a launch has in its slab buffers, all together, to be mapped. Measured on an H100
 * (design.md): a streaming kernel on two vectors of 64 KiB took 13 us mapped and 30 us copied; but a kernel
 * that reads its input many times loses more than that above this size.
 */
#define GD_CUDA_MAPPED_BYTES_MAX (64u << 10)

struct gd_cuda_place {
	gd_cu_pointer
	    address; /* what the kernel is given; for staged buffers an offset until staging is there */
	bool is_staged;
};

struct gd_cuda_placement {
	uint64_t staging_bytes; /* that the launch needs */
	bool has_uploads;       /* anything to do on the device before the first launch */
	bool has_downloads;     /* anything to copy back after the last */
	bool has_mapped;        /* any buffer that the kernel uses in its slab */
	struct gd_cuda_place places[GD_PARAMS_MAX];
};

/*
 * Check every buffer of `launch` against its memory and choose its place, in the slabs only if may_map.
 * Touches no memory. Fails: GD_INTERNAL_STATE (a range outside its memory, a combination device.h does not
 * allow).
 */
bool gd_cuda_placement_choose(const struct gd_device *device, const struct gd_launch *launch, bool may_map,
			      struct gd_cuda_placement *placement, struct gd_error *error);

/* Give the staged buffers their addresses, and the mapped ones their initial content, by the CPU. */
void gd_cuda_placement_settle(const struct gd_device *device, const struct gd_launch *launch,
			      struct gd_cuda_placement *placement, gd_cu_pointer staging);

/* Enqueue what gives the other buffers their initial content. Fails: the driver's errors. */
bool gd_cuda_placement_upload(struct gd_device *device, const struct gd_launch *launch,
			      const struct gd_cuda_placement *placement, struct CUstream_st *stream,
			      struct gd_error *error);

/* Enqueue the copies back to the out slab. Fails: the driver's errors. */
bool gd_cuda_placement_download(struct gd_device *device, const struct gd_launch *launch,
				const struct gd_cuda_placement *placement, struct CUstream_st *stream,
				struct gd_error *error);

#endif
