#include "api/call.h"

#include "gpu/dispatch/launch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool gd_call_init(struct gd_call *call, const struct gd_pipeline *pipeline,
		  const struct gd_api_config *limits, struct gd_buf *store, enum gd_call_form form,
		  struct gd_error *error)
{
	*call = (struct gd_call){.pipeline = pipeline,
				 .signature = &gd_kernel_artifact(pipeline->kernel)->signature,
				 .info = gd_kernel_info(pipeline->kernel),
				 .limits = limits,
				 .store = store,
				 .form = form};
	call->count = call->signature->count;
	call->args = calloc(call->count + 1u, sizeof *call->args);
	call->params = calloc(call->info->param_bytes + 1u, 1);
	if (call->args && call->params)
		return true;
	gd_call_done(call);
	return gd_error_set(error, GD_OVERLOADED, NULL, "no memory for the request");
}

void gd_call_done(struct gd_call *call)
{
	free(call->args);
	free(call->params);
	gd_pipeline_config_done(&call->top);
	gd_pipeline_config_done(&call->given);
	gd_pipeline_config_done(&call->config);
	call->args = NULL;
	call->params = NULL;
}

bool gd_call_set(struct gd_call *call, uint32_t index, const struct gd_arg *arg, const char *pointer,
		 struct gd_error *error)
{
	if (call->args[index].kind != GD_ARG_ABSENT)
		return gd_value_refuse(pointer, error, "is given twice (parameter %u)", index);
	bool is_output = call->args[index].is_output; /* may have been asked for before */
	call->args[index] = *arg;
	call->args[index].is_output = is_output;
	return true;
}

bool gd_call_check_bytes(const struct gd_call *call, uint32_t index, uint64_t bytes, const char *pointer,
			 struct gd_error *error)
{
	uint32_t size = call->info->params[index].size;
	if (gd_call_is_buffer(call, index) || bytes == size)
		return true;
	return gd_value_refuse(pointer, error, "must be exactly %u bytes (%s), not %" PRIu64, size,
			       gd_type_text(call->signature->params[index].type), bytes);
}

bool gd_call_want(struct gd_call *call, int index, const char *name, const char *pointer,
		  struct gd_error *error)
{
	if (index < 0)
		return gd_value_refuse(pointer, error, "names no parameter: \"%.100s\"", name);
	if (!gd_call_is_buffer(call, (uint32_t)index) ||
	    !(call->signature->params[index].access & GD_PARAM_WRITE))
		return gd_value_refuse(pointer, error, "cannot have \"%.100s\": the kernel does not write it",
				       name);
	if (call->args[index].is_output)
		return gd_value_refuse(pointer, error, "names \"%.100s\" twice", name);
	call->args[index].is_output = true;
	return true;
}

/* What an error calls a parameter. */
static const char *name_of(const struct gd_call *call, uint32_t index, char out[16])
{
	const char *name = call->signature->params[index].name;
	if (name && *name)
		return name;
	snprintf(out, 16, "%u", index);
	return out;
}

static bool check_args(struct gd_call *call, struct gd_error *error)
{
	for (uint32_t i = 0; i < call->count; i++) {
		const struct gd_param *param = &call->signature->params[i];
		struct gd_arg *arg = &call->args[i];
		char number[16];
		const char *name = name_of(call, i, number);
		if (arg->kind == GD_ARG_ABSENT) {
			gd_error_set(error, GD_INVALID_REQUEST,
				     "give a value for every parameter; the manifest lists them",
				     "parameter %u (%.100s, %s) has no argument", i, name,
				     gd_type_text(param->type));
			return gd_error_at(error, "/args/%u", i);
		}
		if (!gd_call_is_buffer(call, i) || !param->element_size ||
		    !(arg->bytes % param->element_size))
			continue;
		gd_error_set(error, GD_INVALID_REQUEST, "send whole elements",
			     "the buffer %.100s has %" PRIu64 " bytes, no multiple of its element's %" PRIu64,
			     name, arg->bytes, param->element_size);
		return gd_error_at(error, "/args/%u", i);
	}
	return true;
}

static bool settle_config(struct gd_call *call, struct gd_error *error)
{
	uint32_t twice = call->top.present & call->given.present;
	if (twice) {
		enum gd_config_field field = (enum gd_config_field)__builtin_ctz(twice);
		char pointer[40];
		snprintf(pointer, sizeof pointer, "/%s", gd_config_name(field));
		return gd_value_refuse(pointer, error, "is given twice: by itself and in config");
	}
	bool is_good = true;
	if (!call->is_config_given || call->is_config_merged)
		is_good = gd_config_merge(&call->config, &call->pipeline->config);
	is_good = is_good && gd_config_merge(&call->config, &call->given) &&
		  gd_config_merge(&call->config, &call->top);
	if (!is_good)
		return gd_error_set(error, GD_OVERLOADED, NULL, "no memory for the request");
	const struct gd_config *config = &call->config;
	call->timeout_ms = gd_config_has(config, GD_CONFIG_TIMEOUT_MS) ? config->timeout_ms
								       : call->limits->timeout_ms_default;
	return true;
}

static uint64_t longest_buffer(const struct gd_call *call)
{
	uint64_t longest = 0;
	for (uint32_t i = 0; i < call->count; i++) {
		const struct gd_param *param = &call->signature->params[i];
		uint64_t elements = call->args[i].bytes / (param->element_size ? param->element_size : 1);
		if (gd_call_is_buffer(call, i) && elements > longest)
			longest = elements;
	}
	return longest;
}

static bool settle_grid(struct gd_call *call, struct gd_error *error)
{
	const struct gd_config *config = &call->config;
	const uint32_t *program = gd_program_workgroup_size(call->pipeline->program);
	for (int i = 0; i < 3; i++)
		call->block[i] =
		    gd_config_has(config, GD_CONFIG_WORKGROUP_SIZE) ? config->workgroup_size[i] : program[i];
	/* before it is divided by */
	if (!gd_block_check(gd_kernel_device(call->pipeline->kernel), call->block, error))
		return false;
	if (gd_config_has(config, GD_CONFIG_GRID)) {
		memcpy(call->grid, config->grid, sizeof call->grid);
		return true;
	}
	if (call->block[1] != 1 || call->block[2] != 1) {
		gd_error_set(error, GD_INVALID_REQUEST, "give grid: [x, y, z]",
			     "a workgroup of more than one axis (%" PRIu64 " x %" PRIu64 " x %" PRIu64
			     ") has no default grid",
			     call->block[0], call->block[1], call->block[2]);
		return gd_error_at(error, "/grid");
	}
	uint64_t elements = call->is_elements_given ? call->elements : longest_buffer(call);
	uint64_t blocks = elements / call->block[0] + (elements % call->block[0] != 0);
	call->grid[0] = blocks ? blocks : 1;
	call->grid[1] = call->grid[2] = 1;
	return true;
}

static bool settle_outputs(struct gd_call *call, struct gd_error *error)
{
	for (uint32_t i = 0; i < call->count; i++) {
		struct gd_arg *arg = &call->args[i];
		if (!call->is_outputs_given)
			arg->is_output = gd_call_is_buffer(call, i) &&
					 (call->signature->params[i].access & GD_PARAM_WRITE);
		if (!arg->is_output)
			continue;
		call->output_count++;
		if (__builtin_add_overflow(call->output_bytes, arg->bytes, &call->output_bytes))
			return gd_error_set(error, GD_TOO_LARGE, NULL, "the outputs are too large");
	}
	if (gd_config_has(&call->config, GD_CONFIG_MAX_OUTPUT_BYTES) &&
	    call->output_bytes > call->config.max_output_bytes) {
		gd_error_set(error, GD_TOO_LARGE, "ask for fewer outputs, or a larger max_output_bytes",
			     "the outputs have %" PRIu64 " bytes; max_output_bytes is %" PRIu64,
			     call->output_bytes, call->config.max_output_bytes);
		return gd_error_at(error, "/max_output_bytes");
	}
	return true;
}

bool gd_call_settle(struct gd_call *call, struct gd_error *error)
{
	if (!check_args(call, error) || !settle_config(call, error) || !settle_grid(call, error) ||
	    !settle_outputs(call, error))
		return false;
	call->streamed_bytes = 0;
	for (uint32_t i = 0; i < call->count; i++)
		if (call->args[i].kind == GD_ARG_STREAMED &&
		    __builtin_add_overflow(call->streamed_bytes, call->args[i].bytes, &call->streamed_bytes))
			return gd_error_set(error, GD_TOO_LARGE, NULL, "the inputs are too large");
	return gd_launch_check(gd_kernel_device(call->pipeline->kernel), call->info, call->grid, call->block,
			       call->config.shared_bytes, error);
}
