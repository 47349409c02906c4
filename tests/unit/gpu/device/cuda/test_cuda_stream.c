/* Launches and copies of the cuda device from submit to poll, on the stub driver. */
#include "support.h"

#include "gpu/device/cuda/placement.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct gd_device_ops *const ops = &gd_device_cuda_ops;

#define SMALL 4096u
#define LARGE (GD_CUDA_SMALL_BYTES_MAX / 2 + 256)

static void run(struct bench *bench, const struct gd_launch *launch)
{
	memset(&bench->error, 0, sizeof bench->error);
	if (!ops->submit(bench->stream, launch, &bench->error) || bench_finish(bench) != GD_POLL_DONE)
		fail_msg("%s", bench->error.text);
}

static void variables_have_their_initial_values_in_each_dispatch(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	uint32_t count;
	static const uint8_t params[8];
	assert_true(bench_load(bench, "count", true, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, 4)};
	struct gd_launch launch = launch_copy(module, buffers, 1, 0);
	launch.params = params;
	launch.param_bytes = 8;
	for (int i = 0; i < 3; i++) {
		run(bench, &launch);
		memcpy(&count, bench->out, sizeof count);
		assert_int_equal(count, 1);
	}
	launch.iterations = 5;
	run(bench, &launch);
	memcpy(&count, bench->out, sizeof count);
	assert_int_equal(count, 5);
	assert_int_equal(bench->stub->live[STUB_MODULES], 1);
	ops->module_free(bench->device, module);
}

static void many_iterations_never_fill_the_drivers_queue(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, SMALL), buffer_in(8, 0, SMALL)};
	struct gd_launch launch = launch_copy(module, buffers, 2, SMALL);
	launch.iterations = 1000;
	run(bench, &launch);
	assert_int_equal(bench->stub->calls[STUB_launch], 1000);
	assert_true(bench->stub->deepest_queue <= 128);
	ops->module_free(bench->device, module);
}

static void a_launch_is_pending_until_the_device_has_done_it(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, SMALL), buffer_in(8, 0, SMALL)};
	struct gd_launch launch = launch_copy(module, buffers, 2, SMALL);
	bench->stub->pending = 3;
	assert_true(ops->submit(bench->stream, &launch, &bench->error));
	assert_false(ops->submit(bench->stream, &launch, &bench->error));
	assert_int_equal(bench->error.code, GD_INTERNAL_STATE);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ops->poll(bench->stream, &bench->timing, &bench->error), GD_POLL_PENDING);
	assert_int_equal(ops->poll(bench->stream, &bench->timing, &bench->error), GD_POLL_DONE);
	assert_int_equal(ops->poll(bench->stream, &bench->timing, &bench->error), GD_POLL_FAILED);
	ops->module_free(bench->device, module);
}

static void a_step_that_fails_late_is_told_when_the_rest_has_ended(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, LARGE), buffer_in(8, 0, LARGE)};
	struct gd_launch launch = launch_copy(module, buffers, 2, LARGE);
	bench->stub->fail_call = STUB_launch;
	bench->stub->fail_result = 701;
	bench->stub->pending = 2;
	assert_true(ops->submit(bench->stream, &launch, &bench->error));
	assert_int_equal(ops->poll(bench->stream, &bench->timing, &bench->error), GD_POLL_PENDING);
	assert_int_equal(ops->poll(bench->stream, &bench->timing, &bench->error), GD_POLL_PENDING);
	assert_int_equal(ops->poll(bench->stream, &bench->timing, &bench->error), GD_POLL_FAILED);
	assert_int_equal(bench->error.code, GD_INVALID_REQUEST);
	assert_int_equal(bench->error.native, 701);
	bench->stub->fail_call = -1;
	run(bench, &launch);
	assert_memory_equal(bench->out, bench->in, LARGE);
	ops->module_free(bench->device, module);
}

static void after_a_fault_every_call_answers_with_it(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module, *other = NULL;
	struct gd_chunk *chunk = NULL;
	struct gd_stream *stream = NULL;
	uint64_t bytes;
	int fd;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, SMALL), buffer_in(8, 0, SMALL)};
	struct gd_launch launch = launch_copy(module, buffers, 2, SMALL);
	bench->stub->kernel_faults = GD_CUDA_ERROR_ILLEGAL_ADDRESS;
	assert_true(ops->submit(bench->stream, &launch, &bench->error));
	assert_int_equal(bench_finish(bench), GD_POLL_FAILED);
	assert_int_equal(bench->error.code, GD_DISPATCH_FAILED);
	assert_true(bench->error.sticky);
	assert_string_equal(bench->error.native_name, "CUDA_ERROR_ILLEGAL_ADDRESS");
	for (int call = 0; call < 4; call++) {
		memset(&bench->error, 0, sizeof bench->error);
		bool ok = call == 0   ? ops->submit(bench->stream, &launch, &bench->error)
			  : call == 1 ? bench_load(bench, "copy", false, &other)
			  : call == 2 ? ops->chunk_new(bench->device, 1, &chunk, &bytes, &fd, &bench->error)
				      : ops->stream_new(bench->device, &stream, &bench->error);
		assert_false(ok);
		assert_int_equal(bench->error.native, GD_CUDA_ERROR_ILLEGAL_ADDRESS);
		assert_true(bench->error.sticky);
	}
	ops->module_free(bench->device, module);
}

static void chunks_are_launched_on_in_place(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	struct gd_chunk *chunk;
	uint64_t bytes;
	int fd;
	assert_true(bench_load(bench, "copy", false, &module));
	assert_true(ops->chunk_new(bench->device, 1, &chunk, &bytes, &fd, &bench->error));
	close(fd);
	assert_true(ops->copy(bench->stream, true, chunk, 100, 4096, 1000, &bench->error));
	assert_int_equal(bench_finish(bench), GD_POLL_DONE);
	assert_int_equal(bench->timing.h2d_ns, 2000);

	struct gd_buffer_arg source = {.param_offset = 8,
				       .access = GD_ACCESS_READ,
				       .space = GD_SPACE_CHUNK,
				       .source = GD_SPACE_CHUNK,
				       .offset = 100,
				       .bytes = 1000,
				       .chunk = chunk};
	struct gd_buffer_arg target = source;
	target.param_offset = 0;
	target.access = GD_ACCESS_READ_WRITE;
	target.offset = 8192;
	struct gd_buffer_arg buffers[] = {target, source};
	struct gd_launch launch = launch_copy(module, buffers, 2, 1000);
	run(bench, &launch);
	assert_true(ops->copy(bench->stream, false, chunk, 8192, 256, 1000, &bench->error));
	assert_int_equal(bench_finish(bench), GD_POLL_DONE);
	assert_memory_equal(bench->out + 256, bench->in + 4096, 1000);
	assert_true(ops->zero(bench->stream, chunk, 8192, 500, &bench->error));
	assert_int_equal(bench_finish(bench), GD_POLL_DONE);
	assert_true(ops->copy(bench->stream, false, chunk, 8192, 256, 1000, &bench->error));
	assert_int_equal(bench_finish(bench), GD_POLL_DONE);
	assert_int_equal(bench->out[256], 0);
	assert_int_equal(bench->out[256 + 499], 0);
	assert_memory_equal(bench->out + 256 + 500, bench->in + 4096 + 500, 500);
	ops->chunk_free(bench->device, chunk);
	ops->module_free(bench->device, module);
}

static void cooperative_launches_must_be_resident(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, SMALL), buffer_in(8, 0, SMALL)};
	struct gd_launch launch = launch_copy(module, buffers, 2, SMALL);
	launch.cooperative = true;
	launch.grid[0] = 8; /* 4 blocks on each of 2 multiprocessors */
	run(bench, &launch);
	assert_memory_equal(bench->out, bench->in, SMALL);
	assert_int_equal(bench->stub->calls[STUB_launch_cooperative], 1);
	launch.grid[0] = 9;
	assert_false(ops->submit(bench->stream, &launch, &bench->error));
	assert_int_equal(bench->error.code, GD_COOPERATIVE_RESIDENCY_EXCEEDED);
	launch.grid[0] = 2147483647u;
	launch.grid[1] = launch.grid[2] = 65535;
	assert_false(ops->submit(bench->stream, &launch, &bench->error));
	assert_int_equal(bench->error.code, GD_COOPERATIVE_RESIDENCY_EXCEEDED);
	ops->module_free(bench->device, module);
}

static void more_dynamic_shared_memory_than_the_default_is_opted_in_once(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, SMALL), buffer_in(8, 0, SMALL)};
	struct gd_launch launch = launch_copy(module, buffers, 2, SMALL);
	static const struct {
		uint32_t bytes;
		int calls;
	} rows[] = {{49152, 0}, {49153, 1}, {232448, 1}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		launch.shared_bytes = rows[i].bytes;
		run(bench, &launch);
		assert_int_equal(bench->stub->calls[STUB_func_set_attribute], rows[i].calls);
	}
	assert_int_equal(bench->stub->last_dynamic_limit, 232448);
	launch.shared_bytes = 232449;
	assert_false(ops->submit(bench->stream, &launch, &bench->error));
	assert_int_equal(bench->error.code, GD_INVALID_REQUEST);
	ops->module_free(bench->device, module);
}

static void launches_that_cannot_be_are_refused_before_the_driver(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg past_in = buffer_in(8, SLAB_BYTES - 7, 8),
			     past_out = buffer_out(0, SLAB_BYTES - 7, 8);
	struct gd_buffer_arg wraps = buffer_out(0, UINT64_MAX - 3, 8), scalar = buffer_in(16, 0, 8);
	struct gd_buffer_arg between = buffer_in(4, 0, 8), lost = buffer_in(8, 0, 8),
			     huge = buffer_in(8, 0, 8);
	lost.space = GD_SPACE_CHUNK;
	huge.source = GD_SPACE_NULL;
	huge.bytes = UINT64_MAX;
	struct gd_buffer_arg good = buffer_in(8, 0, 8);
	const struct {
		const char *why;
		const struct gd_buffer_arg *buffer;
		uint32_t grid[3], block[3], iterations, param_bytes;
		enum gd_code code;
	} rows[] = {
	    {"grid x 0", &good, {0, 1, 1}, {1, 1, 1}, 1, 20, GD_INVALID_REQUEST},
	    {"grid y over", &good, {1, 65536, 1}, {1, 1, 1}, 1, 20, GD_INVALID_REQUEST},
	    {"grid x over", &good, {2147483648u, 1, 1}, {1, 1, 1}, 1, 20, GD_INVALID_REQUEST},
	    {"block 0", &good, {1, 1, 1}, {1, 0, 1}, 1, 20, GD_INVALID_REQUEST},
	    {"block z over", &good, {1, 1, 1}, {1, 1, 65}, 1, 20, GD_INVALID_REQUEST},
	    {"1 025 threads", &good, {1, 1, 1}, {1025, 1, 1}, 1, 20, GD_INVALID_REQUEST},
	    {"2 048 threads", &good, {1, 1, 1}, {64, 32, 1}, 1, 20, GD_INVALID_REQUEST},
	    {"no iterations", &good, {1, 1, 1}, {1, 1, 1}, 0, 20, GD_INTERNAL_STATE},
	    {"a short block", &good, {1, 1, 1}, {1, 1, 1}, 1, 19, GD_INTERNAL_STATE},
	    {"past the in slab", &past_in, {1, 1, 1}, {1, 1, 1}, 1, 20, GD_INTERNAL_STATE},
	    {"past the out slab", &past_out, {1, 1, 1}, {1, 1, 1}, 1, 20, GD_INTERNAL_STATE},
	    {"an offset that wraps", &wraps, {1, 1, 1}, {1, 1, 1}, 1, 20, GD_INTERNAL_STATE},
	    {"a buffer for a scalar", &scalar, {1, 1, 1}, {1, 1, 1}, 1, 20, GD_INTERNAL_STATE},
	    {"a buffer between parameters", &between, {1, 1, 1}, {1, 1, 1}, 1, 20, GD_INTERNAL_STATE},
	    {"a chunk that is none", &lost, {1, 1, 1}, {1, 1, 1}, 1, 20, GD_INTERNAL_STATE},
	    {"more bytes than there are", &huge, {1, 1, 1}, {1, 1, 1}, 1, 20, GD_INTERNAL_STATE},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_launch launch = launch_copy(module, rows[i].buffer, 1, 8);
		memcpy(launch.grid, rows[i].grid, sizeof launch.grid);
		memcpy(launch.block, rows[i].block, sizeof launch.block);
		launch.iterations = rows[i].iterations;
		launch.param_bytes = rows[i].param_bytes;
		bool is_submitted = ops->submit(bench->stream, &launch, &bench->error);
		if (is_submitted || bench->error.code != rows[i].code)
			fail_msg("%s: %d %s", rows[i].why, (int)bench->error.code, bench->error.text);
	}
	assert_int_equal(bench->stub->calls[STUB_launch], 0);
	ops->module_free(bench->device, module);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(variables_have_their_initial_values_in_each_dispatch),
	    TEST(many_iterations_never_fill_the_drivers_queue),
	    TEST(a_launch_is_pending_until_the_device_has_done_it),
	    TEST(a_step_that_fails_late_is_told_when_the_rest_has_ended),
	    TEST(after_a_fault_every_call_answers_with_it),
	    TEST(chunks_are_launched_on_in_place),
	    TEST(cooperative_launches_must_be_resident),
	    TEST(more_dynamic_shared_memory_than_the_default_is_opted_in_once),
	    TEST(launches_that_cannot_be_are_refused_before_the_driver),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
