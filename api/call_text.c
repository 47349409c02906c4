/* A call from names and values: the query of the raw form, the query and the text parts of a multipart form.
 */
#include "api/call.h"

#include "api/base64.h"
#include "api/scalar.h"

#include <inttypes.h>
#include <string.h>

static const char *const reserved[] = {"grid",        "elements",   "outputs",      "header", "config",
				       "config_mode", "timeout_ms", "shared_bytes", NULL};
static const char *const later[] = {"batch", "abort_on_error", "verify", "check", "measure", NULL};

static bool is_in(const char *const *names, const char *name)
{
	while (*names && strcmp(*names, name))
		names++;
	return *names != NULL;
}

static bool set_outputs(struct gd_call *call, const char *text, struct gd_error *error)
{
	if (call->is_outputs_given)
		return gd_value_refuse("outputs", error, "is given twice");
	call->is_outputs_given = true;
	while (*text) {
		char name[256];
		size_t length = strcspn(text, ",");
		snprintf(name, sizeof name, "%.*s", length > 255 ? 255 : (int)length, text);
		if (!gd_call_want(call, gd_signature_find(call->signature, name), name, "outputs", error))
			return false;
		text += length + (text[length] == ',');
	}
	return true;
}

static bool set_config(struct gd_call *call, const char *text, size_t bytes, struct gd_error *error)
{
	if (call->is_config_given)
		return gd_value_refuse("config", error, "is given twice");
	gd_auto_json json_t *config = gd_json_parse(text, bytes, "config", error);
	if (!config) {
		if (error->code == GD_MALFORMED_BODY && call->form == GD_FORM_RAW)
			error->code = GD_INVALID_REQUEST; /* it stands in the query */
		return false;
	}
	call->is_config_given = true;
	return gd_config_read(&call->given, config, "/config", call->limits, error);
}

static bool set_field(struct gd_call *call, enum gd_config_field field, const char *name,
		      const struct gd_value *value, struct gd_error *error)
{
	if (gd_config_has(&call->top, field))
		return gd_value_refuse(name, error, "is given twice");
	return gd_config_set(&call->top, field, value, name, call->limits, error);
}

static bool set_reserved(struct gd_call *call, const char *name, const struct gd_value *value, size_t bytes,
			 struct gd_error *error)
{
	if (!strcmp(name, "elements")) {
		if (call->is_elements_given)
			return gd_value_refuse(name, error, "is given twice");
		call->is_elements_given = true;
		return gd_value_u64(value, name, 0, INT64_MAX, &call->elements, error);
	}
	if (!strcmp(name, "outputs"))
		return set_outputs(call, value->text, error);
	if (!strcmp(name, "header"))
		return gd_value_bool(value, name, &call->is_framed, error);
	if (!strcmp(name, "config"))
		return set_config(call, value->text, bytes, error);
	if (!strcmp(name, "config_mode")) {
		call->is_config_merged = !strcmp(value->text, "merge");
		if (!call->is_config_merged && strcmp(value->text, "replace") != 0)
			return gd_value_refuse(name, error, "must be one of: replace, merge");
		return true;
	}
	return set_field(call, gd_config_field_of(name), name, value, error);
}

static bool set_arg(struct gd_call *call, uint32_t index, const char *name, const struct gd_value *value,
		    size_t bytes, struct gd_error *error)
{
	const struct gd_param *param = &call->signature->params[index];
	struct gd_arg arg = {.kind = GD_ARG_VALUE};
	uint8_t *to = call->params + call->info->params[index].offset;
	if (gd_call_is_buffer(call, index)) {
		if (strcmp(value->text, "null") != 0) {
			arg.kind = GD_ARG_ZERO;
			if (!gd_value_u64(value, name, 0, INT64_MAX, &arg.bytes, error))
				return false;
		}
	} else if (param->type == GD_TYPE_BYTES || param->type == GD_TYPE_NONE) {
		if (!gd_base64url_exact(value->text, bytes, to, call->info->params[index].size))
			return gd_value_refuse(name, error, "must be the base64url of exactly %u bytes",
					       call->info->params[index].size);
	} else if (!gd_scalar_write(param->type, value, name, to, error)) {
		return false;
	}
	return gd_call_set(call, index, &arg, name, error);
}

int gd_call_find(const struct gd_call *call, const char *name)
{
	return gd_signature_find(call->signature, !strncmp(name, "arg.", 4) ? name + 4 : name);
}

/* NAME.bytes and NAME.buffer: the parameter that NAME is, -1 when the name has no such end. */
static int find_with_end(const struct gd_call *call, const char *name, const char *end)
{
	char stem[1100];
	size_t length = strlen(name), end_length = strlen(end);
	if (length <= end_length || length >= sizeof stem || strcmp(name + length - end_length, end) != 0)
		return -1;
	snprintf(stem, sizeof stem, "%.*s", (int)(length - end_length), name);
	return gd_call_find(call, stem);
}

static bool set_size(struct gd_call *call, uint32_t index, const char *name, const struct gd_value *value,
		     struct gd_error *error)
{
	/* in the raw form it is the size of what the body brings; parts bring their size themselves */
	struct gd_arg arg = {.kind = call->form == GD_FORM_RAW ? GD_ARG_STREAMED : GD_ARG_ZERO,
			     .is_size_known = true};
	if (!gd_call_is_buffer(call, index))
		return gd_value_refuse(name, error, "is for buffers: parameter %u is none", index);
	return gd_value_u64(value, name, 0, INT64_MAX, &arg.bytes, error) &&
	       gd_call_set(call, index, &arg, name, error);
}

bool gd_call_item(struct gd_call *call, const char *name, const char *value, size_t bytes,
		  struct gd_error *error)
{
	struct gd_value text = {.text = value};
	if (is_in(reserved, name))
		return set_reserved(call, name, &text, bytes, error);
	int index = gd_call_find(call, name);
	if (index >= 0)
		return set_arg(call, (uint32_t)index, name, &text, bytes, error);
	if ((index = find_with_end(call, name, ".bytes")) >= 0)
		return set_size(call, (uint32_t)index, name, &text, error);
	if (find_with_end(call, name, ".buffer") >= 0) {
		gd_error_set(error, GD_NOT_FOUND, "send the bytes in the body",
			     "there is no buffer \"%.100s\"", value);
		return gd_error_at(error, "%s", name);
	}
	enum gd_config_field field = gd_config_field_of(name);
	if (field < GD_CONFIG_FIELDS)
		return set_field(call, field, name, &text, error);
	if (is_in(later, name)) {
		gd_error_set(error, GD_UNSUPPORTED_FEATURE,
			     "leave it out, and send one request for each dispatch",
			     "%s is not supported by this version", name);
		return gd_error_at(error, "%s", name);
	}
	return gd_value_refuse(name, error, "is neither a parameter of the kernel nor a reserved name");
}

void gd_call_rest_is_streamed(struct gd_call *call)
{
	for (uint32_t i = 0; i < call->count; i++)
		if (gd_call_is_buffer(call, i) && call->args[i].kind == GD_ARG_ABSENT)
			call->args[i].kind = GD_ARG_STREAMED;
}

bool gd_call_sizes_known(const struct gd_call *call)
{
	for (uint32_t i = 0; i < call->count; i++)
		if (call->args[i].kind == GD_ARG_STREAMED && !call->args[i].is_size_known)
			return false;
	return true;
}

bool gd_call_divide(struct gd_call *call, uint64_t bytes, struct gd_error *error)
{
	uint64_t stated = 0, unstated = 0, total = bytes;
	uint32_t first = 0;
	for (uint32_t i = call->count; i-- > 0;) {
		const struct gd_arg *arg = &call->args[i];
		if (arg->kind != GD_ARG_STREAMED)
			continue;
		if (!arg->is_size_known) {
			unstated++;
			first = i;
		} else if (__builtin_add_overflow(stated, arg->bytes, &stated)) {
			stated = UINT64_MAX;
		}
	}
	if (stated > total || (!unstated && stated != total))
		return gd_error_set(error, GD_MALFORMED_BODY,
				    "send exactly the bytes that the sizes announce",
				    "the body has %" PRIu64 " bytes; the buffers in it need %s%" PRIu64,
				    total, unstated ? "at least " : "", stated);
	uint64_t rest = total - stated;
	if (unstated && !rest) {
		gd_error_set(error, GD_MALFORMED_BODY,
			     "send the bytes of every buffer, or a size as NAME=SIZE for a zeroed one",
			     "the body has nothing for parameter %u (%.100s)", first,
			     call->signature->params[first].name);
		return gd_error_at(error, "%.100s", call->signature->params[first].name);
	}
	if (unstated && rest % unstated)
		return gd_error_set(error, GD_INVALID_REQUEST, "state sizes as NAME.bytes=SIZE",
				    "%" PRIu64 " bytes cannot be shared equally by %" PRIu64 " buffers", rest,
				    unstated);
	for (uint32_t i = 0; i < call->count; i++) {
		struct gd_arg *arg = &call->args[i];
		if (arg->kind == GD_ARG_STREAMED && !arg->is_size_known) {
			arg->bytes = rest / unstated;
			arg->is_size_known = true;
		}
	}
	return true;
}
