#include "gpu/device/reference/ops.h"

#include <pthread.h>
#include <string.h>

/* One per instruction set that exec/ was compiled for; the build defines which there are. */
void gd_exec_all_base(gd_vm_fn *table);
void gd_exec_all_v3(gd_vm_fn *table);
void gd_exec_all_v4(gd_vm_fn *table);

static gd_vm_fn handlers[GD_OP_COUNT];

static bool has_base(void)
{
	return true;
}

#ifdef GD_EXEC_HAS_V3
static bool has_v3(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
}
#endif

#ifdef GD_EXEC_HAS_V4
static bool has_v4(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("bmi2") &&
	       __builtin_cpu_supports("fma");
}
#endif

/* The best last. */
static const struct {
	const char *name;
	bool (*is_usable)(void);
	void (*fill)(gd_vm_fn *table);
} variants[] = {
    {"base", has_base, gd_exec_all_base},
#ifdef GD_EXEC_HAS_V3
    {"v3", has_v3, gd_exec_all_v3},
#endif
#ifdef GD_EXEC_HAS_V4
    {"v4", has_v4, gd_exec_all_v4},
#endif
};

static void choose_exec(void)
{
	size_t best = sizeof(variants) / sizeof(variants[0]) - 1;
	while (best && !variants[best].is_usable())
		best--;
	variants[best].fill(handlers);
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

bool gd_vm_handlers_use(const char *variant)
{
	gd_vm_handlers();
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		if (!strcmp(variants[i].name, variant) && variants[i].is_usable()) {
			variants[i].fill(handlers);
			return true;
		}
	}
	return false;
}
