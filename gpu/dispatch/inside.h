/*
 * The inside of gpu/dispatch: how engine, stations, links, lanes, kernels and dispatches hang together.
 *
 *   engine ── stations (one per device) ── link (the worker process of now; a new one after each loss)
 *   lane (one per shard) ── views (its part of one link: arenas, cells, rings) ── errands (one cell's work
 * each) kernel ── placement per station: which module index holds it in which link
 *
 * Threads: S is the supervisor's, L the lane's. A field's comment says who writes it; without one it is S for
 * engine, station and link, and L for lane, view, errand and dispatch.
 *
 * Lifetime: a view holds a reference on its link (the mapped memory), a dispatch one on its view and its
 * kernel.
 */
#ifndef GD_DISPATCH_INSIDE_H
#define GD_DISPATCH_INSIDE_H

#include "gpu/base/child.h"
#include "gpu/dispatch/engine.h"
#include "gpu/worker/arena.h"
#include "gpu/worker/protocol.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct gd_link;
struct gd_outgoing;
struct gd_station;
struct gd_view;
struct gd_flight;

/* ---- counters ---- */

struct gd_lane_counts {
	_Atomic uint64_t counters[GD_COUNTERS];
	_Atomic uint64_t misses[GD_MISS_REASONS];
	struct {
		_Atomic uint64_t buckets[GD_BUCKETS], sum_ns;
	} phases[GD_PHASES];
};

/* Single writer: no locked instruction needed. */
static inline void gd_count_add(struct gd_lane_counts *counts, enum gd_counter counter, uint64_t amount)
{
	uint64_t now = atomic_load_explicit(&counts->counters[counter], memory_order_relaxed);
	atomic_store_explicit(&counts->counters[counter], now + amount, memory_order_relaxed);
}
void gd_count_phase(struct gd_lane_counts *counts, enum gd_phase phase, uint64_t ns);

/* ---- kernels ---- */

struct gd_load_wait {
	struct gd_load_wait *next;
	struct gd_mail mail;          /* delivered to the lane when the load has ended */
	struct gd_lane *lane;         /* NULL: the supervisor's own wait */
	struct gd_dispatch *dispatch; /* L; NULL when it is gone */
	struct gd_flight *flight;     /* S; of a compile's wait */
	struct gd_kernel *kernel;     /* a reference */
	uint32_t station;
	bool loaded;
	struct gd_error error;
};

struct gd_placement {
	_Atomic uint64_t loaded; /* S: 0, or generation << 16 | module index + 1 */
	_Atomic uint32_t in_use; /* L: dispatches that hold the module */
	_Atomic uint64_t used_ns;
	uint64_t loading;             /* generation that a load was sent to; 0: none */
	uint32_t module;              /* while loading or loaded */
	struct gd_load_wait *waiters; /* newest first */
};

struct gd_kernel {
	_Atomic uint32_t references;
	uint64_t serial; /* never repeats, unlike the address */
	struct gd_engine *engine;
	struct gd_artifact *artifact;
	bool info_known;            /* S */
	struct gd_kernel_info info; /* S, once, before the kernel is handed out */
	struct gd_device_info device;
	uint32_t occupancy_threads;
	struct gd_mail burial;
	struct gd_placement on[GD_DEVICES_MAX];
};

static inline uint64_t gd_placement_word(uint64_t generation, uint32_t module)
{
	return generation << 16 | (module + 1);
}

/* S. A kernel not yet loaded anywhere; takes a reference on the artifact. NULL without memory. */
struct gd_kernel *gd_kernel_new(struct gd_engine *engine, struct gd_artifact *artifact,
				uint32_t occupancy_threads);
/* S. See that wait->kernel is loaded on wait->station; wait's mail follows, maybe from within. */
void gd_station_load(struct gd_engine *engine, struct gd_load_wait *wait);
/* S. A LOADED message came. */
void gd_station_loaded(struct gd_station *station, const struct gd_message *message);
/* S. The link is lost: nothing is loaded any more; pending loads fail with `error`. */
void gd_station_forget_modules(struct gd_station *station, const struct gd_error *error);

/* ---- links: one worker process each ---- */

/* To a lane: the link is up, or lost. Each lane gets each once at most. */
struct gd_link_letter {
	struct gd_mail mail;
	struct gd_lane *lane;
	struct gd_link *link; /* a reference */
};

struct gd_link {
	_Atomic uint32_t references;
	struct gd_station *station;
	uint64_t generation;
	struct gd_child child;
	struct gd_source socket, exit;
	struct gd_timer limit;      /* it has to be ready, answer, or be gone by then */
	uint32_t unanswered;        /* loads and chunks that it was asked for */
	struct gd_outgoing *outbox; /* what its socket did not take yet */
	uint32_t outbox_count;
	struct gd_control *control;
	size_t control_bytes, slab_bytes;
	uint8_t *in;        /* the front's writable mapping */
	const uint8_t *out; /* read-only here */
	int events[GD_LANES_MAX];
	bool ready;
	_Atomic bool lost;
	struct gd_error last_words;
	struct gd_link_letter up[GD_LANES_MAX], down[GD_LANES_MAX];
};

/* S. Start a worker for the station. Fails: GD_INTERNAL_STATE. */
bool gd_link_new(struct gd_station *station, struct gd_link **out_link, struct gd_error *error);
struct gd_link *gd_link_ref(struct gd_link *link);
/* Any thread; the last one unmaps. */
void gd_link_unref(struct gd_link *link);
/*
 * S. Send a message to the worker, now or as soon as it reads; the descriptors stay the caller's. Fails:
 * GD_OVERLOADED (too much waits already; no memory or descriptors), GD_DEVICE_LOST (its socket is broken;
 * that kills it).
 */
bool gd_link_send(struct gd_link *link, const struct gd_message *message, const int *fds, size_t count,
		  struct gd_error *error);
/* S. The socket takes more. */
void gd_link_flush(struct gd_link *link);
void gd_link_drop_outbox(struct gd_link *link);
/* S. An answer is due from now on: config.worker_limit_ms for each step. */
void gd_link_expect(struct gd_link *link);
/* S. One of the answers came. */
void gd_link_answered(struct gd_link *link);
/* S. Stop watching; nothing more is sent. */
void gd_link_detach(struct gd_link *link);
/* S. Stop watching and end the process. */
void gd_link_end(struct gd_link *link);

/* ---- stations: one device each ---- */

struct gd_chunk_wait {
	struct gd_mail to_supervisor, to_lane;
	struct gd_chunk_wait *next;
	struct gd_lane *lane;
	struct gd_dispatch *dispatch; /* L; not to be looked into once abandoned */
	uint32_t station;
	uint64_t generation, bytes;
	/* outcome */
	bool made;
	uint32_t chunk;
	uint64_t chunk_bytes;
	struct gd_error error;
	bool abandoned; /* L */
};

struct gd_station_chunk {
	uint64_t bytes; /* 0: this index is free */
	int fd;
	bool in_use;
	struct gd_chunk_wait *wait; /* being made */
};

struct gd_station {
	struct gd_engine *engine;
	uint32_t index, ordinal;
	enum gd_device_kind kind;
	struct gd_link *link;
	uint64_t generation;
	struct gd_kernel *modules[GD_MODULES_MAX];
	uint32_t module_count, module_next;
	struct gd_station_chunk chunks[GD_CHUNKS_MAX];
	uint64_t chunk_bytes, chunk_limit;
	struct gd_chunk_wait *chunk_queue; /* no room now */
	struct gd_timer restart;
	uint64_t last_start_ns;
	uint32_t quick_failures;
	_Atomic uint32_t depth;     /* any: dispatches submitted and not ended */
	_Atomic bool deadline_kill; /* S: this loss is a deadline's doing */
	/* under engine->lock */
	struct gd_device_status status;
	int32_t worker_pid; /* 0: none */
};

/* S. The worker said its last words: readiness says so before the process is gone, which takes CUDA a while.
 */
void gd_station_ailing(struct gd_station *station, const char *last_words);
/* S. The worker's process has ended. */
void gd_station_lost(struct gd_station *station);
/* S. */
void gd_station_start(struct gd_station *station);
/* False when the worker told nonsense about its device. */
bool gd_station_ready(struct gd_station *station, const struct gd_device_info *info);
void gd_station_chunk_new(struct gd_mail *mail);
void gd_station_chunk_made(struct gd_station *station, const struct gd_message *message, int fd);
void gd_station_forget_chunks(struct gd_station *station, const struct gd_error *error);
/* L. Give a chunk back; the mail that tells the supervisor is allocated, and when that fails the chunk is
 * kept. */
void gd_lane_chunk_give(struct gd_lane *lane, uint32_t station, uint64_t generation, uint32_t chunk);

/* ---- engine ---- */

struct gd_device_error_count {
	char name[48];
	bool sticky;
	uint64_t count;
};

struct gd_engine {
	struct gd_engine_config config;
	struct gd_loop *loop;
	enum gd_backend backend;
	char why_reference[200];
	struct gd_cache *cache;
	struct gd_compiler *compiler;
	struct gd_station stations[GD_DEVICES_MAX];
	uint32_t station_count;
	bool ending;
	struct gd_flight *flights; /* S: compiles under way */
	struct gd_lane *own_lane;  /* the supervisor's, for the canary */
	struct gd_canary *canary;
	_Atomic uint64_t next_ticket, next_serial;
	_Atomic uint64_t modules_loaded, compiles_inflight;
	_Atomic uint64_t restarts[4];
	pthread_mutex_t lock; /* statuses, toolchain, lanes[], device_errors, retired */
	struct gd_toolchain toolchain;
	struct gd_lane *lanes[GD_LANES_MAX];
	struct gd_lane *closed;          /* S: freed with the engine, for late letters */
	struct gd_engine_counts retired; /* of lanes that are gone */
	struct gd_device_error_count device_errors[32];
	uint32_t device_error_count;
};

/* Under engine->lock. */
void gd_engine_retire_counts(struct gd_engine *engine, const struct gd_lane_counts *counts);
void gd_engine_count_error(struct gd_engine *engine, const struct gd_error *error);
/* S. Flights of compiles end with GD_DRAINING. */
void gd_engine_end_flights(struct gd_engine *engine);
void gd_engine_forget_requests(struct gd_engine *engine, struct gd_lane *lane);
/* S. */
bool gd_canary_new(struct gd_engine *engine, struct gd_canary **out_canary, struct gd_error *error);
void gd_canary_free(struct gd_canary *canary);
/* S. A station became ready or was lost, or the toolchain is known: look whether to run. */
void gd_canary_kick(struct gd_canary *canary);

/* ---- lanes ---- */

struct gd_errand {
	struct gd_view *view;
	struct gd_dispatch *dispatch;
	uint32_t cell_index;
	uint64_t ticket;
	/* L. `lost` when the worker went away before it was done; else the cell holds the result. */
	void (*done)(struct gd_errand *errand, const struct gd_cell *cell, bool lost);
};

/* A lane's part of one link. */
struct gd_view {
	struct gd_lane *lane;
	struct gd_link *link;
	struct gd_station *station;
	uint64_t generation;
	uint32_t references; /* the lane's own while current, and one per dispatch */
	bool lost;
	struct gd_source event;
	struct gd_arena *in, *out;
	uint64_t looked_ns, still_since_ns; /* when its cells were last looked through; see deadline.c */
	uint32_t still_at, still_looks;
	uint32_t free_count, inflight;
	uint32_t free_cells[GD_CELLS_PER_LANE];
	struct gd_errand *errands[GD_CELLS_PER_LANE];
	struct gd_retained *retained; /* output slots kept by kernel */
	uint32_t retained_count;
};

struct gd_lane {
	struct gd_engine *engine;
	uint32_t index;
	struct gd_loop *loop;
	bool closed;                           /* S: its thread has ended */
	struct gd_lane *next_closed;           /* S */
	struct gd_view *views[GD_DEVICES_MAX]; /* current ones */
	struct gd_lane_counts counts;
	_Atomic uint64_t slab_in_used, slab_out_used;
	uint32_t inflight;
	struct gd_compile_request *compiling;
	struct gd_dispatch *waiting; /* dispatches whose plan found no room */
	bool spins;
	uint32_t spin_misses, spin_skips;
};

/* L, or S once the lane is closed. The worker of this station has ended: what is out ends as lost. There is a
 * view. */
void gd_lane_lose_view(struct gd_lane *lane, uint32_t station);
/* S. Have mail->fn run on the lane's thread; when that has ended, here and now. */
void gd_lane_post(struct gd_lane *lane, struct gd_mail *mail);
/* S, before the lane's thread runs. */
void gd_lane_tell_up(struct gd_lane *lane, struct gd_link *link);
/* L. Begin an errand: NULL when all cells are out. The caller fills the cell and calls gd_errand_submit. */
struct gd_cell *gd_errand_begin(struct gd_dispatch *dispatch, struct gd_errand *errand);
void gd_errand_submit(struct gd_errand *errand);
struct gd_cell *gd_errand_cell(const struct gd_errand *errand);
unsigned gd_view_drain(struct gd_view *view);
struct gd_view *gd_view_ref(struct gd_view *view);
void gd_view_unref(struct gd_view *view);
/* S, by mail to every lane. */
void gd_lanes_tell_up(struct gd_engine *engine, struct gd_link *link);
void gd_lanes_tell_lost(struct gd_engine *engine, struct gd_link *link);
/* L. Room has come free: let waiting dispatches plan again. */
void gd_lane_room(struct gd_lane *lane);

/* The arenas' share of a slab for one lane: a power of two. */
size_t gd_lane_arena_bytes(size_t slab_bytes, uint32_t lane_count);

/* ---- output slots retained per kernel ---- */

/* L. Space for output `ordinal` of a kernel's dispatch, reusing what the last one left. False: no room. */
bool gd_retained_take(struct gd_view *view, struct gd_kernel *kernel, uint32_t ordinal, uint64_t bytes,
		      uint64_t *out_offset, uint64_t *out_capacity);
/* L. The dispatch is over: keep the block for the kernel's next one, or give it back. */
void gd_retained_give(struct gd_view *view, struct gd_kernel *kernel, uint32_t ordinal, uint64_t offset,
		      uint64_t capacity);
/* L. Give back what is retained; all of it, or that of one kernel. Returns whether anything came free. */
bool gd_retained_drop(struct gd_view *view, const struct gd_kernel *kernel);

#endif
