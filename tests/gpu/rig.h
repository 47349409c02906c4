/*
 * What the conformance cases share: an open device with slabs and a stream, kernels compiled for it, launches
 * run to their end. A case fails by returning false after rig_fail said why. One thread.
 */
#ifndef GD_TESTS_GPU_RIG_H
#define GD_TESTS_GPU_RIG_H

#include "gpu/base/clock.h"
#include "gpu/device/device.h"

#include <stdint.h>

struct rig {
	const struct gd_device_ops *ops;
	struct gd_device *device;
	struct gd_device_info info;
	struct gd_stream *stream;
	uint8_t *in, *out;
	size_t slab_bytes; /* of each */
	struct gd_error error;
	struct gd_launch_timing timing;
	struct gd_kernel_info kernel; /* of the module loaded last */
	char why[640];                /* of the case that failed */
};

struct rig_case {
	const char *name;
	bool (*run)(struct rig *rig);
	bool is_cuda_only;
};

/* The tables of the case files, closed by a row without a name. */
extern const struct rig_case conformance_cases[];
extern const struct rig_case conformance_memory_cases[];

/* Kernels that fault, each in a process of its own; returns the number of failures. */
int conformance_faults(struct rig *rig, const char *self);

/* The part of the child processes: run the fault `name`; the exit status tells the parent. */
int conformance_fault_child(struct rig *rig, const char *name);

bool rig_is_cuda(const struct rig *rig);

/* Open device 0 with slabs of `slab_bytes` each and a stream. Fails: rig->error. */
bool rig_open(struct rig *rig, const struct gd_device_ops *ops, size_t slab_bytes);
void rig_close(struct rig *rig);

/* Say why a case fails. Returns false. */
bool rig_fail(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Compile `source` for the device and load its kernel `entry`; info goes to rig->kernel. Returns NULL on
 * failure. */
struct gd_module *rig_load(struct rig *rig, const char *source, const char *entry);

/* A launch of one dimension: `threads` threads in blocks of 256, at least one block. */
struct gd_launch rig_launch(struct rig *rig, struct gd_module *module, uint64_t threads, const void *params,
			    const struct gd_buffer_arg *buffers, uint32_t count);

/* Submit and poll to the end, at most 60 s. True when DONE; rig->error and why tell otherwise. */
bool rig_run(struct rig *rig, const struct gd_launch *launch);
/* Poll what was submitted to its end. */
bool rig_finish(struct rig *rig);

/* Buffers: read from in, written to out (from zeroes), read and written (from in), in a chunk. */
struct gd_buffer_arg rig_in(uint32_t param, uint64_t offset, uint64_t bytes);
struct gd_buffer_arg rig_out(uint32_t param, uint64_t offset, uint64_t bytes);
struct gd_buffer_arg rig_in_out(uint32_t param, uint64_t offset, uint64_t source_offset, uint64_t bytes);
struct gd_buffer_arg rig_chunk(uint32_t param, uint8_t access, struct gd_chunk *chunk, uint64_t offset,
			       uint64_t bytes);

#endif
