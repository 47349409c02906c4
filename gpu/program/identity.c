#include "gpu/program/program.h"

#include <string.h>

void gd_policy_text(uint32_t ulp_budget, const uint32_t *workgroup_size, char out_text[GD_POLICY_TEXT_BYTES])
{
	char ulp[24] = "None", wg[56] = "None";
	if (ulp_budget)
		snprintf(ulp, sizeof ulp, "Some(%u)", ulp_budget);
	if (workgroup_size)
		snprintf(wg, sizeof wg, "Some([%u, %u, %u])", workgroup_size[0], workgroup_size[1],
			 workgroup_size[2]);
	snprintf(out_text, GD_POLICY_TEXT_BYTES, "ulp=%s:wg=%s", ulp, wg);
}

void gd_pipeline_id(const char *backend, const uint8_t program_digest[GD_SHA256_BYTES], const char *policy,
		    char out_id[GD_PIPELINE_ID_BYTES])
{
	struct gd_sha256 hash;
	uint8_t digest[GD_SHA256_BYTES];
	gd_sha256_init(&hash);
	gd_sha256_add_text(&hash, "gpudispatch pipeline 1");
	gd_sha256_add_field(&hash, program_digest, GD_SHA256_BYTES);
	gd_sha256_add_text(&hash, policy);
	gd_sha256_done(&hash, digest);
	char hex[GD_SHA256_HEX + 1];
	gd_hex(digest, sizeof digest, hex);
	snprintf(out_id, GD_PIPELINE_ID_BYTES, "%.16s:%s", backend, hex);
}
