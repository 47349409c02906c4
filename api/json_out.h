/* Writing JSON text into a gd_buf. Any thread. Whatever comes in, what goes out is valid JSON in valid UTF-8.
 */
#ifndef GD_API_JSON_OUT_H
#define GD_API_JSON_OUT_H

#include "gpu/base/buf.h"

#include <stddef.h>
#include <stdint.h>

/* A JSON string with its quotes. Control characters are escaped, bytes that are not UTF-8 become U+FFFD. */
void gd_json_stringn(struct gd_buf *out, const char *text, size_t bytes);
void gd_json_string(struct gd_buf *out, const char *text); /* NULL is written as null */
/* `"name":` */
void gd_json_key(struct gd_buf *out, const char *name);
/* [x,y,z] */
void gd_json_dims(struct gd_buf *out, const uint64_t dims[3]);

/* Length of the well-formed UTF-8 sequence at `text` (1 to 4), 0 when it is none (RFC 3629). */
size_t gd_utf8_length(const char *text, size_t bytes);
/* Is all of it UTF-8? */
bool gd_utf8_valid(const char *text, size_t bytes);

#endif
