/*
 * Shared memory as sealed memfds, and passing descriptors over Unix sockets. Any thread; the caller owns what
 * it gets.
 */
#ifndef GD_BASE_SHM_H
#define GD_BASE_SHM_H

#include "gpu/base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GD_FDS_MAX 8 /* descriptors in one message */

/* A memfd of `bytes`, close-on-exec, sealable, sealed against growing and shrinking. Returns -1 on failure.
 */
int gd_shm_new(const char *name, size_t bytes, struct gd_error *error);

/* A memfd holding a copy of `data`, sealed against every change. Returns -1 on failure. */
int gd_shm_of(const char *name, const void *data, size_t bytes, struct gd_error *error);

/* Forbid new writable mappings and writes; mappings that exist stay writable (F_SEAL_FUTURE_WRITE,
 * Linux 5.1). */
bool gd_shm_seal_writes(int fd, struct gd_error *error);

/*
 * Map the first `bytes` of a memfd, after checking that it is that long and cannot shrink (a shrinking one
 * would kill us with SIGBUS). Returns NULL on failure.
 */
void *gd_shm_map(int fd, size_t bytes, bool writable, struct gd_error *error);
void gd_shm_unmap(void *memory, size_t bytes); /* NULL is a no-op */

/*
 * Send one message of `bytes` with `count` descriptors (at most GD_FDS_MAX) on a SOCK_SEQPACKET socket,
 * without waiting. Fails: errno in error->native (EAGAIN when the peer reads too slowly, EPIPE when it is
 * gone).
 */
bool gd_message_send(int socket, const void *data, size_t bytes, const int *fds, size_t count,
		     struct gd_error *error);

/*
 * Receive one message without waiting. *out_count descriptors are stored in fds (all close-on-exec; the
 * caller closes them). Returns the bytes, 0 when the peer closed or sent an empty message (never with
 * descriptors), -1 with errno EAGAIN when there is none, and -1 with errno EPROTO for one that is longer than
 * `capacity` or carries more than GD_FDS_MAX descriptors.
 */
ssize_t gd_message_receive(int socket, void *data, size_t capacity, int fds[GD_FDS_MAX], size_t *out_count);

#endif
