/* Cases about chunks, about running out of memory, and about a kernel that takes long while others work. */
#include "rig.h"

#include <string.h>
#include <unistd.h>

static const char add_source[] =
    "extern \"C\" __global__ void add(const int *x, int *y, int n)\n"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] += x[i]; }\n";

struct add_params {
	uint64_t x, y;
	int32_t n, end;
};

#define WORDS 100000u
#define BYTES (WORDS * 4u)

static bool copy_wait(struct rig *rig, bool to_chunk, struct gd_chunk *chunk, uint64_t offset,
		      uint64_t slab_offset, uint64_t bytes)
{
	return rig->ops->copy(rig->stream, to_chunk, chunk, offset, slab_offset, bytes, &rig->error)
		   ? rig_finish(rig)
		   : rig_fail(rig, "copy: %s", rig->error.text);
}

static bool all_bytes_are(const uint8_t *data, uint64_t bytes, uint8_t value)
{
	for (uint64_t i = 0; i < bytes; i++)
		if (data[i] != value)
			return false;
	return true;
}

static bool use_chunk(struct rig *rig, struct gd_chunk *chunk, uint64_t chunk_bytes)
{
	int32_t *words = (int32_t *)(void *)rig->in;
	memset(rig->out, 0xEE, BYTES);
	if (!copy_wait(rig, false, chunk, chunk_bytes - BYTES, 0, BYTES))
		return false;
	if (!all_bytes_are(rig->out, BYTES, 0))
		return rig_fail(rig, "a new chunk is not zeroed");
	for (uint32_t i = 0; i < WORDS; i++)
		words[i] = (int32_t)i;
	struct gd_module *module = rig_load(rig, add_source, "add");
	if (!module)
		return false;
	/* x read from one end of the chunk, y added to at the other, 3 times. */
	struct add_params params = {.n = (int32_t)WORDS};
	struct gd_buffer_arg buffers[] = {
	    rig_chunk(0, GD_ACCESS_READ, chunk, 0, BYTES),
	    rig_chunk(8, GD_ACCESS_READ_WRITE, chunk, chunk_bytes - BYTES, BYTES)};
	struct gd_launch launch = rig_launch(rig, module, WORDS, &params, buffers, 2);
	launch.iterations = 3;
	bool ok = copy_wait(rig, true, chunk, 0, 0, BYTES) && rig_run(rig, &launch) &&
		  copy_wait(rig, false, chunk, chunk_bytes - BYTES, 0, BYTES);
	rig->ops->module_free(rig->device, module);
	for (uint32_t i = 0; ok && i < WORDS; i++) {
		int32_t value;
		memcpy(&value, rig->out + i * 4ull, sizeof value);
		if (value != (int32_t)(3 * i))
			ok = rig_fail(rig, "word %u is %d", i, value);
	}
	return ok;
}

static bool chunks_are_made_used_imported_and_zeroed(struct rig *rig)
{
	struct gd_chunk *chunk, *again = NULL;
	uint64_t bytes = 0;
	int fd = -1;
	if (!rig->ops->chunk_new(rig->device, 5u << 20, &chunk, &bytes, &fd, &rig->error))
		return rig_fail(rig, "%s", rig->error.text);
	bool ok = use_chunk(rig, chunk, bytes);
	rig->ops->chunk_free(rig->device, chunk);
	if (ok && fd < 0)
		return !rig->info.can_export || rig_fail(rig, "it can export and gave no descriptor");
	if (ok && !rig->ops->chunk_import(rig->device, fd, bytes, &again, &rig->error))
		ok = rig_fail(rig, "import: %s", rig->error.text);
	if (fd >= 0)
		close(fd);
	if (!ok)
		return false;
	ok = copy_wait(rig, false, again, bytes - BYTES, 0, BYTES);
	if (ok && memcmp(rig->out + 4, (int32_t[]){3}, 4) != 0)
		ok = rig_fail(rig, "the content was lost on the way");
	ok = ok &&
	     (rig->ops->zero(rig->stream, again, bytes - BYTES, BYTES / 2, &rig->error) ? rig_finish(rig)
											: false) &&
	     copy_wait(rig, false, again, bytes - BYTES, 0, BYTES);
	if (ok && (!all_bytes_are(rig->out, BYTES / 2, 0) || all_bytes_are(rig->out + BYTES / 2, 4, 0)))
		ok = rig_fail(rig, "zeroing missed its range");
	rig->ops->chunk_free(rig->device, again);
	return ok;
}

static bool more_memory_than_there_is_is_refused_and_harms_nothing(struct rig *rig)
{
	struct gd_chunk *chunk = NULL;
	uint64_t bytes;
	int fd;
	if (rig->ops->chunk_new(rig->device, rig->info.memory_bytes - (1u << 20), &chunk, &bytes, &fd,
				&rig->error)) {
		rig->ops->chunk_free(rig->device, chunk);
		close(fd);
		return rig_fail(rig, "the whole device was given away");
	}
	if (rig->error.code != GD_DEVICE_OUT_OF_MEMORY || rig->error.sticky)
		return rig_fail(rig, "code %d: %s", (int)rig->error.code, rig->error.text);
	return chunks_are_made_used_imported_and_zeroed(rig);
}

/* A kernel that ends by the device's own clock; one thread. */
static const char wait_source[] =
    "extern \"C\" __global__ void wait(unsigned long long ns, int *out)\n"
    "{ unsigned long long t0, t; asm volatile(\"mov.u64 %0, %globaltimer;\" : \"=l\"(t0));\n"
    "  do asm volatile(\"mov.u64 %0, %globaltimer;\" : \"=l\"(t)); while (t - t0 < ns); out[0] = 1; }\n";

static bool submit_is_at_once_and_poll_pending_while_a_kernel_runs(struct rig *rig)
{
	static const uint64_t wait_ns = 300 * GD_NS_PER_MS;
	struct gd_module *module = rig_load(rig, wait_source, "wait");
	struct {
		uint64_t ns, out;
	} params = {.ns = wait_ns};
	struct gd_buffer_arg buffer = rig_out(8, 0, 4);
	bool ok = module != NULL;
	if (ok) {
		struct gd_launch launch = rig_launch(rig, module, 1, &params, &buffer, 1);
		launch.block[0] = 1;
		uint64_t start = gd_now_ns();
		ok = rig->ops->submit(rig->stream, &launch, &rig->error) ||
		     rig_fail(rig, "%s", rig->error.text);
		uint64_t submitted = gd_now_ns() - start;
		if (ok && rig->ops->poll(rig->stream, &rig->timing, &rig->error) != GD_POLL_PENDING)
			ok = rig_fail(rig, "the kernel was over at once");
		ok = ok && rig_finish(rig);
		if (ok && submitted > 100 * GD_NS_PER_MS)
			ok = rig_fail(rig, "submit took %llu us", (unsigned long long)submitted / 1000);
		if (ok && (rig->timing.kernel_ns < wait_ns * 9 / 10 || rig->timing.kernel_ns > wait_ns * 2))
			ok = rig_fail(rig, "kernel_ns is %llu", (unsigned long long)rig->timing.kernel_ns);
	}
	rig->ops->module_free(rig->device, module);
	return ok;
}

const struct rig_case conformance_memory_cases[] = {
    {"chunks are made, used, imported and zeroed", chunks_are_made_used_imported_and_zeroed, false},
    {"more memory than there is is refused", more_memory_than_there_is_is_refused_and_harms_nothing, true},
    {"submit is at once, poll pending while a kernel runs",
     submit_is_at_once_and_poll_pending_while_a_kernel_runs, true},
    {NULL, NULL, false},
};
