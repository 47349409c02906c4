#include "server/acceptor.h"

#include "gpu/base/clock.h"
#include "server/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { ACCEPTS_AT_ONCE = 64, STACK_BYTES = 256 << 10 };

enum { REFUSAL_BYTES = 1024 };

/* api/problem.h's form, for a client that no shard will see. */
static const char refusal_head[] =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    "Server: gpudispatchd\r\nX-Request-ID: %s\r\nServer-Timing: total;dur=0\r\n"
    "Retry-After: 1\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s";
static const char refusal_body[] =
    "{\"type\":\"urn:gpudispatch:problem:overloaded\",\"title\":\"Overloaded\",\"status\":503,\"detail\":"
    "\"there are "
    "too many connections. Fix: try again after Retry-After "
    "seconds\",\"instance\":\"%s\",\"code\":\"overloaded\","
    "\"number\":1013,\"fix\":\"try again after Retry-After seconds\",\"stage\":\"server\",\"retryable\":true,"
    "\"errors\":[],\"diagnostics\":[],\"log\":\"\",\"cuda\":null,\"error\":\"there are too many connections. "
    "Fix: try "
    "again after Retry-After seconds\"}\n";

struct door {
	struct gd_acceptor *acceptor;
	struct gd_source source;
};

struct gd_acceptor {
	struct gd_loop *loop;
	struct gd_listener listeners[GD_LISTENERS_MAX];
	struct door doors[GD_LISTENERS_MAX];
	size_t count;
	struct gd_shard *const *shards;
	uint32_t shard_count, turn;
	uint64_t connections_max;
	struct gd_server_facts *facts;
	struct gd_linger linger; /* refused clients, until they have read why */
	struct gd_id_pool ids;
	struct gd_timer pause;
	int spare_fd; /* given up to refuse a client when descriptors have run out */
	pthread_t thread;
	bool started, stopping;
	struct gd_mail stop;
};

static void on_door(struct gd_source *source, uint32_t events);
static void on_pause_over(struct gd_timer *timer);
static void on_stop(struct gd_mail *mail);

static bool send_refusal(struct gd_acceptor *acceptor, int fd)
{
	char id[GD_REQUEST_ID_MAX + 1], body[REFUSAL_BYTES], answer[2 * REFUSAL_BYTES];
	gd_request_id_make(&acceptor->ids, id);
	int body_bytes = snprintf(body, sizeof body, refusal_body, id);
	int bytes = snprintf(answer, sizeof answer, refusal_head, id, (size_t)body_bytes, body);
	return send(fd, answer, (size_t)bytes, MSG_DONTWAIT | MSG_NOSIGNAL) == bytes;
}

static void refuse(struct gd_acceptor *acceptor, int fd)
{
	gd_log(GD_LOG_WARN, "connection refused: too many connections");
	if (send_refusal(acceptor, fd))
		gd_linger_take(&acceptor->linger, fd);
	else
		close(fd);
}

static struct gd_shard *least_loaded(struct gd_acceptor *acceptor)
{
	struct gd_shard *best = NULL;
	uint32_t best_load = 0;
	for (uint32_t i = 0; i < acceptor->shard_count; i++) {
		struct gd_shard *shard = acceptor->shards[(acceptor->turn + i) % acceptor->shard_count];
		uint32_t load = atomic_load_explicit(&shard->load, memory_order_relaxed);
		if (!best || load < best_load) {
			best = shard;
			best_load = load;
		}
	}
	acceptor->turn++;
	return best;
}

static void give(struct gd_acceptor *acceptor, int fd, const struct sockaddr_storage *peer,
		 socklen_t peer_bytes)
{
	uint64_t now = atomic_load(&acceptor->facts->connections);
	int on = 1;
	if (now >= acceptor->connections_max + GD_RESERVE_CONNECTIONS) {
		refuse(acceptor, fd);
		return;
	}
	struct gd_connection *connection =
	    gd_connection_new(fd, (const void *)peer, peer_bytes, now >= acceptor->connections_max);
	if (!connection) {
		refuse(acceptor, fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	atomic_fetch_add(&acceptor->facts->connections, 1);
	gd_shard_take(least_loaded(acceptor), connection);
}

static void watch(struct gd_acceptor *acceptor, bool on)
{
	for (size_t i = 0; i < acceptor->count; i++) {
		struct gd_source *source = &acceptor->doors[i].source;
		gd_loop_remove(acceptor->loop, source);
		if (on && !gd_loop_add(acceptor->loop, source, EPOLLIN, NULL))
			gd_log(GD_LOG_ERROR, "cannot watch a listener");
	}
}

/* No descriptor is left: refuse one client with the spare one, then let some time pass. */
static void out_of_descriptors(struct gd_acceptor *acceptor, int listener_fd)
{
	if (acceptor->spare_fd >= 0)
		close(acceptor->spare_fd);
	int fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		send_refusal(acceptor, fd);
		close(fd);
	}
	acceptor->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	watch(acceptor, false);
	if (!gd_loop_arm(acceptor->loop, &acceptor->pause, gd_now_ns() + GD_ACCEPT_PAUSE_MS * GD_NS_PER_MS))
		watch(acceptor, true);
}

static void on_door(struct gd_source *source, uint32_t events)
{
	struct door *door = gd_container(source, struct door, source);
	(void)events;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		struct sockaddr_storage peer;
		socklen_t bytes = sizeof peer;
		int fd = accept4(source->fd, (void *)&peer, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			give(door->acceptor, fd, &peer, bytes);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			gd_log(GD_LOG_ERROR, "cannot accept a connection",
			       gd_log_text("reason", strerror(errno)));
			out_of_descriptors(door->acceptor, source->fd);
			return;
		}
		if (errno == EAGAIN)
			return;
		/* the others are troubles of that one connection (accept(2)): go on */
	}
}

static void on_pause_over(struct gd_timer *timer)
{
	watch(gd_container(timer, struct gd_acceptor, pause), true);
}

static void on_stop(struct gd_mail *mail)
{
	gd_container(mail, struct gd_acceptor, stop)->stopping = true;
}

bool gd_acceptor_new(struct gd_listener *listeners, size_t listener_count, struct gd_shard *const *shards,
		     uint32_t shard_count, uint64_t connections_max, struct gd_server_facts *facts,
		     struct gd_acceptor **out_acceptor, struct gd_error *error)
{
	struct gd_acceptor *acceptor = calloc(1, sizeof *acceptor);
	if (!acceptor)
		gd_error_errno(error, ENOMEM, "cannot make the acceptor");
	if (!acceptor || !gd_loop_new(&acceptor->loop, error)) {
		free(acceptor);
		gd_listeners_close(listeners, listener_count);
		return false;
	}
	memcpy(acceptor->listeners, listeners, listener_count * sizeof *listeners);
	acceptor->count = listener_count;
	for (size_t i = 0; i < listener_count; i++) {
		acceptor->doors[i].acceptor = acceptor;
		acceptor->doors[i].source = (struct gd_source){.fd = listeners[i].fd, .fn = on_door};
		listeners[i].fd = -1;
	}
	gd_linger_init(&acceptor->linger, acceptor->loop);
	acceptor->shards = shards;
	acceptor->shard_count = shard_count;
	acceptor->connections_max = connections_max;
	acceptor->facts = facts;
	acceptor->pause.fn = on_pause_over;
	acceptor->stop.fn = on_stop;
	acceptor->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	*out_acceptor = acceptor;
	return true;
}

static void *run(void *closure)
{
	struct gd_acceptor *acceptor = closure;
	prctl(PR_SET_NAME, "acceptor");
	watch(acceptor, true);
	while (!acceptor->stopping)
		gd_loop_run(acceptor->loop, 1000);
	watch(acceptor, false);
	gd_listeners_close(acceptor->listeners, acceptor->count);
	gd_linger_done(&acceptor->linger);
	return NULL;
}

bool gd_acceptor_start(struct gd_acceptor *acceptor, struct gd_error *error)
{
	pthread_attr_t attributes;
	int failed = pthread_attr_init(&attributes);
	if (!failed) {
		pthread_attr_setstacksize(&attributes, STACK_BYTES);
		failed = pthread_create(&acceptor->thread, &attributes, run, acceptor);
		pthread_attr_destroy(&attributes);
	}
	if (failed)
		return gd_error_errno(error, failed, "cannot start the acceptor's thread");
	acceptor->started = true;
	return true;
}

void gd_acceptor_stop(struct gd_acceptor *acceptor)
{
	if (!acceptor->started)
		return;
	gd_loop_post(acceptor->loop, &acceptor->stop);
	pthread_join(acceptor->thread, NULL);
	acceptor->started = false;
}

void gd_acceptor_free(struct gd_acceptor *acceptor)
{
	if (!acceptor)
		return;
	gd_listeners_close(acceptor->listeners, acceptor->count);
	if (acceptor->spare_fd >= 0)
		close(acceptor->spare_fd);
	gd_loop_free(acceptor->loop);
	free(acceptor);
}
