/*
 * What POST /pipelines asks for: from a JSON object, or from a query beside a bare source. Pure but for
 * memory.
 *
 * Both forms become one JSON object (the query is translated into it), so that both mean the same by
 * construction.
 */
#ifndef GD_API_PIPELINE_IN_H
#define GD_API_PIPELINE_IN_H

#include "api/config_in.h"
#include "api/target.h"
#include "gpu/dispatch/engine.h"

struct gd_pipeline_request {
	json_t *root;               /* owned; keeps the texts that the rest points at */
	struct gd_program *program; /* owned */
	struct gd_config config;    /* owned */
	enum gd_backend backend;
	enum gd_cache_mode cache;
	bool is_prewarm;
	const json_t *devices; /* array of ids, or NULL; in root */
};

/*
 * Read a JSON body. Fails: GD_MALFORMED_BODY, GD_INVALID_REQUEST (unknown member, wrong type, a body that is
 * empty), what gd_program_new fails with. On failure *request must be done away with too.
 */
bool gd_pipeline_request_json(const char *body, size_t bytes, const struct gd_api_config *limits,
			      struct gd_pipeline_request *request, struct gd_error *error);
/*
 * Take the body as source, and from the query kernel, options (blanks between them), workgroup_size (16,16),
 * backend, mode, cache, devices (a,b), and as JSON config, params, headers.
 */
bool gd_pipeline_request_source(const char *body, size_t bytes, const struct gd_target *target,
				const struct gd_api_config *limits, struct gd_pipeline_request *request,
				struct gd_error *error);
void gd_pipeline_request_done(struct gd_pipeline_request *request);

#endif
