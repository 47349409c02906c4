/* POST /pipelines/{id}/dispatch: which body form it is, and the taking of each. */
#include "api/dispatching.h"

#include "api/media.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gd_dispatching_fail(struct gd_dispatching *work, const struct gd_error *error)
{
	bool is_in_done =
	    work->phase == GD_NOW_OVER; /* then it is freed with the exchange, not from within */
	work->phase = GD_NOW_OVER;
	if (work->timer.place)
		gd_loop_disarm(work->exchange->lane->loop, &work->timer);
	if (!is_in_done) {
		gd_dispatch_free(work->dispatch);
		work->dispatch = NULL;
	}
	gd_buf_done(&work->store);
	gd_exchange_refuse(work->exchange, error);
}

/* On to the engine when everything is given and `is_good`; else the refusal. */
static void settle(struct gd_dispatching *work, bool is_good, struct gd_error *error)
{
	if (is_good && gd_call_settle(&work->call, error))
		gd_dispatching_prepare(work);
	else
		gd_dispatching_fail(work, error);
}

/* ---- multipart ---- */

static bool on_part(void *owner, const char *name, struct gd_error *error)
{
	struct gd_dispatching *work = owner;
	free(work->part_name);
	work->part_name = strdup(name);
	if (!work->part_name)
		return gd_error_set(error, GD_OVERLOADED, NULL, "no memory for the request");
	work->part_param = gd_call_find(&work->call, name);
	if (work->part_param >= 0) {
		enum gd_type type = work->call.signature->params[work->part_param].type;
		if (type != GD_TYPE_POINTER && type != GD_TYPE_BYTES && type != GD_TYPE_NONE)
			work->part_param = -1; /* a scalar: text */
	}
	work->part_at = work->store.len;
	gd_buf_done(&work->part_text);
	gd_buf_init(&work->part_text, work->call.limits->header_json_max);
	return true;
}

static bool on_part_data(void *owner, const void *data, size_t bytes, struct gd_error *error)
{
	struct gd_dispatching *work = owner;
	struct gd_buf *buf = work->part_param >= 0 ? &work->store : &work->part_text;
	if (gd_buf_add(buf, data, bytes))
		return true;
	if (bytes <= buf->max - buf->len)
		return gd_error_set(error, GD_OVERLOADED, NULL, "no memory for the request");
	return gd_error_set(error, GD_TOO_LARGE, NULL, "the part \"%.100s\" is over the limit of %zu bytes",
			    work->part_name, buf->max);
}

static bool on_part_end(void *owner, struct gd_error *error)
{
	struct gd_dispatching *work = owner;
	struct gd_call *call = &work->call;
	const char *name = work->part_name;
	if (work->part_param < 0) {
		const char *text = work->part_text.data ? work->part_text.data : "";
		if (strlen(text) != work->part_text.len)
			return gd_value_refuse(name, error, "has a NUL in its text");
		return gd_call_item(call, name, text, work->part_text.len, error);
	}
	uint32_t index = (uint32_t)work->part_param;
	uint64_t bytes = work->store.len - work->part_at;
	if (!gd_call_check_bytes(call, index, bytes, name, error))
		return false;
	struct gd_arg arg = {.kind = GD_ARG_STORED, .bytes = bytes, .stored_at = work->part_at};
	if (!gd_call_is_buffer(call, index)) {
		memcpy(call->params + call->info->params[index].offset, work->store.data + work->part_at,
		       bytes);
		arg = (struct gd_arg){.kind = GD_ARG_VALUE};
	}
	return gd_call_set(call, index, &arg, name, error);
}

static const struct gd_multipart_events part_events = {on_part, on_part_data, on_part_end};

/* ---- the beginning ---- */

static bool read_query(struct gd_dispatching *work, struct gd_error *error)
{
	const struct gd_target *target = &work->exchange->target;
	if (work->call.form == GD_FORM_JSON || work->call.form == GD_FORM_FRAME)
		return gd_target_only(target, (const char *const[]){NULL}, error);
	for (unsigned i = 0; i < target->item_count; i++)
		if (!gd_call_item(&work->call, target->items[i].name, target->items[i].value,
				  target->items[i].value_bytes, error))
			return false;
	return true;
}

static bool find_form(struct gd_exchange *exchange, enum gd_call_form *out_form, struct gd_media *out_media,
		      uint64_t *out_header_bytes, struct gd_error *error)
{
	const char *type = gd_exchange_header(exchange, "Content-Type");
	const char *header = gd_exchange_header(exchange, "Inference-Header-Content-Length");
	*out_header_bytes = 0;
	if (header && !gd_parse_u64(header, strlen(header), out_header_bytes))
		return gd_error_set(error, GD_MALFORMED_BODY,
				    "send the length of the JSON header in decimal digits",
				    "Inference-Header-Content-Length is no number");
	if (!gd_media_parse(type, out_media))
		return gd_error_set(error, GD_UNSUPPORTED_MEDIA_TYPE, NULL,
				    "the Content-Type cannot be read");
	if (!strcmp(out_media->type, "application/json") && gd_media_is_utf8(out_media)) {
		*out_form = GD_FORM_JSON;
	} else if (!strcmp(out_media->type, "multipart/form-data")) {
		if (!out_media->boundary[0])
			return gd_error_set(error, GD_MALFORMED_BODY,
					    "let the HTTP library write the Content-Type",
					    "the Content-Type has no boundary");
		*out_form = GD_FORM_MULTIPART;
	} else if (!out_media->type[0] || !strcmp(out_media->type, "application/octet-stream") ||
		   !strcmp(out_media->type, "application/x-www-form-urlencoded")) {
		*out_form = *out_header_bytes ? GD_FORM_FRAME : GD_FORM_RAW;
		return true;
	} else {
		return gd_error_set(error, GD_UNSUPPORTED_MEDIA_TYPE, NULL,
				    "arguments are not taken as \"%.90s\"", type);
	}
	if (*out_header_bytes)
		return gd_error_set(error, GD_INVALID_REQUEST, "send the frame as application/octet-stream",
				    "Inference-Header-Content-Length does not go with %.90s",
				    out_media->type);
	return true;
}

/* JSON or raw? Fails: GD_NOT_ACCEPTABLE. */
static bool choose_answer(const struct gd_exchange *exchange, enum gd_call_form form, bool *out_json,
			  struct gd_error *error)
{
	const char *accept = gd_exchange_header(exchange, "Accept");
	bool is_json = form == GD_FORM_JSON;
	if (!gd_accept_is_open(accept)) {
		unsigned json = gd_accept_quality(accept, "application/json");
		unsigned raw = gd_accept_quality(accept, "application/octet-stream");
		if (!json && !raw)
			return gd_error_set(
			    error, GD_NOT_ACCEPTABLE, "accept application/json or application/octet-stream",
			    "outputs come as application/json or application/octet-stream only");
		if (json != raw)
			is_json = json > raw;
	}
	*out_json = is_json;
	return true;
}

static bool check_header_length(const struct gd_dispatching *work, struct gd_error *error)
{
	int64_t body = work->exchange->head.body_bytes;
	if (work->header_bytes > work->call.limits->header_json_max)
		return gd_error_set(error, GD_TOO_LARGE, NULL,
				    "the JSON header has %" PRIu64 " bytes; the limit is %" PRIu64,
				    work->header_bytes, work->call.limits->header_json_max);
	if (body >= 0 && (uint64_t)body < work->header_bytes)
		return gd_error_set(error, GD_MALFORMED_BODY, "send the JSON header and then the bytes",
				    "the body has %" PRId64 " bytes, fewer than its JSON header's %" PRIu64,
				    body, work->header_bytes);
	return true;
}

/* The raw form's layout is known from the head, unless the body is chunked and a size is open. */
static void begin_raw(struct gd_dispatching *work, struct gd_error *error)
{
	int64_t body = work->exchange->head.body_bytes;
	gd_call_rest_is_streamed(&work->call);
	if (body >= 0)
		settle(work, gd_call_divide(&work->call, (uint64_t)body, error), error);
	else if (gd_call_sizes_known(&work->call))
		settle(work, true, error);
}

static bool begin_form(struct gd_dispatching *work, const struct gd_media *media, struct gd_error *error)
{
	const struct gd_api_config *limits = work->call.limits;
	if (!read_query(work, error))
		return false;
	switch (work->call.form) {
	case GD_FORM_JSON:
		gd_json_filter_init(&work->filter, limits->json_bytes_max, &work->store);
		return true;
	case GD_FORM_FRAME:
		gd_json_filter_init(&work->filter, limits->header_json_max, &work->store);
		return check_header_length(work, error);
	case GD_FORM_MULTIPART:
		work->multipart = malloc(sizeof *work->multipart);
		if (!work->multipart)
			return gd_error_set(error, GD_OVERLOADED, NULL, "no memory for the request");
		gd_multipart_init(work->multipart, media->boundary, &part_events, work);
		return true;
	case GD_FORM_RAW:
		begin_raw(work, error);
		return true;
	}
	return true;
}

static void begin(struct gd_exchange *exchange)
{
	const struct gd_api_config *limits = &exchange->lane->api->config;
	enum gd_call_form form = GD_FORM_RAW;
	struct gd_media media;
	struct gd_error error;
	uint64_t header_bytes;
	bool answers_json = false;
	if (gd_exchange_refuse_encoding(exchange))
		return;
	if (!find_form(exchange, &form, &media, &header_bytes, &error) ||
	    !choose_answer(exchange, form, &answers_json, &error)) {
		gd_exchange_refuse(exchange, &error);
		return;
	}
	if (gd_exchange_refuse_length(exchange, limits->body_bytes_max, "the body"))
		return;
	struct gd_pipeline *pipeline = gd_exchange_pipeline(exchange);
	if (!pipeline)
		return;
	struct gd_dispatching *work = calloc(1, sizeof *work);
	if (!work) {
		gd_pipeline_free(pipeline);
		gd_error_set(&error, GD_OVERLOADED, NULL, "no memory for the request");
		gd_exchange_refuse(exchange, &error);
		return;
	}
	work->exchange = exchange;
	work->pipeline = pipeline;
	work->answers_json = answers_json;
	work->header_bytes = header_bytes;
	exchange->work = work;
	gd_buf_init(&work->store, limits->body_bytes_max);
	if (!gd_call_init(&work->call, pipeline, limits, &work->store, form, &error) ||
	    !begin_form(work, &media, &error))
		gd_dispatching_fail(work, &error);
}

/* ---- the body ---- */

/* The JSON is complete: read it. */
static bool read_json(struct gd_dispatching *work, struct gd_error *error)
{
	const char *what = work->call.form == GD_FORM_FRAME ? "the JSON header" : "the body";
	if (!work->filter.skeleton.len)
		return gd_error_set(error, GD_INVALID_REQUEST, "send {\"args\": […]}", "%s is empty", what);
	gd_auto_json json_t *root = gd_json_filter_end(&work->filter, what, error);
	if (!root || !gd_call_json(&work->call, root, &work->filter, error))
		return false;
	gd_json_filter_done(&work->filter);
	return true;
}

/* The frame's JSON is complete: do the bytes behind it agree with it? */
static bool read_header(struct gd_dispatching *work, struct gd_error *error)
{
	int64_t body = work->exchange->head.body_bytes;
	if (!read_json(work, error) || !gd_call_settle(&work->call, error))
		return false;
	if (body < 0 || (uint64_t)body - work->header_bytes == work->call.streamed_bytes)
		return true;
	return gd_error_set(error, GD_MALFORMED_BODY, "make binary_data_size say what the body brings",
			    "%" PRIu64 " bytes follow the JSON header, and it announces %" PRIu64,
			    (uint64_t)body - work->header_bytes, work->call.streamed_bytes);
}

static size_t take_frame(struct gd_dispatching *work, const char *data, size_t bytes, struct gd_error *error)
{
	uint64_t left = work->header_bytes - work->body_seen;
	size_t part = bytes < left ? bytes : (size_t)left;
	work->body_seen += part;
	bool is_good = gd_json_filter_feed(&work->filter, data, part, error);
	if (is_good && work->body_seen < work->header_bytes)
		return bytes;
	if (!is_good || !read_header(work, error)) {
		gd_dispatching_fail(work, error);
		return bytes;
	}
	gd_dispatching_prepare(work);
	if (work->phase == GD_NOW_OVER)
		return bytes;
	/* the body goes on at once where the engine has room already */
	if (work->phase == GD_NOW_STREAMING && part < bytes)
		return part + gd_dispatching_pour(work, (const uint8_t *)data + part, bytes - part);
	return part;
}

static bool take(struct gd_dispatching *work, const char *data, size_t bytes, struct gd_error *error)
{
	work->body_seen += bytes;
	if (work->body_seen > work->call.limits->body_bytes_max)
		return gd_error_set(error, GD_TOO_LARGE, NULL,
				    "the body is longer than the limit of %" PRIu64 " bytes",
				    work->call.limits->body_bytes_max);
	if (work->call.form == GD_FORM_JSON)
		return gd_json_filter_feed(&work->filter, data, bytes, error);
	if (work->call.form == GD_FORM_MULTIPART)
		return gd_multipart_feed(work->multipart, data, bytes, error);
	return gd_buf_add(&work->store, data, bytes) ||
	       gd_error_set(error, GD_OVERLOADED, NULL, "no memory for the request");
}

static size_t body(struct gd_exchange *exchange, const void *data, size_t bytes)
{
	struct gd_dispatching *work = exchange->work;
	struct gd_error error;
	if (work->phase == GD_NOW_STREAMING)
		return gd_dispatching_pour(work, data, bytes);
	if (work->phase != GD_NOW_TAKING)
		return 0;
	if (work->call.form == GD_FORM_FRAME)
		return take_frame(work, data, bytes, &error);
	if (!take(work, data, bytes, &error))
		gd_dispatching_fail(work, &error);
	return bytes;
}

/* A chunked raw body is complete: share it out, and let its parts be fed from the store. */
static bool end_raw(struct gd_dispatching *work, struct gd_error *error)
{
	struct gd_call *call = &work->call;
	if (!gd_call_divide(call, work->store.len, error))
		return false;
	size_t at = 0;
	for (uint32_t i = 0; i < call->count; i++) {
		struct gd_arg *arg = &call->args[i];
		if (arg->kind != GD_ARG_STREAMED)
			continue;
		arg->kind = GD_ARG_STORED;
		arg->stored_at = at;
		at += (size_t)arg->bytes;
	}
	return true;
}

static void end(struct gd_exchange *exchange)
{
	struct gd_dispatching *work = exchange->work;
	struct gd_error error;
	bool is_good = false;
	if (work->phase != GD_NOW_TAKING) {
		if (work->phase == GD_NOW_STREAMING)
			gd_dispatching_step(work);
		return;
	}
	switch (work->call.form) {
	case GD_FORM_FRAME:
		gd_error_set(&error, GD_MALFORMED_BODY, "send the JSON header and then the bytes",
			     "the body ends inside its JSON header");
		break;
	case GD_FORM_MULTIPART:
		is_good = gd_multipart_end(work->multipart, &error);
		break;
	case GD_FORM_JSON:
		is_good = read_json(work, &error);
		break;
	case GD_FORM_RAW:
		is_good = end_raw(work, &error);
	}
	settle(work, is_good, &error);
}

static void drop(struct gd_exchange *exchange)
{
	struct gd_dispatching *work = exchange->work;
	if (work->timer.place)
		gd_loop_disarm(exchange->lane->loop, &work->timer);
	gd_dispatch_free(work->dispatch);
	gd_call_done(&work->call);
	gd_json_filter_done(&work->filter);
	gd_buf_done(&work->store);
	gd_buf_done(&work->part_text);
	free(work->multipart);
	free(work->part_name);
	free(work->segments);
	free(work->stage);
	gd_pipeline_free(work->pipeline);
	free(work);
}

const struct gd_handler gd_dispatch_post_handler = {.begin = begin, .body = body, .end = end, .drop = drop};
