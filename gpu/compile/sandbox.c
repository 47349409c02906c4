#include "gpu/compile/sandbox.h"

#include "gpu/base/cleanup.h"

#include <errno.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum { NOBODY = 65534, FILES_MAX = 16 };

/* Sanitizers reserve terabytes of address space. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GD_SANITIZED 1
#endif
#endif
#ifndef GD_SANITIZED
#define GD_SANITIZED 0
#endif

/* What NVRTC needs once it is warm: memory, locks, time, its own end. Found with strace and by measuring. */
static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(lseek),
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(times),
    SCMP_SYS(getrusage),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getrandom),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getcwd),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(restart_syscall),
};

/* Calls that name a path: refused, not deadly, since NVRTC looks for files that an #include names. */
static const int refused[] = {
    SCMP_SYS(open),       SCMP_SYS(openat),     SCMP_SYS(openat2),    SCMP_SYS(creat),  SCMP_SYS(stat),
    SCMP_SYS(lstat),      SCMP_SYS(newfstatat), SCMP_SYS(statx),      SCMP_SYS(access), SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(readlink),   SCMP_SYS(readlinkat), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
    SCMP_SYS(rename),     SCMP_SYS(renameat),   SCMP_SYS(renameat2),  SCMP_SYS(mkdir),  SCMP_SYS(mkdirat),
    SCMP_SYS(statfs),     SCMP_SYS(chdir),
};

static bool add_rules(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
		if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0) != 0)
			return false;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), refused[i], 0) != 0)
			return false;
	/* limits may be read; NVRTC raises its own stack limit (the memory limit bounds it); no signal but
	 * abort's */
	static const struct scmp_arg_cmp reads_limit[] = {{.arg = 2, .op = SCMP_CMP_EQ, .datum_a = 0}};
	static const struct scmp_arg_cmp own_stack[] = {
	    {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = 0},
	    {.arg = 1, .op = SCMP_CMP_EQ, .datum_a = RLIMIT_STACK}};
	static const struct scmp_arg_cmp aborts[] = {{.arg = 2, .op = SCMP_CMP_EQ, .datum_a = SIGABRT}};
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, reads_limit) == 0 &&
	       seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, own_stack) == 0 &&
	       seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, aborts) == 0;
}

/* The filter as plain BPF, so that a fork needs one system call to take it. */
static bool make_filter(struct gd_sandbox *sandbox)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!filter)
		return false;
	gd_auto_close int fd = memfd_create("filter", MFD_CLOEXEC);
	struct stat st = {0};
	bool ok = fd >= 0 && add_rules(filter) && seccomp_export_bpf(filter, fd) == 0 &&
		  fstat(fd, &st) == 0 && st.st_size > 0 &&
		  (size_t)st.st_size % sizeof(struct sock_filter) == 0;
	seccomp_release(filter);
	if (!ok)
		return false;
	size_t bytes = (size_t)st.st_size;
	sandbox->filter = malloc(bytes);
	if (!sandbox->filter || pread(fd, sandbox->filter, bytes, 0) != (ssize_t)bytes)
		return false;
	sandbox->filter_length = (uint16_t)(bytes / sizeof *sandbox->filter);
	uint32_t action = SECCOMP_RET_KILL_PROCESS;
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/*
 * A ruleset that handles all that this kernel knows and allows nothing. Bits by ABI version: Linux's
 * Documentation/userspace-api/landlock.rst; our build's header may know fewer than the kernel.
 */
static bool leave_all_paths(void)
{
	struct {
		uint64_t files, net, scoped;
	} ruleset = {0};
	static const uint8_t file_bits[] = {0, 13, 14, 15, 15, 16, 16}; /* REFER, TRUNCATE, IOCTL_DEV */
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return false;
	ruleset.files = (1ull << file_bits[version > 6 ? 6 : version]) - 1;
	ruleset.net = version >= 4 ? 3 : 0;    /* BIND_TCP, CONNECT_TCP */
	ruleset.scoped = version >= 6 ? 3 : 0; /* ABSTRACT_UNIX_SOCKET, SIGNAL */
	size_t bytes = version >= 6 ? sizeof ruleset : version >= 4 ? 16 : 8;
	gd_auto_close int fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, bytes, 0);
	return fd >= 0 && syscall(SYS_landlock_restrict_self, fd, 0) == 0;
}

/* A service started as root compiles as nobody. */
static bool leave_root(pid_t parent_pid, struct gd_error *error)
{
	if (geteuid() != 0)
		return true;
	if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) != 0)
		return gd_error_errno(error, errno, "the compiler cannot leave root");
	/* changing ids clears it, prctl(2) */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent_pid)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "the service has ended");
	return true;
}

bool gd_sandbox_enter_server(pid_t parent_pid, struct gd_sandbox *out_sandbox, struct gd_error *error)
{
	struct gd_sandbox sandbox = {0};
	sandbox.has_seccomp = make_filter(&sandbox);
	if (!leave_root(parent_pid, error))
		return false;
	prctl(PR_SET_DUMPABLE, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return gd_error_errno(error, errno, "the compiler cannot give up privileges");
	sandbox.has_landlock = leave_all_paths();
	if (!sandbox.has_landlock && !sandbox.has_seccomp)
		return gd_error_set(error, GD_BACKEND_UNAVAILABLE,
				    "Run on Linux with Landlock or seccomp, and allow them in the container.",
				    "sources are not compiled here: neither Landlock nor seccomp can be had");
	*out_sandbox = sandbox;
	return true;
}

/* Where the service itself was given less, that stands: a hard limit cannot be raised. */
static bool set_limit(__rlimit_resource_t resource, rlim_t soft, rlim_t hard)
{
	struct rlimit limit, given;
	if (getrlimit(resource, &given) != 0)
		return false;
	limit.rlim_max = hard < given.rlim_max ? hard : given.rlim_max;
	limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
	return setrlimit(resource, &limit) == 0;
}

static bool set_limits(const struct gd_sandbox_limits *limits)
{
	/* the timer is exact; the limit, in whole seconds, is what the child cannot undo */
	struct itimerval cpu = {.it_value = {.tv_sec = limits->cpu_ms / 1000,
					     .tv_usec = (suseconds_t)(limits->cpu_ms % 1000) * 1000}};
	rlim_t seconds = limits->cpu_ms / 1000 + 2;
	return setitimer(ITIMER_PROF, &cpu, NULL) == 0 && set_limit(RLIMIT_CPU, seconds, seconds) &&
	       set_limit(RLIMIT_CORE, 0, 0) && set_limit(RLIMIT_FSIZE, 0, 0) &&
	       set_limit(RLIMIT_NOFILE, FILES_MAX, FILES_MAX) &&
	       (GD_SANITIZED || set_limit(RLIMIT_AS, limits->memory_bytes, limits->memory_bytes));
}

bool gd_sandbox_enter_child(const struct gd_sandbox *sandbox, const struct gd_sandbox_limits *limits)
{
	if (!set_limits(limits))
		return false;
	if (!sandbox->has_seccomp)
		return sandbox->has_landlock;
	struct sock_fprog program = {.len = sandbox->filter_length, .filter = sandbox->filter};
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 || sandbox->has_landlock;
}
