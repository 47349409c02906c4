/*
 * What a client asks of one dispatch, read against the kernel's parameters: arguments, grid, config, outputs.
 *
 * A call is filled by one of the body forms (call_json.c, call_text.c), then settled: defaults are put in and
 * everything is checked, before anything runs. It owns its arrays; the pipeline and the store are borrowed.
 * One owner, one thread. It moves no buffer bytes: dispatch_feed.c does.
 */
#ifndef GD_API_CALL_H
#define GD_API_CALL_H

#include "api/config_in.h"
#include "api/json_filter.h"
#include "api/pipelines.h"
#include "gpu/base/buf.h"

enum gd_arg_kind {
	GD_ARG_ABSENT,
	GD_ARG_VALUE,    /* its bytes stand in the launch block; a null pointer too */
	GD_ARG_ZERO,     /* a buffer of zeroes */
	GD_ARG_STORED,   /* bytes in the store */
	GD_ARG_STREAMED, /* bytes of the body, in parameter order */
};

struct gd_arg {
	enum gd_arg_kind kind;
	bool is_size_known; /* of STREAMED */
	bool is_output;     /* comes back */
	uint64_t bytes;
	size_t stored_at;
	uint32_t
	    buffer; /* its index in the dispatch, once that is made; meaningful for buffers of some bytes */
};

enum gd_call_form { GD_FORM_JSON, GD_FORM_FRAME, GD_FORM_RAW, GD_FORM_MULTIPART };

struct gd_call {
	const struct gd_pipeline *pipeline;
	const struct gd_signature *signature;
	const struct gd_kernel_info *info;
	const struct gd_api_config *limits;
	struct gd_buf *store;
	enum gd_call_form form;
	uint32_t count;
	struct gd_arg *args;
	uint8_t *params;             /* launch block, info->param_bytes */
	struct gd_config top, given; /* fields by themselves; the config object */
	bool is_config_given, is_config_merged, is_elements_given, is_outputs_given, is_framed;
	uint64_t elements;
	/* settled */
	struct gd_config config;
	uint64_t grid[3], block[3];
	uint64_t streamed_bytes, output_bytes;
	uint32_t output_count;
	uint32_t timeout_ms;
};

bool gd_call_init(struct gd_call *call, const struct gd_pipeline *pipeline,
		  const struct gd_api_config *limits, struct gd_buf *store, enum gd_call_form form,
		  struct gd_error *error);
void gd_call_done(struct gd_call *call);

/* Is the parameter a pointer (a buffer)? Else it is a scalar or struct in the launch block. */
static inline bool gd_call_is_buffer(const struct gd_call *call, uint32_t index)
{
	return call->signature->params[index].type == GD_TYPE_POINTER;
}

/* Read the JSON of a body or frame. Fails: GD_INVALID_REQUEST and its like, with JSON pointers. */
bool gd_call_json(struct gd_call *call, const json_t *root, const struct gd_json_filter *filter,
		  struct gd_error *error);

/*
 * Take one name and value of a query or form: an argument by name or position, a size (NAME.bytes), or one of
 * the reserved names. Fails: GD_INVALID_REQUEST, GD_NOT_FOUND (NAME.buffer), GD_UNSUPPORTED_FEATURE.
 */
bool gd_call_item(struct gd_call *call, const char *name, const char *value, size_t bytes,
		  struct gd_error *error);
/* The parameter that a name of a form or query means, -1 when it is none: NAME, position, arg.NAME. */
int gd_call_find(const struct gd_call *call, const char *name);
/* Raw form: every buffer without a value of its own is in the body. */
void gd_call_rest_is_streamed(struct gd_call *call);
/* Are the sizes of all streamed arguments known? */
bool gd_call_sizes_known(const struct gd_call *call);
/* Share a body of `bytes` out among the streamed arguments. Fails: GD_MALFORMED_BODY, GD_INVALID_REQUEST. */
bool gd_call_divide(struct gd_call *call, uint64_t bytes, struct gd_error *error);

/* Set an argument; refuses a second time. `pointer` names it in errors. */
bool gd_call_set(struct gd_call *call, uint32_t index, const struct gd_arg *arg, const char *pointer,
		 struct gd_error *error);
/* Check the size of an argument given as bytes: exact for scalars and structs. */
bool gd_call_check_bytes(const struct gd_call *call, uint32_t index, uint64_t bytes, const char *pointer,
			 struct gd_error *error);
/* Mark a parameter as wanted output. Fails: GD_INVALID_REQUEST (read-only, no buffer, twice). */
bool gd_call_want(struct gd_call *call, int index, const char *name, const char *pointer,
		  struct gd_error *error);

/*
 * All is given: defaults, sizes, grid, limits. Fails: GD_INVALID_REQUEST with a pointer, GD_TOO_LARGE
 * (outputs over max_output_bytes).
 */
bool gd_call_settle(struct gd_call *call, struct gd_error *error);

#endif
