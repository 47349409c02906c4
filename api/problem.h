/*
 * Errors as RFC 9457 problem details: one table from enum gd_code to number, code word, status and the rest.
 *
 * Pure; any thread. Texts come from gd_error as they are: whoever sets an error keeps paths and addresses out
 * of it.
 */
#ifndef GD_API_PROBLEM_H
#define GD_API_PROBLEM_H

#include "gpu/base/buf.h"
#include "gpu/base/error.h"
#include "gpu/program/diagnostics.h"

#include <stdint.h>

struct gd_problem_row {
	unsigned number;  /* 1001 … 1999, stable */
	const char *word; /* stable */
	unsigned status;
	const char *title;
	const char *stage;      /* where it usually arises */
	bool is_retryable;      /* the same request may succeed later, unchanged */
	unsigned retry_after_s; /* 0: no Retry-After */
	const char *fix;
};

/* Never NULL; GD_UNKNOWN's row for a code outside the table. */
const struct gd_problem_row *gd_problem_row(enum gd_code code);

struct gd_problem {
	const struct gd_error *error;
	unsigned status;                          /* 0: the table's */
	const char *stage;                        /* NULL: the table's */
	const char *instance;                     /* the request id */
	const struct gd_diagnostics *diagnostics; /* may be NULL */
	bool is_temporary;                        /* waiting helps though the table does not say so */
	const char *errors; /* JSON array that replaces the one made of error->pointer; may be NULL */
};

/* Append the document. False when `out` refused. */
bool gd_problem_write(struct gd_buf *out, const struct gd_problem *problem);

/* Append "text. Fix: what to do" as a JSON string: the detail of an error on its own. */
void gd_problem_detail(struct gd_buf *out, const struct gd_error *error);

/* Append the diagnostics as a JSON array; NULL gives []. */
void gd_problem_diagnostics(struct gd_buf *out, const struct gd_diagnostics *diagnostics);

#endif
