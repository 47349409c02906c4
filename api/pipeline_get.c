/* GET and DELETE of pipelines and their parts. What is sent from a pipeline's own memory keeps a reference on
 * it. */
#include "api/base.h"

#include "api/json_out.h"
#include "api/manifest.h"
#include "api/pipeline_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000 };

static void drop(struct gd_exchange *exchange)
{
	gd_pipeline_free(exchange->work);
}

/* The pipeline, kept by the exchange until it is freed; NULL when the answer is there already (404 or 304).
 */
static struct gd_pipeline *open_pipeline(struct gd_exchange *exchange)
{
	struct gd_pipeline *pipeline = gd_exchange_pipeline(exchange);
	exchange->work = pipeline;
	char etag[80];
	if (!pipeline)
		return NULL;
	gd_pipeline_etag(pipeline->id, etag, sizeof etag);
	return gd_exchange_not_modified(exchange, etag) ? NULL : pipeline;
}

static void get(struct gd_exchange *exchange)
{
	struct gd_pipeline *pipeline = open_pipeline(exchange);
	if (!pipeline)
		return;
	gd_pipeline_write(&exchange->text, pipeline, &pipeline->created, NULL);
	gd_exchange_answer(exchange, 200, "application/json");
}

static void get_manifest(struct gd_exchange *exchange)
{
	struct gd_pipeline *pipeline = open_pipeline(exchange);
	if (!pipeline)
		return;
	gd_manifest_write(&exchange->text, pipeline, pipeline->created.cache_hit);
	gd_buf_puts(&exchange->text, "\n");
	gd_exchange_answer(exchange, 200, "application/json");
}

static void refuse_absent(struct gd_exchange *exchange, const char *what, const char *fix)
{
	struct gd_error error;
	gd_error_set(&error, GD_NOT_FOUND, fix, "this pipeline has no %s", what);
	gd_exchange_refuse(exchange, &error);
}

static void get_ptx(struct gd_exchange *exchange)
{
	struct gd_pipeline *pipeline = open_pipeline(exchange);
	if (!pipeline)
		return;
	const struct gd_artifact *artifact = gd_kernel_artifact(pipeline->kernel);
	if (!artifact->ptx)
		refuse_absent(exchange, "PTX: it was posted as a cubin", "GET its cubin");
	else
		gd_exchange_answer_memory(exchange, 200, "text/plain; charset=utf-8", artifact->ptx,
					  artifact->ptx_bytes);
}

static void get_cubin(struct gd_exchange *exchange)
{
	struct gd_pipeline *pipeline = open_pipeline(exchange);
	if (!pipeline)
		return;
	const struct gd_artifact *artifact = gd_kernel_artifact(pipeline->kernel);
	if (!artifact->cubin)
		refuse_absent(exchange, "cubin: its device runs PTX", "GET its ptx");
	else
		gd_exchange_answer_memory(exchange, 200, "application/octet-stream", artifact->cubin,
					  artifact->cubin_bytes);
}

static void get_source(struct gd_exchange *exchange)
{
	struct gd_pipeline *pipeline = open_pipeline(exchange);
	if (!pipeline)
		return;
	size_t bytes;
	const char *source = gd_program_source(pipeline->program, &bytes);
	static const char *const types[] = {[GD_LANGUAGE_CUDA] = "text/x-cuda; charset=utf-8",
					    [GD_LANGUAGE_PTX] = "text/plain; charset=utf-8",
					    [GD_LANGUAGE_CUBIN] = "application/octet-stream"};
	gd_exchange_answer_memory(exchange, 200, types[gd_program_language(pipeline->program)], source,
				  bytes);
}

static void delete (struct gd_exchange *exchange)
{
	if (gd_pipelines_remove(exchange->lane->api->pipelines, exchange->id)) {
		gd_exchange_answer_memory(exchange, 204, NULL, NULL, 0);
		return;
	}
	struct gd_error error;
	gd_error_set(&error, GD_NOT_FOUND, "GET /pipelines lists the pipelines",
		     "there is no pipeline with this id");
	gd_exchange_refuse(exchange, &error);
}

static void list(struct gd_exchange *exchange)
{
	struct gd_error error;
	uint32_t limit = PAGE_DEFAULT;
	struct gd_value value = {.text = gd_target_query(&exchange->target, "limit")};
	if (value.text && !gd_value_u32(&value, "limit", 1, PAGE_MAX, &limit, &error)) {
		gd_exchange_refuse(exchange, &error);
		return;
	}
	gd_auto_free struct gd_pipeline **items = calloc(limit, sizeof *items);
	if (!items) {
		gd_error_set(&error, GD_OVERLOADED, NULL, "no memory for the list");
		gd_exchange_refuse(exchange, &error);
		return;
	}
	bool more;
	uint32_t count = gd_pipelines_page(exchange->lane->api->pipelines,
					   gd_target_query(&exchange->target, "after"), limit, items, &more);
	struct gd_buf *out = &exchange->text;
	gd_buf_puts(out, "{\"items\":[");
	for (uint32_t i = 0; i < count; i++) {
		gd_buf_printf(out, "%s{\"id\":\"%s\",\"backend\":\"%s\",\"kernel\":", i ? "," : "",
			      items[i]->id, items[i]->backend);
		gd_json_string(out, gd_program_kernel(items[i]->program));
		gd_buf_puts(out, ",\"label\":");
		gd_json_string(out, items[i]->config.label);
		gd_buf_puts(out, "}");
	}
	gd_buf_puts(out, "],\"next\":");
	gd_json_string(out, more ? items[count - 1]->id : NULL);
	gd_buf_puts(out, "}\n");
	for (uint32_t i = 0; i < count; i++)
		gd_pipeline_free(items[i]);
	gd_exchange_answer(exchange, 200, "application/json");
}

const struct gd_handler gd_pipeline_list_handler = {.end = list};
const struct gd_handler gd_pipeline_get_handler = {.end = get, .drop = drop};
const struct gd_handler gd_pipeline_delete_handler = {.end = delete};
const struct gd_handler gd_pipeline_manifest_handler = {.end = get_manifest, .drop = drop};
const struct gd_handler gd_pipeline_ptx_handler = {.end = get_ptx, .drop = drop};
const struct gd_handler gd_pipeline_cubin_handler = {.end = get_cubin, .drop = drop};
const struct gd_handler gd_pipeline_source_handler = {.end = get_source, .drop = drop};
