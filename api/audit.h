/*
 * The cache audit: does the compile cache still pay off?
 *
 * The arithmetic is pure. A window is the recent past in slices, written by one thread and read by any,
 * without a lock; a reader may miss the events of a slice that is being started anew.
 */
#ifndef GD_API_AUDIT_H
#define GD_API_AUDIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	GD_BPS_MAX = 10000,           /* basis points of a whole */
	GD_AUDIT_HYSTERESIS_BPS = 200 /* the windowed alarm ends this far above its threshold */
};

struct gd_audit {
	uint64_t hits, misses, unknowns;
};

struct gd_audit_verdict {
	bool has_rate;
	uint32_t hit_rate_bps; /* floor(hits * 10000 / (hits + misses)); meaningful with has_rate */
	bool below_threshold;  /* threshold > 0, a rate, and rate < threshold */
};

/* Judge figures against a threshold (0 to 10000; 0: off). Cannot overflow. */
struct gd_audit_verdict gd_audit_judge(const struct gd_audit *audit, uint32_t threshold_bps);

/*
 * The alarm of a window: as gd_audit_judge, but silent with fewer than `min_samples` hits and misses, and
 * once raised it holds until the rate is GD_AUDIT_HYSTERESIS_BPS above the threshold (at most the whole).
 */
bool gd_audit_alarm(const struct gd_audit *audit, uint32_t threshold_bps, uint32_t min_samples,
		    bool was_alarming);

/* a + b, UINT64_MAX when that does not fit. */
uint64_t gd_add_saturating(uint64_t a, uint64_t b);

enum gd_audit_event { GD_AUDIT_HIT, GD_AUDIT_MISS, GD_AUDIT_UNKNOWN, GD_AUDIT_EVENTS };
enum { GD_AUDIT_SLICES = 64 };

/* Start zeroed. */
struct gd_audit_window {
	struct {
		_Atomic uint64_t number; /* 1 + now / length of a slice, when it was last used */
		_Atomic uint64_t events[GD_AUDIT_EVENTS];
	} slices[GD_AUDIT_SLICES];
};

/* Count an event at `now_ns` in a window of `window_s` seconds (at least 1). The writer's thread. */
void gd_audit_window_add(struct gd_audit_window *window, enum gd_audit_event event, uint64_t now_ns,
			 uint32_t window_s);
/* Add what happened in the last `window_s` seconds, to the slice, to `total`. Any thread. */
void gd_audit_window_sum(const struct gd_audit_window *window, uint64_t now_ns, uint32_t window_s,
			 struct gd_audit *total);

#endif
