/*
 * What a CUresult means for the caller: which error code it becomes and whether the process is finished with
 * the GPU.
 *
 * Sticky are the 12 codes of which cuda.h (13.0) says that the process must be terminated and relaunched,
 * further a device-side assertion (710), uncorrectable ECC and NVLink errors (214, 220), every code that
 * means that context or driver is gone, and every code that is not in the table: an unknown failure is taken
 * for the worst. Nothing here calls the driver or keeps state. Any thread.
 */
#ifndef GD_DEVICE_CUDA_RESULT_H
#define GD_DEVICE_CUDA_RESULT_H

#include "gpu/base/error.h"

struct gd_cuda_verdict {
	int result;
	const char *name; /* "CUDA_ERROR_ILLEGAL_ADDRESS" */
	enum gd_code code;
	bool sticky;
	const char *reason; /* a half-sentence for people */
	const char *fix;    /* may be NULL */
};

/* The verdict on any value; never NULL. Codes that cuda.h does not list share one, whose `result` is -1. */
const struct gd_cuda_verdict *gd_cuda_verdict_of(int result);

/* Write the error of a failed call; `doing` names the call or the step. `error` may be NULL. Returns false.
 */
bool gd_cuda_error(struct gd_error *error, int result, const char *doing);

#endif
