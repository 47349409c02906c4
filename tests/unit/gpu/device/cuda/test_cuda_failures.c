/*
 * Every call to the driver fails with every CUresult, the first time it is made and later: the error that
 * comes back carries that result, the process goes on, and nothing is leaked.
 */
#include "support.h"

#include "gpu/device/cuda/result.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One thread runs here: the thread sanitizer, ten times slower, has nothing to find in more than a sample of
 * codes. */
#if defined(__SANITIZE_THREAD__)
enum { THIN_OUT = 10 };
#else
enum { THIN_OUT = 1 };
#endif

static const struct gd_device_ops *const ops = &gd_device_cuda_ops;

static const char *const call_names[] = {
#define NAME(field, symbol, parameters) symbol,
    GD_CUDA_REQUIRED(NAME) GD_CUDA_OPTIONAL(NAME)
#undef NAME
};

#define LARGE (128u << 10)

static bool launch_both_ways(struct bench *bench, struct gd_module *module, struct gd_chunk *chunk)
{
	struct gd_buffer_arg small[] = {buffer_out(0, 0, 256), buffer_in(8, 0, 256)};
	struct gd_buffer_arg large[] = {buffer_out(0, 0, LARGE), buffer_in(8, 0, LARGE)};
	struct gd_launch mapped = launch_copy(module, small, 2, 256);
	mapped.shared_bytes = 100000;
	for (int i = 0; i < 2; i++) /* the second is mapped */
		if (!ops->submit(bench->stream, &mapped, &bench->error) ||
		    bench_finish(bench) != GD_POLL_DONE)
			return false;
	struct gd_launch staged = launch_copy(module, large, 2, LARGE);
	staged.cooperative = true;
	staged.iterations = 200;
	if (!ops->submit(bench->stream, &staged, &bench->error) || bench_finish(bench) != GD_POLL_DONE)
		return false;
	return ops->copy(bench->stream, true, chunk, 0, 0, 256, &bench->error) &&
	       bench_finish(bench) == GD_POLL_DONE &&
	       ops->copy(bench->stream, false, chunk, 0, 0, 256, &bench->error) &&
	       bench_finish(bench) == GD_POLL_DONE &&
	       ops->zero(bench->stream, chunk, 0, 256, &bench->error) && bench_finish(bench) == GD_POLL_DONE;
}

/* All that a worker does in its life, once; false at the first failure. Frees what it made. */
static bool live_once(struct bench *bench)
{
	struct gd_module *module = NULL, *with_variables = NULL;
	struct gd_chunk *chunk = NULL, *imported = NULL;
	uint64_t bytes = 0;
	int fd = -1;
	bench->device = NULL;
	bench->stream = NULL;
	if (!ops->open(0, &bench->device, &bench->info, &bench->error))
		return false;
	bool is_done =
	    ops->slabs(bench->device, bench->in, SLAB_BYTES, bench->out, SLAB_BYTES, &bench->error) &&
	    ops->stream_new(bench->device, &bench->stream, &bench->error) &&
	    ops->chunk_new(bench->device, 1, &chunk, &bytes, &fd, &bench->error) &&
	    (fd < 0 || ops->chunk_import(bench->device, fd, bytes, &imported, &bench->error)) &&
	    bench_load(bench, "copy", false, &module) && launch_both_ways(bench, module, chunk) &&
	    bench_load(bench, "copy", true, &with_variables) &&
	    launch_both_ways(bench, with_variables, chunk);
	if (fd >= 0)
		close(fd);
	ops->stream_free(bench->stream);
	ops->module_free(bench->device, module);
	ops->module_free(bench->device, with_variables);
	ops->chunk_free(bench->device, chunk);
	ops->chunk_free(bench->device, imported);
	ops->close(bench->device);
	return is_done;
}

/* Calls whose failure costs nothing: they free, or ask for something that can be done without. */
static bool may_fail_unseen(int call)
{
	switch (call) {
	case STUB_primary_set_flags:
	case STUB_primary_release:
	case STUB_mem_free:
	case STUB_mem_free_async:
	case STUB_host_unregister:
	case STUB_module_unload:
	case STUB_stream_destroy:
	case STUB_event_destroy:
	case STUB_mem_release:
	case STUB_mem_address_free:
	case STUB_mem_unmap:
	case STUB_device_attribute:
		return true;
	default:
		return false;
	}
}

/* What each of these does when it fails is to try the next best thing, unless the device is lost. */
static bool has_another_way(int call)
{
	return call == STUB_host_register || call == STUB_mem_reserve || call == STUB_mem_map ||
	       call == STUB_mem_set_access;
}

static void check(struct bench *bench, bool is_done, int call, int after, int result)
{
	const char *name = call_names[call];
	for (int kind = 0; kind < STUB_KIND_COUNT; kind++)
		if (bench->stub->live[kind])
			fail_msg("%s failing with %d after %d: %d objects of kind %d leaked", name, result,
				 after, bench->stub->live[kind], kind);
	if (bench->stub->calls[call] <= after || may_fail_unseen(call))
		return;
	/* The end of the parameters and work that is not ready are told by these results, and are no failure.
	 */
	if ((call == STUB_func_param && result == GD_CUDA_ERROR_INVALID_VALUE) ||
	    (call == STUB_event_query && result == GD_CUDA_ERROR_NOT_READY))
		return;
	bool is_sticky = gd_cuda_verdict_of(result)->sticky;
	if (is_done) {
		if (!is_sticky && has_another_way(call))
			return;
		fail_msg("%s failing with %d after %d: unnoticed", name, result, after);
	}
	/* When the end of enqueued work cannot be marked, the process is finished with the device, whatever
	 * the result. */
	if (call == STUB_event_record && bench->error.sticky)
		is_sticky = true;
	if (bench->error.native != result || bench->error.sticky != is_sticky || bench->error.code == GD_OK)
		fail_msg("%s failing with %d after %d: told as %d, code %d, %s", name, result, after,
			 bench->error.native, (int)bench->error.code, bench->error.text);
}

/* The lowest free descriptor: rises when one is leaked. */
static int lowest_descriptor(void)
{
	int fd = dup(STDIN_FILENO);
	close(fd);
	return fd;
}

static void every_result_at_every_call_is_told_and_leaks_nothing(void **state)
{
	struct bench *bench = *state;
	int cases = 0;
	stub_reset();
	live_once(bench); /* opens the library */
	int descriptor = lowest_descriptor();
	for (int result = 1; result <= 1001; result++) {
		/* All listed codes, and one of the future. */
		if (result != 1001 && gd_cuda_verdict_of(result)->result != result)
			continue;
		if (THIN_OUT > 1 && result % THIN_OUT != 0 && result != 1001)
			continue;
		for (int call = 0; call < STUB_CALL_COUNT; call++) {
			/* cuInit is called once in a process: test_cuda_driver has it. The wait for zeroing
			 * takes 2 s. */
			if (call == STUB_init || call == STUB_driver_version ||
			    (call == STUB_event_query && result == GD_CUDA_ERROR_NOT_READY))
				continue;
			for (int after = 0; after <= 2; after++, cases++) {
				stub_reset();
				memset(&bench->error, 0, sizeof bench->error);
				bench->stub->fail_call = call;
				bench->stub->fail_after = after;
				bench->stub->fail_result = result;
				bool is_done = live_once(bench);
				check(bench, is_done, call, after, result);
			}
		}
	}
	assert_true(cases > 10000 / THIN_OUT);
	assert_int_equal(lowest_descriptor(), descriptor);
}

static void without_any_failure_a_life_succeeds(void **state)
{
	struct bench *bench = *state;
	static const int features[] = {0, GD_CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
				       GD_CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED,
				       GD_CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED,
				       GD_CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED};
	for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
		stub_reset();
		bench->stub->attributes[features[i]] = 0;
		if (!live_once(bench))
			fail_msg("without attribute %d: %s", features[i], bench->error.text);
		for (int kind = 0; kind < STUB_KIND_COUNT; kind++)
			assert_int_equal(bench->stub->live[kind], 0);
	}
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);
	assert_non_null(bench);
	bench->stub = stub_reset();
	bench->in = aligned_alloc(4096, SLAB_BYTES);
	bench->out = aligned_alloc(4096, SLAB_BYTES);
	assert_non_null(bench->in);
	assert_non_null(bench->out);
	memset(bench->in, 1, SLAB_BYTES);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	free(bench->in);
	free(bench->out);
	free(bench);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(without_any_failure_a_life_succeeds, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(every_result_at_every_call_is_told_and_leaks_nothing, set_up,
					    tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
