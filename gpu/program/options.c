#include "gpu/program/options.h"

#include "gpu/base/cleanup.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum grammar { PLAIN, STANDARD, BOOLEAN, REGISTERS, NUMBER };

/* `nvrtc`: NVRTC's spelling where it is another one than ours (measured with 13.0) */
static const struct {
	const char *name;
	enum grammar grammar;
	const char *nvrtc;
} allowed[] = {
    {"std", STANDARD, NULL},
    {"use_fast_math", PLAIN, NULL},
    {"fmad", BOOLEAN, NULL},
    {"ftz", BOOLEAN, NULL},
    {"prec-div", BOOLEAN, NULL},
    {"prec-sqrt", BOOLEAN, NULL},
    {"maxrregcount", REGISTERS, NULL},
    {"lineinfo", PLAIN, "-lineinfo"},
    {"default-device", PLAIN, "-default-device"},
    {"extra-device-vectorization", PLAIN, NULL},
    {"diag-suppress", NUMBER, NULL},
    {"disable-warnings", PLAIN, NULL},
};

enum {
	REGISTERS_MAX = 255, /* per thread, CUDA C++ Programming Guide, compute capabilities 3.5 and later */
	DIAGNOSTIC_NUMBER_MAX = 99999
};

static const char fix_option[] =
    "Use --std=c++11|14|17|20, --use_fast_math, --fmad=, --ftz=, --prec-div=, --prec-sqrt= true|false, "
    "--maxrregcount=1..255, -DNAME[=VALUE], -UNAME, --lineinfo, --default-device, --diag-suppress=N, "
    "--disable-warnings.";

static bool refuse(struct gd_error *error, size_t index, const char *option, const char *why)
{
	/* what cannot be shown as it is, is not shown at all */
	char shown[49];
	size_t n = 0;
	for (; n < sizeof shown - 1 && option[n]; n++)
		shown[n] = option[n] >= ' ' && option[n] <= '~' ? option[n] : '?';
	shown[n] = '\0';
	gd_error_set(error, GD_INVALID_REQUEST, fix_option, "option `%s` %s", shown, why);
	return gd_error_at(error, "/options/%zu", index);
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t identifier_length(const char *text)
{
	size_t n = 0;
	if (is_letter(text[0]))
		while (is_letter(text[n]) || is_digit(text[n]))
			n++;
	return n;
}

static bool decimal(const char *text, uint32_t max, uint32_t *out_value)
{
	uint32_t value = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (!is_digit(*text))
			return false;
		value = value * 10 + (uint32_t)(*text - '0');
		if (value > max)
			return false;
	}
	if (!value)
		return false;
	*out_value = value;
	return true;
}

static bool macro_canonical(const char *option, size_t index, char *out, size_t capacity,
			    struct gd_error *error)
{
	const char *name = option + 2;
	size_t length = identifier_length(name);
	const char *rest = name + length;
	if (!length)
		return refuse(error, index, option, "does not name a macro");
	if (*rest && (option[1] == 'U' || *rest != '='))
		return refuse(error, index, option, "has something after the macro's name");
	for (const char *p = rest; *p; p++)
		if (*p <= ' ' || *p > '~')
			return refuse(error, index, option, "has a value with white space or beyond ASCII");
	snprintf(out, capacity, "%s", option);
	return true;
}

static bool value_canonical(enum grammar grammar, const char *name, const char *value, char *out,
			    size_t capacity)
{
	uint32_t number;
	switch (grammar) {
	case PLAIN:
		if (value)
			return false;
		snprintf(out, capacity, "--%s", name);
		return true;
	case STANDARD:
		if (!value || (strcmp(value, "c++11") && strcmp(value, "c++14") && strcmp(value, "c++17") &&
			       strcmp(value, "c++20")))
			return false;
		snprintf(out, capacity, "--%s=%s", name, value);
		return true;
	case BOOLEAN:
		if (!value || (strcmp(value, "true") && strcmp(value, "false")))
			return false;
		snprintf(out, capacity, "--%s=%s", name, value);
		return true;
	case REGISTERS:
	case NUMBER:
		if (!value ||
		    !decimal(value, grammar == REGISTERS ? REGISTERS_MAX : DIAGNOSTIC_NUMBER_MAX, &number))
			return false;
		snprintf(out, capacity, "--%s=%u", name, number);
		return true;
	}
	return false;
}

bool gd_option_canonical(const char *option, size_t index, char *out, size_t capacity, struct gd_error *error)
{
	if (strnlen(option, GD_OPTION_BYTES_MAX + 1) > GD_OPTION_BYTES_MAX)
		return refuse(error, index, option, "is longer than 1024 bytes");
	if (option[0] == '-' && (option[1] == 'D' || option[1] == 'U'))
		return macro_canonical(option, index, out, capacity, error);
	if (option[0] != '-')
		return refuse(error, index, option, "is not an option");
	const char *name = option + (option[1] == '-' ? 2 : 1);
	size_t length = strcspn(name, "=");
	const char *value = name[length] ? name + length + 1 : NULL;
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
		if (strlen(allowed[i].name) != length || memcmp(allowed[i].name, name, length))
			continue;
		if (!value_canonical(allowed[i].grammar, allowed[i].name, value, out, capacity))
			return refuse(error, index, option, "has a value that is not allowed");
		return true;
	}
	return refuse(error, index, option, "is not allowed");
}

const char *gd_option_for_nvrtc(const char *option)
{
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
		if (allowed[i].nvrtc && !strncmp(option, "--", 2) && !strcmp(option + 2, allowed[i].name))
			return allowed[i].nvrtc;
	return option;
}

/* Are these two settings of the same thing? Both are canonical. */
static bool same_subject(const char *a, const char *b)
{
	if (a[1] != '-' && b[1] != '-') {
		size_t length = identifier_length(a + 2);
		return length == identifier_length(b + 2) && !memcmp(a + 2, b + 2, length);
	}
	size_t length = strcspn(a, "=");
	return length == strcspn(b, "=") && !memcmp(a, b, length) &&
	       strncmp(a, "--diag-suppress=", sizeof "--diag-suppress=" - 1) != 0;
}

static bool take_option(char **options, size_t *count, const char *text, size_t index, struct gd_error *error)
{
	size_t place = 0;
	for (size_t i = 0; i < *count; i++) {
		int order = strcmp(options[i], text);
		if (order == 0)
			return true;
		if (same_subject(options[i], text))
			return refuse(error, index, text, "contradicts an earlier one");
		if (order < 0)
			place = i + 1;
	}
	char *copy = strdup(text);
	if (!copy)
		return gd_error_errno(error, ENOMEM, "cannot hold the options");
	memmove(options + place + 1, options + place, (*count - place) * sizeof *options);
	options[place] = copy;
	++*count;
	return true;
}

bool gd_options_canonical(const char *const *options, size_t count, char ***out_options, size_t *out_count,
			  struct gd_error *error)
{
	if (count > GD_OPTIONS_MAX) {
		gd_error_set(error, GD_INVALID_REQUEST, "Send fewer options.", "%zu options are more than %u",
			     count, GD_OPTIONS_MAX);
		return gd_error_at(error, "/options");
	}
	if (!count) {
		*out_options = NULL;
		*out_count = 0;
		return true;
	}
	char **taken = calloc(count, sizeof *taken);
	if (!taken)
		return gd_error_errno(error, ENOMEM, "cannot hold the options");
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		char text[GD_OPTION_BYTES_MAX + 16];
		if (!gd_option_canonical(options[i], i, text, sizeof text, error) ||
		    !take_option(taken, &kept, text, i, error)) {
			gd_options_free(taken, kept);
			return false;
		}
	}
	*out_options = taken;
	*out_count = kept;
	return true;
}

void gd_options_free(char **options, size_t count)
{
	for (size_t i = 0; options && i < count; i++)
		free(options[i]);
	free(options);
}
