/* The inside of a dispatch: its buffers and where their bytes are. The lane's thread only. */
#ifndef GD_DISPATCH_PAYLOAD_H
#define GD_DISPATCH_PAYLOAD_H

#include "gpu/dispatch/inside.h"

#define GD_SMALL_PAYLOAD_BYTES (1u << 20) /* in or out; more goes through windows (design.md) */
#define GD_BUFFER_ALIGN        256u       /* cudaMalloc's promise, which kernels rely on for vector loads */
#define GD_WINDOW_BYTES        (4u << 20)
#define GD_WINDOWS             4u

enum gd_window_state { GD_WINDOW_FREE, GD_WINDOW_FILLING, GD_WINDOW_FLYING, GD_WINDOW_READY };

/* A piece of slab on its way to or from a chunk. */
struct gd_window {
	struct gd_errand errand;
	struct gd_dispatch *dispatch;
	enum gd_window_state state;
	bool has_block;
	uint64_t slab_offset, capacity;
	uint32_t buffer;
	uint64_t at, bytes; /* range of the buffer */
};

struct gd_payload_buffer {
	uint32_t param;
	enum gd_access access;
	enum gd_init init;
	uint64_t bytes;
	uint64_t in_offset;            /* small, with data */
	uint64_t out_offset, capacity; /* small, writable */
	uint64_t chunk_offset;         /* large */
	uint32_t ordinal;              /* among the writable ones */
};

enum gd_dispatch_state {
	GD_DISPATCH_BUILDING,
	GD_DISPATCH_PLANNED,  /* space is there, inputs are being written */
	GD_DISPATCH_STARTING, /* waits for uploads or for the module */
	GD_DISPATCH_RUNNING,
	GD_DISPATCH_DONE
};

struct gd_dispatch {
	struct gd_lane *lane;
	struct gd_view *view;
	struct gd_kernel *kernel;
	void *owner;
	void (*done)(struct gd_dispatch *);
	void (*writable)(struct gd_dispatch *);
	void (*readable)(struct gd_dispatch *);
	struct gd_dispatch *next_waiting; /* in lane->waiting */
	bool waits;
	enum gd_dispatch_state state;
	struct gd_dispatch_options options;
	uint64_t created_ns, submitted_ns;
	bool counted;   /* in station->depth and lane->inflight */
	bool placed;    /* holds the module */
	bool flying;    /* the launch's errand is out */
	bool discarded; /* freed by its owner while something is out */
	bool failed;
	struct gd_errand errand;
	struct gd_load_wait *load; /* NULL, or a load that is awaited */
	struct gd_timer deadline;
	struct gd_error error;
	struct gd_dispatch_timing timing;

	bool large, small_taken, zeroed;
	uint64_t in_block, in_block_bytes; /* small: one block for all inputs */
	struct gd_chunk_wait *chunk_wait;
	bool has_chunk;
	uint32_t chunk;
	uint32_t flying_windows;
	struct gd_window up[GD_WINDOWS], down[GD_WINDOWS];
	struct gd_errand zero_errand;

	uint32_t buffers_max, buffer_count, writable_count;
	struct gd_payload_buffer *buffers;
	uint8_t *params;
	uint32_t param_bytes;
};

/* Reserve slab space of a small payload. */
enum gd_plan gd_payload_plan_small(struct gd_dispatch *dispatch, struct gd_error *error);
/* Get a chunk and zero what must be zero. */
enum gd_plan gd_payload_plan_large(struct gd_dispatch *dispatch, struct gd_error *error);
/* Give all space back; nothing is flying. */
void gd_payload_release(struct gd_dispatch *dispatch);
size_t gd_window_write(struct gd_dispatch *dispatch, uint32_t index, uint64_t offset, const void *data,
		       size_t bytes);
/* A copy or fill ended: remember if it failed. */
void gd_window_note(struct gd_dispatch *dispatch, const struct gd_cell *cell, bool lost);
/* Send what is filled. True when every window has arrived. */
bool gd_window_flush(struct gd_dispatch *dispatch);
int64_t gd_window_read(struct gd_dispatch *dispatch, uint32_t index, uint64_t offset, void *data,
		       size_t bytes);
/* Fill the cell's buffer table. */
void gd_payload_describe(const struct gd_dispatch *dispatch, struct gd_cell *cell);

/* Put the dispatch on the lane's list of those that wait for room. */
void gd_dispatch_wait_for_room(struct gd_dispatch *dispatch);
void gd_dispatch_stop_waiting(struct gd_dispatch *dispatch);
/* The callback of dispatch->deadline. */
void gd_dispatch_deadline_passed(struct gd_timer *timer);
/* Look for the only dispatch's end for a few microseconds; done may run. */
void gd_lane_spin(struct gd_lane *lane, struct gd_view *view);
/* Go on with what waited for windows, a chunk or the module. */
void gd_dispatch_advance(struct gd_dispatch *dispatch);
/* It ends with dispatch->error. */
void gd_dispatch_fail(struct gd_dispatch *dispatch);
/* Free it if its owner has and nothing is out any more. True when it is gone. */
bool gd_dispatch_reap(struct gd_dispatch *dispatch);

#endif
