#include "gpu/device/reference/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (64u * 1024)
#define ALIGN       16u

struct gd_scratch_block {
	struct gd_scratch_block *next;
	size_t used, size;
	_Alignas(ALIGN) unsigned char bytes[];
};

void gd_scratch_init(struct gd_scratch *arena, size_t limit)
{
	*arena = (struct gd_scratch){.limit = limit};
}

void gd_scratch_done(struct gd_scratch *arena)
{
	while (arena->blocks) {
		struct gd_scratch_block *next = arena->blocks->next;
		free(arena->blocks);
		arena->blocks = next;
	}
	arena->used = 0;
}

static struct gd_scratch_block *block_new(struct gd_scratch *arena, size_t bytes)
{
	size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
	struct gd_scratch_block *block = NULL;
	if (size <= arena->limit - arena->used)
		block = calloc(1, sizeof(*block) + size);
	if (!block) {
		arena->failed = true;
		return NULL;
	}
	block->size = size;
	arena->used += size;
	/* A large block goes behind the current one, whose rest is still good for small things. */
	if (arena->blocks && bytes > BLOCK_BYTES / 4) {
		block->next = arena->blocks->next;
		arena->blocks->next = block;
	} else {
		block->next = arena->blocks;
		arena->blocks = block;
	}
	return block;
}

void *gd_scratch_take(struct gd_scratch *arena, size_t count, size_t size)
{
	size_t bytes;
	if (arena->failed || __builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - ALIGN) {
		arena->failed = true;
		return NULL;
	}
	bytes = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (!bytes)
		bytes = ALIGN;
	struct gd_scratch_block *block = arena->blocks;
	if (!block || bytes > block->size - block->used) {
		block = block_new(arena, bytes);
		if (!block)
			return NULL;
	}
	void *taken = block->bytes + block->used;
	block->used += bytes;
	return taken;
}

void *gd_scratch_grow(struct gd_scratch *arena, void *array, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return array;
	size_t larger = *capacity ? *capacity * 2 : 16;
	void *moved = gd_scratch_take(arena, larger, size);
	if (!moved)
		return NULL;
	if (count)
		memcpy(moved, array, count * size);
	*capacity = larger;
	return moved;
}
