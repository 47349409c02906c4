#include "common.h"

#define KERNEL "extern \"C\" __global__ void k(float *y) { *y = 1; }"

static void digest_of(const struct gd_program_input *input, char out[GD_SHA256_HEX + 1])
{
	struct gd_program *program = common_program(input);
	gd_hex(gd_program_digest(program), GD_SHA256_BYTES, out);
	gd_program_free(program);
}

static void the_digest_is_the_same_on_every_machine_for_ever(void **state)
{
	(void)state;
	/*
	 * Computed apart from this code: fields are an 8-byte little-endian length and bytes; numbers are
	 * fields of 8 bytes. Order: tag, language, kernel, source, headers, options, declared, workgroup.
	 */
	char hex[GD_SHA256_HEX + 1];
	struct gd_program_input input = common_input(KERNEL);
	digest_of(&input, hex);
	struct gd_sha256 hash;
	uint8_t want[GD_SHA256_BYTES];
	char want_hex[GD_SHA256_HEX + 1];
	static const uint64_t numbers_before[] = {1}, numbers_after[] = {0, 0, 0, 0, 64, 1, 1};
	uint64_t length;
	gd_sha256_init(&hash);
#define FIELD(data, bytes)                                                                                   \
	(length = (bytes), gd_sha256_add(&hash, &length, 8), gd_sha256_add(&hash, data, bytes))
	FIELD("gpudispatch program 1", 21);
	FIELD(&numbers_before[0], 8);
	FIELD("", 0);
	FIELD(KERNEL, sizeof KERNEL - 1);
	for (size_t i = 0; i < 7; i++)
		FIELD(&numbers_after[i], 8);
	gd_sha256_done(&hash, want);
	gd_hex(want, sizeof want, want_hex);
	assert_string_equal(hex, want_hex);
}

static void what_means_the_same_has_the_same_digest(void **state)
{
	(void)state;
	static const struct gd_header_input headers[] = {{"a.h", "1", 1}, {"b.h", "2", 1}};
	static const struct gd_header_input turned[] = {{"b.h", "2", 1}, {"a.h", "1", 1}};
	static const char *const options[] = {"-std=c++17", "-DA", "-use_fast_math"};
	static const char *const other[] = {"--use_fast_math", "--std=c++17", "-DA", "-DA"};
	char a[GD_SHA256_HEX + 1], b[GD_SHA256_HEX + 1];
	struct gd_program_input first = common_input(KERNEL), second = common_input(KERNEL);
	first.kernel = "k<unsigned int, 3>";
	second.kernel = "  k < unsigned \n int,3 > ";
	first.headers = headers;
	second.headers = turned;
	first.header_count = second.header_count = 2;
	first.options = options;
	first.option_count = 3;
	second.options = other;
	second.option_count = 4;
	second.workgroup_size[0] = 64;
	second.workgroup_size[1] = second.workgroup_size[2] = 1;
	digest_of(&first, a);
	digest_of(&second, b);
	assert_string_equal(a, b);
}

static void every_part_of_the_identity_changes_the_digest(void **state)
{
	(void)state;
	enum { PARTS = 16 };
	static const struct gd_header_input ab = {"a", "b", 1}, ba = {"ab", "", 0};
	static const char *const lineinfo = "--lineinfo";
	static const struct gd_param_input i32 = {.type = "i32"}, named = {.type = "i32", .name = "n"},
					   read = {.type = "buffer", .access = "read"},
					   buffer = {.type = "buffer"},
					   f32 = {.type = "buffer", .element = "f32"};
	struct gd_program_input inputs[PARTS];
	char digests[PARTS][GD_SHA256_HEX + 1];
	for (int i = 0; i < PARTS; i++)
		inputs[i] = common_input(KERNEL);
	inputs[1] = common_input(KERNEL "\n");
	inputs[2].kernel = "k";
	inputs[3].headers = &ab;
	inputs[3].header_count = 1;
	inputs[4].headers = &ba;
	inputs[4].header_count = 1;
	inputs[5].options = &lineinfo;
	inputs[5].option_count = 1;
	inputs[6].params = &i32;
	inputs[7].params = &named;
	inputs[8].params = &read;
	inputs[9].params = &buffer;
	inputs[10].params = &f32;
	for (int i = 6; i <= 10; i++)
		inputs[i].param_count = 1;
	inputs[11].params_declared = true;
	inputs[12].workgroup_size[0] = 32;
	inputs[12].workgroup_size[1] = inputs[12].workgroup_size[2] = 1;
	inputs[13].workgroup_size[0] = inputs[13].workgroup_size[2] = 1;
	inputs[13].workgroup_size[1] = 64;
	inputs[14].language = GD_LANGUAGE_PTX;
	inputs[15].language = GD_LANGUAGE_CUBIN;
	for (int i = 0; i < PARTS; i++) {
		digest_of(&inputs[i], digests[i]);
		for (int j = 0; j < i; j++)
			if (!strcmp(digests[i], digests[j]))
				fail_msg("parts %d and %d give one digest", i, j);
	}
}

static void the_policy_text_is_that_of_the_contract(void **state)
{
	(void)state;
	static const uint32_t size[3] = {8, 4, 1}, largest[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
	char text[GD_POLICY_TEXT_BYTES];
	gd_policy_text(0, NULL, text);
	assert_string_equal(text, "ulp=None:wg=None");
	gd_policy_text(2, NULL, text);
	assert_string_equal(text, "ulp=Some(2):wg=None");
	gd_policy_text(0, size, text);
	assert_string_equal(text, "ulp=None:wg=Some([8, 4, 1])");
	gd_policy_text(UINT32_MAX, largest, text);
	assert_string_equal(text, "ulp=Some(4294967295):wg=Some([4294967295, 4294967295, 4294967295])");
}

static void the_id_begins_with_its_backend_and_depends_on_the_policy(void **state)
{
	(void)state;
	uint8_t digest[GD_SHA256_BYTES] = {1, 2, 3};
	char cuda[GD_PIPELINE_ID_BYTES], reference[GD_PIPELINE_ID_BYTES], other[GD_PIPELINE_ID_BYTES];
	gd_pipeline_id("cuda", digest, "ulp=None:wg=None", cuda);
	gd_pipeline_id("reference", digest, "ulp=None:wg=None", reference);
	gd_pipeline_id("cuda", digest, "ulp=Some(1):wg=None", other);
	assert_int_equal(strncmp(cuda, "cuda:", 5), 0);
	assert_int_equal(strlen(cuda), 5 + 64);
	assert_int_equal(strncmp(reference, "reference:", 10), 0);
	assert_string_equal(cuda + 5, reference + 10);
	assert_string_not_equal(cuda, other);
}

static void the_artifact_key_depends_on_target_and_toolchain(void **state)
{
	(void)state;
	uint8_t digest[GD_SHA256_BYTES] = {7}, keys[4][GD_SHA256_BYTES];
	struct gd_toolchain_id id = {.version = "13.0", .build_id = "aa"},
			       newer = {.version = "13.1", .build_id = "aa"},
			       rebuilt = {.version = "13.0", .build_id = "ab"};
	gd_artifact_key(digest, "sm_90", &id, keys[0]);
	gd_artifact_key(digest, "reference-sm_90", &id, keys[1]);
	gd_artifact_key(digest, "sm_90", &newer, keys[2]);
	gd_artifact_key(digest, "sm_90", &rebuilt, keys[3]);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(keys[i], keys[j], GD_SHA256_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_digest_is_the_same_on_every_machine_for_ever),
	    cmocka_unit_test(what_means_the_same_has_the_same_digest),
	    cmocka_unit_test(every_part_of_the_identity_changes_the_digest),
	    cmocka_unit_test(the_policy_text_is_that_of_the_contract),
	    cmocka_unit_test(the_id_begins_with_its_backend_and_depends_on_the_policy),
	    cmocka_unit_test(the_artifact_key_depends_on_target_and_toolchain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
