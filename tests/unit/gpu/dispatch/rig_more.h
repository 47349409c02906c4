/* More for tests with an engine: other settings, whole round trips, what is open. */
#ifndef GD_TEST_RIG_MORE_H
#define GD_TEST_RIG_MORE_H

#include "tests/unit/gpu/dispatch/rig.h"

#define RIG_TWO_BUFFERS "echo\nparam 0 8\nparam 8 8\n"

/* Settings as rig_start makes them, for the echo device. */
void rig_config(struct gd_engine_config *out_config);
/* As rig_start, with settings of the test's, and without waiting for the device. */
void rig_begin_with(struct rig *rig, const struct gd_engine_config *config);
void rig_begin(struct rig *rig, uint32_t worker_limit_ms);

/*
 * Send `bytes` that depend on `seed` through a kernel of RIG_TWO_BUFFERS. Returns whether the dispatch
 * succeeded and brought them back; `out_outcome` says how it ended. Asserts nothing about either.
 */
bool rig_round(struct rig *rig, struct gd_kernel *kernel, size_t bytes, uint8_t seed, uint64_t timeout_ms,
	       struct outcome *out_outcome);

/* Run both loops for a while. */
void rig_run_for(struct rig *rig, uint64_t ms);

/* Descriptors that this process has open. */
unsigned rig_open_fds(void);

#endif
