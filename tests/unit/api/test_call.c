/* What a dispatch may ask for, in each form, and what is refused; over the fake engine. */
#include "tests/unit/api/dispatches.h"

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

int main(void)
{
#define with_bench(test) cmocka_unit_test_setup_teardown(test, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
	    with_bench(bad_json_dispatches_are_refused_with_number_and_pointer),
	    with_bench(bad_raw_and_multipart_dispatches_are_refused),
	    with_bench(bad_frames_are_refused),
	    with_bench(grids_follow_elements_and_workgroup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
