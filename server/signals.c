#include "server/signals.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct gd_signals {
	struct gd_loop *loop;
	struct gd_source source;
	void (*fn)(void *context, int signal);
	void *context;
};

static sigset_t watched(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	return set;
}

void gd_signals_block(void)
{
	sigset_t set = watched();
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* a log that has reached its limit is a failed write, no reason to end */
	signal(SIGXFSZ, SIG_IGN);
	/* inherited as ignored, children would be reaped before the engine has learnt how they ended */
	signal(SIGCHLD, SIG_DFL);
}

static void on_signal(struct gd_source *source, uint32_t events)
{
	struct gd_signals *signals = gd_container(source, struct gd_signals, source);
	struct signalfd_siginfo info;
	(void)events;
	while (read(source->fd, &info, sizeof info) == (ssize_t)sizeof info)
		signals->fn(signals->context, (int)info.ssi_signo);
}

bool gd_signals_new(struct gd_loop *loop, void (*fn)(void *context, int signal), void *context,
		    struct gd_signals **out_signals, struct gd_error *error)
{
	struct gd_signals *signals = calloc(1, sizeof *signals);
	if (!signals)
		return gd_error_errno(error, ENOMEM, "cannot watch signals");
	sigset_t set = watched();
	*signals = (struct gd_signals){.loop = loop, .fn = fn, .context = context};
	signals->source =
	    (struct gd_source){.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), .fn = on_signal};
	if (signals->source.fd < 0) {
		gd_error_errno(error, errno, "cannot watch signals");
		gd_signals_free(signals);
		return false;
	}
	if (!gd_loop_add(loop, &signals->source, EPOLLIN, error)) {
		gd_signals_free(signals);
		return false;
	}
	*out_signals = signals;
	return true;
}

void gd_signals_free(struct gd_signals *signals)
{
	if (!signals)
		return;
	gd_loop_remove(signals->loop, &signals->source);
	if (signals->source.fd >= 0)
		close(signals->source.fd);
	free(signals);
}
