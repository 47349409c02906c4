/*
 * What must be known of an image before the driver may have it.
 *
 * The driver takes a cubin without a length and believes its header: a truncated one would be read past its
 * end. So every table and every section that a cubin names is checked against its length first. And kernels
 * can write
 * __device__ and static variables, which must have their initial values at every dispatch: an image that has
 * any is loaded anew for each (module.c).
 *
 * Sources: System V ABI, chapter 4 (ELF64); NVIDIA's cubins: machine 190, sections .nv.global and
 * .nv.global.init for variables in device memory, .nv.constant3 for __constant__ ones. The latter do not
 * count as writable: kernels have read-only access to them by definition, and a program that writes through a
 * cast is on its own.
 *
 * Looks at bytes only, keeps nothing. Any thread.
 */
#ifndef GD_DEVICE_CUDA_IMAGE_H
#define GD_DEVICE_CUDA_IMAGE_H

#include "gpu/base/error.h"

#include <stddef.h>

#define GD_CUDA_IMAGE_BYTES_MAX (256u << 20) /* far above what NVRTC makes; bounds the copy */

/*
 * Check that `bytes` bytes at `data` are a whole 64-bit CUDA ELF file, every table and section inside it;
 * data must be aligned to 8. Sets *out_has_variables to whether it defines variables that kernels can write,
 * apart from the string literals and math tables that the compiler itself puts there ($str…, __cudart_…).
 * Fails: GD_INVALID_PROGRAM (damaged or of another kind).
 */
bool gd_cuda_cubin_check(const void *data, size_t bytes, bool *out_has_variables, struct gd_error *error);

/*
 * The same question about PTX text of `bytes` bytes closed by a NUL: does it declare module-scope .global
 * variables? Says yes when in doubt. Fails: GD_INVALID_PROGRAM (a NUL inside, or none at the end).
 */
bool gd_cuda_ptx_check(const char *text, size_t bytes, bool *out_has_variables, struct gd_error *error);

#endif
