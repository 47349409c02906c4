#include "server/linger.h"

#include "gpu/base/clock.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void finish(struct gd_lingerer *one)
{
	gd_loop_remove(one->linger->loop, &one->source);
	gd_loop_disarm(one->linger->loop, &one->timer);
	if (one->source.fd >= 0)
		close(one->source.fd);
	one->source.fd = -1;
}

static void on_data(struct gd_source *source, uint32_t events)
{
	char nowhere[2048];
	ssize_t got = recv(source->fd, nowhere, sizeof nowhere, MSG_DONTWAIT);
	(void)events;
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		finish(gd_container(source, struct gd_lingerer, source));
}

static void on_time(struct gd_timer *timer)
{
	finish(gd_container(timer, struct gd_lingerer, timer));
}

void gd_linger_init(struct gd_linger *linger, struct gd_loop *loop)
{
	linger->loop = loop;
	for (unsigned i = 0; i < GD_LINGERERS_MAX; i++)
		linger->all[i] = (struct gd_lingerer){
		    .linger = linger, .source = {.fd = -1, .fn = on_data}, .timer = {.fn = on_time}};
}

void gd_linger_done(struct gd_linger *linger)
{
	if (!linger->loop)
		return;
	for (unsigned i = 0; i < GD_LINGERERS_MAX; i++)
		finish(&linger->all[i]);
}

void gd_linger_take(struct gd_linger *linger, int fd)
{
	shutdown(fd, SHUT_WR);
	for (unsigned i = 0; i < GD_LINGERERS_MAX; i++) {
		struct gd_lingerer *one = &linger->all[i];
		if (one->source.fd >= 0)
			continue;
		one->source.fd = fd;
		if (!gd_loop_add(linger->loop, &one->source, EPOLLIN | EPOLLRDHUP, NULL) ||
		    !gd_loop_arm(linger->loop, &one->timer, gd_now_ns() + GD_LINGER_MS * GD_NS_PER_MS))
			finish(one);
		return;
	}
	close(fd);
}
