/* What reaches the driver: whole cubins only; and which programs have variables to reset. */
#include "support.h"

#include "gpu/device/cuda/image.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

static void a_whole_cubin_is_accepted_and_its_variables_are_found(void **state)
{
	(void)state;
	static const struct {
		const char *variable;
		bool counts;
	} rows[] = {{NULL, false},     {"counter", true},           {"_ZZ1gE5calls", true}, {"$str", false},
		    {"$str$1", false}, {"__cudart_i2opi_f", false}, {"cudart", true}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		_Alignas(8) uint8_t cubin[CUBIN_BYTES];
		struct gd_error error;
		bool has_variables = !rows[i].counts;
		size_t bytes = cubin_build(cubin, rows[i].variable);
		assert_true(gd_cuda_cubin_check(cubin, bytes, &has_variables, &error));
		if (has_variables != rows[i].counts)
			fail_msg("variable %s: %d", rows[i].variable ? rows[i].variable : "none",
				 has_variables);
	}
}

static void a_cubin_cut_at_any_length_is_refused(void **state)
{
	(void)state;
	_Alignas(8) uint8_t cubin[CUBIN_BYTES];
	size_t whole = cubin_build(cubin, "counter");
	for (size_t bytes = 0; bytes < whole; bytes++) {
		struct gd_error error = {0};
		bool has_variables;
		uint8_t *copy =
		    aligned_alloc(8, (bytes + 8) / 8 * 8); /* exact end for the address sanitizer */
		assert_non_null(copy);
		memcpy(copy, cubin, bytes);
		if (gd_cuda_cubin_check(copy, bytes, &has_variables, &error))
			fail_msg("%zu of %zu bytes pass", bytes, whole);
		assert_int_equal(error.code, GD_INVALID_PROGRAM);
		free(copy);
	}
}

static void headers_that_point_outside_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *why;
		size_t offset, bytes;
		uint64_t value;
	} rows[] = {
	    {"32-bit", EI_CLASS, 1, ELFCLASS32},
	    {"big-endian", EI_DATA, 1, ELFDATA2MSB},
	    {"x86-64", offsetof(Elf64_Ehdr, e_machine), 2, EM_X86_64},
	    {"section table past the end", offsetof(Elf64_Ehdr, e_shoff), 8, 1024},
	    {"section table that wraps", offsetof(Elf64_Ehdr, e_shoff), 8, UINT64_MAX - 7},
	    {"section table unaligned", offsetof(Elf64_Ehdr, e_shoff), 8, 513},
	    {"no sections", offsetof(Elf64_Ehdr, e_shnum), 2, 0},
	    {"too many sections", offsetof(Elf64_Ehdr, e_shnum), 2, 65535},
	    {"short section headers", offsetof(Elf64_Ehdr, e_shentsize), 2, 32},
	    {"names in no section", offsetof(Elf64_Ehdr, e_shstrndx), 2, 5},
	    {"names in a section that is none", offsetof(Elf64_Ehdr, e_shstrndx), 2, 3},
	    {"program headers past the end", offsetof(Elf64_Ehdr, e_phnum), 2, 60000},
	    {"a section past the end", 512 + 3 * 64 + offsetof(Elf64_Shdr, sh_size), 8, 100000},
	    {"a section that wraps", 512 + 3 * 64 + offsetof(Elf64_Shdr, sh_offset), 8, UINT64_MAX - 8},
	    {"a section name past the names", 512 + 4 * 64 + offsetof(Elf64_Shdr, sh_name), 4, 4000},
	    {"symbols without strings", 512 + 3 * 64 + offsetof(Elf64_Shdr, sh_link), 4, 77},
	    {"a symbol name past the strings", 192 + sizeof(Elf64_Sym), 4, 4000},
	    {"strings without an end", 128 + 63, 1, 'x'},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		_Alignas(8) uint8_t cubin[CUBIN_BYTES];
		size_t bytes = cubin_build(cubin, "counter");
		struct gd_error error = {0};
		bool has_variables;
		memcpy(cubin + rows[i].offset, &rows[i].value, rows[i].bytes);
		if (!strncmp(rows[i].why, "program headers", 15)) {
			uint16_t size = sizeof(Elf64_Phdr);
			memcpy(cubin + offsetof(Elf64_Ehdr, e_phentsize), &size, sizeof size);
		}
		if (gd_cuda_cubin_check(cubin, bytes, &has_variables, &error))
			fail_msg("%s passes", rows[i].why);
		assert_int_equal(error.code, GD_INVALID_PROGRAM);
	}
}

static void any_single_byte_may_be_wrong_without_harm(void **state)
{
	(void)state;
	_Alignas(8) uint8_t cubin[CUBIN_BYTES];
	size_t bytes = cubin_build(cubin, "counter");
	for (size_t at = 0; at < bytes; at++)
		for (int flip = 0; flip < 8; flip++) {
			bool has_variables;
			cubin[at] ^= (uint8_t)(1u << flip);
			gd_cuda_cubin_check(cubin, bytes, &has_variables, NULL);
			cubin[at] ^= (uint8_t)(1u << flip);
		}
}

static void ptx_variables_are_found_where_they_are_declared(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool counts;
	} rows[] = {
	    {".version 8.0\n.visible .entry k() { ret; }", false},
	    {"ld.global.u32 %r1, [%rd1];\n", false},
	    {"cvta.to.global.u64 %rd1, %rd2; isspacep.global p, a;", false},
	    {".param .u64 .ptr .global .align 4 k_param_0,", false},
	    {".param .u64 .ptr\n .global .align 4 k_param_0,", false},
	    {".global .align 4 .u32 counter;", true},
	    {".visible .global .align 4 .u32 counter;", true},
	    {"}.global .u32 counter;", true},
	    {".param .u64 k_param_0) { ret; } .global .u32 counter;", true},
	    {".global/**/.u32 counter;", true},
	    {".global .align 1 .b8 $str[10] = {104, 0};", false},
	    {".global .align 4 .b8 __cudart_i2opi_f[24] = {65};", false},
	    {".global .align 1 .b8 $str[1]; .global .u32 counter;", true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool has_variables = !rows[i].counts;
		assert_true(gd_cuda_ptx_check(rows[i].text, strlen(rows[i].text), &has_variables, NULL));
		if (has_variables != rows[i].counts)
			fail_msg("%s: %d", rows[i].text, has_variables);
	}
}

static void ptx_with_a_nul_inside_is_refused(void **state)
{
	(void)state;
	static const char text[] = ".version\0 8.0";
	bool has_variables;
	struct gd_error error;
	assert_false(gd_cuda_ptx_check(text, sizeof text - 1, &has_variables, &error));
	assert_int_equal(error.code, GD_INVALID_PROGRAM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_whole_cubin_is_accepted_and_its_variables_are_found),
	    cmocka_unit_test(a_cubin_cut_at_any_length_is_refused),
	    cmocka_unit_test(headers_that_point_outside_are_refused),
	    cmocka_unit_test(any_single_byte_may_be_wrong_without_harm),
	    cmocka_unit_test(ptx_variables_are_found_where_they_are_declared),
	    cmocka_unit_test(ptx_with_a_nul_inside_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
