#include "gpu/device/reference/exec/loops.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* One bit per lane from 32 words that are 0 or -1. */
static inline uint32_t mask_of(const int32_t *words)
{
#ifdef __SSE2__
	uint32_t mask = 0;
	for (uint32_t half = 0; half < 2; half++) {
		const __m128i *from = (const __m128i *)(const void *)(words + 16 * half);
		__m128i low = _mm_packs_epi32(_mm_load_si128(from), _mm_load_si128(from + 1));
		__m128i high = _mm_packs_epi32(_mm_load_si128(from + 2), _mm_load_si128(from + 3));
		mask |= (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high)) << (16 * half);
	}
	return mask;
#else
	uint32_t mask = 0;
	for (uint32_t i = 0; i < GD_LANES; i++)
		mask |= (uint32_t)(words[i] & 1) << i;
	return mask;
#endif
}

/*
 * setp: o[0] the result, o[1] its complement (or a scratch register), o[2] and o[3] the sources, o[4] a
 * predicate to combine with. aux: 0 none, 1 and, 2 or, 3 xor; aux2: the predicate is negated.
 */
static inline const struct gd_vm_insn *set_predicates(struct gd_vm *vm, const struct gd_vm_insn *in,
						      uint32_t truth)
{
	uint32_t *p = gd_vm_at(vm, in->o[0]), mask = vm->mask, inverse = ~truth;
	if (in->aux) {
		uint32_t *q = gd_vm_at(vm, in->o[1]);
		uint32_t other = *(const uint32_t *)gd_vm_at(vm, in->o[4]) ^ (in->aux2 ? GD_FULL : 0);
		truth = in->aux == 1 ? truth & other : in->aux == 2 ? truth | other : truth ^ other;
		inverse = in->aux == 1 ? inverse & other : in->aux == 2 ? inverse | other : inverse ^ other;
		*q = (*q & ~mask) | (inverse & mask);
	} else {
		uint32_t *q = gd_vm_at(vm, in->o[1]);
		*q = (*q & ~mask) | (inverse & mask);
	}
	*p = (*p & ~mask) | (truth & mask);
	return in + 1;
}

#define LANES_COMPARE(name, type_a, type_b, expression)                                                      \
	static const struct gd_vm_insn *op_##name(struct gd_vm *vm, const struct gd_vm_insn *in)             \
	{                                                                                                    \
		const type_a *from_a = gd_vm_at(vm, in->o[2]);                                               \
		const type_b *from_b = gd_vm_at(vm, in->o[3]);                                               \
		_Alignas(64) int32_t words[GD_LANES];                                                        \
		LANES_INDEPENDENT                                                                            \
		for (uint32_t i = 0; i < GD_LANES; i++) {                                                    \
			const type_a a = from_a[i];                                                          \
			const type_b b = from_b[i];                                                          \
			words[i] = (expression) ? -1 : 0;                                                    \
		}                                                                                            \
		return set_predicates(vm, in, mask_of(words));                                               \
	}

GD_OPS_COMPARE(LANES_COMPARE)

void GD_EXEC(gd_exec_compare)(gd_vm_fn *table)
{
	GD_OPS_COMPARE(LANES_FILL)
}
