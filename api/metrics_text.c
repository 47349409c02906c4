/* The series of contract.md as Prometheus text. */
#include "api/metrics.h"

#include "api/exposition.h"

#include <stdio.h>
#include <string.h>

#define P "gpudispatch_"

enum { LABELS_MAX = 512 };

const struct gd_driver_counter gd_driver_counters[] = {
    {"launches", "Kernel launches.", GD_COUNT_LAUNCHES, false},
    {"input_bytes", "Bytes of dispatch inputs.", GD_COUNT_INPUT_BYTES, false},
    {"output_bytes", "Bytes of dispatch outputs.", GD_COUNT_OUTPUT_BYTES, false},
    {"output_slots", "Output slots used by dispatches.", GD_COUNT_OUTPUT_SLOTS, false},
    {"output_slots_reused", "Output slots whose retained space was large enough.",
     GD_COUNT_OUTPUT_SLOTS_REUSED, false},
    {"output_slots_moved", "Output slots whose retained space was replaced.", GD_COUNT_OUTPUT_SLOTS_MOVED,
     false},
    {"output_slots_appended", "Output slots without retained space.", GD_COUNT_OUTPUT_SLOTS_APPENDED, false},
    {"output_slot_incoming_bytes", "Bytes that came to output slots.", GD_COUNT_OUTPUT_SLOT_INCOMING_BYTES,
     false},
    {"output_slot_copied_bytes", "Bytes copied into reused slots.", GD_COUNT_OUTPUT_SLOT_COPIED_BYTES, false},
    {"output_slot_moved_bytes", "Bytes of slots that were replaced.", GD_COUNT_OUTPUT_SLOT_MOVED_BYTES,
     false},
    {"output_slot_appended_bytes", "Bytes of slots that were new.", GD_COUNT_OUTPUT_SLOT_APPENDED_BYTES,
     false},
    {"output_slot_retained_capacity_bytes", "Capacity that output slots retain.",
     GD_COUNT_OUTPUT_SLOT_RETAINED_CAPACITY_BYTES, true},
    {"grid_sync_splits", "Launches split at a grid synchronisation; none are here.", -1, false},
    {"grid_sync_segments", "Segments of split launches; none are here.", -1, false},
    {"grid_sync_points", "Grid synchronisation points of split launches; none are here.", -1, false},
    {NULL, NULL, -1, false},
};

static void one(struct gd_exposition *to, const char *name, const char *type, const char *help,
		uint64_t value)
{
	gd_expose(to, name, type, help);
	gd_expose_u64(to, "", value);
}

static void put_http(struct gd_exposition *to, const struct gd_snapshot *from)
{
	gd_expose(to, P "http_requests_total", "counter", "Requests answered.");
	for (unsigned route = 0; route <= GD_ROUTES_MAX; route++)
		for (unsigned method = 0; method < GD_METHODS; method++)
			for (unsigned status = 0; status < GD_STATUSES; status++) {
				uint64_t count = from->requests[route][method][status];
				if (!count)
					continue;
				char labels[LABELS_MAX] = "", code[8];
				snprintf(code, sizeof code, "%u", gd_status_codes[status]);
				gd_label(labels, sizeof labels, "route",
					 route < gd_route_count ? gd_routes[route].template : "other");
				gd_label(labels, sizeof labels, "method", gd_method_names[method]);
				gd_label(labels, sizeof labels, "code",
					 gd_status_codes[status] ? code : "other");
				gd_expose_u64(to, labels, count);
			}
	gd_expose(to, P "http_request_duration_seconds", "histogram",
		  "Time from a request's head to the end of its answer.");
	for (unsigned route = 0; route <= GD_ROUTES_MAX; route++) {
		if (!from->durations[route].count)
			continue;
		char labels[LABELS_MAX] = "";
		gd_label(labels, sizeof labels, "route",
			 route < gd_route_count ? gd_routes[route].template : "other");
		gd_expose_histogram(to, labels, &from->durations[route], 0);
	}
	one(to, P "http_connections", "gauge", "Open connections.", from->connections);
	one(to, P "inflight_requests", "gauge", "Requests that are not answered yet, this one among them.",
	    from->inflight);
	gd_expose(to, P "rejected_total", "counter", "Requests refused, by code word.");
	for (unsigned code = 1; code < GD_CODE_COUNT; code++) {
		char labels[LABELS_MAX] = "";
		if (!from->refused[code])
			continue;
		gd_label(labels, sizeof labels, "reason", gd_problem_row(code)->word);
		gd_expose_u64(to, labels, from->refused[code]);
	}
}

static void put_audit(struct gd_exposition *to, const struct gd_snapshot *from)
{
	static const char *const results[] = {"ok", "alarm", "no_data"};
	struct gd_audit_verdict life = gd_audit_judge(&from->life, 0),
				window = gd_audit_judge(&from->window, 0);
	char labels[LABELS_MAX] = "", seconds[16];
	gd_expose(to, P "cache_hit_rate_bps", "gauge",
		  "Hits of the compile cache in basis points; absent without data.");
	if (life.has_rate)
		gd_expose_u64(to, "window=\"life\"", life.hit_rate_bps);
	snprintf(seconds, sizeof seconds, "%us", from->window_s);
	gd_label(labels, sizeof labels, "window", seconds);
	if (window.has_rate)
		gd_expose_u64(to, labels, window.hit_rate_bps);
	one(to, P "cache_alarm_threshold_bps", "gauge", "Hit rate below which the cache alarms; 0 is off.",
	    from->threshold_bps);
	one(to, P "cache_below_alarm_threshold", "gauge",
	    "1 while the windowed hit rate is below the threshold.", from->is_alarming);
	gd_expose(to, P "cache_audit_checks_total", "counter", "Judgements of the cache audit.");
	for (unsigned i = 0; i < 3; i++) {
		char result[LABELS_MAX] = "";
		gd_label(result, sizeof result, "result", results[i]);
		gd_expose_u64(to, result, from->audit_checks[i]);
	}
}

static void put_cache(struct gd_exposition *to, const struct gd_snapshot *from)
{
	static const char *const reasons[GD_MISS_REASONS] = {NULL,
							     "bypassed",
							     "corrupt",
							     "evicted",
							     "empty_cache",
							     "device_or_runtime_changed",
							     "program_changed",
							     "key_absent"};
	const struct gd_engine_counts *engine = &from->engine;
	gd_expose(to, P "compile_duration_seconds", "histogram", "Time in the compiler.");
	gd_expose_histogram(to, "result=\"ok\"", &from->compile_ok, 1000000);
	gd_expose_histogram(to, "result=\"failed\"", &from->compile_failed, 1000000);
	one(to, P "compiles_inflight", "gauge", "Compiles waiting or running.", engine->compiles_inflight);
	gd_expose(to, P "cache_requests_total", "counter", "Requests to the compile cache.");
	gd_expose_u64(to, "tier=\"memory\",result=\"hit\"", engine->counters[GD_COUNT_CACHE_MEMORY_HITS]);
	gd_expose_u64(to, "tier=\"memory\",result=\"miss\"", engine->counters[GD_COUNT_CACHE_MISSES]);
	gd_expose_u64(to, "tier=\"memory\",result=\"unknown\"", engine->counters[GD_COUNT_CACHE_UNKNOWNS]);
	gd_expose_u64(to, "tier=\"coalesced\",result=\"hit\"", engine->counters[GD_COUNT_CACHE_COALESCED]);
	gd_expose(to, P "cache_misses_total", "counter",
		  "Misses of the compile cache by the first reason that applies.");
	for (unsigned i = 1; i < GD_MISS_REASONS; i++) {
		char labels[LABELS_MAX] = "";
		gd_label(labels, sizeof labels, "reason", reasons[i]);
		gd_expose_u64(to, labels, engine->misses_by_reason[i]);
	}
	gd_expose(to, P "cache_entries", "gauge", "Artifacts in the cache.");
	gd_expose_u64(to, "tier=\"memory\"", engine->cache_entries);
	gd_expose(to, P "cache_size_bytes", "gauge", "Bytes in the cache.");
	gd_expose_u64(to, "tier=\"memory\"", engine->cache_bytes);
	gd_expose(to, P "cache_limit_bytes", "gauge", "Bytes that the cache may hold.");
	gd_expose_u64(to, "tier=\"memory\"", engine->cache_limit_bytes);
	gd_expose(to, P "cache_evictions_total", "counter", "Artifacts evicted from the cache.");
	gd_expose_u64(to, "tier=\"memory\",reason=\"capacity\"", engine->cache_evictions);
	one(to, P "pipelines", "gauge", "Pipelines in the table.", from->pipelines);
	one(to, P "modules_loaded", "gauge", "Kernels loaded on devices.", engine->modules_loaded);
	put_audit(to, from);
}

static void put_dispatch(struct gd_exposition *to, const struct gd_snapshot *from)
{
	static const char *const phases[] = {"queue", "h2d", "kernel", "d2h"};
	static const struct {
		const char *labels;
		enum gd_counter counter;
	} results[] = {{"result=\"ok\"", GD_COUNT_DISPATCH_OK},
		       {"result=\"failed\"", GD_COUNT_DISPATCH_FAILED},
		       {"result=\"expired\"", GD_COUNT_DISPATCH_EXPIRED},
		       {"result=\"lost\"", GD_COUNT_DISPATCH_LOST},
		       {"result=\"cancelled\"", GD_COUNT_DISPATCH_CANCELLED}},
	  restarts[] = {{"reason=\"fault\"", GD_COUNT_WORKER_RESTARTS_FAULT},
			{"reason=\"killed\"", GD_COUNT_WORKER_RESTARTS_KILLED},
			{"reason=\"deadline\"", GD_COUNT_WORKER_RESTARTS_DEADLINE},
			{"reason=\"exit\"", GD_COUNT_WORKER_RESTARTS_EXIT}};
	const struct gd_engine_counts *engine = &from->engine;
	gd_expose(to, P "dispatch_total", "counter", "Dispatches by how they ended.");
	for (unsigned i = 0; i < sizeof results / sizeof results[0]; i++)
		gd_expose_u64(to, results[i].labels, engine->counters[results[i].counter]);
	gd_expose(to, P "dispatch_phase_seconds", "histogram", "Time of dispatches by phase.");
	for (unsigned i = 0; i < 4; i++) {
		char labels[LABELS_MAX] = "";
		gd_label(labels, sizeof labels, "phase", phases[i]);
		gd_expose_histogram(to, labels, &engine->phases[i], 0);
	}
	gd_expose(to, P "queue_wait_seconds", "histogram", "Time that dispatches waited before they ran.");
	gd_expose_histogram(to, "", &engine->phases[GD_PHASE_QUEUE], 0);
	one(to, P "h2d_bytes_total", "counter", "Bytes sent to devices.",
	    engine->counters[GD_COUNT_H2D_BYTES]);
	one(to, P "d2h_bytes_total", "counter", "Bytes brought from devices.",
	    engine->counters[GD_COUNT_D2H_BYTES]);
	gd_expose(to, P "cuda_errors_total", "counter", "Errors of the device interface by name.");
	for (uint32_t i = 0; i < engine->device_error_count; i++) {
		char labels[LABELS_MAX] = "";
		gd_label(labels, sizeof labels, "name", engine->device_errors[i].name);
		gd_label(labels, sizeof labels, "sticky", engine->device_errors[i].sticky ? "true" : "false");
		gd_expose_u64(to, labels, engine->device_errors[i].count);
	}
	gd_expose(to, P "worker_restarts_total", "counter", "Workers replaced, by why the last one ended.");
	for (unsigned i = 0; i < sizeof restarts / sizeof restarts[0]; i++)
		gd_expose_u64(to, restarts[i].labels, engine->counters[restarts[i].counter]);
	gd_expose(to, P "slab_bytes", "gauge", "Shared memory for payloads.");
	gd_expose_u64(to, "state=\"in_used\"", engine->slab_in_used);
	gd_expose_u64(to, "state=\"in_free\"", engine->slab_in_bytes - engine->slab_in_used);
	gd_expose_u64(to, "state=\"out_used\"", engine->slab_out_used);
	gd_expose_u64(to, "state=\"out_free\"", engine->slab_out_bytes - engine->slab_out_used);
	for (const struct gd_driver_counter *counter = gd_driver_counters; counter->name; counter++) {
		char name[80];
		snprintf(name, sizeof name, P "%s%s", counter->name, counter->is_gauge ? "" : "_total");
		one(to, name, counter->is_gauge ? "gauge" : "counter", counter->help,
		    counter->counter < 0 ? 0 : engine->counters[counter->counter]);
	}
}

static void put_devices(struct gd_exposition *to, const struct gd_snapshot *from)
{
	gd_expose(to, P "queue_depth", "gauge", "Dispatches waiting or running.");
	for (uint32_t i = 0; i < from->device_count; i++) {
		char labels[LABELS_MAX] = "";
		gd_label(labels, sizeof labels, "device", from->devices[i].id);
		gd_expose_u64(to, labels, from->devices[i].queue_depth);
	}
	gd_expose(to, P "device_memory_bytes", "gauge",
		  "Device memory; free is as it was when the device was opened.");
	for (uint32_t i = 0; i < from->device_count; i++) {
		char total[LABELS_MAX] = "", rest[LABELS_MAX] = "";
		gd_label(total, sizeof total, "device", from->devices[i].id);
		gd_label(total, sizeof total, "state", "total");
		gd_expose_u64(to, total, from->devices[i].info.memory_bytes);
		gd_label(rest, sizeof rest, "device", from->devices[i].id);
		gd_label(rest, sizeof rest, "state", "free_at_start");
		gd_expose_u64(to, rest, from->devices[i].info.memory_free_bytes);
	}
	gd_expose(to, P "device_info", "gauge", "The devices there are.");
	for (uint32_t i = 0; i < from->device_count; i++) {
		const struct gd_device_status *device = &from->devices[i];
		char labels[LABELS_MAX] = "";
		gd_label(labels, sizeof labels, "device", device->id);
		gd_label(labels, sizeof labels, "backend", device->backend);
		gd_label(labels, sizeof labels, "name", device->info.name);
		gd_label(labels, sizeof labels, "architecture", device->info.architecture);
		gd_label(labels, sizeof labels, "driver", device->info.driver);
		gd_expose_u64(to, labels, 1);
	}
}

static void put_process(struct gd_exposition *to, const struct gd_snapshot *from)
{
	char labels[LABELS_MAX] = "";
	gd_expose(to, P "build_info", "gauge", "The version that runs.");
	gd_label(labels, sizeof labels, "version", GD_VERSION);
	gd_label(labels, sizeof labels, "backend", from->backend);
	gd_label(labels, sizeof labels, "nvrtc", from->toolchain.available ? from->toolchain.id.version : "");
	gd_expose_u64(to, labels, 1);
	gd_expose(to, "process_cpu_seconds_total", "counter",
		  "Total user and system CPU time spent in seconds.");
	gd_expose_double(to, "", from->process.cpu_s);
	one(to, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
	    from->process.resident_bytes);
	one(to, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
	    from->process.virtual_bytes);
	one(to, "process_open_fds", "gauge", "Number of open file descriptors.", from->process.open_fds);
	one(to, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
	    from->process.max_fds);
	one(to, "process_threads", "gauge", "Number of threads.", from->process.threads);
	one(to, "process_start_time_seconds", "gauge",
	    "Start time of the process since unix epoch in seconds.", from->started_unix_s);
}

void gd_metrics_text(struct gd_buf *out, const struct gd_snapshot *snapshot, bool is_openmetrics)
{
	struct gd_exposition to = {.out = out, .is_openmetrics = is_openmetrics};
	put_http(&to, snapshot);
	put_cache(&to, snapshot);
	put_dispatch(&to, snapshot);
	put_devices(&to, snapshot);
	put_process(&to, snapshot);
	if (is_openmetrics)
		gd_buf_puts(out, "# EOF\n");
}
