/* Checks of a launch: every limit at its value and one past it, products that would wrap, and where it
 * points. */
#include "gpu/dispatch/launch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct gd_device_info device;
static struct gd_kernel_info kernel;

static int set_up(void **state)
{
	(void)state;
	device = (struct gd_device_info){.max_threads_per_block = 1024,
					 .max_block = {1024, 512, 64},
					 .max_grid = {2147483647u, 65535, 65535},
					 .max_shared_bytes = 49152,
					 .max_shared_optin_bytes = 232448};
	memset(&kernel, 0, sizeof kernel);
	kernel.max_threads = 768;
	kernel.max_dynamic_shared_bytes = 100000;
	return 0;
}

#define G                                                                                                    \
	{                                                                                                    \
		1, 1, 1                                                                                      \
	}
#define B                                                                                                    \
	{                                                                                                    \
		64, 1, 1                                                                                     \
	}
#define BIG        0x100000000ull
#define WG         "/workgroup_size"
#define LARGEST_64 UINT64_MAX

static const struct {
	const char *why;
	uint64_t grid[3], block[3], shared;
	const char *pointer; /* NULL: the launch is good */
} rows[] = {
    {"an ordinary one", {1000, 1, 1}, {256, 1, 1}, 0, NULL},
    {"block x at the device's limit, past the kernel's", G, {1024, 1, 1}, 0, WG},
    {"block x past its limit", G, {1025, 1, 1}, 0, WG "/0"},
    {"block y at its limit", G, {1, 512, 1}, 0, NULL},
    {"block y past its limit", G, {1, 513, 1}, 0, WG "/1"},
    {"block z at its limit", G, {1, 1, 64}, 0, NULL},
    {"block z past its limit", G, {1, 1, 65}, 0, WG "/2"},
    {"block x 0", G, {0, 1, 1}, 0, WG "/0"},
    {"block y 0", G, {64, 0, 1}, 0, WG "/1"},
    {"block z 0", G, {64, 1, 0}, 0, WG "/2"},
    {"block x that would be 1 in 32 bits", G, {BIG + 1, 1, 1}, 0, WG "/0"},
    {"block z of all bits", G, {1, 1, LARGEST_64}, 0, WG "/2"},
    {"the kernel's threads at their limit", G, {768, 1, 1}, 0, NULL},
    {"one thread past them", G, {769, 1, 1}, 0, WG},
    {"a product at the kernel's limit", G, {24, 32, 1}, 0, NULL},
    {"a product past the kernel's limit", G, {16, 49, 1}, 0, WG},
    {"a product at the device's limit, past the kernel's", G, {16, 16, 4}, 0, WG},
    {"a product past the device's limit", G, {1024, 2, 1}, 0, WG},
    {"a product of all axes past the device's limit", G, {32, 32, 2}, 0, WG},
    {"grid x at its limit", {2147483647u, 1, 1}, B, 0, NULL},
    {"grid x past its limit", {2147483648u, 1, 1}, B, 0, "/grid/0"},
    {"grid y at its limit", {1, 65535, 1}, B, 0, NULL},
    {"grid y past its limit", {1, 65536, 1}, B, 0, "/grid/1"},
    {"grid z at its limit", {1, 1, 65535}, B, 0, NULL},
    {"grid z past its limit", {1, 1, 65536}, B, 0, "/grid/2"},
    {"the largest grid of all", {2147483647u, 65535, 65535}, B, 0, NULL},
    {"grid x 0", {0, 1, 1}, B, 0, "/grid/0"},
    {"grid y 0", {1, 0, 1}, B, 0, "/grid/1"},
    {"grid z 0", {1, 1, 0}, B, 0, "/grid/2"},
    {"grid x that would be 1 in 32 bits", {BIG + 1, 1, 1}, B, 0, "/grid/0"},
    {"grid y that would be 0 in 16 bits", {1, 65536, 1}, B, 0, "/grid/1"},
    {"grid z of all bits", {1, 1, LARGEST_64}, B, 0, "/grid/2"},
    {"shared memory at its limit", G, B, 100000, NULL},
    {"shared memory past its limit", G, B, 100001, "/shared_bytes"},
    {"shared memory that would be 0 in 32 bits", G, B, BIG, "/shared_bytes"},
    {"shared memory of all bits", G, B, LARGEST_64, "/shared_bytes"},
};

static void every_limit_holds_at_its_value_and_not_one_past_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_error error = {0};
		bool good =
		    gd_launch_check(&device, &kernel, rows[i].grid, rows[i].block, rows[i].shared, &error);
		if (good != !rows[i].pointer)
			fail_msg("%s: %s", rows[i].why, good ? "was let through" : error.text);
		if (good) {
			assert_int_equal(error.code, GD_OK);
			continue;
		}
		if (error.code != GD_INVALID_REQUEST || strcmp(error.pointer, rows[i].pointer) ||
		    !error.fix[0])
			fail_msg("%s: %s at %s", rows[i].why, error.text, error.pointer);
	}
}

static void without_a_kernel_the_device_alone_decides(void **state)
{
	(void)state;
	static const uint64_t grid[3] = G;
	static const struct {
		uint64_t block[3], shared;
		bool good;
		const char *why;
	} cases[] = {
	    {{1024, 1, 1}, 0, true, "threads at the device's limit"},
	    {{32, 32, 1}, 0, true, "a product at the device's limit"},
	    {{32, 32, 2}, 0, false, "a product past it"},
	    {{64, 1, 1}, 232448, true, "shared memory at the device's limit"},
	    {{64, 1, 1}, 232449, false, "shared memory past it"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct gd_error error = {0};
		if (gd_launch_check(&device, NULL, grid, cases[i].block, cases[i].shared, &error) !=
		    cases[i].good)
			fail_msg("%s: %s", cases[i].why, error.text);
	}
}

static void a_kernel_that_tells_no_limit_has_the_devices(void **state)
{
	(void)state;
	static const uint64_t grid[3] = G, all[3] = {1024, 1, 1}, more[3] = {1024, 2, 1};
	struct gd_error error = {0};
	kernel.max_threads = 0;
	assert_true(gd_launch_check(&device, &kernel, grid, all, 0, &error));
	assert_false(gd_launch_check(&device, &kernel, grid, more, 0, &error));
}

static void products_do_not_wrap_whatever_a_device_tells_of_itself(void **state)
{
	(void)state;
	struct gd_error error = {0};
	static const uint64_t grid[3] = G;
	/* limits of all bits: 2^32 - 1 cubed wraps in 64 bits, to values small and large */
	static const uint64_t blocks[][3] = {
	    {0xffffffffu, 0xffffffffu, 0xffffffffu}, {0x80000000u, 0x80000000u, 4},
	    {0x10000u, 0x10000u, 0x10000u},          {0xffffffffu, 1, 0xffffffffu},
	    {1, 0x80000000u, 0x80000000u},
	};
	for (int i = 0; i < 3; i++)
		device.max_block[i] = UINT32_MAX;
	static const uint32_t limits[] = {1024, UINT32_MAX};
	for (size_t k = 0; k < 2; k++) {
		device.max_threads_per_block = limits[k];
		for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
			assert_false(gd_block_check(&device, blocks[i], &error));
			assert_string_equal(error.pointer, WG);
			assert_false(gd_launch_check(&device, NULL, grid, blocks[i], 0, &error));
		}
	}
}

static void the_block_alone_is_checked_the_same_way(void **state)
{
	(void)state;
	struct gd_error error = {0};
	static const uint64_t good[3] = {16, 16, 4}, bad[3] = {16, 16, 5}, none[3] = {16, 0, 4};
	assert_true(gd_block_check(&device, good, &error));
	assert_false(gd_block_check(&device, bad, &error));
	assert_string_equal(error.pointer, WG);
	assert_false(gd_block_check(&device, none, &error));
	assert_string_equal(error.pointer, WG "/1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(every_limit_holds_at_its_value_and_not_one_past_it, set_up),
	    cmocka_unit_test_setup(without_a_kernel_the_device_alone_decides, set_up),
	    cmocka_unit_test_setup(a_kernel_that_tells_no_limit_has_the_devices, set_up),
	    cmocka_unit_test_setup(products_do_not_wrap_whatever_a_device_tells_of_itself, set_up),
	    cmocka_unit_test_setup(the_block_alone_is_checked_the_same_way, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
