#include "tests/unit/gpu/dispatch/rig_compile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct gd_program *rig_program_of(enum gd_language language, const char *text)
{
	struct gd_error error = {0};
	struct gd_program_limits limits = gd_program_limits_default();
	struct gd_program_input input = {.language = language,
					 .source = text,
					 .source_bytes = strlen(text),
					 .kernel = "k",
					 .params_declared = true};
	struct gd_program *program = NULL;
	if (!gd_program_new(&input, &limits, &program, &error))
		fail_msg("%s", error.text);
	return program;
}

struct gd_program *rig_program(const char *directives, unsigned number)
{
	char text[256];
	snprintf(text, sizeof text, "echo\n# .visible .entry k ( ) { } %u\n%s", number, directives);
	return rig_program_of(GD_LANGUAGE_PTX, text);
}

static void done(struct gd_compile_request *request)
{
	struct compile *compile = gd_container(request, struct compile, request);
	compile->ended = true;
	compile->calls++;
}

static void prepare(struct compile *compile, struct gd_program *program)
{
	memset(compile, 0, sizeof *compile);
	compile->request.program = program;
	compile->request.done = done;
}

void rig_ask(struct gd_lane *lane, struct compile *compile, struct gd_program *program,
	     enum gd_cache_mode mode)
{
	prepare(compile, program);
	compile->request.mode = mode;
	gd_lane_compile(lane, &compile->request);
}

void rig_ask_backend(struct gd_lane *lane, struct compile *compile, struct gd_program *program,
		     enum gd_backend backend)
{
	prepare(compile, program);
	compile->request.backend = backend;
	gd_lane_compile(lane, &compile->request);
}

void rig_answered(struct compile *compile)
{
	gd_kernel_unref(compile->request.kernel);
	compile->request.kernel = NULL;
	gd_diagnostics_done(&compile->request.diagnostics);
}
