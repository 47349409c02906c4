#include "gpu/worker/arena.h"

#include <stdlib.h>

enum { ORDERS_MAX = 32, NONE = -1, TAKEN = 0x80 };

struct gd_arena {
	uint64_t base, bytes, used;
	int orders;
	int32_t free_head[ORDERS_MAX]; /* by order: index of the first free block, in units of the smallest */
	int32_t *next, *prev;
	uint8_t *state; /* per smallest block that starts a block: its order, TAKEN or free; 0xff: inside
			   another */
};

static int order_of(uint64_t bytes)
{
	int order = 0;
	while (((uint64_t)GD_ARENA_MIN_BLOCK << order) < bytes)
		order++;
	return order;
}

static void push(struct gd_arena *arena, int32_t index, int order)
{
	arena->state[index] = (uint8_t)order;
	arena->prev[index] = NONE;
	arena->next[index] = arena->free_head[order];
	if (arena->next[index] != NONE)
		arena->prev[arena->next[index]] = index;
	arena->free_head[order] = index;
}

static void unlink_block(struct gd_arena *arena, int32_t index, int order)
{
	if (arena->prev[index] != NONE)
		arena->next[arena->prev[index]] = arena->next[index];
	else
		arena->free_head[order] = arena->next[index];
	if (arena->next[index] != NONE)
		arena->prev[arena->next[index]] = arena->prev[index];
	arena->state[index] = 0xff;
}

struct gd_arena *gd_arena_new(uint64_t base, uint64_t bytes)
{
	if (bytes < GD_ARENA_MIN_BLOCK || (bytes & (bytes - 1)) || bytes > (uint64_t)GD_ARENA_MIN_BLOCK << 30)
		return NULL;
	size_t count = (size_t)(bytes / GD_ARENA_MIN_BLOCK);
	struct gd_arena *arena = calloc(1, sizeof *arena);
	if (!arena)
		return NULL;
	arena->base = base;
	arena->bytes = bytes;
	arena->orders = order_of(bytes) + 1;
	arena->next = calloc(count, sizeof *arena->next);
	arena->prev = calloc(count, sizeof *arena->prev);
	arena->state = malloc(count);
	if (!arena->next || !arena->prev || !arena->state) {
		gd_arena_free(arena);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		arena->state[i] = 0xff;
	for (int i = 0; i < ORDERS_MAX; i++)
		arena->free_head[i] = NONE;
	push(arena, 0, arena->orders - 1);
	return arena;
}

void gd_arena_free(struct gd_arena *arena)
{
	if (!arena)
		return;
	free(arena->next);
	free(arena->prev);
	free(arena->state);
	free(arena);
}

bool gd_arena_take(struct gd_arena *arena, uint64_t bytes, uint64_t *out_offset, uint64_t *out_capacity)
{
	if (bytes == 0 || bytes > arena->bytes)
		return false;
	int want = order_of(bytes), order = want;
	while (order < arena->orders && arena->free_head[order] == NONE)
		order++;
	if (order == arena->orders)
		return false;
	int32_t index = arena->free_head[order];
	unlink_block(arena, index, order);
	while (order > want) {
		order--;
		push(arena, index + (1 << order), order);
	}
	arena->state[index] = (uint8_t)(want | TAKEN);
	arena->used += (uint64_t)GD_ARENA_MIN_BLOCK << want;
	*out_offset = arena->base + (uint64_t)index * GD_ARENA_MIN_BLOCK;
	*out_capacity = (uint64_t)GD_ARENA_MIN_BLOCK << want;
	return true;
}

void gd_arena_give(struct gd_arena *arena, uint64_t offset)
{
	int32_t index = (int32_t)((offset - arena->base) / GD_ARENA_MIN_BLOCK);
	if (arena->state[index] == 0xff || !(arena->state[index] & TAKEN))
		return;
	int order = arena->state[index] & ~TAKEN;
	arena->used -= (uint64_t)GD_ARENA_MIN_BLOCK << order;
	arena->state[index] = 0xff;
	for (; order < arena->orders - 1; order++) {
		int32_t buddy = index ^ (1 << order);
		if (arena->state[buddy] != order)
			break;
		unlink_block(arena, buddy, order);
		if (buddy < index)
			index = buddy;
	}
	push(arena, index, order);
}

uint64_t gd_arena_used(const struct gd_arena *arena)
{
	return arena->used;
}

uint64_t gd_arena_size(const struct gd_arena *arena)
{
	return arena->bytes;
}
