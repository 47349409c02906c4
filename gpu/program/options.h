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
 * Canonicalise a list: each spelled canonically; of options that exclude each other (a second --std=,
 * --fmad=, …) the last one counts, exact repetitions are dropped, the order of what is left is: fixed options
 * sorted by their text, then -D and -U in the order given (their order has a meaning). Writes pointers to
 * malloc'ed texts into a malloc'ed array; free with gd_options_free. Fails: GD_INVALID_REQUEST.
 */
bool gd_options_canonical(const char *const *options, size_t count, char ***out_options, size_t *out_count,
			  struct gd_error *error);
void gd_options_free(char **options, size_t count);

/*
 * Write the canonical form of a kernel name or expression to `out` (GD_KERNEL_BYTES_MAX + 1 bytes): trimmed,
 * white space kept only as one blank between two words. NULL or blank gives "". Fails: GD_INVALID_REQUEST
 * with pointer /kernel for anything outside the grammar (identifiers, numbers, :: < > , ( ) * & + - ! ~ | ^ %
 * and blanks; balanced brackets; no ; { } # " ' \ = . ? [ ] / or control characters) or over the limit.
 */
bool gd_kernel_canonical(const char *kernel, char *out, struct gd_error *error);

/* Is the canonical text a plain, possibly qualified name (a::b) rather than an expression? */
bool gd_kernel_is_name(const char *kernel);

#endif
