/* Where the bytes of a launch are, and what comes back; on the stub driver, whose fresh memory is full of
 * 0xA5. */
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

/* Run a launch, then forget what was counted: launches like it are mapped from now on. */
static void run_trial(struct bench *bench, const struct gd_launch *launch)
{
	run(bench, launch);
	memset(bench->stub->calls, 0, sizeof bench->stub->calls);
	memset(bench->out, 0xEE, SLAB_BYTES);
}

static void a_small_launch_is_mapped_and_the_device_copies_nothing(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 512, SMALL), buffer_in(8, 256, SMALL)};
	struct gd_launch launch = launch_copy(module, buffers, 2, SMALL - 96);
	run_trial(bench, &launch);
	run(bench, &launch);
	assert_memory_equal(bench->out + 512, bench->in + 256, SMALL - 96);
	for (uint32_t i = SMALL - 96; i < SMALL; i++)
		assert_int_equal(bench->out[512 + i], 0);
	assert_int_equal(bench->out[511], 0xEE);
	assert_int_equal(bench->out[512 + SMALL], 0xEE);
	assert_int_equal(bench->stub->calls[STUB_copy_to_device], 0);
	assert_int_equal(bench->stub->calls[STUB_copy_to_host], 0);
	assert_int_equal(bench->timing.kernel_ns, 2000);
	assert_int_equal(bench->timing.h2d_ns, 0);
	ops->module_free(bench->device, module);
}

static void a_large_launch_is_staged_and_shows_nothing_of_old_memory(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 1024, LARGE), buffer_in(8, 768, LARGE)};
	struct gd_launch launch = launch_copy(module, buffers, 2, 1000);
	run(bench, &launch);
	assert_memory_equal(bench->out + 1024, bench->in + 768, 1000);
	for (uint32_t i = 1000; i < LARGE; i++)
		if (bench->out[1024 + i])
			fail_msg("byte %u of the output is %#x", i, bench->out[1024 + i]);
	assert_int_equal(bench->out[1024 + LARGE], 0xEE);
	assert_int_equal(bench->stub->calls[STUB_copy_to_device], 1);
	assert_int_equal(bench->stub->calls[STUB_fill], 1);
	assert_int_equal(bench->stub->calls[STUB_copy_to_host], 1);
	assert_int_equal(bench->timing.h2d_ns, 2000);
	assert_int_equal(bench->timing.d2h_ns, 2000);
	ops->module_free(bench->device, module);
}

static void staging_is_used_again_and_each_time_clean(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module, *idle;
	assert_true(bench_load(bench, "copy", false, &module));
	assert_true(bench_load(bench, "copy", false, &idle));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, LARGE), buffer_in(8, 0, LARGE)};
	struct gd_launch whole = launch_copy(module, buffers, 2, LARGE);
	run(bench, &whole);
	struct gd_launch nothing = launch_copy(idle, buffers, 2, 0);
	run(bench, &nothing);
	for (uint32_t i = 0; i < LARGE; i++)
		if (bench->out[i])
			fail_msg("byte %u of the output is %#x, left by the launch before", i, bench->out[i]);
	assert_int_equal(bench->stub->calls[STUB_mem_alloc_async], 1);
	ops->module_free(bench->device, module);
	ops->module_free(bench->device, idle);
}

static void a_buffer_read_and_written_starts_with_its_input_either_way(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	static const uint32_t sizes[] = {SMALL, 2 * LARGE};
	for (int i = 0; i < 2; i++) {
		struct gd_buffer_arg buffers[] = {buffer_out(0, 0, sizes[i])};
		buffers[0].access = GD_ACCESS_READ_WRITE;
		buffers[0].source = GD_SPACE_IN;
		buffers[0].source_offset = 512;
		struct gd_launch launch = launch_copy(module, buffers, 1, 0);
		run_trial(bench, &launch);
		run(bench, &launch);
		assert_memory_equal(bench->out, bench->in + 512, sizes[i]);
		memset(bench->out, 0xEE, SLAB_BYTES);
	}
	ops->module_free(bench->device, module);
}

static void an_input_without_bytes_of_its_own_is_zeroes(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, SMALL), buffer_in(8, 0, SMALL)};
	buffers[1].source = GD_SPACE_NULL;
	memset(bench->in, 0x33, SMALL);
	struct gd_launch launch = launch_copy(module, buffers, 2, SMALL);
	run_trial(bench, &launch);
	run(bench, &launch);
	for (uint32_t i = 0; i < SMALL; i++)
		assert_int_equal(bench->out[i], 0);
	ops->module_free(bench->device, module);
}

static void slab_ranges_need_no_alignment_and_buffers_have_it(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_cuda_placement *placement = calloc(1, sizeof *placement);
	assert_non_null(placement);
	static const uint32_t sizes[] = {100, 2 * LARGE + 3};
	for (int i = 0; i < 2; i++) {
		struct gd_buffer_arg buffers[] = {buffer_out(0, 5, sizes[i]), buffer_in(8, 261, sizes[i])};
		struct gd_launch launch = launch_copy(module, buffers, 2, sizes[i]);
		run_trial(bench, &launch);
		run(bench, &launch);
		assert_memory_equal(bench->out + 5, bench->in + 261, sizes[i]);
		assert_int_equal(bench->out[4], 0xEE);
		assert_int_equal(bench->out[5 + sizes[i]], 0xEE);
		assert_true(gd_cuda_placement_choose(bench->device, &launch, true, placement, &bench->error));
		assert_int_equal(placement->places[0].offset % GD_CUDA_ALIGNMENT, 0);
		assert_int_equal(placement->places[1].offset % GD_CUDA_ALIGNMENT, 0);
	}
	free(placement);
	ops->module_free(bench->device, module);
}

static void a_small_launch_is_staged_by_one_copy_each_way(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, SMALL), buffer_in(8, 0, SMALL)};
	struct gd_launch launch = launch_copy(module, buffers, 2, 1000);
	run(bench, &launch);
	assert_memory_equal(bench->out, bench->in, 1000);
	for (uint32_t i = 1000; i < SMALL; i++)
		assert_int_equal(bench->out[i], 0);
	assert_int_equal(bench->stub->calls[STUB_copy_to_device], 1);
	assert_int_equal(bench->stub->calls[STUB_fill], 0);
	assert_int_equal(bench->stub->calls[STUB_copy_to_host], 1);
	assert_int_equal(bench->timing.h2d_ns, 2000);
	assert_int_equal(bench->timing.d2h_ns, 2000);
	ops->module_free(bench->device, module);
}

static void a_write_past_the_end_of_a_buffer_stays_out_of_the_slabs(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 1024, 256), buffer_in(8, 0, SMALL)};
	struct gd_launch launch = launch_copy(module, buffers, 2, 400);
	for (int i = 0; i < 2; i++) { /* staged, then mapped */
		run(bench, &launch);
		assert_memory_equal(bench->out + 1024, bench->in, 256);
		for (uint32_t k = 256; k < 512; k++)
			assert_int_equal(bench->out[1024 + k], 0xEE);
	}
	assert_int_equal(bench->stub->calls[STUB_copy_to_host], 1);
	ops->module_free(bench->device, module);
}

static void the_limit_of_small_launches_is_exact(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, GD_CUDA_SMALL_BYTES_MAX - 256),
					  buffer_in(8, 0, 256)};
	struct gd_launch launch = launch_copy(module, buffers, 2, 256);
	run_trial(bench, &launch);
	run(bench, &launch);
	assert_int_equal(bench->stub->calls[STUB_copy_to_host], 0);
	buffers[1].bytes = 257;
	run_trial(bench, &launch);
	run(bench, &launch);
	assert_int_equal(bench->stub->calls[STUB_copy_to_host], 1);
	ops->module_free(bench->device, module);
}

static void fast_launches_make_up_for_a_slow_one(void **state)
{
	(void)state;
	struct gd_cuda_mapping mapping = {0};
	enum { SHAPE = 77 };
	gd_cuda_mapping_learn(&mapping, SHAPE, false, 1000);
	for (int round = 0; round < 50; round++) {
		assert_true(gd_cuda_mapping_allows(&mapping, SHAPE));
		gd_cuda_mapping_learn(&mapping, SHAPE, true, GD_CUDA_MAPPED_NS_MAX);
		for (unsigned i = 0; i < GD_CUDA_MAPPED_FORGIVING; i++)
			gd_cuda_mapping_learn(&mapping, SHAPE, true, 1000);
	}
	for (unsigned i = 0; i < GD_CUDA_MAPPED_STRIKES_MAX; i++)
		gd_cuda_mapping_learn(&mapping, SHAPE, true, GD_CUDA_MAPPED_NS_MAX);
	assert_false(gd_cuda_mapping_allows(&mapping, SHAPE));
}

static void a_launch_is_mapped_once_one_alike_was_fast(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, SMALL), buffer_in(8, 0, SMALL)};
	static const struct {
		const char *why;
		float elapsed_ms;
		uint32_t grid, bytes;
		int copies;
	} rows[] = {
	    {"the first of its kind", 0.002f, 1, 100, 1},
	    {"one alike", 0.002f, 1, 100, 0},
	    {"another grid", 0.002f, 2, 100, 1},
	    {"another scalar", 0.002f, 1, 101, 1},
	    {"slow in device memory", 0.021f, 1, 102, 1},
	    {"one alike, still not known to be fast", 0.021f, 1, 102, 1},
	    {"mapped and very slow, which counts half", 100.0f, 1, 100, 0},
	    {"mapped and slow three times over", 0.751f, 1, 100, 0},
	    {"mapped and slow once more", 0.251f, 1, 100, 0},
	    {"not mapped any more", 0.002f, 1, 100, 1},
	    {"nothing of this module is", 0.002f, 2, 100, 1},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_launch launch = launch_copy(module, buffers, 2, rows[i].bytes);
		int before = bench->stub->calls[STUB_copy_to_host];
		launch.grid[0] = rows[i].grid;
		bench->stub->elapsed_ms = rows[i].elapsed_ms;
		run(bench, &launch);
		if (bench->stub->calls[STUB_copy_to_host] - before != rows[i].copies)
			fail_msg("%s: %d copies", rows[i].why,
				 bench->stub->calls[STUB_copy_to_host] - before);
	}
	ops->module_free(bench->device, module);
}

static void what_pointers_held_does_not_make_launches_differ(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	uint8_t params[20] = {0};
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, SMALL), buffer_in(8, 0, SMALL)};
	struct gd_launch launch = launch_copy(module, buffers, 2, 100);
	memcpy(params + 16, launch.params + 16, 4);
	run_trial(bench, &launch);
	launch.params = params;
	buffers[0].offset = buffers[1].source_offset = 8192;
	run(bench, &launch);
	assert_int_equal(bench->stub->calls[STUB_copy_to_host], 0);
	assert_memory_equal(bench->out + 8192, bench->in + 8192, 100);
	ops->module_free(bench->device, module);
}

static gd_cu_pointer bench_address(struct bench *bench, const struct gd_launch *launch,
				   struct gd_cuda_placement *placement, uint32_t index)
{
	static uint8_t memory[GD_CUDA_BOUNCE_BYTES];
	struct gd_cuda_bounce bounce = {.host = memory, .device = (gd_cu_pointer)(uintptr_t)memory};
	gd_cuda_placement_settle(bench->device, launch, placement, 0, &bounce);
	return placement->places[index].address;
}

static void a_chunk_that_is_only_read_is_given_by_its_read_only_mapping(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	struct gd_chunk *chunk;
	uint64_t bytes;
	int fd;
	assert_true(bench_load(bench, "copy", false, &module));
	assert_true(ops->chunk_new(bench->device, 1, &chunk, &bytes, &fd, &bench->error));
	close(fd);
	struct gd_cuda_placement *placement = calloc(1, sizeof *placement);
	assert_non_null(placement);
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, 256), buffer_in(8, 0, 256)};
	buffers[1].space = buffers[1].source = GD_SPACE_CHUNK;
	buffers[1].chunk = chunk;
	struct gd_launch launch = launch_copy(module, buffers, 2, 256);
	assert_true(gd_cuda_placement_choose(bench->device, &launch, true, placement, &bench->error));
	assert_int_equal(bench_address(bench, &launch, placement, 1), chunk->readable);
	/* The same chunk read and written in one launch: one address, or the kernel may read stale values. */
	buffers[0].space = buffers[0].source = GD_SPACE_CHUNK;
	buffers[0].chunk = chunk;
	assert_true(gd_cuda_placement_choose(bench->device, &launch, true, placement, &bench->error));
	assert_int_equal(bench_address(bench, &launch, placement, 1), chunk->writable);
	assert_int_equal(bench_address(bench, &launch, placement, 0), chunk->writable);
	free(placement);
	ops->chunk_free(bench->device, chunk);
	ops->module_free(bench->device, module);
}

static void without_a_pinned_in_slab_launches_go_on(void **state)
{
	struct bench *bench = *state;
	struct gd_device_info info;
	struct gd_device *whole = bench->device;
	struct gd_module *module;
	bench->stub->fail_call = STUB_host_register;
	bench->stub->fail_after = bench->stub->calls[STUB_host_register] + 1;
	bench->stub->fail_result = 1;
	ops->stream_free(bench->stream);
	assert_true(ops->open(0, &bench->device, &info, &bench->error));
	assert_true(ops->slabs(bench->device, bench->in, SLAB_BYTES, bench->out, SLAB_BYTES, &bench->error));
	bench->stub->fail_call = -1;
	assert_false(bench->device->in_is_registered);
	assert_true(ops->stream_new(bench->device, &bench->stream, &bench->error));
	assert_true(bench_load(bench, "copy", false, &module));
	struct gd_buffer_arg buffers[] = {buffer_out(0, 0, LARGE), buffer_in(8, 0, LARGE)};
	struct gd_launch launch = launch_copy(module, buffers, 2, LARGE);
	run(bench, &launch);
	assert_memory_equal(bench->out, bench->in, LARGE);
	ops->module_free(bench->device, module);
	ops->close(whole);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(a_small_launch_is_mapped_and_the_device_copies_nothing),
	    TEST(a_large_launch_is_staged_and_shows_nothing_of_old_memory),
	    TEST(staging_is_used_again_and_each_time_clean),
	    TEST(a_buffer_read_and_written_starts_with_its_input_either_way),
	    TEST(an_input_without_bytes_of_its_own_is_zeroes),
	    TEST(slab_ranges_need_no_alignment_and_buffers_have_it),
	    TEST(a_small_launch_is_staged_by_one_copy_each_way),
	    TEST(a_write_past_the_end_of_a_buffer_stays_out_of_the_slabs),
	    TEST(the_limit_of_small_launches_is_exact),
	    TEST(a_launch_is_mapped_once_one_alike_was_fast),
	    TEST(fast_launches_make_up_for_a_slow_one),
	    TEST(what_pointers_held_does_not_make_launches_differ),
	    TEST(a_chunk_that_is_only_read_is_given_by_its_read_only_mapping),
	    TEST(without_a_pinned_in_slab_launches_go_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
