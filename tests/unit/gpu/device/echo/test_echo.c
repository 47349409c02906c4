/* The echo device: what a launch copies, what its directives do, and that it refuses what the seam says it
 * must. */
#include "gpu/device/device.h"

#include "gpu/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLAB_BYTES  65536u
#define TWO_BUFFERS "echo\nparam 0 8\nparam 8 8\n"

struct bench {
	struct gd_device *device;
	struct gd_device_info info;
	struct gd_stream *stream;
	uint8_t *in, *out;
	struct gd_error error;
	struct gd_kernel_info kernel; /* too large for a test's stack frame */
};

static const struct gd_device_ops *const ops = &gd_device_echo_ops;

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);
	assert_non_null(bench);
	bench->in = calloc(1, SLAB_BYTES);
	bench->out = malloc(SLAB_BYTES);
	assert_non_null(bench->in);
	assert_non_null(bench->out);
	memset(bench->out, 0xA5, SLAB_BYTES);
	for (uint32_t i = 0; i < SLAB_BYTES; i++)
		bench->in[i] = (uint8_t)(i * 7 + 1);
	assert_true(ops->open(0, &bench->device, &bench->info, &bench->error));
	assert_true(ops->slabs(bench->device, bench->in, SLAB_BYTES, bench->out, SLAB_BYTES, &bench->error));
	assert_true(ops->stream_new(bench->device, &bench->stream, &bench->error));
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	ops->stream_free(bench->stream);
	ops->close(bench->device);
	free(bench->in);
	free(bench->out);
	free(bench);
	return 0;
}

static bool load(struct bench *bench, const char *text, struct gd_module **out_module)
{
	struct gd_image image = {.kind = GD_IMAGE_PTX,
				 .data = text,
				 .bytes = strlen(text),
				 .entry = "k",
				 .occupancy_threads = 256};
	return ops->module_load(bench->device, &image, out_module, &bench->kernel, &bench->error);
}

static struct gd_buffer_arg input(uint32_t param, uint64_t offset, uint64_t bytes)
{
	return (struct gd_buffer_arg){.param_offset = param,
				      .access = GD_ACCESS_READ,
				      .space = GD_SPACE_IN,
				      .source = GD_SPACE_IN,
				      .offset = offset,
				      .source_offset = offset,
				      .bytes = bytes};
}

static struct gd_buffer_arg output(uint32_t param, uint64_t offset, uint64_t bytes)
{
	return (struct gd_buffer_arg){.param_offset = param,
				      .access = GD_ACCESS_WRITE,
				      .space = GD_SPACE_OUT,
				      .source = GD_SPACE_NULL,
				      .offset = offset,
				      .bytes = bytes};
}

static struct gd_launch launch_of(struct gd_module *module, const struct gd_buffer_arg *buffers,
				  uint32_t count)
{
	static const uint8_t params[16];
	return (struct gd_launch){.module = module,
				  .grid = {1, 1, 1},
				  .block = {64, 1, 1},
				  .iterations = 1,
				  .params = params,
				  .param_bytes = 16,
				  .buffers = buffers,
				  .buffer_count = count};
}

/* Poll until it ends; a test that waits longer than 5 s fails. */
static enum gd_poll finish(struct bench *bench, struct gd_launch_timing *out_timing)
{
	uint64_t deadline = gd_now_ns() + 5 * GD_NS_PER_S;
	enum gd_poll poll;
	while ((poll = ops->poll(bench->stream, out_timing, &bench->error)) == GD_POLL_PENDING)
		assert_true(gd_now_ns() < deadline);
	return poll;
}

static void a_launch_copies_the_first_input_to_every_output(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	struct gd_launch_timing timing = {0};
	assert_true(load(bench, TWO_BUFFERS, &module));
	struct gd_buffer_arg buffers[] = {input(0, 256, 100), output(8, 512, 300)};
	struct gd_launch launch = launch_of(module, buffers, 2);
	assert_true(ops->submit(bench->stream, &launch, &bench->error));
	assert_int_equal(finish(bench, &timing), GD_POLL_DONE);
	assert_memory_equal(bench->out + 512, bench->in + 256, 100);
	for (uint32_t i = 100; i < 300; i++)
		assert_int_equal(bench->out[512 + i], 0);
	assert_int_equal(bench->out[511], 0xA5);
	assert_int_equal(bench->out[812], 0xA5);
	assert_true(timing.kernel_ns >= 1);
	ops->module_free(bench->device, module);
}

static void a_buffer_that_is_read_and_written_starts_with_its_input(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	struct gd_launch_timing timing;
	assert_true(load(bench, TWO_BUFFERS, &module));
	struct gd_buffer_arg buffer = output(8, 0, 64);
	buffer.access = GD_ACCESS_READ_WRITE;
	buffer.source = GD_SPACE_IN;
	buffer.source_offset = 1024;
	struct gd_launch launch = launch_of(module, &buffer, 1);
	assert_true(ops->submit(bench->stream, &launch, &bench->error));
	assert_int_equal(finish(bench, &timing), GD_POLL_DONE);
	assert_memory_equal(bench->out, bench->in + 1024, 64);
	ops->module_free(bench->device, module);
}

static void chunks_are_zeroed_outlive_their_maker_and_can_be_launched_on(void **state)
{
	struct bench *bench = *state;
	struct gd_chunk *chunk, *again;
	uint64_t bytes = 0;
	int fd = -1;
	struct gd_module *module;
	struct gd_launch_timing timing;
	assert_true(ops->chunk_new(bench->device, 5000, &chunk, &bytes, &fd, &bench->error));
	assert_true(bytes >= 5000);
	assert_true(fd >= 0);
	assert_true(ops->copy(bench->stream, false, chunk, 0, 0, 5000, &bench->error));
	assert_int_equal(finish(bench, &timing), GD_POLL_DONE);
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(bench->out[i], 0);
	assert_true(ops->copy(bench->stream, true, chunk, 100, 2000, 400, &bench->error));
	assert_int_equal(finish(bench, &timing), GD_POLL_DONE);
	ops->chunk_free(bench->device, chunk);

	assert_true(ops->chunk_import(bench->device, fd, bytes, &again, &bench->error));
	close(fd);
	assert_true(load(bench, TWO_BUFFERS, &module));
	struct gd_buffer_arg buffers[] = {{.param_offset = 0,
					   .access = GD_ACCESS_READ,
					   .space = GD_SPACE_CHUNK,
					   .source = GD_SPACE_CHUNK,
					   .offset = 100,
					   .bytes = 400,
					   .chunk = again},
					  output(8, 8192, 400)};
	struct gd_launch launch = launch_of(module, buffers, 2);
	assert_true(ops->submit(bench->stream, &launch, &bench->error));
	assert_int_equal(finish(bench, &timing), GD_POLL_DONE);
	assert_memory_equal(bench->out + 8192, bench->in + 2000, 400);
	assert_true(ops->zero(bench->stream, again, 100, 200, &bench->error));
	assert_int_equal(finish(bench, &timing), GD_POLL_DONE);
	assert_true(ops->submit(bench->stream, &launch, &bench->error));
	assert_int_equal(finish(bench, &timing), GD_POLL_DONE);
	assert_int_equal(bench->out[8192], 0);
	assert_memory_equal(bench->out + 8192 + 200, bench->in + 2200, 200);
	ops->module_free(bench->device, module);
	ops->chunk_free(bench->device, again);
}

static void a_chunk_announced_larger_than_its_descriptor_is_refused(void **state)
{
	struct bench *bench = *state;
	struct gd_chunk *chunk, *again = NULL;
	uint64_t bytes;
	int fd;
	assert_true(ops->chunk_new(bench->device, 1, &chunk, &bytes, &fd, &bench->error));
	assert_false(ops->chunk_import(bench->device, fd, bytes + 1, &again, &bench->error));
	assert_null(again);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
	ops->chunk_free(bench->device, chunk);
}

static void a_spinning_launch_is_pending_for_its_time_and_says_so(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	struct gd_launch_timing timing;
	assert_true(load(bench, TWO_BUFFERS "spin 2000000\n", &module));
	struct gd_buffer_arg buffers[] = {input(0, 0, 8), output(8, 0, 8)};
	struct gd_launch launch = launch_of(module, buffers, 2);
	launch.iterations = 3;
	uint64_t start = gd_now_ns();
	assert_true(ops->submit(bench->stream, &launch, &bench->error));
	assert_false(ops->submit(bench->stream, &launch, &bench->error));
	assert_int_equal(finish(bench, &timing), GD_POLL_DONE);
	assert_true(gd_now_ns() - start >= 6000000);
	assert_true(timing.kernel_ns >= 6000000);
	ops->module_free(bench->device, module);
}

static void a_fault_fails_that_launch_alone(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	struct gd_launch_timing timing;
	assert_true(load(bench, "echo\nfault\n", &module));
	struct gd_launch launch = launch_of(module, NULL, 0);
	launch.param_bytes = 0;
	for (int i = 0; i < 2; i++) {
		assert_true(ops->submit(bench->stream, &launch, &bench->error));
		assert_int_equal(finish(bench, &timing), GD_POLL_FAILED);
		assert_int_equal(bench->error.code, GD_DISPATCH_FAILED);
		assert_int_equal(bench->error.native, 1);
		assert_false(bench->error.sticky);
	}
	ops->module_free(bench->device, module);
}

static void a_sticky_fault_fails_every_later_call(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module, *other = NULL;
	struct gd_launch_timing timing;
	struct gd_chunk *chunk = NULL;
	uint64_t bytes;
	int fd;
	assert_true(load(bench, "echo\nfault sticky\n", &module));
	struct gd_launch launch = launch_of(module, NULL, 0);
	launch.param_bytes = 0;
	assert_true(ops->submit(bench->stream, &launch, &bench->error));
	assert_int_equal(finish(bench, &timing), GD_POLL_FAILED);
	assert_true(bench->error.sticky);
	assert_int_equal(bench->error.code, GD_DISPATCH_FAILED);
	memset(&bench->error, 0, sizeof bench->error);
	assert_false(ops->submit(bench->stream, &launch, &bench->error));
	assert_true(bench->error.sticky);
	assert_false(load(bench, TWO_BUFFERS, &other));
	assert_false(ops->chunk_new(bench->device, 1, &chunk, &bytes, &fd, &bench->error));
	assert_null(other);
	assert_null(chunk);
	ops->module_free(bench->device, module);
}

static void a_hanging_launch_stays_pending(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	struct gd_launch_timing timing;
	assert_true(load(bench, "echo\nhang\n", &module));
	struct gd_launch launch = launch_of(module, NULL, 0);
	launch.param_bytes = 0;
	assert_true(ops->submit(bench->stream, &launch, &bench->error));
	for (int i = 0; i < 1000; i++)
		assert_int_equal(ops->poll(bench->stream, &timing, &bench->error), GD_POLL_PENDING);
	ops->module_free(bench->device, module);
}

static void an_exiting_launch_ends_the_process_with_its_status(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(load(bench, "echo\nexit 42\n", &module));
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct gd_launch launch = launch_of(module, NULL, 0);
		struct gd_launch_timing timing;
		launch.param_bytes = 0;
		if (ops->submit(bench->stream, &launch, &bench->error))
			ops->poll(bench->stream, &timing, &bench->error);
		_exit(7);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	ops->module_free(bench->device, module);
}

static void images_say_what_they_are(void **state)
{
	static const struct {
		const char *why, *text;
		bool loads;
		enum gd_code code;
		uint32_t params, bytes;
	} rows[] = {
	    {"no parameters", "echo", true, GD_OK, 0, 0},
	    {"comments and blank lines", "echo # hello\n\n  # nothing\nparam 0 4 # n\n", true, GD_OK, 1, 4},
	    {"padding between parameters", "echo\nparam 0 1\nparam 8 8\n", true, GD_OK, 2, 16},
	    {"the whole block as one", "echo\nparam 0 4096\n", true, GD_OK, 1, 4096},
	    {"foreign text", ".version 8.0\n.visible .entry k()\n", true, GD_OK, 0, 0},
	    {"empty text", "", true, GD_OK, 0, 0},
	    {"the named entry", "echo\nentry a\nentry k\n", true, GD_OK, 0, 0},
	    {"no such entry", "echo\nentry a\n", false, GD_INVALID_PROGRAM, 0, 0},
	    {"refused", "echo\nrefuse\n", false, GD_UNSUPPORTED_FEATURE, 0, 0},
	    {"one byte too many", "echo\nparam 1 4096\n", false, GD_INVALID_PROGRAM, 0, 0},
	    {"overlap", "echo\nparam 0 8\nparam 4 8\n", false, GD_INVALID_PROGRAM, 0, 0},
	    {"empty parameter", "echo\nparam 0 0\n", false, GD_INVALID_PROGRAM, 0, 0},
	    {"a word too many", "echo\nparam 0 8 8\n", false, GD_INVALID_PROGRAM, 0, 0},
	    {"a word too few", "echo\nparam 0\n", false, GD_INVALID_PROGRAM, 0, 0},
	    {"a negative number", "echo\nspin -1\n", false, GD_INVALID_PROGRAM, 0, 0},
	    {"spin at its limit", "echo\nspin 60000000000\n", true, GD_OK, 0, 0},
	    {"spin past its limit", "echo\nspin 60000000001\n", false, GD_INVALID_PROGRAM, 0, 0},
	    {"an unknown word", "echo\nfrobnicate\n", false, GD_INVALID_PROGRAM, 0, 0},
	    {"threads past the limit", "echo\nthreads 1025\n", false, GD_INVALID_PROGRAM, 0, 0},
	};
	struct bench *bench = *state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_module *module = NULL;
		memset(&bench->kernel, 0, sizeof bench->kernel);
		memset(&bench->error, 0, sizeof bench->error);
		bool loaded = load(bench, rows[i].text, &module);
		if (loaded != rows[i].loads || bench->error.code != rows[i].code)
			fail_msg("%s: %s", rows[i].why, bench->error.text);
		if (bench->kernel.param_count != rows[i].params || bench->kernel.param_bytes != rows[i].bytes)
			fail_msg("%s: %u parameters, %u bytes", rows[i].why, bench->kernel.param_count,
				 bench->kernel.param_bytes);
		ops->module_free(bench->device, module);
	}
}

static void launches_that_cannot_be_are_refused(void **state)
{
	struct bench *bench = *state;
	struct gd_module *module;
	assert_true(load(bench, TWO_BUFFERS "threads 512\n", &module));
	struct gd_buffer_arg good[] = {input(0, 0, 8), output(8, 0, 8)};
	struct gd_buffer_arg past_in[] = {input(0, SLAB_BYTES - 7, 8)};
	struct gd_buffer_arg past_out[] = {output(0, SLAB_BYTES - 7, 8)};
	struct gd_buffer_arg wraps[] = {output(0, UINT64_MAX - 3, 8)};
	struct gd_buffer_arg no_param[] = {output(4, 0, 8)};
	const struct {
		const char *why;
		struct gd_buffer_arg *buffers;
		uint32_t count, grid_x, grid_y, block_x, shared, iterations, param_bytes;
		bool cooperative;
		enum gd_code code;
	} rows[] = {
	    {"grid 0", good, 2, 0, 1, 64, 0, 1, 16, false, GD_INVALID_REQUEST},
	    {"grid y over the limit", good, 2, 1, 65536, 64, 0, 1, 16, false, GD_INVALID_REQUEST},
	    {"block 0", good, 2, 1, 1, 0, 0, 1, 16, false, GD_INVALID_REQUEST},
	    {"block over the kernel's limit", good, 2, 1, 1, 513, 0, 1, 16, false, GD_INVALID_REQUEST},
	    {"shared over the limit", good, 2, 1, 1, 64, 232449, 1, 16, false, GD_INVALID_REQUEST},
	    {"no iterations", good, 2, 1, 1, 64, 0, 0, 16, false, GD_INTERNAL_STATE},
	    {"a short launch block", good, 2, 1, 1, 64, 0, 1, 15, false, GD_INTERNAL_STATE},
	    {"cooperative grid too large", good, 2, 529, 1, 512, 0, 1, 16, true,
	     GD_COOPERATIVE_RESIDENCY_EXCEEDED},
	    {"input past its slab", past_in, 1, 1, 1, 64, 0, 1, 16, false, GD_INTERNAL_STATE},
	    {"output past its slab", past_out, 1, 1, 1, 64, 0, 1, 16, false, GD_INTERNAL_STATE},
	    {"an offset that wraps", wraps, 1, 1, 1, 64, 0, 1, 16, false, GD_INTERNAL_STATE},
	    {"a pointer where there is no parameter", no_param, 1, 1, 1, 64, 0, 1, 16, false,
	     GD_INTERNAL_STATE},
	    {"all at their limits", good, 2, 2147483647u, 65535, 512, 232448, 1, 16, false, GD_OK},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_launch launch = launch_of(module, rows[i].buffers, rows[i].count);
		launch.grid[0] = rows[i].grid_x;
		launch.grid[1] = rows[i].grid_y;
		launch.block[0] = rows[i].block_x;
		launch.shared_bytes = rows[i].shared;
		launch.iterations = rows[i].iterations;
		launch.param_bytes = rows[i].param_bytes;
		launch.cooperative = rows[i].cooperative;
		memset(&bench->error, 0, sizeof bench->error);
		ops->submit(bench->stream, &launch, &bench->error);
		if (bench->error.code != rows[i].code)
			fail_msg("%s: %d %s", rows[i].why, (int)bench->error.code, bench->error.text);
	}
	ops->module_free(bench->device, module);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(a_launch_copies_the_first_input_to_every_output),
	    TEST(a_buffer_that_is_read_and_written_starts_with_its_input),
	    TEST(chunks_are_zeroed_outlive_their_maker_and_can_be_launched_on),
	    TEST(a_chunk_announced_larger_than_its_descriptor_is_refused),
	    TEST(a_spinning_launch_is_pending_for_its_time_and_says_so),
	    TEST(a_fault_fails_that_launch_alone),
	    TEST(a_sticky_fault_fails_every_later_call),
	    TEST(a_hanging_launch_stays_pending),
	    TEST(an_exiting_launch_ends_the_process_with_its_status),
	    TEST(images_say_what_they_are),
	    TEST(launches_that_cannot_be_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
