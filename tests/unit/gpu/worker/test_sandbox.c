/* What a worker can still do once it has given up everything: tried from inside, in a process of its own. */
#include "gpu/worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ALL_WELL = 0, NO_SANDBOX = 201, FIRST_ROW = 1 };

struct attempt {
	const char *why;
	long number;
	long arguments[4];
	int error;
};

#define PATH(text) (long)(text)
#define TARGET     (-4242l) /* stands for a process of the same user, whom only the filter protects */
static const struct attempt attempts[] = {
    {"execute", SYS_execve, {PATH("/bin/true"), 0, 0}, EPERM},
    {"a socket", SYS_socket, {AF_INET, SOCK_STREAM, 0}, EPERM},
    {"a local socket", SYS_socket, {AF_UNIX, SOCK_STREAM, 0}, EPERM},
    {"trace another process", SYS_ptrace, {16 /* PTRACE_ATTACH */, TARGET}, EPERM},
    {"kill", SYS_kill, {TARGET, 0}, EPERM},
    {"signal a thread of another process", SYS_tgkill, {TARGET, TARGET, 0}, EPERM},
    {"signal any thread", SYS_tkill, {TARGET, 0}, EPERM},
    {"queue a signal", SYS_rt_sigqueueinfo, {TARGET, 0, 0}, EPERM},
    {"watch another process", SYS_pidfd_open, {TARGET, 0}, EPERM},
    {"another process's limits", SYS_prlimit64, {TARGET, RLIMIT_NOFILE, 0, 0}, EPERM},
    {"a new process", SYS_fork, {0}, EPERM},
    {"a new process by vfork", SYS_vfork, {0}, EPERM},
    {"a new process by clone", SYS_clone, {SIGCHLD, 0, 0, 0}, EPERM},
    {"a new process by clone3", SYS_clone3, {0, 0}, ENOSYS},
    {"a new namespace", SYS_unshare, {CLONE_NEWUSER}, EPERM},
    {"rename", SYS_rename, {PATH("/tmp/gd-a"), PATH("/tmp/gd-b")}, EPERM},
    {"unlink", SYS_unlink, {PATH("/tmp/gd-a")}, EPERM},
    {"a link", SYS_link, {PATH("/tmp/gd-a"), PATH("/tmp/gd-b")}, EPERM},
    {"cut a file", SYS_truncate, {PATH("/tmp/gd-a"), 0}, EPERM},
    {"a folder", SYS_mkdir, {PATH("/tmp/gd-a"), 0700}, EPERM},
    {"io_uring", SYS_io_uring_setup, {1, 0}, EPERM},
    {"bpf", SYS_bpf, {0, 0, 0}, EPERM},
    {"keys", SYS_keyctl, {0, 0}, EPERM},
    {"shared memory that outlives us", SYS_shmget, {0, 4096, 0600}, EPERM},
    {"read another process", SYS_process_vm_readv, {TARGET, 0, 0, 0}, EPERM},
    {"a descriptor of another process", SYS_pidfd_getfd, {0, 0, 0}, EPERM},
};

static const struct attempt openings[] = {
    {"open", SYS_open, {PATH("/etc/passwd"), O_RDONLY}, EPERM},
    {"openat", SYS_openat, {AT_FDCWD, PATH("/proc/self/environ"), O_RDONLY}, EPERM},
    {"create", SYS_creat, {PATH("/tmp/gd-a"), 0600}, EPERM},
};

static pid_t target;

static void start_target(void)
{
	target = fork();
	if (target != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		_exit(1);
	prctl(PR_SET_DUMPABLE, 1);
	for (;;)
		pause();
}

static int try_all(const struct attempt *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		long a[4];
		for (int k = 0; k < 4; k++)
			a[k] = rows[i].arguments[k] == TARGET ? target : rows[i].arguments[k];
		errno = 0;
		long result = syscall(rows[i].number, a[0], a[1], a[2], a[3]);
		if (result == 0 && (rows[i].number == SYS_fork || rows[i].number == SYS_vfork ||
				    rows[i].number == SYS_clone))
			_exit(0); /* the child that should not be */
		if (result != -1 || errno != rows[i].error)
			return FIRST_ROW + (int)i;
	}
	return ALL_WELL;
}

/* In a process of its own, which the sandbox changes for good. Returns its exit status. */
static int inside(int (*body)(void))
{
	start_target();
	pid_t pid = fork();
	if (pid == 0)
		_exit(body());
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	kill(target, SIGKILL);
	assert_int_equal(waitpid(target, NULL, 0), target);
	if (!WIFEXITED(status))
		fail_msg("ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static int try_attempts(void)
{
	return gd_worker_sandbox(GD_DEVICE_ECHO, NULL) ? try_all(attempts, sizeof attempts / sizeof *attempts)
						       : NO_SANDBOX;
}

static void what_a_worker_has_no_business_with_is_refused(void **state)
{
	(void)state;
	int row = inside(try_attempts);
	assert_int_not_equal(row, NO_SANDBOX);
	if (row != ALL_WELL)
		fail_msg("was not refused: %s", attempts[row - FIRST_ROW].why);
}

static int try_openings(void)
{
	return gd_worker_sandbox(GD_DEVICE_REFERENCE, NULL)
		   ? try_all(openings, sizeof openings / sizeof *openings)
		   : NO_SANDBOX;
}

static void no_file_can_be_opened(void **state)
{
	(void)state;
	int row = inside(try_openings);
	assert_int_not_equal(row, NO_SANDBOX);
	if (row != ALL_WELL)
		fail_msg("was not refused: %s", openings[row - FIRST_ROW].why);
}

static int open_as_cuda(void)
{
	if (!gd_worker_sandbox(GD_DEVICE_CUDA, NULL))
		return NO_SANDBOX;
	/* its device files: this stands for them */
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return fd >= 0 && try_all(attempts, sizeof attempts / sizeof *attempts) == ALL_WELL ? ALL_WELL : 1;
}

static void cuda_keeps_opening_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(inside(open_as_cuda), ALL_WELL);
}

static int rights(void)
{
	if (!gd_worker_sandbox(GD_DEVICE_ECHO, NULL))
		return NO_SANDBOX;
	if (geteuid() == 0 || getuid() == 0)
		return 1;
	if (prctl(PR_GET_DUMPABLE) != 0)
		return 2;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 3;
	return prctl(PR_GET_SECCOMP) == 2 ? ALL_WELL : 4;
}

static void it_is_nobody_without_privileges_and_cannot_be_looked_into(void **state)
{
	(void)state;
	assert_int_equal(inside(rights), ALL_WELL);
}

static void *think(void *argument)
{
	*(int *)argument = 1;
	return NULL;
}

static int work(void)
{
	signal(SIGUSR1, SIG_IGN);
	if (!gd_worker_sandbox(GD_DEVICE_ECHO, NULL))
		return NO_SANDBOX;
	pthread_t thread;
	int thought = 0;
	if (pthread_create(&thread, NULL, think, &thought) != 0 || pthread_join(thread, NULL) != 0 ||
	    !thought)
		return 1;
	int fd = memfd_create("chunk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, 8192) < 0)
		return 2;
	void *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return 3;
	memset(memory, 1, 8192);
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || prlimit(0, RLIMIT_CORE, NULL, &limit) < 0)
		return 4;
	return raise(SIGUSR1) == 0 ? ALL_WELL : 5;
}

static void threads_memory_and_its_own_signals_still_work(void **state)
{
	(void)state;
	assert_int_equal(inside(work), ALL_WELL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_a_worker_has_no_business_with_is_refused),
	    cmocka_unit_test(no_file_can_be_opened),
	    cmocka_unit_test(cuda_keeps_opening_and_nothing_else),
	    cmocka_unit_test(it_is_nobody_without_privileges_and_cannot_be_looked_into),
	    cmocka_unit_test(threads_memory_and_its_own_signals_still_work),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
