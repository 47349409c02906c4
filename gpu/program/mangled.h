/*
 * What the mangled name of a C++ kernel tells: its name as source text, and its parameters' types.
 *
 * Reads the part of the Itanium C++ ABI (5.1, Mangling) that kernels' names use; anything else is "not told".
 * Input may be hostile. Pure functions, any thread.
 */
#ifndef GD_PROGRAM_MANGLED_H
#define GD_PROGRAM_MANGLED_H

#include "gpu/program/signature.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GD_MANGLED_PARAMS_MAX 64u /* kernels with more are left to the compiler's own answer */
#define GD_MANGLED_TEXT_BYTES 512u

struct gd_mangled_param {
	enum gd_type type;    /* NONE: a class or enum of unknown size */
	enum gd_type element; /* of a pointer; NONE: a class, enum or function */
	bool is_const;        /* what a pointer points at */
};

struct gd_mangled {
	char base[GD_MANGLED_TEXT_BYTES]; /* the function's own name, without scope and template arguments */
	char expression[GD_MANGLED_TEXT_BYTES]; /* as C++ would name it, ns::scale<float>; empty when not told
						 */
	bool has_params;                        /* count and params are told */
	uint32_t count;
	struct gd_mangled_param params[GD_MANGLED_PARAMS_MAX];
};

/* Read `name`. False when it is no mangled function name that this reader knows; then `out_mangled` is
 * untouched. */
bool gd_mangled_read(const char *name, struct gd_mangled *out_mangled);

#endif
