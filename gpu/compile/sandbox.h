/*
 * What a compile may not do: open files, reach the network, start anything, use more than its share.
 *
 * The fork server gives up its rights once, after NVRTC is loaded; every compile child adds limits and a
 * system-call filter. Landlock (Linux 5.13) and seccomp each keep files closed alone; one of them must be
 * there. One thread.
 */
#ifndef GD_COMPILE_SANDBOX_H
#define GD_COMPILE_SANDBOX_H

#include "gpu/base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sock_filter;

struct gd_sandbox {
	bool has_landlock;
	bool has_seccomp;
	struct sock_filter *filter; /* the children's program, made once; owned for the process's life */
	uint16_t filter_length;
};

struct gd_sandbox_limits {
	uint64_t memory_bytes; /* address space */
	uint32_t cpu_ms;       /* user and system time */
};

/*
 * Server: prepare the children's filter, take no_new_privs, leave root (uid and gid 65534) and, where
 * Landlock is there, all paths. Dies with `parent_pid` as before. Fails: GD_BACKEND_UNAVAILABLE when neither
 * Landlock nor seccomp can be had, GD_INTERNAL_STATE.
 */
bool gd_sandbox_enter_server(pid_t parent_pid, struct gd_sandbox *out_sandbox, struct gd_error *error);

/* Child, after its memory is mapped and its descriptors are closed: limits, then the filter. False: do not
 * compile. */
bool gd_sandbox_enter_child(const struct gd_sandbox *sandbox, const struct gd_sandbox_limits *limits);

#endif
