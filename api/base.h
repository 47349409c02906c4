/*
 * The API's own view of its state: the process's part, a shard's part, an exchange; and how a handler
 * answers.
 *
 * For the files of api/ only. gd_api: see api.h; everything in it is either const after gd_api_new or locked
 * or atomic. gd_api_lane and gd_exchange belong to their shard's thread; a lane's counters are atomics that
 * its thread alone writes, so that whoever scrapes may read them.
 */
#ifndef GD_API_BASE_H
#define GD_API_BASE_H

#include "api/api.h"
#include "api/exchange.h"
#include "api/pipelines.h"
#include "api/problem.h"
#include "api/route.h"
#include "api/stats.h"
#include "api/target.h"
#include "gpu/base/buf.h"

#include <pthread.h>
#include <stdatomic.h>

enum { GD_API_LANES_MAX = 64, GD_LOOKUPS = 64 };

struct gd_compiling;

struct gd_api {
	struct gd_api_config config;
	struct gd_engine *engine;
	struct gd_server_facts *facts;
	struct gd_pipelines *pipelines;
	struct gd_api_lane *lanes[GD_API_LANES_MAX]; /* written before the shards start */
	struct gd_compiling *orphans;                /* compiles of lanes that are gone */
	_Atomic bool is_alarming;                    /* hysteresis of the windowed alarm */
	_Atomic bool has_compiler_spoken;            /* it has been up, or said why it can not be */
	_Atomic uint64_t audit_checks[3];            /* ok, alarm, no data */
};

struct gd_api_lane {
	struct gd_api *api;
	uint32_t index;
	struct gd_lane *lane;
	struct gd_loop *loop;
	struct gd_stats stats;
	/* pipelines looked up lately; each entry holds a reference and is good for one generation of the
	 * table */
	struct {
		struct gd_pipeline *pipeline;
		uint64_t generation;
	} lookups[GD_LOOKUPS];
	struct gd_compiling *compiling; /* compiles under way, also those that nobody waits for any more */
};

struct gd_exchange {
	struct gd_api_lane *lane;
	struct gd_head head;
	struct gd_target target;
	const struct gd_route *route; /* NULL: none matched */
	const char *id;               /* what stands in {id}'s place */
	enum gd_exchange_state state;
	unsigned entered; /* calls of the server that we are inside of: no wake is needed then */
	bool is_head, is_ended;
	void *work; /* the handler's */
	struct gd_response response;
	struct gd_buf text; /* the body, or its first part */
	/* values of headers */
	char location[160], etag[80], cache_status[64], retry_after[12], allow[GD_ALLOW_BYTES], length[24];
	char timing[200];
};

/* The pipeline of that id with a reference of its own, NULL when there is none. */
struct gd_pipeline *gd_lane_pipeline(struct gd_api_lane *lane, const char *id);
/* The same for exchange->id; answers 404 itself. */
struct gd_pipeline *gd_exchange_pipeline(struct gd_exchange *exchange);

/* Value of a request header, NULL when absent. */
const char *gd_exchange_header(const struct gd_exchange *exchange, const char *name);

/* Change the state; wakes the server when it was waiting and is not inside a call. */
void gd_exchange_set(struct gd_exchange *exchange, enum gd_exchange_state state);

/* Add a header to the response; `name` is static, `value` lives as long as the exchange. */
void gd_exchange_add_header(struct gd_exchange *exchange, const char *name, const char *value);

/* Answer with exchange->text as body (none when it is empty). For HEAD the body is left out. */
void gd_exchange_answer(struct gd_exchange *exchange, unsigned status, const char *content_type);
/* Answer with memory that lives as long as the exchange. */
void gd_exchange_answer_memory(struct gd_exchange *exchange, unsigned status, const char *content_type,
			       const void *data, size_t bytes);
/* Answer 304 when If-None-Match lists `etag` (with quotes; kept); else set ETag and return false. */
bool gd_exchange_not_modified(struct gd_exchange *exchange, const char *etag);

/* Refuse in the common problem form; what was answered or written before is thrown away. */
void gd_exchange_refuse(struct gd_exchange *exchange, const struct gd_error *error);
/* The same with all that a problem can carry; `instance` is filled in. */
void gd_exchange_refuse_with(struct gd_exchange *exchange, const struct gd_problem *problem);

/* Refuse a body that announces itself longer than `max`. True when refused. */
bool gd_exchange_refuse_length(struct gd_exchange *exchange, uint64_t max, const char *what);
/* Refuse a body that is encoded (gzip, …). True when refused. */
bool gd_exchange_refuse_encoding(struct gd_exchange *exchange);

#endif
