/*
 * The enumeration of operations and where their handlers come from.
 *
 * exec/ is compiled once per instruction set (the lists are written so that the compiler vectorises them);
 * gd_vm_handlers() picks the best that this processor has. The rest of the handlers exist once.
 */
#ifndef GD_REFERENCE_OPS_H
#define GD_REFERENCE_OPS_H

#include "gpu/device/reference/ops_list.h"
#include "gpu/device/reference/vm.h"

enum gd_op {
#define GD_OP_NAME(name, ...) GD_OP_##name,
	GD_OPS_INT_UNARY(GD_OP_NAME) GD_OPS_INT_BINARY(GD_OP_NAME) GD_OPS_INT_TERNARY(GD_OP_NAME)
	    GD_OPS_COMPARE(GD_OP_NAME) GD_OPS_FLOAT_UNARY(GD_OP_NAME) GD_OPS_FLOAT_BINARY(GD_OP_NAME)
		GD_OPS_FLOAT_TERNARY(GD_OP_NAME) GD_OPS_LOAD(GD_OP_NAME) GD_OPS_STORE(GD_OP_NAME)
		    GD_OPS_EXEC(GD_OP_NAME) GD_OPS_OTHER(GD_OP_NAME)
#undef GD_OP_NAME
			GD_OP_COUNT
};

/* All handlers, by enum gd_op; none is NULL. The table lives as long as the process. Any thread. */
const gd_vm_fn *gd_vm_handlers(void);

/*
 * For tests: have programs that are loaded from now on use the handlers compiled for "base", "v3" or "v4".
 * False when they were not built or this processor lacks what they need.
 */
bool gd_vm_handlers_use(const char *variant);

/* Each part fills in its own; called once, by gd_vm_handlers. */
void gd_vm_flow_ops(gd_vm_fn *table);
void gd_vm_call_ops(gd_vm_fn *table);
void gd_vm_misc_ops(gd_vm_fn *table);
void gd_vm_warp_ops(gd_vm_fn *table);
void gd_vm_barrier_ops(gd_vm_fn *table);
void gd_vm_atom_ops(gd_vm_fn *table);
void gd_vm_round_ops(gd_vm_fn *table);
void gd_vm_video_ops(gd_vm_fn *table);
void gd_vm_builtin_ops(gd_vm_fn *table);

#endif
