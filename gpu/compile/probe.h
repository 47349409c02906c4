/*
 * Ask the compiler itself what a kernel takes.
 *
 * A few templates are appended to the source, on lines of their own and under a name no source can guess;
 * they turn each parameter of decltype(kernel) into a number, and the numbers come back in a lowered name.
 * The artifact that runs is compiled without them. Runs in the compile child; pure functions.
 */
#ifndef GD_COMPILE_PROBE_H
#define GD_COMPILE_PROBE_H

#include "gpu/program/signature.h"

#include <stdbool.h>
#include <stddef.h>

#define GD_PROBE_TAG_BYTES 40u /* "gd_" + 32 hex digits + "_" + NUL */

/* Make an unguessable prefix for the probe's names. False when the system has no randomness. */
bool gd_probe_tag(char out_tag[GD_PROBE_TAG_BYTES]);

/*
 * The source with the probe behind it, malloc'ed. `with_halves` declares CUDA's half types by name, which
 * fails where the source has made something else of these names. NULL without memory.
 */
char *gd_probe_source(const char *source, size_t bytes, const char *tag, bool with_halves);

/* The name expression to add for `kernel` (a name or expression), malloc'ed. NULL without memory. */
char *gd_probe_expression(const char *tag, const char *kernel);

/*
 * Read the lowered name and give the parameters of `signature` (of the entry's slots) their types. False when
 * it does not agree with the slots or cannot be read; the signature is then unchanged.
 */
bool gd_probe_read(const char *lowered, const char *tag, struct gd_signature *signature);

#endif
