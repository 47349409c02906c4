/* Posted programs for tests of compiles: echo images that the PTX scanner finds an entry in. */
#ifndef GD_TEST_RIG_COMPILE_H
#define GD_TEST_RIG_COMPILE_H

#include "tests/unit/gpu/dispatch/rig_more.h"

struct compile {
	struct gd_compile_request request;
	bool ended;
	unsigned calls;
};

/* A program without parameters; `directives` are echo's (image.h there), `number` tells programs apart. */
struct gd_program *rig_program(const char *directives, unsigned number);
/* A program in another language, of this text. */
struct gd_program *rig_program_of(enum gd_language language, const char *text);
/* Ask; the request's program stays the caller's. */
void rig_ask(struct gd_lane *lane, struct compile *compile, struct gd_program *program,
	     enum gd_cache_mode mode);
void rig_ask_backend(struct gd_lane *lane, struct compile *compile, struct gd_program *program,
		     enum gd_backend backend);
/* Give back what the answer holds. */
void rig_answered(struct compile *compile);

#endif
