#include "gpu/device/reference/vm.h"

#include "gpu/base/clock.h"

#include <string.h>

#define NO_SPLIT UINT32_MAX
#define NOWHERE  ((const struct gd_vm_insn *)UINTPTR_MAX)

struct gd_vm_split *gd_vm_split_add(struct gd_vm_warp *warp, const struct gd_vm_insn *at,
				    struct gd_vm_frame *frame, uint32_t mask)
{
	/* Splits have disjoint lanes, so there are never more than lanes. */
	struct gd_vm_split *split = &warp->splits[warp->split_count++];
	*split = (struct gd_vm_split){.at = at, .frame = frame, .mask = mask};
	return split;
}

void gd_vm_split_remove(struct gd_vm_warp *warp, uint32_t index)
{
	uint32_t last = --warp->split_count;
	if (warp->current == index)
		warp->current = NO_SPLIT;
	if (index == last)
		return;
	warp->splits[index] = warp->splits[last];
	if (warp->current == last)
		warp->current = index;
}

const struct gd_vm_insn *gd_vm_exit(struct gd_vm *vm)
{
	struct gd_vm_warp *warp = vm->warp;
	uint32_t mask = vm->mask;
	struct gd_vm_frame *frame = vm->frame;
	gd_vm_split_remove(warp, warp->current);
	warp->live &= ~mask;
	while (frame) {
		struct gd_vm_frame *parent = frame->parent;
		frame->live &= ~mask;
		if (!frame->live && parent)
			gd_vm_frame_give(vm, frame);
		frame = parent;
	}
	if (!warp->live)
		warp->block->warps_left--;
	else
		gd_vm_sync_recheck(vm, warp);
	gd_vm_barrier_recheck(vm, warp->block);
	return NULL;
}

/* Pick the split to run, merge into it those that stand at the same place, and make it the running one. */
static bool choose(struct gd_vm *vm, struct gd_vm_warp *warp)
{
	struct gd_vm_split *splits = warp->splits;
	uint32_t best = NO_SPLIT;
	bool is_starved = warp->is_starved;
	warp->is_starved = false;
	for (uint32_t i = 0; i < warp->split_count; i++) {
		if (splits[i].state != GD_SPLIT_READY)
			continue;
		if (best == NO_SPLIT) {
			best = i;
		} else if (is_starved) {
			if (splits[i].stamp < splits[best].stamp)
				best = i;
		} else if (splits[i].frame->depth > splits[best].frame->depth ||
			   (splits[i].frame->depth == splits[best].frame->depth &&
			    splits[i].at < splits[best].at)) {
			best = i;
		}
	}
	if (best == NO_SPLIT)
		return false;
	warp->current = best;
	vm->merge_at = NOWHERE;
	if (warp->split_count > 1) {
		const struct gd_vm_insn *at = splits[best].at;
		struct gd_vm_frame *frame = splits[best].frame;
		for (uint32_t i = warp->split_count; i-- > 0;) {
			struct gd_vm_split *other = &splits[i];
			if (i == warp->current || other->state != GD_SPLIT_READY || other->frame != frame)
				continue;
			if (other->at == at) {
				splits[warp->current].mask |= other->mask;
				gd_vm_split_remove(warp, i);
			} else if (!is_starved && other->at < vm->merge_at) {
				vm->merge_at = other->at;
			}
		}
	}
	struct gd_vm_split *split = &splits[warp->current];
	split->stamp = ++vm->clock;
	vm->frame = split->frame;
	vm->base[0] = split->frame->regs;
	if (vm->mask != split->mask)
		gd_vm_set_mask(vm, split->mask);
	return true;
}

/* Run one warp until all of it waits or has ended, or its slice is used up. */
static void run_warp(struct gd_vm *vm, struct gd_vm_warp *warp)
{
	vm->warp = warp;
	vm->local_span.host = warp->local;
	vm->fuel = GD_SLICE_FUEL;
	while (choose(vm, warp)) {
		const struct gd_vm_insn *in = warp->splits[warp->current].at;
		while (in)
			in = in->fn(vm, in);
		if (vm->is_faulted)
			return;
		if (warp->current != NO_SPLIT)
			warp->splits[warp->current].at = vm->resume;
		if (vm->fuel <= 0) {
			warp->is_starved = warp->split_count > 1;
			break;
		}
	}
	vm->used_fuel += (uint64_t)(GD_SLICE_FUEL - vm->fuel);
}

static bool is_ready(const struct gd_vm_warp *warp)
{
	for (uint32_t i = 0; i < warp->split_count; i++) {
		if (warp->splits[i].state == GD_SPLIT_READY)
			return true;
	}
	return false;
}

static void start_block(struct gd_vm *vm, struct gd_vm_block *block, uint64_t index)
{
	const struct gd_vm_launch *launch = vm->launch;
	const struct gd_vm_code *entry = vm->program->entry;
	block->id[0] = (uint32_t)(index % launch->grid[0]);
	block->id[1] = (uint32_t)(index / launch->grid[0] % launch->grid[1]);
	block->id[2] = (uint32_t)(index / launch->grid[0] / launch->grid[1]);
	block->warp_count = block->warps_left = launch->warps;
	for (uint32_t i = 0; i < GD_BARRIERS; i++) {
		if (block->barriers[i].is_used)
			memset(&block->barriers[i], 0, sizeof(block->barriers[i]));
	}
	if (launch->shared_bytes)
		memset(block->shared, 0, launch->shared_bytes);
	for (uint32_t i = 0; i < launch->warps; i++) {
		struct gd_vm_warp *warp = &block->warps[i];
		uint32_t left = launch->threads - i * GD_LANES;
		warp->live = left >= GD_LANES ? GD_FULL : (1u << left) - 1;
		warp->split_count = 0;
		warp->current = NO_SPLIT;
		warp->is_starved = false;
		warp->frame->live = warp->live;
		gd_vm_split_add(warp, entry->insns, warp->frame, warp->live);
		vm->warp = warp;
		gd_vm_frame_clear(vm, warp->frame);
	}
}

/* Give every warp of a block that can run one slice. Returns whether any could. */
static bool run_round(struct gd_vm *vm, struct gd_vm_block *block)
{
	bool has_run = false;
	vm->block = block;
	for (uint32_t i = 0; i < block->warp_count && !vm->is_faulted; i++) {
		if (!is_ready(&block->warps[i]))
			continue;
		has_run = true;
		run_warp(vm, &block->warps[i]);
	}
	return has_run;
}

/* What the threads of a block that cannot go on wait for; there is at least one. */
static void report_deadlock(struct gd_vm *vm, struct gd_vm_block *block)
{
	for (uint32_t i = 0; i < block->warp_count; i++) {
		struct gd_vm_warp *warp = &block->warps[i];
		if (!warp->split_count)
			continue;
		struct gd_vm_split *split = &warp->splits[0];
		vm->block = block;
		vm->warp = warp;
		vm->frame = split->frame;
		bool is_barrier = split->state == GD_SPLIT_BARRIER;
		gd_vm_fault(vm, is_barrier ? split->at - 1 : split->at, gd_vm_first(split->mask), 719,
			    "CUDA_ERROR_LAUNCH_FAILED", "waits for ever %s that other threads never reach",
			    is_barrier ? "at a barrier" : "in a warp-synchronous instruction");
		return;
	}
}

static bool must_stop(struct gd_vm *vm)
{
	struct gd_vm_launch *launch = vm->launch;
	if (launch->budget && vm->used_fuel > launch->budget && !vm->is_faulted) {
		vm->frame = vm->warp->frame;
		gd_vm_fault(vm, vm->program->entry->insns, 0, 702, "CUDA_ERROR_LAUNCH_TIMEOUT",
			    "has used up its budget of branches");
	}
	return vm->is_faulted || atomic_load_explicit(&launch->is_stopped, memory_order_relaxed);
}

static void run_block(struct gd_vm *vm, struct gd_vm_block *block)
{
	while (block->warps_left) {
		bool has_run = run_round(vm, block);
		if (!has_run)
			report_deadlock(vm, block);
		if (must_stop(vm))
			return;
	}
}

/* All blocks of the grid are resident and take turns, so that they may wait for each other. */
static void run_cooperative(struct gd_vm *vm)
{
	uint32_t left = vm->block_count;
	for (uint32_t i = 0; i < vm->block_count; i++)
		start_block(vm, &vm->blocks[i], i);
	while (left) {
		bool has_run = false;
		left = 0;
		for (uint32_t i = 0; i < vm->block_count; i++) {
			if (!vm->blocks[i].warps_left)
				continue;
			has_run |= run_round(vm, &vm->blocks[i]);
			if (must_stop(vm))
				return;
			left += vm->blocks[i].warps_left != 0;
		}
		for (uint32_t i = 0; !has_run && left && i < vm->block_count; i++) {
			if (vm->blocks[i].warps_left) {
				report_deadlock(vm, &vm->blocks[i]);
				return;
			}
		}
	}
}

bool gd_vm_run(struct gd_vm *vm, uint64_t deadline_ns)
{
	struct gd_vm_launch *launch = vm->launch;
	if (launch->is_cooperative) {
		if (!atomic_fetch_add(&launch->next_block, launch->block_count))
			run_cooperative(vm);
		return true;
	}
	while (!atomic_load_explicit(&launch->is_stopped, memory_order_relaxed)) {
		if (atomic_load_explicit(&launch->next_block, memory_order_relaxed) >= launch->block_count)
			break;
		uint64_t index = atomic_fetch_add_explicit(&launch->next_block, 1, memory_order_relaxed);
		if (index >= launch->block_count)
			break;
		start_block(vm, &vm->blocks[0], index);
		run_block(vm, &vm->blocks[0]);
		if (deadline_ns && gd_now_ns() > deadline_ns)
			return false;
	}
	return true;
}
