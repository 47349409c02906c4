/*
 * Helper threads that take part in large launches: one per processor of the affinity mask less one, started
 * when the device is opened (a sandbox may forbid it later), asleep until a launch asks for them.
 *
 * One launch at a time has the helpers; another that asks meanwhile runs on its own thread alone. The pool
 * owns the threads and their machines. Asking is for any thread.
 */
#ifndef GD_REFERENCE_POOL_H
#define GD_REFERENCE_POOL_H

#include "gpu/device/reference/vm.h"

#define GD_POOL_MAX 63u

struct gd_pool;

/* Start up to `helpers` threads (at most GD_POOL_MAX; fewer when the system gives no more). NULL: no memory.
 */
struct gd_pool *gd_pool_new(uint32_t helpers);
/* Stop and join the threads; nothing is in flight. NULL is a no-op. */
void gd_pool_free(struct gd_pool *pool);

/*
 * Have the helpers run blocks of `launch` beside the caller, who goes on with gd_vm_run and then calls
 * gd_pool_finish. Returns false when another launch has them or there are none.
 */
bool gd_pool_start(struct gd_pool *pool, struct gd_vm_launch *launch);
/* Wait until no helper works on the launch any more. No deadline: a kernel may run as long as its caller lets
 * it. */
void gd_pool_finish(struct gd_pool *pool);

#endif
