#include "api/metrics.h"

#include "api/json_out.h"
#include "api/media.h"
#include "gpu/base/clock.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { AUDIT_OK, AUDIT_ALARM, AUDIT_NO_DATA };

void gd_process_facts_read(struct gd_process_facts *out_facts)
{
	*out_facts = (struct gd_process_facts){0};
	struct rusage usage;
	if (!getrusage(RUSAGE_SELF, &usage))
		out_facts->cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
				   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	struct rlimit limit;
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		out_facts->max_fds = limit.rlim_cur;
	gd_auto_file FILE *statm = fopen("/proc/self/statm", "re");
	uint64_t pages, resident;
	if (statm && fscanf(statm, "%20" SCNu64 " %20" SCNu64, &pages, &resident) == 2) {
		uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
		out_facts->virtual_bytes = pages * page_bytes;
		out_facts->resident_bytes = resident * page_bytes;
	}
	static const char *const folders[] = {"/proc/self/fd", "/proc/self/task"};
	uint64_t *const counts[] = {&out_facts->open_fds, &out_facts->threads};
	for (unsigned i = 0; i < 2; i++) {
		DIR *folder = opendir(folders[i]);
		if (!folder)
			continue;
		struct dirent *entry;
		while ((entry = readdir(folder)))
			*counts[i] += entry->d_name[0] != '.';
		closedir(folder);
	}
	if (out_facts->open_fds)
		out_facts->open_fds--; /* the folder itself */
}

static void add_lane(struct gd_snapshot *snapshot, const struct gd_api_lane *lane, uint64_t now_ns)
{
	const struct gd_stats *stats = &lane->stats;
	for (unsigned route = 0; route <= GD_ROUTES_MAX; route++) {
		for (unsigned method = 0; method < GD_METHODS; method++)
			for (unsigned status = 0; status < GD_STATUSES; status++)
				snapshot->requests[route][method][status] +=
				    gd_stat_get(&stats->requests[route][method][status]);
		gd_live_histogram_sum(&stats->durations[route], &snapshot->durations[route]);
	}
	gd_live_histogram_sum(&stats->compile_ok, &snapshot->compile_ok);
	gd_live_histogram_sum(&stats->compile_failed, &snapshot->compile_failed);
	for (unsigned code = 0; code < GD_CODE_COUNT; code++)
		snapshot->refused[code] += gd_stat_get(&stats->refused[code]);
	snapshot->inflight += gd_stat_get(&stats->inflight);
	gd_audit_window_sum(&stats->window, now_ns, snapshot->window_s, &snapshot->window);
}

static void take_snapshot(struct gd_api *api, uint32_t threshold_bps, bool is_overridden,
			  struct gd_snapshot *snapshot)
{
	gd_engine_counts(api->engine, &snapshot->engine);
	snapshot->threshold_bps = threshold_bps;
	snapshot->window_s = api->config.alarm_window_s;
	snapshot->min_samples = api->config.alarm_min_samples;
	uint64_t now_ns = gd_now_ns();
	for (unsigned i = 0; i < GD_API_LANES_MAX; i++)
		if (api->lanes[i])
			add_lane(snapshot, api->lanes[i], now_ns);
	snapshot->connections = atomic_load_explicit(&api->facts->connections, memory_order_relaxed);
	snapshot->started_unix_s = api->facts->started_unix_s;
	snapshot->pipelines = gd_pipelines_count(api->pipelines);
	snapshot->life = (struct gd_audit){.hits = snapshot->engine.counters[GD_COUNT_CACHE_HITS],
					   .misses = snapshot->engine.counters[GD_COUNT_CACHE_MISSES],
					   .unknowns = snapshot->engine.counters[GD_COUNT_CACHE_UNKNOWNS]};
	/* the state of the alarm belongs to the configured threshold; another one is judged without a past */
	bool was_alarming = !is_overridden && atomic_load(&api->is_alarming);
	snapshot->is_alarming =
	    gd_audit_alarm(&snapshot->window, threshold_bps, snapshot->min_samples, was_alarming);
	if (!is_overridden)
		atomic_store(&api->is_alarming, snapshot->is_alarming);
	struct gd_audit_verdict life = gd_audit_judge(&snapshot->life, threshold_bps);
	atomic_fetch_add(&api->audit_checks[!life.has_rate         ? AUDIT_NO_DATA
					    : life.below_threshold ? AUDIT_ALARM
								   : AUDIT_OK],
			 1);
	for (unsigned i = 0; i < 3; i++)
		snapshot->audit_checks[i] = atomic_load(&api->audit_checks[i]);
	snapshot->device_count = gd_engine_devices(api->engine, snapshot->devices);
	gd_engine_toolchain(api->engine, &snapshot->toolchain);
	snapshot->backend = gd_engine_backend(api->engine);
	gd_process_facts_read(&snapshot->process);
}

static void put_audit(struct gd_buf *out, const struct gd_audit *audit, uint32_t threshold_bps, bool is_below)
{
	struct gd_audit_verdict verdict = gd_audit_judge(audit, threshold_bps);
	gd_buf_printf(
	    out, "\"hits\":%" PRIu64 ",\"misses\":%" PRIu64 ",\"unknowns\":%" PRIu64 ",\"hit_rate_bps\":",
	    audit->hits, audit->misses, audit->unknowns);
	if (verdict.has_rate)
		gd_buf_printf(out, "%u", verdict.hit_rate_bps);
	else
		gd_buf_puts(out, "null");
	gd_buf_printf(out, ",\"alarm_threshold_bps\":%u,\"below_alarm_threshold\":%s", threshold_bps,
		      is_below ? "true" : "false");
}

void gd_metrics_json(struct gd_buf *out, const struct gd_snapshot *snapshot)
{
	static const struct {
		const char *name;
		enum gd_counter counter;
	} more[] = {
	    {"dispatch_ok", GD_COUNT_DISPATCH_OK},
	    {"dispatch_failed", GD_COUNT_DISPATCH_FAILED},
	    {"dispatch_expired", GD_COUNT_DISPATCH_EXPIRED},
	    {"dispatch_lost", GD_COUNT_DISPATCH_LOST},
	    {"dispatch_cancelled", GD_COUNT_DISPATCH_CANCELLED},
	    {"h2d_bytes", GD_COUNT_H2D_BYTES},
	    {"d2h_bytes", GD_COUNT_D2H_BYTES},
	    {"compiles_ok", GD_COUNT_COMPILES_OK},
	    {"compiles_failed", GD_COUNT_COMPILES_FAILED},
	    {"cache_memory_hits", GD_COUNT_CACHE_MEMORY_HITS},
	    {"cache_coalesced", GD_COUNT_CACHE_COALESCED},
	};
	uint32_t threshold = snapshot->threshold_bps;
	gd_buf_puts(out, "{\"cache_audit\":{");
	put_audit(out, &snapshot->life, threshold,
		  gd_audit_judge(&snapshot->life, threshold).below_threshold);
	gd_buf_puts(out, ",\"window\":{");
	put_audit(out, &snapshot->window, threshold, snapshot->is_alarming);
	gd_buf_printf(out, ",\"seconds\":%u,\"min_samples\":%u}},\"counters\":{", snapshot->window_s,
		      snapshot->min_samples);
	const struct gd_driver_counter *counter = gd_driver_counters;
	for (; counter->name; counter++)
		gd_buf_printf(out, "\"%s\":%" PRIu64 ",", counter->name,
			      counter->counter < 0 ? 0 : snapshot->engine.counters[counter->counter]);
	for (unsigned i = 0; i < sizeof more / sizeof more[0]; i++)
		gd_buf_printf(out, "%s\"%s\":%" PRIu64, i ? "," : "", more[i].name,
			      snapshot->engine.counters[more[i].counter]);
	gd_buf_puts(out, "}}\n");
}

static void get_metrics(struct gd_exchange *exchange)
{
	static const char *const types[] = {"text/plain", "application/openmetrics-text", "application/json"};
	static const char *const answers[] = {"text/plain; version=0.0.4; charset=utf-8",
					      "application/openmetrics-text; version=1.0.0; charset=utf-8",
					      "application/json"};
	struct gd_api *api = exchange->lane->api;
	const char *accept = gd_exchange_header(exchange, "Accept");
	unsigned form = 0, best = 0;
	struct gd_error error;
	for (unsigned i = 0; i < 3; i++) {
		unsigned quality = gd_accept_quality(accept, types[i]);
		if (quality > best) {
			best = quality;
			form = i;
		}
	}
	uint32_t threshold = api->config.alarm_threshold_bps;
	struct gd_value value = {.text = gd_target_query(&exchange->target, "alarm_threshold_bps")};
	bool is_good = true;
	if (!best)
		is_good = gd_error_set(
		    &error, GD_NOT_ACCEPTABLE, "accept text/plain or application/json",
		    "metrics come as text/plain, application/openmetrics-text or application/json");
	else if (value.text)
		is_good = gd_value_u32(&value, "alarm_threshold_bps", 0, GD_BPS_MAX, &threshold, &error);
	gd_auto_free struct gd_snapshot *snapshot = calloc(1, sizeof *snapshot);
	if (is_good && !snapshot)
		is_good = gd_error_set(&error, GD_OVERLOADED, NULL, "no memory for the metrics");
	if (!is_good) {
		gd_exchange_refuse(exchange, &error);
		return;
	}
	take_snapshot(api, threshold, value.text != NULL, snapshot);
	gd_exchange_add_header(exchange, "Vary", "Accept");
	if (form == 2)
		gd_metrics_json(&exchange->text, snapshot);
	else
		gd_metrics_text(&exchange->text, snapshot, form == 1);
	gd_exchange_answer(exchange, 200, answers[form]);
}

const struct gd_handler gd_metrics_handler = {.end = get_metrics};
