#include "gpu/device/reference/exec/loops.h"

GD_OPS_INT_UNARY(LANES_UNARY)
GD_OPS_INT_BINARY(LANES_BINARY)
GD_OPS_INT_TERNARY(LANES_TERNARY)

void GD_EXEC(gd_exec_int)(gd_vm_fn *table)
{
	GD_OPS_INT_UNARY(LANES_FILL)
	GD_OPS_INT_BINARY(LANES_FILL)
	GD_OPS_INT_TERNARY(LANES_FILL)
}

void GD_EXEC(gd_exec_all)(gd_vm_fn *table)
{
	GD_EXEC(gd_exec_int)(table);
	GD_EXEC(gd_exec_float)(table);
	GD_EXEC(gd_exec_compare)(table);
	GD_EXEC(gd_exec_select)(table);
	GD_EXEC(gd_exec_memory)(table);
}
