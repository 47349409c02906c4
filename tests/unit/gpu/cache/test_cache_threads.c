/* Many threads ask one cache for the same few keys: each flight is alone, everybody gets an answer. */
#include "tests/unit/gpu/cache/rig_cache.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 20000, SHARED_KEYS = 37 };

static _Atomic int flights[SHARED_KEYS];
static _Atomic unsigned hits, joins, owns, forgotten;

struct request {
	struct gd_waiter waiter;
	_Atomic int answered;
};

static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void own(const struct gd_cache_key *key, unsigned number, bool fails)
{
	/* nobody else has this flight */
	assert_int_equal(atomic_fetch_add(&flights[number], 1), 0);
	struct value *value = fails ? NULL : new_value(number);
	if (number % 5 == 0)
		sched_yield();
	assert_int_equal(atomic_fetch_sub(&flights[number], 1), 1);
	struct gd_waiter *waiter = gd_cache_finish(cache, key->key, value, 1 + number), *next;
	for (; waiter; waiter = next) {
		next = waiter->next;
		struct request *request = waiter->owner;
		atomic_fetch_add(&request->answered, 1);
	}
	if (value)
		release(value);
}

static void *ask_at_random(void *argument)
{
	uint32_t seed = 77 + *(unsigned *)argument;
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned number = random_next(&seed) % SHARED_KEYS;
		struct gd_cache_key key = key_of(number, number, "k");
		struct request request = {.waiter.owner = &request};
		void *value = NULL;
		enum gd_miss_reason reason;
		bool joinable;
		switch (gd_cache_begin(cache, &key, random_next(&seed) % 8 ? GD_CACHE_USE : GD_CACHE_REFRESH,
				       &request.waiter, &value, &reason, &joinable)) {
		case GD_LOOKUP_HIT:
			assert_int_equal(((struct value *)value)->key, number);
			release(value);
			hits++;
			break;
		case GD_LOOKUP_OWNER:
			own(&key, number, random_next(&seed) % 4 == 0);
			assert_int_equal(request.answered, 1);
			owns++;
			break;
		case GD_LOOKUP_JOINED:
			joins++;
			if (random_next(&seed) % 2 && gd_cache_forget(cache, key.key, &request.waiter)) {
				forgotten++;
				break;
			}
			while (!atomic_load(&request.answered))
				sched_yield();
			break;
		}
	}
	return NULL;
}

static void many_threads_never_fly_twice_for_one_key(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	unsigned numbers[THREADS];
	open_cache(300, 20);
	for (unsigned i = 0; i < THREADS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, ask_at_random, &numbers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(hits + joins + owns, THREADS * ROUNDS);
	assert_true(hits && owns);
	struct gd_cache_counts counts;
	gd_cache_counts(cache, &counts);
	assert_true(counts.bytes <= 300);
	assert_true(counts.entries <= 20);
	print_message("%u hits, %u owners, %u joined, %u of them forgot\n", hits, owns, joins, forgotten);
	close_cache();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(many_threads_never_fly_twice_for_one_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
