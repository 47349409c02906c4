#include "api/json_filter.h"

#include "api/scalar.h"

#include <stdlib.h>
#include <string.h>

enum {
	FIRST_BLOBS = 16,
	LONG_NUMBER = 19,   /* characters from which on an integer may be too large for the parser */
	NUMBER_MAX = 400,   /* longer ones are left to the parser, which refuses them */
	DECODE_STEP = 16384 /* characters decoded at a time, so that the store never grows far ahead */
};

void gd_json_filter_init(struct gd_json_filter *filter, size_t skeleton_max, struct gd_buf *store)
{
	*filter = (struct gd_json_filter){.store = store};
	gd_buf_init(&filter->skeleton, skeleton_max);
}

void gd_json_filter_done(struct gd_json_filter *filter)
{
	gd_buf_done(&filter->skeleton);
	free(filter->blobs);
	filter->blobs = NULL;
}

static bool refuse_buf(const struct gd_buf *buf, size_t bytes, const char *what, struct gd_error *error)
{
	if (bytes <= buf->max - buf->len)
		return gd_error_set(error, GD_OVERLOADED, NULL, "no memory for the request");
	return gd_error_set(error, GD_TOO_LARGE,
			    "send less, and bulk as base64 in \"data\" members or as octets",
			    "%s is longer than the limit of %zu bytes", what, buf->max);
}

static bool keep(struct gd_json_filter *filter, const char *text, size_t bytes, struct gd_error *error)
{
	return !bytes || gd_buf_add(&filter->skeleton, text, bytes) ||
	       refuse_buf(&filter->skeleton, bytes, "the JSON without its data", error);
}

static bool begin_data(struct gd_json_filter *filter, struct gd_error *error)
{
	if (filter->blob_count == GD_BLOBS_MAX)
		return gd_error_set(error, GD_TOO_LARGE, "send fewer arguments",
				    "the JSON has more than %d data members", GD_BLOBS_MAX);
	if (filter->blob_count == filter->blob_room) {
		uint32_t room = filter->blob_room ? filter->blob_room * 2 : FIRST_BLOBS;
		struct gd_blob *blobs = realloc(filter->blobs, room * sizeof *blobs);
		if (!blobs)
			return gd_error_set(error, GD_OVERLOADED, NULL, "no memory for the request");
		filter->blobs = blobs;
		filter->blob_room = room;
	}
	filter->blobs[filter->blob_count] = (struct gd_blob){.offset = filter->store->len};
	filter->decoder = (struct gd_base64){0};
	char mark[24];
	int length = snprintf(mark, sizeof mark, "\"\\u%04x%u\"", GD_MARK_BLOB, filter->blob_count++);
	return keep(filter, mark, (size_t)length, error);
}

static void end_data(struct gd_json_filter *filter)
{
	struct gd_blob *blob = &filter->blobs[filter->blob_count - 1];
	blob->is_bad = !gd_base64_end(&filter->decoder);
	blob->bad_at = filter->decoder.taken;
	blob->bytes = filter->store->len - blob->offset;
}

static bool decode(struct gd_json_filter *filter, const char *text, size_t characters, struct gd_error *error)
{
	while (characters && !filter->decoder.failed) {
		size_t step = characters < DECODE_STEP ? characters : DECODE_STEP;
		size_t room = gd_base64_room(step);
		/* near the limit the room is asked for exactly, so that a body at the limit is taken */
		if (room > filter->store->max - filter->store->len && step > 1) {
			step = 1;
			room = 3;
		}
		char *to = gd_buf_reserve(filter->store, room);
		uint8_t few[6];
		if (!to && step > 1)
			return refuse_buf(filter->store, room, "the data", error);
		size_t written = gd_base64_feed(&filter->decoder, text, step, to ? (uint8_t *)to : few);
		if (!to) {
			filter->store->failed = false;
			if (!gd_buf_add(filter->store, few, written))
				return refuse_buf(filter->store, written, "the data", error);
		} else {
			filter->store->len += written;
		}
		text += step;
		characters -= step;
	}
	return true;
}

/* Inside a data string; returns where it stopped. */
static const char *feed_data(struct gd_json_filter *filter, const char *s, const char *end,
			     struct gd_error *error)
{
	if (filter->state == GD_JSON_DATA_ESCAPE) {
		/* JSON writers may escape the slash, and + as \u002b; all else is no base64 */
		char c = *s++;
		if (c == 'u') {
			filter->state = GD_JSON_DATA_UNICODE;
			filter->unicode = filter->unicode_digits = 0;
			return s;
		}
		filter->state = GD_JSON_DATA;
		if (!strchr("\"\\/bfnrt", c) || !c)
			filter->is_control = true;
		return decode(filter, c == '/' ? "/" : "\n", 1, error) ? s : NULL;
	}
	if (filter->state == GD_JSON_DATA_UNICODE) {
		char c = *s++;
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;
		if (digit < 0)
			filter->is_control = true;
		filter->unicode = filter->unicode << 4 | (uint32_t)(digit & 15);
		if (++filter->unicode_digits < 4)
			return s;
		filter->state = GD_JSON_DATA;
		char character = filter->unicode < 0x80 ? (char)filter->unicode : '\n';
		return decode(filter, &character, 1, error) ? s : NULL;
	}
	const char *stop = memchr(s, '"', (size_t)(end - s));
	const char *slash = memchr(s, '\\', (size_t)((stop ? stop : end) - s));
	if (slash)
		stop = slash;
	if (!stop)
		stop = end;
	if (!decode(filter, s, (size_t)(stop - s), error))
		return NULL;
	/* a control character is no JSON at all; it can only be where decoding failed */
	for (; filter->decoder.failed && s < stop; s++)
		filter->is_control |= (unsigned char)*s < 0x20;
	if (stop == end)
		return end;
	if (*stop == '"') {
		end_data(filter);
		filter->state = GD_JSON_OUTSIDE;
	} else {
		filter->state = GD_JSON_DATA_ESCAPE;
	}
	return stop + 1;
}

/* Inside any other string. */
static const char *feed_string(struct gd_json_filter *filter, const char *s, const char *end,
			       struct gd_error *error)
{
	const char *from = s;
	for (; s < end && (filter->state == GD_JSON_STRING || filter->state == GD_JSON_STRING_ESCAPE); s++) {
		if (filter->state == GD_JSON_STRING && *s == '"') {
			filter->was_data_key =
			    filter->string_length == 4 && !memcmp(filter->string_start, "data", 4);
			filter->state = GD_JSON_OUTSIDE;
			continue;
		}
		if (filter->string_length < 7)
			filter->string_start[filter->string_length++] = *s;
		filter->state =
		    filter->state == GD_JSON_STRING && *s == '\\' ? GD_JSON_STRING_ESCAPE : GD_JSON_STRING;
		if (filter->string_length == 6 && (!memcmp(filter->string_start, "\\u0001", 6) ||
						   !memcmp(filter->string_start, "\\u0002", 6)))
			filter->is_forged = true;
	}
	return keep(filter, from, (size_t)(s - from), error) ? s : NULL;
}

/* A number has ended: hide integers that the parser could not hold in a string. */
static bool end_number(struct gd_json_filter *filter, struct gd_error *error)
{
	size_t length = filter->skeleton.len - filter->number_at;
	filter->state = GD_JSON_OUTSIDE;
	const char *digits = filter->skeleton.data + filter->number_at;
	size_t sign = *digits == '-';
	if (!filter->is_number_plain || length < LONG_NUMBER || length > NUMBER_MAX || length == sign ||
	    digits[sign] == '0')
		return true;
	char number[NUMBER_MAX];
	memcpy(number, digits, length);
	filter->skeleton.len = filter->number_at;
	char mark[16];
	int mark_length = snprintf(mark, sizeof mark, "\"\\u%04x", GD_MARK_NUMBER);
	return keep(filter, mark, (size_t)mark_length, error) && keep(filter, number, length, error) &&
	       keep(filter, "\"", 1, error);
}

static const char *feed_number(struct gd_json_filter *filter, const char *s, const char *end,
			       struct gd_error *error)
{
	const char *from = s;
	while (s < end &&
	       ((*s >= '0' && *s <= '9') || *s == '-' || *s == '+' || *s == '.' || *s == 'e' || *s == 'E')) {
		if (*s == '.' || *s == '+' || *s == 'e' || *s == 'E' ||
		    (*s == '-' && filter->skeleton.len + (size_t)(s - from) > filter->number_at))
			filter->is_number_plain = false;
		s++;
	}
	if (!keep(filter, from, (size_t)(s - from), error))
		return NULL;
	return s == end || end_number(filter, error) ? s : NULL;
}

static const char *feed_outside(struct gd_json_filter *filter, const char *s, const char *end,
				struct gd_error *error)
{
	const char *from = s;
	while (s < end && filter->state == GD_JSON_OUTSIDE) {
		char c = *s;
		if ((c >= '0' && c <= '9') || c == '-') {
			if (!keep(filter, from, (size_t)(s - from), error))
				return NULL;
			from = s;
			filter->state = GD_JSON_NUMBER;
			filter->number_at = filter->skeleton.len;
			filter->is_number_plain = true;
			filter->is_value_of_data = filter->was_data_key = false;
			return s;
		}
		if (c == '"' && filter->is_value_of_data) {
			filter->is_value_of_data = false;
			if (!keep(filter, from, (size_t)(s - from), error) || !begin_data(filter, error))
				return NULL;
			filter->state = GD_JSON_DATA;
			return s + 1;
		}
		if (c == '"') {
			filter->state = GD_JSON_STRING;
			filter->string_length = 0;
		} else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
			filter->is_value_of_data = c == ':' && filter->was_data_key;
			filter->was_data_key = false;
		}
		s++;
	}
	return keep(filter, from, (size_t)(s - from), error) ? s : NULL;
}

bool gd_json_filter_feed(struct gd_json_filter *filter, const char *text, size_t bytes,
			 struct gd_error *error)
{
	const char *s = text, *end = text + bytes;
	while (s && s < end) {
		switch (filter->state) {
		case GD_JSON_OUTSIDE:
			s = feed_outside(filter, s, end, error);
			break;
		case GD_JSON_NUMBER:
			s = feed_number(filter, s, end, error);
			break;
		case GD_JSON_STRING:
		case GD_JSON_STRING_ESCAPE:
			s = feed_string(filter, s, end, error);
			break;
		default:
			s = feed_data(filter, s, end, error);
		}
	}
	return s != NULL;
}

json_t *gd_json_filter_end(struct gd_json_filter *filter, const char *what, struct gd_error *error)
{
	if (filter->state == GD_JSON_NUMBER && !end_number(filter, error))
		return NULL;
	if (filter->is_control || filter->state >= GD_JSON_DATA) {
		gd_error_set(error, GD_MALFORMED_BODY, "send valid JSON (RFC 8259) in UTF-8",
			     "%s is no valid JSON: a string %s", what,
			     filter->is_control ? "has a control character or a broken escape"
						: "does not end");
		return NULL;
	}
	json_t *root = gd_json_parse(filter->skeleton.data ? filter->skeleton.data : "", filter->skeleton.len,
				     what, error);
	if (root && filter->is_forged) {
		json_decref(root);
		gd_error_set(error, GD_INVALID_REQUEST, "leave control characters out of strings",
			     "%s has a string that begins with U+0001 or U+0002", what);
		return NULL;
	}
	return root;
}

const struct gd_blob *gd_json_filter_blob(const struct gd_json_filter *filter, const json_t *string)
{
	const char *text = json_string_value(string);
	uint64_t index;
	if (!text || *text != GD_MARK_BLOB || !gd_parse_u64(text + 1, strlen(text + 1), &index) ||
	    index >= filter->blob_count)
		return NULL;
	return &filter->blobs[index];
}
