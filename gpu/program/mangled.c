#include "gpu/program/mangled.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 192, TEXT_MAX = 8192, ARGUMENTS_MAX = 64, DEPTH_MAX = 48 };

/* A type, a scope or a template argument, with its C++ text (an offset into the reader's; 0 is ""). */
struct node {
	struct gd_mangled_param what; /* for a type that is no pointer, is_const is its own */
	bool is_void, is_pack;
	uint16_t text;
	uint16_t pack_first, pack_count; /* into arguments */
};

struct reader {
	const char *at;
	bool failed;
	unsigned depth;
	struct node nodes[NODES_MAX]; /* substitution candidates, in the order the ABI counts them */
	uint32_t node_count;
	struct node arguments[ARGUMENTS_MAX]; /* template arguments; of packs, their members */
	uint32_t argument_count;
	uint32_t own_first, own_count; /* the function's own among them: what T_ means */
	char base[GD_MANGLED_TEXT_BYTES];
	char text[TEXT_MAX];
	uint32_t text_used;
};

static const struct {
	char code;
	enum gd_type type;
	const char *text;
} builtins[] = {
    {'b', GD_TYPE_BOOL, "bool"},      {'c', GD_TYPE_I8, "char"},
    {'a', GD_TYPE_I8, "signed char"}, {'h', GD_TYPE_U8, "unsigned char"},
    {'s', GD_TYPE_I16, "short"},      {'t', GD_TYPE_U16, "unsigned short"},
    {'i', GD_TYPE_I32, "int"},        {'j', GD_TYPE_U32, "unsigned int"},
    {'l', GD_TYPE_I64, "long"},       {'m', GD_TYPE_U64, "unsigned long"},
    {'x', GD_TYPE_I64, "long long"},  {'y', GD_TYPE_U64, "unsigned long long"},
    {'f', GD_TYPE_F32, "float"},      {'d', GD_TYPE_F64, "double"},
    {'w', GD_TYPE_I32, "wchar_t"},
};

static struct node fail(struct reader *r)
{
	r->failed = true;
	return (struct node){0};
}

static bool take(struct reader *r, const char *prefix)
{
	size_t n = strlen(prefix);
	if (r->failed || strncmp(r->at, prefix, n) != 0)
		return false;
	r->at += n;
	return true;
}

__attribute__((format(printf, 2, 3))) static uint16_t write_text(struct reader *r, const char *format, ...)
{
	size_t room = TEXT_MAX - r->text_used;
	va_list args;
	va_start(args, format);
	int n = vsnprintf(r->text + r->text_used, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room) {
		fail(r);
		return 0;
	}
	uint16_t at = (uint16_t)r->text_used;
	r->text_used += (uint32_t)n + 1;
	return at;
}

static const char *text_of(const struct reader *r, struct node node)
{
	return r->text + node.text;
}

static struct node remember(struct reader *r, struct node node)
{
	if (r->node_count == NODES_MAX)
		return fail(r);
	r->nodes[r->node_count++] = node;
	return node;
}

static struct node read_type(struct reader *r);

static uint32_t read_decimal(struct reader *r)
{
	uint32_t value = 0;
	if (*r->at < '0' || *r->at > '9')
		fail(r);
	for (; *r->at >= '0' && *r->at <= '9' && value < 100000; r->at++)
		value = value * 10 + (uint32_t)(*r->at - '0');
	return value;
}

/* "_" is 0, "0_" is 1, …: sequence numbers of T (decimal) and S (base 36, capitals) */
static uint32_t read_sequence(struct reader *r, unsigned base)
{
	if (take(r, "_"))
		return 0;
	uint32_t value = 0;
	for (; *r->at && *r->at != '_'; r->at++) {
		unsigned digit = *r->at >= '0' && *r->at <= '9'   ? (unsigned)(*r->at - '0')
				 : *r->at >= 'A' && *r->at <= 'Z' ? (unsigned)(*r->at - 'A') + 10
								  : base;
		if (digit >= base || value > 10000) {
			fail(r);
			return 0;
		}
		value = value * base + digit;
	}
	if (!take(r, "_"))
		fail(r);
	return value + 1;
}

/* <source-name> within `scope` (NULL for the global one); anonymous namespaces add nothing to the text. */
static struct node read_source_name(struct reader *r, const struct node *scope)
{
	take(r, "L"); /* internal linkage */
	uint32_t length = read_decimal(r);
	if (r->failed || !length || length >= sizeof r->base || strnlen(r->at, length) < length)
		return fail(r);
	const char *name = r->at;
	r->at += length;
	struct node node = {0};
	if (scope)
		node.text = scope->text;
	if (length >= 10 && !memcmp(name, "_GLOBAL__N", 10))
		return node;
	memcpy(r->base, name, length);
	r->base[length] = '\0';
	const char *outer = scope ? text_of(r, *scope) : "";
	/* CUDA's own half types are known by name: cuda_fp16.h, cuda_bf16.h */
	if (!outer[0] && !strcmp(r->base, "__half"))
		node.what.type = GD_TYPE_F16;
	if (!outer[0] && !strcmp(r->base, "__nv_bfloat16"))
		node.what.type = GD_TYPE_BF16;
	node.text = write_text(r, "%s%s%s", outer, outer[0] ? "::" : "", r->base);
	return node;
}

static struct node read_value(struct reader *r)
{
	struct node type = read_type(r);
	bool negative = take(r, "n");
	const char *digits = r->at;
	while (*r->at >= '0' && *r->at <= '9')
		r->at++;
	int length = (int)(r->at - digits);
	if (!length || length > 20 || !take(r, "E"))
		return fail(r);
	struct node node = {0};
	if (type.what.type == GD_TYPE_BOOL)
		node.text = write_text(r, "%s", digits[0] == '1' ? "true" : "false");
	else if (type.what.type == GD_TYPE_I32)
		node.text = write_text(r, "%s%.*s", negative ? "-" : "", length, digits);
	else
		node.text =
		    write_text(r, "(%s)%s%.*s", text_of(r, type), negative ? "-" : "", length, digits);
	return node;
}

static void read_argument(struct reader *r, struct node *list, uint32_t *count);

/* <template-args>: the arguments go to r->arguments, contiguous; the text "<…>" comes back. */
static uint16_t read_arguments(struct reader *r, uint32_t *out_first, uint32_t *out_count)
{
	struct node *list = calloc(ARGUMENTS_MAX, sizeof *list);
	uint32_t count = 0;
	if (!list || ++r->depth > DEPTH_MAX)
		fail(r);
	while (!r->failed && !take(r, "E"))
		read_argument(r, list, &count);
	if (!r->failed && r->argument_count + count > ARGUMENTS_MAX)
		fail(r);
	uint16_t text = 0;
	if (!r->failed) {
		*out_first = r->argument_count;
		*out_count = count;
		if (count)
			memcpy(r->arguments + r->argument_count, list, count * sizeof *list);
		r->argument_count += count;
		text = write_text(r, "<");
		for (uint32_t i = 0; i < count && !r->failed; i++) {
			bool comma = r->text[text + 1] && text_of(r, list[i])[0];
			text = write_text(r, "%s%s%s", r->text + text, comma ? "," : "", text_of(r, list[i]));
		}
		text = write_text(r, "%s>", r->text + text);
	}
	free(list);
	r->depth--;
	return text;
}

static void read_argument(struct reader *r, struct node *list, uint32_t *count)
{
	if (*count == ARGUMENTS_MAX) {
		fail(r);
		return;
	}
	struct node node = {0};
	if (take(r, "J")) {
		uint32_t first = 0, members = 0;
		uint16_t text = read_arguments(r, &first, &members);
		if (r->failed)
			return;
		/* without the angle brackets */
		const char *inner = r->text + text + 1;
		node = (struct node){.is_pack = true,
				     .pack_first = (uint16_t)first,
				     .pack_count = (uint16_t)members,
				     .text = write_text(r, "%.*s", (int)strlen(inner) - 1, inner)};
	} else if (take(r, "L")) {
		node = read_value(r);
	} else {
		node = read_type(r);
	}
	list[(*count)++] = node;
}

static struct node with_arguments(struct reader *r, struct node name, uint32_t *out_first,
				  uint32_t *out_count)
{
	char base[sizeof r->base];
	memcpy(base, r->base, sizeof base);
	uint16_t text = read_arguments(r, out_first, out_count);
	memcpy(r->base, base, sizeof base);
	if (r->failed)
		return name;
	return (struct node){.text = write_text(r, "%s%s", text_of(r, name), r->text + text)};
}

static struct node read_substitution(struct reader *r)
{
	uint32_t index = read_sequence(r, 36);
	if (r->failed || index >= r->node_count)
		return fail(r);
	return r->nodes[index];
}

/*
 * <nested-name> after its N. With `is_function` the last component is the function and no candidate, and its
 * template arguments become what T_ means.
 */
static struct node read_nested(struct reader *r, bool is_function, bool *out_template)
{
	struct node scope = {0};
	bool have = false;
	uint32_t first = 0, count = 0;
	*out_template = false;
	while (!r->failed && !take(r, "E")) {
		bool from_table = false;
		if (take(r, "I")) {
			if (!have)
				return fail(r);
			scope = with_arguments(r, scope, &first, &count);
			*out_template = true;
		} else if (!have && take(r, "S")) {
			scope = read_substitution(r);
			from_table = true;
		} else {
			scope = read_source_name(r, have ? &scope : NULL);
			*out_template = false;
		}
		have = true;
		if (!r->failed && !from_table && !(is_function && *r->at == 'E'))
			scope = remember(r, scope);
	}
	if (!have)
		return fail(r);
	r->own_first = is_function ? first : r->own_first;
	r->own_count = is_function && *out_template ? count : r->own_count;
	return scope;
}

static struct node read_class(struct reader *r)
{
	bool ignored;
	uint32_t first, count;
	if (take(r, "N"))
		return read_nested(r, false, &ignored);
	struct node name = remember(r, read_source_name(r, NULL));
	return !r->failed && take(r, "I") ? remember(r, with_arguments(r, name, &first, &count)) : name;
}

static struct node read_pointer(struct reader *r, const char *sign)
{
	struct node to = read_type(r);
	struct node node = {.what = {.type = GD_TYPE_POINTER}};
	/* a pointer's own constness is not kept: of pointers to pointers only that they are */
	if (to.what.type != GD_TYPE_POINTER) {
		node.what.is_const = to.what.is_const;
		node.what.element = to.is_void ? GD_TYPE_BYTES : to.what.type;
	}
	node.text = write_text(r, "%s%s", text_of(r, to), sign);
	return remember(r, node);
}

static struct node read_qualified(struct reader *r)
{
	bool is_const = false, is_volatile = false;
	for (;; r->at++) {
		if (*r->at == 'K')
			is_const = true;
		else if (*r->at == 'V')
			is_volatile = true;
		else if (*r->at != 'r')
			break;
	}
	struct node node = read_type(r);
	bool pointer = node.what.type == GD_TYPE_POINTER;
	if (pointer)
		return fail(
		    r); /* only under another pointer: rare, and the compiler's own answer is better */
	node.what.is_const = is_const;
	node.text = write_text(r, "%s%s%s", is_const ? "const " : "", is_volatile ? "volatile " : "",
			       text_of(r, node));
	return remember(r, node);
}

static struct node read_template_parameter(struct reader *r)
{
	uint32_t index = read_sequence(r, 10);
	if (r->failed || index >= r->own_count)
		return fail(r);
	struct node node = r->arguments[r->own_first + index];
	return node.is_pack ? node : remember(r, node);
}

static struct node read_kind_of_type(struct reader *r)
{
	char c = *r->at;
	if (c == 'r' || c == 'V' || c == 'K')
		return read_qualified(r);
	if (take(r, "P"))
		return read_pointer(r, "*");
	if (take(r, "R"))
		return read_pointer(r, "&");
	if (take(r, "v"))
		return (struct node){.is_void = true, .text = write_text(r, "void")};
	if (take(r, "T"))
		return read_template_parameter(r);
	if (take(r, "S")) {
		uint32_t first, count;
		struct node node = read_substitution(r);
		return !r->failed && take(r, "I") ? remember(r, with_arguments(r, node, &first, &count))
						  : node;
	}
	if (c == 'N' || (c >= '1' && c <= '9'))
		return read_class(r);
	for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
		if (c == builtins[i].code) {
			r->at++;
			return (struct node){.what.type = builtins[i].type,
					     .text = write_text(r, "%s", builtins[i].text)};
		}
	return fail(r);
}

static struct node read_type(struct reader *r)
{
	if (r->failed || ++r->depth > DEPTH_MAX)
		return fail(r);
	struct node node = read_kind_of_type(r);
	r->depth--;
	return node;
}

static bool read_params(struct reader *r, struct gd_mangled *out)
{
	if (!strcmp(r->at, "v"))
		return true;
	while (*r->at) {
		bool expands = take(r, "Dp");
		struct node node = read_type(r);
		if (r->failed || expands != node.is_pack || node.is_void)
			return false;
		uint32_t members = expands ? node.pack_count : 1;
		for (uint32_t i = 0; i < members; i++) {
			if (out->count == GD_MANGLED_PARAMS_MAX)
				return false;
			out->params[out->count++] =
			    expands ? r->arguments[node.pack_first + i].what : node.what;
		}
	}
	return true;
}

static bool read_function(struct reader *r, struct gd_mangled *out)
{
	bool is_template = false;
	struct node name;
	if (take(r, "N")) {
		name = read_nested(r, true, &is_template);
	} else {
		name = read_source_name(r, NULL);
		if (!r->failed && take(r, "I")) {
			is_template = true;
			remember(r, name);
			name = with_arguments(r, name, &r->own_first, &r->own_count);
		}
	}
	if (r->failed)
		return false;
	snprintf(out->base, sizeof out->base, "%s", r->base);
	const char *text = text_of(r, name);
	if (strlen(text) < sizeof out->expression)
		snprintf(out->expression, sizeof out->expression, "%s", text);
	/* a template's function type begins with the return type, which is void for a kernel */
	out->has_params = (!is_template || take(r, "v")) && read_params(r, out);
	if (!out->has_params)
		out->count = 0;
	return true;
}

bool gd_mangled_read(const char *name, struct gd_mangled *out_mangled)
{
	struct gd_mangled mangled = {0};
	struct reader *r = calloc(1, sizeof *r);
	if (!r)
		return false;
	r->at = name;
	r->text_used = 1;
	bool ok = take(r, "_Z") && read_function(r, &mangled);
	free(r);
	if (ok)
		*out_mangled = mangled;
	return ok;
}
