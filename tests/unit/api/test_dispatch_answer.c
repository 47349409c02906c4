/* Answers of dispatches: their form, their outputs, large ones, failures; over the fake engine. */
#include "tests/unit/api/dispatches.h"

static void answers_take_the_form_that_accept_asks_for(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
	static const struct {
		const char *accept;
		bool from_json;
		unsigned status; /* 200: JSON, 201: raw here, 406 */
	} rows[] = {
	    {NULL, true, 200},
	    {NULL, false, 201},
	    {"*/*", true, 200},
	    {"*/*", false, 201},
	    {"application/json", false, 200},
	    {OCTETS, true, 201},
	    {"application/*", false, 201},
	    {"application/*", true, 200},
	    {"application/json, */*;q=0.1", false, 200},
	    {"application/json;q=0.1, " OCTETS, true, 201},
	    {"text/html, application/json;q=0.5", false, 200},
	    {"image/png", true, 406},
	    {"application/json;q=0", true, 406},
	    {"*/*;q=0", true, 406},
	    {"application/json;q=0, */*", true, 201},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ask ask = {.method = "POST",
				  .target = target_of(id, rows[i].from_json ? "" : "?a=2&n=4&y=16"),
				  .body = rows[i].from_json ? (const void *)saxpy_json : x4,
				  .bytes = rows[i].from_json ? sizeof saxpy_json - 1 : sizeof x4};
		unsigned at = 0;
		if (rows[i].from_json) {
			ask.headers[at++] = "Content-Type";
			ask.headers[at++] = "application/json";
		}
		if (rows[i].accept) {
			ask.headers[at++] = "Accept";
			ask.headers[at++] = rows[i].accept;
		}
		auto_reply reply = send_ask(bench, &ask);
		if (rows[i].status == 406) {
			assert_problem(&reply, 406, 1006, rows[i].accept);
			continue;
		}
		assert_int_equal(reply.status, 200);
		assert_non_null(strstr(reply.headers, "Vary: Accept"));
		assert_non_null(strstr(reply.headers, rows[i].status == 200
							  ? "Content-Type: application/json\n"
							  : "Content-Type: " OCTETS "\n"));
	}
}

static void outputs_are_chosen_and_framed(void **state)
{
	struct bench *bench = *state;
	auto_reply made = post_json(bench, "/pipelines",
				    "{\"source\": \"__global__ void k() {}\", \"params\": ["
				    "{\"name\": \"p\", \"type\": \"buffer\", \"element\": \"u8\"}, "
				    "{\"name\": \"q\", \"type\": \"buffer\", \"element\": "
				    "\"u8\"}, {\"name\": \"r\", \"type\": \"buffer\", \"element\": \"u8\", "
				    "\"access\": \"write\"}, {\"name\": \"s\", "
				    "\"type\": \"buffer\", \"element\": \"u8\"}, {\"name\": \"t\", \"type\": "
				    "\"buffer\", \"element\": \"u8\"}]}");
	assert_int_equal(made.status, 201);
	char id[128];
	snprintf(id, sizeof id, "%s", text_of(&made, "id"));
	static const struct {
		const char *query, *outputs, *body;
	} rows[] = {
	    {"?s=2&t=0", "pqrst", "aabbcc\0\0"},
	    {"?s=2&t=0&outputs=q", NULL, "bb"},
	    {"?s=2&t=0&outputs=", NULL, ""},
	    {"?s=2&t=0&outputs=2,p", "pr", "aacc"},
	    {"?s=2&t=0&outputs=q&header=true", "q", "bb"},
	    {"?s=2&t=0&outputs=p,q,r,s", "pqrs", "aabbcc\0\0"},
	};
	for (unsigned mode = 0; mode < 2; mode++) {
		bench->engine.window_bytes = mode ? 1 : 0;
		for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
			auto_reply reply = post(bench, id, rows[i].query, NULL, "aabbcc", 6);
			assert_int_equal(reply.status, 200);
			const char *length = strstr(reply.headers, "Inference-Header-Content-Length: ");
			if ((length != NULL) != (rows[i].outputs != NULL))
				print_error("%s: %s\n", rows[i].query, reply.headers);
			assert_int_equal(length != NULL, rows[i].outputs != NULL);
			size_t at = 0, bytes = strlen(rows[i].body) + (strlen(rows[i].body) == 6 ? 2 : 0);
			if (length) {
				at = (size_t)strtoul(strchr(length, ' '), NULL, 10);
				json_t *json = json_loadb(reply.body.data, at, 0, NULL);
				assert_non_null(json);
				json_t *outputs = json_object_get(json, "outputs");
				assert_int_equal(json_array_size(outputs), strlen(rows[i].outputs));
				size_t total = 0;
				for (size_t k = 0; k < json_array_size(outputs); k++) {
					json_t *item = json_array_get(outputs, k);
					assert_int_equal(json_string_value(json_object_get(item, "name"))[0],
							 rows[i].outputs[k]);
					assert_null(json_object_get(item, "data"));
					total += (size_t)json_integer_value(
					    json_object_get(item, "binary_data_size"));
				}
				assert_int_equal(total, bytes);
				json_decref(json);
			}
			assert_int_equal(reply.body.len, at + bytes);
			assert_memory_equal(reply.body.data + at, rows[i].body, bytes);
		}
	}
}

static void large_outputs_are_pulled_in_every_form(void **state)
{
	struct bench *bench = *state;
	char id[128], query[64];
	make_pipeline_of(bench, "", id);
	size_t bytes = (3 << 20) + 4;
	uint8_t *data = malloc(bytes);
	assert_non_null(data);
	for (size_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)(i * 7 + i / 4099);
	snprintf(query, sizeof query, "?a=2&n=4&y=%zu", bytes);
	for (unsigned mode = 0; mode < 2; mode++) {
		bench->engine.window_bytes = mode ? 100003 : 0;
		struct ask ask = {.method = "POST",
				  .target = target_of(id, query),
				  .body = data,
				  .bytes = bytes,
				  .piece = 65536};
		auto_reply raw = send_ask(bench, &ask);
		assert_int_equal(raw.status, 200);
		assert_int_equal(raw.body.len, bytes);
		assert_memory_equal(raw.body.data, data, bytes);
		ask.headers[0] = "Accept";
		ask.headers[1] = "application/json";
		auto_reply json = send_ask(bench, &ask);
		assert_int_equal(json.status, 200);
		const char *text = json_string_value(
		    json_object_get(json_array_get(json_object_get(json.json, "outputs"), 0), "data"));
		assert_non_null(text);
		/* and back in */
		size_t body_max = strlen(text) + 200;
		char *body = malloc(body_max);
		assert_non_null(body);
		snprintf(body, body_max,
			 "{\"args\": [{\"value\": 2}, {\"data\": \"%s\"}, {\"bytes\": %zu}, {\"value\": 4}]}",
			 text, bytes);
		auto_reply back = send_ask(
		    bench, &(struct ask){.method = "POST",
					 .target = target_of(id, ""),
					 .headers = {"Content-Type", "application/json", "Accept", OCTETS},
					 .body = body,
					 .bytes = strlen(body),
					 .piece = 50021});
		free(body);
		assert_int_equal(back.status, 200);
		assert_int_equal(back.body.len, bytes);
		assert_memory_equal(back.body.data, data, bytes);
	}
	free(data);
}

static void failures_of_the_engine_are_told_as_they_are(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
	gd_error_set(&bench->engine.dispatch_error, GD_DISPATCH_FAILED, NULL,
		     "the kernel read an illegal address");
	gd_error_native(&bench->engine.dispatch_error, 700, "CUDA_ERROR_ILLEGAL_ADDRESS", true);
	for (unsigned late = 0; late < 2; late++) {
		bench->engine.is_late = late;
		auto_reply fault = post(bench, id, "?a=2&n=4&y=16", NULL, x4, sizeof x4);
		assert_problem(&fault, 422, 1005, "a fault");
		json_t *cuda = json_object_get(fault.json, "cuda");
		assert_int_equal(json_integer_value(json_object_get(cuda, "result")), 700);
		assert_string_equal(json_string_value(json_object_get(cuda, "name")),
				    "CUDA_ERROR_ILLEGAL_ADDRESS");
		assert_true(json_is_true(json_object_get(cuda, "sticky")));
	}
	gd_error_set(&bench->engine.new_error, GD_DEVICE_LOST, NULL, "no worker");
	auto_reply lost = post(bench, id, "?a=2&n=4&y=16", NULL, x4, sizeof x4);
	assert_problem(&lost, 503, 1008, "no worker");
	assert_non_null(strstr(lost.headers, "Retry-After"));
	assert_true(json_is_true(json_object_get(lost.json, "retryable")));
}

int main(void)
{
#define with_bench(test) cmocka_unit_test_setup_teardown(test, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
	    with_bench(answers_take_the_form_that_accept_asks_for),
	    with_bench(outputs_are_chosen_and_framed),
	    with_bench(large_outputs_are_pulled_in_every_form),
	    with_bench(failures_of_the_engine_are_told_as_they_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
