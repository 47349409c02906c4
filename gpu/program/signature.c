#include "gpu/program/signature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *text;
	uint32_t size;
} types[GD_TYPE_COUNT] = {
    [GD_TYPE_NONE] = {"", 0},          [GD_TYPE_I8] = {"i8", 1},     [GD_TYPE_U8] = {"u8", 1},
    [GD_TYPE_I16] = {"i16", 2},        [GD_TYPE_U16] = {"u16", 2},   [GD_TYPE_I32] = {"i32", 4},
    [GD_TYPE_U32] = {"u32", 4},        [GD_TYPE_I64] = {"i64", 8},   [GD_TYPE_U64] = {"u64", 8},
    [GD_TYPE_F16] = {"f16", 2},        [GD_TYPE_BF16] = {"bf16", 2}, [GD_TYPE_F32] = {"f32", 4},
    [GD_TYPE_F64] = {"f64", 8},        [GD_TYPE_BOOL] = {"bool", 1}, [GD_TYPE_BYTES] = {"bytes", 0},
    [GD_TYPE_POINTER] = {"buffer", 8},
};

const char *gd_type_text(enum gd_type type)
{
	return type < GD_TYPE_COUNT ? types[type].text : "";
}

enum gd_type gd_type_of(const char *text)
{
	for (unsigned i = GD_TYPE_NONE + 1; text && i < GD_TYPE_COUNT; i++)
		if (!strcmp(text, types[i].text))
			return (enum gd_type)i;
	return GD_TYPE_NONE;
}

uint32_t gd_type_size(enum gd_type type)
{
	return type < GD_TYPE_COUNT ? types[type].size : 0;
}

const char *gd_access_text(enum gd_param_access access)
{
	return access == GD_PARAM_READ ? "read" : access == GD_PARAM_WRITE ? "write" : "read_write";
}

static char *copy_text(const char *text, size_t length)
{
	char *copy = malloc(length + 1);
	if (!copy)
		return NULL;
	if (length)
		memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

bool gd_signature_init(struct gd_signature *out_signature, uint32_t count, struct gd_error *error)
{
	if (count > GD_SIGNATURE_PARAMS_MAX)
		return gd_error_set(error, GD_INVALID_PROGRAM,
				    "Pass fewer parameters, for example in a struct or a buffer.",
				    "a kernel can have %u parameters at most, this one has %u",
				    GD_SIGNATURE_PARAMS_MAX, count);
	struct gd_signature signature = {.count = count};
	if (count) {
		signature.params = calloc(count, sizeof *signature.params);
		if (!signature.params)
			return gd_error_errno(error, ENOMEM, "cannot hold a signature");
		for (uint32_t i = 0; i < count; i++) {
			signature.params[i].name = copy_text("", 0);
			if (!signature.params[i].name) {
				gd_signature_done(&signature);
				return gd_error_errno(error, ENOMEM, "cannot hold a signature");
			}
		}
	}
	*out_signature = signature;
	return true;
}

void gd_signature_done(struct gd_signature *signature)
{
	for (uint32_t i = 0; signature->params && i < signature->count; i++)
		free(signature->params[i].name);
	free(signature->params);
	*signature = (struct gd_signature){0};
}

bool gd_signature_copy(const struct gd_signature *from, struct gd_signature *out_signature,
		       struct gd_error *error)
{
	struct gd_signature copy;
	if (!gd_signature_init(&copy, from->count, error))
		return false;
	copy.bytes = from->bytes;
	copy.laid_out = from->laid_out;
	for (uint32_t i = 0; i < from->count; i++) {
		char *empty = copy.params[i].name;
		copy.params[i] = from->params[i];
		copy.params[i].name = empty;
		if (!gd_signature_name(&copy, i, from->params[i].name, strlen(from->params[i].name))) {
			gd_signature_done(&copy);
			return gd_error_errno(error, ENOMEM, "cannot copy a signature");
		}
	}
	*out_signature = copy;
	return true;
}

bool gd_signature_name(struct gd_signature *signature, uint32_t index, const char *text, size_t length)
{
	char *copy = copy_text(text, length);
	if (!copy)
		return false;
	free(signature->params[index].name);
	signature->params[index].name = copy;
	return true;
}

void gd_signature_forget_names(struct gd_signature *signature)
{
	for (uint32_t i = 0; i < signature->count; i++)
		signature->params[i].name[0] = '\0';
}

static int position_of(const char *text, uint32_t count)
{
	if (!*text || (text[0] == '0' && text[1]))
		return -1;
	uint32_t value = 0;
	for (; *text >= '0' && *text <= '9' && value < count; text++)
		value = value * 10 + (uint32_t)(*text - '0');
	return !*text && value < count ? (int)value : -1;
}

int gd_signature_find(const struct gd_signature *signature, const char *name)
{
	for (uint32_t i = 0; i < signature->count; i++)
		if (signature->params[i].name[0] && !strcmp(signature->params[i].name, name))
			return (int)i;
	return position_of(name, signature->count);
}

/* "parameter 2 (`n`)" */
static void describe(const struct gd_signature *signature, uint32_t index, char *out, size_t capacity)
{
	const char *name = signature->params[index].name;
	if (name[0])
		snprintf(out, capacity, "parameter %u (`%.64s`)", index, name);
	else
		snprintf(out, capacity, "parameter %u", index);
}

static bool mismatch(const struct gd_signature *signature, uint32_t index, struct gd_error *error,
		     const char *what, const char *declared, const char *found)
{
	char place[112];
	describe(signature, index, place, sizeof place);
	gd_error_set(
	    error, GD_INVALID_PROGRAM,
	    "Declare the parameter as the kernel has it, or leave `params` out: the compiler finds it.",
	    "%s is declared with %s %s, the kernel has %s", place, what, declared, found);
	return gd_error_at(error, "/params/%u", index);
}

static bool mismatch_size(const struct gd_signature *signature, uint32_t index, struct gd_error *error,
			  const char *what, uint64_t declared, uint64_t found)
{
	char have[24], want[24];
	snprintf(have, sizeof have, "%llu", (unsigned long long)declared);
	snprintf(want, sizeof want, "%llu", (unsigned long long)found);
	return mismatch(signature, index, error, what, have, want);
}

/* void and structs can be looked at as smaller things; a scalar element is what it is. */
static bool element_fits(const struct gd_param *found, const struct gd_param *declared)
{
	if (declared->element == GD_TYPE_NONE || found->element == GD_TYPE_NONE)
		return true;
	if (found->element != GD_TYPE_BYTES)
		return declared->element == found->element;
	if (found->element_size <= 1)
		return true;
	return declared->element_size && found->element_size % declared->element_size == 0;
}

static bool merge_buffer(struct gd_signature *signature, uint32_t index, const struct gd_param *declared,
			 struct gd_error *error)
{
	struct gd_param *found = &signature->params[index];
	if (!element_fits(found, declared)) {
		if (declared->element == GD_TYPE_BYTES && found->element == GD_TYPE_BYTES)
			return mismatch_size(signature, index, error, "an element size of",
					     declared->element_size, found->element_size);
		return mismatch(signature, index, error, "element", gd_type_text(declared->element),
				gd_type_text(found->element));
	}
	if (declared->element != GD_TYPE_NONE) {
		found->element = declared->element;
		found->element_size = declared->element_size;
	}
	if (!declared->access)
		return true;
	if (found->access == GD_PARAM_READ && declared->access != GD_PARAM_READ)
		return mismatch(signature, index, error, "access", gd_access_text(declared->access),
				"a pointer to const");
	found->access = declared->access;
	return true;
}

/* Only the size is known: the client's word counts. A buffer of nothing in particular counts bytes. */
static bool take_declared(struct gd_signature *signature, uint32_t index, const struct gd_param *declared,
			  struct gd_error *error)
{
	struct gd_param *found = &signature->params[index];
	if (declared->size != found->size)
		return mismatch_size(signature, index, error, "a size of", declared->size, found->size);
	found->type = declared->type;
	if (declared->type != GD_TYPE_POINTER)
		return true;
	found->element = declared->element == GD_TYPE_NONE ? GD_TYPE_BYTES : declared->element;
	found->element_size = declared->element == GD_TYPE_NONE ? 1 : declared->element_size;
	found->access = declared->access ? declared->access : GD_PARAM_READ_WRITE;
	return true;
}

static bool must_declare(const struct gd_signature *signature, struct gd_error *error)
{
	for (uint32_t i = 0; i < signature->count; i++)
		if (signature->params[i].type == GD_TYPE_NONE) {
			gd_error_set(error, GD_INVALID_PROGRAM,
				     "Declare every parameter of the kernel in `params`, in order.",
				     "the types of the kernel's %u parameters could not be found",
				     signature->count);
			return gd_error_at(error, "/params");
		}
	return true;
}

static bool merge_one(struct gd_signature *signature, uint32_t index, const struct gd_param *declared,
		      struct gd_error *error)
{
	struct gd_param *found = &signature->params[index];
	if (declared->name[0] && !gd_signature_name(signature, index, declared->name, strlen(declared->name)))
		return gd_error_errno(error, ENOMEM, "cannot hold a signature");
	if (found->type == GD_TYPE_NONE)
		return take_declared(signature, index, declared, error);
	if (found->type == GD_TYPE_POINTER && declared->type == GD_TYPE_POINTER)
		return merge_buffer(signature, index, declared, error);
	/* bytes of the right size stand for any value */
	if (declared->type == GD_TYPE_BYTES && found->type != GD_TYPE_POINTER) {
		if (declared->size != found->size)
			return mismatch_size(signature, index, error, "a size of", declared->size,
					     found->size);
		return true;
	}
	if (declared->type == found->type)
		return true;
	/* a struct by value that is as large as the scalar: the client knows what it means (half-like types)
	 */
	if (found->type == GD_TYPE_BYTES && declared->type != GD_TYPE_POINTER &&
	    declared->size == found->size) {
		found->type = declared->type;
		return true;
	}
	return mismatch(signature, index, error, "type", gd_type_text(declared->type),
			gd_type_text(found->type));
}

static bool names_are_unique(const struct gd_signature *signature, struct gd_error *error)
{
	for (uint32_t i = 1; i < signature->count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (signature->params[i].name[0] &&
			    !strcmp(signature->params[i].name, signature->params[j].name)) {
				gd_error_set(error, GD_INVALID_PROGRAM,
					     "Give each parameter a name of its own.",
					     "parameters %u and %u are both named `%.64s`", j, i,
					     signature->params[i].name);
				return gd_error_at(error, "/params/%u", i);
			}
	return true;
}

bool gd_signature_merge(struct gd_signature *signature, const struct gd_signature *declared,
			struct gd_error *error)
{
	if (!declared)
		return must_declare(signature, error);
	if (declared->count != signature->count) {
		gd_error_set(
		    error, GD_INVALID_PROGRAM,
		    "Declare every parameter in order, or leave `params` out: the compiler finds them.",
		    "%u parameters are declared, the kernel has %u", declared->count, signature->count);
		return gd_error_at(error, "/params");
	}
	bool named = false;
	for (uint32_t i = 0; i < declared->count; i++)
		named = named || declared->params[i].name[0];
	/* a found name beside declared ones would mix two ways of naming */
	if (named)
		gd_signature_forget_names(signature);
	for (uint32_t i = 0; i < declared->count; i++)
		if (!merge_one(signature, i, &declared->params[i], error))
			return false;
	return names_are_unique(signature, error);
}

bool gd_signature_of_slots(const struct gd_slot *slots, uint32_t count, struct gd_signature *out_signature,
			   struct gd_error *error)
{
	gd_auto_signature struct gd_signature signature = {0};
	if (!gd_signature_init(&signature, count, error))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		signature.params[i].size = slots[i].size;
		signature.params[i].align = slots[i].align;
	}
	if (!gd_signature_place(&signature, error))
		return false;
	*out_signature = signature;
	signature = (struct gd_signature){0};
	return true;
}

bool gd_signature_place(struct gd_signature *signature, struct gd_error *error)
{
	uint64_t at = 0;
	for (uint32_t i = 0; i < signature->count; i++) {
		struct gd_param *param = &signature->params[i];
		uint64_t mask = (uint64_t)param->align - 1;
		if (!param->align || (param->align & mask))
			return gd_error_set(error, GD_INVALID_PROGRAM, NULL,
					    "parameter %u has an alignment of %u, which is no power of two",
					    i, param->align);
		at = (at + mask) & ~mask;
		if (at + param->size > GD_SIGNATURE_BYTES_MAX)
			return gd_error_set(
			    error, GD_INVALID_PROGRAM, "Pass large parameters through a buffer.",
			    "the kernel's parameters take more than %u bytes", GD_SIGNATURE_BYTES_MAX);
		param->offset = (uint32_t)at;
		at += param->size;
	}
	signature->bytes = (uint32_t)at;
	signature->laid_out = true;
	return true;
}
