/*
 * The compiler as the front sees it: jobs go in, artifacts or diagnosed errors come out.
 *
 * A compiler owns one fork-server child (gd-compiler) and the jobs that wait for it or run in it; every job
 * is compiled in a sandboxed fork of its own. Everything here is called on, and every callback runs on, the
 * thread of the loop that gd_compiler_new got (the supervisor's). Nothing blocks. What the child writes is
 * not trusted.
 *
 * It keeps no cache and merges no equal jobs: gpu/cache does. Programs posted as PTX or cubin need no
 * compiler: see gd_artifact_from_posted.
 */
#ifndef GD_COMPILE_COMPILER_H
#define GD_COMPILE_COMPILER_H

#include "gpu/base/error.h"
#include "gpu/base/loop.h"
#include "gpu/program/artifact.h"
#include "gpu/program/diagnostics.h"
#include "gpu/program/program.h"

#include <stdint.h>

#define GD_COMPILER_ROLE   "gd-compiler"
#define GD_TOOLCHAIN_ARCHS 32u

struct gd_compiler_config {
	const char *nvrtc;     /* path of libnvrtc; NULL or "" searches (see nvrtc.h) */
	uint32_t jobs;         /* compiles at the same time, 1 to 64; 0: as many as cores */
	uint32_t queue_max;    /* jobs that may wait beyond those; 0: 256 */
	uint32_t timeout_ms;   /* wall clock per job; 0: 30 000 */
	uint32_t cpu_ms;       /* CPU time per job; 0: 30 000 */
	uint64_t memory_bytes; /* address space of a job; 0: 2 GiB; at least what NVRTC itself maps */
};

/* What the child said of its NVRTC. */
struct gd_toolchain {
	bool known;     /* it has said anything yet */
	bool available; /* sources can be compiled */
	struct gd_toolchain_id id;
	uint32_t arch_count;
	int archs[GD_TOOLCHAIN_ARCHS]; /* supported compute capabilities: 75, 80, 90 … */
	bool has_headers;              /* cuda_fp16.h and its like can be included */
	char why_not[240];             /* while known and not available */
};

enum gd_compile_kind {
	GD_COMPILE_CUDA,     /* cubin and PTX for sm_XY */
	GD_COMPILE_REFERENCE /* PTX for compute_90 */
};

/*
 * One compile, embedded in its owner, which fills the first part. The job must stay alive until `done` has
 * run or gd_compiler_cancel has returned.
 */
struct gd_compile_job {
	struct gd_program *program; /* a reference that the owner keeps until done */
	enum gd_compile_kind kind;
	int compute_capability; /* 90 for sm_90; ignored for reference */
	void (*done)(struct gd_compile_job *job);

	/* set before done: an artifact (the owner now has its reference) or, when it is NULL, an error */
	struct gd_artifact *artifact;
	struct gd_error error;
	bool retryable; /* the failure was ours (the compiler process died), not the program's */
	struct gd_diagnostics
	    diagnostics; /* of a failure; the owner calls gd_diagnostics_done. Empty on success */
	uint64_t queue_ns, compile_ns;

	/* the compiler's own */
	struct gd_compile_job *next;
	struct gd_compiler *compiler;
	uint64_t id, submitted_ns, started_ns;
	int result_fd;
	uint32_t state, attempts;
};

struct gd_compiler;

/*
 * Start the fork server. Returns before it is ready (its warm compile takes some 200 ms): jobs wait
 * meanwhile. `changed` (may be NULL) runs whenever gd_compiler_toolchain changes. Fails: GD_INTERNAL_STATE.
 */
bool gd_compiler_new(struct gd_loop *loop, const struct gd_compiler_config *config,
		     void (*changed)(void *context), void *context, struct gd_compiler **out_compiler,
		     struct gd_error *error);
/*
 * End the child and its forks; every job that is left is done with GD_DRAINING before this returns. NULL is a
 * no-op.
 */
void gd_compiler_free(struct gd_compiler *compiler);

/* Valid until the next run of the loop. Never NULL. */
const struct gd_toolchain *gd_compiler_toolchain(const struct gd_compiler *compiler);

/*
 * Queue a job. True: `done` will run exactly once, later, never from inside this call. Fails at once, done
 * will not run: GD_OVERLOADED (queue full), GD_BACKEND_UNAVAILABLE (no NVRTC here), GD_INVALID_REQUEST (not
 * CUDA source; an architecture that this NVRTC cannot make), GD_INTERNAL_STATE.
 *
 * The errors that a job can end with: GD_KERNEL_COMPILE_FAILED (NVRTC refused it, or the limit of time or
 * memory was reached), GD_INVALID_PROGRAM (no such kernel, several kernels, parameters that must be declared
 * or disagree), GD_BACKEND_UNAVAILABLE, GD_INTERNAL_STATE (the compiler process died twice under it;
 * retryable), GD_DRAINING.
 */
bool gd_compiler_submit(struct gd_compiler *compiler, struct gd_compile_job *job, struct gd_error *error);

/* Forget a job that was submitted and is not done; its fork is killed. `done` does not run. */
void gd_compiler_cancel(struct gd_compiler *compiler, struct gd_compile_job *job);

/* Jobs waiting and running, for /metrics and /readyz. */
void gd_compiler_load(const struct gd_compiler *compiler, uint32_t *out_waiting, uint32_t *out_running);

/*
 * The child: call it first thing in main() when argv[0] is GD_COMPILER_ROLE. argv is what gd_compiler_new
 * gave gd_child_start: role, parent's pid, NVRTC's path ("" to search), jobs, timeout_ms, cpu_ms,
 * memory_bytes. Returns the exit status.
 */
int gd_compiler_main(int argc, char **argv);

#endif
