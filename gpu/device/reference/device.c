/* The reference device's slots of the seam. */
#include "gpu/device/reference/stream.h"

#include "gpu/base/cleanup.h"
#include "gpu/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define CHUNK_GRANULARITY  (64u * 1024)
#define CLEAR_BY_PAGES_MIN (1u << 20) /* below, writing zeroes is quicker than new pages */

static uint32_t device_count(struct gd_error *error)
{
	(void)error;
	return 1;
}

/* Processors that this process may run on. */
static uint32_t processor_count(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	int count = CPU_COUNT(&set);
	return count < 1 ? 1 : (uint32_t)count;
}

static void describe(struct gd_device_info *info, uint32_t threads)
{
	struct sysinfo system = {0};
	*info = (struct gd_device_info){
	    .id = "reference",
	    .name = "reference (PTX on the CPU)",
	    .architecture = "reference-sm_90",
	    .compute_major = 9,
	    .compute_minor = 0,
	    .max_threads_per_block = GD_THREADS_PER_BLOCK,
	    .max_block = {1024, 1024, 64},
	    .max_grid = {0x7fffffff, 65535, 65535},
	    .max_shared_bytes = GD_SHARED_STATIC_MAX,
	    .max_shared_optin_bytes = GD_SHARED_OPTIN_MAX,
	    .registers_per_block = GD_REGISTERS_PER_BLOCK,
	    .multiprocessors = threads, /* threads that execute blocks */
	    .warp_size = GD_LANES,
	    .can_export = true,
	};
	if (!sysinfo(&system)) {
		info->memory_bytes = (uint64_t)system.totalram * system.mem_unit;
		info->memory_free_bytes = (uint64_t)system.freeram * system.mem_unit;
	}
}

static void device_close(struct gd_device *device)
{
	if (!device)
		return;
	gd_pool_free(device->pool);
	free(device);
}

static bool device_open(uint32_t ordinal, struct gd_device **out_device, struct gd_device_info *out_info,
			struct gd_error *error)
{
	if (ordinal)
		return gd_error_set(error, GD_BACKEND_UNAVAILABLE, "Use device 0.",
				    "there is one reference device only");
	struct gd_device *device = calloc(1, sizeof(*device));
	uint32_t processors = processor_count();
	if (device)
		device->pool = gd_pool_new(processors - 1);
	if (!device || !device->pool) {
		free(device);
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL,
				    "no memory for the reference device");
	}
	device->threads = processors;
	describe(out_info, processors);
	*out_device = device;
	return true;
}

static bool device_slabs(struct gd_device *device, const void *in, size_t in_bytes, void *out,
			 size_t out_bytes, struct gd_error *error)
{
	if (device->in || device->out)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "the slabs were announced already");
	device->in = in;
	device->in_bytes = in_bytes;
	device->out = out;
	device->out_bytes = out_bytes;
	return true;
}

/* Map a descriptor of at least `bytes` as a chunk. */
static bool chunk_map(int fd, uint64_t bytes, struct gd_chunk **out_chunk, struct gd_error *error)
{
	struct gd_chunk *chunk = calloc(1, sizeof(*chunk));
	if (!chunk)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL, "no memory for a chunk");
	chunk->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (chunk->memory == MAP_FAILED) {
		free(chunk);
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, "Free buffers.",
				    "no room to map a chunk of %llu bytes", (unsigned long long)bytes);
	}
	chunk->bytes = bytes;
	*out_chunk = chunk;
	return true;
}

static bool chunk_new(struct gd_device *device, uint64_t bytes, struct gd_chunk **out_chunk,
		      uint64_t *out_bytes, int *out_fd, struct gd_error *error)
{
	struct sysinfo system = {0};
	uint64_t memory = sysinfo(&system) ? UINT64_MAX : (uint64_t)system.totalram * system.mem_unit;
	(void)device;
	if (!bytes || bytes > memory || bytes > INT64_MAX - CHUNK_GRANULARITY)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, "Ask for less.",
				    "a chunk of %llu bytes does not fit into the memory of the machine",
				    (unsigned long long)bytes);
	bytes = (bytes + CHUNK_GRANULARITY - 1) & ~(uint64_t)(CHUNK_GRANULARITY - 1);
	gd_auto_close int fd = memfd_create("gd-chunk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	/* A sealed size: nobody can make a mapping of it fault. */
	if (fd < 0 || ftruncate(fd, (off_t)bytes) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)) {
		gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, "Free buffers.",
			     "no memory for a chunk of %llu bytes", (unsigned long long)bytes);
		return gd_error_native(error, errno, NULL, false);
	}
	if (!chunk_map(fd, bytes, out_chunk, error))
		return false;
	*out_bytes = bytes;
	*out_fd = gd_move_fd(&fd);
	return true;
}

static bool chunk_import(struct gd_device *device, int fd, uint64_t bytes, struct gd_chunk **out_chunk,
			 struct gd_error *error)
{
	struct stat status;
	(void)device;
	if (!bytes || fstat(fd, &status) || status.st_size < 0 || (uint64_t)status.st_size < bytes)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "the descriptor is no chunk of %llu bytes", (unsigned long long)bytes);
	return chunk_map(fd, bytes, out_chunk, error);
}

static void chunk_free(struct gd_device *device, struct gd_chunk *chunk)
{
	(void)device;
	if (!chunk)
		return;
	munmap(chunk->memory, chunk->bytes);
	free(chunk);
}

static bool module_load(struct gd_device *device, const struct gd_image *image, struct gd_module **out_module,
			struct gd_kernel_info *out_info, struct gd_error *error)
{
	(void)device;
	struct gd_module *module = calloc(1, sizeof(*module));
	if (!module)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL, "no memory to load the program");
	if (!gd_ptx_program_load(image, &module->program, error)) {
		free(module);
		return false;
	}
	*out_info = module->program->info;
	*out_module = module;
	return true;
}

static void module_free(struct gd_device *device, struct gd_module *module)
{
	(void)device;
	if (!module)
		return;
	gd_ptx_program_free(module->program);
	free(module);
}

static bool stream_new(struct gd_device *device, struct gd_stream **out_stream, struct gd_error *error)
{
	size_t bytes = (sizeof(struct gd_stream) + 63) & ~(size_t)63;
	struct gd_stream *stream = aligned_alloc(64, bytes);
	if (!stream)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL, "no memory for a stream");
	memset(stream, 0, bytes);
	stream->device = device;
	*out_stream = stream;
	return true;
}

static void stream_free(struct gd_stream *stream)
{
	if (!stream)
		return;
	gd_vm_done(&stream->vm);
	if (stream->globals)
		munmap(stream->globals, stream->globals_capacity);
	if (stream->grid_workspace)
		munmap(stream->grid_workspace, 4096);
	free(stream);
}

static bool stream_is_idle(const struct gd_stream *stream, struct gd_error *error)
{
	return stream->state == GD_STREAM_IDLE ||
	       gd_error_set(error, GD_INTERNAL_STATE, NULL, "the stream has something in flight");
}

static bool stream_submit(struct gd_stream *stream, const struct gd_launch *launch, struct gd_error *error)
{
	return stream_is_idle(stream, error) && gd_stream_launch(stream, launch, error);
}

static enum gd_poll stream_poll(struct gd_stream *stream, struct gd_launch_timing *out_timing,
				struct gd_error *error)
{
	enum gd_stream_state state = stream->state;
	if (state == GD_STREAM_IDLE) {
		gd_error_set(error, GD_INTERNAL_STATE, NULL, "the stream has nothing in flight");
		return GD_POLL_FAILED;
	}
	stream->state = GD_STREAM_IDLE;
	if (state == GD_STREAM_FAILED) {
		if (error)
			*error = stream->error;
		return GD_POLL_FAILED;
	}
	if (out_timing)
		*out_timing = stream->timing;
	return GD_POLL_DONE;
}

static bool is_inside(uint64_t offset, uint64_t bytes, uint64_t size)
{
	return offset <= size && bytes <= size - offset;
}

static bool stream_copy(struct gd_stream *stream, bool to_chunk, struct gd_chunk *chunk,
			uint64_t chunk_offset, uint64_t slab_offset, uint64_t bytes, struct gd_error *error)
{
	const struct gd_device *device = stream->device;
	uint64_t start = gd_now_ns();
	if (!stream_is_idle(stream, error))
		return false;
	if (!is_inside(chunk_offset, bytes, chunk->bytes) ||
	    !is_inside(slab_offset, bytes, to_chunk ? device->in_bytes : device->out_bytes))
		return gd_error_set(error, GD_INVALID_REQUEST, "Copy within the chunk and the slab.",
				    "a copy of %llu bytes lies outside of its memory",
				    (unsigned long long)bytes);
	if (to_chunk)
		memcpy(chunk->memory + chunk_offset, device->in + slab_offset, bytes);
	else
		memcpy(device->out + slab_offset, chunk->memory + chunk_offset, bytes);
	uint64_t taken = gd_now_ns() - start;
	stream->timing =
	    (struct gd_launch_timing){.h2d_ns = to_chunk ? taken : 0, .d2h_ns = to_chunk ? 0 : taken};
	stream->state = GD_STREAM_DONE;
	return true;
}

/*
 * A chunk may be gigabytes, and a pump that wrote them all would serve nobody meanwhile: whole pages are
 * given back to the system, read as zeroes from then on, and cost only where the kernel touches them.
 */
static void clear(uint8_t *memory, uint64_t bytes)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uint8_t *first = (uint8_t *)(((uintptr_t)memory + page - 1) & ~(page - 1));
	uint8_t *last = (uint8_t *)((uintptr_t)(memory + bytes) & ~(page - 1));
	if (bytes < CLEAR_BY_PAGES_MIN || madvise(first, (size_t)(last - first), MADV_REMOVE)) {
		memset(memory, 0, bytes);
		return;
	}
	memset(memory, 0, (size_t)(first - memory));
	memset(last, 0, (size_t)(memory + bytes - last));
}

static bool stream_zero(struct gd_stream *stream, struct gd_chunk *chunk, uint64_t chunk_offset,
			uint64_t bytes, struct gd_error *error)
{
	if (!stream_is_idle(stream, error))
		return false;
	if (!is_inside(chunk_offset, bytes, chunk->bytes))
		return gd_error_set(error, GD_INVALID_REQUEST, "Clear within the chunk.",
				    "%llu bytes to clear lie outside of the chunk",
				    (unsigned long long)bytes);
	clear(chunk->memory + chunk_offset, bytes);
	stream->timing = (struct gd_launch_timing){0};
	stream->state = GD_STREAM_DONE;
	return true;
}

void gd_reference_set_budget(struct gd_device *device, uint64_t branches)
{
	device->budget = branches;
}

const struct gd_device_ops gd_device_reference_ops = {
    .kind = GD_DEVICE_REFERENCE,
    .name = "reference",
    .count = device_count,
    .open = device_open,
    .close = device_close,
    .slabs = device_slabs,
    .chunk_new = chunk_new,
    .chunk_import = chunk_import,
    .chunk_free = chunk_free,
    .module_load = module_load,
    .module_free = module_free,
    .stream_new = stream_new,
    .stream_free = stream_free,
    .submit = stream_submit,
    .poll = stream_poll,
    .copy = stream_copy,
    .zero = stream_zero,
};
