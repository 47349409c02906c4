/* Scalars: every type at its limits and one past, from JSON and from text; rounding to the short floats. */
#include "api/scalar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct row {
	enum gd_type type;
	const char *value; /* JSON, and without quotes text */
	uint64_t bits;     /* little-endian bytes */
	bool is_good;
};

static const struct row rows[] = {
    {GD_TYPE_I8, "-128", 0x80, true},
    {GD_TYPE_I8, "-129", 0, false},
    {GD_TYPE_I8, "127", 0x7f, true},
    {GD_TYPE_I8, "128", 0, false},
    {GD_TYPE_U8, "255", 0xff, true},
    {GD_TYPE_U8, "256", 0, false},
    {GD_TYPE_U8, "-1", 0, false},
    {GD_TYPE_U8, "-0", 0, true},
    {GD_TYPE_I16, "-32768", 0x8000, true},
    {GD_TYPE_I16, "-32769", 0, false},
    {GD_TYPE_U16, "65535", 0xffff, true},
    {GD_TYPE_U16, "65536", 0, false},
    {GD_TYPE_I32, "-2147483648", 0x80000000, true},
    {GD_TYPE_I32, "-2147483649", 0, false},
    {GD_TYPE_I32, "2147483647", 0x7fffffff, true},
    {GD_TYPE_I32, "2147483648", 0, false},
    {GD_TYPE_I32, "2.5", 0, false},
    {GD_TYPE_I32, "1e2", 0, false},
    {GD_TYPE_U32, "4294967295", 0xffffffff, true},
    {GD_TYPE_U32, "4294967296", 0, false},
    {GD_TYPE_I64, "-9223372036854775808", 0x8000000000000000, true},
    {GD_TYPE_I64, "9223372036854775807", 0x7fffffffffffffff, true},
    {GD_TYPE_BOOL, "true", 1, true},
    {GD_TYPE_BOOL, "false", 0, true},
    {GD_TYPE_BOOL, "1", 1, true},
    {GD_TYPE_BOOL, "0", 0, true},
    {GD_TYPE_BOOL, "2", 0, false},
    {GD_TYPE_F32, "2.5", 0x40200000, true},
    {GD_TYPE_F32, "-0.0", 0x80000000, true},
    {GD_TYPE_F32, "16777217", 0x4b800000, true},
    {GD_TYPE_F32, "3.4028235e38", 0x7f7fffff, true},
    {GD_TYPE_F32, "3.5e38", 0, false},
    {GD_TYPE_F64, "0.1", 0x3fb999999999999a, true},
    {GD_TYPE_F64, "1e308", 0x7fe1ccf385ebc8a0, true},
    {GD_TYPE_F16, "1", 0x3c00, true},
    {GD_TYPE_F16, "65504", 0x7bff, true},
    {GD_TYPE_F16, "65519", 0x7bff, true},
    {GD_TYPE_F16, "65520", 0, false},
    {GD_TYPE_F16, "2049", 0x6800, true},
    {GD_TYPE_F16, "2051", 0x6802, true},
    {GD_TYPE_F16, "5.960464477539063e-8", 0x0001, true},
    {GD_TYPE_F16, "2.980232238769531e-8", 0x0000, true},
    {GD_TYPE_F16, "2.9802322387695313e-8", 0x0000, true},
    {GD_TYPE_F16, "3e-8", 0x0001, true},
    {GD_TYPE_F16, "-2", 0xc000, true},
    {GD_TYPE_BF16, "1", 0x3f80, true},
    {GD_TYPE_BF16, "257", 0x4380, true},
    {GD_TYPE_BF16, "259", 0x4382, true},
    {GD_TYPE_BF16, "3.4e38", 0, false},
    {GD_TYPE_BYTES, "1", 0, false},
};

static void check(const struct row *row, const struct gd_value *value, const char *form)
{
	struct gd_error error = {0};
	uint8_t out[8] = {0};
	bool is_good = gd_scalar_write(row->type, value, "/args/0/value", out, &error);
	uint64_t bits;
	memcpy(&bits, out, 8);
	if (is_good != row->is_good || (is_good && bits != row->bits))
		print_error("%s %s as %s: %llx %s\n", gd_type_text(row->type), row->value, form,
			    (unsigned long long)bits, error.text);
	assert_int_equal(is_good, row->is_good);
	if (is_good) {
		assert_int_equal(bits, row->bits);
	} else {
		assert_int_equal(error.code, GD_INVALID_REQUEST);
		assert_string_equal(error.pointer, "/args/0/value");
	}
}

static void every_type_is_taken_up_to_its_limits_from_json_and_text(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		json_t *json = json_loads(rows[i].value, JSON_DECODE_ANY, NULL);
		assert_non_null(json);
		check(&rows[i], &(struct gd_value){.json = json}, "JSON");
		json_decref(json);
		check(&rows[i], &(struct gd_value){.text = rows[i].value}, "text");
	}
}

static void integers_may_come_as_decimal_strings(void **state)
{
	(void)state;
	static const struct row strings[] = {
	    {GD_TYPE_U64, "18446744073709551615", 0xffffffffffffffff, true},
	    {GD_TYPE_U64, "18446744073709551616", 0, false},
	    {GD_TYPE_I64, "-9223372036854775809", 0, false},
	    {GD_TYPE_I64, "9223372036854775808", 0, false},
	    {GD_TYPE_U64, "007", 7, true},
	    {GD_TYPE_I32, "", 0, false},
	    {GD_TYPE_I32, "-", 0, false},
	    {GD_TYPE_I32, "+1", 0, false},
	    {GD_TYPE_I32, " 1", 0, false},
	    {GD_TYPE_I32, "1 ", 0, false},
	    {GD_TYPE_I32, "0x1", 0, false},
	    {GD_TYPE_I32, "--1", 0, false},
	    {GD_TYPE_I32,
	     "\x02"
	     "12345678901",
	     0, false},
	    {GD_TYPE_U64,
	     "\x02"
	     "18446744073709551615",
	     0xffffffffffffffff, true},
	    {GD_TYPE_F32,
	     "\x02"
	     "18446744073709551616",
	     0x5f800000, true},
	    {GD_TYPE_F32, "1", 0, false},
	};
	for (unsigned i = 0; i < sizeof strings / sizeof strings[0]; i++) {
		json_t *json = json_string(strings[i].value);
		assert_non_null(json);
		check(&strings[i], &(struct gd_value){.json = json}, "JSON string");
		json_decref(json);
	}
}

static void floats_that_are_no_numbers_have_names(void **state)
{
	(void)state;
	static const struct row names[] = {
	    {GD_TYPE_F32, "NaN", 0x7fc00000, true},
	    {GD_TYPE_F32, "nan", 0x7fc00000, true},
	    {GD_TYPE_F32, "Infinity", 0x7f800000, true},
	    {GD_TYPE_F32, "-Infinity", 0xff800000, true},
	    {GD_TYPE_F32, "inf", 0x7f800000, true},
	    {GD_TYPE_F64, "-INF", 0xfff0000000000000, true},
	    {GD_TYPE_F16, "NaN", 0x7e00, true},
	    {GD_TYPE_F16, "-inf", 0xfc00, true},
	    {GD_TYPE_BF16, "nan", 0x7fc0, true},
	    {GD_TYPE_BF16, "infinity", 0x7f80, true},
	    {GD_TYPE_F32, "-nan", 0, false},
	    {GD_TYPE_F32, "+inf", 0, false},
	    {GD_TYPE_F32, "infinit", 0, false},
	    {GD_TYPE_F32, "", 0, false},
	    {GD_TYPE_I32, "NaN", 0, false},
	    {GD_TYPE_F32, "nan(1)", 0, false},
	};
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		json_t *json = json_string(names[i].value);
		assert_non_null(json);
		check(&names[i], &(struct gd_value){.json = json}, "JSON string");
		json_decref(json);
		check(&names[i], &(struct gd_value){.text = names[i].value}, "text");
	}
}

static void decimal_text_has_one_grammar(void **state)
{
	(void)state;
	static const struct row texts[] = {
	    {GD_TYPE_F32, ".5", 0x3f000000, true},
	    {GD_TYPE_F32, "5.", 0x40a00000, true},
	    {GD_TYPE_F32, "1e+2", 0x42c80000, true},
	    {GD_TYPE_F32, "1E2", 0x42c80000, true},
	    {GD_TYPE_F32, ".", 0, false},
	    {GD_TYPE_F32, "1e", 0, false},
	    {GD_TYPE_F32, "1e+", 0, false},
	    {GD_TYPE_F32, "0x10", 0, false},
	    {GD_TYPE_F32, "1,5", 0, false},
	    {GD_TYPE_F32, "1.5f", 0, false},
	    {GD_TYPE_F32, "1 ", 0, false},
	    {GD_TYPE_F64, "1e400", 0, false},
	    {GD_TYPE_BOOL, "TRUE", 0, false},
	    {GD_TYPE_BOOL, "", 0, false},
	};
	for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++)
		check(&texts[i], &(struct gd_value){.text = texts[i].value}, "text");
}

/* Every f16 value, and the midpoints between neighbours, against the definition. */
static void rounding_goes_to_the_nearest_even(void **state)
{
	(void)state;
	double before = -1;
	for (uint32_t bits = 0; bits < 0x7c00; bits++) {
		double value = (bits & 0x3ff) * 0x1p-24;
		if (bits >> 10)
			value = ldexp(1 + (bits & 0x3ff) * 0x1p-10, (int)(bits >> 10) - 15);
		assert_int_equal(gd_float_round(value, 5, 10), bits);
		assert_int_equal(gd_float_round(-value, 5, 10), bits | 0x8000);
		if (bits) {
			double middle = (value + before) / 2;
			uint32_t even = bits & 1 ? bits - 1 : bits;
			assert_int_equal(gd_float_round(middle, 5, 10), even);
			assert_int_equal(gd_float_round(nextafter(middle, 1e9), 5, 10), bits);
			assert_int_equal(gd_float_round(nextafter(middle, -1e9), 5, 10), bits - 1);
		}
		before = value;
	}
	/* bf16 is f32 without its lower half */
	for (uint32_t i = 0; i < 100000; i++) {
		uint32_t bits = i * 21473u & 0x7f7fffff;
		float value;
		memcpy(&value, &bits, 4);
		uint32_t expected = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
		assert_int_equal(gd_float_round((double)value, 8, 7), expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_type_is_taken_up_to_its_limits_from_json_and_text),
	    cmocka_unit_test(integers_may_come_as_decimal_strings),
	    cmocka_unit_test(floats_that_are_no_numbers_have_names),
	    cmocka_unit_test(decimal_text_has_one_grammar),
	    cmocka_unit_test(rounding_goes_to_the_nearest_even),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
