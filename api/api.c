#include "api/api.h"

#include "api/base.h"

#include "api/compiling.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void gd_api_config_init(struct gd_api_config *out_config)
{
	*out_config = (struct gd_api_config){
	    .body_bytes_max = 1ull << 30,
	    .source_bytes_max = 1u << 20,
	    .json_bytes_max = 1u << 20,
	    .header_json_max = 64u << 10,
	    .name_bytes_max = 1024,
	    .timeout_ms_default = 30000,
	    .timeout_ms_max = 300000,
	    .pipelines_max = 100000,
	    .pipelines_bytes_max = 1u << 30,
	    .alarm_min_samples = 100,
	    .alarm_window_s = 300,
	};
}

bool gd_api_new(const struct gd_api_config *config, struct gd_engine *engine, struct gd_server_facts *facts,
		struct gd_api **out_api, struct gd_error *error)
{
	/* once, before any other thread parses (jansson: json_object_seed is not thread-safe) */
	json_object_seed(0);
	struct gd_api *api = calloc(1, sizeof *api);
	if (!api)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
	api->config = *config;
	api->engine = engine;
	api->facts = facts;
	if (!gd_pipelines_new(config->pipelines_max, config->pipelines_bytes_max, &api->pipelines, error)) {
		free(api);
		return false;
	}
	*out_api = api;
	return true;
}

void gd_api_free(struct gd_api *api)
{
	if (!api)
		return;
	gd_compiling_free_all(api);
	gd_pipelines_free(api->pipelines);
	free(api);
}

bool gd_api_lane_new(struct gd_api *api, uint32_t index, struct gd_lane *lane, struct gd_loop *loop,
		     struct gd_api_lane **out_lane, struct gd_error *error)
{
	if (index >= GD_API_LANES_MAX)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "there are at most %d shards",
				    GD_API_LANES_MAX);
	struct gd_api_lane *made = calloc(1, sizeof *made);
	if (!made)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
	made->api = api;
	made->index = index;
	made->lane = lane;
	made->loop = loop;
	api->lanes[index] = made;
	*out_lane = made;
	return true;
}

void gd_api_lane_free(struct gd_api_lane *lane)
{
	if (!lane)
		return;
	lane->api->lanes[lane->index] = NULL;
	gd_compiling_orphan(lane);
	for (unsigned i = 0; i < GD_LOOKUPS; i++)
		gd_pipeline_free(lane->lookups[i].pipeline);
	free(lane);
}

void gd_api_lane_count(struct gd_api_lane *lane, const char *method, const char *route, unsigned status,
		       uint64_t duration_ns)
{
	gd_stats_count(&lane->stats, method, route, status, duration_ns);
}

/* FNV-1a over the tail of the id: its digits are a digest already */
static unsigned lookup_slot(const char *id)
{
	uint32_t hash = 2166136261u;
	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 16777619u;
	return hash % GD_LOOKUPS;
}

struct gd_pipeline *gd_lane_pipeline(struct gd_api_lane *lane, const char *id)
{
	uint64_t generation = gd_pipelines_generation(lane->api->pipelines);
	unsigned slot = lookup_slot(id);
	struct gd_pipeline *known = lane->lookups[slot].pipeline;
	if (known && lane->lookups[slot].generation == generation && !strcmp(known->id, id))
		return gd_pipeline_ref(known);
	struct gd_pipeline *found = gd_pipelines_find(lane->api->pipelines, id);
	if (found || known) {
		gd_pipeline_free(known);
		lane->lookups[slot].pipeline = found ? gd_pipeline_ref(found) : NULL;
		lane->lookups[slot].generation = generation;
	}
	return found;
}

struct gd_pipeline *gd_exchange_pipeline(struct gd_exchange *exchange)
{
	struct gd_pipeline *pipeline = gd_lane_pipeline(exchange->lane, exchange->id);
	if (!pipeline) {
		struct gd_error error;
		gd_error_set(&error, GD_NOT_FOUND,
			     "POST /pipelines makes pipelines, GET /pipelines lists them",
			     "there is no pipeline with this id");
		gd_exchange_refuse(exchange, &error);
	}
	return pipeline;
}
