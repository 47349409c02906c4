#include "gpu/worker/process.h"

#include "gpu/base/clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	STREAMS = 16,
	SPIN_IDLE_US = 20, /* look for new work that long before sleeping, with a processor to spare … */
	SPIN_IDLE_MANY_US = 200, /* … and with many */
	MANY_PROCESSORS = 8,
	SPIN_BUSY_US = 200, /* poll a running launch that eagerly, then every NAP_US */
	NAP_US = 50,
	SLEEP_MS = 500
};

struct pump_stream {
	struct gd_stream *stream;
	bool busy;
	uint32_t lane, index;
	struct gd_cell *cell;
	uint64_t ticket;
	struct gd_launch launch;
	struct gd_buffer_arg *buffers; /* GD_PARAMS_MAX */
	uint8_t *params;               /* GD_PARAM_BYTES_MAX */
};

struct pump {
	struct gd_process *process;
	struct pump_stream streams[STREAMS];
	uint32_t busy_count, next_lane;
	uint64_t idle_spin_us;
};

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

static void wake_lane(struct gd_process *process, uint32_t lane)
{
	struct gd_lane_control *control = &process->control->lanes[lane];
	gd_fence();
	if (!atomic_load_explicit(&control->lane_sleeps, memory_order_relaxed) ||
	    !atomic_exchange(&control->lane_sleeps, 0))
		return;
	uint64_t one = 1;
	while (write(process->events[lane], &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void complete(struct gd_process *process, uint32_t lane, uint32_t index, struct gd_cell *cell,
		     uint64_t ticket)
{
	cell->result_ticket = ticket;
	cell->ended_ns = gd_now_ns();
	atomic_store_explicit(&cell->state, GD_CELL_DONE, memory_order_release);
	pthread_mutex_lock(&process->give_locks[lane]);
	gd_ring_push(&process->control->lanes[lane].completed, index);
	pthread_mutex_unlock(&process->give_locks[lane]);
	wake_lane(process, lane);
}

static void store_error(struct gd_cell *cell, const struct gd_error *error)
{
	cell->result_code = error->code ? (uint32_t)error->code : GD_UNKNOWN;
	cell->result_native = error->native;
	cell->result_sticky = error->sticky;
	snprintf(cell->result_name, sizeof cell->result_name, "%s",
		 error->native_name ? error->native_name : "");
	snprintf(cell->result_text, sizeof cell->result_text, "%s", error->text);
}

/*
 * The device is lost: this process can do no more. Who did it is certain only when nothing else was running;
 * then the cell says so. All others stay unanswered, and the front decides what becomes of them.
 */
static _Noreturn void lose_device(struct gd_process *process, struct pump_stream *stream,
				  const struct gd_error *error)
{
	pthread_mutex_lock(&process->lost_lock);
	if (atomic_load(&process->running) == 1) {
		store_error(stream->cell, error);
		complete(process, stream->lane, stream->index, stream->cell, stream->ticket);
	}
	gd_process_fail(process, error, GD_WORKER_EXIT_FAULT);
}

static void finish(struct pump *pump, struct pump_stream *stream, const struct gd_launch_timing *timing,
		   const struct gd_error *error)
{
	struct gd_process *process = pump->process;
	struct gd_cell *cell = stream->cell;
	if (error && error->sticky)
		lose_device(process, stream, error);
	if (error) {
		store_error(cell, error);
	} else {
		cell->h2d_ns = timing->h2d_ns;
		cell->kernel_ns = timing->kernel_ns;
		cell->d2h_ns = timing->d2h_ns;
	}
	if (stream->busy) {
		stream->busy = false;
		pump->busy_count--;
	}
	atomic_fetch_sub(&process->running, 1);
	complete(process, stream->lane, stream->index, cell, stream->ticket);
}

static bool range_fits(uint64_t offset, uint64_t bytes, uint64_t size)
{
	return offset <= size && bytes <= size - offset;
}

/* The front is trusted, but a wrong range must not become a wild pointer. */
static bool copy_buffers(struct gd_process *process, struct pump_stream *stream, const struct gd_cell *cell,
			 uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct gd_wire_buffer *from = &cell->buffers[i];
		struct gd_chunk *chunk = NULL;
		if (from->space == GD_SPACE_CHUNK) {
			if (from->chunk >= GD_CHUNKS_MAX)
				return false;
			chunk = atomic_load(&process->chunks[from->chunk]);
			if (!chunk)
				return false;
		}
		if ((from->space == GD_SPACE_IN &&
		     !range_fits(from->offset, from->bytes, process->in_bytes)) ||
		    (from->space == GD_SPACE_OUT &&
		     !range_fits(from->offset, from->bytes, process->out_bytes)) ||
		    (from->source == GD_SPACE_IN &&
		     !range_fits(from->source_offset, from->bytes, process->in_bytes)))
			return false;
		stream->buffers[i] = (struct gd_buffer_arg){.param_offset = from->param_offset,
							    .access = from->access,
							    .space = from->space,
							    .source = from->source,
							    .offset = from->offset,
							    .source_offset = from->source_offset,
							    .bytes = from->bytes,
							    .chunk = chunk};
	}
	return true;
}

static bool start_launch(struct gd_process *process, struct pump_stream *stream, const struct gd_cell *cell,
			 struct gd_error *error)
{
	uint32_t count = cell->buffer_count, param_bytes = cell->param_bytes, module_index = cell->module;
	struct gd_module *module =
	    module_index < GD_MODULES_MAX ? atomic_load(&process->modules[module_index]) : NULL;
	if (!module || count > GD_PARAMS_MAX || param_bytes > GD_PARAM_BYTES_MAX ||
	    !copy_buffers(process, stream, cell, count))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "the worker was given a launch it cannot read");
	memcpy(stream->params, cell->params, param_bytes);
	stream->launch = (struct gd_launch){
	    .module = module,
	    .grid = {cell->grid[0], cell->grid[1], cell->grid[2]},
	    .block = {cell->block[0], cell->block[1], cell->block[2]},
	    .shared_bytes = cell->shared_bytes,
	    .iterations = cell->iterations ? cell->iterations : 1,
	    .cooperative = cell->cooperative != 0,
	    .params = stream->params,
	    .param_bytes = param_bytes,
	    .buffer_count = count,
	    .buffers = stream->buffers,
	};
	return process->ops->submit(stream->stream, &stream->launch, error);
}

static bool start_copy(struct gd_process *process, struct pump_stream *stream, const struct gd_cell *cell,
		       struct gd_error *error)
{
	uint32_t op = cell->op, chunk_index = cell->chunk;
	struct gd_chunk *chunk =
	    chunk_index < GD_CHUNKS_MAX ? atomic_load(&process->chunks[chunk_index]) : NULL;
	uint64_t slab_bytes = op == GD_OP_UPLOAD ? process->in_bytes : process->out_bytes;
	if (!chunk || (op != GD_OP_ZERO && !range_fits(cell->slab_offset, cell->bytes, slab_bytes)))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "the worker was given a copy it cannot read");
	if (op == GD_OP_ZERO)
		return process->ops->zero(stream->stream, chunk, cell->chunk_offset, cell->bytes, error);
	return process->ops->copy(stream->stream, op == GD_OP_UPLOAD, chunk, cell->chunk_offset,
				  cell->slab_offset, cell->bytes, error);
}

static void start(struct pump *pump, struct pump_stream *stream, uint32_t lane, uint32_t index)
{
	struct gd_process *process = pump->process;
	struct gd_cell *cell = gd_control_cell(process->control, lane, index);
	stream->lane = lane;
	stream->index = index;
	stream->cell = cell;
	stream->ticket = cell->ticket;
	/* pairs with the release of whichever pump had this cell before */
	if (atomic_load_explicit(&cell->state, memory_order_acquire) != GD_CELL_QUEUED)
		return;
	cell->result_code = 0;
	cell->result_sticky = 0;
	cell->result_cancelled = 0;
	cell->h2d_ns = cell->kernel_ns = cell->d2h_ns = 0;
	atomic_store_explicit(&cell->started_ns, gd_now_ns(), memory_order_relaxed);
	if (atomic_load_explicit(&cell->cancelled, memory_order_relaxed)) {
		cell->result_cancelled = 1;
		complete(process, lane, index, cell, stream->ticket);
		return;
	}
	atomic_store_explicit(&cell->state, GD_CELL_RUNNING, memory_order_release);
	atomic_fetch_add(&process->running, 1);
	struct gd_error error = {0};
	bool started = cell->op == GD_OP_LAUNCH ? start_launch(process, stream, cell, &error)
						: start_copy(process, stream, cell, &error);
	if (!started) {
		finish(pump, stream, NULL, &error);
		return;
	}
	stream->busy = true;
	pump->busy_count++;
}

static bool take_one(struct pump *pump, struct pump_stream *stream)
{
	struct gd_process *process = pump->process;
	for (uint32_t n = 0; n < process->lane_count; n++) {
		uint32_t lane = (pump->next_lane + n) % process->lane_count;
		struct gd_ring *ring = &process->control->lanes[lane].submitted;
		uint32_t index;
		if (gd_ring_empty(ring) || pthread_mutex_trylock(&process->take_locks[lane]) != 0)
			continue;
		bool got = gd_ring_pop(ring, &index);
		pthread_mutex_unlock(&process->take_locks[lane]);
		if (!got)
			continue;
		pump->next_lane = lane + 1;
		if (index < GD_CELLS_PER_LANE)
			start(pump, stream, lane, index);
		return true;
	}
	return false;
}

static bool take_all(struct pump *pump)
{
	bool any = false;
	for (unsigned i = 0; i < STREAMS && pump->busy_count < STREAMS; i++)
		if (!pump->streams[i].busy) {
			if (!take_one(pump, &pump->streams[i]))
				break;
			any = true;
		}
	return any;
}

static bool poll_all(struct pump *pump)
{
	bool any = false;
	for (unsigned i = 0; i < STREAMS && pump->busy_count; i++) {
		struct pump_stream *stream = &pump->streams[i];
		if (!stream->busy)
			continue;
		struct gd_launch_timing timing = {0};
		struct gd_error error = {0};
		enum gd_poll poll = pump->process->ops->poll(stream->stream, &timing, &error);
		if (poll == GD_POLL_PENDING)
			continue;
		finish(pump, stream, &timing, poll == GD_POLL_FAILED ? &error : NULL);
		any = true;
	}
	return any;
}

static bool work_waits(struct gd_process *process)
{
	for (uint32_t lane = 0; lane < process->lane_count; lane++)
		if (!gd_ring_empty(&process->control->lanes[lane].submitted))
			return true;
	return false;
}

static void sleep_for_work(struct gd_process *process)
{
	struct gd_control *control = process->control;
	uint32_t word = atomic_load(&control->wake_word);
	atomic_fetch_add(&control->pumps_asleep, 1);
	gd_fence();
	if (!work_waits(process)) {
		struct timespec limit = {.tv_nsec = SLEEP_MS * (long)GD_NS_PER_MS};
		syscall(SYS_futex, &control->wake_word, FUTEX_WAIT, word, &limit, NULL, 0);
	}
	atomic_fetch_sub(&control->pumps_asleep, 1);
}

static bool make_streams(struct pump *pump, struct gd_error *error)
{
	for (unsigned i = 0; i < STREAMS; i++) {
		struct pump_stream *stream = &pump->streams[i];
		stream->buffers = calloc(GD_PARAMS_MAX, sizeof *stream->buffers);
		stream->params = calloc(1, GD_PARAM_BYTES_MAX);
		if (!stream->buffers || !stream->params)
			return gd_error_errno(error, ENOMEM, "cannot make a stream");
		if (!pump->process->ops->stream_new(pump->process->device, &stream->stream, error))
			return false;
	}
	return true;
}

static uint64_t idle_spin_us(void)
{
	cpu_set_t set;
	int processors = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
	return processors >= MANY_PROCESSORS ? SPIN_IDLE_MANY_US : processors > 2 ? SPIN_IDLE_US : 0;
}

void *gd_pump_main(void *argument)
{
	struct gd_process *process = argument;
	prctl(PR_SET_NAME, "gd-pump");
	struct pump *pump = calloc(1, sizeof *pump);
	struct gd_error error = {0};
	if (!pump) {
		gd_error_errno(&error, ENOMEM, "cannot start a pump");
		gd_process_fail(process, &error, GD_WORKER_EXIT_START);
	}
	pump->process = process;
	pump->idle_spin_us = idle_spin_us();
	if (!make_streams(pump, &error))
		gd_process_fail(process, &error, GD_WORKER_EXIT_START);
	uint64_t quiet_since = 0;
	for (;;) {
		bool took = take_all(pump);
		bool polled = poll_all(pump);
		if (took || polled) {
			quiet_since = 0;
			continue;
		}
		uint64_t now = gd_now_ns();
		if (!quiet_since)
			quiet_since = now;
		uint64_t quiet_us = (now - quiet_since) / GD_NS_PER_US;
		if (pump->busy_count && quiet_us > SPIN_BUSY_US) {
			struct timespec nap = {.tv_nsec = NAP_US * (long)GD_NS_PER_US};
			nanosleep(&nap, NULL);
		} else if (!pump->busy_count && quiet_us >= pump->idle_spin_us) {
			sleep_for_work(process);
			quiet_since = 0;
		} else {
			relax();
		}
	}
	return NULL;
}
