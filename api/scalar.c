#include "api/scalar.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NUMBER_TEXT_MAX = 400 };

static const struct range {
	int64_t least;
	uint64_t most;
} ranges[GD_TYPE_COUNT] = {
    [GD_TYPE_I8] = {INT8_MIN, INT8_MAX},
    [GD_TYPE_U8] = {0, UINT8_MAX},
    [GD_TYPE_I16] = {INT16_MIN, INT16_MAX},
    [GD_TYPE_U16] = {0, UINT16_MAX},
    [GD_TYPE_I32] = {INT32_MIN, INT32_MAX},
    [GD_TYPE_U32] = {0, UINT32_MAX},
    [GD_TYPE_I64] = {INT64_MIN, INT64_MAX},
    [GD_TYPE_U64] = {0, UINT64_MAX},
    [GD_TYPE_BOOL] = {0, 1},
};

uint32_t gd_float_round(double value, unsigned exponent_bits, unsigned mantissa_bits)
{
	const uint32_t sign = signbit(value) ? 1u << (exponent_bits + mantissa_bits) : 0;
	const uint32_t infinity = ((1u << exponent_bits) - 1) << mantissa_bits;
	if (isnan(value))
		return infinity | 1u << (mantissa_bits - 1);
	if (isinf(value))
		return sign | infinity;
	if (value == 0)
		return sign;
	const int least = 2 - (1 << (exponent_bits - 1)); /* exponent of the smallest normal number */
	int exponent = ilogb(value);
	if (exponent < least)
		exponent = least;
	/* scaling by a power of two is exact, or far below half of the smallest subnormal */
	double quotient = nearbyint(ldexp(fabs(value), (int)mantissa_bits - exponent));
	uint64_t bits = ((uint64_t)(exponent - least) << mantissa_bits) + (uint64_t)quotient;
	return sign | (bits > infinity ? infinity : (uint32_t)bits);
}

static bool is_decimal(const char *s)
{
	size_t digits = 0;
	s += *s == '-';
	for (; isdigit((unsigned char)*s); s++)
		digits++;
	if (*s == '.')
		for (s++; isdigit((unsigned char)*s); s++)
			digits++;
	if (!digits)
		return false;
	if (*s == 'e' || *s == 'E') {
		s += s[1] == '-' || s[1] == '+' ? 2 : 1;
		if (!isdigit((unsigned char)*s))
			return false;
		while (isdigit((unsigned char)*s))
			s++;
	}
	return !*s;
}

/* NaN and the infinities by name. */
static bool read_special(const char *text, double *out)
{
	bool is_negative = *text == '-';
	const char *name = text + is_negative;
	if (!strcasecmp(name, "infinity") || !strcasecmp(name, "inf"))
		*out = is_negative ? -INFINITY : INFINITY;
	else if (!is_negative && !strcasecmp(name, "nan"))
		*out = NAN;
	else
		return false;
	return true;
}

static bool read_float(const struct gd_value *value, double *out)
{
	if (!value->json)
		return read_special(value->text, out) ||
		       (strlen(value->text) < NUMBER_TEXT_MAX && is_decimal(value->text) &&
			(*out = strtod(value->text, NULL), isfinite(*out)));
	if (json_is_number(value->json)) {
		*out = json_number_value(value->json);
		return true;
	}
	const char *text = json_string_value(value->json);
	if (text && *text == GD_MARK_NUMBER)
		return *out = strtod(text + 1, NULL), isfinite(*out);
	return text && read_special(text, out);
}

static bool write_float(enum gd_type type, const struct gd_value *value, const char *pointer, uint8_t *out,
			struct gd_error *error)
{
	double number;
	if (!read_float(value, &number))
		return gd_value_refuse(pointer, error,
				       "must be a number that %s can hold, or NaN, Infinity, -Infinity",
				       gd_type_text(type));
	if (type == GD_TYPE_F64) {
		memcpy(out, &number, 8);
		return true;
	}
	if (type == GD_TYPE_F32) {
		/* JSON integers have more digits than f64: round them once */
		float single = value->json && json_is_integer(value->json)
				   ? (float)json_integer_value(value->json)
				   : (float)number;
		if (isinf(single) && isfinite(number))
			return gd_value_refuse(pointer, error, "is out of the range of f32");
		memcpy(out, &single, 4);
		return true;
	}
	bool is_half = type == GD_TYPE_F16;
	uint16_t bits = (uint16_t)gd_float_round(number, is_half ? 5 : 8, is_half ? 10 : 7);
	if (isfinite(number) && (bits & 0x7fff) == (is_half ? 0x7c00 : 0x7f80))
		return gd_value_refuse(pointer, error, "is out of the range of %s", gd_type_text(type));
	memcpy(out, &bits, 2);
	return true;
}

/* Decimal text to sign and size. */
static bool read_integer(const char *text, bool *out_negative, uint64_t *out_size)
{
	*out_negative = *text == '-';
	text += *out_negative;
	return gd_parse_u64(text, strlen(text), out_size);
}

static bool write_integer(enum gd_type type, const struct gd_value *value, const char *pointer, uint8_t *out,
			  struct gd_error *error)
{
	const struct range *range = &ranges[type];
	const char *text = value->json ? json_string_value(value->json) : value->text;
	bool is_negative = false, is_good = true;
	uint64_t size = 0;
	if (text) {
		is_good = read_integer(text + (value->json && *text == GD_MARK_NUMBER), &is_negative, &size);
	} else if (json_is_integer(value->json)) {
		json_int_t number = json_integer_value(value->json);
		is_negative = number < 0;
		size = is_negative ? -(uint64_t)number : (uint64_t)number;
	} else {
		is_good = false;
	}
	uint64_t most = is_negative ? -(uint64_t)range->least : range->most;
	if (!is_good || size > most)
		return gd_value_refuse(pointer, error,
				       "must be a whole number from %" PRId64 " to %" PRIu64 " (%s)",
				       range->least, range->most, gd_type_text(type));
	uint64_t bits = is_negative ? -size : size;
	memcpy(out, &bits, gd_type_size(type));
	return true;
}

static bool write_bool(const struct gd_value *value, const char *pointer, uint8_t *out,
		       struct gd_error *error)
{
	const json_t *json = value->json;
	bool is_true = json ? json_is_true(json) || (json_is_integer(json) && json_integer_value(json) == 1)
			    : !strcmp(value->text, "true") || !strcmp(value->text, "1");
	bool is_false = json ? json_is_false(json) || (json_is_integer(json) && json_integer_value(json) == 0)
			     : !strcmp(value->text, "false") || !strcmp(value->text, "0");
	if (!is_true && !is_false)
		return gd_value_refuse(pointer, error, "must be true, false, 0 or 1");
	*out = is_true;
	return true;
}

bool gd_scalar_write(enum gd_type type, const struct gd_value *value, const char *pointer, uint8_t *out,
		     struct gd_error *error)
{
	switch (type) {
	case GD_TYPE_BOOL:
		return write_bool(value, pointer, out, error);
	case GD_TYPE_F16:
	case GD_TYPE_BF16:
	case GD_TYPE_F32:
	case GD_TYPE_F64:
		return write_float(type, value, pointer, out, error);
	case GD_TYPE_I8:
	case GD_TYPE_U8:
	case GD_TYPE_I16:
	case GD_TYPE_U16:
	case GD_TYPE_I32:
	case GD_TYPE_U32:
	case GD_TYPE_I64:
	case GD_TYPE_U64:
		return write_integer(type, value, pointer, out, error);
	default:
		return gd_value_refuse(pointer, error, "is no scalar: give its bytes as data (base64)");
	}
}
