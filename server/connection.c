#include "server/connection.h"

#include "gpu/base/clock.h"
#include "server/log.h"
#include "server/shard.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void expire(struct gd_timer *timer);
static void on_hangup(struct gd_source *source, uint32_t events);

struct gd_connection *gd_connection_new(int fd, const struct sockaddr *peer, socklen_t peer_bytes,
					bool reserved)
{
	struct gd_connection *connection = calloc(1, sizeof *connection);
	if (!connection)
		return NULL;
	connection->fd = fd;
	connection->reserved = reserved;
	if (peer_bytes > sizeof connection->peer)
		peer_bytes = sizeof connection->peer;
	memcpy(&connection->peer, peer, peer_bytes);
	connection->peer_bytes = peer_bytes;
	connection->hangup = (struct gd_source){.fd = fd, .fn = on_hangup};
	connection->timer.fn = expire;
	return connection;
}

void gd_connection_adopt(struct gd_connection *connection, struct MHD_Connection *daemon)
{
	struct gd_shard *shard = connection->shard;
	connection->daemon = daemon;
	connection->next = shard->connections;
	connection->previous = &shard->connections;
	if (connection->next)
		connection->next->previous = &connection->next;
	shard->connections = connection;
	/* Edge-triggered and for the hang-up alone: data that comes and goes wakes nobody here. */
	bool is_watched = gd_loop_add(shard->loop, &connection->hangup, EPOLLRDHUP | EPOLLET, NULL);
	gd_connection_enter(connection, GD_WIRE_HEAD, shard->limits->header_ns);
	if (!is_watched)
		gd_connection_end(connection);
}

static void list_gone(struct gd_connection *connection)
{
	struct gd_shard *shard = connection->shard;
	if (connection->previous_gone)
		return;
	connection->next_gone = shard->gone;
	connection->previous_gone = &shard->gone;
	if (connection->next_gone)
		connection->next_gone->previous_gone = &connection->next_gone;
	shard->gone = connection;
}

static void unlist_gone(struct gd_connection *connection)
{
	if (!connection->previous_gone)
		return;
	*connection->previous_gone = connection->next_gone;
	if (connection->next_gone)
		connection->next_gone->previous_gone = connection->previous_gone;
	connection->previous_gone = NULL;
}

void gd_connection_free(struct gd_connection *connection)
{
	struct gd_shard *shard = connection->shard;
	unlist_gone(connection);
	if (connection->previous) {
		*connection->previous = connection->next;
		if (connection->next)
			connection->next->previous = connection->previous;
	}
	gd_loop_remove(shard->loop, &connection->hangup);
	gd_loop_disarm(shard->loop, &connection->timer);
	atomic_fetch_sub(&shard->load, 1);
	atomic_fetch_sub(&shard->facts->connections, 1);
	free(connection->request.target);
	free(connection);
}

struct gd_connection *gd_connection_of(struct MHD_Connection *daemon)
{
	return MHD_get_connection_info(daemon, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* The timer is moved only to an earlier time; expire() sets it again when it fires before the deadline. */
static void arm(struct gd_connection *connection)
{
	struct gd_timer *timer = &connection->timer;
	if (timer->place && timer->at_ns <= connection->deadline_ns)
		return;
	if (!gd_loop_arm(connection->shard->loop, timer, connection->deadline_ns))
		gd_connection_end(connection); /* no memory for its deadline: it may not live without one */
}

void gd_connection_enter(struct gd_connection *connection, enum gd_wire_phase phase, uint64_t span_ns)
{
	connection->phase = phase;
	connection->deadline_ns = gd_now_ns() + span_ns;
	connection->window_bytes = 0;
	connection->window_open = phase == GD_WIRE_BODY;
	connection->window_paused = false;
	arm(connection);
	if (connection->peer_gone)
		list_gone(connection);
}

void gd_connection_suspend(struct gd_connection *connection)
{
	if (connection->suspended)
		return;
	connection->suspended = true;
	connection->window_paused = true;
	MHD_suspend_connection(connection->daemon);
	if (connection->peer_gone || connection->ending)
		gd_connection_end(connection);
}

void gd_connection_resume(struct gd_connection *connection)
{
	if (!connection->suspended)
		return;
	connection->suspended = false;
	connection->shard->daemon_ready = true;
	MHD_resume_connection(connection->daemon);
}

void gd_connection_end(struct gd_connection *connection)
{
	if (!connection->ending)
		shutdown(connection->fd, SHUT_RDWR);
	connection->ending = true;
	gd_connection_resume(connection);
}

static void on_hangup(struct gd_source *source, uint32_t events)
{
	struct gd_connection *connection = gd_container(source, struct gd_connection, hangup);
	(void)events;
	connection->peer_gone = true;
	if (connection->suspended)
		gd_connection_end(connection);
	else
		list_gone(connection);
	connection->shard->daemon_ready = true;
}

void gd_connection_settle_gone(struct gd_connection *connection)
{
	int unread = 0;
	bool is_answering = connection->phase == GD_WIRE_SEND || connection->phase == GD_WIRE_WORK;
	if (!is_answering && ioctl(connection->fd, FIONREAD, &unread) == 0 && unread > 0)
		return; /* the daemon will be told of it */
	unlist_gone(connection);
	if (!is_answering)
		gd_connection_end(connection);
}

/* Bytes that the peer has acknowledged since the connection began; -1 when the system cannot tell. */
static int64_t acknowledged(const struct gd_connection *connection)
{
	struct tcp_info info = {0};
	socklen_t bytes = sizeof info;
	if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) < 0 ||
	    bytes < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked)
		return -1;
	return (int64_t)info.tcpi_bytes_acked;
}

/* Is the exchange the one that takes its time? The daemon is suspended only once it has bytes that are not
 * taken. */
static bool is_waiting_for_us(const struct gd_connection *connection)
{
	const struct gd_exchange *exchange = connection->request.exchange;
	return connection->suspended || (connection->phase == GD_WIRE_BODY && exchange &&
					 gd_exchange_state(exchange) == GD_EXCHANGE_WAITING);
}

/* Did the peer send (BODY) or take (SEND) enough in this window? Opens the next one. */
static bool fast_enough(struct gd_connection *connection)
{
	const struct gd_limits *limits = connection->shard->limits;
	int64_t bytes = connection->phase == GD_WIRE_BODY ? (int64_t)connection->request.received
							  : acknowledged(connection);
	uint64_t needed = limits->min_rate * (limits->body_ns / GD_NS_PER_MS) / 1000;
	bool enough = !connection->window_open || connection->window_paused ||
		      is_waiting_for_us(connection) ||
		      (bytes >= 0 && (uint64_t)bytes - connection->window_bytes >= needed);
	connection->window_bytes = bytes < 0 ? 0 : (uint64_t)bytes;
	connection->window_open = bytes >= 0;
	connection->window_paused = is_waiting_for_us(connection);
	connection->deadline_ns = gd_now_ns() + limits->body_ns;
	return enough;
}

static const char *const phase_names[] = {
    [GD_WIRE_IDLE] = "idle", [GD_WIRE_HEAD] = "header", [GD_WIRE_BODY] = "body",
    [GD_WIRE_WORK] = "work", [GD_WIRE_SEND] = "send",   [GD_WIRE_LINGER] = "linger"};

static void expire(struct gd_timer *timer)
{
	struct gd_connection *connection = gd_container(timer, struct gd_connection, timer);
	if (connection->ending)
		return;
	bool is_flow = connection->phase == GD_WIRE_BODY || connection->phase == GD_WIRE_SEND;
	if (gd_now_ns() < connection->deadline_ns || (is_flow && fast_enough(connection))) {
		arm(connection);
		return;
	}
	enum gd_log_level level = connection->phase == GD_WIRE_WORK ? GD_LOG_ERROR : GD_LOG_DEBUG;
	gd_log(level, "connection ended by its deadline",
	       gd_log_text("phase", phase_names[connection->phase]),
	       gd_log_text("request_id", connection->request.head.request_id));
	if (connection->phase == GD_WIRE_BODY)
		gd_request_too_slow(connection);
	else
		gd_connection_end(connection);
}
