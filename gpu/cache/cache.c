#include "gpu/cache/cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_FIRST = 1024, REMEMBERED_MAX = 65536 };

struct entry {
	struct entry *chain;         /* same bucket */
	struct entry *newer, *older; /* use order; only entries with a value are in it */
	uint8_t key[GD_CACHE_KEY_BYTES];
	uint8_t program[GD_CACHE_KEY_BYTES];
	uint64_t kernel_hash;
	void *value;
	size_t bytes;
	bool in_flight, was_evicted;
	struct gd_waiter *first, **last;
};

struct gd_cache {
	pthread_mutex_t lock;
	struct gd_cache_config config;
	struct entry **buckets;
	size_t bucket_count, entry_count; /* entries of any kind */
	struct entry *newest, *oldest;
	uint64_t values, bytes, evictions, stored; /* stored: ever */
};

static size_t bucket_of(const struct gd_cache *cache, const uint8_t key[GD_CACHE_KEY_BYTES])
{
	uint64_t head;
	memcpy(&head, key, sizeof head); /* a digest: any part of it is spread evenly */
	return (size_t)head & (cache->bucket_count - 1);
}

static uint64_t hash_text(const char *text)
{
	uint64_t hash = 1469598103934665603ull; /* FNV-1a 64 */
	for (; text && *text; text++)
		hash = (hash ^ (uint8_t)*text) * 1099511628211ull;
	return hash;
}

static struct entry *find(const struct gd_cache *cache, const uint8_t key[GD_CACHE_KEY_BYTES])
{
	struct entry *entry = cache->buckets[bucket_of(cache, key)];
	while (entry && memcmp(entry->key, key, GD_CACHE_KEY_BYTES))
		entry = entry->chain;
	return entry;
}

static void use_unlink(struct gd_cache *cache, struct entry *entry)
{
	*(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
	entry->newer = entry->older = NULL;
}

static void use_link(struct gd_cache *cache, struct entry *entry)
{
	entry->older = cache->newest;
	entry->newer = NULL;
	*(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
	cache->newest = entry;
}

static void drop_value(struct gd_cache *cache, struct entry *entry, void **out_dropped)
{
	use_unlink(cache, entry);
	cache->values--;
	cache->bytes -= entry->bytes;
	*out_dropped = entry->value;
	entry->value = NULL;
	entry->bytes = 0;
}

static void grow(struct gd_cache *cache)
{
	size_t count = cache->bucket_count * 2;
	struct entry **buckets = calloc(count, sizeof *buckets);
	if (!buckets)
		return;
	struct entry **old = cache->buckets;
	size_t old_count = cache->bucket_count;
	cache->buckets = buckets;
	cache->bucket_count = count;
	for (size_t i = 0; i < old_count; i++)
		for (struct entry *entry = old[i], *next; entry; entry = next) {
			next = entry->chain;
			struct entry **head = &buckets[bucket_of(cache, entry->key)];
			entry->chain = *head;
			*head = entry;
		}
	free(old);
}

static void remove_entry(struct gd_cache *cache, struct entry *entry)
{
	struct entry **link = &cache->buckets[bucket_of(cache, entry->key)];
	while (*link != entry)
		link = &(*link)->chain;
	*link = entry->chain;
	cache->entry_count--;
	free(entry);
}

bool gd_cache_new(const struct gd_cache_config *config, struct gd_cache **out_cache, struct gd_error *error)
{
	struct gd_cache *cache = calloc(1, sizeof *cache);
	if (cache)
		cache->buckets = calloc(BUCKETS_FIRST, sizeof *cache->buckets);
	if (!cache || !cache->buckets) {
		free(cache);
		return gd_error_errno(error, ENOMEM, "cannot make the cache");
	}
	cache->bucket_count = BUCKETS_FIRST;
	cache->config = *config;
	pthread_mutex_init(&cache->lock, NULL);
	*out_cache = cache;
	return true;
}

void gd_cache_free(struct gd_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < cache->bucket_count; i++)
		for (struct entry *entry = cache->buckets[i], *next; entry; entry = next) {
			next = entry->chain;
			if (entry->value)
				cache->config.release(entry->value);
			free(entry);
		}
	pthread_mutex_destroy(&cache->lock);
	free(cache->buckets);
	free(cache);
}

/* Walks all entries: only a miss pays for it, and a miss costs a compile. */
static enum gd_miss_reason why_missing(const struct gd_cache *cache, const struct entry *known,
				       const struct gd_cache_key *key, enum gd_cache_mode mode)
{
	if (mode == GD_CACHE_REFRESH)
		return GD_MISS_BYPASSED;
	if (known && known->was_evicted)
		return GD_MISS_EVICTED;
	if (!cache->stored)
		return GD_MISS_EMPTY_CACHE;
	uint64_t kernel = hash_text(key->kernel);
	bool same_kernel = false;
	for (size_t i = 0; i < cache->bucket_count; i++)
		for (const struct entry *entry = cache->buckets[i]; entry; entry = entry->chain) {
			if (entry == known || (!entry->value && !entry->was_evicted))
				continue;
			if (!memcmp(entry->program, key->program, GD_CACHE_KEY_BYTES))
				return GD_MISS_DEVICE_OR_RUNTIME_CHANGED;
			if (key->kernel && key->kernel[0] && entry->kernel_hash == kernel)
				same_kernel = true;
		}
	return same_kernel ? GD_MISS_PROGRAM_CHANGED : GD_MISS_KEY_ABSENT;
}

static struct entry *add_entry(struct gd_cache *cache, const struct gd_cache_key *key)
{
	struct entry *entry = calloc(1, sizeof *entry);
	if (!entry)
		return NULL;
	if (cache->entry_count >= cache->bucket_count)
		grow(cache);
	memcpy(entry->key, key->key, sizeof entry->key);
	memcpy(entry->program, key->program, sizeof entry->program);
	entry->kernel_hash = hash_text(key->kernel);
	struct entry **head = &cache->buckets[bucket_of(cache, key->key)];
	entry->chain = *head;
	*head = entry;
	cache->entry_count++;
	return entry;
}

static void join(struct entry *entry, struct gd_waiter *waiter)
{
	waiter->next = NULL;
	*entry->last = waiter;
	entry->last = &waiter->next;
}

enum gd_lookup gd_cache_begin(struct gd_cache *cache, const struct gd_cache_key *key, enum gd_cache_mode mode,
			      struct gd_waiter *waiter, void **out_value, enum gd_miss_reason *out_reason,
			      bool *out_joinable)
{
	pthread_mutex_lock(&cache->lock);
	enum gd_lookup lookup = GD_LOOKUP_OWNER;
	struct entry *entry = find(cache, key->key);
	*out_joinable = true;
	if (entry && entry->value && mode == GD_CACHE_USE) {
		use_unlink(cache, entry);
		use_link(cache, entry);
		*out_value = cache->config.retain(entry->value);
		lookup = GD_LOOKUP_HIT;
	} else if (entry && entry->in_flight) {
		join(entry, waiter);
		lookup = GD_LOOKUP_JOINED;
	} else {
		*out_reason = why_missing(cache, entry, key, mode);
		if (!entry)
			entry = add_entry(cache, key);
		*out_joinable = entry != NULL;
		if (entry) {
			entry->in_flight = true;
			entry->last = &entry->first;
			entry->first = NULL;
			join(entry, waiter);
		}
	}
	pthread_mutex_unlock(&cache->lock);
	return lookup;
}

/* Take the oldest value out; NULL when the limits hold. */
static void *evict_one(struct gd_cache *cache, const struct entry *keep)
{
	if (cache->bytes <= cache->config.bytes_max && cache->values <= cache->config.entries_max)
		return NULL;
	struct entry *oldest = cache->oldest;
	if (!oldest || oldest == keep)
		return NULL;
	void *dropped;
	drop_value(cache, oldest, &dropped);
	cache->evictions++;
	oldest->was_evicted = true;
	/* that it was here once is remembered, but not for ever */
	if (!oldest->in_flight && cache->entry_count > (size_t)cache->config.entries_max + REMEMBERED_MAX)
		remove_entry(cache, oldest);
	return dropped;
}

struct gd_waiter *gd_cache_finish(struct gd_cache *cache, const uint8_t key[GD_CACHE_KEY_BYTES], void *value,
				  size_t bytes)
{
	void *replaced = NULL, *dropped;
	struct gd_waiter *waiters = NULL;
	pthread_mutex_lock(&cache->lock);
	struct entry *entry = find(cache, key);
	if (entry) {
		waiters = entry->first;
		entry->first = NULL;
		entry->in_flight = false;
		if (value) {
			if (entry->value)
				drop_value(cache, entry, &replaced);
			entry->value = cache->config.retain(value);
			entry->bytes = bytes;
			entry->was_evicted = false;
			cache->values++;
			cache->bytes += bytes;
			cache->stored++;
			use_link(cache, entry);
		} else if (!entry->value && !entry->was_evicted) {
			remove_entry(cache, entry);
			entry = NULL;
		}
	}
	while ((dropped = evict_one(cache, entry)))
		cache->config.release(dropped);
	pthread_mutex_unlock(&cache->lock);
	if (replaced)
		cache->config.release(replaced);
	return waiters;
}

bool gd_cache_forget(struct gd_cache *cache, const uint8_t key[GD_CACHE_KEY_BYTES], struct gd_waiter *waiter)
{
	bool found = false;
	pthread_mutex_lock(&cache->lock);
	struct entry *entry = find(cache, key);
	if (entry && entry->in_flight) {
		struct gd_waiter **link = &entry->first;
		while (*link && *link != waiter)
			link = &(*link)->next;
		if (*link) {
			found = true;
			*link = waiter->next;
			if (!*link)
				entry->last = link;
		}
	}
	pthread_mutex_unlock(&cache->lock);
	return found;
}

void gd_cache_counts(struct gd_cache *cache, struct gd_cache_counts *out_counts)
{
	pthread_mutex_lock(&cache->lock);
	*out_counts = (struct gd_cache_counts){.entries = cache->values,
					       .bytes = cache->bytes,
					       .limit_bytes = cache->config.bytes_max,
					       .evictions = cache->evictions};
	pthread_mutex_unlock(&cache->lock);
}
