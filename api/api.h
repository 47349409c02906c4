/*
 * The API of a process: what is shared by all shards (pipelines, limits, HTTP counters), and each shard's
 * part of it.
 *
 * gd_api is made by the supervisor before the shards start and freed after they have ended; its tables are
 * locked inside. A gd_api_lane belongs to its shard's thread.
 */
#ifndef GD_API_API_H
#define GD_API_API_H

#include "gpu/base/error.h"
#include "gpu/base/loop.h"
#include "gpu/dispatch/engine.h"

#include <stdatomic.h>
#include <stdint.h>

struct gd_api;
struct gd_api_lane;

struct gd_api_config {
	uint64_t body_bytes_max;      /* 1 GiB */
	uint64_t source_bytes_max;    /* 1 MiB */
	uint64_t json_bytes_max;      /* skeleton, 1 MiB */
	uint64_t header_json_max;     /* Inference-Header-Content-Length, 64 KiB */
	uint32_t name_bytes_max;      /* 1 KiB */
	uint32_t timeout_ms_default;  /* 30 000 */
	uint32_t timeout_ms_max;      /* 300 000 */
	uint32_t pipelines_max;       /* 100 000 */
	uint64_t pipelines_bytes_max; /* sources and artifacts that the table keeps, 1 GiB */
	uint32_t alarm_threshold_bps;
	uint32_t alarm_min_samples; /* 100 */
	uint32_t alarm_window_s;
};

void gd_api_config_init(struct gd_api_config *out_config);

/* What the server knows and the API tells: filled by the server, read by any shard. */
struct gd_server_facts {
	_Atomic bool draining;
	_Atomic uint64_t connections;
	uint64_t started_unix_s;
};

bool gd_api_new(const struct gd_api_config *config, struct gd_engine *engine, struct gd_server_facts *facts,
		struct gd_api **out_api, struct gd_error *error);
/* After gd_lane_free of every lane, before gd_engine_free. */
void gd_api_free(struct gd_api *api);

/* The part of shard `index`; `lane` and `loop` are that shard's. */
bool gd_api_lane_new(struct gd_api *api, uint32_t index, struct gd_lane *lane, struct gd_loop *loop,
		     struct gd_api_lane **out_lane, struct gd_error *error);
void gd_api_lane_free(struct gd_api_lane *lane);

/* Count one finished HTTP exchange (the server calls it when the answer is out). */
void gd_api_lane_count(struct gd_api_lane *lane, const char *method, const char *route, unsigned status,
		       uint64_t duration_ns);

/* One line per route, "METHOD /path", for --print-routes. */
void gd_api_print_routes(void);

#endif
