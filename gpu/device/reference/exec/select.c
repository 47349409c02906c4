#include "gpu/device/reference/exec/loops.h"
#include "gpu/device/reference/special.h"

static const uint32_t lane_bit[GD_LANES] = {
    1u << 0,  1u << 1,  1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
    1u << 8,  1u << 9,  1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15,
    1u << 16, 1u << 17, 1u << 18, 1u << 19, 1u << 20, 1u << 21, 1u << 22, 1u << 23,
    1u << 24, 1u << 25, 1u << 26, 1u << 27, 1u << 28, 1u << 29, 1u << 30, 1u << 31,
};

/* selp: o[3] is the predicate. */
#define SELECT(name, type)                                                                                   \
	static const struct gd_vm_insn *op_##name(struct gd_vm *vm, const struct gd_vm_insn *in)             \
	{                                                                                                    \
		type *to = gd_vm_at(vm, in->o[0]);                                                           \
		const type *from_a = gd_vm_at(vm, in->o[1]), *from_b = gd_vm_at(vm, in->o[2]);               \
		const uint32_t p = *(const uint32_t *)gd_vm_at(vm, in->o[3]);                                \
		LANES_STORE(type, const type a = from_a[i];                                                  \
			    const type b = from_b[i], (p & lane_bit[i]) ? a : b);                            \
	}

SELECT(selp_16, uint16_t)
SELECT(selp_32, uint32_t)
SELECT(selp_64, uint64_t)

/* Two results: o[0] the low half and o[1] the high half of o[2]. */
#define UNPACK(name, type, wide, bits)                                                                       \
	static const struct gd_vm_insn *op_##name(struct gd_vm *vm, const struct gd_vm_insn *in)             \
	{                                                                                                    \
		type *low = gd_vm_at(vm, in->o[0]), *high = gd_vm_at(vm, in->o[1]);                          \
		const wide *from = gd_vm_at(vm, in->o[2]);                                                   \
		LANES_INDEPENDENT                                                                            \
		for (uint32_t i = 0; i < GD_LANES; i++) {                                                    \
			low[i] = (type)(vm->lanes[i] ? from[i] : low[i]);                                    \
			high[i] = (type)(vm->lanes[i] ? from[i] >> (bits) : high[i]);                        \
		}                                                                                            \
		return in + 1;                                                                               \
	}

UNPACK(unpack_16, uint16_t, uint32_t, 16)
UNPACK(unpack_32, uint32_t, uint64_t, 32)

/* o[0] to o[3] from o[4], and back. */
static const struct gd_vm_insn *op_unpack4_16(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	const uint64_t *from = gd_vm_at(vm, in->o[4]);
	for (uint32_t part = 0; part < 4; part++) {
		uint16_t *to = gd_vm_at(vm, in->o[part]);
		for (uint32_t i = 0; i < GD_LANES; i++)
			to[i] = (uint16_t)(vm->lanes[i] ? from[i] >> (16 * part) : to[i]);
	}
	return in + 1;
}

static const struct gd_vm_insn *op_pack4_16(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint64_t *to = gd_vm_at(vm, in->o[0]);
	const uint16_t *a = gd_vm_at(vm, in->o[1]), *b = gd_vm_at(vm, in->o[2]);
	const uint16_t *c = gd_vm_at(vm, in->o[3]), *d = gd_vm_at(vm, in->o[4]);
	for (uint32_t i = 0; i < GD_LANES; i++) {
		uint64_t value =
		    (uint64_t)a[i] | (uint64_t)b[i] << 16 | (uint64_t)c[i] << 32 | (uint64_t)d[i] << 48;
		to[i] = vm->lanes[i] ? value : to[i];
	}
	return in + 1;
}

/* lop3: each bit of the table's row for (a, b, c); aux is the table. */
static inline uint32_t lop3(uint32_t a, uint32_t b, uint32_t c, uint32_t table)
{
	uint32_t result = 0;
	for (uint32_t row = 0; row < 8; row++) {
		uint32_t minterm = (row & 4 ? a : ~a) & (row & 2 ? b : ~b) & (row & 1 ? c : ~c);
		result |= minterm & (0u - (table >> row & 1));
	}
	return result;
}

static const struct gd_vm_insn *op_lop3_32(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t *to = gd_vm_at(vm, in->o[0]);
	const uint32_t *from_a = gd_vm_at(vm, in->o[1]), *from_b = gd_vm_at(vm, in->o[2]);
	const uint32_t *from_c = gd_vm_at(vm, in->o[3]), table = in->aux;
	LANES_STORE(uint32_t, const uint32_t a = from_a[i]; const uint32_t b = from_b[i];
		    const uint32_t c = from_c[i], lop3(a, b, c, table));
}

#define INSERT_FIELD(name, type, bits)                                                                       \
	static const struct gd_vm_insn *op_##name(struct gd_vm *vm, const struct gd_vm_insn *in)             \
	{                                                                                                    \
		type *to = gd_vm_at(vm, in->o[0]);                                                           \
		const type *a = gd_vm_at(vm, in->o[1]), *b = gd_vm_at(vm, in->o[2]);                         \
		const uint32_t *c = gd_vm_at(vm, in->o[3]), *d = gd_vm_at(vm, in->o[4]);                     \
		LANES_STORE(type, (void)0, lane_bfi(a[i], b[i], c[i], d[i], bits));                          \
	}

INSERT_FIELD(bfi_32, uint32_t, 32)
INSERT_FIELD(bfi_64, uint64_t, 64)

/*
 * Extended precision: o[0] result, o[1] carry out, o[2] a, o[3] b, o[4] carry in (aux: there is one). The
 * carry of a subtraction is a borrow.
 */
#define CARRY(name, type, operation)                                                                         \
	static const struct gd_vm_insn *op_##name(struct gd_vm *vm, const struct gd_vm_insn *in)             \
	{                                                                                                    \
		type *to = gd_vm_at(vm, in->o[0]);                                                           \
		uint32_t *carry = gd_vm_at(vm, in->o[1]), out = 0;                                           \
		const type *a = gd_vm_at(vm, in->o[2]), *b = gd_vm_at(vm, in->o[3]);                         \
		const uint32_t into = in->aux ? *(const uint32_t *)gd_vm_at(vm, in->o[4]) : 0;               \
		for (uint32_t i = 0; i < GD_LANES; i++) {                                                    \
			type part, whole;                                                                    \
			bool first = operation(a[i], b[i], &part);                                           \
			bool second = operation(part, (type)(into >> i & 1), &whole);                        \
			out |= (uint32_t)(first | second) << i;                                              \
			to[i] = vm->lanes[i] ? whole : to[i];                                                \
		}                                                                                            \
		*carry = (*carry & ~vm->mask) | (out & vm->mask);                                            \
		return in + 1;                                                                               \
	}

CARRY(add_cc_32, uint32_t, __builtin_add_overflow)
CARRY(add_cc_64, uint64_t, __builtin_add_overflow)
CARRY(sub_cc_32, uint32_t, __builtin_sub_overflow)
CARRY(sub_cc_64, uint64_t, __builtin_sub_overflow)

/* A part of a parameter word: o[0] (16 bits) from o[1] at bit aux; aux2: 1 a byte, 2 two bytes, +4 signed. */
static const struct gd_vm_insn *op_extract(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint16_t *to = gd_vm_at(vm, in->o[0]);
	const uint32_t *from = gd_vm_at(vm, in->o[1]);
	const uint32_t shift = in->aux, mask = in->aux2 & 1 ? 0xff : 0xffff,
		       sign = in->aux2 & 4 ? (mask + 1) / 2 : 0;
	LANES_STORE(uint16_t, const uint32_t a = from[i] >> shift & mask, (a ^ sign) - sign);
}

/* o[0] (a word, also read) gets o[1] (16 bits) at bit aux; aux2 as above. */
static const struct gd_vm_insn *op_insert(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t *to = gd_vm_at(vm, in->o[0]);
	const uint16_t *from = gd_vm_at(vm, in->o[1]);
	const uint32_t shift = in->aux, mask = in->aux2 & 1 ? 0xff : 0xffff;
	LANES_STORE(uint32_t, const uint32_t a = from[i] & mask, (to[i] & ~(mask << shift)) | a << shift);
}

/* A kernel parameter, the same for all lanes: imm its offset, aux its bytes, aux2 signed. */
static inline uint64_t parameter(const struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint64_t value = 0;
	memcpy(&value, vm->launch->params + in->imm, in->aux);
	if (in->aux2) {
		uint32_t shift = 64 - 8 * in->aux;
		value = (uint64_t)((int64_t)(value << shift) >> shift);
	}
	return value;
}

#define UNIFORM(name, type)                                                                                  \
	static const struct gd_vm_insn *op_##name(struct gd_vm *vm, const struct gd_vm_insn *in)             \
	{                                                                                                    \
		type *to = gd_vm_at(vm, in->o[0]);                                                           \
		const type value_all = (type)parameter(vm, in);                                              \
		LANES_STORE(type, (void)0, value_all);                                                       \
	}

UNIFORM(uniform_16, uint16_t)
UNIFORM(uniform_32, uint32_t)
UNIFORM(uniform_64, uint64_t)

/* A special register that differs from lane to lane: aux which. */
static const struct gd_vm_insn *op_special_lane(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t *to = gd_vm_at(vm, in->o[0]);
	const uint32_t which = in->aux;
	if (which < GD_SPECIAL_NTID) {
		const uint32_t *tid = vm->warp->tid[which];
		LANES_STORE(uint32_t, (void)0, tid[i]);
	}
	LANES_STORE(uint32_t, const uint32_t bit = lane_bit[i],
		    which == GD_SPECIAL_LANEID        ? i
		    : which == GD_SPECIAL_LANEMASK_EQ ? bit
		    : which == GD_SPECIAL_LANEMASK_LE ? bit | (bit - 1)
		    : which == GD_SPECIAL_LANEMASK_LT ? bit - 1
		    : which == GD_SPECIAL_LANEMASK_GE ? ~(bit - 1)
						      : ~(bit | (bit - 1)));
}

/* One that is the same for all. */
static const struct gd_vm_insn *op_special_32(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t *to = gd_vm_at(vm, in->o[0]);
	const uint32_t all = (uint32_t)gd_vm_special(vm, in->aux);
	LANES_STORE(uint32_t, (void)0, all);
}

void GD_EXEC(gd_exec_select)(gd_vm_fn *table)
{
	GD_OPS_EXEC(LANES_FILL)
}
