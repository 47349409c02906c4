#include "tests/unit/gpu/dispatch/rig_evil.h"

#include "gpu/base/child.h"
#include "gpu/base/clock.h"
#include "gpu/base/shm.h"
#include "gpu/worker/protocol.h"
#include "gpu/worker/worker.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct worker {
	enum evil evil;
	struct gd_control *control;
	size_t control_bytes, slab_bytes;
	uint8_t *out;
	uint32_t lanes;
	int events[GD_LANES_MAX];
	uint64_t last_ticket;
	uint32_t seed;
	struct gd_message in, reply;
};

void evil_choose(enum evil evil)
{
	char name[16];
	snprintf(name, sizeof name, "evil-%d", (int)evil);
	prctl(PR_SET_NAME, name);
}

enum evil evil_chosen(int argc, char **argv)
{
	char path[64], name[32] = "";
	if (argc < 2)
		return EVIL_NOT;
	snprintf(path, sizeof path, "/proc/%.20s/comm", argv[1]);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, name, sizeof name - 1) <= 0)
		_exit(99);
	close(fd);
	return strncmp(name, "evil-", 5) ? EVIL_NOT : (enum evil)strtol(name + 5, NULL, 10);
}

static uint32_t random_next(struct worker *worker)
{
	worker->seed = worker->seed * 1664525u + 1013904223u;
	return worker->seed >> 8;
}

static void send_fds(const struct gd_message *message, const int *fds, size_t count)
{
	struct pollfd writable = {.fd = GD_CHILD_SOCKET, .events = POLLOUT};
	while (!gd_message_send(GD_CHILD_SOCKET, message, sizeof *message, fds, count, NULL))
		if (poll(&writable, 1, 1000) < 0 || writable.revents & (POLLERR | POLLHUP))
			_exit(0);
}

static void rest(void)
{
	struct pollfd gone = {.fd = GD_CHILD_SOCKET, .events = 0};
	for (;;)
		if (poll(&gone, 1, 1000) > 0 && gone.revents & (POLLHUP | POLLERR))
			_exit(0);
}

static void rest_without_socket(void)
{
	close(GD_CHILD_SOCKET);
	for (;;)
		pause();
}

/* ---- the honest part ---- */

static void take(struct worker *worker, int *fds, size_t count)
{
	const struct gd_message *message = &worker->in;
	if (message->kind == GD_MESSAGE_EVENTS)
		for (size_t i = 0; i < count; i++)
			worker->events[message->u.events.first_lane + i] = fds[i];
	if (message->kind != GD_MESSAGE_START)
		return;
	worker->lanes = message->u.start.lane_count;
	worker->control_bytes = message->u.start.control_bytes;
	worker->slab_bytes = message->u.start.out_bytes;
	worker->control = gd_shm_map(fds[0], worker->control_bytes, true, NULL);
	worker->out = gd_shm_map(fds[2], worker->slab_bytes, true, NULL);
}

static bool receive(struct worker *worker, int wait_ms)
{
	int fds[GD_FDS_MAX];
	size_t count;
	struct pollfd readable = {.fd = GD_CHILD_SOCKET, .events = POLLIN};
	if (poll(&readable, 1, wait_ms) <= 0)
		return false;
	ssize_t got = gd_message_receive(GD_CHILD_SOCKET, &worker->in, sizeof worker->in, fds, &count);
	if (got <= 0)
		_exit(0);
	take(worker, fds, count);
	return true;
}

static struct gd_message *new_reply(struct worker *worker, enum gd_message_kind kind)
{
	memset(&worker->reply, 0, sizeof worker->reply);
	worker->reply.kind = kind;
	worker->reply.index = worker->in.index;
	worker->reply.ticket = worker->in.ticket;
	return &worker->reply;
}

static void say_ready(struct worker *worker)
{
	struct gd_message *reply = new_reply(worker, GD_MESSAGE_READY);
	struct gd_device *device;
	gd_device_echo_ops.open(0, &device, &reply->u.ready, NULL);
	if (worker->evil == EVIL_READY_NUMBERS)
		reply->u.ready.compute_major = reply->u.ready.compute_minor = INT_MAX;
	if (worker->evil == EVIL_READY_TEXT)
		memset(reply->u.ready.name, '\033', sizeof reply->u.ready.name);
	if (worker->evil == EVIL_READY_LIMITS)
		reply->u.ready.max_grid[1] = 0;
	send_fds(reply, NULL, 0);
}

static void complete(struct worker *worker, uint32_t lane, uint32_t index)
{
	uint64_t one = 1;
	gd_ring_push(&worker->control->lanes[lane].completed, index);
	if (write(worker->events[lane], &one, sizeof one) < 0)
		_exit(0);
}

/* ---- the lies ---- */

static void tell_info(struct worker *worker, struct gd_kernel_info *info)
{
	uint32_t count = 2, size = 8;
	info->max_threads = 1024;
	if (worker->evil == EVIL_INFO_GROWS) {
		info->max_threads = 0;
		count = worker->in.ticket <= 2 ? 0 : GD_PARAMS_MAX;
	}
	if (worker->evil == EVIL_BIG_INFO)
		count = GD_PARAMS_MAX;
	info->param_count = count;
	info->param_bytes = count * size;
	for (uint32_t i = 0; i < count; i++) {
		info->params[i].offset = i * size;
		info->params[i].size = size;
	}
	if (worker->evil == EVIL_BIG_INFO)
		info->param_count = 0x40000001u;
	if (worker->evil == EVIL_WIDE_INFO)
		info->params[1].offset = UINT32_MAX - 3;
}

static void answer(struct worker *worker)
{
	if (worker->evil == EVIL_NO_ANSWERS)
		return;
	if (worker->in.kind == GD_MESSAGE_LOAD) {
		struct gd_message *reply = new_reply(worker, GD_MESSAGE_LOADED);
		tell_info(worker, &reply->u.loaded);
		send_fds(reply, NULL, 0);
	}
	if (worker->in.kind == GD_MESSAGE_CHUNK_NEW) {
		struct gd_message *reply = new_reply(worker, GD_MESSAGE_CHUNK);
		static const uint64_t sizes[] = {0, 1, UINT64_MAX};
		const int fds[] = {1, 1, 1};
		for (size_t i = 0; i < 3; i++) {
			reply->u.chunk.bytes = sizes[i];
			send_fds(reply, fds, i == 1 ? 3 : 0);
		}
	}
}

static void finish_cell(struct worker *worker, uint32_t lane, uint32_t index)
{
	struct gd_cell *cell = gd_control_cell(worker->control, lane, index);
	uint64_t ticket = cell->ticket;
	memset(&cell->result_code, 0,
	       offsetof(struct gd_cell, params) - offsetof(struct gd_cell, result_code));
	switch (worker->evil) {
	case EVIL_TICKETS:
		/* the one before, the next, none */
		cell->result_ticket = worker->last_ticket;
		complete(worker, lane, index);
		cell->result_ticket = random_next(worker) % 2 ? ticket + 1 : 0;
		complete(worker, lane, index);
		complete(worker, lane, index + 1);
		complete(worker, lane, UINT32_MAX);
		break;
	case EVIL_RESULTS:
		cell->result_ticket = ticket;
		memset(cell->result_text, 'X', sizeof cell->result_text);
		memset(cell->result_name, 'Y', sizeof cell->result_name);
		cell->result_code = random_next(worker) % 3 ? random_next(worker) : 0;
		cell->result_sticky = random_next(worker);
		cell->h2d_ns = cell->kernel_ns = cell->d2h_ns = UINT64_MAX;
		cell->started_ns = UINT64_MAX - random_next(worker);
		complete(worker, lane, index);
		break;
	default:
		cell->result_ticket = ticket;
		for (int i = 0; i < (worker->evil == EVIL_TWICE ? 3 : 1); i++)
			complete(worker, lane, index);
		break;
	}
	worker->last_ticket = ticket;
}

static void scribble(struct worker *worker)
{
	uint8_t *control = (uint8_t *)worker->control;
	uint64_t one = 1;
	for (int i = 0; i < 200000; i++) {
		/* rings, cells' results and all else; small values too, which look like indices */
		size_t at = random_next(worker) % worker->control_bytes;
		if (i % 3)
			at = random_next(worker) % sizeof(struct gd_control);
		control[at] = (uint8_t)(i % 2 ? random_next(worker) : random_next(worker) % 4);
		worker->out[random_next(worker) % worker->slab_bytes] = (uint8_t)random_next(worker);
	}
	for (uint32_t lane = 0; lane < worker->lanes; lane++)
		if (write(worker->events[lane], &one, sizeof one) < 0)
			_exit(0);
}

static void send_odd_sizes(const struct worker *worker)
{
	static char bytes[sizeof(struct gd_message) + 1];
	int fds[GD_FDS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
	memset(bytes, 0xff, sizeof bytes);
	if (worker->evil == EVIL_SHORT)
		for (size_t size = 1; size < sizeof(struct gd_message); size += 911)
			gd_message_send(GD_CHILD_SOCKET, bytes, size, fds, size % GD_FDS_MAX, NULL);
	if (worker->evil == EVIL_LONG)
		gd_message_send(GD_CHILD_SOCKET, bytes, sizeof bytes, fds, GD_FDS_MAX, NULL);
	if (worker->evil == EVIL_EMPTY)
		gd_message_send(GD_CHILD_SOCKET, bytes, 0, fds, GD_FDS_MAX, NULL);
}

static void say_last_words(struct worker *worker)
{
	for (int i = 0; i < 20; i++) {
		struct gd_message *reply = new_reply(worker, GD_MESSAGE_FAILED);
		reply->error.code = GD_DISPATCH_FAILED;
		snprintf(reply->error.name, sizeof reply->error.name, "EVIL_%d", i);
		snprintf(reply->error.text, sizeof reply->error.text, "last words %d", i);
		send_fds(reply, NULL, 0);
	}
}

static void live(struct worker *worker)
{
	switch (worker->evil) {
	case EVIL_CLOSES_LATE:
		rest_without_socket();
		break;
	case EVIL_STOPS:
		raise(SIGSTOP);
		break;
	case EVIL_DEAF:
		rest();
		break;
	case EVIL_LAST_WORDS:
		say_last_words(worker);
		rest();
		break;
	default:
		send_odd_sizes(worker);
		break;
	}
	for (;;) {
		while (receive(worker, 1))
			answer(worker);
		if (worker->evil == EVIL_RANDOM)
			scribble(worker);
		for (uint32_t lane = 0; lane < worker->lanes && worker->evil != EVIL_RANDOM; lane++) {
			uint32_t index;
			while (gd_ring_pop(&worker->control->lanes[lane].submitted, &index))
				if (index < GD_CELLS_PER_LANE)
					finish_cell(worker, lane, index);
		}
	}
}

/* ---- beside an honest worker ---- */

static void *make_noise(void *argument)
{
	struct worker *worker = argument;
	static const enum gd_message_kind kinds[] = {GD_MESSAGE_LOADED, GD_MESSAGE_CHUNK,
						     GD_MESSAGE_READY,  GD_MESSAGE_PROBED,
						     GD_MESSAGE_START,  (enum gd_message_kind)77};
	const int fds[GD_FDS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
	struct timespec pause = {.tv_nsec = worker->evil == EVIL_FLOOD ? 0 : 100000};
	/* the filter is the last thing before the honest word that the worker is ready */
	while (prctl(PR_GET_SECCOMP) != 2)
		sched_yield();
	for (uint64_t i = 0;; i++) {
		memset(&worker->reply, 0, sizeof worker->reply);
		worker->reply.kind = kinds[random_next(worker) % (sizeof kinds / sizeof *kinds)];
		if (i < 100 && worker->reply.kind == GD_MESSAGE_READY)
			worker->reply.kind = GD_MESSAGE_PROBED;
		/* never what was asked for just now: the index or the ticket is wrong */
		bool wild = random_next(worker) % 2;
		worker->reply.index = wild ? random_next(worker) : random_next(worker) % 4096;
		worker->reply.ticket = wild ? random_next(worker) % 4 : UINT64_MAX - i;
		if (wild && worker->reply.index < 8192)
			worker->reply.index += 8192;
		worker->reply.u.loaded.param_count = 3;
		worker->reply.u.loaded.param_bytes = 4000;
		worker->reply.error.code = random_next(worker) % 2 ? GD_DISPATCH_FAILED : 0;
		send_fds(&worker->reply, fds, random_next(worker) % (GD_FDS_MAX + 1));
		if (pause.tv_nsec)
			nanosleep(&pause, NULL);
	}
	return NULL;
}

int evil_main(enum evil evil, int argc, char **argv)
{
	struct worker *worker = calloc(1, sizeof *worker);
	if (!worker)
		return 98;
	worker->evil = evil;
	worker->seed = (uint32_t)getpid();
	if (evil == EVIL_NOISE || evil == EVIL_FLOOD) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, make_noise, worker) != 0)
			return 97;
		return gd_worker_main(argc, argv);
	}
	if (!gd_child_settle("gd-evil", (pid_t)strtol(argv[1], NULL, 10)))
		return 96;
	if (evil == EVIL_STOPS_EARLY)
		raise(SIGSTOP);
	while (!worker->control)
		receive(worker, -1);
	if (evil == EVIL_MUTE)
		rest();
	if (evil == EVIL_CLOSES)
		rest_without_socket();
	say_ready(worker);
	live(worker);
	return 0;
}
