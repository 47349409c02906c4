#include "gpu/program/program.h"

#include "gpu/program/declared.h"
#include "gpu/program/options.h"
#include "gpu/program/utf8.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct header {
	char *name, *text;
	size_t bytes;
};

struct gd_program {
	_Atomic uint32_t references;
	enum gd_language language;
	char *source;
	size_t source_bytes;
	char *kernel;
	struct header *headers;
	size_t header_count;
	char **options;
	size_t option_count;
	bool is_declared;
	struct gd_signature declared;
	uint32_t workgroup_size[3];
	uint8_t digest[GD_SHA256_BYTES];
};

struct gd_program_limits gd_program_limits_default(void)
{
	return (struct gd_program_limits){
	    .source_bytes = 1u << 20, .header_count = 64, .header_bytes = 1u << 20, .name_bytes = 1024};
}

static bool out_of_memory(struct gd_error *error)
{
	return gd_error_errno(error, ENOMEM, "cannot hold the program");
}

static char *copy_bytes(const void *data, size_t bytes)
{
	char *copy = malloc(bytes + 1);
	if (!copy)
		return NULL;
	if (bytes)
		memcpy(copy, data, bytes);
	copy[bytes] = '\0';
	return copy;
}

static const char *source_member(enum gd_language language)
{
	return language == GD_LANGUAGE_PTX ? "/ptx" : language == GD_LANGUAGE_CUBIN ? "/cubin" : "/source";
}

static bool is_blank(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (text[i] != ' ' && (text[i] < '\t' || text[i] > '\r'))
			return false;
	return true;
}

static bool take_source(struct gd_program *program, const struct gd_program_input *input,
			const struct gd_program_limits *limits, struct gd_error *error)
{
	const char *member = source_member(program->language);
	bool text = program->language != GD_LANGUAGE_CUBIN;
	if (input->source_bytes > limits->source_bytes) {
		gd_error_set(error, GD_TOO_LARGE, "Send a smaller source, or have the server's limit raised.",
			     "the source has %zu bytes, %zu are allowed", input->source_bytes,
			     limits->source_bytes);
		return gd_error_at(error, "%s", member);
	}
	if (!input->source_bytes || (text && is_blank(input->source, input->source_bytes))) {
		gd_error_set(error, GD_INVALID_REQUEST, "Send the source of a kernel.",
			     "the source is empty");
		return gd_error_at(error, "%s", member);
	}
	if (text && !gd_utf8_is_valid(input->source, input->source_bytes)) {
		gd_error_set(error, GD_INVALID_REQUEST, "Send the source as UTF-8 text without NUL.",
			     "the source is no UTF-8 text");
		return gd_error_at(error, "%s", member);
	}
	program->source = copy_bytes(input->source, input->source_bytes);
	if (!program->source)
		return out_of_memory(error);
	program->source_bytes = input->source_bytes;
	return true;
}

static bool refuse_header(struct gd_error *error, enum gd_code code, const char *name, const char *fix,
			  const char *why)
{
	/* RFC 6901: ~ and / are escaped in a pointer */
	char token[128];
	size_t n = 0;
	for (const char *p = name; *p && n + 3 < sizeof token; p++) {
		if (*p == '~' || *p == '/') {
			token[n++] = '~';
			token[n++] = *p == '~' ? '0' : '1';
		} else {
			token[n++] = *p;
		}
	}
	token[n] = '\0';
	gd_utf8_mend(token, n);
	gd_error_set(error, code, fix, "a header %s", why);
	return gd_error_at(error, "/headers/%s", token);
}

static bool check_header(const struct gd_header_input *header, const struct gd_program_limits *limits,
			 struct gd_error *error)
{
	const char *name = header->name;
	size_t length = strnlen(name, limits->name_bytes + 1);
	if (!length || length > limits->name_bytes)
		return refuse_header(error, GD_INVALID_REQUEST, name, "Use a name of 1 to 1024 bytes.",
				     "has a name that is empty or too long");
	if (!gd_utf8_is_valid(name, length))
		return refuse_header(error, GD_INVALID_REQUEST, name, "Send names as UTF-8.",
				     "has a name that is no UTF-8 text");
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f || strchr("\"<>\\", name[i]))
			return refuse_header(error, GD_INVALID_REQUEST, name,
					     "Use a name that an #include can hold.",
					     "has a name with a character that no #include can hold");
	if (!gd_utf8_is_valid(header->text, header->bytes))
		return refuse_header(error, GD_INVALID_REQUEST, name,
				     "Send headers as UTF-8 text without NUL.", "is no UTF-8 text");
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct header *)a)->name, ((const struct header *)b)->name);
}

static bool take_headers(struct gd_program *program, const struct gd_program_input *input,
			 const struct gd_program_limits *limits, struct gd_error *error)
{
	if (!input->header_count)
		return true;
	size_t left = limits->header_bytes;
	if (input->header_count > limits->header_count) {
		gd_error_set(error, GD_INVALID_REQUEST, "Send fewer headers.",
			     "%zu headers are more than %zu", input->header_count, limits->header_count);
		return gd_error_at(error, "/headers");
	}
	program->headers = calloc(input->header_count, sizeof *program->headers);
	if (!program->headers)
		return out_of_memory(error);
	for (size_t i = 0; i < input->header_count; i++) {
		const struct gd_header_input *from = &input->headers[i];
		if (!check_header(from, limits, error))
			return false;
		if (from->bytes > left)
			return refuse_header(error, GD_TOO_LARGE, from->name,
					     "Send smaller headers, or have the server's limit raised.",
					     "goes over the size allowed for all headers");
		left -= from->bytes;
		struct header *to = &program->headers[program->header_count++];
		to->name = strdup(from->name);
		to->text = copy_bytes(from->text, from->bytes);
		to->bytes = from->bytes;
		if (!to->name || !to->text)
			return out_of_memory(error);
	}
	qsort(program->headers, program->header_count, sizeof *program->headers, by_name);
	for (size_t i = 1; i < program->header_count; i++)
		if (!strcmp(program->headers[i - 1].name, program->headers[i].name))
			return refuse_header(error, GD_INVALID_REQUEST, program->headers[i].name,
					     "Send each header once.", "is there twice");
	return true;
}

/* A kernel may also stand in a header, or hide behind a macro that an option defines. */
static bool has_kernel(const struct gd_program *program)
{
	static const char word[] = "__global__";
	if (strstr(program->source, word))
		return true;
	for (size_t i = 0; i < program->header_count; i++)
		if (strstr(program->headers[i].text, word))
			return true;
	for (size_t i = 0; i < program->option_count; i++)
		if (strstr(program->options[i], word))
			return true;
	return false;
}

static bool refuse_extras(const struct gd_program *program, struct gd_error *error)
{
	const char *what = program->header_count ? "headers" : "options";
	gd_error_set(error, GD_INVALID_REQUEST, "Leave it out, or send CUDA C++ as `source`.",
		     "`%s` has no meaning for a program that is compiled already", what);
	return gd_error_at(error, "/%s", what);
}

static bool take_workgroup(struct gd_program *program, const uint32_t size[3], struct gd_error *error)
{
	static const uint32_t usual[3] = {64, 1, 1};
	bool absent = !size[0] && !size[1] && !size[2];
	for (unsigned i = 0; i < 3; i++) {
		if (!absent && !size[i]) {
			gd_error_set(error, GD_INVALID_REQUEST, "Use at least 1 on every axis.",
				     "the workgroup's axis %u is 0", i);
			return gd_error_at(error, "/workgroup_size/%u", i);
		}
		program->workgroup_size[i] = absent ? usual[i] : size[i];
	}
	return true;
}

static void make_digest(struct gd_program *program)
{
	struct gd_sha256 hash;
	gd_sha256_init(&hash);
	gd_sha256_add_text(&hash, "gpudispatch program 1");
	gd_sha256_add_u64(&hash, program->language);
	gd_sha256_add_text(&hash, program->kernel);
	gd_sha256_add_field(&hash, program->source, program->source_bytes);
	gd_sha256_add_u64(&hash, program->header_count);
	for (size_t i = 0; i < program->header_count; i++) {
		gd_sha256_add_text(&hash, program->headers[i].name);
		gd_sha256_add_field(&hash, program->headers[i].text, program->headers[i].bytes);
	}
	gd_sha256_add_u64(&hash, program->option_count);
	for (size_t i = 0; i < program->option_count; i++)
		gd_sha256_add_text(&hash, program->options[i]);
	gd_sha256_add_u64(&hash, program->is_declared);
	gd_sha256_add_u64(&hash, program->declared.count);
	for (uint32_t i = 0; i < program->declared.count; i++) {
		const struct gd_param *param = &program->declared.params[i];
		gd_sha256_add_text(&hash, param->name);
		gd_sha256_add_text(&hash, gd_type_text(param->type));
		gd_sha256_add_u64(&hash, param->size);
		gd_sha256_add_text(&hash, gd_type_text(param->element));
		gd_sha256_add_u64(&hash, param->element_size);
		gd_sha256_add_text(&hash, param->access ? gd_access_text(param->access) : "");
	}
	for (unsigned i = 0; i < 3; i++)
		gd_sha256_add_u64(&hash, program->workgroup_size[i]);
	gd_sha256_done(&hash, program->digest);
}

static bool fill(struct gd_program *program, const struct gd_program_input *input,
		 const struct gd_program_limits *limits, struct gd_error *error)
{
	char kernel[GD_KERNEL_BYTES_MAX + 1];
	if (!take_source(program, input, limits, error) ||
	    !gd_kernel_canonical(input->kernel, kernel, error) ||
	    !take_headers(program, input, limits, error) ||
	    !gd_options_canonical(input->options, input->option_count, &program->options,
				  &program->option_count, error) ||
	    !take_workgroup(program, input->workgroup_size, error))
		return false;
	program->kernel = strdup(kernel);
	if (!program->kernel)
		return out_of_memory(error);
	program->is_declared = input->params_declared || input->param_count;
	if (program->is_declared && !gd_declared_read(input->params, input->param_count, limits->name_bytes,
						      &program->declared, error))
		return false;
	if (program->language != GD_LANGUAGE_CUDA)
		return program->header_count || program->option_count ? refuse_extras(program, error) : true;
	if (!has_kernel(program)) {
		gd_error_set(error, GD_INVALID_PROGRAM,
			     "Write a kernel, such as: extern \"C\" __global__ void k(float *y) { … }",
			     "the source has no __global__ function");
		return gd_error_at(error, "/source");
	}
	return true;
}

bool gd_program_new(const struct gd_program_input *input, const struct gd_program_limits *limits,
		    struct gd_program **out_program, struct gd_error *error)
{
	gd_auto_program struct gd_program *program = calloc(1, sizeof *program);
	if (!program)
		return out_of_memory(error);
	atomic_init(&program->references, 1);
	program->language = input->language;
	if (!fill(program, input, limits, error))
		return false;
	make_digest(program);
	*out_program = gd_move(program);
	return true;
}

struct gd_program *gd_program_ref(struct gd_program *program)
{
	atomic_fetch_add_explicit(&program->references, 1, memory_order_relaxed);
	return program;
}

void gd_program_free(struct gd_program *program)
{
	if (!program || atomic_fetch_sub_explicit(&program->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < program->header_count; i++) {
		free(program->headers[i].name);
		free(program->headers[i].text);
	}
	free(program->headers);
	gd_options_free(program->options, program->option_count);
	gd_signature_done(&program->declared);
	free(program->kernel);
	free(program->source);
	free(program);
}

enum gd_language gd_program_language(const struct gd_program *program)
{
	return program->language;
}

const char *gd_program_source(const struct gd_program *program, size_t *out_bytes)
{
	*out_bytes = program->source_bytes;
	return program->source;
}

const char *gd_program_kernel(const struct gd_program *program)
{
	return program->kernel;
}

size_t gd_program_header_count(const struct gd_program *program)
{
	return program->header_count;
}

struct gd_header_input gd_program_header(const struct gd_program *program, size_t index)
{
	const struct header *header = &program->headers[index];
	return (struct gd_header_input){.name = header->name, .text = header->text, .bytes = header->bytes};
}

size_t gd_program_option_count(const struct gd_program *program)
{
	return program->option_count;
}

const char *gd_program_option(const struct gd_program *program, size_t index)
{
	return program->options[index];
}

const struct gd_signature *gd_program_declared(const struct gd_program *program)
{
	return program->is_declared ? &program->declared : NULL;
}

const uint32_t *gd_program_workgroup_size(const struct gd_program *program)
{
	return program->workgroup_size;
}

const uint8_t *gd_program_digest(const struct gd_program *program)
{
	return program->digest;
}

size_t gd_program_bytes(const struct gd_program *program)
{
	size_t bytes = sizeof *program + program->source_bytes + strlen(program->kernel) +
		       program->declared.count * sizeof *program->declared.params;
	for (size_t i = 0; i < program->header_count; i++)
		bytes +=
		    sizeof *program->headers + strlen(program->headers[i].name) + program->headers[i].bytes;
	for (size_t i = 0; i < program->option_count; i++)
		bytes += sizeof *program->options + strlen(program->options[i]) + 1;
	return bytes;
}
