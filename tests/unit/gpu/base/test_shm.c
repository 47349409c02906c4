/* Sealed shared memory, and messages with descriptors over sockets. */
#include "gpu/base/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int pair[2];

static int open_pair(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
}

static int close_pair(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

/* Descriptors that this process has open. */
static unsigned open_count(void)
{
	unsigned count = 0;
	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void new_memory_is_zeroed_closes_on_exec_and_keeps_its_size(void **state)
{
	(void)state;
	struct gd_error error = {0};
	int fd = gd_shm_new("test", 10000, &error);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(ftruncate(fd, 9999), -1);
	assert_int_equal(ftruncate(fd, 10001), -1);
	uint8_t *memory = gd_shm_map(fd, 10000, true, &error);
	assert_non_null(memory);
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(memory[i], 0);
	memory[9999] = 7;
	uint8_t *again = gd_shm_map(fd, 10000, false, &error);
	assert_non_null(again);
	assert_int_equal(again[9999], 7);
	gd_shm_unmap(memory, 10000);
	gd_shm_unmap(again, 10000);
	gd_shm_unmap(NULL, 10000);
	close(fd);
}

static void a_copy_can_be_changed_by_nobody(void **state)
{
	(void)state;
	struct gd_error error = {0};
	static uint8_t data[70000];
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 13);
	int fd = gd_shm_of("test", data, sizeof data, &error);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, 0), -1);
	assert_null(gd_shm_map(fd, sizeof data, true, &error));
	void *memory = gd_shm_map(fd, sizeof data, false, &error);
	assert_non_null(memory);
	assert_memory_equal(memory, data, sizeof data);
	gd_shm_unmap(memory, sizeof data);
	close(fd);
}

static void sealed_writes_leave_only_the_mapping_that_was_there(void **state)
{
	(void)state;
	struct gd_error error = {0};
	int fd = gd_shm_new("test", 8192, &error);
	uint8_t *writer = gd_shm_map(fd, 8192, true, &error);
	assert_non_null(writer);
	assert_true(gd_shm_seal_writes(fd, &error));
	/* everything that a worker could try with the descriptor that it gets */
	assert_null(gd_shm_map(fd, 8192, true, &error));
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
	uint8_t *reader = gd_shm_map(fd, 8192, false, &error);
	assert_non_null(reader);
	assert_int_equal(mprotect(reader, 8192, PROT_READ | PROT_WRITE), -1);
	assert_int_not_equal(madvise(reader, 4096, MADV_REMOVE), 0);
	writer[5] = 42;
	assert_int_equal(reader[5], 42);
	gd_shm_unmap(reader, 8192);
	gd_shm_unmap(writer, 8192);
	close(fd);
}

static void memory_that_is_short_or_could_shrink_is_not_mapped(void **state)
{
	(void)state;
	struct gd_error error = {0};
	int sealed = gd_shm_new("test", 4096, &error);
	assert_null(gd_shm_map(sealed, 4097, false, &error));
	assert_int_equal(error.code, GD_INTERNAL_STATE);
	assert_null(gd_shm_map(sealed, SIZE_MAX, false, &error));
	void *memory = gd_shm_map(sealed, 4096, false, &error);
	assert_non_null(memory);
	gd_shm_unmap(memory, 4096);
	close(sealed);

	int loose = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(loose >= 0);
	assert_int_equal(ftruncate(loose, 8192), 0);
	assert_null(gd_shm_map(loose, 4096, false, &error));
	assert_int_equal(fcntl(loose, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_null(gd_shm_map(loose, 4096, false, &error));
	close(loose);

	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_null(gd_shm_map(file, 1, false, &error));
	close(file);
	assert_null(gd_shm_map(-1, 1, false, &error));
}

static void sizes_that_cannot_be_fail(void **state)
{
	(void)state;
	struct gd_error error = {0};
	unsigned before = open_count();
	assert_int_equal(gd_shm_new("test", SIZE_MAX, &error), -1);
	assert_int_equal(gd_shm_new("test", (size_t)1 << 63, &error), -1);
	assert_int_equal(error.code, GD_INTERNAL_STATE);
	assert_int_equal(open_count(), before);
}

static void descriptors_travel_with_their_message(void **state)
{
	(void)state;
	struct gd_error error = {0};
	unsigned before = open_count();
	int sent[GD_FDS_MAX], got[GD_FDS_MAX];
	for (size_t count = 0; count <= GD_FDS_MAX; count++) {
		for (size_t i = 0; i < count; i++)
			sent[i] = gd_shm_of("test", &i, sizeof i, &error);
		assert_true(gd_message_send(pair[0], &count, sizeof count, sent, count, &error));
		size_t data = 99, fds = 99;
		assert_int_equal(gd_message_receive(pair[1], &data, sizeof data, got, &fds), sizeof data);
		assert_int_equal(data, count);
		assert_int_equal(fds, count);
		for (size_t i = 0; i < count; i++) {
			size_t content;
			assert_int_equal(pread(got[i], &content, sizeof content, 0), sizeof content);
			assert_int_equal(content, i);
			assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
			close(got[i]);
			close(sent[i]);
		}
	}
	assert_false(gd_message_send(pair[0], "x", 1, sent, GD_FDS_MAX + 1, &error));
	assert_int_equal(open_count(), before);
}

static void nothing_there_closed_and_full_are_told_apart(void **state)
{
	(void)state;
	struct gd_error error = {0};
	static char data[4096];
	int got[GD_FDS_MAX];
	size_t fds;
	assert_int_equal(gd_message_receive(pair[1], data, sizeof data, got, &fds), -1);
	assert_int_equal(errno, EAGAIN);
	unsigned sent = 0;
	while (gd_message_send(pair[0], data, sizeof data, NULL, 0, &error))
		assert_true(++sent < 100000);
	assert_int_equal(error.native, EAGAIN);
	while (sent-- > 0)
		assert_int_equal(gd_message_receive(pair[1], data, sizeof data, got, &fds), sizeof data);
	close(pair[1]);
	assert_false(gd_message_send(pair[0], data, 1, NULL, 0, &error));
	assert_int_equal(error.native, EPIPE);
	assert_int_equal(gd_message_receive(pair[0], data, sizeof data, got, &fds), 0);
	assert_int_equal(fds, 0);
	pair[1] = -1;
}

/* Send as no honest peer would: any number of bytes and descriptors. */
static void send_raw(const void *data, size_t bytes, int fd, size_t count)
{
	enum { MANY = 64 };
	union {
		char bytes[CMSG_SPACE(sizeof(int) * MANY)];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	message.msg_control = control.bytes;
	message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * count);
	for (size_t i = 0; i < count; i++)
		memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
	assert_int_equal(sendmsg(pair[0], &message, MSG_NOSIGNAL), (ssize_t)bytes);
}

static void hostile_messages_leave_no_descriptor_behind(void **state)
{
	(void)state;
	static const struct {
		size_t bytes, descriptors;
		ssize_t result;
		size_t kept;
		const char *why;
	} rows[] = {
	    {8, 8, 8, 8, "at the limits"},
	    {9, 0, -1, 0, "one byte too long"},
	    {9, 8, -1, 0, "one byte too long, with descriptors"},
	    {8, 9, -1, 0, "one descriptor too many"},
	    {8, 64, -1, 0, "many descriptors"},
	    {4000, 64, -1, 0, "both"},
	    {0, 8, 0, 0, "empty, with descriptors"},
	    {0, 1, 0, 0, "empty, with one descriptor"},
	    {1, 3, 1, 3, "shorter than the room"},
	};
	static char data[4096];
	char room[8];
	int fds[GD_FDS_MAX];
	unsigned before = open_count();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].descriptors)
			send_raw(data, rows[i].bytes, STDERR_FILENO, rows[i].descriptors);
		else
			assert_true(send(pair[0], data, rows[i].bytes, 0) >= 0);
		size_t count = 99;
		ssize_t got = gd_message_receive(pair[1], room, sizeof room, fds, &count);
		if (got != rows[i].result || count != rows[i].kept || (got < 0 && errno != EPROTO))
			fail_msg("%s: %zd, %zu descriptors", rows[i].why, got, count);
		for (size_t k = 0; k < count; k++)
			close(fds[k]);
		if (open_count() != before)
			fail_msg("%s: %u descriptors stay open", rows[i].why, open_count() - before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(new_memory_is_zeroed_closes_on_exec_and_keeps_its_size),
	    cmocka_unit_test(a_copy_can_be_changed_by_nobody),
	    cmocka_unit_test(sealed_writes_leave_only_the_mapping_that_was_there),
	    cmocka_unit_test(memory_that_is_short_or_could_shrink_is_not_mapped),
	    cmocka_unit_test(sizes_that_cannot_be_fail),
	    cmocka_unit_test_setup_teardown(descriptors_travel_with_their_message, open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(nothing_there_closed_and_full_are_told_apart, open_pair,
					    close_pair),
	    cmocka_unit_test_setup_teardown(hostile_messages_leave_no_descriptor_behind, open_pair,
					    close_pair),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
