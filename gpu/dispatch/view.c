#include "gpu/dispatch/payload.h"

#include "gpu/base/clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

size_t gd_lane_arena_bytes(size_t slab_bytes, uint32_t lane_count)
{
	size_t share = slab_bytes / (lane_count + 1), bytes = GD_ARENA_MIN_BLOCK;
	while (bytes * 2 <= share)
		bytes *= 2;
	return bytes;
}

static void note_use(struct gd_lane *lane)
{
	uint64_t in = 0, out = 0;
	for (uint32_t i = 0; i < GD_DEVICES_MAX; i++)
		if (lane->views[i]) {
			in += gd_arena_used(lane->views[i]->in);
			out += gd_arena_used(lane->views[i]->out);
		}
	atomic_store_explicit(&lane->slab_in_used, in, memory_order_relaxed);
	atomic_store_explicit(&lane->slab_out_used, out, memory_order_relaxed);
}

static void wake_worker(struct gd_control *control)
{
	gd_fence();
	if (!atomic_load_explicit(&control->pumps_asleep, memory_order_relaxed))
		return;
	atomic_fetch_add(&control->wake_word, 1);
	syscall(SYS_futex, &control->wake_word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

struct gd_cell *gd_errand_cell(const struct gd_errand *errand)
{
	return gd_control_cell(errand->view->link->control, errand->view->lane->index, errand->cell_index);
}

struct gd_cell *gd_errand_begin(struct gd_dispatch *dispatch, struct gd_errand *errand)
{
	struct gd_view *view = dispatch->view;
	if (!view->free_count)
		return NULL;
	errand->view = view;
	errand->dispatch = dispatch;
	errand->cell_index = view->free_cells[--view->free_count];
	struct gd_cell *cell = gd_errand_cell(errand);
	errand->ticket = atomic_fetch_add_explicit(&view->lane->engine->next_ticket, 1, memory_order_relaxed);
	cell->ticket = errand->ticket;
	atomic_store_explicit(&cell->cancelled, 0, memory_order_relaxed);
	atomic_store_explicit(&cell->started_ns, 0, memory_order_relaxed);
	return cell;
}

void gd_errand_submit(struct gd_errand *errand)
{
	struct gd_view *view = errand->view;
	struct gd_control *control = view->link->control;
	view->errands[errand->cell_index] = errand;
	view->inflight++;
	atomic_store_explicit(&gd_errand_cell(errand)->state, GD_CELL_QUEUED, memory_order_relaxed);
	gd_ring_push(&control->lanes[view->lane->index].submitted, errand->cell_index);
	wake_worker(control);
}

unsigned gd_view_drain(struct gd_view *view)
{
	struct gd_ring *ring = &view->link->control->lanes[view->lane->index].completed;
	unsigned ended = 0;
	uint32_t index;
	/* a worker that pushes without end is stopped by the number of cells, whatever it pushes */
	for (unsigned taken = 0; taken < GD_CELLS_PER_LANE && gd_ring_pop(ring, &index); taken++) {
		if (index >= GD_CELLS_PER_LANE || !view->errands[index])
			continue;
		struct gd_errand *errand = view->errands[index];
		struct gd_cell *cell = gd_errand_cell(errand);
		if (cell->result_ticket != errand->ticket)
			continue;
		view->errands[index] = NULL;
		view->inflight--;
		ended++;
		errand->done(errand, cell, false);
		view->free_cells[view->free_count++] = index;
	}
	return ended;
}

static void rearm(struct gd_view *view)
{
	struct gd_lane_control *control = &view->link->control->lanes[view->lane->index];
	atomic_store(&control->lane_sleeps, 1);
	gd_fence();
}

static void event_seen(struct gd_source *source, uint32_t events)
{
	(void)events;
	struct gd_view *view = gd_view_ref(gd_container(source, struct gd_view, event));
	struct gd_lane *lane = view->lane;
	uint64_t count;
	while (read(source->fd, &count, sizeof count) < 0 && errno == EINTR)
		;
	unsigned ended = gd_view_drain(view);
	rearm(view);
	ended += gd_view_drain(view);
	if (ended) {
		gd_lane_room(lane);
		note_use(lane);
	}
	gd_view_unref(view);
}

struct gd_view *gd_view_ref(struct gd_view *view)
{
	view->references++;
	return view;
}

void gd_view_unref(struct gd_view *view)
{
	if (!view || --view->references)
		return;
	gd_loop_remove(view->lane->loop, &view->event);
	gd_retained_drop(view, NULL);
	free(view->retained);
	gd_arena_free(view->in);
	gd_arena_free(view->out);
	gd_link_unref(view->link);
	free(view);
}

static struct gd_view *new_view(struct gd_lane *lane, struct gd_link *link)
{
	struct gd_view *view = calloc(1, sizeof *view);
	if (!view)
		return NULL;
	size_t share = gd_lane_arena_bytes(link->slab_bytes, lane->engine->config.lane_count);
	view->references = 1;
	view->lane = lane;
	view->link = gd_link_ref(link);
	view->station = link->station;
	view->generation = link->generation;
	view->in = gd_arena_new((uint64_t)lane->index * share, share);
	view->out = gd_arena_new((uint64_t)lane->index * share, share);
	for (uint32_t i = 0; i < GD_CELLS_PER_LANE; i++)
		view->free_cells[i] = GD_CELLS_PER_LANE - 1 - i;
	view->free_count = GD_CELLS_PER_LANE;
	view->event = (struct gd_source){.fd = link->events[lane->index], .fn = event_seen};
	if (!view->in || !view->out || !gd_loop_add(lane->loop, &view->event, EPOLLIN, NULL)) {
		gd_view_unref(view);
		return NULL;
	}
	return view;
}

static void link_up(struct gd_mail *mail)
{
	struct gd_link_letter *up = gd_container(mail, struct gd_link_letter, mail);
	struct gd_link *link = up->link;
	struct gd_lane *lane = up->lane;
	uint32_t station = link->station->index;
	if (!lane->views[station] && !atomic_load(&link->lost))
		lane->views[station] = new_view(lane, link);
	gd_lane_room(lane);
	gd_link_unref(link);
}

void gd_lane_lose_view(struct gd_lane *lane, uint32_t station)
{
	struct gd_view *view = lane->views[station];
	lane->views[station] = NULL;
	/* what it finished before it went is answered first */
	gd_view_drain(view);
	view->lost = true;
	gd_loop_remove(lane->loop, &view->event);
	for (uint32_t i = 0; i < GD_CELLS_PER_LANE; i++) {
		struct gd_errand *errand = view->errands[i];
		if (!errand)
			continue;
		view->errands[i] = NULL;
		view->inflight--;
		errand->done(errand, NULL, true);
	}
	gd_view_unref(view);
	gd_lane_room(lane);
	note_use(lane);
}

static void link_lost(struct gd_mail *mail)
{
	struct gd_link_letter *lost = gd_container(mail, struct gd_link_letter, mail);
	struct gd_link *link = lost->link;
	struct gd_lane *lane = lost->lane;
	uint32_t station = link->station->index;
	if (lane->views[station] && lane->views[station]->link == link)
		gd_lane_lose_view(lane, station);
	gd_link_unref(link);
}

/* The letters are part of the link: a lane that cannot be told would keep its clients waiting for ever. */
static void tell(struct gd_lane *lane, struct gd_link *link, struct gd_link_letter *letter,
		 void (*fn)(struct gd_mail *))
{
	*letter = (struct gd_link_letter){.mail.fn = fn, .lane = lane, .link = gd_link_ref(link)};
	gd_lane_post(lane, &letter->mail);
}

void gd_lane_tell_up(struct gd_lane *lane, struct gd_link *link)
{
	tell(lane, link, &link->up[lane->index], link_up);
}

void gd_lanes_tell_up(struct gd_engine *engine, struct gd_link *link)
{
	for (unsigned i = 0; i < GD_LANES_MAX; i++)
		if (engine->lanes[i])
			gd_lane_tell_up(engine->lanes[i], link);
}

void gd_lanes_tell_lost(struct gd_engine *engine, struct gd_link *link)
{
	for (unsigned i = 0; i < GD_LANES_MAX; i++)
		if (engine->lanes[i])
			tell(engine->lanes[i], link, &link->down[i], link_lost);
}
