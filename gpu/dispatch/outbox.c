/*
 * What the front has to say to a worker: sent at once where the socket takes it, else kept in order until it
 * does. A worker that is busy loading reads late, and that is no reason to lose it; how long it may take to
 * answer is limited (link.c), and so is how much is kept.
 */
#include "gpu/dispatch/inside.h"

#include "gpu/base/clock.h"
#include "gpu/base/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { OUTBOX_MAX = 512 };

struct gd_outgoing {
	struct gd_outgoing *next;
	int fds[GD_FDS_MAX];
	size_t count;
	struct gd_message message;
};

static void free_outgoing(struct gd_outgoing *outgoing)
{
	for (size_t i = 0; i < outgoing->count; i++)
		close(outgoing->fds[i]);
	free(outgoing);
}

static void watch(struct gd_link *link, uint32_t events)
{
	struct gd_loop *loop = link->station->engine->loop;
	gd_loop_remove(loop, &link->socket);
	if (!gd_loop_add(loop, &link->socket, events, NULL))
		gd_child_kill(&link->child);
}

static bool keep(struct gd_link *link, const struct gd_message *message, const int *fds, size_t count)
{
	struct gd_outgoing *outgoing = link->outbox_count < OUTBOX_MAX ? malloc(sizeof *outgoing) : NULL;
	if (!outgoing)
		return false;
	outgoing->next = NULL;
	outgoing->message = *message;
	for (outgoing->count = 0; outgoing->count < count; outgoing->count++) {
		int fd = fcntl(fds[outgoing->count], F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			free_outgoing(outgoing);
			return false;
		}
		outgoing->fds[outgoing->count] = fd;
	}
	struct gd_outgoing **last = &link->outbox;
	while (*last)
		last = &(*last)->next;
	*last = outgoing;
	if (link->outbox_count++ == 0)
		watch(link, EPOLLIN | EPOLLOUT);
	return true;
}

/* A worker whose socket is broken is lost; its end tells the rest. */
static bool send_now(struct gd_link *link, const struct gd_message *message, const int *fds, size_t count,
		     bool *out_full)
{
	struct gd_error error = {0};
	*out_full = false;
	if (gd_message_send(link->child.socket, message, sizeof *message, fds, count, &error))
		return true;
	*out_full = error.native == EAGAIN || error.native == ENOBUFS;
	if (!*out_full)
		gd_child_kill(&link->child);
	return false;
}

static bool wants_answer(const struct gd_message *message)
{
	return message->kind == GD_MESSAGE_LOAD || message->kind == GD_MESSAGE_CHUNK_NEW;
}

bool gd_link_send(struct gd_link *link, const struct gd_message *message, const int *fds, size_t count,
		  struct gd_error *error)
{
	bool full = link->outbox != NULL;
	if (full || !send_now(link, message, fds, count, &full)) {
		if (!full)
			return gd_error_set(error, GD_DEVICE_LOST, "Send the request again.",
					    "the worker of %s has gone", link->station->status.id);
		if (!keep(link, message, fds, count))
			return gd_error_set(error, GD_OVERLOADED, "Send the request again in a moment.",
					    "the worker of %s has too much to do already",
					    link->station->status.id);
	}
	if (wants_answer(message) && link->unanswered++ == 0)
		gd_link_expect(link);
	return true;
}

void gd_link_flush(struct gd_link *link)
{
	while (link->outbox) {
		struct gd_outgoing *first = link->outbox;
		bool full;
		if (!send_now(link, &first->message, first->fds, first->count, &full)) {
			if (!full)
				gd_link_drop_outbox(link);
			return;
		}
		link->outbox = first->next;
		link->outbox_count--;
		free_outgoing(first);
	}
	watch(link, EPOLLIN);
}

void gd_link_drop_outbox(struct gd_link *link)
{
	while (link->outbox) {
		struct gd_outgoing *first = link->outbox;
		link->outbox = first->next;
		free_outgoing(first);
	}
	link->outbox_count = 0;
}
