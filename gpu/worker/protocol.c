#include "gpu/worker/protocol.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 128, NAME_BYTES = 48 };

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static char names[NAMES_MAX][NAME_BYTES];
static unsigned name_count;

static bool is_plain(const char *name, size_t capacity)
{
	for (size_t i = 0; i < capacity && name[i]; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
	return true;
}

const char *gd_static_name(const char *name, size_t capacity)
{
	if (capacity > NAME_BYTES)
		capacity = NAME_BYTES;
	size_t length = strnlen(name, capacity);
	if (length == 0 || length == capacity || !is_plain(name, capacity))
		return NULL;
	const char *found = NULL;
	pthread_mutex_lock(&names_lock);
	for (unsigned i = 0; i < name_count && !found; i++)
		if (!strncmp(names[i], name, capacity))
			found = names[i];
	if (!found && name_count < NAMES_MAX) {
		memcpy(names[name_count], name, length + 1);
		found = names[name_count++];
	}
	pthread_mutex_unlock(&names_lock);
	return found;
}

void gd_wire_error_pack(struct gd_wire_error *wire, const struct gd_error *error)
{
	memset(wire, 0, sizeof *wire);
	wire->code = error->code ? (uint32_t)error->code : GD_UNKNOWN;
	wire->native = error->native;
	wire->sticky = error->sticky;
	snprintf(wire->name, sizeof wire->name, "%s", error->native_name ? error->native_name : "");
	snprintf(wire->text, sizeof wire->text, "%s", error->text);
	snprintf(wire->fix, sizeof wire->fix, "%s", error->fix);
}

/* What a device may say; everything else would be a worker speaking for the front. */
static enum gd_code take_code(uint32_t code)
{
	switch ((enum gd_code)code) {
	case GD_DEVICE_OUT_OF_MEMORY:
	case GD_UNSUPPORTED_FEATURE:
	case GD_BACKEND_UNAVAILABLE:
	case GD_INTERNAL_STATE:
	case GD_DISPATCH_FAILED:
	case GD_INVALID_PROGRAM:
	case GD_INVALID_REQUEST:
	case GD_COOPERATIVE_RESIDENCY_EXCEEDED:
	case GD_DEVICE_LOST:
	case GD_OVERLOADED: /* cuda, while a chunk cannot be mapped yet */
		return (enum gd_code)code;
	default:
		return GD_UNKNOWN;
	}
}

/* End the text, and leave no control characters in it: it goes to logs and terminals. */
static void take_text(char *to, const char *from, size_t bytes)
{
	memcpy(to, from, bytes);
	to[bytes - 1] = 0;
	for (char *c = to; *c; c++)
		if (iscntrl((unsigned char)*c) && *c != '\n' && *c != '\t')
			*c = '?';
}

void gd_wire_error_unpack(const struct gd_wire_error *wire, struct gd_error *error)
{
	if (!error)
		return;
	memset(error, 0, sizeof *error);
	error->code = take_code(wire->code);
	error->native = wire->native;
	error->sticky = wire->sticky != 0;
	error->native_name = gd_static_name(wire->name, sizeof wire->name);
	take_text(error->text, wire->text, sizeof error->text);
	take_text(error->fix, wire->fix, sizeof error->fix);
}
