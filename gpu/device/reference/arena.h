/*
 * A bump allocator for everything that one module load makes: freed in one go, bounded from the start, so
 * that hostile PTX can ask for no more than the limit.
 *
 * The arena owns its blocks; what it hands out is zeroed and aligned to 16 bytes. One thread at a time.
 */
#ifndef GD_REFERENCE_ARENA_H
#define GD_REFERENCE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct gd_scratch_block;

struct gd_scratch {
	struct gd_scratch_block *blocks;
	size_t used, limit; /* bytes taken from the system, and the most that may be */
	bool failed;        /* an allocation did not fit or the system refused it */
};

/* Prepare an arena that takes at most `limit` bytes. Allocates nothing yet. */
void gd_scratch_init(struct gd_scratch *arena, size_t limit);

/* Free everything the arena handed out. */
void gd_scratch_done(struct gd_scratch *arena);

/* Take `count` zeroed elements of `size` bytes. Fails: NULL with arena->failed set. */
void *gd_scratch_take(struct gd_scratch *arena, size_t count, size_t size);

/*
 * Make room for one more element in a growing array that lives in the arena: returns the array (moved when it
 * was full, the old copy stays behind unused) and updates *capacity. Fails: NULL with arena->failed set.
 */
void *gd_scratch_grow(struct gd_scratch *arena, void *array, size_t count, size_t *capacity, size_t size);

#endif
