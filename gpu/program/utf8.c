#include "gpu/program/utf8.h"

#include <stdint.h>

/* Length of the sequence at `at`, 0 when it is not well-formed (overlong, surrogate, over U+10FFFF, cut,
 * NUL). */
static size_t sequence(const uint8_t *at, size_t left)
{
	uint8_t first = at[0];
	if (first < 0x80)
		return first ? 1 : 0;
	size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (first < 0xc2 || first > 0xf4 || length > left)
		return 0;
	/* the second byte's range excludes overlong forms and surrogates: RFC 3629, section 4 */
	uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

bool gd_utf8_is_valid(const char *text, size_t bytes)
{
	const uint8_t *at = (const uint8_t *)text;
	for (size_t i = 0; i < bytes;) {
		size_t n = sequence(at + i, bytes - i);
		if (!n)
			return false;
		i += n;
	}
	return true;
}

void gd_utf8_mend(char *text, size_t bytes)
{
	uint8_t *at = (uint8_t *)text;
	for (size_t i = 0; i < bytes;) {
		size_t n = sequence(at + i, bytes - i);
		if (!n || (n == 1 && (at[i] == 0x7f || (at[i] < ' ' && at[i] != '\t' && at[i] != '\n')))) {
			at[i] = '?';
			n = 1;
		}
		i += n;
	}
}
