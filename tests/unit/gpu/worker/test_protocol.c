/* What crosses the process border: layout, and errors from a worker that may say anything. */
#include "gpu/worker/protocol.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void an_error_survives_the_way_there_and_back(void **state)
{
	(void)state;
	struct gd_error error, back;
	struct gd_wire_error wire;
	gd_error_set(&error, GD_DISPATCH_FAILED, "Check the indices.", "an illegal address\nin line 3: %s",
		     "\xc3\xa4");
	gd_error_native(&error, 700, "CUDA_ERROR_ILLEGAL_ADDRESS", true);
	gd_wire_error_pack(&wire, &error);
	gd_wire_error_unpack(&wire, &back);
	assert_int_equal(back.code, GD_DISPATCH_FAILED);
	assert_int_equal(back.native, 700);
	assert_string_equal(back.native_name, "CUDA_ERROR_ILLEGAL_ADDRESS");
	assert_true(back.sticky);
	assert_string_equal(back.text, error.text);
	assert_string_equal(back.fix, error.fix);
	assert_string_equal(back.pointer, "");
	gd_wire_error_unpack(&wire, NULL);
}

static void an_error_without_a_code_is_still_one(void **state)
{
	(void)state;
	struct gd_error error = {0};
	struct gd_wire_error wire;
	gd_wire_error_pack(&wire, &error);
	assert_int_equal(wire.code, GD_UNKNOWN);
	memset(&wire, 0, sizeof wire);
	gd_wire_error_unpack(&wire, &error);
	assert_int_equal(error.code, GD_UNKNOWN);
}

static void only_codes_that_a_device_may_say_are_taken(void **state)
{
	(void)state;
	static const enum gd_code taken[] = {GD_DEVICE_OUT_OF_MEMORY,
					     GD_UNSUPPORTED_FEATURE,
					     GD_BACKEND_UNAVAILABLE,
					     GD_INTERNAL_STATE,
					     GD_DISPATCH_FAILED,
					     GD_INVALID_PROGRAM,
					     GD_INVALID_REQUEST,
					     GD_DEVICE_LOST,
					     GD_COOPERATIVE_RESIDENCY_EXCEEDED,
					     GD_OVERLOADED};
	struct gd_wire_error wire = {0};
	struct gd_error error;
	for (uint32_t code = 0; code < GD_CODE_COUNT + 10u; code++) {
		bool is_taken = false;
		for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
			is_taken |= taken[i] == code;
		wire.code = code;
		gd_wire_error_unpack(&wire, &error);
		assert_int_equal(error.code, is_taken ? code : GD_UNKNOWN);
	}
	static const uint32_t wild[] = {0x80000000u, 0xffffffffu, 0x7fffffffu, 0x10000u | GD_DEVICE_LOST};
	for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
		wire.code = wild[i];
		gd_wire_error_unpack(&wire, &error);
		assert_int_equal(error.code, GD_UNKNOWN);
	}
}

static void hostile_bytes_become_ended_texts_without_control_characters(void **state)
{
	(void)state;
	uint32_t seed = 4711;
	static struct gd_wire_error wire;
	static struct gd_error error;
	for (unsigned round = 0; round < 3000; round++) {
		uint8_t *bytes = (uint8_t *)&wire;
		for (size_t i = 0; i < sizeof wire; i++) {
			seed = seed * 1664525u + 1013904223u;
			/* every third round has no zero anywhere */
			bytes[i] = (uint8_t)(seed >> 24);
			if (round % 3 == 0 && !bytes[i])
				bytes[i] = 1;
		}
		gd_wire_error_unpack(&wire, &error);
		assert_true(error.code > 0 && error.code < GD_CODE_COUNT);
		assert_true(strlen(error.text) < sizeof error.text);
		assert_true(strlen(error.fix) < sizeof error.fix);
		for (const char *c = error.text; *c; c++)
			assert_true((unsigned char)*c >= 0x20 || *c == '\n' || *c == '\t');
		assert_false(strchr(error.text, 0x7f));
	}
}

static void texts_as_long_as_their_place_are_cut_at_its_end(void **state)
{
	(void)state;
	static struct gd_wire_error wire;
	static struct gd_error error;
	memset(&wire, 'A', sizeof wire);
	gd_wire_error_unpack(&wire, &error);
	assert_int_equal(strlen(error.text), sizeof error.text - 1);
	assert_int_equal(strlen(error.fix), sizeof error.fix - 1);
	assert_null(error.native_name); /* not ended: none */
}

static void names_are_plain_and_the_same_each_time(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool taken;
	} rows[] = {
	    {"", false},
	    {"A", true},
	    {"CUDA_ERROR_LAUNCH_TIMEOUT", true},
	    {"has space", false},
	    {"quote\"", false},
	    {"new\nline", false},
	    {"\xc3\xa4", false},
	    {"this_name_has_forty_seven_characters_and_an_end", true},
	    {"this_name_has_forty_eight_characters_and_no_endX", false},
	};
	char room[64];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		memset(room, 'Z', sizeof room);
		memcpy(room, rows[i].name, strlen(rows[i].name) + 1);
		const char *name = gd_static_name(room, 48);
		if ((name != NULL) != rows[i].taken)
			fail_msg("\"%s\"", rows[i].name);
		memset(room + strlen(rows[i].name) + 1, 'Y', 8);
		assert_ptr_equal(gd_static_name(room, 48), name);
		if (name)
			assert_string_equal(name, rows[i].name);
	}
}

static void *add_names(void *argument)
{
	(void)argument;
	char name[32];
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "NAME_%u", i % 200);
		const char *found = gd_static_name(name, sizeof name);
		if (found)
			assert_string_equal(found, name);
	}
	return NULL;
}

static void a_worker_that_invents_names_fills_a_table_and_no_more(void **state)
{
	(void)state;
	pthread_t threads[4];
	const char *before = gd_static_name("KNOWN_BEFORE", 13);
	assert_non_null(before);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_names, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_null(gd_static_name("ONE_TOO_MANY", 13));
	assert_ptr_equal(gd_static_name("KNOWN_BEFORE", 13), before);
}

static void the_parts_of_control_memory_do_not_overlap(void **state)
{
	(void)state;
	assert_true(offsetof(struct gd_cell, state) % GD_CACHE_LINE == 0);
	assert_true(offsetof(struct gd_cell, params) % GD_CACHE_LINE == 0);
	assert_int_equal(GD_CELL_BYTES % GD_CELL_ALIGN, 0);
	assert_true(GD_CELL_BYTES >= sizeof(struct gd_cell));
	for (uint32_t lanes = 1; lanes <= GD_LANES_MAX; lanes++) {
		struct gd_control *base = NULL;
		uintptr_t first = (uintptr_t)gd_control_cell(base, 0, 0);
		uintptr_t last = (uintptr_t)gd_control_cell(base, lanes - 1, GD_CELLS_PER_LANE - 1);
		assert_true(first >= sizeof(struct gd_control));
		assert_int_equal(last + GD_CELL_BYTES, gd_control_size(lanes));
		if (lanes > 1)
			assert_int_equal((uintptr_t)gd_control_cell(base, lanes - 1, 0),
					 first + (uintptr_t)(lanes - 1) * GD_CELLS_PER_LANE * GD_CELL_BYTES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_error_survives_the_way_there_and_back),
	    cmocka_unit_test(an_error_without_a_code_is_still_one),
	    cmocka_unit_test(only_codes_that_a_device_may_say_are_taken),
	    cmocka_unit_test(hostile_bytes_become_ended_texts_without_control_characters),
	    cmocka_unit_test(texts_as_long_as_their_place_are_cut_at_its_end),
	    cmocka_unit_test(names_are_plain_and_the_same_each_time),
	    cmocka_unit_test(a_worker_that_invents_names_fills_a_table_and_no_more),
	    cmocka_unit_test(the_parts_of_control_memory_do_not_overlap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
