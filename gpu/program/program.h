/*
 * A program as a client posts it, validated and canonical, with its digest; and the ids made from it.
 *
 * Immutable once made and reference-counted (atomic): any thread may read it and drop its reference. It
 * compiles nothing and knows no device.
 */
#ifndef GD_PROGRAM_PROGRAM_H
#define GD_PROGRAM_PROGRAM_H

#include "gpu/base/cleanup.h"
#include "gpu/base/error.h"
#include "gpu/base/sha256.h"
#include "gpu/program/signature.h"

#include <stddef.h>
#include <stdint.h>

/* The values enter the digest: never renumber. */
enum gd_language { GD_LANGUAGE_CUDA = 1, GD_LANGUAGE_PTX = 2, GD_LANGUAGE_CUBIN = 3 };

struct gd_header_input {
	const char *name; /* as an #include names it */
	const char *text;
	size_t bytes;
};

/* A declared parameter, in the words of the contract. NULL texts count as absent. */
struct gd_param_input {
	const char *name; /* may be absent */
	const char *type; /* i8 … u64, f16, bf16, f32, f64, bool, buffer, bytes */
	const char
	    *element; /* for buffer: a scalar type, or bytes; absent: the compiler's finding, else bytes */
	const char *
	    access; /* for buffer: read, write, read_write; absent: the compiler's finding, else read_write */
	uint64_t size; /* for bytes, and for buffer with element bytes (size of one element); 0 when absent */
};

/* All borrowed: gd_program_new copies. */
struct gd_program_input {
	enum gd_language language;
	const void *source; /* UTF-8 for CUDA and PTX; need not be terminated */
	size_t source_bytes;
	const char *kernel; /* name or C++ expression; NULL or blank when left out */
	const struct gd_header_input *headers;
	size_t header_count;
	const char *const *options;
	size_t option_count;
	const struct gd_param_input *params;
	size_t param_count;
	bool params_declared;       /* distinguishes `"params": []` from its absence */
	uint32_t workgroup_size[3]; /* all zero counts as absent: 64,1,1 */
};

struct gd_program_limits {
	size_t source_bytes; /* 1 MiB */
	size_t header_count; /* 64 */
	size_t header_bytes; /* all headers together: 1 MiB */
	size_t name_bytes;   /* header and parameter names: 1024 */
};

struct gd_program_limits gd_program_limits_default(void);

struct gd_program;

/*
 * Validate and canonicalise. *out_program has one reference. Fails: GD_TOO_LARGE (source or headers over
 * their limit), GD_INVALID_REQUEST (empty source, no UTF-8, NUL in text, option, header, kernel expression,
 * parameter, workgroup size; pointer says where), GD_INVALID_PROGRAM (CUDA source without __global__),
 * GD_INTERNAL_STATE (no memory).
 */
bool gd_program_new(const struct gd_program_input *input, const struct gd_program_limits *limits,
		    struct gd_program **out_program, struct gd_error *error);
struct gd_program *gd_program_ref(struct gd_program *program);
/* Drop one reference; NULL is a no-op. */
void gd_program_free(struct gd_program *program);
GD_DEFINE_SCOPED(gd_program);
#define gd_auto_program gd_scoped(gd_program_scoped)

enum gd_language gd_program_language(const struct gd_program *program);
/* The source, followed by a NUL that is not counted. */
const char *gd_program_source(const struct gd_program *program, size_t *out_bytes);
/* Canonical kernel text; "" when left out. */
const char *gd_program_kernel(const struct gd_program *program);
size_t gd_program_header_count(const struct gd_program *program);
/* Headers are sorted by name; texts are NUL-terminated. */
struct gd_header_input gd_program_header(const struct gd_program *program, size_t index);
size_t gd_program_option_count(const struct gd_program *program);
const char *gd_program_option(const struct gd_program *program, size_t index);
/* What the client declared; NULL when nothing was. Not laid out. */
const struct gd_signature *gd_program_declared(const struct gd_program *program);
const uint32_t *gd_program_workgroup_size(const struct gd_program *program); /* [3] */
const uint8_t *gd_program_digest(const struct gd_program *program);          /* [GD_SHA256_BYTES] */
/* Bytes of memory that it holds, for the accounting of caches. */
size_t gd_program_bytes(const struct gd_program *program);

#define GD_POLICY_TEXT_BYTES 96u
#define GD_PIPELINE_ID_BYTES 96u /* "reference:" + 64 + NUL, with room */

/*
 * `ulp=None|Some(n):wg=None|Some([x, y, z])`. ulp_budget 0 is None; workgroup_size NULL is None (it is the
 * config's, not the program's).
 */
void gd_policy_text(uint32_t ulp_budget, const uint32_t *workgroup_size, char out_text[GD_POLICY_TEXT_BYTES]);

/* "<backend>:" + hex(SHA-256(id tag, program digest, policy)). `backend` is "cuda", "reference" or "echo". */
void gd_pipeline_id(const char *backend, const uint8_t program_digest[GD_SHA256_BYTES], const char *policy,
		    char out_id[GD_PIPELINE_ID_BYTES]);

#endif
