/* What a process in the compile sandbox can still do. Each attempt runs in a process of its own. */
#include "harness.h"

#include "gpu/compile/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool is_sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
static const bool is_sanitized = true;
#else
static const bool is_sanitized = false;
#endif
#else
static const bool is_sanitized = false;
#endif

enum { NO_SANDBOX = 200, SKIPPED = 201 };

typedef int attempt(void); /* 0: it was possible; else the errno */

static int run_boxed(attempt *try, bool with_filter, const struct gd_sandbox_limits *limits)
{
	pid_t self = getpid();
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct gd_sandbox sandbox;
		struct gd_error error;
		if (!gd_sandbox_enter_server(self, &sandbox, &error))
			_exit(NO_SANDBOX);
		if (!with_filter && !sandbox.has_landlock)
			_exit(SKIPPED);
		sandbox.has_seccomp = sandbox.has_seccomp && with_filter;
		if (!gd_sandbox_enter_child(&sandbox, limits))
			_exit(NO_SANDBOX);
		_exit(try());
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static const struct gd_sandbox_limits usual = {.memory_bytes = 1ull << 30, .cpu_ms = 5000};

static int try_open(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0 ? 0 : errno;
}

static int try_open_proc(void)
{
	return open("/proc/self/environ", O_RDONLY) >= 0 ? 0 : errno;
}

static int try_create(void)
{
	return open("/tmp/gpudispatch-sandbox-test", O_WRONLY | O_CREAT, 0600) >= 0 ? 0 : errno;
}

static int try_list(void)
{
	return open("/", O_RDONLY | O_DIRECTORY) >= 0 ? 0 : errno;
}

static int try_stat(void)
{
	struct stat st;
	return stat("/etc/passwd", &st) == 0 ? 0 : errno;
}

static int try_readlink(void)
{
	char target[64];
	return readlink("/proc/self/exe", target, sizeof target) >= 0 ? 0 : errno;
}

static int try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : errno;
}

static int try_fork(void)
{
	return fork() >= 0 ? 0 : errno;
}

static int try_exec(void)
{
	return execl("/bin/true", "true", (char *)NULL) == 0 ? 0 : errno;
}

static int try_kill(void)
{
	return kill(getppid(), SIGTERM) == 0 ? 0 : errno;
}

static int try_ptrace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : errno;
}

static int try_memfd(void)
{
	return memfd_create("x", 0) >= 0 ? 0 : errno;
}

static int try_raise_limit(void)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
	return setrlimit(RLIMIT_AS, &limit) == 0 ? 0 : errno;
}

static int try_stop_timer(void)
{
	struct itimerval none = {0};
	return setitimer(ITIMER_PROF, &none, NULL) == 0 ? 0 : errno;
}

static int try_prctl(void)
{
	return prctl(PR_SET_NAME, "else") == 0 ? 0 : errno;
}

static int try_abort(void)
{
	abort();
	return 0;
}

static int try_spin(void)
{
	volatile bool go = true;
	while (go)
		;
	return 0;
}

static int try_memory(void)
{
	void *memory = mmap(NULL, 1ull << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory != MAP_FAILED ? 0 : errno;
}

static int try_little_memory(void)
{
	void *memory = mmap(NULL, 1u << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory != MAP_FAILED ? 0 : errno;
}

static int try_identity(void)
{
	return geteuid() != 0 && getegid() != 0 ? 0 : EPERM;
}

static void calls_that_name_paths_are_refused(void **state)
{
	(void)state;
	attempt *const rows[] = {try_open, try_open_proc, try_create, try_list, try_stat, try_readlink};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int status = run_boxed(rows[i], true, &usual);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != EACCES)
			fail_msg("row %zu: status %x", i, status);
	}
}

static void landlock_alone_keeps_files_closed(void **state)
{
	(void)state;
	attempt *const rows[] = {try_open, try_open_proc, try_create, try_list};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int status = run_boxed(rows[i], false, &usual);
		if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
			printf("SKIP: no Landlock here\n");
			skip();
		}
		if (!WIFEXITED(status) || WEXITSTATUS(status) != EACCES)
			fail_msg("row %zu: status %x", i, status);
	}
}

static void all_other_calls_are_deadly(void **state)
{
	(void)state;
	attempt *const rows[] = {try_socket, try_fork,  try_exec,        try_kill,      try_ptrace,
				 try_memfd,  try_prctl, try_raise_limit, try_stop_timer};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int status = run_boxed(rows[i], true, &usual);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("row %zu: status %x", i, status);
	}
}

static void an_abort_is_an_abort(void **state)
{
	(void)state;
	int status = run_boxed(try_abort, true, &usual);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void processor_time_is_limited_to_the_millisecond(void **state)
{
	(void)state;
	struct gd_sandbox_limits limits = {.memory_bytes = 1ull << 30, .cpu_ms = 150};
	uint64_t before = gd_now_ns();
	int status = run_boxed(try_spin, true, &limits);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGPROF);
	uint64_t took_ms = (gd_now_ns() - before) / GD_NS_PER_MS;
	assert_true(took_ms >= 100 && took_ms < 5000);
}

static void memory_is_limited(void **state)
{
	(void)state;
	int status = run_boxed(try_little_memory, true, &usual);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	if (is_sanitized) {
		printf("SKIP: sanitizers reserve more address space than any limit\n");
		return;
	}
	status = run_boxed(try_memory, true, &usual);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == ENOMEM);
}

static void nothing_runs_as_root(void **state)
{
	(void)state;
	/* getegid and geteuid are no calls of the filter: Landlock alone */
	int status = run_boxed(try_identity, false, &usual);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
		printf("SKIP: no Landlock here\n");
		skip();
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void without_any_protection_nothing_is_compiled(void **state)
{
	(void)state;
	struct gd_sandbox nothing = {0};
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(gd_sandbox_enter_child(&nothing, &usual) ? 1 : 0);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(calls_that_name_paths_are_refused),
	    cmocka_unit_test(landlock_alone_keeps_files_closed),
	    cmocka_unit_test(all_other_calls_are_deadly),
	    cmocka_unit_test(an_abort_is_an_abort),
	    cmocka_unit_test(processor_time_is_limited_to_the_millisecond),
	    cmocka_unit_test(memory_is_limited),
	    cmocka_unit_test(nothing_runs_as_root),
	    cmocka_unit_test(without_any_protection_nothing_is_compiled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
