/*
 * An engine with real worker processes on the echo device, and one lane, all run by the test's own thread.
 *
 * The test binary is started again as worker and compiler, so its main() must be RIG_MAIN.
 */
#ifndef GD_TEST_RIG_H
#define GD_TEST_RIG_H

#include "gpu/dispatch/inside.h"

struct rig {
	struct gd_loop *supervisor, *shard;
	struct gd_engine *engine;
	struct gd_lane *lane;
};

struct outcome {
	bool ended, good;
	unsigned calls;
	struct gd_error error;
	struct gd_dispatch_timing timing;
};

enum { RIG_WAIT_MS = 20000 };

/* Start; asserts on failure. `slab_bytes` 0 takes the default. */
void rig_start(struct rig *rig, enum gd_backend backend, size_t slab_bytes);
void rig_end(struct rig *rig);
/* Run both loops a little. */
void rig_step(struct rig *rig);
/* Run them until `*flag`, failing the test after RIG_WAIT_MS. */
void rig_until(struct rig *rig, const bool *flag);
/* Until the device is in `state` (and its canary has passed, for READY). */
void rig_until_state(struct rig *rig, enum gd_device_state state);
/* A kernel of the echo device from its description. */
struct gd_kernel *rig_kernel(struct rig *rig, const char *text, uint32_t param_count, uint32_t param_bytes);
/* New dispatch that reports to `outcome`. */
struct gd_dispatch *rig_dispatch(struct rig *rig, struct gd_kernel *kernel, struct outcome *outcome);
/* Plan, asserting READY at last. */
void rig_plan(struct rig *rig, struct gd_dispatch *dispatch);
void rig_start_dispatch(struct gd_dispatch *dispatch, uint64_t timeout_ms);
/* pid of the device's worker, 0 when there is none. */
pid_t rig_worker(struct rig *rig);

/* Roles first, then the tests. */
int rig_roles(int argc, char **argv, bool *out_was_role);

#endif
