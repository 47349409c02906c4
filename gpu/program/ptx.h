/*
 * The entries of a PTX text and the sizes of their parameters.
 *
 * A scan of directives, no PTX compiler: bodies are skipped. Texts may be hostile. Pure functions, any
 * thread.
 */
#ifndef GD_PROGRAM_PTX_H
#define GD_PROGRAM_PTX_H

#include "gpu/base/error.h"
#include "gpu/program/signature.h"

#include <stddef.h>

#define GD_PTX_ENTRIES_MAX 1024u

struct gd_ptx_entry {
	char *name; /* owned */
	uint32_t count;
	struct gd_slot *slots; /* owned; NULL when count is 0 */
};

struct gd_ptx {
	uint32_t count;
	struct gd_ptx_entry *entries; /* owned */
};

/*
 * Find every .entry that has a body (PTX ISA 9.0, 5.1.6 and 11.3). `text` need not be terminated. Fails:
 * GD_INVALID_PROGRAM for parameters it cannot read or more than the limits, GD_INTERNAL_STATE without memory.
 */
bool gd_ptx_scan(const char *text, size_t bytes, struct gd_ptx *out_ptx, struct gd_error *error);
void gd_ptx_done(struct gd_ptx *ptx);

/* The entry of that name; NULL when there is none. */
const struct gd_ptx_entry *gd_ptx_find(const struct gd_ptx *ptx, const char *name);

/* "`a`, `b` and 3 more", for messages. */
void gd_ptx_list(const struct gd_ptx *ptx, char *out, size_t capacity);

#define gd_auto_ptx __attribute__((cleanup(gd_ptx_done)))

#endif
