/*
 * One compile, inside its sandbox: from a request to a result.
 *
 * Runs in a fork of the server, on its only thread; the process ends after it. It uses memory freely and
 * gives none back: the end of the process does.
 */
#ifndef GD_COMPILE_JOB_H
#define GD_COMPILE_JOB_H

#include "gpu/compile/headers.h"
#include "gpu/compile/message.h"
#include "gpu/compile/nvrtc.h"

/*
 * Compile `request` and write the result to `memory` of `capacity` bytes. False when not even an error could
 * be written.
 */
bool gd_job_run(const struct gd_nvrtc *nvrtc, const struct gd_headers *headers,
		const struct gd_request *request, uint8_t *memory, size_t capacity);

#endif
