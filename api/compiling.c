#include "api/compiling.h"

#include "api/json_out.h"
#include "api/manifest.h"
#include "gpu/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_TEXT_MAX = 64 << 10 };

const char *gd_compile_backend(struct gd_engine *engine, enum gd_backend asked)
{
	return asked == GD_BACKEND_CUDA        ? "cuda"
	       : asked == GD_BACKEND_REFERENCE ? "reference"
					       : gd_engine_backend(engine);
}

static void free_job(struct gd_compiling *job)
{
	*job->link = job->next;
	if (job->next)
		job->next->link = job->link;
	gd_pipeline_request_done(&job->asked);
	gd_diagnostics_done(&job->request.diagnostics);
	gd_kernel_unref(job->request.kernel);
	gd_pipeline_free(job->pipeline);
	gd_buf_done(&job->devices);
	free(job);
}

/* The audit's classes; the engine counts the same for the process's life. */
static void count(struct gd_compiling *job)
{
	const struct gd_compile_request *request = &job->request;
	struct gd_stats *stats = &job->lane->stats;
	bool has_compiled = request->tier == GD_TIER_COMPILED || (!request->kernel && request->compile_ns);
	if (has_compiled)
		gd_live_histogram_add(request->kernel ? &stats->compile_ok : &stats->compile_failed,
				      request->compile_ns);
	enum gd_audit_event event = GD_AUDIT_UNKNOWN;
	if (request->mode == GD_CACHE_USE) {
		if (!request->kernel && !has_compiled)
			return; /* nothing was asked of the cache, or a remembered failure */
		if (!request->kernel || request->cache_hit == 0)
			event = GD_AUDIT_MISS;
		else if (request->cache_hit == 1)
			event = GD_AUDIT_HIT;
	}
	gd_audit_window_add(&stats->window, event, gd_now_ns(), job->lane->api->config.alarm_window_s);
}

/* The loaded function and the signature must agree on every parameter's size, or launches would read beside
 * them. */
static bool check_sizes(const struct gd_kernel *kernel, struct gd_error *error)
{
	const struct gd_signature *signature = &gd_kernel_artifact(kernel)->signature;
	const struct gd_kernel_info *info = gd_kernel_info(kernel);
	if (signature->count != info->param_count)
		return gd_error_set(
		    error, GD_INVALID_PROGRAM, "declare all parameters of the kernel in params",
		    "the loaded kernel has %u parameters, not %u", info->param_count, signature->count);
	for (uint32_t i = 0; i < signature->count; i++) {
		const struct gd_param *param = &signature->params[i];
		if (param->size == info->params[i].size && info->params[i].offset <= info->param_bytes &&
		    param->size <= info->param_bytes - info->params[i].offset)
			continue;
		gd_error_set(error, GD_INVALID_PROGRAM, "declare the parameter with its true type in params",
			     "parameter %u (%.100s) has %u bytes in the loaded kernel, not %u", i,
			     param->name, info->params[i].size, param->size);
		return gd_error_at(error, "/params/%u", i);
	}
	return true;
}

static bool make_pipeline(struct gd_compiling *job, struct gd_error *error)
{
	if (!check_sizes(job->request.kernel, error))
		return false;
	gd_auto_pipeline struct gd_pipeline *made = calloc(1, sizeof *made);
	if (!made)
		return gd_error_set(error, GD_OVERLOADED, NULL, "no memory for the pipeline");
	made->references = 1;
	made->backend = job->backend;
	made->program = gd_program_ref(job->asked.program);
	made->kernel = gd_kernel_ref(job->request.kernel);
	made->config = job->asked.config;
	job->asked.config = (struct gd_config){0};
	made->created = job->facts;
	snprintf(made->driver, sizeof made->driver, "%s", gd_kernel_device(made->kernel)->driver);
	gd_policy_text(made->config.ulp_budget,
		       gd_config_has(&made->config, GD_CONFIG_WORKGROUP_SIZE)
			   ? (const uint32_t[3]){(uint32_t)made->config.workgroup_size[0],
						 (uint32_t)made->config.workgroup_size[1],
						 (uint32_t)made->config.workgroup_size[2]}
			   : NULL,
		       made->policy);
	gd_pipeline_id(made->backend, gd_program_digest(made->program), made->policy, made->id);
	return gd_manifest_make(made, error) &&
	       gd_pipelines_add(job->lane->api->pipelines, made, &job->pipeline, &job->is_new, error);
}

static bool is_asked_for(const struct gd_compiling *job, const struct gd_device_status *device)
{
	if (strcmp(device->backend, job->backend) != 0)
		return false;
	size_t count = json_array_size(job->asked.devices);
	bool is_listed = !job->asked.devices;
	for (size_t i = 0; i < count; i++)
		is_listed |= !strcmp(json_string_value(json_array_get(job->asked.devices, i)), device->id);
	return is_listed;
}

/* What a prewarm says of each device. All of a backend share one artifact, so they share the outcome. */
static void write_devices(struct gd_compiling *job)
{
	gd_auto_free struct gd_device_status *devices = calloc(GD_DEVICES_MAX, sizeof *devices);
	uint32_t count = devices ? gd_engine_devices(job->lane->api->engine, devices) : 0;
	struct gd_buf *out = &job->devices;
	unsigned written = 0;
	gd_buf_init(out, DEVICES_TEXT_MAX);
	gd_buf_puts(out, "[");
	for (uint32_t i = 0; i < count; i++) {
		if (!is_asked_for(job, &devices[i]))
			continue;
		gd_buf_puts(out, written ? "," : "");
		if (!job->pipeline) {
			gd_buf_printf(out, "{\"pointer\":\"/devices/%u\",\"device\":", written);
			gd_json_string(out, devices[i].id);
			gd_buf_puts(out, ",\"detail\":");
			gd_problem_detail(out, &job->request.error);
		} else {
			gd_buf_puts(out, "{\"device\":");
			gd_json_string(out, devices[i].id);
			gd_buf_printf(out, ",\"cache_hit\":%s,\"cache_tier\":",
				      gd_cache_hit_text(job->facts.cache_hit));
			gd_json_string(out, gd_cache_tier_text(job->facts.tier));
			gd_buf_printf(out, ",\"compile_ms\":%.3f,\"error\":null",
				      (double)job->facts.compile_ns / 1e6);
		}
		gd_buf_puts(out, "}");
		written++;
	}
	gd_buf_puts(out, "]");
}

static void done(struct gd_compile_request *request)
{
	struct gd_compiling *job = gd_container(request, struct gd_compiling, request);
	count(job);
	if (!job->exchange) {
		free_job(job);
		return;
	}
	job->facts = (struct gd_compile_facts){
	    .cache_hit = request->cache_hit,
	    .tier = request->cache_hit < 0 ? GD_TIER_NONE : request->tier,
	    .miss_reason = request->cache_hit == 0 ? request->miss_reason : GD_MISS_NONE,
	    .compile_ns = request->cache_hit == 1 ? 0 : request->compile_ns,
	    .load_ns = request->load_ns,
	    .total_ns = gd_now_ns() - job->started_ns};
	if (request->kernel && !make_pipeline(job, &request->error)) {
		gd_pipeline_free(job->pipeline);
		job->pipeline = NULL;
	}
	if (job->asked.is_prewarm)
		write_devices(job);
	job->finished(job, job->exchange);
	free_job(job);
}

static bool check_devices(const struct gd_compiling *job, struct gd_error *error)
{
	gd_auto_free struct gd_device_status *devices = calloc(GD_DEVICES_MAX, sizeof *devices);
	uint32_t count = devices ? gd_engine_devices(job->lane->api->engine, devices) : 0;
	for (size_t i = 0; i < json_array_size(job->asked.devices); i++) {
		const char *id = json_string_value(json_array_get(job->asked.devices, i));
		bool is_there = false;
		for (uint32_t d = 0; id && d < count; d++)
			is_there |= !strcmp(devices[d].id, id) && !strcmp(devices[d].backend, job->backend);
		if (is_there)
			continue;
		gd_error_set(error, GD_INVALID_REQUEST, "GET /devices lists the devices",
			     "there is no device \"%.60s\" of %s", id ? id : "", job->backend);
		return gd_error_at(error, "/devices/%zu", i);
	}
	return true;
}

bool gd_compiling_start(struct gd_exchange *exchange, struct gd_pipeline_request *asked, const char *backend,
			void (*finished)(struct gd_compiling *job, struct gd_exchange *exchange),
			struct gd_compiling **out_job, struct gd_error *error)
{
	struct gd_compiling *job = calloc(1, sizeof *job);
	if (!job)
		return gd_error_set(error, GD_OVERLOADED, NULL, "no memory for the request");
	struct gd_api_lane *lane = exchange->lane;
	job->asked = *asked;
	*asked = (struct gd_pipeline_request){0};
	job->lane = lane;
	job->exchange = exchange;
	job->backend = backend;
	job->started_ns = gd_now_ns();
	job->finished = finished;
	job->request = (struct gd_compile_request){.program = job->asked.program,
						   .backend = job->asked.backend,
						   .mode = job->asked.cache,
						   .done = done};
	job->next = lane->compiling;
	job->link = &lane->compiling;
	if (job->next)
		job->next->link = &job->next;
	lane->compiling = job;
	if (!check_devices(job, error)) {
		free_job(job);
		return false;
	}
	*out_job = job; /* finished sets it back when it is called from within */
	gd_lane_compile(lane->lane, &job->request);
	return true;
}

void gd_compiling_abandon(struct gd_compiling *job)
{
	if (job)
		job->exchange = NULL;
}

void gd_compiling_orphan(struct gd_api_lane *lane)
{
	struct gd_compiling **last = &lane->api->orphans;
	while (*last)
		last = &(*last)->next;
	*last = lane->compiling;
	if (*last)
		(*last)->link = last;
	lane->compiling = NULL;
}

void gd_compiling_free_all(struct gd_api *api)
{
	while (api->orphans)
		free_job(api->orphans);
}
