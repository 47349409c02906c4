#include "gpu/program/declared.h"

#include <errno.h>
#include <string.h>

static bool refuse(struct gd_error *error, uint32_t index, const char *member, const char *fix,
		   const char *why)
{
	gd_error_set(error, GD_INVALID_REQUEST, fix, "parameter %u %s", index, why);
	return gd_error_at(error, "/params/%u/%s", index, member);
}

static bool is_identifier(const char *text)
{
	for (const char *p = text; *p; p++) {
		bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_';
		if (!letter && (p == text || *p < '0' || *p > '9'))
			return false;
	}
	return *text != '\0';
}

static bool read_name(struct gd_signature *signature, uint32_t index, const char *name, size_t name_bytes,
		      struct gd_error *error)
{
	if (!name)
		return true;
	size_t length = strnlen(name, name_bytes + 1);
	if (length > name_bytes)
		return refuse(error, index, "name", "Use a shorter name.", "has a name that is too long");
	if (!is_identifier(name))
		return refuse(error, index, "name", "Use letters, digits and _, beginning with no digit.",
			      "has a name that is no identifier");
	for (uint32_t i = 0; i < index; i++)
		if (!strcmp(signature->params[i].name, name))
			return refuse(error, index, "name", "Give each parameter a name of its own.",
				      "has the name of an earlier one");
	if (!gd_signature_name(signature, index, name, length))
		return gd_error_errno(error, ENOMEM, "cannot hold the parameters");
	return true;
}

static bool read_access(struct gd_param *param, uint32_t index, const char *access, struct gd_error *error)
{
	if (!access)
		return true;
	for (unsigned a = GD_PARAM_READ; a <= GD_PARAM_READ_WRITE; a++)
		if (!strcmp(access, gd_access_text((enum gd_param_access)a))) {
			param->access = (enum gd_param_access)a;
			return true;
		}
	return refuse(error, index, "access", "Use read, write or read_write.",
		      "has an access that is not known");
}

static bool read_buffer(struct gd_param *param, uint32_t index, const struct gd_param_input *input,
			struct gd_error *error)
{
	param->size = gd_type_size(GD_TYPE_POINTER);
	if (input->element) {
		param->element = gd_type_of(input->element);
		if (param->element == GD_TYPE_NONE || param->element == GD_TYPE_POINTER)
			return refuse(error, index, "element",
				      "Use i8 … u64, f16, bf16, f32, f64, bool or bytes.",
				      "has an element type that is not known");
		param->element_size = gd_type_size(param->element);
	}
	if (param->element == GD_TYPE_BYTES)
		param->element_size = input->size ? input->size : 1;
	else if (input->size && (!input->element || input->size != param->element_size))
		return refuse(error, index, "size",
			      "Leave `size` out, or use the element `bytes` with a size.",
			      "has a size that is not its element's");
	return read_access(param, index, input->access, error);
}

static bool read_value(struct gd_param *param, uint32_t index, const struct gd_param_input *input,
		       struct gd_error *error)
{
	if (input->element)
		return refuse(error, index, "element", "Use `element` with type buffer only.",
			      "is no buffer and has an element");
	if (input->access)
		return refuse(error, index, "access", "Use `access` with type buffer only.",
			      "is no buffer and has an access");
	if (param->type == GD_TYPE_BYTES) {
		if (!input->size || input->size > GD_SIGNATURE_BYTES_MAX)
			return refuse(error, index, "size", "Give `size`, 1 to 4096 bytes.",
				      "has type bytes without a size that a kernel can take");
		param->size = (uint32_t)input->size;
		return true;
	}
	param->size = gd_type_size(param->type);
	if (input->size && input->size != param->size)
		return refuse(error, index, "size", "Leave `size` out: the type says it.",
			      "has a size that is not its type's");
	return true;
}

bool gd_declared_read(const struct gd_param_input *inputs, size_t count, size_t name_bytes,
		      struct gd_signature *out_signature, struct gd_error *error)
{
	if (count > GD_SIGNATURE_PARAMS_MAX) {
		gd_error_set(error, GD_INVALID_REQUEST, "Declare at most 512 parameters.",
			     "%zu parameters are more than a kernel can have", count);
		return gd_error_at(error, "/params");
	}
	gd_auto_signature struct gd_signature signature = {0};
	if (!gd_signature_init(&signature, (uint32_t)count, error))
		return false;
	for (uint32_t i = 0; i < signature.count; i++) {
		const struct gd_param_input *input = &inputs[i];
		struct gd_param *param = &signature.params[i];
		param->type = gd_type_of(input->type);
		if (param->type == GD_TYPE_NONE)
			return refuse(error, i, "type",
				      "Use i8 … u64, f16, bf16, f32, f64, bool, buffer or bytes.",
				      "has no type that is known");
		if (!read_name(&signature, i, input->name, name_bytes, error))
			return false;
		bool ok = param->type == GD_TYPE_POINTER ? read_buffer(param, i, input, error)
							 : read_value(param, i, input, error);
		if (!ok)
			return false;
	}
	*out_signature = signature;
	signature = (struct gd_signature){0};
	return true;
}
