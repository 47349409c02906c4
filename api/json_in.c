#include "api/json_in.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { POINTER_DEPTH = 32 };

bool gd_parse_u64(const char *text, size_t bytes, uint64_t *out)
{
	uint64_t value = 0;
	if (!bytes)
		return false;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return false;
	}
	*out = value;
	return true;
}

/* One level of nesting on the way to the place. */
struct level {
	bool is_object, wants_key;
	size_t index, key, key_bytes; /* where the key stands in the text */
};

static void put_level(const char *text, const struct level *level, char *out, size_t capacity)
{
	size_t used = strlen(out);
	if (!level->is_object) {
		snprintf(out + used, capacity - used, "/%zu", level->index);
		return;
	}
	if (used + 1 < capacity)
		out[used++] = '/';
	for (size_t i = 0; i < level->key_bytes && used + 2 < capacity; i++) {
		char c = text[level->key + i];
		if (c == '~' || c == '/') {
			out[used++] = '~';
			c = c == '~' ? '0' : '1';
		}
		out[used++] = c;
	}
	out[used] = 0;
}

static size_t string_end(const char *text, size_t from, size_t end)
{
	while (from < end && text[from] != '"')
		from += text[from] == '\\' && from + 1 < end ? 2 : 1;
	return from;
}

void gd_json_pointer_at(const char *text, size_t bytes, size_t position, char *out, size_t capacity)
{
	struct level levels[POINTER_DEPTH];
	size_t depth = 0;
	out[0] = 0;
	if (position > bytes)
		position = bytes;
	for (size_t i = 0; i < position; i++) {
		struct level *top = depth ? &levels[depth - 1] : NULL;
		char c = text[i];
		if (c == '{' || c == '[') {
			if (depth == POINTER_DEPTH)
				break;
			levels[depth++] = (struct level){.is_object = c == '{', .wants_key = c == '{'};
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
		} else if (c == ',' && top) {
			top->index++;
			top->wants_key = top->is_object;
			top->key_bytes = 0;
		} else if (c == '"') {
			size_t end = string_end(text, i + 1, position);
			if (top && top->wants_key) {
				top->key = i + 1;
				top->key_bytes = end - i - 1;
				top->wants_key = false;
			}
			i = end;
		}
	}
	for (size_t i = 0; i < depth; i++)
		if (!levels[i].is_object || levels[i].key_bytes)
			put_level(text, &levels[i], out, capacity);
}

json_t *gd_json_parse(const char *text, size_t bytes, const char *what, struct gd_error *error)
{
	json_error_t reason;
	json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &reason);
	if (root)
		return root;
	enum json_error_code code = json_error_code(&reason);
	char pointer[sizeof error->pointer];
	/* jansson stands behind the token that it could not use */
	size_t at = reason.position > 0 ? (size_t)reason.position - 1 : 0;
	gd_json_pointer_at(text, bytes, at, pointer, sizeof pointer);
	if (code == json_error_out_of_memory)
		gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
	else if (code == json_error_duplicate_key)
		gd_error_set(error, GD_INVALID_REQUEST, "give every member once", "%s has a member twice: %s",
			     what, pointer);
	else if (code == json_error_numeric_overflow)
		gd_error_set(error, GD_INVALID_REQUEST, "write the number as a string, or a smaller one",
			     "%s has a number that is too large, at line %d, column %d", what, reason.line,
			     reason.column);
	else
		gd_error_set(error, GD_MALFORMED_BODY, "send valid JSON (RFC 8259) in UTF-8",
			     "%s is no valid JSON: %.100s at line %d, column %d", what, reason.text,
			     reason.line, reason.column);
	gd_error_at(error, "%s", pointer);
	return NULL;
}

bool gd_json_only(const json_t *object, const char *const *names, const char *pointer, struct gd_error *error)
{
	const char *key;
	json_t *value;
	/* jansson's iterators take no const object but change nothing */
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const char *const *name = names;
		while (*name && strcmp(*name, key))
			name++;
		if (*name)
			continue;
		gd_error_set(error, GD_INVALID_REQUEST, "leave it out; openapi.yaml lists the members",
			     "the member \"%.200s\" is unknown here", key);
		char escaped[128] = "";
		struct level level = {.is_object = true, .key_bytes = strlen(key)};
		put_level(key, &level, escaped, sizeof escaped);
		return gd_error_at(error, "%s%s", pointer, escaped);
	}
	return true;
}

bool gd_value_refuse(const char *pointer, struct gd_error *error, const char *format, ...)
{
	char text[sizeof error->text];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	const char *name = pointer[0] == '/' ? strrchr(pointer, '/') + 1 : pointer;
	gd_error_set(error, GD_INVALID_REQUEST, NULL, "%.100s %.300s", name, text);
	return gd_error_at(error, "%s", pointer);
}

bool gd_value_u64(const struct gd_value *value, const char *pointer, uint64_t least, uint64_t most,
		  uint64_t *out, struct gd_error *error)
{
	uint64_t number = 0;
	bool is_number = true;
	const char *text = value->json ? json_string_value(value->json) : value->text;
	if (text && value->json && *text == GD_MARK_NUMBER)
		text++;
	if (text)
		is_number = gd_parse_u64(text, strlen(text), &number);
	else if (json_is_integer(value->json) && json_integer_value(value->json) >= 0)
		number = (uint64_t)json_integer_value(value->json);
	else
		is_number = false;
	if (!is_number || number < least || number > most)
		return gd_value_refuse(pointer, error, "must be a whole number from %" PRIu64 " to %" PRIu64,
				       least, most);
	*out = number;
	return true;
}

bool gd_value_u32(const struct gd_value *value, const char *pointer, uint32_t least, uint32_t most,
		  uint32_t *out, struct gd_error *error)
{
	uint64_t number = 0;
	if (!gd_value_u64(value, pointer, least, most, &number, error))
		return false;
	*out = (uint32_t)number;
	return true;
}

bool gd_value_bool(const struct gd_value *value, const char *pointer, bool *out, struct gd_error *error)
{
	if (value->json ? json_is_true(value->json)
			: !strcmp(value->text, "true") || !strcmp(value->text, "1"))
		*out = true;
	else if (value->json ? json_is_false(value->json)
			     : !strcmp(value->text, "false") || !strcmp(value->text, "0"))
		*out = false;
	else
		return gd_value_refuse(pointer, error, "must be true or false");
	return true;
}

bool gd_value_dims(const struct gd_value *value, const char *pointer, uint64_t out[3], struct gd_error *error)
{
	uint64_t dims[3] = {1, 1, 1};
	size_t count = 0;
	bool is_good = true;
	if (value->json) {
		count = json_array_size(value->json);
		for (size_t i = 0; i < count && i < 3 && is_good; i++) {
			const json_t *item = json_array_get(value->json, i);
			is_good = json_is_integer(item) && json_integer_value(item) >= 0;
			if (is_good)
				dims[i] = (uint64_t)json_integer_value(item);
		}
	} else {
		for (const char *s = value->text; s && is_good; count++) {
			const char *comma = strchr(s, ',');
			is_good = count < 3 &&
				  gd_parse_u64(s, comma ? (size_t)(comma - s) : strlen(s), &dims[count]);
			s = comma ? comma + 1 : NULL;
		}
	}
	if (!is_good || count < 1 || count > 3)
		return gd_value_refuse(pointer, error, "must be one to three whole numbers: x, y, z");
	memcpy(out, dims, sizeof dims);
	return true;
}

bool gd_value_text(const struct gd_value *value, const char *pointer, size_t max, const char **out,
		   struct gd_error *error)
{
	const char *text = value->json ? json_string_value(value->json) : value->text;
	if (!text)
		return gd_value_refuse(pointer, error, "must be a string");
	if (strlen(text) > max)
		return gd_value_refuse(pointer, error, "must be at most %zu bytes long", max);
	*out = text;
	return true;
}
