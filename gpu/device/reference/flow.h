/*
 * The control flow of a lowered function: its blocks, the order they are laid out in, and where registers
 * live.
 *
 * The order is a weak topological one (Bourdoncle, "Efficient chaotic iteration strategies with widenings",
 * 1993): every loop's blocks stand together, before what follows the loop, and a join stands behind both ways
 * to it. The machine runs the lanes with the lowest program counter first, so lanes that part meet again at
 * the join.
 *
 * Memory is the arena's. One thread. Blocks that cannot be reached are dropped.
 */
#ifndef GD_REFERENCE_FLOW_H
#define GD_REFERENCE_FLOW_H

#include "gpu/device/reference/lower.h"

struct gd_flow_block {
	uint32_t first, end; /* instructions [first, end) of the function */
	uint32_t next;       /* block that follows when the last one does not jump; UINT32_MAX: none */
	uint32_t *targets;   /* blocks of the last instruction's labels */
	uint32_t target_count;
	uint32_t preds; /* ways into it, after dropping what is not reached */
};

struct gd_flow {
	struct gd_flow_block *blocks;
	uint32_t block_count;
	uint32_t *order; /* blocks as they are laid out */
	uint32_t order_count;
};

/* Find blocks and their order. Fails: GD_INVALID_PROGRAM, GD_DEVICE_OUT_OF_MEMORY. */
bool gd_flow_build(struct gd_lower *lower, struct gd_flow *out_flow);

/* Where each virtual register lives in the frame. */
struct gd_slots {
	uint32_t *offset; /* by register */
	uint32_t frame_bytes;
	uint32_t words; /* 32-bit registers that a thread needs at once, as a compiler would count them */
	struct gd_vm_range *zero;
	uint32_t zero_count;
};

/* Give registers that are never needed at the same time the same place. Fails as above. */
bool gd_slots_assign(struct gd_lower *lower, const struct gd_flow *flow, struct gd_slots *out_slots);

/* Registers of one instruction: reads (uses) and writes; a guarded write counts as both. At most 7 each. */
struct gd_lir_regs {
	uint32_t uses[GD_OPERANDS + 1 + GD_OPERANDS], defs[GD_OPERANDS];
	uint32_t use_count, def_count;
};
void gd_lir_registers(const struct gd_lir *lir, struct gd_lir_regs *out_regs);

/* Turn the function into instructions of the machine. */
bool gd_assemble(struct gd_lower *lower, const struct gd_flow *flow, const struct gd_slots *slots,
		 struct gd_vm_code *out_code);

#endif
