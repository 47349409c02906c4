/*
 * The settings of this process, read from flags, environment, file and defaults (see options.h).
 *
 * Read once by the main thread before anything starts; constant from then on, so any thread may read it.
 */
#ifndef GD_SERVER_CONFIG_H
#define GD_SERVER_CONFIG_H

#include "server/options.h"

#include <stdio.h>

struct gd_config {
	struct gd_option_value values[GD_OPTION_COUNT];
};

static inline const char *gd_config_text(const struct gd_config *config, enum gd_option_id id)
{
	return config->values[id].text;
}

static inline uint64_t gd_config_number(const struct gd_config *config, enum gd_option_id id)
{
	return config->values[id].number;
}

/*
 * Read everything: flags, then the environment, then the file that they name, then defaults; each only fills
 * what a stronger one has left. `environment` is NAME=value strings, NULL-terminated. *out_config is to be
 * freed with gd_config_done. Fails: GD_INVALID_REQUEST; the text is one line, ready for stderr.
 */
bool gd_config_load(int argc, char *const *argv, char *const *environment, struct gd_config *out_config,
		    struct gd_error *error);
void gd_config_done(struct gd_config *config);

/* Read a YAML file of `name: value` lines into values (source GD_FROM_FILE). Fails: GD_INVALID_REQUEST. */
bool gd_config_read_file(const char *path, struct gd_option_value values[GD_OPTION_COUNT],
			 struct gd_error *error);

void gd_config_print_help(FILE *out);
/* "name: value  # source" lines, which --config takes again. */
void gd_config_print(const struct gd_config *config, FILE *out);

#endif
