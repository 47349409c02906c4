#include "api/exchange.h"

#include "api/base.h"

#include "api/media.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bodies that no handler wants are read and forgotten up to here. */
enum { UNWANTED_BODY_MAX = 65536, PROBLEM_TEXT_MAX = 4 << 20 };

static const char no_memory_text[] =
    "{\"type\":\"urn:gpudispatch:problem:overloaded\",\"title\":\"Overloaded\",\"status\":503,\"detail\":"
    "\"out of memory. "
    "Fix: try again after Retry-After "
    "seconds.\",\"instance\":\"\",\"code\":\"overloaded\",\"number\":1013,\"fix\":\"try "
    "again after Retry-After "
    "seconds\",\"stage\":\"server\",\"retryable\":true,\"errors\":[],\"diagnostics\":[],\"log\":"
    "\"\",\"error\":\"out of memory. Fix: try again after Retry-After seconds.\"}\n";

static struct gd_exchange no_memory = {
    .state = GD_EXCHANGE_DONE,
    .response = {.status = 503,
		 .header_count = 2,
		 .headers = {{"Content-Type", "application/problem+json"}, {"Retry-After", "1"}},
		 .piece_count = 1,
		 .pieces = {{no_memory_text, sizeof no_memory_text - 1}},
		 .close = true},
};

const char *gd_exchange_header(const struct gd_exchange *exchange, const char *name)
{
	return exchange->head.header ? exchange->head.header(exchange->head.owner, name) : NULL;
}

void gd_exchange_set(struct gd_exchange *exchange, enum gd_exchange_state state)
{
	bool was_waiting = exchange->state == GD_EXCHANGE_WAITING;
	exchange->state = state;
	if (was_waiting && state != GD_EXCHANGE_WAITING && !exchange->entered && exchange->head.wake)
		exchange->head.wake(exchange->head.owner);
}

void gd_exchange_add_header(struct gd_exchange *exchange, const char *name, const char *value)
{
	struct gd_response *response = &exchange->response;
	if (response->header_count < GD_HEADERS_MAX) {
		response->headers[response->header_count].name = name;
		response->headers[response->header_count++].value = value;
	}
}

void gd_exchange_answer_memory(struct gd_exchange *exchange, unsigned status, const char *content_type,
			       const void *data, size_t bytes)
{
	struct gd_response *response = &exchange->response;
	response->status = status;
	if (content_type)
		gd_exchange_add_header(exchange, "Content-Type", content_type);
	response->piece_count = bytes ? 1 : 0;
	response->pieces[0] = (struct gd_piece){data, bytes};
	response->body_omitted = exchange->is_head;
	gd_exchange_set(exchange, GD_EXCHANGE_DONE);
}

void gd_exchange_answer(struct gd_exchange *exchange, unsigned status, const char *content_type)
{
	if (exchange->text.failed) {
		struct gd_error error;
		gd_error_set(&error, GD_OVERLOADED, NULL, "no memory for the answer");
		gd_exchange_refuse(exchange, &error);
		return;
	}
	gd_exchange_answer_memory(exchange, status, content_type, exchange->text.data, exchange->text.len);
}

bool gd_exchange_not_modified(struct gd_exchange *exchange, const char *etag)
{
	snprintf(exchange->etag, sizeof exchange->etag, "%s", etag);
	gd_exchange_add_header(exchange, "ETag", exchange->etag);
	if (!gd_etag_listed(gd_exchange_header(exchange, "If-None-Match"), exchange->etag))
		return false;
	gd_exchange_answer_memory(exchange, 304, NULL, NULL, 0);
	return true;
}

/* Will what is not here now be here soon: the compiler, or a device? */
static bool is_starting(struct gd_api *api)
{
	struct gd_toolchain toolchain = {0};
	gd_engine_toolchain(api->engine, &toolchain);
	if (!toolchain.known)
		return true;
	gd_auto_free struct gd_device_status *devices = calloc(GD_DEVICES_MAX, sizeof *devices);
	uint32_t count = devices ? gd_engine_devices(api->engine, devices) : 0;
	for (uint32_t i = 0; i < count; i++)
		if (devices[i].state == GD_DEVICE_STARTING || devices[i].state == GD_DEVICE_RECOVERING)
			return true;
	return false;
}

void gd_exchange_refuse_with(struct gd_exchange *exchange, const struct gd_problem *problem)
{
	struct gd_problem full = *problem;
	const struct gd_problem_row *row = gd_problem_row(problem->error->code);
	full.instance = exchange->head.request_id;
	if (!full.status)
		full.status = row->status;
	if (problem->error->code == GD_BACKEND_UNAVAILABLE && exchange->lane)
		full.is_temporary |= is_starting(exchange->lane->api);
	unsigned retry_after_s = row->retry_after_s ? row->retry_after_s : full.is_temporary;
	exchange->response = (struct gd_response){0};
	gd_buf_done(&exchange->text);
	gd_buf_init(&exchange->text, PROBLEM_TEXT_MAX);
	if (!gd_problem_write(&exchange->text, &full)) {
		exchange->response = no_memory.response;
		exchange->response.body_omitted = exchange->is_head;
		gd_exchange_set(exchange, GD_EXCHANGE_DONE);
		return;
	}
	if (exchange->lane && (unsigned)problem->error->code < GD_CODE_COUNT)
		gd_stat_add(&exchange->lane->stats.refused[problem->error->code], 1);
	if (retry_after_s) {
		snprintf(exchange->retry_after, sizeof exchange->retry_after, "%u", retry_after_s);
		gd_exchange_add_header(exchange, "Retry-After", exchange->retry_after);
	}
	if (full.status == 405)
		gd_exchange_add_header(exchange, "Allow", exchange->allow);
	if (full.status == 415 && exchange->route && exchange->route->accept_post)
		gd_exchange_add_header(exchange, "Accept-Post", exchange->route->accept_post);
	if (full.status == 401)
		gd_exchange_add_header(exchange, "WWW-Authenticate", "Bearer realm=\"gpudispatch\"");
	gd_exchange_answer_memory(exchange, full.status, "application/problem+json", exchange->text.data,
				  exchange->text.len);
}

void gd_exchange_refuse(struct gd_exchange *exchange, const struct gd_error *error)
{
	gd_exchange_refuse_with(exchange, &(struct gd_problem){.error = error});
}

bool gd_exchange_refuse_length(struct gd_exchange *exchange, uint64_t max, const char *what)
{
	if (exchange->head.body_bytes < 0 || (uint64_t)exchange->head.body_bytes <= max)
		return false;
	struct gd_error error;
	gd_error_set(&error, GD_TOO_LARGE, NULL, "%s has %" PRId64 " bytes; the limit is %" PRIu64, what,
		     exchange->head.body_bytes, max);
	gd_exchange_refuse(exchange, &error);
	return true;
}

bool gd_exchange_refuse_encoding(struct gd_exchange *exchange)
{
	const char *encoding = gd_exchange_header(exchange, "Content-Encoding");
	if (!encoding || !*encoding || !strcmp(encoding, "identity"))
		return false;
	struct gd_error error;
	gd_error_set(&error, GD_UNSUPPORTED_MEDIA_TYPE, "send the body as it is, without Content-Encoding",
		     "bodies may not be encoded (\"%.40s\")", encoding);
	gd_exchange_refuse(exchange, &error);
	gd_exchange_add_header(exchange, "Accept-Encoding", "identity");
	return true;
}

static void find_route(struct gd_exchange *exchange)
{
	struct gd_error error;
	if (!gd_target_parse(exchange->head.target, &exchange->target, &error)) {
		gd_exchange_refuse(exchange, &error);
		return;
	}
	switch (gd_route_find(exchange->head.method, &exchange->target, &exchange->route, &exchange->id,
			      exchange->allow)) {
	case GD_ROUTE_FOUND:
		break;
	case GD_ROUTE_UNKNOWN:
		gd_error_set(&error, GD_NOT_FOUND, "GET /openapi.yaml lists the paths",
			     "there is no such path");
		gd_exchange_refuse(exchange, &error);
		return;
	case GD_ROUTE_WRONG_METHOD:
		gd_error_set(&error, GD_METHOD_NOT_ALLOWED, NULL, "this path takes %s only", exchange->allow);
		gd_exchange_refuse(exchange, &error);
		return;
	}
	const struct gd_route *route = exchange->route;
	if (route->query && !gd_target_only(&exchange->target, route->query, &error)) {
		gd_exchange_refuse(exchange, &error);
		return;
	}
	if (!route->accept_post && gd_exchange_refuse_length(exchange, UNWANTED_BODY_MAX, "the body"))
		return;
	if (route->handler->begin)
		route->handler->begin(exchange);
}

struct gd_exchange *gd_exchange_new(struct gd_api_lane *lane, const struct gd_head *head)
{
	struct gd_exchange *exchange = calloc(1, sizeof *exchange);
	if (!exchange)
		return &no_memory;
	exchange->lane = lane;
	exchange->head = *head;
	exchange->is_head = !strcmp(head->method, "HEAD");
	gd_buf_init(&exchange->text, PROBLEM_TEXT_MAX);
	gd_stat_add(&lane->stats.inflight, 1);
	exchange->entered++;
	find_route(exchange);
	exchange->entered--;
	return exchange;
}

struct gd_exchange *gd_exchange_refusal(struct gd_api_lane *lane, const struct gd_head *head,
					const struct gd_error *error, unsigned status, bool close)
{
	struct gd_exchange *exchange = calloc(1, sizeof *exchange);
	if (!exchange)
		return &no_memory;
	exchange->lane = lane;
	exchange->head = *head;
	exchange->is_head = head->method && !strcmp(head->method, "HEAD");
	if (lane)
		gd_stat_add(&lane->stats.inflight, 1);
	exchange->entered++;
	gd_exchange_refuse_with(exchange, &(struct gd_problem){.error = error, .status = status});
	exchange->entered--;
	exchange->response.close = close;
	return exchange;
}

void gd_exchange_free(struct gd_exchange *exchange)
{
	if (!exchange || exchange == &no_memory)
		return;
	exchange->entered++; /* whatever ends now wakes nobody */
	if (exchange->route && exchange->route->handler->drop && exchange->work)
		exchange->route->handler->drop(exchange);
	if (exchange->lane)
		gd_stat_add(&exchange->lane->stats.inflight, UINT64_MAX);
	gd_target_done(&exchange->target);
	gd_buf_done(&exchange->text);
	free(exchange);
}

enum gd_exchange_state gd_exchange_state(const struct gd_exchange *exchange)
{
	return exchange->state;
}

size_t gd_exchange_body(struct gd_exchange *exchange, const void *data, size_t bytes)
{
	if (exchange->state == GD_EXCHANGE_DONE)
		return bytes;
	if (exchange->state == GD_EXCHANGE_WAITING)
		return 0;
	if (!exchange->route->handler->body)
		return bytes;
	exchange->entered++;
	size_t taken = exchange->route->handler->body(exchange, data, bytes);
	exchange->entered--;
	return exchange->state == GD_EXCHANGE_DONE ? bytes : taken;
}

void gd_exchange_end(struct gd_exchange *exchange)
{
	if (exchange->state == GD_EXCHANGE_DONE || exchange->is_ended)
		return;
	exchange->is_ended = true;
	exchange->entered++;
	exchange->route->handler->end(exchange);
	exchange->entered--;
}

const struct gd_response *gd_exchange_response(const struct gd_exchange *exchange)
{
	return &exchange->response;
}

const char *gd_exchange_timing(const struct gd_exchange *exchange)
{
	return exchange->timing;
}

const char *gd_exchange_route(const struct gd_exchange *exchange)
{
	return exchange->route ? exchange->route->template : "other";
}
