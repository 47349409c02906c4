/*
 * What front, fork server and compile child tell each other.
 *
 * On the control socket (SOCK_SEQPACKET): fixed structs. In memfds: the request (front to child; the server
 * never maps it) and the result (child to front; nothing in it is trusted). Any thread.
 */
#ifndef GD_COMPILE_MESSAGE_H
#define GD_COMPILE_MESSAGE_H

#include "gpu/base/error.h"
#include "gpu/compile/compiler.h"
#include "gpu/compile/wire.h"
#include "gpu/program/artifact.h"
#include "gpu/program/program.h"
#include "gpu/program/signature.h"

/*
 * Memory for one result: PTX, cubin and log. It is mapped, not written, and takes room only where it is
 * touched. The largest cubins of public libraries' single kernels are a few MiB; more than this is refused
 * with an error.
 */
#define GD_RESULT_BYTES (64u << 20)

enum gd_order_type { GD_ORDER_COMPILE = 1, GD_ORDER_CANCEL = 2 };

/* Front to server. COMPILE carries two descriptors: request, result. */
struct gd_order {
	uint32_t type, reserved;
	uint64_t id;
	uint64_t request_bytes;
};

enum gd_report_type { GD_REPORT_HELLO = 1, GD_REPORT_ENDED = 2 };

/* How a compile child ended; the result counts only after ENDED_WELL. */
enum gd_ending {
	GD_ENDED_WELL,      /* exit status 0 */
	GD_ENDED_NO_FORK,   /* the server could not start it; value is errno */
	GD_ENDED_NO_BOX,    /* no sandbox could be had */
	GD_ENDED_EXITED,    /* another exit status; value */
	GD_ENDED_SIGNAL,    /* value is the signal */
	GD_ENDED_TIMEOUT,   /* killed at the wall-clock limit */
	GD_ENDED_CANCELLED, /* killed because the front asked */
	GD_ENDING_COUNT
};

/* Server to front. */
struct gd_report {
	uint32_t type;
	uint32_t ending; /* enum gd_ending, of ENDED */
	uint64_t id;
	int32_t value, reserved;
	struct gd_toolchain toolchain; /* of HELLO */
};

/* A request as the child sees it; all texts lie in the mapping. */
struct gd_request {
	enum gd_compile_kind kind;
	int compute_capability;
	struct gd_wire_text kernel, source;
	size_t header_count, option_count;
	const char **header_names, **header_texts; /* malloc'ed arrays; the child never frees them */
	const char **options;                      /* canonical spelling */
};

/* malloc'ed bytes for a request. NULL without memory. */
uint8_t *gd_request_encode(const struct gd_program *program, enum gd_compile_kind kind,
			   int compute_capability, size_t *out_bytes);
bool gd_request_decode(const uint8_t *data, size_t bytes, struct gd_request *out_request);

enum gd_outcome {
	GD_OUTCOME_MADE = 1,      /* entry, image and parameters */
	GD_OUTCOME_REFUSED = 2,   /* the compiler says no: the log tells */
	GD_OUTCOME_NO_KERNEL = 3, /* the source alone compiles: text and fix tell */
	GD_OUTCOME_BROKEN = 4     /* our failure: text tells */
};

/* Both ways: the child borrows what it encodes; after decoding, texts lie in the mapping and signature is
 * owned. */
struct gd_result {
	enum gd_outcome outcome;
	struct gd_wire_text text, fix, pointer; /* unless MADE */
	struct gd_wire_text log;
	struct gd_wire_text entry, ptx, cubin; /* of MADE; an empty cubin means none */
	bool is_reproducible;
	bool has_types;                /* the signature's types are known, not only sizes */
	struct gd_signature signature; /* sizes, alignments, offsets always; types and names where known */
};

/* Write a result to `memory`. False when it does not fit; nothing readable is there then. */
bool gd_result_encode(const struct gd_result *result, uint8_t *memory, size_t capacity);
/*
 * Read a result that somebody hostile may have written. Fails: GD_INTERNAL_STATE for anything that does not
 * hold together. On success the caller owns out_result->signature.
 */
bool gd_result_decode(const uint8_t *memory, size_t capacity, struct gd_result *out_result,
		      struct gd_error *error);

#endif
