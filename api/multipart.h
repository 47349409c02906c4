/*
 * multipart/form-data (RFC 7578, RFC 2046) as it arrives, in pieces of any size.
 *
 * The parser owns nothing but itself and allocates nothing; what it finds goes to three callbacks, on the
 * caller's thread. File names and part types are ignored. It buffers part headers only, up to
 * GD_PART_HEADERS_MAX.
 */
#ifndef GD_API_MULTIPART_H
#define GD_API_MULTIPART_H

#include "api/media.h"
#include "gpu/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
	GD_PARTS_MAX = 1100, /* two for each of 512 parameters, and the reserved names */
	GD_PART_HEADERS_MAX = 4096,
	GD_PART_NAME_MAX = 1024
};

/* Each may refuse with an error, which ends the parsing. */
struct gd_multipart_events {
	bool (*part)(void *owner, const char *name, struct gd_error *error);
	bool (*data)(void *owner, const void *data, size_t bytes, struct gd_error *error);
	bool (*end)(void *owner, struct gd_error *error);
};

struct gd_multipart {
	const struct gd_multipart_events *events;
	void *owner;
	enum {
		GD_PART_PREAMBLE,
		GD_PART_DATA,
		GD_PART_AFTER, /* behind a delimiter: "--", or blanks and the end of the line */
		GD_PART_AFTER_DASH,
		GD_PART_AFTER_CR,
		GD_PART_HEADERS,
		GD_PART_EPILOGUE
	} state;
	uint32_t part_count;
	size_t matched; /* of the delimiter */
	size_t delimiter_bytes;
	char delimiter[GD_BOUNDARY_MAX + 5]; /* CR LF -- boundary */
	size_t header_bytes;
	char headers[GD_PART_HEADERS_MAX + 1];
};

/* `boundary` has 1 to GD_BOUNDARY_MAX characters. */
void gd_multipart_init(struct gd_multipart *multipart, const char *boundary,
		       const struct gd_multipart_events *events, void *owner);
/* Fails: GD_MALFORMED_BODY, GD_HEADERS_TOO_LARGE, GD_INVALID_REQUEST (too many parts), what a callback failed
 * with. */
bool gd_multipart_feed(struct gd_multipart *multipart, const void *data, size_t bytes,
		       struct gd_error *error);
/* The body is complete. Fails: GD_MALFORMED_BODY when its closing boundary is missing. */
bool gd_multipart_end(const struct gd_multipart *multipart, struct gd_error *error);

#endif
