#include "gpu/compile/message.h"

#include "gpu/program/options.h"
#include "gpu/program/utf8.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Stands at the start of a result when all of it has been written. */
#define RESULT_MAGIC 0x31746c7573657264ull

enum {
	TEXT_MAX = 4096,
	ENTRY_MAX = 64 * 1024,
	HEADERS_MAX = 4096,
	NAME_MAX_BYTES = 4096,
	ELEMENT_MAX = 1 << 30
};

uint8_t *gd_request_encode(const struct gd_program *program, enum gd_compile_kind kind,
			   int compute_capability, size_t *out_bytes)
{
	size_t headers = gd_program_header_count(program), options = gd_program_option_count(program);
	/* a length and a NUL for each field beside its bytes */
	size_t capacity = gd_program_bytes(program) + 16 * (16 + 2 * headers + options);
	uint8_t *memory = malloc(capacity);
	if (!memory)
		return NULL;
	struct gd_wire_writer writer = {memory, memory + capacity, false};
	size_t bytes;
	const char *source = gd_program_source(program, &bytes);
	gd_wire_put_u64(&writer, kind);
	gd_wire_put_u64(&writer, (uint64_t)compute_capability);
	gd_wire_put_text(&writer, gd_program_kernel(program));
	gd_wire_put_bytes(&writer, source, bytes);
	gd_wire_put_u64(&writer, headers);
	for (size_t i = 0; i < headers; i++) {
		struct gd_header_input header = gd_program_header(program, i);
		gd_wire_put_text(&writer, header.name);
		gd_wire_put_bytes(&writer, header.text, header.bytes);
	}
	gd_wire_put_u64(&writer, options);
	for (size_t i = 0; i < options; i++)
		gd_wire_put_text(&writer, gd_program_option(program, i));
	if (writer.failed) {
		free(memory);
		return NULL;
	}
	*out_bytes = (size_t)(writer.at - memory);
	return memory;
}

bool gd_request_decode(const uint8_t *data, size_t bytes, struct gd_request *out_request)
{
	struct gd_wire_reader reader = {data, data + bytes, false};
	struct gd_request request = {0};
	request.kind = (enum gd_compile_kind)gd_wire_get_u32(&reader, GD_COMPILE_REFERENCE);
	request.compute_capability = (int)gd_wire_get_u32(&reader, 9999);
	request.kernel = gd_wire_get_bytes(&reader, GD_KERNEL_BYTES_MAX);
	request.source = gd_wire_get_bytes(&reader, bytes);
	request.header_count = gd_wire_get_u32(&reader, HEADERS_MAX);
	request.header_names = calloc(request.header_count + 1, sizeof *request.header_names);
	request.header_texts = calloc(request.header_count + 1, sizeof *request.header_texts);
	if (!request.header_names || !request.header_texts)
		return false;
	for (size_t i = 0; i < request.header_count; i++) {
		request.header_names[i] = gd_wire_get_bytes(&reader, bytes).text;
		request.header_texts[i] = gd_wire_get_bytes(&reader, bytes).text;
	}
	request.option_count = gd_wire_get_u32(&reader, GD_OPTIONS_MAX);
	request.options = calloc(request.option_count + 1, sizeof *request.options);
	if (!request.options)
		return false;
	for (size_t i = 0; i < request.option_count; i++)
		request.options[i] = gd_wire_get_bytes(&reader, bytes).text;
	if (reader.failed)
		return false;
	*out_request = request;
	return true;
}

static void put(struct gd_wire_writer *writer, struct gd_wire_text text)
{
	gd_wire_put_bytes(writer, text.text, text.bytes);
}

static void put_signature(struct gd_wire_writer *writer, const struct gd_signature *signature)
{
	gd_wire_put_u64(writer, signature->count);
	for (uint32_t i = 0; i < signature->count; i++) {
		const struct gd_param *param = &signature->params[i];
		gd_wire_put_text(writer, param->name);
		gd_wire_put_u64(writer, param->type);
		gd_wire_put_u64(writer, param->size);
		gd_wire_put_u64(writer, param->align);
		gd_wire_put_u64(writer, param->element);
		gd_wire_put_u64(writer, param->element_size);
		gd_wire_put_u64(writer, param->access);
	}
}

bool gd_result_encode(const struct gd_result *result, uint8_t *memory, size_t capacity)
{
	uint64_t magic = RESULT_MAGIC;
	if (capacity < sizeof magic)
		return false;
	struct gd_wire_writer writer = {memory + sizeof magic, memory + capacity, false};
	gd_wire_put_u64(&writer, result->outcome);
	put(&writer, result->text);
	put(&writer, result->fix);
	put(&writer, result->pointer);
	put(&writer, result->log);
	put(&writer, result->entry);
	put(&writer, result->ptx);
	put(&writer, result->cubin);
	gd_wire_put_u64(&writer, result->is_reproducible);
	gd_wire_put_u64(&writer, result->has_types);
	put_signature(&writer, &result->signature);
	if (writer.failed)
		return false;
	atomic_thread_fence(memory_order_release);
	memcpy(memory, &magic, sizeof magic);
	return true;
}

/* Can this be a parameter? Sizes agree with the type, elements and access are there for pointers alone. */
static bool is_sound(const struct gd_param *param, bool has_types)
{
	if (!param->size || (param->align & (param->align - 1)) || !param->align)
		return false;
	if (!has_types)
		return param->type == GD_TYPE_NONE && param->element == GD_TYPE_NONE && !param->access;
	if (param->type == GD_TYPE_NONE)
		return false;
	if (param->type != GD_TYPE_BYTES && param->size != gd_type_size(param->type))
		return false;
	if (param->type != GD_TYPE_POINTER)
		return param->element == GD_TYPE_NONE && !param->access && !param->element_size;
	if (param->element == GD_TYPE_NONE || param->element == GD_TYPE_POINTER || !param->access)
		return false;
	return param->element == GD_TYPE_BYTES || param->element_size == gd_type_size(param->element);
}

static bool get_signature(struct gd_wire_reader *reader, bool has_types, struct gd_signature *out_signature,
			  struct gd_error *error)
{
	gd_auto_signature struct gd_signature signature = {0};
	uint32_t count = gd_wire_get_u32(reader, GD_SIGNATURE_PARAMS_MAX);
	if (reader->failed || !gd_signature_init(&signature, count, error))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "a compile result does not hold together");
	for (uint32_t i = 0; i < count; i++) {
		struct gd_param *param = &signature.params[i];
		struct gd_wire_text name = gd_wire_get_bytes(reader, NAME_MAX_BYTES);
		param->type = (enum gd_type)gd_wire_get_u32(reader, GD_TYPE_COUNT - 1);
		param->size = gd_wire_get_u32(reader, GD_SIGNATURE_BYTES_MAX);
		param->align = gd_wire_get_u32(reader, GD_SIGNATURE_BYTES_MAX);
		param->element = (enum gd_type)gd_wire_get_u32(reader, GD_TYPE_COUNT - 1);
		param->element_size = gd_wire_get_u32(reader, ELEMENT_MAX);
		param->access = (enum gd_param_access)gd_wire_get_u32(reader, GD_PARAM_READ_WRITE);
		if (reader->failed || !is_sound(param, has_types) ||
		    !gd_utf8_is_valid(name.text, name.bytes) ||
		    !gd_signature_name(&signature, i, name.text, name.bytes))
			return gd_error_set(error, GD_INTERNAL_STATE, NULL,
					    "a compile result does not hold together");
	}
	if (!gd_signature_place(&signature, error))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "a compile result does not hold together");
	*out_signature = signature;
	signature = (struct gd_signature){0};
	return true;
}

static bool is_text(struct gd_wire_text text)
{
	return gd_utf8_is_valid(text.text, text.bytes);
}

bool gd_result_decode(const uint8_t *memory, size_t capacity, struct gd_result *out_result,
		      struct gd_error *error)
{
	struct gd_wire_reader reader = {memory, memory + capacity, false};
	struct gd_result result = {0};
	if (gd_wire_get_u64(&reader) != RESULT_MAGIC)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "a compile ended without a result");
	result.outcome = (enum gd_outcome)gd_wire_get_u32(&reader, GD_OUTCOME_BROKEN);
	result.text = gd_wire_get_bytes(&reader, TEXT_MAX);
	result.fix = gd_wire_get_bytes(&reader, TEXT_MAX);
	result.pointer = gd_wire_get_bytes(&reader, TEXT_MAX);
	result.log = gd_wire_get_bytes(&reader, GD_LOG_BYTES_MAX);
	result.entry = gd_wire_get_bytes(&reader, ENTRY_MAX);
	result.ptx = gd_wire_get_bytes(&reader, capacity);
	result.cubin = gd_wire_get_bytes(&reader, capacity);
	result.is_reproducible = gd_wire_get_u32(&reader, 1);
	result.has_types = gd_wire_get_u32(&reader, 1);
	bool made = result.outcome == GD_OUTCOME_MADE;
	if (reader.failed || !result.outcome || (made && (!result.entry.bytes || !result.ptx.bytes)) ||
	    !is_text(result.text) || !is_text(result.fix) || !is_text(result.pointer) ||
	    !is_text(result.entry))
		return gd_error_set(error, GD_INTERNAL_STATE, NULL,
				    "a compile result does not hold together");
	if (!get_signature(&reader, result.has_types, &result.signature, error))
		return false;
	*out_result = result;
	return true;
}
