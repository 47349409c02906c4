#include "common.h"

#include "gpu/program/ptx.h"

static const char two[] = "// .entry in_a_comment()\n"
			  ".version 9.0\n.target sm_90\n.address_size 64\n"
			  "/* .entry in_another(.param .u64 x) { } */\n"
			  ".extern .entry declared_only(.param .u32 declared_only_param_0);\n"
			  ".visible .entry _Z5firstfPKf(\n"
			  "\t.param .f32 p0,\n"
			  "\t.param .u64 .ptr .global .align 16 p1,\n"
			  "\t.param .align 16 .b8 p2[48],\n"
			  "\t.param .u8 p3, .param .bf16 p4, .param .b128 p5\n"
			  ")\n.maxntid 128, 1, 1\n.minnctapersm 2\n"
			  "{\n\t.reg .b32 %r<3>;\n\tret;\n}\n"
			  ".weak .entry second() { ret; }\n"
			  ".entry third { ret; }\n"
			  ".func helper(.param .b32 x) { ret; }\n"
			  ".global .align 1 .b8 text[8] = \".entry in_a_string(){\";\n";

static void entries_have_names_and_slots(void **state)
{
	(void)state;
	struct gd_ptx ptx;
	struct gd_error error;
	assert_true(gd_ptx_scan(two, sizeof two - 1, &ptx, &error));
	assert_int_equal(ptx.count, 3);
	assert_string_equal(ptx.entries[0].name, "_Z5firstfPKf");
	static const struct gd_slot want[] = {{4, 4}, {8, 8}, {48, 16}, {1, 1}, {2, 2}, {16, 16}};
	assert_int_equal(ptx.entries[0].count, 6);
	assert_memory_equal(ptx.entries[0].slots, want, sizeof want);
	assert_string_equal(ptx.entries[1].name, "second");
	assert_int_equal(ptx.entries[1].count, 0);
	assert_string_equal(ptx.entries[2].name, "third");
	assert_ptr_equal(gd_ptx_find(&ptx, "second"), &ptx.entries[1]);
	assert_null(gd_ptx_find(&ptx, "helper"));
	char list[200];
	gd_ptx_list(&ptx, list, sizeof list);
	assert_string_equal(list, "`_Z5firstfPKf`, `second`, `third`");
	gd_ptx_done(&ptx);
}

static void parameters_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	static const char *const rows[] = {
	    ".entry k(.param .u32 x",
	    ".entry k(.param .u33 x) {}",
	    ".entry k(.param x) {}",
	    ".entry k(.reg .u32 x) {}",
	    ".entry k(.param .align 3 .b8 x[4]) {}",
	    ".entry k(.param .align .b8 x[4]) {}",
	    ".entry k(.param .align 8192 .b8 x[4]) {}",
	    ".entry k(.param .b8 x[0]) {}",
	    ".entry k(.param .b8 x[4097]) {}",
	    ".entry k(.param .b64 x[4294967296]) {}",
	    ".entry k(.param .b64 x[536870912]) {}",
	    ".entry k(.param .b8 x[4) {}",
	    ".entry k(.param .b8 x[]) {}",
	    ".entry k(,) {}",
	    ".entry",
	    ".entry (",
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_ptx ptx;
		struct gd_error error = {0};
		if (gd_ptx_scan(rows[i], strlen(rows[i]), &ptx, &error))
			fail_msg("%s", rows[i]);
		assert_int_equal(error.code, GD_INVALID_PROGRAM);
	}
}

static void a_text_cut_anywhere_is_read_safely(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < sizeof two; cut++) {
		char *copy = malloc(cut + 1);
		struct gd_ptx ptx;
		struct gd_error error;
		assert_non_null(copy);
		memcpy(copy, two, cut);
		if (gd_ptx_scan(copy, cut, &ptx, &error))
			gd_ptx_done(&ptx);
		free(copy);
	}
}

static void entries_have_a_limit(void **state)
{
	(void)state;
	static const char entry[] = ".entry k(){}";
	size_t bytes = (sizeof entry - 1) * (GD_PTX_ENTRIES_MAX + 1);
	char *text = malloc(bytes);
	struct gd_ptx ptx;
	struct gd_error error;
	assert_non_null(text);
	for (size_t i = 0; i < bytes; i++)
		text[i] = entry[i % (sizeof entry - 1)];
	assert_true(gd_ptx_scan(text, bytes - sizeof entry + 1, &ptx, &error));
	assert_int_equal(ptx.count, GD_PTX_ENTRIES_MAX);
	char list[400];
	gd_ptx_list(&ptx, list, sizeof list);
	assert_non_null(strstr(list, "and 1018 more"));
	gd_ptx_done(&ptx);
	assert_false(gd_ptx_scan(text, bytes, &ptx, &error));
	assert_int_equal(error.code, GD_INVALID_PROGRAM);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(entries_have_names_and_slots),
	    cmocka_unit_test(parameters_that_make_no_sense_are_refused),
	    cmocka_unit_test(a_text_cut_anywhere_is_read_safely),
	    cmocka_unit_test(entries_have_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
