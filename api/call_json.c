/* A call from JSON: the body of the JSON form, or the header of a frame. */
#include "api/call.h"

#include "api/scalar.h"

#include <inttypes.h>
#include <string.h>

static const char *const root_names[] = {
    "args",       "elements",    "outputs", "header",           "config", "config_mode",  "profile",
    "ulp_budget", "timeout_ms",  "label",   "max_output_bytes", "grid",   "shared_bytes", "workgroup_size",
    "iterations", "cooperative", NULL};
static const char *const later_names[] = {"batch", "abort_on_error", "verify", "check", "measure", NULL};
static const char *const arg_names[] = {
    "value", "data", "bytes", "buffer", "offset", "length", "binary_data_size", NULL};

static bool put_value(struct gd_call *call, uint32_t index, const json_t *value, const char *pointer,
		      struct gd_error *error)
{
	const struct gd_param *param = &call->signature->params[index];
	if (gd_call_is_buffer(call, index)) {
		if (!json_is_null(value))
			return gd_value_refuse(
			    pointer, error,
			    "is for a buffer, which takes data, bytes, or null for a null pointer");
	} else if (!gd_scalar_write(param->type, &(struct gd_value){.json = value}, pointer,
				    call->params + call->info->params[index].offset, error)) {
		return false;
	}
	return gd_call_set(call, index, &(struct gd_arg){.kind = GD_ARG_VALUE}, pointer, error);
}

static bool put_stored(struct gd_call *call, uint32_t index, size_t offset, size_t bytes, const char *pointer,
		       struct gd_error *error)
{
	if (!gd_call_check_bytes(call, index, bytes, pointer, error))
		return false;
	if (gd_call_is_buffer(call, index))
		return gd_call_set(
		    call, index, &(struct gd_arg){.kind = GD_ARG_STORED, .bytes = bytes, .stored_at = offset},
		    pointer, error);
	memcpy(call->params + call->info->params[index].offset, call->store->data + offset, bytes);
	return gd_call_set(call, index, &(struct gd_arg){.kind = GD_ARG_VALUE}, pointer, error);
}

static bool refuse_base64(const char *pointer, uint64_t at, struct gd_error *error)
{
	return gd_value_refuse(
	    pointer, error,
	    "must be base64 (RFC 4648) with padding and nothing else; character %" PRIu64 " is not", at);
}

static bool put_data(struct gd_call *call, uint32_t index, const json_t *data,
		     const struct gd_json_filter *filter, const char *pointer, struct gd_error *error)
{
	if (!json_is_string(data))
		return gd_value_refuse(pointer, error, "must be a string of base64");
	const struct gd_blob *blob = gd_json_filter_blob(filter, data);
	if (blob)
		return blob->is_bad ? refuse_base64(pointer, blob->bad_at, error)
				    : put_stored(call, index, blob->offset, blob->bytes, pointer, error);
	/* a key that was spelled with escapes: the filter left its string alone */
	size_t characters = json_string_length(data), offset = call->store->len;
	char *to = gd_buf_reserve(call->store, gd_base64_room(characters));
	if (!to)
		return gd_error_set(error, GD_TOO_LARGE, NULL, "the data is over the limit");
	struct gd_base64 state = {0};
	size_t bytes = gd_base64_feed(&state, json_string_value(data), characters, (uint8_t *)to);
	if (!gd_base64_end(&state))
		return refuse_base64(pointer, state.taken, error);
	call->store->len += bytes;
	return put_stored(call, index, offset, bytes, pointer, error);
}

static bool put_size(struct gd_call *call, uint32_t index, const json_t *size, bool is_streamed,
		     const char *pointer, struct gd_error *error)
{
	struct gd_arg arg = {.kind = is_streamed ? GD_ARG_STREAMED : GD_ARG_ZERO, .is_size_known = true};
	if (!gd_value_u64(&(struct gd_value){.json = size}, pointer, 0, INT64_MAX, &arg.bytes, error))
		return false;
	if (is_streamed && call->form != GD_FORM_FRAME)
		return gd_value_refuse(
		    pointer, error,
		    "needs a body of application/octet-stream with Inference-Header-Content-Length");
	if (!is_streamed && !gd_call_is_buffer(call, index))
		return gd_value_refuse(pointer, error, "is for buffers; a scalar takes value, a struct data");
	return gd_call_check_bytes(call, index, arg.bytes, pointer, error) &&
	       gd_call_set(call, index, &arg, pointer, error);
}

static bool refuse_buffer(const struct gd_call *call, uint32_t index, const json_t *id, const char *pointer,
			  struct gd_error *error)
{
	if (!gd_call_is_buffer(call, index) || !json_is_string(id))
		return gd_value_refuse(pointer, error,
				       "must be the id of a resident buffer, for a buffer parameter");
	gd_error_set(error, GD_NOT_FOUND, "send the bytes as data", "there is no buffer \"%.100s\"",
		     json_string_value(id));
	return gd_error_at(error, "%s", pointer);
}

static bool put_arg(struct gd_call *call, uint32_t index, const json_t *arg,
		    const struct gd_json_filter *filter, const char *pointer, struct gd_error *error)
{
	if (!json_is_object(arg))
		return gd_value_refuse(pointer, error,
				       "must be an object such as {\"value\": 1} or {\"data\": \"…\"}");
	if (!gd_json_only(arg, arg_names, pointer, error))
		return false;
	const json_t *buffer = json_object_get(arg, "buffer");
	size_t extra =
	    (json_object_get(arg, "offset") != NULL) + (size_t)(json_object_get(arg, "length") != NULL);
	if (json_object_size(arg) != 1 + (buffer ? extra : 0) || (!buffer && extra))
		return gd_value_refuse(pointer, error,
				       "must have exactly one of value, data, bytes, buffer, %s",
				       "binary_data_size");
	const char *key = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)arg));
	if (buffer)
		key = "buffer";
	const json_t *value = json_object_get(arg, key);
	char at[sizeof error->pointer];
	snprintf(at, sizeof at, "%.100s/%s", pointer, key);
	if (!strcmp(key, "value"))
		return put_value(call, index, value, at, error);
	if (!strcmp(key, "data"))
		return put_data(call, index, value, filter, at, error);
	if (buffer)
		return refuse_buffer(call, index, value, at, error);
	return put_size(call, index, value, !strcmp(key, "binary_data_size"), at, error);
}

static bool read_args(struct gd_call *call, const json_t *args, const struct gd_json_filter *filter,
		      struct gd_error *error)
{
	char pointer[sizeof error->pointer];
	if (json_is_array(args)) {
		for (size_t i = 0; i < json_array_size(args); i++) {
			snprintf(pointer, sizeof pointer, "/args/%zu", i);
			if (i >= call->count)
				return gd_value_refuse(
				    pointer, error, "is too much: the kernel has %u parameters", call->count);
			if (!put_arg(call, (uint32_t)i, json_array_get(args, i), filter, pointer, error))
				return false;
		}
		return true;
	}
	if (!json_is_object(args))
		return gd_value_refuse("/args", error, "must be an array, or an object by parameter name");
	const char *name;
	json_t *arg;
	json_object_foreach((json_t *)(uintptr_t)args, name, arg)
	{
		snprintf(pointer, sizeof pointer, "/args/%.100s", name);
		int index = gd_signature_find(call->signature, name);
		if (index < 0)
			return gd_value_refuse(pointer, error, "is no parameter of the kernel");
		if (!put_arg(call, (uint32_t)index, arg, filter, pointer, error))
			return false;
	}
	return true;
}

static bool read_outputs(struct gd_call *call, const json_t *outputs, struct gd_error *error)
{
	if (!json_is_array(outputs))
		return gd_value_refuse("/outputs", error, "must be an array of names or positions");
	call->is_outputs_given = true;
	for (size_t i = 0; i < json_array_size(outputs); i++) {
		const json_t *item = json_array_get(outputs, i);
		char pointer[40], number[24];
		snprintf(pointer, sizeof pointer, "/outputs/%zu", i);
		const char *name = json_string_value(item);
		int index = name ? gd_signature_find(call->signature, name) : -1;
		if (json_is_integer(item)) {
			snprintf(number, sizeof number, "%lld", (long long)json_integer_value(item));
			name = number;
			if (json_integer_value(item) >= 0 && json_integer_value(item) < call->count)
				index = (int)json_integer_value(item);
		}
		if (!name)
			return gd_value_refuse(pointer, error, "must be a name or a position");
		if (!gd_call_want(call, index, name, pointer, error))
			return false;
	}
	return true;
}

static bool read_config(struct gd_call *call, const json_t *root, struct gd_error *error)
{
	const json_t *config = json_object_get(root, "config"), *mode = json_object_get(root, "config_mode");
	if (mode) {
		const char *text = json_string_value(mode);
		call->is_config_merged = text && !strcmp(text, "merge");
		if (!text || (!call->is_config_merged && strcmp(text, "replace") != 0))
			return gd_value_refuse("/config_mode", error, "must be one of: replace, merge");
	}
	if (config) {
		call->is_config_given = true;
		if (!gd_config_read(&call->given, config, "/config", call->limits, error))
			return false;
	}
	for (unsigned field = 0; field < GD_CONFIG_FIELDS; field++) {
		struct gd_value value = {.json = json_object_get(root, gd_config_name(field))};
		char pointer[40];
		snprintf(pointer, sizeof pointer, "/%s", gd_config_name(field));
		if (value.json && !gd_config_set(&call->top, field, &value, pointer, call->limits, error))
			return false;
	}
	return true;
}

bool gd_call_json(struct gd_call *call, const json_t *root, const struct gd_json_filter *filter,
		  struct gd_error *error)
{
	if (!json_is_object(root))
		return gd_error_set(error, GD_INVALID_REQUEST, "send an object: {\"args\": […]}",
				    "the request is no JSON object");
	for (unsigned i = 0; later_names[i]; i++) {
		if (!json_object_get(root, later_names[i]))
			continue;
		gd_error_set(error, GD_UNSUPPORTED_FEATURE,
			     "leave it out, and send one request for each dispatch",
			     "%s is not supported by this version", later_names[i]);
		return gd_error_at(error, "/%s", later_names[i]);
	}
	if (!gd_json_only(root, root_names, "", error))
		return false;
	const json_t *args = json_object_get(root, "args"), *outputs = json_object_get(root, "outputs");
	struct gd_value elements = {.json = json_object_get(root, "elements")};
	struct gd_value header = {.json = json_object_get(root, "header")};
	if (args && !read_args(call, args, filter, error))
		return false;
	if (outputs && !read_outputs(call, outputs, error))
		return false;
	call->is_elements_given = elements.json != NULL;
	if (elements.json && !gd_value_u64(&elements, "/elements", 0, INT64_MAX, &call->elements, error))
		return false;
	if (header.json && !gd_value_bool(&header, "/header", &call->is_framed, error))
		return false;
	return read_config(call, root, error);
}
