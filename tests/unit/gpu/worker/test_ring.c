/* The single-producer, single-consumer ring between front and worker. */
#include "gpu/worker/protocol.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { VALUES = 1000000 };

static struct gd_ring ring;
static uint64_t payload[GD_CELLS_PER_LANE]; /* plain memory: the ring alone orders it */

static uint32_t distance(void)
{
	return atomic_load(&ring.head) - atomic_load(&ring.tail);
}

static void *produce(void *argument)
{
	(void)argument;
	for (uint32_t i = 0; i < VALUES; i++) {
		while (distance() >= GD_CELLS_PER_LANE)
			sched_yield();
		payload[i % GD_CELLS_PER_LANE] = (uint64_t)i * 3;
		gd_ring_push(&ring, i);
	}
	return NULL;
}

static void a_million_values_come_once_each_in_order_with_what_was_written_before(void **state)
{
	(void)state;
	pthread_t thread;
	memset(&ring, 0, sizeof ring);
	assert_int_equal(pthread_create(&thread, NULL, produce, NULL), 0);
	for (uint32_t expected = 0; expected < VALUES;) {
		uint32_t value;
		/* looked at before the pop gives the place free again */
		if (gd_ring_empty(&ring)) {
			sched_yield();
			continue;
		}
		assert_int_equal(payload[expected % GD_CELLS_PER_LANE], (uint64_t)expected * 3);
		assert_true(gd_ring_pop(&ring, &value));
		assert_int_equal(value, expected);
		expected++;
	}
	pthread_join(thread, NULL);
	assert_true(gd_ring_empty(&ring));
}

static void it_holds_as_many_as_there_are_cells_across_the_wrap_of_its_counters(void **state)
{
	(void)state;
	uint32_t value = 99;
	memset(&ring, 0, sizeof ring);
	atomic_store(&ring.head, UINT32_MAX - 100);
	atomic_store(&ring.tail, UINT32_MAX - 100);
	assert_true(gd_ring_empty(&ring));
	assert_false(gd_ring_pop(&ring, &value));
	assert_int_equal(value, 99);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < GD_CELLS_PER_LANE; i++)
			gd_ring_push(&ring, round * 1000 + i);
		for (uint32_t i = 0; i < GD_CELLS_PER_LANE; i++) {
			assert_true(gd_ring_pop(&ring, &value));
			assert_int_equal(value, round * 1000 + i);
		}
		assert_false(gd_ring_pop(&ring, &value));
	}
}

static void nonsense_in_its_counters_never_leaves_its_entries(void **state)
{
	(void)state;
	static const uint32_t wild[] = {0, 1, 255, 256, 257, 0x7fffffff, 0x80000000, 0xffffff00, UINT32_MAX};
	uint32_t value;
	memset(&ring, 0, sizeof ring);
	for (uint32_t i = 0; i < GD_CELLS_PER_LANE; i++)
		ring.entries[i] = i + 5;
	for (size_t h = 0; h < sizeof wild / sizeof *wild; h++)
		for (size_t t = 0; t < sizeof wild / sizeof *wild; t++) {
			atomic_store(&ring.head, wild[h]);
			atomic_store(&ring.tail, wild[t]);
			for (unsigned i = 0; i < 600 && gd_ring_pop(&ring, &value); i++)
				assert_true(value >= 5 && value < 5 + GD_CELLS_PER_LANE);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_million_values_come_once_each_in_order_with_what_was_written_before),
	    cmocka_unit_test(it_holds_as_many_as_there_are_cells_across_the_wrap_of_its_counters),
	    cmocka_unit_test(nonsense_in_its_counters_never_leaves_its_entries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
