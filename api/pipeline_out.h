/* Answers about a pipeline, for POST and GET alike. The shard's thread. */
#ifndef GD_API_PIPELINE_OUT_H
#define GD_API_PIPELINE_OUT_H

#include "api/base.h"

/*
 * Append {"id", "cache_hit", …, "timing"} with the facts of one compile; `devices` (a JSON array) may be
 * NULL. The diagnostics and the log are the artifact's.
 */
void gd_pipeline_write(struct gd_buf *out, const struct gd_pipeline *pipeline,
		       const struct gd_compile_facts *facts, const char *devices);

/* The quoted 64 hex digits of the id. */
void gd_pipeline_etag(const char *id, char *out, size_t capacity);

#endif
