/* What the tests of the cuda device share: the stub driver, a small cubin, an open device. */
#ifndef GD_TESTS_CUDA_SUPPORT_H
#define GD_TESTS_CUDA_SUPPORT_H

#include "stub.h"

#include "gpu/device/cuda/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SLAB_BYTES (512u << 10)

struct bench {
	struct stub *stub;
	struct gd_device *device;
	struct gd_device_info info;
	struct gd_stream *stream;
	uint8_t *in, *out;
	struct gd_error error;
	struct gd_launch_timing timing;
	struct gd_kernel_info kernel; /* too large for a test's stack frame */
};

/* Load the stub (once) and set it back to a device that works: an H100's limits, one multiprocessor. */
struct stub *stub_reset(void);

/* A device with slabs and a stream on the stub; the in slab holds a pattern, the out slab 0xEE. */
int bench_set_up(void **state);
int bench_tear_down(void **state);

/* Build a whole cubin in `bytes` (at least CUBIN_BYTES); `variable` names a variable in .nv.global, or is
 * NULL. */
#define CUBIN_BYTES 1024u
size_t cubin_build(uint8_t *bytes, const char *variable);

/* Load the stub's kernel `entry`; has_variables says whether the image defines a variable. */
bool bench_load(struct bench *bench, const char *entry, bool has_variables, struct gd_module **out_module);

/* Buffers of a launch: read from the in slab, written to the out slab. */
struct gd_buffer_arg buffer_in(uint32_t param, uint64_t offset, uint64_t bytes);
struct gd_buffer_arg buffer_out(uint32_t param, uint64_t offset, uint64_t bytes);

/* A launch of "copy" (buffers at parameters 0 and 8, `bytes` at 16) of one block of 32 threads; one at a
 * time. */
struct gd_launch launch_copy(struct gd_module *module, const struct gd_buffer_arg *buffers, uint32_t count,
			     uint32_t bytes);

/* Poll at most 10 000 times. */
enum gd_poll bench_finish(struct bench *bench);

#endif
