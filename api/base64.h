/*
 * Base64 (RFC 4648, section 4), strict: no white space, canonical padding required, unused bits must be zero.
 *
 * Plain states on the caller's stack; nothing allocates. Any thread. It does not guess: text that is not
 * exactly base64 is refused, with the place of the first wrong character.
 */
#ifndef GD_API_BASE64_H
#define GD_API_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters that `bytes` bytes encode to; wraps for more than SIZE_MAX / 4 * 3. */
static inline uint64_t gd_base64_length(uint64_t bytes)
{
	return (bytes + 2) / 3 * 4;
}

/* Encode all of it; writes gd_base64_length(bytes) characters, no NUL. Returns how many. */
size_t gd_base64_encode(const void *data, size_t bytes, char *out_text);

/* A decoder that takes its text in pieces of any size. Start zeroed. */
struct gd_base64 {
	uint64_t taken; /* characters seen; the wrong one's index after a failure */
	uint32_t bits;
	uint8_t held;   /* characters of the group that is not complete: 0 to 3 */
	uint8_t padded; /* '=' seen: 0 to 2 */
	bool failed;
};

/* Room that feeding `characters` more may need. */
static inline size_t gd_base64_room(size_t characters)
{
	return characters / 4 * 3 + 6;
}

/*
 * Decode a piece to `out` (gd_base64_room of it). Returns the bytes written. Once failed, everything is
 * ignored and 0 returned.
 */
size_t gd_base64_feed(struct gd_base64 *state, const char *text, size_t characters, uint8_t *out);
/* The text is complete: is it base64? */
bool gd_base64_end(struct gd_base64 *state);

/*
 * Decode a whole text of the URL alphabet (section 5: - and _), padded or not, to exactly `bytes` bytes.
 * False for anything else.
 */
bool gd_base64url_exact(const char *text, size_t characters, void *out, size_t bytes);

#endif
