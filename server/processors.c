#include "server/processors.h"

#include "gpu/base/cleanup.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static uint32_t by_affinity(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return 1;
	int count = CPU_COUNT(&set);
	return count > 0 ? (uint32_t)count : 1;
}

uint32_t gd_processors_of_quota(const char *cpu_max)
{
	unsigned long long quota, period;
	if (sscanf(cpu_max, "%19llu %19llu", &quota, &period) != 2 || period == 0 || quota == 0)
		return 0;
	unsigned long long count = (quota + period - 1) / period;
	return count > 100000 ? 0 : (uint32_t)count;
}

static bool read_line(const char *path, char *line, int bytes)
{
	gd_auto_file FILE *file = fopen(path, "re");
	return file && fgets(line, bytes, file);
}

/* The least quota on the way from our cgroup (v2: "0::/path" in /proc/self/cgroup) up to the root; 0: none.
 */
static uint32_t by_cgroup(void)
{
	char line[512], path[600], text[64];
	if (!read_line("/proc/self/cgroup", line, sizeof line) || strncmp(line, "0::", 3) != 0)
		return 0;
	char *group = line + 3;
	group[strcspn(group, "\n")] = '\0';
	uint32_t least = 0;
	for (;;) {
		snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", strcmp(group, "/") == 0 ? "" : group);
		uint32_t count = read_line(path, text, sizeof text) ? gd_processors_of_quota(text) : 0;
		if (count && (!least || count < least))
			least = count;
		char *slash = strrchr(group, '/');
		if (!slash || !*group)
			return least;
		*slash = '\0';
	}
}

uint32_t gd_processors(void)
{
	uint32_t count = by_affinity(), quota = by_cgroup();
	return quota && quota < count ? quota : count;
}
