/*
 * The machine that executes lowered PTX: instructions, programs, warps, blocks and one launch.
 *
 * An instruction is a function pointer and six operand offsets; the function works on 32 lanes at once and
 * answers the next instruction, or NULL when its warp has to stop. Everything in a program was validated at
 * load, so handlers check addresses and nothing else.
 *
 * Ownership: a program is immutable and shared by all threads; a gd_vm belongs to one thread and keeps its
 * memory from launch to launch; a gd_vm_launch lives on the stack of submit. No host address ever reaches a
 * register.
 *
 * Divergence: a warp is a set of splits (program counter, frame, lanes). The split in the deepest frame with
 * the lowest program counter runs first, and splits that meet are merged; blocks are laid out so that a
 * loop's body comes before what follows it (flow.h), so lanes wait at the join instead of running ahead. A
 * split that has used up its fuel lets the one that has waited longest go, so a lane that spins on a lock
 * cannot starve the lane that holds it.
 */
#ifndef GD_REFERENCE_VM_H
#define GD_REFERENCE_VM_H

#include "gpu/base/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define GD_LANES           32u
#define GD_FULL            0xffffffffu
#define GD_WARPS_MAX       32u /* of a block: 1024 threads */
#define GD_BARRIERS        16u /* of a block (PTX ISA: bar) */
#define GD_OPERANDS        6u
#define GD_DEPTH_MAX       4096u          /* nested calls */
#define GD_FRAME_BYTES_MAX (256ull << 20) /* all frames of called functions of one thread */
#define GD_LOCAL_MAX       (512u << 10)   /* local memory of one lane (CUDA C Programming Guide, cc 9.0) */
#define GD_LOCAL_STACK     (64u << 10)    /* of it for calls that recurse */
#define GD_HEAP_BYTES      (8u << 20)     /* device malloc (cudaLimitMallocHeapSize's default) */
#define GD_SLICE_FUEL      16384          /* backward branches before another split or warp gets its turn */
#define GD_SPIN_FUEL       128 /* what an atomic or a volatile access costs of it: loops of them may be waiting */

/*
 * Synthetic addresses: 4096 slots of 64 GiB. Each buffer starts in the middle of a slot of its own, so an
 * offset of less than 32 GiB either way still names its buffer. A buffer of more takes several slots.
 */
#define GD_SLOT_BITS       36
#define GD_SLOT_COUNT      4096u
#define GD_SLOT_MIDDLE     (1ull << (GD_SLOT_BITS - 1))
#define GD_SLOT_BASE(slot) (((uint64_t)(slot) << GD_SLOT_BITS) + GD_SLOT_MIDDLE)
enum gd_slot {
	GD_SLOT_NULL,
	GD_SLOT_SHARED,
	GD_SLOT_LOCAL,
	GD_SLOT_PARAM,
	GD_SLOT_GLOBAL,
	GD_SLOT_CONST,
	GD_SLOT_CODE,
	GD_SLOT_HEAP,
	GD_SLOT_GRID, /* the workspace of cooperative groups */
	GD_SLOT_BUFFERS = 16
};
#define GD_SHARED_START 1024u /* first shared offset, as on sm_90: the system keeps the first KiB */
#define GD_CODE_STEP    16u   /* between the addresses of two functions */

struct gd_vm;
struct gd_vm_insn;

/* Execute one instruction for the lanes of vm->mask. NULL: vm->resume says where this split goes on. */
typedef const struct gd_vm_insn *(*gd_vm_fn)(struct gd_vm *vm, const struct gd_vm_insn *in);

/* Operands are byte offsets: even ones into the frame's registers, odd ones (minus 1) into the constants. */
struct gd_vm_insn {
	gd_vm_fn fn;
	uint32_t o[GD_OPERANDS];
	uint32_t aux, aux2;
	uint64_t imm;
};

struct gd_vm_place {
	uint32_t line, source_file, source_line;
};

/* A run of bytes in a frame. */
struct gd_vm_range {
	uint32_t offset, bytes;
};

struct gd_vm_words {
	uint32_t offset, words; /* of 32 lanes each */
};

struct gd_vm_code {
	const char *name;
	bool is_entry, is_lowered;
	const struct gd_vm_insn *insns;
	const struct gd_vm_place *places; /* one per instruction */
	uint32_t insn_count;
	uint32_t frame_bytes;
	uint32_t word_bytes;            /* of parameter words, at the frame's start */
	const struct gd_vm_range *zero; /* registers that may be read before they are written */
	uint32_t zero_count;
	uint32_t local_bytes;
	const struct gd_vm_words *params, *returns;
	uint32_t param_count, return_count;
};

/* One call site; instructions name it in `imm`. */
struct gd_vm_call {
	const struct gd_vm_words *args, *results;
	uint32_t arg_count, result_count;
};

enum gd_span_flags { GD_SPAN_READ = 1, GD_SPAN_WRITE = 2, GD_SPAN_ATOMIC = 4 /* other threads see it */ };

/* A piece of the address space that may be accessed. */
struct gd_vm_span {
	uint64_t base, size;
	uint8_t *host;
	uint64_t stride; /* from lane to lane: local memory */
	uint32_t flags;
	uint32_t slot;    /* enum gd_slot; GD_SLOT_BUFFERS for every buffer */
	uint32_t param;   /* of a buffer */
	const char *name; /* of a variable */
};

/* A list of jump targets (brx.idx), as distances from the instruction. */
struct gd_vm_targets {
	uint32_t count;
	int32_t distance[];
};

struct gd_vm_program {
	const struct gd_vm_code *codes;
	uint32_t code_count;
	const struct gd_vm_code *entry;
	uint8_t *constants;
	uint32_t site_count; /* memory access sites */
	const struct gd_vm_span
	    *vars; /* globals, then constants, then shared; each sorted by base; host is unset */
	uint32_t global_count, const_count, shared_count;
	const uint8_t *global_image, *const_image; /* initial values */
	uint64_t global_bytes, global_image_bytes; /* the rest is zero */
	uint32_t shared_bytes;                     /* static, from GD_SHARED_START on */
	uint32_t dynamic_align;
	bool has_dynamic_shared, uses_heap, uses_recursion;
	uint32_t local_bytes; /* of one lane */
	const char *source_name;
	const struct gd_ptx_file *files;
	uint32_t file_count;
};

enum gd_split_state { GD_SPLIT_READY, GD_SPLIT_BARRIER, GD_SPLIT_SYNC };

struct gd_vm_frame {
	struct gd_vm_frame *parent, *next;
	const struct gd_vm_code *code;
	const struct gd_vm_insn *call; /* in the parent: goes on behind it */
	uint32_t live;                 /* lanes that have not returned */
	uint32_t depth, local_base, size_class;
	_Alignas(64) uint8_t regs[];
};

struct gd_vm_split {
	const struct gd_vm_insn *at;
	struct gd_vm_frame *frame;
	uint32_t mask;
	uint8_t state, barrier;
	uint64_t stamp; /* when it last ran */
};

struct gd_vm_warp {
	struct gd_vm_block *block;
	uint32_t index, live, split_count, current;
	bool is_starved; /* the last slice ran out: the next goes to the split that waits longest */
	struct gd_vm_split splits[GD_LANES];
	struct gd_vm_frame *frame; /* of the entry */
	uint8_t *local;
	uint32_t tid[3][GD_LANES];
	/* What lanes that wait in a warp-synchronous instruction have brought. */
	uint64_t sync_value[GD_LANES];
	uint32_t sync_b[GD_LANES], sync_c[GD_LANES], sync_members[GD_LANES];
};

struct gd_vm_barrier {
	bool is_used;
	uint32_t expected; /* threads; 0: all of the block */
	uint32_t arrived[GD_WARPS_MAX];
	uint32_t ones, total; /* bar.red: lanes whose predicate held, lanes */
};

struct gd_vm_block {
	uint32_t id[3];
	uint32_t warp_count, warps_left;
	struct gd_vm_warp *warps;
	uint8_t *shared;
	struct gd_vm_span *shared_spans; /* of this block */
	uint32_t shared_span_count;
	struct gd_vm_barrier barriers[GD_BARRIERS];
};

struct gd_vm_fault {
	bool is_set;
	int native;
	const char *native_name;
	const struct gd_vm_insn *at;
	char text[400];
};

struct gd_vm_heap;

struct gd_vm_launch {
	const struct gd_vm_program *program;
	uint32_t grid[3], block[3];
	uint32_t threads, warps; /* of a block */
	uint32_t dynamic_bytes, shared_bytes;
	const uint8_t *params;
	uint32_t param_bytes;
	struct gd_vm_span *spans; /* buffers, sorted by base; then the fixed ones */
	uint32_t span_count;
	uint16_t *slot_span; /* slot - GD_SLOT_BUFFERS to index into spans */
	uint32_t slot_count;
	struct gd_vm_span param_span, heap_span, grid_span;
	uint8_t *global_host;
	struct gd_vm_heap *heap;
	bool is_cooperative;
	uint64_t block_count;
	_Atomic uint64_t next_block;
	_Atomic bool is_stopped; /* a fault: no further blocks */
	_Atomic bool fault_taken;
	struct gd_vm_fault fault;
	uint64_t
	    budget; /* backward branches and calls that one thread may take; 0: no limit (tests set one) */
	uint64_t serial; /* unique in the process: what a thread remembers of another launch is stale */
};

struct gd_vm {
	uint8_t *base[2]; /* registers of the running frame; constants */
	uint32_t mask;
	int32_t fuel;
	const struct gd_vm_insn *merge_at; /* another split waits here: stop when at or past it */
	struct gd_vm_frame *frame;
	struct gd_vm_warp *warp;
	struct gd_vm_block *block;
	struct gd_vm_launch *launch;
	const struct gd_vm_program *program;
	const struct gd_vm_span **sites;      /* the span that each access site hit last; NULL at first */
	_Alignas(64) int32_t lanes[GD_LANES]; /* -1 for the lanes of mask */
	const struct gd_vm_insn *resume;
	bool is_faulted;
	struct gd_vm_span local_span; /* of the running warp */
	struct gd_vm_span *var_spans; /* the program's globals and constants with their host addresses */
	uint64_t clock, used_fuel, launch_serial;
	/* Memory kept between launches. */
	struct gd_vm_block *blocks;
	struct gd_vm_warp *warps;
	struct gd_vm_span *shared_spans;
	uint8_t *shared, *frames, *local;
	size_t site_capacity, var_capacity, block_capacity, warp_capacity, shared_span_capacity,
	    shared_capacity, frame_capacity, local_capacity; /* in bytes */
	struct gd_vm_frame *free_frames[40], *all_frames;
	uint64_t frame_bytes;
	uint32_t block_count, warp_count, shared_stride;
	uint32_t tid_shape[3], tid_warps; /* what the warps' tid arrays were made for */
};

/* Set the running lanes. */
static inline void gd_vm_set_mask(struct gd_vm *vm, uint32_t mask)
{
	static const uint32_t bit[GD_LANES] = {
	    1u << 0,  1u << 1,  1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
	    1u << 8,  1u << 9,  1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15,
	    1u << 16, 1u << 17, 1u << 18, 1u << 19, 1u << 20, 1u << 21, 1u << 22, 1u << 23,
	    1u << 24, 1u << 25, 1u << 26, 1u << 27, 1u << 28, 1u << 29, 1u << 30, 1u << 31,
	};
	vm->mask = mask;
	for (uint32_t lane = 0; lane < GD_LANES; lane++)
		vm->lanes[lane] = -(int32_t)((mask & bit[lane]) == bit[lane]);
}

static inline void *gd_vm_at(const struct gd_vm *vm, uint32_t offset)
{
	return vm->base[offset & 1] + (offset & ~1u);
}

/* Walk the set lanes of a mask: `for (gd_vm_each(lane, left, mask))`. */
#define gd_vm_each(lane, left, mask)                                                                         \
	uint32_t left = (mask), lane = left ? (uint32_t)__builtin_ctz(left) : 0;                             \
	left;                                                                                                \
	left &= left - 1, lane = left ? (uint32_t)__builtin_ctz(left) : 0

/* The first set lane; the mask is not 0. */
static inline uint32_t gd_vm_first(uint32_t mask)
{
	return (uint32_t)__builtin_ctz(mask);
}

/*
 * Report a fault of the running kernel and stop it; the text begins with what happened, kernel, place and
 * thread are added. Returns NULL for the handler to return.
 */
const struct gd_vm_insn *gd_vm_fault(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t lane, int native,
				     const char *native_name, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* The value of a special register (special.h) that is the same for all lanes of the running warp. */
uint64_t gd_vm_special(const struct gd_vm *vm, uint32_t which);

/* Find the span of an address for one access; NULL after reporting the fault. `size` 1, 2, 4, 8 or 16. */
const struct gd_vm_span *gd_vm_span_find(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t lane,
					 uint64_t address, uint32_t size, uint32_t flags);

/* As above without a report: NULL when nothing may be accessed there. */
const struct gd_vm_span *gd_vm_span_at(const struct gd_vm *vm, uint64_t address);

/* Stop the running split at `at`, for the scheduler to choose anew. Returns NULL. */
static inline const struct gd_vm_insn *gd_vm_leave(struct gd_vm *vm, const struct gd_vm_insn *at)
{
	vm->resume = at;
	return NULL;
}

/* Split handling (schedule.c). */
struct gd_vm_split *gd_vm_split_add(struct gd_vm_warp *warp, const struct gd_vm_insn *at,
				    struct gd_vm_frame *frame, uint32_t mask);
void gd_vm_split_remove(struct gd_vm_warp *warp, uint32_t index);
/* The running lanes end; their split is removed. Returns NULL. */
const struct gd_vm_insn *gd_vm_exit(struct gd_vm *vm);
/* Lanes ended or came: release what no longer has to wait (op_warp.c, op_barrier.c). */
void gd_vm_sync_recheck(struct gd_vm *vm, struct gd_vm_warp *warp);
void gd_vm_barrier_recheck(struct gd_vm *vm, struct gd_vm_block *block);
/* Frames of called functions (frame.c). NULL when the limits are reached. */
struct gd_vm_frame *gd_vm_frame_take(struct gd_vm *vm, const struct gd_vm_code *code);
void gd_vm_frame_give(struct gd_vm *vm, struct gd_vm_frame *frame);
/* Prepare a frame for its function: zero what may be read before it is written, and its local memory. */
void gd_vm_frame_clear(struct gd_vm *vm, struct gd_vm_frame *frame);

/*
 * Make the memory that a launch needs on this thread. Fails: GD_DEVICE_OUT_OF_MEMORY. Repeating it for the
 * same program and shape costs next to nothing.
 */
bool gd_vm_prepare(struct gd_vm *vm, struct gd_vm_launch *launch, struct gd_error *error);
/*
 * Execute blocks of a prepared launch until there are none left, it is stopped by a fault, or `deadline_ns`
 * has passed (0: never). Any number of threads, each with its gd_vm. Returns false when the deadline ended
 * it.
 */
bool gd_vm_run(struct gd_vm *vm, uint64_t deadline_ns);
/* Free what the thread's machine holds; it may be all zeroes. */
void gd_vm_done(struct gd_vm *vm);

#endif
