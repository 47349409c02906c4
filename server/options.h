/*
 * Every setting of the service, in one const table: flags, environment, file and --help come from it alone.
 *
 * A setting has one value, which the strongest source that names it gives: flag, environment, file, default.
 * Values are checked against the table wherever they come from.
 */
#ifndef GD_SERVER_OPTIONS_H
#define GD_SERVER_OPTIONS_H

#include "gpu/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum gd_option_id {
	GD_OPTION_LISTEN,
	GD_OPTION_PORT_FILE,
	GD_OPTION_INSECURE,
	GD_OPTION_BACKEND,
	GD_OPTION_NVRTC,
	GD_OPTION_STATE_DIR,
	GD_OPTION_CONFIG,
	GD_OPTION_SHARDS,
	GD_OPTION_COMPILE_JOBS,
	GD_OPTION_COMPILE_TIMEOUT_MS,
	GD_OPTION_COMPILE_MEMORY_MB,
	GD_OPTION_SLAB_MB,
	GD_OPTION_QUEUE_LIMIT,
	GD_OPTION_CACHE_MB,
	GD_OPTION_MAX_BODY_MB,
	GD_OPTION_MAX_SOURCE_KB,
	GD_OPTION_MAX_JSON_KB,
	GD_OPTION_DEFAULT_TIMEOUT_MS,
	GD_OPTION_MAX_TIMEOUT_MS,
	GD_OPTION_MAX_CONNECTIONS,
	GD_OPTION_HEADER_TIMEOUT_MS,
	GD_OPTION_BODY_TIMEOUT_MS,
	GD_OPTION_MIN_RATE,
	GD_OPTION_IDLE_TIMEOUT_MS,
	GD_OPTION_DRAIN_TIMEOUT_MS,
	GD_OPTION_ALARM_THRESHOLD_BPS,
	GD_OPTION_LOG_LEVEL,
	GD_OPTION_LOG_FORMAT,
	GD_OPTION_LOG_ACCESS,
	GD_OPTION_HELP,
	GD_OPTION_VERSION,
	GD_OPTION_PRINT_CONFIG,
	GD_OPTION_PRINT_ROUTES,
	GD_OPTION_COUNT
};

enum gd_option_kind {
	GD_OPTION_IS_TEXT,
	GD_OPTION_IS_NUMBER,
	GD_OPTION_IS_CHOICE, /* the number is the index into choices */
	GD_OPTION_IS_SWITCH, /* true or false; as a flag alone: true */
	GD_OPTION_IS_ACTION  /* a switch that is a flag only: --help and its like */
};

struct gd_option {
	const char *name; /* "max-body-mb"; the environment's is GPUDISPATCH_MAX_BODY_MB */
	enum gd_option_kind kind;
	const char *value_name;    /* for --help: "HOST:PORT" */
	const char *standard;      /* default, as it would be written */
	uint64_t min, max;         /* of a number */
	const char *choices[6];    /* of a choice, ended by NULL */
	const char *hidden_choice; /* taken, not told; its number follows those of choices */
	bool flag_only;            /* may not stand in the file */
	const char *help;
};

extern const struct gd_option gd_options[GD_OPTION_COUNT];

enum gd_option_source { GD_FROM_DEFAULT, GD_FROM_FILE, GD_FROM_ENVIRONMENT, GD_FROM_FLAG };

struct gd_option_value {
	char *text; /* as written, owned */
	uint64_t number;
	enum gd_option_source source;
};

enum { GD_OPTION_TEXT_MAX = 4096 }; /* bytes of one value */

/* The option of this name (its first `bytes` characters), or -1. */
int gd_option_find(const char *name, size_t bytes);
/* The name that was probably meant, or NULL when none is near. */
const char *gd_option_nearest(const char *name, size_t bytes);
/* "GPUDISPATCH_" and the name in capitals with underscores. `out` has 64 bytes. */
void gd_option_environment(const struct gd_option *option, char out[64]);

/*
 * Check `text` against the option and store a copy of it unless a stronger source has spoken. Fails:
 * GD_INVALID_REQUEST with a text such as "must be between 1 and 64, not 'x'".
 */
bool gd_option_set(const struct gd_option *option, struct gd_option_value *value, const char *text,
		   enum gd_option_source source, struct gd_error *error);

#endif
