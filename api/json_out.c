#include "api/json_out.h"

#include <inttypes.h>
#include <string.h>

size_t gd_utf8_length(const char *text, size_t bytes)
{
	const unsigned char *s = (const unsigned char *)text;
	if (!bytes)
		return 0;
	if (s[0] < 0x80)
		return 1;
	size_t length = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
			: (s[0] & 0xf0) == 0xe0        ? 3
			: s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
						       : 0;
	if (!length || length > bytes)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* overlong forms, surrogates, beyond U+10FFFF */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return length;
}

bool gd_utf8_valid(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes;) {
		size_t length = gd_utf8_length(text + i, bytes - i);
		if (!length)
			return false;
		i += length;
	}
	return true;
}

static void put_escape(struct gd_buf *out, unsigned char c)
{
	switch (c) {
	case '"':
		gd_buf_add(out, "\\\"", 2);
		break;
	case '\\':
		gd_buf_add(out, "\\\\", 2);
		break;
	case '\n':
		gd_buf_add(out, "\\n", 2);
		break;
	case '\t':
		gd_buf_add(out, "\\t", 2);
		break;
	case '\r':
		gd_buf_add(out, "\\r", 2);
		break;
	default:
		gd_buf_printf(out, "\\u%04x", c);
	}
}

void gd_json_stringn(struct gd_buf *out, const char *text, size_t bytes)
{
	gd_buf_add(out, "\"", 1);
	size_t from = 0, i = 0;
	while (i < bytes) {
		unsigned char c = (unsigned char)text[i];
		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			i++;
			continue;
		}
		size_t length = c < 0x80 ? 0 : gd_utf8_length(text + i, bytes - i);
		if (length) {
			i += length;
			continue;
		}
		gd_buf_add(out, text + from, i - from);
		if (c < 0x80)
			put_escape(out, c);
		else
			gd_buf_add(out, "\xef\xbf\xbd", 3);
		from = ++i;
	}
	gd_buf_add(out, text + from, bytes - from);
	gd_buf_add(out, "\"", 1);
}

void gd_json_string(struct gd_buf *out, const char *text)
{
	if (text)
		gd_json_stringn(out, text, strlen(text));
	else
		gd_buf_add(out, "null", 4);
}

void gd_json_key(struct gd_buf *out, const char *name)
{
	gd_json_string(out, name);
	gd_buf_add(out, ":", 1);
}

void gd_json_dims(struct gd_buf *out, const uint64_t dims[3])
{
	gd_buf_printf(out, "[%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", dims[0], dims[1], dims[2]);
}
