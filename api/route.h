/*
 * The routes: one const table of method, template and handler. Pure; any thread.
 *
 * Every route is also served under /v1 (api/target.h strips it), and HEAD wherever GET is. gd_route_count and
 * the index of a route are what the lanes' HTTP counters are kept by.
 */
#ifndef GD_API_ROUTE_H
#define GD_API_ROUTE_H

#include "api/exchange.h"
#include "api/target.h"

#include <stddef.h>

enum { GD_ROUTES_MAX = 40, GD_ALLOW_BYTES = 48 };

/*
 * What a route does, on the shard's thread. `begin` runs when the head is in and may answer at once (a
 * refusal) or leave the exchange taking its body; `body` takes bytes as gd_exchange_body does; `end` runs
 * once the body is complete; `drop` releases exchange->work in any state. NULL: begin does nothing, body
 * takes and forgets (what a GET brings), drop frees nothing.
 */
struct gd_handler {
	void (*begin)(struct gd_exchange *exchange);
	size_t (*body)(struct gd_exchange *exchange, const void *data, size_t bytes);
	void (*end)(struct gd_exchange *exchange);
	void (*drop)(struct gd_exchange *exchange);
};

struct gd_route {
	const char *method;   /* GET serves HEAD too */
	const char *template; /* "/pipelines/{id}/dispatch" */
	const struct gd_handler *handler;
	const char *const *query; /* names it takes; NULL: the handler looks itself */
	const char *accept_post;  /* for 415; NULL when it takes no body */
};

extern const struct gd_route gd_routes[];
extern const unsigned gd_route_count;

enum gd_route_find { GD_ROUTE_FOUND, GD_ROUTE_UNKNOWN, GD_ROUTE_WRONG_METHOD };

/*
 * Find the route of a method and path. *out_route is set for FOUND, and for WRONG_METHOD to one of that path;
 * out_allow to the methods of that path for WRONG_METHOD; *out_id to the segment in {id}'s place, NULL when
 * there is none.
 */
enum gd_route_find gd_route_find(const char *method, const struct gd_target *target,
				 const struct gd_route **out_route, const char **out_id,
				 char out_allow[GD_ALLOW_BYTES]);

/* The handlers, one per file of theirs. */
extern const struct gd_handler gd_pipeline_post_handler, gd_pipeline_list_handler, gd_pipeline_get_handler,
    gd_pipeline_delete_handler, gd_pipeline_manifest_handler, gd_pipeline_ptx_handler,
    gd_pipeline_cubin_handler, gd_pipeline_source_handler, gd_dispatch_post_handler, gd_devices_handler,
    gd_live_handler, gd_ready_handler, gd_version_handler, gd_openapi_handler, gd_root_handler,
    gd_metrics_handler;

#endif
