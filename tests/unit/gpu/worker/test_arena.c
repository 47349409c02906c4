/* The buddy allocator against a model: no overlap, alignment, coalescing. */
#include "gpu/worker/arena.h"

#include "tests/support/alloc_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCK = GD_ARENA_MIN_BLOCK, BLOCKS = 1024, STEPS = 1000000 };
#define BASE ((uint64_t)3 * BLOCKS * BLOCK) /* as a lane's part of a slab: a multiple of its size */

struct held {
	uint64_t offset, capacity;
};

static struct held held[BLOCKS];
static unsigned held_count;
static uint8_t owned[BLOCKS]; /* the model: which smallest blocks are out */

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint64_t round_up(uint64_t bytes)
{
	uint64_t power = BLOCK;
	while (power < bytes)
		power *= 2;
	return power;
}

/* Is there an aligned run of free blocks of this size? A buddy system must find one if there is. */
static bool model_has(uint64_t capacity)
{
	uint64_t count = capacity / BLOCK;
	for (uint64_t at = 0; at + count <= BLOCKS; at += count) {
		uint64_t i = 0;
		while (i < count && !owned[at + i])
			i++;
		if (i == count)
			return true;
	}
	return false;
}

static void model_mark(const struct held *block, uint8_t value)
{
	uint64_t first = (block->offset - BASE) / BLOCK;
	for (uint64_t i = 0; i < block->capacity / BLOCK; i++) {
		assert_int_equal(owned[first + i], !value);
		owned[first + i] = value;
	}
}

static void take_one(struct gd_arena *arena, uint64_t bytes, uint64_t *used)
{
	struct held block = {0};
	bool taken = gd_arena_take(arena, bytes, &block.offset, &block.capacity);
	assert_int_equal(taken, model_has(round_up(bytes)));
	if (!taken)
		return;
	assert_int_equal(block.capacity, round_up(bytes));
	assert_int_equal((block.offset - BASE) % block.capacity, 0);
	assert_true(block.offset >= BASE);
	assert_true(block.offset + block.capacity <= BASE + (uint64_t)BLOCKS * BLOCK);
	model_mark(&block, 1);
	*used += block.capacity;
	held[held_count++] = block;
}

static void give_one(struct gd_arena *arena, unsigned index, uint64_t *used)
{
	model_mark(&held[index], 0);
	gd_arena_give(arena, held[index].offset);
	*used -= held[index].capacity;
	held[index] = held[--held_count];
}

static void a_million_random_steps_agree_with_the_model(void **state)
{
	(void)state;
	uint64_t seed = 88172645463325252ull, used = 0;
	struct gd_arena *arena = gd_arena_new(BASE, (uint64_t)BLOCKS * BLOCK);
	assert_non_null(arena);
	for (unsigned step = 0; step < STEPS; step++) {
		/* phases that mostly fill and phases that mostly empty */
		bool filling = (step >> 12) & 1;
		bool take = random_next(&seed) % 8 < (filling ? 5 : 3);
		if (take && held_count < BLOCKS) {
			unsigned shift = (unsigned)(random_next(&seed) % 9);
			take_one(arena, 1 + random_next(&seed) % ((uint64_t)BLOCK << shift), &used);
		} else if (held_count) {
			give_one(arena, (unsigned)(random_next(&seed) % held_count), &used);
		}
		assert_int_equal(gd_arena_used(arena), used);
	}
	while (held_count)
		give_one(arena, (unsigned)(random_next(&seed) % held_count), &used);
	assert_int_equal(gd_arena_used(arena), 0);
	/* all has grown together again */
	uint64_t offset = 0, capacity = 0;
	assert_true(gd_arena_take(arena, (uint64_t)BLOCKS * BLOCK, &offset, &capacity));
	assert_int_equal(offset, BASE);
	assert_int_equal(capacity, (uint64_t)BLOCKS * BLOCK);
	gd_arena_free(arena);
}

static void sizes_at_the_limit_are_given_and_past_it_refused(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes, capacity; /* 0: refused */
		const char *why;
	} rows[] = {
	    {0, 0, "nothing"},
	    {1, BLOCK, "one byte"},
	    {BLOCK, BLOCK, "one block"},
	    {BLOCK + 1, 2 * BLOCK, "one byte more"},
	    {8 * BLOCK, 8 * BLOCK, "all"},
	    {8 * BLOCK + 1, 0, "one past all"},
	    {UINT64_MAX, 0, "what would wrap"},
	    {(uint64_t)1 << 63, 0, "what would shift out"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_arena *arena = gd_arena_new(0, 8 * BLOCK);
		uint64_t offset = 99, capacity = 99;
		bool taken = gd_arena_take(arena, rows[i].bytes, &offset, &capacity);
		if (taken != (rows[i].capacity != 0) || (taken && capacity != rows[i].capacity) ||
		    (!taken && (offset != 99 || capacity != 99)))
			fail_msg("%s: %d %llu", rows[i].why, taken, (unsigned long long)capacity);
		gd_arena_free(arena);
	}
}

static void whole_numbers_of_blocks_fill_it_to_the_last_byte(void **state)
{
	(void)state;
	struct gd_arena *arena = gd_arena_new(0, 64 * BLOCK);
	uint64_t offset, capacity;
	/* any sizes that sum up to the whole fit, in any order */
	static const unsigned blocks[] = {1, 2, 1, 4, 8, 16, 32};
	for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
		assert_true(gd_arena_take(arena, (uint64_t)blocks[i] * BLOCK, &offset, &capacity));
	assert_int_equal(gd_arena_used(arena), gd_arena_size(arena));
	assert_false(gd_arena_take(arena, 1, &offset, &capacity));
	gd_arena_free(arena);
}

static void giving_twice_is_ignored(void **state)
{
	(void)state;
	struct gd_arena *arena = gd_arena_new(BASE, 8 * BLOCK);
	uint64_t first, second, capacity;
	assert_true(gd_arena_take(arena, 1, &first, &capacity));
	assert_true(gd_arena_take(arena, 1, &second, &capacity));
	gd_arena_give(arena, first);
	gd_arena_give(arena, first);
	assert_int_equal(gd_arena_used(arena), BLOCK);
	gd_arena_give(arena, second);
	assert_int_equal(gd_arena_used(arena), 0);
	assert_true(gd_arena_take(arena, 8 * BLOCK, &first, &capacity));
	gd_arena_free(arena);
}

static void only_powers_of_two_from_one_block_make_an_arena(void **state)
{
	(void)state;
	static const uint64_t refused[] = {
	    0, 1, BLOCK - 1, BLOCK + 1, 3 * BLOCK, ((uint64_t)BLOCK << 30) * 2, UINT64_MAX};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_null(gd_arena_new(0, refused[i]));
	struct gd_arena *arena = gd_arena_new(0, BLOCK);
	assert_non_null(arena);
	assert_int_equal(gd_arena_size(arena), BLOCK);
	gd_arena_free(arena);
	gd_arena_free(NULL);
}

static void without_memory_there_is_none(void **state)
{
	(void)state;
	unsigned refusals = 0;
	for (unsigned long n = 1;; n++) {
		gd_alloc_fail_at(n);
		struct gd_arena *arena = gd_arena_new(0, 64 * BLOCK);
		bool refused = gd_alloc_failed();
		assert_int_equal(arena == NULL, refused);
		gd_arena_free(arena);
		if (!refused)
			break;
		refusals++;
	}
	assert_int_equal(refusals, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_million_random_steps_agree_with_the_model),
	    cmocka_unit_test(sizes_at_the_limit_are_given_and_past_it_refused),
	    cmocka_unit_test(whole_numbers_of_blocks_fill_it_to_the_last_byte),
	    cmocka_unit_test(giving_twice_is_ignored),
	    cmocka_unit_test(only_powers_of_two_from_one_block_make_an_arena),
	    cmocka_unit_test(without_memory_there_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
