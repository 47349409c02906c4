#include "api/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void gd_expose(struct gd_exposition *exposition, const char *name, const char *type, const char *help)
{
	exposition->family = name;
	size_t length = strlen(name);
	if (exposition->is_openmetrics && !strcmp(type, "counter") && length > 6)
		length -= 6; /* _total */
	gd_buf_printf(exposition->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)length, name, help,
		      (int)length, name, type);
}

static void put_name(struct gd_exposition *exposition, const char *end, const char *labels)
{
	gd_buf_puts(exposition->out, exposition->family);
	gd_buf_puts(exposition->out, end);
	if (*labels) {
		gd_buf_puts(exposition->out, "{");
		gd_buf_puts(exposition->out, labels);
		gd_buf_puts(exposition->out, "}");
	}
}

void gd_expose_u64(struct gd_exposition *exposition, const char *labels, uint64_t value)
{
	put_name(exposition, "", labels);
	gd_buf_printf(exposition->out, " %" PRIu64 "\n", value);
}

void gd_expose_double(struct gd_exposition *exposition, const char *labels, double value)
{
	put_name(exposition, "", labels);
	gd_buf_printf(exposition->out, " %.9g\n", value);
}

void gd_expose_histogram(struct gd_exposition *exposition, const char *labels,
			 const struct gd_histogram *histogram, uint64_t least_ns)
{
	const char *comma = *labels ? "," : "";
	uint64_t below = 0;
	for (unsigned i = 0; i < GD_BUCKETS; i++) {
		below += histogram->buckets[i];
		bool is_last = i == GD_BUCKETS - 1;
		if (!is_last && gd_bucket_bounds_ns[i] < least_ns)
			continue;
		char bound[32] = "+Inf";
		if (!is_last)
			snprintf(bound, sizeof bound, "%g", (double)gd_bucket_bounds_ns[i] / 1e9);
		gd_buf_printf(exposition->out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", exposition->family,
			      labels, comma, bound, below);
	}
	put_name(exposition, "_sum", labels);
	gd_buf_printf(exposition->out, " %.9f\n", (double)histogram->sum_ns / 1e9);
	put_name(exposition, "_count", labels);
	gd_buf_printf(exposition->out, " %" PRIu64 "\n", below);
}

void gd_label(char *labels, size_t capacity, const char *name, const char *value)
{
	size_t used = strlen(labels);
	int added = snprintf(labels + used, capacity - used, "%s%s=\"", used ? "," : "", name);
	if (added < 0 || (size_t)added >= capacity - used) {
		labels[used] = 0;
		return;
	}
	size_t at = used + (size_t)added;
	for (; *value && at + 4 < capacity; value++) {
		char c = *value;
		if (c == '\\' || c == '"' || c == '\n') {
			labels[at++] = '\\';
			c = c == '\n' ? 'n' : c;
		}
		labels[at++] = c;
	}
	labels[at++] = '"';
	labels[at] = 0;
}
