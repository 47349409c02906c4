#include "api/problem.h"

#include "api/json_out.h"

#include <string.h>

#define FIX_REQUEST "correct the request; openapi.yaml describes it"

static const struct gd_problem_row rows[GD_CODE_COUNT] = {
    [GD_DEVICE_OUT_OF_MEMORY] = {1001, "device_out_of_memory", 507, "Out of device memory", "dispatch", true,
				 1, "send smaller buffers, or try again when other requests are done"},
    [GD_UNSUPPORTED_FEATURE] = {1002, "unsupported_feature", 501, "Not supported", "request", false, 0,
				"leave it out of the request"},
    [GD_BACKEND_UNAVAILABLE] = {1002, "backend_unavailable", 503, "Backend unavailable", "device", false, 0,
				"ask GET /devices what there is, or leave the backend out"},
    [GD_INTERNAL_STATE] = {1003, "internal_state", 500, "Internal error", "server", false, 0,
			   "tell the operator, with the request id"},
    [GD_KERNEL_COMPILE_FAILED] = {1004, "kernel_compile_failed", 422, "The source does not compile",
				  "compile", false, 0, "correct the source; diagnostics has line and column"},
    [GD_DISPATCH_FAILED] =
	{1005, "dispatch_failed", 422, "The kernel failed", "dispatch", false, 0,
	 "look for accesses outside the buffers; the sizes sent may be smaller than the kernel assumes"},
    [GD_INVALID_PROGRAM] = {1006, "invalid_program", 422, "Invalid program", "compile", false, 0,
			    "correct the program"},
    [GD_INVALID_REQUEST] = {1006, "invalid_request", 422, "Invalid request", "request", false, 0,
			    FIX_REQUEST},
    [GD_MALFORMED_BODY] = {1006, "malformed_request", 400, "Malformed request", "request", false, 0,
			   FIX_REQUEST},
    [GD_METHOD_NOT_ALLOWED] = {1006, "method_not_allowed", 405, "Method not allowed", "request", false, 0,
			       "use a method that the Allow header names"},
    [GD_NOT_ACCEPTABLE] = {1006, "not_acceptable", 406, "Not acceptable", "request", false, 0,
			   "leave the Accept header out, or name a type that this route answers with"},
    [GD_PRECONDITION_FAILED] = {1006, "precondition_failed", 412, "Precondition failed", "request", false, 0,
				"read the resource again and repeat with its new ETag"},
    [GD_UNSUPPORTED_MEDIA_TYPE] = {1006, "unsupported_media_type", 415, "Unsupported media type", "request",
				   false, 0, "send a type that the Accept-Post header names"},
    [GD_RANGE_NOT_SATISFIABLE] = {1006, "range_not_satisfiable", 416, "Range not satisfiable", "request",
				  false, 0, "ask for a range inside the resource"},
    [GD_PRECONDITION_REQUIRED] = {1006, "precondition_required", 428, "Precondition required", "request",
				  false, 0, "send the If-Match header"},
    [GD_HEADERS_TOO_LARGE] = {1006, "headers_too_large", 431, "Headers too large", "request", false, 0,
			      "send fewer or shorter headers"},
    [GD_COOPERATIVE_RESIDENCY_EXCEEDED] = {1007, "cooperative_residency_exceeded", 422,
					   "The cooperative grid does not fit the device", "dispatch", false,
					   0, "launch fewer blocks, so that all are resident at once"},
    [GD_DEVICE_LOST] = {1008, "device_lost", 503, "Device lost", "device", true, 1,
			"try again; the worker is being replaced"},
    [GD_DEADLINE_EXCEEDED] = {1009, "deadline_exceeded", 504, "Deadline exceeded", "dispatch", false, 0,
			      "give a larger timeout_ms, or less work per dispatch"},
    [GD_NOT_FOUND] = {1010, "not_found", 404, "Not found", "request", false, 0, "check the id and the path"},
    [GD_GONE] = {1010, "gone", 410, "Gone", "request", false, 0, "make it again"},
    [GD_CONFLICT] = {1011, "conflict", 409, "Conflict", "request", false, 0,
		     "wait until it is no longer in use"},
    [GD_TOO_LARGE] = {1012, "too_large", 413, "Too large", "request", false, 0,
		      "send less, or ask the operator for a higher limit"},
    [GD_OVERLOADED] = {1013, "overloaded", 503, "Overloaded", "server", true, 1,
		       "try again after Retry-After seconds"},
    [GD_DRAINING] = {1013, "draining", 503, "Draining", "server", true, 5,
		     "try again; another instance or the restarted one will answer"},
    [GD_QUOTA_EXCEEDED] = {1013, "quota_exceeded", 429, "Quota exceeded", "server", false, 0,
			   "delete what is no longer needed"},
    [GD_UNAUTHENTICATED] = {1014, "unauthenticated", 401, "Unauthenticated", "request", false, 0,
			    "send a valid key as Authorization: Bearer"},
    [GD_FORBIDDEN] = {1014, "forbidden", 403, "Forbidden", "request", false, 0,
		      "use a key with the missing scope"},
    [GD_UNKNOWN] = {1999, "unknown", 500, "Unknown error", "server", false, 0,
		    "tell the operator, with the request id"},
};

const struct gd_problem_row *gd_problem_row(enum gd_code code)
{
	return (unsigned)code < GD_CODE_COUNT && rows[code].number ? &rows[code] : &rows[GD_UNKNOWN];
}

void gd_problem_detail(struct gd_buf *out, const struct gd_error *error)
{
	const struct gd_problem_row *row = gd_problem_row(error->code);
	gd_auto_buf struct gd_buf text = {0};
	gd_buf_init(&text, sizeof error->text + sizeof error->fix + 64);
	size_t length = strlen(error->text);
	while (length && (error->text[length - 1] == '.' || error->text[length - 1] == ' '))
		length--;
	gd_buf_add(&text, error->text, length);
	if (!length)
		gd_buf_puts(&text, row->title);
	gd_buf_puts(&text, ". Fix: ");
	gd_buf_puts(&text, error->fix[0] ? error->fix : row->fix);
	if (text.data[text.len - 1] != '.')
		gd_buf_puts(&text, ".");
	gd_json_stringn(out, text.data, text.len);
}

void gd_problem_diagnostics(struct gd_buf *out, const struct gd_diagnostics *diagnostics)
{
	gd_buf_puts(out, "[");
	for (uint32_t i = 0; diagnostics && i < diagnostics->count; i++) {
		const struct gd_diagnostic *item = &diagnostics->items[i];
		gd_buf_printf(out, "%s{\"severity\":\"%s\",\"file\":", i ? "," : "",
			      gd_severity_text(item->severity));
		gd_json_string(out, item->file);
		gd_buf_printf(out, ",\"line\":%u,\"column\":%u,\"number\":%u,\"message\":", item->line,
			      item->column, item->number);
		gd_json_string(out, item->message);
		gd_buf_puts(out, ",\"excerpt\":");
		gd_json_string(out, item->excerpt);
		gd_buf_puts(out, "}");
	}
	gd_buf_puts(out, "]");
}

static void write_cause(struct gd_buf *out, const struct gd_error *error)
{
	if (!error->native_name)
		return;
	gd_buf_printf(out, ",\"cuda\":{\"result\":%d,\"name\":", error->native);
	gd_json_string(out, error->native_name);
	gd_buf_printf(out, ",\"sticky\":%s}", error->sticky ? "true" : "false");
}

bool gd_problem_write(struct gd_buf *out, const struct gd_problem *problem)
{
	const struct gd_error *error = problem->error;
	const struct gd_problem_row *row = gd_problem_row(error->code);
	gd_auto_buf struct gd_buf detail = {0};
	gd_buf_init(&detail, 8 * (sizeof error->text + sizeof error->fix));
	gd_problem_detail(&detail, error);
	if (detail.failed)
		return false;
	gd_buf_printf(out,
		      "{\"type\":\"urn:gpudispatch:problem:%s\",\"title\":\"%s\",\"status\":%u,\"detail\":%s",
		      row->word, row->title, problem->status ? problem->status : row->status, detail.data);
	gd_buf_puts(out, ",\"instance\":");
	gd_json_string(out, problem->instance ? problem->instance : "");
	gd_buf_printf(out, ",\"code\":\"%s\",\"number\":%u,\"fix\":", row->word, row->number);
	gd_json_string(out, error->fix[0] ? error->fix : row->fix);
	gd_buf_printf(out, ",\"stage\":\"%s\",\"retryable\":%s,\"errors\":",
		      problem->stage ? problem->stage : row->stage,
		      row->is_retryable || problem->is_temporary ? "true" : "false");
	if (problem->errors) {
		gd_buf_puts(out, problem->errors);
	} else {
		gd_buf_puts(out, "[");
		if (error->pointer[0]) {
			gd_buf_puts(out, "{\"pointer\":");
			gd_json_string(out, error->pointer);
			gd_buf_printf(out, ",\"detail\":%s}", detail.data);
		}
		gd_buf_puts(out, "]");
	}
	gd_buf_puts(out, ",\"diagnostics\":");
	gd_problem_diagnostics(out, problem->diagnostics);
	gd_buf_puts(out, ",\"log\":");
	gd_json_string(out,
		       problem->diagnostics && problem->diagnostics->log ? problem->diagnostics->log : "");
	write_cause(out, error);
	gd_buf_printf(out, ",\"error\":%s}\n", detail.data);
	return !out->failed;
}
