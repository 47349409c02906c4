#include "gpu/worker/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static bool drop_user(struct gd_error *error)
{
	if (geteuid() != 0)
		return true;
	pid_t parent = getppid();
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return gd_error_errno(error, errno, "the worker cannot give up root");
	/* changing the user clears it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	return true;
}

static bool refuse(scmp_filter_ctx filter, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
		/* a call this architecture lacks cannot be made either */
		if (failed && failed != -EDOM && failed != -EFAULT)
			return false;
	}
	return true;
}

/*
 * New threads but no new processes; signals and limits of the own process but not of the front, which may
 * have the same user. clone3 hides its flags behind a pointer: without it libc uses clone.
 */
static bool refuse_others(scmp_filter_ctx filter)
{
	static const struct scmp_arg_cmp no_thread[] = {
	    {.arg = 0, .op = SCMP_CMP_MASKED_EQ, .datum_a = CLONE_THREAD, .datum_b = 0}};
	const struct scmp_arg_cmp not_self[] = {
	    {.arg = 0, .op = SCMP_CMP_NE, .datum_a = (scmp_datum_t)getpid(), .datum_b = 0}};
	static const struct scmp_arg_cmp not_zero[] = {
	    {.arg = 0, .op = SCMP_CMP_NE, .datum_a = 0, .datum_b = 0}};
	return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, no_thread) == 0 &&
	       seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1, not_self) == 0 &&
	       seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, not_zero) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

static bool filter_calls(enum gd_device_kind kind, struct gd_error *error)
{
	static const int always[] = {
	    SCMP_SYS(execve),
	    SCMP_SYS(execveat),
	    SCMP_SYS(socket),
	    SCMP_SYS(connect),
	    SCMP_SYS(bind),
	    SCMP_SYS(listen),
	    SCMP_SYS(accept),
	    SCMP_SYS(accept4),
	    SCMP_SYS(ptrace),
	    SCMP_SYS(process_vm_readv),
	    SCMP_SYS(process_vm_writev),
	    SCMP_SYS(mount),
	    SCMP_SYS(umount2),
	    SCMP_SYS(bpf),
	    SCMP_SYS(io_uring_setup),
	    SCMP_SYS(keyctl),
	    SCMP_SYS(add_key),
	    SCMP_SYS(unshare),
	    SCMP_SYS(setns),
	    SCMP_SYS(kill),
	    SCMP_SYS(fork),
	    SCMP_SYS(vfork),
	    SCMP_SYS(open_by_handle_at),
	    SCMP_SYS(pidfd_getfd),
	    SCMP_SYS(perf_event_open),
	    SCMP_SYS(userfaultfd),
	    SCMP_SYS(chroot),
	    SCMP_SYS(pivot_root),
	    SCMP_SYS(unlink),
	    SCMP_SYS(unlinkat),
	    SCMP_SYS(rename),
	    SCMP_SYS(renameat2),
	    SCMP_SYS(mkdir),
	    SCMP_SYS(mkdirat),
	    SCMP_SYS(chmod),
	    SCMP_SYS(fchmodat),
	    SCMP_SYS(chown),
	    SCMP_SYS(fchownat),
	    SCMP_SYS(symlinkat),
	    SCMP_SYS(linkat),
	    SCMP_SYS(symlink),
	    SCMP_SYS(link),
	    SCMP_SYS(renameat),
	    SCMP_SYS(rmdir),
	    SCMP_SYS(mknod),
	    SCMP_SYS(mknodat),
	    SCMP_SYS(truncate),
	    SCMP_SYS(lchown),
	    SCMP_SYS(utimensat),
	    SCMP_SYS(setxattr),
	    SCMP_SYS(lsetxattr),
	    SCMP_SYS(removexattr),
	    SCMP_SYS(lremovexattr),
	    SCMP_SYS(name_to_handle_at),
	    SCMP_SYS(fsopen),
	    SCMP_SYS(open_tree),
	    SCMP_SYS(move_mount),
	    SCMP_SYS(io_uring_enter),
	    SCMP_SYS(io_uring_register),
	    SCMP_SYS(request_key),
	    SCMP_SYS(shmget),
	    SCMP_SYS(msgget),
	    SCMP_SYS(semget),
	    SCMP_SYS(mq_open),
	    /* other ways to signal, watch or slow down another process than kill and ptrace */
	    SCMP_SYS(tkill),
	    SCMP_SYS(rt_sigqueueinfo),
	    SCMP_SYS(rt_tgsigqueueinfo),
	    SCMP_SYS(pidfd_open),
	    SCMP_SYS(pidfd_send_signal),
	    SCMP_SYS(process_madvise),
	    SCMP_SYS(process_mrelease),
	    SCMP_SYS(migrate_pages),
	    SCMP_SYS(kcmp),
	};
	static const int opening[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(creat)};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "the worker cannot make its system call filter");
	bool made = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
		    refuse(filter, always, sizeof always / sizeof *always) && refuse_others(filter) &&
		    (kind == GD_DEVICE_CUDA || refuse(filter, opening, sizeof opening / sizeof *opening));
	int failed = made ? seccomp_load(filter) : -EINVAL;
	seccomp_release(filter);
	if (failed)
		return gd_error_errno(error, -failed, "the worker cannot load its system call filter");
	return true;
}

bool gd_worker_sandbox(enum gd_device_kind kind, struct gd_error *error)
{
	if (!drop_user(error))
		return false;
	prctl(PR_SET_DUMPABLE, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return gd_error_errno(error, errno, "the worker cannot give up new privileges");
	return filter_calls(kind, error);
}
