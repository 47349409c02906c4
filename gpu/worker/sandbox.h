/* What a worker gives up once its context is up: it is assumed to belong to whoever last ran a kernel in it.
 */
#ifndef GD_WORKER_SANDBOX_H
#define GD_WORKER_SANDBOX_H

#include "gpu/device/device.h"

/*
 * Give up, for the whole process: other users' rights (uid 65534 when root), new privileges, being dumped,
 * and by seccomp opening files, sockets, executing, new processes, tracing, signalling others. cuda keeps
 * opening its device files, which exporting a chunk needs (measured: design.md). Threads must exist already
 * or inherit it. Fails: GD_INTERNAL_STATE when the kernel has no seccomp: then there is no worker.
 */
bool gd_worker_sandbox(enum gd_device_kind kind, struct gd_error *error);

#endif
