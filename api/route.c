#include "api/route.h"

#include "api/api.h"

#include <stdio.h>
#include <string.h>

static const char *const no_query[] = {NULL};
static const char *const list_query[] = {"limit", "after", NULL};
static const char *const metrics_query[] = {"alarm_threshold_bps", NULL};

static const char pipeline_types[] =
    "application/json, text/x-cuda, text/plain, application/x-www-form-urlencoded";
static const char dispatch_types[] =
    "application/json, application/octet-stream, multipart/form-data, application/x-www-form-urlencoded";

/* the most frequent first */
const struct gd_route gd_routes[] = {
    {"POST", "/pipelines/{id}/dispatch", &gd_dispatch_post_handler, NULL, dispatch_types},
    {"POST", "/pipelines", &gd_pipeline_post_handler, NULL, pipeline_types},
    {"GET", "/pipelines", &gd_pipeline_list_handler, list_query, NULL},
    {"GET", "/pipelines/{id}", &gd_pipeline_get_handler, no_query, NULL},
    {"DELETE", "/pipelines/{id}", &gd_pipeline_delete_handler, no_query, NULL},
    {"GET", "/pipelines/{id}/manifest", &gd_pipeline_manifest_handler, no_query, NULL},
    {"GET", "/pipelines/{id}/ptx", &gd_pipeline_ptx_handler, no_query, NULL},
    {"GET", "/pipelines/{id}/cubin", &gd_pipeline_cubin_handler, no_query, NULL},
    {"GET", "/pipelines/{id}/source", &gd_pipeline_source_handler, no_query, NULL},
    {"GET", "/metrics", &gd_metrics_handler, metrics_query, NULL},
    {"GET", "/livez", &gd_live_handler, NULL, NULL},
    {"GET", "/readyz", &gd_ready_handler, NULL, NULL},
    {"GET", "/health", &gd_ready_handler, NULL, NULL},
    {"GET", "/v2/health/live", &gd_live_handler, NULL, NULL},
    {"GET", "/v2/health/ready", &gd_ready_handler, NULL, NULL},
    {"GET", "/devices", &gd_devices_handler, list_query, NULL},
    {"GET", "/version", &gd_version_handler, NULL, NULL},
    {"GET", "/openapi.yaml", &gd_openapi_handler, NULL, NULL},
    {"GET", "/", &gd_root_handler, NULL, NULL},
};
const unsigned gd_route_count = sizeof gd_routes / sizeof gd_routes[0];
_Static_assert(sizeof gd_routes / sizeof gd_routes[0] <= GD_ROUTES_MAX, "counters have a slot per route");

static bool matches(const char *template, const struct gd_target *target, const char **out_id)
{
	const char *id = NULL;
	unsigned index = 0;
	for (const char *s = template; *s && s[1];) {
		size_t length = strcspn(s + 1, "/");
		if (index >= target->segment_count || index >= GD_SEGMENTS_MAX)
			return false;
		const char *segment = target->segments[index++];
		if (s[1] == '{')
			id = segment;
		else if (strncmp(segment, s + 1, length) != 0 || segment[length])
			return false;
		s += 1 + length;
	}
	if (index != target->segment_count || (id && !*id))
		return false;
	*out_id = id;
	return true;
}

static void allow(char out_allow[GD_ALLOW_BYTES], const char *method)
{
	size_t used = strlen(out_allow);
	snprintf(out_allow + used, GD_ALLOW_BYTES - used, "%s%s", used ? ", " : "", method);
}

enum gd_route_find gd_route_find(const char *method, const struct gd_target *target,
				 const struct gd_route **out_route, const char **out_id,
				 char out_allow[GD_ALLOW_BYTES])
{
	enum gd_route_find found = GD_ROUTE_UNKNOWN;
	bool is_head = !strcmp(method, "HEAD");
	out_allow[0] = 0;
	for (unsigned i = 0; i < gd_route_count; i++) {
		const struct gd_route *route = &gd_routes[i];
		if (!matches(route->template, target, out_id))
			continue;
		*out_route = route;
		if (!strcmp(route->method, is_head ? "GET" : method))
			return GD_ROUTE_FOUND;
		found = GD_ROUTE_WRONG_METHOD;
		allow(out_allow, route->method);
		if (!strcmp(route->method, "GET"))
			allow(out_allow, "HEAD");
	}
	return found;
}

void gd_api_print_routes(void)
{
	for (unsigned i = 0; i < gd_route_count; i++) {
		printf("%s %s\n", gd_routes[i].method, gd_routes[i].template);
		if (!strcmp(gd_routes[i].method, "GET"))
			printf("HEAD %s\n", gd_routes[i].template);
	}
}
