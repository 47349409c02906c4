#include "common.h"

static void parameters_lie_where_ptx_puts_them(void **state)
{
	(void)state;
	static const struct gd_slot slots[] = {{1, 1}, {8, 8}, {2, 2}, {16, 16}, {3, 1}, {4, 4}};
	static const uint32_t want[] = {0, 8, 16, 32, 48, 52};
	struct gd_signature signature;
	struct gd_error error;
	assert_true(gd_signature_of_slots(slots, 6, &signature, &error));
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(signature.params[i].offset, want[i]);
	assert_int_equal(signature.bytes, 56);
	assert_true(signature.laid_out);
	gd_signature_done(&signature);
	assert_true(gd_signature_of_slots(NULL, 0, &signature, &error));
	assert_int_equal(signature.bytes, 0);
	gd_signature_done(&signature);
}

static void parameters_have_limits(void **state)
{
	(void)state;
	static struct gd_slot slots[GD_SIGNATURE_PARAMS_MAX + 1];
	struct gd_signature signature = {0};
	struct gd_error error;
	for (uint32_t i = 0; i <= GD_SIGNATURE_PARAMS_MAX; i++)
		slots[i] = (struct gd_slot){8, 8};
	assert_true(gd_signature_of_slots(slots, GD_SIGNATURE_PARAMS_MAX, &signature, &error));
	assert_int_equal(signature.bytes, GD_SIGNATURE_BYTES_MAX);
	gd_signature_done(&signature);
	assert_false(gd_signature_of_slots(slots, GD_SIGNATURE_PARAMS_MAX + 1, &signature, &error));
	assert_int_equal(error.code, GD_INVALID_PROGRAM);
	slots[0].size = 9;
	assert_false(gd_signature_of_slots(slots, GD_SIGNATURE_PARAMS_MAX, &signature, &error));
	assert_int_equal(error.code, GD_INVALID_PROGRAM);
	slots[0] = (struct gd_slot){4, 3};
	assert_false(gd_signature_of_slots(slots, 1, &signature, &error));
	slots[0] = (struct gd_slot){4, 0};
	assert_false(gd_signature_of_slots(slots, 1, &signature, &error));
}

static void types_have_names_and_sizes(void **state)
{
	(void)state;
	for (unsigned i = GD_TYPE_NONE + 1; i < GD_TYPE_COUNT; i++)
		assert_int_equal(gd_type_of(gd_type_text((enum gd_type)i)), i);
	assert_int_equal(gd_type_of("float"), GD_TYPE_NONE);
	assert_int_equal(gd_type_of(""), GD_TYPE_NONE);
	assert_int_equal(gd_type_of(NULL), GD_TYPE_NONE);
	assert_string_equal(gd_type_text(GD_TYPE_POINTER), "buffer");
	assert_int_equal(gd_type_size(GD_TYPE_BF16), 2);
	assert_int_equal(gd_type_size(GD_TYPE_COUNT), 0);
}

static void a_parameter_is_found_by_name_or_position(void **state)
{
	(void)state;
	static const struct gd_slot slots[12] = {{4, 4}, {4, 4}, {4, 4}, {4, 4}, {4, 4}, {4, 4},
						 {4, 4}, {4, 4}, {4, 4}, {4, 4}, {4, 4}, {4, 4}};
	struct gd_signature signature;
	struct gd_error error;
	assert_true(gd_signature_of_slots(slots, 12, &signature, &error));
	assert_true(gd_signature_name(&signature, 3, "x", 1));
	assert_int_equal(gd_signature_find(&signature, "x"), 3);
	assert_int_equal(gd_signature_find(&signature, "0"), 0);
	assert_int_equal(gd_signature_find(&signature, "11"), 11);
	static const char *const none[] = {"12", "01", "", "-1", "1x", "y", "99999999999999999999", "00"};
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (gd_signature_find(&signature, none[i]) != -1)
			fail_msg("'%s'", none[i]);
	gd_signature_forget_names(&signature);
	assert_int_equal(gd_signature_find(&signature, "x"), -1);
	gd_signature_done(&signature);
}

/* f32, const f32 *, float4 *, 12 bytes, i64 */
static void make_found(struct gd_signature *out)
{
	static const struct gd_slot slots[] = {{4, 4}, {8, 8}, {8, 8}, {12, 4}, {8, 8}};
	struct gd_error error;
	assert_true(gd_signature_of_slots(slots, 5, out, &error));
	struct gd_param *params = out->params;
	params[0].type = GD_TYPE_F32;
	params[1].type = params[2].type = GD_TYPE_POINTER;
	params[1].element = GD_TYPE_F32;
	params[1].element_size = 4;
	params[1].access = GD_PARAM_READ;
	params[2].element = GD_TYPE_BYTES;
	params[2].element_size = 16;
	params[2].access = GD_PARAM_READ_WRITE;
	params[3].type = GD_TYPE_BYTES;
	params[4].type = GD_TYPE_I64;
	gd_signature_name(out, 0, "found", 5);
}

static struct gd_program *declare(const struct gd_param_input *params, size_t count)
{
	struct gd_program_input input = common_input("__global__");
	input.params = params;
	input.param_count = count;
	input.params_declared = true;
	return common_program(&input);
}

static const struct gd_param_input good[5] = {
    {.name = "a", .type = "f32"},
    {.name = "x", .type = "buffer", .element = "f32"},
    {.name = "y", .type = "buffer", .element = "f32", .access = "write"},
    {.name = "s", .type = "bytes", .size = 12},
    {.type = "i64"}};

static void a_declaration_gives_names_and_narrows_access(void **state)
{
	(void)state;
	struct gd_signature found;
	struct gd_error error;
	make_found(&found);
	assert_true(gd_signature_merge(&found, NULL, &error));
	assert_string_equal(found.params[0].name, "found");
	struct gd_program *program = declare(good, 5);
	assert_true(gd_signature_merge(&found, gd_program_declared(program), &error));
	assert_string_equal(found.params[0].name, "a");
	assert_int_equal(found.params[1].access, GD_PARAM_READ);
	assert_int_equal(found.params[2].access, GD_PARAM_WRITE);
	assert_int_equal(found.params[2].element, GD_TYPE_F32);
	assert_int_equal(found.params[2].element_size, 4);
	assert_string_equal(found.params[4].name, "");
	gd_program_free(program);
	gd_signature_done(&found);
}

static void a_declaration_that_disagrees_is_refused_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *why, *words, *pointer;
		size_t index;
		struct gd_param_input param;
	} rows[] = {
	    {"another scalar", "f32", "/params/0", 0, {.name = "alpha", .type = "f64"}},
	    {"of the same size", "`alpha`", "/params/0", 0, {.name = "alpha", .type = "i32"}},
	    {"a scalar for a buffer", "buffer", "/params/1", 1, {.type = "i64"}},
	    {"a buffer for a scalar", "i64", "/params/4", 4, {.type = "buffer"}},
	    {"another element", "element", "/params/1", 1, {.type = "buffer", .element = "i32"}},
	    {"an element that does not divide",
	     "element",
	     "/params/2",
	     2,
	     {.type = "buffer", .element = "bytes", .size = 12}},
	    {"writing to const", "const", "/params/1", 1, {.type = "buffer", .access = "write"}},
	    {"another size", "12", "/params/3", 3, {.type = "bytes", .size = 16}},
	    {"bytes for a buffer", "buffer", "/params/1", 1, {.type = "bytes", .size = 8}},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_param_input params[5];
		struct gd_signature found;
		struct gd_error error = {0};
		memcpy(params, good, sizeof params);
		params[rows[i].index] = rows[i].param;
		struct gd_program *program = declare(params, 5);
		make_found(&found);
		if (gd_signature_merge(&found, gd_program_declared(program), &error))
			fail_msg("%s", rows[i].why);
		assert_int_equal(error.code, GD_INVALID_PROGRAM);
		if (strcmp(error.pointer, rows[i].pointer) != 0 || !strstr(error.text, rows[i].words))
			fail_msg("%s: %s at %s", rows[i].why, error.text, error.pointer);
		gd_program_free(program);
		gd_signature_done(&found);
	}
}

static void a_declaration_must_be_complete(void **state)
{
	(void)state;
	struct gd_signature found;
	struct gd_error error = {0};
	make_found(&found);
	struct gd_program *program = declare(good, 4);
	assert_false(gd_signature_merge(&found, gd_program_declared(program), &error));
	assert_string_equal(error.pointer, "/params");
	gd_program_free(program);
	program = declare(NULL, 0);
	assert_non_null(gd_program_declared(program));
	assert_false(gd_signature_merge(&found, gd_program_declared(program), &error));
	gd_program_free(program);
	gd_signature_done(&found);
}

static void types_that_nobody_knows_must_be_declared(void **state)
{
	(void)state;
	static const struct gd_slot slots[] = {{4, 4}, {8, 8}, {8, 8}, {12, 4}, {8, 8}};
	struct gd_signature found;
	struct gd_error error = {0};
	assert_true(gd_signature_of_slots(slots, 5, &found, &error));
	assert_false(gd_signature_merge(&found, NULL, &error));
	assert_int_equal(error.code, GD_INVALID_PROGRAM);
	assert_string_equal(error.pointer, "/params");
	struct gd_program *program = declare(good, 5);
	assert_true(gd_signature_merge(&found, gd_program_declared(program), &error));
	assert_int_equal(found.params[1].access, GD_PARAM_READ_WRITE);
	assert_int_equal(found.params[2].access, GD_PARAM_WRITE);
	assert_int_equal(found.params[4].offset, 40);
	gd_program_free(program);
	gd_signature_done(&found);
}

static void a_copy_is_independent(void **state)
{
	(void)state;
	struct gd_signature found, copy;
	struct gd_error error;
	make_found(&found);
	assert_true(gd_signature_copy(&found, &copy, &error));
	gd_signature_done(&found);
	assert_string_equal(copy.params[0].name, "found");
	assert_int_equal(copy.params[4].offset, 40);
	gd_signature_done(&copy);
	gd_signature_done(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parameters_lie_where_ptx_puts_them),
	    cmocka_unit_test(parameters_have_limits),
	    cmocka_unit_test(types_have_names_and_sizes),
	    cmocka_unit_test(a_parameter_is_found_by_name_or_position),
	    cmocka_unit_test(a_declaration_gives_names_and_narrows_access),
	    cmocka_unit_test(a_declaration_that_disagrees_is_refused_by_name),
	    cmocka_unit_test(a_declaration_must_be_complete),
	    cmocka_unit_test(types_that_nobody_knows_must_be_declared),
	    cmocka_unit_test(a_copy_is_independent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
