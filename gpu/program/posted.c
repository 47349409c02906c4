#include "gpu/program/artifact.h"
#include "gpu/program/ptx.h"

#include <string.h>

static bool must_declare(struct gd_error *error)
{
	gd_error_set(error, GD_INVALID_PROGRAM,
		     "Declare every parameter of the kernel in `params`, in order.",
		     "PTX and cubins do not tell the types of a kernel's parameters");
	return gd_error_at(error, "/params");
}

static bool no_such_entry(const struct gd_ptx *ptx, const char *kernel, struct gd_error *error)
{
	char list[320];
	gd_ptx_list(ptx, list, sizeof list);
	if (!ptx->count)
		return gd_error_set(error, GD_INVALID_PROGRAM, "Send PTX with an .entry.",
				    "the PTX has no kernel");
	gd_error_set(error, GD_INVALID_PROGRAM, "Name one of them in `kernel`.",
		     kernel[0] ? "the PTX has no kernel of that name; it has %s"
			       : "the PTX has several kernels: %s",
		     list);
	return gd_error_at(error, "/kernel");
}

static bool from_ptx(const struct gd_program *program, const struct gd_ptx *ptx,
		     struct gd_artifact_parts *parts, struct gd_signature *out_signature,
		     struct gd_error *error)
{
	const char *kernel = gd_program_kernel(program);
	const struct gd_ptx_entry *entry = kernel[0]         ? gd_ptx_find(ptx, kernel)
					   : ptx->count == 1 ? &ptx->entries[0]
							     : NULL;
	if (!entry)
		return no_such_entry(ptx, kernel, error);
	if (entry->count && !gd_program_declared(program))
		return must_declare(error);
	parts->entry = entry->name;
	return gd_signature_of_slots(entry->slots, entry->count, out_signature, error);
}

static bool from_cubin(const struct gd_program *program, struct gd_artifact_parts *parts,
		       struct gd_signature *out_signature, struct gd_error *error)
{
	const struct gd_signature *declared = gd_program_declared(program);
	parts->entry = gd_program_kernel(program);
	if (!parts->entry[0]) {
		gd_error_set(error, GD_INVALID_PROGRAM, "Name the kernel's symbol in `kernel`.",
			     "a cubin needs the name of its kernel");
		return gd_error_at(error, "/kernel");
	}
	if (!declared)
		return must_declare(error);
	if (!gd_signature_init(out_signature, declared->count, error))
		return false;
	for (uint32_t i = 0; i < declared->count; i++)
		out_signature->params[i].size = declared->params[i].size;
	return true;
}

bool gd_artifact_from_posted(const struct gd_program *program, const char *target,
			     struct gd_artifact **out_artifact, struct gd_error *error)
{
	gd_auto_signature struct gd_signature signature = {0};
	gd_auto_ptx struct gd_ptx ptx = {0};
	struct gd_artifact_parts parts = {.target = target, .signature = &signature, .reproducible = true};
	size_t bytes;
	const char *source = gd_program_source(program, &bytes);
	switch (gd_program_language(program)) {
	case GD_LANGUAGE_PTX:
		parts.ptx = source;
		parts.ptx_bytes = bytes;
		if (!gd_ptx_scan(source, bytes, &ptx, error) ||
		    !from_ptx(program, &ptx, &parts, &signature, error))
			return false;
		break;
	case GD_LANGUAGE_CUBIN:
		parts.cubin = source;
		parts.cubin_bytes = bytes;
		if (!from_cubin(program, &parts, &signature, error))
			return false;
		break;
	case GD_LANGUAGE_CUDA:
		return gd_error_set(error, GD_INVALID_REQUEST, NULL, "CUDA C++ must be compiled");
	}
	return gd_signature_merge(&signature, gd_program_declared(program), error) &&
	       gd_artifact_new(&parts, out_artifact, error);
}
