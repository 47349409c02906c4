/*
 * One run of NVRTC in the compile child: options, headers, log and images. Memory is not given back: see
 * job.h.
 */
#ifndef GD_COMPILE_RUN_H
#define GD_COMPILE_RUN_H

#include "gpu/compile/headers.h"
#include "gpu/compile/message.h"
#include "gpu/compile/nvrtc.h"

#include <stdbool.h>

/* What every run of a job has in common. */
struct gd_run_context {
	const struct gd_nvrtc *nvrtc;
	const struct gd_request *request;
	const char **options; /* as NVRTC takes them, without the architecture */
	int option_count;
	const char **header_names,
	    **header_texts; /* the client's, then CUDA's own where the source includes any */
	int header_count;
	char architecture[48];
};

struct gd_run {
	int status;                          /* an nvrtcResult */
	struct gd_wire_text log, ptx, cubin; /* empty where there is none; cubin only for GD_COMPILE_CUDA */
	const char *lowered;                 /* of the name expression; NULL without */
};

/* Fill the rest of a context that has nvrtc and request. False without memory. */
bool gd_run_prepare(struct gd_run_context *context, const struct gd_headers *headers);

/*
 * Compile the request's source. `expression` (NULL for none) is added as a name expression and its lowered
 * name read. False when NVRTC refused; status and log are set then.
 */
bool gd_run_compile(const struct gd_run_context *context, const char *expression, struct gd_run *out_run);

/*
 * Only ask for the lowered name of `expression` in `source`; where NVRTC can, the front end alone runs. NULL
 * when it does not compile.
 */
const char *gd_run_lower(const struct gd_run_context *context, const char *source, const char *expression);

#endif
