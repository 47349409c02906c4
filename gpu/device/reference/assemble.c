#include "gpu/device/reference/flow.h"

#include <string.h>

#define NONE UINT32_MAX

struct assembler {
	struct gd_lower *lower;
	const struct gd_flow *flow;
	const struct gd_slots *slots;
	const gd_vm_fn *handlers;
	struct gd_vm_insn *insns;
	struct gd_vm_place *places;
	uint32_t count;
	uint32_t *start; /* first instruction of each block */
};

/* How a block ends, given the block that is laid out behind it. */
struct ending {
	bool has_bra, is_inverted, has_jump, has_join;
	uint32_t bra_to, jump_to;
};

static struct ending ending_of(const struct gd_flow *flow, const struct gd_lower_func *func, uint32_t index,
			       uint32_t behind)
{
	const struct gd_flow_block *block = &flow->blocks[index];
	const struct gd_lir *last = &func->lir[block->end - 1];
	struct ending ending = {0};
	uint32_t next = last->kind == GD_LIR_JUMP ? block->targets[0] : block->next;
	if (last->kind == GD_LIR_BRA) {
		ending.has_bra = true;
		ending.bra_to = block->targets[0];
		/* Branch to what is not laid out behind, on the other condition if need be. */
		if (next != behind && ending.bra_to == behind) {
			ending.is_inverted = true;
			ending.bra_to = next;
			next = behind;
		}
	}
	if (last->kind == GD_LIR_BRX || last->kind == GD_LIR_END)
		return ending;
	ending.has_jump = next != behind;
	ending.jump_to = next;
	ending.has_join = !ending.has_jump && !ending.has_bra && flow->blocks[next].preds > 1;
	return ending;
}

static uint32_t offset_of(const struct assembler *as, uint32_t opnd)
{
	switch (GD_OPND_KIND(opnd)) {
	case GD_OPND_REG:
		return as->slots->offset[GD_OPND_ID(opnd)];
	case GD_OPND_CONST:
		return GD_OPND_ID(opnd) * 64 | 1;
	case GD_OPND_WORD:
		return GD_OPND_ID(opnd) * 128;
	default:
		/* An operand that the handler does not look at; every frame and pool has something at 0. */
		return 0;
	}
}

static struct gd_vm_insn *append(struct assembler *as, enum gd_op op, const struct gd_ptx_place *place)
{
	struct gd_vm_insn *insn = &as->insns[as->count];
	as->places[as->count++] = (struct gd_vm_place){
	    .line = place->line, .source_file = place->source_file, .source_line = place->source_line};
	insn->fn = as->handlers[op];
	return insn;
}

static void append_lir(struct assembler *as, const struct gd_lir *lir)
{
	if (lir->guard) {
		struct gd_vm_insn *guard = append(as, GD_OP_guarded, &lir->place);
		guard->o[0] = offset_of(as, lir->guard);
		guard->aux2 = lir->guard_negated;
	}
	struct gd_vm_insn *insn = append(as, (enum gd_op)lir->op, &lir->place);
	for (uint32_t i = 0; i < GD_OPERANDS; i++)
		insn->o[i] = offset_of(as, lir->o[i]);
	insn->aux = lir->aux;
	insn->aux2 = lir->aux2;
	insn->imm = lir->imm;
}

static uint32_t distance(const struct assembler *as, uint32_t from, uint32_t block)
{
	return as->start[block] - from; /* two's complement: may be backwards */
}

static bool append_brx(struct assembler *as, const struct gd_flow_block *block, const struct gd_lir *last)
{
	struct gd_vm_targets *targets = gd_scratch_take(
	    as->lower->arena, 1, sizeof(*targets) + block->target_count * sizeof(targets->distance[0]));
	if (!targets)
		return false;
	struct gd_vm_insn *insn = append(as, GD_OP_brx, &last->place);
	targets->count = block->target_count;
	for (uint32_t i = 0; i < block->target_count; i++)
		targets->distance[i] = (int32_t)distance(as, as->count - 1, block->targets[i]);
	insn->o[0] = offset_of(as, last->o[0]);
	insn->imm = (uint64_t)(uintptr_t)targets;
	return true;
}

static bool append_ending(struct assembler *as, const struct ending *ending,
			  const struct gd_flow_block *block)
{
	const struct gd_lir *last = &as->lower->func->lir[block->end - 1];
	if (last->kind == GD_LIR_BRX)
		return append_brx(as, block, last);
	if (ending->has_bra) {
		struct gd_vm_insn *insn = append(as, GD_OP_bra, &last->place);
		insn->o[0] = offset_of(as, last->o[0]);
		insn->aux2 = last->aux2 ^ (uint32_t)ending->is_inverted;
		insn->aux = distance(as, as->count - 1, ending->bra_to);
	}
	if (ending->has_jump) {
		struct gd_vm_insn *insn = append(as, GD_OP_jump, &last->place);
		insn->aux = distance(as, as->count - 1, ending->jump_to);
	}
	if (ending->has_join)
		append(as, GD_OP_join, &last->place);
	return true;
}

static bool is_ending(const struct gd_lir *lir)
{
	return lir->kind == GD_LIR_BRA || lir->kind == GD_LIR_JUMP || lir->kind == GD_LIR_BRX;
}

bool gd_assemble(struct gd_lower *lower, const struct gd_flow *flow, const struct gd_slots *slots,
		 struct gd_vm_code *out_code)
{
	const struct gd_lower_func *func = lower->func;
	struct assembler as = {.lower = lower, .flow = flow, .slots = slots, .handlers = gd_vm_handlers()};
	struct ending *endings = gd_scratch_take(lower->arena, flow->order_count, sizeof(*endings));
	uint32_t total = 0;
	as.start = gd_scratch_take(lower->arena, flow->block_count, sizeof(*as.start));
	if (lower->arena->failed)
		return gd_ptx_no_memory(lower->module);
	for (uint32_t i = 0; i < flow->order_count; i++) {
		uint32_t index = flow->order[i];
		const struct gd_flow_block *block = &flow->blocks[index];
		endings[i] =
		    ending_of(flow, func, index, i + 1 < flow->order_count ? flow->order[i + 1] : NONE);
		as.start[index] = total;
		for (uint32_t j = block->first; j < block->end; j++)
			total += is_ending(&func->lir[j]) ? 0u : func->lir[j].guard ? 2u : 1u;
		total += func->lir[block->end - 1].kind == GD_LIR_BRX;
		total += (uint32_t)(endings[i].has_bra + endings[i].has_jump + endings[i].has_join);
	}
	as.insns = gd_scratch_take(lower->arena, total, sizeof(*as.insns));
	as.places = gd_scratch_take(lower->arena, total, sizeof(*as.places));
	if (lower->arena->failed)
		return gd_ptx_no_memory(lower->module);
	for (uint32_t i = 0; i < flow->order_count; i++) {
		const struct gd_flow_block *block = &flow->blocks[flow->order[i]];
		for (uint32_t j = block->first; j < block->end; j++) {
			if (!is_ending(&func->lir[j]))
				append_lir(&as, &func->lir[j]);
		}
		if (!append_ending(&as, &endings[i], block))
			return gd_ptx_no_memory(lower->module);
	}
	out_code->insns = as.insns;
	out_code->places = as.places;
	out_code->insn_count = as.count;
	out_code->frame_bytes = slots->frame_bytes;
	out_code->word_bytes = (func->word_max + 3) / 4 * 128;
	out_code->zero = slots->zero;
	out_code->zero_count = slots->zero_count;
	out_code->local_bytes = func->local_bytes;
	out_code->params = func->params;
	out_code->returns = func->returns;
	out_code->param_count = (uint32_t)func->func->param_count;
	out_code->return_count = (uint32_t)func->func->return_count;
	out_code->is_lowered = true;
	return true;
}
