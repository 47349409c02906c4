/*
 * One set of cases against one device of the seam (built once for each): what a kernel is given, what comes
 * back, what is refused. Prints a line per case and the counts last; exits 0 when all pass, 1 when one fails,
 * 77 where there is no device or no NVRTC.
 */
#include "rig.h"

#include "nvrtc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXIT_SKIPPED     77
#define RUN_DEADLINE_NS  (60 * GD_NS_PER_S)
#define CUDA_SLAB_BYTES  (144ull << 20) /* two vectors of 64 MiB and a margin */
#define OTHER_SLAB_BYTES (8ull << 20)

bool rig_is_cuda(const struct rig *rig)
{
	return rig->ops->kind == GD_DEVICE_CUDA;
}

/* A slab as the worker has it: shared memory, given to the device through a mapping of its own. */
static uint8_t *map_slab(const char *name, size_t bytes, int device_rights, void **out_device_view)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return NULL;
	void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	*out_device_view = mmap(NULL, bytes, device_rights, MAP_SHARED | MAP_POPULATE, fd, 0);
	close(fd);
	return start == MAP_FAILED || *out_device_view == MAP_FAILED ? NULL : start;
}

bool rig_open(struct rig *rig, const struct gd_device_ops *ops, size_t slab_bytes)
{
	void *in = NULL, *out = NULL;
	*rig = (struct rig){.ops = ops, .slab_bytes = slab_bytes};
	rig->in = map_slab("in", slab_bytes, PROT_READ, &in);
	rig->out = map_slab("out", slab_bytes, PROT_READ | PROT_WRITE, &out);
	if (!rig->in || !rig->out)
		return gd_error_set(&rig->error, GD_INTERNAL_STATE, NULL, "no memory for slabs");
	return ops->open(0, &rig->device, &rig->info, &rig->error) &&
	       ops->slabs(rig->device, in, slab_bytes, out, slab_bytes, &rig->error) &&
	       ops->stream_new(rig->device, &rig->stream, &rig->error);
}

/* The slabs stay mapped: the process is about to end. */
void rig_close(struct rig *rig)
{
	rig->ops->stream_free(rig->stream);
	rig->ops->close(rig->device);
}

bool rig_fail(struct rig *rig, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(rig->why, sizeof rig->why, format, args);
	va_end(args);
	return false;
}

struct gd_module *rig_load(struct rig *rig, const char *source, const char *entry)
{
	void *data;
	size_t bytes;
	struct gd_module *module = NULL;
	if (!nvrtc_compile(source, rig_is_cuda(rig) ? rig->info.architecture : "compute_90", &data, &bytes)) {
		rig_fail(rig, "NVRTC does not compile %s", entry);
		return NULL;
	}
	struct gd_image image = {.kind = rig_is_cuda(rig) ? GD_IMAGE_CUBIN : GD_IMAGE_PTX,
				 .data = data,
				 .bytes = bytes,
				 .entry = entry,
				 .occupancy_threads = 256};
	if (!rig->ops->module_load(rig->device, &image, &module, &rig->kernel, &rig->error))
		rig_fail(rig, "loading %s: %s", entry, rig->error.text);
	free(data);
	return module;
}

struct gd_launch rig_launch(struct rig *rig, struct gd_module *module, uint64_t threads, const void *params,
			    const struct gd_buffer_arg *buffers, uint32_t count)
{
	uint64_t blocks = (threads + 255) / 256;
	return (struct gd_launch){.module = module,
				  .grid = {blocks ? (uint32_t)blocks : 1, 1, 1},
				  .block = {256, 1, 1},
				  .iterations = 1,
				  .params = params,
				  .param_bytes = rig->kernel.param_bytes,
				  .buffers = buffers,
				  .buffer_count = count};
}

bool rig_finish(struct rig *rig)
{
	uint64_t deadline = gd_now_ns() + RUN_DEADLINE_NS;
	enum gd_poll poll;
	while ((poll = rig->ops->poll(rig->stream, &rig->timing, &rig->error)) == GD_POLL_PENDING)
		if (gd_now_ns() > deadline)
			return rig_fail(rig, "a launch did not end");
	return poll == GD_POLL_DONE || rig_fail(rig, "%s", rig->error.text);
}

bool rig_run(struct rig *rig, const struct gd_launch *launch)
{
	memset(&rig->error, 0, sizeof rig->error);
	if (!rig->ops->submit(rig->stream, launch, &rig->error))
		return rig_fail(rig, "%s", rig->error.text);
	return rig_finish(rig);
}

struct gd_buffer_arg rig_in(uint32_t param, uint64_t offset, uint64_t bytes)
{
	return (struct gd_buffer_arg){.param_offset = param,
				      .access = GD_ACCESS_READ,
				      .space = GD_SPACE_IN,
				      .source = GD_SPACE_IN,
				      .offset = offset,
				      .source_offset = offset,
				      .bytes = bytes};
}

struct gd_buffer_arg rig_out(uint32_t param, uint64_t offset, uint64_t bytes)
{
	return (struct gd_buffer_arg){.param_offset = param,
				      .access = GD_ACCESS_WRITE,
				      .space = GD_SPACE_OUT,
				      .source = GD_SPACE_NULL,
				      .offset = offset,
				      .bytes = bytes};
}

struct gd_buffer_arg rig_in_out(uint32_t param, uint64_t offset, uint64_t source_offset, uint64_t bytes)
{
	struct gd_buffer_arg buffer = rig_out(param, offset, bytes);
	buffer.access = GD_ACCESS_READ_WRITE;
	buffer.source = GD_SPACE_IN;
	buffer.source_offset = source_offset;
	return buffer;
}

struct gd_buffer_arg rig_chunk(uint32_t param, uint8_t access, struct gd_chunk *chunk, uint64_t offset,
			       uint64_t bytes)
{
	return (struct gd_buffer_arg){.param_offset = param,
				      .access = access,
				      .space = GD_SPACE_CHUNK,
				      .source = GD_SPACE_CHUNK,
				      .offset = offset,
				      .bytes = bytes,
				      .chunk = chunk};
}

static int run_cases(struct rig *rig, const struct rig_case *cases, int *passed, int *skipped)
{
	int failed = 0;
	for (const struct rig_case *row = cases; row->name; row++) {
		if (row->is_cuda_only && !rig_is_cuda(rig)) {
			printf("skip  %s (cuda only)\n", row->name);
			++*skipped;
			continue;
		}
		rig->why[0] = '\0';
		uint64_t start = gd_now_ns();
		bool ok = row->run(rig);
		double ms = (double)(gd_now_ns() - start) / 1e6;
		printf("%s  %-56s %8.1f ms%s%s\n", ok ? "pass" : "FAIL", row->name, ms,
		       rig->why[0] ? "  " : "", rig->why);
		fflush(stdout);
		*passed += ok;
		failed += !ok;
	}
	return failed;
}

int main(int argc, char **argv)
{
	const struct gd_device_ops *ops = &CONFORMANCE_OPS;
	size_t slab_bytes = ops->kind == GD_DEVICE_CUDA ? CUDA_SLAB_BYTES : OTHER_SLAB_BYTES;
	static struct rig rig;
	int passed = 0, skipped = 0;
	if (!nvrtc_open())
		return EXIT_SKIPPED;
	if (argc == 3 && !strcmp(argv[1], "--fault")) {
		if (!rig_open(&rig, ops, OTHER_SLAB_BYTES))
			return EXIT_FAILURE;
		int status = conformance_fault_child(&rig, argv[2]);
		fflush(NULL);
		_exit(status); /* after a fault nothing can be taken down in order */
	}
	if (!rig_open(&rig, ops, slab_bytes)) {
		fprintf(stderr, "%s: %s\n", ops->name, rig.error.text);
		bool is_absent = rig.error.code == GD_BACKEND_UNAVAILABLE;
		rig_close(&rig);
		return is_absent ? EXIT_SKIPPED : EXIT_FAILURE;
	}
	printf("%s: %s, %s, driver %s, export %d, pageable access %u\n", ops->name, rig.info.name,
	       rig.info.architecture, rig.info.driver, rig.info.can_export, rig.info.pageable_memory_access);
	int failed = run_cases(&rig, conformance_cases, &passed, &skipped);
	failed += run_cases(&rig, conformance_memory_cases, &passed, &skipped);
	/* Others fault beside this process, which must not feel it. */
	failed += conformance_faults(&rig, argv[0]);
	rig_close(&rig);
	printf("%s: %d passed, %d failed, %d skipped\n", ops->name, passed, failed, skipped);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
