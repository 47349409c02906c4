#include "api/media.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char *skip_blank(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

static bool is_token(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_length(const char *s)
{
	size_t n = 0;
	while (is_token(s[n]))
		n++;
	return n;
}

static bool keep_lower(char *out, size_t capacity, const char *text, size_t length)
{
	if (length >= capacity)
		return false;
	for (size_t i = 0; i < length; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	out[length] = 0;
	return true;
}

/* Read a token or quoted-string into `out`; returns what follows, NULL when it is neither or does not fit. */
static const char *read_value(const char *s, char *out, size_t capacity)
{
	size_t used = 0;
	if (*s != '"') {
		size_t length = token_length(s);
		if (!length || length >= capacity)
			return NULL;
		memcpy(out, s, length);
		out[length] = 0;
		return s + length;
	}
	for (s++; *s && *s != '"'; s++) {
		if (*s == '\\' && s[1])
			s++;
		if (used + 1 >= capacity)
			return NULL;
		out[used++] = *s;
	}
	if (*s != '"')
		return NULL;
	out[used] = 0;
	return s + 1;
}

static bool read_parameters(const char *s, struct gd_media *media)
{
	for (s = skip_blank(s); *s; s = skip_blank(s)) {
		if (*s++ != ';')
			return false;
		s = skip_blank(s);
		if (!*s || *s == ';') /* RFC 9110 allows empty parameters */
			continue;
		size_t length = token_length(s);
		if (!length || s[length] != '=')
			return false;
		char value[128];
		const char *after = read_value(s + length + 1, value, sizeof value);
		if (!after)
			return false;
		if (length == 8 && !strncasecmp(s, "boundary", 8)) {
			size_t bytes = strlen(value);
			if (media->boundary[0] || !bytes || bytes > GD_BOUNDARY_MAX)
				return false;
			memcpy(media->boundary, value, bytes + 1);
		} else if (length == 7 && !strncasecmp(s, "charset", 7)) {
			if (media->charset[0] ||
			    !keep_lower(media->charset, sizeof media->charset, value, strlen(value)))
				return false;
		}
		s = after;
	}
	return true;
}

bool gd_media_parse(const char *header, struct gd_media *out_media)
{
	struct gd_media media = {.type = ""};
	const char *s = header ? skip_blank(header) : "";
	if (*s) {
		size_t type = token_length(s);
		if (!type || s[type] != '/')
			return false;
		size_t subtype = token_length(s + type + 1);
		if (!subtype || !keep_lower(media.type, sizeof media.type, s, type + 1 + subtype))
			return false;
		if (!read_parameters(s + type + 1 + subtype, &media))
			return false;
	}
	*out_media = media;
	return true;
}

bool gd_media_is_utf8(const struct gd_media *media)
{
	return !media->charset[0] || !strcmp(media->charset, "utf-8") || !strcmp(media->charset, "utf8") ||
	       !strcmp(media->charset, "us-ascii");
}

/* "0", "0.5", "1.000" in thousandths; 1000 for what is no weight. */
static unsigned read_weight(const char *s, const char *end)
{
	if (s == end || (*s != '0' && *s != '1'))
		return 1000;
	unsigned weight = (unsigned)(*s++ - '0') * 1000, unit = 100;
	if (s < end && *s == '.')
		for (s++; s < end && isdigit((unsigned char)*s) && unit; s++, unit /= 10)
			weight += (unsigned)(*s - '0') * unit;
	return weight > 1000 ? 1000 : weight;
}

struct range {
	const char *type;
	size_t length;
	unsigned weight;
};

/* The next element of an Accept list; returns what follows it, NULL at the end. */
static const char *next_range(const char *s, struct range *out_range)
{
	s += strspn(s, " \t,");
	if (!*s)
		return NULL;
	*out_range = (struct range){.type = s, .length = strcspn(s, " \t,;"), .weight = 1000};
	s += out_range->length;
	while (*s && *s != ',') {
		s += strspn(s, " \t;");
		const char *end = s + strcspn(s, ",;");
		const char *tail = end;
		while (tail > s && (tail[-1] == ' ' || tail[-1] == '\t'))
			tail--;
		if (tail - s >= 2 && (*s == 'q' || *s == 'Q') && s[1] == '=')
			out_range->weight = read_weight(s + 2, tail);
		s = end;
	}
	return s;
}

unsigned gd_accept_quality(const char *accept, const char *type)
{
	if (!accept || !*skip_blank(accept))
		return 1000;
	size_t length = strlen(type), main_length = (size_t)(strchr(type, '/') - type);
	unsigned best = 0, weight = 0;
	struct range range;
	for (const char *s = accept; (s = next_range(s, &range));) {
		unsigned rank = 0;
		if (range.length == length && !strncasecmp(range.type, type, length))
			rank = 3;
		else if (range.length == main_length + 2 && !strncasecmp(range.type, type, main_length + 1) &&
			 range.type[main_length + 1] == '*')
			rank = 2;
		else if (range.length == 3 && !strncmp(range.type, "*/*", 3))
			rank = 1;
		if (rank > best || (rank && rank == best && range.weight > weight)) {
			best = rank;
			weight = range.weight;
		}
	}
	return weight;
}

bool gd_accept_is_open(const char *accept)
{
	if (!accept)
		return true;
	struct range range;
	for (const char *s = accept; (s = next_range(s, &range));)
		if (range.length != 3 || strncmp(range.type, "*/*", 3) || !range.weight)
			return false;
	return true;
}

bool gd_etag_listed(const char *header, const char *etag)
{
	if (!header)
		return false;
	size_t length = strlen(etag);
	for (const char *s = header; *s;) {
		s += strspn(s, " \t,");
		if (*s == '*')
			return true;
		if (s[0] == 'W' && s[1] == '/')
			s += 2;
		if (!strncmp(s, etag, length) && (!s[length] || strchr(" \t,", s[length])))
			return true;
		if (*s == '"') {
			const char *close = strchr(s + 1, '"');
			s = close ? close + 1 : s + strlen(s);
		} else {
			s += strcspn(s, ",");
		}
	}
	return false;
}
