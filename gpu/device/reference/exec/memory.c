#include "gpu/device/reference/exec/loops.h"

#include "gpu/device/reference/access.h"

/* Blocks of a kernel may race for its memory: that is the kernel's affair, and no fault of this program's. */
#define KERNEL_ACCESS __attribute__((no_sanitize("thread")))

/* How the lanes' accesses lie. Inactive lanes of a load go where the first active one goes. */
enum pattern {
	FAULTED,
	LINEAR, /* all lanes run and lie one behind the other, from at[0] on */
	SAME,   /* all at at[0] */
	SCATTERED
};

struct places {
	uint8_t *at[GD_LANES];
};

/* Collect the lanes' generic addresses. */
static inline KERNEL_ACCESS void addresses_of(const struct gd_vm *vm, const struct gd_vm_insn *in,
					      uint64_t *addresses)
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
static __attribute__((noinline)) enum pattern resolve_slowly(struct gd_vm *vm, const struct gd_vm_insn *in,
							     const uint64_t *addresses, uint32_t size,
							     uint32_t flags, struct places *places)
{
	const struct gd_vm_span *span = NULL;
	for (gd_vm_each(lane, left, vm->mask)) {
		uint64_t address = addresses[lane];
		if (!span || address - span->base > span->size - size || span->size < size ||
		    (address & (size - 1)))
			span = gd_vm_span_find(vm, in, lane, address, size, flags);
		if (!span)
			return FAULTED;
		places->at[lane] = span->host + (address - span->base) + lane * span->stride;
	}
	vm->sites[in->aux] = span;
	uint8_t *first = places->at[gd_vm_first(vm->mask)];
	for (uint32_t i = 0; i < GD_LANES; i++)
		places->at[i] = vm->lanes[i] ? places->at[i] : first;
	return SCATTERED;
}

/* Check all lanes' accesses of `size` bytes (a power of two) and find their memory. */
static inline KERNEL_ACCESS enum pattern resolve(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t size,
						 uint32_t flags, struct places *places)
{
	_Alignas(64) uint64_t addresses[GD_LANES];
	addresses_of(vm, in, addresses);
	uint64_t first = addresses[0];
	if (vm->mask != GD_FULL) {
		first = addresses[gd_vm_first(vm->mask)];
		LANES_INDEPENDENT
		for (uint32_t i = 0; i < GD_LANES; i++)
			addresses[i] = vm->lanes[i] ? addresses[i] : first;
	}
	const struct gd_vm_span *span = vm->sites[in->aux];
	if (__builtin_expect(!span, 0))
		return resolve_slowly(vm, in, addresses, size, flags, places);
	/* A span is never smaller than the access that cached it, and its flags were checked then. */
	uint64_t base = span->base, limit = span->size - size, crooked = 0, apart = 0;
	for (uint32_t i = 0; i < GD_LANES; i++) {
		crooked |= addresses[i] - i * (uint64_t)size - first;
		apart |= addresses[i] ^ first;
	}
	if (!crooked || !apart) {
		/* The ends speak for all. A linear access cannot wrap: both ends lie in the span. */
		uint64_t start = first - base,
			 end = crooked ? start : start + (GD_LANES - 1) * (uint64_t)size;
		if (__builtin_expect(start > limit || end > limit || (first & (size - 1)), 0))
			return resolve_slowly(vm, in, addresses, size, flags, places);
		if (!span->stride) {
			places->at[0] = span->host + start;
			return crooked ? SAME : LINEAR;
		}
	}
	uint64_t bad = 0, low = 0, stride = span->stride;
	uint8_t *host = span->host;
	for (uint32_t i = 0; i < GD_LANES; i++) {
		bad |= (uint64_t)(addresses[i] - base > limit);
		low |= addresses[i];
	}
	if (__builtin_expect(bad || (low & (size - 1)), 0))
		return resolve_slowly(vm, in, addresses, size, flags, places);
	LANES_INDEPENDENT
	for (uint32_t i = 0; i < GD_LANES; i++)
		places->at[i] = host + (addresses[i] - base) + i * stride;
	return SCATTERED;
}

static inline KERNEL_ACCESS uint64_t fetch(const uint8_t *at, size_t bytes)
{
	uint64_t value = 0;
	memcpy(&value, at, bytes);
	return value;
}

/* o[0] the address; o[1] to o[4] the results; the low bits of aux2 count them. */
#define LOAD(name, memory, type)                                                                             \
	static KERNEL_ACCESS const struct gd_vm_insn *op_##name(struct gd_vm *vm,                            \
								const struct gd_vm_insn *in)                 \
	{                                                                                                    \
		struct places places;                                                                        \
		const uint32_t count = in->aux2 & GD_ACCESS_COUNT;                                           \
		enum pattern pattern =                                                                       \
		    resolve(vm, in, count * (uint32_t)sizeof(memory), GD_SPAN_READ, &places);                \
		if (pattern == FAULTED)                                                                      \
			return NULL;                                                                         \
		for (uint32_t part = 0; part < count; part++) {                                              \
			type *to = gd_vm_at(vm, in->o[1 + part]);                                            \
			const uint8_t *from = places.at[0] + part * sizeof(memory);                          \
			_Alignas(64) memory got[GD_LANES];                                                   \
			if (pattern == LINEAR && count == 1) {                                               \
				LANES_INDEPENDENT                                                            \
				for (uint32_t i = 0; i < GD_LANES; i++)                                      \
					to[i] =                                                              \
					    (type)(memory)fetch(from + i * sizeof(memory), sizeof(memory));  \
				continue;                                                                    \
			}                                                                                    \
			if (pattern == SAME) {                                                               \
				const type all = (type)(memory)fetch(from, sizeof(memory));                  \
				LANES_INDEPENDENT                                                            \
				for (uint32_t i = 0; i < GD_LANES; i++)                                      \
					to[i] = vm->lanes[i] ? all : to[i];                                  \
				continue;                                                                    \
			}                                                                                    \
			for (uint32_t i = 0; i < GD_LANES; i++) {                                            \
				const uint8_t *at = pattern == LINEAR                                        \
							? from + i * count * sizeof(memory)                  \
							: places.at[i] + part * sizeof(memory);              \
				got[i] = (memory)fetch(at, sizeof(memory));                                  \
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
	static KERNEL_ACCESS const struct gd_vm_insn *op_##name(struct gd_vm *vm,                            \
								const struct gd_vm_insn *in)                 \
	{                                                                                                    \
		struct places places;                                                                        \
		const uint32_t count = in->aux2 & GD_ACCESS_COUNT;                                           \
		enum pattern pattern =                                                                       \
		    resolve(vm, in, count * (uint32_t)sizeof(memory), GD_SPAN_WRITE, &places);               \
		if (pattern == FAULTED)                                                                      \
			return NULL;                                                                         \
		for (uint32_t part = 0; part < count; part++) {                                              \
			const type *from = gd_vm_at(vm, in->o[1 + part]);                                    \
			_Alignas(64) memory put[GD_LANES];                                                   \
			LANES_INDEPENDENT                                                                    \
			for (uint32_t i = 0; i < GD_LANES; i++)                                              \
				put[i] = (memory)from[i];                                                    \
			if (pattern == LINEAR && count == 1) {                                               \
				memcpy(places.at[0], put, sizeof(put));                                      \
			} else if (pattern == LINEAR) {                                                      \
				uint8_t *to = places.at[0] + part * sizeof(memory);                          \
				for (uint32_t i = 0; i < GD_LANES; i++)                                      \
					memcpy(to + i * count * sizeof(memory), &put[i], sizeof(memory));    \
			} else if (pattern == SAME) {                                                        \
				uint32_t last = 31 - (uint32_t)__builtin_clz(vm->mask);                      \
				memcpy(places.at[0] + part * sizeof(memory), &put[last], sizeof(memory));    \
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
