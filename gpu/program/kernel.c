#include "gpu/program/options.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool refuse(struct gd_error *error, const char *why)
{
	gd_error_set(error, GD_INVALID_REQUEST,
		     "Name the kernel as C++ does, such as `saxpy`, `ns::saxpy` or `scale<float, 3>`.",
		     "the kernel %s", why);
	return gd_error_at(error, "/kernel");
}

/* One text of the grammar: brackets balance, colons come in pairs, no comma operator. */
static bool is_well_formed(const char *text, struct gd_error *error)
{
	int depth = 0;
	bool angle = false;
	if (!is_word(text[0]) && text[0] != ':' && text[0] != '(' && text[0] != '&')
		return refuse(error, "does not begin with a name");
	if (text[0] >= '0' && text[0] <= '9')
		return refuse(error, "begins with a digit");
	for (const char *p = text; *p; p++) {
		if (*p == ':' && *++p != ':')
			return refuse(error, "has a single colon");
		depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
		angle = angle || *p == '<';
		if (depth < 0)
			return refuse(error, "has a bracket that closes nothing");
		if (*p == ',' && !depth && !angle)
			return refuse(error, "has a comma outside of brackets");
	}
	return depth ? refuse(error, "has a bracket that is not closed") : true;
}

bool gd_kernel_canonical(const char *kernel, char *out, struct gd_error *error)
{
	size_t length = 0;
	bool blank = false;
	char text[GD_KERNEL_BYTES_MAX + 1];
	for (const char *p = kernel ? kernel : ""; *p; p++) {
		if (is_space(*p)) {
			blank = true;
			continue;
		}
		if (!is_word(*p) && !strchr(":<>,()*&+-!~|^%", *p))
			return refuse(error, "has a character that names no kernel");
		bool separate = blank && length && is_word(text[length - 1]) && is_word(*p);
		blank = false;
		if (length + separate >= GD_KERNEL_BYTES_MAX)
			return refuse(error, "is longer than 1024 bytes");
		if (separate)
			text[length++] = ' ';
		text[length++] = *p;
	}
	text[length] = '\0';
	if (length && !is_well_formed(text, error))
		return false;
	memcpy(out, text, length + 1);
	return true;
}
