#include "gpu/device/echo/echo.h"

#include "gpu/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static bool map_chunk(int fd, uint64_t bytes, struct gd_chunk **out_chunk, struct gd_error *error)
{
	gd_auto_free struct gd_chunk *chunk = calloc(1, sizeof *chunk);
	if (!chunk)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, NULL, "no memory for a chunk");
	chunk->data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (chunk->data == MAP_FAILED)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, "Ask for less, or free buffers.",
				    "a chunk of %llu bytes cannot be mapped", (unsigned long long)bytes);
	chunk->bytes = bytes;
	*out_chunk = gd_move(chunk);
	return true;
}

bool gd_echo_chunk_new(struct gd_device *device, uint64_t bytes, struct gd_chunk **out_chunk,
		       uint64_t *out_bytes, int *out_fd, struct gd_error *error)
{
	if (!gd_echo_device_is_usable(device, error))
		return false;
	if (!bytes || bytes > INT64_MAX - GD_ECHO_CHUNK_GRANULARITY)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, "Ask for less.",
				    "a chunk of %llu bytes is not possible", (unsigned long long)bytes);
	uint64_t rounded =
	    (bytes + GD_ECHO_CHUNK_GRANULARITY - 1) / GD_ECHO_CHUNK_GRANULARITY * GD_ECHO_CHUNK_GRANULARITY;
	gd_auto_close int fd = memfd_create("gd-echo-chunk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return gd_error_errno(error, errno, "memfd_create for a chunk");
	/* Sealed in size: a descriptor that could be cut would raise SIGBUS in whoever maps it next. */
	if (ftruncate(fd, (off_t)rounded) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return gd_error_set(error, GD_DEVICE_OUT_OF_MEMORY, "Ask for less, or free buffers.",
				    "a chunk of %llu bytes cannot be made", (unsigned long long)rounded);
	if (!map_chunk(fd, rounded, out_chunk, error))
		return false;
	*out_bytes = rounded;
	*out_fd = gd_move_fd(&fd);
	return true;
}

bool gd_echo_chunk_import(struct gd_device *device, int fd, uint64_t bytes, struct gd_chunk **out_chunk,
			  struct gd_error *error)
{
	struct stat status;
	if (!gd_echo_device_is_usable(device, error))
		return false;
	if (fstat(fd, &status) < 0)
		return gd_error_errno(error, errno, "the descriptor of a chunk");
	if (!bytes || status.st_size < 0 || bytes > (uint64_t)status.st_size)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "a chunk of %lld bytes was announced as %llu", (long long)status.st_size,
				    (unsigned long long)bytes);
	return map_chunk(fd, bytes, out_chunk, error);
}

void gd_echo_chunk_free(struct gd_device *device, struct gd_chunk *chunk)
{
	(void)device;
	if (!chunk)
		return;
	munmap(chunk->data, chunk->bytes);
	free(chunk);
}
