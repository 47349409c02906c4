/*
 * Barriers of a block. Since compute capability 7.0 each thread arrives for itself, so lanes of a warp may
 * come from different places; a warp whose live lanes have all come counts as 32 threads, as the hardware
 * counts warps.
 */
#include "gpu/device/reference/ops.h"
#include "gpu/device/reference/sync.h"

#include <string.h>

static bool is_complete(const struct gd_vm_block *block, const struct gd_vm_barrier *barrier)
{
	uint32_t threads = 0, arrived = 0;
	for (uint32_t i = 0; i < block->warp_count; i++) {
		uint32_t missing = block->warps[i].live & ~barrier->arrived[i];
		arrived |= barrier->arrived[i];
		if (!barrier->expected && missing)
			return false;
		if (barrier->arrived[i])
			threads += missing ? (uint32_t)__builtin_popcount(barrier->arrived[i]) : GD_LANES;
	}
	return arrived && threads >= barrier->expected;
}

/* bar.red: o[0] the result, aux what it is. */
static void give_result(struct gd_vm *vm, const struct gd_vm_insn *in, const struct gd_vm_barrier *barrier)
{
	uint32_t *to = gd_vm_at(vm, in->o[0]);
	if (in->aux == GD_BARRIER_POPC) {
		for (gd_vm_each(lane, left, vm->mask))
			to[lane] = barrier->ones;
		return;
	}
	bool truth = in->aux == GD_BARRIER_AND ? barrier->ones == barrier->total : barrier->ones != 0;
	*to = (*to & ~vm->mask) | (truth ? vm->mask : 0);
}

static const struct gd_vm_insn *op_barrier_red(struct gd_vm *vm, const struct gd_vm_insn *in);

static void release(struct gd_vm *vm, struct gd_vm_block *block, uint32_t id)
{
	struct gd_vm_barrier *barrier = &block->barriers[id];
	for (uint32_t i = 0; i < block->warp_count; i++) {
		struct gd_vm_warp *warp = &block->warps[i];
		for (uint32_t j = 0; barrier->arrived[i] && j < warp->split_count; j++) {
			struct gd_vm_split *split = &warp->splits[j];
			if (split->state != GD_SPLIT_BARRIER || split->barrier != id)
				continue;
			split->state = GD_SPLIT_READY;
			if (split->at[-1].fn != op_barrier_red)
				continue;
			vm->base[0] = split->frame->regs;
			gd_vm_set_mask(vm, split->mask);
			give_result(vm, split->at - 1, barrier);
		}
	}
	memset(barrier, 0, sizeof(*barrier));
}

void gd_vm_barrier_recheck(struct gd_vm *vm, struct gd_vm_block *block)
{
	for (uint32_t i = 0; i < GD_BARRIERS; i++) {
		if (block->barriers[i].is_used && is_complete(block, &block->barriers[i]))
			release(vm, block, i);
	}
}

/* o[2] the barrier, o[3] the count of threads (aux2 bit 0: there is one). NULL after a fault. */
static struct gd_vm_barrier *arrive(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t *out_id)
{
	struct gd_vm_block *block = vm->block;
	uint32_t first = gd_vm_first(vm->mask);
	uint32_t id = ((const uint32_t *)gd_vm_at(vm, in->o[2]))[first];
	uint32_t count = in->aux2 & 1 ? ((const uint32_t *)gd_vm_at(vm, in->o[3]))[first] : 0;
	if (id >= GD_BARRIERS || count > GD_WARPS_MAX * GD_LANES || ((in->aux2 & 1) && !count)) {
		gd_vm_fault(vm, in, first, 715, "CUDA_ERROR_ILLEGAL_INSTRUCTION",
			    "uses barrier %u with %u threads", id, count);
		return NULL;
	}
	struct gd_vm_barrier *barrier = &block->barriers[id];
	barrier->is_used = true;
	barrier->arrived[vm->warp->index] |= vm->mask;
	if (count)
		barrier->expected = count;
	*out_id = id;
	return barrier;
}

static const struct gd_vm_insn *wait_at(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t id)
{
	struct gd_vm_split *split = &vm->warp->splits[vm->warp->current];
	split->state = GD_SPLIT_BARRIER;
	split->barrier = (uint8_t)id;
	split->at = in + 1;
	if (is_complete(vm->block, &vm->block->barriers[id]))
		release(vm, vm->block, id);
	return gd_vm_leave(vm, in + 1);
}

static const struct gd_vm_insn *op_barrier(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t id;
	if (vm->block->warp_count == 1 && vm->mask == vm->warp->live && !(in->aux2 & 1)) {
		const uint32_t *which = gd_vm_at(vm, in->o[2]);
		if (which[gd_vm_first(vm->mask)] == 0 && !vm->block->barriers[0].is_used)
			return in + 1;
	}
	return arrive(vm, in, &id) ? wait_at(vm, in, id) : NULL;
}

/* o[1] the predicate, aux2 bit 1: negated. */
static const struct gd_vm_insn *op_barrier_red(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t id, p = *(const uint32_t *)gd_vm_at(vm, in->o[1]) ^ (in->aux2 & 2 ? GD_FULL : 0);
	struct gd_vm_barrier *barrier = arrive(vm, in, &id);
	if (!barrier)
		return NULL;
	barrier->ones += (uint32_t)__builtin_popcount(p & vm->mask);
	barrier->total += (uint32_t)__builtin_popcount(vm->mask);
	return wait_at(vm, in, id);
}

static const struct gd_vm_insn *op_barrier_arrive(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t id;
	if (!arrive(vm, in, &id))
		return NULL;
	if (is_complete(vm->block, &vm->block->barriers[id]))
		release(vm, vm->block, id);
	return gd_vm_leave(vm, in + 1);
}

void gd_vm_barrier_ops(gd_vm_fn *table)
{
	table[GD_OP_barrier] = op_barrier;
	table[GD_OP_barrier_red] = op_barrier_red;
	table[GD_OP_barrier_arrive] = op_barrier_arrive;
}
