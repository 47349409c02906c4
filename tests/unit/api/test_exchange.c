/* Exchanges when memory runs out: each allocation fails once, and the client gets an answer or a clear
 * refusal. */
#include "tests/support/alloc_fail.h"

#include "tests/unit/api/dispatches.h"

/* One request as the server would feed it; every allocation of it but the n-th succeeds. Returns the status.
 */
static unsigned ask_with(struct bench *bench, const struct ask *ask, unsigned long n, bool *out_failed)
{
	struct gd_head head = head_of(ask);
	gd_alloc_fail_at(n);
	struct gd_exchange *exchange = gd_exchange_new(bench->api_lane, &head);
	assert_non_null(exchange);
	size_t at = 0;
	while (at < ask->bytes && gd_exchange_state(exchange) != GD_EXCHANGE_DONE) {
		at += gd_exchange_body(exchange, (const char *)ask->body + at, ask->bytes - at);
		settle_exchange(bench, exchange);
	}
	if (gd_exchange_state(exchange) != GD_EXCHANGE_DONE)
		gd_exchange_end(exchange);
	settle_exchange(bench, exchange);
	*out_failed = gd_alloc_failed();
	const struct gd_response *response = gd_exchange_response(exchange);
	unsigned status = response->status;
	assert_true(response->piece_count || response->pull || status == 304);
	gd_exchange_free(exchange);
	assert_int_equal(bench->engine.dispatches_alive, 0);
	return status;
}

static void every_failing_allocation_is_answered(struct bench *bench, const struct ask *ask, const char *why)
{
	for (unsigned long n = 1;; n++) {
		bool has_failed;
		unsigned status = ask_with(bench, ask, n, &has_failed);
		bool is_served = status == 200 || status == 201;
		/* a refusal says that it is the server's fault, and the next request is served */
		if (!is_served && (status < 500 || status == 501 || status == 504))
			print_error("%s: allocation %lu gives %u\n", why, n, status);
		assert_true(is_served || (status >= 500 && status != 501 && status != 504));
		if (!has_failed) {
			assert_true(is_served);
			assert_true(n > 2);
			return;
		}
	}
}

static void reads_survive_each_allocation_that_fails(void **state)
{
	struct bench *bench = *state;
	char id[128], target[200];
	make_pipeline_of(bench, "", id);
	snprintf(target, sizeof target, "/pipelines/%s", id);
	const char *const targets[] = {target,    "/pipelines?limit=3", "/metrics", "/devices", "/readyz",
				       "/version"};
	for (unsigned i = 0; i < sizeof targets / sizeof targets[0]; i++)
		every_failing_allocation_is_answered(
		    bench, &(struct ask){.method = "GET", .target = targets[i]}, targets[i]);
}

static void compiles_survive_each_allocation_that_fails(void **state)
{
	struct bench *bench = *state;
	static const char body[] =
	    "{\"source\": \"" SAXPY_JSON "\", \"options\": [\"-DA=1\"], \"headers\": {\"a.h\": \"\"},"
	    "\"config\": {\"label\": \"l\", \"profile\": \"p\"}, \"mode\": \"prewarm\"}";
	for (unsigned late = 0; late < 2; late++) {
		bench->engine.is_late = late;
		every_failing_allocation_is_answered(
		    bench,
		    &(struct ask){.method = "POST",
				  .target = "/pipelines",
				  .headers = {"Content-Type", "application/json"},
				  .body = body,
				  .bytes = sizeof body - 1},
		    "JSON");
		every_failing_allocation_is_answered(
		    bench,
		    &(struct ask){.method = "POST",
				  .target = "/pipelines?kernel=saxpy&options=-DB",
				  .body = SAXPY,
				  .bytes = sizeof SAXPY - 1},
		    "source");
	}
}

static void dispatches_survive_each_allocation_that_fails(void **state)
{
	struct bench *bench = *state;
	char id[128], target[400];
	make_pipeline_of(bench, ", \"config\": {\"label\": \"l\", \"profile\": \"p\"}", id);
	static const char form[] = "--b-0\r\nContent-Disposition: form-data; name=a\r\n\r\n2\r\n--b-0\r\n"
				   "Content-Disposition: form-data; name=x\r\n\r\n12345678\r\n--b-0\r\n"
				   "Content-Disposition: form-data; name=y.bytes\r\n\r\n8\r\n--b-0\r\n"
				   "Content-Disposition: form-data; name=n\r\n\r\n2\r\n--b-0--";
	const struct ask asks[] = {
	    {.target = "",
	     .headers = {"Content-Type", "application/json"},
	     .body = saxpy_json,
	     .bytes = sizeof saxpy_json - 1},
	    {.target = "?a=2&n=4&y=16", .headers = {NULL}, .body = x4, .bytes = sizeof x4},
	    {.target = "?a=2&n=4&y=16",
	     .headers = {NULL},
	     .body = x4,
	     .bytes = sizeof x4,
	     .is_chunked = true},
	    {.target = "?header=1",
	     .headers = {"Content-Type", BOUNDARY},
	     .body = form,
	     .bytes = sizeof form - 1},
	};
	for (unsigned mode = 0; mode < 4; mode++) {
		bench->engine.is_late = mode & 1;
		bench->engine.window_bytes = mode & 2 ? 3 : 0;
		for (unsigned i = 0; i < sizeof asks / sizeof asks[0]; i++) {
			struct ask ask = asks[i];
			snprintf(target, sizeof target, "%s", target_of(id, asks[i].target));
			ask.method = "POST";
			ask.target = target;
			every_failing_allocation_is_answered(bench, &ask, target);
		}
	}
}

static void making_an_api_and_a_lane_survives_each_allocation_that_fails(void **state)
{
	struct bench *bench = *state;
	for (unsigned long n = 1;; n++) {
		struct gd_api *api = NULL;
		struct gd_api_lane *lane = NULL;
		struct gd_error error = {0};
		gd_alloc_fail_at(n);
		bool is_good = gd_api_new(&bench->config, &bench->engine, &bench->facts, &api, &error) &&
			       gd_api_lane_new(api, 1, bench->lane, bench->loop, &lane, &error);
		bool has_failed = gd_alloc_failed();
		assert_int_equal(is_good, !has_failed);
		if (!is_good)
			assert_int_equal(error.code, GD_INTERNAL_STATE);
		gd_api_lane_free(lane);
		gd_api_free(api);
		if (!has_failed)
			return;
	}
}

int main(void)
{
#define with_bench(test) cmocka_unit_test_setup_teardown(test, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
	    with_bench(reads_survive_each_allocation_that_fails),
	    with_bench(compiles_survive_each_allocation_that_fails),
	    with_bench(dispatches_survive_each_allocation_that_fails),
	    with_bench(making_an_api_and_a_lane_survives_each_allocation_that_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
