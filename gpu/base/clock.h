/* Monotonic time in nanoseconds; every deadline of the project is a value of this clock. Any thread. */
#ifndef GD_BASE_CLOCK_H
#define GD_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define GD_NS_PER_US 1000ull
#define GD_NS_PER_MS 1000000ull
#define GD_NS_PER_S  1000000000ull

/* Nanoseconds of CLOCK_MONOTONIC. */
static inline uint64_t gd_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * GD_NS_PER_S + (uint64_t)now.tv_nsec;
}

#endif
