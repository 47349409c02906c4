/* Reading, listing and deleting pipelines, over the fake engine. */
#include "tests/unit/api/harness.h"

static void a_pipeline_can_be_read_and_deleted(void **state)
{
	struct bench *bench = *state;
	char id[128], target[220];
	make_pipeline_of(bench, ", \"kernel\": \"saxpy\"", id);
	snprintf(target, sizeof target, "/pipelines/reference%%3A%s", id + 10);
	auto_reply read = get(bench, target);
	assert_int_equal(read.status, 200);
	assert_string_equal(text_of(&read, "id"), id);
	assert_string_equal(read.route, "/pipelines/{id}");
	auto_reply head = send_ask(bench, &(struct ask){.method = "HEAD", .target = target});
	assert_int_equal(head.status, 200);
	assert_int_equal(head.body.len, 0);
	char etag[80];
	snprintf(etag, sizeof etag, "W/\"x\", \"%s\"", id + 10);
	auto_reply unchanged = send_ask(
	    bench, &(struct ask){.method = "GET", .target = target, .headers = {"If-None-Match", etag}});
	assert_int_equal(unchanged.status, 304);
	assert_int_equal(unchanged.body.len, 0);
	snprintf(target, sizeof target, "/v1/pipelines/%s/source", id);
	auto_reply source = get(bench, target);
	assert_string_equal(source.body.data, SAXPY);
	assert_non_null(strstr(source.headers, "text/x-cuda"));
	snprintf(target, sizeof target, "/pipelines/%s/ptx", id);
	auto_reply ptx = get(bench, target);
	assert_string_equal(ptx.body.data, ".version 9.0");
	snprintf(target, sizeof target, "/pipelines/%s", id);
	struct ask delete = {.method = "DELETE", .target = target};
	auto_reply gone = send_ask(bench, &delete);
	assert_int_equal(gone.status, 204);
	auto_reply again = send_ask(bench, &delete);
	assert_problem(&again, 404, 1010, "deleted twice");
	auto_reply missing = get(bench, target);
	assert_problem(&missing, 404, 1010, "read after deletion");
	make_pipeline_of(bench, ", \"kernel\": \"saxpy\"", target);
	assert_string_equal(target, id);
}

static void lists_are_read_page_by_page(void **state)
{
	struct bench *bench = *state;
	char after[160] = "", last[128] = "";
	for (unsigned i = 0; i < 5; i++) {
		char more[64], id[128];
		snprintf(more, sizeof more, ", \"options\": [\"-DA=%u\"]", i);
		make_pipeline_of(bench, more, id);
	}
	unsigned count = 0;
	for (unsigned page = 0; page < 3; page++) {
		char target[220];
		snprintf(target, sizeof target, "/pipelines?limit=2%s%s", page ? "&after=" : "", after);
		auto_reply list = get(bench, target);
		json_t *items = json_object_get(list.json, "items");
		assert_int_equal(json_array_size(items), page < 2 ? 2 : 1);
		for (size_t i = 0; i < json_array_size(items); i++) {
			const char *id = json_string_value(json_object_get(json_array_get(items, i), "id"));
			assert_true(strcmp(id, last) > 0);
			snprintf(last, sizeof last, "%s", id);
			count++;
		}
		snprintf(after, sizeof after, "%s", text_of(&list, "next"));
		assert_int_equal(json_is_null(json_object_get(list.json, "next")), page == 2);
	}
	assert_int_equal(count, 5);
	static const char *const bad[] = {"/pipelines?limit=0", "/pipelines?limit=1001", "/pipelines?limit=x",
					  "/pipelines?page=2", "/pipelines?limit=1&limit=2"};
	for (unsigned i = 0; i < 5; i++) {
		auto_reply reply = get(bench, bad[i]);
		assert_problem(&reply, 422, 1006, bad[i]);
	}
}

int main(void)
{
#define with_bench(test) cmocka_unit_test_setup_teardown(test, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
	    with_bench(a_pipeline_can_be_read_and_deleted),
	    with_bench(lists_are_read_page_by_page),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
