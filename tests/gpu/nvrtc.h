/* NVRTC for the device tests, opened at run time; no product code uses this. One thread. */
#ifndef GD_TESTS_GPU_NVRTC_H
#define GD_TESTS_GPU_NVRTC_H

#include "gpu/device/device.h"

/* Is there an NVRTC? Says why not on stderr. */
bool nvrtc_open(void);

/*
 * Compile `source` for `architecture` ("sm_90" gives a cubin, "compute_90" PTX). On success the caller frees
 * *out_data; bytes count without the NUL that closes PTX. On failure the log goes to stderr.
 */
bool nvrtc_compile(const char *source, const char *architecture, void **out_data, size_t *out_bytes);

#endif
