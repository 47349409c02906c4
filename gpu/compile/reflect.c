#include "gpu/compile/reflect.h"

#include "gpu/base/cleanup.h"
#include "gpu/compile/probe.h"
#include "gpu/program/declaration.h"
#include "gpu/program/mangled.h"

#include <stdlib.h>
#include <string.h>

/* Do the mangled types explain every parameter, sizes of structs and pointees included? */
static bool says_all(const struct gd_mangled *mangled, const struct gd_signature *signature)
{
	if (!mangled->has_params || mangled->count != signature->count)
		return false;
	for (uint32_t i = 0; i < mangled->count; i++) {
		const struct gd_mangled_param *param = &mangled->params[i];
		if (param->type == GD_TYPE_NONE || gd_type_size(param->type) != signature->params[i].size)
			return false;
		if (param->type == GD_TYPE_POINTER && param->element == GD_TYPE_NONE)
			return false;
	}
	return true;
}

/* Is it at least no contradiction? A class or enum may have any size. */
static bool fits(const struct gd_mangled *mangled, const struct gd_signature *signature)
{
	if (!mangled->has_params || mangled->count != signature->count)
		return false;
	for (uint32_t i = 0; i < mangled->count; i++) {
		enum gd_type type = mangled->params[i].type;
		if (type != GD_TYPE_NONE && gd_type_size(type) != signature->params[i].size)
			return false;
	}
	return true;
}

static void apply(const struct gd_mangled *mangled, struct gd_signature *signature)
{
	for (uint32_t i = 0; i < mangled->count; i++) {
		const struct gd_mangled_param *from = &mangled->params[i];
		struct gd_param *to = &signature->params[i];
		to->type = from->type == GD_TYPE_NONE ? GD_TYPE_BYTES : from->type;
		if (to->type != GD_TYPE_POINTER)
			continue;
		bool unknown = from->element == GD_TYPE_NONE;
		to->element = unknown ? GD_TYPE_BYTES : from->element;
		/* void counts bytes; the size of a struct is not known here */
		to->element_size = unknown                          ? 0
				   : from->element == GD_TYPE_BYTES ? 1
								    : gd_type_size(from->element);
		to->access = from->is_const ? GD_PARAM_READ : GD_PARAM_READ_WRITE;
	}
}

static bool probe(const struct gd_run_context *context, const char *kernel, struct gd_signature *signature)
{
	char tag[GD_PROBE_TAG_BYTES];
	const struct gd_wire_text source = context->request->source;
	if (!kernel[0] || !gd_probe_tag(tag))
		return false;
	gd_auto_free char *expression = gd_probe_expression(tag, kernel);
	/* without the half types where the source has made something else of their names */
	for (int with_halves = 1; with_halves >= 0; with_halves--) {
		gd_auto_free char *probed = gd_probe_source(source.text, source.bytes, tag, with_halves);
		const char *lowered = expression && probed ? gd_run_lower(context, probed, expression) : NULL;
		if (lowered)
			return gd_probe_read(lowered, tag, signature);
	}
	return false;
}

static bool find_types(const struct gd_run_context *context, const char *kernel,
		       const struct gd_mangled *mangled, struct gd_signature *signature)
{
	if (!signature->count)
		return true;
	if (mangled && says_all(mangled, signature)) {
		apply(mangled, signature);
		return true;
	}
	if (probe(context, kernel, signature))
		return true;
	if (!mangled || !fits(mangled, signature))
		return false;
	apply(mangled, signature);
	return true;
}

static void find_names(const struct gd_request *request, const char *function, struct gd_signature *signature)
{
	if (gd_declaration_names(request->source.text, request->source.bytes, function, signature))
		return;
	for (size_t i = 0; i < request->header_count; i++)
		if (gd_declaration_names(request->header_texts[i], strlen(request->header_texts[i]), function,
					 signature))
			return;
}

bool gd_reflect(const struct gd_run_context *context, const char *entry, struct gd_signature *signature)
{
	gd_auto_free struct gd_mangled *mangled = malloc(sizeof *mangled);
	bool is_mangled = mangled && gd_mangled_read(entry, mangled);
	const char *kernel = context->request->kernel.text;
	if (!kernel[0])
		kernel = is_mangled ? mangled->expression : entry;
	find_names(context->request, is_mangled ? mangled->base : entry, signature);
	return find_types(context, kernel, is_mangled ? mangled : NULL, signature);
}
