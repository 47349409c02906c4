#include "api/multipart.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FIX "send multipart/form-data as RFC 7578 describes it; curl -F does"

void gd_multipart_init(struct gd_multipart *multipart, const char *boundary,
		       const struct gd_multipart_events *events, void *owner)
{
	*multipart = (struct gd_multipart){.events = events, .owner = owner};
	int bytes = snprintf(multipart->delimiter, sizeof multipart->delimiter, "\r\n--%s", boundary);
	multipart->delimiter_bytes = (size_t)bytes;
	multipart->matched = 2; /* the first delimiter may stand at the very start */
}

static bool refuse(struct gd_error *error, const char *why)
{
	return gd_error_set(error, GD_MALFORMED_BODY, FIX, "the multipart body is malformed: %s", why);
}

/* The value of a parameter of Content-Disposition, "" when it is absent; NULL when it cannot be read. */
static const char *find_parameter(const char *s, const char *wanted, char *out, size_t capacity)
{
	out[0] = 0;
	for (s = strchr(s, ';'); s; s = strchr(s, ';')) {
		s += 1 + strspn(s + 1, " \t");
		size_t length = strcspn(s, "=; \t");
		bool is_wanted = length == strlen(wanted) && !strncasecmp(s, wanted, length);
		s += length;
		if (*s != '=')
			continue;
		size_t used = 0;
		bool is_quoted = s[1] == '"';
		for (s += is_quoted ? 2 : 1; *s && (is_quoted ? *s != '"' : !strchr("; \t", *s)); s++) {
			if (is_quoted && *s == '\\' && (s[1] == '"' || s[1] == '\\'))
				s++;
			if (!is_wanted)
				continue;
			if (used + 1 >= capacity)
				return NULL;
			out[used++] = *s;
		}
		if (is_quoted && *s != '"')
			return NULL;
		if (is_wanted) {
			out[used] = 0;
			return out;
		}
	}
	return out;
}

/* The headers of a part are complete: find its name. */
static bool begin_part(struct gd_multipart *multipart, struct gd_error *error)
{
	char name[GD_PART_NAME_MAX + 1] = "";
	bool is_named = false;
	if (memchr(multipart->headers, 0, multipart->header_bytes))
		return refuse(error, "a part's header has a NUL");
	for (char *line = multipart->headers; *line;) {
		char *end = strstr(line, "\r\n");
		*end = 0;
		if (!strncasecmp(line, "Content-Disposition:", 20)) {
			const char *value = line + 20 + strspn(line + 20, " \t");
			if (is_named || strncasecmp(value, "form-data", 9) != 0 || !strchr(" \t;", value[9]))
				return refuse(error, "a part's Content-Disposition is no form-data");
			if (!find_parameter(value, "name", name, sizeof name))
				return refuse(error, "a part's name is too long or not closed");
			is_named = true;
		} else if (!strncasecmp(line, "Content-Transfer-Encoding:", 26)) {
			const char *value = line + 26 + strspn(line + 26, " \t");
			if (strcasecmp(value, "binary") != 0 && strcasecmp(value, "8bit") != 0 &&
			    strcasecmp(value, "7bit") != 0)
				return refuse(error, "a part has a Content-Transfer-Encoding");
		} else if (*line && !strchr(line, ':')) {
			return refuse(error, "a part's header has no colon");
		}
		line = end + 2;
	}
	if (!name[0])
		return refuse(error, "a part has no name");
	if (multipart->part_count++ == GD_PARTS_MAX)
		return gd_error_set(error, GD_INVALID_REQUEST, "send the arguments as JSON or octets",
				    "the body has more than %d parts", GD_PARTS_MAX);
	multipart->state = GD_PART_DATA;
	multipart->matched = 0;
	return multipart->events->part(multipart->owner, name, error);
}

static bool take_header(struct gd_multipart *multipart, char c, struct gd_error *error)
{
	if (multipart->header_bytes == GD_PART_HEADERS_MAX)
		return gd_error_set(error, GD_HEADERS_TOO_LARGE, "send shorter part headers",
				    "a part's headers are longer than %d bytes", GD_PART_HEADERS_MAX);
	char *headers = multipart->headers;
	headers[multipart->header_bytes++] = c;
	headers[multipart->header_bytes] = 0;
	size_t bytes = multipart->header_bytes;
	if (bytes == 2 && !memcmp(headers, "\r\n", 2))
		return refuse(error, "a part has no headers");
	if (bytes < 4 || memcmp(headers + bytes - 4, "\r\n\r\n", 4) != 0)
		return true;
	/* leave the CR LF of the last line, drop the empty one */
	multipart->header_bytes = bytes - 2;
	headers[multipart->header_bytes] = 0;
	return begin_part(multipart, error);
}

static bool emit(struct gd_multipart *multipart, const void *data, size_t bytes, struct gd_error *error)
{
	return multipart->state != GD_PART_DATA || !bytes ||
	       multipart->events->data(multipart->owner, data, bytes, error);
}

/*
 * Preamble or data. CR stands only at the delimiter's start, so that after a mismatch no part of what had
 * matched can begin another match: it was data.
 */
static const char *take_data(struct gd_multipart *multipart, const char *s, const char *end,
			     struct gd_error *error)
{
	if (!multipart->matched) {
		const char *stop = memchr(s, '\r', (size_t)(end - s));
		if (!stop)
			stop = end;
		if (!emit(multipart, s, (size_t)(stop - s), error))
			return NULL;
		if (stop == end)
			return end;
		multipart->matched = 1;
		return stop + 1;
	}
	while (s < end && multipart->matched < multipart->delimiter_bytes &&
	       *s == multipart->delimiter[multipart->matched]) {
		s++;
		multipart->matched++;
	}
	if (multipart->matched == multipart->delimiter_bytes) {
		if (multipart->state == GD_PART_DATA && !multipart->events->end(multipart->owner, error))
			return NULL;
		multipart->state = GD_PART_AFTER;
		return s;
	}
	if (s == end)
		return s;
	size_t matched = multipart->matched;
	multipart->matched = 0;
	return emit(multipart, multipart->delimiter, matched, error) ? s : NULL;
}

static bool take_after(struct gd_multipart *multipart, char c, struct gd_error *error)
{
	if (multipart->state == GD_PART_AFTER && (c == ' ' || c == '\t'))
		return true;
	if (multipart->state == GD_PART_AFTER && c == '-') {
		multipart->state = GD_PART_AFTER_DASH;
	} else if (multipart->state == GD_PART_AFTER && c == '\r') {
		multipart->state = GD_PART_AFTER_CR;
	} else if (multipart->state == GD_PART_AFTER_DASH && c == '-') {
		multipart->state = GD_PART_EPILOGUE;
	} else if (multipart->state == GD_PART_AFTER_CR && c == '\n') {
		multipart->state = GD_PART_HEADERS;
		multipart->header_bytes = 0;
	} else {
		return refuse(error, "a boundary is followed by something else");
	}
	return true;
}

bool gd_multipart_feed(struct gd_multipart *multipart, const void *data, size_t bytes, struct gd_error *error)
{
	const char *s = data, *end = s + bytes;
	while (s && s < end) {
		switch (multipart->state) {
		case GD_PART_PREAMBLE:
		case GD_PART_DATA:
			s = take_data(multipart, s, end, error);
			break;
		case GD_PART_HEADERS:
			s = take_header(multipart, *s, error) ? s + 1 : NULL;
			break;
		case GD_PART_EPILOGUE:
			return true;
		default:
			s = take_after(multipart, *s, error) ? s + 1 : NULL;
		}
	}
	return s != NULL;
}

bool gd_multipart_end(const struct gd_multipart *multipart, struct gd_error *error)
{
	return multipart->state == GD_PART_EPILOGUE || refuse(error, "its closing boundary is missing");
}
