#include "gpu/device/reference/vm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CLASS_MIN 10u /* frames come in powers of two from 1 KiB */

static uint32_t class_of(size_t bytes)
{
	uint32_t class = CLASS_MIN;
	while (((size_t)1 << class) < bytes)
		class ++;
	return class;
}

struct gd_vm_frame *gd_vm_frame_take(struct gd_vm *vm, const struct gd_vm_code *code)
{
	uint32_t class = class_of(sizeof(struct gd_vm_frame) + code->frame_bytes);
	struct gd_vm_frame *frame = vm->free_frames[class];
	if (frame) {
		vm->free_frames[class] = frame->next;
	} else {
		/* Each block begins with a link of its own, so that all can be freed whatever became of them.
		 */
		size_t bytes = 64 + ((size_t)1 << class);
		if (bytes > GD_FRAME_BYTES_MAX - vm->frame_bytes)
			return NULL;
		uint8_t *block = aligned_alloc(64, bytes);
		if (!block)
			return NULL;
		memset(block, 0, bytes);
		vm->frame_bytes += bytes;
		memcpy(block, &vm->all_frames, sizeof(vm->all_frames));
		vm->all_frames = (struct gd_vm_frame *)(void *)block;
		frame = (struct gd_vm_frame *)(void *)(block + 64);
	}
	frame->size_class = class;
	frame->code = code;
	return frame;
}

void gd_vm_frame_give(struct gd_vm *vm, struct gd_vm_frame *frame)
{
	frame->next = vm->free_frames[frame->size_class];
	vm->free_frames[frame->size_class] = frame;
}

void gd_vm_frame_clear(struct gd_vm *vm, struct gd_vm_frame *frame)
{
	const struct gd_vm_code *code = frame->code;
	if (code->word_bytes)
		memset(frame->regs, 0, code->word_bytes);
	for (uint32_t i = 0; i < code->zero_count; i++)
		memset(frame->regs + code->zero[i].offset, 0, code->zero[i].bytes);
	if (!code->local_bytes)
		return;
	for (uint32_t lane = 0; lane < GD_LANES; lane++)
		memset(vm->warp->local + lane * vm->local_span.stride + frame->local_base, 0,
		       code->local_bytes);
}

static void frames_free(struct gd_vm *vm)
{
	uint8_t *block = (uint8_t *)vm->all_frames;
	while (block) {
		uint8_t *next;
		memcpy(&next, block, sizeof(next));
		free(block);
		block = next;
	}
	vm->all_frames = NULL;
	vm->frame_bytes = 0;
	memset(vm->free_frames, 0, sizeof(vm->free_frames));
}

/* Make *memory hold at least `bytes`, zeroed when new; what it held is lost. */
static bool reserve(void *memory, size_t *capacity, size_t bytes)
{
	void *held;
	memcpy(&held, memory, sizeof(held));
	if (bytes <= *capacity)
		return true;
	size_t rounded = (bytes + 4095) & ~(size_t)4095;
	void *larger =
	    mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (larger == MAP_FAILED)
		return false;
	if (held)
		munmap(held, *capacity);
	*capacity = rounded;
	memcpy(memory, &larger, sizeof(larger));
	return true;
}

static void release(void *memory, size_t *capacity)
{
	void *held;
	memcpy(&held, memory, sizeof(held));
	if (held)
		munmap(held, *capacity);
	*capacity = 0;
	memset(memory, 0, sizeof(held));
}

static void make_tids(struct gd_vm *vm, const struct gd_vm_launch *launch)
{
	for (uint32_t i = 0; i < vm->warp_count; i++) {
		struct gd_vm_warp *warp = &vm->warps[i];
		for (uint32_t lane = 0; lane < GD_LANES; lane++) {
			uint32_t thread = (i % launch->warps) * GD_LANES + lane;
			warp->tid[0][lane] = thread % launch->block[0];
			warp->tid[1][lane] = thread / launch->block[0] % launch->block[1];
			warp->tid[2][lane] = thread / launch->block[0] / launch->block[1];
		}
	}
	memcpy(vm->tid_shape, launch->block, sizeof(vm->tid_shape));
	vm->tid_warps = vm->warp_count;
}

/* The spans of one block's shared variables, the dynamic ones last. */
static void make_shared_spans(struct gd_vm *vm, struct gd_vm_block *block)
{
	const struct gd_vm_program *program = vm->program;
	const struct gd_vm_launch *launch = vm->launch;
	const struct gd_vm_span *vars = program->vars + program->global_count + program->const_count;
	uint64_t start = GD_SLOT_BASE(GD_SLOT_SHARED) + GD_SHARED_START;
	uint32_t count = program->shared_count;
	for (uint32_t i = 0; i < count; i++) {
		block->shared_spans[i] = vars[i];
		block->shared_spans[i].host = block->shared + (vars[i].base - start);
	}
	if (launch->dynamic_bytes) {
		block->shared_spans[count++] =
		    (struct gd_vm_span){.base = start + program->shared_bytes,
					.size = launch->dynamic_bytes,
					.host = block->shared + program->shared_bytes,
					.flags = GD_SPAN_READ | GD_SPAN_WRITE,
					.slot = GD_SLOT_SHARED,
					.name = "dynamic shared memory"};
	}
	block->shared_span_count = count;
}

static void make_var_spans(struct gd_vm *vm)
{
	const struct gd_vm_program *program = vm->program;
	for (uint32_t i = 0; i < program->global_count + program->const_count; i++) {
		bool is_const = i >= program->global_count;
		vm->var_spans[i] = program->vars[i];
		/* Constants are read only: their span says so, and the image is never written. */
		vm->var_spans[i].host = is_const ? (uint8_t *)(uintptr_t)program->const_image +
						       (program->vars[i].base - GD_SLOT_BASE(GD_SLOT_CONST))
						 : vm->launch->global_host +
						       (program->vars[i].base - GD_SLOT_BASE(GD_SLOT_GLOBAL));
	}
}

bool gd_vm_prepare(struct gd_vm *vm, struct gd_vm_launch *launch, struct gd_error *error)
{
	const struct gd_vm_program *program = launch->program;
	uint32_t blocks = launch->is_cooperative ? (uint32_t)launch->block_count : 1;
	uint32_t warps = blocks * launch->warps, spans = program->shared_count + 1;
	size_t frame_stride = (sizeof(struct gd_vm_frame) + program->entry->frame_bytes + 63) & ~(size_t)63;
	size_t shared_stride = ((size_t)launch->shared_bytes + 63) & ~(size_t)63;
	bool is_new_warps = (size_t)warps * sizeof(struct gd_vm_warp) > vm->warp_capacity;
	/* What a fault or a deep recursion left behind is given back; what a normal launch uses is kept. */
	if (vm->is_faulted || vm->frame_bytes > (16u << 20))
		frames_free(vm);
	if (vm->local_capacity > (64u << 20))
		release(&vm->local, &vm->local_capacity);
	if (!reserve(&vm->blocks, &vm->block_capacity, blocks * sizeof(struct gd_vm_block)) ||
	    !reserve(&vm->warps, &vm->warp_capacity, (size_t)warps * sizeof(struct gd_vm_warp)) ||
	    !reserve(&vm->frames, &vm->frame_capacity, warps * frame_stride) ||
	    !reserve(&vm->shared, &vm->shared_capacity, blocks * shared_stride) ||
	    !reserve(&vm->local, &vm->local_capacity, (size_t)warps * GD_LANES * program->local_bytes) ||
	    !reserve(&vm->shared_spans, &vm->shared_span_capacity,
		     (size_t)blocks * spans * sizeof(struct gd_vm_span)) ||
	    !reserve(&vm->sites, &vm->site_capacity, (size_t)program->site_count * sizeof(*vm->sites)) ||
	    !reserve(&vm->var_spans, &vm->var_capacity,
		     (size_t)(program->global_count + program->const_count) * sizeof(struct gd_vm_span)))
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, "Launch smaller blocks.",
				    "no memory for the threads of a block");
	vm->launch = launch;
	vm->program = program;
	vm->base[1] = program->constants;
	vm->is_faulted = false;
	vm->used_fuel = 0;
	vm->clock = 0;
	vm->block_count = blocks;
	vm->warp_count = warps;
	vm->mask = 0;
	vm->local_span = (struct gd_vm_span){.base = GD_SLOT_BASE(GD_SLOT_LOCAL),
					     .size = program->local_bytes,
					     .stride = program->local_bytes,
					     .flags = GD_SPAN_READ | GD_SPAN_WRITE,
					     .slot = GD_SLOT_LOCAL};
	if (program->site_count)
		memset(vm->sites, 0, program->site_count * sizeof(*vm->sites));
	make_var_spans(vm);
	for (uint32_t i = 0; i < blocks; i++) {
		struct gd_vm_block *block = &vm->blocks[i];
		block->warps = vm->warps + (size_t)i * launch->warps;
		block->shared = vm->shared + i * shared_stride;
		block->shared_spans = vm->shared_spans + (size_t)i * spans;
		make_shared_spans(vm, block);
	}
	for (uint32_t i = 0; i < warps; i++) {
		struct gd_vm_warp *warp = &vm->warps[i];
		warp->block = &vm->blocks[i / launch->warps];
		warp->index = i % launch->warps;
		warp->local = vm->local + (size_t)i * GD_LANES * program->local_bytes;
		warp->frame = (struct gd_vm_frame *)(void *)(vm->frames + i * frame_stride);
		warp->frame->parent = NULL;
		warp->frame->code = program->entry;
		warp->frame->depth = 0;
		warp->frame->local_base = 0;
	}
	if (is_new_warps || warps > vm->tid_warps ||
	    memcmp(vm->tid_shape, launch->block, sizeof(vm->tid_shape)))
		make_tids(vm, launch);
	return true;
}

void gd_vm_done(struct gd_vm *vm)
{
	frames_free(vm);
	release(&vm->blocks, &vm->block_capacity);
	release(&vm->warps, &vm->warp_capacity);
	release(&vm->frames, &vm->frame_capacity);
	release(&vm->shared, &vm->shared_capacity);
	release(&vm->local, &vm->local_capacity);
	release(&vm->shared_spans, &vm->shared_span_capacity);
	release(&vm->sites, &vm->site_capacity);
	release(&vm->var_spans, &vm->var_capacity);
}
