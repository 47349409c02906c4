/*
 * A growing byte buffer that must declare its maximum. One owner, one thread. A failed append leaves what was
 * there. The content is always followed by a NUL that is not counted, so text can be handed on as it is.
 */
#ifndef GD_BASE_BUF_H
#define GD_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

struct gd_buf {
	char *data; /* NULL while empty */
	size_t len, cap, max;
	bool failed; /* an append was refused: over max, or no memory; later appends are refused too */
};

#define GD_BUF_MAX (SIZE_MAX / 4) /* a larger max counts as this, so that no sum of lengths wraps */

/* Start empty; at most `max` bytes will be taken. Nothing is allocated yet. */
void gd_buf_init(struct gd_buf *buf, size_t max);
void gd_buf_done(struct gd_buf *buf);
/* Make room for `bytes` more without changing the length. Returns where they go, NULL when refused. */
char *gd_buf_reserve(struct gd_buf *buf, size_t bytes);
bool gd_buf_add(struct gd_buf *buf, const void *data, size_t bytes);
bool gd_buf_puts(struct gd_buf *buf, const char *text);
bool gd_buf_printf(struct gd_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Forget the content, keep the memory. */
void gd_buf_clear(struct gd_buf *buf);
/* Hand the memory (NUL-terminated, malloc'ed, never NULL unless out of memory) to the caller and start empty.
 */
char *gd_buf_take(struct gd_buf *buf, size_t *out_len);

#define gd_auto_buf __attribute__((cleanup(gd_buf_done)))

#endif
