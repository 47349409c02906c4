#include "gpu/compile/run.h"

#include "gpu/program/options.h"
#include "gpu/program/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file name that diagnostics show; fixed, since it enters the artifact. */
static const char program_name[] = "kernel.cu";

enum { OWN_OPTIONS = 3 };

/* Does any text of the client include something, however written; and may that be of the large kind? */
static void look_for_includes(const struct gd_request *request, bool *out_any, bool *out_large)
{
	*out_any = *out_large = false;
	for (size_t i = 0; i <= request->header_count; i++) {
		const char *text = i ? request->header_texts[i - 1] : request->source.text;
		/* #include, #import, __has_include need one of these words */
		*out_any = *out_any || strstr(text, "include") || strstr(text, "import");
		*out_large = *out_large || gd_headers_mean_large(text);
	}
}

static bool has_header(const struct gd_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (!strcmp(request->header_names[i], name))
			return true;
	return false;
}

static bool prepare_headers(struct gd_run_context *context, const struct gd_headers *own)
{
	const struct gd_request *request = context->request;
	bool any, large;
	look_for_includes(request, &any, &large);
	size_t own_count = any ? own->count : 0;
	context->header_names = calloc(request->header_count + own_count + 1, sizeof *context->header_names);
	context->header_texts = calloc(request->header_count + own_count + 1, sizeof *context->header_texts);
	if (!context->header_names || !context->header_texts)
		return false;
	int count = 0;
	for (size_t i = 0; i < request->header_count; i++, count++) {
		context->header_names[count] = request->header_names[i];
		context->header_texts[count] = request->header_texts[i];
	}
	for (size_t i = 0; i < own_count; i++) {
		if ((own->is_large[i] && !large) || has_header(request, own->names[i]))
			continue;
		context->header_names[count] = own->names[i];
		context->header_texts[count++] = own->texts[i];
	}
	context->header_count = count;
	return true;
}

bool gd_run_prepare(struct gd_run_context *context, const struct gd_headers *headers)
{
	const struct gd_request *request = context->request;
	context->options = calloc(request->option_count + OWN_OPTIONS, sizeof *context->options);
	if (!context->options || !prepare_headers(context, headers))
		return false;
	for (size_t i = 0; i < request->option_count; i++)
		context->options[context->option_count++] = gd_option_for_nvrtc(request->options[i]);
	/* NVRTC's own cache of files, CUDA 12.9 and later: nothing here may read or write one */
	if (context->nvrtc->has_no_cache)
		context->options[context->option_count++] = "--no-cache";
	if (request->kind == GD_COMPILE_CUDA)
		snprintf(context->architecture, sizeof context->architecture, "--gpu-architecture=sm_%d",
			 request->compute_capability);
	else
		snprintf(context->architecture, sizeof context->architecture,
			 "--gpu-architecture=compute_90");
	return true;
}

/*
 * Take the system's reason out of "cannot open source file "x": Permission denied". Where Landlock stands
 * alone it tells a file that exists from one that does not.
 */
static size_t drop_reasons(char *text, size_t length)
{
	static const char open[] = "cannot open source file \"";
	char *end = text + length, *out = text;
	for (const char *at = text; at < end;) {
		const char *found = memmem(at, (size_t)(end - at), open, sizeof open - 1);
		const char *close =
		    found ? memchr(found + sizeof open - 1, '"', (size_t)(end - found) - sizeof open + 1)
			  : NULL;
		const char *upto = close ? close + 1 : end;
		memmove(out, at, (size_t)(upto - at));
		out += upto - at;
		at = upto;
		if (close && end - at > 2 && !memcmp(at, ": ", 2)) {
			const char *newline = memchr(at, '\n', (size_t)(end - at));
			at = newline ? newline : end;
		}
	}
	*out = '\0';
	return (size_t)(out - text);
}

static struct gd_wire_text read_log(const struct gd_nvrtc *nvrtc, nvrtc_program program)
{
	struct gd_wire_text log = {"", 0};
	size_t bytes = 0;
	if (nvrtc->log_size(program, &bytes) != NVRTC_SUCCESS || bytes < 2)
		return log;
	char *text = malloc(bytes + 1);
	if (!text || nvrtc->log(program, text) != NVRTC_SUCCESS)
		return log;
	text[bytes] = '\0';
	size_t length = drop_reasons(text, strlen(text));
	if (length > GD_LOG_BYTES_MAX - 64) {
		static const char cut[] = "\n[the rest of the log is cut off]\n";
		length = GD_LOG_BYTES_MAX - 64;
		memcpy(text + length, cut, sizeof cut);
		length += sizeof cut - 1;
	}
	gd_utf8_mend(text, length);
	return (struct gd_wire_text){text, length};
}

typedef int image_size(nvrtc_program program, size_t *bytes);
typedef int image_data(nvrtc_program program, char *data);

static struct gd_wire_text read_image(image_size *size, image_data *data, nvrtc_program program)
{
	struct gd_wire_text none = {"", 0};
	size_t bytes = 0;
	if (size(program, &bytes) != NVRTC_SUCCESS || !bytes)
		return none;
	char *image = malloc(bytes + 1);
	if (!image || data(program, image) != NVRTC_SUCCESS)
		return none;
	image[bytes] = '\0';
	return (struct gd_wire_text){image, bytes};
}

static const char *read_lowered(const struct gd_nvrtc *nvrtc, nvrtc_program program, const char *expression)
{
	const char *name = NULL;
	return nvrtc->lowered_name(program, expression, &name) == NVRTC_SUCCESS && name ? strdup(name) : NULL;
}

static int start(const struct gd_run_context *context, const char *source, const char *expression,
		 bool only_names, nvrtc_program *out_program)
{
	const struct gd_nvrtc *nvrtc = context->nvrtc;
	int count = context->option_count;
	const char **options = calloc((size_t)count + OWN_OPTIONS, sizeof *options);
	if (!options)
		return NVRTC_ERROR_OUT_OF_MEMORY;
	memcpy(options, context->options, (size_t)count * sizeof *options);
	options[count++] = only_names ? "--gpu-architecture=compute_90" : context->architecture;
	if (only_names && nvrtc->has_syntax_only)
		options[count++] = "-fdevice-syntax-only";
	int status = nvrtc->create(out_program, source, program_name, context->header_count,
				   context->header_texts, context->header_names);
	if (status == NVRTC_SUCCESS && expression)
		status = nvrtc->add_name(*out_program, expression);
	return status == NVRTC_SUCCESS ? nvrtc->compile(*out_program, count, options) : status;
}

bool gd_run_compile(const struct gd_run_context *context, const char *expression, struct gd_run *out_run)
{
	const struct gd_nvrtc *nvrtc = context->nvrtc;
	nvrtc_program program = NULL;
	struct gd_run run = {.log = {"", 0}, .ptx = {"", 0}, .cubin = {"", 0}};
	run.status = start(context, context->request->source.text, expression, false, &program);
	if (program)
		run.log = read_log(nvrtc, program);
	if (run.status == NVRTC_SUCCESS) {
		run.ptx = read_image(nvrtc->ptx_size, nvrtc->ptx, program);
		/* PTX is text; its size counts the NUL */
		run.ptx.bytes = strlen(run.ptx.text);
		if (context->request->kind == GD_COMPILE_CUDA)
			run.cubin = read_image(nvrtc->cubin_size, nvrtc->cubin, program);
		run.lowered = expression ? read_lowered(nvrtc, program, expression) : NULL;
	} else if (!run.log.bytes) {
		run.log.text = nvrtc->error_string(run.status);
		run.log.bytes = strlen(run.log.text);
	}
	if (program)
		nvrtc->destroy(&program);
	*out_run = run;
	return run.status == NVRTC_SUCCESS;
}

const char *gd_run_lower(const struct gd_run_context *context, const char *source, const char *expression)
{
	nvrtc_program program = NULL;
	const char *lowered = NULL;
	if (start(context, source, expression, true, &program) == NVRTC_SUCCESS)
		lowered = read_lowered(context->nvrtc, program, expression);
	if (program)
		context->nvrtc->destroy(&program);
	return lowered;
}
