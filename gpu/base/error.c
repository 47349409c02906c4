#include "gpu/base/error.h"

#include <stdio.h>
#include <string.h>

static void write_text(struct gd_error *error, enum gd_code code, const char *fix, const char *format,
		       va_list args)
{
	memset(error, 0, sizeof *error);
	error->code = code;
	vsnprintf(error->text, sizeof error->text, format, args);
	if (fix)
		snprintf(error->fix, sizeof error->fix, "%s", fix);
}

bool gd_error_set(struct gd_error *error, enum gd_code code, const char *fix, const char *format, ...)
{
	if (!error)
		return false;
	va_list args;
	va_start(args, format);
	write_text(error, code, fix, format, args);
	va_end(args);
	return false;
}

bool gd_error_errno(struct gd_error *error, int errno_value, const char *format, ...)
{
	if (!error)
		return false;
	va_list args;
	va_start(args, format);
	write_text(error, GD_INTERNAL_STATE, NULL, format, args);
	va_end(args);
	error->native = errno_value;
	size_t used = strlen(error->text);
	char reason[96];
	snprintf(error->text + used, sizeof error->text - used, ": %s",
		 strerror_r(errno_value, reason, sizeof reason));
	return false;
}

bool gd_error_context(struct gd_error *error, const char *format, ...)
{
	if (!error)
		return false;
	char inner[sizeof error->text];
	memcpy(inner, error->text, sizeof inner);
	va_list args;
	va_start(args, format);
	int used = vsnprintf(error->text, sizeof error->text, format, args);
	va_end(args);
	if (used >= 0 && (size_t)used < sizeof error->text)
		snprintf(error->text + used, sizeof error->text - (size_t)used, ": %.*s",
			 (int)sizeof inner - 1, inner);
	return false;
}

bool gd_error_at(struct gd_error *error, const char *format, ...)
{
	if (!error)
		return false;
	va_list args;
	va_start(args, format);
	vsnprintf(error->pointer, sizeof error->pointer, format, args);
	va_end(args);
	return false;
}

bool gd_error_native(struct gd_error *error, int native, const char *native_name, bool sticky)
{
	if (!error)
		return false;
	error->native = native;
	error->native_name = native_name;
	error->sticky = sticky;
	return false;
}
