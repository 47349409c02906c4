/*
 * The `config` of a pipeline or dispatch: parsing, replacing, merging. Plain values; texts are owned by the
 * struct.
 *
 * Pure but for memory; any thread. It knows no device: limits of launches are checked by dispatch/launch.h.
 */
#ifndef GD_API_CONFIG_IN_H
#define GD_API_CONFIG_IN_H

#include "api/api.h"
#include "api/json_in.h"

enum gd_config_field {
	GD_CONFIG_PROFILE,
	GD_CONFIG_ULP_BUDGET,
	GD_CONFIG_TIMEOUT_MS,
	GD_CONFIG_LABEL,
	GD_CONFIG_MAX_OUTPUT_BYTES,
	GD_CONFIG_WORKGROUP_SIZE,
	GD_CONFIG_GRID,
	GD_CONFIG_SHARED_BYTES,
	GD_CONFIG_ITERATIONS,
	GD_CONFIG_COOPERATIVE,
	GD_CONFIG_FIELDS
};

enum { GD_ITERATIONS_MAX = 1000000 };

struct gd_config {
	uint32_t present;      /* bit per field */
	char *profile, *label; /* owned; NULL unless present */
	uint32_t ulp_budget, timeout_ms, iterations;
	uint64_t max_output_bytes, shared_bytes;
	uint64_t workgroup_size[3], grid[3];
	bool cooperative;
};

static inline bool gd_config_has(const struct gd_config *config, enum gd_config_field field)
{
	return config->present >> field & 1;
}

/* The name of a field as it stands in JSON. */
const char *gd_config_name(enum gd_config_field field);
/* The field of a name, GD_CONFIG_FIELDS when there is none. */
enum gd_config_field gd_config_field_of(const char *name);

/*
 * Set one field. `pointer` names it in errors. Fails: GD_INVALID_REQUEST (wrong type or range: timeout_ms 1
 * to timeout_ms_max, iterations 1 to GD_ITERATIONS_MAX, dims as gd_value_dims), GD_INTERNAL_STATE.
 */
bool gd_config_set(struct gd_config *config, enum gd_config_field field, const struct gd_value *value,
		   const char *pointer, const struct gd_api_config *limits, struct gd_error *error);

/* Read a JSON object of fields into a zeroed config. On failure it must be done away with too. */
bool gd_config_read(struct gd_config *config, const json_t *object, const char *pointer,
		    const struct gd_api_config *limits, struct gd_error *error);

/* Fields that `over` has replace those of `config`. False only without memory. */
bool gd_config_merge(struct gd_config *config, const struct gd_config *over);
void gd_pipeline_config_done(struct gd_config *config);

#endif
