/*
 * A library that looks like libcuda and is none: every call is counted, can be told to fail, and keeps books
 * of what it has handed out. Device memory is host memory that comes back full of 0xA5; kernels are a few C
 * functions, chosen by name. Tests load it by GPUDISPATCH_LIBCUDA and steer it through the struct below. One
 * thread.
 */
#ifndef GD_TESTS_CUDA_STUB_H
#define GD_TESTS_CUDA_STUB_H

#include "gpu/device/cuda/driver.h"

#define STUB_DIRT        0xA5
#define STUB_GRANULARITY 65536u

enum stub_call {
#define STUB_CALL(field, symbol, parameters) STUB_##field,
	GD_CUDA_REQUIRED(STUB_CALL) GD_CUDA_OPTIONAL(STUB_CALL)
#undef STUB_CALL
	    STUB_CALL_COUNT
};

enum stub_kind {
	STUB_CONTEXTS,
	STUB_STREAMS,
	STUB_EVENTS,
	STUB_MODULES,
	STUB_MEMORY,
	STUB_ALLOCATIONS,
	STUB_RESERVATIONS,
	STUB_MAPPINGS,
	STUB_REGISTRATIONS,
	STUB_KIND_COUNT
};

struct stub {
	/* What the tests set. */
	int fail_call;  /* enum stub_call; -1: none fails */
	int fail_after; /* so many calls of it succeed first */
	gd_cu_result fail_result;
	int pending;         /* so many event queries answer NOT_READY from now on; -1: all */
	int attributes[128]; /* device attributes by number */
	int occupancy;
	int local_bytes, shared_bytes, max_threads;
	int kernel_faults; /* non-zero: the CUresult that event queries give after a launch */
	float elapsed_ms;  /* between any two events */
	int param_bytes;   /* of the kernel "wide", which has one parameter of this size */

	/* What the tests read. */
	int calls[STUB_CALL_COUNT];
	int live[STUB_KIND_COUNT];
	int launches_in_queue, deepest_queue; /* launches since the last event query that answered */
	int last_dynamic_limit;
	unsigned register_flags[2]; /* of the last two registrations, newest first */
};

/* Exported by the library under this name. */
typedef struct stub *stub_get_fn(void);
#define STUB_GET_SYMBOL "stub_get"

#endif
