/*
 * Device memory for payloads that do not fit the slabs: chunks that the worker makes and whose descriptors
 * the front keeps. A chunk serves one dispatch at a time and is kept for the next one of about its size.
 */
#include "gpu/dispatch/inside.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { REUSE_FACTOR = 4 };

struct give_mail {
	struct gd_mail mail;
	struct gd_station *station;
	uint64_t generation;
	uint32_t chunk;
};

static void answer(struct gd_chunk_wait *wait)
{
	gd_lane_post(wait->lane, &wait->to_lane);
}

static void fail(struct gd_chunk_wait *wait, const struct gd_error *error)
{
	wait->made = false;
	wait->error = *error;
	answer(wait);
}

static void hand_out(struct gd_station *station, uint32_t index, struct gd_chunk_wait *wait)
{
	station->chunks[index].in_use = true;
	wait->made = true;
	wait->chunk = index;
	wait->chunk_bytes = station->chunks[index].bytes;
	answer(wait);
}

static bool send_simple(struct gd_station *station, enum gd_message_kind kind, uint32_t index, uint64_t bytes,
			struct gd_error *error)
{
	struct gd_message *message = station->link ? calloc(1, sizeof *message) : NULL;
	if (!message)
		return gd_error_set(error, GD_OVERLOADED, NULL, "out of memory");
	message->kind = kind;
	message->index = index;
	message->ticket = station->generation;
	message->u.chunk.bytes = bytes;
	bool sent = gd_link_send(station->link, message, NULL, 0, error);
	free(message);
	return sent;
}

/* When the worker cannot be told, the chunk stays. */
static void drop_chunk(struct gd_station *station, uint32_t index)
{
	struct gd_station_chunk *chunk = &station->chunks[index];
	if (!send_simple(station, GD_MESSAGE_CHUNK_FREE, index, 0, NULL))
		return;
	if (chunk->fd >= 0)
		close(chunk->fd);
	station->chunk_bytes -= chunk->bytes;
	*chunk = (struct gd_station_chunk){.fd = -1};
}

static bool reuse(struct gd_station *station, struct gd_chunk_wait *wait)
{
	for (uint32_t i = 0; i < GD_CHUNKS_MAX; i++) {
		struct gd_station_chunk *chunk = &station->chunks[i];
		if (chunk->bytes >= wait->bytes && chunk->bytes / REUSE_FACTOR <= wait->bytes &&
		    !chunk->in_use && !chunk->wait) {
			hand_out(station, i, wait);
			return true;
		}
	}
	return false;
}

static bool make_room(struct gd_station *station, uint64_t bytes)
{
	for (uint32_t i = 0; i < GD_CHUNKS_MAX && station->chunk_bytes > station->chunk_limit - bytes; i++)
		if (station->chunks[i].bytes && !station->chunks[i].in_use && !station->chunks[i].wait)
			drop_chunk(station, i);
	return station->chunk_bytes <= station->chunk_limit - bytes;
}

/* True when the wait is dealt with, false when it has to go on waiting. */
static bool serve(struct gd_station *station, struct gd_chunk_wait *wait)
{
	struct gd_error error;
	if (!station->link || !station->link->ready || station->generation != wait->generation) {
		gd_error_set(&error, GD_DEVICE_LOST, "Send the request again.",
			     "the worker of %s was replaced", station->status.id);
		fail(wait, &error);
		return true;
	}
	if (wait->bytes > station->chunk_limit) {
		gd_error_set(&error, GD_DEVICE_OUT_OF_MEMORY, "Send less data in one dispatch.",
			     "the buffers take %llu bytes of device memory, and %llu are there for payloads",
			     (unsigned long long)wait->bytes, (unsigned long long)station->chunk_limit);
		fail(wait, &error);
		return true;
	}
	if (reuse(station, wait))
		return true;
	if (!make_room(station, wait->bytes))
		return false;
	uint32_t index = 0;
	while (index < GD_CHUNKS_MAX && station->chunks[index].bytes)
		index++;
	if (index == GD_CHUNKS_MAX)
		return false;
	if (!send_simple(station, GD_MESSAGE_CHUNK_NEW, index, wait->bytes, &error)) {
		fail(wait, &error);
		return true;
	}
	station->chunks[index] = (struct gd_station_chunk){.bytes = wait->bytes, .fd = -1, .wait = wait};
	station->chunk_bytes += wait->bytes;
	return true;
}

void gd_station_chunk_new(struct gd_mail *mail)
{
	struct gd_chunk_wait *wait = gd_container(mail, struct gd_chunk_wait, to_supervisor);
	struct gd_station *station = &wait->lane->engine->stations[wait->station];
	wait->next = NULL;
	if (station->chunk_queue || !serve(station, wait)) {
		struct gd_chunk_wait **last = &station->chunk_queue;
		while (*last)
			last = &(*last)->next;
		*last = wait;
	}
}

static void serve_queue(struct gd_station *station)
{
	while (station->chunk_queue) {
		struct gd_chunk_wait *wait = station->chunk_queue;
		struct gd_chunk_wait *next = wait->next;
		if (!serve(station, wait))
			break;
		station->chunk_queue = next;
	}
}

void gd_station_chunk_made(struct gd_station *station, const struct gd_message *message, int fd)
{
	if (message->index >= GD_CHUNKS_MAX || message->ticket != station->generation)
		return;
	struct gd_station_chunk *chunk = &station->chunks[message->index];
	struct gd_chunk_wait *wait = chunk->wait;
	if (!wait)
		return;
	chunk->wait = NULL;
	gd_link_answered(station->link);
	if (message->error.code) {
		struct gd_error error;
		gd_wire_error_unpack(&message->error, &error);
		station->chunk_bytes -= chunk->bytes;
		*chunk = (struct gd_station_chunk){.fd = -1};
		fail(wait, &error);
		serve_queue(station);
		return;
	}
	chunk->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	hand_out(station, message->index, wait);
}

void gd_station_forget_chunks(struct gd_station *station, const struct gd_error *error)
{
	for (uint32_t i = 0; i < GD_CHUNKS_MAX; i++) {
		struct gd_station_chunk *chunk = &station->chunks[i];
		if (!chunk->bytes)
			continue;
		if (chunk->wait)
			fail(chunk->wait, error);
		if (chunk->fd >= 0)
			close(chunk->fd);
		*chunk = (struct gd_station_chunk){.fd = -1};
	}
	station->chunk_bytes = 0;
	struct gd_chunk_wait *wait = station->chunk_queue, *next;
	station->chunk_queue = NULL;
	for (; wait; wait = next) {
		next = wait->next;
		fail(wait, error);
	}
}

static void take_back(struct gd_mail *mail)
{
	struct give_mail *give = gd_container(mail, struct give_mail, mail);
	struct gd_station *station = give->station;
	if (station->generation == give->generation && station->chunks[give->chunk].bytes) {
		station->chunks[give->chunk].in_use = false;
		serve_queue(station);
	}
	free(give);
}

void gd_lane_chunk_give(struct gd_lane *lane, uint32_t station, uint64_t generation, uint32_t chunk)
{
	struct give_mail *give = malloc(sizeof *give);
	if (!give)
		return;
	*give = (struct give_mail){.mail.fn = take_back,
				   .station = &lane->engine->stations[station],
				   .generation = generation,
				   .chunk = chunk};
	gd_loop_post(lane->engine->loop, &give->mail);
}
