/*
 * Which launches may work in mapped host memory: what a module learns from the launches it has seen.
 *
 * A kernel that touches each byte once gains from mapping; one that comes back to its data loses the bus's
 * latency each time, without bound: on an H100 the 16 384 float atomics of a sum over 64 KiB took 32 us in
 * device memory and 18 ms mapped. Size alone does not tell them apart. So a launch is mapped only after one
 * alike (same kernel, grid, workgroup, scalars and buffer sizes) has run in device memory in a few
 * microseconds, which bounds what it can do; and a module whose mapped launches turn out slow is not mapped
 * again.
 *
 * Owned by the module; any pump thread, without a lock: a lost update costs one launch the better place.
 */
#ifndef GD_DEVICE_CUDA_MAPPING_H
#define GD_DEVICE_CUDA_MAPPING_H

#include "gpu/device/device.h"

#include <stdatomic.h>

/*
 * Device time up to which a launch in device memory makes others like it candidates; streaming kernels on 8
 * KiB took 4 to 10 us alone and twice that beside others (H100).
 */
#define GD_CUDA_TRIAL_NS_MAX 20000u
/*
 * Device time that a mapped launch may take: streaming kernels on 64 KiB took 8 to 17 us alone and, beside 48
 * others, many times that; atomics on mapped memory took 280 to 16 000 us (H100).
 */
#define GD_CUDA_MAPPED_NS_MAX 250000u
/*
 * So many times that time over, and the module is not mapped any more. One launch counts half of it at most,
 * since the device may have been busy with others; and so many fast ones in a row make up for one slow one.
 */
#define GD_CUDA_MAPPED_STRIKES_MAX 8u
#define GD_CUDA_MAPPED_FORGIVING   256u

#define GD_CUDA_SHAPES 8u

struct gd_cuda_mapping {
	_Atomic uint64_t fast[GD_CUDA_SHAPES]; /* shapes that ran fast in device memory; 0 is none */
	_Atomic uint32_t strikes, fast_ones;
};

/* A digest of what makes launches alike; `params` is the launch block with its pointers zeroed. Never 0. */
uint64_t gd_cuda_shape_of(const struct gd_launch *launch, const uint8_t *params);

bool gd_cuda_mapping_allows(struct gd_cuda_mapping *mapping, uint64_t shape);

/* Tell how a launch went. */
void gd_cuda_mapping_learn(struct gd_cuda_mapping *mapping, uint64_t shape, bool was_mapped,
			   uint64_t kernel_ns);

#endif
