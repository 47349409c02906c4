#include "gpu/base/loop.h"

#include "gpu/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 64, WAIT_MAX_MS = 1000, TIMERS_FIRST = 64 };

struct gd_loop {
	int epoll_fd;
	struct gd_source wake;
	_Atomic(struct gd_mail *) mail; /* a stack: newest first */
	struct gd_timer **heap;
	uint32_t timer_count, timer_cap;
	/* events being delivered, so that a source removed by a callback is not called after it is gone */
	struct epoll_event events[EVENTS_AT_ONCE];
	int event_count, event_next;
	unsigned ran;
};

static void drain_wake(struct gd_source *source, uint32_t events)
{
	(void)events;
	uint64_t count;
	while (read(source->fd, &count, sizeof count) < 0 && errno == EINTR)
		;
}

bool gd_loop_new(struct gd_loop **out_loop, struct gd_error *error)
{
	struct gd_loop *loop = calloc(1, sizeof *loop);
	if (!loop)
		return gd_error_errno(error, ENOMEM, "cannot make an event loop");
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->heap = calloc(TIMERS_FIRST, sizeof(struct gd_timer *));
	loop->timer_cap = TIMERS_FIRST;
	loop->wake = (struct gd_source){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .fn = drain_wake};
	if (!loop->heap || loop->epoll_fd < 0 || loop->wake.fd < 0) {
		gd_error_errno(error, loop->heap ? errno : ENOMEM, "cannot make an event loop");
		gd_loop_free(loop);
		return false;
	}
	if (!gd_loop_add(loop, &loop->wake, EPOLLIN, error)) {
		gd_loop_free(loop);
		return false;
	}
	*out_loop = loop;
	return true;
}

void gd_loop_free(struct gd_loop *loop)
{
	if (!loop)
		return;
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake.fd >= 0)
		close(loop->wake.fd);
	free(loop->heap);
	free(loop);
}

int gd_loop_fd(const struct gd_loop *loop)
{
	return loop->epoll_fd;
}

bool gd_loop_add(struct gd_loop *loop, struct gd_source *source, uint32_t events, struct gd_error *error)
{
	struct epoll_event event = {.events = events, .data.ptr = source};
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0)
		return gd_error_errno(error, errno, "cannot watch a descriptor");
	source->added = true;
	return true;
}

void gd_loop_remove(struct gd_loop *loop, struct gd_source *source)
{
	if (!source->added)
		return;
	source->added = false;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	for (int i = loop->event_next; i < loop->event_count; i++)
		if (loop->events[i].data.ptr == source)
			loop->events[i].data.ptr = NULL;
}

static void heap_put(struct gd_loop *loop, uint32_t index, struct gd_timer *timer)
{
	loop->heap[index] = timer;
	timer->place = index + 1;
}

static void sift_up(struct gd_loop *loop, uint32_t index, struct gd_timer *timer)
{
	while (index > 0 && loop->heap[(index - 1) / 2]->at_ns > timer->at_ns) {
		heap_put(loop, index, loop->heap[(index - 1) / 2]);
		index = (index - 1) / 2;
	}
	heap_put(loop, index, timer);
}

static void sift_down(struct gd_loop *loop, uint32_t index, struct gd_timer *timer)
{
	for (;;) {
		uint32_t child = 2 * index + 1;
		if (child >= loop->timer_count)
			break;
		if (child + 1 < loop->timer_count && loop->heap[child + 1]->at_ns < loop->heap[child]->at_ns)
			child++;
		if (loop->heap[child]->at_ns >= timer->at_ns)
			break;
		heap_put(loop, index, loop->heap[child]);
		index = child;
	}
	heap_put(loop, index, timer);
}

bool gd_loop_arm(struct gd_loop *loop, struct gd_timer *timer, uint64_t at_ns)
{
	gd_loop_disarm(loop, timer);
	if (loop->timer_count == loop->timer_cap) {
		uint32_t cap = loop->timer_cap * 2;
		struct gd_timer **grown = realloc(loop->heap, cap * sizeof *grown);
		if (!grown)
			return false;
		loop->heap = grown;
		loop->timer_cap = cap;
	}
	timer->at_ns = at_ns;
	sift_up(loop, loop->timer_count++, timer);
	return true;
}

void gd_loop_disarm(struct gd_loop *loop, struct gd_timer *timer)
{
	if (!timer->place)
		return;
	uint32_t index = timer->place - 1;
	timer->place = 0;
	struct gd_timer *last = loop->heap[--loop->timer_count];
	if (last == timer)
		return;
	if (index > 0 && loop->heap[(index - 1) / 2]->at_ns > last->at_ns)
		sift_up(loop, index, last);
	else
		sift_down(loop, index, last);
}

uint64_t gd_loop_next_ns(const struct gd_loop *loop)
{
	return loop->timer_count ? loop->heap[0]->at_ns : UINT64_MAX;
}

void gd_loop_post(struct gd_loop *loop, struct gd_mail *mail)
{
	struct gd_mail *head = atomic_load_explicit(&loop->mail, memory_order_relaxed);
	do {
		mail->next = head;
	} while (!atomic_compare_exchange_weak_explicit(&loop->mail, &head, mail, memory_order_release,
							memory_order_relaxed));
	if (!head) {
		uint64_t one = 1;
		while (write(loop->wake.fd, &one, sizeof one) < 0 && errno == EINTR)
			;
	}
}

static void deliver_mail(struct gd_loop *loop)
{
	struct gd_mail *newest = atomic_exchange_explicit(&loop->mail, NULL, memory_order_acquire);
	struct gd_mail *oldest = NULL;
	while (newest) {
		struct gd_mail *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct gd_mail *next = oldest->next;
		loop->ran++;
		oldest->fn(oldest);
		oldest = next;
	}
}

void gd_loop_deliver(struct gd_loop *loop)
{
	deliver_mail(loop);
}

static void fire_timers(struct gd_loop *loop)
{
	if (!loop->timer_count)
		return;
	uint64_t now = gd_now_ns();
	/* a timer that arms itself for a time that has passed gets its next turn in the next run */
	for (uint32_t left = loop->timer_count; left && loop->timer_count && loop->heap[0]->at_ns <= now;
	     left--) {
		struct gd_timer *timer = loop->heap[0];
		gd_loop_disarm(loop, timer);
		loop->ran++;
		timer->fn(timer);
	}
}

unsigned gd_loop_run(struct gd_loop *loop, int wait_ms)
{
	uint64_t next = gd_loop_next_ns(loop);
	if (wait_ms > WAIT_MAX_MS || wait_ms < 0)
		wait_ms = WAIT_MAX_MS;
	if (wait_ms && next != UINT64_MAX) {
		uint64_t now = gd_now_ns();
		uint64_t due_ms = next <= now ? 0 : (next - now + GD_NS_PER_MS - 1) / GD_NS_PER_MS;
		if (due_ms < (uint64_t)wait_ms)
			wait_ms = (int)due_ms;
	}
	int count = epoll_wait(loop->epoll_fd, loop->events, EVENTS_AT_ONCE, wait_ms);
	loop->event_count = count < 0 ? 0 : count;
	loop->ran = 0;
	for (loop->event_next = 0; loop->event_next < loop->event_count;) {
		struct epoll_event *event = &loop->events[loop->event_next++];
		struct gd_source *source = event->data.ptr;
		if (source) {
			loop->ran++;
			source->fn(source, event->events);
		}
	}
	loop->event_count = loop->event_next = 0;
	deliver_mail(loop);
	fire_timers(loop);
	return loop->ran;
}
