/* From a settled call to a running launch: reserve, feed what was collected, pour the rest of the body,
 * start. */
#include "api/dispatching.h"

#include "gpu/base/clock.h"

#include <inttypes.h>
#include <string.h>

/* design.md: without room the body is not read for up to this long, then 503. */
#define ROOM_WAIT_NS GD_NS_PER_S

static void on_timer(struct gd_timer *timer)
{
	struct gd_dispatching *work = gd_container(timer, struct gd_dispatching, timer);
	struct gd_error error;
	if (work->phase == GD_NOW_PLANNING)
		gd_error_set(&error, GD_OVERLOADED, NULL,
			     "there was no room for the buffers within a second");
	else
		gd_error_set(&error, GD_DEADLINE_EXCEEDED, NULL,
			     "the inputs did not reach the device within timeout_ms (%u)",
			     work->call.timeout_ms);
	gd_dispatching_fail(work, &error);
}

static void wait_until(struct gd_dispatching *work, uint64_t at_ns)
{
	struct gd_api_lane *lane = work->exchange->lane;
	if (!work->timer.place && !gd_loop_arm(lane->loop, &work->timer, at_ns)) {
		struct gd_error error;
		gd_error_set(&error, GD_OVERLOADED, NULL, "no memory for the request");
		gd_dispatching_fail(work, &error);
		return;
	}
	gd_exchange_set(work->exchange, GD_EXCHANGE_WAITING);
}

static void stop_waiting(struct gd_dispatching *work)
{
	gd_loop_disarm(work->exchange->lane->loop, &work->timer);
}

static void on_writable(struct gd_dispatch *dispatch)
{
	struct gd_dispatching *work = gd_dispatch_owner(dispatch);
	gd_dispatching_step(work);
}

static void on_done(struct gd_dispatch *dispatch)
{
	struct gd_dispatching *work = gd_dispatch_owner(dispatch);
	work->phase = GD_NOW_OVER;
	gd_dispatching_answer(work);
}

/* Input bytes of an argument; returns how many were taken. */
static size_t write_input(struct gd_dispatching *work, uint32_t index, uint64_t offset, const void *data,
			  size_t bytes)
{
	const struct gd_arg *arg = &work->call.args[index];
	if (!bytes)
		return 0;
	uint8_t *to = gd_call_is_buffer(&work->call, index)
			  ? gd_dispatch_input(work->dispatch, arg->buffer)
			  : gd_dispatch_params(work->dispatch) + work->call.info->params[index].offset;
	if (!to)
		return gd_dispatch_write(work->dispatch, arg->buffer, offset, data, bytes);
	memcpy(to + offset, data, bytes);
	return bytes;
}

/* Go to the next argument of a kind that has bytes to come; false when there is none. */
static bool seek(struct gd_dispatching *work, enum gd_arg_kind kind)
{
	const struct gd_call *call = &work->call;
	while (work->cursor < call->count &&
	       (call->args[work->cursor].kind != kind || work->cursor_at == call->args[work->cursor].bytes)) {
		work->cursor++;
		work->cursor_at = 0;
	}
	return work->cursor < call->count;
}

/* Hand over what was collected; false when the engine takes no more now. */
static bool feed(struct gd_dispatching *work)
{
	while (seek(work, GD_ARG_STORED)) {
		const struct gd_arg *arg = &work->call.args[work->cursor];
		size_t left = (size_t)(arg->bytes - work->cursor_at);
		const char *from = work->store.data + arg->stored_at + work->cursor_at;
		size_t taken = write_input(work, work->cursor, work->cursor_at, from, left);
		work->cursor_at += taken;
		if (taken < left)
			return false;
	}
	gd_buf_done(&work->store);
	work->cursor = 0;
	work->cursor_at = 0;
	return true;
}

static void start(struct gd_dispatching *work)
{
	const struct gd_call *call = &work->call;
	struct gd_dispatch_options options = {
	    .shared_bytes = (uint32_t)call->config.shared_bytes,
	    .iterations = gd_config_has(&call->config, GD_CONFIG_ITERATIONS) ? call->config.iterations : 1,
	    .cooperative = call->config.cooperative,
	    .deadline_ns = work->deadline_ns,
	    .timeout_ms = call->timeout_ms,
	};
	for (int i = 0; i < 3; i++) {
		options.grid[i] = (uint32_t)call->grid[i];
		options.block[i] = (uint32_t)call->block[i];
	}
	work->phase = GD_NOW_RUNNING;
	gd_exchange_set(work->exchange, GD_EXCHANGE_WAITING);
	gd_dispatch_start(work->dispatch, &options);
}

void gd_dispatching_step(struct gd_dispatching *work)
{
	struct gd_error error;
	if (work->phase == GD_NOW_PLANNING) {
		enum gd_plan plan = gd_dispatch_plan(work->dispatch, &error);
		if (plan == GD_PLAN_FAILED)
			gd_dispatching_fail(work, &error);
		else if (plan == GD_PLAN_WAIT)
			wait_until(work, gd_now_ns() + ROOM_WAIT_NS);
		else
			work->phase = GD_NOW_FEEDING;
	}
	if (work->phase == GD_NOW_FEEDING) {
		stop_waiting(work);
		if (!feed(work)) {
			wait_until(work, work->deadline_ns);
			return;
		}
		work->phase = GD_NOW_STREAMING;
	}
	if (work->phase != GD_NOW_STREAMING)
		return;
	stop_waiting(work);
	if (!work->exchange->is_ended) {
		gd_exchange_set(work->exchange, GD_EXCHANGE_BODY);
	} else if (seek(work, GD_ARG_STREAMED)) {
		gd_error_set(&error, GD_MALFORMED_BODY, "send exactly the bytes that the sizes announce",
			     "the body ends %" PRIu64 " bytes before the end of parameter %u",
			     work->call.args[work->cursor].bytes - work->cursor_at, work->cursor);
		gd_dispatching_fail(work, &error);
	} else {
		start(work);
	}
}

size_t gd_dispatching_pour(struct gd_dispatching *work, const uint8_t *data, size_t bytes)
{
	size_t taken = 0;
	while (taken < bytes && seek(work, GD_ARG_STREAMED)) {
		uint64_t left = work->call.args[work->cursor].bytes - work->cursor_at;
		size_t part = bytes - taken < left ? bytes - taken : (size_t)left;
		size_t written = write_input(work, work->cursor, work->cursor_at, data + taken, part);
		work->cursor_at += written;
		taken += written;
		if (written < part) {
			wait_until(work, work->deadline_ns);
			return taken;
		}
	}
	if (taken < bytes) {
		struct gd_error error;
		gd_error_set(&error, GD_MALFORMED_BODY, "send exactly the bytes that the sizes announce",
			     "the body is longer than the %" PRIu64 " bytes that were announced",
			     work->call.streamed_bytes);
		gd_dispatching_fail(work, &error);
	}
	return bytes;
}

static bool add_buffers(struct gd_dispatching *work, struct gd_error *error)
{
	struct gd_call *call = &work->call;
	for (uint32_t i = 0; i < call->count; i++) {
		struct gd_arg *arg = &call->args[i];
		if (!gd_call_is_buffer(call, i) || !arg->bytes)
			continue;
		enum gd_access access = (enum gd_access)call->signature->params[i].access;
		enum gd_init init = arg->kind == GD_ARG_ZERO ? GD_INIT_ZERO : GD_INIT_DATA;
		/* what is declared write-only may still come with data: then it is there */
		if (init == GD_INIT_DATA)
			access |= GD_ACCESS_READ;
		int index = gd_dispatch_add(work->dispatch, i, arg->bytes, access, init, error);
		if (index < 0)
			return false;
		arg->buffer = (uint32_t)index;
	}
	return true;
}

void gd_dispatching_prepare(struct gd_dispatching *work)
{
	struct gd_call *call = &work->call;
	struct gd_error error;
	work->deadline_ns = work->exchange->head.started_ns + call->timeout_ms * GD_NS_PER_MS;
	work->timer.fn = on_timer;
	if (!gd_dispatch_new(work->exchange->lane->lane, work->pipeline->kernel, &work->dispatch, &error)) {
		work->dispatch = NULL;
		gd_dispatching_fail(work, &error);
		return;
	}
	gd_dispatch_notify(work->dispatch, work, on_done, on_writable, gd_dispatching_readable);
	if (call->info->param_bytes)
		memcpy(gd_dispatch_params(work->dispatch), call->params, call->info->param_bytes);
	if (!add_buffers(work, &error)) {
		gd_dispatching_fail(work, &error);
		return;
	}
	work->phase = GD_NOW_PLANNING;
	gd_dispatching_step(work);
}
