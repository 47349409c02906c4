/*
 * A request's way through the daemon's callbacks. See connection.h.
 *
 * The daemon calls the handler once when the headers are in, then with pieces of the body, then once more at
 * its end; after a suspension it repeats the call that was under way. A response queued in the first call
 * ends the connection, so a request without a body is answered in the last one.
 */
#include "gpu/base/clock.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/shard.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static const char *find_header(void *owner, const char *name)
{
	struct gd_connection *connection = owner;
	return MHD_lookup_connection_value(connection->daemon, MHD_HEADER_KIND, name);
}

static bool keep_target(struct gd_request *request, const char *target)
{
	size_t bytes = strnlen(target, GD_TARGET_BYTES_MAX + 1);
	if (bytes >= request->target_cap) {
		size_t cap = bytes < 256 ? 256 : GD_TARGET_BYTES_MAX + 2;
		char *grown = realloc(request->target, cap);
		if (!grown)
			return false;
		request->target = grown;
		request->target_cap = cap;
	}
	memcpy(request->target, target, bytes);
	request->target[bytes] = '\0';
	return true;
}

void *gd_request_line(void *closure, const char *target, struct MHD_Connection *daemon)
{
	struct gd_shard *shard = closure;
	struct gd_connection *connection = gd_connection_of(daemon);
	struct gd_request *request = &connection->request;
	char *kept = request->target;
	size_t cap = request->target_cap;
	*request =
	    (struct gd_request){.step = GD_STEP_HEAD, .target = kept, .target_cap = cap, .target_at = target};
	request->head.started_ns = gd_now_ns();
	atomic_fetch_add(&shard->requests, 1);
	if (connection->phase != GD_WIRE_HEAD)
		gd_connection_enter(connection, GD_WIRE_HEAD, shard->limits->header_ns);
	return keep_target(request, target ? target : "") ? request : NULL;
}

/* Called by the exchange when it may go on. Inside a call the caller looks at the state afterwards anyway. */
static void wake(void *owner)
{
	struct gd_connection *connection = owner;
	struct gd_request *request = &connection->request;
	if (connection->inside || connection->ending || !request->exchange)
		return;
	enum gd_exchange_state state = gd_exchange_state(request->exchange);
	if (state == GD_EXCHANGE_WAITING)
		return;
	/* the daemon calls again only when more of the body comes, which may never be */
	if (state == GD_EXCHANGE_DONE && request->step == GD_STEP_BODY)
		gd_reply_cut(connection);
	else
		gd_connection_resume(connection);
}

static enum MHD_Result take_header(void *closure, enum MHD_ValueKind kind, const char *name,
				   size_t name_bytes, const char *value, size_t value_bytes)
{
	struct gd_guard_request *view = closure;
	struct gd_guard_header *headers = (struct gd_guard_header *)(uintptr_t)view->headers;
	(void)kind;
	if (view->header_count > GD_HEADERS_MAX_COUNT)
		return MHD_NO;
	headers[view->header_count++] = (struct gd_guard_header){
	    .name = name, .name_bytes = name_bytes, .value = value ? value : "", .value_bytes = value_bytes};
	return MHD_YES;
}

static bool judge(struct gd_connection *connection, const char *method, const char *version,
		  struct gd_guard_verdict *verdict)
{
	struct gd_request *request = &connection->request;
	const union MHD_ConnectionInfo *size =
	    MHD_get_connection_info(connection->daemon, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct gd_guard_request view = {
	    .method = method,
	    .target = request->target,
	    .version = version,
	    .headers = connection->shard->headers,
	    .head_bytes = size ? size->header_size : 0,
	    .target_at = connection->shard->checks_layout ? request->target_at : NULL,
	};
	MHD_get_connection_values_n(connection->daemon, MHD_HEADER_KIND, take_header, &view);
	return gd_guard_check(&view, verdict);
}

static void fill_head(struct gd_connection *connection, const char *method)
{
	struct gd_request *request = &connection->request;
	struct gd_head *head = &request->head;
	const char *id = find_header(connection, "X-Request-ID");
	size_t bytes = strnlen(method, GD_METHOD_BYTES_MAX);
	memcpy(request->method, method, bytes);
	head->method = request->method;
	head->target = request->target;
	head->header = find_header;
	head->owner = connection;
	head->wake = wake;
	if (id && gd_request_id_is_valid(id))
		memcpy(head->request_id, id, strlen(id) + 1);
	else
		gd_request_id_make(&connection->shard->ids, head->request_id);
}

static void refuse(struct gd_connection *connection, enum gd_code code, unsigned status, const char *text,
		   const char *fix)
{
	struct gd_request *request = &connection->request;
	struct gd_error error;
	gd_error_set(&error, code, fix, "%s", text);
	gd_exchange_free(request->exchange);
	request->exchange =
	    gd_exchange_refusal(connection->shard->api_lane, &request->head, &error, status, true);
}

/* What a connection of the reserve may ask for. */
static bool is_vital(const char *target)
{
	static const char *const vital[] = {"/livez",          "/readyz",          "/health", "/metrics",
					    "/v2/health/live", "/v2/health/ready", "/version"};
	if (strncmp(target, "/v1/", 4) == 0)
		target += 3;
	size_t bytes = strcspn(target, "?");
	for (size_t i = 0; i < sizeof vital / sizeof *vital; i++)
		if (strlen(vital[i]) == bytes && memcmp(target, vital[i], bytes) == 0)
			return true;
	return false;
}

static void begin(struct gd_connection *connection, const char *method, const char *version)
{
	struct gd_request *request = &connection->request;
	struct gd_guard_verdict verdict;
	fill_head(connection, method);
	bool passes = judge(connection, method, version, &verdict);
	request->awaits_continue = verdict.awaits_continue;
	request->head.body_bytes = verdict.body_bytes;
	request->head.target = verdict.target;
	request->step = GD_STEP_BEGUN;
	if (!passes) {
		enum gd_code code = verdict.status == 400 ? GD_INVALID_REQUEST : GD_HEADERS_TOO_LARGE;
		refuse(connection, code, verdict.status, verdict.text, verdict.fix);
	} else if (connection->reserved && !is_vital(verdict.target)) {
		refuse(connection, GD_OVERLOADED, 503, "there are too many connections",
		       "try again in a second");
	} else {
		connection->inside = true;
		request->exchange = gd_exchange_new(connection->shard->api_lane, &request->head);
		connection->inside = false;
	}
}

/* Is the rest of the body short enough to be read for nothing, so that the connection can be kept? */
static bool is_short_rest(const struct gd_request *request)
{
	int64_t whole = request->head.body_bytes;
	return whole >= 0 && (uint64_t)whole - request->received <= GD_SWALLOW_MAX &&
	       !gd_exchange_response(request->exchange)->close;
}

static enum MHD_Result queue_or_close(struct gd_connection *connection)
{
	return gd_reply_queue(connection) ? MHD_YES : MHD_NO;
}

/* The daemon's first call, or its repetition after a suspension. */
static enum MHD_Result settle_head(struct gd_connection *connection)
{
	struct gd_request *request = &connection->request;
	bool has_body = request->head.body_bytes != 0;
	switch (gd_exchange_state(request->exchange)) {
	case GD_EXCHANGE_WAITING:
		gd_connection_enter(connection, GD_WIRE_WORK, connection->shard->limits->answer_ns);
		gd_connection_suspend(connection);
		return MHD_YES;
	case GD_EXCHANGE_BODY:
		request->step = GD_STEP_BODY;
		gd_connection_enter(connection, GD_WIRE_BODY, connection->shard->limits->body_ns);
		return MHD_YES;
	case GD_EXCHANGE_DONE:
		break;
	}
	if (request->awaits_continue || (!has_body && gd_exchange_response(request->exchange)->close))
		return queue_or_close(connection);
	if (!has_body || is_short_rest(request)) {
		request->step = GD_STEP_SWALLOW;
		gd_connection_enter(connection, GD_WIRE_BODY, connection->shard->limits->body_ns);
	} else {
		gd_reply_cut(connection);
	}
	return MHD_YES;
}

static enum MHD_Result take_body(struct gd_connection *connection, const char *data, size_t *bytes)
{
	struct gd_request *request = &connection->request;
	if (request->step != GD_STEP_BODY) {
		request->received += *bytes;
		*bytes = 0;
		return MHD_YES;
	}
	connection->inside = true;
	size_t taken = gd_exchange_body(request->exchange, data, *bytes);
	connection->inside = false;
	if (taken > *bytes)
		return MHD_NO;
	request->received += taken;
	*bytes -= taken;
	switch (gd_exchange_state(request->exchange)) {
	case GD_EXCHANGE_DONE:
		request->received += *bytes;
		*bytes = 0;
		if (is_short_rest(request))
			request->step = GD_STEP_SWALLOW;
		else
			gd_reply_cut(connection);
		return MHD_YES;
	case GD_EXCHANGE_WAITING:
		/* with everything taken the daemon may still offer the next chunk: it is refused then */
		if (*bytes)
			gd_connection_suspend(connection);
		return MHD_YES;
	case GD_EXCHANGE_BODY:
		break;
	}
	return *bytes && !taken ? MHD_NO : MHD_YES;
}

static enum MHD_Result finish(struct gd_connection *connection)
{
	struct gd_request *request = &connection->request;
	if (request->step == GD_STEP_SWALLOW)
		return queue_or_close(connection);
	if (request->step == GD_STEP_BODY && gd_exchange_state(request->exchange) == GD_EXCHANGE_BODY) {
		request->step = GD_STEP_ENDED;
		connection->inside = true;
		gd_exchange_end(request->exchange);
		connection->inside = false;
	}
	if (gd_exchange_state(request->exchange) == GD_EXCHANGE_DONE)
		return queue_or_close(connection);
	if (connection->phase != GD_WIRE_WORK)
		gd_connection_enter(connection, GD_WIRE_WORK, connection->shard->limits->answer_ns);
	gd_connection_suspend(connection);
	return MHD_YES;
}

enum MHD_Result gd_request_handle(void *closure, struct MHD_Connection *daemon, const char *url,
				  const char *method, const char *version, const char *data, size_t *bytes,
				  void **state)
{
	struct gd_connection *connection = gd_connection_of(daemon);
	struct gd_request *request = *state;
	(void)closure;
	(void)url;
	if (!request || connection->ending)
		return MHD_NO;
	switch (request->step) {
	case GD_STEP_HEAD:
		begin(connection, method, version);
		return settle_head(connection);
	case GD_STEP_BEGUN:
		return settle_head(connection);
	case GD_STEP_BODY:
	case GD_STEP_SWALLOW:
	case GD_STEP_ENDED:
		return *bytes ? take_body(connection, data, bytes) : finish(connection);
	case GD_STEP_CUT:
		if (!*bytes)
			return MHD_NO;
		return take_body(connection, data, bytes);
	case GD_STEP_NONE:
	case GD_STEP_REPLIED:
		break;
	}
	return MHD_NO;
}

void gd_request_refused(struct gd_connection *connection, unsigned status)
{
	static const struct {
		unsigned status;
		enum gd_code code;
		const char *text, *fix;
	} rows[] = {
	    {413, GD_TOO_LARGE, "a length in the request is too large", "send less"},
	    {414, GD_HEADERS_TOO_LARGE, "the request target is too long", "send long parameters in the body"},
	    {431, GD_HEADERS_TOO_LARGE, "there are too many or too long headers", "send fewer headers"},
	    {505, GD_UNSUPPORTED_FEATURE, "this version of HTTP is not served", "send HTTP/1.1"},
	    {400, GD_INVALID_REQUEST,
	     "the request cannot be parsed: a line, a length or a chunk is malformed",
	     "send a request that follows RFC 9112"},
	};
	struct gd_request *request = &connection->request;
	size_t row = 0;
	while (rows[row].status != 400 && rows[row].status != status)
		row++;
	if (request->step == GD_STEP_CUT || connection->ending)
		return;
	if (!request->head.started_ns)
		request->head.started_ns = gd_now_ns();
	if (!*request->head.request_id)
		gd_request_id_make(&connection->shard->ids, request->head.request_id);
	struct gd_head head = {.method = request->method};
	struct gd_error error;
	memcpy(head.request_id, request->head.request_id, sizeof head.request_id);
	gd_error_set(&error, rows[row].code, rows[row].fix, "%s", rows[row].text);
	struct gd_exchange *exchange =
	    gd_exchange_refusal(connection->shard->api_lane, &head, &error, status, true);
	if (gd_reply_write(connection, exchange)) {
		request->status = status;
		int fd = fcntl(connection->fd, F_DUPFD_CLOEXEC, 0);
		if (fd >= 0)
			gd_linger_take(&connection->shard->linger, fd);
	}
	gd_exchange_free(exchange);
	shutdown(connection->fd, SHUT_WR);
}

void gd_request_too_slow(struct gd_connection *connection)
{
	refuse(connection, GD_DEADLINE_EXCEEDED, 408, "the request's body came too slowly",
	       "send at least --min-rate bytes a second");
	gd_reply_cut(connection);
}

static void log_access(const struct gd_connection *connection, uint64_t duration_ns, const char *route)
{
	const struct gd_request *request = &connection->request;
	char path[256];
	size_t bytes = strcspn(request->target, "?");
	if (bytes >= sizeof path)
		bytes = sizeof path - 1;
	memcpy(path, request->target, bytes);
	path[bytes] = '\0';
	const char *trace = MHD_lookup_connection_value(connection->daemon, MHD_HEADER_KIND, "traceparent");
	gd_log_always(GD_LOG_INFO, "request",
		      gd_log_fields(gd_log_text("request_id", request->head.request_id),
				    gd_log_text("method", request->method), gd_log_text("path", path),
				    gd_log_text("route", route), gd_log_number("status", request->status),
				    gd_log_number("duration_us", duration_ns / GD_NS_PER_US),
				    gd_log_number("body_bytes", request->received),
				    gd_log_text(trace ? "traceparent" : NULL, trace)));
}

void gd_request_completed(void *closure, struct MHD_Connection *daemon, void **state,
			  enum MHD_RequestTerminationCode why)
{
	struct gd_shard *shard = closure;
	struct gd_connection *connection = gd_connection_of(daemon);
	struct gd_request *request = &connection->request;
	(void)why;
	*state = NULL;
	if (request->step == GD_STEP_NONE)
		return;
	/* what the daemon refused by itself (a malformed chunk, say) was answered by it */
	const union MHD_ConnectionInfo *answered =
	    MHD_get_connection_info(daemon, MHD_CONNECTION_INFO_HTTP_STATUS);
	if (!request->status && answered)
		request->status = answered->http_status;
	const char *route = request->exchange ? gd_exchange_route(request->exchange) : "other";
	uint64_t duration_ns = gd_now_ns() - request->head.started_ns;
	if (request->status)
		gd_api_lane_count(shard->api_lane, request->method, route, request->status, duration_ns);
	if (shard->limits->log_access)
		log_access(connection, duration_ns, route);
	gd_exchange_free(request->exchange);
	request->exchange = NULL;
	request->step = GD_STEP_NONE;
	request->method[0] = request->head.request_id[0] = '\0';
	request->head.started_ns = 0;
	atomic_fetch_sub(&shard->requests, 1);
	gd_connection_enter(connection, GD_WIRE_IDLE, shard->limits->idle_ns);
}
