/*
 * Registers to places: liveness over blocks, then linear scan over the layout. A register's lanes are
 * independent threads that each follow a path of the function, so what is right for one thread is right for
 * diverged warps.
 */
#include "gpu/device/reference/flow.h"

#include <string.h>

#define NONE       UINT32_MAX
#define BITS_MAX   (1ull << 31) /* of all live sets; past it registers that cross blocks live for ever */
#define PASSES_MAX 256
#define FRAME_MAX  (4u << 20)

struct interval {
	uint32_t start,
	    end;         /* positions: 2 * n reads, 2 * n + 1 writes of the n-th instruction in the layout */
	uint32_t home;   /* block that it is confined to; NONE: crosses blocks */
	uint32_t global; /* index among those that cross blocks */
};

struct liveness {
	struct gd_lower *lower;
	const struct gd_flow *flow;
	struct interval *intervals; /* by register */
	uint32_t *globals;          /* register of each global index */
	uint32_t global_count, set_words;
	uint64_t *live_in, *live_out, *gen, *kill; /* by block, set_words each */
	uint32_t *start_of;                        /* position of each block's first instruction */
	uint32_t positions;
};

static void add_use(struct gd_lir_regs *regs, uint32_t opnd)
{
	if (GD_OPND_KIND(opnd) == GD_OPND_REG)
		regs->uses[regs->use_count++] = GD_OPND_ID(opnd);
}

void gd_lir_registers(const struct gd_lir *lir, struct gd_lir_regs *out_regs)
{
	out_regs->use_count = out_regs->def_count = 0;
	add_use(out_regs, lir->guard);
	for (uint32_t i = 0; i < GD_OPERANDS; i++) {
		if (!(lir->defs >> i & 1)) {
			add_use(out_regs, lir->o[i]);
		} else if (GD_OPND_KIND(lir->o[i]) == GD_OPND_REG) {
			out_regs->defs[out_regs->def_count++] = GD_OPND_ID(lir->o[i]);
			if (lir->guard)
				add_use(out_regs, lir->o[i]);
		}
	}
}

static void touch(struct interval *interval, uint32_t block, uint32_t position, bool is_read)
{
	if (interval->start == NONE) {
		interval->start = interval->end = position;
		/* Read before anything was written here: the value comes from elsewhere. */
		interval->home = is_read ? NONE : block;
		return;
	}
	if (position < interval->start)
		interval->start = position;
	if (position > interval->end)
		interval->end = position;
	if (interval->home != block)
		interval->home = NONE;
}

static bool find_intervals(struct liveness *live)
{
	const struct gd_lower_func *func = live->lower->func;
	struct gd_lir_regs regs;
	uint32_t position = 0;
	for (uint32_t i = 0; i < func->reg_count; i++)
		live->intervals[i] = (struct interval){.start = NONE, .home = NONE, .global = NONE};
	for (uint32_t i = 0; i < live->flow->order_count; i++) {
		const struct gd_flow_block *block = &live->flow->blocks[live->flow->order[i]];
		live->start_of[live->flow->order[i]] = position;
		for (uint32_t j = block->first; j < block->end; j++, position += 2) {
			gd_lir_registers(&func->lir[j], &regs);
			for (uint32_t k = 0; k < regs.use_count; k++)
				touch(&live->intervals[regs.uses[k]], live->flow->order[i], position, true);
			for (uint32_t k = 0; k < regs.def_count; k++)
				touch(&live->intervals[regs.defs[k]], live->flow->order[i], position + 1,
				      false);
		}
	}
	live->positions = position;
	live->globals = gd_scratch_take(live->lower->arena, func->reg_count, sizeof(*live->globals));
	if (!live->globals)
		return false;
	for (uint32_t i = 0; i < func->reg_count; i++) {
		if (live->intervals[i].start == NONE || live->intervals[i].home != NONE)
			continue;
		live->intervals[i].global = live->global_count;
		live->globals[live->global_count++] = i;
	}
	return true;
}

static void find_gen_kill(struct liveness *live, uint32_t index)
{
	const struct gd_flow_block *block = &live->flow->blocks[index];
	uint64_t *gen = live->gen + (size_t)index * live->set_words,
		 *kill = live->kill + (size_t)index * live->set_words;
	struct gd_lir_regs regs;
	for (uint32_t j = block->first; j < block->end; j++) {
		gd_lir_registers(&live->lower->func->lir[j], &regs);
		for (uint32_t k = 0; k < regs.use_count; k++) {
			uint32_t bit = live->intervals[regs.uses[k]].global;
			if (bit != NONE && !(kill[bit / 64] >> (bit % 64) & 1))
				gen[bit / 64] |= 1ull << (bit % 64);
		}
		for (uint32_t k = 0; k < regs.def_count; k++) {
			uint32_t bit = live->intervals[regs.defs[k]].global;
			if (bit != NONE)
				kill[bit / 64] |= 1ull << (bit % 64);
		}
	}
}

/* One round from the last block to the first. Returns whether anything changed. */
static bool flow_back(struct liveness *live)
{
	bool has_changed = false;
	for (uint32_t i = live->flow->order_count; i-- > 0;) {
		uint32_t index = live->flow->order[i];
		const struct gd_flow_block *block = &live->flow->blocks[index];
		size_t base = (size_t)index * live->set_words;
		for (uint32_t j = 0; j <= block->target_count; j++) {
			uint32_t next = j < block->target_count ? block->targets[j] : block->next;
			if (next == NONE)
				continue;
			for (uint32_t k = 0; k < live->set_words; k++)
				live->live_out[base + k] |= live->live_in[(size_t)next * live->set_words + k];
		}
		for (uint32_t k = 0; k < live->set_words; k++) {
			uint64_t in =
			    live->gen[base + k] | (live->live_out[base + k] & ~live->kill[base + k]);
			has_changed |= in != live->live_in[base + k];
			live->live_in[base + k] = in;
		}
	}
	return has_changed;
}

static void everything_lives(struct liveness *live)
{
	for (uint32_t i = 0; i < live->global_count; i++) {
		live->intervals[live->globals[i]].start = 0;
		live->intervals[live->globals[i]].end = live->positions;
	}
}

static void extend_over(struct liveness *live, const uint64_t *set, uint32_t position)
{
	for (uint32_t k = 0; k < live->set_words; k++) {
		for (uint64_t left = set[k]; left; left &= left - 1) {
			struct interval *interval =
			    &live->intervals[live->globals[k * 64 + (uint32_t)__builtin_ctzll(left)]];
			if (position < interval->start)
				interval->start = position;
			if (position > interval->end)
				interval->end = position;
		}
	}
}

/* *out_entry: whether live_in of the first block is exact; otherwise all registers that cross blocks count.
 */
static bool find_liveness(struct liveness *live, bool *out_exact)
{
	struct gd_scratch *arena = live->lower->arena;
	const struct gd_flow *flow = live->flow;
	live->set_words = (live->global_count + 63) / 64;
	*out_exact = false;
	if ((uint64_t)live->set_words * 64 * flow->block_count * 4 > BITS_MAX) {
		everything_lives(live);
		return true;
	}
	size_t words = (size_t)live->set_words * flow->block_count;
	live->live_in = gd_scratch_take(arena, words, 8);
	live->live_out = gd_scratch_take(arena, words, 8);
	live->gen = gd_scratch_take(arena, words, 8);
	live->kill = gd_scratch_take(arena, words, 8);
	if (arena->failed)
		return false;
	for (uint32_t i = 0; i < flow->order_count; i++)
		find_gen_kill(live, flow->order[i]);
	uint32_t passes = 0;
	while (flow_back(live)) {
		if (++passes > PASSES_MAX) {
			everything_lives(live);
			return true;
		}
	}
	for (uint32_t i = 0; i < flow->order_count; i++) {
		uint32_t index = flow->order[i];
		const struct gd_flow_block *block = &flow->blocks[index];
		extend_over(live, live->live_in + (size_t)index * live->set_words, live->start_of[index]);
		extend_over(live, live->live_out + (size_t)index * live->set_words,
			    live->start_of[index] + 2 * (block->end - block->first));
	}
	*out_exact = true;
	return true;
}

/* Linear scan. Registers that begin and end at each position hang in lists. */
static bool scan(struct liveness *live, uint32_t *slot_of, uint32_t slot_count[GD_CLASS_COUNT])
{
	const struct gd_lower_func *func = live->lower->func;
	struct gd_scratch *arena = live->lower->arena;
	size_t positions = (size_t)live->positions + 2;
	uint32_t *starts = gd_scratch_take(arena, positions, sizeof(*starts));
	uint32_t *ends = gd_scratch_take(arena, positions, sizeof(*ends));
	uint32_t *next_start = gd_scratch_take(arena, func->reg_count, sizeof(*next_start));
	uint32_t *next_end = gd_scratch_take(arena, func->reg_count, sizeof(*next_end));
	uint32_t *free_slots = gd_scratch_take(arena, func->reg_count, sizeof(*free_slots));
	uint32_t free_head[GD_CLASS_COUNT] = {0};
	if (arena->failed)
		return false;
	for (uint32_t i = 1; i < func->reg_count; i++) {
		const struct interval *interval = &live->intervals[i];
		if (interval->start == NONE)
			continue;
		next_start[i] = starts[interval->start];
		starts[interval->start] = i;
		next_end[i] = ends[interval->end];
		ends[interval->end] = i;
	}
	for (uint32_t position = 0; position <= live->positions; position++) {
		for (uint32_t i = starts[position]; i; i = next_start[i]) {
			enum gd_class class = func->classes[i];
			uint32_t free = free_head[class];
			if (free) {
				/* A freed register's place goes on; its entry links the free ones. */
				slot_of[i] = slot_of[free];
				free_head[class] = free_slots[free];
			} else {
				slot_of[i] = slot_count[class]++;
			}
		}
		for (uint32_t i = ends[position]; i; i = next_end[i]) {
			free_slots[i] = free_head[func->classes[i]];
			free_head[func->classes[i]] = i;
		}
	}
	return true;
}

static bool collect_zero(struct liveness *live, bool is_exact, struct gd_slots *slots)
{
	static const uint32_t bytes[GD_CLASS_COUNT] = {
	    [GD_CLASS_PRED] = 4, [GD_CLASS_16] = 64, [GD_CLASS_32] = 128, [GD_CLASS_64] = 256};
	const struct gd_lower_func *func = live->lower->func;
	slots->zero = gd_scratch_take(live->lower->arena, live->global_count, sizeof(*slots->zero));
	if (!slots->zero)
		return false;
	for (uint32_t i = 0; i < live->global_count; i++) {
		uint32_t reg = live->globals[i];
		if (is_exact && !(live->live_in[i / 64] >> (i % 64) & 1))
			continue;
		slots->zero[slots->zero_count++] =
		    (struct gd_vm_range){.offset = slots->offset[reg], .bytes = bytes[func->classes[reg]]};
	}
	return true;
}

bool gd_slots_assign(struct gd_lower *lower, const struct gd_flow *flow, struct gd_slots *out_slots)
{
	const struct gd_lower_func *func = lower->func;
	struct liveness live = {.lower = lower, .flow = flow};
	struct gd_slots slots = {0};
	uint32_t count[GD_CLASS_COUNT] = {0};
	bool is_exact;
	live.intervals = gd_scratch_take(lower->arena, func->reg_count, sizeof(*live.intervals));
	live.start_of = gd_scratch_take(lower->arena, flow->block_count, sizeof(*live.start_of));
	slots.offset = gd_scratch_take(lower->arena, func->reg_count, sizeof(*slots.offset));
	if (lower->arena->failed || !find_intervals(&live) || !find_liveness(&live, &is_exact) ||
	    !scan(&live, slots.offset, count))
		return gd_ptx_no_memory(lower->module);
	uint64_t base_64 = (uint64_t)((func->word_max + 3) / 4) * 128,
		 base_32 = base_64 + (uint64_t)count[GD_CLASS_64] * 256;
	uint64_t base_16 = base_32 + (uint64_t)count[GD_CLASS_32] * 128;
	uint64_t base_pred = base_16 + (uint64_t)count[GD_CLASS_16] * 64;
	uint64_t total = ((base_pred + (uint64_t)count[GD_CLASS_PRED] * 4 + 63) & ~63ull) + 256;
	if (total > FRAME_MAX)
		return gd_error_set(lower->error, GD_UNSUPPORTED_FEATURE,
				    "Split the kernel into smaller ones.",
				    "`%.60s` needs %llu bytes of registers per thread, at most %u are there",
				    func->func->name, (unsigned long long)(total / 32), FRAME_MAX / 32);
	for (uint32_t i = 1; i < func->reg_count; i++) {
		uint64_t slot = slots.offset[i];
		uint64_t at = func->classes[i] == GD_CLASS_64   ? base_64 + slot * 256
			      : func->classes[i] == GD_CLASS_32 ? base_32 + slot * 128
			      : func->classes[i] == GD_CLASS_16 ? base_16 + slot * 64
								: base_pred + slot * 4;
		slots.offset[i] = (uint32_t)at;
	}
	if (!collect_zero(&live, is_exact, &slots))
		return gd_ptx_no_memory(lower->module);
	slots.frame_bytes = (uint32_t)total;
	slots.words = 2 * count[GD_CLASS_64] + count[GD_CLASS_32] + (count[GD_CLASS_16] + 1) / 2 + 8;
	*out_slots = slots;
	return true;
}
