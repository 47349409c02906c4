/*
 * The compiler options a client may give, each with one canonical spelling, and the grammar of kernel
 * expressions.
 *
 * All else is refused before a compiler sees it: NVRTC has options that read and write files. Pure functions,
 * any thread.
 */
#ifndef GD_PROGRAM_OPTIONS_H
#define GD_PROGRAM_OPTIONS_H

#include "gpu/base/error.h"

#include <stddef.h>

#define GD_OPTION_BYTES_MAX 1024u /* one option */
#define GD_OPTIONS_MAX      64u   /* options of one program */
#define GD_KERNEL_BYTES_MAX 1024u /* kernel name or expression, canonical */

/*
 * Write the canonical spelling of one option to `out` (`capacity` bytes with the NUL; GD_OPTION_BYTES_MAX +
 * 16 are always enough). `index` is its place in the request, for the error's pointer /options/N. Fails:
 * GD_INVALID_REQUEST, naming the option.
 */
bool gd_option_canonical(const char *option, size_t index, char *out, size_t capacity,
			 struct gd_error *error);

/*
 * Canonicalise a list: each spelled canonically, sorted by bytes, exact repetitions dropped. Two different
 * values for the same thing (--std=, --fmad=, …, one macro) are refused. Writes malloc'ed texts into a
 * malloc'ed array (NULL when there are none); free with gd_options_free. Fails: GD_INVALID_REQUEST with
 * pointer /options/N, GD_INTERNAL_STATE.
 */
bool gd_options_canonical(const char *const *options, size_t count, char ***out_options, size_t *out_count,
			  struct gd_error *error);
void gd_options_free(char **options, size_t count);

/*
 * The spelling that NVRTC takes for a canonical option (nvrtc.h, "Supported Compile Options"; two differ from
 * ours). Returns `option` itself where they agree.
 */
const char *gd_option_for_nvrtc(const char *option);

/*
 * Write the canonical form of a kernel name or expression to `out` (GD_KERNEL_BYTES_MAX + 1 bytes): trimmed,
 * white space kept only as one blank between two words. NULL or blank gives "". Fails: GD_INVALID_REQUEST
 * with pointer /kernel for anything outside the grammar (identifiers, numbers, :: < > , ( ) * & + - ! ~ | ^ %
 * and white space; balanced round brackets; no comma outside brackets) or over the limit.
 */
bool gd_kernel_canonical(const char *kernel, char *out, struct gd_error *error);

#endif
