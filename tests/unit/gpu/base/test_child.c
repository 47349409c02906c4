/* Child processes: this binary starts itself in roles that report what they find. */
#include "gpu/base/child.h"

#include "gpu/base/clock.h"
#include "gpu/base/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 20000, FDS_SEEN_MAX = 64 };

struct report {
	bool settled;
	char name[32], first[64], variable[64];
	int fds[FDS_SEEN_MAX];
	unsigned fd_count;
	bool blocked_any;
	unsigned long core_limit;
	pid_t pid, grandchild;
};

/* ---- the roles ---- */

static void look_at_fds(struct report *report)
{
	for (int fd = 0; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0 && report->fd_count < FDS_SEEN_MAX)
			report->fds[report->fd_count++] = fd;
}

static void send_report(const struct report *report)
{
	struct gd_error error;
	if (!gd_message_send(GD_CHILD_SOCKET, report, sizeof *report, NULL, 0, &error))
		_exit(9);
}

static void wait_for_the_front(void)
{
	struct pollfd readable = {.fd = GD_CHILD_SOCKET, .events = POLLIN};
	poll(&readable, 1, WAIT_MS);
}

/* A container's filter that has never heard of close_range. */
static void forbid_close_range(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(8);
}

static int report_role(int argc, char **argv)
{
	static struct report report;
	if (argc > 3 && !strcmp(argv[3], "filtered"))
		forbid_close_range();
	report.settled = gd_child_settle(argv[0], (pid_t)strtol(argv[1], NULL, 10));
	look_at_fds(&report);
	prctl(PR_GET_NAME, report.name);
	snprintf(report.first, sizeof report.first, "%s", argc > 2 ? argv[2] : "");
	snprintf(report.variable, sizeof report.variable, "%s", getenv("GD_TEST") ? getenv("GD_TEST") : "");
	sigset_t set;
	sigprocmask(SIG_SETMASK, NULL, &set);
	report.blocked_any = sigismember(&set, SIGTERM) || sigismember(&set, SIGUSR1);
	struct rlimit limit;
	getrlimit(RLIMIT_CORE, &limit);
	report.core_limit = limit.rlim_cur;
	report.pid = getpid();
	send_report(&report);
	if (argc > 2 && !strcmp(argv[2], "exit"))
		return 42;
	wait_for_the_front();
	return 0;
}

/* A front of its own: starts a child, tells its pid, waits to be killed. */
static int middle_role(char **argv)
{
	static struct report report;
	struct gd_error error;
	struct gd_child child;
	gd_child_settle(argv[0], (pid_t)strtol(argv[1], NULL, 10));
	if (!gd_child_start("gd-test-deaf", NULL, NULL, &child, &error))
		_exit(7);
	report.grandchild = child.pid;
	/* only when it has settled can it follow us */
	struct pollfd readable = {.fd = child.socket, .events = POLLIN};
	if (poll(&readable, 1, WAIT_MS) <= 0)
		_exit(6);
	send_report(&report);
	wait_for_the_front();
	return 0;
}

/* Looks at nothing, its closed socket least of all. */
static int deaf_role(char **argv)
{
	static const struct report report;
	gd_child_settle(argv[0], (pid_t)strtol(argv[1], NULL, 10));
	send_report(&report);
	for (;;)
		pause();
	return 0;
}

/* ---- the tests ---- */

static void receive_report(const struct gd_child *child, struct report *out_report)
{
	int fds[GD_FDS_MAX];
	size_t count;
	struct pollfd readable = {.fd = child->socket, .events = POLLIN};
	assert_int_equal(poll(&readable, 1, WAIT_MS), 1);
	assert_int_equal(gd_message_receive(child->socket, out_report, sizeof *out_report, fds, &count),
			 sizeof *out_report);
	assert_int_equal(count, 0);
}

static void await_end(const struct gd_child *child, struct gd_child_exit *out_exit)
{
	struct pollfd ended = {.fd = child->pid_fd, .events = POLLIN};
	assert_int_equal(poll(&ended, 1, WAIT_MS), 1);
	assert_true(gd_child_reap(child, out_exit));
}

static void close_all(struct gd_child *child)
{
	close(child->pid_fd);
	close(child->socket);
}

static unsigned open_count(void)
{
	unsigned count = 0;
	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static struct report report;

static void a_child_carries_its_name_its_arguments_and_nothing_else(void **state)
{
	(void)state;
	struct gd_error error = {0};
	struct gd_child child;
	/* careless descriptors, low and high, that a library might have left open */
	int careless[3];
	for (int i = 0; i < 3; i++)
		careless[i] = fcntl(STDERR_FILENO, F_DUPFD, i == 2 ? 900 : 3);
	setenv("GD_TEST", "of the parent", 1);
	static const char *const arguments[] = {"stay", NULL};
	assert_true(gd_child_start("gd-test-report", arguments, NULL, &child, &error));
	receive_report(&child, &report);
	assert_true(report.settled);
	assert_int_equal(report.pid, child.pid);
	assert_string_equal(report.name, "gd-test-report");
	assert_string_equal(report.first, "stay");
	assert_string_equal(report.variable, "");
	assert_false(report.blocked_any);
	assert_int_equal(report.core_limit, 0);
	assert_int_equal(report.fd_count, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(report.fds[i], i);
	char path[64], name[64] = "";
	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)child.pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, name, sizeof name - 1) > 0);
	assert_string_equal(name, "gd-test-report");
	close(fd);
	gd_child_end(&child);
	assert_int_equal(child.pid, 0);
	for (int i = 0; i < 3; i++)
		close(careless[i]);
	unsetenv("GD_TEST");
}

static void without_close_range_inherited_descriptors_are_closed_too(void **state)
{
	(void)state;
	struct gd_error error = {0};
	struct gd_child child;
	int careless[2] = {fcntl(STDERR_FILENO, F_DUPFD, 3), fcntl(STDERR_FILENO, F_DUPFD, 900)};
	static const char *const arguments[] = {"stay", "filtered", NULL};
	assert_true(gd_child_start("gd-test-report", arguments, NULL, &child, &error));
	receive_report(&child, &report);
	assert_true(report.settled);
	assert_int_equal(report.fd_count, 4);
	gd_child_end(&child);
	close(careless[0]);
	close(careless[1]);
}

static void the_environment_is_what_was_given(void **state)
{
	(void)state;
	struct gd_error error = {0};
	struct gd_child child;
	static const char *const environment[] = {"GD_TEST=given", NULL};
	assert_true(gd_child_start("gd-test-report", NULL, environment, &child, &error));
	receive_report(&child, &report);
	assert_string_equal(report.variable, "given");
	gd_child_end(&child);
}

static void signals_blocked_here_are_not_blocked_there(void **state)
{
	(void)state;
	struct gd_error error = {0};
	struct gd_child child;
	sigset_t block, before;
	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, &before);
	assert_true(gd_child_start("gd-test-report", NULL, NULL, &child, &error));
	sigprocmask(SIG_SETMASK, &before, NULL);
	receive_report(&child, &report);
	assert_false(report.blocked_any);
	gd_child_end(&child);
}

static void an_exit_status_and_a_signal_are_told_apart(void **state)
{
	(void)state;
	struct gd_error error = {0};
	struct gd_child child;
	struct gd_child_exit how = {0};
	static const char *const arguments[] = {"exit", NULL};
	assert_true(gd_child_start("gd-test-report", arguments, NULL, &child, &error));
	receive_report(&child, &report);
	await_end(&child, &how);
	assert_false(how.signalled);
	assert_int_equal(how.value, 42);
	assert_false(gd_child_reap(&child, &how));
	close_all(&child);

	assert_true(gd_child_start("gd-test-deaf", NULL, NULL, &child, &error));
	receive_report(&child, &report);
	assert_false(gd_child_reap(&child, &how));
	gd_child_kill(&child);
	await_end(&child, &how);
	assert_true(how.signalled);
	assert_int_equal(how.value, SIGKILL);
	/* it is gone: nobody else who has its number now is hit */
	gd_child_kill(&child);
	close_all(&child);
}

static void a_child_dies_with_its_parent_even_if_it_looks_at_nothing(void **state)
{
	(void)state;
	struct gd_error error = {0};
	struct gd_child child;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	assert_true(gd_child_start("gd-test-middle", NULL, NULL, &child, &error));
	receive_report(&child, &report);
	pid_t grandchild = report.grandchild;
	assert_int_equal(kill(grandchild, 0), 0);
	int watch = (int)syscall(SYS_pidfd_open, grandchild, 0);
	assert_true(watch >= 0);
	gd_child_end(&child);
	struct pollfd ended = {.fd = watch, .events = POLLIN};
	assert_int_equal(poll(&ended, 1, WAIT_MS), 1);
	assert_int_equal(waitpid(grandchild, NULL, 0), grandchild);
	close(watch);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void settling_fails_when_the_parent_is_another(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0)
		_exit(gd_child_settle("gd-orphan", getppid() + 1) ? 1 : 0);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void starting_and_ending_many_leaves_nothing_behind(void **state)
{
	(void)state;
	struct gd_error error = {0};
	unsigned before = open_count();
	for (int i = 0; i < 20; i++) {
		struct gd_child child;
		assert_true(gd_child_start("gd-test-deaf", NULL, NULL, &child, &error));
		if (i % 2)
			receive_report(&child, &report);
		gd_child_end(&child);
		gd_child_end(&child);
	}
	assert_int_equal(open_count(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void without_descriptors_starting_fails_cleanly(void **state)
{
	(void)state;
	struct gd_error error = {0};
	struct rlimit old;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	unsigned before = open_count();
	struct gd_child child = {.pid = -77};
	bool started = false;
	/* room for none, one, two … more descriptors, until it works */
	for (rlim_t room = 0; !started && room < 10; room++) {
		struct rlimit tight = {.rlim_cur = before + room, .rlim_max = old.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
		started = gd_child_start("gd-test-deaf", NULL, NULL, &child, &error);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		if (!started) {
			assert_int_equal(error.native, EMFILE);
			assert_int_equal(child.pid, -77);
			assert_int_equal(open_count(), before);
		}
	}
	assert_true(started);
	gd_child_end(&child);
}

static void too_many_arguments_are_refused(void **state)
{
	(void)state;
	struct gd_error error = {0};
	struct gd_child child;
	const char *arguments[18] = {NULL};
	for (int i = 0; i < 17; i++)
		arguments[i] = "x";
	assert_false(gd_child_start("gd-test-report", arguments, NULL, &child, &error));
	assert_int_equal(error.native, E2BIG);
	arguments[16] = NULL;
	assert_true(gd_child_start("gd-test-report", arguments, NULL, &child, &error));
	gd_child_end(&child);
}

int main(int argc, char **argv)
{
	if (!strcmp(argv[0], "gd-test-report"))
		return report_role(argc, argv);
	if (!strcmp(argv[0], "gd-test-middle"))
		return middle_role(argv);
	if (!strcmp(argv[0], "gd-test-deaf"))
		return deaf_role(argv);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_child_carries_its_name_its_arguments_and_nothing_else),
	    cmocka_unit_test(without_close_range_inherited_descriptors_are_closed_too),
	    cmocka_unit_test(the_environment_is_what_was_given),
	    cmocka_unit_test(signals_blocked_here_are_not_blocked_there),
	    cmocka_unit_test(an_exit_status_and_a_signal_are_told_apart),
	    cmocka_unit_test(a_child_dies_with_its_parent_even_if_it_looks_at_nothing),
	    cmocka_unit_test(settling_fails_when_the_parent_is_another),
	    cmocka_unit_test(starting_and_ending_many_leaves_nothing_behind),
	    cmocka_unit_test(without_descriptors_starting_fails_cleanly),
	    cmocka_unit_test(too_many_arguments_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
