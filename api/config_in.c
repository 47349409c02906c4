#include "api/config_in.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[GD_CONFIG_FIELDS + 1] = {
    [GD_CONFIG_PROFILE] = "profile",
    [GD_CONFIG_ULP_BUDGET] = "ulp_budget",
    [GD_CONFIG_TIMEOUT_MS] = "timeout_ms",
    [GD_CONFIG_LABEL] = "label",
    [GD_CONFIG_MAX_OUTPUT_BYTES] = "max_output_bytes",
    [GD_CONFIG_WORKGROUP_SIZE] = "workgroup_size",
    [GD_CONFIG_GRID] = "grid",
    [GD_CONFIG_SHARED_BYTES] = "shared_bytes",
    [GD_CONFIG_ITERATIONS] = "iterations",
    [GD_CONFIG_COOPERATIVE] = "cooperative",
};

const char *gd_config_name(enum gd_config_field field)
{
	return names[field];
}

enum gd_config_field gd_config_field_of(const char *name)
{
	unsigned field = 0;
	while (field < GD_CONFIG_FIELDS && strcmp(names[field], name) != 0)
		field++;
	return field;
}

static bool set_text(char **text, const char *value, struct gd_error *error)
{
	char *copy = strdup(value);
	if (!copy)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
	free(*text);
	*text = copy;
	return true;
}

bool gd_config_set(struct gd_config *config, enum gd_config_field field, const struct gd_value *value,
		   const char *pointer, const struct gd_api_config *limits, struct gd_error *error)
{
	const char *text = NULL;
	bool is_good = false;
	switch (field) {
	case GD_CONFIG_PROFILE:
		is_good = gd_value_text(value, pointer, limits->name_bytes_max, &text, error) &&
			  set_text(&config->profile, text, error);
		break;
	case GD_CONFIG_LABEL:
		is_good = gd_value_text(value, pointer, limits->name_bytes_max, &text, error) &&
			  set_text(&config->label, text, error);
		break;
	case GD_CONFIG_ULP_BUDGET:
		is_good = gd_value_u32(value, pointer, 0, UINT32_MAX, &config->ulp_budget, error);
		break;
	case GD_CONFIG_TIMEOUT_MS:
		is_good = gd_value_u32(value, pointer, 1, limits->timeout_ms_max, &config->timeout_ms, error);
		break;
	case GD_CONFIG_MAX_OUTPUT_BYTES:
		is_good = gd_value_u64(value, pointer, 0, UINT64_MAX, &config->max_output_bytes, error);
		break;
	case GD_CONFIG_WORKGROUP_SIZE:
		is_good = gd_value_dims(value, pointer, config->workgroup_size, error);
		break;
	case GD_CONFIG_GRID:
		is_good = gd_value_dims(value, pointer, config->grid, error);
		break;
	case GD_CONFIG_SHARED_BYTES:
		is_good = gd_value_u64(value, pointer, 0, UINT32_MAX, &config->shared_bytes, error);
		break;
	case GD_CONFIG_ITERATIONS:
		is_good = gd_value_u32(value, pointer, 1, GD_ITERATIONS_MAX, &config->iterations, error);
		break;
	case GD_CONFIG_COOPERATIVE:
		is_good = gd_value_bool(value, pointer, &config->cooperative, error);
		break;
	case GD_CONFIG_FIELDS:
		break;
	}
	if (is_good)
		config->present |= 1u << field;
	return is_good;
}

bool gd_config_read(struct gd_config *config, const json_t *object, const char *pointer,
		    const struct gd_api_config *limits, struct gd_error *error)
{
	if (!json_is_object(object))
		return gd_value_refuse(pointer, error, "must be an object");
	if (!gd_json_only(object, names, pointer, error))
		return false;
	for (unsigned field = 0; field < GD_CONFIG_FIELDS; field++) {
		struct gd_value value = {.json = json_object_get(object, names[field])};
		char at[sizeof error->pointer];
		snprintf(at, sizeof at, "%s/%s", pointer, names[field]);
		if (value.json && !gd_config_set(config, field, &value, at, limits, error))
			return false;
	}
	return true;
}

static bool merge_text(char **text, const char *over)
{
	char *copy = strdup(over);
	if (!copy)
		return false;
	free(*text);
	*text = copy;
	return true;
}

bool gd_config_merge(struct gd_config *config, const struct gd_config *over)
{
	if (gd_config_has(over, GD_CONFIG_PROFILE) && !merge_text(&config->profile, over->profile))
		return false;
	if (gd_config_has(over, GD_CONFIG_LABEL) && !merge_text(&config->label, over->label))
		return false;
	if (gd_config_has(over, GD_CONFIG_ULP_BUDGET))
		config->ulp_budget = over->ulp_budget;
	if (gd_config_has(over, GD_CONFIG_TIMEOUT_MS))
		config->timeout_ms = over->timeout_ms;
	if (gd_config_has(over, GD_CONFIG_MAX_OUTPUT_BYTES))
		config->max_output_bytes = over->max_output_bytes;
	if (gd_config_has(over, GD_CONFIG_WORKGROUP_SIZE))
		memcpy(config->workgroup_size, over->workgroup_size, sizeof config->workgroup_size);
	if (gd_config_has(over, GD_CONFIG_GRID))
		memcpy(config->grid, over->grid, sizeof config->grid);
	if (gd_config_has(over, GD_CONFIG_SHARED_BYTES))
		config->shared_bytes = over->shared_bytes;
	if (gd_config_has(over, GD_CONFIG_ITERATIONS))
		config->iterations = over->iterations;
	if (gd_config_has(over, GD_CONFIG_COOPERATIVE))
		config->cooperative = over->cooperative;
	config->present |= over->present;
	return true;
}

void gd_pipeline_config_done(struct gd_config *config)
{
	free(config->profile);
	free(config->label);
	*config = (struct gd_config){0};
}
