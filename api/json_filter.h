/*
 * JSON that arrives in pieces, with its bulk taken out: the string of every member "data" is decoded from
 * base64 as it comes and goes to a store; what is left, the skeleton, is small and is parsed as a whole at
 * the end.
 *
 * In the skeleton a string of the form GD_MARK_BLOB, index stands for such data, and GD_MARK_NUMBER, digits
 * for an integer too long for the parser. Clients cannot forge them: a string of theirs that begins with
 * these characters (which JSON can only say as \u0001, \u0002) is refused.
 *
 * One owner, one thread. It knows nothing of what the JSON means; the store is the owner's.
 */
#ifndef GD_API_JSON_FILTER_H
#define GD_API_JSON_FILTER_H

#include "api/base64.h"
#include "api/json_in.h"
#include "gpu/base/buf.h"

enum { GD_BLOBS_MAX = 65536 };

struct gd_blob {
	size_t offset, bytes; /* in the store */
	bool is_bad;          /* not base64; bad_at says where */
	uint64_t bad_at;
};

struct gd_json_filter {
	struct gd_buf skeleton;
	struct gd_buf *store;
	struct gd_blob *blobs; /* owned */
	uint32_t blob_count, blob_room;
	/* where we are */
	enum {
		GD_JSON_OUTSIDE,
		GD_JSON_NUMBER,
		GD_JSON_STRING,
		GD_JSON_STRING_ESCAPE,
		GD_JSON_DATA,
		GD_JSON_DATA_ESCAPE,
		GD_JSON_DATA_UNICODE
	} state;
	bool is_value_of_data; /* the colon of a member "data" has just passed */
	bool was_data_key;     /* the string that ended last reads data */
	bool is_forged, is_control, is_number_plain;
	uint8_t string_length; /* of the string so far, at most 7 */
	char string_start[8];
	uint8_t unicode_digits;
	uint32_t unicode;
	size_t number_at; /* where the number begins in the skeleton */
	struct gd_base64 decoder;
};

/* Start; at most `skeleton_max` bytes of skeleton. Decoded data is appended to `store`. */
void gd_json_filter_init(struct gd_json_filter *filter, size_t skeleton_max, struct gd_buf *store);
void gd_json_filter_done(struct gd_json_filter *filter);

/* Take a piece. Fails: GD_TOO_LARGE (skeleton, store or the number of strings over its limit), GD_OVERLOADED.
 */
bool gd_json_filter_feed(struct gd_json_filter *filter, const char *text, size_t bytes,
			 struct gd_error *error);

/* The text is complete: parse the skeleton. NULL with the errors of gd_json_parse. */
json_t *gd_json_filter_end(struct gd_json_filter *filter, const char *what, struct gd_error *error);

/* The blob that a string of the skeleton stands for, NULL when it is an ordinary string. */
const struct gd_blob *gd_json_filter_blob(const struct gd_json_filter *filter, const json_t *string);

#endif
