/*
 * The memory tier of the artifact cache: values by key, single flight, least recently used goes first.
 *
 * A key is asked for with gd_cache_begin. The first to miss becomes the owner of a flight and must end it
 * with gd_cache_finish; whoever asks meanwhile waits in it. Values are opaque and counted by the functions of
 * the config. Locked inside; any thread; nothing is called back under the lock but retain and release.
 */
#ifndef GD_CACHE_CACHE_H
#define GD_CACHE_CACHE_H

#include "gpu/base/error.h"

#include <stddef.h>
#include <stdint.h>

#define GD_CACHE_KEY_BYTES 32

enum gd_cache_mode { GD_CACHE_USE, GD_CACHE_BYPASS, GD_CACHE_REFRESH };
enum gd_cache_tier {
	GD_TIER_NONE,
	GD_TIER_MEMORY,
	GD_TIER_DISK,
	GD_TIER_STORE,
	GD_TIER_COALESCED,
	GD_TIER_COMPILED
};
/* In the order of the contract: the first that applies is told. */
enum gd_miss_reason {
	GD_MISS_NONE,
	GD_MISS_BYPASSED,
	GD_MISS_CORRUPT,
	GD_MISS_EVICTED,
	GD_MISS_EMPTY_CACHE,
	GD_MISS_DEVICE_OR_RUNTIME_CHANGED,
	GD_MISS_PROGRAM_CHANGED,
	GD_MISS_KEY_ABSENT,
	GD_MISS_REASONS
};

struct gd_cache;

struct gd_cache_config {
	size_t bytes_max;
	uint32_t entries_max;
	void *(*retain)(void *value); /* returns value */
	void (*release)(void *value);
};

/* What is asked for. The texts and digests are only read during the call. */
struct gd_cache_key {
	uint8_t key[GD_CACHE_KEY_BYTES];
	uint8_t program[GD_CACHE_KEY_BYTES]; /* program digest: same program, other key is
						device_or_runtime_changed */
	const char *kernel; /* same kernel name, other program is program_changed; may be empty */
};

/* Somebody waiting for a flight; embedded in its owner. */
struct gd_waiter {
	struct gd_waiter *next;
	void *owner;
};

enum gd_lookup { GD_LOOKUP_HIT, GD_LOOKUP_JOINED, GD_LOOKUP_OWNER };

bool gd_cache_new(const struct gd_cache_config *config, struct gd_cache **out_cache, struct gd_error *error);
/* No flight is left. */
void gd_cache_free(struct gd_cache *cache);

/*
 * HIT: *out_value is retained for the caller. JOINED: `waiter` waits in a flight. OWNER: a flight was made
 * with `waiter` in it, *out_reason says why there was no value; the caller must see to gd_cache_finish.
 * REFRESH passes by a value but joins a flight. (BYPASS does not come here.) Without memory: OWNER of a
 * flight that nobody can join, told by *out_joinable false; then finish returns nobody.
 */
enum gd_lookup gd_cache_begin(struct gd_cache *cache, const struct gd_cache_key *key, enum gd_cache_mode mode,
			      struct gd_waiter *waiter, void **out_value, enum gd_miss_reason *out_reason,
			      bool *out_joinable);

/*
 * End a flight: `value` (NULL when it failed) of `bytes` is retained and stored. Returns the waiters, the
 * owner's own among them, in order of arrival.
 */
struct gd_waiter *gd_cache_finish(struct gd_cache *cache, const uint8_t key[GD_CACHE_KEY_BYTES], void *value,
				  size_t bytes);

/* Take a waiter out of the flight of `key`. False when it is in none (any more). */
bool gd_cache_forget(struct gd_cache *cache, const uint8_t key[GD_CACHE_KEY_BYTES], struct gd_waiter *waiter);

struct gd_cache_counts {
	uint64_t entries, bytes, limit_bytes, evictions;
};
void gd_cache_counts(struct gd_cache *cache, struct gd_cache_counts *out_counts);

#endif
