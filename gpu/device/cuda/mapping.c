#include "gpu/device/cuda/mapping.h"

#include <string.h>

/* FNV-1a (Fowler, Noll, Vo), eight bytes at a time with a final shift, since only equality matters here. */
static uint64_t mix(uint64_t digest, uint64_t word)
{
	digest = (digest ^ word) * 1099511628211ull;
	return digest ^ (digest >> 29);
}

uint64_t gd_cuda_shape_of(const struct gd_launch *launch, const uint8_t *params)
{
	uint64_t digest = 14695981039346656037ull;
	for (int i = 0; i < 3; i++)
		digest = mix(digest, (uint64_t)launch->grid[i] << 32 | launch->block[i]);
	digest = mix(digest, (uint64_t)launch->shared_bytes << 32 | launch->iterations);
	for (uint32_t i = 0; i < launch->buffer_count; i++)
		digest = mix(digest, launch->buffers[i].bytes);
	for (uint32_t at = 0; at < launch->param_bytes; at += 8) {
		uint64_t word = 0;
		uint32_t left = launch->param_bytes - at;
		memcpy(&word, params + at, left < 8 ? left : 8);
		digest = mix(digest, word);
	}
	return digest ? digest : 1;
}

bool gd_cuda_mapping_allows(struct gd_cuda_mapping *mapping, uint64_t shape)
{
	return atomic_load_explicit(&mapping->fast[shape % GD_CUDA_SHAPES], memory_order_relaxed) == shape &&
	       atomic_load_explicit(&mapping->strikes, memory_order_relaxed) < GD_CUDA_MAPPED_STRIKES_MAX;
}

void gd_cuda_mapping_learn(struct gd_cuda_mapping *mapping, uint64_t shape, bool was_mapped,
			   uint64_t kernel_ns)
{
	if (!was_mapped) {
		if (kernel_ns <= GD_CUDA_TRIAL_NS_MAX)
			atomic_store_explicit(&mapping->fast[shape % GD_CUDA_SHAPES], shape,
					      memory_order_relaxed);
		return;
	}
	uint64_t strikes = kernel_ns / GD_CUDA_MAPPED_NS_MAX;
	uint32_t before = atomic_load_explicit(&mapping->strikes, memory_order_relaxed);
	if (strikes > GD_CUDA_MAPPED_STRIKES_MAX / 2)
		strikes = GD_CUDA_MAPPED_STRIKES_MAX / 2;
	/* it cannot wrap, since no launch is mapped beyond the limit */
	if (strikes)
		atomic_fetch_add_explicit(&mapping->strikes, (uint32_t)strikes, memory_order_relaxed);
	else if (before && before < GD_CUDA_MAPPED_STRIKES_MAX &&
		 atomic_fetch_add_explicit(&mapping->fast_ones, 1, memory_order_relaxed) %
			 GD_CUDA_MAPPED_FORGIVING ==
		     GD_CUDA_MAPPED_FORGIVING - 1)
		atomic_compare_exchange_strong(&mapping->strikes, &before, before - 1);
}
