/*
 * The request target: path segments and query, percent-decoded exactly once.
 *
 * A target owns a copy of the text, decoded in place; all pointers live as long as it does. One owner. It
 * does not know routes: api/route.h does.
 */
#ifndef GD_API_TARGET_H
#define GD_API_TARGET_H

#include "gpu/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
	GD_SEGMENTS_MAX = 6,      /* of a path; no route is longer, the rest is not found */
	GD_QUERY_ITEMS_MAX = 1100 /* two for each of 512 parameters, and the reserved names */
};

struct gd_query_item {
	const char *name, *value;
	size_t value_bytes;
};

struct gd_target {
	char *text;             /* owned */
	bool is_prefixed;       /* began with /v1 */
	unsigned segment_count; /* after the prefix; GD_SEGMENTS_MAX + 1 for a longer path */
	const char *segments[GD_SEGMENTS_MAX];
	unsigned item_count;
	struct gd_query_item *items; /* owned */
};

/*
 * Split and decode. `/` has no segments. In the query + is a blank. Fails: GD_MALFORMED_BODY (no path, a
 * percent sign without two hex digits, %00), GD_INVALID_REQUEST (a name twice, an empty name, more than
 * GD_QUERY_ITEMS_MAX), GD_INTERNAL_STATE. On failure *out_target has what was found so far and must be done
 * away with too.
 */
bool gd_target_parse(const char *raw, struct gd_target *out_target, struct gd_error *error);
void gd_target_done(struct gd_target *target);

/* The value of a name, NULL when it is absent. */
const char *gd_target_query(const struct gd_target *target, const char *name);
/* Fails: GD_INVALID_REQUEST when a name is not in the NULL-terminated list. */
bool gd_target_only(const struct gd_target *target, const char *const *names, struct gd_error *error);

#endif
