/* Tells the log what the engine's devices do: ready, recovering, worker replaced. Main thread. */
#ifndef GD_SERVER_WATCH_H
#define GD_SERVER_WATCH_H

#include "gpu/dispatch/engine.h"

struct gd_watch {
	struct {
		bool known;
		enum gd_device_state state;
		uint32_t restarts;
	} devices[GD_DEVICES_MAX];
	bool toolchain_known;
};

/* Compare with the last look and log what is new. */
void gd_watch_look(struct gd_watch *watch, struct gd_engine *engine);

#endif
