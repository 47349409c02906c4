#include "api/pipeline_out.h"

#include "api/json_out.h"
#include "api/manifest.h"

#include <inttypes.h>
#include <stdio.h>

void gd_pipeline_write(struct gd_buf *out, const struct gd_pipeline *pipeline,
		       const struct gd_compile_facts *facts, const char *devices)
{
	const struct gd_diagnostics *diagnostics = &gd_kernel_artifact(pipeline->kernel)->diagnostics;
	gd_buf_printf(out, "{\"id\":\"%s\",\"cache_hit\":%s,\"cache_tier\":", pipeline->id,
		      gd_cache_hit_text(facts->cache_hit));
	gd_json_string(out, gd_cache_tier_text(facts->tier));
	gd_buf_puts(out, ",\"miss_reason\":");
	gd_json_string(out, gd_miss_reason_text(facts->miss_reason));
	gd_buf_puts(out, ",\"manifest\":");
	gd_manifest_write(out, pipeline, facts->cache_hit);
	gd_buf_puts(out, ",\"diagnostics\":");
	gd_problem_diagnostics(out, diagnostics);
	gd_buf_puts(out, ",\"log\":");
	gd_json_string(out, diagnostics->log ? diagnostics->log : "");
	gd_buf_printf(
	    out, ",\"timing\":{\"compile_ns\":%" PRIu64 ",\"load_ns\":%" PRIu64 ",\"total_ns\":%" PRIu64 "}",
	    facts->compile_ns, facts->load_ns, facts->total_ns);
	if (devices) {
		gd_buf_puts(out, ",\"devices\":");
		gd_buf_puts(out, devices);
	}
	gd_buf_puts(out, "}\n");
}

void gd_pipeline_etag(const char *id, char *out, size_t capacity)
{
	snprintf(out, capacity, "\"%s\"", gd_pipeline_hex(id));
}
