#include "api/base64.h"

#include <string.h>

#define BAD 0x80u

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define X BAD
static const uint8_t values[256] = {
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  62, X,  X,  X,  63, 52, 53, 54, 55,
    56, 57, 58, 59, 60, 61, X,  X,  X,  X,  X,  X,  X,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
    13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, X,  X,  X,  X,  X,  X,  26, 27, 28, 29, 30, 31, 32,
    33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, X,  X,  X,  X,  X,  X,  X,
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,
    X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X,  X};
#undef X

size_t gd_base64_encode(const void *data, size_t bytes, char *out_text)
{
	const uint8_t *in = data;
	char *out = out_text;
	for (; bytes >= 3; bytes -= 3, in += 3, out += 4) {
		uint32_t group = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
		out[0] = letters[group >> 18];
		out[1] = letters[group >> 12 & 63];
		out[2] = letters[group >> 6 & 63];
		out[3] = letters[group & 63];
	}
	if (bytes) {
		uint32_t group = (uint32_t)in[0] << 16 | (bytes == 2 ? (uint32_t)in[1] << 8 : 0);
		out[0] = letters[group >> 18];
		out[1] = letters[group >> 12 & 63];
		out[2] = bytes == 2 ? letters[group >> 6 & 63] : '=';
		out[3] = '=';
		out += 4;
	}
	return (size_t)(out - out_text);
}

static size_t refuse(struct gd_base64 *state, uint64_t index)
{
	state->failed = true;
	state->taken = index;
	return 0;
}

/* One character of a group that straddles pieces, or is padded, or is wrong. Returns bytes written. */
static size_t take_one(struct gd_base64 *state, unsigned char character, uint8_t *out)
{
	uint64_t index = state->taken++;
	if (character == '=') {
		/* "xx==" or "xxx=", and the bits that no byte uses are zero */
		if (state->padded == 0) {
			if (state->held < 2 || (state->bits & (state->held == 2 ? 0xfu : 0x3u)))
				return refuse(state, index);
			size_t written = state->held - 1u;
			uint32_t group = state->bits << (state->held == 2 ? 12 : 6);
			out[0] = (uint8_t)(group >> 16);
			if (written == 2)
				out[1] = (uint8_t)(group >> 8);
			state->padded = 1;
			return written;
		}
		if (state->padded != 1 || state->held != 2)
			return refuse(state, index);
		state->padded = 2;
		return 0;
	}
	uint8_t value = values[character];
	if (value == BAD || state->padded)
		return refuse(state, index);
	state->bits = state->bits << 6 | value;
	if (++state->held < 4)
		return 0;
	out[0] = (uint8_t)(state->bits >> 16);
	out[1] = (uint8_t)(state->bits >> 8);
	out[2] = (uint8_t)state->bits;
	state->held = 0;
	state->bits = 0;
	return 3;
}

size_t gd_base64_feed(struct gd_base64 *state, const char *text, size_t characters, uint8_t *out)
{
	const uint8_t *in = (const uint8_t *)text, *end = in + characters;
	uint8_t *to = out;
	while (in < end && !state->failed) {
		if (state->held == 0 && !state->padded) {
			const uint8_t *from = in;
			for (; end - in >= 4; in += 4, to += 3) {
				uint8_t a = values[in[0]], b = values[in[1]], c = values[in[2]],
					d = values[in[3]];
				if ((a | b | c | d) & BAD)
					break;
				uint32_t group = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | d;
				to[0] = (uint8_t)(group >> 16);
				to[1] = (uint8_t)(group >> 8);
				to[2] = (uint8_t)group;
			}
			state->taken += (uint64_t)(in - from);
			if (in == end)
				break;
		}
		to += take_one(state, *in++, to);
	}
	return (size_t)(to - out);
}

bool gd_base64_end(struct gd_base64 *state)
{
	if (state->failed)
		return false;
	/* after padding the group is complete: xx== or xxx= */
	if (state->padded ? state->held + state->padded != 4 : state->held != 0)
		state->failed = true;
	return !state->failed;
}

bool gd_base64url_exact(const char *text, size_t characters, void *out, size_t bytes)
{
	struct gd_base64 state = {0};
	uint8_t *to = out, group[6];
	size_t written = 0;
	if (characters % 4 == 1 || (characters % 4 && text[characters - 1] == '='))
		return false;
	size_t padding = (4 - characters % 4) % 4;
	for (size_t i = 0; i < characters + padding; i++) {
		char c = i < characters ? text[i] : '=';
		if (c == '+' || c == '/')
			return false;
		c = c == '-' ? '+' : c == '_' ? '/' : c;
		size_t more = gd_base64_feed(&state, &c, 1, group);
		if (more > bytes - written)
			return false;
		memcpy(to + written, group, more);
		written += more;
	}
	return gd_base64_end(&state) && written == bytes;
}
