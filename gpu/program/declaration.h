/*
 * Names of a kernel's parameters, read from its declaration in the source.
 *
 * A tolerant scan, no parser: it knows comments, strings, brackets and commas. What it finds is a
 * convenience; the compiler's count decides whether it is used. Sources may be hostile. Pure functions, any
 * thread.
 */
#ifndef GD_PROGRAM_DECLARATION_H
#define GD_PROGRAM_DECLARATION_H

#include "gpu/program/signature.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Find the __global__ declaration of `function` (its name without scope) with as many parameters as
 * `signature` and give them their names; a nameless parameter stays without. The declaration with a body wins
 * over the others. Returns true when names were set; false leaves the signature as it is: no such
 * declaration, a name that is there twice, several bodies that disagree.
 */
bool gd_declaration_names(const char *source, size_t bytes, const char *function,
			  struct gd_signature *signature);

#endif
