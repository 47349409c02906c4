/*
 * Sockets that have had their last answer: read from, and forgotten what comes, until the client leaves or a
 * second is over. Closing while bytes are unread would reset the connection, and the client might never see
 * the answer.
 *
 * One per loop, used on its thread alone.
 */
#ifndef GD_SERVER_LINGER_H
#define GD_SERVER_LINGER_H

#include "gpu/base/loop.h"

enum {
	GD_LINGERERS_MAX = 128, /* at the same time; more are closed at once */
	GD_LINGER_MS = 2000,    /* at most (nginx: lingering_timeout, 5 s) */
};

struct gd_linger;

struct gd_lingerer {
	struct gd_linger *linger;
	struct gd_source source;
	struct gd_timer timer;
};

struct gd_linger {
	struct gd_loop *loop;
	struct gd_lingerer all[GD_LINGERERS_MAX];
};

void gd_linger_init(struct gd_linger *linger, struct gd_loop *loop);
/* Close all at once. */
void gd_linger_done(struct gd_linger *linger);
/* Take over the socket, end our direction and let the client finish. */
void gd_linger_take(struct gd_linger *linger, int fd);

#endif
