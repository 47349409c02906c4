/* The table of pipelines: its limit, its order, references that outlive deletion, and many threads at once.
 */
#include "tests/unit/api/harness.h"

#include "api/pipelines.h"

#include <pthread.h>

static struct gd_pipeline *make(unsigned number)
{
	struct gd_pipeline *pipeline = calloc(1, sizeof *pipeline);
	assert_non_null(pipeline);
	pipeline->references = 1;
	snprintf(pipeline->id, sizeof pipeline->id, "reference:%08x", number * 2654435761u);
	return pipeline;
}

static void add(struct gd_pipelines *table, unsigned number, bool expect_new)
{
	struct gd_error error;
	struct gd_pipeline *pipeline = make(number), *now;
	bool is_new;
	assert_true(gd_pipelines_add(table, pipeline, &now, &is_new, &error));
	assert_int_equal(is_new, expect_new);
	assert_int_equal(now == pipeline, expect_new);
	gd_pipeline_free(now);
	gd_pipeline_free(pipeline);
}

static void the_table_is_full_at_its_limit(void **state)
{
	(void)state;
	struct gd_pipelines *table;
	struct gd_error error;
	assert_true(gd_pipelines_new(100, UINT64_MAX, &table, &error));
	for (unsigned i = 0; i < 100; i++)
		add(table, i, true);
	add(table, 50, false);
	struct gd_pipeline *one = make(100), *now;
	bool is_new;
	assert_false(gd_pipelines_add(table, one, &now, &is_new, &error));
	assert_int_equal(error.code, GD_QUOTA_EXCEEDED);
	uint64_t generation = gd_pipelines_generation(table);
	struct gd_pipeline *held = gd_pipelines_find(table, "reference:00000000");
	assert_non_null(held);
	assert_true(gd_pipelines_remove(table, "reference:00000000"));
	assert_true(gd_pipelines_generation(table) > generation);
	assert_false(gd_pipelines_remove(table, "reference:00000000"));
	assert_string_equal(held->id, "reference:00000000");
	gd_pipeline_free(held);
	assert_true(gd_pipelines_add(table, one, &now, &is_new, &error));
	gd_pipeline_free(now);
	gd_pipeline_free(one);
	assert_int_equal(gd_pipelines_count(table), 100);
	gd_pipelines_free(table);
}

static void the_table_is_full_at_its_memory_and_has_room_after_a_removal(void **state)
{
	(void)state;
	struct gd_pipelines *table;
	struct gd_error error;
	assert_true(gd_pipelines_new(100, 3 * sizeof(struct gd_pipeline), &table, &error));
	for (unsigned i = 0; i < 3; i++)
		add(table, i, true);
	add(table, 1, false);
	struct gd_pipeline *one = make(3), *now;
	bool is_new;
	assert_false(gd_pipelines_add(table, one, &now, &is_new, &error));
	assert_int_equal(error.code, GD_QUOTA_EXCEEDED);
	gd_pipeline_free(one);
	assert_true(gd_pipelines_remove(table, "reference:00000000"));
	add(table, 3, true);
	gd_pipelines_free(table);
}

static void pages_cover_everything_once_while_it_changes(void **state)
{
	(void)state;
	struct gd_pipelines *table;
	struct gd_error error;
	assert_true(gd_pipelines_new(1000, UINT64_MAX, &table, &error));
	for (unsigned i = 0; i < 300; i++)
		add(table, i, true);
	char after[GD_PIPELINE_ID_BYTES] = "";
	unsigned count = 0;
	bool more = true;
	while (more) {
		struct gd_pipeline *items[7];
		uint32_t got = gd_pipelines_page(table, after, 7, items, &more);
		for (uint32_t i = 0; i < got; i++) {
			assert_true(strcmp(items[i]->id, after) > 0);
			snprintf(after, sizeof after, "%s", items[i]->id);
			gd_pipeline_free(items[i]);
			count++;
		}
		/* what the next page starts behind may be gone by then */
		assert_true(gd_pipelines_remove(table, after));
	}
	assert_int_equal(count, 300);
	gd_pipelines_free(table);
}

static void *churn(void *context)
{
	struct gd_pipelines *table = context;
	for (unsigned i = 0; i < 3000; i++) {
		struct gd_error error;
		struct gd_pipeline *pipeline = make(i % 16), *now = NULL;
		bool is_new;
		if (gd_pipelines_add(table, pipeline, &now, &is_new, &error))
			gd_pipeline_free(now);
		struct gd_pipeline *found = gd_pipelines_find(table, pipeline->id);
		if (i % 3 == 0)
			gd_pipelines_remove(table, pipeline->id);
		gd_pipeline_free(found);
		gd_pipeline_free(pipeline);
	}
	return NULL;
}

static void many_threads_share_it(void **state)
{
	(void)state;
	struct gd_pipelines *table;
	struct gd_error error;
	assert_true(gd_pipelines_new(1000, UINT64_MAX, &table, &error));
	pthread_t threads[4];
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, table), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_true(gd_pipelines_count(table) <= 16);
	gd_pipelines_free(table);
}

static void a_lane_that_remembers_forgets_what_was_deleted(void **state)
{
	struct bench *bench = *state;
	char id[128], target[200];
	make_pipeline_of(bench, "", id);
	snprintf(target, sizeof target, "/pipelines/%s", id);
	for (unsigned i = 0; i < 3; i++) {
		auto_reply reply = get(bench, target);
		assert_int_equal(reply.status, 200);
	}
	struct ask ask = {.method = "DELETE", .target = target};
	auto_reply gone = send_ask(bench, &ask);
	assert_int_equal(gone.status, 204);
	auto_reply missing = get(bench, target);
	assert_int_equal(missing.status, 404);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_table_is_full_at_its_limit),
	    cmocka_unit_test(the_table_is_full_at_its_memory_and_has_room_after_a_removal),
	    cmocka_unit_test(pages_cover_everything_once_while_it_changes),
	    cmocka_unit_test(many_threads_share_it),
	    cmocka_unit_test_setup_teardown(a_lane_that_remembers_forgets_what_was_deleted, bench_up,
					    bench_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
