/*
 * What the front and a worker share: control memory, messages, and the rules of both.
 *
 * Control memory is one memfd that is never registered with a GPU. For every shard (lane) of the front it
 * holds a submission ring, a completion ring and the cells that both name. The front fills a cell, pushes its
 * index, and owns it again when the index comes back; the worker writes only the cell's result part and
 * `state`. The front checks every value it reads here; the worker takes a private copy before it looks.
 *
 * Payload lives in two slabs: `in` (the worker maps it read-only, sealed) and `out`.
 *
 * Messages travel on the control socket, one struct gd_message each, with the descriptors that its comment
 * names.
 */
#ifndef GD_WORKER_PROTOCOL_H
#define GD_WORKER_PROTOCOL_H

#include "gpu/device/device.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define GD_PROTOCOL_MAGIC 0x67645031u /* "gdP1": changes with every change of this file's layout */
#define GD_LANES_MAX      65u         /* 64 shards and the supervisor's own */
#define GD_CELLS_PER_LANE 256u        /* dispatches of one lane in a worker at a time; a power of two */
#define GD_PUMPS_MAX      4u
#define GD_MODULES_MAX    4096u /* loaded in a worker at a time */
#define GD_CHUNKS_MAX     1024u
#define GD_RESULT_TEXT    480u
#define GD_CACHE_LINE     64u
#define GD_CELL_ALIGN     4096u

enum gd_op { GD_OP_LAUNCH = 1, GD_OP_UPLOAD, GD_OP_DOWNLOAD, GD_OP_ZERO };

enum gd_cell_state { GD_CELL_FREE, GD_CELL_QUEUED, GD_CELL_RUNNING, GD_CELL_DONE };

/* A buffer argument as it crosses the process border: gd_buffer_arg with the chunk as an index. */
struct gd_wire_buffer {
	uint32_t param_offset;
	uint8_t access, space, source, reserved;
	uint64_t offset, source_offset, bytes;
	uint32_t chunk;
	uint32_t reserved2;
};

struct gd_cell {
	/* written by the front before the push */
	uint32_t op;
	uint32_t module;
	uint64_t ticket; /* never repeats; comes back in the result */
	uint32_t grid[3], block[3];
	uint32_t shared_bytes, iterations, cooperative;
	uint32_t param_bytes, buffer_count;
	uint32_t chunk; /* UPLOAD, DOWNLOAD, ZERO */
	uint64_t chunk_offset, slab_offset, bytes;
	_Atomic uint32_t cancelled; /* the front: do not start it any more */

	/* written by the worker */
	_Alignas(GD_CACHE_LINE) _Atomic uint32_t state;
	_Atomic uint64_t started_ns;
	uint64_t result_ticket, ended_ns;
	uint32_t result_code; /* enum gd_code, 0 when it went well */
	int32_t result_native;
	uint32_t result_sticky, result_cancelled;
	uint64_t h2d_ns, kernel_ns, d2h_ns;
	char result_name[48];
	char result_text[GD_RESULT_TEXT];

	/* written by the front */
	_Alignas(GD_CACHE_LINE) uint8_t params[GD_PARAM_BYTES_MAX];
	struct gd_wire_buffer buffers[GD_PARAMS_MAX];
};

/* Single producer, single consumer; never full, since there are no more cells than entries. */
struct gd_ring {
	_Alignas(GD_CACHE_LINE) _Atomic uint32_t head; /* next to write */
	_Alignas(GD_CACHE_LINE) _Atomic uint32_t tail; /* next to read */
	_Alignas(GD_CACHE_LINE) uint32_t entries[GD_CELLS_PER_LANE];
};

struct gd_lane_control {
	struct gd_ring submitted, completed;
	/* the lane sleeps: whoever completes something writes its eventfd */
	_Alignas(GD_CACHE_LINE) _Atomic uint32_t lane_sleeps;
};

struct gd_control {
	uint32_t magic, lane_count, slot_bytes, pump_count;
	/* a pump that finds nothing counts itself asleep, looks once more, and waits on the wake word */
	_Alignas(GD_CACHE_LINE) _Atomic uint32_t pumps_asleep;
	_Alignas(GD_CACHE_LINE) _Atomic uint32_t wake_word;
	_Alignas(GD_CACHE_LINE) struct gd_lane_control lanes[GD_LANES_MAX];
};

#define GD_CELL_BYTES    ((sizeof(struct gd_cell) + GD_CELL_ALIGN - 1) / GD_CELL_ALIGN * GD_CELL_ALIGN)
#define GD_CONTROL_BYTES ((sizeof(struct gd_control) + GD_CELL_ALIGN - 1) / GD_CELL_ALIGN * GD_CELL_ALIGN)

/* Bytes of the control memory of `lane_count` lanes. */
static inline size_t gd_control_size(uint32_t lane_count)
{
	return GD_CONTROL_BYTES + (size_t)lane_count * GD_CELLS_PER_LANE * GD_CELL_BYTES;
}

/* Cell `index` of lane `lane`; both in range. */
static inline struct gd_cell *gd_control_cell(struct gd_control *control, uint32_t lane, uint32_t index)
{
	size_t at = GD_CONTROL_BYTES + ((size_t)lane * GD_CELLS_PER_LANE + index) * GD_CELL_BYTES;
	return (struct gd_cell *)(void *)((char *)control + at);
}

/*
 * Between "I have written" and "do you sleep?", and between "I sleep" and "have you written?": one of the two
 * sees the other. gcc's thread sanitizer does not know fences and warns; what they order here is atomic
 * anyway.
 */
static inline void gd_fence(void)
{
#if defined(__SANITIZE_THREAD__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
	atomic_thread_fence(memory_order_seq_cst);
#if defined(__SANITIZE_THREAD__)
#pragma GCC diagnostic pop
#endif
}

/* Producer only. The ring has room (see above). */
static inline void gd_ring_push(struct gd_ring *ring, uint32_t value)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	ring->entries[head % GD_CELLS_PER_LANE] = value;
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

/* Consumer only. False when empty. A peer that writes nonsense can at most make us read stale entries. */
static inline bool gd_ring_pop(struct gd_ring *ring, uint32_t *out_value)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	if (atomic_load_explicit(&ring->head, memory_order_acquire) == tail)
		return false;
	*out_value = ring->entries[tail % GD_CELLS_PER_LANE];
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return true;
}

static inline bool gd_ring_empty(const struct gd_ring *ring)
{
	return atomic_load_explicit(&ring->head, memory_order_acquire) ==
	       atomic_load_explicit(&ring->tail, memory_order_acquire);
}

enum gd_message_kind {
	/* front to worker */
	GD_MESSAGE_START = 1, /* fds: control, in slab, out slab */
	GD_MESSAGE_EVENTS,    /* fds: eventfds of lanes first_lane … */
	GD_MESSAGE_LOAD,      /* fd: the image */
	GD_MESSAGE_UNLOAD,
	GD_MESSAGE_CHUNK_NEW,
	GD_MESSAGE_CHUNK_FREE,
	/* worker to front */
	GD_MESSAGE_PROBED, /* no fds: which devices there are (role probe) */
	GD_MESSAGE_READY,
	GD_MESSAGE_LOADED,
	GD_MESSAGE_CHUNK, /* fd: the chunk, when it can be exported */
	GD_MESSAGE_FAILED /* the worker ends now; error says why */
};

struct gd_wire_error {
	uint32_t code; /* enum gd_code */
	int32_t native;
	uint32_t sticky;
	char name[48];
	char text[480];
	char fix[240];
};

struct gd_message {
	uint32_t kind;
	uint32_t index;             /* module or chunk */
	uint64_t ticket;            /* the request that an answer belongs to */
	struct gd_wire_error error; /* code 0: it went well */
	union {
		struct {
			uint64_t control_bytes, in_bytes, out_bytes;
			uint32_t lane_count;
		} start;
		struct {
			uint32_t first_lane, count;
		} events;
		struct {
			uint32_t image_kind; /* enum gd_image_kind */
			uint32_t occupancy_threads;
			uint64_t bytes;
			char entry[1024 + 512];
		} load;
		struct {
			uint64_t bytes;
		} chunk;
		struct {
			uint32_t count;
		} probed;
		struct gd_device_info ready;
		struct gd_kernel_info loaded;
	} u;
};

/* Copy an error into its wire form and back; the way back trusts nothing: a code that no device
 * says becomes GD_UNKNOWN, texts are ended and lose their control characters. */
void gd_wire_error_pack(struct gd_wire_error *wire, const struct gd_error *error);
void gd_wire_error_unpack(const struct gd_wire_error *wire, struct gd_error *error);

/* The static name equal to `name` ("CUDA_ERROR_…" and the like), remembered for ever; NULL for an empty or
 * odd one. */
const char *gd_static_name(const char *name, size_t capacity);

#endif
