/*
 * Arithmetic and conversions with a rounding direction other than to nearest, by the processor's rounding
 * mode. The operands are read from memory after the mode is set and the results written before it is set
 * back, so the compiler cannot move the arithmetic out of between the two calls.
 */
#include "gpu/device/reference/exec/lane.h"
#include "gpu/device/reference/ops.h"
#include "gpu/device/reference/sync.h"

#include <fenv.h>

static const int modes[] = {
    [GD_ROUND_RN] = FE_TONEAREST,
    [GD_ROUND_RZ] = FE_TOWARDZERO,
    [GD_ROUND_RM] = FE_DOWNWARD,
    [GD_ROUND_RP] = FE_UPWARD,
};

static __attribute__((noinline)) void compute_f32(uint32_t operation, float *to, const float *a,
						  const float *b, const float *c)
{
	for (uint32_t i = 0; i < GD_LANES; i++) {
		volatile float x = a[i], y = b[i], z = c[i], result;
		switch (operation) {
		case GD_ROUND_ADD:
			result = x + y;
			break;
		case GD_ROUND_MUL:
			result = x * y;
			break;
		case GD_ROUND_FMA:
			result = fmaf(x, y, z);
			break;
		case GD_ROUND_DIV:
			result = x / y;
			break;
		case GD_ROUND_SQRT:
			result = sqrtf(x);
			break;
		default:
			result = 1.0f / x;
			break;
		}
		to[i] = result;
	}
}

static __attribute__((noinline)) void compute_f64(uint32_t operation, double *to, const double *a,
						  const double *b, const double *c)
{
	for (uint32_t i = 0; i < GD_LANES; i++) {
		volatile double x = a[i], y = b[i], z = c[i], result;
		switch (operation) {
		case GD_ROUND_ADD:
			result = x + y;
			break;
		case GD_ROUND_MUL:
			result = x * y;
			break;
		case GD_ROUND_FMA:
			result = fma(x, y, z);
			break;
		case GD_ROUND_DIV:
			result = x / y;
			break;
		case GD_ROUND_SQRT:
			result = sqrt(x);
			break;
		default:
			result = 1.0 / x;
			break;
		}
		to[i] = result;
	}
}

static __attribute__((noinline)) void convert(uint32_t kind, void *to, const void *from)
{
	for (uint32_t i = 0; i < GD_LANES; i++) {
		volatile double from_f64 = ((const double *)from)[i];
		volatile int64_t from_s64 = ((const int64_t *)from)[i];
		volatile uint64_t from_u64 = ((const uint64_t *)from)[i];
		switch (kind) {
		case GD_ROUND_F32_F64:
			((float *)to)[i] = (float)from_f64;
			break;
		case GD_ROUND_F32_S64:
			((float *)to)[i] = (float)from_s64;
			break;
		case GD_ROUND_F32_U64:
			((float *)to)[i] = (float)from_u64;
			break;
		case GD_ROUND_F64_S64:
			((double *)to)[i] = (double)from_s64;
			break;
		default:
			((double *)to)[i] = (double)from_u64;
			break;
		}
	}
}

/* o[0] result, o[1] to o[3] operands (repeated where there are fewer), aux the operation, aux2 the rounding.
 */
static const struct gd_vm_insn *op_round_f32(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	float results[GD_LANES], *to = gd_vm_at(vm, in->o[0]);
	fesetround(modes[in->aux2]);
	compute_f32(in->aux, results, gd_vm_at(vm, in->o[1]), gd_vm_at(vm, in->o[2]), gd_vm_at(vm, in->o[3]));
	fesetround(FE_TONEAREST);
	for (gd_vm_each(lane, left, vm->mask))
		to[lane] = lane_nan32(results[lane]);
	return in + 1;
}

static const struct gd_vm_insn *op_round_f64(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	double results[GD_LANES], *to = gd_vm_at(vm, in->o[0]);
	fesetround(modes[in->aux2]);
	compute_f64(in->aux, results, gd_vm_at(vm, in->o[1]), gd_vm_at(vm, in->o[2]), gd_vm_at(vm, in->o[3]));
	fesetround(FE_TONEAREST);
	for (gd_vm_each(lane, left, vm->mask))
		to[lane] = results[lane];
	return in + 1;
}

/* o[0] result, o[1] source of 64 bits, aux what from what, aux2 the rounding. */
static const struct gd_vm_insn *op_round_cvt(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	double results[GD_LANES];
	fesetround(modes[in->aux2]);
	convert(in->aux, results, gd_vm_at(vm, in->o[1]));
	fesetround(FE_TONEAREST);
	if (in->aux <= GD_ROUND_F32_U64) {
		float *to = gd_vm_at(vm, in->o[0]);
		for (gd_vm_each(lane, left, vm->mask))
			to[lane] = lane_nan32(((const float *)(const void *)results)[lane]);
	} else {
		double *to = gd_vm_at(vm, in->o[0]);
		for (gd_vm_each(lane, left, vm->mask))
			to[lane] = results[lane];
	}
	return in + 1;
}

void gd_vm_round_ops(gd_vm_fn *table)
{
	table[GD_OP_round_f32] = op_round_f32;
	table[GD_OP_round_f64] = op_round_f64;
	table[GD_OP_round_cvt] = op_round_cvt;
}
