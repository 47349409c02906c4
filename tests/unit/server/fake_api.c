/*
 * A small API and engine in the place of the real ones, so that server/ is tested on its own: endpoints that
 * echo, wait, take bodies slowly, refuse early or answer with bodies that come in pieces. /counts tells what
 * is alive, so that tests see that every exchange was freed.
 */
#include "tests/unit/server/fake_api.h"

#include "api/api.h"
#include "api/exchange.h"
#include "gpu/base/buf.h"
#include "gpu/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ECHO_MAX = 64 << 20, GATE_BYTES = 1000, SMALL_MAX = 1000 };

struct gd_api {
	struct gd_server_facts *facts;
	_Atomic uint64_t made, freed, counted, ends;
};

struct gd_api_lane {
	struct gd_api *api;
	struct gd_loop *loop;
};

enum kind { ANSWER, ECHO, SLOW, GATE, SMALL, LATE, PULL, HANG, BROKEN_PULL };

struct gd_exchange {
	struct gd_api_lane *lane;
	struct gd_head head;
	enum kind kind;
	enum gd_exchange_state state;
	struct gd_response response;
	struct gd_buf text;
	struct gd_timer timer;
	const char *route;
	uint64_t number, taken, pulled;
	bool ready, ended;
};

static const char *path_of(const struct gd_exchange *exchange, char out[64])
{
	size_t bytes = strcspn(exchange->head.target, "?");
	snprintf(out, 64, "%.*s", bytes > 63 ? 63 : (int)bytes, exchange->head.target);
	return out;
}

static uint64_t parameter(const struct gd_exchange *exchange, const char *name)
{
	const char *found = strstr(exchange->head.target, name);
	return found ? strtoull(found + strlen(name) + 1, NULL, 10) : 0;
}

static void set(struct gd_exchange *exchange, enum gd_exchange_state state)
{
	exchange->state = state;
	exchange->head.wake(exchange->head.owner);
}

static void header(struct gd_exchange *exchange, const char *name, const char *value)
{
	unsigned i = exchange->response.header_count++;
	exchange->response.headers[i].name = name;
	exchange->response.headers[i].value = value;
}

static void answer(struct gd_exchange *exchange, unsigned status)
{
	exchange->response.status = status;
	exchange->response.close = exchange->text.failed;
	header(exchange, "Content-Type", "text/plain");
	exchange->response.piece_count = 1;
	exchange->response.pieces[0] = (struct gd_piece){exchange->text.data, exchange->text.len};
	exchange->response.body_omitted = strcmp(exchange->head.method, "HEAD") == 0;
	set(exchange, GD_EXCHANGE_DONE);
}

static void on_timer(struct gd_timer *timer);

static void later(struct gd_exchange *exchange, uint64_t ms)
{
	exchange->state = GD_EXCHANGE_WAITING;
	if (!gd_loop_arm(exchange->lane->loop, &exchange->timer, gd_now_ns() + ms * GD_NS_PER_MS))
		on_timer(&exchange->timer);
}

/* Bytes of a pulled body: a pattern that shows a shift. */
static int64_t pull(struct gd_exchange *exchange, uint64_t offset, void *data, size_t bytes)
{
	if (exchange->kind == BROKEN_PULL && offset >= 100000)
		return -1;
	if (parameter(exchange, "stall") && !exchange->ready) {
		bool armed = gd_loop_arm(exchange->lane->loop, &exchange->timer, gd_now_ns() + GD_NS_PER_MS);
		return armed ? 0 : -1;
	}
	exchange->ready = false;
	uint64_t left = exchange->number - offset;
	if (bytes > left)
		bytes = (size_t)left;
	for (size_t i = 0; i < bytes; i++)
		((unsigned char *)data)[i] = (unsigned char)((offset + i) * 2654435761u >> 16);
	exchange->pulled += bytes;
	return (int64_t)bytes;
}

static void on_timer(struct gd_timer *timer)
{
	struct gd_exchange *exchange = gd_container(timer, struct gd_exchange, timer);
	switch (exchange->kind) {
	case SLOW:
		gd_buf_puts(&exchange->text, "slow");
		answer(exchange, 200);
		break;
	case LATE:
		gd_buf_puts(&exchange->text, "refused late");
		answer(exchange, 413);
		break;
	case GATE:
		set(exchange, GD_EXCHANGE_BODY);
		break;
	default:
		exchange->ready = true;
		exchange->head.wake(exchange->head.owner);
		break;
	}
}

static void tell_counts(struct gd_exchange *exchange)
{
	struct gd_api *api = exchange->lane->api;
	gd_buf_printf(
	    &exchange->text,
	    "{\"alive\": %lld, \"made\": %llu, \"counted\": %llu, \"ends\": %llu, \"connections\": %llu}\n",
	    (long long)(api->made - api->freed), (unsigned long long)api->made,
	    (unsigned long long)api->counted, (unsigned long long)api->ends,
	    (unsigned long long)api->facts->connections);
	answer(exchange, 200);
}

static void tell_head(struct gd_exchange *exchange)
{
	static const char *const names[] = {"Host", "Content-Type", "X-Test", "traceparent"};
	gd_buf_printf(&exchange->text, "method=%s\ntarget=%s\nbody_bytes=%lld\n", exchange->head.method,
		      exchange->head.target, (long long)exchange->head.body_bytes);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = exchange->head.header(exchange->head.owner, names[i]);
		if (value)
			gd_buf_printf(&exchange->text, "%s=%s\n", names[i], value);
	}
	answer(exchange, 200);
}

static void begin(struct gd_exchange *exchange)
{
	char path[64];
	path_of(exchange, path);
	exchange->route = "/fake";
	if (strcmp(path, "/livez") == 0) {
		gd_buf_puts(&exchange->text, "live\n");
		answer(exchange, 200);
	} else if (strcmp(path, "/readyz") == 0) {
		bool draining = exchange->lane->api->facts->draining;
		gd_buf_puts(&exchange->text, draining ? "draining\n" : "ready\n");
		answer(exchange, draining ? 503 : 200);
	} else if (strcmp(path, "/counts") == 0 || strcmp(path, "/metrics") == 0) {
		tell_counts(exchange);
	} else if (strcmp(path, "/head") == 0) {
		tell_head(exchange);
	} else if (strcmp(path, "/nothing") == 0) {
		answer(exchange, 204);
		exchange->response.header_count = exchange->response.piece_count = 0;
	} else if (strcmp(path, "/pieces") == 0) {
		gd_buf_puts(&exchange->text, "one two three");
		answer(exchange, 200);
		exchange->response.piece_count = 3;
		exchange->response.pieces[0] = (struct gd_piece){exchange->text.data, 4};
		exchange->response.pieces[1] = (struct gd_piece){exchange->text.data + 4, 0};
		exchange->response.pieces[2] = (struct gd_piece){exchange->text.data + 4, 9};
	} else if (strcmp(path, "/pull") == 0 || strcmp(path, "/broken-pull") == 0) {
		exchange->kind = path[1] == 'b' ? BROKEN_PULL : PULL;
		exchange->number = parameter(exchange, "bytes");
		gd_buf_puts(&exchange->text, "head:");
		answer(exchange, 200);
		exchange->response.pull_bytes = exchange->number;
		exchange->response.pull = pull;
	} else if (strcmp(path, "/echo") == 0) {
		exchange->kind = ECHO;
	} else if (strcmp(path, "/slow") == 0) {
		exchange->kind = SLOW;
	} else if (strcmp(path, "/hang") == 0) {
		exchange->kind = HANG;
	} else if (strcmp(path, "/gate") == 0) {
		exchange->kind = GATE;
	} else if (strcmp(path, "/gate-first") == 0) {
		exchange->kind = GATE;
		later(exchange, 20);
	} else if (strcmp(path, "/late") == 0) {
		exchange->kind = LATE;
	} else if (strcmp(path, "/small") == 0) {
		exchange->kind = SMALL;
		if (exchange->head.body_bytes > SMALL_MAX) {
			gd_buf_puts(&exchange->text, "too large");
			answer(exchange, 413);
		}
	} else {
		exchange->route = "other";
		gd_buf_puts(&exchange->text, "not found");
		answer(exchange, 404);
	}
}

static struct gd_exchange no_memory = {
    .state = GD_EXCHANGE_DONE, .route = "other", .response = {.status = 503, .close = true}};

static struct gd_exchange *make(struct gd_api_lane *lane, const struct gd_head *head)
{
	struct gd_exchange *exchange = calloc(1, sizeof *exchange);
	if (!exchange)
		return &no_memory;
	exchange->lane = lane;
	exchange->head = *head;
	exchange->timer.fn = on_timer;
	exchange->route = "other";
	gd_buf_init(&exchange->text, ECHO_MAX);
	atomic_fetch_add(&lane->api->made, 1);
	return exchange;
}

struct gd_exchange *gd_exchange_new(struct gd_api_lane *lane, const struct gd_head *head)
{
	struct gd_exchange *exchange = make(lane, head);
	if (exchange != &no_memory)
		begin(exchange);
	return exchange;
}

struct gd_exchange *gd_exchange_refusal(struct gd_api_lane *lane, const struct gd_head *head,
					const struct gd_error *error, unsigned status, bool close)
{
	struct gd_exchange *exchange = make(lane, head);
	if (exchange == &no_memory)
		return exchange;
	gd_buf_printf(&exchange->text, "refused: %s", error->text);
	exchange->state = GD_EXCHANGE_DONE;
	exchange->response = (struct gd_response){.status = status, .close = close, .piece_count = 1};
	exchange->response.pieces[0] = (struct gd_piece){exchange->text.data, exchange->text.len};
	if (status == 503)
		header(exchange, "Retry-After", "1");
	return exchange;
}

void gd_exchange_free(struct gd_exchange *exchange)
{
	if (!exchange || exchange == &no_memory)
		return;
	gd_loop_disarm(exchange->lane->loop, &exchange->timer);
	gd_buf_done(&exchange->text);
	atomic_fetch_add(&exchange->lane->api->freed, 1);
	free(exchange);
}

enum gd_exchange_state gd_exchange_state(const struct gd_exchange *exchange)
{
	return exchange->state;
}

size_t gd_exchange_body(struct gd_exchange *exchange, const void *data, size_t bytes)
{
	if (exchange->state == GD_EXCHANGE_WAITING)
		return 0;
	if (exchange->kind == GATE && bytes > GATE_BYTES)
		bytes = GATE_BYTES;
	exchange->taken += bytes;
	if (exchange->kind == ECHO || exchange->kind == GATE)
		gd_buf_add(&exchange->text, data, bytes);
	if (exchange->kind == GATE && exchange->taken / GATE_BYTES != (exchange->taken - bytes) / GATE_BYTES)
		later(exchange, parameter(exchange, "ms") ? parameter(exchange, "ms") : 1);
	if (exchange->kind == LATE && exchange->taken >= SMALL_MAX)
		later(exchange, 20);
	if (exchange->kind == SMALL && exchange->taken > SMALL_MAX) {
		gd_buf_puts(&exchange->text, "too large");
		answer(exchange, 413);
	}
	return bytes;
}

void gd_exchange_end(struct gd_exchange *exchange)
{
	atomic_fetch_add(&exchange->lane->api->ends, 1);
	if (exchange->ended)
		abort();
	exchange->ended = true;
	switch (exchange->kind) {
	case ECHO:
	case GATE:
		answer(exchange, 200);
		break;
	case SLOW:
		later(exchange, parameter(exchange, "ms"));
		break;
	case HANG:
		exchange->state = GD_EXCHANGE_WAITING;
		break;
	case LATE:
	case SMALL:
		gd_buf_puts(&exchange->text, "fits");
		answer(exchange, 200);
		break;
	default:
		break;
	}
}

const struct gd_response *gd_exchange_response(const struct gd_exchange *exchange)
{
	return &exchange->response;
}

const char *gd_exchange_timing(const struct gd_exchange *exchange)
{
	return exchange->kind == ECHO ? "kernel;dur=0.5" : "";
}

const char *gd_exchange_route(const struct gd_exchange *exchange)
{
	return exchange->route;
}

void gd_api_config_init(struct gd_api_config *out_config)
{
	memset(out_config, 0, sizeof *out_config);
}

bool gd_api_new(const struct gd_api_config *config, struct gd_engine *engine, struct gd_server_facts *facts,
		struct gd_api **out_api, struct gd_error *error)
{
	(void)config;
	(void)engine;
	struct gd_api *api = calloc(1, sizeof *api);
	if (!api)
		return gd_error_errno(error, ENOMEM, "fake");
	api->facts = facts;
	*out_api = api;
	return true;
}

uint64_t gd_fake_api_alive(const struct gd_api *api)
{
	return api->made - api->freed;
}

void gd_api_free(struct gd_api *api)
{
	if (api && api->made != api->freed)
		fprintf(stderr, "fake api: %llu exchanges were not freed\n",
			(unsigned long long)(api->made - api->freed));
	free(api);
}

bool gd_api_lane_new(struct gd_api *api, uint32_t index, struct gd_lane *lane, struct gd_loop *loop,
		     struct gd_api_lane **out_lane, struct gd_error *error)
{
	(void)index;
	(void)lane;
	struct gd_api_lane *made = calloc(1, sizeof *made);
	if (!made)
		return gd_error_errno(error, ENOMEM, "fake");
	*made = (struct gd_api_lane){.api = api, .loop = loop};
	*out_lane = made;
	return true;
}

void gd_api_lane_free(struct gd_api_lane *lane)
{
	free(lane);
}

void gd_api_lane_count(struct gd_api_lane *lane, const char *method, const char *route, unsigned status,
		       uint64_t duration_ns)
{
	(void)method;
	(void)route;
	(void)duration_ns;
	if (status)
		atomic_fetch_add(&lane->api->counted, 1);
}

void gd_api_print_routes(void)
{
	puts("GET /livez");
}
