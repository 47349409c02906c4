/* Requests and results on their way between processes: whatever a hostile child writes, the front reads
 * safely. */
#include "harness.h"

#include "gpu/compile/message.h"

enum { CAPACITY = 16 * 1024 };

static struct gd_wire_text text_of(const char *text)
{
	return (struct gd_wire_text){text, strlen(text)};
}

static void make_result(struct gd_result *result)
{
	static const struct gd_slot slots[] = {{4, 4}, {8, 8}, {16, 16}};
	struct gd_error error;
	*result = (struct gd_result){.outcome = GD_OUTCOME_MADE,
				     .text = text_of(""),
				     .fix = text_of(""),
				     .pointer = text_of(""),
				     .log = text_of("kernel.cu(1): warning #1-D: last line\n"),
				     .entry = text_of("_Z1kfPKfS_"),
				     .ptx = text_of(".version 9.0 …"),
				     .cubin = {"\x7f"
					       "ELF\0\1",
					       6},
				     .is_reproducible = true,
				     .has_types = true};
	assert_true(gd_signature_of_slots(slots, 3, &result->signature, &error));
	struct gd_param *params = result->signature.params;
	params[0].type = GD_TYPE_F32;
	params[1].type = GD_TYPE_POINTER;
	params[1].element = GD_TYPE_F32;
	params[1].element_size = 4;
	params[1].access = GD_PARAM_READ;
	params[2].type = GD_TYPE_BYTES;
	assert_true(gd_signature_name(&result->signature, 1, "x", 1));
}

static void a_result_comes_back_as_it_was(void **state)
{
	(void)state;
	static uint8_t memory[CAPACITY];
	struct gd_result sent, got;
	struct gd_error error;
	make_result(&sent);
	assert_true(gd_result_encode(&sent, memory, sizeof memory));
	assert_true(gd_result_decode(memory, sizeof memory, &got, &error));
	assert_int_equal(got.outcome, GD_OUTCOME_MADE);
	assert_string_equal(got.entry.text, sent.entry.text);
	assert_int_equal(got.cubin.bytes, 6);
	assert_memory_equal(got.cubin.text, sent.cubin.text, 6);
	assert_true(got.is_reproducible && got.has_types);
	assert_int_equal(got.signature.count, 3);
	assert_int_equal(got.signature.bytes, 32);
	assert_string_equal(got.signature.params[1].name, "x");
	assert_int_equal(got.signature.params[1].offset, 8);
	gd_signature_done(&sent.signature);
	gd_signature_done(&got.signature);
}

/* Decoding may succeed or fail; it may not read outside, and what it accepts must hold together. */
static bool try_decode(const uint8_t *memory, size_t bytes)
{
	struct gd_result result;
	struct gd_error error;
	/* exactly as large as told, so that the sanitizer sees a step too far */
	uint8_t *copy = malloc(bytes ? bytes : 1);
	assert_non_null(copy);
	memcpy(copy, memory, bytes);
	bool ok = gd_result_decode(copy, bytes, &result, &error);
	if (ok) {
		assert_int_equal(strlen(result.entry.text), result.entry.bytes);
		assert_true(result.signature.bytes <= GD_SIGNATURE_BYTES_MAX);
		for (uint32_t i = 0; i < result.signature.count; i++) {
			const struct gd_param *param = &result.signature.params[i];
			assert_true(param->type < GD_TYPE_COUNT && param->element < GD_TYPE_COUNT);
			assert_true(param->offset + param->size <= result.signature.bytes);
		}
		gd_signature_done(&result.signature);
	} else {
		assert_int_equal(error.code, GD_INTERNAL_STATE);
	}
	free(copy);
	return ok;
}

static void a_result_that_is_cut_anywhere_is_refused(void **state)
{
	(void)state;
	static uint8_t memory[CAPACITY];
	struct gd_result sent;
	make_result(&sent);
	size_t bytes = 0;
	while (!gd_result_encode(&sent, memory, bytes))
		bytes++;
	assert_true(try_decode(memory, bytes));
	for (size_t cut = 0; cut < bytes; cut++)
		assert_false(try_decode(memory, cut));
	gd_signature_done(&sent.signature);
}

static void a_result_with_any_byte_changed_is_read_safely(void **state)
{
	(void)state;
	static uint8_t memory[CAPACITY];
	static const uint8_t masks[] = {0x01, 0x02, 0x80, 0xff, 0x7f};
	struct gd_result sent;
	make_result(&sent);
	size_t bytes = 0;
	while (!gd_result_encode(&sent, memory, bytes))
		bytes++;
	for (size_t i = 0; i < bytes; i++)
		for (size_t j = 0; j < sizeof masks; j++) {
			memory[i] ^= masks[j];
			try_decode(memory, bytes);
			memory[i] ^= masks[j];
		}
	gd_signature_done(&sent.signature);
}

static void a_result_of_random_bytes_is_read_safely(void **state)
{
	(void)state;
	static uint8_t memory[CAPACITY];
	struct gd_result sent;
	make_result(&sent);
	uint64_t seed = 88172645463325252ull; /* xorshift64, Marsaglia 2003 */
	for (int round = 0; round < 20000; round++) {
		memset(memory, 0, 1024);
		gd_result_encode(&sent, memory, sizeof memory);
		for (int k = 0; k < 4; k++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			memory[8 + seed % 700] = (uint8_t)(seed >> 32);
		}
		try_decode(memory, 1024);
	}
	gd_signature_done(&sent.signature);
}

static void a_result_that_lies_about_a_parameter_is_refused(void **state)
{
	(void)state;
	static uint8_t memory[CAPACITY];
	static const struct {
		const char *why;
		struct gd_param param;
	} rows[] = {
	    {"size 0", {.type = GD_TYPE_BYTES, .size = 0, .align = 1}},
	    {"no alignment", {.type = GD_TYPE_F32, .size = 4, .align = 0}},
	    {"odd alignment", {.type = GD_TYPE_F32, .size = 4, .align = 3}},
	    {"wrong size", {.type = GD_TYPE_F32, .size = 8, .align = 8}},
	    {"too large", {.type = GD_TYPE_BYTES, .size = 4097, .align = 1}},
	    {"an element that is no buffer's",
	     {.type = GD_TYPE_F32, .size = 4, .align = 4, .element = GD_TYPE_F32}},
	    {"a buffer without element",
	     {.type = GD_TYPE_POINTER, .size = 8, .align = 8, .access = GD_PARAM_READ}},
	    {"a buffer without access",
	     {.type = GD_TYPE_POINTER, .size = 8, .align = 8, .element = GD_TYPE_F32, .element_size = 4}},
	    {"a wrong element size",
	     {.type = GD_TYPE_POINTER,
	      .size = 8,
	      .align = 8,
	      .element = GD_TYPE_F32,
	      .element_size = 2,
	      .access = GD_PARAM_READ}},
	    {"no type", {.size = 4, .align = 4}},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_result result;
		make_result(&result);
		char *name = result.signature.params[0].name;
		result.signature.params[0] = rows[i].param;
		result.signature.params[0].name = name;
		assert_true(gd_result_encode(&result, memory, sizeof memory));
		if (try_decode(memory, sizeof memory))
			fail_msg("%s", rows[i].why);
		gd_signature_done(&result.signature);
	}
}

static void a_request_comes_back_as_it_was(void **state)
{
	(void)state;
	static const struct gd_header_input headers[] = {{"b.h", "B", 1}, {"a.h", "", 0}};
	static const char *const options[] = {"-DX=1", "--lineinfo"};
	struct gd_program_input input = harness_source("__global__ void k() {}", " k ");
	input.headers = headers;
	input.header_count = 2;
	input.options = options;
	input.option_count = 2;
	struct gd_program *program = harness_program(&input);
	size_t bytes = 0;
	uint8_t *data = gd_request_encode(program, GD_COMPILE_CUDA, 90, &bytes);
	struct gd_request request;
	assert_non_null(data);
	assert_true(gd_request_decode(data, bytes, &request));
	assert_int_equal(request.compute_capability, 90);
	assert_string_equal(request.kernel.text, "k");
	assert_string_equal(request.source.text, "__global__ void k() {}");
	assert_int_equal(request.header_count, 2);
	assert_string_equal(request.header_names[0], "a.h");
	assert_string_equal(request.header_texts[1], "B");
	assert_int_equal(request.option_count, 2);
	assert_string_equal(request.options[0], "--lineinfo");
	free(request.header_names);
	free(request.header_texts);
	free(request.options);
	free(data);
	gd_program_free(program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_result_comes_back_as_it_was),
	    cmocka_unit_test(a_result_that_is_cut_anywhere_is_refused),
	    cmocka_unit_test(a_result_with_any_byte_changed_is_read_safely),
	    cmocka_unit_test(a_result_of_random_bytes_is_read_safely),
	    cmocka_unit_test(a_result_that_lies_about_a_parameter_is_refused),
	    cmocka_unit_test(a_request_comes_back_as_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
