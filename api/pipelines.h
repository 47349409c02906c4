/*
 * The table of pipelines: id to program, kernel, config and manifest.
 *
 * A pipeline is immutable once it is in the table and reference-counted; the table holds one reference,
 * whoever looks it up another. The table is locked inside (a reader-writer lock); any thread. Deleting takes
 * a pipeline out of the table; dispatches that hold it finish.
 */
#ifndef GD_API_PIPELINES_H
#define GD_API_PIPELINES_H

#include "api/config_in.h"
#include "gpu/dispatch/engine.h"

#include <stdatomic.h>

/* What the answer to a compile says besides the pipeline: a fact of that request. */
struct gd_compile_facts {
	int cache_hit; /* 1, 0; -1: no such notion */
	enum gd_cache_tier tier;
	enum gd_miss_reason miss_reason;
	uint64_t compile_ns, load_ns, total_ns;
};

struct gd_pipeline {
	_Atomic uint32_t references;
	char id[GD_PIPELINE_ID_BYTES];
	char policy[GD_POLICY_TEXT_BYTES];
	const char *backend; /* static */
	struct gd_program *program;
	struct gd_kernel *kernel;
	struct gd_config config;
	char *manifest_rest; /* the manifest behind its sixth member; owned */
	char driver[32];
	struct gd_compile_facts created; /* by the compile that made it */
};

/* One reference; takes nothing over. Fails: GD_INTERNAL_STATE. */
struct gd_pipeline *gd_pipeline_ref(struct gd_pipeline *pipeline);
void gd_pipeline_free(struct gd_pipeline *pipeline); /* drops one; NULL is a no-op */
GD_DEFINE_SCOPED(gd_pipeline);
#define gd_auto_pipeline gd_scoped(gd_pipeline_scoped)

/* "<backend>:" is left away: the 64 hex digits of the id. */
const char *gd_pipeline_hex(const char *id);

struct gd_pipelines;

/* At most `max` pipelines, which keep at most `bytes_max` of memory. Fails: GD_INTERNAL_STATE. */
bool gd_pipelines_new(uint32_t max, uint64_t bytes_max, struct gd_pipelines **out_pipelines,
		      struct gd_error *error);
void gd_pipelines_free(struct gd_pipelines *pipelines);

/* With a reference of its own; NULL when there is none. */
struct gd_pipeline *gd_pipelines_find(struct gd_pipelines *pipelines, const char *id);

/*
 * Put `pipeline` in, unless its id is there. *out_pipeline is the one that is in now, with a reference of its
 * own; *out_is_new says whether it is `pipeline`. Fails: GD_QUOTA_EXCEEDED, GD_INTERNAL_STATE.
 */
bool gd_pipelines_add(struct gd_pipelines *pipelines, struct gd_pipeline *pipeline,
		      struct gd_pipeline **out_pipeline, bool *out_is_new, struct gd_error *error);

/* False when there was none. */
bool gd_pipelines_remove(struct gd_pipelines *pipelines, const char *id);

/*
 * A page in the order of ids (bytes): up to `limit` of those behind `after` (NULL: from the first), each with
 * a reference. Returns how many; *out_more says whether others follow.
 */
uint32_t gd_pipelines_page(struct gd_pipelines *pipelines, const char *after, uint32_t limit,
			   struct gd_pipeline **out_items, bool *out_more);

uint32_t gd_pipelines_count(struct gd_pipelines *pipelines);
/* Changes whenever something was removed: what was found before that may be gone. Any thread, no lock. */
uint64_t gd_pipelines_generation(struct gd_pipelines *pipelines);

#endif
