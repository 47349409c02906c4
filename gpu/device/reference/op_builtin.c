/* What the CUDA runtime provides to kernels: assertions, malloc and free. Output of printf is discarded. */
#include "gpu/device/reference/heap.h"
#include "gpu/device/reference/ops.h"

#include <string.h>

/* Copy a string of the kernel's memory; stops at its end, the buffer's or the variable's. */
static void read_text(const struct gd_vm *vm, uint64_t address, uint32_t lane, char *text, size_t room)
{
	size_t length = 0;
	const struct gd_vm_span *span = gd_vm_span_at(vm, address);
	while (span && length < room - 1 && address + length - span->base < span->size) {
		char c = (char)span->host[address + length - span->base + lane * span->stride];
		if (!c)
			break;
		text[length++] = c < ' ' ? ' ' : c;
	}
	text[length] = 0;
}

/* o[0] text, o[1] file, o[2] line. */
static const struct gd_vm_insn *op_builtin_assert(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t lane = gd_vm_first(vm->mask);
	char message[121], file[121];
	read_text(vm, ((const uint64_t *)gd_vm_at(vm, in->o[0]))[lane], lane, message, sizeof(message));
	read_text(vm, ((const uint64_t *)gd_vm_at(vm, in->o[1]))[lane], lane, file, sizeof(file));
	const char *slash = strrchr(file, '/');
	return gd_vm_fault(vm, in, lane, 710, "CUDA_ERROR_ASSERT", "fails its assertion `%s` at %s:%u",
			   message, slash ? slash + 1 : file,
			   ((const uint32_t *)gd_vm_at(vm, in->o[2]))[lane]);
}

/* o[0] the address or 0, o[1] how many bytes. */
static const struct gd_vm_insn *op_builtin_malloc(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint64_t *to = gd_vm_at(vm, in->o[0]), offset;
	const uint64_t *bytes = gd_vm_at(vm, in->o[1]);
	for (gd_vm_each(lane, left, vm->mask)) {
		bool is_taken = vm->launch->heap && gd_vm_heap_take(vm->launch->heap, bytes[lane], &offset);
		to[lane] = is_taken ? GD_SLOT_BASE(GD_SLOT_HEAP) + offset : 0;
	}
	return in + 1;
}

static const struct gd_vm_insn *op_builtin_free(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	const uint64_t *address = gd_vm_at(vm, in->o[0]);
	for (gd_vm_each(lane, left, vm->mask)) {
		if (address[lane] &&
		    (!vm->launch->heap ||
		     !gd_vm_heap_give(vm->launch->heap, address[lane] - GD_SLOT_BASE(GD_SLOT_HEAP))))
			return gd_vm_fault(vm, in, lane, 700, "CUDA_ERROR_ILLEGAL_ADDRESS",
					   "frees memory that malloc did not give");
	}
	return in + 1;
}

void gd_vm_builtin_ops(gd_vm_fn *table)
{
	table[GD_OP_builtin_assert] = op_builtin_assert;
	table[GD_OP_builtin_malloc] = op_builtin_malloc;
	table[GD_OP_builtin_free] = op_builtin_free;
}
