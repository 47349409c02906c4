#include "gpu/base/sha256.h"

#include <string.h>

void gd_sha256_init(struct gd_sha256 *hash)
{
	sha256_init(&hash->state);
}

void gd_sha256_add(struct gd_sha256 *hash, const void *data, size_t bytes)
{
	if (bytes)
		sha256_update(&hash->state, bytes, data);
}

static void add_length(struct gd_sha256 *hash, uint64_t value)
{
	uint8_t little_endian[8];
	for (int i = 0; i < 8; i++)
		little_endian[i] = (uint8_t)(value >> (8 * i));
	sha256_update(&hash->state, sizeof little_endian, little_endian);
}

void gd_sha256_add_field(struct gd_sha256 *hash, const void *data, size_t bytes)
{
	add_length(hash, bytes);
	gd_sha256_add(hash, data, bytes);
}

void gd_sha256_add_text(struct gd_sha256 *hash, const char *text)
{
	gd_sha256_add_field(hash, text, text ? strlen(text) : 0);
}

void gd_sha256_add_u64(struct gd_sha256 *hash, uint64_t value)
{
	add_length(hash, 8);
	add_length(hash, value);
}

void gd_sha256_done(struct gd_sha256 *hash, uint8_t out_digest[GD_SHA256_BYTES])
{
	sha256_digest(&hash->state, GD_SHA256_BYTES, out_digest);
}

void gd_sha256_of(const void *data, size_t bytes, uint8_t out_digest[GD_SHA256_BYTES])
{
	struct gd_sha256 hash;
	gd_sha256_init(&hash);
	gd_sha256_add(&hash, data, bytes);
	gd_sha256_done(&hash, out_digest);
}

void gd_hex(const uint8_t *data, size_t bytes, char *out_text)
{
	static const char digits[16] = "0123456789abcdef";
	for (size_t i = 0; i < bytes; i++) {
		out_text[2 * i] = digits[data[i] >> 4];
		out_text[2 * i + 1] = digits[data[i] & 15];
	}
	out_text[2 * bytes] = 0;
}
