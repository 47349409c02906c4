/*
 * An engine within the test: implements gpu/dispatch/engine.h without any process. Included, not linked, by
 * the tests of api/ that need whole exchanges.
 *
 * Kernels come from what a program declares in params, else from saxpy's signature. A dispatch echoes: every
 * writable buffer keeps its initial content and then gets the bytes of the first read-only one, as many as
 * fit. What is asked of it can be looked at afterwards. One thread.
 */
#ifndef GD_TESTS_API_FAKE_ENGINE_H
#define GD_TESTS_API_FAKE_ENGINE_H

#include "gpu/dispatch/engine.h"

#include <stdbool.h>

enum { FAKE_BUFFERS = 16, FAKE_PROGRAMS = 64 };

enum { FAKE_QUEUE_LIMIT = 4 };

struct gd_engine {
	/* how it behaves; set by the test */
	const char *backend; /* "reference" */
	bool is_late;        /* compiles and launches end by mail instead of at once */
	bool never_compiles; /* done comes only from fake_compile_finish */
	struct gd_error compile_error, dispatch_error, new_error; /* code GD_OK: none */
	size_t window_bytes; /* 0: buffers are written and read in place */
	unsigned plan_waits; /* plan says WAIT that many times; UINT_MAX: always */
	bool plan_wakes;     /* and calls writable by mail */
	enum gd_device_state state;
	uint32_t queue_depth; /* of FAKE_QUEUE_LIMIT */
	bool canary_passed, has_no_device, has_no_compiler_yet;
	/* what it saw */
	struct gd_loop *loop;
	uint64_t counters[GD_COUNTERS];
	unsigned compiles, writes, reads, dispatches_alive, kernels_alive;
	struct gd_dispatch_options options; /* of the last start */
	uint8_t params[4096];               /* launch block of the last start */
	uint64_t input_bytes[FAKE_BUFFERS];
	const void *last_output; /* where the last dispatch's first output lies */
	struct gd_compile_request *pending;
	uint8_t seen[FAKE_PROGRAMS][32]; /* programs compiled: the cache */
	unsigned seen_count;
	uint64_t retained[FAKE_BUFFERS]; /* capacity of output slots by parameter */
};

void fake_engine_init(struct gd_engine *engine, struct gd_loop *loop);
/* Let the compile that never_compiles holds back end. */
void fake_compile_finish(struct gd_engine *engine);

#endif
