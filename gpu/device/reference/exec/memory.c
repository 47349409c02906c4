#include "gpu/device/reference/exec/loops.h"

#include "gpu/device/reference/access.h"

/* Where each lane's access goes. Inactive lanes of a load point where the first active one does. */
struct places {
	uint8_t *at[GD_LANES];
	bool is_linear; /* all lanes run and lie one behind the other; only at[0] is set then */
};

/* Collect the lanes' generic addresses. */
static inline void addresses_of(const struct gd_vm *vm, const struct gd_vm_insn *in, uint64_t *addresses)
{
	if (in->aux2 & GD_ACCESS_WIDE) {
		const uint64_t *from = gd_vm_at(vm, in->o[0]);
		LANES_INDEPENDENT
		for (uint32_t i = 0; i < GD_LANES; i++)
			addresses[i] = from[i] + in->imm;
	} else {
		const uint32_t *from = gd_vm_at(vm, in->o[0]);
		LANES_INDEPENDENT
		for (uint32_t i = 0; i < GD_LANES; i++)
			addresses[i] = from[i] + in->imm;
	}
}

/* Lane by lane, when the lanes are not all in the span that this site hit last. */
static __attribute__((noinline)) bool resolve_slowly(struct gd_vm *vm, const struct gd_vm_insn *in,
						     const uint64_t *addresses, uint32_t size, uint32_t flags,
						     struct places *places)
{
	const struct gd_vm_span *span = NULL;
	for (gd_vm_each(lane, left, vm->mask)) {
		uint64_t address = addresses[lane];
		if (!span || address - span->base > span->size - size || span->size < size ||
		    (address & (size - 1)))
			span = gd_vm_span_find(vm, in, lane, address, size, flags);
		if (!span)
			return false;
		places->at[lane] = span->host + (address - span->base) + lane * span->stride;
	}
	vm->sites[in->aux] = span;
	uint8_t *first = places->at[gd_vm_first(vm->mask)];
	for (uint32_t i = 0; i < GD_LANES; i++)
		places->at[i] = vm->lanes[i] ? places->at[i] : first;
	places->is_linear = false;
	return true;
}

/* Check all lanes' accesses of `size` bytes (a power of two) and find their memory. False after a fault. */
static inline bool resolve(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t size, uint32_t flags,
			   struct places *places)
{
	_Alignas(64) uint64_t addresses[GD_LANES];
	addresses_of(vm, in, addresses);
	if (vm->mask != GD_FULL) {
		uint64_t first = addresses[gd_vm_first(vm->mask)];
		LANES_INDEPENDENT
		for (uint32_t i = 0; i < GD_LANES; i++)
			addresses[i] = vm->lanes[i] ? addresses[i] : first;
	}
	const struct gd_vm_span *span = vm->sites[in->aux];
	if (__builtin_expect(!span, 0))
		return resolve_slowly(vm, in, addresses, size, flags, places);
	/* A span is never smaller than the access that cached it, and its flags were checked then. */
	uint64_t base = span->base, limit = span->size - size, bad = 0, crooked = 0, spread = 0;
	uint64_t first = addresses[0];
	for (uint32_t i = 0; i < GD_LANES; i++) {
		uint64_t offset = addresses[i] - base;
		bad |= (uint64_t)(offset > limit);
		crooked |= addresses[i] - first - i * (uint64_t)size;
		spread |= addresses[i];
	}
	if (__builtin_expect(bad || (spread & (size - 1)), 0))
		return resolve_slowly(vm, in, addresses, size, flags, places);
	uint8_t *host = span->host;
	uint64_t stride = span->stride;
	places->is_linear = !crooked && !stride && vm->mask == GD_FULL;
	if (places->is_linear) {
		places->at[0] = host + (first - base);
		return true;
	}
	LANES_INDEPENDENT
	for (uint32_t i = 0; i < GD_LANES; i++)
		places->at[i] = host + (addresses[i] - base) + i * stride;
	return true;
}

/* o[0] the address; o[1] to o[4] the results; the low byte of aux2 counts them. */
#define LOAD(name, memory, type)                                                                             \
	static const struct gd_vm_insn *op_##name(struct gd_vm *vm, const struct gd_vm_insn *in)             \
	{                                                                                                    \
		struct places places;                                                                        \
		const uint32_t count = in->aux2 & GD_ACCESS_COUNT;                                           \
		if (!resolve(vm, in, count * (uint32_t)sizeof(memory), GD_SPAN_READ, &places))               \
			return NULL;                                                                         \
		for (uint32_t part = 0; part < count; part++) {                                              \
			type *to = gd_vm_at(vm, in->o[1 + part]);                                            \
			_Alignas(64) memory got[GD_LANES];                                                   \
			if (places.is_linear && count == 1) {                                                \
				memcpy(got, places.at[0], sizeof(got));                                      \
			} else if (places.is_linear) {                                                       \
				for (uint32_t i = 0; i < GD_LANES; i++)                                      \
					memcpy(&got[i], places.at[0] + (i * count + part) * sizeof(memory),  \
					       sizeof(memory));                                              \
			} else {                                                                             \
				for (uint32_t i = 0; i < GD_LANES; i++)                                      \
					memcpy(&got[i], places.at[i] + part * sizeof(memory),                \
					       sizeof(memory));                                              \
			}                                                                                    \
			LANES_INDEPENDENT                                                                    \
			for (uint32_t i = 0; i < GD_LANES; i++)                                              \
				to[i] = vm->lanes[i] ? (type)got[i] : to[i];                                 \
		}                                                                                            \
		return in + 1;                                                                               \
	}

GD_OPS_LOAD(LOAD)

/* o[0] the address; o[1] to o[4] the values. Lanes store in order: the highest of several at one place wins.
 */
#define STORE(name, memory, type)                                                                            \
	static const struct gd_vm_insn *op_##name(struct gd_vm *vm, const struct gd_vm_insn *in)             \
	{                                                                                                    \
		struct places places;                                                                        \
		const uint32_t count = in->aux2 & GD_ACCESS_COUNT;                                           \
		if (!resolve(vm, in, count * (uint32_t)sizeof(memory), GD_SPAN_WRITE, &places))              \
			return NULL;                                                                         \
		for (uint32_t part = 0; part < count; part++) {                                              \
			const type *from = gd_vm_at(vm, in->o[1 + part]);                                    \
			_Alignas(64) memory put[GD_LANES];                                                   \
			LANES_INDEPENDENT                                                                    \
			for (uint32_t i = 0; i < GD_LANES; i++)                                              \
				put[i] = (memory)from[i];                                                    \
			if (places.is_linear && count == 1) {                                                \
				memcpy(places.at[0], put, sizeof(put));                                      \
			} else if (places.is_linear) {                                                       \
				for (uint32_t i = 0; i < GD_LANES; i++)                                      \
					memcpy(places.at[0] + (i * count + part) * sizeof(memory), &put[i],  \
					       sizeof(memory));                                              \
			} else {                                                                             \
				for (gd_vm_each(lane, left, vm->mask))                                       \
					memcpy(places.at[lane] + part * sizeof(memory), &put[lane],          \
					       sizeof(memory));                                              \
			}                                                                                    \
		}                                                                                            \
		return in + 1;                                                                               \
	}

GD_OPS_STORE(STORE)

void GD_EXEC(gd_exec_memory)(gd_vm_fn *table)
{
	GD_OPS_LOAD(LANES_FILL)
	GD_OPS_STORE(LANES_FILL)
}
