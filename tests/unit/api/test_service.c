/* Health, devices, version, description, root and metrics, over the fake engine; routes and refusals in
 * general. */
#include "tests/unit/api/harness.h"

#include "api/openapi.h"
#include "api/route.h"

static struct reply get_as(struct bench *bench, const char *target, const char *accept)
{
	return send_ask(bench,
			&(struct ask){.method = "GET", .target = target, .headers = {"Accept", accept}});
}

static void live_is_always_ok(void **state)
{
	struct bench *bench = *state;
	bench->engine.has_no_device = true;
	atomic_store(&bench->facts.draining, true);
	static const char *const paths[] = {"/livez", "/v2/health/live", "/v1/livez", "/livez?probe=1"};
	for (unsigned i = 0; i < 4; i++) {
		auto_reply reply = get(bench, paths[i]);
		assert_int_equal(reply.status, 200);
		assert_string_equal(text_of(&reply, "status"), "live");
	}
}

static void ready_tells_what_failed(void **state)
{
	struct bench *bench = *state;
	static const char *const paths[] = {"/readyz", "/health", "/v2/health/ready"};
	for (unsigned i = 0; i < 3; i++) {
		auto_reply reply = get(bench, paths[i]);
		assert_int_equal(reply.status, 200);
		assert_string_equal(text_of(&reply, "backend"), "reference");
	}
	static const struct {
		enum gd_device_state state;
		bool canary, draining, no_device;
		int number;
		const char *word;
	} rows[] = {
	    {GD_DEVICE_READY, true, true, false, 1013, "draining"},
	    {GD_DEVICE_READY, false, false, false, 1002, "backend_unavailable"},
	    {GD_DEVICE_STARTING, false, false, false, 1002, "backend_unavailable"},
	    {GD_DEVICE_RECOVERING, true, false, false, 1008, "device_lost"},
	    {GD_DEVICE_UNAVAILABLE, true, false, false, 1002, "backend_unavailable"},
	    {GD_DEVICE_READY, true, false, true, 1002, "backend_unavailable"},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bench->engine.state = rows[i].state;
		bench->engine.canary_passed = rows[i].canary;
		bench->engine.has_no_device = rows[i].no_device;
		atomic_store(&bench->facts.draining, rows[i].draining);
		auto_reply reply = get(bench, "/readyz");
		assert_problem(&reply, 503, rows[i].number, rows[i].word);
		assert_string_equal(text_of(&reply, "code"), rows[i].word);
	}
}

static void a_full_queue_is_not_ready(void **state)
{
	struct bench *bench = *state;
	bench->engine.queue_depth = FAKE_QUEUE_LIMIT - 1;
	auto_reply below = get(bench, "/readyz");
	assert_int_equal(below.status, 200);
	bench->engine.queue_depth = FAKE_QUEUE_LIMIT;
	auto_reply full = get(bench, "/readyz");
	assert_problem(&full, 503, 1013, "overloaded");
}

static void a_compiler_that_starts_is_waited_for_once(void **state)
{
	struct bench *bench = *state;
	bench->engine.has_no_compiler_yet = true;
	auto_reply early = get(bench, "/readyz");
	assert_problem(&early, 503, 1002, "the compiler is not up yet");
	assert_non_null(strstr(early.headers, "Retry-After: 1\n"));
	assert_true(json_is_true(json_object_get(early.json, "retryable")));
	bench->engine.has_no_compiler_yet = false;
	auto_reply up = get(bench, "/readyz");
	assert_int_equal(up.status, 200);
	bench->engine.has_no_compiler_yet = true;
	auto_reply replaced = get(bench, "/readyz");
	assert_int_equal(replaced.status, 200);
	bench->engine.has_no_compiler_yet = false;
	gd_error_set(&bench->engine.compile_error, GD_BACKEND_UNAVAILABLE, NULL,
		     "there is no such device here");
	auto_reply never =
	    post_json(bench, "/pipelines", "{\"source\": \"" SAXPY_JSON "\", \"backend\": \"cuda\"}");
	assert_problem(&never, 503, 1002, "a backend that never comes");
	assert_null(strstr(never.headers, "Retry-After"));
	assert_true(json_is_false(json_object_get(never.json, "retryable")));
}

static void devices_version_and_root_answer(void **state)
{
	struct bench *bench = *state;
	auto_reply devices = get(bench, "/devices");
	json_t *first = json_array_get(json_object_get(devices.json, "items"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "id")), "reference:0");
	assert_string_equal(json_string_value(json_object_get(first, "name")), "A \"fake\" device");
	assert_true(json_is_true(json_object_get(first, "survives_faults")));
	assert_true(json_is_null(json_object_get(devices.json, "next")));
	auto_reply version = get(bench, "/v1/version");
	assert_string_equal(text_of(&version, "name"), "gpudispatchd");
	assert_string_equal(text_of(&version, "version"), GD_VERSION);
	assert_string_equal(text_of(&version, "nvrtc"), "13.0");
	static const char *const roots[] = {"/", "/v1", "/v1/"};
	for (unsigned i = 0; i < 3; i++) {
		auto_reply root = get(bench, roots[i]);
		assert_int_equal(root.status, 200);
	}
	auto_reply openapi = get(bench, "/openapi.yaml");
	assert_int_equal(openapi.body.len, gd_openapi_bytes());
	assert_int_equal(strncmp(openapi.body.data, "openapi: 3.1", 12), 0);
	assert_int_equal(strlen(gd_openapi_text), gd_openapi_bytes());
}

static void head_has_the_headers_of_get_and_no_body(void **state)
{
	struct bench *bench = *state;
	for (unsigned i = 0; i < gd_route_count; i++) {
		if (strcmp(gd_routes[i].method, "GET") != 0)
			continue;
		struct ask ask = {.method = "HEAD", .target = gd_routes[i].template};
		auto_reply head = send_ask(bench, &ask);
		ask.method = "GET";
		auto_reply got = send_ask(bench, &ask);
		assert_int_equal(head.status, got.status);
		assert_int_equal(head.body.len, 0);
		assert_string_equal(head.headers, got.headers);
		assert_string_equal(head.route, gd_routes[i].template);
	}
}

static void wrong_methods_are_told_the_right_ones(void **state)
{
	struct bench *bench = *state;
	static const struct {
		const char *method, *target, *allow;
	} rows[] = {
	    {"PUT", "/pipelines", "Allow: POST, GET, HEAD\n"},
	    {"POST", "/pipelines/x", "Allow: GET, HEAD, DELETE\n"},
	    {"GET", "/pipelines/x/dispatch", "Allow: POST\n"},
	    {"HEAD", "/pipelines/x/dispatch", "Allow: POST\n"},
	    {"DELETE", "/metrics", "Allow: GET, HEAD\n"},
	    {"BREW", "/livez", "Allow: GET, HEAD\n"},
	    {"get", "/livez", "Allow: GET, HEAD\n"},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ask ask = {.method = rows[i].method, .target = rows[i].target};
		auto_reply reply = send_ask(bench, &ask);
		assert_int_equal(reply.status, 405);
		assert_non_null(strstr(reply.headers, rows[i].allow));
	}
	static const char *const unknown[] = {"/nothing",       "/pipelines//dispatch", "/livez/",
					      "/pipelines/x/y", "/a/b/c/d/e/f/g/h",     "/openapi.yam",
					      "/v2/health"};
	for (unsigned i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
		auto_reply reply = get(bench, unknown[i]);
		assert_problem(&reply, 404, 1010, unknown[i]);
		assert_string_equal(reply.route, "other");
	}
}

static void a_get_with_a_body_forgets_it(void **state)
{
	struct bench *bench = *state;
	static char body[65537];
	struct ask ask = {.method = "GET", .target = "/livez", .body = body, .bytes = 65536, .piece = 1000};
	auto_reply taken = send_ask(bench, &ask);
	assert_int_equal(taken.status, 200);
	ask.bytes++;
	auto_reply refused = send_ask(bench, &ask);
	assert_problem(&refused, 413, 1012, "a GET with a large body");
}

static void refusals_of_the_server_have_the_common_form(void **state)
{
	struct bench *bench = *state;
	struct gd_error error;
	gd_error_set(&error, GD_HEADERS_TOO_LARGE, NULL, "the headers are too long");
	struct gd_head head = {.request_id = "request-7"};
	struct gd_exchange *exchange = gd_exchange_refusal(bench->api_lane, &head, &error, 431, true);
	assert_int_equal(gd_exchange_state(exchange), GD_EXCHANGE_DONE);
	assert_true(gd_exchange_response(exchange)->close);
	struct reply reply = {0};
	read_response(bench, exchange, &reply);
	assert_problem(&reply, 431, 1006, "a refusal");
	reply_done(&reply);
	/* a refused exchange swallows what still comes */
	assert_int_equal(gd_exchange_body(exchange, "abc", 3), 3);
	gd_exchange_end(exchange);
	gd_exchange_free(exchange);
	exchange = gd_exchange_refusal(NULL, &head, &error, 0, false);
	assert_int_equal(gd_exchange_response(exchange)->status, 431);
	gd_exchange_free(exchange);
}

static const char *const families[] = {"http_requests_total",
				       "http_request_duration_seconds",
				       "http_connections",
				       "inflight_requests",
				       "queue_depth",
				       "queue_wait_seconds",
				       "rejected_total",
				       "compile_duration_seconds",
				       "compiles_inflight",
				       "cache_requests_total",
				       "cache_misses_total",
				       "cache_entries",
				       "cache_size_bytes",
				       "cache_limit_bytes",
				       "cache_evictions_total",
				       "cache_hit_rate_bps",
				       "cache_alarm_threshold_bps",
				       "cache_below_alarm_threshold",
				       "cache_audit_checks_total",
				       "dispatch_total",
				       "dispatch_phase_seconds",
				       "h2d_bytes_total",
				       "d2h_bytes_total",
				       "cuda_errors_total",
				       "worker_restarts_total",
				       "slab_bytes",
				       "device_memory_bytes",
				       "device_info",
				       "build_info",
				       "launches_total",
				       "input_bytes_total",
				       "output_bytes_total",
				       "output_slots_total",
				       "output_slots_reused_total",
				       "output_slots_moved_total",
				       "output_slots_appended_total",
				       "output_slot_incoming_bytes_total",
				       "output_slot_copied_bytes_total",
				       "output_slot_moved_bytes_total",
				       "output_slot_appended_bytes_total",
				       "output_slot_retained_capacity_bytes",
				       "grid_sync_splits_total",
				       "grid_sync_segments_total",
				       "grid_sync_points_total"};

static void metrics_have_every_series_once_with_help_and_type(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
	gd_api_lane_count(bench->api_lane, "POST", "/pipelines", 201, 3000000);
	gd_api_lane_count(bench->api_lane, "BREW", "no route", 418, UINT64_MAX);
	auto_reply text = get(bench, "/metrics");
	assert_int_equal(text.status, 200);
	assert_non_null(strstr(text.headers, "text/plain; version=0.0.4"));
	for (unsigned i = 0; i < sizeof families / sizeof families[0]; i++) {
		char line[120];
		snprintf(line, sizeof line, "# TYPE gpudispatch_%s ", families[i]);
		const char *first = strstr(text.body.data, line);
		if (!first)
			print_error("missing: %s\n", families[i]);
		assert_non_null(first);
		assert_null(strstr(first + 1, line));
		snprintf(line, sizeof line, "# HELP gpudispatch_%s ", families[i]);
		assert_non_null(strstr(text.body.data, line));
	}
	static const char *const lines[] = {
	    "\ngpudispatch_http_requests_total{route=\"/pipelines\",method=\"POST\",code=\"201\"} 1\n",
	    "\ngpudispatch_http_requests_total{route=\"other\",method=\"other\",code=\"other\"} 1\n",
	    "\ngpudispatch_http_request_duration_seconds_bucket{route=\"/pipelines\",le=\"0.0025\"} 0\n",
	    "\ngpudispatch_http_request_duration_seconds_bucket{route=\"/pipelines\",le=\"0.005\"} 1\n",
	    "\ngpudispatch_http_request_duration_seconds_bucket{route=\"/pipelines\",le=\"+Inf\"} 1\n",
	    "\ngpudispatch_http_request_duration_seconds_count{route=\"/pipelines\"} 1\n",
	    "\ngpudispatch_compile_duration_seconds_bucket{result=\"ok\",le=\"0.0025\"} 1\n",
	    "\ngpudispatch_cuda_errors_total{name=\"CUDA_ERROR_FAKE\",sticky=\"false\"} 2\n",
	    "name=\"A \\\"fake\\\" device\"",
	    "\nprocess_open_fds ",
	};
	for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		if (!strstr(text.body.data, lines[i]))
			print_error("missing: %s\n", lines[i]);
		assert_non_null(strstr(text.body.data, lines[i]));
	}
	assert_null(strstr(text.body.data, "le=\"1e-05\"} 0\ngpudispatch_compile"));
}

static void openmetrics_ends_with_eof_and_names_families_without_total(void **state)
{
	struct bench *bench = *state;
	auto_reply text =
	    get_as(bench, "/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
	assert_non_null(strstr(text.headers, "application/openmetrics-text; version=1.0.0"));
	assert_string_equal(text.body.data + text.body.len - 6, "# EOF\n");
	assert_non_null(
	    strstr(text.body.data, "# TYPE gpudispatch_launches counter\ngpudispatch_launches_total 0\n"));
	assert_null(strstr(text.body.data, "_total counter"));
}

static void the_audit_in_json_judges_by_the_threshold_asked_for(void **state)
{
	struct bench *bench = *state;
	bench->engine.counters[GD_COUNT_CACHE_HITS] = 2;
	bench->engine.counters[GD_COUNT_CACHE_MISSES] = 1;
	bench->engine.counters[GD_COUNT_CACHE_UNKNOWNS] = 1;
	auto_reply low = get_as(bench, "/metrics?alarm_threshold_bps=7000", "application/json");
	json_t *audit = json_object_get(low.json, "cache_audit");
	assert_int_equal(json_integer_value(json_object_get(audit, "hits")), 2);
	assert_int_equal(json_integer_value(json_object_get(audit, "hit_rate_bps")), 6666);
	assert_int_equal(json_integer_value(json_object_get(audit, "alarm_threshold_bps")), 7000);
	assert_true(json_is_true(json_object_get(audit, "below_alarm_threshold")));
	json_t *window = json_object_get(audit, "window");
	assert_true(json_is_null(json_object_get(window, "hit_rate_bps")));
	assert_int_equal(json_integer_value(json_object_get(window, "min_samples")), 100);
	auto_reply off = get_as(bench, "/metrics", "application/json");
	assert_true(json_is_false(
	    json_object_get(json_object_get(off.json, "cache_audit"), "below_alarm_threshold")));
	static const struct {
		const char *target;
		unsigned status;
	} rows[] = {{"/metrics?alarm_threshold_bps=10000", 200}, {"/metrics?alarm_threshold_bps=0", 200},
		    {"/metrics?alarm_threshold_bps=10001", 422}, {"/metrics?alarm_threshold_bps=-1", 422},
		    {"/metrics?alarm_threshold_bps=", 422},      {"/metrics?threshold=1", 422}};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		auto_reply reply = get_as(bench, rows[i].target, "application/json");
		assert_int_equal(reply.status, rows[i].status);
	}
	auto_reply none = get_as(bench, "/metrics", "image/png");
	assert_problem(&none, 406, 1006, "an image");
}

static void the_windowed_alarm_follows_compiles(void **state)
{
	struct bench *bench = *state;
	char id[128];
	for (unsigned i = 0; i < 110; i++) {
		char more[64];
		snprintf(more, sizeof more, ", \"options\": [\"-DA=%u\"]", i % 60);
		make_pipeline_of(bench, more, id);
	}
	/* 60 misses and 50 hits: 4545 */
	auto_reply at = get_as(bench, "/metrics?alarm_threshold_bps=4545", "application/json");
	json_t *window = json_object_get(json_object_get(at.json, "cache_audit"), "window");
	assert_int_equal(json_integer_value(json_object_get(window, "hit_rate_bps")), 4545);
	assert_true(json_is_false(json_object_get(window, "below_alarm_threshold")));
	auto_reply over = get_as(bench, "/metrics?alarm_threshold_bps=4546", "application/json");
	window = json_object_get(json_object_get(over.json, "cache_audit"), "window");
	assert_true(json_is_true(json_object_get(window, "below_alarm_threshold")));
}

int main(void)
{
#define with_bench(test) cmocka_unit_test_setup_teardown(test, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
	    with_bench(live_is_always_ok),
	    with_bench(ready_tells_what_failed),
	    with_bench(a_compiler_that_starts_is_waited_for_once),
	    with_bench(a_full_queue_is_not_ready),
	    with_bench(devices_version_and_root_answer),
	    with_bench(head_has_the_headers_of_get_and_no_body),
	    with_bench(wrong_methods_are_told_the_right_ones),
	    with_bench(a_get_with_a_body_forgets_it),
	    with_bench(refusals_of_the_server_have_the_common_form),
	    with_bench(metrics_have_every_series_once_with_help_and_type),
	    with_bench(openmetrics_ends_with_eof_and_names_families_without_total),
	    with_bench(the_audit_in_json_judges_by_the_threshold_asked_for),
	    with_bench(the_windowed_alarm_follows_compiles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
