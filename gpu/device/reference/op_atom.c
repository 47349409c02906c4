/*
 * Atomic operations, lane by lane in lane order. Memory that other threads see (buffers, globals) is updated
 * with the processor's atomic instructions; shared memory belongs to the one thread that runs the block.
 */
#include "gpu/device/reference/exec/lane.h"
#include "gpu/device/reference/access.h"
#include "gpu/device/reference/ops.h"
#include "gpu/device/reference/sync.h"

static uint16_t add_f16(uint16_t a, uint16_t b)
{
	return lane_f16_f64((double)lane_f32_f16(a) + (double)lane_f32_f16(b), GD_ROUND_RN);
}

static uint16_t add_bf16(uint16_t a, uint16_t b)
{
	return lane_bf16_f64(lane_add_odd((double)lane_f32_bf16(a), (double)lane_f32_bf16(b)), GD_ROUND_RN);
}

static uint16_t apply_16(uint32_t operation, uint16_t old, uint16_t b, uint16_t c)
{
	switch (operation) {
	case GD_ATOM_ADD_F:
		return add_f16(old, b);
	case GD_ATOM_ADD_BF16:
		return add_bf16(old, b);
	case GD_ATOM_EXCH:
		return b;
	default:
		return old == b ? c : old;
	}
}

static uint32_t apply_32(uint32_t operation, uint32_t old, uint32_t b, uint32_t c)
{
	switch (operation) {
	case GD_ATOM_ADD:
		return old + b;
	case GD_ATOM_MIN_U:
		return old < b ? old : b;
	case GD_ATOM_MAX_U:
		return old > b ? old : b;
	case GD_ATOM_MIN_S:
		return (int32_t)old < (int32_t)b ? old : b;
	case GD_ATOM_MAX_S:
		return (int32_t)old > (int32_t)b ? old : b;
	case GD_ATOM_AND:
		return old & b;
	case GD_ATOM_OR:
		return old | b;
	case GD_ATOM_XOR:
		return old ^ b;
	case GD_ATOM_EXCH:
		return b;
	case GD_ATOM_INC:
		return old >= b ? 0 : old + 1;
	case GD_ATOM_DEC:
		return old == 0 || old > b ? b : old - 1;
	case GD_ATOM_ADD_F:
		return lane_bits32(lane_nan32(lane_float(old) + lane_float(b)));
	case GD_ATOM_ADD_FTZ:
		return lane_bits32(lane_ftz(lane_nan32(lane_ftz(lane_float(old)) + lane_ftz(lane_float(b)))));
	case GD_ATOM_ADD_F16X2:
		return (uint32_t)add_f16((uint16_t)old, (uint16_t)b) |
		       (uint32_t)add_f16((uint16_t)(old >> 16), (uint16_t)(b >> 16)) << 16;
	case GD_ATOM_ADD_BF16X2:
		return (uint32_t)add_bf16((uint16_t)old, (uint16_t)b) |
		       (uint32_t)add_bf16((uint16_t)(old >> 16), (uint16_t)(b >> 16)) << 16;
	default:
		return old == b ? c : old;
	}
}

static uint64_t apply_64(uint32_t operation, uint64_t old, uint64_t b, uint64_t c)
{
	switch (operation) {
	case GD_ATOM_ADD:
		return old + b;
	case GD_ATOM_MIN_U:
		return old < b ? old : b;
	case GD_ATOM_MAX_U:
		return old > b ? old : b;
	case GD_ATOM_MIN_S:
		return (int64_t)old < (int64_t)b ? old : b;
	case GD_ATOM_MAX_S:
		return (int64_t)old > (int64_t)b ? old : b;
	case GD_ATOM_AND:
		return old & b;
	case GD_ATOM_OR:
		return old | b;
	case GD_ATOM_XOR:
		return old ^ b;
	case GD_ATOM_EXCH:
		return b;
	case GD_ATOM_INC:
		return old >= b ? 0 : old + 1;
	case GD_ATOM_DEC:
		return old == 0 || old > b ? b : old - 1;
	case GD_ATOM_ADD_F:
		return lane_bits64(lane_double(old) + lane_double(b));
	default:
		return old == b ? c : old;
	}
}

/* o[0] the old value, o[1] the address, o[2] and o[3] the operands (o[3] equal to o[2] when there is none).
 */
#define ATOM(name, type, apply)                                                                              \
	static const struct gd_vm_insn *op_##name(struct gd_vm *vm, const struct gd_vm_insn *in)             \
	{                                                                                                    \
		type *to = gd_vm_at(vm, in->o[0]);                                                           \
		const type *b = gd_vm_at(vm, in->o[2]), *c = gd_vm_at(vm, in->o[3]);                         \
		const uint64_t *wide = gd_vm_at(vm, in->o[1]);                                               \
		const uint32_t *narrow = gd_vm_at(vm, in->o[1]), operation = in->aux2 >> GD_ATOM_SHIFT;      \
		const struct gd_vm_span *span = vm->sites[in->aux];                                          \
		vm->fuel -= GD_SPIN_FUEL;                                                                    \
		for (gd_vm_each(lane, left, vm->mask)) {                                                     \
			uint64_t address =                                                                   \
			    (in->aux2 & GD_ACCESS_WIDE ? wide[lane] : narrow[lane]) + in->imm;               \
			if (!span || address - span->base > span->size - sizeof(type) ||                     \
			    address % sizeof(type))                                                          \
				span = gd_vm_span_find(vm, in, lane, address, sizeof(type),                  \
						       GD_SPAN_READ | GD_SPAN_WRITE | GD_SPAN_ATOMIC);       \
			if (!span)                                                                           \
				return NULL;                                                                 \
			type *at =                                                                           \
			    (type *)(void *)(span->host + (address - span->base) + lane * span->stride);     \
			type old;                                                                            \
			if (span->flags & GD_SPAN_ATOMIC) {                                                  \
				old = __atomic_load_n(at, __ATOMIC_RELAXED);                                 \
				while (!__atomic_compare_exchange_n(                                         \
				    at, &old, apply(operation, old, b[lane], c[lane]), false,                \
				    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))                                     \
					;                                                                    \
			} else {                                                                             \
				old = *at;                                                                   \
				*at = apply(operation, old, b[lane], c[lane]);                               \
			}                                                                                    \
			to[lane] = old;                                                                      \
		}                                                                                            \
		vm->sites[in->aux] = span;                                                                   \
		return in + 1;                                                                               \
	}

ATOM(atom_16, uint16_t, apply_16)
ATOM(atom_32, uint32_t, apply_32)
ATOM(atom_64, uint64_t, apply_64)

void gd_vm_atom_ops(gd_vm_fn *table)
{
	table[GD_OP_atom_16] = op_atom_16;
	table[GD_OP_atom_32] = op_atom_32;
	table[GD_OP_atom_64] = op_atom_64;
}
