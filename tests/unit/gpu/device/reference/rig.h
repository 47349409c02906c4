/*
 * A reference device with slabs, for tests: load PTX or CUDA C, launch with buffers, read what came back.
 *
 * Buffers of a launch are given as struct rig_buffer; each takes its own place in the slabs, tightly one
 * behind the other, so that an access one byte outside would hit a neighbour if it were not caught.
 */
#ifndef GD_TESTS_REFERENCE_RIG_H
#define GD_TESTS_REFERENCE_RIG_H

#include "gpu/device/device.h"
#include "gpu/device/reference/ops.h"
#include "gpu/device/reference/stream.h"
#include "tests/unit/gpu/device/nvrtc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define RIG_SLAB (64u << 20)
#define ops      (&gd_device_reference_ops)

struct rig {
	struct gd_device *device;
	struct gd_device_info info;
	struct gd_stream *stream;
	struct gd_module *module;
	struct gd_kernel_info kernel;
	struct gd_error error;
	struct gd_launch_timing timing;
	uint8_t *in, *out;
};

enum { RIG_IN = 1, RIG_OUT = 2, RIG_INOUT = 3 };

struct rig_buffer {
	int direction;
	void *data; /* copied in before and out after the launch, as the direction says */
	size_t bytes;
};

__attribute__((unused)) static void rig_open(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	assert_int_equal(ops->count(&rig->error), 1);
	assert_true(ops->open(0, &rig->device, &rig->info, &rig->error));
	rig->in = aligned_alloc(4096, RIG_SLAB);
	rig->out = aligned_alloc(4096, RIG_SLAB);
	assert_non_null(rig->in);
	assert_non_null(rig->out);
	assert_true(ops->slabs(rig->device, rig->in, RIG_SLAB, rig->out, RIG_SLAB, &rig->error));
	assert_true(ops->stream_new(rig->device, &rig->stream, &rig->error));
}

__attribute__((unused)) static void rig_close(struct rig *rig)
{
	ops->module_free(rig->device, rig->module);
	ops->stream_free(rig->stream);
	ops->close(rig->device);
	free(rig->in);
	free(rig->out);
}

__attribute__((unused)) static bool rig_try_load(struct rig *rig, const char *ptx, size_t bytes,
						 const char *entry)
{
	const struct gd_image image = {.kind = GD_IMAGE_PTX,
				       .data = ptx,
				       .bytes = bytes,
				       .entry = entry,
				       .source_name = "kernel.cu",
				       .occupancy_threads = 128};
	ops->module_free(rig->device, rig->module);
	rig->module = NULL;
	return ops->module_load(rig->device, &image, &rig->module, &rig->kernel, &rig->error);
}

__attribute__((unused)) static void rig_load(struct rig *rig, const char *ptx, const char *entry)
{
	if (!rig_try_load(rig, ptx, strlen(ptx), entry))
		fail_msg("%s", rig->error.text);
}

/* Compile and load; skips the running test, with its reason, when there is no NVRTC. */
#define rig_compile(rig, source, entry, option, option2)                                                     \
	do {                                                                                                 \
		struct nvrtc *rig_nvrtc = nvrtc_load();                                                      \
		if (!rig_nvrtc) {                                                                            \
			print_message("skipped: there is no libnvrtc (set GPUDISPATCH_NVRTC)\n");            \
			rig_close(rig);                                                                      \
			skip();                                                                              \
		}                                                                                            \
		char *rig_ptx = nvrtc_compile(rig_nvrtc, source, option, option2);                           \
		assert_non_null(rig_ptx);                                                                    \
		rig_load(rig, rig_ptx, entry);                                                               \
		free(rig_ptx);                                                                               \
	} while (0)

/* Extra scalars: written into the parameter block behind the buffers' pointers, in order, by the kernel's
 * layout. */
struct rig_launch {
	uint32_t grid[3], block[3]; /* zeroes stand for 1 */
	uint32_t shared_bytes, iterations;
	bool cooperative;
	const struct rig_buffer *buffers;
	uint32_t buffer_count;
	const void *scalars[16]; /* by parameter, after the buffers */
};

/* Submit and wait. True on success; else rig->error says what happened. */
__attribute__((unused)) static bool rig_run(struct rig *rig, const struct rig_launch *what)
{
	static struct gd_buffer_arg args[GD_PARAMS_MAX];
	static uint8_t params[GD_PARAM_BYTES_MAX];
	uint64_t in_top = 0, out_top = 0;
	memset(args, 0, sizeof(args));
	memset(params, 0, sizeof(params));
	for (uint32_t i = 0; i < what->buffer_count; i++) {
		const struct rig_buffer *buffer = &what->buffers[i];
		struct gd_buffer_arg *arg = &args[i];
		arg->param_offset = rig->kernel.params[i].offset;
		arg->bytes = buffer->bytes;
		if (buffer->direction & RIG_IN) {
			memcpy(rig->in + in_top, buffer->data, buffer->bytes);
			arg->source = GD_SPACE_IN;
			arg->source_offset = in_top;
		}
		if (buffer->direction & RIG_OUT) {
			arg->access = GD_ACCESS_READ_WRITE;
			arg->space = GD_SPACE_OUT;
			arg->offset = out_top;
			out_top += (buffer->bytes + 15) & ~15ull;
		} else {
			arg->access = GD_ACCESS_READ;
			arg->space = GD_SPACE_IN;
			arg->offset = in_top;
		}
		if (buffer->direction & RIG_IN)
			in_top += (buffer->bytes + 15) & ~15ull;
		assert_true(in_top <= RIG_SLAB && out_top <= RIG_SLAB);
	}
	for (uint32_t i = what->buffer_count;
	     i < rig->kernel.param_count && what->scalars[i - what->buffer_count]; i++)
		memcpy(params + rig->kernel.params[i].offset, what->scalars[i - what->buffer_count],
		       rig->kernel.params[i].size);
	struct gd_launch launch = {.module = rig->module,
				   .shared_bytes = what->shared_bytes,
				   .iterations = what->iterations ? what->iterations : 1,
				   .cooperative = what->cooperative,
				   .params = params,
				   .param_bytes = rig->kernel.param_bytes,
				   .buffer_count = what->buffer_count,
				   .buffers = args};
	for (int i = 0; i < 3; i++) {
		launch.grid[i] = what->grid[i] ? what->grid[i] : 1;
		launch.block[i] = what->block[i] ? what->block[i] : 1;
	}
	memset(&rig->error, 0, sizeof(rig->error));
	if (!ops->submit(rig->stream, &launch, &rig->error))
		return false;
	if (ops->poll(rig->stream, &rig->timing, &rig->error) != GD_POLL_DONE)
		return false;
	for (uint32_t i = 0; i < what->buffer_count; i++) {
		if (what->buffers[i].direction & RIG_OUT)
			memcpy(what->buffers[i].data, rig->out + args[i].offset, what->buffers[i].bytes);
	}
	return true;
}

__attribute__((unused)) static void rig_must_run(struct rig *rig, const struct rig_launch *what)
{
	if (!rig_run(rig, what))
		fail_msg("%s", rig->error.text);
}

/* A fault of this name with this in its text. */
__attribute__((unused)) static void rig_must_fault(struct rig *rig, const struct rig_launch *what,
						   const char *name, const char *text)
{
	assert_false(rig_run(rig, what));
	assert_int_equal(rig->error.code, GD_DISPATCH_FAILED);
	assert_string_equal(rig->error.native_name, name);
	assert_false(rig->error.sticky);
	if (!strstr(rig->error.text, text))
		fail_msg("`%s` is not in `%s`", text, rig->error.text);
}

/* Run a group of tests with every instruction set that the device was built for and this processor has. */
#define rig_run_variants(tests)                                                                              \
	__extension__({                                                                                      \
		static const char *const rig_variants[] = {"base", "v3", "v4"};                              \
		int rig_failures = 0;                                                                        \
		for (size_t rig_i = 0; rig_i < 3; rig_i++) {                                                 \
			bool rig_is_there = gd_vm_handlers_use(rig_variants[rig_i]);                         \
			print_message("instruction set %s%s\n", rig_variants[rig_i],                         \
				      rig_is_there ? "" : " skipped: this processor or build lacks it");     \
			if (rig_is_there)                                                                    \
				rig_failures += cmocka_run_group_tests(tests, NULL, NULL);                   \
		}                                                                                            \
		rig_failures;                                                                                \
	})

#endif
