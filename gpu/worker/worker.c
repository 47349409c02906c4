#include "gpu/worker/worker.h"

#include "gpu/base/child.h"
#include "gpu/base/cleanup.h"
#include "gpu/base/shm.h"
#include "gpu/worker/process.h"
#include "gpu/worker/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SEND_WAIT_MS = 10000 };

static bool send_message(struct gd_process *process, const struct gd_message *message, int fd,
			 struct gd_error *error)
{
	while (!gd_message_send(process->socket, message, sizeof *message, &fd, fd >= 0 ? 1 : 0, error)) {
		if (error->native != EAGAIN)
			return false;
		struct pollfd writable = {.fd = process->socket, .events = POLLOUT};
		if (poll(&writable, 1, SEND_WAIT_MS) <= 0)
			return false;
	}
	return true;
}

_Noreturn void gd_process_fail(struct gd_process *process, const struct gd_error *error, int status)
{
	struct gd_error ignored;
	process->failure.kind = GD_MESSAGE_FAILED;
	gd_wire_error_pack(&process->failure.error, error);
	send_message(process, &process->failure, -1, &ignored);
	_exit(status);
}

/* The next message; waits for it. Ends the process when the front has gone. */
static void receive(struct gd_process *process, struct gd_message *message, int fds[GD_FDS_MAX],
		    size_t *out_count)
{
	for (;;) {
		ssize_t got = gd_message_receive(process->socket, message, sizeof *message, fds, out_count);
		if (got == (ssize_t)sizeof *message)
			return;
		if (got == 0 || (got < 0 && errno != EAGAIN))
			_exit(GD_WORKER_EXIT_OK);
		for (size_t i = 0; i < *out_count; i++)
			close(fds[i]);
		struct pollfd readable = {.fd = process->socket, .events = POLLIN};
		poll(&readable, 1, -1); /* ends with the front: a closed socket is readable */
	}
}

static struct gd_message *new_reply(struct gd_process *process, enum gd_message_kind kind)
{
	memset(&process->reply, 0, sizeof process->reply);
	process->reply.kind = kind;
	process->reply.index = process->request.index;
	process->reply.ticket = process->request.ticket;
	return &process->reply;
}

static void answer(struct gd_process *process, int fd, const struct gd_error *failed)
{
	struct gd_message *reply = &process->reply;
	struct gd_error error;
	if (failed)
		gd_wire_error_pack(&reply->error, failed);
	if (!send_message(process, reply, fd, &error))
		_exit(GD_WORKER_EXIT_OK);
}

/*
 * The front frees what no launch uses any more. It learned so from a completion; this load makes what the
 * pump did before that visible here too, without relying on the way through another process.
 */
static void meet_pumps(struct gd_process *process)
{
	(void)atomic_load_explicit(&process->running, memory_order_acquire);
}

static void load_module(struct gd_process *process, struct gd_message *message, int fd)
{
	struct gd_message *reply = new_reply(process, GD_MESSAGE_LOADED);
	struct gd_error error = {0};
	size_t bytes = (size_t)message->u.load.bytes;
	message->u.load.entry[sizeof message->u.load.entry - 1] = 0;
	/* the image comes with a NUL behind it, which PTX needs and a cubin does not mind */
	void *data = message->index < GD_MODULES_MAX ? gd_shm_map(fd, bytes + 1, false, &error) : NULL;
	struct gd_module *module = NULL;
	bool loaded = false;
	if (data) {
		struct gd_image image = {.kind = (enum gd_image_kind)message->u.load.image_kind,
					 .data = data,
					 .bytes = bytes,
					 .entry = message->u.load.entry,
					 .source_name = "kernel.cu",
					 .occupancy_threads = message->u.load.occupancy_threads};
		loaded =
		    process->ops->module_load(process->device, &image, &module, &reply->u.loaded, &error);
		gd_shm_unmap(data, bytes + 1);
	}
	if (loaded) {
		meet_pumps(process);
		struct gd_module *old = atomic_exchange(&process->modules[message->index], module);
		if (old)
			process->ops->module_free(process->device, old);
	}
	if (!loaded && error.sticky)
		gd_process_fail(process, &error, GD_WORKER_EXIT_FAULT);
	answer(process, -1, loaded ? NULL : &error);
}

static void unload_module(struct gd_process *process, uint32_t index)
{
	meet_pumps(process);
	struct gd_module *old =
	    index < GD_MODULES_MAX ? atomic_exchange(&process->modules[index], NULL) : NULL;
	if (old)
		process->ops->module_free(process->device, old);
}

static void make_chunk(struct gd_process *process, const struct gd_message *message)
{
	struct gd_message *reply = new_reply(process, GD_MESSAGE_CHUNK);
	struct gd_error error = {0};
	struct gd_chunk *chunk = NULL;
	gd_auto_close int fd = -1;
	bool made = message->index < GD_CHUNKS_MAX && !atomic_load(&process->chunks[message->index]) &&
		    process->ops->chunk_new(process->device, message->u.chunk.bytes, &chunk,
					    &reply->u.chunk.bytes, &fd, &error);
	if (made)
		atomic_store(&process->chunks[message->index], chunk);
	else if (!error.code)
		gd_error_set(&error, GD_INTERNAL_STATE, NULL, "the worker was asked for a chunk it has");
	if (!made && error.sticky)
		gd_process_fail(process, &error, GD_WORKER_EXIT_FAULT);
	answer(process, fd, made ? NULL : &error);
}

static void free_chunk(struct gd_process *process, uint32_t index)
{
	meet_pumps(process);
	struct gd_chunk *old = index < GD_CHUNKS_MAX ? atomic_exchange(&process->chunks[index], NULL) : NULL;
	if (old)
		process->ops->chunk_free(process->device, old);
}

static void take_events(struct gd_process *process, const struct gd_message *message, int fds[GD_FDS_MAX],
			size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t lane = message->u.events.first_lane + i;
		if (lane < GD_LANES_MAX && process->events[lane] < 0) {
			process->events[lane] = fds[i];
			fds[i] = -1;
		}
	}
}

static bool take_slabs(struct gd_process *process, const struct gd_message *message,
		       const int fds[GD_FDS_MAX], size_t count, struct gd_error *error)
{
	if (count != 3 || message->u.start.lane_count > GD_LANES_MAX ||
	    message->u.start.control_bytes != gd_control_size(message->u.start.lane_count))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "the worker does not understand its start message");
	process->lane_count = message->u.start.lane_count;
	process->in_bytes = message->u.start.in_bytes;
	process->out_bytes = message->u.start.out_bytes;
	process->control = gd_shm_map(fds[0], message->u.start.control_bytes, true, error);
	process->in = process->control ? gd_shm_map(fds[1], process->in_bytes, false, error) : NULL;
	process->out = process->in ? gd_shm_map(fds[2], process->out_bytes, true, error) : NULL;
	if (!process->out)
		return false;
	if (process->control->magic != GD_PROTOCOL_MAGIC)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "front and worker are of different versions");
	return process->ops->slabs(process->device, process->in, process->in_bytes, process->out,
				   process->out_bytes, error);
}

static void start_pumps(struct gd_process *process)
{
	struct gd_error error;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t pumps = process->ops->kind == GD_DEVICE_CUDA && processors > 3 ? 3 : 2;
	process->pump_count = pumps;
	for (uint32_t i = 0; i < pumps; i++) {
		pthread_t thread;
		int failed = pthread_create(&thread, NULL, gd_pump_main, process);
		if (failed) {
			gd_error_errno(&error, failed, "cannot start a pump");
			gd_process_fail(process, &error, GD_WORKER_EXIT_START);
		}
		pthread_detach(thread);
	}
}

static void handle(struct gd_process *process, struct gd_message *message, int fds[GD_FDS_MAX], size_t count)
{
	switch (message->kind) {
	case GD_MESSAGE_EVENTS:
		take_events(process, message, fds, count);
		break;
	case GD_MESSAGE_LOAD:
		load_module(process, message, count ? fds[0] : -1);
		break;
	case GD_MESSAGE_UNLOAD:
		unload_module(process, message->index);
		break;
	case GD_MESSAGE_CHUNK_NEW:
		make_chunk(process, message);
		break;
	case GD_MESSAGE_CHUNK_FREE:
		free_chunk(process, message->index);
		break;
	default:
		break;
	}
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int probe(struct gd_process *process)
{
	struct gd_error error = {0};
	struct gd_message *reply = new_reply(process, GD_MESSAGE_PROBED);
	reply->u.probed.count = process->ops->count(&error);
	answer(process, -1, reply->u.probed.count ? NULL : &error);
	return GD_WORKER_EXIT_OK;
}

static struct gd_process *new_process(enum gd_device_kind kind)
{
	struct gd_process *process = calloc(1, sizeof *process);
	if (!process)
		return NULL;
	process->ops = gd_device_ops_of(kind);
	process->socket = GD_CHILD_SOCKET;
	pthread_mutex_init(&process->lost_lock, NULL);
	for (unsigned i = 0; i < GD_LANES_MAX; i++) {
		process->events[i] = -1;
		pthread_mutex_init(&process->take_locks[i], NULL);
		pthread_mutex_init(&process->give_locks[i], NULL);
	}
	return process;
}

int gd_worker_main(int argc, char **argv)
{
	if (argc < 4 || !gd_child_settle("gd-worker", (pid_t)strtol(argv[1], NULL, 10)))
		return GD_WORKER_EXIT_START;
	struct gd_process *process = new_process((enum gd_device_kind)strtol(argv[2], NULL, 10));
	if (!process)
		return GD_WORKER_EXIT_START;
	if (!strcmp(argv[3], "probe"))
		return probe(process);

	struct gd_error error = {0};
	struct gd_device_info info;
	if (!process->ops->open((uint32_t)strtoul(argv[3], NULL, 10), &process->device, &info, &error))
		gd_process_fail(process, &error, GD_WORKER_EXIT_START);
	int fds[GD_FDS_MAX];
	size_t count;
	struct gd_message *message = &process->request;
	do {
		receive(process, message, fds, &count);
		if (message->kind == GD_MESSAGE_START && !take_slabs(process, message, fds, count, &error))
			gd_process_fail(process, &error, GD_WORKER_EXIT_START);
		handle(process, message, fds, count);
	} while (message->kind != GD_MESSAGE_START);
	start_pumps(process);
	if (!gd_worker_sandbox(process->ops->kind, &error))
		gd_process_fail(process, &error, GD_WORKER_EXIT_START);
	new_reply(process, GD_MESSAGE_READY)->u.ready = info;
	answer(process, -1, NULL);
	for (;;) {
		receive(process, message, fds, &count);
		handle(process, message, fds, count);
	}
}
