#include "gpu/dispatch/inside.h"

const uint64_t gd_bucket_bounds_ns[GD_BUCKETS] = {
    10000ull,       25000ull,       50000ull,       100000ull,       250000ull,       500000ull,
    1000000ull,     2500000ull,     5000000ull,     10000000ull,     25000000ull,     50000000ull,
    100000000ull,   250000000ull,   500000000ull,   1000000000ull,   2500000000ull,   5000000000ull,
    10000000000ull, 25000000000ull, 50000000000ull, 100000000000ull, 250000000000ull, UINT64_MAX,
};

void gd_count_phase(struct gd_lane_counts *counts, enum gd_phase phase, uint64_t ns)
{
	unsigned bucket = 0;
	while (ns > gd_bucket_bounds_ns[bucket])
		bucket++;
	_Atomic uint64_t *cell = &counts->phases[phase].buckets[bucket];
	atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	_Atomic uint64_t *sum = &counts->phases[phase].sum_ns;
	atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + ns,
			      memory_order_relaxed);
}

static void add_counts(struct gd_engine_counts *into, const struct gd_lane_counts *from)
{
	for (unsigned i = 0; i < GD_COUNTERS; i++)
		into->counters[i] += atomic_load_explicit(&from->counters[i], memory_order_relaxed);
	for (unsigned i = 0; i < GD_MISS_REASONS; i++)
		into->misses_by_reason[i] += atomic_load_explicit(&from->misses[i], memory_order_relaxed);
	for (unsigned phase = 0; phase < GD_PHASES; phase++) {
		struct gd_histogram *histogram = &into->phases[phase];
		for (unsigned i = 0; i < GD_BUCKETS; i++) {
			uint64_t count =
			    atomic_load_explicit(&from->phases[phase].buckets[i], memory_order_relaxed);
			histogram->buckets[i] += count;
			histogram->count += count;
		}
		histogram->sum_ns += atomic_load_explicit(&from->phases[phase].sum_ns, memory_order_relaxed);
	}
}

void gd_engine_retire_counts(struct gd_engine *engine, const struct gd_lane_counts *counts)
{
	add_counts(&engine->retired, counts);
}

void gd_engine_count_error(struct gd_engine *engine, const struct gd_error *error)
{
	if (!error->native_name)
		return;
	pthread_mutex_lock(&engine->lock);
	uint32_t i = 0;
	while (i < engine->device_error_count && (strcmp(engine->device_errors[i].name, error->native_name) ||
						  engine->device_errors[i].sticky != error->sticky))
		i++;
	if (i < sizeof engine->device_errors / sizeof *engine->device_errors) {
		struct gd_device_error_count *count = &engine->device_errors[i];
		if (i == engine->device_error_count) {
			engine->device_error_count++;
			snprintf(count->name, sizeof count->name, "%s", error->native_name);
			count->sticky = error->sticky;
		}
		count->count++;
	}
	pthread_mutex_unlock(&engine->lock);
}

void gd_engine_counts(struct gd_engine *engine, struct gd_engine_counts *out_counts)
{
	struct gd_cache_counts cache;
	gd_cache_counts(engine->cache, &cache);
	pthread_mutex_lock(&engine->lock);
	*out_counts = engine->retired;
	for (unsigned i = 0; i < GD_LANES_MAX; i++) {
		const struct gd_lane *lane = engine->lanes[i];
		if (!lane)
			continue;
		if (lane != engine->own_lane)
			add_counts(out_counts, &lane->counts);
		out_counts->slab_in_used += atomic_load_explicit(&lane->slab_in_used, memory_order_relaxed);
		out_counts->slab_out_used += atomic_load_explicit(&lane->slab_out_used, memory_order_relaxed);
	}
	out_counts->device_error_count = engine->device_error_count;
	for (uint32_t i = 0; i < engine->device_error_count; i++) {
		memcpy(out_counts->device_errors[i].name, engine->device_errors[i].name,
		       sizeof out_counts->device_errors[i].name);
		out_counts->device_errors[i].sticky = engine->device_errors[i].sticky;
		out_counts->device_errors[i].count = engine->device_errors[i].count;
	}
	pthread_mutex_unlock(&engine->lock);
	for (unsigned i = 0; i < 4; i++)
		out_counts->counters[GD_COUNT_WORKER_RESTARTS_FAULT + i] = atomic_load(&engine->restarts[i]);
	out_counts->cache_entries = cache.entries;
	out_counts->cache_bytes = cache.bytes;
	out_counts->cache_limit_bytes = cache.limit_bytes;
	out_counts->cache_evictions = cache.evictions;
	out_counts->modules_loaded = atomic_load(&engine->modules_loaded);
	out_counts->compiles_inflight = atomic_load(&engine->compiles_inflight);
	out_counts->slab_in_bytes = out_counts->slab_out_bytes =
	    engine->config.slab_bytes * engine->station_count;
}
