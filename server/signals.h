/* The process's signals as events of the supervisor's loop. Main thread. */
#ifndef GD_SERVER_SIGNALS_H
#define GD_SERVER_SIGNALS_H

#include "gpu/base/loop.h"

#include <signal.h>

struct gd_signals;

/* Block them for this thread and those it starts (before any is), and ignore SIGPIPE. */
void gd_signals_block(void);

/* Have `fn` called on the loop's thread for SIGTERM, SIGINT, SIGHUP and SIGCHLD. Fails: GD_INTERNAL_STATE. */
bool gd_signals_new(struct gd_loop *loop, void (*fn)(void *context, int signal), void *context,
		    struct gd_signals **out_signals, struct gd_error *error);
void gd_signals_free(struct gd_signals *signals); /* NULL is a no-op */

#endif
