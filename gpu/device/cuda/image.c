#include "gpu/device/cuda/image.h"

#include <ctype.h>
#include <elf.h>
#include <stdint.h>
#include <string.h>

#define ELF_MACHINE_CUDA 190 /* EM_CUDA of elf.h, which older C libraries lack */

#define REBUILD "Compile the program again; the machine code was damaged on its way."

struct cubin {
	const uint8_t *data;
	size_t bytes;
	const Elf64_Shdr *sections;
	uint16_t section_count;
	const char *names; /* section name table, closed by a NUL */
	size_t names_bytes;
};

static bool damaged(struct gd_error *error, const char *what)
{
	return gd_error_set(error, GD_INVALID_PROGRAM, REBUILD, "the cubin is damaged: %s", what);
}

/* Is a table of `count` entries of `size` bytes at `offset` inside `bytes`, aligned to 8? Cannot wrap. */
static bool table_fits(uint64_t offset, uint64_t count, uint64_t size, size_t bytes)
{
	return offset % 8 == 0 && offset <= bytes && count <= (bytes - offset) / size;
}

static bool section_fits(const Elf64_Shdr *section, size_t bytes)
{
	return section->sh_type == SHT_NOBITS || section->sh_type == SHT_NULL ||
	       (section->sh_offset <= bytes && section->sh_size <= bytes - section->sh_offset);
}

static bool check_header(struct cubin *cubin, struct gd_error *error)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)cubin->data;
	if (cubin->bytes < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return damaged(error, "no ELF header");
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != ELF_MACHINE_CUDA || header->e_ehsize != sizeof *header)
		return damaged(error, "not a 64-bit CUDA ELF file");
	if (header->e_shentsize != sizeof(Elf64_Shdr) || !header->e_shnum ||
	    !table_fits(header->e_shoff, header->e_shnum, sizeof(Elf64_Shdr), cubin->bytes))
		return damaged(error, "its section table is cut off");
	if (header->e_phnum &&
	    (header->e_phentsize != sizeof(Elf64_Phdr) ||
	     !table_fits(header->e_phoff, header->e_phnum, sizeof(Elf64_Phdr), cubin->bytes)))
		return damaged(error, "its program header table is cut off");
	cubin->sections = (const Elf64_Shdr *)(const void *)(cubin->data + header->e_shoff);
	cubin->section_count = header->e_shnum;
	for (uint16_t i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *segment =
		    (const Elf64_Phdr *)(const void *)(cubin->data + header->e_phoff) + i;
		if (segment->p_offset > cubin->bytes || segment->p_filesz > cubin->bytes - segment->p_offset)
			return damaged(error, "a segment is cut off");
	}
	if (header->e_shstrndx >= header->e_shnum)
		return damaged(error, "it has no section names");
	return true;
}

/* A string table inside the file whose last byte is NUL, so that any offset inside it is a string. */
static bool string_table(const struct cubin *cubin, uint32_t index, const char **out_text, size_t *out_bytes)
{
	if (index >= cubin->section_count)
		return false;
	const Elf64_Shdr *section = &cubin->sections[index];
	if (section->sh_type != SHT_STRTAB || !section->sh_size || !section_fits(section, cubin->bytes) ||
	    cubin->data[section->sh_offset + section->sh_size - 1])
		return false;
	*out_text = (const char *)cubin->data + section->sh_offset;
	*out_bytes = section->sh_size;
	return true;
}

static bool check_sections(struct cubin *cubin, struct gd_error *error)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)cubin->data;
	if (!string_table(cubin, header->e_shstrndx, &cubin->names, &cubin->names_bytes))
		return damaged(error, "its section names are cut off");
	for (uint16_t i = 0; i < cubin->section_count; i++) {
		const Elf64_Shdr *section = &cubin->sections[i];
		if (!section_fits(section, cubin->bytes))
			return damaged(error, "a section is cut off");
		if (section->sh_name >= cubin->names_bytes)
			return damaged(error, "a section has no name");
	}
	return true;
}

static bool is_variables_section(const struct cubin *cubin, uint32_t index)
{
	if (index >= cubin->section_count)
		return false;
	const Elf64_Shdr *section = &cubin->sections[index];
	return section->sh_size &&
	       !strncmp(cubin->names + section->sh_name, ".nv.global", strlen(".nv.global"));
}

static bool is_compilers_own(const char *name)
{
	return !strncmp(name, "$str", 4) || !strncmp(name, "__cudart_", 9);
}

/* Walk one symbol table: does it name a variable of a program's own in device memory? Counts the compiler's.
 */
static bool walk_symbols(const struct cubin *cubin, const Elf64_Shdr *table, uint64_t *compilers_bytes,
			 bool *out_has_variables)
{
	const char *names;
	size_t names_bytes;
	if (table->sh_offset % 8 || !string_table(cubin, table->sh_link, &names, &names_bytes))
		return false;
	const Elf64_Sym *symbols = (const Elf64_Sym *)(const void *)(cubin->data + table->sh_offset);
	for (uint64_t i = 0; i < table->sh_size / sizeof *symbols; i++) {
		const Elf64_Sym *symbol = &symbols[i];
		if (symbol->st_name >= names_bytes)
			return false;
		if (symbol->st_shndx != SHN_COMMON && !is_variables_section(cubin, symbol->st_shndx))
			continue;
		if (ELF64_ST_TYPE(symbol->st_info) == STT_SECTION)
			continue;
		if (!is_compilers_own(names + symbol->st_name))
			*out_has_variables = true;
		else if (__builtin_add_overflow(*compilers_bytes, symbol->st_size, compilers_bytes))
			return false;
	}
	return true;
}

bool gd_cuda_cubin_check(const void *data, size_t bytes, bool *out_has_variables, struct gd_error *error)
{
	struct cubin cubin = {.data = data, .bytes = bytes};
	if (!check_header(&cubin, error) || !check_sections(&cubin, error))
		return false;
	bool has_variables = false;
	uint64_t variables_bytes = 0, compilers_bytes = 0;
	for (uint16_t i = 0; i < cubin.section_count; i++) {
		if (is_variables_section(&cubin, i) &&
		    __builtin_add_overflow(variables_bytes, cubin.sections[i].sh_size, &variables_bytes))
			return damaged(error, "its variables have no possible size");
		if (cubin.sections[i].sh_type == SHT_SYMTAB &&
		    !walk_symbols(&cubin, &cubin.sections[i], &compilers_bytes, &has_variables))
			return damaged(error, "its symbols are cut off");
	}
	/* Variables without any symbol: the names were stripped. */
	if (variables_bytes && !compilers_bytes)
		has_variables = true;
	*out_has_variables = has_variables;
	return true;
}

/* Is the ".global" at `text[at]` a state space of its own, and not the end of an instruction such as
 * ld.global.u32? */
static bool is_declaration(const char *text, size_t at)
{
	static const char pointer_attribute[] = ".ptr";
	unsigned char before = at ? (unsigned char)text[at - 1] : ' ';
	unsigned char after = (unsigned char)text[at + strlen(".global")];
	if (isalnum(before) || strchr("_$%", before) || !(isspace(after) || after == '/'))
		return false;
	while (at && isspace((unsigned char)text[at - 1]))
		at--;
	/* `.param .u64 .ptr .global` tells where a parameter points; it declares no variable. */
	size_t length = strlen(pointer_attribute);
	return at < length || memcmp(text + at - length, pointer_attribute, length) != 0;
}

bool gd_cuda_ptx_check(const char *text, size_t bytes, bool *out_has_variables, struct gd_error *error)
{
	if (text[bytes] || memchr(text, '\0', bytes))
		return gd_error_set(error, GD_INVALID_PROGRAM, "Send the PTX as one text closed by a NUL.",
				    "the PTX is no text of %zu bytes", bytes);
	bool has_variables = false;
	for (const char *at = text; !has_variables && (at = strstr(at, ".global")); at += strlen(".global")) {
		size_t declaration = strcspn(at, ";={[");
		has_variables = is_declaration(text, (size_t)(at - text)) &&
				!memmem(at, declaration, " $str", 5) &&
				!memmem(at, declaration, " __cudart_", 10);
	}
	*out_has_variables = has_variables;
	return true;
}
