/*
 * The loops over 32 lanes around what one lane computes, and the names that exec/ gives its functions in each
 * of the instruction sets it is compiled for (GD_EXEC_VARIANT, set by the build).
 */
#ifndef GD_REFERENCE_EXEC_LOOPS_H
#define GD_REFERENCE_EXEC_LOOPS_H

#include "gpu/device/reference/exec/lane.h"
#include "gpu/device/reference/ops.h"

/* Lanes are independent, whatever the aliasing of destination and sources (they are equal or apart). */
#ifdef __clang__
#define LANES_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define LANES_INDEPENDENT _Pragma("GCC ivdep")
#endif

/*
 * One handler per list row. Running all 32 lanes is the common case; with fewer, all are computed and the
 * others keep what they had (no operation here traps).
 */
#define LANES_STORE(type, loads, expression)                                                                 \
	if (vm->mask == GD_FULL) {                                                                           \
		LANES_INDEPENDENT                                                                            \
		for (uint32_t i = 0; i < GD_LANES; i++) {                                                    \
			loads;                                                                               \
			to[i] = (type)(expression);                                                          \
		}                                                                                            \
	} else {                                                                                             \
		LANES_INDEPENDENT                                                                            \
		for (uint32_t i = 0; i < GD_LANES; i++) {                                                    \
			loads;                                                                               \
			type value = (type)(expression);                                                     \
			to[i] = vm->lanes[i] ? value : to[i];                                                \
		}                                                                                            \
	}                                                                                                    \
	return in + 1

#define LANES_UNARY(name, type, type_a, expression)                                                          \
	static const struct gd_vm_insn *op_##name(struct gd_vm *vm, const struct gd_vm_insn *in)             \
	{                                                                                                    \
		type *to = gd_vm_at(vm, in->o[0]);                                                           \
		const type_a *from_a = gd_vm_at(vm, in->o[1]);                                               \
		LANES_STORE(type, const type_a a = from_a[i], expression);                                   \
	}

#define LANES_BINARY(name, type, type_a, type_b, expression)                                                 \
	static const struct gd_vm_insn *op_##name(struct gd_vm *vm, const struct gd_vm_insn *in)             \
	{                                                                                                    \
		type *to = gd_vm_at(vm, in->o[0]);                                                           \
		const type_a *from_a = gd_vm_at(vm, in->o[1]);                                               \
		const type_b *from_b = gd_vm_at(vm, in->o[2]);                                               \
		LANES_STORE(type, const type_a a = from_a[i]; const type_b b = from_b[i], expression);       \
	}

#define LANES_TERNARY(name, type, type_a, type_b, type_c, expression)                                        \
	static const struct gd_vm_insn *op_##name(struct gd_vm *vm, const struct gd_vm_insn *in)             \
	{                                                                                                    \
		type *to = gd_vm_at(vm, in->o[0]);                                                           \
		const type_a *from_a = gd_vm_at(vm, in->o[1]);                                               \
		const type_b *from_b = gd_vm_at(vm, in->o[2]);                                               \
		const type_c *from_c = gd_vm_at(vm, in->o[3]);                                               \
		LANES_STORE(type, const type_a a = from_a[i]; const type_b b = from_b[i];                    \
			    const type_c c = from_c[i], expression);                                         \
	}

#define LANES_FILL(name, ...) table[GD_OP_##name] = op_##name;

/* Functions of exec/ that others call carry the variant's name: gd_exec_int_v3. */
#define GD_EXEC_JOIN(name, variant) name##_##variant
#define GD_EXEC_NAME(name, variant) GD_EXEC_JOIN(name, variant)
#define GD_EXEC(name)               GD_EXEC_NAME(name, GD_EXEC_VARIANT)

void GD_EXEC(gd_exec_int)(gd_vm_fn *table);
void GD_EXEC(gd_exec_float)(gd_vm_fn *table);
void GD_EXEC(gd_exec_compare)(gd_vm_fn *table);
void GD_EXEC(gd_exec_select)(gd_vm_fn *table);
void GD_EXEC(gd_exec_memory)(gd_vm_fn *table);
void GD_EXEC(gd_exec_all)(gd_vm_fn *table);

#endif
