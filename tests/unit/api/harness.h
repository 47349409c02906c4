/*
 * Whole exchanges within a test: an API over the fake engine, and a client that feeds a request in pieces and
 * reads the answer. Included by the tests that need it; one thread.
 */
#ifndef GD_TESTS_API_HARNESS_H
#define GD_TESTS_API_HARNESS_H

#include "api/api.h"
#include "api/exchange.h"
#include "gpu/base/buf.h"
#include "gpu/base/clock.h"
#include "tests/unit/api/fake_engine.c"
#include "tests/unit/api/fake_dispatch.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PATIENCE_NS (10 * GD_NS_PER_S)

struct bench {
	struct gd_engine engine;
	struct gd_server_facts facts;
	struct gd_api_config config;
	struct gd_loop *loop;
	struct gd_api *api;
	struct gd_lane *lane;
	struct gd_api_lane *api_lane;
	struct gd_error error;
};

struct ask {
	const char *method, *target;
	const char *headers[9]; /* name, value, …, NULL */
	const void *body;
	size_t bytes;
	size_t piece;    /* 0: all at once */
	bool is_chunked; /* no Content-Length */
};

struct reply {
	unsigned status;
	char *headers; /* "name: value\n" of each */
	struct gd_buf body;
	unsigned pieces;
	const void *last_piece;
	json_t *json; /* when the body is JSON */
	const char *route;
};

static unsigned wakes;

static const char *find_header(void *owner, const char *name)
{
	const struct ask *ask = owner;
	for (unsigned i = 0; i + 1 < 9 && ask->headers[i]; i += 2)
		if (!strcasecmp(ask->headers[i], name))
			return ask->headers[i + 1];
	return NULL;
}

static void count_wake(void *owner)
{
	(void)owner;
	wakes++;
}

static struct gd_head head_of(const struct ask *ask)
{
	struct gd_head head = {.method = ask->method,
			       .target = ask->target,
			       .body_bytes = ask->is_chunked ? -1 : (int64_t)ask->bytes,
			       .header = find_header,
			       .owner = (void *)(uintptr_t)ask,
			       .wake = count_wake,
			       .request_id = "request-7",
			       .started_ns = gd_now_ns()};
	return head;
}

/* Run the loop until the exchange no longer waits. */
__attribute__((unused)) static void settle_exchange(struct bench *bench, struct gd_exchange *exchange)
{
	uint64_t end = gd_now_ns() + PATIENCE_NS;
	while (gd_exchange_state(exchange) == GD_EXCHANGE_WAITING) {
		unsigned before = wakes;
		gd_loop_run(bench->loop, 100);
		if (gd_exchange_state(exchange) != GD_EXCHANGE_WAITING)
			assert_true(wakes > before);
		assert_true(gd_now_ns() < end);
	}
}

static void read_response(struct bench *bench, struct gd_exchange *exchange, struct reply *reply)
{
	const struct gd_response *response = gd_exchange_response(exchange);
	struct gd_buf headers;
	gd_buf_init(&headers, 4096);
	reply->status = response->status;
	for (unsigned i = 0; i < response->header_count; i++)
		assert_true(gd_buf_printf(&headers, "%s: %s\n", response->headers[i].name,
					  response->headers[i].value));
	reply->headers = gd_buf_take(&headers, NULL);
	gd_buf_init(&reply->body, 1 << 28);
	reply->pieces = response->piece_count;
	for (unsigned i = 0; i < response->piece_count && !response->body_omitted; i++) {
		reply->last_piece = response->pieces[i].data;
		assert_true(gd_buf_add(&reply->body, response->pieces[i].data, response->pieces[i].bytes));
	}
	uint64_t offset = 0, end = gd_now_ns() + PATIENCE_NS;
	static char part[7001]; /* no multiple of anything */
	while (response->pull && offset < response->pull_bytes) {
		size_t want = response->pull_bytes - offset < sizeof part
				  ? (size_t)(response->pull_bytes - offset)
				  : sizeof part;
		unsigned before = wakes;
		int64_t got = response->pull(exchange, offset, part, want);
		assert_true(got >= 0);
		assert_true(gd_now_ns() < end);
		if (!got) {
			while (wakes == before) {
				gd_loop_run(bench->loop, 100);
				assert_true(gd_now_ns() < end);
			}
		}
		assert_true(gd_buf_add(&reply->body, part, (size_t)got));
		offset += (uint64_t)got;
	}
	const char *text = reply->body.data;
	if (text && (text[0] == '{' || text[0] == '['))
		reply->json = json_loadb(text, reply->body.len, JSON_REJECT_DUPLICATES, NULL);
}

/* Feed the body in pieces as the server does; returns the exchange, DONE or (is_left) waiting. */
static struct gd_exchange *feed_exchange(struct bench *bench, const struct ask *ask)
{
	struct gd_head head = head_of(ask);
	struct gd_exchange *exchange = gd_exchange_new(bench->api_lane, &head);
	assert_non_null(exchange);
	size_t at = 0, piece = ask->piece ? ask->piece : ask->bytes;
	uint64_t end = gd_now_ns() + PATIENCE_NS;
	while (at < ask->bytes && gd_exchange_state(exchange) != GD_EXCHANGE_DONE) {
		settle_exchange(bench, exchange);
		size_t want = ask->bytes - at < piece ? ask->bytes - at : piece;
		/* a copy of just that size, so that reading past it is seen */
		char *copy = malloc(want);
		assert_non_null(copy);
		memcpy(copy, (const char *)ask->body + at, want);
		size_t taken = gd_exchange_body(exchange, copy, want);
		free(copy);
		assert_true(taken <= want);
		if (taken < want)
			assert_int_equal(gd_exchange_state(exchange), GD_EXCHANGE_WAITING);
		at += taken;
		assert_true(gd_now_ns() < end);
	}
	settle_exchange(bench, exchange);
	if (gd_exchange_state(exchange) != GD_EXCHANGE_DONE)
		gd_exchange_end(exchange);
	return exchange;
}

__attribute__((unused)) static struct reply send_ask(struct bench *bench, const struct ask *ask)
{
	struct reply reply = {0};
	struct gd_exchange *exchange = feed_exchange(bench, ask);
	settle_exchange(bench, exchange);
	read_response(bench, exchange, &reply);
	reply.route = gd_exchange_route(exchange);
	gd_exchange_free(exchange);
	return reply;
}

__attribute__((unused)) static void reply_done(struct reply *reply)
{
	free(reply->headers);
	json_decref(reply->json);
	gd_buf_done(&reply->body);
	*reply = (struct reply){0};
}

#define auto_reply __attribute__((cleanup(reply_done))) struct reply

/* A JSON body, answered. */
__attribute__((unused)) static struct reply post_json(struct bench *bench, const char *target,
						      const char *body)
{
	return send_ask(bench, &(struct ask){.method = "POST",
					     .target = target,
					     .headers = {"Content-Type", "application/json"},
					     .body = body,
					     .bytes = strlen(body)});
}

__attribute__((unused)) static struct reply get(struct bench *bench, const char *target)
{
	return send_ask(bench, &(struct ask){.method = "GET", .target = target});
}

__attribute__((unused)) static const char *text_of(const struct reply *reply, const char *member)
{
	const char *text = json_string_value(json_object_get(reply->json, member));
	return text ? text : "";
}

__attribute__((unused)) static json_int_t number_of(const struct reply *reply, const char *member)
{
	return json_integer_value(json_object_get(reply->json, member));
}

/* A problem of that status and number, with a fix; prints `why` and the body when it is not. */
__attribute__((unused)) static void assert_problem(const struct reply *reply, unsigned status, int number,
						   const char *why)
{
	if (reply->status != status || number_of(reply, "number") != number ||
	    !strstr(text_of(reply, "detail"), "Fix: ") ||
	    !strstr(reply->headers, "application/problem+json")) {
		print_error("%s: %u instead of %u, %s\n", why, reply->status, status,
			    reply->body.data ? reply->body.data : "");
		fail();
	}
	assert_string_equal(text_of(reply, "error"), text_of(reply, "detail"));
	assert_string_equal(text_of(reply, "instance"), "request-7");
	assert_int_equal(number_of(reply, "status"), status);
}

__attribute__((unused)) static int bench_up(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);
	assert_non_null(bench);
	gd_api_config_init(&bench->config);
	assert_true(gd_loop_new(&bench->loop, &bench->error));
	fake_engine_init(&bench->engine, bench->loop);
	assert_true(gd_api_new(&bench->config, &bench->engine, &bench->facts, &bench->api, &bench->error));
	assert_true(gd_lane_new(&bench->engine, 0, bench->loop, &bench->lane, &bench->error));
	assert_true(
	    gd_api_lane_new(bench->api, 0, bench->lane, bench->loop, &bench->api_lane, &bench->error));
	*state = bench;
	return 0;
}

__attribute__((unused)) static int bench_down(void **state)
{
	struct bench *bench = *state;
	gd_api_lane_free(bench->api_lane);
	gd_lane_free(bench->lane);
	gd_api_free(bench->api);
	assert_int_equal(bench->engine.dispatches_alive, 0);
	assert_int_equal(bench->engine.kernels_alive, 0);
	gd_loop_free(bench->loop);
	free(bench);
	return 0;
}

#define SAXPY                                                                                                \
	"extern \"C\" __global__ void saxpy(float a, const float *x, float *y, int n)\n"                     \
	"{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = a * x[i] + y[i]; }\n"
#define SAXPY_JSON                                                                                           \
	"extern \\\"C\\\" __global__ void saxpy(float a, const float *x, float *y, int n)\\n"                \
	"{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = a * x[i] + y[i]; }\\n"

/* Make a pipeline from JSON members beside the source (", \"kernel\": …" or ""); its id is written to out_id.
 */
__attribute__((unused)) static void make_pipeline_of(struct bench *bench, const char *more, char out_id[128])
{
	char body[2048];
	snprintf(body, sizeof body, "{\"source\": \"%s\"%s}", SAXPY_JSON, more);
	auto_reply reply = post_json(bench, "/pipelines", body);
	if (reply.status != 201 && reply.status != 200)
		print_error("%u %s\n", reply.status, reply.body.data);
	assert_true(reply.status == 201 || reply.status == 200);
	snprintf(out_id, 128, "%s", text_of(&reply, "id"));
}

#endif
