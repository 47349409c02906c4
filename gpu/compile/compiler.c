#include "gpu/compile/compiler.h"

#include "gpu/base/child.h"
#include "gpu/base/cleanup.h"
#include "gpu/base/clock.h"
#include "gpu/base/shm.h"
#include "gpu/compile/message.h"
#include "gpu/compile/queue.h"
#include "gpu/compile/verdict.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	JOBS_MAX = 64,
	QUEUE_DEFAULT = 256,
	TIMEOUT_DEFAULT_MS = 30 * 1000,
	ATTEMPTS_MAX = 2, /* a job outlives one death of the fork server */
	STARTS_MAX = 5,   /* deaths in a row before the first hello until we say that there is no compiler */
	BACKOFF_MIN_MS = 10,
	BACKOFF_MAX_MS = 5000,
	START_MS = 30 * 1000, /* a server that has not said hello by then never will */
	GRACE_MS = 2000,      /* beyond a job's own limit, which the server enforces */
};
#define MEMORY_DEFAULT (2ull << 30)

/* A compile in the fork server. A cancelled one keeps its slot, without its job, until the server reports its
 * end. */
struct running {
	uint64_t id; /* 0: free */
	uint64_t started_ns;
	struct gd_compile_job *job;
};

struct gd_compiler {
	struct gd_loop *loop;
	struct gd_compiler_config config;
	char nvrtc[4096];
	void (*changed)(void *context);
	void *context;
	struct gd_toolchain toolchain;
	struct gd_child child; /* pid 0: none */
	struct gd_source socket, death;
	struct gd_timer restart, watchdog;
	uint64_t spawned_ns;
	uint32_t backoff_ms, failed_starts;
	bool greeted; /* this child has said hello */
	bool closing;
	struct gd_job_queue waiting;
	uint32_t running_count;
	struct running running[JOBS_MAX];
	uint64_t next_id;
};

static void start_child(struct gd_compiler *compiler);
static void start_waiting(struct gd_compiler *compiler);

static void finish(struct gd_compile_job *job)
{
	if (job->result_fd >= 0)
		close(job->result_fd);
	job->result_fd = -1;
	job->state = GD_JOB_NONE;
	job->compiler = NULL;
	job->compile_ns = job->started_ns ? gd_now_ns() - job->started_ns : 0;
	job->done(job);
}

static void fail_job(struct gd_compile_job *job, enum gd_code code, const char *fix, const char *text)
{
	gd_error_set(&job->error, code, fix, "%s", text);
	job->retryable = code != GD_BACKEND_UNAVAILABLE;
	finish(job);
}

/* Fail all that wait now; jobs that their callbacks submit meanwhile are not among them. */
static void fail_waiting(struct gd_compiler *compiler, enum gd_code code, const char *fix, const char *text)
{
	for (uint32_t left = compiler->waiting.count; left > 0; left--) {
		struct gd_compile_job *job = gd_job_queue_take(&compiler->waiting);
		if (!job)
			return;
		fail_job(job, code, fix, text);
	}
}

static const char fix_later[] = "Send the request again later.";
static const char fix_nvrtc[] =
    "Install NVRTC of CUDA 12 or 13 on the server, or name its library with --nvrtc.";

static void set_toolchain(struct gd_compiler *compiler, const struct gd_toolchain *toolchain)
{
	compiler->toolchain = *toolchain;
	if (compiler->changed)
		compiler->changed(compiler->context);
	if (!toolchain->available)
		fail_waiting(compiler, GD_BACKEND_UNAVAILABLE, fix_nvrtc, toolchain->why_not);
}

/* When the server, by what it has to do now, must be taken for hanging; UINT64_MAX while it has nothing to
 * do. */
static uint64_t patience_ends(const struct gd_compiler *compiler)
{
	uint64_t first = UINT64_MAX;
	if (!compiler->child.pid)
		return UINT64_MAX;
	if (!compiler->greeted)
		return compiler->spawned_ns + START_MS * GD_NS_PER_MS;
	for (uint32_t i = 0; i < JOBS_MAX; i++)
		if (compiler->running[i].id && compiler->running[i].started_ns < first)
			first = compiler->running[i].started_ns;
	return first == UINT64_MAX ? first : first + (compiler->config.timeout_ms + GRACE_MS) * GD_NS_PER_MS;
}

static void watch(struct gd_compiler *compiler)
{
	uint64_t at = patience_ends(compiler);
	if (at == UINT64_MAX)
		gd_loop_disarm(compiler->loop, &compiler->watchdog);
	else
		gd_loop_arm(compiler->loop, &compiler->watchdog, at);
}

static void close_child(struct gd_compiler *compiler)
{
	gd_loop_remove(compiler->loop, &compiler->socket);
	gd_loop_remove(compiler->loop, &compiler->death);
	gd_child_end(&compiler->child);
	compiler->greeted = false;
}

/* The fork server died or cannot be started: its jobs get one more try, and so does it, after a pause. */
static void lose_child(struct gd_compiler *compiler)
{
	if (!compiler->greeted)
		compiler->failed_starts++;
	gd_loop_disarm(compiler->loop, &compiler->watchdog);
	close_child(compiler);
	if (compiler->failed_starts >= STARTS_MAX) {
		struct gd_toolchain gone = {.known = true};
		snprintf(gone.why_not, sizeof gone.why_not, "the compiler process ends while it starts");
		set_toolchain(compiler, &gone);
	}
	/* take them all out first: a callback may submit anew */
	struct gd_compile_job *lost[JOBS_MAX];
	uint32_t count = 0;
	for (uint32_t i = 0; i < JOBS_MAX; i++) {
		if (compiler->running[i].job)
			lost[count++] = compiler->running[i].job;
		compiler->running[i] = (struct running){0};
	}
	compiler->running_count = 0;
	gd_loop_arm(compiler->loop, &compiler->restart, gd_now_ns() + compiler->backoff_ms * GD_NS_PER_MS);
	compiler->backoff_ms =
	    compiler->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : compiler->backoff_ms * 2;
	for (uint32_t i = 0; i < count; i++) {
		close(lost[i]->result_fd);
		lost[i]->result_fd = -1;
		if (lost[i]->attempts < ATTEMPTS_MAX)
			gd_job_queue_prepend(&compiler->waiting, lost[i]);
		else
			fail_job(lost[i], GD_INTERNAL_STATE, "Send the request again.",
				 "the compiler process died while it compiled this");
	}
}

static struct running *find_running(struct gd_compiler *compiler, uint64_t id)
{
	for (uint32_t i = 0; i < JOBS_MAX; i++)
		if (id && compiler->running[i].id == id)
			return &compiler->running[i];
	return NULL;
}

static void end_job(struct gd_compiler *compiler, const struct gd_report *report)
{
	struct running *running = find_running(compiler, report->id);
	if (!running)
		return;
	struct gd_compile_job *job = running->job;
	*running = (struct running){0};
	compiler->running_count--;
	watch(compiler);
	if (job) {
		struct gd_verdict_limits limits = {.timeout_ms = compiler->config.timeout_ms,
						   .cpu_ms = compiler->config.cpu_ms,
						   .memory_bytes = compiler->config.memory_bytes};
		gd_verdict(job, report, &compiler->toolchain.id, &limits);
		finish(job);
	}
}

static void take_report(struct gd_compiler *compiler, struct gd_report *report)
{
	if (report->type == GD_REPORT_HELLO && !compiler->greeted) {
		compiler->greeted = true;
		compiler->backoff_ms = BACKOFF_MIN_MS;
		compiler->failed_starts = 0;
		report->toolchain.why_not[sizeof report->toolchain.why_not - 1] = '\0';
		report->toolchain.id.version[sizeof report->toolchain.id.version - 1] = '\0';
		report->toolchain.id.build_id[sizeof report->toolchain.id.build_id - 1] = '\0';
		if (report->toolchain.arch_count > GD_TOOLCHAIN_ARCHS)
			report->toolchain.arch_count = GD_TOOLCHAIN_ARCHS;
		set_toolchain(compiler, &report->toolchain);
	} else if (report->type == GD_REPORT_ENDED && report->ending < GD_ENDING_COUNT) {
		end_job(compiler, report);
	}
}

static void on_socket(struct gd_source *source, uint32_t events)
{
	(void)events;
	struct gd_compiler *compiler = gd_container(source, struct gd_compiler, socket);
	while (compiler->child.pid) {
		struct gd_report report;
		int fds[GD_FDS_MAX];
		size_t count;
		ssize_t got = gd_message_receive(source->fd, &report, sizeof report, fds, &count);
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
		if (got < 0 && errno == EAGAIN)
			break;
		if (got != (ssize_t)sizeof report) {
			lose_child(compiler);
			return;
		}
		take_report(compiler, &report);
	}
	start_waiting(compiler);
}

static void on_death(struct gd_source *source, uint32_t events)
{
	(void)events;
	lose_child(gd_container(source, struct gd_compiler, death));
}

static void on_watchdog(struct gd_timer *timer)
{
	struct gd_compiler *compiler = gd_container(timer, struct gd_compiler, watchdog);
	if (patience_ends(compiler) <= gd_now_ns())
		lose_child(compiler);
	else
		watch(compiler);
}

static void on_restart(struct gd_timer *timer)
{
	start_child(gd_container(timer, struct gd_compiler, restart));
}

static bool spawn(struct gd_compiler *compiler, struct gd_error *error)
{
	char jobs[16], timeout[16], cpu[16], memory[24];
	const struct gd_compiler_config *config = &compiler->config;
	snprintf(jobs, sizeof jobs, "%u", config->jobs);
	snprintf(timeout, sizeof timeout, "%u", config->timeout_ms);
	snprintf(cpu, sizeof cpu, "%u", config->cpu_ms);
	snprintf(memory, sizeof memory, "%" PRIu64, config->memory_bytes);
	const char *arguments[] = {compiler->nvrtc, jobs, timeout, cpu, memory, NULL};
	/* NVRTC's own cache lives in files, and its other variables change what is compiled */
	static const char *const environment[] = {"CUDA_CACHE_DISABLE=1", NULL};
	if (!gd_child_start(GD_COMPILER_ROLE, arguments, environment, &compiler->child, error))
		return false;
	compiler->greeted = false;
	compiler->spawned_ns = gd_now_ns();
	watch(compiler);
	compiler->socket = (struct gd_source){.fd = compiler->child.socket, .fn = on_socket};
	compiler->death = (struct gd_source){.fd = compiler->child.pid_fd, .fn = on_death};
	if (gd_loop_add(compiler->loop, &compiler->socket, EPOLLIN, error) &&
	    gd_loop_add(compiler->loop, &compiler->death, EPOLLIN, error))
		return true;
	close_child(compiler);
	return false;
}

static void start_child(struct gd_compiler *compiler)
{
	struct gd_error error;
	if (!spawn(compiler, &error))
		lose_child(compiler);
}

/* Hand a job to the server. False with the job's error set, or with EAGAIN in it: later. */
static bool send_job(struct gd_compiler *compiler, struct gd_compile_job *job, struct gd_error *error)
{
	size_t bytes;
	gd_auto_free uint8_t *request =
	    gd_request_encode(job->program, job->kind, job->compute_capability, &bytes);
	if (!request)
		return gd_error_errno(error, ENOMEM, "cannot hand over a compile");
	gd_auto_close int request_fd = gd_shm_of("compile-request", request, bytes, error);
	gd_auto_close int result_fd =
	    request_fd < 0 ? -1 : gd_shm_new("compile-result", GD_RESULT_BYTES, error);
	if (result_fd < 0)
		return false;
	struct gd_order order = {.type = GD_ORDER_COMPILE, .id = ++compiler->next_id, .request_bytes = bytes};
	int fds[] = {request_fd, result_fd};
	if (!gd_message_send(compiler->child.socket, &order, sizeof order, fds, 2, error))
		return false;
	job->id = order.id;
	job->result_fd = gd_move_fd(&result_fd);
	return true;
}

static struct running *free_running(struct gd_compiler *compiler)
{
	for (uint32_t i = 0; i < compiler->config.jobs; i++)
		if (!compiler->running[i].id)
			return &compiler->running[i];
	return NULL;
}

static void start_waiting(struct gd_compiler *compiler)
{
	while (compiler->greeted && compiler->toolchain.available && compiler->waiting.count) {
		struct running *running = free_running(compiler);
		if (!running)
			return;
		struct gd_compile_job *job = gd_job_queue_take(&compiler->waiting);
		struct gd_error error = {0};
		job->attempts++;
		if (!send_job(compiler, job, &error)) {
			bool gone =
			    error.native == EPIPE || error.native == ECONNRESET || error.native == EAGAIN;
			job->attempts--;
			if (gone) {
				/* its death is about to be told; EAGAIN: an end is, and makes room */
				gd_job_queue_prepend(&compiler->waiting, job);
				return;
			}
			job->error = error;
			job->retryable = true;
			finish(job);
			continue;
		}
		job->state = GD_JOB_RUNNING;
		job->started_ns = gd_now_ns();
		job->queue_ns = job->started_ns - job->submitted_ns;
		*running = (struct running){.id = job->id, .started_ns = job->started_ns, .job = job};
		compiler->running_count++;
		watch(compiler);
	}
}

static void apply_defaults(struct gd_compiler_config *config)
{
	if (!config->jobs) {
		long cores = sysconf(_SC_NPROCESSORS_ONLN);
		config->jobs = cores > 0 ? (uint32_t)cores : 1;
	}
	if (config->jobs > JOBS_MAX)
		config->jobs = JOBS_MAX;
	if (!config->queue_max)
		config->queue_max = QUEUE_DEFAULT;
	if (!config->timeout_ms)
		config->timeout_ms = TIMEOUT_DEFAULT_MS;
	if (!config->cpu_ms)
		config->cpu_ms = TIMEOUT_DEFAULT_MS;
	if (!config->memory_bytes)
		config->memory_bytes = MEMORY_DEFAULT;
}

bool gd_compiler_new(struct gd_loop *loop, const struct gd_compiler_config *config,
		     void (*changed)(void *context), void *context, struct gd_compiler **out_compiler,
		     struct gd_error *error)
{
	struct gd_compiler *compiler = calloc(1, sizeof *compiler);
	if (!compiler)
		return gd_error_errno(error, ENOMEM, "cannot make the compiler");
	compiler->loop = loop;
	compiler->config = *config;
	apply_defaults(&compiler->config);
	snprintf(compiler->nvrtc, sizeof compiler->nvrtc, "%s", config->nvrtc ? config->nvrtc : "");
	compiler->config.nvrtc = compiler->nvrtc;
	compiler->changed = changed;
	compiler->context = context;
	compiler->backoff_ms = BACKOFF_MIN_MS;
	compiler->restart.fn = on_restart;
	compiler->watchdog.fn = on_watchdog;
	if (!spawn(compiler, error)) {
		free(compiler);
		return false;
	}
	*out_compiler = compiler;
	return true;
}

void gd_compiler_free(struct gd_compiler *compiler)
{
	if (!compiler)
		return;
	compiler->closing = true;
	gd_loop_disarm(compiler->loop, &compiler->restart);
	gd_loop_disarm(compiler->loop, &compiler->watchdog);
	close_child(compiler);
	for (uint32_t i = 0; i < JOBS_MAX; i++) {
		struct gd_compile_job *job = compiler->running[i].job;
		compiler->running[i] = (struct running){0};
		if (job)
			fail_job(job, GD_DRAINING, fix_later, "the service is ending");
	}
	fail_waiting(compiler, GD_DRAINING, fix_later, "the service is ending");
	free(compiler);
}

const struct gd_toolchain *gd_compiler_toolchain(const struct gd_compiler *compiler)
{
	return &compiler->toolchain;
}

static bool knows_architecture(const struct gd_toolchain *toolchain, int compute_capability)
{
	for (uint32_t i = 0; i < toolchain->arch_count; i++)
		if (toolchain->archs[i] == compute_capability)
			return true;
	return false;
}

bool gd_compiler_submit(struct gd_compiler *compiler, struct gd_compile_job *job, struct gd_error *error)
{
	const struct gd_toolchain *toolchain = &compiler->toolchain;
	if (compiler->closing)
		return gd_error_set(error, GD_DRAINING, fix_later, "the service is ending");
	if (gd_program_language(job->program) != GD_LANGUAGE_CUDA)
		return gd_error_set(error, GD_INVALID_REQUEST, NULL, "only CUDA C++ is compiled");
	if (toolchain->known && !toolchain->available)
		return gd_error_set(error, GD_BACKEND_UNAVAILABLE, fix_nvrtc, "%s", toolchain->why_not);
	if (toolchain->known && job->kind == GD_COMPILE_CUDA &&
	    !knows_architecture(toolchain, job->compute_capability))
		return gd_error_set(error, GD_INVALID_REQUEST, "Install a newer NVRTC on the server.",
				    "NVRTC %s cannot compile for sm_%d", toolchain->id.version,
				    job->compute_capability);
	if (compiler->waiting.count >= compiler->config.queue_max)
		return gd_error_set(error, GD_OVERLOADED, fix_later, "%u compiles wait already",
				    compiler->waiting.count);
	job->artifact = NULL;
	job->error = (struct gd_error){0};
	job->diagnostics = (struct gd_diagnostics){0};
	job->retryable = false;
	job->queue_ns = job->compile_ns = job->started_ns = job->id = 0;
	job->attempts = 0;
	job->result_fd = -1;
	job->compiler = compiler;
	job->submitted_ns = gd_now_ns();
	gd_job_queue_append(&compiler->waiting, job);
	start_waiting(compiler);
	return true;
}

void gd_compiler_cancel(struct gd_compiler *compiler, struct gd_compile_job *job)
{
	if (job->state == GD_JOB_WAITING) {
		gd_job_queue_remove(&compiler->waiting, job);
	} else if (job->state == GD_JOB_RUNNING) {
		struct running *running = find_running(compiler, job->id);
		struct gd_order order = {.type = GD_ORDER_CANCEL, .id = job->id};
		if (running)
			running->job = NULL;
		/* when this cannot be sent the fork ends at its own limits */
		gd_message_send(compiler->child.socket, &order, sizeof order, NULL, 0, NULL);
		close(job->result_fd);
		job->result_fd = -1;
	}
	job->state = GD_JOB_NONE;
	job->compiler = NULL;
}

void gd_compiler_load(const struct gd_compiler *compiler, uint32_t *out_waiting, uint32_t *out_running)
{
	*out_waiting = compiler->waiting.count;
	*out_running = compiler->running_count;
}
