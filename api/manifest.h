/* The manifest of a pipeline: what reproduces it, as compact JSON. Pure but for memory; any thread. */
#ifndef GD_API_MANIFEST_H
#define GD_API_MANIFEST_H

#include "api/pipelines.h"
#include "gpu/base/buf.h"

enum { GD_MANIFEST_SCHEMA = 1 };

/* Make pipeline->manifest_rest from its other fields. Fails: GD_INTERNAL_STATE. */
bool gd_manifest_make(struct gd_pipeline *pipeline, struct gd_error *error);
/* Append the whole manifest, with this cache_hit (1, 0, or -1 for null). */
void gd_manifest_write(struct gd_buf *out, const struct gd_pipeline *pipeline, int cache_hit);

/* "true", "false" or "null". */
const char *gd_cache_hit_text(int cache_hit);
/* The contract's words; NULL for GD_TIER_NONE and GD_MISS_NONE. */
const char *gd_cache_tier_text(enum gd_cache_tier tier);
const char *gd_miss_reason_text(enum gd_miss_reason reason);

#endif
