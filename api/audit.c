#include "api/audit.h"

#include "gpu/base/clock.h"

uint64_t gd_add_saturating(uint64_t a, uint64_t b)
{
	uint64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

struct gd_audit_verdict gd_audit_judge(const struct gd_audit *audit, uint32_t threshold_bps)
{
	struct gd_audit_verdict verdict = {0};
	__extension__ typedef unsigned __int128 wide;
	wide samples = (wide)audit->hits + audit->misses;
	if (!samples)
		return verdict;
	verdict.has_rate = true;
	verdict.hit_rate_bps = (uint32_t)((wide)audit->hits * GD_BPS_MAX / samples);
	verdict.below_threshold = threshold_bps > 0 && verdict.hit_rate_bps < threshold_bps;
	return verdict;
}

bool gd_audit_alarm(const struct gd_audit *audit, uint32_t threshold_bps, uint32_t min_samples,
		    bool was_alarming)
{
	if (gd_add_saturating(audit->hits, audit->misses) < min_samples)
		return false;
	if (was_alarming && threshold_bps) {
		threshold_bps += GD_AUDIT_HYSTERESIS_BPS;
		if (threshold_bps > GD_BPS_MAX)
			threshold_bps = GD_BPS_MAX;
	}
	return gd_audit_judge(audit, threshold_bps).below_threshold;
}

static uint64_t slice_number(uint64_t now_ns, uint32_t window_s)
{
	uint64_t length_ns = (window_s ? window_s : 1) * GD_NS_PER_S / GD_AUDIT_SLICES;
	return now_ns / length_ns + 1;
}

void gd_audit_window_add(struct gd_audit_window *window, enum gd_audit_event event, uint64_t now_ns,
			 uint32_t window_s)
{
	uint64_t number = slice_number(now_ns, window_s);
	unsigned index = (unsigned)(number % GD_AUDIT_SLICES);
	if (atomic_load_explicit(&window->slices[index].number, memory_order_relaxed) != number) {
		atomic_store_explicit(&window->slices[index].number, 0, memory_order_relaxed);
		for (unsigned i = 0; i < GD_AUDIT_EVENTS; i++)
			atomic_store_explicit(&window->slices[index].events[i], 0, memory_order_release);
		atomic_store_explicit(&window->slices[index].number, number, memory_order_release);
	}
	_Atomic uint64_t *count = &window->slices[index].events[event];
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

void gd_audit_window_sum(const struct gd_audit_window *window, uint64_t now_ns, uint32_t window_s,
			 struct gd_audit *total)
{
	uint64_t newest = slice_number(now_ns, window_s);
	for (unsigned i = 0; i < GD_AUDIT_SLICES; i++) {
		uint64_t number = atomic_load_explicit(&window->slices[i].number, memory_order_acquire);
		if (!number || number > newest || newest - number >= GD_AUDIT_SLICES)
			continue;
		uint64_t events[GD_AUDIT_EVENTS];
		for (unsigned event = 0; event < GD_AUDIT_EVENTS; event++)
			events[event] =
			    atomic_load_explicit(&window->slices[i].events[event], memory_order_relaxed);
		total->hits = gd_add_saturating(total->hits, events[GD_AUDIT_HIT]);
		total->misses = gd_add_saturating(total->misses, events[GD_AUDIT_MISS]);
		total->unknowns = gd_add_saturating(total->unknowns, events[GD_AUDIT_UNKNOWN]);
	}
}
