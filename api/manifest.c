#include "api/manifest.h"

#include "api/json_out.h"

#include <stdlib.h>

enum { MANIFEST_MAX = 4 << 20 };

const char *gd_cache_hit_text(int cache_hit)
{
	return cache_hit < 0 ? "null" : cache_hit ? "true" : "false";
}

const char *gd_cache_tier_text(enum gd_cache_tier tier)
{
	static const char *const texts[] = {
	    [GD_TIER_NONE] = NULL,     [GD_TIER_MEMORY] = "memory",       [GD_TIER_DISK] = "disk",
	    [GD_TIER_STORE] = "store", [GD_TIER_COALESCED] = "coalesced", [GD_TIER_COMPILED] = "compiled",
	};
	return (unsigned)tier < sizeof texts / sizeof texts[0] ? texts[tier] : NULL;
}

const char *gd_miss_reason_text(enum gd_miss_reason reason)
{
	static const char *const texts[] = {
	    [GD_MISS_NONE] = NULL,
	    [GD_MISS_BYPASSED] = "bypassed",
	    [GD_MISS_CORRUPT] = "corrupt",
	    [GD_MISS_EVICTED] = "evicted",
	    [GD_MISS_EMPTY_CACHE] = "empty_cache",
	    [GD_MISS_DEVICE_OR_RUNTIME_CHANGED] = "device_or_runtime_changed",
	    [GD_MISS_PROGRAM_CHANGED] = "program_changed",
	    [GD_MISS_KEY_ABSENT] = "key_absent",
	};
	return (unsigned)reason < sizeof texts / sizeof texts[0] ? texts[reason] : NULL;
}

static void put_params(struct gd_buf *out, const struct gd_signature *signature)
{
	gd_buf_puts(out, ",\"params\":[");
	for (uint32_t i = 0; i < signature->count; i++) {
		const struct gd_param *param = &signature->params[i];
		gd_buf_printf(out, "%s{\"name\":", i ? "," : "");
		gd_json_string(out, param->name ? param->name : "");
		gd_buf_printf(out, ",\"type\":\"%s\"", gd_type_text(param->type));
		if (param->type == GD_TYPE_POINTER) {
			gd_buf_printf(out, ",\"element\":\"%s\",\"access\":\"%s\"",
				      gd_type_text(param->element), gd_access_text(param->access));
			if (param->element == GD_TYPE_BYTES)
				gd_buf_printf(out, ",\"size\":%llu", (unsigned long long)param->element_size);
		} else if (param->type == GD_TYPE_BYTES) {
			gd_buf_printf(out, ",\"size\":%u", param->size);
		}
		gd_buf_puts(out, "}");
	}
	gd_buf_puts(out, "]");
}

static void put_artifact(struct gd_buf *out, const char *kind, size_t bytes, const uint8_t *sha256,
			 bool *is_first)
{
	char hex[GD_SHA256_HEX + 1];
	gd_hex(sha256, GD_SHA256_BYTES, hex);
	gd_buf_printf(out, "%s{\"kind\":\"%s\",\"bytes\":%zu,\"sha256\":\"%s\"}", *is_first ? "" : ",", kind,
		      bytes, hex);
	*is_first = false;
}

static void put_made(struct gd_buf *out, const struct gd_pipeline *pipeline,
		     const struct gd_artifact *artifact)
{
	const struct gd_kernel_info *info = gd_kernel_info(pipeline->kernel);
	gd_buf_puts(out, ",\"target\":");
	gd_json_string(out, artifact->target);
	gd_buf_puts(out, ",\"toolchain\":{\"nvrtc\":");
	gd_json_string(out, artifact->toolchain.version[0] ? artifact->toolchain.version : NULL);
	gd_buf_puts(out, ",\"build_id\":");
	gd_json_string(out, artifact->toolchain.build_id[0] ? artifact->toolchain.build_id : NULL);
	gd_buf_puts(out, ",\"driver\":");
	gd_json_string(out, pipeline->driver[0] ? pipeline->driver : NULL);
	gd_buf_printf(
	    out,
	    "},\"resources\":{\"registers\":%u,\"shared_bytes\":%u,\"local_bytes\":%u,\"const_bytes\":%u,"
	    "\"max_threads\":%u,\"occupancy\":{\"blocks\":%u,\"threads\":%u}}",
	    info->registers, info->shared_bytes, info->local_bytes, info->const_bytes, info->max_threads,
	    info->occupancy_blocks, info->occupancy_threads);
	gd_buf_puts(out, ",\"artifacts\":[");
	bool is_first = true;
	if (artifact->ptx)
		put_artifact(out, "ptx", artifact->ptx_bytes, artifact->ptx_sha256, &is_first);
	if (artifact->cubin)
		put_artifact(out, "cubin", artifact->cubin_bytes, artifact->cubin_sha256, &is_first);
	gd_buf_printf(out, "],\"reproducible\":%s}", artifact->reproducible ? "true" : "false");
}

bool gd_manifest_make(struct gd_pipeline *pipeline, struct gd_error *error)
{
	const struct gd_artifact *artifact = gd_kernel_artifact(pipeline->kernel);
	const struct gd_program *program = pipeline->program;
	gd_auto_buf struct gd_buf out = {0};
	gd_buf_init(&out, MANIFEST_MAX);
	gd_buf_puts(&out, ",\"kernel\":");
	gd_json_string(&out, gd_program_kernel(program));
	put_params(&out, &artifact->signature);
	gd_buf_puts(&out, ",\"options\":[");
	for (size_t i = 0; i < gd_program_option_count(program); i++) {
		gd_buf_puts(&out, i ? "," : "");
		gd_json_string(&out, gd_program_option(program, i));
	}
	const uint32_t *block = gd_program_workgroup_size(program);
	gd_buf_printf(&out, "],\"workgroup_size\":[%u,%u,%u]", block[0], block[1], block[2]);
	put_made(&out, pipeline, artifact);
	if (out.failed)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "no memory for the manifest");
	free(pipeline->manifest_rest);
	pipeline->manifest_rest = gd_buf_take(&out, NULL);
	return true;
}

void gd_manifest_write(struct gd_buf *out, const struct gd_pipeline *pipeline, int cache_hit)
{
	char digest[GD_SHA256_HEX + 1];
	gd_hex(gd_program_digest(pipeline->program), GD_SHA256_BYTES, digest);
	gd_buf_printf(out,
		      "{\"schema\":%d,\"backend_id\":\"%s\",\"pipeline_id\":\"%s\",\"program_digest\":\"%s\","
		      "\"dispatch_policy\":\"%s\",\"cache_hit\":%s",
		      GD_MANIFEST_SCHEMA, pipeline->backend, pipeline->id, digest, pipeline->policy,
		      gd_cache_hit_text(cache_hit));
	gd_buf_puts(out, pipeline->manifest_rest);
}
