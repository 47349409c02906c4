/*
 * What a compile made: target, entry, signature, PTX, cubin, log.
 *
 * Immutable once made, reference-counted (atomic); fields are public to read and never written after
 * gd_artifact_new. Any thread. It loads nothing and stores nothing; gpu/cache does.
 */
#ifndef GD_PROGRAM_ARTIFACT_H
#define GD_PROGRAM_ARTIFACT_H

#include "gpu/base/cleanup.h"
#include "gpu/base/error.h"
#include "gpu/base/sha256.h"
#include "gpu/program/diagnostics.h"
#include "gpu/program/program.h"
#include "gpu/program/signature.h"

#include <stdatomic.h>

#define GD_TARGET_BYTES  32u /* "sm_90", "reference-sm_90" with its NUL */
#define GD_VERSION_BYTES 16u /* "13.0" with its NUL */

/* Which NVRTC made it; empty texts for posted PTX and cubin. */
struct gd_toolchain_id {
	char version[GD_VERSION_BYTES];   /* "13.0" */
	char build_id[GD_SHA256_HEX + 1]; /* SHA-256 of the library file */
};

struct gd_artifact {
	_Atomic uint32_t references;
	char target[GD_TARGET_BYTES];
	struct gd_toolchain_id toolchain;
	char *entry; /* symbol in the image (mangled) */
	struct gd_signature signature;
	char *ptx; /* NUL-terminated, NULL when there is none (posted cubin) */
	size_t ptx_bytes;
	void *cubin; /* NULL when there is none (reference, posted PTX) */
	size_t cubin_bytes;
	uint8_t ptx_sha256[GD_SHA256_BYTES], cubin_sha256[GD_SHA256_BYTES]; /* zeroes for what is absent */
	struct gd_diagnostics diagnostics;                                  /* with the raw log */
	bool reproducible;   /* false: names with internal linkage, or the date, got into it */
	uint64_t compile_ns; /* 0 when no compiler ran */
};

/* What gd_artifact_new takes; everything is borrowed and copied. The digests are computed, not taken. */
struct gd_artifact_parts {
	const char *target;
	struct gd_toolchain_id toolchain;
	const char *entry;
	const struct gd_signature *signature;
	const char *ptx;
	size_t ptx_bytes;
	const void *cubin;
	size_t cubin_bytes;
	const struct gd_diagnostics *diagnostics; /* may be NULL */
	bool reproducible;
	uint64_t compile_ns;
};

/* One reference. Fails: GD_INTERNAL_STATE (no memory; no entry; neither PTX nor cubin). */
bool gd_artifact_new(const struct gd_artifact_parts *parts, struct gd_artifact **out_artifact,
		     struct gd_error *error);
struct gd_artifact *gd_artifact_ref(struct gd_artifact *artifact);
/* Drop one reference; NULL is a no-op. */
void gd_artifact_free(struct gd_artifact *artifact);
GD_DEFINE_SCOPED(gd_artifact);
#define gd_auto_artifact gd_scoped(gd_artifact_scoped)
/* Bytes of memory that it holds, for the accounting of caches. */
size_t gd_artifact_bytes(const struct gd_artifact *artifact);

/*
 * Make an artifact of a program that was posted as PTX or cubin: no compiler runs. `target` is kept as it is.
 * Entries and parameter sizes are read from PTX; a cubin's entry is the kernel text and its parameters must
 * be declared. Fails: GD_INVALID_PROGRAM (no such entry; several and no kernel named; parameters that must be
 * declared; a declaration that disagrees), GD_INVALID_REQUEST (a CUDA program).
 */
bool gd_artifact_from_posted(const struct gd_program *program, const char *target,
			     struct gd_artifact **out_artifact, struct gd_error *error);

/*
 * Key of a compiled artifact in caches and stores: key version, program digest, target, NVRTC version and
 * build id. For posted PTX and cubin the toolchain is empty.
 */
void gd_artifact_key(const uint8_t program_digest[GD_SHA256_BYTES], const char *target,
		     const struct gd_toolchain_id *toolchain, uint8_t out_key[GD_SHA256_BYTES]);

#endif
