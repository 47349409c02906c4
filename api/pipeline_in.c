#include "api/pipeline_in.h"

#include "api/base64.h"
#include "gpu/program/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const member_names[] = {"source",  "ptx",     "cubin",          "kernel",  "headers",
					   "options", "params",  "workgroup_size", "backend", "config",
					   "mode",    "devices", "cache",          NULL};
static const char *const param_names[] = {"name", "type", "element", "access", "size", NULL};
static const char *const query_names[] = {"kernel",  "options", "workgroup_size", "backend", "mode", "cache",
					  "devices", "config",  "params",         "headers", NULL};

/* Arrays that a program input points at, while it is being made. */
struct parts {
	struct gd_header_input *headers;
	const char **options;
	struct gd_param_input *params;
	void *cubin;
};

static void parts_done(struct parts *parts)
{
	free(parts->headers);
	free(parts->options);
	free(parts->params);
	free(parts->cubin);
}

static bool no_memory(struct gd_error *error)
{
	return gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
}

/* One word of a list, by index; `out` keeps its value for an absent member. */
static bool read_word(const json_t *root, const char *name, const char *const *words, unsigned *out,
		      struct gd_error *error)
{
	const json_t *member = json_object_get(root, name);
	if (!member)
		return true;
	const char *text = json_string_value(member);
	char all[100] = "";
	for (unsigned i = 0; words[i]; i++) {
		if (text && !strcmp(text, words[i])) {
			*out = i;
			return true;
		}
		size_t used = strlen(all);
		snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", words[i]);
	}
	char pointer[32];
	snprintf(pointer, sizeof pointer, "/%s", name);
	return gd_value_refuse(pointer, error, "must be one of: %s", all);
}

static bool read_headers(const json_t *root, struct parts *parts, struct gd_program_input *input,
			 struct gd_error *error)
{
	const json_t *member = json_object_get(root, "headers");
	if (!member)
		return true;
	if (!json_is_object(member))
		return gd_value_refuse("/headers", error, "must be an object of names and texts");
	parts->headers = calloc(json_object_size(member) + 1, sizeof *parts->headers);
	if (!parts->headers)
		return no_memory(error);
	const char *name;
	json_t *text;
	json_object_foreach((json_t *)(uintptr_t)member, name, text)
	{
		if (!json_is_string(text)) {
			char pointer[128];
			snprintf(pointer, sizeof pointer, "/headers/%s", name);
			return gd_value_refuse(pointer, error, "must be a string: the text of the header");
		}
		parts->headers[input->header_count++] = (struct gd_header_input){
		    .name = name, .text = json_string_value(text), .bytes = json_string_length(text)};
	}
	input->headers = parts->headers;
	return true;
}

static bool read_options(const json_t *root, struct parts *parts, struct gd_program_input *input,
			 struct gd_error *error)
{
	const json_t *member = json_object_get(root, "options");
	if (!member)
		return true;
	if (!json_is_array(member))
		return gd_value_refuse("/options", error, "must be an array of strings");
	size_t count = json_array_size(member);
	parts->options = calloc(count + 1, sizeof *parts->options);
	if (!parts->options)
		return no_memory(error);
	for (size_t i = 0; i < count; i++) {
		parts->options[i] = json_string_value(json_array_get(member, i));
		char pointer[40];
		snprintf(pointer, sizeof pointer, "/options/%zu", i);
		if (!parts->options[i])
			return gd_value_refuse(pointer, error, "must be a string: an option of the compiler");
	}
	input->options = parts->options;
	input->option_count = count;
	return true;
}

static bool read_param(const json_t *item, const char *pointer, struct gd_param_input *param,
		       struct gd_error *error)
{
	if (!json_is_object(item))
		return gd_value_refuse(pointer, error, "must be an object with name and type");
	if (!gd_json_only(item, param_names, pointer, error))
		return false;
	const char **texts[] = {&param->name, &param->type, &param->element, &param->access};
	for (unsigned i = 0; i < 4; i++) {
		const json_t *member = json_object_get(item, param_names[i]);
		char at[80];
		snprintf(at, sizeof at, "%s/%s", pointer, param_names[i]);
		if (member && !json_is_string(member))
			return gd_value_refuse(at, error, "must be a string");
		*texts[i] = json_string_value(member);
	}
	struct gd_value size = {.json = json_object_get(item, "size")};
	char at[80];
	snprintf(at, sizeof at, "%s/size", pointer);
	return !size.json || gd_value_u64(&size, at, 1, UINT32_MAX, &param->size, error);
}

static bool read_params(const json_t *root, struct parts *parts, struct gd_program_input *input,
			struct gd_error *error)
{
	const json_t *member = json_object_get(root, "params");
	if (!member)
		return true;
	if (!json_is_array(member))
		return gd_value_refuse("/params", error, "must be an array");
	size_t count = json_array_size(member);
	parts->params = calloc(count + 1, sizeof *parts->params);
	if (!parts->params)
		return no_memory(error);
	for (size_t i = 0; i < count; i++) {
		char pointer[40];
		snprintf(pointer, sizeof pointer, "/params/%zu", i);
		if (!read_param(json_array_get(member, i), pointer, &parts->params[i], error))
			return false;
	}
	input->params = parts->params;
	input->param_count = count;
	input->params_declared = true;
	return true;
}

static bool read_cubin(const json_t *member, struct parts *parts, struct gd_program_input *input,
		       struct gd_error *error)
{
	const char *text = json_string_value(member);
	size_t characters = json_string_length(member);
	parts->cubin = malloc(gd_base64_room(characters));
	if (!parts->cubin)
		return no_memory(error);
	struct gd_base64 state = {0};
	input->source_bytes = gd_base64_feed(&state, text, characters, parts->cubin);
	input->source = parts->cubin;
	if (!gd_base64_end(&state))
		return gd_value_refuse("/cubin", error,
				       "must be base64 (RFC 4648) with padding; character %llu is not",
				       (unsigned long long)state.taken);
	return true;
}

/* Exactly one of source, ptx, cubin; `source` may come from outside the JSON. */
static bool read_code(const json_t *root, struct parts *parts, struct gd_program_input *input,
		      struct gd_error *error)
{
	static const char *const names[] = {"source", "ptx", "cubin"};
	static const enum gd_language languages[] = {GD_LANGUAGE_CUDA, GD_LANGUAGE_PTX, GD_LANGUAGE_CUBIN};
	int found = -1;
	for (int i = 0; i < 3; i++) {
		const json_t *member = json_object_get(root, names[i]);
		char pointer[16];
		snprintf(pointer, sizeof pointer, "/%s", names[i]);
		if (!member)
			continue;
		if (input->source || found >= 0)
			return gd_value_refuse(pointer, error,
					       "is too much: give one of source, ptx and cubin");
		if (!json_is_string(member))
			return gd_value_refuse(pointer, error, "must be a string");
		found = i;
	}
	if (input->source)
		return true;
	if (found < 0) {
		gd_error_set(error, GD_INVALID_REQUEST, "give source (CUDA C++), ptx, or cubin (base64)",
			     "the request has no program");
		return gd_error_at(error, "/source");
	}
	const json_t *member = json_object_get(root, names[found]);
	input->language = languages[found];
	if (languages[found] == GD_LANGUAGE_CUBIN)
		return read_cubin(member, parts, input, error);
	input->source = json_string_value(member);
	input->source_bytes = json_string_length(member);
	return true;
}

static bool read_workgroup(const json_t *root, struct gd_program_input *input, struct gd_error *error)
{
	struct gd_value value = {.json = json_object_get(root, "workgroup_size")};
	uint64_t dims[3];
	if (!value.json)
		return true;
	if (!gd_value_dims(&value, "/workgroup_size", dims, error))
		return false;
	for (int i = 0; i < 3; i++) {
		if (!dims[i] || dims[i] > UINT32_MAX)
			return gd_value_refuse("/workgroup_size", error, "must not have an axis of %llu",
					       (unsigned long long)dims[i]);
		input->workgroup_size[i] = (uint32_t)dims[i];
	}
	return true;
}

static bool read_rest(const json_t *root, const struct gd_api_config *limits,
		      struct gd_pipeline_request *request, struct gd_error *error)
{
	static const char *const backends[] = {"auto", "cuda", "reference", NULL};
	static const char *const caches[] = {"use", "bypass", "refresh", NULL};
	static const char *const modes[] = {"compile", "prewarm", NULL};
	unsigned backend = 0, cache = 0, mode = 0;
	if (!read_word(root, "backend", backends, &backend, error) ||
	    !read_word(root, "cache", caches, &cache, error) || !read_word(root, "mode", modes, &mode, error))
		return false;
	request->backend = (enum gd_backend)backend;
	request->cache = (enum gd_cache_mode)cache;
	request->is_prewarm = mode == 1;
	request->devices = json_object_get(root, "devices");
	if (request->devices && (!json_is_array(request->devices) || !request->is_prewarm))
		return gd_value_refuse("/devices", error,
				       "must be an array of device ids, with mode prewarm");
	const json_t *config = json_object_get(root, "config");
	return !config || gd_config_read(&request->config, config, "/config", limits, error);
}

/* Make the program; `input` may have its source already. */
static bool read_all(const struct gd_api_config *limits, struct gd_program_input *input,
		     struct gd_pipeline_request *request, struct gd_error *error)
{
	const json_t *root = request->root;
	__attribute__((cleanup(parts_done))) struct parts parts = {0};
	struct gd_value kernel = {.json = json_object_get(root, "kernel")};
	if (kernel.json && !gd_value_text(&kernel, "/kernel", limits->name_bytes_max, &input->kernel, error))
		return false;
	if (!read_code(root, &parts, input, error) || !read_headers(root, &parts, input, error) ||
	    !read_options(root, &parts, input, error) || !read_params(root, &parts, input, error) ||
	    !read_workgroup(root, input, error) || !read_rest(root, limits, request, error))
		return false;
	struct gd_program_limits program_limits = gd_program_limits_default();
	program_limits.source_bytes = limits->source_bytes_max;
	program_limits.name_bytes = limits->name_bytes_max;
	return gd_program_new(input, &program_limits, &request->program, error);
}

bool gd_pipeline_request_json(const char *body, size_t bytes, const struct gd_api_config *limits,
			      struct gd_pipeline_request *request, struct gd_error *error)
{
	if (!bytes)
		return gd_error_set(error, GD_INVALID_REQUEST, "send {\"source\": \"…\"}",
				    "the body is empty");
	request->root = gd_json_parse(body, bytes, "the body", error);
	if (!request->root)
		return false;
	if (!json_is_object(request->root))
		return gd_error_set(error, GD_INVALID_REQUEST, "send an object: {\"source\": \"…\"}",
				    "the body is no JSON object");
	struct gd_program_input input = {.language = GD_LANGUAGE_CUDA};
	return gd_json_only(request->root, member_names, "", error) &&
	       read_all(limits, &input, request, error);
}

/* Split at any of `separators` into an array of strings. NULL without memory. */
static json_t *split(const char *text, const char *separators)
{
	json_t *array = json_array();
	for (const char *s = text + strspn(text, separators); array && *s; s += strspn(s, separators)) {
		size_t length = strcspn(s, separators);
		if (json_array_append_new(array, json_stringn(s, length))) {
			json_decref(array);
			return NULL;
		}
		s += length;
	}
	return array;
}

static json_t *translate(const struct gd_query_item *item, struct gd_error *error)
{
	json_t *made;
	gd_error_set(error, GD_INVALID_REQUEST, NULL, "%s is no valid UTF-8, or there is no memory",
		     item->name);
	gd_error_at(error, "%s", item->name);
	if (!strcmp(item->name, "config") || !strcmp(item->name, "params") ||
	    !strcmp(item->name, "headers")) {
		made = gd_json_parse(item->value, item->value_bytes, item->name, error);
		if (!made && error->code == GD_MALFORMED_BODY)
			error->code = GD_INVALID_REQUEST; /* it is the query that is wrong, not the body */
		return made;
	}
	if (!strcmp(item->name, "options"))
		return split(item->value, " \t\n");
	if (!strcmp(item->name, "devices"))
		return split(item->value, ",");
	if (strcmp(item->name, "workgroup_size"))
		return json_string(item->value);
	struct gd_value value = {.text = item->value};
	uint64_t dims[3];
	if (!gd_value_dims(&value, "workgroup_size", dims, error))
		return NULL;
	made = json_array();
	for (int i = 0; i < 3; i++)
		json_array_append_new(
		    made, json_integer(dims[i] > UINT32_MAX ? UINT32_MAX + 1ll : (json_int_t)dims[i]));
	return made;
}

bool gd_pipeline_request_source(const char *body, size_t bytes, const struct gd_target *target,
				const struct gd_api_config *limits, struct gd_pipeline_request *request,
				struct gd_error *error)
{
	if (!bytes)
		return gd_error_set(error, GD_INVALID_REQUEST, "send the CUDA C++ source as the body",
				    "the body is empty");
	if (!gd_target_only(target, query_names, error))
		return false;
	request->root = json_object();
	if (!request->root)
		return no_memory(error);
	for (unsigned i = 0; i < target->item_count; i++) {
		json_t *value = translate(&target->items[i], error);
		if (!value || json_object_set_new(request->root, target->items[i].name, value))
			return false;
	}
	struct gd_program_input input = {.language = GD_LANGUAGE_CUDA, .source = body, .source_bytes = bytes};
	return read_all(limits, &input, request, error);
}

void gd_pipeline_request_done(struct gd_pipeline_request *request)
{
	gd_program_free(request->program);
	gd_pipeline_config_done(&request->config);
	json_decref(request->root);
	*request = (struct gd_pipeline_request){0};
}
