/*
 * A compiler's log as a list: severity, place, number, message, excerpt.
 *
 * Single owner; gd_diagnostics_done releases all. Pure functions, any thread. Never fails on odd input: a log
 * it cannot read becomes one diagnostic with the raw text.
 */
#ifndef GD_PROGRAM_DIAGNOSTICS_H
#define GD_PROGRAM_DIAGNOSTICS_H

#include "gpu/base/error.h"

#include <stddef.h>
#include <stdint.h>

#define GD_DIAGNOSTICS_MAX 256u         /* more are dropped; the log still has them */
#define GD_LOG_BYTES_MAX   (64u * 1024) /* a compile log is cut here */

/* The values are part of stored artifacts: never renumber. */
enum gd_severity { GD_SEVERITY_NOTE = 0, GD_SEVERITY_WARNING = 1, GD_SEVERITY_ERROR = 2, GD_SEVERITY_COUNT };

struct gd_diagnostic {
	enum gd_severity severity;
	uint32_t line, column; /* from 1; 0 when not told */
	uint32_t number;       /* the compiler's (#177-D gives 177); 0 when not told */
	char *file;            /* "kernel.cu" or a header's name; owned, never NULL */
	char *message;         /* owned, never NULL */
	char *excerpt;         /* source line and caret; owned, never NULL, may be empty */
};

struct gd_diagnostics {
	uint32_t count;
	struct gd_diagnostic *items; /* owned; NULL when count is 0 */
	char *log;                   /* raw text; owned, NULL when there is none */
};

/* "note", "warning", "error". Never NULL. */
const char *gd_severity_text(enum gd_severity severity);

/*
 * Read an NVRTC log ("kernel.cu(3): error: …", "kernel.cu(3): warning #177-D: …", with excerpt and caret
 * lines). The text is copied, at most GD_LOG_BYTES_MAX of it. Fails: GD_INTERNAL_STATE without memory.
 */
bool gd_diagnostics_parse(const char *log, size_t bytes, struct gd_diagnostics *out_diagnostics,
			  struct gd_error *error);
bool gd_diagnostics_copy(const struct gd_diagnostics *from, struct gd_diagnostics *out_diagnostics,
			 struct gd_error *error);
/* Append one; texts are copied, NULL counts as empty. Over GD_DIAGNOSTICS_MAX it is dropped. False without
 * memory. */
bool gd_diagnostics_add(struct gd_diagnostics *diagnostics, const struct gd_diagnostic *diagnostic);
void gd_diagnostics_done(struct gd_diagnostics *diagnostics);

#define gd_auto_diagnostics __attribute__((cleanup(gd_diagnostics_done)))

#endif
