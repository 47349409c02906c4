/*
 * Zombies that nobody else waits for: the front is a subreaper (and maybe PID 1), so grandchildren whose
 * parent was killed become its children. The engine reaps its own by pidfd within moments; what stays a
 * zombie longer is reaped here. Main thread.
 */
#ifndef GD_SERVER_ORPHANS_H
#define GD_SERVER_ORPHANS_H

#include "gpu/dispatch/engine.h"

struct gd_orphans {
	bool pending; /* a zombie may be there: look again */
	int32_t suspect;
	uint64_t seen_ns;
};

/* Look for zombies; reap one that has been there for a second and is none of the engine's children. Waits for
 * nothing. */
void gd_orphans_look(struct gd_orphans *orphans, struct gd_engine *engine);

#endif
