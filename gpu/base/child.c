#include "gpu/base/child.h"

#include "gpu/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 16, VARIABLES_MAX = 16 };

#define LIBRARIES "LD_LIBRARY_PATH"

static int open_pid(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int spawn(const char *role, const char *const *arguments, const char *const *environment,
		 int socket_fd, pid_t *out_pid)
{
	char parent[24];
	snprintf(parent, sizeof parent, "%d", (int)getpid());
	const char *argv[ARGUMENTS_MAX + 3] = {role, parent};
	size_t count = 2;
	for (; arguments && arguments[count - 2]; count++) {
		if (count - 2 >= ARGUMENTS_MAX)
			return E2BIG;
		argv[count] = arguments[count - 2];
	}
	const char *variables[VARIABLES_MAX + 2] = {NULL};
	size_t variable_count = 0;
	for (; environment && environment[variable_count]; variable_count++) {
		if (variable_count >= VARIABLES_MAX)
			return E2BIG;
		variables[variable_count] = environment[variable_count];
	}
	gd_auto_free char *libraries = NULL;
	if (getenv(LIBRARIES) && asprintf(&libraries, LIBRARIES "=%s", getenv(LIBRARIES)) > 0)
		variables[variable_count] = libraries;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int failed = posix_spawn_file_actions_init(&actions);
	if (failed)
		return failed;
	failed = posix_spawnattr_init(&attributes);
	if (failed) {
		posix_spawn_file_actions_destroy(&actions);
		return failed;
	}
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	failed = posix_spawn_file_actions_adddup2(&actions, socket_fd, GD_CHILD_SOCKET);
	if (!failed)
		failed = posix_spawn(out_pid, "/proc/self/exe", &actions, &attributes, (char *const *)argv,
				     (char *const *)variables);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return failed;
}

bool gd_child_start(const char *role, const char *const *arguments, const char *const *environment,
		    struct gd_child *out_child, struct gd_error *error)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return gd_error_errno(error, errno, "cannot make the control socket of %s", role);
	gd_auto_close int ours = pair[0];
	/* dup2 onto itself would keep close-on-exec, so the child's end must not be number 3 already */
	gd_auto_close int theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, GD_CHILD_SOCKET + 1);
	close(pair[1]);
	if (theirs < 0)
		return gd_error_errno(error, errno, "cannot make the control socket of %s", role);
	pid_t pid = -1;
	int failed = spawn(role, arguments, environment, theirs, &pid);
	if (failed)
		return gd_error_errno(error, failed, "cannot start %s", role);
	struct gd_child child = {.pid = pid, .pid_fd = open_pid(pid), .socket = -1};
	if (child.pid_fd < 0) {
		int why = errno;
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return gd_error_errno(error, why, "cannot watch %s", role);
	}
	child.socket = gd_move_fd(&ours);
	*out_child = child;
	return true;
}

void gd_child_kill(const struct gd_child *child)
{
	if (child->pid > 0)
		syscall(SYS_pidfd_send_signal, child->pid_fd, SIGKILL, NULL, 0);
}

static bool take_exit(const struct gd_child *child, int flags, struct gd_child_exit *out_exit)
{
	siginfo_t info = {0};
	int failed;
	do {
		failed = waitid(P_PID, (id_t)child->pid, &info, WEXITED | flags);
	} while (failed < 0 && errno == EINTR);
	if (failed < 0 || info.si_pid != child->pid)
		return false;
	*out_exit = (struct gd_child_exit){.signalled = info.si_code != CLD_EXITED, .value = info.si_status};
	return true;
}

bool gd_child_reap(const struct gd_child *child, struct gd_child_exit *out_exit)
{
	return child->pid > 0 && take_exit(child, WNOHANG, out_exit);
}

void gd_child_end(struct gd_child *child)
{
	if (child->pid <= 0)
		return;
	struct gd_child_exit ignored;
	gd_child_kill(child);
	take_exit(child, 0, &ignored);
	close(child->pid_fd);
	if (child->socket >= 0)
		close(child->socket);
	*child = (struct gd_child){.pid_fd = -1, .socket = -1};
}

/* Where the kernel or a container's filter has no close_range, the open descriptors are looked up. */
static bool close_from(int first)
{
	if (close_range((unsigned)first, ~0u, 0) == 0)
		return true;
	DIR *list = opendir("/proc/self/fd");
	if (!list)
		return false;
	for (struct dirent *entry; (entry = readdir(list));) {
		int fd = (int)strtol(entry->d_name, NULL, 10);
		if (fd >= first && fd != dirfd(list))
			close(fd);
	}
	closedir(list);
	return true;
}

bool gd_child_settle(const char *role, pid_t parent_pid)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, role);
	struct rlimit no_core = {0, 0};
	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGPIPE, SIG_IGN);
	/* memory over the limit of files is a failed request, no reason to end */
	signal(SIGXFSZ, SIG_IGN);
	/* Ctrl-C reaches the whole group; a child ends when the front says so */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	return close_from(GD_CHILD_SOCKET + 1) && getppid() == parent_pid;
}
