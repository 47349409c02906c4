/* The slots of the seam beside launches: description, chunks, copies, streams, helpers. */
#include "tests/unit/gpu/device/reference/rig.h"

#include "gpu/base/clock.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

static const char ptx[] =
    ".version 8.0\n.target sm_90\n.address_size 64\n"
    ".visible .entry add(.param .u64 y, .param .u32 n)\n{\n.reg .b32 %r<8>; .reg .b64 %rd<4>;\n"
    "ld.param.u64 %rd1, [y]; ld.param.u32 %r1, [n]; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x;\n"
    "mov.u32 %r4, %tid.x; mad.lo.s32 %r2, %r2, %r3, %r4; mul.wide.s32 %rd2, %r2, 4; add.s64 %rd1, %rd1, "
    "%rd2;\n"
    "ld.global.u32 %r5, [%rd1]; add.u32 %r5, %r5, %r1; st.global.u32 [%rd1], %r5; ret;\n}\n"
    /* count turns of a loop in every thread, then add them up */
    ".visible .entry work(.param .u64 y, .param .u32 n)\n{\n.reg .b32 %r<8>; .reg .b64 %rd<4>; .reg .pred "
    "%p;\n"
    "ld.param.u64 %rd1, [y]; ld.param.u32 %r1, [n]; mov.u32 %r2, 0;\n"
    "$l: add.u32 %r2, %r2, 1; setp.lt.u32 %p, %r2, %r1; @%p bra $l;\n"
    "red.global.add.u32 [%rd1], %r2; ret;\n}\n";
static struct rig rig;

static void the_device_describes_itself_as_compute_capability_9_0(void **state)
{
	struct gd_device *second;
	static struct gd_device_info info;
	(void)state;
	rig_open(&rig);
	assert_string_equal(rig.info.architecture, "reference-sm_90");
	assert_int_equal(rig.info.compute_major, 9);
	assert_int_equal(rig.info.max_threads_per_block, 1024);
	assert_int_equal(rig.info.max_shared_optin_bytes, 232448);
	assert_int_equal(rig.info.registers_per_block, 65536);
	assert_true(rig.info.can_export && rig.info.multiprocessors >= 1 && rig.info.memory_bytes > 0);
	assert_false(ops->open(1, &second, &info, &rig.error));
	assert_int_equal(rig.error.code, GD_BACKEND_UNAVAILABLE);
	assert_false(ops->slabs(rig.device, rig.in, 16, rig.out, 16, &rig.error));
	rig_close(&rig);
	ops->close(NULL);
	ops->stream_free(NULL);
	ops->module_free(NULL, NULL);
	ops->chunk_free(NULL, NULL);
}

static bool launch_on_chunk(struct gd_chunk *chunk, uint64_t offset, uint64_t bytes, uint32_t threads, int n)
{
	uint8_t params[16] = {0};
	struct gd_buffer_arg buffer = {.access = GD_ACCESS_READ_WRITE,
				       .space = GD_SPACE_CHUNK,
				       .source = GD_SPACE_CHUNK,
				       .offset = offset,
				       .bytes = bytes,
				       .chunk = chunk};
	memcpy(params + rig.kernel.params[1].offset, &n, sizeof(n));
	const struct gd_launch launch = {.module = rig.module,
					 .grid = {1, 1, 1},
					 .block = {threads, 1, 1},
					 .iterations = 1,
					 .params = params,
					 .param_bytes = rig.kernel.param_bytes,
					 .buffer_count = 1,
					 .buffers = &buffer};
	if (!ops->submit(rig.stream, &launch, &rig.error))
		return false;
	return ops->poll(rig.stream, &rig.timing, &rig.error) == GD_POLL_DONE;
}

static void finish(bool is_started)
{
	assert_true(is_started);
	assert_int_equal(ops->poll(rig.stream, &rig.timing, &rig.error), GD_POLL_DONE);
}

static void a_chunk_outlives_its_maker_through_its_descriptor(void **state)
{
	struct gd_chunk *chunk, *again;
	uint64_t bytes;
	int fd, values[64];
	(void)state;
	rig_open(&rig);
	rig_load(&rig, ptx, "add");
	assert_true(ops->chunk_new(rig.device, 100000, &chunk, &bytes, &fd, &rig.error));
	assert_true(bytes >= 100000 && fd >= 0);
	assert_true(launch_on_chunk(chunk, 4096, 256, 64, 7));
	assert_true(launch_on_chunk(chunk, 4096, 256, 64, 5));
	ops->chunk_free(rig.device, chunk);
	assert_true(ops->chunk_import(rig.device, fd, bytes, &again, &rig.error));
	finish(ops->copy(rig.stream, false, again, 4096, 64, sizeof(values), &rig.error));
	memcpy(values, rig.out + 64, sizeof(values));
	for (int i = 0; i < 64; i++)
		assert_int_equal(values[i], 12);
	/* Bounded to the byte like every buffer. */
	assert_false(launch_on_chunk(again, 4096, 255, 64, 1));
	assert_int_equal(rig.error.code, GD_DISPATCH_FAILED);
	assert_false(launch_on_chunk(again, bytes - 255, 256, 64, 1));
	assert_int_equal(rig.error.code, GD_INVALID_REQUEST);
	assert_false(ops->chunk_import(rig.device, fd, bytes + 1, &chunk, &rig.error));
	/* Nobody can shrink it under a mapping. */
	assert_int_not_equal(ftruncate(fd, 0), 0);
	ops->chunk_free(rig.device, again);
	close(fd);
	rig_close(&rig);
}

static void copies_and_clearing_stay_inside(void **state)
{
	struct gd_chunk *chunk;
	uint64_t bytes;
	int fd;
	(void)state;
	rig_open(&rig);
	assert_true(ops->chunk_new(rig.device, 3 << 20, &chunk, &bytes, &fd, &rig.error));
	for (uint32_t i = 0; i < 3 << 20; i++)
		rig.in[i] = (uint8_t)(i * 31 + 1);
	finish(ops->copy(rig.stream, true, chunk, 0, 0, 3 << 20, &rig.error));
	finish(ops->zero(rig.stream, chunk, 1000, (3 << 20) - 2000, &rig.error));
	finish(ops->copy(rig.stream, false, chunk, 0, 0, 3 << 20, &rig.error));
	for (uint32_t i = 0; i < 3 << 20; i++)
		assert_int_equal(rig.out[i], i < 1000 || i >= (3 << 20) - 1000 ? rig.in[i] : 0);
	assert_false(ops->copy(rig.stream, true, chunk, bytes - 5, 0, 6, &rig.error));
	assert_int_equal(rig.error.code, GD_INVALID_REQUEST);
	assert_false(ops->copy(rig.stream, false, chunk, 0, RIG_SLAB - 5, 6, &rig.error));
	assert_false(ops->copy(rig.stream, true, chunk, UINT64_MAX, 0, 6, &rig.error));
	assert_false(ops->zero(rig.stream, chunk, bytes, 1, &rig.error));
	assert_false(ops->chunk_new(rig.device, 1ull << 60, &chunk, &bytes, &fd, &rig.error));
	assert_int_equal(rig.error.code, GD_DEVICE_OUT_OF_MEMORY);
	ops->chunk_free(rig.device, chunk);
	close(fd);
	rig_close(&rig);
}

static void buffers_outside_of_their_slabs_are_refused(void **state)
{
	static const struct {
		const char *why;
		struct gd_buffer_arg arg;
	} rows[] = {
	    {"past the end of out", {.access = 3, .space = GD_SPACE_OUT, .offset = RIG_SLAB - 3, .bytes = 4}},
	    {"offset that wraps", {.access = 3, .space = GD_SPACE_OUT, .offset = UINT64_MAX, .bytes = 4}},
	    {"past the end of in",
	     {.access = 1, .space = GD_SPACE_IN, .source = GD_SPACE_IN, .offset = RIG_SLAB, .bytes = 1}},
	    {"writing to in", {.access = 3, .space = GD_SPACE_IN, .source = GD_SPACE_IN, .bytes = 4}},
	    {"a source past the end",
	     {.access = 3,
	      .space = GD_SPACE_OUT,
	      .source = GD_SPACE_IN,
	      .source_offset = RIG_SLAB,
	      .bytes = 4}},
	    {"no chunk", {.access = 3, .space = GD_SPACE_CHUNK, .source = GD_SPACE_CHUNK, .bytes = 4}},
	    {"a parameter past the block",
	     {.param_offset = 5, .access = 3, .space = GD_SPACE_OUT, .bytes = 4}},
	};
	(void)state;
	rig_open(&rig);
	rig_load(&rig, ptx, "add");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t params[16] = {0};
		const struct gd_launch launch = {.module = rig.module,
						 .grid = {1, 1, 1},
						 .block = {1, 1, 1},
						 .iterations = 1,
						 .params = params,
						 .param_bytes = 12,
						 .buffer_count = 1,
						 .buffers = &rows[i].arg};
		if (ops->submit(rig.stream, &launch, &rig.error))
			fail_msg("%s was accepted", rows[i].why);
		assert_int_equal(rig.error.code, GD_INVALID_REQUEST);
	}
	rig_close(&rig);
}

static void a_long_launch_on_helpers_counts_every_thread(void **state)
{
	uint32_t sum = 0;
	int n = 300;
	(void)state;
	rig_open(&rig);
	rig_load(&rig, ptx, "work");
	const struct rig_buffer buffers[] = {{RIG_INOUT, &sum, sizeof(sum)}};
	for (uint32_t i = 1; i <= 3; i++) {
		rig_must_run(&rig, &(struct rig_launch){.grid = {1000},
							.block = {64},
							.iterations = 2,
							.buffers = buffers,
							.buffer_count = 1,
							.scalars = {&n}});
		assert_int_equal(sum, i * 2 * 64000 * 300);
	}
	rig_close(&rig);
}

static void *pump(void *argument)
{
	struct gd_stream *stream = argument;
	uint8_t params[16] = {0};
	int n = 50;
	struct gd_error error;
	struct gd_launch_timing timing;
	uintptr_t failures = 0;
	memcpy(params + 8, &n, sizeof(n));
	for (uint64_t i = 0; i < 200; i++) {
		/* Each stream has a corner of the out slab of its own. */
		struct gd_buffer_arg buffer = {.access = GD_ACCESS_READ_WRITE,
					       .space = GD_SPACE_OUT,
					       .offset = ((uintptr_t)stream & 0xfff0) * 16,
					       .bytes = 4};
		const struct gd_launch launch = {.module = rig.module,
						 .grid = {1 + (uint32_t)i, 1, 1},
						 .block = {64, 1, 1},
						 .iterations = 1,
						 .params = params,
						 .param_bytes = 12,
						 .buffer_count = 1,
						 .buffers = &buffer};
		if (!ops->submit(stream, &launch, &error) ||
		    ops->poll(stream, &timing, &error) != GD_POLL_DONE)
			failures++;
	}
	return (void *)failures;
}

static void streams_run_side_by_side(void **state)
{
	enum { STREAMS = 4 };
	struct gd_stream *streams[STREAMS];
	pthread_t threads[STREAMS];
	void *failures;
	(void)state;
	rig_open(&rig);
	rig_load(&rig, ptx, "work");
	for (int i = 0; i < STREAMS; i++)
		assert_true(ops->stream_new(rig.device, &streams[i], &rig.error));
	for (int i = 0; i < STREAMS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pump, streams[i]), 0);
	for (int i = 0; i < STREAMS; i++) {
		pthread_join(threads[i], &failures);
		assert_null(failures);
		ops->stream_free(streams[i]);
	}
	rig_close(&rig);
}

static void a_stream_has_one_thing_in_flight(void **state)
{
	struct gd_chunk *chunk;
	uint64_t bytes;
	int fd;
	(void)state;
	rig_open(&rig);
	assert_int_equal(ops->poll(rig.stream, &rig.timing, &rig.error), GD_POLL_FAILED);
	assert_int_equal(rig.error.code, GD_INTERNAL_STATE);
	assert_true(ops->chunk_new(rig.device, 4096, &chunk, &bytes, &fd, &rig.error));
	assert_true(ops->zero(rig.stream, chunk, 0, 4096, &rig.error));
	assert_false(ops->zero(rig.stream, chunk, 0, 4096, &rig.error));
	assert_int_equal(ops->poll(rig.stream, &rig.timing, &rig.error), GD_POLL_DONE);
	ops->chunk_free(rig.device, chunk);
	close(fd);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_device_describes_itself_as_compute_capability_9_0),
	    cmocka_unit_test(a_chunk_outlives_its_maker_through_its_descriptor),
	    cmocka_unit_test(copies_and_clearing_stay_inside),
	    cmocka_unit_test(buffers_outside_of_their_slabs_are_refused),
	    cmocka_unit_test(a_long_launch_on_helpers_counts_every_thread),
	    cmocka_unit_test(streams_run_side_by_side),
	    cmocka_unit_test(a_stream_has_one_thing_in_flight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
