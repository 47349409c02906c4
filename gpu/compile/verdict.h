/*
 * What became of a compile: from how its process ended and what it left, to an artifact or an error. Front
 * side, the supervisor's thread; the result is read as if somebody hostile had written it.
 */
#ifndef GD_COMPILE_VERDICT_H
#define GD_COMPILE_VERDICT_H

#include "gpu/compile/compiler.h"
#include "gpu/compile/message.h"

struct gd_verdict_limits {
	uint32_t timeout_ms, cpu_ms;
	uint64_t memory_bytes;
};

/*
 * Set job->artifact, or job->error with job->diagnostics and job->retryable. job->result_fd is read and stays
 * open.
 */
void gd_verdict(struct gd_compile_job *job, const struct gd_report *report,
		const struct gd_toolchain_id *toolchain, const struct gd_verdict_limits *limits);

#endif
