/* Opening, slabs, chunks and modules of the cuda device, on the stub driver. */
#include "support.h"

#include "gpu/base/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct gd_device_ops *const ops = &gd_device_cuda_ops;

static void an_open_device_says_what_it_is(void **state)
{
	struct bench *bench = *state;
	const struct gd_device_info *info = &bench->info;
	assert_string_equal(info->name, "Stub 0");
	assert_string_equal(info->id, "GPU-00102030-4050-6070-8090-a0b0c0d0e0f0");
	assert_string_equal(info->architecture, "sm_90");
	assert_string_equal(info->driver, "12.4");
	assert_int_equal(info->max_grid[0], 2147483647u);
	assert_int_equal(info->max_block[2], 64);
	assert_int_equal(info->max_shared_optin_bytes, 232448);
	assert_int_equal(info->memory_free_bytes, 1u << 29);
	assert_true(info->can_export);
}

static void a_device_that_is_not_there_is_unavailable(void **state)
{
	struct bench *bench = *state;
	struct gd_device *device = NULL;
	struct gd_device_info info;
	assert_false(ops->open(2, &device, &info, &bench->error));
	assert_null(device);
	assert_int_equal(bench->error.code, GD_BACKEND_UNAVAILABLE);
}

static void the_in_slab_is_registered_read_only_where_the_device_can(void **state)
{
	struct bench *bench = *state;
	/* The last registration is that of the stream's bounce, before it came the in slab. */
	assert_true(bench->stub->register_flags[1] & GD_CU_MEMHOSTREGISTER_READ_ONLY);
	assert_false(bench->stub->register_flags[0] & GD_CU_MEMHOSTREGISTER_READ_ONLY);
	assert_true(bench->stub->register_flags[0] & GD_CU_MEMHOSTREGISTER_DEVICEMAP);

	struct gd_device *device;
	struct gd_device_info info;
	bench->stub->attributes[GD_CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED] = 0;
	assert_true(ops->open(1, &device, &info, &bench->error));
	assert_true(ops->slabs(device, bench->in, SLAB_BYTES, bench->out, SLAB_BYTES, &bench->error));
	assert_int_equal(bench->stub->register_flags[0],
			 GD_CU_MEMHOSTREGISTER_DEVICEMAP | GD_CU_MEMHOSTREGISTER_PORTABLE);
	assert_false(ops->slabs(device, bench->in, SLAB_BYTES, bench->out, SLAB_BYTES, &bench->error));
	ops->close(device);
}

static void chunks_are_zeroed_rounded_and_read_again_by_their_descriptor(void **state)
{
	struct bench *bench = *state;
	struct gd_chunk *chunk, *again;
	uint64_t bytes;
	int fd;
	assert_true(ops->chunk_new(bench->device, STUB_GRANULARITY + 1, &chunk, &bytes, &fd, &bench->error));
	assert_int_equal(bytes, 2 * STUB_GRANULARITY);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	const uint8_t *memory = (const uint8_t *)(uintptr_t)chunk->readable;
	for (uint64_t i = 0; i < bytes; i++)
		assert_int_equal(memory[i], 0);
	assert_true(chunk->readable != chunk->writable);
	memset((void *)(uintptr_t)chunk->writable, 7, 100);
	ops->chunk_free(bench->device, chunk);

	assert_true(ops->chunk_import(bench->device, fd, bytes, &again, &bench->error));
	close(fd);
	memory = (const uint8_t *)(uintptr_t)again->readable;
	assert_int_equal(memory[99], 7);
	assert_int_equal(memory[100], 0);
	ops->chunk_free(bench->device, again);
}

static void a_chunk_of_a_size_that_cannot_be_is_refused(void **state)
{
	struct bench *bench = *state;
	static const uint64_t sizes[] = {0, (1ull << 30) + 1, UINT64_MAX, UINT64_MAX - STUB_GRANULARITY};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct gd_chunk *chunk = NULL;
		uint64_t bytes;
		int fd;
		assert_false(ops->chunk_new(bench->device, sizes[i], &chunk, &bytes, &fd, &bench->error));
		assert_int_equal(bench->error.code, GD_DEVICE_OUT_OF_MEMORY);
		assert_null(chunk);
	}
}

static void a_chunk_imported_larger_than_it_is_is_refused(void **state)
{
	struct bench *bench = *state;
	struct gd_chunk *chunk, *again = NULL;
	uint64_t bytes;
	int fd;
	assert_true(ops->chunk_new(bench->device, 1, &chunk, &bytes, &fd, &bench->error));
	assert_false(ops->chunk_import(bench->device, fd, 2 * bytes, &again, &bench->error));
	assert_false(ops->chunk_import(bench->device, fd, bytes - 1, &again, &bench->error));
	assert_false(ops->chunk_import(bench->device, -1, bytes, &again, &bench->error));
	assert_null(again);
	close(fd);
	ops->chunk_free(bench->device, chunk);
}

static void without_virtual_memory_chunks_are_plain_and_not_exported(void **state)
{
	struct bench *bench = *state;
	struct gd_device *device;
	struct gd_device_info info;
	struct gd_chunk *chunk;
	uint64_t bytes;
	int fd = 99;
	bench->stub->attributes[GD_CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED] = 0;
	assert_true(ops->open(0, &device, &info, &bench->error));
	assert_false(info.can_export);
	assert_true(ops->chunk_new(device, 1000, &chunk, &bytes, &fd, &bench->error));
	assert_int_equal(fd, -1);
	assert_int_equal(bytes, 1024);
	const uint8_t *memory = (const uint8_t *)(uintptr_t)chunk->readable;
	for (uint64_t i = 0; i < bytes; i++)
		assert_int_equal(memory[i], 0);
	ops->chunk_free(device, chunk);
	assert_false(ops->chunk_import(device, 0, 1024, &chunk, &bench->error));
	assert_int_equal(bench->error.code, GD_UNSUPPORTED_FEATURE);
	ops->close(device);
}

static void zeroing_that_does_not_end_gives_up_and_keeps_the_memory_until_it_has(void **state)
{
	struct bench *bench = *state;
	struct gd_chunk *chunk = NULL;
	uint64_t bytes;
	int fd;
	bench->stub->pending = -1;
	uint64_t start = gd_now_ns();
	assert_false(ops->chunk_new(bench->device, 1, &chunk, &bytes, &fd, &bench->error));
	assert_true(gd_now_ns() - start < 10 * GD_NS_PER_S);
	assert_int_equal(bench->error.code, GD_OVERLOADED);
	assert_int_equal(bench->stub->live[STUB_ALLOCATIONS], 1);
	bench->stub->pending = 0;
	assert_true(ops->chunk_new(bench->device, 1, &chunk, &bytes, &fd, &bench->error));
	assert_int_equal(bench->stub->live[STUB_ALLOCATIONS], 1);
	close(fd);
	ops->chunk_free(bench->device, chunk);
}

static void a_module_tells_its_kernel(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	bench->stub->shared_bytes = 1024;
	assert_true(bench_load(bench, "copy", false, &module));
	assert_int_equal(bench->kernel.param_count, 3);
	assert_int_equal(bench->kernel.param_bytes, 20);
	assert_int_equal(bench->kernel.params[2].offset, 16);
	assert_int_equal(bench->kernel.params[2].size, 4);
	assert_int_equal(bench->kernel.max_threads, 1024);
	assert_int_equal(bench->kernel.max_dynamic_shared_bytes, 232448 - 1024);
	assert_int_equal(bench->kernel.occupancy_blocks, 4);
	assert_int_equal(bench->kernel.occupancy_threads, 128);
	ops->module_free(bench->device, module);
}

static void images_that_cannot_be_are_refused_with_their_reason(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module = NULL;
	assert_false(bench_load(bench, "missing", false, &module));
	assert_int_equal(bench->error.code, GD_INVALID_PROGRAM);
	assert_non_null(strstr(bench->error.text, "missing"));

	assert_false(bench_load(bench, "many", false, &module));
	assert_int_equal(bench->error.code, GD_INVALID_PROGRAM);

	bench->stub->param_bytes = GD_PARAM_BYTES_MAX + 1;
	assert_false(bench_load(bench, "wide", false, &module));
	assert_int_equal(bench->error.code, GD_INVALID_PROGRAM);
	bench->stub->param_bytes = GD_PARAM_BYTES_MAX;
	assert_true(bench_load(bench, "wide", false, &module));
	ops->module_free(bench->device, module);
	module = NULL;

	/* 1 GiB of memory, a quarter of it over 2 x 2048 threads: 64 KiB each. */
	bench->stub->local_bytes = 65537;
	assert_false(bench_load(bench, "copy", false, &module));
	assert_int_equal(bench->error.code, GD_DEVICE_OUT_OF_MEMORY);
	bench->stub->local_bytes = 65536;
	assert_true(bench_load(bench, "copy", false, &module));
	ops->module_free(bench->device, module);
}

static void the_words_of_the_ptx_compiler_come_with_its_error(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module = NULL;
	static const char text[] = ".version 8.0\n.entry copy() { wrong }";
	struct gd_image image = {
	    .kind = GD_IMAGE_PTX, .data = text, .bytes = sizeof text - 1, .entry = "copy"};
	bench->stub->fail_call = STUB_module_load;
	bench->stub->fail_result = 218;
	assert_false(ops->module_load(bench->device, &image, &module, &bench->kernel, &bench->error));
	assert_int_equal(bench->error.code, GD_INVALID_PROGRAM);
	assert_non_null(strstr(bench->error.text, "line 7 is wrong"));
	bench->stub->fail_call = -1;
	assert_true(ops->module_load(bench->device, &image, &module, &bench->kernel, &bench->error));
	ops->module_free(bench->device, module);
}

static void freeing_nothing_is_no_harm(void **state)
{
	struct bench *bench = *state;
	ops->chunk_free(bench->device, NULL);
	ops->module_free(bench->device, NULL);
	ops->stream_free(NULL);
	ops->close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(an_open_device_says_what_it_is),
	    TEST(a_device_that_is_not_there_is_unavailable),
	    TEST(the_in_slab_is_registered_read_only_where_the_device_can),
	    TEST(chunks_are_zeroed_rounded_and_read_again_by_their_descriptor),
	    TEST(a_chunk_of_a_size_that_cannot_be_is_refused),
	    TEST(a_chunk_imported_larger_than_it_is_is_refused),
	    TEST(without_virtual_memory_chunks_are_plain_and_not_exported),
	    TEST(zeroing_that_does_not_end_gives_up_and_keeps_the_memory_until_it_has),
	    TEST(a_module_tells_its_kernel),
	    TEST(images_that_cannot_be_are_refused_with_their_reason),
	    TEST(the_words_of_the_ptx_compiler_come_with_its_error),
	    TEST(freeing_nothing_is_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
