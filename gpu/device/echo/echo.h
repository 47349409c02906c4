/*
 * The echo device: copies inputs to outputs, so that everything above the device seam can be tested without a
 * GPU, misbehaviour included (image.h lists what it can be told to do).
 *
 * A launch gives each writable buffer its initial content (what the seam says: the in slab, the chunk, or
 * zeroes), then copies the bytes of the first read-only buffer over it, as many as fit. Nothing else is
 * written.
 *
 * Ownership: a device owns nothing but itself; chunks own their mapping, the caller owns their descriptors.
 * Threads: as device.h says; `is_lost` is the only state that streams share.
 *
 * It has no kernel language and does not run PTX.
 */
#ifndef GD_DEVICE_ECHO_ECHO_H
#define GD_DEVICE_ECHO_ECHO_H

#include "gpu/device/echo/image.h"

#include <stdatomic.h>

#define GD_ECHO_CHUNK_GRANULARITY                                                                            \
	(2u << 20) /* as CUDA VMM rounds on an H100, so that rounding is exercised */
#define GD_ECHO_MULTIPROCESSORS 132u
#define GD_ECHO_THREADS_PER_MP  2048u   /* compute capability 9.0 */
#define GD_ECHO_SHARED_OPTIN    232448u /* 227 KiB, compute capability 9.0 */

/* The native codes an error carries, so that callers can tell the two faults apart. */
enum { GD_ECHO_NATIVE_FAULT = 1, GD_ECHO_NATIVE_FAULT_STICKY = 2 };

struct gd_device {
	const uint8_t *in;
	uint8_t *out;
	size_t in_bytes, out_bytes;
	_Atomic bool is_lost;
};

struct gd_chunk {
	uint8_t *data;
	uint64_t bytes;
};

struct gd_module {
	struct gd_echo_image image;
	struct gd_kernel_info info;
};

/* False, with the sticky error set, once a sticky fault has happened. */
bool gd_echo_device_is_usable(struct gd_device *device, struct gd_error *error);

/* The slots of the table that live in chunk.c and stream.c; device.h says what they do. */
bool gd_echo_chunk_new(struct gd_device *device, uint64_t bytes, struct gd_chunk **out_chunk,
		       uint64_t *out_bytes, int *out_fd, struct gd_error *error);
bool gd_echo_chunk_import(struct gd_device *device, int fd, uint64_t bytes, struct gd_chunk **out_chunk,
			  struct gd_error *error);
void gd_echo_chunk_free(struct gd_device *device, struct gd_chunk *chunk);
bool gd_echo_stream_new(struct gd_device *device, struct gd_stream **out_stream, struct gd_error *error);
void gd_echo_stream_free(struct gd_stream *stream);
bool gd_echo_submit(struct gd_stream *stream, const struct gd_launch *launch, struct gd_error *error);
enum gd_poll gd_echo_poll(struct gd_stream *stream, struct gd_launch_timing *out_timing,
			  struct gd_error *error);
bool gd_echo_copy(struct gd_stream *stream, bool to_chunk, struct gd_chunk *chunk, uint64_t chunk_offset,
		  uint64_t slab_offset, uint64_t bytes, struct gd_error *error);
bool gd_echo_zero(struct gd_stream *stream, struct gd_chunk *chunk, uint64_t chunk_offset, uint64_t bytes,
		  struct gd_error *error);

/* Is [offset, offset + bytes) inside `limit` bytes? Cannot wrap. */
static inline bool gd_echo_fits(uint64_t offset, uint64_t bytes, uint64_t limit)
{
	return offset <= limit && bytes <= limit - offset;
}

#endif
