/*
 * A shard: one thread, one libmicrohttpd daemon, one gd_loop that watches the daemon's epoll descriptor among
 * others.
 *
 * Made, started and freed by the supervisor; everything else happens on the shard's thread, except
 * gd_shard_take and gd_shard_stop, which any thread may call, and the two counters. The daemon runs in
 * external mode: it is driven right after the loop has delivered its events, never from inside a callback, so
 * a connection is never freed under one.
 *
 * Lifetime: new (loop) → the supervisor sets lane and api_lane → start → take… → stop → `ended` is called on
 * the supervisor's loop → join → the lanes are freed → free.
 */
#ifndef GD_SERVER_SHARD_H
#define GD_SERVER_SHARD_H

#include "api/api.h"
#include "gpu/base/loop.h"
#include "server/connection.h"
#include "server/linger.h"
#include "server/request_id.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	GD_CONNECTION_MEMORY =
	    128 << 10,             /* the daemon's pool per connection: head, and half of it as read buffer */
	GD_PULL_BYTES = 128 << 10, /* read at a time from a response that is pulled */
	GD_SWALLOW_MAX = 256 << 10, /* rest of a refused body that is read to keep the connection */
};

struct gd_shard {
	uint32_t index;
	struct gd_loop *loop;
	struct gd_lane *lane;
	struct gd_api_lane *api_lane;
	const struct gd_limits *limits;
	struct gd_server_facts *facts;

	struct MHD_Daemon *daemon;
	struct gd_source daemon_source;
	bool daemon_ready; /* has events, or a connection was resumed */
	struct gd_connection *connections;
	struct gd_connection *adding; /* given to the daemon, which has not told of them yet */
	struct gd_connection *gone;   /* whose peer has left */

	_Atomic uint32_t load;     /* connections given to this shard and not closed */
	_Atomic uint32_t requests; /* under way */

	bool stopping;
	_Atomic bool stop_posted;
	struct gd_mail stop;
	pthread_t thread;
	bool started;
	struct gd_loop *owner; /* the supervisor's */
	void *supervisor;      /* for `ended` */
	struct gd_mail ended;

	bool checks_layout; /* the daemon is of a version that gd_guard_layout knows */
	struct gd_id_pool ids;
	struct gd_linger linger;
	struct gd_guard_header headers[GD_HEADERS_MAX_COUNT + 1]; /* of the request being judged */
};

/* Make the loop and the daemon. `limits` and `facts` stay alive. Fails: GD_INTERNAL_STATE. */
bool gd_shard_new(uint32_t index, const struct gd_limits *limits, struct gd_server_facts *facts,
		  struct gd_shard **out_shard, struct gd_error *error);
/* Joined, or never started. NULL is a no-op. */
void gd_shard_free(struct gd_shard *shard);

/* Start the thread. ended->fn runs on `owner` when it is over. Fails: GD_INTERNAL_STATE. */
bool gd_shard_start(struct gd_shard *shard, struct gd_loop *owner, void (*ended)(struct gd_mail *mail),
		    struct gd_error *error);

/* Any thread: give it an accepted connection, which it owns from now on. */
void gd_shard_take(struct gd_shard *shard, struct gd_connection *connection);
/* Any thread, once: end all connections and the thread. */
void gd_shard_stop(struct gd_shard *shard);

#endif
