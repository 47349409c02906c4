/*
 * Calls and returns. Parameters and results are words of the frames (32 lanes each) that are copied for the
 * running lanes; each call gets a frame of its own, shared by the lanes that call together.
 */
#include "gpu/device/reference/ops.h"

static void copy_words(struct gd_vm *vm, uint8_t *to, const uint8_t *from, uint32_t words)
{
	uint32_t *put = (uint32_t *)(void *)to;
	const uint32_t *get = (const uint32_t *)(const void *)from;
	for (uint32_t word = 0; word < words; word++) {
		for (uint32_t lane = 0; lane < GD_LANES; lane++)
			put[lane] = vm->lanes[lane] ? get[lane] : put[lane];
		put += GD_LANES;
		get += GD_LANES;
	}
}

static const struct gd_vm_insn *overflow(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return gd_vm_fault(vm, in, gd_vm_first(vm->mask), 714, "CUDA_ERROR_HARDWARE_STACK_ERROR",
			   "calls too deep (%u frames)", vm->frame->depth + 1);
}

/* Is the callee called with what it takes? Sizes of a direct call were compared at load. */
static bool fits(const struct gd_vm_call *call, const struct gd_vm_code *code)
{
	bool same = call->arg_count == code->param_count && call->result_count == code->return_count;
	for (uint32_t i = 0; same && i < call->arg_count; i++)
		same = call->args[i].words == code->params[i].words;
	for (uint32_t i = 0; same && i < call->result_count; i++)
		same = call->results[i].words == code->returns[i].words;
	return same;
}

static const struct gd_vm_insn *call_code(struct gd_vm *vm, const struct gd_vm_insn *in,
					  const struct gd_vm_code *code)
{
	const struct gd_vm_call *call = (const struct gd_vm_call *)(uintptr_t)in->imm;
	struct gd_vm_warp *warp = vm->warp;
	struct gd_vm_frame *caller = vm->frame;
	uint32_t local_base = (caller->local_base + caller->code->local_bytes + 15) & ~15u;
	if (caller->depth + 1 >= GD_DEPTH_MAX || local_base > vm->program->local_bytes ||
	    code->local_bytes > vm->program->local_bytes - local_base)
		return overflow(vm, in);
	struct gd_vm_frame *frame = gd_vm_frame_take(vm, code);
	if (!frame)
		return overflow(vm, in);
	frame->parent = caller;
	frame->call = in;
	frame->live = vm->mask;
	frame->depth = caller->depth + 1;
	frame->local_base = local_base;
	gd_vm_frame_clear(vm, frame);
	for (uint32_t i = 0; i < call->arg_count; i++)
		copy_words(vm, frame->regs + code->params[i].offset, caller->regs + call->args[i].offset,
			   call->args[i].words);
	warp->splits[warp->current].frame = frame;
	vm->frame = frame;
	vm->base[0] = frame->regs;
	vm->merge_at = (const struct gd_vm_insn *)UINTPTR_MAX;
	return --vm->fuel <= 0 ? gd_vm_leave(vm, code->insns) : code->insns;
}

/* imm the call site, aux the function. */
static const struct gd_vm_insn *op_call(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return call_code(vm, in, &vm->program->codes[in->aux]);
}

/* o[0] the address; lanes that call the same function go together, the others stay for their turn. */
static const struct gd_vm_insn *op_call_indirect(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	const struct gd_vm_call *call = (const struct gd_vm_call *)(uintptr_t)in->imm;
	const uint64_t *target = gd_vm_at(vm, in->o[0]);
	uint32_t first = gd_vm_first(vm->mask), same = 0;
	uint64_t index = (target[first] - GD_SLOT_BASE(GD_SLOT_CODE)) / GD_CODE_STEP;
	if (target[first] % GD_CODE_STEP || index >= vm->program->code_count ||
	    !vm->program->codes[index].is_lowered || vm->program->codes[index].is_entry)
		return gd_vm_fault(vm, in, first, 718, "CUDA_ERROR_INVALID_PC",
				   "calls through a pointer to no function");
	const struct gd_vm_code *code = &vm->program->codes[index];
	if (!fits(call, code))
		return gd_vm_fault(vm, in, first, 718, "CUDA_ERROR_INVALID_PC",
				   "calls `%.60s` with other parameters than it takes", code->name);
	for (gd_vm_each(lane, left, vm->mask))
		same |= (uint32_t)(target[lane] == target[first]) << lane;
	if (same != vm->mask) {
		gd_vm_split_add(vm->warp, in, vm->frame, vm->mask & ~same);
		vm->warp->splits[vm->warp->current].mask = same;
		gd_vm_set_mask(vm, same);
	}
	return call_code(vm, in, code);
}

static const struct gd_vm_insn *op_ret(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	struct gd_vm_frame *frame = vm->frame, *caller = frame->parent;
	struct gd_vm_warp *warp = vm->warp;
	(void)in;
	if (!caller)
		return gd_vm_exit(vm);
	const struct gd_vm_call *call = (const struct gd_vm_call *)(uintptr_t)frame->call->imm;
	for (uint32_t i = 0; i < call->result_count; i++)
		copy_words(vm, caller->regs + call->results[i].offset,
			   frame->regs + frame->code->returns[i].offset, call->results[i].words);
	warp->splits[warp->current].frame = caller;
	vm->resume = frame->call + 1;
	frame->live &= ~vm->mask;
	if (!frame->live)
		gd_vm_frame_give(vm, frame);
	return NULL;
}

void gd_vm_call_ops(gd_vm_fn *table)
{
	table[GD_OP_call] = op_call;
	table[GD_OP_call_indirect] = op_call_indirect;
	table[GD_OP_ret] = op_ret;
}
