/* A library that has a version and little else. */
#include "stub.h"

#define EXPORT __attribute__((visibility("default"), used))

static struct stub stub = {.fail_call = -1};

EXPORT struct stub *stub_get(void);
struct stub *stub_get(void)
{
	return &stub;
}

EXPORT gd_cu_result cuInit(unsigned flags);
gd_cu_result cuInit(unsigned flags)
{
	(void)flags;
	return 0;
}

EXPORT gd_cu_result cuDriverGetVersion(int *out_version);
gd_cu_result cuDriverGetVersion(int *out_version)
{
	*out_version = 10020;
	return 0;
}
