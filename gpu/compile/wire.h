/*
 * Numbers and bytes in a flat piece of memory, written by one process and read by another.
 *
 * A writer or reader borrows its memory. After one failure all later calls do nothing, so that a caller
 * checks once at the end. The reader never looks past its end and reads every length once, so a writer that
 * changes its mind meanwhile gains nothing. Any thread.
 */
#ifndef GD_COMPILE_WIRE_H
#define GD_COMPILE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gd_wire_writer {
	uint8_t *at, *end;
	bool failed; /* it did not fit */
};

struct gd_wire_reader {
	const uint8_t *at, *end;
	bool failed; /* cut short, or a text without its NUL */
};

/* A field that lies in the reader's memory; text fields are followed by a NUL that is not counted. */
struct gd_wire_text {
	const char *text;
	size_t bytes;
};

void gd_wire_put_u64(struct gd_wire_writer *writer, uint64_t value);
/* A length, the bytes, and a NUL. NULL counts as empty. */
void gd_wire_put_bytes(struct gd_wire_writer *writer, const void *data, size_t bytes);
void gd_wire_put_text(struct gd_wire_writer *writer, const char *text);

/* 0 after a failure. */
uint64_t gd_wire_get_u64(struct gd_wire_reader *reader);
/* A number that must be at most `max`; a larger one is a failure and gives 0. */
uint32_t gd_wire_get_u32(struct gd_wire_reader *reader, uint32_t max);
/* Empty after a failure; `text` is never NULL. */
struct gd_wire_text gd_wire_get_bytes(struct gd_wire_reader *reader, size_t max);

#endif
