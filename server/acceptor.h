/*
 * The acceptor: one thread that takes connections from all listeners and gives each to the least loaded
 * shard.
 *
 * libmicrohttpd lets new clients hang without an answer once its limit is reached, so accepting is ours:
 * beyond
 * --max-connections a small reserve is still served (health and metrics only, see connection.h), and beyond
 * that a client gets a static 503 and is let go after it has read it.
 *
 * It owns the listeners from gd_acceptor_new on. new, start, stop and free are the supervisor's.
 */
#ifndef GD_SERVER_ACCEPTOR_H
#define GD_SERVER_ACCEPTOR_H

#include "server/address.h"
#include "server/shard.h"

enum {
	GD_RESERVE_CONNECTIONS = 16,
	GD_SHED_MAX =
	    256, /* refused clients that are being let go at the same time; more are closed at once */
	GD_SHED_MS = 1000,       /* how long one may take to read its 503 */
	GD_ACCEPT_PAUSE_MS = 50, /* after accept failed for want of descriptors or memory */
};

struct gd_acceptor;

/* The listeners are moved in, also when it fails. `shards` stay alive until it is stopped. */
bool gd_acceptor_new(struct gd_listener *listeners, size_t listener_count, struct gd_shard *const *shards,
		     uint32_t shard_count, uint64_t connections_max, struct gd_server_facts *facts,
		     struct gd_acceptor **out_acceptor, struct gd_error *error);
/* Start its thread. Fails: GD_INTERNAL_STATE. */
bool gd_acceptor_start(struct gd_acceptor *acceptor, struct gd_error *error);
/* Close the listeners and end the thread; no shard is given anything after it has returned. Waits some
 * milliseconds. */
void gd_acceptor_stop(struct gd_acceptor *acceptor);
/* Stopped or never started. NULL is a no-op. */
void gd_acceptor_free(struct gd_acceptor *acceptor);

#endif
