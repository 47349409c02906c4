#include "gpu/program/artifact.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Grows with every change of what an artifact means to its readers: old entries are then never found. */
enum { ARTIFACT_KEY_VERSION = 1 };

static void *copy_bytes(const void *data, size_t bytes)
{
	/* one byte more, a NUL, so that PTX is text for whoever loads it */
	char *copy = malloc(bytes + 1);
	if (!copy)
		return NULL;
	memcpy(copy, data, bytes);
	copy[bytes] = '\0';
	return copy;
}

static bool fill(struct gd_artifact *artifact, const struct gd_artifact_parts *parts, struct gd_error *error)
{
	snprintf(artifact->target, sizeof artifact->target, "%s", parts->target);
	artifact->toolchain = parts->toolchain;
	artifact->reproducible = parts->reproducible;
	artifact->compile_ns = parts->compile_ns;
	artifact->entry = copy_bytes(parts->entry, strlen(parts->entry));
	if (!artifact->entry)
		return gd_error_errno(error, ENOMEM, "cannot hold an artifact");
	if (parts->ptx) {
		artifact->ptx = copy_bytes(parts->ptx, parts->ptx_bytes);
		if (!artifact->ptx)
			return gd_error_errno(error, ENOMEM, "cannot hold an artifact");
		artifact->ptx_bytes = parts->ptx_bytes;
		gd_sha256_of(parts->ptx, parts->ptx_bytes, artifact->ptx_sha256);
	}
	if (parts->cubin) {
		artifact->cubin = copy_bytes(parts->cubin, parts->cubin_bytes);
		if (!artifact->cubin)
			return gd_error_errno(error, ENOMEM, "cannot hold an artifact");
		artifact->cubin_bytes = parts->cubin_bytes;
		gd_sha256_of(parts->cubin, parts->cubin_bytes, artifact->cubin_sha256);
	}
	if (!gd_signature_copy(parts->signature, &artifact->signature, error))
		return false;
	return !parts->diagnostics || gd_diagnostics_copy(parts->diagnostics, &artifact->diagnostics, error);
}

bool gd_artifact_new(const struct gd_artifact_parts *parts, struct gd_artifact **out_artifact,
		     struct gd_error *error)
{
	if (!parts->entry || !parts->entry[0] || (!parts->ptx && !parts->cubin))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "an artifact without entry or image");
	gd_auto_artifact struct gd_artifact *artifact = calloc(1, sizeof *artifact);
	if (!artifact)
		return gd_error_errno(error, ENOMEM, "cannot hold an artifact");
	atomic_init(&artifact->references, 1);
	if (!fill(artifact, parts, error))
		return false;
	*out_artifact = gd_move(artifact);
	return true;
}

struct gd_artifact *gd_artifact_ref(struct gd_artifact *artifact)
{
	atomic_fetch_add_explicit(&artifact->references, 1, memory_order_relaxed);
	return artifact;
}

void gd_artifact_free(struct gd_artifact *artifact)
{
	if (!artifact || atomic_fetch_sub_explicit(&artifact->references, 1, memory_order_acq_rel) != 1)
		return;
	free(artifact->entry);
	free(artifact->ptx);
	free(artifact->cubin);
	gd_signature_done(&artifact->signature);
	gd_diagnostics_done(&artifact->diagnostics);
	free(artifact);
}

size_t gd_artifact_bytes(const struct gd_artifact *artifact)
{
	size_t bytes = sizeof *artifact + artifact->ptx_bytes + artifact->cubin_bytes +
		       artifact->signature.count * sizeof *artifact->signature.params +
		       artifact->diagnostics.count * sizeof *artifact->diagnostics.items;
	for (uint32_t i = 0; i < artifact->signature.count; i++)
		bytes += strlen(artifact->signature.params[i].name) + 1;
	/* the list quotes the log, so it is about as large again */
	if (artifact->diagnostics.log)
		bytes += 2 * strlen(artifact->diagnostics.log);
	return bytes;
}

void gd_artifact_key(const uint8_t program_digest[GD_SHA256_BYTES], const char *target,
		     const struct gd_toolchain_id *toolchain, uint8_t out_key[GD_SHA256_BYTES])
{
	struct gd_sha256 hash;
	gd_sha256_init(&hash);
	gd_sha256_add_text(&hash, "gpudispatch artifact key");
	gd_sha256_add_u64(&hash, ARTIFACT_KEY_VERSION);
	gd_sha256_add_field(&hash, program_digest, GD_SHA256_BYTES);
	gd_sha256_add_text(&hash, target);
	gd_sha256_add_text(&hash, toolchain->version);
	gd_sha256_add_text(&hash, toolchain->build_id);
	gd_sha256_done(&hash, out_key);
}
