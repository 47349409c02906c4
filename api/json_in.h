/*
 * Reading JSON and query values with errors that point at the place. Pure but for memory; any thread.
 *
 * A gd_value is either a JSON value or text from a query or form; both mean the same thing to whoever reads
 * it.
 */
#ifndef GD_API_JSON_IN_H
#define GD_API_JSON_IN_H

#include "gpu/base/error.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define gd_auto_json __attribute__((cleanup(json_decrefp)))

/*
 * In a JSON skeleton (api/json_filter.h), strings that stand for what was taken out begin with one of these;
 * no string of a client can.
 */
#define GD_MARK_BLOB   '\x01' /* then the blob's index */
#define GD_MARK_NUMBER '\x02' /* then an integer too long for JSON's parser */

/*
 * Parse a whole text; duplicate keys are refused. Fails: GD_MALFORMED_BODY (no JSON, too deep),
 * GD_INVALID_REQUEST (a key twice, a number too large), with a pointer to the place. `what` begins the
 * error's text ("the body").
 */
json_t *gd_json_parse(const char *text, size_t bytes, const char *what, struct gd_error *error);

/* Write the JSON pointer (RFC 6901) of the value at byte `position` of a text that may be cut or broken
 * there. */
void gd_json_pointer_at(const char *text, size_t bytes, size_t position, char *out, size_t capacity);

/* Refuse keys of `object` outside the NULL-terminated list. `pointer` is the object's own ("" for the root).
 */
bool gd_json_only(const json_t *object, const char *const *names, const char *pointer,
		  struct gd_error *error);

struct gd_value {
	const json_t *json; /* NULL: text counts */
	const char *text;
};

/* Set GD_INVALID_REQUEST with a pointer. Returns false. */
bool gd_value_refuse(const char *pointer, struct gd_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A whole number from `least` to `most`; in JSON a number, or a string of digits. */
bool gd_value_u64(const struct gd_value *value, const char *pointer, uint64_t least, uint64_t most,
		  uint64_t *out, struct gd_error *error);
bool gd_value_u32(const struct gd_value *value, const char *pointer, uint32_t least, uint32_t most,
		  uint32_t *out, struct gd_error *error);
/* true or false; as text also 1 and 0. */
bool gd_value_bool(const struct gd_value *value, const char *pointer, bool *out, struct gd_error *error);
/* [x, y, z], [x, y] or [x] (missing ones are 1); as text "4,2,1". */
bool gd_value_dims(const struct gd_value *value, const char *pointer, uint64_t out[3],
		   struct gd_error *error);
/* Text of at most `max` bytes; borrowed. */
bool gd_value_text(const struct gd_value *value, const char *pointer, size_t max, const char **out,
		   struct gd_error *error);

/* Decimal digits only, no sign, no blank. False when it is no such number or over UINT64_MAX. */
bool gd_parse_u64(const char *text, size_t bytes, uint64_t *out);

#endif
