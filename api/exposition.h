/* Writing the Prometheus text format and OpenMetrics into a gd_buf. Any thread. */
#ifndef GD_API_EXPOSITION_H
#define GD_API_EXPOSITION_H

#include "gpu/base/buf.h"
#include "gpu/dispatch/engine.h"

#include <stdbool.h>
#include <stdint.h>

struct gd_exposition {
	struct gd_buf *out;
	bool is_openmetrics; /* counters' families lose their _total there */
	const char *family;
};

/* Begin a family: HELP and TYPE lines. `name` has its prefix and, for a counter, its _total; it must outlive
 * the family. */
void gd_expose(struct gd_exposition *exposition, const char *name, const char *type, const char *help);
/* One sample of the family. `labels` ("a=\"b\"", escaped) may be "". */
void gd_expose_u64(struct gd_exposition *exposition, const char *labels, uint64_t value);
void gd_expose_double(struct gd_exposition *exposition, const char *labels, double value);
/* The samples of a histogram, buckets from `least_ns` on. */
void gd_expose_histogram(struct gd_exposition *exposition, const char *labels,
			 const struct gd_histogram *histogram, uint64_t least_ns);

/* Append `name="value"`, escaped, to a text of labels; a comma before it when it is not the first. */
void gd_label(char *labels, size_t capacity, const char *name, const char *value);

#endif
