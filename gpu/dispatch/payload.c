#include "gpu/dispatch/payload.h"

#include <stdlib.h>

static uint64_t aligned(uint64_t bytes)
{
	return (bytes + GD_BUFFER_ALIGN - 1) / GD_BUFFER_ALIGN * GD_BUFFER_ALIGN;
}

static bool has_input(const struct gd_payload_buffer *buffer)
{
	/* a read-only buffer of zeroes is written by us like any input */
	return buffer->bytes && (buffer->init == GD_INIT_DATA || !(buffer->access & GD_ACCESS_WRITE));
}

static bool take_outputs(struct gd_dispatch *dispatch)
{
	for (uint32_t i = 0; i < dispatch->buffer_count; i++) {
		struct gd_payload_buffer *buffer = &dispatch->buffers[i];
		if (!(buffer->access & GD_ACCESS_WRITE) || !buffer->bytes)
			continue;
		if (!gd_retained_take(dispatch->view, dispatch->kernel, buffer->ordinal, buffer->bytes,
				      &buffer->out_offset, &buffer->capacity))
			return false;
	}
	return true;
}

enum gd_plan gd_payload_plan_small(struct gd_dispatch *dispatch, struct gd_error *error)
{
	struct gd_view *view = dispatch->view;
	uint64_t total = 0;
	for (uint32_t i = 0; i < dispatch->buffer_count; i++)
		if (has_input(&dispatch->buffers[i])) {
			dispatch->buffers[i].in_offset = total;
			total += aligned(dispatch->buffers[i].bytes);
		}
	bool taken = !total || gd_arena_take(view->in, total, &dispatch->in_block, &dispatch->in_block_bytes);
	dispatch->small_taken = true;
	if (!taken || !take_outputs(dispatch)) {
		gd_payload_release(dispatch);
		if (!view->inflight && view->references <= 2) {
			gd_error_set(error, GD_OVERLOADED,
				     "Send smaller buffers, or start the service with a larger --slab-mb.",
				     "there is no room in the slab for these buffers");
			return GD_PLAN_FAILED;
		}
		gd_dispatch_wait_for_room(dispatch);
		return GD_PLAN_WAIT;
	}
	for (uint32_t i = 0; i < dispatch->buffer_count; i++) {
		struct gd_payload_buffer *buffer = &dispatch->buffers[i];
		if (!has_input(buffer))
			continue;
		buffer->in_offset += dispatch->in_block;
		if (buffer->init == GD_INIT_ZERO)
			memset(view->link->in + buffer->in_offset, 0, buffer->bytes);
	}
	return GD_PLAN_READY;
}

static void zeroes_done(struct gd_errand *errand, const struct gd_cell *cell, bool lost);

static void chunk_came(struct gd_mail *mail)
{
	struct gd_chunk_wait *wait = gd_container(mail, struct gd_chunk_wait, to_lane);
	if (wait->abandoned) {
		if (wait->made)
			gd_lane_chunk_give(wait->lane, wait->station, wait->generation, wait->chunk);
		free(wait);
		return;
	}
	struct gd_dispatch *dispatch = wait->dispatch;
	dispatch->chunk_wait = NULL;
	dispatch->has_chunk = wait->made;
	dispatch->chunk = wait->chunk;
	if (!wait->made) {
		dispatch->error = wait->error;
		dispatch->failed = true;
	}
	free(wait);
	if (dispatch->writable)
		dispatch->writable(dispatch);
}

static bool ask_for_chunk(struct gd_dispatch *dispatch, uint64_t bytes)
{
	struct gd_chunk_wait *wait = calloc(1, sizeof *wait);
	if (!wait)
		return false;
	wait->to_supervisor.fn = gd_station_chunk_new;
	wait->to_lane.fn = chunk_came;
	wait->lane = dispatch->lane;
	wait->station = dispatch->view->station->index;
	wait->generation = dispatch->view->generation;
	wait->bytes = bytes;
	wait->dispatch = dispatch;
	dispatch->chunk_wait = wait;
	gd_loop_post(dispatch->lane->engine->loop, &wait->to_supervisor);
	return true;
}

/* Zero the whole range that the zeroed buffers span in one go, before any upload is on its way. */
static bool start_zeroes(struct gd_dispatch *dispatch)
{
	uint64_t first = UINT64_MAX, end = 0;
	for (uint32_t i = 0; i < dispatch->buffer_count; i++) {
		const struct gd_payload_buffer *buffer = &dispatch->buffers[i];
		if (buffer->init != GD_INIT_ZERO || !buffer->bytes)
			continue;
		if (buffer->chunk_offset < first)
			first = buffer->chunk_offset;
		end = buffer->chunk_offset + buffer->bytes;
	}
	if (end == 0)
		return true;
	struct gd_cell *cell = gd_errand_begin(dispatch, &dispatch->zero_errand);
	if (!cell)
		return false;
	cell->op = GD_OP_ZERO;
	cell->chunk = dispatch->chunk;
	cell->chunk_offset = first;
	cell->bytes = end - first;
	dispatch->zero_errand.done = zeroes_done;
	dispatch->flying_windows++;
	gd_errand_submit(&dispatch->zero_errand);
	return true;
}

static void zeroes_done(struct gd_errand *errand, const struct gd_cell *cell, bool lost)
{
	struct gd_dispatch *dispatch = gd_container(errand, struct gd_dispatch, zero_errand);
	dispatch->flying_windows--;
	gd_window_note(dispatch, cell, lost);
	if (gd_dispatch_reap(dispatch))
		return;
	dispatch->zeroed = true;
	if (dispatch->writable)
		dispatch->writable(dispatch);
}

enum gd_plan gd_payload_plan_large(struct gd_dispatch *dispatch, struct gd_error *error)
{
	if (dispatch->failed) {
		*error = dispatch->error;
		return GD_PLAN_FAILED;
	}
	if (dispatch->chunk_wait)
		return GD_PLAN_WAIT;
	if (!dispatch->has_chunk) {
		uint64_t total = 0;
		for (uint32_t i = 0; i < dispatch->buffer_count; i++) {
			dispatch->buffers[i].chunk_offset = total;
			total += aligned(dispatch->buffers[i].bytes);
		}
		if (!ask_for_chunk(dispatch, total)) {
			gd_error_set(error, GD_OVERLOADED, NULL, "out of memory");
			return GD_PLAN_FAILED;
		}
		return GD_PLAN_WAIT;
	}
	/* uploads must not overtake the zeroes: other streams run them */
	if (!dispatch->zeroed && !dispatch->flying_windows) {
		if (!start_zeroes(dispatch)) {
			gd_dispatch_wait_for_room(dispatch);
			return GD_PLAN_WAIT;
		}
		if (!dispatch->flying_windows)
			dispatch->zeroed = true;
	}
	return dispatch->zeroed ? GD_PLAN_READY : GD_PLAN_WAIT;
}

static void release_windows(struct gd_window *windows, struct gd_arena *arena)
{
	for (uint32_t i = 0; i < GD_WINDOWS; i++) {
		if (windows[i].has_block)
			gd_arena_give(arena, windows[i].slab_offset);
		windows[i].has_block = false;
		windows[i].state = GD_WINDOW_FREE;
	}
}

void gd_payload_release(struct gd_dispatch *dispatch)
{
	struct gd_view *view = dispatch->view;
	if (dispatch->small_taken) {
		if (dispatch->in_block_bytes)
			gd_arena_give(view->in, dispatch->in_block);
		dispatch->in_block_bytes = 0;
		for (uint32_t i = 0; i < dispatch->buffer_count; i++) {
			struct gd_payload_buffer *buffer = &dispatch->buffers[i];
			if (buffer->capacity)
				gd_retained_give(view, dispatch->kernel, buffer->ordinal, buffer->out_offset,
						 buffer->capacity);
			buffer->capacity = 0;
		}
		dispatch->small_taken = false;
	}
	release_windows(dispatch->up, view->in);
	release_windows(dispatch->down, view->out);
	if (dispatch->chunk_wait) {
		dispatch->chunk_wait->abandoned = true;
		dispatch->chunk_wait = NULL;
	}
	if (dispatch->has_chunk)
		gd_lane_chunk_give(dispatch->lane, view->station->index, view->generation, dispatch->chunk);
	dispatch->has_chunk = false;
}

void gd_payload_describe(const struct gd_dispatch *dispatch, struct gd_cell *cell)
{
	const struct gd_kernel_info *info = gd_kernel_info(dispatch->kernel);
	memcpy(cell->params, dispatch->params, dispatch->param_bytes);
	cell->param_bytes = dispatch->param_bytes;
	cell->buffer_count = dispatch->buffer_count;
	for (uint32_t i = 0; i < dispatch->buffer_count; i++) {
		const struct gd_payload_buffer *buffer = &dispatch->buffers[i];
		struct gd_wire_buffer *wire = &cell->buffers[i];
		*wire = (struct gd_wire_buffer){.param_offset = info->params[buffer->param].offset,
						.access = (uint8_t)buffer->access,
						.bytes = buffer->bytes};
		if (!buffer->bytes)
			continue;
		if (dispatch->large) {
			wire->space = wire->source = GD_SPACE_CHUNK;
			wire->offset = wire->source_offset = buffer->chunk_offset;
			wire->chunk = dispatch->chunk;
		} else {
			bool writes = buffer->access & GD_ACCESS_WRITE;
			wire->space = writes ? GD_SPACE_OUT : GD_SPACE_IN;
			wire->source = has_input(buffer) ? GD_SPACE_IN : GD_SPACE_NULL;
			wire->offset = writes ? buffer->out_offset : buffer->in_offset;
			wire->source_offset = buffer->in_offset;
		}
	}
}
