#include "gpu/dispatch/payload.h"

#include "gpu/base/clock.h"

#include <stdlib.h>

static struct gd_view *pick_view(struct gd_lane *lane)
{
	struct gd_view *best = NULL;
	for (uint32_t i = 0; i < lane->engine->station_count; i++) {
		struct gd_view *view = lane->views[i];
		if (view && (!best || atomic_load_explicit(&view->station->depth, memory_order_relaxed) <
					  atomic_load_explicit(&best->station->depth, memory_order_relaxed)))
			best = view;
	}
	return best;
}

bool gd_dispatch_new(struct gd_lane *lane, struct gd_kernel *kernel, struct gd_dispatch **out_dispatch,
		     struct gd_error *error)
{
	struct gd_view *view = pick_view(lane);
	if (!view)
		return gd_error_set(error, GD_DEVICE_LOST, "Send the request again in a moment.",
				    "no device is ready: the worker is starting or being replaced");
	if (atomic_load_explicit(&view->station->depth, memory_order_relaxed) >=
	    lane->engine->config.queue_limit)
		return gd_error_set(error, GD_OVERLOADED, "Send the request again later.",
				    "%u dispatches wait for this device already",
				    lane->engine->config.queue_limit);
	uint32_t param_count = kernel->info.param_count, param_bytes = kernel->info.param_bytes;
	struct gd_dispatch *dispatch =
	    calloc(1, sizeof *dispatch + param_count * sizeof *dispatch->buffers + param_bytes);
	if (!dispatch)
		return gd_error_set(error, GD_OVERLOADED, NULL, "out of memory");
	dispatch->buffers = (struct gd_payload_buffer *)(void *)(dispatch + 1);
	dispatch->buffers_max = param_count;
	dispatch->params = (uint8_t *)(dispatch->buffers + param_count);
	dispatch->param_bytes = param_bytes;
	dispatch->lane = lane;
	dispatch->view = gd_view_ref(view);
	dispatch->kernel = gd_kernel_ref(kernel);
	dispatch->created_ns = gd_now_ns();
	*out_dispatch = dispatch;
	return true;
}

void gd_dispatch_notify(struct gd_dispatch *dispatch, void *owner, void (*done)(struct gd_dispatch *dispatch),
			void (*writable)(struct gd_dispatch *dispatch),
			void (*readable)(struct gd_dispatch *dispatch))
{
	dispatch->owner = owner;
	dispatch->done = done;
	dispatch->writable = writable;
	dispatch->readable = readable;
}

void *gd_dispatch_owner(const struct gd_dispatch *dispatch)
{
	return dispatch->owner;
}

uint8_t *gd_dispatch_params(struct gd_dispatch *dispatch)
{
	return dispatch->params;
}

int gd_dispatch_add(struct gd_dispatch *dispatch, uint32_t param, uint64_t bytes, enum gd_access access,
		    enum gd_init init, struct gd_error *error)
{
	const struct gd_kernel_info *info = &dispatch->kernel->info;
	if (param >= info->param_count || info->params[param].size != sizeof(uint64_t) ||
	    dispatch->buffer_count >= dispatch->buffers_max) {
		gd_error_set(error, GD_INVALID_REQUEST, NULL, "parameter %u is not a pointer of this kernel",
			     param);
		return -1;
	}
	if (bytes > UINT64_MAX / GD_PARAMS_MAX / 4) {
		gd_error_set(error, GD_TOO_LARGE, NULL, "a buffer of %llu bytes is too large",
			     (unsigned long long)bytes);
		return -1;
	}
	struct gd_payload_buffer *buffer = &dispatch->buffers[dispatch->buffer_count];
	*buffer = (struct gd_payload_buffer){.param = param, .access = access, .init = init, .bytes = bytes};
	if (access & GD_ACCESS_WRITE)
		buffer->ordinal = dispatch->writable_count++;
	return (int)dispatch->buffer_count++;
}

static bool view_is_lost(const struct gd_dispatch *dispatch)
{
	return dispatch->view->lost ||
	       atomic_load_explicit(&dispatch->view->link->lost, memory_order_relaxed);
}

static bool lost_error(struct gd_error *error)
{
	return gd_error_set(error, GD_DEVICE_LOST, "Send the request again; a new worker is being started.",
			    "the device's worker was lost while this request was in it");
}

/* What the arena takes for an output: a power of two of whole blocks. */
static uint64_t block_of(uint64_t bytes)
{
	uint64_t block = GD_ARENA_MIN_BLOCK;
	while (block < bytes)
		block *= 2;
	return block;
}

enum gd_plan gd_dispatch_plan(struct gd_dispatch *dispatch, struct gd_error *error)
{
	if (view_is_lost(dispatch)) {
		lost_error(error);
		return GD_PLAN_FAILED;
	}
	uint64_t in = 0, out = 0, out_blocks = 0;
	for (uint32_t i = 0; i < dispatch->buffer_count; i++) {
		const struct gd_payload_buffer *buffer = &dispatch->buffers[i];
		uint64_t bytes = buffer->bytes + GD_BUFFER_ALIGN;
		in += buffer->init == GD_INIT_DATA || !(buffer->access & GD_ACCESS_WRITE) ? bytes : 0;
		if (buffer->access & GD_ACCESS_WRITE) {
			out += bytes;
			out_blocks += block_of(buffer->bytes);
		}
	}
	uint64_t small = gd_arena_size(dispatch->view->in) / 2;
	if (small > GD_SMALL_PAYLOAD_BYTES + GD_PARAMS_MAX * GD_BUFFER_ALIGN)
		small = GD_SMALL_PAYLOAD_BYTES + GD_PARAMS_MAX * GD_BUFFER_ALIGN;
	/* many small outputs take a block each: they may not fit where their bytes would */
	dispatch->large = in > small || out > small || out_blocks > gd_arena_size(dispatch->view->out);
	enum gd_plan plan =
	    dispatch->large ? gd_payload_plan_large(dispatch, error) : gd_payload_plan_small(dispatch, error);
	if (plan == GD_PLAN_READY)
		dispatch->state = GD_DISPATCH_PLANNED;
	return plan;
}

void *gd_dispatch_input(struct gd_dispatch *dispatch, uint32_t index)
{
	if (dispatch->large || dispatch->state != GD_DISPATCH_PLANNED)
		return NULL;
	return dispatch->view->link->in + dispatch->buffers[index].in_offset;
}

size_t gd_dispatch_write(struct gd_dispatch *dispatch, uint32_t index, uint64_t offset, const void *data,
			 size_t bytes)
{
	const struct gd_payload_buffer *buffer = &dispatch->buffers[index];
	if (offset > buffer->bytes || bytes > buffer->bytes - offset ||
	    dispatch->state != GD_DISPATCH_PLANNED || dispatch->failed || view_is_lost(dispatch))
		return bytes;
	if (dispatch->large)
		return gd_window_write(dispatch, index, offset, data, bytes);
	memcpy(dispatch->view->link->in + buffer->in_offset + offset, data, bytes);
	return bytes;
}

static void leave_counts(struct gd_dispatch *dispatch)
{
	if (!dispatch->counted)
		return;
	dispatch->counted = false;
	dispatch->lane->inflight--;
	atomic_fetch_sub_explicit(&dispatch->view->station->depth, 1, memory_order_relaxed);
}

static void leave_module(struct gd_dispatch *dispatch)
{
	if (!dispatch->placed)
		return;
	dispatch->placed = false;
	struct gd_placement *placement = &dispatch->kernel->on[dispatch->view->station->index];
	atomic_store_explicit(&placement->used_ns, gd_now_ns(), memory_order_relaxed);
	atomic_fetch_sub(&placement->in_use, 1);
}

static void finish(struct gd_dispatch *dispatch)
{
	struct gd_lane_counts *counts = &dispatch->lane->counts;
	dispatch->state = GD_DISPATCH_DONE;
	dispatch->timing.total_ns = gd_now_ns() - dispatch->created_ns;
	if (!dispatch->failed) {
		gd_count_add(counts, GD_COUNT_DISPATCH_OK, 1);
	} else if (dispatch->error.code == GD_DEADLINE_EXCEEDED) {
		gd_count_add(counts, GD_COUNT_DISPATCH_EXPIRED, 1);
	} else if (dispatch->error.code == GD_DEVICE_LOST) {
		gd_count_add(counts, GD_COUNT_DISPATCH_LOST, 1);
	} else {
		gd_count_add(counts, GD_COUNT_DISPATCH_FAILED, 1);
	}
	leave_counts(dispatch);
	if (dispatch->done && !dispatch->discarded)
		dispatch->done(dispatch);
}

void gd_dispatch_fail(struct gd_dispatch *dispatch)
{
	if (dispatch->state == GD_DISPATCH_DONE)
		return;
	dispatch->failed = true;
	gd_dispatch_stop_waiting(dispatch);
	if (!dispatch->flying)
		gd_loop_disarm(dispatch->lane->loop, &dispatch->deadline);
	finish(dispatch);
}

static void count_success(struct gd_dispatch *dispatch)
{
	struct gd_lane_counts *counts = &dispatch->lane->counts;
	uint64_t in = 0, out = 0;
	for (uint32_t i = 0; i < dispatch->buffer_count; i++) {
		const struct gd_payload_buffer *buffer = &dispatch->buffers[i];
		in += buffer->init == GD_INIT_DATA ? buffer->bytes : 0;
		out += buffer->access & GD_ACCESS_WRITE ? buffer->bytes : 0;
	}
	gd_count_add(counts, GD_COUNT_LAUNCHES, dispatch->options.iterations);
	gd_count_add(counts, GD_COUNT_INPUT_BYTES, in);
	gd_count_add(counts, GD_COUNT_OUTPUT_BYTES, out);
	gd_count_add(counts, GD_COUNT_H2D_BYTES, in);
	gd_count_add(counts, GD_COUNT_D2H_BYTES, out);
	gd_count_phase(counts, GD_PHASE_QUEUE, dispatch->timing.queue_ns);
	gd_count_phase(counts, GD_PHASE_H2D, dispatch->timing.h2d_ns);
	gd_count_phase(counts, GD_PHASE_KERNEL, dispatch->timing.kernel_ns);
	gd_count_phase(counts, GD_PHASE_D2H, dispatch->timing.d2h_ns);
}

/* A worker may tell any time; none is longer than the one that passed here. */
static void take_timing(struct gd_dispatch *dispatch, const struct gd_cell *cell)
{
	uint64_t elapsed = gd_now_ns() - dispatch->submitted_ns;
	uint64_t started = atomic_load_explicit(&cell->started_ns, memory_order_relaxed);
	uint64_t queue = started > dispatch->submitted_ns ? started - dispatch->submitted_ns : 0;
	uint64_t h2d = cell->h2d_ns, kernel = cell->kernel_ns, d2h = cell->d2h_ns;
	dispatch->timing.queue_ns = queue < elapsed ? queue : elapsed;
	dispatch->timing.h2d_ns = h2d < elapsed ? h2d : elapsed;
	dispatch->timing.kernel_ns = !kernel || !elapsed ? 1 : kernel < elapsed ? kernel : elapsed;
	dispatch->timing.d2h_ns = d2h < elapsed ? d2h : elapsed;
}

static void launch_done(struct gd_errand *errand, const struct gd_cell *cell, bool lost)
{
	struct gd_dispatch *dispatch = gd_container(errand, struct gd_dispatch, errand);
	dispatch->flying = false;
	gd_loop_disarm(dispatch->lane->loop, &dispatch->deadline);
	leave_module(dispatch);
	if (dispatch->state == GD_DISPATCH_DONE || dispatch->discarded) {
		/* answered already (deadline) or nobody waits any more */
		leave_counts(dispatch);
		gd_dispatch_reap(dispatch);
		return;
	}
	gd_window_note(dispatch, cell, lost);
	if (lost)
		lost_error(&dispatch->error);
	if (dispatch->failed) {
		/* a sticky one is counted from the worker's last words */
		if (!lost && !dispatch->error.sticky)
			gd_engine_count_error(dispatch->lane->engine, &dispatch->error);
	} else if (cell->result_cancelled) {
		dispatch->failed = true;
		gd_error_set(&dispatch->error, GD_INTERNAL_STATE, NULL, "the dispatch was cancelled");
	} else {
		take_timing(dispatch, cell);
		count_success(dispatch);
	}
	finish(dispatch);
}

static void submit(struct gd_dispatch *dispatch)
{
	struct gd_cell *cell = gd_errand_begin(dispatch, &dispatch->errand);
	if (!cell) {
		gd_dispatch_wait_for_room(dispatch);
		return;
	}
	const struct gd_dispatch_options *options = &dispatch->options;
	struct gd_placement *placement = &dispatch->kernel->on[dispatch->view->station->index];
	cell->op = GD_OP_LAUNCH;
	cell->module = (uint32_t)(atomic_load(&placement->loaded) & 0xffff) - 1;
	memcpy(cell->grid, options->grid, sizeof cell->grid);
	memcpy(cell->block, options->block, sizeof cell->block);
	cell->shared_bytes = options->shared_bytes;
	cell->iterations = options->iterations;
	cell->cooperative = options->cooperative;
	gd_payload_describe(dispatch, cell);
	dispatch->errand.done = launch_done;
	dispatch->flying = true;
	dispatch->state = GD_DISPATCH_RUNNING;
	dispatch->submitted_ns = gd_now_ns();
	gd_errand_submit(&dispatch->errand);
}

static void load_ended(struct gd_mail *mail)
{
	struct gd_load_wait *wait = gd_container(mail, struct gd_load_wait, mail);
	struct gd_dispatch *dispatch = wait->dispatch;
	gd_kernel_unref(wait->kernel);
	if (dispatch) {
		dispatch->load = NULL;
		if (!wait->loaded) {
			dispatch->error = wait->error;
			gd_dispatch_fail(dispatch);
		} else {
			gd_dispatch_advance(dispatch);
		}
	}
	free(wait);
}

static void ask_for_load(struct gd_mail *mail)
{
	struct gd_load_wait *wait = gd_container(mail, struct gd_load_wait, mail);
	wait->mail.fn = load_ended;
	gd_station_load(wait->lane->engine, wait);
}

static bool start_load(struct gd_dispatch *dispatch)
{
	struct gd_load_wait *wait = calloc(1, sizeof *wait);
	if (!wait)
		return false;
	wait->mail.fn = ask_for_load;
	wait->lane = dispatch->lane;
	wait->kernel = gd_kernel_ref(dispatch->kernel);
	wait->station = dispatch->view->station->index;
	wait->dispatch = dispatch;
	dispatch->load = wait;
	gd_loop_post(dispatch->lane->engine->loop, &wait->mail);
	return true;
}

/* Count ourselves in first, then look: see make_room in kernel.c. */
static bool hold_module(struct gd_dispatch *dispatch)
{
	struct gd_placement *placement = &dispatch->kernel->on[dispatch->view->station->index];
	atomic_fetch_add(&placement->in_use, 1);
	dispatch->placed = atomic_load(&placement->loaded) >> 16 == dispatch->view->generation;
	if (!dispatch->placed)
		atomic_fetch_sub(&placement->in_use, 1);
	return dispatch->placed;
}

void gd_dispatch_advance(struct gd_dispatch *dispatch)
{
	if (dispatch->state != GD_DISPATCH_STARTING || dispatch->discarded)
		return;
	if (!dispatch->failed && view_is_lost(dispatch)) {
		lost_error(&dispatch->error);
		dispatch->failed = true;
	}
	if (dispatch->failed) {
		gd_dispatch_fail(dispatch);
		return;
	}
	if (dispatch->large && !gd_window_flush(dispatch))
		return;
	if (!dispatch->placed && !hold_module(dispatch)) {
		if (!dispatch->load && !start_load(dispatch)) {
			gd_error_set(&dispatch->error, GD_OVERLOADED, NULL, "out of memory");
			gd_dispatch_fail(dispatch);
		}
		return;
	}
	submit(dispatch);
}

void gd_dispatch_start(struct gd_dispatch *dispatch, const struct gd_dispatch_options *options)
{
	struct gd_lane *lane = dispatch->lane;
	struct gd_view *view = dispatch->view;
	dispatch->options = *options;
	if (!dispatch->options.iterations)
		dispatch->options.iterations = 1;
	dispatch->state = GD_DISPATCH_STARTING;
	dispatch->counted = true;
	lane->inflight++;
	atomic_fetch_add_explicit(&view->station->depth, 1, memory_order_relaxed);
	dispatch->deadline.fn = gd_dispatch_deadline_passed;
	gd_view_ref(view);
	if (gd_loop_arm(lane->loop, &dispatch->deadline, options->deadline_ns)) {
		gd_dispatch_advance(dispatch);
	} else { /* without its deadline a kernel could run for ever */
		gd_error_set(&dispatch->error, GD_OVERLOADED, NULL, "out of memory");
		gd_dispatch_fail(dispatch);
	}
	/* from here on the dispatch may be gone: done may have run */
	gd_lane_spin(lane, view);
	gd_view_unref(view);
}

bool gd_dispatch_result(const struct gd_dispatch *dispatch, struct gd_dispatch_timing *out_timing,
			struct gd_error *error)
{
	if (dispatch->failed) {
		*error = dispatch->error;
		return false;
	}
	*out_timing = dispatch->timing;
	return true;
}

const void *gd_dispatch_output(struct gd_dispatch *dispatch, uint32_t index)
{
	if (dispatch->large)
		return NULL;
	return dispatch->view->link->out + dispatch->buffers[index].out_offset;
}

int64_t gd_dispatch_read(struct gd_dispatch *dispatch, uint32_t index, uint64_t offset, void *data,
			 size_t bytes)
{
	const struct gd_payload_buffer *buffer = &dispatch->buffers[index];
	if (dispatch->state != GD_DISPATCH_DONE || dispatch->failed || offset > buffer->bytes)
		return -1;
	if (bytes > buffer->bytes - offset)
		bytes = (size_t)(buffer->bytes - offset);
	if (!bytes)
		return 0;
	if (dispatch->large)
		return gd_window_read(dispatch, index, offset, data, bytes);
	memcpy(data, dispatch->view->link->out + buffer->out_offset + offset, bytes);
	return (int64_t)bytes;
}

bool gd_dispatch_reap(struct gd_dispatch *dispatch)
{
	if (!dispatch->discarded)
		return false;
	if (dispatch->flying || dispatch->flying_windows)
		return true;
	gd_loop_disarm(dispatch->lane->loop, &dispatch->deadline);
	leave_module(dispatch);
	leave_counts(dispatch);
	gd_payload_release(dispatch);
	gd_view_unref(dispatch->view);
	gd_kernel_unref(dispatch->kernel);
	struct gd_lane *lane = dispatch->lane;
	free(dispatch);
	gd_lane_room(lane);
	return true;
}

void gd_dispatch_free(struct gd_dispatch *dispatch)
{
	if (!dispatch)
		return;
	gd_dispatch_stop_waiting(dispatch);
	if (dispatch->load) {
		dispatch->load->dispatch = NULL;
		dispatch->load = NULL;
	}
	if (dispatch->flying) {
		atomic_store(&gd_errand_cell(&dispatch->errand)->cancelled, 1);
		if (dispatch->state != GD_DISPATCH_DONE)
			gd_count_add(&dispatch->lane->counts, GD_COUNT_DISPATCH_CANCELLED, 1);
	}
	dispatch->discarded = true;
	gd_dispatch_reap(dispatch);
}
