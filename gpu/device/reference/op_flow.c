/* Branches, and the guard of a predicated instruction. Distances are in instructions, from the branch itself.
 */
#include "gpu/device/reference/ops.h"

static const struct gd_vm_insn *go_to(struct gd_vm *vm, const struct gd_vm_insn *in,
				      const struct gd_vm_insn *target)
{
	if (target <= in && --vm->fuel <= 0)
		return gd_vm_leave(vm, target);
	if (target >= vm->merge_at)
		return gd_vm_leave(vm, target);
	return target;
}

/* The running lanes part: those of `mask` go to `first`, the others to `second`. */
static const struct gd_vm_insn *part(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t mask,
				     const struct gd_vm_insn *first, const struct gd_vm_insn *second)
{
	struct gd_vm_warp *warp = vm->warp;
	uint32_t other = vm->mask & ~mask;
	if (second < first) {
		const struct gd_vm_insn *swapped = first;
		uint32_t swapped_mask = mask;
		first = second;
		mask = other;
		second = swapped;
		other = swapped_mask;
	}
	warp->splits[warp->current].mask = mask;
	gd_vm_split_add(warp, second, vm->frame, other)->stamp = vm->clock;
	gd_vm_set_mask(vm, mask);
	if (second < vm->merge_at)
		vm->merge_at = second;
	return go_to(vm, in, first);
}

/* o[0] predicate, aux2 negated, aux distance. */
static const struct gd_vm_insn *op_bra(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t p = *(const uint32_t *)gd_vm_at(vm, in->o[0]) ^ (0u - in->aux2);
	uint32_t taken = p & vm->mask;
	const struct gd_vm_insn *target = in + (int32_t)in->aux;
	if (!taken)
		return go_to(vm, in, in + 1);
	if (taken == vm->mask)
		return go_to(vm, in, target);
	return part(vm, in, taken, target, in + 1);
}

static const struct gd_vm_insn *op_jump(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return go_to(vm, in, in + (int32_t)in->aux);
}

/* The end of a block that falls into one that others jump to. */
static const struct gd_vm_insn *op_join(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return in + 1 >= vm->merge_at ? gd_vm_leave(vm, in + 1) : in + 1;
}

/* o[0] index, imm the targets. */
static const struct gd_vm_insn *op_brx(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	const struct gd_vm_targets *targets = (const struct gd_vm_targets *)(uintptr_t)in->imm;
	const uint32_t *index = gd_vm_at(vm, in->o[0]);
	uint32_t first = gd_vm_first(vm->mask), same = 0;
	for (gd_vm_each(lane, left, vm->mask)) {
		if (index[lane] >= targets->count)
			return gd_vm_fault(vm, in, lane, 715, "CUDA_ERROR_ILLEGAL_INSTRUCTION",
					   "branches to entry %u of a table of %u", index[lane],
					   targets->count);
		same |= (uint32_t)(index[lane] == index[first]) << lane;
	}
	const struct gd_vm_insn *target = in + targets->distance[index[first]];
	/* The others come back to this instruction, until each has found its target. */
	return same == vm->mask ? go_to(vm, in, target) : part(vm, in, same, target, in);
}

static const struct gd_vm_insn *op_exit(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	(void)in;
	return gd_vm_exit(vm);
}

/* o[0] predicate, aux2 negated: the next instruction runs for the lanes where it holds. It is one that never
 * leaves. */
static const struct gd_vm_insn *op_guarded(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t p = *(const uint32_t *)gd_vm_at(vm, in->o[0]) ^ (0u - in->aux2);
	uint32_t all = vm->mask, mask = p & all;
	if (!mask)
		return in + 2;
	if (mask == all)
		return in[1].fn(vm, in + 1);
	gd_vm_set_mask(vm, mask);
	const struct gd_vm_insn *next = in[1].fn(vm, in + 1);
	gd_vm_set_mask(vm, all);
	return next;
}

static const struct gd_vm_insn *op_trap(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return gd_vm_fault(vm, in, gd_vm_first(vm->mask), 719, "CUDA_ERROR_LAUNCH_FAILED", "executes a trap");
}

/* nanosleep: let everybody else go first. */
static const struct gd_vm_insn *op_yield(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	vm->fuel = 0;
	return gd_vm_leave(vm, in + 1);
}

/* Stands before what a waiting loop would repeat. */
static const struct gd_vm_insn *op_spin(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	vm->fuel -= GD_SPIN_FUEL;
	return in + 1;
}

static const struct gd_vm_insn *op_fence(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	(void)vm;
	atomic_thread_fence(memory_order_seq_cst);
	return in + 1;
}

static const struct gd_vm_insn *op_nop(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	(void)vm;
	return in + 1;
}

void gd_vm_flow_ops(gd_vm_fn *table)
{
	table[GD_OP_bra] = op_bra;
	table[GD_OP_jump] = op_jump;
	table[GD_OP_join] = op_join;
	table[GD_OP_brx] = op_brx;
	table[GD_OP_exit] = op_exit;
	table[GD_OP_guarded] = op_guarded;
	table[GD_OP_trap] = op_trap;
	table[GD_OP_yield] = op_yield;
	table[GD_OP_spin] = op_spin;
	table[GD_OP_fence] = op_fence;
	table[GD_OP_nop] = op_nop;
}
