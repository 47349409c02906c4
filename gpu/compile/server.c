#include "gpu/compile/compiler.h"

#include "gpu/base/child.h"
#include "gpu/base/cleanup.h"
#include "gpu/base/clock.h"
#include "gpu/base/shm.h"
#include "gpu/compile/headers.h"
#include "gpu/compile/job.h"
#include "gpu/compile/message.h"
#include "gpu/compile/nvrtc.h"
#include "gpu/compile/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit statuses of a compile child. */
enum { CHILD_WELL = 0, CHILD_NO_BOX = 3, CHILD_NO_REQUEST = 4, CHILD_NO_RESULT = 5 };

enum { JOBS_MAX = 64 };

struct fork_slot {
	pid_t pid; /* 0: free */
	int pid_fd;
	uint64_t id, deadline_ns;
	enum gd_ending killed; /* TIMEOUT or CANCELLED when we killed it, else WELL */
};

struct server {
	struct gd_nvrtc nvrtc;
	struct gd_headers headers;
	struct gd_sandbox sandbox;
	struct gd_sandbox_limits limits;
	uint32_t jobs, timeout_ms;
	bool ready;
	struct fork_slot slots[JOBS_MAX];
};

static void send_report(const struct gd_report *report)
{
	struct gd_error error;
	/* room for one report per job and the hello is always there; a front that is gone is noticed by poll
	 */
	for (int tries = 0; tries < 100; tries++) {
		if (gd_message_send(GD_CHILD_SOCKET, report, sizeof *report, NULL, 0, &error))
			return;
		if (error.native != EAGAIN)
			return;
		struct pollfd wait = {.fd = GD_CHILD_SOCKET, .events = POLLOUT};
		poll(&wait, 1, 100);
	}
}

static void report_end(uint64_t id, enum gd_ending ending, int value)
{
	struct gd_report report = {.type = GD_REPORT_ENDED, .id = id, .ending = ending, .value = value};
	send_report(&report);
}

/* Everything of the compile child: it never returns. */
__attribute__((noreturn)) static void run_child(const struct server *server, int request_fd,
						size_t request_bytes, int result_fd, pid_t server_pid)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != server_pid)
		_exit(CHILD_NO_REQUEST);
	uint8_t *request_memory = gd_shm_map(request_fd, request_bytes, false, NULL);
	uint8_t *result_memory = gd_shm_map(result_fd, GD_RESULT_BYTES, true, NULL);
	/* the control socket and the siblings' descriptors go too */
	close_range(STDERR_FILENO + 1, ~0u, 0);
	if (!request_memory || !result_memory)
		_exit(CHILD_NO_REQUEST);
	if (!gd_sandbox_enter_child(&server->sandbox, &server->limits))
		_exit(CHILD_NO_BOX);
	struct gd_request request;
	if (!gd_request_decode(request_memory, request_bytes, &request))
		_exit(CHILD_NO_REQUEST);
	_exit(gd_job_run(&server->nvrtc, &server->headers, &request, result_memory, GD_RESULT_BYTES)
		  ? CHILD_WELL
		  : CHILD_NO_RESULT);
}

static struct fork_slot *free_slot(struct server *server)
{
	for (uint32_t i = 0; i < server->jobs; i++)
		if (!server->slots[i].pid)
			return &server->slots[i];
	return NULL;
}

static void start_job(struct server *server, const struct gd_order *order, const int *fds)
{
	struct fork_slot *slot = free_slot(server);
	if (!slot || !server->ready) {
		report_end(order->id, GD_ENDED_NO_FORK, EAGAIN);
		return;
	}
	pid_t self = getpid();
	pid_t pid = fork();
	if (pid == 0)
		run_child(server, fds[0], order->request_bytes, fds[1], self);
	if (pid < 0) {
		report_end(order->id, GD_ENDED_NO_FORK, errno);
		return;
	}
	int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pid_fd < 0) {
		int why = errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		report_end(order->id, GD_ENDED_NO_FORK, why);
		return;
	}
	*slot = (struct fork_slot){.pid = pid,
				   .pid_fd = pid_fd,
				   .id = order->id,
				   .deadline_ns = gd_now_ns() + server->timeout_ms * GD_NS_PER_MS,
				   .killed = GD_ENDED_WELL};
}

static void kill_slot(struct fork_slot *slot, enum gd_ending why)
{
	if (slot->killed == GD_ENDED_WELL)
		slot->killed = why;
	kill(slot->pid, SIGKILL);
}

static void cancel_job(struct server *server, uint64_t id)
{
	for (uint32_t i = 0; i < server->jobs; i++)
		if (server->slots[i].pid && server->slots[i].id == id)
			kill_slot(&server->slots[i], GD_ENDED_CANCELLED);
}

/* False when the front is gone. */
static bool take_orders(struct server *server)
{
	for (;;) {
		struct gd_order order;
		int fds[GD_FDS_MAX];
		size_t count;
		ssize_t got = gd_message_receive(GD_CHILD_SOCKET, &order, sizeof order, fds, &count);
		if (got < 0)
			return errno == EAGAIN;
		if (got == 0)
			return false;
		if (got == (ssize_t)sizeof order && order.type == GD_ORDER_COMPILE && count == 2)
			start_job(server, &order, fds);
		else if (got == (ssize_t)sizeof order && order.type == GD_ORDER_CANCEL)
			cancel_job(server, order.id);
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
	}
}

static void reap(struct fork_slot *slot)
{
	siginfo_t info = {0};
	if (waitid(P_PID, (id_t)slot->pid, &info, WEXITED | WNOHANG) != 0 || info.si_pid != slot->pid)
		return;
	enum gd_ending ending;
	bool exited = info.si_code == CLD_EXITED;
	if (slot->killed != GD_ENDED_WELL)
		ending = slot->killed;
	else if (!exited)
		ending = GD_ENDED_SIGNAL;
	else
		ending = info.si_status == CHILD_WELL     ? GD_ENDED_WELL
			 : info.si_status == CHILD_NO_BOX ? GD_ENDED_NO_BOX
							  : GD_ENDED_EXITED;
	close(slot->pid_fd);
	uint64_t id = slot->id;
	*slot = (struct fork_slot){0};
	report_end(id, ending, info.si_status);
}

/* Kill what is over its time. Returns the milliseconds until the next deadline, -1 when there is none. */
static int enforce_deadlines(struct server *server)
{
	uint64_t now = gd_now_ns(), next = UINT64_MAX;
	for (uint32_t i = 0; i < server->jobs; i++) {
		struct fork_slot *slot = &server->slots[i];
		if (!slot->pid || slot->killed != GD_ENDED_WELL)
			continue;
		if (slot->deadline_ns <= now)
			kill_slot(slot, GD_ENDED_TIMEOUT);
		else if (slot->deadline_ns < next)
			next = slot->deadline_ns;
	}
	return next == UINT64_MAX ? -1 : (int)((next - now) / GD_NS_PER_MS) + 1;
}

static void serve(struct server *server)
{
	bool open = true;
	while (open) {
		struct pollfd watched[JOBS_MAX + 1] = {{.fd = GD_CHILD_SOCKET, .events = POLLIN}};
		for (uint32_t i = 0; i < server->jobs; i++)
			watched[i + 1] = (struct pollfd){
			    .fd = server->slots[i].pid ? server->slots[i].pid_fd : -1, .events = POLLIN};
		if (poll(watched, server->jobs + 1, enforce_deadlines(server)) < 0 && errno != EINTR)
			break;
		for (uint32_t i = 0; i < server->jobs; i++)
			if (watched[i + 1].revents && server->slots[i].pid)
				reap(&server->slots[i]);
		if (watched[0].revents)
			open = take_orders(server);
	}
	for (uint32_t i = 0; i < server->jobs; i++)
		if (server->slots[i].pid)
			kill(server->slots[i].pid, SIGKILL);
}

/* What a library prints (LLVM's last words, abort messages) belongs to nobody's terminal. */
static void silence(void)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return;
	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
#ifndef __SANITIZE_ADDRESS__
	dup2(null_fd, STDERR_FILENO);
#endif
	if (null_fd > STDERR_FILENO)
		close(null_fd);
}

static bool prepare(struct server *server, const char *where, pid_t parent_pid,
		    struct gd_toolchain *toolchain, struct gd_error *error)
{
	if (!gd_nvrtc_load(where, &server->nvrtc, error) || !gd_nvrtc_warm(&server->nvrtc, error) ||
	    !gd_nvrtc_describe(&server->nvrtc, toolchain, error))
		return false;
	toolchain->has_headers = gd_headers_load(server->nvrtc.path, &server->headers);
	return gd_sandbox_enter_server(parent_pid, &server->sandbox, error);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno || *end || value < min)
		return min;
	return value > max ? max : value;
}

int gd_compiler_main(int argc, char **argv)
{
	enum { ROLE, PARENT, NVRTC, JOBS, TIMEOUT, CPU, MEMORY, ARGUMENTS };
	if (argc != ARGUMENTS)
		return 2;
	pid_t parent_pid = (pid_t)number(argv[PARENT], 0, 1u << 30);
	if (!gd_child_settle(GD_COMPILER_ROLE, parent_pid))
		return 0;
	static struct server server;
	server.jobs = (uint32_t)number(argv[JOBS], 1, JOBS_MAX);
	server.timeout_ms = (uint32_t)number(argv[TIMEOUT], 1, 1u << 30);
	server.limits.cpu_ms = (uint32_t)number(argv[CPU], 1, 1u << 30);
	server.limits.memory_bytes = number(argv[MEMORY], 64u << 20, 1ull << 46);
	silence();
	/* a fixed folder: it gets into cubins with -lineinfo */
	if (chdir("/") != 0)
		return 1;
	struct gd_report hello = {.type = GD_REPORT_HELLO, .toolchain.known = true};
	struct gd_error error;
	server.ready = prepare(&server, argv[NVRTC], parent_pid, &hello.toolchain, &error);
	hello.toolchain.available = server.ready;
	if (!server.ready)
		snprintf(hello.toolchain.why_not, sizeof hello.toolchain.why_not, "%s", error.text);
	send_report(&hello);
	serve(&server);
	return 0;
}
