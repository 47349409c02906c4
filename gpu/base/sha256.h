/* SHA-256 (FIPS 180-4) through nettle, plus the length-prefixed fields that our digests are made of. Any
 * thread. */
#ifndef GD_BASE_SHA256_H
#define GD_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include <nettle/sha2.h>

#define GD_SHA256_BYTES 32
#define GD_SHA256_HEX   64 /* characters, without the NUL */

struct gd_sha256 {
	struct sha256_ctx state;
};

void gd_sha256_init(struct gd_sha256 *hash);
void gd_sha256_add(struct gd_sha256 *hash, const void *data, size_t bytes);
/* Add an 8-byte little-endian length and then the bytes, so that field boundaries cannot shift. */
void gd_sha256_add_field(struct gd_sha256 *hash, const void *data, size_t bytes);
/* Add text as a field. NULL counts as empty. */
void gd_sha256_add_text(struct gd_sha256 *hash, const char *text);
/* Add a number as an 8-byte field. */
void gd_sha256_add_u64(struct gd_sha256 *hash, uint64_t value);
void gd_sha256_done(struct gd_sha256 *hash, uint8_t out_digest[GD_SHA256_BYTES]);

/* Digest of one piece of memory. */
void gd_sha256_of(const void *data, size_t bytes, uint8_t out_digest[GD_SHA256_BYTES]);

/* Write 2 * bytes lower-case hex digits and a NUL. */
void gd_hex(const uint8_t *data, size_t bytes, char *out_text);

#endif
