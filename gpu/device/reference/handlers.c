#include "gpu/device/reference/ops.h"

#include <pthread.h>

/* One per instruction set that exec/ was compiled for; the build defines which there are. */
void gd_exec_all_base(gd_vm_fn *table);
void gd_exec_all_v3(gd_vm_fn *table);
void gd_exec_all_v4(gd_vm_fn *table);

static gd_vm_fn handlers[GD_OP_COUNT];

static void choose_exec(void)
{
#ifdef GD_EXEC_HAS_V4
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("bmi2") &&
	    __builtin_cpu_supports("fma")) {
		gd_exec_all_v4(handlers);
		return;
	}
#endif
#ifdef GD_EXEC_HAS_V3
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma")) {
		gd_exec_all_v3(handlers);
		return;
	}
#endif
	gd_exec_all_base(handlers);
}

static void fill(void)
{
	choose_exec();
	gd_vm_flow_ops(handlers);
	gd_vm_call_ops(handlers);
	gd_vm_misc_ops(handlers);
	gd_vm_warp_ops(handlers);
	gd_vm_barrier_ops(handlers);
	gd_vm_atom_ops(handlers);
	gd_vm_round_ops(handlers);
	gd_vm_video_ops(handlers);
	gd_vm_builtin_ops(handlers);
}

const gd_vm_fn *gd_vm_handlers(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, fill);
	return handlers;
}
