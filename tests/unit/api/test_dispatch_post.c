/* POST /pipelines/{id}/dispatch over the fake engine: forms, arguments, answers, waiting, leaving. */
#include "tests/unit/api/harness.h"

#define OCTETS "application/octet-stream"

static const float x4[4] = {1, 2, 3, 4};

static char target_text[400];

static const char *target_of(const char *id, const char *query)
{
	snprintf(target_text, sizeof target_text, "/pipelines/%s/dispatch%s", id, query);
	return target_text;
}

static struct reply post(struct bench *bench, const char *id, const char *query, const char *type,
			 const void *body, size_t bytes)
{
	return send_ask(bench, &(struct ask){.method = "POST",
					     .target = target_of(id, query),
					     .headers = {type ? "Content-Type" : NULL, type},
					     .body = body,
					     .bytes = bytes});
}

static void assert_floats(const struct reply *reply, const float *expected, size_t count)
{
	if (reply->status != 200)
		print_error("%u %s\n", reply->status, reply->body.data);
	assert_int_equal(reply->status, 200);
	assert_int_equal(reply->body.len, count * sizeof(float));
	assert_memory_equal(reply->body.data, expected, count * sizeof(float));
}

static const char saxpy_json[] =
    "{\"args\": [{\"value\": 2.0}, {\"data\": \"AACAPwAAAEAAAEBAAACAQA==\"}, {\"bytes\": 16}, "
    "{\"value\": 4}]}";
#define BOUNDARY   "multipart/form-data; boundary=\"b-0\""
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

static void bad_json_dispatches_are_refused_with_number_and_pointer(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
#define ARGS(a, x, y, n) "{\"args\": [" a ", " x ", " y ", " n "]}"
#define A                "{\"value\": 2}"
#define X                "{\"data\": \"AACAPw==\"}"
#define Y                "{\"bytes\": 4}"
#define N                "{\"value\": 1}"
#define MORE(more)       "{\"args\": [" A ", " X ", " Y ", " N "], " more "}"
	static const struct {
		const char *body, *pointer, *why;
		unsigned status;
		int number;
	} rows[] = {
	    {"", NULL, "empty body", 422, 1006},
	    {"[", NULL, "broken", 400, 1006},
	    {"7", NULL, "no object", 422, 1006},
	    {"{}", "/args/0", "no arguments", 422, 1006},
	    {"{\"args\": 1}", "/args", "no list", 422, 1006},
	    {"{\"args\": [" A "]}", "/args/1", "too few", 422, 1006},
	    {"{\"args\": [" A ", " X ", " Y ", " N ", " N "]}", "/args/4", "too many", 422, 1006},
	    {"{\"args\": {\"z\": " A "}}", "/args/z", "unknown name", 422, 1006},
	    {"{\"args\": {\"a\": " A ", \"0\": " A "}}", "/args/0/value", "name and position of one", 422,
	     1006},
	    {"{\"args\": [" A "], \"args\": [" A "]}", "/args", "a key twice", 422, 1006},
	    {ARGS("2", X, Y, N), "/args/0", "a bare value", 422, 1006},
	    {ARGS("{}", X, Y, N), "/args/0", "an empty argument", 422, 1006},
	    {ARGS("{\"value\": 1, \"bytes\": 4}", X, Y, N), "/args/0", "two kinds", 422, 1006},
	    {ARGS("{\"val\": 1}", X, Y, N), "/args/0/val", "unknown member", 422, 1006},
	    {ARGS("{\"value\": \"1\"}", X, Y, N), "/args/0/value", "a float as text", 422, 1006},
	    {ARGS("{\"value\": null}", X, Y, N), "/args/0/value", "null for a float", 422, 1006},
	    {ARGS("{\"value\": 1e39}", X, Y, N), "/args/0/value", "over f32", 422, 1006},
	    {ARGS("{\"value\": 1e400}", X, Y, N), NULL, "over f64", 422, 1006},
	    {ARGS("{\"bytes\": 4}", X, Y, N), "/args/0/bytes", "zeroes for a scalar", 422, 1006},
	    {ARGS("{\"data\": \"AAA=\"}", X, Y, N), "/args/0/data", "two bytes for f32", 422, 1006},
	    {ARGS(A, "{\"value\": 1}", Y, N), "/args/1/value", "a value for a buffer", 422, 1006},
	    {ARGS(A, "{\"data\": 5}", Y, N), "/args/1/data", "data is no text", 422, 1006},
	    {ARGS(A, "{\"data\": \"AAC*Pw==\"}", Y, N), "/args/1/data", "a wrong character", 422, 1006},
	    {ARGS(A, "{\"data\": \"AACAPw=\"}", Y, N), "/args/1/data", "a padding missing", 422, 1006},
	    {ARGS(A, "{\"data\": \"AACAPx==\"}", Y, N), "/args/1/data", "unused bits", 422, 1006},
	    {ARGS(A, "{\"data\": \"AACA Pw==\"}", Y, N), "/args/1/data", "a blank", 422, 1006},
	    {ARGS(A, "{\"data\": \"AACA\\nPw==\"}", Y, N), "/args/1/data", "an escaped line end", 422, 1006},
	    {ARGS(A, "{\"data\": \"AACA\nPw==\"}", Y, N), NULL, "a raw line end is no JSON", 400, 1006},
	    {ARGS(A, "{\"data\": \"AACAPwA=\"}", Y, N), "/args/1", "five bytes of f32", 422, 1006},
	    {ARGS(A, X, "{\"bytes\": 3}", N), "/args/2", "three bytes of f32", 422, 1006},
	    {ARGS(A, X, "{\"bytes\": -1}", N), "/args/2/bytes", "negative size", 422, 1006},
	    {ARGS(A, X, "{\"bytes\": 1.5}", N), "/args/2/bytes", "half a byte", 422, 1006},
	    {ARGS(A, X, "{\"bytes\": 9223372036854775808}", N), "/args/2/bytes", "2^63", 422, 1006},
	    {ARGS(A, X, "{\"binary_data_size\": 4}", N), "/args/2/binary_data_size", "no frame", 422, 1006},
	    {ARGS(A, X, "{\"buffer\": \"b-1\"}", N), "/args/2/buffer", "an unknown resident buffer", 404,
	     1010},
	    {ARGS(A, X, "{\"buffer\": 7}", N), "/args/2/buffer", "no id", 422, 1006},
	    {ARGS(A, X, "{\"offset\": 0}", N), "/args/2", "an offset of nothing", 422, 1006},
	    {ARGS(A, X, Y, "{\"value\": 2.5}"), "/args/3/value", "a fraction", 422, 1006},
	    {ARGS(A, X, Y, "{\"value\": 2147483648}"), "/args/3/value", "over i32", 422, 1006},
	    {ARGS(A, X, Y, "{\"value\": -2147483649}"), "/args/3/value", "under i32", 422, 1006},
	    {ARGS(A, X, Y, "{\"value\": 18446744073709551616}"), "/args/3/value", "2^64", 422, 1006},
	    {ARGS(A, X, Y, "{\"value\": true}"), "/args/3/value", "a truth for a number", 422, 1006},
	    {ARGS(A, X, Y, "{\"value\": \" 1\"}"), "/args/3/value", "a blank", 422, 1006},
	    {ARGS(A, X, Y, "{\"value\": \"\\u00021\"}"), NULL, "a forged mark", 422, 1006},
	    {ARGS(A, X, Y, "{\"data\": \"\\u00010\"}"), "/args/3/data", "a forged blob", 422, 1006},
	    {ARGS(A, "{\"d\\u0061ta\": \"\\u00010\"}", Y, N), NULL, "a forged blob under a spelled key", 422,
	     1006},
	    {MORE("\"colour\": 1"), "/colour", "unknown member", 422, 1006},
	    {MORE("\"grid\": [0]"), "/grid/0", "grid 0", 422, 1006},
	    {MORE("\"grid\": [2147483648]"), "/grid/0", "grid over the limit", 422, 1006},
	    {MORE("\"grid\": [1, 65536]"), "/grid/1", "grid y over the limit", 422, 1006},
	    {MORE("\"grid\": 4"), "/grid", "no list", 422, 1006},
	    {MORE("\"grid\": []"), "/grid", "empty", 422, 1006},
	    {MORE("\"workgroup_size\": [1025]"), "/workgroup_size/0", "workgroup 1025", 422, 1006},
	    {MORE("\"workgroup_size\": [64, 64, 64]"), "/workgroup_size", "product", 422, 1006},
	    {MORE("\"workgroup_size\": [4294967295, 4294967295, 2]"), "/workgroup_size/0", "product wraps",
	     422, 1006},
	    {MORE("\"workgroup_size\": [8, 8]"), "/grid", "no default grid in two axes", 422, 1006},
	    {MORE("\"shared_bytes\": 49153"), "/shared_bytes", "shared memory", 422, 1006},
	    {MORE("\"timeout_ms\": 0"), "/timeout_ms", "no time", 422, 1006},
	    {MORE("\"timeout_ms\": 300001"), "/timeout_ms", "too long", 422, 1006},
	    {MORE("\"iterations\": 0"), "/iterations", "no iteration", 422, 1006},
	    {MORE("\"cooperative\": 1"), "/cooperative", "no truth", 422, 1006},
	    {MORE("\"elements\": -1"), "/elements", "negative", 422, 1006},
	    {MORE("\"outputs\": [\"x\"]"), "/outputs/0", "a read-only output", 422, 1006},
	    {MORE("\"outputs\": [\"a\"]"), "/outputs/0", "a scalar output", 422, 1006},
	    {MORE("\"outputs\": [9]"), "/outputs/0", "unknown position", 422, 1006},
	    {MORE("\"outputs\": [-1]"), "/outputs/0", "negative position", 422, 1006},
	    {MORE("\"outputs\": [\"y\", 2]"), "/outputs/1", "an output twice", 422, 1006},
	    {MORE("\"outputs\": \"y\""), "/outputs", "no list", 422, 1006},
	    {MORE("\"outputs\": [null]"), "/outputs/0", "no name", 422, 1006},
	    {MORE("\"max_output_bytes\": 3"), "/max_output_bytes", "outputs over the limit", 413, 1012},
	    {MORE("\"config\": {\"grid\": [1]}, \"grid\": [1]"), "/grid", "in both places", 422, 1006},
	    {MORE("\"config\": {\"colour\": 1}"), "/config/colour", "unknown in config", 422, 1006},
	    {MORE("\"config_mode\": \"mix\""), "/config_mode", "unknown mode", 422, 1006},
	    {MORE("\"header\": \"yes\""), "/header", "no truth", 422, 1006},
	    {MORE("\"batch\": []"), "/batch", "batch", 501, 1002},
	    {MORE("\"verify\": {}"), "/verify", "verify", 501, 1002},
	    {MORE("\"check\": true"), "/check", "check", 501, 1002},
	    {MORE("\"measure\": {}"), "/measure", "measure", 501, 1002},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		auto_reply reply =
		    post(bench, id, "", "application/json", rows[i].body, strlen(rows[i].body));
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
	assert_int_equal(bench->engine.counters[GD_COUNT_LAUNCHES], 0);
}

static void bad_raw_and_multipart_dispatches_are_refused(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
	static const char eight[8] = "12345678";
	static const struct {
		const char *query, *type, *body, *why;
		size_t bytes;
		unsigned status;
		int number;
	} rows[] = {
	    {"?a=2&n=1", NULL, eight, "seven bytes for two buffers", 7, 422, 1006},
	    {"?a=2&n=1", NULL, eight, "six bytes for two buffers of f32", 6, 422, 1006},
	    {"?a=2&n=1", NULL, eight, "nothing for two buffers", 0, 400, 1006},
	    {"?a=2&n=1&y=4&x.bytes=4", NULL, eight, "body longer than announced", 8, 400, 1006},
	    {"?a=2&n=1&y=4&x.bytes=8", NULL, eight, "body shorter than announced", 4, 400, 1006},
	    {"?a=2&n=1&x.bytes=18446744073709551615&y.bytes=2", NULL, eight, "sizes that wrap", 8, 422, 1006},
	    {"?a=2&n=1&x.bytes=9223372036854775807&y.bytes=9223372036854775807", NULL, eight,
	     "sizes over 2^63", 8, 400, 1006},
	    {"?n=1&y=4", NULL, eight, "a scalar missing", 4, 422, 1006},
	    {"?a=2&n=1&y=4&z=1", NULL, eight, "unknown name", 4, 422, 1006},
	    {"?a=2&n=1&y=4&0=2", NULL, eight, "name and position", 4, 422, 1006},
	    {"?a=2&n=1&y=4&arg.y=4", NULL, eight, "a name in two forms", 4, 422, 1006},
	    {"?a=2&a=2&n=1&y=4", NULL, eight, "a name twice", 4, 422, 1006},
	    {"?a=two&n=1&y=4", NULL, eight, "a word for a float", 4, 422, 1006},
	    {"?a=0x1p3&n=1&y=4", NULL, eight, "a hexadecimal float", 4, 422, 1006},
	    {"?a=2&n=1.5&y=4", NULL, eight, "a fraction for an integer", 4, 422, 1006},
	    {"?a=2&n=&y=4", NULL, eight, "nothing for an integer", 4, 422, 1006},
	    {"?a=2&n=99999999999999999999&y=4", NULL, eight, "over any integer", 4, 422, 1006},
	    {"?a=2&n=1&y=x", NULL, eight, "a size that is none", 4, 422, 1006},
	    {"?a=2&n=1&y=3", NULL, eight, "no whole elements", 4, 422, 1006},
	    {"?a=2&n=1&y=4&n.bytes=4", NULL, eight, "the size of a scalar", 4, 422, 1006},
	    {"?a=2&n=1&y.buffer=b-1", NULL, eight, "a resident buffer", 4, 404, 1010},
	    {"?a=2&n=1&y=4&grid=0", NULL, eight, "grid 0", 4, 422, 1006},
	    {"?a=2&n=1&y=4&grid=1,,1", NULL, eight, "a hole in the grid", 4, 422, 1006},
	    {"?a=2&n=1&y=4&grid=1,1,1,1", NULL, eight, "four axes", 4, 422, 1006},
	    {"?a=2&n=1&y=4&outputs=x", NULL, eight, "a read-only output", 4, 422, 1006},
	    {"?a=2&n=1&y=4&outputs=y,y", NULL, eight, "an output twice", 4, 422, 1006},
	    {"?a=2&n=1&y=4&config={", NULL, eight, "config is no JSON", 4, 422, 1006},
	    {"?a=2&n=1&y=4&config={\"grid\":[1]}&grid=1", NULL, eight, "in both places", 4, 422, 1006},
	    {"?a=2&n=1&y=4&measure=1", NULL, eight, "measure", 4, 501, 1002},
	    {"?a=2", "application/json", "{}", "a query beside JSON", 2, 422, 1006},
	    {"?a=2&n=1&y=4", "text/html", eight, "unknown type", 4, 415, 1006},
	    {"", "multipart/form-data", eight, "no boundary", 4, 400, 1006},
	    {"", BOUNDARY, "--b-0\r\n", "ends in a part's headers", 7, 400, 1006},
	    {"", BOUNDARY, "--b-0--", "no part", 7, 422, 1006},
	    {"", BOUNDARY, "--b-0\r\nContent-Disposition: form-data\r\n\r\n\r\n--b-0--", "no name", 50, 400,
	     1006},
	    {"", BOUNDARY, "", "nothing at all", 0, 400, 1006},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		auto_reply reply = post(bench, id, rows[i].query, rows[i].type, rows[i].body, rows[i].bytes);
		assert_problem(&reply, rows[i].status, rows[i].number, rows[i].why);
	}
	assert_int_equal(bench->engine.counters[GD_COUNT_LAUNCHES], 0);
}

static void bad_frames_are_refused(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
#define FRAME(x) "{\"args\": [{\"value\": 2}, {\"binary_data_size\": " x "}, {\"bytes\": 4}, {\"value\": 1}]}"
	static const struct {
		const char *length, *type, *body, *why;
		unsigned status;
		int number;
		int chunked; /* 0: no, 1: yes, 2: both */
	} rows[] = {
	    {"65537", OCTETS, "", "header over the limit", 413, 1012, 2},
	    {"-1", OCTETS, "", "negative", 400, 1006, 2},
	    {"1x", OCTETS, "", "no number", 400, 1006, 2},
	    {"99999999999999999999", OCTETS, "", "over any number", 400, 1006, 2},
	    {"90", OCTETS, "{}", "body shorter than its header", 400, 1006, 2},
	    {"77", OCTETS, FRAME("8") "1234", "bytes missing", 400, 1006, 2},
	    {"77", OCTETS, FRAME("4") "12345", "a byte left over", 400, 1006, 2},
	    {"77", OCTETS, FRAME("3") "123", "no whole element", 422, 1006, 2},
	    {"77", "application/json", FRAME("4") "1234", "a frame in JSON", 422, 1006, 2},
	    {"5", OCTETS, FRAME("4") "1234", "JSON cut by its length", 400, 1006, 2},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (unsigned chunked = 0; chunked < 2; chunked++) {
			struct ask ask = {.method = "POST",
					  .target = target_of(id, ""),
					  .headers = {"Content-Type", rows[i].type,
						      "Inference-Header-Content-Length", rows[i].length},
					  .body = rows[i].body,
					  .bytes = strlen(rows[i].body),
					  .piece = 3,
					  .is_chunked = chunked};
			auto_reply reply = send_ask(bench, &ask);
			assert_problem(&reply, rows[i].status, rows[i].number, rows[i].why);
		}
	}
	assert_int_equal(bench->engine.dispatches_alive, 0);
	assert_int_equal(bench->engine.counters[GD_COUNT_LAUNCHES], 0);
}

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

static void grids_follow_elements_and_workgroup(void **state)
{
	struct bench *bench = *state;
	char id[128];
	make_pipeline_of(bench, "", id);
	static const struct {
		const char *query, *why;
		size_t bytes;
		unsigned grid[3], block;
	} rows[] = {
	    {"?a=2&n=4&y=260", "the longest buffer: 65 elements", 16, {2, 1, 1}, 64},
	    {"?a=2&n=4&y=256", "exactly 64", 16, {1, 1, 1}, 64},
	    {"?a=2&n=4&y=16&elements=0", "no elements are one block", 16, {1, 1, 1}, 64},
	    {"?a=2&n=4&y=16&elements=129", "stated elements", 16, {3, 1, 1}, 64},
	    {"?a=2&n=4&y=16&grid=7", "a stated grid", 16, {7, 1, 1}, 64},
	    {"?a=2&n=4&y=16&grid=7,6,5", "three axes", 16, {7, 6, 5}, 64},
	    {"?a=2&n=4&y=16&config={\"workgroup_size\":[2]}", "a smaller workgroup", 16, {2, 1, 1}, 2},
	    {"?a=2&n=4&y=16&workgroup_size=2,2&grid=3", "two axes with a grid", 16, {3, 1, 1}, 2},
	    {"?a=2&n=4&y=null&x=null", "null pointers", 0, {1, 1, 1}, 64},
	    {"?a=2&n=4&y=0&x=0", "empty buffers", 0, {1, 1, 1}, 64},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		auto_reply reply = post(bench, id, rows[i].query, NULL, x4, rows[i].bytes);
		if (reply.status != 200)
			print_error("%s: %s\n", rows[i].why, reply.body.data);
		assert_int_equal(reply.status, 200);
		for (unsigned axis = 0; axis < 3; axis++)
			assert_int_equal(bench->engine.options.grid[axis], rows[i].grid[axis]);
		assert_int_equal(bench->engine.options.block[0], rows[i].block);
	}
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
	    with_bench(bad_json_dispatches_are_refused_with_number_and_pointer),
	    with_bench(bad_raw_and_multipart_dispatches_are_refused),
	    with_bench(bad_frames_are_refused),
	    with_bench(answers_take_the_form_that_accept_asks_for),
	    with_bench(outputs_are_chosen_and_framed),
	    with_bench(large_outputs_are_pulled_in_every_form),
	    with_bench(a_plan_that_finds_no_room_waits_and_then_gives_up),
	    with_bench(failures_of_the_engine_are_told_as_they_are),
	    with_bench(a_client_that_leaves_leaves_nothing_behind),
	    with_bench(grids_follow_elements_and_workgroup),
	    with_bench(bodies_over_the_limit_are_refused_early),
	    with_bench(the_unknown_pipeline_is_not_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
