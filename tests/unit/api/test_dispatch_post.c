/* POST /pipelines/{id}/dispatch over the fake engine: forms, arguments, answers, waiting, leaving. */
#include "tests/unit/api/dispatches.h"

#define PART(name) "\r\n--b-0\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"

static size_t make_multipart(char *out)
{
	size_t used = 0;
	static const char head[] = "--b-0\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n2.0" PART(
	    "n") "4"
		 "\r\n--b-0\r\nContent-Disposition: form-data; name=x; filename=\"x.bin\"\r\n"
		 "Content-Type: application/octet-stream\r\n\r\n";
	memcpy(out, head, sizeof head - 1);
	used += sizeof head - 1;
	memcpy(out + used, x4, sizeof x4);
	used += sizeof x4;
	static const char tail[] = PART("y.bytes") "16\r\n--b-0--\r\nafterword";
	memcpy(out + used, tail, sizeof tail - 1);
	return used + sizeof tail - 1;
}

static void every_body_form_means_the_same(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
	auto_reply json = post(bench, id, "", "application/json", saxpy_json, strlen(saxpy_json));
	assert_int_equal(json.status, 200);
	json_t *output = json_array_get(json_object_get(json.json, "outputs"), 0);
	assert_string_equal(json_string_value(json_object_get(output, "name")), "y");
	assert_int_equal(json_integer_value(json_object_get(output, "index")), 2);
	assert_int_equal(json_integer_value(json_object_get(output, "bytes")), 16);
	assert_string_equal(json_string_value(json_object_get(output, "data")), "AACAPwAAAEAAAEBAAACAQA==");
	uint8_t block[28];
	memcpy(block, bench->engine.params, sizeof block);
	float a;
	memcpy(&a, block, 4);
	assert_true(a == 2.0f);
	auto_reply raw = post(bench, id, "?a=2.0&y=16&n=4", NULL, x4, sizeof x4);
	assert_floats(&raw, x4, 4);
	assert_memory_equal(block, bench->engine.params, sizeof block);
	char body[512];
	auto_reply multipart = post(bench, id, "", BOUNDARY, body, make_multipart(body));
	assert_floats(&multipart, x4, 4);
	assert_memory_equal(block, bench->engine.params, sizeof block);
	static const char header[] = "{\"args\": {\"n\": {\"value\": 4}, \"y\": {\"bytes\": 16}, \"x\": "
				     "{\"binary_data_size\": 16}, \"a\": {\"value\": 2}}}";
	char frame[512], length[16];
	memcpy(frame, header, sizeof header - 1);
	memcpy(frame + sizeof header - 1, x4, sizeof x4);
	snprintf(length, sizeof length, "%zu", sizeof header - 1);
	auto_reply framed = send_ask(
	    bench,
	    &(struct ask){.method = "POST",
			  .target = target_of(id, ""),
			  .headers = {"Content-Type", OCTETS, "Inference-Header-Content-Length", length},
			  .body = frame,
			  .bytes = sizeof header - 1 + sizeof x4});
	assert_floats(&framed, x4, 4);
	assert_memory_equal(block, bench->engine.params, sizeof block);
	assert_int_equal(bench->engine.options.grid[0], 1);
	assert_int_equal(bench->engine.options.block[0], 64);
}

/* Each form, split at every position, chunked or not, on every kind of engine. */
static void every_split_of_every_form_gives_the_same_answer(void **state)
{
	struct bench *bench = *state;
	char id[128], multipart[512], frame[512], length[16];
	make_pipeline_of(bench, "", id);
	static const char header[] =
	    "{\"args\": [{\"value\": 2}, {\"binary_data_size\": 16}, {\"bytes\": 16}, {\"value\": 4}]}";
	memcpy(frame, header, sizeof header - 1);
	memcpy(frame + sizeof header - 1, x4, sizeof x4);
	snprintf(length, sizeof length, "%zu", sizeof header - 1);
	size_t multipart_bytes = make_multipart(multipart);
	struct ask asks[] = {
	    {.target = "",
	     .headers = {"Content-Type", "application/json", "Accept", OCTETS},
	     .body = saxpy_json,
	     .bytes = sizeof saxpy_json - 1},
	    {.target = "?a=2&n=4&y=16", .headers = {NULL}, .body = x4, .bytes = sizeof x4},
	    {.target = "?a=2&n=4&y=16&x.bytes=16", .headers = {NULL}, .body = x4, .bytes = sizeof x4},
	    {.target = "",
	     .headers = {"Content-Type", BOUNDARY},
	     .body = multipart,
	     .bytes = multipart_bytes},
	    {.target = "",
	     .headers = {"Content-Type", OCTETS, "Inference-Header-Content-Length", length},
	     .body = frame,
	     .bytes = sizeof header - 1 + sizeof x4},
	};
	for (unsigned i = 0; i < sizeof asks / sizeof asks[0]; i++) {
		struct ask ask = asks[i];
		char target[400];
		snprintf(target, sizeof target, "%s", target_of(id, asks[i].target));
		ask.method = "POST";
		ask.target = target;
		for (unsigned mode = 0; mode < 8; mode++) {
			ask.is_chunked = mode & 1;
			bench->engine.is_late = mode & 2;
			bench->engine.window_bytes = mode & 4 ? 5 : 0;
			for (ask.piece = 1; ask.piece <= ask.bytes; ask.piece += ask.piece < 24 ? 1 : 7) {
				auto_reply reply = send_ask(bench, &ask);
				assert_floats(&reply, x4, 4);
				assert_int_equal(bench->engine.dispatches_alive, 0);
			}
		}
	}
}

static void dispatch_routes_every_call_to_the_device(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
	for (unsigned i = 0; i < 10; i++) {
		auto_reply reply = post(bench, id, "", "application/json", saxpy_json, strlen(saxpy_json));
		assert_int_equal(reply.status, 200);
	}
	assert_int_equal(bench->engine.counters[GD_COUNT_LAUNCHES], 10);
}

static void binary_dispatch_takes_the_path_without_copies(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
	auto_reply reply = {0};
	struct ask ask = {
	    .method = "POST", .target = target_of(id, "?a=2&n=4&y=16"), .body = x4, .bytes = sizeof x4};
	struct gd_exchange *exchange = feed_exchange(bench, &ask);
	assert_int_equal(gd_exchange_state(exchange), GD_EXCHANGE_DONE);
	const struct gd_response *response = gd_exchange_response(exchange);
	/* in: written in place; out: sent from where the engine left it */
	assert_int_equal(bench->engine.writes, 0);
	assert_int_equal(bench->engine.reads, 0);
	assert_int_equal(response->piece_count, 1);
	assert_ptr_equal(response->pieces[0].data, bench->engine.last_output);
	assert_null(response->pull);
	gd_exchange_free(exchange);
	reply_done(&reply);
}

static void dispatch_counts_launches_bytes_and_slots(void **state)
{
	struct bench *bench = *state;
	auto_reply made =
	    post_json(bench, "/pipelines",
		      "{\"source\": \"__global__ void k(const unsigned char *x, unsigned char *y) {}\", "
		      "\"params\": [{\"name\": \"x\", \"type\": \"buffer\", \"element\": \"u8\", \"access\": "
		      "\"read\"}, {\"name\": \"y\", \"type\": \"buffer\", \"element\": \"u8\"}]}");
	assert_int_equal(made.status, 201);
	char id[128];
	snprintf(id, sizeof id, "%s", text_of(&made, "id"));
	uint64_t before[GD_COUNTERS] = {0};
	for (unsigned i = 0; i < 2; i++) {
		memcpy(before, bench->engine.counters, sizeof before);
		auto_reply reply = post(bench, id, "?y=3", NULL, "abc", 3);
		assert_int_equal(reply.status, 200);
		assert_memory_equal(reply.body.data, "abc", 3);
	}
	auto_reply metrics = send_ask(
	    bench,
	    &(struct ask){.method = "GET", .target = "/metrics", .headers = {"Accept", "application/json"}});
	static const struct {
		const char *name;
		enum gd_counter counter;
		unsigned rise;
	} rows[] = {{"launches", GD_COUNT_LAUNCHES, 1},
		    {"input_bytes", GD_COUNT_INPUT_BYTES, 3},
		    {"output_bytes", GD_COUNT_OUTPUT_BYTES, 3},
		    {"output_slots", GD_COUNT_OUTPUT_SLOTS, 1},
		    {"output_slots_reused", GD_COUNT_OUTPUT_SLOTS_REUSED, 1}};
	for (unsigned i = 0; i < 5; i++) {
		json_t *value = json_object_get(json_object_get(metrics.json, "counters"), rows[i].name);
		assert_int_equal(json_integer_value(value), before[rows[i].counter] + rows[i].rise);
	}
}

static void request_config_replaces_pipeline_config(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(
	    bench,
	    ", \"workgroup_size\": [16], \"config\": {\"profile\": \"compiled\", \"workgroup_size\": [128], "
	    "\"timeout_ms\": 1234}",
	    id);
	static const struct {
		const char *more, *profile, *why;
		unsigned block, timeout_ms;
	} rows[] = {
	    {"", "compiled", "absent: the pipeline's holds", 128, 1234},
	    {", \"config\": {\"profile\": \"asked\"}", "asked", "present: it replaces the whole", 16, 30000},
	    {", \"config\": {}", NULL, "present and empty: server defaults", 16, 30000},
	    {", \"config\": {\"profile\": \"asked\"}, \"config_mode\": \"merge\"", "asked", "merged", 128,
	     1234},
	    {", \"timeout_ms\": 99", "compiled", "one field at the top is merged", 128, 99},
	    {", \"workgroup_size\": [8], \"config\": {\"timeout_ms\": 5}", NULL, "both, different fields", 8,
	     5},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char body[400];
		snprintf(body, sizeof body, "%.*s%s}", (int)strlen(saxpy_json) - 1, saxpy_json, rows[i].more);
		auto_reply reply = post(bench, id, "", "application/json", body, strlen(body));
		if (reply.status != 200 || bench->engine.options.block[0] != rows[i].block)
			print_error("%s: %s\n", rows[i].why, reply.body.data);
		assert_int_equal(reply.status, 200);
		assert_int_equal(bench->engine.options.block[0], rows[i].block);
		assert_int_equal(bench->engine.options.timeout_ms, rows[i].timeout_ms);
		if (rows[i].profile)
			assert_string_equal(text_of(&reply, "profile"), rows[i].profile);
		else
			assert_null(json_object_get(reply.json, "profile"));
	}
}

static void a_plan_that_finds_no_room_waits_and_then_gives_up(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
	bench->engine.plan_waits = 3;
	bench->engine.plan_wakes = true;
	auto_reply served = post(bench, id, "?a=2&n=4&y=16", NULL, x4, sizeof x4);
	assert_floats(&served, x4, 4);
	bench->engine.plan_waits = UINT32_MAX;
	bench->engine.plan_wakes = false;
	uint64_t start = gd_now_ns();
	auto_reply refused = post(bench, id, "?a=2&n=4&y=16", NULL, x4, sizeof x4);
	uint64_t waited = gd_now_ns() - start;
	assert_problem(&refused, 503, 1013, "no room");
	assert_non_null(strstr(refused.headers, "Retry-After: 1\n"));
	assert_true(waited >= GD_NS_PER_S);
	assert_int_equal(bench->engine.dispatches_alive, 0);
}

/* A client may leave after every byte and in every state. */
static void a_client_that_leaves_leaves_nothing_behind(void **state)
{
	struct bench *bench = *state;
	char id[128], multipart[512];
	make_pipeline_of(bench, "", id);
	size_t multipart_bytes = make_multipart(multipart);
	const struct ask asks[] = {
	    {.target = "",
	     .headers = {"Content-Type", "application/json"},
	     .body = saxpy_json,
	     .bytes = sizeof saxpy_json - 1},
	    {.target = "?a=2&n=4&y=16", .headers = {NULL}, .body = x4, .bytes = sizeof x4},
	    {.target = "",
	     .headers = {"Content-Type", BOUNDARY},
	     .body = multipart,
	     .bytes = multipart_bytes},
	};
	for (unsigned mode = 0; mode < 4; mode++) {
		bench->engine.is_late = true;
		bench->engine.window_bytes = mode & 1 ? 3 : 0;
		bench->engine.plan_waits = mode & 2 ? UINT32_MAX : 0;
		for (unsigned i = 0; i < 3; i++) {
			for (size_t bytes = 0; bytes <= asks[i].bytes + 1; bytes++) {
				char target[400];
				snprintf(target, sizeof target, "%s", target_of(id, asks[i].target));
				struct ask ask = asks[i];
				ask.method = "POST";
				ask.target = target;
				struct gd_head head = head_of(&ask);
				struct gd_exchange *exchange = gd_exchange_new(bench->api_lane, &head);
				bool is_whole = bytes > asks[i].bytes;
				gd_exchange_body(exchange, ask.body, is_whole ? ask.bytes : bytes);
				if (is_whole)
					gd_exchange_end(exchange);
				wakes = 0;
				gd_exchange_free(exchange);
				assert_int_equal(wakes, 0);
				assert_int_equal(bench->engine.dispatches_alive, 0);
			}
		}
	}
	assert_int_equal(gd_loop_next_ns(bench->loop), UINT64_MAX);
}

static void bodies_over_the_limit_are_refused_early(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
	struct ask ask = {
	    .method = "POST", .target = target_of(id, "?a=2&n=4&y=16"), .bytes = (1u << 30) + 1};
	struct gd_head head = head_of(&ask);
	struct gd_exchange *exchange = gd_exchange_new(bench->api_lane, &head);
	assert_int_equal(gd_exchange_state(exchange), GD_EXCHANGE_DONE);
	assert_int_equal(gd_exchange_response(exchange)->status, 413);
	gd_exchange_free(exchange);
	/* a skeleton over 1 MiB, at the limit and one past */
	size_t max = 1 << 20;
	char *body = malloc(max + 1);
	assert_non_null(body);
	memset(body, ' ', max + 1);
	memcpy(body, saxpy_json, sizeof saxpy_json - 1);
	/* the data of 24 characters leaves a mark of 7 in the skeleton */
	for (unsigned over = 0; over < 2; over++) {
		size_t bytes = max + 24 - 7 + over;
		char *padded = calloc(1, bytes);
		assert_non_null(padded);
		memset(padded, ' ', bytes);
		memcpy(padded, saxpy_json, sizeof saxpy_json - 1);
		auto_reply reply = post(bench, id, "", "application/json", padded, bytes);
		if (over)
			assert_problem(&reply, 413, 1012, "a skeleton over the limit");
		else
			assert_int_equal(reply.status, 200);
		free(padded);
	}
	free(body);
}

static void the_unknown_pipeline_is_not_found(void **state)
{
	struct bench *bench = *state;
	auto_reply reply = post(bench, "reference:00", "?a=2", NULL, x4, sizeof x4);
	assert_problem(&reply, 404, 1010, "unknown id");
	auto_reply wrong = get(bench, "/pipelines/reference:00/dispatch");
	assert_problem(&wrong, 405, 1006, "GET");
	assert_non_null(strstr(wrong.headers, "Allow: POST\n"));
}

int main(void)
{
#define with_bench(test) cmocka_unit_test_setup_teardown(test, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
	    with_bench(every_body_form_means_the_same),
	    with_bench(every_split_of_every_form_gives_the_same_answer),
	    with_bench(dispatch_routes_every_call_to_the_device),
	    with_bench(binary_dispatch_takes_the_path_without_copies),
	    with_bench(dispatch_counts_launches_bytes_and_slots),
	    with_bench(request_config_replaces_pipeline_config),
	    with_bench(a_plan_that_finds_no_room_waits_and_then_gives_up),
	    with_bench(a_client_that_leaves_leaves_nothing_behind),
	    with_bench(bodies_over_the_limit_are_refused_early),
	    with_bench(the_unknown_pipeline_is_not_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
