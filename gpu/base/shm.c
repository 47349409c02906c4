#include "gpu/base/shm.h"

#include "gpu/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010 /* linux/fcntl.h */
#endif

static int new_memfd(const char *name, size_t bytes, struct gd_error *error)
{
	gd_auto_close int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		gd_error_errno(error, errno, "cannot make shared memory of %zu bytes", bytes);
		return -1;
	}
	if (ftruncate(fd, (off_t)bytes) < 0) {
		gd_error_errno(error, errno, "cannot size shared memory to %zu bytes", bytes);
		return -1;
	}
	return gd_move_fd(&fd);
}

int gd_shm_new(const char *name, size_t bytes, struct gd_error *error)
{
	gd_auto_close int fd = new_memfd(name, bytes, error);
	if (fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0) {
		gd_error_errno(error, errno, "cannot seal shared memory");
		return -1;
	}
	return gd_move_fd(&fd);
}

int gd_shm_of(const char *name, const void *data, size_t bytes, struct gd_error *error)
{
	gd_auto_close int fd = new_memfd(name, bytes, error);
	if (fd < 0)
		return -1;
	const char *from = data;
	for (size_t done = 0; done < bytes;) {
		ssize_t n = pwrite(fd, from + done, bytes - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			gd_error_errno(error, n < 0 ? errno : EIO, "cannot fill shared memory");
			return -1;
		}
		done += (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
		gd_error_errno(error, errno, "cannot seal shared memory");
		return -1;
	}
	return gd_move_fd(&fd);
}

bool gd_shm_seal_writes(int fd, struct gd_error *error)
{
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0)
		return gd_error_errno(error, errno, "cannot seal shared memory against writes");
	return true;
}

void *gd_shm_map(int fd, size_t bytes, bool writable, struct gd_error *error)
{
	struct stat st;
	if (fstat(fd, &st) < 0) {
		gd_error_errno(error, errno, "cannot look at shared memory");
		return NULL;
	}
	int seals = fcntl(fd, F_GET_SEALS);
	if (st.st_size < 0 || (size_t)st.st_size < bytes || seals < 0 || !(seals & F_SEAL_SHRINK)) {
		gd_error_set(error, GD_INTERNAL_STATE, NULL,
			     "shared memory is shorter than announced or can shrink");
		return NULL;
	}
	void *memory = mmap(NULL, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		gd_error_errno(error, errno, "cannot map %zu bytes of shared memory", bytes);
		return NULL;
	}
	return memory;
}

void gd_shm_unmap(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}

union fd_control {
	char bytes[CMSG_SPACE(sizeof(int) * GD_FDS_MAX)];
	struct cmsghdr align;
};

bool gd_message_send(int socket, const void *data, size_t bytes, const int *fds, size_t count,
		     struct gd_error *error)
{
	if (count > GD_FDS_MAX)
		return gd_error_errno(error, EINVAL, "too many descriptors in one message");
	union fd_control control;
	struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (count) {
		memset(&control, 0, sizeof control);
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
	}
	ssize_t sent;
	do {
		sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return gd_error_errno(error, errno, "cannot send a message to a child process");
	return true;
}

static size_t take_fds(struct msghdr *message, int fds[GD_FDS_MAX])
{
	size_t count = 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
			if (count < GD_FDS_MAX)
				fds[count++] = fd;
			else
				close(fd);
		}
	}
	return count;
}

ssize_t gd_message_receive(int socket, void *data, size_t capacity, int fds[GD_FDS_MAX], size_t *out_count)
{
	union fd_control control;
	struct iovec part = {.iov_base = data, .iov_len = capacity};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof control.bytes};
	ssize_t got;
	do {
		got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	*out_count = 0;
	if (got < 0)
		return -1;
	size_t count = take_fds(&message, fds);
	/* an empty message reads like the end of the stream, and nobody expects descriptors with that */
	bool broken = message.msg_flags & (MSG_TRUNC | MSG_CTRUNC);
	if (broken || got == 0)
		for (; count > 0; count--)
			close(fds[count - 1]);
	if (broken) {
		errno = EPROTO;
		return -1;
	}
	*out_count = count;
	return got;
}
