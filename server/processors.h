/* How many processors this process may really use: the affinity mask, cut by the cgroup's cpu.max. Any
 * thread. */
#ifndef GD_SERVER_PROCESSORS_H
#define GD_SERVER_PROCESSORS_H

#include <stdint.h>

/* At least 1. A quota of 1.5 processors counts as 2. */
uint32_t gd_processors(void);

/* Processors that a cpu.max line ("150000 100000", "max 100000") grants, rounded up; 0 when it sets no limit.
 * Pure. */
uint32_t gd_processors_of_quota(const char *cpu_max);

#endif
