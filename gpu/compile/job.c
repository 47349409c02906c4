#include "gpu/compile/job.h"

#include "gpu/base/buf.h"
#include "gpu/base/cleanup.h"
#include "gpu/compile/reflect.h"
#include "gpu/compile/run.h"
#include "gpu/program/mangled.h"
#include "gpu/program/ptx.h"
#include "gpu/program/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_MAX = 400 };

static struct gd_wire_text text_of(const char *text)
{
	return (struct gd_wire_text){text ? text : "", text ? strlen(text) : 0};
}

/* "`a`, `ns::scale<float>` and 3 more": entries as C++ names them, since that is how `kernel` names them */
static void list_kernels(const struct gd_ptx *ptx, struct gd_buf *out)
{
	enum { SHOWN = 6 };
	for (uint32_t i = 0; i < ptx->count && i < SHOWN; i++) {
		struct gd_mangled mangled;
		const char *name = ptx->entries[i].name;
		if (gd_mangled_read(name, &mangled) && mangled.expression[0])
			name = mangled.expression;
		gd_buf_printf(out, "%s`%.60s`", i ? ", " : "", name);
	}
	if (ptx->count > SHOWN)
		gd_buf_printf(out, " and %u more", ptx->count - SHOWN);
}

static bool no_kernel(struct gd_result *result, const struct gd_ptx *ptx, const char *why)
{
	struct gd_buf list, text;
	gd_buf_init(&list, 2048);
	gd_buf_init(&text, 4000);
	list_kernels(ptx, &list);
	gd_buf_puts(&text, why);
	if (ptx->count)
		gd_buf_printf(&text, "; the source has %s", list.data ? list.data : "");
	result->outcome = GD_OUTCOME_NO_KERNEL;
	result->text = text_of(gd_buf_take(&text, NULL));
	result->fix =
	    text_of(ptx->count ? "Name one of them in `kernel`."
			       : "Name the kernel in `kernel`; a template with its arguments, such as "
				 "`scale<float>`.");
	result->pointer = text_of("/kernel");
	return false;
}

/* The compiler took the source, but what it made of it is beyond us: by its many parameters, or by what
 * inline assembly put there. */
static bool unusual(struct gd_result *result, const struct gd_error *error)
{
	if (error->code == GD_INVALID_PROGRAM) {
		result->outcome = GD_OUTCOME_NO_KERNEL;
		result->fix = text_of(
		    error->fix[0] ? strdup(error->fix)
				  : "Use fewer parameters, and inline assembly of instructions only.");
		result->pointer = text_of("/source");
	}
	result->text = text_of(strdup(error->text));
	return false;
}

/* The request's kernel did not compile as a name: is it the name alone that is wrong? */
static bool explain_failure(const struct gd_run_context *context, const struct gd_run *failed,
			    struct gd_result *result)
{
	struct gd_run alone;
	result->log = failed->log;
	result->outcome = GD_OUTCOME_REFUSED;
	if (!context->request->kernel.bytes || !gd_run_compile(context, NULL, &alone))
		return false;
	gd_auto_ptx struct gd_ptx ptx = {0};
	struct gd_error ignored;
	if (!gd_ptx_scan(alone.ptx.text, alone.ptx.bytes, &ptx, &ignored))
		return false;
	gd_auto_buf struct gd_buf why;
	gd_buf_init(&why, WHY_MAX);
	gd_buf_puts(&why, "`kernel` names no kernel of the source, or more than one");
	const char *said = memmem(failed->log.text, failed->log.bytes, "error: ", 7);
	if (said) {
		said += 7;
		size_t left = failed->log.bytes - (size_t)(said - failed->log.text);
		const char *end = memchr(said, '\n', left);
		gd_buf_printf(&why, " (%.*s)", (int)(end ? (size_t)(end - said) : left), said);
	}
	return no_kernel(result, &ptx, why.data ? why.data : "`kernel` names no kernel of the source");
}

static const struct gd_ptx_entry *find_entry(const struct gd_request *request, const struct gd_run *run,
					     const struct gd_ptx *ptx, struct gd_result *result)
{
	const struct gd_ptx_entry *entry;
	if (request->kernel.bytes) {
		entry = run->lowered ? gd_ptx_find(ptx, run->lowered) : NULL;
		if (!entry)
			no_kernel(result, ptx, "`kernel` names something that is no kernel");
		return entry;
	}
	if (ptx->count == 1)
		return &ptx->entries[0];
	no_kernel(result, ptx,
		  ptx->count ? "the source has several kernels and `kernel` names none"
			     : "the source makes no kernel: it has none, or only templates");
	return NULL;
}

/* Does the date, or a name that is made anew for each compile, get into the artifact? */
static bool is_reproducible(const struct gd_request *request, const struct gd_run *run)
{
	static const char *const clocks[] = {"__DATE__", "__TIME__", "__TIMESTAMP__"};
	static const char *const marks[] = {"_GLOBAL__N_", "_INTERNAL_"};
	for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
		if (strstr(request->source.text, clocks[i]))
			return false;
		for (size_t j = 0; j < request->header_count; j++)
			if (strstr(request->header_texts[j], clocks[i]))
				return false;
		for (size_t j = 0; j < request->option_count; j++)
			if (strstr(request->options[j], clocks[i]))
				return false;
	}
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
		if (memmem(run->ptx.text, run->ptx.bytes, marks[i], strlen(marks[i])) ||
		    memmem(run->cubin.text, run->cubin.bytes, marks[i], strlen(marks[i])))
			return false;
	return true;
}

static bool make(const struct gd_run_context *context, struct gd_result *result)
{
	const struct gd_request *request = context->request;
	struct gd_run run;
	struct gd_error error;
	struct gd_ptx ptx = {0};
	if (!gd_run_compile(context, request->kernel.bytes ? request->kernel.text : NULL, &run))
		return explain_failure(context, &run, result);
	result->log = run.log;
	result->outcome = GD_OUTCOME_BROKEN;
	if (!gd_ptx_scan(run.ptx.text, run.ptx.bytes, &ptx, &error))
		return unusual(result, &error);
	const struct gd_ptx_entry *entry = find_entry(request, &run, &ptx, result);
	if (!entry)
		return false;
	if (!gd_signature_of_slots(entry->slots, entry->count, &result->signature, &error))
		return unusual(result, &error);
	result->has_types = gd_reflect(context, entry->name, &result->signature);
	result->entry = text_of(entry->name);
	result->ptx = run.ptx;
	result->cubin = run.cubin;
	result->is_reproducible = is_reproducible(request, &run);
	result->outcome = GD_OUTCOME_MADE;
	return true;
}

bool gd_job_run(const struct gd_nvrtc *nvrtc, const struct gd_headers *headers,
		const struct gd_request *request, uint8_t *memory, size_t capacity)
{
	struct gd_run_context context = {.nvrtc = nvrtc, .request = request};
	struct gd_result result = {.text = text_of(""), .fix = text_of(""), .pointer = text_of("")};
	result.log = result.entry = result.ptx = result.cubin = text_of("");
	if (!gd_run_prepare(&context, headers)) {
		result.outcome = GD_OUTCOME_BROKEN;
		result.text = text_of("the compile ran out of memory");
	} else {
		make(&context, &result);
	}
	if (gd_result_encode(&result, memory, capacity))
		return true;
	struct gd_result too_large = {.outcome = GD_OUTCOME_NO_KERNEL,
				      .text = text_of("what the compiler made of the source is too large"),
				      .fix = text_of("Split the source."),
				      .pointer = text_of("/source")};
	return gd_result_encode(&too_large, memory, capacity);
}
