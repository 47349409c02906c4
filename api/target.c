#include "api/target.h"

#include <stdlib.h>
#include <string.h>

static int hex_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Decode in place up to `end`; returns the new length, -1 when it cannot be. */
static ptrdiff_t decode(char *text, char *end, bool in_query)
{
	char *out = text;
	for (char *in = text; in < end; in++) {
		if (*in == '%') {
			int high = end - in > 2 ? hex_value(in[1]) : -1,
			    low = end - in > 2 ? hex_value(in[2]) : -1;
			if (high < 0 || low < 0 || !(high | low))
				return -1;
			*out++ = (char)(high << 4 | low);
			in += 2;
		} else {
			*out++ = in_query && *in == '+' ? ' ' : *in;
		}
	}
	*out = 0;
	return out - text;
}

static bool bad_encoding(struct gd_error *error)
{
	return gd_error_set(error, GD_MALFORMED_BODY,
			    "write every special character as a percent sign and two hex digits, and no NUL",
			    "the request target has a broken percent encoding");
}

static bool split_path(struct gd_target *target, char *path, struct gd_error *error)
{
	if (!strncmp(path, "/v1", 3) && (!path[3] || path[3] == '/')) {
		target->is_prefixed = true;
		path += 3;
	}
	if (!path[0] || !path[1])
		return true;
	for (char *segment = path + 1; segment;) {
		char *slash = strchr(segment, '/'), *end = slash ? slash : segment + strlen(segment);
		if (target->segment_count == GD_SEGMENTS_MAX) {
			target->segment_count++;
			return true;
		}
		/* an encoded slash stays inside its segment: it is not a separator */
		if (decode(segment, end, false) < 0)
			return bad_encoding(error);
		target->segments[target->segment_count++] = segment;
		segment = slash ? slash + 1 : NULL;
	}
	return true;
}

static bool add_item(struct gd_target *target, char *text, char *end, struct gd_error *error)
{
	char *equals = memchr(text, '=', (size_t)(end - text));
	char *name_end = equals ? equals : end;
	ptrdiff_t value_bytes = 0;
	if (equals && (value_bytes = decode(equals + 1, end, true)) < 0)
		return bad_encoding(error);
	ptrdiff_t name_bytes = decode(text, name_end, true);
	if (name_bytes < 0)
		return bad_encoding(error);
	if (!name_bytes)
		return gd_error_set(error, GD_INVALID_REQUEST, "write name=value",
				    "the query has a value without a name");
	if (gd_target_query(target, text)) {
		gd_error_set(error, GD_INVALID_REQUEST, "give every name once",
			     "\"%.200s\" comes twice in the query", text);
		return gd_error_at(error, "%s", text);
	}
	target->items[target->item_count++] = (struct gd_query_item){
	    .name = text, .value = equals ? equals + 1 : "", .value_bytes = (size_t)value_bytes};
	return true;
}

static bool split_query(struct gd_target *target, char *query, struct gd_error *error)
{
	size_t count = 1;
	for (const char *s = query; *s; s++)
		count += *s == '&';
	if (count > GD_QUERY_ITEMS_MAX)
		return gd_error_set(error, GD_INVALID_REQUEST, "send the arguments as JSON",
				    "the query has more than %d items", GD_QUERY_ITEMS_MAX);
	target->items = calloc(count, sizeof *target->items);
	if (!target->items)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
	/* decoding writes a NUL at the end of each item, where the separator was */
	for (char *item = query; item;) {
		char *ampersand = strchr(item, '&'), *end = ampersand ? ampersand : item + strlen(item);
		if (end > item && !add_item(target, item, end, error))
			return false;
		item = ampersand ? ampersand + 1 : NULL;
	}
	return true;
}

bool gd_target_parse(const char *raw, struct gd_target *out_target, struct gd_error *error)
{
	*out_target = (struct gd_target){0};
	/* the absolute form (RFC 9112, 3.2.2) */
	const char *authority = !strncmp(raw, "http://", 7)    ? raw + 7
				: !strncmp(raw, "https://", 8) ? raw + 8
							       : NULL;
	if (authority) {
		const char *path = authority + strcspn(authority, "/?");
		raw = *path == '/' ? path : "/";
	}
	if (raw[0] != '/')
		return gd_error_set(error, GD_MALFORMED_BODY, "begin the path with a slash",
				    "the request target is no path");
	char *text = strdup(raw);
	if (!text)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
	out_target->text = text;
	char *fragment = strchr(text, '#');
	if (fragment)
		*fragment = 0;
	char *query = strchr(text, '?');
	if (query)
		*query++ = 0;
	return split_path(out_target, text, error) && (!query || split_query(out_target, query, error));
}

void gd_target_done(struct gd_target *target)
{
	free(target->text);
	free(target->items);
	*target = (struct gd_target){0};
}

const char *gd_target_query(const struct gd_target *target, const char *name)
{
	for (unsigned i = 0; i < target->item_count; i++)
		if (!strcmp(target->items[i].name, name))
			return target->items[i].value;
	return NULL;
}

bool gd_target_only(const struct gd_target *target, const char *const *names, struct gd_error *error)
{
	for (unsigned i = 0; i < target->item_count; i++) {
		const char *const *name = names;
		while (*name && strcmp(*name, target->items[i].name))
			name++;
		if (*name)
			continue;
		gd_error_set(error, GD_INVALID_REQUEST,
			     "leave it out; openapi.yaml lists what this route takes",
			     "the query has the unknown name \"%.200s\"", target->items[i].name);
		return gd_error_at(error, "%s", target->items[i].name);
	}
	return true;
}
