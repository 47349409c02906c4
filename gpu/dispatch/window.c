/* Larger payloads: pieces of the slabs travel to and from a chunk while the next ones are filled or sent. */
#include "gpu/dispatch/payload.h"

static uint64_t window_bytes(const struct gd_arena *arena)
{
	uint64_t quarter = gd_arena_size(arena) / GD_WINDOWS;
	return quarter < GD_WINDOW_BYTES ? quarter : GD_WINDOW_BYTES;
}

void gd_window_note(struct gd_dispatch *dispatch, const struct gd_cell *cell, bool lost)
{
	if (dispatch->failed || (!lost && !cell->result_code))
		return;
	dispatch->failed = true;
	if (lost) {
		gd_error_set(&dispatch->error, GD_DEVICE_LOST, "Send the request again.",
			     "the worker was lost while the data was on its way");
		return;
	}
	struct gd_wire_error wire = {
	    .code = cell->result_code, .native = cell->result_native, .sticky = cell->result_sticky};
	memcpy(wire.name, cell->result_name, sizeof wire.name);
	memcpy(wire.text, cell->result_text, sizeof wire.text);
	gd_wire_error_unpack(&wire, &dispatch->error);
}

static struct gd_window *find_free(struct gd_window *windows, struct gd_arena *arena)
{
	for (uint32_t i = 0; i < GD_WINDOWS; i++) {
		struct gd_window *window = &windows[i];
		if (window->state != GD_WINDOW_FREE)
			continue;
		if (!window->has_block)
			window->has_block = gd_arena_take(arena, window_bytes(arena), &window->slab_offset,
							  &window->capacity);
		return window->has_block ? window : NULL;
	}
	return NULL;
}

static void upload_done(struct gd_errand *errand, const struct gd_cell *cell, bool lost)
{
	struct gd_window *window = gd_container(errand, struct gd_window, errand);
	struct gd_dispatch *dispatch = window->dispatch;
	window->state = GD_WINDOW_FREE;
	dispatch->flying_windows--;
	gd_window_note(dispatch, cell, lost);
	if (gd_dispatch_reap(dispatch))
		return;
	if (dispatch->state == GD_DISPATCH_STARTING)
		gd_dispatch_advance(dispatch);
	else if (dispatch->writable)
		dispatch->writable(dispatch);
}

static bool send_window(struct gd_dispatch *dispatch, struct gd_window *window, enum gd_op op)
{
	struct gd_cell *cell = gd_errand_begin(dispatch, &window->errand);
	if (!cell)
		return false;
	cell->op = op;
	cell->chunk = dispatch->chunk;
	cell->chunk_offset = dispatch->buffers[window->buffer].chunk_offset + window->at;
	cell->slab_offset = window->slab_offset;
	cell->bytes = window->bytes;
	window->dispatch = dispatch;
	window->state = GD_WINDOW_FLYING;
	dispatch->flying_windows++;
	gd_errand_submit(&window->errand);
	return true;
}

static struct gd_window *filling(struct gd_dispatch *dispatch)
{
	for (uint32_t i = 0; i < GD_WINDOWS; i++)
		if (dispatch->up[i].state == GD_WINDOW_FILLING)
			return &dispatch->up[i];
	return NULL;
}

static bool send_upload(struct gd_dispatch *dispatch, struct gd_window *window)
{
	window->errand.done = upload_done;
	return send_window(dispatch, window, GD_OP_UPLOAD);
}

size_t gd_window_write(struct gd_dispatch *dispatch, uint32_t index, uint64_t offset, const void *data,
		       size_t bytes)
{
	struct gd_view *view = dispatch->view;
	size_t taken = 0;
	while (taken < bytes) {
		struct gd_window *window = filling(dispatch);
		uint64_t at = offset + taken;
		bool follows = window && window->buffer == index && window->at + window->bytes == at;
		if (window && (!follows || window->bytes == window->capacity)) {
			if (!send_upload(dispatch, window))
				break;
			continue;
		}
		if (!window) {
			window = find_free(dispatch->up, view->in);
			if (!window)
				break;
			window->state = GD_WINDOW_FILLING;
			window->buffer = index;
			window->at = at;
			window->bytes = 0;
		}
		uint64_t room = window->capacity - window->bytes;
		size_t here = bytes - taken < room ? bytes - taken : (size_t)room;
		memcpy(view->link->in + window->slab_offset + window->bytes, (const char *)data + taken,
		       here);
		window->bytes += here;
		taken += here;
	}
	/* a full window goes at once, so that its copy overlaps the next piece's arrival */
	struct gd_window *full = filling(dispatch);
	if (full && full->bytes == full->capacity)
		send_upload(dispatch, full);
	if (taken < bytes && !dispatch->flying_windows)
		gd_dispatch_wait_for_room(dispatch);
	return taken;
}

bool gd_window_flush(struct gd_dispatch *dispatch)
{
	struct gd_window *window = filling(dispatch);
	if (window && !send_upload(dispatch, window)) {
		gd_dispatch_wait_for_room(dispatch);
		return false;
	}
	return dispatch->flying_windows == 0;
}

static void download_done(struct gd_errand *errand, const struct gd_cell *cell, bool lost)
{
	struct gd_window *window = gd_container(errand, struct gd_window, errand);
	struct gd_dispatch *dispatch = window->dispatch;
	window->state = GD_WINDOW_READY;
	dispatch->flying_windows--;
	gd_window_note(dispatch, cell, lost);
	if (!gd_dispatch_reap(dispatch) && dispatch->readable)
		dispatch->readable(dispatch);
}

/* The window that holds byte `at` of buffer `index`, flying or ready. */
static struct gd_window *holding(struct gd_dispatch *dispatch, uint32_t index, uint64_t at)
{
	for (uint32_t i = 0; i < GD_WINDOWS; i++) {
		struct gd_window *window = &dispatch->down[i];
		if (window->state != GD_WINDOW_FREE && window->buffer == index && at >= window->at &&
		    at - window->at < window->bytes)
			return window;
	}
	return NULL;
}

/* Order what lies ahead of `at`, as far as there are windows. */
static void read_ahead(struct gd_dispatch *dispatch, uint32_t index, uint64_t at)
{
	uint64_t end = dispatch->buffers[index].bytes;
	for (uint32_t i = 0; i < GD_WINDOWS && at < end; i++) {
		struct gd_window *window = holding(dispatch, index, at);
		if (!window) {
			window = find_free(dispatch->down, dispatch->view->out);
			if (!window)
				return;
			window->buffer = index;
			window->at = at;
			window->bytes = end - at < window->capacity ? end - at : window->capacity;
			window->errand.done = download_done;
			if (!send_window(dispatch, window, GD_OP_DOWNLOAD))
				return;
		}
		at = window->at + window->bytes;
	}
}

/* Windows that lie wholly behind the reader are free again. */
static void forget_behind(struct gd_dispatch *dispatch, uint32_t index, uint64_t at)
{
	for (uint32_t i = 0; i < GD_WINDOWS; i++) {
		struct gd_window *window = &dispatch->down[i];
		if (window->state == GD_WINDOW_READY &&
		    (window->buffer != index || at >= window->at + window->bytes))
			window->state = GD_WINDOW_FREE;
	}
}

int64_t gd_window_read(struct gd_dispatch *dispatch, uint32_t index, uint64_t offset, void *data,
		       size_t bytes)
{
	if (dispatch->failed || dispatch->view->lost)
		return -1;
	forget_behind(dispatch, index, offset);
	read_ahead(dispatch, index, offset);
	struct gd_window *window = holding(dispatch, index, offset);
	if (!window && !dispatch->flying_windows)
		gd_dispatch_wait_for_room(dispatch);
	if (!window || window->state != GD_WINDOW_READY)
		return 0;
	uint64_t skip = offset - window->at, left = window->bytes - skip;
	size_t here = bytes < left ? bytes : (size_t)left;
	memcpy(data, dispatch->view->link->out + window->slab_offset + skip, here);
	return (int64_t)here;
}
