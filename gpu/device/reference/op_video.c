/* SIMD video instructions: vadd2, vabsdiff4 and their like (PTX ISA, "SIMD Video Instructions"), lane by
 * lane. */
#include "gpu/device/reference/ops.h"
#include "gpu/device/reference/sync.h"

static int32_t part_of(uint32_t word, uint32_t shift, uint32_t bits, bool is_signed)
{
	uint32_t left = 32 - bits;
	uint32_t high = word >> shift << left;
	return is_signed ? (int32_t)high >> left : (int32_t)(high >> left);
}

static int32_t combine(uint32_t operation, int32_t a, int32_t b)
{
	switch (operation) {
	case GD_VSIMD_ADD:
		return a + b;
	case GD_VSIMD_SUB:
		return a - b;
	case GD_VSIMD_AVRG:
		/* Rounds towards the larger magnitude's side as the ISA's (a + b + 1) >> 1 does. */
		return (a + b + (a + b >= 0)) >> 1;
	case GD_VSIMD_ABSDIFF:
		return a < b ? b - a : a - b;
	case GD_VSIMD_MIN:
		return a < b ? a : b;
	default:
		return a > b ? a : b;
	}
}

/* o[0] result, o[1], o[2] sources, o[3] what is added or merged; aux the operation, aux2 GD_VSIMD_ flags. */
static const struct gd_vm_insn *op_vsimd(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t *to = gd_vm_at(vm, in->o[0]), flags = in->aux2, bits = flags & GD_VSIMD_BYTES ? 8 : 16;
	const uint32_t *a = gd_vm_at(vm, in->o[1]), *b = gd_vm_at(vm, in->o[2]), *c = gd_vm_at(vm, in->o[3]);
	bool is_signed = flags & GD_VSIMD_D_SIGNED;
	int32_t most = is_signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1, least = is_signed ? -most - 1 : 0;
	uint32_t ones = (1u << bits) - 1;
	for (gd_vm_each(lane, left, vm->mask)) {
		uint32_t result = flags & GD_VSIMD_ACCUMULATE ? c[lane] : 0;
		for (uint32_t shift = 0; shift < 32; shift += bits) {
			int32_t value =
			    combine(in->aux, part_of(a[lane], shift, bits, flags & GD_VSIMD_A_SIGNED),
				    part_of(b[lane], shift, bits, flags & GD_VSIMD_B_SIGNED));
			if (flags & GD_VSIMD_SATURATE)
				value = value > most ? most : value < least ? least : value;
			if (flags & GD_VSIMD_ACCUMULATE)
				result += (uint32_t)part_of((uint32_t)value, 0, bits, is_signed);
			else
				result |= ((uint32_t)value & ones) << shift;
		}
		to[lane] = result;
	}
	return in + 1;
}

void gd_vm_video_ops(gd_vm_fn *table)
{
	table[GD_OP_vsimd] = op_vsimd;
}
