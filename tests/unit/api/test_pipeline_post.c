/* POST /pipelines and what can be read of a pipeline, over the fake engine. */
#include "tests/unit/api/harness.h"

static struct reply post_source(struct bench *bench, const char *target, const char *type, const char *source)
{
	return send_ask(bench, &(struct ask){.method = "POST",
					     .target = target,
					     .headers = {type ? "Content-Type" : NULL, type},
					     .body = source,
					     .bytes = strlen(source)});
}

static void compile_from_each_body_form_gives_the_same_pipeline(void **state)
{
	struct bench *bench = *state;
	auto_reply json =
	    post_json(bench, "/pipelines",
		      "{\"workgroup_size\": [128], \"options\": [\"-DA=1\", \"--use_fast_math\"],\n"
		      " \"kernel\" : \"saxpy\", \"source\":\"" SAXPY_JSON "\"}");
	assert_int_equal(json.status, 201);
	static const char *const types[] = {"text/x-cuda", "text/plain; charset=utf-8",
					    "application/x-www-form-urlencoded", NULL};
	for (unsigned i = 0; i < 4; i++) {
		auto_reply source = post_source(
		    bench, "/pipelines?kernel=saxpy&workgroup_size=128&options=-DA=1%20--use_fast_math",
		    types[i], SAXPY);
		assert_int_equal(source.status, 200);
		assert_string_equal(text_of(&source, "id"), text_of(&json, "id"));
	}
	auto_reply other =
	    post_source(bench, "/pipelines?kernel=saxpy&workgroup_size=128&options=-DA=1", NULL, SAXPY);
	assert_int_equal(other.status, 201);
	assert_string_not_equal(text_of(&other, "id"), text_of(&json, "id"));
}

static void compile_answers_id_and_manifest(void **state)
{
	struct bench *bench = *state;
	auto_reply made = post_json(bench, "/v1/pipelines",
				    "{\"source\": \"" SAXPY_JSON
				    "\", \"kernel\": \"saxpy\", \"config\": {\"ulp_budget\": 2, "
				    "\"workgroup_size\": [32, 2, 1]}}");
	assert_int_equal(made.status, 201);
	const char *id = text_of(&made, "id");
	assert_int_equal(strncmp(id, "reference:", 10), 0);
	assert_int_equal(strlen(id), 10 + 64);
	char expected[160];
	snprintf(expected, sizeof expected, "Location: /v1/pipelines/%s\n", id);
	assert_non_null(strstr(made.headers, expected));
	snprintf(expected, sizeof expected, "ETag: \"%s\"\n", id + 10);
	assert_non_null(strstr(made.headers, expected));
	assert_non_null(strstr(made.headers, "Cache-Status: gpudispatch; fwd=miss"));
	json_t *manifest = json_object_get(made.json, "manifest");
	static const char *const keys[] = {
	    "schema",    "backend_id", "pipeline_id", "program_digest", "dispatch_policy",
	    "cache_hit", "kernel",     "params",      "options",        "workgroup_size",
	    "target",    "toolchain",  "resources",   "artifacts",      "reproducible"};
	void *iter = json_object_iter(manifest);
	for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		assert_non_null(iter);
		assert_string_equal(json_object_iter_key(iter), keys[i]);
		iter = json_object_iter_next(manifest, iter);
	}
	assert_null(iter);
	assert_int_equal(json_integer_value(json_object_get(manifest, "schema")), 1);
	assert_string_equal(json_string_value(json_object_get(manifest, "pipeline_id")), id);
	assert_string_equal(json_string_value(json_object_get(manifest, "dispatch_policy")),
			    "ulp=Some(2):wg=Some([32, 2, 1])");
	assert_true(json_is_false(json_object_get(manifest, "cache_hit")));
	assert_string_equal(text_of(&made, "cache_tier"), "compiled");
	assert_string_equal(text_of(&made, "miss_reason"), "empty_cache");
}

static void id_begins_with_its_backend(void **state)
{
	struct bench *bench = *state;
	char id[128], other[128];
	make_pipeline_of(bench, "", id);
	assert_int_equal(strncmp(id, "reference:", 10), 0);
	bench->engine.backend = "cuda";
	make_pipeline_of(bench, "", other);
	assert_int_equal(strncmp(other, "cuda:", 5), 0);
	assert_string_not_equal(strchr(id, ':') + 1, "");
}

static void prewarm_compiles_and_never_launches(void **state)
{
	struct bench *bench = *state;
	auto_reply warm =
	    post_json(bench, "/pipelines", "{\"source\": \"" SAXPY_JSON "\", \"mode\": \"prewarm\"}");
	assert_int_equal(warm.status, 201);
	assert_int_equal(bench->engine.compiles, 1);
	assert_int_equal(bench->engine.counters[GD_COUNT_LAUNCHES], 0);
	json_t *device = json_array_get(json_object_get(warm.json, "devices"), 0);
	assert_string_equal(json_string_value(json_object_get(device, "device")), "reference:0");
	assert_true(json_is_false(json_object_get(device, "cache_hit")));
	assert_true(json_is_null(json_object_get(device, "error")));
	auto_reply refused =
	    post_json(bench, "/pipelines",
		      "{\"source\": \"" SAXPY_JSON "\", \"mode\": \"prewarm\", \"devices\": [\"cuda:7\"]}");
	assert_problem(&refused, 422, 1006, "an unknown device");
	gd_error_set(&bench->engine.compile_error, GD_KERNEL_COMPILE_FAILED, NULL, "no");
	auto_reply failed =
	    post_json(bench, "/pipelines", "{\"source\": \"" SAXPY_JSON "\", \"mode\": \"prewarm\"}");
	assert_problem(&failed, 422, 1004, "a compile that fails");
	assert_int_equal(json_array_size(json_object_get(failed.json, "errors")), 1);
}

static void prewarm_reports_cache_hit(void **state)
{
	struct bench *bench = *state;
	for (unsigned i = 0; i < 2; i++) {
		auto_reply warm =
		    post_json(bench, "/pipelines", "{\"source\": \"" SAXPY_JSON "\", \"mode\": \"prewarm\"}");
		assert_int_equal(warm.status, i ? 200 : 201);
		assert_int_equal(json_is_true(json_object_get(warm.json, "cache_hit")), i);
		assert_int_equal(
		    json_is_true(json_object_get(json_object_get(warm.json, "manifest"), "cache_hit")), i);
		assert_non_null(strstr(warm.headers, i ? "gpudispatch; hit" : "gpudispatch; fwd=miss"));
	}
}

static void compile_refuses_a_program_without_an_entry_kernel(void **state)
{
	struct bench *bench = *state;
	auto_reply reply =
	    post_source(bench, "/pipelines", "text/x-cuda", "__device__ int f() { return 1; }");
	assert_problem(&reply, 422, 1006, "no kernel");
	assert_int_equal(bench->engine.compiles, 0);
}

static void native_pipeline_is_used_when_the_device_has_one(void **state)
{
	struct bench *bench = *state;
	char id[128], target[200];
	make_pipeline_of(bench, "", id);
	snprintf(target, sizeof target, "/pipelines/%s/cubin", id);
	auto_reply none = get(bench, target);
	assert_problem(&none, 404, 1010, "no cubin on reference");
	bench->engine.backend = "cuda";
	make_pipeline_of(bench, "", id);
	snprintf(target, sizeof target, "/pipelines/%s/cubin", id);
	auto_reply cubin = get(bench, target);
	assert_int_equal(cubin.status, 200);
	assert_memory_equal(cubin.body.data,
			    "\x7f"
			    "ELF",
			    4);
	snprintf(target, sizeof target, "/pipelines/%s/manifest", id);
	auto_reply manifest = get(bench, target);
	assert_int_equal(json_array_size(json_object_get(manifest.json, "artifacts")), 2);
	assert_string_equal(text_of(&manifest, "target"), "sm_90");
}

static void bad_programs_are_refused_with_number_and_pointer(void **state)
{
	struct bench *bench = *state;
	static const struct {
		const char *body, *pointer, *why;
		unsigned status;
		int number;
	} rows[] = {
	    {"", NULL, "empty body", 422, 1006},
	    {"{", NULL, "broken JSON", 400, 1006},
	    {"5", NULL, "no object", 422, 1006},
	    {"[]", NULL, "an array", 422, 1006},
	    {"{}", "/source", "no program", 422, 1006},
	    {"{\"source\": 5}", "/source", "source is no string", 422, 1006},
	    {"{\"source\": \"\"}", NULL, "empty source", 422, 1006},
	    {"{\"source\": \"x\", \"source\": \"y\"}", "/source", "a key twice", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"colour\": 1}", "/colour", "unknown member", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"config\": {\"a/b\": 1}}", "/config/a~1b",
	     "unknown member below", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"ptx\": \"y\"}", "/ptx", "two programs", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"options\": [\"-I/etc\"]}", "/options/0",
	     "a forbidden option", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"options\": [7]}", "/options/0", "no string", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"options\": \"-lineinfo\"}", "/options", "no array", 422,
	     1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"headers\": {\"a.h\": 1}}", "/headers/a.h",
	     "a header that is no text", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"params\": [{\"type\": \"f31\"}]}", NULL, "unknown type", 422,
	     1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"params\": [{\"kind\": \"f32\"}]}", "/params/0/kind",
	     "unknown member", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"workgroup_size\": [0]}", "/workgroup_size", "axis 0", 422,
	     1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"workgroup_size\": [1025]}", "/workgroup_size/0",
	     "over the limit", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"workgroup_size\": [64, 64]}", "/workgroup_size", "product",
	     422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"workgroup_size\": [1, 1, 1, 1]}", "/workgroup_size",
	     "four axes", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"workgroup_size\": [-1]}", "/workgroup_size", "negative", 422,
	     1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"workgroup_size\": [1.5]}", "/workgroup_size", "fraction",
	     422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"workgroup_size\": [4294967296]}", "/workgroup_size", "2^32",
	     422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"config\": {\"workgroup_size\": [1025]}}",
	     "/config/workgroup_size/0", "in config", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"config\": {\"timeout_ms\": 0}}", "/config/timeout_ms",
	     "no time", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"config\": {\"timeout_ms\": 300001}}", "/config/timeout_ms",
	     "too long", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"config\": []}", "/config", "no object", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"backend\": \"metal\"}", "/backend", "unknown backend", 422,
	     1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"mode\": 1}", "/mode", "no word", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"cache\": \"never\"}", "/cache", "unknown word", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"devices\": []}", "/devices", "devices without prewarm", 422,
	     1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"kernel\": 1}", "/kernel", "no string", 422, 1006},
	    {"{\"source\": \"" SAXPY_JSON "\", \"kernel\": \"a;b\"}", "/kernel", "no expression", 422, 1006},
	    {"{\"cubin\": \"QQ=A\", \"kernel\": \"k\"}", "/cubin", "no base64", 422, 1006},
	    {"{\"source\": \"\\ud800\"}", NULL, "lone surrogate", 400, 1006},
	    {"{\"source\": \"a\xff\"}", NULL, "no UTF-8", 400, 1006},
	    {"{\"source\": \"x\"} y", NULL, "text after it", 400, 1006},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		auto_reply reply = post_json(bench, "/pipelines", rows[i].body);
		assert_problem(&reply, rows[i].status, rows[i].number, rows[i].why);
		if (!rows[i].pointer)
			continue;
		json_t *first = json_array_get(json_object_get(reply.json, "errors"), 0);
		const char *pointer = json_string_value(json_object_get(first, "pointer"));
		if (!pointer || strcmp(pointer, rows[i].pointer) != 0)
			print_error("%s: %s\n", rows[i].why, reply.body.data);
		assert_non_null(pointer);
		assert_string_equal(pointer, rows[i].pointer);
	}
	assert_int_equal(bench->engine.compiles, 0);
}

static void bad_requests_around_the_source_are_refused(void **state)
{
	struct bench *bench = *state;
	static const struct {
		const char *target, *type, *body, *why;
		unsigned status;
		int number;
	} rows[] = {
	    {"/pipelines", "text/x-cuda", "", "empty body", 422, 1006},
	    {"/pipelines?colour=1", "text/x-cuda", SAXPY, "unknown name", 422, 1006},
	    {"/pipelines?kernel=a&kernel=b", "text/x-cuda", SAXPY, "name twice", 422, 1006},
	    {"/pipelines?workgroup_size=0", "text/x-cuda", SAXPY, "axis 0", 422, 1006},
	    {"/pipelines?workgroup_size=1,2,3,4", "text/x-cuda", SAXPY, "four axes", 422, 1006},
	    {"/pipelines?config={", "text/x-cuda", SAXPY, "config is no JSON", 422, 1006},
	    {"/pipelines?kernel=%zz", "text/x-cuda", SAXPY, "broken percent", 400, 1006},
	    {"/pipelines?kernel=%00", "text/x-cuda", SAXPY, "NUL", 400, 1006},
	    {"/pipelines?kernel=saxpy", "application/json", "{}", "a query beside JSON", 422, 1006},
	    {"/pipelines", "application/xml", "<a/>", "unknown type", 415, 1006},
	    {"/pipelines", "text/plain; charset=latin1", SAXPY, "another charset", 415, 1006},
	    {"/pipelines", "no type at all", SAXPY, "unreadable type", 415, 1006},
	    {"/pipelines/", "text/plain", SAXPY, "a slash too much", 404, 1010},
	    {"/pipeline", "text/plain", SAXPY, "no such path", 404, 1010},
	    {"/v1/v1/pipelines", "text/plain", SAXPY, "prefix twice", 404, 1010},
	    {"/devices", "text/plain", SAXPY, "a path that takes no POST", 405, 1006},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		auto_reply reply = post_source(bench, rows[i].target, rows[i].type, rows[i].body);
		assert_problem(&reply, rows[i].status, rows[i].number, rows[i].why);
		if (reply.status == 415)
			assert_non_null(strstr(reply.headers, "Accept-Post: application/json, text/x-cuda"));
		if (reply.status == 405)
			assert_non_null(strstr(reply.headers, "Allow: GET, HEAD\n"));
	}
	auto_reply zipped = send_ask(bench, &(struct ask){.method = "POST",
							  .target = "/pipelines",
							  .headers = {"Content-Encoding", "gzip"},
							  .body = SAXPY,
							  .bytes = sizeof SAXPY - 1});
	assert_problem(&zipped, 415, 1006, "an encoded body");
}

static void bodies_are_taken_up_to_their_limit_and_not_one_byte_more(void **state)
{
	struct bench *bench = *state;
	size_t max = 1 << 20;
	char *source = malloc(max + 1);
	assert_non_null(source);
	memset(source, ' ', max + 1);
	memcpy(source, SAXPY, sizeof SAXPY - 1);
	for (unsigned chunked = 0; chunked < 2; chunked++) {
		struct ask ask = {.method = "POST",
				  .target = "/pipelines",
				  .headers = {"Content-Type", "text/x-cuda"},
				  .body = source,
				  .bytes = max,
				  .piece = 70001,
				  .is_chunked = chunked};
		auto_reply at = send_ask(bench, &ask);
		assert_int_equal(at.status, chunked ? 200 : 201);
		ask.bytes = max + 1;
		auto_reply over = send_ask(bench, &ask);
		assert_problem(&over, 413, 1012, "one byte over");
	}
	free(source);
	/* 3 MiB of [ */
	size_t bytes = 3u << 20;
	char *brackets = malloc(bytes + 1);
	assert_non_null(brackets);
	memset(brackets, '[', bytes + 1);
	struct ask ask = {.method = "POST",
			  .target = "/pipelines",
			  .headers = {"Content-Type", "application/json"},
			  .body = brackets,
			  .bytes = bytes,
			  .piece = 100000};
	auto_reply deep = send_ask(bench, &ask);
	assert_problem(&deep, 400, 1006, "3 MiB of [");
	ask.bytes++;
	auto_reply long_one = send_ask(bench, &ask);
	assert_problem(&long_one, 413, 1012, "one more [");
	free(brackets);
}

static void every_split_of_the_body_gives_the_same_answer(void **state)
{
	struct bench *bench = *state;
	static const char body[] = "{\"source\": \"" SAXPY_JSON "\", \"kernel\": \"saxpy\"}";
	char id[128] = "";
	for (size_t piece = 1; piece < sizeof body; piece += piece < 8 ? 1 : 11) {
		auto_reply reply =
		    send_ask(bench, &(struct ask){.method = "POST",
						  .target = "/pipelines",
						  .headers = {"Content-Type", "application/json"},
						  .body = body,
						  .bytes = sizeof body - 1,
						  .piece = piece,
						  .is_chunked = piece & 1});
		assert_int_equal(reply.status, *id ? 200 : 201);
		if (*id)
			assert_string_equal(text_of(&reply, "id"), id);
		snprintf(id, sizeof id, "%s", text_of(&reply, "id"));
	}
}

static void a_late_compile_wakes_the_server(void **state)
{
	struct bench *bench = *state;
	bench->engine.is_late = true;
	wakes = 0;
	char id[128];
	make_pipeline_of(bench, "", id);
	assert_int_equal(wakes, 1);
}

static void a_client_that_leaves_during_a_compile_leaves_nothing_behind(void **state)
{
	struct bench *bench = *state;
	bench->engine.never_compiles = true;
	static const char body[] = "{\"source\": \"" SAXPY_JSON "\"}";
	struct ask ask = {.method = "POST",
			  .target = "/pipelines",
			  .headers = {"Content-Type", "application/json"},
			  .body = body,
			  .bytes = sizeof body - 1};
	for (unsigned late = 0; late < 2; late++) {
		struct gd_head head = head_of(&ask);
		struct gd_exchange *exchange = gd_exchange_new(bench->api_lane, &head);
		assert_int_equal(gd_exchange_body(exchange, body, ask.bytes), ask.bytes);
		gd_exchange_end(exchange);
		assert_int_equal(gd_exchange_state(exchange), GD_EXCHANGE_WAITING);
		wakes = 0;
		gd_exchange_free(exchange);
		if (!late)
			fake_compile_finish(&bench->engine);
		assert_int_equal(wakes, 0);
	}
	/* the second compile never ends: bench_down sees that it is freed */
	auto_reply list = get(bench, "/pipelines");
	assert_int_equal(json_array_size(json_object_get(list.json, "items")), 0);
}

static void what_the_compiler_refuses_is_told_with_its_diagnostics(void **state)
{
	struct bench *bench = *state;
	gd_error_set(&bench->engine.compile_error, GD_KERNEL_COMPILE_FAILED, "correct line 1",
		     "kernel.cu(1): error: expected a \";\"");
	auto_reply reply = post_json(bench, "/pipelines", "{\"source\": \"" SAXPY_JSON "\"}");
	assert_problem(&reply, 422, 1004, "a syntax error");
	assert_string_equal(text_of(&reply, "code"), "kernel_compile_failed");
	assert_string_equal(text_of(&reply, "stage"), "compile");
	assert_string_equal(text_of(&reply, "fix"), "correct line 1");
	assert_true(json_is_array(json_object_get(reply.json, "diagnostics")));
}

static void cache_modes_reach_the_engine_and_the_answer(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
	auto_reply bypass =
	    post_json(bench, "/pipelines", "{\"source\": \"" SAXPY_JSON "\", \"cache\": \"bypass\"}");
	assert_int_equal(bypass.status, 200);
	assert_true(json_is_false(json_object_get(bypass.json, "cache_hit")));
	assert_string_equal(text_of(&bypass, "miss_reason"), "bypassed");
	assert_non_null(strstr(bypass.headers, "fwd=bypass"));
	auto_reply posted = post_json(bench, "/pipelines",
				      "{\"cubin\": \"f0VMRg==\", \"kernel\": \"k\", \"params\": [{\"name\": "
				      "\"n\", \"type\": \"i32\"}]}");
	assert_int_equal(posted.status, 201);
	assert_true(json_is_null(json_object_get(posted.json, "cache_hit")));
	assert_true(json_is_null(json_object_get(posted.json, "cache_tier")));
}

int main(void)
{
#define with_bench(test) cmocka_unit_test_setup_teardown(test, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
	    with_bench(compile_from_each_body_form_gives_the_same_pipeline),
	    with_bench(compile_answers_id_and_manifest),
	    with_bench(id_begins_with_its_backend),
	    with_bench(prewarm_compiles_and_never_launches),
	    with_bench(prewarm_reports_cache_hit),
	    with_bench(compile_refuses_a_program_without_an_entry_kernel),
	    with_bench(native_pipeline_is_used_when_the_device_has_one),
	    with_bench(bad_programs_are_refused_with_number_and_pointer),
	    with_bench(bad_requests_around_the_source_are_refused),
	    with_bench(bodies_are_taken_up_to_their_limit_and_not_one_byte_more),
	    with_bench(every_split_of_the_body_gives_the_same_answer),
	    with_bench(a_late_compile_wakes_the_server),
	    with_bench(a_client_that_leaves_during_a_compile_leaves_nothing_behind),
	    with_bench(what_the_compiler_refuses_is_told_with_its_diagnostics),
	    with_bench(cache_modes_reach_the_engine_and_the_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
