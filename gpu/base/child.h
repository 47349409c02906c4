/*
 * Child processes: the own executable started in another role, with a control socket and a pidfd.
 *
 * The front's main thread starts, watches and reaps them; nobody else. A child gets its control socket as
 * descriptor 3 and nothing else but 0, 1 and 2; it dies with the front (PDEATHSIG, and the closed socket) and
 * carries its role as its name, so that ps and top tell them apart.
 */
#ifndef GD_BASE_CHILD_H
#define GD_BASE_CHILD_H

#include "gpu/base/error.h"

#include <sys/types.h>

#define GD_CHILD_SOCKET 3

struct gd_child {
	pid_t pid;
	int pid_fd; /* readable when it has ended */
	int socket; /* SOCK_SEQPACKET, non-blocking */
};

struct gd_child_exit {
	bool signalled; /* else it exited */
	int value;      /* signal or exit status */
};

/*
 * Start this executable as `role` ("gd-worker", "gd-compiler"): argv is {role, argument..., NULL}, the
 * environment is `environment` (NULL-terminated; NULL for none) and our own
 * LD_LIBRARY_PATH, without which it might not find the libraries that we found. Main thread only. Fails:
 * GD_INTERNAL_STATE with errno.
 */
bool gd_child_start(const char *role, const char *const *arguments, const char *const *environment,
		    struct gd_child *out_child, struct gd_error *error);

/* SIGKILL it; it is reaped later. */
void gd_child_kill(const struct gd_child *child);

/* Reap it when it has ended: true and out_exit when it had. Does not wait. Closes nothing. */
bool gd_child_reap(const struct gd_child *child, struct gd_child_exit *out_exit);

/* Kill, wait for the end and close all. For shutdown and tests. A zeroed child is a no-op. */
void gd_child_end(struct gd_child *child);

/*
 * First thing in a child: die with the parent `parent_pid` (given on the command line; the front may be pid
 * 1), take the role as the process's name, no core files, close what was inherited beyond the control socket.
 * Returns false when the parent has gone already, or when inherited descriptors cannot be closed.
 */
bool gd_child_settle(const char *role, pid_t parent_pid);

#endif
