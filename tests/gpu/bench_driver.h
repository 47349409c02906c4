/* Figures of the driver alone, without the device around it: what explains those of the device. One thread.
 */
#ifndef GD_TESTS_GPU_BENCH_DRIVER_H
#define GD_TESTS_GPU_BENCH_DRIVER_H

#include "gpu/device/cuda/driver.h"

/* The middle of `count` samples, which are sorted. */
double bench_median(double *samples, size_t count);

/*
 * Print what a launch costs by way of waiting and by scheduling flag, each in a fresh primary context; and
 * what each call of a launch costs the CPU when the kernel reads host memory registered in several ways.
 * Leaves no context. Returns false where the driver or NVRTC fails.
 */
bool bench_driver(const struct gd_cuda_driver *driver);

#endif
