/* UTF-8 (RFC 3629) as the project's texts must be: checked on the way in, mended on the way out. Any thread.
 */
#ifndef GD_PROGRAM_UTF8_H
#define GD_PROGRAM_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Is it well-formed, without NUL? */
bool gd_utf8_is_valid(const char *text, size_t bytes);

/*
 * Put '?' in place of every byte that is not part of a well-formed sequence, and of every control character
 * other than tab and newline: a compiler may cut its log in the middle of a character.
 */
void gd_utf8_mend(char *text, size_t bytes);

#endif
