/*
 * Scalars from JSON or text to the bytes of a launch block, exactly as the contract says. Pure; any thread.
 *
 * Floats are read as f64 and rounded once more, to nearest even, for narrower types. What does not fit is
 * refused, never clipped.
 */
#ifndef GD_API_SCALAR_H
#define GD_API_SCALAR_H

#include "api/json_in.h"
#include "gpu/program/signature.h"

/*
 * Write the gd_type_size(type) bytes of a scalar. Integers: a JSON integer or decimal digits, within the
 * type's range. bool: true, false, 0, 1. Floats: a number, or NaN, Infinity, -Infinity, inf, nan in any case;
 * as JSON, numbers are no strings. Fails: GD_INVALID_REQUEST at `pointer`.
 */
bool gd_scalar_write(enum gd_type type, const struct gd_value *value, const char *pointer, uint8_t *out,
		     struct gd_error *error);

/* Round to a binary format of `exponent_bits` and `mantissa_bits`, to nearest even; finite may become
 * infinite. */
uint32_t gd_float_round(double value, unsigned exponent_bits, unsigned mantissa_bits);

#endif
