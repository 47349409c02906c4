/*
 * One HTTP exchange as the API sees it: a head, a body that arrives in pieces, one response. Knows nothing of
 * sockets.
 *
 * The server makes an exchange when the headers are in, feeds it the body, and sends the response when there
 * is one. Everything happens on the shard's thread. What takes time leaves the exchange waiting; head->wake
 * tells the server when it may go on. The server owns the exchange and frees it in any state (a client that
 * went away); work under way is cancelled then.
 */
#ifndef GD_API_EXCHANGE_H
#define GD_API_EXCHANGE_H

#include "gpu/base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct gd_api;
struct gd_api_lane; /* the API's part of a shard */
struct gd_exchange;

#define GD_REQUEST_ID_MAX 128 /* characters of an X-Request-ID that is echoed */

/* The request line and headers. All pointers stay valid until gd_exchange_free. */
struct gd_head {
	const char *method; /* "GET" … as sent */
	const char *target; /* raw request target: path, and query if any, undecoded */
	int64_t body_bytes; /* Content-Length, 0 without a body, -1 when chunked */
	const char *(*header)(void *owner,
			      const char *name); /* first value, case-insensitive name; NULL when absent */
	void *owner;
	void (*wake)(void *owner); /* on the shard's thread: look at gd_exchange_state again */
	char request_id[GD_REQUEST_ID_MAX +
			1]; /* chosen by the server: the client's when valid, else a new one */
	uint64_t started_ns;
};

enum gd_exchange_state {
	GD_EXCHANGE_BODY,    /* takes body bytes */
	GD_EXCHANGE_WAITING, /* takes nothing now; wake follows */
	GD_EXCHANGE_DONE     /* the response is there (also before the body's end: an early refusal) */
};

/* Begin. Never fails: without memory the exchange is DONE with a static 503. */
struct gd_exchange *gd_exchange_new(struct gd_api_lane *lane, const struct gd_head *head);
void gd_exchange_free(struct gd_exchange *exchange);
enum gd_exchange_state gd_exchange_state(const struct gd_exchange *exchange);

/* Body bytes as they come; returns how many were taken (fewer: WAITING now, offer the rest after wake). */
size_t gd_exchange_body(struct gd_exchange *exchange, const void *data, size_t bytes);
/* The body is complete (called once, also without a body). */
void gd_exchange_end(struct gd_exchange *exchange);

/* ---- the response ---- */

enum { GD_HEADERS_MAX = 16, GD_PIECES_MAX = 4 };

struct gd_piece {
	const void *data;
	size_t bytes;
};

struct gd_response {
	unsigned status;
	unsigned header_count;
	struct {
		const char *name; /* static */
		const char *value;
	} headers[GD_HEADERS_MAX]; /* Content-Length, Connection, Date, X-Request-ID, Server-Timing are the
				      server's */
	/* Body: pieces back to back … */
	unsigned piece_count;
	struct gd_piece pieces[GD_PIECES_MAX];
	/* … followed, when pull is set, by pull_bytes more that are read as they are sent. */
	uint64_t pull_bytes;
	/* Returns bytes written to data, 0 when none is here yet (wake follows), -1 when it broke: close. */
	int64_t (*pull)(struct gd_exchange *exchange, uint64_t offset, void *data, size_t bytes);
	bool close;        /* end the connection after it */
	bool body_omitted; /* HEAD: send Content-Length of the body but not the body */
};

/* The response, valid until gd_exchange_free; only when DONE. */
const struct gd_response *gd_exchange_response(const struct gd_exchange *exchange);
/* Phases for Server-Timing, "compile;dur=1.2, kernel;dur=0.01"; empty when there are none. */
const char *gd_exchange_timing(const struct gd_exchange *exchange);
/* The route's template ("/pipelines/{id}") for metrics and the log; "other" when none matched. */
const char *gd_exchange_route(const struct gd_exchange *exchange);

/*
 * Make a refusal of the server's own (guard, limits, timeouts) in the common problem form. `head` may lack
 * all but request_id. Never NULL; freed with gd_exchange_free.
 */
struct gd_exchange *gd_exchange_refusal(struct gd_api_lane *lane, const struct gd_head *head,
					const struct gd_error *error, unsigned status, bool close);

#endif
