#include "gpu/compile/verdict.h"

#include "gpu/base/clock.h"
#include "gpu/base/shm.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static bool compile_failed(struct gd_error *error, const char *fix, const char *text)
{
	return gd_error_set(error, GD_KERNEL_COMPILE_FAILED, fix, "%s", text);
}

/* SIGPROF and SIGXCPU are the CPU limit's; the rest is how a compiler dies that asked for too much. */
static bool explain_signal(struct gd_compile_job *job, int signal_number,
			   const struct gd_verdict_limits *limits)
{
	char text[160];
	switch (signal_number) {
	case SIGPROF:
	case SIGXCPU:
		snprintf(text, sizeof text, "compilation took longer than %u ms of processor time",
			 limits->cpu_ms);
		return compile_failed(&job->error, "Simplify templates, macros and unrolled loops.", text);
	case SIGSYS:
		return compile_failed(&job->error, "Simplify the source.",
				      "the compiler tried something that is not allowed here");
	case SIGKILL:
		job->retryable = true;
		return gd_error_set(&job->error, GD_INTERNAL_STATE, "Send the request again.",
				    "the compile was killed from outside, perhaps for memory");
	default:
		snprintf(text, sizeof text,
			 "the compiler gave up (signal %d), most often for lack of its %llu MiB",
			 signal_number, (unsigned long long)(limits->memory_bytes >> 20));
		return compile_failed(
		    &job->error,
		    "Use smaller arrays, fewer branches and less unrolling, or split the source.", text);
	}
}

static bool explain_ending(struct gd_compile_job *job, const struct gd_report *report,
			   const struct gd_verdict_limits *limits)
{
	char text[160];
	switch ((enum gd_ending)report->ending) {
	case GD_ENDED_TIMEOUT:
		snprintf(text, sizeof text, "compilation took longer than %u ms", limits->timeout_ms);
		return compile_failed(&job->error, "Simplify templates, macros and unrolled loops.", text);
	case GD_ENDED_SIGNAL:
		return explain_signal(job, report->value, limits);
	case GD_ENDED_NO_BOX:
		return gd_error_set(&job->error, GD_BACKEND_UNAVAILABLE,
				    "Run on Linux with Landlock or seccomp, and allow them in the container.",
				    "sources are not compiled here: no sandbox can be had");
	default:
		job->retryable = true;
		return gd_error_set(&job->error, GD_INTERNAL_STATE, "Send the request again.",
				    "the compile could not be run (%d, %d)", (int)report->ending,
				    report->value);
	}
}

/* "kernel.cu(3): identifier "x" is undefined", from the first error of the log */
static bool explain_refusal(struct gd_compile_job *job, const struct gd_result *result,
			    const struct gd_verdict_limits *limits)
{
	const struct gd_diagnostic *first = NULL;
	if (!gd_diagnostics_parse(result->log.text, result->log.bytes, &job->diagnostics, &job->error))
		return false;
	for (uint32_t i = 0; i < job->diagnostics.count && !first; i++)
		if (job->diagnostics.items[i].severity == GD_SEVERITY_ERROR)
			first = &job->diagnostics.items[i];
	/* NVRTC says it in two ways: the front end's own words, or a status without a log */
	if (first ? !strncmp(first->message, "out of memory", 13)
		  : job->diagnostics.log && strstr(job->diagnostics.log, "OUT_OF_MEMORY")) {
		char text[160];
		snprintf(text, sizeof text, "compilation needs more than the %llu MiB that it may use",
			 (unsigned long long)(limits->memory_bytes >> 20));
		return compile_failed(&job->error, "Simplify the source, or split it.", text);
	}
	if (!first)
		return compile_failed(&job->error, "See the log.", "the compiler refused the source");
	const char *line_end = strchrnul(first->message, '\n');
	int shown = line_end - first->message < 300 ? (int)(line_end - first->message) : 300;
	if (first->line)
		gd_error_set(&job->error, GD_KERNEL_COMPILE_FAILED, "Correct the source at this line.",
			     "%.80s(%u): %.*s", first->file, first->line, shown, first->message);
	else
		gd_error_set(&job->error, GD_KERNEL_COMPILE_FAILED, "See the log.", "%.*s", shown,
			     first->message);
	return false;
}

static bool take_artifact(struct gd_compile_job *job, struct gd_result *result,
			  const struct gd_toolchain_id *toolchain)
{
	char target[GD_TARGET_BYTES];
	gd_auto_diagnostics struct gd_diagnostics diagnostics = {0};
	if (!gd_diagnostics_parse(result->log.text, result->log.bytes, &diagnostics, &job->error))
		return false;
	if (!gd_signature_merge(&result->signature, gd_program_declared(job->program), &job->error)) {
		job->diagnostics = diagnostics;
		diagnostics = (struct gd_diagnostics){0};
		return false;
	}
	if (job->kind == GD_COMPILE_CUDA)
		snprintf(target, sizeof target, "sm_%d", job->compute_capability);
	else
		snprintf(target, sizeof target, "reference-sm_90");
	struct gd_artifact_parts parts = {.target = target,
					  .toolchain = *toolchain,
					  .entry = result->entry.text,
					  .signature = &result->signature,
					  .ptx = result->ptx.text,
					  .ptx_bytes = result->ptx.bytes,
					  .cubin = result->cubin.bytes ? result->cubin.text : NULL,
					  .cubin_bytes = result->cubin.bytes,
					  .diagnostics = &diagnostics,
					  .reproducible = result->is_reproducible,
					  .compile_ns = gd_now_ns() - job->started_ns};
	return gd_artifact_new(&parts, &job->artifact, &job->error);
}

static bool explain_no_kernel(struct gd_compile_job *job, const struct gd_result *result)
{
	gd_error_set(&job->error, GD_INVALID_PROGRAM, result->fix.text, "%s", result->text.text);
	gd_error_at(&job->error, "%s", result->pointer.text);
	/* the error stands even when its log cannot be held */
	gd_diagnostics_parse(result->log.text, result->log.bytes, &job->diagnostics, NULL);
	return false;
}

static bool read_result(struct gd_compile_job *job, const uint8_t *memory,
			const struct gd_toolchain_id *toolchain, const struct gd_verdict_limits *limits)
{
	struct gd_result result;
	if (!gd_result_decode(memory, GD_RESULT_BYTES, &result, &job->error)) {
		job->retryable = true;
		return false;
	}
	bool made = false;
	switch (result.outcome) {
	case GD_OUTCOME_MADE:
		made = take_artifact(job, &result, toolchain);
		break;
	case GD_OUTCOME_REFUSED:
		explain_refusal(job, &result, limits);
		break;
	case GD_OUTCOME_NO_KERNEL:
		explain_no_kernel(job, &result);
		break;
	case GD_OUTCOME_BROKEN:
		gd_error_set(&job->error, GD_INTERNAL_STATE, NULL, "%s", result.text.text);
		break;
	}
	gd_signature_done(&result.signature);
	return made;
}

void gd_verdict(struct gd_compile_job *job, const struct gd_report *report,
		const struct gd_toolchain_id *toolchain, const struct gd_verdict_limits *limits)
{
	if (report->ending != GD_ENDED_WELL) {
		explain_ending(job, report, limits);
		return;
	}
	uint8_t *memory = gd_shm_map(job->result_fd, GD_RESULT_BYTES, false, &job->error);
	if (!memory) {
		job->retryable = true;
		return;
	}
	read_result(job, memory, toolchain, limits);
	gd_shm_unmap(memory, GD_RESULT_BYTES);
}
