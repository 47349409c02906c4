/*
 * POST /pipelines: collect the body, make the program, have it compiled, put the pipeline into the table,
 * answer.
 *
 * The compile belongs to a job of its own, which lives until the engine says done: an exchange whose client
 * went away leaves it behind and nobody is answered.
 */
#include "api/compiling.h"

#include "api/media.h"
#include "api/pipeline_out.h"
#include "gpu/base/clock.h"
#include "gpu/dispatch/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct work {
	struct gd_buf body;
	bool is_json;
	struct gd_compiling *job; /* NULL: none under way */
};

static void refuse_memory(struct gd_exchange *exchange)
{
	struct gd_error error;
	gd_error_set(&error, GD_OVERLOADED, NULL, "no memory for the request");
	gd_exchange_refuse(exchange, &error);
}

static bool read_type(struct gd_exchange *exchange, bool *out_is_json)
{
	static const char *const sources[] = {"", "text/x-cuda", "text/plain",
					      "application/x-www-form-urlencoded", NULL};
	struct gd_media media;
	struct gd_error error;
	const char *header = gd_exchange_header(exchange, "Content-Type");
	if (gd_media_parse(header, &media) && gd_media_is_utf8(&media)) {
		*out_is_json = !strcmp(media.type, "application/json");
		bool is_known = *out_is_json;
		for (unsigned i = 0; sources[i]; i++)
			is_known |= !strcmp(media.type, sources[i]);
		if (is_known)
			return true;
	}
	gd_error_set(&error, GD_UNSUPPORTED_MEDIA_TYPE, NULL, "programs are not taken as \"%.100s\"", header);
	gd_exchange_refuse(exchange, &error);
	return false;
}

static void begin(struct gd_exchange *exchange)
{
	const struct gd_api_config *limits = &exchange->lane->api->config;
	bool is_json = false;
	if (gd_exchange_refuse_encoding(exchange) || !read_type(exchange, &is_json))
		return;
	/* in JSON every byte of the source may take two, and there is the rest */
	uint64_t max =
	    is_json ? 2 * limits->source_bytes_max + limits->json_bytes_max : limits->source_bytes_max;
	if (gd_exchange_refuse_length(exchange, max, is_json ? "the body" : "the source"))
		return;
	struct work *work = calloc(1, sizeof *work);
	if (!work) {
		refuse_memory(exchange);
		return;
	}
	gd_buf_init(&work->body, max);
	work->is_json = is_json;
	exchange->work = work;
}

static size_t body(struct gd_exchange *exchange, const void *data, size_t bytes)
{
	struct work *work = exchange->work;
	struct gd_error error;
	if (gd_buf_add(&work->body, data, bytes))
		return bytes;
	if (bytes > work->body.max - work->body.len) {
		gd_error_set(&error, GD_TOO_LARGE, NULL, "the body is longer than the limit of %zu bytes",
			     work->body.max);
		gd_exchange_refuse(exchange, &error);
	} else {
		refuse_memory(exchange);
	}
	return bytes;
}

/* Workgroups over the device's limits are refused before a compiler runs. */
static bool check_workgroups(struct gd_exchange *exchange, const struct gd_pipeline_request *asked,
			     const char *backend, struct gd_error *error)
{
	gd_auto_free struct gd_device_status *devices = calloc(GD_DEVICES_MAX, sizeof *devices);
	if (!devices)
		return gd_error_set(error, GD_OVERLOADED, NULL, "no memory for the request");
	uint32_t count = gd_engine_devices(exchange->lane->api->engine, devices);
	const uint32_t *program = gd_program_workgroup_size(asked->program);
	uint64_t block[3] = {program[0], program[1], program[2]};
	for (uint32_t i = 0; i < count; i++) {
		/* a device that is not up yet has told no limits */
		if (strcmp(devices[i].backend, backend) != 0 || !devices[i].info.max_threads_per_block)
			continue;
		if (!gd_block_check(&devices[i].info, block, error))
			return false;
		if (gd_config_has(&asked->config, GD_CONFIG_WORKGROUP_SIZE) &&
		    !gd_block_check(&devices[i].info, asked->config.workgroup_size, error)) {
			char pointer[sizeof error->pointer];
			snprintf(pointer, sizeof pointer, "%s", error->pointer);
			return gd_error_at(error, "/config%.140s", pointer);
		}
	}
	return true;
}

static void answer(struct gd_exchange *exchange, const struct gd_compiling *job)
{
	const struct gd_compile_facts *facts = &job->facts;
	const struct gd_pipeline *pipeline = job->pipeline;
	snprintf(exchange->location, sizeof exchange->location, "%s/pipelines/%s",
		 exchange->target.is_prefixed ? "/v1" : "", pipeline->id);
	gd_exchange_add_header(exchange, "Location", exchange->location);
	gd_pipeline_etag(pipeline->id, exchange->etag, sizeof exchange->etag);
	gd_exchange_add_header(exchange, "ETag", exchange->etag);
	snprintf(exchange->cache_status, sizeof exchange->cache_status, "gpudispatch; %s",
		 facts->cache_hit == 1                   ? "hit"
		 : job->request.mode == GD_CACHE_BYPASS  ? "fwd=bypass"
		 : job->request.mode == GD_CACHE_REFRESH ? "fwd=request; stored"
		 : facts->cache_hit < 0                  ? "fwd=bypass"
							 : "fwd=miss; stored");
	gd_exchange_add_header(exchange, "Cache-Status", exchange->cache_status);
	snprintf(exchange->timing, sizeof exchange->timing, "compile;dur=%.3f, load;dur=%.3f",
		 (double)facts->compile_ns / 1e6, (double)facts->load_ns / 1e6);
	gd_pipeline_write(&exchange->text, pipeline, facts, job->devices.len ? job->devices.data : NULL);
	gd_exchange_answer(exchange, job->is_new ? 201 : 200, "application/json");
}

static void finished(struct gd_compiling *job, struct gd_exchange *exchange)
{
	struct work *work = exchange->work;
	work->job = NULL;
	if (job->pipeline) {
		answer(exchange, job);
		return;
	}
	struct gd_problem problem = {.error = &job->request.error, .diagnostics = &job->request.diagnostics};
	if (job->request.error.code == GD_KERNEL_COMPILE_FAILED ||
	    job->request.error.code == GD_INVALID_PROGRAM)
		problem.stage = "compile";
	if (job->devices.len)
		problem.errors = job->devices.data;
	gd_exchange_refuse_with(exchange, &problem);
}

static void end(struct gd_exchange *exchange)
{
	struct work *work = exchange->work;
	const struct gd_api_config *limits = &exchange->lane->api->config;
	struct gd_pipeline_request asked = {0};
	struct gd_error error;
	bool is_good =
	    work->is_json
		? gd_target_only(&exchange->target, (const char *const[]){NULL}, &error) &&
		      gd_pipeline_request_json(work->body.data, work->body.len, limits, &asked, &error)
		: gd_pipeline_request_source(work->body.data, work->body.len, &exchange->target, limits,
					     &asked, &error);
	const char *backend = gd_compile_backend(exchange->lane->api->engine, asked.backend);
	is_good = is_good && check_workgroups(exchange, &asked, backend, &error);
	gd_buf_done(&work->body);
	if (is_good) {
		gd_exchange_set(exchange, GD_EXCHANGE_WAITING);
		is_good = gd_compiling_start(exchange, &asked, backend, finished, &work->job, &error);
	}
	gd_pipeline_request_done(&asked);
	if (!is_good)
		gd_exchange_refuse(exchange, &error);
}

static void drop(struct gd_exchange *exchange)
{
	struct work *work = exchange->work;
	gd_compiling_abandon(work->job);
	gd_buf_done(&work->body);
	free(work);
}

const struct gd_handler gd_pipeline_post_handler = {.begin = begin, .body = body, .end = end, .drop = drop};
