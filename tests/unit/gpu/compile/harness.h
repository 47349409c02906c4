/*
 * A compiler with a real fork server for the tests of this folder: started from the test's own executable, so
 * main() must begin with harness_role(). One at a time, one thread. Tests skip, and say so, where there is no
 * NVRTC.
 */
#ifndef GD_TESTS_COMPILE_HARNESS_H
#define GD_TESTS_COMPILE_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/base/clock.h"
#include "gpu/compile/compiler.h"

#define HARNESS_WAIT_NS (60 * GD_NS_PER_S)

/* The role of the process when it is a child; never returns then. */
static inline void harness_role(int argc, char **argv)
{
	if (argc > 0 && !strcmp(argv[0], GD_COMPILER_ROLE))
		exit(gd_compiler_main(argc, argv));
}

struct harness {
	struct gd_loop *loop;
	struct gd_compiler *compiler;
};

struct harness_job {
	struct gd_compile_job job;
	bool done;
};

static inline void harness_done(struct gd_compile_job *job)
{
	gd_container(job, struct harness_job, job)->done = true;
}

/* Run the loop until *flag is set; the test fails at the deadline. */
static inline void harness_wait(struct harness *harness, const bool *flag)
{
	uint64_t deadline = gd_now_ns() + HARNESS_WAIT_NS;
	while (!*flag) {
		assert_true(gd_now_ns() < deadline);
		gd_loop_run(harness->loop, 100);
	}
}

static inline void harness_open(struct harness *harness, struct gd_compiler_config config)
{
	struct gd_error error = {0};
	if (!config.nvrtc)
		config.nvrtc = getenv("GPUDISPATCH_NVRTC");
	assert_true(gd_loop_new(&harness->loop, &error));
	if (!gd_compiler_new(harness->loop, &config, NULL, NULL, &harness->compiler, &error))
		fail_msg("%s", error.text);
	uint64_t deadline = gd_now_ns() + HARNESS_WAIT_NS;
	while (!gd_compiler_toolchain(harness->compiler)->known) {
		assert_true(gd_now_ns() < deadline);
		gd_loop_run(harness->loop, 100);
	}
}

static inline void harness_close(struct harness *harness)
{
	gd_compiler_free(harness->compiler);
	gd_loop_free(harness->loop);
	*harness = (struct harness){0};
}

/* The architecture that tests compile for: 90 where NVRTC knows it, else its newest. */
static inline int harness_arch(const struct harness *harness)
{
	const struct gd_toolchain *toolchain = gd_compiler_toolchain(harness->compiler);
	for (uint32_t i = 0; i < toolchain->arch_count; i++)
		if (toolchain->archs[i] == 90)
			return 90;
	return toolchain->arch_count ? toolchain->archs[toolchain->arch_count - 1] : 0;
}

static inline struct gd_program *harness_program(const struct gd_program_input *input)
{
	struct gd_error error = {0};
	struct gd_program *program = NULL;
	struct gd_program_limits limits = gd_program_limits_default();
	if (!gd_program_new(input, &limits, &program, &error))
		fail_msg("%s (%s)", error.text, error.pointer);
	return program;
}

static inline void harness_submit(struct harness *harness, struct harness_job *job,
				  const struct gd_program_input *input, enum gd_compile_kind kind)
{
	struct gd_error error = {0};
	*job = (struct harness_job){.job = {.program = harness_program(input),
					    .kind = kind,
					    .compute_capability = harness_arch(harness),
					    .done = harness_done}};
	if (!gd_compiler_submit(harness->compiler, &job->job, &error))
		fail_msg("%s", error.text);
}

static inline void harness_compile(struct harness *harness, struct harness_job *job,
				   const struct gd_program_input *input, enum gd_compile_kind kind)
{
	harness_submit(harness, job, input, kind);
	harness_wait(harness, &job->done);
}

static inline void harness_drop(struct harness_job *job)
{
	gd_program_free(job->job.program);
	gd_artifact_free(job->job.artifact);
	gd_diagnostics_done(&job->job.diagnostics);
	*job = (struct harness_job){0};
}

static inline struct gd_program_input harness_source(const char *source, const char *kernel)
{
	return (struct gd_program_input){
	    .language = GD_LANGUAGE_CUDA, .source = source, .source_bytes = strlen(source), .kernel = kernel};
}

/* Skip a test, visibly, where nothing can be compiled. */
#define harness_need_nvrtc(harness)                                                                          \
	do {                                                                                                 \
		const struct gd_toolchain *toolchain_ = gd_compiler_toolchain((harness)->compiler);          \
		if (!toolchain_->available) {                                                                \
			printf("SKIP: no NVRTC here (%s)\n", toolchain_->why_not);                           \
			skip();                                                                              \
		}                                                                                            \
	} while (0)

#endif
