/*
 * A loaded module: PTX text to a program for one entry, with what the kernel says of itself.
 *
 * The program and everything it points to live in one arena, freed with it; it is immutable and any number of
 * threads may run it. Only what the entry can reach is lowered, so an instruction that is not known elsewhere
 * does no harm.
 */
#ifndef GD_REFERENCE_PROGRAM_H
#define GD_REFERENCE_PROGRAM_H

#include "gpu/device/device.h"
#include "gpu/device/reference/arena.h"
#include "gpu/device/reference/vm.h"

/* Limits of compute capability 9.0 (CUDA C Programming Guide, table "Technical Specifications"). */
#define GD_SHARED_STATIC_MAX   (48u * 1024)
#define GD_SHARED_OPTIN_MAX    (227u * 1024)
#define GD_REGISTERS_PER_BLOCK 65536u
#define GD_THREADS_PER_BLOCK   1024u
#define GD_SM_SHARED_BYTES     (228u * 1024)
#define GD_SM_THREADS          2048u
#define GD_SM_BLOCKS           32u
#define GD_SHARED_RESERVED     1024u /* of each block, by the system */

struct gd_ptx_program {
	struct gd_scratch arena;
	struct gd_vm_program vm;
	struct gd_kernel_info info;
	uint32_t required_block[3]; /* .reqntid; 0 when any will do */
	uint64_t global_memory;     /* bytes of all globals, for a copy per launch */
};

/*
 * Load an image. Fails: GD_UNSUPPORTED_FEATURE, GD_INVALID_PROGRAM, GD_DEVICE_OUT_OF_MEMORY.
 */
bool gd_ptx_program_load(const struct gd_image *image, struct gd_ptx_program **out_program,
			 struct gd_error *error);
void gd_ptx_program_free(struct gd_ptx_program *program); /* NULL is a no-op */

/* Blocks of `threads` threads that one multiprocessor of compute capability 9.0 holds at once. */
uint32_t gd_ptx_program_occupancy(const struct gd_ptx_program *program, uint32_t threads,
				  uint32_t dynamic_bytes);

#endif
