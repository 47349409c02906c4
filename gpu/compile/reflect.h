/* Types and names of a kernel's parameters, from every source there is. Runs in the compile child. */
#ifndef GD_COMPILE_REFLECT_H
#define GD_COMPILE_REFLECT_H

#include "gpu/compile/run.h"

/*
 * Find the types of `signature`, which has the sizes of `entry`, and names where the source tells them.
 * Order: nothing to find; the mangled name when it says all; the probe; what the mangled name says, with
 * structs as bytes of the slots' sizes. False when the types remain unknown: they must be declared.
 */
bool gd_reflect(const struct gd_run_context *context, const char *entry, struct gd_signature *signature);

#endif
