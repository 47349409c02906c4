/* What every test of this folder includes. */
#ifndef GD_TESTS_PROGRAM_COMMON_H
#define GD_TESTS_PROGRAM_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/program/artifact.h"
#include "gpu/program/program.h"

static inline struct gd_program_input common_input(const char *source)
{
	return (struct gd_program_input){
	    .language = GD_LANGUAGE_CUDA, .source = source, .source_bytes = strlen(source)};
}

static inline struct gd_program *common_program(const struct gd_program_input *input)
{
	struct gd_error error = {0};
	struct gd_program *program = NULL;
	struct gd_program_limits limits = gd_program_limits_default();
	if (!gd_program_new(input, &limits, &program, &error))
		fail_msg("%s (%s)", error.text, error.pointer);
	return program;
}

static inline void common_refuse(const struct gd_program_input *input, enum gd_code code, const char *pointer,
				 const char *why)
{
	struct gd_error error = {0};
	struct gd_program *program = NULL;
	struct gd_program_limits limits = gd_program_limits_default();
	if (gd_program_new(input, &limits, &program, &error))
		fail_msg("%s: accepted", why);
	assert_null(program);
	if (error.code != code || strcmp(error.pointer, pointer) != 0 || !error.fix[0])
		fail_msg("%s: code %d at '%s': %s; fix: %s", why, (int)error.code, error.pointer, error.text,
			 error.fix);
}

#endif
