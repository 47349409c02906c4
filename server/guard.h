/*
 * The request guard: what libmicrohttpd 0.9.75 lets through and a server behind a proxy must not.
 *
 * Pure functions over what the daemon parsed. Two readers of one byte stream must never disagree about where
 * a request ends, so everything ambiguous is refused and the connection closed: repeated Content-Length, Host
 * or Transfer-Encoding, both lengths at once, names with white space, bytes that the daemon skipped (a NUL, a
 * bare LF, a folded line). Targets are refused that could name another path after one more decoding. Sources:
 * RFC 9112 sections 2.2, 3.2, 5.1, 6.1, 6.3, 11.2; RFC 9110 sections 5.5, 5.6.2, 7.2.
 */
#ifndef GD_SERVER_GUARD_H
#define GD_SERVER_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	GD_TARGET_BYTES_MAX = 16384, /* 414 beyond */
	GD_HEAD_BYTES_MAX = 65536,   /* request line and headers; 431 beyond */
	GD_HEADERS_MAX_COUNT = 100,  /* 431 beyond */
	GD_METHOD_BYTES_MAX = 32
};

struct gd_guard_header {
	const char *name, *value;
	size_t name_bytes, value_bytes;
};

struct gd_guard_request {
	const char *method;
	const char *target;  /* as sent, NUL-terminated */
	const char *version; /* "HTTP/1.1" */
	const struct gd_guard_header *headers;
	size_t header_count; /* may be one more than GD_HEADERS_MAX_COUNT, meaning: too many */
	size_t head_bytes;   /* from the method to the end of the empty line */
	/* Where the target began in the daemon's buffer; NULL: the layout is not checked (see
	 * gd_guard_layout). */
	const char *target_at;
};

struct gd_guard_verdict {
	unsigned status;      /* 0: may pass; else 400, 414 or 431, and the connection must end */
	const char *text;     /* static: what is wrong */
	const char *fix;      /* static */
	const char *target;   /* in origin form: within request->target, or "/" */
	int64_t body_bytes;   /* 0 without a body, -1 chunked */
	bool awaits_continue; /* sent Expect: 100-continue and waits before it sends the body */
};

/* Judge a request. *out_verdict is always set; true when it may pass. */
bool gd_guard_check(const struct gd_guard_request *request, struct gd_guard_verdict *out_verdict);

/*
 * Is the head exactly "METHOD SP target SP version CRLF (name ':' OWS value CRLF)* CRLF"? The daemon parses
 * in place and cuts strings at NUL, so every byte it skipped shows as a gap between the strings. True for
 * versions of the daemon from 0.9.72 to 0.9.77; newer ones move values and refuse these heads themselves.
 */
bool gd_guard_layout(const struct gd_guard_request *request);

/* Judge a target's text: NULL when it is good, else what is wrong with it. *out_origin is set when good. */
const char *gd_guard_target(const char *target, const char *method, const char **out_origin);

#endif
