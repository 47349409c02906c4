#include "gpu/device/reference/stream.h"

#include "gpu/base/clock.h"
#include "gpu/device/reference/heap.h"

#include <string.h>
#include <sys/mman.h>

#define ALONE_NS             (200 * GD_NS_PER_US) /* a launch that takes longer gets helpers */
#define GRID_X_MAX           0x7fffffffu
#define GRID_Y_MAX           65535u
#define GRID_WORKSPACE_BYTES 4096u

static bool refuse(struct gd_error *error, const char *text)
{
	return gd_error_set(error, GD_INVALID_REQUEST,
			    "Launch within the limits that the device's description states.", "%s", text);
}

static bool check_shape(const struct gd_stream *stream, const struct gd_launch *launch,
			struct gd_error *error)
{
	const struct gd_ptx_program *program = launch->module->program;
	const uint32_t *grid = launch->grid, *block = launch->block, *required = program->required_block;
	uint64_t threads = (uint64_t)block[0] * block[1];
	if (!grid[0] || !grid[1] || !grid[2] || grid[0] > GRID_X_MAX || grid[1] > GRID_Y_MAX ||
	    grid[2] > GRID_Y_MAX)
		return refuse(error, "the grid must have 1 to 2147483647 x 65535 x 65535 blocks");
	if (!block[0] || !block[1] || !block[2] || block[0] > 1024 || block[1] > 1024 || block[2] > 64)
		return refuse(error, "a block must have 1 to 1024 x 1024 x 64 threads");
	if (threads * block[2] > program->info.max_threads)
		return gd_error_set(error, GD_INVALID_REQUEST, "Launch smaller blocks.",
				    "a block of %llu threads; this kernel takes at most %u",
				    (unsigned long long)(threads * block[2]), program->info.max_threads);
	if (required[0] && memcmp(required, block, sizeof(program->required_block)))
		return gd_error_set(error, GD_INVALID_REQUEST, "Launch the block that the kernel requires.",
				    "this kernel requires blocks of %u x %u x %u threads", required[0],
				    required[1], required[2]);
	if (launch->shared_bytes > program->info.max_dynamic_shared_bytes)
		return gd_error_set(error, GD_INVALID_REQUEST, "Ask for less shared memory.",
				    "%u bytes of dynamic shared memory; at most %u are there for this kernel",
				    launch->shared_bytes, program->info.max_dynamic_shared_bytes);
	if (launch->param_bytes < program->info.param_bytes || launch->param_bytes > GD_PARAM_BYTES_MAX)
		return gd_error_set(error, GD_INVALID_REQUEST, "Pass all parameters.",
				    "%u bytes of parameters; the kernel takes %u", launch->param_bytes,
				    program->info.param_bytes);
	if (!launch->iterations || launch->buffer_count > GD_BUFFERS_MAX)
		return refuse(error, "a launch needs at least one iteration and at most 512 buffers");
	if (!launch->cooperative)
		return true;
	uint64_t blocks = (uint64_t)grid[0] * grid[1] * grid[2];
	uint64_t most = (uint64_t)gd_ptx_program_occupancy(program, (uint32_t)(threads * block[2]),
							   launch->shared_bytes) *
			stream->device->threads;
	if (grid[0] > most || blocks > most)
		return gd_error_set(error, GD_COOPERATIVE_RESIDENCY_EXCEEDED, "Launch a smaller grid.",
				    "a cooperative launch of %llu blocks; %llu can be resident at once",
				    (unsigned long long)blocks, (unsigned long long)most);
	return true;
}

static bool is_inside(uint64_t offset, uint64_t bytes, uint64_t size)
{
	return offset <= size && bytes <= size - offset;
}

/* Where a buffer lives, after checking that it does. NULL: it does not. */
static uint8_t *home_of(const struct gd_stream *stream, const struct gd_buffer_arg *buffer)
{
	const struct gd_device *device = stream->device;
	switch (buffer->space) {
	case GD_SPACE_IN:
		/* Read-only: the span says so, and nothing writes through it. */
		if (buffer->access != GD_ACCESS_READ ||
		    !is_inside(buffer->offset, buffer->bytes, device->in_bytes))
			return NULL;
		return (uint8_t *)(uintptr_t)device->in + buffer->offset;
	case GD_SPACE_OUT:
		return is_inside(buffer->offset, buffer->bytes, device->out_bytes)
			   ? device->out + buffer->offset
			   : NULL;
	case GD_SPACE_CHUNK:
		if (!buffer->chunk || !is_inside(buffer->offset, buffer->bytes, buffer->chunk->bytes))
			return NULL;
		return buffer->chunk->memory + buffer->offset;
	default:
		return NULL;
	}
}

/* Fill in a buffer's initial content. */
static bool fill(const struct gd_stream *stream, const struct gd_buffer_arg *buffer, uint8_t *home)
{
	const struct gd_device *device = stream->device;
	if (buffer->space == GD_SPACE_IN)
		return true;
	if (buffer->source == GD_SPACE_NULL) {
		memset(home, 0, buffer->bytes);
		return true;
	}
	if (buffer->source == GD_SPACE_IN) {
		if (!is_inside(buffer->source_offset, buffer->bytes, device->in_bytes))
			return false;
		memcpy(home, device->in + buffer->source_offset, buffer->bytes);
		return true;
	}
	return buffer->source == buffer->space;
}

static uint32_t parameter_at(const struct gd_kernel_info *info, uint32_t offset)
{
	for (uint32_t i = 0; i < info->param_count; i++) {
		if (offset >= info->params[i].offset &&
		    offset - info->params[i].offset < info->params[i].size)
			return i;
	}
	return 0;
}

/*
 * Give a buffer addresses of its own: its slot, or several when it is large. The lowest bits are those of its
 * memory, so that what is aligned for the kernel is aligned here.
 */
static bool map_buffer(struct gd_stream *stream, const struct gd_launch *launch, uint32_t index)
{
	struct gd_vm_launch *vm = &stream->launch;
	const struct gd_buffer_arg *buffer = &launch->buffers[index];
	const struct gd_kernel_info *info = &launch->module->program->info;
	uint64_t address = 0;
	if (buffer->param_offset > launch->param_bytes || launch->param_bytes - buffer->param_offset < 8)
		return false;
	if (buffer->bytes && buffer->space != GD_SPACE_NULL) {
		uint8_t *home = home_of(stream, buffer);
		if (!home || !fill(stream, buffer, home))
			return false;
		uint64_t slots = 1 + ((GD_SLOT_MIDDLE + 256 + buffer->bytes) >> GD_SLOT_BITS);
		if (slots > GD_SLOT_COUNT - GD_SLOT_BUFFERS - vm->slot_count)
			return false;
		address = GD_SLOT_BASE(GD_SLOT_BUFFERS + vm->slot_count) + ((uintptr_t)home & 255);
		for (uint64_t i = 0; i < slots; i++)
			stream->slot_span[vm->slot_count++] = (uint16_t)vm->span_count;
		stream->spans[vm->span_count++] = (struct gd_vm_span){
		    .base = address,
		    .size = buffer->bytes,
		    .host = home,
		    .flags = GD_SPAN_ATOMIC | (buffer->access & GD_ACCESS_WRITE ? GD_SPAN_READ | GD_SPAN_WRITE
										: (uint32_t)GD_SPAN_READ),
		    .slot = GD_SLOT_BUFFERS,
		    .param = parameter_at(info, buffer->param_offset)};
	}
	memcpy(stream->params + buffer->param_offset, &address, sizeof(address));
	return true;
}

/* The module's variables with their initial values. */
static bool make_globals(struct gd_stream *stream, const struct gd_vm_program *program)
{
	if (program->global_bytes > stream->globals_capacity) {
		size_t bytes = (size_t)(program->global_bytes + 4095) & ~(size_t)4095;
		void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (memory == MAP_FAILED)
			return false;
		if (stream->globals)
			munmap(stream->globals, stream->globals_capacity);
		stream->globals = memory;
		stream->globals_capacity = bytes;
	} else if (program->global_bytes > program->global_image_bytes) {
		/* Large tails go back to the system, which hands them out zeroed. */
		uint8_t *tail = stream->globals + program->global_image_bytes;
		uint64_t rest = program->global_bytes - program->global_image_bytes;
		uint8_t *page = (uint8_t *)(((uintptr_t)tail + 4095) & ~(uintptr_t)4095);
		if (rest < 1u << 20 || madvise(page, (size_t)(tail + rest - page), MADV_DONTNEED))
			memset(tail, 0, rest);
		else
			memset(tail, 0, (size_t)(page - tail));
	}
	if (program->global_image_bytes)
		memcpy(stream->globals, program->global_image, program->global_image_bytes);
	return true;
}

/* What grid.sync() of cooperative groups counts arrivals in: %envreg1 and %envreg2 point to it. */
static bool make_workspace(struct gd_stream *stream)
{
	if (!stream->grid_workspace) {
		void *memory = mmap(NULL, GRID_WORKSPACE_BYTES, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			return false;
		stream->grid_workspace = memory;
	}
	memset(stream->grid_workspace, 0, GRID_WORKSPACE_BYTES);
	stream->launch.grid_span = (struct gd_vm_span){.base = GD_SLOT_BASE(GD_SLOT_GRID),
						       .size = GRID_WORKSPACE_BYTES,
						       .host = stream->grid_workspace,
						       .flags = GD_SPAN_READ | GD_SPAN_WRITE | GD_SPAN_ATOMIC,
						       .slot = GD_SLOT_GRID};
	return true;
}

static bool describe_launch(struct gd_stream *stream, const struct gd_launch *launch, struct gd_error *error)
{
	static _Atomic uint64_t serial;
	const struct gd_ptx_program *program = launch->module->program;
	struct gd_vm_launch *vm = &stream->launch;
	memset(vm, 0, sizeof(*vm));
	vm->program = &program->vm;
	memcpy(vm->grid, launch->grid, sizeof(vm->grid));
	memcpy(vm->block, launch->block, sizeof(vm->block));
	vm->threads = launch->block[0] * launch->block[1] * launch->block[2];
	vm->warps = (vm->threads + GD_LANES - 1) / GD_LANES;
	vm->dynamic_bytes = launch->shared_bytes;
	vm->shared_bytes = program->vm.shared_bytes + launch->shared_bytes;
	vm->block_count = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2];
	vm->is_cooperative = launch->cooperative;
	vm->budget = stream->device->budget;
	vm->serial = atomic_fetch_add(&serial, 1) + 1;
	vm->params = stream->params;
	vm->param_bytes = program->info.param_bytes;
	vm->spans = stream->spans;
	vm->slot_span = stream->slot_span;
	if (launch->param_bytes)
		memcpy(stream->params, launch->params, launch->param_bytes);
	for (uint32_t i = 0; i < launch->buffer_count; i++) {
		if (!map_buffer(stream, launch, i))
			return gd_error_set(error, GD_INVALID_REQUEST, "Name buffers inside their memory.",
					    "buffer %u of the launch lies outside of its memory", i);
	}
	vm->param_span = (struct gd_vm_span){.base = GD_SLOT_BASE(GD_SLOT_PARAM),
					     .size = vm->param_bytes,
					     .host = stream->params,
					     .flags = GD_SPAN_READ,
					     .slot = GD_SLOT_PARAM};
	vm->heap_span = (struct gd_vm_span){.base = GD_SLOT_BASE(GD_SLOT_HEAP), .slot = GD_SLOT_HEAP};
	vm->grid_span = (struct gd_vm_span){.base = GD_SLOT_BASE(GD_SLOT_GRID), .slot = GD_SLOT_GRID};
	if (program->vm.uses_heap) {
		vm->heap = gd_vm_heap_new(GD_HEAP_BYTES);
		if (vm->heap) {
			vm->heap_span.size = GD_HEAP_BYTES;
			vm->heap_span.host = gd_vm_heap_memory(vm->heap);
			vm->heap_span.flags = GD_SPAN_READ | GD_SPAN_WRITE | GD_SPAN_ATOMIC;
		}
	}
	if (!make_globals(stream, &program->vm) || (launch->cooperative && !make_workspace(stream)))
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, "Use smaller variables.",
				    "no memory for the variables of the program");
	vm->global_host = stream->globals;
	return true;
}

/* One pass over the grid, with helpers once it turns out to be long. */
static void run_grid(struct gd_stream *stream)
{
	struct gd_vm_launch *launch = &stream->launch;
	struct gd_pool *pool = stream->device->pool;
	atomic_store(&launch->next_block, 0);
	if (gd_vm_run(&stream->vm, gd_now_ns() + ALONE_NS))
		return;
	bool has_helpers =
	    launch->block_count - atomic_load(&launch->next_block) > 1 && gd_pool_start(pool, launch);
	gd_vm_run(&stream->vm, 0);
	if (has_helpers)
		gd_pool_finish(pool);
}

static void report(struct gd_stream *stream)
{
	const struct gd_vm_fault *fault = &stream->launch.fault;
	stream->state = GD_STREAM_FAILED;
	gd_error_set(&stream->error, GD_DISPATCH_FAILED, "Correct the kernel or what it is launched with.",
		     "%s", fault->text);
	gd_error_native(&stream->error, fault->native, fault->native_name, false);
}

bool gd_stream_launch(struct gd_stream *stream, const struct gd_launch *launch, struct gd_error *error)
{
	if (!check_shape(stream, launch, error))
		return false;
	uint64_t start = gd_now_ns();
	bool is_described = describe_launch(stream, launch, error);
	uint64_t copied = gd_now_ns();
	if (!is_described || !gd_vm_prepare(&stream->vm, &stream->launch, error)) {
		gd_vm_heap_free(stream->launch.heap);
		return false;
	}
	for (uint32_t i = 0; i < launch->iterations && !stream->launch.fault.is_set; i++) {
		/* The barrier state of a cooperative grid begins anew. */
		if (i && launch->cooperative)
			memset(stream->grid_workspace, 0, GRID_WORKSPACE_BYTES);
		run_grid(stream);
	}
	uint64_t end = gd_now_ns();
	gd_vm_heap_free(stream->launch.heap);
	stream->timing =
	    (struct gd_launch_timing){.h2d_ns = copied - start, .kernel_ns = end > copied ? end - copied : 1};
	stream->state = GD_STREAM_DONE;
	if (stream->launch.fault.is_set)
		report(stream);
	return true;
}
