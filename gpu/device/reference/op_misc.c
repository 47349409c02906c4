/* Predicates, special registers and addresses. */
#include "gpu/base/clock.h"
#include "gpu/device/reference/ops.h"
#include "gpu/device/reference/ptx.h"
#include "gpu/device/reference/special.h"

static const struct gd_vm_insn *set_predicate(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t value)
{
	uint32_t *to = gd_vm_at(vm, in->o[0]);
	*to = (*to & ~vm->mask) | (value & vm->mask);
	return in + 1;
}

static uint32_t predicate(const struct gd_vm *vm, uint32_t operand)
{
	return *(const uint32_t *)gd_vm_at(vm, operand);
}

static const struct gd_vm_insn *op_pred_mov(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return set_predicate(vm, in, predicate(vm, in->o[1]));
}

static const struct gd_vm_insn *op_pred_not(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return set_predicate(vm, in, ~predicate(vm, in->o[1]));
}

static const struct gd_vm_insn *op_pred_and(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return set_predicate(vm, in, predicate(vm, in->o[1]) & predicate(vm, in->o[2]));
}

static const struct gd_vm_insn *op_pred_or(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return set_predicate(vm, in, predicate(vm, in->o[1]) | predicate(vm, in->o[2]));
}

static const struct gd_vm_insn *op_pred_xor(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return set_predicate(vm, in, predicate(vm, in->o[1]) ^ predicate(vm, in->o[2]));
}

static const struct gd_vm_insn *op_selp_pred(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t p = predicate(vm, in->o[3]);
	return set_predicate(vm, in, (predicate(vm, in->o[1]) & p) | (predicate(vm, in->o[2]) & ~p));
}

uint64_t gd_vm_special(const struct gd_vm *vm, uint32_t which)
{
	const struct gd_vm_launch *launch = vm->launch;
	const uint64_t workspace = launch->grid_span.base;
	if (which >= GD_SPECIAL_NTID && which < GD_SPECIAL_CTAID)
		return launch->block[which - GD_SPECIAL_NTID];
	if (which >= GD_SPECIAL_CTAID && which < GD_SPECIAL_NCTAID)
		return vm->block->id[which - GD_SPECIAL_CTAID];
	if (which >= GD_SPECIAL_NCTAID && which < GD_SPECIAL_LANEID)
		return launch->grid[which - GD_SPECIAL_NCTAID];
	switch (which) {
	case GD_SPECIAL_WARPID:
		return vm->warp->index;
	case GD_SPECIAL_NWARPID:
		return 64; /* of a multiprocessor of compute capability 9.0 */
	case GD_SPECIAL_NSMID:
	case GD_SPECIAL_ONE:
		return 1;
	case GD_SPECIAL_CLOCK:
	case GD_SPECIAL_CLOCK64:
	case GD_SPECIAL_GLOBALTIMER:
	case GD_SPECIAL_GLOBALTIMER_LO:
		return gd_now_ns();
	case GD_SPECIAL_CLOCK_HI:
	case GD_SPECIAL_GLOBALTIMER_HI:
		return gd_now_ns() >> 32;
	case GD_SPECIAL_DYNAMIC_SMEM:
		return launch->dynamic_bytes;
	case GD_SPECIAL_TOTAL_SMEM:
		return launch->shared_bytes;
	case GD_SPECIAL_ENVREG1:
		return launch->is_cooperative ? workspace >> 32 : 0;
	case GD_SPECIAL_ENVREG2:
		return launch->is_cooperative ? workspace & UINT32_MAX : 0;
	default:
		return 0;
	}
}

static const struct gd_vm_insn *op_special_64(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint64_t *to = gd_vm_at(vm, in->o[0]), value = gd_vm_special(vm, in->aux);
	for (uint32_t lane = 0; lane < GD_LANES; lane++)
		to[lane] = vm->lanes[lane] ? value : to[lane];
	return in + 1;
}

/* The address of a local variable in the running frame: imm is its offset there. */
static const struct gd_vm_insn *op_local_address(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint64_t *to = gd_vm_at(vm, in->o[0]), value = vm->frame->local_base + in->imm;
	for (uint32_t lane = 0; lane < GD_LANES; lane++)
		to[lane] = vm->lanes[lane] ? value : to[lane];
	return in + 1;
}

static bool is_in_space(uint64_t address, uint32_t space)
{
	uint64_t slot = address >> GD_SLOT_BITS;
	switch (space) {
	case GD_SP_SHARED:
		return slot == GD_SLOT_SHARED;
	case GD_SP_LOCAL:
		return slot == GD_SLOT_LOCAL;
	case GD_SP_CONST:
		return slot == GD_SLOT_CONST;
	case GD_SP_PARAM_ENTRY:
		return slot == GD_SLOT_PARAM;
	default:
		return slot != GD_SLOT_SHARED && slot != GD_SLOT_LOCAL;
	}
}

/* o[0] predicate, o[1] generic address, aux the state space. */
static const struct gd_vm_insn *op_isspacep(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	const uint64_t *address = gd_vm_at(vm, in->o[1]);
	uint32_t truth = 0;
	for (uint32_t lane = 0; lane < GD_LANES; lane++)
		truth |= (uint32_t)is_in_space(address[lane], in->aux) << lane;
	return set_predicate(vm, in, truth);
}

void gd_vm_misc_ops(gd_vm_fn *table)
{
	table[GD_OP_pred_mov] = op_pred_mov;
	table[GD_OP_pred_not] = op_pred_not;
	table[GD_OP_pred_and] = op_pred_and;
	table[GD_OP_pred_or] = op_pred_or;
	table[GD_OP_pred_xor] = op_pred_xor;
	table[GD_OP_selp_pred] = op_selp_pred;
	table[GD_OP_special_64] = op_special_64;
	table[GD_OP_local_address] = op_local_address;
	table[GD_OP_isspacep] = op_isspacep;
}
