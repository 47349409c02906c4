/*
 * A small event loop over epoll: descriptors with a callback, timers, and mail from other threads.
 *
 * The supervisor (main thread) runs one for children, signals and compile jobs; every shard runs one beside
 * its HTTP daemon. A loop belongs to the thread that runs it; only gd_loop_post may be called from other
 * threads. Callbacks run on the loop's thread and may add and remove sources, their own too.
 */
#ifndef GD_BASE_LOOP_H
#define GD_BASE_LOOP_H

#include "gpu/base/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct gd_loop;

/* A watched descriptor, embedded in its owner. `fn` gets the epoll event bits. */
struct gd_source {
	int fd;
	void (*fn)(struct gd_source *source, uint32_t events);
	bool added;
};

/* A timer, embedded in its owner; fires once. `at_ns` is a gd_now_ns() time. */
struct gd_timer {
	uint64_t at_ns;
	void (*fn)(struct gd_timer *timer);
	uint32_t place; /* 1 + index in the heap; 0 when not armed */
};

/* A letter to a loop, embedded in its owner; it must stay alive until fn has run. */
struct gd_mail {
	struct gd_mail *next;
	void (*fn)(struct gd_mail *mail);
};

#define gd_container(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Fails: GD_INTERNAL_STATE with errno. */
bool gd_loop_new(struct gd_loop **out_loop, struct gd_error *error);
void gd_loop_free(struct gd_loop *loop);
/* The epoll descriptor: readable when there is work, except for timers (see gd_loop_next_ns). */
int gd_loop_fd(const struct gd_loop *loop);

/* Watch source->fd for `events` (EPOLLIN …). Fails: GD_INTERNAL_STATE with errno. */
bool gd_loop_add(struct gd_loop *loop, struct gd_source *source, uint32_t events, struct gd_error *error);
/* Stop watching; the descriptor stays open. A source that was not added is a no-op. */
void gd_loop_remove(struct gd_loop *loop, struct gd_source *source);

/* Arm or move a timer. Returns false only without memory, and never while fewer than 64 are armed. */
bool gd_loop_arm(struct gd_loop *loop, struct gd_timer *timer, uint64_t at_ns);
void gd_loop_disarm(struct gd_loop *loop, struct gd_timer *timer);
/* When the next timer is due, UINT64_MAX when none is armed. */
uint64_t gd_loop_next_ns(const struct gd_loop *loop);

/* Any thread: have mail->fn(mail) run on the loop's thread. Order per sender is kept. Never fails, never
 * waits. */
void gd_loop_post(struct gd_loop *loop, struct gd_mail *mail);

/* Deliver the letters that are there, and nothing else. For shutdown, when the loop's thread has ended. */
void gd_loop_deliver(struct gd_loop *loop);

/* Run what is due now, waiting at most `wait_ms` (0 not at all) for the first event. Returns the callbacks
 * run. */
unsigned gd_loop_run(struct gd_loop *loop, int wait_ms);

#endif
