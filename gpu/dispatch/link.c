#include "gpu/dispatch/inside.h"

#include "gpu/base/cleanup.h"
#include "gpu/base/clock.h"
#include "gpu/base/shm.h"
#include "gpu/worker/process.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

enum { LIMIT_DEFAULT_MS = 60000, END_LIMIT_MS = 10000, MESSAGES_AT_ONCE = 32, ENVIRONMENT_MAX = 8 };

/* What a worker may see of our environment: how to find the driver and which devices it may use. */
static const char *const passed_on[] = {"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
					"GPUDISPATCH_LIBCUDA"};

static bool start_child(struct gd_station *station, struct gd_link *link, struct gd_error *error)
{
	char kind[12], ordinal[12];
	snprintf(kind, sizeof kind, "%d", (int)station->kind);
	snprintf(ordinal, sizeof ordinal, "%u", station->ordinal);
	const char *arguments[] = {kind, ordinal, NULL};
	char *texts[sizeof passed_on / sizeof *passed_on] = {NULL};
	const char *environment[ENVIRONMENT_MAX] = {"CUDA_CACHE_DISABLE=1", "CUDA_MODULE_LOADING=EAGER"};
	size_t count = 2;
	for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
		const char *value = getenv(passed_on[i]);
		if (value && asprintf(&texts[i], "%s=%s", passed_on[i], value) > 0)
			environment[count++] = texts[i];
	}
	bool started = gd_child_start("gd-worker", arguments, environment, &link->child, error);
	for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
		free(texts[i]);
	return started;
}

static bool make_control(struct gd_engine *engine, struct gd_link *link, int *out_fd, struct gd_error *error)
{
	link->control_bytes = gd_control_size(engine->config.lane_count + 1);
	gd_auto_close int fd = gd_shm_new("gd-control", link->control_bytes, error);
	if (fd < 0)
		return false;
	link->control = gd_shm_map(fd, link->control_bytes, true, error);
	if (!link->control)
		return false;
	link->control->magic = GD_PROTOCOL_MAGIC;
	link->control->lane_count = engine->config.lane_count + 1;
	link->control->slot_bytes = GD_CELL_BYTES;
	for (uint32_t i = 0; i <= engine->config.lane_count; i++)
		atomic_store(&link->control->lanes[i].lane_sleeps, 1);
	*out_fd = gd_move_fd(&fd);
	return true;
}

static bool make_slabs(struct gd_link *link, int *out_in, int *out_out, struct gd_error *error)
{
	gd_auto_close int in = gd_shm_new("gd-in", link->slab_bytes, error);
	gd_auto_close int out = in < 0 ? -1 : gd_shm_new("gd-out", link->slab_bytes, error);
	if (out < 0)
		return false;
	link->in = gd_shm_map(in, link->slab_bytes, true, error);
	/* from here on nobody, the worker above all, can map the inputs for writing */
	if (!link->in || !gd_shm_seal_writes(in, error))
		return false;
	link->out = gd_shm_map(out, link->slab_bytes, false, error);
	if (!link->out)
		return false;
	*out_in = gd_move_fd(&in);
	*out_out = gd_move_fd(&out);
	return true;
}

static bool send_start(struct gd_link *link, int control, int in, int out)
{
	struct gd_message *message = calloc(1, sizeof *message);
	if (!message)
		return false;
	uint32_t lane_count = link->control->lane_count;
	bool sent = true;
	/* the eventfds first: pumps start with START */
	message->kind = GD_MESSAGE_EVENTS;
	for (uint32_t first = 0; first < lane_count && sent; first += GD_FDS_MAX) {
		uint32_t count = lane_count - first < GD_FDS_MAX ? lane_count - first : GD_FDS_MAX;
		message->u.events.first_lane = first;
		message->u.events.count = count;
		sent = gd_link_send(link, message, link->events + first, count, NULL);
	}
	memset(message, 0, sizeof *message);
	message->kind = GD_MESSAGE_START;
	message->u.start.control_bytes = link->control_bytes;
	message->u.start.in_bytes = message->u.start.out_bytes = link->slab_bytes;
	message->u.start.lane_count = lane_count;
	int fds[3] = {control, in, out};
	sent = sent && gd_link_send(link, message, fds, 3, NULL);
	free(message);
	return sent;
}

static void arm_limit(struct gd_link *link, uint64_t limit_ms)
{
	gd_loop_arm(link->station->engine->loop, &link->limit, gd_now_ns() + limit_ms * GD_NS_PER_MS);
}

static uint64_t limit_ms(const struct gd_link *link)
{
	uint32_t configured = link->station->engine->config.worker_limit_ms;
	return configured ? configured : LIMIT_DEFAULT_MS;
}

void gd_link_expect(struct gd_link *link)
{
	if (link->ready && !link->last_words.code)
		arm_limit(link, limit_ms(link));
}

void gd_link_answered(struct gd_link *link)
{
	if (--link->unanswered)
		gd_link_expect(link);
	else if (!link->last_words.code)
		gd_loop_disarm(link->station->engine->loop, &link->limit);
}

static void took_too_long(struct gd_timer *timer)
{
	struct gd_link *link = gd_container(timer, struct gd_link, limit);
	if (!link->last_words.code)
		gd_error_set(&link->last_words, GD_DEVICE_LOST, NULL, "the worker %s within %llu ms",
			     link->ready ? "did not answer" : "was not ready",
			     (unsigned long long)limit_ms(link));
	gd_child_kill(&link->child);
}

static void take_ready(struct gd_link *link, const struct gd_device_info *info)
{
	if (link->ready || link->last_words.code)
		return;
	link->ready = true;
	gd_loop_disarm(link->station->engine->loop, &link->limit);
	if (gd_station_ready(link->station, info))
		return;
	link->ready = false;
	gd_error_set(&link->last_words, GD_DEVICE_LOST, NULL, "the worker told nonsense about its device");
	gd_child_kill(&link->child);
}

static void take_last_words(struct gd_link *link, const struct gd_wire_error *error)
{
	if (link->last_words.code)
		return;
	gd_wire_error_unpack(error, &link->last_words);
	gd_engine_count_error(link->station->engine, &link->last_words);
	gd_station_ailing(link->station, link->last_words.text);
	/* it ends by itself, or else */
	arm_limit(link, limit_ms(link) < END_LIMIT_MS ? limit_ms(link) : END_LIMIT_MS);
}

static void take_message(struct gd_link *link, const struct gd_message *message, int fd)
{
	switch (message->kind) {
	case GD_MESSAGE_READY:
		take_ready(link, &message->u.ready);
		break;
	case GD_MESSAGE_LOADED:
		gd_station_loaded(link->station, message);
		break;
	case GD_MESSAGE_CHUNK:
		gd_station_chunk_made(link->station, message, fd);
		break;
	case GD_MESSAGE_FAILED:
		take_last_words(link, &message->error);
		break;
	default:
		break;
	}
}

/* Take what there is, but let the rest of the loop have its turn beside a worker that writes without end. */
static void read_messages(struct gd_link *link)
{
	struct gd_message *message = malloc(sizeof *message);
	if (!message) /* level-triggered: it comes again */
		return;
	for (int i = 0; i < MESSAGES_AT_ONCE && !atomic_load(&link->lost); i++) {
		int fds[GD_FDS_MAX];
		size_t count;
		ssize_t got = gd_message_receive(link->child.socket, message, sizeof *message, fds, &count);
		if (got == 0 || (got < 0 && errno != EAGAIN)) {
			/* closed or nonsense: it is as good as gone; the pidfd tells when it really is */
			gd_link_drop_outbox(link);
			gd_loop_remove(link->station->engine->loop, &link->socket);
			gd_child_kill(&link->child);
			break;
		}
		if (got < 0)
			break;
		if (got == (ssize_t)sizeof *message)
			take_message(link, message, count == 1 ? fds[0] : -1);
		for (size_t k = 0; k < count; k++)
			close(fds[k]);
	}
	free(message);
}

static void socket_ready(struct gd_source *source, uint32_t events)
{
	struct gd_link *link = gd_link_ref(gd_container(source, struct gd_link, socket));
	if (events & EPOLLOUT)
		gd_link_flush(link);
	read_messages(link);
	gd_link_unref(link);
}

static void exit_seen(struct gd_source *source, uint32_t events)
{
	(void)events;
	struct gd_link *link = gd_link_ref(gd_container(source, struct gd_link, exit));
	/* its last words may still lie in the socket */
	if (link->socket.added)
		read_messages(link);
	if (!atomic_exchange(&link->lost, true))
		gd_station_lost(link->station);
	gd_link_unref(link);
}

bool gd_link_new(struct gd_station *station, struct gd_link **out_link, struct gd_error *error)
{
	struct gd_engine *engine = station->engine;
	struct gd_link *link = calloc(1, sizeof *link);
	if (!link)
		return gd_error_errno(error, ENOMEM, "cannot start a worker");
	atomic_init(&link->references, 1);
	link->station = station;
	link->generation = ++station->generation;
	link->slab_bytes = engine->config.slab_bytes;
	link->child = (struct gd_child){.pid_fd = -1, .socket = -1};
	for (unsigned i = 0; i < GD_LANES_MAX; i++)
		link->events[i] = -1;
	gd_auto_close int control = -1, in = -1, out = -1;
	bool made = make_control(engine, link, &control, error) && make_slabs(link, &in, &out, error);
	for (uint32_t i = 0; made && i <= engine->config.lane_count; i++) {
		link->events[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (link->events[i] < 0)
			made = gd_error_errno(error, errno, "cannot make an eventfd");
	}
	made = made && start_child(station, link, error);
	if (made) {
		link->socket = (struct gd_source){.fd = link->child.socket, .fn = socket_ready};
		link->exit = (struct gd_source){.fd = link->child.pid_fd, .fn = exit_seen};
		link->limit.fn = took_too_long;
		made = gd_loop_add(engine->loop, &link->socket, EPOLLIN, error) &&
		       gd_loop_add(engine->loop, &link->exit, EPOLLIN, error);
		if (made && !send_start(link, control, in, out))
			made = gd_error_set(error, GD_INTERNAL_STATE, NULL,
					    "the new worker does not take its start");
		if (made)
			arm_limit(link, limit_ms(link));
	}
	if (!made) {
		gd_link_end(link);
		gd_link_unref(link);
		return false;
	}
	*out_link = link;
	return true;
}

struct gd_link *gd_link_ref(struct gd_link *link)
{
	atomic_fetch_add_explicit(&link->references, 1, memory_order_relaxed);
	return link;
}

void gd_link_unref(struct gd_link *link)
{
	if (!link || atomic_fetch_sub_explicit(&link->references, 1, memory_order_acq_rel) != 1)
		return;
	gd_shm_unmap(link->control, link->control_bytes);
	gd_shm_unmap(link->in, link->slab_bytes);
	gd_shm_unmap((void *)(uintptr_t)link->out, link->slab_bytes);
	for (unsigned i = 0; i < GD_LANES_MAX; i++)
		if (link->events[i] >= 0)
			close(link->events[i]);
	free(link);
}

void gd_link_detach(struct gd_link *link)
{
	struct gd_loop *loop = link->station->engine->loop;
	gd_loop_remove(loop, &link->socket);
	gd_loop_remove(loop, &link->exit);
	gd_loop_disarm(loop, &link->limit);
	gd_link_drop_outbox(link);
}

void gd_link_end(struct gd_link *link)
{
	atomic_store(&link->lost, true);
	gd_link_detach(link);
	gd_child_end(&link->child);
}
