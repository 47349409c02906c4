#include "gpu/device/reference/vm.h"

#include "gpu/device/reference/access.h"
#include "gpu/device/reference/ptx.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The function whose instructions `in` is one of. */
static const struct gd_vm_code *code_of(const struct gd_vm_program *program, const struct gd_vm_insn *in)
{
	for (uint32_t i = 0; i < program->code_count; i++) {
		const struct gd_vm_code *code = &program->codes[i];
		if (code->is_lowered && in >= code->insns && in < code->insns + code->insn_count)
			return code;
	}
	return program->entry;
}

/* "line 12 of kernel.cu, " when the compiler left its line numbers; never a path of the machine. */
static void describe_source(const struct gd_vm_program *program, const struct gd_vm_place *place, char *text,
			    size_t room)
{
	const char *name = program->source_name;
	int length = name ? (int)strlen(name) : 0;
	text[0] = 0;
	if (!place->source_line)
		return;
	for (uint32_t i = 0; !name && i < program->file_count; i++) {
		const struct gd_ptx_file *file = &program->files[i];
		if (file->index != place->source_file)
			continue;
		const char *slash = memrchr(file->name, '/', file->length);
		name = slash ? slash + 1 : file->name;
		length = (int)(file->name + file->length - name);
		break;
	}
	if (!name || length > 80)
		snprintf(text, room, "source line %u, ", place->source_line);
	else
		snprintf(text, room, "line %u of %.*s, ", place->source_line, length, name);
}

const struct gd_vm_insn *gd_vm_fault(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t lane, int native,
				     const char *native_name, const char *format, ...)
{
	struct gd_vm_launch *launch = vm->launch;
	vm->is_faulted = true;
	atomic_store(&launch->is_stopped, true);
	if (atomic_exchange(&launch->fault_taken, true))
		return NULL;
	const struct gd_vm_code *code = code_of(vm->program, in);
	const struct gd_vm_place *place = &code->places[in - code->insns];
	const uint32_t *id = vm->block->id, (*tid)[GD_LANES] = (const uint32_t(*)[GD_LANES])vm->warp->tid;
	char what[256], where[128], inside[96] = "";
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	describe_source(vm->program, place, where, sizeof(where));
	if (!code->is_entry)
		snprintf(inside, sizeof(inside), " in function `%.60s`", code->name);
	snprintf(launch->fault.text, sizeof(launch->fault.text),
		 "kernel `%.60s` %s%s (%sPTX line %u; block %u,%u,%u, thread %u,%u,%u)",
		 vm->program->entry->name, what, inside, where, place->line, id[0], id[1], id[2],
		 tid[0][lane], tid[1][lane], tid[2][lane]);
	launch->fault.native = native;
	launch->fault.native_name = native_name;
	launch->fault.is_set = true;
	return NULL;
}

/* The last of `count` spans that begins at or before an address; NULL when all begin behind it. */
static const struct gd_vm_span *span_below(const struct gd_vm_span *spans, uint32_t count, uint64_t address)
{
	uint32_t low = 0, high = count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (spans[middle].base <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &spans[low - 1] : NULL;
}

/* The span that an address belongs to or, being outside of all, lies nearest behind (or before). NULL: none.
 */
static const struct gd_vm_span *span_near(const struct gd_vm *vm, uint64_t address)
{
	const struct gd_vm_launch *launch = vm->launch;
	const struct gd_vm_program *program = vm->program;
	const struct gd_vm_span *spans = NULL, *found;
	uint64_t slot = address >> GD_SLOT_BITS;
	uint32_t count = 0;
	switch (slot) {
	case GD_SLOT_SHARED:
		spans = vm->block->shared_spans;
		count = vm->block->shared_span_count;
		break;
	case GD_SLOT_LOCAL:
		return &vm->local_span;
	case GD_SLOT_PARAM:
		return &launch->param_span;
	case GD_SLOT_GLOBAL:
		spans = vm->var_spans;
		count = program->global_count;
		break;
	case GD_SLOT_CONST:
		spans = vm->var_spans + program->global_count;
		count = program->const_count;
		break;
	case GD_SLOT_HEAP:
		return &launch->heap_span;
	case GD_SLOT_GRID:
		return &launch->grid_span;
	default:
		if (slot < GD_SLOT_BUFFERS || slot - GD_SLOT_BUFFERS >= launch->slot_count)
			return NULL;
		return &launch->spans[launch->slot_span[slot - GD_SLOT_BUFFERS]];
	}
	found = span_below(spans, count, address);
	return found || !count ? found : spans;
}

const struct gd_vm_span *gd_vm_span_at(const struct gd_vm *vm, uint64_t address)
{
	const struct gd_vm_span *span = span_near(vm, address);
	return span && address - span->base < span->size ? span : NULL;
}

/* "parameter 1 (4096 bytes)" */
static void describe_span(const struct gd_vm_span *span, char *text, size_t room)
{
	unsigned long long bytes = span->size;
	if (span->slot == GD_SLOT_BUFFERS)
		snprintf(text, room, "parameter %u (%llu bytes)", span->param, bytes);
	else if (span->slot == GD_SLOT_LOCAL)
		snprintf(text, room, "the thread's local memory (%llu bytes)", bytes);
	else if (span->slot == GD_SLOT_PARAM)
		snprintf(text, room, "the kernel's parameters (%llu bytes)", bytes);
	else if (span->slot == GD_SLOT_HEAP)
		snprintf(text, room, "the device heap (%llu bytes)", bytes);
	else if (span->name)
		snprintf(text, room, "`%.60s` (%llu bytes)", span->name, bytes);
	else
		snprintf(text, room, "memory of %llu bytes", bytes);
}

static bool space_allows(uint32_t space, uint32_t slot)
{
	switch (space) {
	case GD_SP_GENERIC:
		return true;
	case GD_SP_GLOBAL:
		return slot == GD_SLOT_BUFFERS || slot == GD_SLOT_GLOBAL || slot == GD_SLOT_HEAP ||
		       slot == GD_SLOT_GRID;
	case GD_SP_CONST:
		return slot == GD_SLOT_CONST;
	case GD_SP_SHARED:
		return slot == GD_SLOT_SHARED;
	case GD_SP_LOCAL:
		return slot == GD_SLOT_LOCAL;
	default:
		return slot == GD_SLOT_PARAM;
	}
}

const struct gd_vm_span *gd_vm_span_find(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t lane,
					 uint64_t address, uint32_t size, uint32_t flags)
{
	const struct gd_vm_span *span = span_near(vm, address);
	uint32_t space = GD_ACCESS_SPACE(in->aux2);
	const char *verb = flags & GD_SPAN_ATOMIC ? "updates" : flags & GD_SPAN_WRITE ? "writes" : "reads";
	char what[128];
	if (!span) {
		bool is_null = address >> GD_SLOT_BITS == GD_SLOT_NULL;
		gd_vm_fault(vm, in, lane, 700, "CUDA_ERROR_ILLEGAL_ADDRESS", "%s %u bytes %s", verb, size,
			    is_null ? "through a null pointer" : "at an address that belongs to no buffer");
		return NULL;
	}
	int64_t offset = (int64_t)(address - span->base);
	describe_span(span, what, sizeof(what));
	if (offset < 0 || span->size < size || (uint64_t)offset > span->size - size) {
		gd_vm_fault(vm, in, lane, 700, "CUDA_ERROR_ILLEGAL_ADDRESS",
			    "%s %u bytes at offset %lld of %s", verb, size, (long long)offset, what);
		return NULL;
	}
	if (!space_allows(space, span->slot)) {
		gd_vm_fault(vm, in, lane, 717, "CUDA_ERROR_INVALID_ADDRESS_SPACE",
			    "%s %u bytes of %s with an instruction for another state space", verb, size,
			    what);
		return NULL;
	}
	if ((flags & GD_SPAN_WRITE) && !(span->flags & GD_SPAN_WRITE)) {
		gd_vm_fault(vm, in, lane, 700, "CUDA_ERROR_ILLEGAL_ADDRESS",
			    "%s %u bytes at offset %lld of %s, which is read-only", verb, size,
			    (long long)offset, what);
		return NULL;
	}
	if (address & (size - 1)) {
		gd_vm_fault(vm, in, lane, 716, "CUDA_ERROR_MISALIGNED_ADDRESS",
			    "%s %u bytes at offset %lld of %s, which is not aligned", verb, size,
			    (long long)offset, what);
		return NULL;
	}
	return span;
}
