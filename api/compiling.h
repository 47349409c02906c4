/*
 * One compile on its way through the engine, and what becomes of it: a pipeline in the table, and counts.
 *
 * A job frees itself once the engine has said done; it outlives its exchange when the client goes away
 * (abandon) and then makes nothing. All of it on the lane's thread.
 */
#ifndef GD_API_COMPILING_H
#define GD_API_COMPILING_H

#include "api/base.h"
#include "api/pipeline_in.h"

struct gd_compiling {
	struct gd_compile_request request;
	struct gd_pipeline_request asked; /* taken over from the caller */
	struct gd_api_lane *lane;
	struct gd_exchange *exchange; /* NULL once abandoned */
	const char *backend;          /* static */
	uint64_t started_ns;
	struct gd_compiling *next, **link; /* the lane's list */
	/* outcome */
	void (*finished)(struct gd_compiling *job, struct gd_exchange *exchange);
	struct gd_pipeline *pipeline; /* NULL: request.error says why */
	bool is_new;
	struct gd_compile_facts facts;
	struct gd_buf devices; /* prewarm: JSON array, of devices or of errors */
};

/* The backend's name that a request comes to. Static. */
const char *gd_compile_backend(struct gd_engine *engine, enum gd_backend asked);

/*
 * Begin; takes the content of `asked` over. `finished` is called once, maybe from within, and the job is gone
 * after it; *out_job is the job, or NULL when it has finished already. Fails: GD_INVALID_REQUEST (an unknown
 * device), GD_OVERLOADED (no memory); `finished` is not called then.
 */
bool gd_compiling_start(struct gd_exchange *exchange, struct gd_pipeline_request *asked, const char *backend,
			void (*finished)(struct gd_compiling *job, struct gd_exchange *exchange),
			struct gd_compiling **out_job, struct gd_error *error);
/* The exchange goes away. NULL is a no-op. */
void gd_compiling_abandon(struct gd_compiling *job);
/* The lane goes away, its thread has ended: what is under way stays for gd_compiling_free_all. */
void gd_compiling_orphan(struct gd_api_lane *lane);
/* The engine's lanes are gone: no done comes any more. */
void gd_compiling_free_all(struct gd_api *api);

#endif
