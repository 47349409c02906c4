/*
 * HTTP counters of one shard, and the compile cache's recent past: written by the shard's thread alone,
 * without a lock, read by whoever scrapes. All atomics are relaxed: a figure may be one event old, never
 * torn.
 */
#ifndef GD_API_STATS_H
#define GD_API_STATS_H

#include "api/audit.h"
#include "api/route.h"
#include "gpu/dispatch/engine.h"

#include <stdatomic.h>
#include <stdint.h>

enum { GD_METHODS = 6, GD_STATUSES = 36 };

/* Label texts, by index; the last of each is "other". */
extern const char *const gd_method_names[GD_METHODS];
extern const unsigned gd_status_codes[GD_STATUSES]; /* the last is 0: any other */

struct gd_live_histogram {
	_Atomic uint64_t buckets[GD_BUCKETS], count, sum_ns;
};

struct gd_stats {
	/* the slot after the last route is "other" */
	_Atomic uint64_t requests[GD_ROUTES_MAX + 1][GD_METHODS][GD_STATUSES];
	struct gd_live_histogram durations[GD_ROUTES_MAX + 1];
	struct gd_live_histogram compile_ok, compile_failed;
	_Atomic uint64_t inflight;
	_Atomic uint64_t refused[GD_CODE_COUNT];
	struct gd_audit_window window;
};

/* Add one with a single writer. */
static inline void gd_stat_add(_Atomic uint64_t *stat, uint64_t amount)
{
	atomic_store_explicit(stat, atomic_load_explicit(stat, memory_order_relaxed) + amount,
			      memory_order_relaxed);
}

static inline uint64_t gd_stat_get(const _Atomic uint64_t *stat)
{
	return atomic_load_explicit(stat, memory_order_relaxed);
}

/* Count a finished exchange; `route` is a template of the table, anything else counts as other. */
void gd_stats_count(struct gd_stats *stats, const char *method, const char *route, unsigned status,
		    uint64_t duration_ns);
void gd_live_histogram_add(struct gd_live_histogram *histogram, uint64_t ns);
/* Add a live histogram to a plain one. */
void gd_live_histogram_sum(const struct gd_live_histogram *histogram, struct gd_histogram *total);

#endif
