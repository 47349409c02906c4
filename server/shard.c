#include "server/shard.h"

#include "gpu/base/clock.h"
#include "server/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
	WAIT_MS = 1000,
	CONNECTIONS_MAX = 1 << 24, /* ours is --max-connections; the daemon's own limit must never be met */
	STACK_BYTES = 1 << 20,
};

static void on_daemon(struct gd_source *source, uint32_t events)
{
	struct gd_shard *shard = gd_container(source, struct gd_shard, daemon_source);
	(void)events;
	shard->daemon_ready = true;
}

/* Take the connection with this socket out of those that the daemon was given and has not told of; NULL:
 * none. */
static struct gd_connection *take_added(struct gd_shard *shard, int fd)
{
	for (struct gd_connection **at = &shard->adding; *at; at = &(*at)->next) {
		struct gd_connection *connection = *at;
		if (connection->fd == fd) {
			*at = connection->next;
			connection->next = NULL;
			return connection;
		}
	}
	return NULL;
}

static void on_connection(void *closure, struct MHD_Connection *daemon, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct gd_shard *shard = closure;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		int fd = MHD_get_connection_info(daemon, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		struct gd_connection *connection = take_added(shard, fd);
		*context = connection;
		if (connection)
			gd_connection_adopt(connection, daemon);
	} else if (*context) {
		gd_connection_free(*context);
		*context = NULL;
	}
}

static void on_daemon_log(void *closure, const char *format, va_list args)
{
	char text[256];
	(void)closure;
	if (!gd_log_wants(GD_LOG_DEBUG))
		return;
	vsnprintf(text, sizeof text, format, args);
	text[strcspn(text, "\n")] = '\0';
	gd_log(GD_LOG_DEBUG, "http", gd_log_text("detail", text));
}

static void on_panic(void *closure, const char *file, unsigned line, const char *reason)
{
	(void)closure;
	(void)file;
	gd_log(GD_LOG_ERROR, "the HTTP library found itself broken", gd_log_text("detail", reason),
	       gd_log_number("line", line));
	abort();
}

/* Versions whose parser gd_guard_layout knows. */
static bool has_known_layout(void)
{
	return strcmp(MHD_get_version(), "0.9.72") >= 0 && strcmp(MHD_get_version(), "0.9.77") <= 0;
}

static struct MHD_Daemon *start_daemon(struct gd_shard *shard)
{
	unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
	if (gd_log_wants(GD_LOG_DEBUG))
		flags |= MHD_USE_ERROR_LOG;
	MHD_set_panic_func(on_panic, NULL);
	/*
	 * 0.9: STRICT_FOR_CLIENT stays 0, since at 1 the daemon refuses a missing Host and blanks in the
	 * target without a word that we could hear; the guard refuses the same and more. 1.0: level 1 is what
	 * RFC 9112 lets a server refuse (bare line feeds, folded lines), and the guard cannot see those
	 * there.
	 */
#if MHD_VERSION >= 0x00097701
	enum MHD_OPTION strictness = MHD_OPTION_CLIENT_DISCIPLINE_LVL;
	int level = 1;
#else
	enum MHD_OPTION strictness = MHD_OPTION_STRICT_FOR_CLIENT;
	int level = 0;
#endif
	return MHD_start_daemon(flags, 0, NULL, NULL, gd_request_handle, shard, MHD_OPTION_EXTERNAL_LOGGER,
				on_daemon_log, NULL, strictness, level, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				(size_t)GD_CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT,
				(unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
				MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_URI_LOG_CALLBACK,
				gd_request_line, shard, MHD_OPTION_NOTIFY_COMPLETED, gd_request_completed,
				shard, MHD_OPTION_NOTIFY_CONNECTION, on_connection, shard, MHD_OPTION_END);
}

bool gd_shard_new(uint32_t index, const struct gd_limits *limits, struct gd_server_facts *facts,
		  struct gd_shard **out_shard, struct gd_error *error)
{
	struct gd_shard *shard = calloc(1, sizeof *shard);
	if (!shard)
		return gd_error_errno(error, ENOMEM, "cannot make a shard");
	shard->index = index;
	shard->limits = limits;
	shard->facts = facts;
	shard->checks_layout = has_known_layout();
	shard->daemon_source = (struct gd_source){.fd = -1, .fn = on_daemon};
	if (!gd_loop_new(&shard->loop, error)) {
		gd_shard_free(shard);
		return false;
	}
	gd_linger_init(&shard->linger, shard->loop);
	shard->daemon = start_daemon(shard);
	const union MHD_DaemonInfo *info =
	    shard->daemon ? MHD_get_daemon_info(shard->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		gd_shard_free(shard);
		return gd_error_errno(error, errno, "cannot start the HTTP library");
	}
	shard->daemon_source.fd = info->epoll_fd;
	if (!gd_loop_add(shard->loop, &shard->daemon_source, EPOLLIN, error)) {
		gd_shard_free(shard);
		return false;
	}
	*out_shard = shard;
	return true;
}

void gd_shard_free(struct gd_shard *shard)
{
	if (!shard)
		return;
	if (shard->daemon)
		MHD_stop_daemon(shard->daemon);
	gd_linger_done(&shard->linger);
	gd_loop_free(shard->loop);
	free(shard);
}

static void end_connections(struct gd_shard *shard)
{
	for (struct gd_connection *connection = shard->connections; connection; connection = connection->next)
		gd_connection_end(connection);
}

static void on_stop(struct gd_mail *mail)
{
	struct gd_shard *shard = gd_container(mail, struct gd_shard, stop);
	shard->stopping = true;
}

static bool has_pending(const struct gd_shard *shard)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;
	return MHD_get_timeout(shard->daemon, &timeout_ms) == MHD_YES && timeout_ms == 0;
}

static void settle_gone(struct gd_shard *shard)
{
	for (struct gd_connection *next, *connection = shard->gone; connection; connection = next) {
		next = connection->next_gone;
		gd_connection_settle_gone(connection);
	}
}

static void *run(void *closure)
{
	struct gd_shard *shard = closure;
	char name[16];
	snprintf(name, sizeof name, "shard-%u", shard->index);
	prctl(PR_SET_NAME, name);
	while (!shard->stopping) {
		gd_loop_run(shard->loop, shard->daemon_ready ? 0 : WAIT_MS);
		if (!shard->daemon_ready)
			continue;
		shard->daemon_ready = false;
		MHD_run(shard->daemon);
		if (has_pending(shard))
			shard->daemon_ready = true;
		else if (shard->gone)
			settle_gone(shard);
	}
	end_connections(shard);
	gd_loop_remove(shard->loop, &shard->daemon_source);
	MHD_stop_daemon(shard->daemon);
	shard->daemon = NULL;
	while (shard->adding)
		gd_connection_free(take_added(shard, shard->adding->fd));
	/* connections that were handed over and not taken are still in the mail */
	gd_loop_run(shard->loop, 0);
	gd_loop_post(shard->owner, &shard->ended);
	return NULL;
}

bool gd_shard_start(struct gd_shard *shard, struct gd_loop *owner, void (*ended)(struct gd_mail *mail),
		    struct gd_error *error)
{
	pthread_attr_t attributes;
	shard->owner = owner;
	shard->ended.fn = ended;
	shard->stop.fn = on_stop;
	int failed = pthread_attr_init(&attributes);
	if (!failed) {
		pthread_attr_setstacksize(&attributes, STACK_BYTES);
		failed = pthread_create(&shard->thread, &attributes, run, shard);
		pthread_attr_destroy(&attributes);
	}
	if (failed)
		return gd_error_errno(error, failed, "cannot start a shard's thread");
	shard->started = true;
	return true;
}

static void on_take(struct gd_mail *mail)
{
	struct gd_connection *connection = gd_container(mail, struct gd_connection, mail);
	struct gd_shard *shard = connection->shard;
	if (!shard->daemon || shard->stopping) {
		close(connection->fd);
		gd_connection_free(connection);
		return;
	}
	/* one that the daemon has let go of without a word (no memory) was closed: its number has come again
	 */
	struct gd_connection *stale = take_added(shard, connection->fd);
	if (stale)
		gd_connection_free(stale);
	connection->next = shard->adding;
	shard->adding = connection;
	shard->daemon_ready = true;
	int fd = connection->fd;
	/* 0.9.75 tells of the start within this call, 1.0 at its next turn; when it fails the socket is
	 * closed */
	if (MHD_add_connection(shard->daemon, fd, (struct sockaddr *)&connection->peer,
			       connection->peer_bytes) == MHD_YES)
		return;
	connection = take_added(shard, fd);
	if (connection)
		gd_connection_free(connection);
}

void gd_shard_take(struct gd_shard *shard, struct gd_connection *connection)
{
	connection->shard = shard;
	connection->mail.fn = on_take;
	atomic_fetch_add(&shard->load, 1);
	gd_loop_post(shard->loop, &connection->mail);
}

void gd_shard_stop(struct gd_shard *shard)
{
	if (!atomic_exchange(&shard->stop_posted, true))
		gd_loop_post(shard->loop, &shard->stop);
}
