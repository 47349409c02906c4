/*
 * The objects behind the seam: device, chunk, module, stream, and the launch of a kernel on a stream.
 *
 * A stream keeps its machine and its tables from launch to launch, so that a small launch allocates nothing.
 * Threads as device.h says.
 */
#ifndef GD_REFERENCE_STREAM_H
#define GD_REFERENCE_STREAM_H

#include "gpu/device/reference/pool.h"
#include "gpu/device/reference/program.h"

#define GD_BUFFERS_MAX GD_PARAMS_MAX

struct gd_device {
	const uint8_t *in;
	uint8_t *out;
	size_t in_bytes, out_bytes;
	struct gd_pool *pool;
	uint32_t threads; /* that a launch can use */
	uint64_t budget;  /* see gd_reference_set_budget */
};

struct gd_chunk {
	uint8_t *memory;
	uint64_t bytes;
};

struct gd_module {
	struct gd_ptx_program *program;
};

enum gd_stream_state { GD_STREAM_IDLE, GD_STREAM_DONE, GD_STREAM_FAILED };

struct gd_stream {
	struct gd_device *device;
	enum gd_stream_state state;
	struct gd_launch_timing timing;
	struct gd_error error;
	struct gd_vm_span spans[GD_BUFFERS_MAX];
	uint16_t slot_span[GD_SLOT_COUNT];
	_Alignas(16) uint8_t params[GD_PARAM_BYTES_MAX];
	uint8_t *globals; /* the module's variables of the launch under way */
	size_t globals_capacity;
	uint8_t *grid_workspace;
	struct gd_vm vm;
	struct gd_vm_launch launch;
};

/* submit of the seam. */
bool gd_stream_launch(struct gd_stream *stream, const struct gd_launch *launch, struct gd_error *error);

/*
 * For tests: end launches of this device that take more than about `branches` backward branches and calls, as
 * a fault CUDA_ERROR_LAUNCH_TIMEOUT. 0, as at first, is no limit.
 */
void gd_reference_set_budget(struct gd_device *device, uint64_t branches);

#endif
