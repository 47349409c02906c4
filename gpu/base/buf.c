#include "gpu/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void gd_buf_init(struct gd_buf *buf, size_t max)
{
	*buf = (struct gd_buf){.max = max < GD_BUF_MAX ? max : GD_BUF_MAX};
}

void gd_buf_done(struct gd_buf *buf)
{
	free(buf->data);
	*buf = (struct gd_buf){.max = buf->max};
}

char *gd_buf_reserve(struct gd_buf *buf, size_t bytes)
{
	if (buf->failed || bytes > buf->max - buf->len) {
		buf->failed = true;
		return NULL;
	}
	size_t need = buf->len + bytes + 1;
	if (need > buf->cap) {
		size_t cap = buf->cap ? buf->cap : FIRST_CAPACITY;
		while (cap < need)
			cap *= 2;
		if (cap > buf->max + 1)
			cap = buf->max + 1;
		char *grown = realloc(buf->data, cap);
		if (!grown) {
			buf->failed = true;
			return NULL;
		}
		buf->data = grown;
		buf->cap = cap;
		buf->data[buf->len] = 0;
	}
	return buf->data + buf->len;
}

bool gd_buf_add(struct gd_buf *buf, const void *data, size_t bytes)
{
	char *room = gd_buf_reserve(buf, bytes);
	if (!room)
		return false;
	if (bytes)
		memcpy(room, data, bytes);
	buf->len += bytes;
	buf->data[buf->len] = 0;
	return true;
}

bool gd_buf_puts(struct gd_buf *buf, const char *text)
{
	return gd_buf_add(buf, text, strlen(text));
}

bool gd_buf_printf(struct gd_buf *buf, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int bytes = vsnprintf(NULL, 0, format, args);
	va_end(args);
	buf->failed |= bytes < 0;
	char *room = bytes < 0 ? NULL : gd_buf_reserve(buf, (size_t)bytes);
	if (room) {
		vsnprintf(room, (size_t)bytes + 1, format, again);
		buf->len += (size_t)bytes;
	}
	va_end(again);
	return room != NULL;
}

void gd_buf_clear(struct gd_buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = 0;
}

char *gd_buf_take(struct gd_buf *buf, size_t *out_len)
{
	if (!buf->data && !gd_buf_add(buf, "", 0))
		return NULL;
	char *data = buf->data;
	if (out_len)
		*out_len = buf->len;
	*buf = (struct gd_buf){.max = buf->max};
	return data;
}
