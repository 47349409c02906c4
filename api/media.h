/* Header values: media types, Accept, entity tags. Pure functions, any thread. */
#ifndef GD_API_MEDIA_H
#define GD_API_MEDIA_H

#include <stdbool.h>
#include <stddef.h>

#define GD_BOUNDARY_MAX 70 /* characters of a multipart boundary (RFC 2046, 5.1.1) */

struct gd_media {
	char type[96];                      /* "type/subtype" in lower case; empty for an absent header */
	char charset[32];                   /* in lower case; empty when not told */
	char boundary[GD_BOUNDARY_MAX + 1]; /* empty when not told */
};

/*
 * Read a Content-Type (RFC 9110, 8.3). NULL or blank gives an empty type. False when it is no media type, a
 * parameter comes twice, or the boundary is over GD_BOUNDARY_MAX.
 */
bool gd_media_parse(const char *header, struct gd_media *out_media);

/* No charset, utf-8 or us-ascii? */
bool gd_media_is_utf8(const struct gd_media *media);

/*
 * How much the client wants `type` ("application/json"), in thousandths (RFC 9110, 12.5.1): the most specific
 * range that matches counts. 1000 for an absent header. Ranges that cannot be read count as absent.
 */
unsigned gd_accept_quality(const char *accept, const char *type);

/* Is the header absent or nothing but wildcards of both parts, so that the default form holds? */
bool gd_accept_is_open(const char *accept);

/* Does an If-None-Match or If-Match list name `etag` (with its quotes)? Weak comparison; "*" matches. */
bool gd_etag_listed(const char *header, const char *etag);

#endif
