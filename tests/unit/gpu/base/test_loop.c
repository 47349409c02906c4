/* The event loop: timers against a model, mail from many threads, sources removed in the middle of a batch.
 */
#include "gpu/base/loop.h"

#include "gpu/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

static struct gd_loop *loop;

static int new_loop(void **state)
{
	(void)state;
	return gd_loop_new(&loop, NULL) ? 0 : -1;
}

static int free_loop(void **state)
{
	(void)state;
	gd_loop_free(loop);
	loop = NULL;
	return 0;
}

static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

enum { TIMERS = 300, STEPS = 10000 };

struct model_timer {
	struct gd_timer timer;
	bool armed, fired;
	uint64_t at_ns;
};

static struct model_timer timers[TIMERS];
static uint64_t last_fired_ns;

static void model_fired(struct gd_timer *timer)
{
	struct model_timer *model = gd_container(timer, struct model_timer, timer);
	assert_true(model->armed);
	assert_true(timer->at_ns >= last_fired_ns);
	assert_int_equal(timer->at_ns, model->at_ns);
	last_fired_ns = timer->at_ns;
	model->armed = false;
	model->fired = true;
}

static uint64_t model_next(void)
{
	uint64_t next = UINT64_MAX;
	for (unsigned i = 0; i < TIMERS; i++)
		if (timers[i].armed && timers[i].at_ns < next)
			next = timers[i].at_ns;
	return next;
}

static void timers_fire_in_order_whatever_was_armed_moved_and_disarmed(void **state)
{
	(void)state;
	uint32_t seed = 12345;
	memset(timers, 0, sizeof timers);
	uint64_t base = gd_now_ns();
	for (unsigned step = 0; step < STEPS; step++) {
		struct model_timer *model = &timers[random_next(&seed) % TIMERS];
		model->timer.fn = model_fired;
		if (random_next(&seed) % 3) {
			/* far ahead in order, so that none is due while they are shuffled; few distinct times
			 */
			model->at_ns = base + 3600 * GD_NS_PER_S + random_next(&seed) % 500;
			model->armed = true;
			assert_true(gd_loop_arm(loop, &model->timer, model->at_ns));
		} else {
			model->armed = false;
			gd_loop_disarm(loop, &model->timer);
		}
		assert_int_equal(gd_loop_next_ns(loop), model_next());
	}
	unsigned armed = 0;
	for (unsigned i = 0; i < TIMERS; i++)
		if (timers[i].armed) {
			armed++;
			timers[i].at_ns = base + random_next(&seed) % 1000;
			assert_true(gd_loop_arm(loop, &timers[i].timer, timers[i].at_ns));
		}
	assert_true(armed > 0);
	last_fired_ns = 0;
	unsigned ran = 0;
	for (int i = 0; i < 10; i++)
		ran += gd_loop_run(loop, 0);
	assert_int_equal(ran, armed);
	for (unsigned i = 0; i < TIMERS; i++)
		assert_false(timers[i].armed);
	assert_int_equal(gd_loop_next_ns(loop), UINT64_MAX);
}

static struct model_timer *victim;

static void disarm_the_victim(struct gd_timer *timer)
{
	(void)timer;
	gd_loop_disarm(loop, &victim->timer);
	victim->armed = false;
}

static void a_timer_disarmed_by_another_that_fires_does_not_fire(void **state)
{
	(void)state;
	struct model_timer first = {.timer.fn = disarm_the_victim};
	struct model_timer second = {.timer.fn = model_fired, .armed = true};
	victim = &second;
	assert_true(gd_loop_arm(loop, &first.timer, 1));
	assert_true(gd_loop_arm(loop, &second.timer, 2));
	gd_loop_run(loop, 0);
	assert_false(second.fired);
	gd_loop_disarm(loop, &second.timer);
	gd_loop_disarm(loop, &second.timer);
}

static unsigned rearmed;

static void arm_again_in_the_past(struct gd_timer *timer)
{
	rearmed++;
	assert_true(rearmed < 1000);
	gd_loop_arm(loop, timer, 1);
}

static void a_timer_that_is_always_due_does_not_hold_up_the_loop(void **state)
{
	(void)state;
	struct gd_timer timer = {.fn = arm_again_in_the_past};
	rearmed = 0;
	assert_true(gd_loop_arm(loop, &timer, 1));
	gd_loop_run(loop, 0);
	assert_int_equal(rearmed, 1);
	gd_loop_run(loop, 0);
	assert_int_equal(rearmed, 2);
	gd_loop_disarm(loop, &timer);
}

static void waiting_ends_when_a_timer_is_due(void **state)
{
	(void)state;
	struct model_timer model = {.timer.fn = model_fired, .armed = true};
	last_fired_ns = 0;
	uint64_t begun = gd_now_ns();
	model.at_ns = begun + 30 * GD_NS_PER_MS;
	assert_true(gd_loop_arm(loop, &model.timer, model.at_ns));
	while (!model.fired) {
		gd_loop_run(loop, 10000);
		assert_true(gd_now_ns() < begun + 20 * GD_NS_PER_S);
	}
	assert_true(gd_now_ns() >= model.at_ns);
}

enum { SENDERS = 4, LETTERS = 20000 };

struct letter {
	struct gd_mail mail;
	unsigned sender, number;
};

static struct letter *letters[SENDERS];
static unsigned next_number[SENDERS], received;

static void letter_came(struct gd_mail *mail)
{
	struct letter *letter = gd_container(mail, struct letter, mail);
	assert_int_equal(letter->number, next_number[letter->sender]);
	next_number[letter->sender]++;
	received++;
}

static void *send_letters(void *argument)
{
	struct letter *mine = argument;
	for (unsigned i = 0; i < LETTERS; i++)
		gd_loop_post(loop, &mine[i].mail);
	return NULL;
}

static void mail_from_four_threads_keeps_the_order_of_each(void **state)
{
	(void)state;
	pthread_t threads[SENDERS];
	received = 0;
	for (unsigned i = 0; i < SENDERS; i++) {
		next_number[i] = 0;
		letters[i] = calloc(LETTERS, sizeof **letters);
		assert_non_null(letters[i]);
		for (unsigned k = 0; k < LETTERS; k++)
			letters[i][k] = (struct letter){.mail.fn = letter_came, .sender = i, .number = k};
		assert_int_equal(pthread_create(&threads[i], NULL, send_letters, letters[i]), 0);
	}
	uint64_t end = gd_now_ns() + 60 * GD_NS_PER_S;
	/* waiting for long: a lost wake-up would show as a second that passes for nothing */
	while (received < SENDERS * LETTERS) {
		gd_loop_run(loop, 20000);
		assert_true(gd_now_ns() < end);
	}
	for (unsigned i = 0; i < SENDERS; i++) {
		pthread_join(threads[i], NULL);
		free(letters[i]);
	}
	assert_int_equal(gd_loop_run(loop, 0) > 1, 0);
}

static void *send_one_when_told(void *argument)
{
	struct letter *letter = argument;
	gd_loop_post(loop, &letter->mail);
	return NULL;
}

static void a_letter_wakes_a_loop_that_waits(void **state)
{
	(void)state;
	struct letter letter = {.mail.fn = letter_came};
	for (unsigned i = 0; i < 200; i++) {
		pthread_t thread;
		received = 0;
		next_number[0] = 0;
		uint64_t begun = gd_now_ns();
		assert_int_equal(pthread_create(&thread, NULL, send_one_when_told, &letter), 0);
		while (!received) {
			gd_loop_run(loop, 20000);
			assert_true(gd_now_ns() < begun + 20 * GD_NS_PER_S);
		}
		pthread_join(thread, NULL);
		/* the loop alone wakes after a second at the latest; this was no such accident */
		assert_true(gd_now_ns() - begun < 900 * GD_NS_PER_MS);
	}
}

struct watched {
	struct gd_source source;
	struct watched *removes;
	unsigned calls;
	bool removed;
};

static void call_and_remove(struct gd_source *source, uint32_t events)
{
	struct watched *watched = gd_container(source, struct watched, source);
	assert_false(watched->removed);
	assert_true(events & EPOLLIN);
	watched->calls++;
	if (watched->removes) {
		gd_loop_remove(loop, &watched->removes->source);
		watched->removes->removed = true;
	}
}

static void a_source_removed_in_the_same_batch_is_not_called(void **state)
{
	(void)state;
	enum { SOURCES = 40 };
	static struct watched watched[SOURCES];
	memset(watched, 0, sizeof watched);
	for (unsigned i = 0; i < SOURCES; i++) {
		watched[i].source =
		    (struct gd_source){.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), .fn = call_and_remove};
		/* whichever of two comes first removes the other */
		watched[i].removes = &watched[i ^ 1];
		assert_true(gd_loop_add(loop, &watched[i].source, EPOLLIN, NULL));
	}
	gd_loop_run(loop, 0);
	for (unsigned i = 0; i < SOURCES; i += 2)
		assert_int_equal(watched[i].calls + watched[i + 1].calls, 1);
	for (unsigned i = 0; i < SOURCES; i++) {
		gd_loop_remove(loop, &watched[i].source);
		gd_loop_remove(loop, &watched[i].source);
		close(watched[i].source.fd);
	}
}

static void a_source_may_remove_itself_and_be_freed(void **state)
{
	(void)state;
	struct watched *watched = calloc(1, sizeof *watched);
	assert_non_null(watched);
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	watched->source = (struct gd_source){.fd = fd, .fn = call_and_remove};
	watched->removes = watched;
	assert_true(gd_loop_add(loop, &watched->source, EPOLLIN, NULL));
	gd_loop_run(loop, 0);
	assert_int_equal(watched->calls, 1);
	free(watched);
	gd_loop_run(loop, 0);
	close(fd);
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void **state)
{
	(void)state;
	struct gd_error error = {0};
	struct gd_source source = {.fd = -1, .fn = call_and_remove};
	assert_false(gd_loop_add(loop, &source, EPOLLIN, &error));
	assert_int_equal(error.native, EBADF);
	assert_false(source.added);
	gd_loop_remove(loop, &source);
}

static void delivering_runs_the_letters_and_nothing_else(void **state)
{
	(void)state;
	struct letter letter = {.mail.fn = letter_came};
	struct model_timer model = {.timer.fn = model_fired, .armed = true};
	received = next_number[0] = 0;
	assert_true(gd_loop_arm(loop, &model.timer, 1));
	gd_loop_post(loop, &letter.mail);
	gd_loop_deliver(loop);
	assert_int_equal(received, 1);
	assert_false(model.fired);
	gd_loop_disarm(loop, &model.timer);
}

int main(void)
{
#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, new_loop, free_loop)
	const struct CMUnitTest tests[] = {
	    WITH_LOOP(timers_fire_in_order_whatever_was_armed_moved_and_disarmed),
	    WITH_LOOP(a_timer_disarmed_by_another_that_fires_does_not_fire),
	    WITH_LOOP(a_timer_that_is_always_due_does_not_hold_up_the_loop),
	    WITH_LOOP(waiting_ends_when_a_timer_is_due),
	    WITH_LOOP(mail_from_four_threads_keeps_the_order_of_each),
	    WITH_LOOP(a_letter_wakes_a_loop_that_waits),
	    WITH_LOOP(a_source_removed_in_the_same_batch_is_not_called),
	    WITH_LOOP(a_source_may_remove_itself_and_be_freed),
	    WITH_LOOP(a_descriptor_that_cannot_be_watched_is_an_error),
	    WITH_LOOP(delivering_runs_the_letters_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
