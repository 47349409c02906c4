/*
 * /metrics: one snapshot of all counters, and its forms. Reads other shards' atomics without a lock; the
 * shard's thread.
 */
#ifndef GD_API_METRICS_H
#define GD_API_METRICS_H

#include "api/base.h"

struct gd_process_facts {
	double cpu_s;
	uint64_t resident_bytes, virtual_bytes, open_fds, max_fds, threads;
};

/* Large: on the heap. */
struct gd_snapshot {
	struct gd_engine_counts engine;
	uint64_t requests[GD_ROUTES_MAX + 1][GD_METHODS][GD_STATUSES];
	struct gd_histogram durations[GD_ROUTES_MAX + 1];
	struct gd_histogram compile_ok, compile_failed;
	uint64_t refused[GD_CODE_COUNT];
	uint64_t inflight, connections, pipelines, started_unix_s;
	uint64_t audit_checks[3];
	struct gd_audit life, window;
	uint32_t threshold_bps, window_s, min_samples;
	bool is_alarming; /* windowed, with hysteresis */
	struct gd_device_status devices[GD_DEVICES_MAX];
	uint32_t device_count;
	struct gd_toolchain toolchain;
	const char *backend;
	struct gd_process_facts process;
};

/* Prometheus text 0.0.4, or OpenMetrics 1.0. */
void gd_metrics_text(struct gd_buf *out, const struct gd_snapshot *snapshot, bool is_openmetrics);
/* {"cache_audit": …, "counters": …} */
void gd_metrics_json(struct gd_buf *out, const struct gd_snapshot *snapshot);

/* The original's driver counters: names without prefix and suffix, with the value of each. NULL ends the
 * table. */
struct gd_driver_counter {
	const char *name, *help;
	int counter; /* enum gd_counter, -1: always zero here */
	bool is_gauge;
};
extern const struct gd_driver_counter gd_driver_counters[];

/* Fill from /proc/self; what cannot be read stays 0. */
void gd_process_facts_read(struct gd_process_facts *out_facts);

#endif
