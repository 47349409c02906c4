/* Declared parameters from the words of the contract to a signature. Part of gd_program_new; any thread. */
#ifndef GD_PROGRAM_DECLARED_H
#define GD_PROGRAM_DECLARED_H

#include "gpu/base/error.h"
#include "gpu/program/program.h"
#include "gpu/program/signature.h"

/*
 * Validate `count` declared parameters and turn them into a signature that is not laid out. `name_bytes` is
 * the limit of a name. Fails: GD_INVALID_REQUEST with pointer /params/N/MEMBER, GD_INTERNAL_STATE.
 */
bool gd_declared_read(const struct gd_param_input *inputs, size_t count, size_t name_bytes,
		      struct gd_signature *out_signature, struct gd_error *error);

#endif
