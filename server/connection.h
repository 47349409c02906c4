/*
 * One client connection and the request that is under way on it. Internal to server/.
 *
 * Made by the acceptor, handed to a shard by mail, owned by that shard's thread from then on; freed when the
 * daemon says that the socket is closed. A connection has at most one request at a time, so the request lives
 * inside it.
 *
 * Deadlines are absolute and ours (libmicrohttpd's count inactivity only): each phase has one, and when it
 * passes the socket is shut down, which the daemon then notices like any client that left.
 *
 * A peer that sends FIN while its request waits counts as gone, as with nginx: HTTP clients do not
 * half-close, the daemon would close on the next read anyway, and a client that was killed looks exactly the
 * same.
 */
#ifndef GD_SERVER_CONNECTION_H
#define GD_SERVER_CONNECTION_H

#include "api/exchange.h"
#include "gpu/base/loop.h"
#include "server/guard.h"

#include <microhttpd.h>
#include <sys/socket.h>

struct gd_shard;

/* The deadlines and rates of config.h, in nanoseconds. Constant while shards run. */
struct gd_limits {
	uint64_t header_ns; /* for a request's head, from its connection's start or its request line */
	uint64_t body_ns;   /* window in which min_rate must be reached, either way */
	uint64_t min_rate;  /* bytes per second */
	uint64_t idle_ns;   /* between requests */
	uint64_t answer_ns; /* between a body's end and its answer: above every limit of the API */
	bool log_access;
};

enum gd_wire_phase {
	GD_WIRE_IDLE,   /* between requests */
	GD_WIRE_HEAD,   /* headers are coming */
	GD_WIRE_BODY,   /* the body is coming */
	GD_WIRE_WORK,   /* the body is in, the answer is not there */
	GD_WIRE_SEND,   /* the answer is going out */
	GD_WIRE_LINGER, /* answered early: what still comes is thrown away */
};

enum gd_step {
	GD_STEP_NONE,    /* no request */
	GD_STEP_HEAD,    /* the request line has been seen */
	GD_STEP_BEGUN,   /* the exchange exists; the daemon's first call is not over */
	GD_STEP_BODY,    /* body bytes go to the exchange */
	GD_STEP_SWALLOW, /* the exchange is done early: the short rest of the body is thrown away, then it is
			    answered */
	GD_STEP_ENDED,   /* gd_exchange_end has been called */
	GD_STEP_REPLIED, /* the daemon has the response */
	GD_STEP_CUT      /* answered past the daemon; nothing more may happen on this connection */
};

struct gd_request {
	enum gd_step step;
	char *target; /* raw, owned, kept for the next request */
	size_t target_cap;
	const char *target_at; /* in the daemon's buffer, only for gd_guard_layout */
	char method[GD_METHOD_BYTES_MAX + 1];
	struct gd_head head;
	struct gd_exchange *exchange;
	uint64_t received; /* body bytes taken */
	unsigned status;   /* of the answer; 0: none yet */
	bool awaits_continue;
};

struct gd_connection {
	struct gd_shard *shard;
	struct gd_connection *next, **previous;
	struct gd_mail mail;
	struct MHD_Connection *daemon;
	int fd; /* the daemon's from gd_connection_adopt on */
	struct sockaddr_storage peer;
	socklen_t peer_bytes;
	bool reserved; /* beyond --max-connections: only health and metrics are answered */

	struct gd_source hangup;
	struct gd_timer timer;
	enum gd_wire_phase phase;
	uint64_t deadline_ns;
	uint64_t window_bytes; /* of the phase at the window's start */
	bool window_open;      /* window_bytes is known */
	bool window_paused;    /* we made the peer wait in this window */

	bool suspended; /* in the daemon */
	bool inside;    /* a call into the exchange is on the stack */
	bool peer_gone; /* FIN or worse has been seen */
	struct gd_connection *next_gone,
	    **previous_gone; /* in shard->gone, to be looked at when the daemon is at rest */
	bool ending;         /* shut down by us */
	struct gd_request request;
};

/* Any thread: a connection for an accepted socket; NULL without memory. The caller then posts it to a shard.
 */
struct gd_connection *gd_connection_new(int fd, const struct sockaddr *peer, socklen_t peer_bytes,
					bool reserved);

/* ---- the shard's thread ---- */

/* Join the shard: called when the daemon has taken the socket. */
void gd_connection_adopt(struct gd_connection *connection, struct MHD_Connection *daemon);
/* The daemon has let go of the socket, or never took it. */
void gd_connection_free(struct gd_connection *connection);

/* Enter a phase that ends `span_ns` from now. */
void gd_connection_enter(struct gd_connection *connection, enum gd_wire_phase phase, uint64_t span_ns);

/* Stop the daemon from looking at it. Only from the daemon's callbacks. */
void gd_connection_suspend(struct gd_connection *connection);
/* Have the daemon look at it again; a connection that is not suspended is a no-op. */
void gd_connection_resume(struct gd_connection *connection);
/* Shut the socket down; the daemon ends the request and closes it at its next turn. */
void gd_connection_end(struct gd_connection *connection);

/*
 * The daemon is at rest: it has read all there was. End a connection whose peer is gone and whose request can
 * never be complete. (Edge-triggered, the daemon reads data that came together with a FIN and never looks
 * again.)
 */
void gd_connection_settle_gone(struct gd_connection *connection);

struct gd_connection *gd_connection_of(struct MHD_Connection *daemon);

/* ---- the request, request.c ---- */

/* The daemon's callbacks; `shard` is their closure. */
void *gd_request_line(void *shard, const char *target, struct MHD_Connection *daemon);
enum MHD_Result gd_request_handle(void *shard, struct MHD_Connection *daemon, const char *url,
				  const char *method, const char *version, const char *data, size_t *bytes,
				  void **state);
void gd_request_completed(void *shard, struct MHD_Connection *daemon, void **state,
			  enum MHD_RequestTerminationCode why);
/*
 * The daemon refuses what it cannot parse (see refusals.h): say it in our form before it can say it in its
 * own. Its page then finds the socket shut, and it closes.
 */
void gd_request_refused(struct gd_connection *connection, unsigned status);
/* The body came too slowly: answer 408 and cut the connection off. */
void gd_request_too_slow(struct gd_connection *connection);

/* ---- the answer, reply.c ---- */

/* Hand the exchange's response to the daemon. False: the connection must be closed. */
bool gd_reply_queue(struct gd_connection *connection);
/*
 * Answer while the body is still coming, which the daemon cannot do: write the response to the socket
 * ourselves, end our direction, and let what still comes be thrown away for a while, so that the client reads
 * the answer before it sees a reset. The daemon closes when the body or the time is over.
 */
void gd_reply_cut(struct gd_connection *connection);

/*
 * Write a response to the socket ourselves, in one try. The socket's buffer is empty but for a "100
 * Continue", and refusals are small. False when it did not go out whole, or has a pulled body.
 */
bool gd_reply_write(const struct gd_connection *connection, struct gd_exchange *exchange);

#endif
