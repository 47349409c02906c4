/*
 * The front's view of everything about GPUs: devices, their workers, the compiler, the cache of compiled
 * kernels.
 *
 * One engine per process, made and run by the supervisor (main thread) on its loop; one lane per shard, used
 * by that shard's thread alone. Calls named gd_lane_… and gd_dispatch_… belong to the lane's thread and call
 * back on it; the others say what they allow. Nothing here blocks: what takes time ends in a callback.
 *
 * The front holds no CUDA and no NVRTC and runs no client code; it trusts nothing that it reads from a child.
 */
#ifndef GD_DISPATCH_ENGINE_H
#define GD_DISPATCH_ENGINE_H

#include "gpu/base/error.h"
#include "gpu/base/loop.h"
#include "gpu/cache/cache.h"
#include "gpu/compile/compiler.h"
#include "gpu/device/device.h"
#include "gpu/program/artifact.h"
#include "gpu/program/program.h"

#include <stddef.h>
#include <stdint.h>

#define GD_DEVICES_MAX 16

struct gd_engine;
struct gd_lane;
struct gd_kernel;
struct gd_dispatch;

enum gd_backend { GD_BACKEND_AUTO, GD_BACKEND_CUDA, GD_BACKEND_REFERENCE, GD_BACKEND_ECHO };

struct gd_engine_config {
	enum gd_backend backend; /* AUTO: cuda where a GPU answers, else reference */
	uint32_t spin_us;        /* how long a lane looks for a result before it sleeps; 0: not at all */
	const char *nvrtc;       /* library or its folder; NULL searches */
	uint32_t lane_count;     /* shards, 1 to 64 */
	uint32_t compile_jobs;   /* compiles at a time; 0: as many as processors */
	uint32_t compile_timeout_ms;
	uint64_t compile_memory_bytes;
	size_t slab_bytes; /* per worker and direction; 0: the default of design.md */
	/* for a worker to be ready, to answer a load or a chunk, and (5 s at most) to take a dispatch while
	 * nothing runs; 0: 60 000 */
	uint32_t worker_limit_ms;
	uint32_t queue_limit; /* dispatches waiting or running per device before GD_OVERLOADED */
	size_t cache_bytes;   /* artifacts kept in memory */
	uint32_t cache_entries;
	uint64_t
	    payload_bytes; /* device memory for payloads over 1 MiB, per device; 0: half of what is free */
};

/* Fills the documented defaults. */
void gd_engine_config_init(struct gd_engine_config *out_config);

/*
 * Start: devices are probed and workers and the compiler started in the background; readiness follows.
 * Supervisor thread. Fails: GD_BACKEND_UNAVAILABLE when the backend that was asked for does not exist here.
 */
bool gd_engine_new(const struct gd_engine_config *config, struct gd_loop *loop, struct gd_engine **out_engine,
		   struct gd_error *error);
/* Every lane is gone by now; ends all children and waits for them. Supervisor thread. */
void gd_engine_free(struct gd_engine *engine);

enum gd_device_state { GD_DEVICE_STARTING, GD_DEVICE_READY, GD_DEVICE_RECOVERING, GD_DEVICE_UNAVAILABLE };

struct gd_device_status {
	char id[32];         /* "cuda:0", "reference:0" */
	const char *backend; /* "cuda", "reference", "echo" */
	enum gd_device_state state;
	struct gd_device_info info;
	uint32_t workers;
	uint32_t restarts;
	uint32_t queue_depth, queue_limit; /* dispatches waiting or running, and how many may be */
	bool canary_passed;
	char detail[200]; /* why it is not ready; empty when it is */
};

/* Snapshot of the devices; any thread. Returns how many there are. */
uint32_t gd_engine_devices(struct gd_engine *engine, struct gd_device_status out_devices[GD_DEVICES_MAX]);
/* The backend that AUTO came to: "cuda", "reference" or "echo". Any thread. Valid from gd_engine_new on. */
const char *gd_engine_backend(const struct gd_engine *engine);
/* Why AUTO did not take cuda; empty when it did or was not asked to choose. Any thread. */
const char *gd_engine_why_reference(const struct gd_engine *engine);
/* The compiler's answer so far; any thread. */
void gd_engine_toolchain(struct gd_engine *engine, struct gd_toolchain *out_toolchain);
/* Process ids of the children (workers, then compiler), for metrics; any thread. Returns how many. */
uint32_t gd_engine_children(struct gd_engine *engine, int32_t *out_pids, uint32_t max);

/* ---- counters: written by their one owner without a lock, summed by whoever asks ---- */

enum gd_counter {
	GD_COUNT_DISPATCH_OK,
	GD_COUNT_DISPATCH_FAILED,
	GD_COUNT_DISPATCH_EXPIRED,
	GD_COUNT_DISPATCH_LOST,
	GD_COUNT_DISPATCH_CANCELLED,
	GD_COUNT_LAUNCHES,
	GD_COUNT_INPUT_BYTES,
	GD_COUNT_OUTPUT_BYTES,
	GD_COUNT_H2D_BYTES,
	GD_COUNT_D2H_BYTES,
	GD_COUNT_OUTPUT_SLOTS,
	GD_COUNT_OUTPUT_SLOTS_REUSED,
	GD_COUNT_OUTPUT_SLOTS_MOVED,
	GD_COUNT_OUTPUT_SLOTS_APPENDED,
	GD_COUNT_OUTPUT_SLOT_INCOMING_BYTES,
	GD_COUNT_OUTPUT_SLOT_COPIED_BYTES,
	GD_COUNT_OUTPUT_SLOT_MOVED_BYTES,
	GD_COUNT_OUTPUT_SLOT_APPENDED_BYTES,
	GD_COUNT_OUTPUT_SLOT_RETAINED_CAPACITY_BYTES, /* a gauge */
	GD_COUNT_CACHE_HITS,                          /* the audit's: one per compile or prewarm request */
	GD_COUNT_CACHE_MISSES,
	GD_COUNT_CACHE_UNKNOWNS,
	GD_COUNT_CACHE_MEMORY_HITS,
	GD_COUNT_CACHE_COALESCED,
	GD_COUNT_COMPILES_OK,
	GD_COUNT_COMPILES_FAILED,
	GD_COUNT_WORKER_RESTARTS_FAULT,
	GD_COUNT_WORKER_RESTARTS_KILLED,
	GD_COUNT_WORKER_RESTARTS_DEADLINE,
	GD_COUNT_WORKER_RESTARTS_EXIT,
	GD_COUNTERS
};

enum gd_phase { GD_PHASE_QUEUE, GD_PHASE_H2D, GD_PHASE_KERNEL, GD_PHASE_D2H, GD_PHASE_COMPILE, GD_PHASES };
enum { GD_BUCKETS = 24 };

/* Upper bounds in nanoseconds: 10 us to 500 s in 1-2.5-5 steps; the last is +Inf. */
extern const uint64_t gd_bucket_bounds_ns[GD_BUCKETS];

struct gd_histogram {
	uint64_t buckets[GD_BUCKETS]; /* not cumulative */
	uint64_t count, sum_ns;
};

struct gd_engine_counts {
	uint64_t counters[GD_COUNTERS];
	struct gd_histogram phases[GD_PHASES];
	uint64_t misses_by_reason[GD_MISS_REASONS];
	struct {
		char name[48];
		bool sticky;
		uint64_t count;
	} device_errors[32]; /* by CUresult name */
	uint32_t device_error_count;
	uint64_t cache_entries, cache_bytes, cache_limit_bytes, cache_evictions;
	uint64_t modules_loaded;
	uint64_t compiles_inflight;
	uint64_t slab_in_bytes, slab_in_used, slab_out_bytes, slab_out_used;
};

/* Sum everything up; any thread. */
void gd_engine_counts(struct gd_engine *engine, struct gd_engine_counts *out_counts);

/* ---- kernels ---- */

/* A compiled kernel as the cache holds it: reference counted, any thread. */
struct gd_kernel *gd_kernel_ref(struct gd_kernel *kernel);
void gd_kernel_unref(struct gd_kernel *kernel); /* NULL is a no-op */
struct gd_artifact *gd_kernel_artifact(const struct gd_kernel *kernel);
/* Sizes, offsets and resources as the loaded function told them; valid as long as the kernel. */
const struct gd_kernel_info *gd_kernel_info(const struct gd_kernel *kernel);
/* The device's limits that launches of this kernel are checked against. */
const struct gd_device_info *gd_kernel_device(const struct gd_kernel *kernel);

/*
 * One request to have a program compiled and loaded. The caller owns it and keeps it until done has been
 * called, also when nobody wants the answer any more; after gd_lane_free no done comes.
 */
struct gd_compile_request {
	struct gd_program *program;
	enum gd_backend backend; /* AUTO takes the engine's */
	enum gd_cache_mode mode;
	void (*done)(struct gd_compile_request *request); /* on the lane's thread */

	/* outcome, valid in done */
	struct gd_kernel *kernel; /* the caller's reference; NULL when it failed */
	struct gd_error error;
	struct gd_diagnostics diagnostics; /* of a refused source; the caller calls gd_diagnostics_done */
	int cache_hit;                     /* 1, 0; -1: no such notion (a cubin was posted) */
	enum gd_cache_tier tier;
	enum gd_miss_reason miss_reason;
	uint64_t compile_ns, load_ns;

	/* the engine's */
	struct gd_lane *lane;
	struct gd_compile_request *next, **link; /* in the lane's list of what is under way */
	struct gd_waiter waiter;
	struct gd_mail mail;
	uint8_t key[GD_CACHE_KEY_BYTES];
};

/* Start; request->done is called later, or at once from within this call when the kernel is at hand. */
void gd_lane_compile(struct gd_lane *lane, struct gd_compile_request *request);

/* ---- lanes ---- */

/*
 * Make the lane of shard `index` (below lane_count; each once in an engine's life) on that shard's loop. The
 * shard's thread must not run yet. Supervisor thread. Fails: GD_INTERNAL_STATE.
 */
bool gd_lane_new(struct gd_engine *engine, uint32_t index, struct gd_loop *loop, struct gd_lane **out_lane,
		 struct gd_error *error);
/*
 * The shard's thread has ended; no done of a request or dispatch comes after this. Dispatches must be gone;
 * compile requests under way are forgotten, and may be freed after it. The loop is still there. Supervisor
 * thread.
 */
void gd_lane_free(struct gd_lane *lane);
/* Dispatches submitted and not ended. */
uint32_t gd_lane_inflight(const struct gd_lane *lane);

/* ---- one dispatch ---- */

struct gd_dispatch_timing {
	uint64_t queue_ns, h2d_ns, kernel_ns, d2h_ns, total_ns;
};

struct gd_dispatch_options {
	uint32_t grid[3], block[3];
	uint32_t shared_bytes;
	uint32_t iterations; /* 0 counts as 1 */
	bool cooperative;
	uint64_t deadline_ns; /* gd_now_ns() time */
	uint64_t timeout_ms;  /* what deadline_ns came from, for the text and the kill rule */
};

enum gd_init { GD_INIT_ZERO, GD_INIT_DATA };

/*
 * Begin a dispatch of `kernel` (a reference is taken). Then: fill the launch block, add the buffers,
 * gd_dispatch_plan, write the inputs, gd_dispatch_start; read the outputs after `done`; gd_dispatch_free in
 * any state (a running one is cancelled: what has not started will not). Fails: GD_OVERLOADED, GD_DEVICE_LOST
 * (no worker; retryable).
 */
bool gd_dispatch_new(struct gd_lane *lane, struct gd_kernel *kernel, struct gd_dispatch **out_dispatch,
		     struct gd_error *error);
void gd_dispatch_free(struct gd_dispatch *dispatch);

/* The launch block: gd_kernel_info()->param_bytes, zeroed; scalars and structs go to their offsets. */
uint8_t *gd_dispatch_params(struct gd_dispatch *dispatch);

/*
 * Add the buffer of parameter `param`, in any order, each parameter once: `bytes` of it (0: a null pointer),
 * what it holds at first, whether the kernel may write it. Returns its index (0, 1, …) or -1. Output slots
 * are retained per lane and kernel. Fails: GD_INVALID_REQUEST, GD_TOO_LARGE.
 */
int gd_dispatch_add(struct gd_dispatch *dispatch, uint32_t param, uint64_t bytes, enum gd_access access,
		    enum gd_init init, struct gd_error *error);

enum gd_plan { GD_PLAN_READY, GD_PLAN_WAIT, GD_PLAN_FAILED };

/*
 * Reserve the space of all buffers, in and out together. WAIT: no room now, or the payload's device memory is
 * being made; dispatch->writable is called when this is to be called again. FAILED: GD_DEVICE_OUT_OF_MEMORY,
 * GD_OVERLOADED, GD_DEVICE_LOST.
 */
enum gd_plan gd_dispatch_plan(struct gd_dispatch *dispatch, struct gd_error *error);

/*
 * Write input bytes of buffer `index` at `offset`, in ascending order per buffer. Returns how many were
 * taken; fewer than `bytes` means that all windows are on their way: `writable` is called when there is room.
 * After the worker was lost everything is taken and thrown away; start fails then.
 */
size_t gd_dispatch_write(struct gd_dispatch *dispatch, uint32_t index, uint64_t offset, const void *data,
			 size_t bytes);

/* Where the whole buffer can be written in place, NULL when it goes through windows. */
void *gd_dispatch_input(struct gd_dispatch *dispatch, uint32_t index);

/*
 * Launch. Every input byte has been written. Ends with `done`, on the lane's thread, maybe within this call.
 * The grid, block and shared memory were checked by gd_launch_check (dispatch/launch.h).
 */
void gd_dispatch_start(struct gd_dispatch *dispatch, const struct gd_dispatch_options *options);

/* Callbacks of the owner, set between new and plan. `owner` is free for the caller. */
void gd_dispatch_notify(struct gd_dispatch *dispatch, void *owner, void (*done)(struct gd_dispatch *dispatch),
			void (*writable)(struct gd_dispatch *dispatch),
			void (*readable)(struct gd_dispatch *dispatch));
void *gd_dispatch_owner(const struct gd_dispatch *dispatch);

/* After done: true, or false with the error. */
bool gd_dispatch_result(const struct gd_dispatch *dispatch, struct gd_dispatch_timing *out_timing,
			struct gd_error *error);
/* The whole output in place, valid until gd_dispatch_free; NULL when it must be read through windows. */
const void *gd_dispatch_output(struct gd_dispatch *dispatch, uint32_t index);
/*
 * Read output bytes of buffer `index`, ascending. Returns how many were copied; 0: not here yet, `readable`
 * is called; -1: the worker was lost meanwhile.
 */
int64_t gd_dispatch_read(struct gd_dispatch *dispatch, uint32_t index, uint64_t offset, void *data,
			 size_t bytes);

#endif
