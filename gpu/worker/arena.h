/*
 * A buddy allocator over offsets: power-of-two blocks from 4 KiB, no memory of its own touched but its
 * tables.
 *
 * The front has one per lane and direction over that lane's part of a slab. One thread. It never looks at the
 * memory that it hands out. Knuth, The Art of Computer Programming 1, 2.5 (the buddy system).
 */
#ifndef GD_WORKER_ARENA_H
#define GD_WORKER_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GD_ARENA_MIN_BLOCK 4096u

struct gd_arena;

/* Over [base, base + bytes): `bytes` a power of two of at least one block. NULL without memory or for another
 * size. */
struct gd_arena *gd_arena_new(uint64_t base, uint64_t bytes);
void gd_arena_free(struct gd_arena *arena); /* NULL is a no-op */
/* A block of at least `bytes` (1 to the arena's size). Returns false when there is none. */
bool gd_arena_take(struct gd_arena *arena, uint64_t bytes, uint64_t *out_offset, uint64_t *out_capacity);
/* Give back a block by the offset that take told. */
void gd_arena_give(struct gd_arena *arena, uint64_t offset);
/* Bytes in blocks that are out. */
uint64_t gd_arena_used(const struct gd_arena *arena);
uint64_t gd_arena_size(const struct gd_arena *arena);

#endif
