#include "api/stats.h"

#include <string.h>

const char *const gd_method_names[GD_METHODS] = {"GET", "HEAD", "POST", "PUT", "DELETE", "other"};

const unsigned gd_status_codes[GD_STATUSES] = {200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 406,
					       408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422,
					       424, 428, 429, 431, 500, 501, 502, 503, 504, 505, 507, 0};

static unsigned method_index(const char *method)
{
	unsigned i = 0;
	while (i < GD_METHODS - 1 && strcmp(method, gd_method_names[i]) != 0)
		i++;
	return i;
}

static unsigned status_index(unsigned status)
{
	unsigned i = 0;
	while (i < GD_STATUSES - 1 && gd_status_codes[i] != status)
		i++;
	return i;
}

static unsigned route_index(const char *route)
{
	for (unsigned i = 0; i < gd_route_count; i++)
		if (route == gd_routes[i].template || !strcmp(route, gd_routes[i].template))
			return i;
	return GD_ROUTES_MAX;
}

void gd_live_histogram_add(struct gd_live_histogram *histogram, uint64_t ns)
{
	unsigned i = 0;
	while (i < GD_BUCKETS - 1 && ns > gd_bucket_bounds_ns[i])
		i++;
	gd_stat_add(&histogram->buckets[i], 1);
	gd_stat_add(&histogram->count, 1);
	gd_stat_add(&histogram->sum_ns, ns);
}

void gd_live_histogram_sum(const struct gd_live_histogram *histogram, struct gd_histogram *total)
{
	/* the count is what the buckets say: both must agree in one answer */
	for (unsigned i = 0; i < GD_BUCKETS; i++) {
		uint64_t here = gd_stat_get(&histogram->buckets[i]);
		total->buckets[i] += here;
		total->count += here;
	}
	total->sum_ns += gd_stat_get(&histogram->sum_ns);
}

void gd_stats_count(struct gd_stats *stats, const char *method, const char *route, unsigned status,
		    uint64_t duration_ns)
{
	unsigned index = route_index(route);
	gd_stat_add(&stats->requests[index][method_index(method)][status_index(status)], 1);
	gd_live_histogram_add(&stats->durations[index], duration_ns);
}
