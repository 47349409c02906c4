/* The memory tier: single flight, what goes first, why a key is missing, and no memory. */
#include "tests/support/alloc_fail.h"
#include "tests/unit/gpu/cache/rig_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct answer {
	enum gd_lookup lookup;
	enum gd_miss_reason reason;
	bool joinable;
	struct value *value;
	struct gd_waiter waiter;
};

static enum gd_lookup ask(const struct gd_cache_key *key, enum gd_cache_mode mode, struct answer *answer)
{
	*answer = (struct answer){.reason = GD_MISS_REASONS, .waiter.owner = answer};
	void *value = NULL;
	answer->lookup =
	    gd_cache_begin(cache, key, mode, &answer->waiter, &value, &answer->reason, &answer->joinable);
	answer->value = value;
	return answer->lookup;
}

static unsigned count_waiters(const struct gd_waiter *waiter)
{
	unsigned count = 0;
	for (; waiter; waiter = waiter->next)
		count++;
	return count;
}

/* Miss key `number`, then store a value of `bytes`. Returns why it was missing. */
static enum gd_miss_reason store(unsigned number, unsigned program, const char *kernel, size_t bytes)
{
	struct gd_cache_key key = key_of(number, program, kernel);
	struct answer answer;
	assert_int_equal(ask(&key, GD_CACHE_USE, &answer), GD_LOOKUP_OWNER);
	assert_true(answer.joinable);
	struct value *value = new_value(number);
	assert_int_equal(count_waiters(gd_cache_finish(cache, key.key, value, bytes)), 1);
	release(value);
	return answer.reason;
}

static bool has(unsigned number)
{
	struct gd_cache_key key = key_of(number, number, "k");
	struct answer answer;
	if (ask(&key, GD_CACHE_USE, &answer) == GD_LOOKUP_HIT) {
		assert_int_equal(answer.value->key, number);
		release(answer.value);
		return true;
	}
	assert_int_equal(count_waiters(gd_cache_finish(cache, key.key, NULL, 0)), 1);
	return false;
}

static struct gd_cache_counts counts(void)
{
	struct gd_cache_counts counts;
	gd_cache_counts(cache, &counts);
	return counts;
}

static void a_stored_value_is_a_hit_with_a_reference_of_its_own(void **state)
{
	(void)state;
	open_cache(1000, 10);
	struct gd_cache_key key = key_of(1, 1, "k");
	struct answer answer;
	assert_int_equal(store(1, 1, "k", 10), GD_MISS_EMPTY_CACHE);
	assert_int_equal(ask(&key, GD_CACHE_USE, &answer), GD_LOOKUP_HIT);
	assert_int_equal(answer.value->references, 2);
	gd_cache_free(cache);
	assert_int_equal(answer.value->references, 1);
	release(answer.value);
	assert_int_equal(values_alive, 0);
	gd_cache_free(NULL);
}

static void entries_at_the_limit_stay_and_one_more_drops_the_longest_unused(void **state)
{
	(void)state;
	open_cache(1 << 20, 3);
	for (unsigned i = 0; i < 3; i++)
		store(i, i, "k", 1);
	assert_int_equal(counts().entries, 3);
	assert_int_equal(counts().evictions, 0);
	assert_true(has(0)); /* now 1 is the one that waits longest */
	store(3, 3, "k", 1);
	assert_int_equal(counts().entries, 3);
	assert_int_equal(counts().evictions, 1);
	assert_true(has(0));
	assert_false(has(1));
	assert_true(has(2));
	assert_true(has(3));
	close_cache();
}

static void bytes_at_the_limit_stay_and_one_more_drops_as_many_as_it_takes(void **state)
{
	(void)state;
	open_cache(100, 1000);
	store(0, 0, "k", 30);
	store(1, 1, "k", 30);
	store(2, 2, "k", 40);
	assert_int_equal(counts().bytes, 100);
	assert_int_equal(counts().evictions, 0);
	store(3, 3, "k", 1);
	assert_int_equal(counts().bytes, 71);
	assert_false(has(0));
	store(4, 4, "k", 90);
	assert_int_equal(counts().bytes, 91);
	assert_int_equal(counts().entries, 2);
	assert_true(has(3));
	assert_true(has(4));
	close_cache();
}

static void a_value_over_the_whole_limit_is_kept_alone_until_the_next(void **state)
{
	(void)state;
	open_cache(100, 1000);
	store(0, 0, "k", 50);
	store(1, 1, "k", 101);
	assert_int_equal(counts().entries, 1);
	assert_true(has(1));
	store(2, 2, "k", 1);
	assert_int_equal(counts().entries, 1);
	assert_int_equal(counts().bytes, 1);
	close_cache();
}

static void each_reason_of_a_miss_is_told_in_the_order_of_the_contract(void **state)
{
	(void)state;
	open_cache(1 << 20, 2);
	struct gd_cache_key key = key_of(1, 1, "k");
	struct answer answer;
	assert_int_equal(store(1, 1, "k", 1), GD_MISS_EMPTY_CACHE);
	assert_int_equal(store(2, 2, "other", 1), GD_MISS_KEY_ABSENT);
	/* same program, other target or toolchain: tells over the kernel's name */
	assert_int_equal(store(3, 2, "k", 1), GD_MISS_DEVICE_OR_RUNTIME_CHANGED);
	assert_int_equal(store(4, 4, "other", 1), GD_MISS_PROGRAM_CHANGED);
	/* an empty kernel name is the same as no other */
	assert_int_equal(store(5, 5, "", 1), GD_MISS_KEY_ABSENT);
	assert_int_equal(store(6, 6, "", 1), GD_MISS_KEY_ABSENT);
	assert_int_equal(store(7, 7, NULL, 1), GD_MISS_KEY_ABSENT);
	/* dropped long ago: told over everything but bypassed */
	assert_int_equal(store(1, 1, "k", 1), GD_MISS_EVICTED);
	assert_int_equal(ask(&key, GD_CACHE_REFRESH, &answer), GD_LOOKUP_OWNER);
	assert_int_equal(answer.reason, GD_MISS_BYPASSED);
	gd_cache_finish(cache, key.key, NULL, 0);
	close_cache();
}

static void whoever_asks_during_a_flight_waits_in_it_in_order(void **state)
{
	(void)state;
	enum { WAITERS = 20 };
	open_cache(1000, 10);
	struct gd_cache_key key = key_of(1, 1, "k"), other = key_of(2, 2, "k");
	struct answer owner, waiters[WAITERS], stranger;
	assert_int_equal(ask(&key, GD_CACHE_USE, &owner), GD_LOOKUP_OWNER);
	for (unsigned i = 0; i < WAITERS; i++)
		assert_int_equal(ask(&key, i % 2 ? GD_CACHE_USE : GD_CACHE_REFRESH, &waiters[i]),
				 GD_LOOKUP_JOINED);
	assert_int_equal(ask(&other, GD_CACHE_USE, &stranger), GD_LOOKUP_OWNER);
	struct value *value = new_value(1);
	struct gd_waiter *waiter = gd_cache_finish(cache, key.key, value, 5);
	assert_ptr_equal(waiter->owner, &owner);
	waiter = waiter->next;
	for (unsigned i = 0; i < WAITERS; i++, waiter = waiter->next)
		assert_ptr_equal(waiter->owner, &waiters[i]);
	assert_null(waiter);
	release(value);
	assert_int_equal(count_waiters(gd_cache_finish(cache, other.key, NULL, 0)), 1);
	close_cache();
}

static void a_forgotten_waiter_is_not_returned(void **state)
{
	(void)state;
	open_cache(1000, 10);
	struct gd_cache_key key = key_of(1, 1, "k"), other = key_of(2, 2, "k");
	struct answer answers[5];
	for (unsigned i = 0; i < 4; i++)
		ask(&key, GD_CACHE_USE, &answers[i]);
	assert_false(gd_cache_forget(cache, other.key, &answers[0].waiter));
	assert_true(gd_cache_forget(cache, key.key, &answers[0].waiter)); /* the owner's own */
	assert_true(gd_cache_forget(cache, key.key, &answers[3].waiter)); /* the last in line */
	assert_false(gd_cache_forget(cache, key.key, &answers[3].waiter));
	assert_int_equal(ask(&key, GD_CACHE_USE, &answers[4]), GD_LOOKUP_JOINED);
	struct gd_waiter *waiter = gd_cache_finish(cache, key.key, NULL, 0);
	assert_ptr_equal(waiter->owner, &answers[1]);
	assert_ptr_equal(waiter->next->owner, &answers[2]);
	assert_ptr_equal(waiter->next->next->owner, &answers[4]);
	assert_null(waiter->next->next->next);
	assert_false(gd_cache_forget(cache, key.key, &answers[1].waiter));
	/* all gone: the flight goes on without them */
	assert_int_equal(ask(&key, GD_CACHE_USE, &answers[0]), GD_LOOKUP_OWNER);
	assert_true(gd_cache_forget(cache, key.key, &answers[0].waiter));
	assert_int_equal(ask(&key, GD_CACHE_USE, &answers[1]), GD_LOOKUP_JOINED);
	assert_int_equal(count_waiters(gd_cache_finish(cache, key.key, NULL, 0)), 1);
	close_cache();
}

static void a_failed_flight_leaves_nothing_and_the_next_one_is_owner_again(void **state)
{
	(void)state;
	open_cache(1000, 10);
	struct gd_cache_key key = key_of(1, 1, "k");
	struct answer answer;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ask(&key, GD_CACHE_USE, &answer), GD_LOOKUP_OWNER);
		assert_int_equal(answer.reason, GD_MISS_EMPTY_CACHE);
		assert_int_equal(count_waiters(gd_cache_finish(cache, key.key, NULL, 0)), 1);
	}
	assert_int_equal(counts().entries, 0);
	assert_null(gd_cache_finish(cache, key.key, NULL, 0));
	close_cache();
}

static void a_refresh_replaces_the_value_and_a_failed_one_keeps_it(void **state)
{
	(void)state;
	open_cache(1000, 10);
	struct gd_cache_key key = key_of(1, 1, "k");
	struct answer answer, hit;
	store(1, 1, "k", 10);
	assert_int_equal(ask(&key, GD_CACHE_REFRESH, &answer), GD_LOOKUP_OWNER);
	/* meanwhile the old value serves */
	assert_int_equal(ask(&key, GD_CACHE_USE, &hit), GD_LOOKUP_HIT);
	assert_int_equal(ask(&key, GD_CACHE_REFRESH, &answer), GD_LOOKUP_JOINED);
	gd_cache_finish(cache, key.key, NULL, 0);
	assert_int_equal(counts().bytes, 10);
	assert_int_equal(ask(&key, GD_CACHE_REFRESH, &answer), GD_LOOKUP_OWNER);
	struct value *fresh = new_value(1);
	gd_cache_finish(cache, key.key, fresh, 20);
	assert_int_equal(counts().bytes, 20);
	assert_int_equal(counts().entries, 1);
	assert_int_equal(counts().evictions, 0);
	struct answer second;
	assert_int_equal(ask(&key, GD_CACHE_USE, &second), GD_LOOKUP_HIT);
	assert_ptr_equal(second.value, fresh);
	assert_int_equal(hit.value->references, 1);
	release(hit.value);
	release(second.value);
	release(fresh);
	close_cache();
}

static void a_value_dropped_while_it_is_refreshed_comes_back(void **state)
{
	(void)state;
	open_cache(100, 10);
	struct gd_cache_key key = key_of(1, 1, "k");
	struct answer answer;
	store(1, 1, "k", 60);
	assert_int_equal(ask(&key, GD_CACHE_REFRESH, &answer), GD_LOOKUP_OWNER);
	store(2, 2, "k", 60);
	assert_int_equal(counts().entries, 1);
	assert_int_equal(count_waiters(gd_cache_finish(cache, key.key, NULL, 0)), 1);
	assert_int_equal(store(1, 1, "k", 30), GD_MISS_EVICTED);
	assert_int_equal(counts().entries, 2);
	close_cache();
}

static void thousands_of_keys_stay_apart(void **state)
{
	(void)state;
	enum { KEYS = 5000 };
	open_cache(1 << 30, KEYS);
	for (unsigned i = 0; i < KEYS; i++) {
		struct gd_cache_key key = key_of(i, i, NULL);
		struct answer answer;
		assert_int_equal(ask(&key, GD_CACHE_REFRESH, &answer), GD_LOOKUP_OWNER);
		struct value *value = new_value(i);
		gd_cache_finish(cache, key.key, value, 1);
		release(value);
	}
	for (unsigned i = 0; i < KEYS; i++)
		assert_true(has(i));
	assert_int_equal(counts().entries, KEYS);
	close_cache();
}

static void what_is_remembered_of_dropped_values_has_an_end(void **state)
{
	(void)state;
	enum { REMEMBERED = 65536, OVER = 200 }; /* cache.c */
	open_cache(1 << 30, 1);
	/* a refresh does not look for a reason, which walks the table */
	for (unsigned i = 0; i < REMEMBERED + OVER; i++) {
		struct gd_cache_key key = key_of(i, i, NULL);
		struct answer answer;
		assert_int_equal(ask(&key, GD_CACHE_REFRESH, &answer), GD_LOOKUP_OWNER);
		struct value *value = new_value(i);
		gd_cache_finish(cache, key.key, value, 1);
		release(value);
	}
	assert_int_equal(counts().entries, 1);
	assert_int_equal(counts().evictions, REMEMBERED + OVER - 1);
	assert_int_equal(store(0, 0, NULL, 1), GD_MISS_EVICTED);
	assert_int_equal(store(REMEMBERED + OVER - 2, 0, NULL, 1), GD_MISS_DEVICE_OR_RUNTIME_CHANGED);
	close_cache();
}

static void without_memory_the_owner_flies_alone(void **state)
{
	(void)state;
	open_cache(1000, 10);
	struct gd_cache_key key = key_of(1, 1, "k");
	struct answer answer;
	gd_alloc_fail_at(1);
	assert_int_equal(ask(&key, GD_CACHE_USE, &answer), GD_LOOKUP_OWNER);
	assert_true(gd_alloc_failed());
	assert_false(answer.joinable);
	assert_int_equal(answer.reason, GD_MISS_EMPTY_CACHE);
	assert_null(gd_cache_finish(cache, key.key, NULL, 0));
	assert_int_equal(counts().entries, 0);
	assert_int_equal(store(1, 1, "k", 1), GD_MISS_EMPTY_CACHE);
	close_cache();
}

static void a_cache_that_cannot_be_made_fails_at_each_allocation(void **state)
{
	(void)state;
	struct gd_cache_config config = {
	    .bytes_max = 1, .entries_max = 1, .retain = retain, .release = release};
	unsigned refusals = 0;
	for (unsigned long n = 1;; n++) {
		struct gd_error error = {0};
		struct gd_cache *made = NULL;
		gd_alloc_fail_at(n);
		bool good = gd_cache_new(&config, &made, &error);
		if (!gd_alloc_failed()) {
			assert_true(good);
			gd_cache_free(made);
			break;
		}
		refusals++;
		assert_false(good);
		assert_null(made);
		assert_int_equal(error.code, GD_INTERNAL_STATE);
	}
	assert_int_equal(refusals, 2);
}

static void growing_without_memory_only_makes_it_slower(void **state)
{
	(void)state;
	enum { KEYS = 1500 }; /* past the first table's size */
	open_cache(1 << 30, KEYS);
	for (unsigned i = 0; i < KEYS; i++) {
		struct gd_cache_key key = key_of(i, i, NULL);
		struct answer answer;
		gd_alloc_fail_at(2); /* 1: the entry; 2: the larger table, when it is due */
		assert_int_equal(ask(&key, GD_CACHE_REFRESH, &answer), GD_LOOKUP_OWNER);
		gd_alloc_failed();
		struct value *value = new_value(i);
		gd_cache_finish(cache, key.key, value, 1);
		release(value);
	}
	for (unsigned i = 0; i < KEYS; i++)
		assert_true(has(i));
	close_cache();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_stored_value_is_a_hit_with_a_reference_of_its_own),
	    cmocka_unit_test(entries_at_the_limit_stay_and_one_more_drops_the_longest_unused),
	    cmocka_unit_test(bytes_at_the_limit_stay_and_one_more_drops_as_many_as_it_takes),
	    cmocka_unit_test(a_value_over_the_whole_limit_is_kept_alone_until_the_next),
	    cmocka_unit_test(each_reason_of_a_miss_is_told_in_the_order_of_the_contract),
	    cmocka_unit_test(whoever_asks_during_a_flight_waits_in_it_in_order),
	    cmocka_unit_test(a_forgotten_waiter_is_not_returned),
	    cmocka_unit_test(a_failed_flight_leaves_nothing_and_the_next_one_is_owner_again),
	    cmocka_unit_test(a_refresh_replaces_the_value_and_a_failed_one_keeps_it),
	    cmocka_unit_test(a_value_dropped_while_it_is_refreshed_comes_back),
	    cmocka_unit_test(thousands_of_keys_stay_apart),
	    cmocka_unit_test(what_is_remembered_of_dropped_values_has_an_end),
	    cmocka_unit_test(without_memory_the_owner_flies_alone),
	    cmocka_unit_test(a_cache_that_cannot_be_made_fails_at_each_allocation),
	    cmocka_unit_test(growing_without_memory_only_makes_it_slower),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
