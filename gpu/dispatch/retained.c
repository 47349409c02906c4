/*
 * Output slots: slab blocks that a kernel's last dispatch left behind for its next one, per lane. A block is
 * reused when it is large enough, moved (replaced) when it is not, appended when there is none. Taking all
 * blocks for itself is prevented by dropping what is retained when an arena runs out.
 */
#include "gpu/dispatch/inside.h"

#include <stdlib.h>

enum { RETAINED_MAX = 64 };

struct gd_retained {
	uint64_t kernel; /* its serial; 0: this place is free */
	uint32_t ordinal;
	uint64_t offset, capacity;
};

static void count(struct gd_view *view, enum gd_counter counter, uint64_t amount)
{
	gd_count_add(&view->lane->counts, counter, amount);
}

static struct gd_retained *find(struct gd_view *view, uint64_t kernel, uint32_t ordinal)
{
	for (uint32_t i = 0; i < view->retained_count; i++)
		if (view->retained[i].kernel == kernel && view->retained[i].ordinal == ordinal)
			return &view->retained[i];
	return NULL;
}

/* The gauge is a sum over lanes, so a lane may take from it what another added: it wraps, the sum does not.
 */
static void leave(struct gd_view *view, struct gd_retained *slot)
{
	count(view, GD_COUNT_OUTPUT_SLOT_RETAINED_CAPACITY_BYTES, 0 - slot->capacity);
	slot->kernel = 0;
}

static void retire(struct gd_view *view, struct gd_retained *slot)
{
	gd_arena_give(view->out, slot->offset);
	leave(view, slot);
}

static bool take_block(struct gd_view *view, uint64_t bytes, uint64_t *out_offset, uint64_t *out_capacity)
{
	return gd_arena_take(view->out, bytes, out_offset, out_capacity) ||
	       (gd_retained_drop(view, NULL) && gd_arena_take(view->out, bytes, out_offset, out_capacity));
}

bool gd_retained_take(struct gd_view *view, struct gd_kernel *kernel, uint32_t ordinal, uint64_t bytes,
		      uint64_t *out_offset, uint64_t *out_capacity)
{
	struct gd_retained *slot = find(view, kernel->serial, ordinal);
	bool reused = slot && slot->capacity >= bytes, moved = slot && !reused;
	if (reused) {
		*out_offset = slot->offset;
		*out_capacity = slot->capacity;
		leave(view, slot);
	} else {
		if (moved)
			retire(view, slot);
		if (!take_block(view, bytes, out_offset, out_capacity))
			return false;
	}
	count(view, GD_COUNT_OUTPUT_SLOTS, 1);
	count(view, GD_COUNT_OUTPUT_SLOT_INCOMING_BYTES, bytes);
	if (reused) {
		count(view, GD_COUNT_OUTPUT_SLOTS_REUSED, 1);
		count(view, GD_COUNT_OUTPUT_SLOT_COPIED_BYTES, bytes);
	} else if (moved) {
		count(view, GD_COUNT_OUTPUT_SLOTS_MOVED, 1);
		count(view, GD_COUNT_OUTPUT_SLOT_MOVED_BYTES, bytes);
	} else {
		count(view, GD_COUNT_OUTPUT_SLOTS_APPENDED, 1);
		count(view, GD_COUNT_OUTPUT_SLOT_APPENDED_BYTES, bytes);
	}
	return true;
}

void gd_retained_give(struct gd_view *view, struct gd_kernel *kernel, uint32_t ordinal, uint64_t offset,
		      uint64_t capacity)
{
	struct gd_retained *place = NULL;
	if (!view->lost && !find(view, kernel->serial, ordinal)) {
		for (uint32_t i = 0; i < view->retained_count && !place; i++)
			if (!view->retained[i].kernel)
				place = &view->retained[i];
		if (!view->retained)
			view->retained = calloc(RETAINED_MAX, sizeof *view->retained);
		if (!place && view->retained && view->retained_count < RETAINED_MAX)
			place = &view->retained[view->retained_count++];
		if (!place && view->retained) { /* the place that has been there longest */
			place = &view->retained[(offset / GD_ARENA_MIN_BLOCK) % RETAINED_MAX];
			retire(view, place);
		}
	}
	if (!place) {
		gd_arena_give(view->out, offset);
		return;
	}
	*place = (struct gd_retained){
	    .kernel = kernel->serial, .ordinal = ordinal, .offset = offset, .capacity = capacity};
	count(view, GD_COUNT_OUTPUT_SLOT_RETAINED_CAPACITY_BYTES, capacity);
}

bool gd_retained_drop(struct gd_view *view, const struct gd_kernel *kernel)
{
	bool any = false;
	for (uint32_t i = 0; i < view->retained_count; i++)
		if (view->retained[i].kernel && (!kernel || view->retained[i].kernel == kernel->serial)) {
			retire(view, &view->retained[i]);
			any = true;
		}
	return any;
}
