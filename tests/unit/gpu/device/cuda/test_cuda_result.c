/* The verdict on every CUresult, compared with what cuda.h says of it where that header is installed. */
#include "support.h"

#include "gpu/device/cuda/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void results_get_the_code_that_says_what_to_do(void **state)
{
	(void)state;
	static const struct {
		const char *why;
		int result;
		enum gd_code code;
		bool sticky;
	} rows[] = {
	    {"success", 0, GD_OK, false},
	    {"a call with wrong values", 1, GD_INTERNAL_STATE, false},
	    {"out of memory", 2, GD_DEVICE_OUT_OF_MEMORY, false},
	    {"driver shutting down", 4, GD_DEVICE_LOST, true},
	    {"NVIDIA's stub library", 34, GD_BACKEND_UNAVAILABLE, true},
	    {"no device", 100, GD_BACKEND_UNAVAILABLE, true},
	    {"damaged image", 200, GD_INVALID_PROGRAM, false},
	    {"context gone", 201, GD_DEVICE_LOST, true},
	    {"image for another device", 209, GD_INVALID_PROGRAM, false},
	    {"ECC", 214, GD_DEVICE_LOST, true},
	    {"bad PTX", 218, GD_INVALID_PROGRAM, false},
	    {"NVLink", 220, GD_DEVICE_LOST, true},
	    {"PTX too new", 222, GD_UNSUPPORTED_FEATURE, false},
	    {"contained hardware error", 226, GD_DEVICE_LOST, true},
	    {"no symbol", 500, GD_INVALID_PROGRAM, false},
	    {"illegal address", 700, GD_DISPATCH_FAILED, true},
	    {"too many resources", 701, GD_INVALID_REQUEST, false},
	    {"watchdog", 702, GD_DISPATCH_FAILED, true},
	    {"context destroyed", 709, GD_DEVICE_LOST, true},
	    {"assertion", 710, GD_DISPATCH_FAILED, true},
	    {"stack", 714, GD_DISPATCH_FAILED, true},
	    {"illegal instruction", 715, GD_DISPATCH_FAILED, true},
	    {"misaligned", 716, GD_DISPATCH_FAILED, true},
	    {"address space", 717, GD_DISPATCH_FAILED, true},
	    {"program counter", 718, GD_DISPATCH_FAILED, true},
	    {"launch failed", 719, GD_DISPATCH_FAILED, true},
	    {"cooperative too large", 720, GD_COOPERATIVE_RESIDENCY_EXCEEDED, false},
	    {"tensor memory leak", 721, GD_DISPATCH_FAILED, true},
	    {"not supported", 801, GD_UNSUPPORTED_FEATURE, false},
	    {"MPS client ended", 810, GD_DEVICE_LOST, true},
	    {"external device", 911, GD_DEVICE_LOST, true},
	    {"cluster size", 912, GD_INVALID_REQUEST, false},
	    {"unknown", 999, GD_DEVICE_LOST, true},
	    {"a code of the future", 12345, GD_DEVICE_LOST, true},
	    {"a negative code", -7, GD_DEVICE_LOST, true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct gd_cuda_verdict *verdict = gd_cuda_verdict_of(rows[i].result);
		if (verdict->code != rows[i].code || verdict->sticky != rows[i].sticky)
			fail_msg("%s (%d): code %d, sticky %d", rows[i].why, rows[i].result,
				 (int)verdict->code, verdict->sticky);
	}
}

static void an_error_carries_number_name_and_reason(void **state)
{
	(void)state;
	struct gd_error error;
	assert_false(gd_cuda_error(&error, 700, "the kernel"));
	assert_int_equal(error.native, 700);
	assert_string_equal(error.native_name, "CUDA_ERROR_ILLEGAL_ADDRESS");
	assert_true(error.sticky);
	assert_non_null(strstr(error.text, "the kernel: "));
	assert_non_null(strstr(error.text, "address"));
	assert_true(error.fix[0] != '\0');
	assert_false(gd_cuda_error(NULL, 700, "the kernel"));
}

#ifdef GD_CUDA_H
static char *read_header(void)
{
	FILE *file = fopen(GD_CUDA_H, "r");
	assert_non_null(file);
	static char text[4u << 20];
	size_t bytes = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[bytes] = '\0';
	char *start = strstr(text, "typedef enum cudaError_enum");
	assert_non_null(start);
	char *end = strstr(start, "} CUresult;");
	assert_non_null(end);
	*end = '\0';
	return start;
}

/* Does the comment between `from` and `to` say that the process must be terminated? Line breaks fall
 * anywhere. */
static bool says_fatal(const char *from, const char *to)
{
	for (const char *at = from; at < to; at++)
		if (!strncmp(at, "terminated", 10))
			return true;
	return false;
}
#endif

static void every_code_of_cuda_h_is_in_the_table_and_its_fatal_ones_are_sticky(void **state)
{
	(void)state;
#ifndef GD_CUDA_H
	print_message("skipped: no cuda.h on this machine to compare with\n");
	skip();
#else
	char *text = read_header();
	int codes = 0, fatal = 0;
	for (char *at = text, *next; (next = strstr(at, "\n    CUDA_")); codes++) {
		char *name = next + 5;
		size_t length = strcspn(name, " =");
		char *equals = strchr(name, '=');
		assert_non_null(equals);
		int value = (int)strtol(equals + 1, NULL, 10);
		const struct gd_cuda_verdict *verdict = gd_cuda_verdict_of(value);
		if (verdict->result != value || strlen(verdict->name) != length ||
		    memcmp(verdict->name, name, length) != 0)
			fail_msg("%.*s (%d) is %s in the table", (int)length, name, value, verdict->name);
		if (says_fatal(at, next)) {
			fatal++;
			if (!verdict->sticky)
				fail_msg("cuda.h calls %s fatal", verdict->name);
		}
		at = equals;
	}
	assert_true(codes >= 90);
	assert_true(fatal >= 10);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(results_get_the_code_that_says_what_to_do),
	    cmocka_unit_test(an_error_carries_number_name_and_reason),
	    cmocka_unit_test(every_code_of_cuda_h_is_in_the_table_and_its_fatal_ones_are_sticky),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
