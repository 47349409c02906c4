#include "server/config.h"

#include <stdlib.h>
#include <string.h>

static bool unknown(const char *kind, const char *name, size_t bytes, const char *dashes,
		    struct gd_error *error)
{
	int shown = bytes > 60 ? 60 : (int)bytes;
	const char *nearest = gd_option_nearest(name, bytes);
	if (nearest)
		return gd_error_set(error, GD_INVALID_REQUEST, NULL, "unknown %s %s%.*s; did you mean %s%s?",
				    kind, dashes, shown, name, dashes, nearest);
	return gd_error_set(error, GD_INVALID_REQUEST, NULL, "unknown %s %s%.*s; --help lists them", kind,
			    dashes, shown, name);
}

/* One flag at argv[*at]; moves *at over a value in the next argument. */
static bool read_flag(int argc, char *const *argv, int *at, struct gd_config *config, struct gd_error *error)
{
	const char *flag = argv[*at];
	if (strcmp(flag, "-h") == 0)
		flag = "--help";
	if (strncmp(flag, "--", 2) != 0 || !flag[2])
		return gd_error_set(error, GD_INVALID_REQUEST, NULL,
				    "'%.60s' is not a flag; flags begin with --, and --help lists them",
				    flag);
	const char *name = flag + 2;
	const char *equals = strchr(name, '=');
	size_t bytes = equals ? (size_t)(equals - name) : strlen(name);
	int id = gd_option_find(name, bytes);
	if (id < 0)
		return unknown("flag", name, bytes, "--", error);
	const struct gd_option *option = &gd_options[id];
	const char *text = equals ? equals + 1 : NULL;
	if (!text && (option->kind == GD_OPTION_IS_SWITCH || option->kind == GD_OPTION_IS_ACTION))
		text = "true";
	if (!text) {
		if (*at + 1 >= argc)
			return gd_error_set(error, GD_INVALID_REQUEST, NULL, "--%s needs a value: --%s %s",
					    option->name, option->name,
					    option->value_name ? option->value_name : "VALUE");
		text = argv[++*at];
	}
	if (!gd_option_set(option, &config->values[id], text, GD_FROM_FLAG, error))
		return gd_error_context(error, "--%s", option->name);
	return true;
}

static bool read_environment(char *const *environment, struct gd_config *config, struct gd_error *error)
{
	for (int id = 0; id < GD_OPTION_COUNT; id++) {
		if (gd_options[id].kind == GD_OPTION_IS_ACTION)
			continue;
		char name[64];
		gd_option_environment(&gd_options[id], name);
		size_t bytes = strlen(name);
		for (char *const *entry = environment; entry && *entry; entry++) {
			if (strncmp(*entry, name, bytes) != 0 || (*entry)[bytes] != '=')
				continue;
			if (!gd_option_set(&gd_options[id], &config->values[id], *entry + bytes + 1,
					   GD_FROM_ENVIRONMENT, error))
				return gd_error_context(error, "%s", name);
			break;
		}
	}
	return true;
}

static bool load(int argc, char *const *argv, char *const *environment, struct gd_config *config,
		 struct gd_error *error)
{
	for (int at = 1; at < argc; at++)
		if (!read_flag(argc, argv, &at, config, error))
			return false;
	if (config->values[GD_OPTION_HELP].number || config->values[GD_OPTION_VERSION].number)
		environment = NULL; /* help is given whatever else is wrong */
	if (!read_environment(environment, config, error))
		return false;
	const char *file = gd_config_text(config, GD_OPTION_CONFIG);
	if (file && *file && !gd_config_read_file(file, config->values, error))
		return false;
	for (int id = 0; id < GD_OPTION_COUNT; id++)
		if (!gd_option_set(&gd_options[id], &config->values[id], gd_options[id].standard,
				   GD_FROM_DEFAULT, error))
			return gd_error_context(error, "the default of %s", gd_options[id].name);
	if (gd_config_number(config, GD_OPTION_DEFAULT_TIMEOUT_MS) >
	    gd_config_number(config, GD_OPTION_MAX_TIMEOUT_MS))
		return gd_error_set(error, GD_INVALID_REQUEST, NULL,
				    "default-timeout-ms (%s) is longer than max-timeout-ms (%s)",
				    gd_config_text(config, GD_OPTION_DEFAULT_TIMEOUT_MS),
				    gd_config_text(config, GD_OPTION_MAX_TIMEOUT_MS));
	return true;
}

bool gd_config_load(int argc, char *const *argv, char *const *environment, struct gd_config *out_config,
		    struct gd_error *error)
{
	struct gd_config config = {0};
	if (!load(argc, argv, environment, &config, error)) {
		gd_config_done(&config);
		return false;
	}
	*out_config = config;
	return true;
}

void gd_config_done(struct gd_config *config)
{
	for (int id = 0; id < GD_OPTION_COUNT; id++)
		free(config->values[id].text);
	memset(config, 0, sizeof *config);
}

static void print_usage(FILE *out, const struct gd_option *option)
{
	char flag[80], values[80] = "";
	if (option->kind == GD_OPTION_IS_CHOICE) {
		for (int i = 0; option->choices[i]; i++) {
			size_t used = strlen(values);
			snprintf(values + used, sizeof values - used, "%s%s", i ? "|" : "",
				 option->choices[i]);
		}
	} else if (option->value_name) {
		snprintf(values, sizeof values, "%s", option->value_name);
	}
	snprintf(flag, sizeof flag, "--%s%s%s", option->name, *values ? " " : "", values);
	fprintf(out, "  %-34s %s", flag, option->help);
	bool has_default = option->kind != GD_OPTION_IS_ACTION && option->kind != GD_OPTION_IS_SWITCH;
	if (has_default && *option->standard)
		fprintf(out, " [%s]", option->standard);
	fputc('\n', out);
}

void gd_config_print_help(FILE *out)
{
	fputs("gpudispatchd: compiles CUDA C and runs its kernels on a GPU, over HTTP.\n\n"
	      "usage: gpudispatchd [flags]\n\n",
	      out);
	for (int id = 0; id < GD_OPTION_COUNT; id++)
		print_usage(out, &gd_options[id]);
	fputs(
	    "\nEvery flag can be given as an environment variable (--max-body-mb: GPUDISPATCH_MAX_BODY_MB) "
	    "or in\n"
	    "the --config file (max-body-mb: 64). A flag beats the environment, which beats the file.\n"
	    "SIGTERM and SIGINT end the service when the requests under way are done; a second one at once.\n"
	    "Exit status: 0 ended as asked, 1 could not run, 2 wrong settings.\n",
	    out);
}

/* A YAML double-quoted scalar. */
static void print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

void gd_config_print(const struct gd_config *config, FILE *out)
{
	static const char *const sources[] = {[GD_FROM_DEFAULT] = "default",
					      [GD_FROM_FILE] = "file",
					      [GD_FROM_ENVIRONMENT] = "environment",
					      [GD_FROM_FLAG] = "flag"};
	for (int id = 0; id < GD_OPTION_COUNT; id++) {
		const struct gd_option *option = &gd_options[id];
		const struct gd_option_value *value = &config->values[id];
		if (option->flag_only)
			continue;
		fprintf(out, "%s: ", option->name);
		if (option->kind == GD_OPTION_IS_TEXT)
			print_quoted(out, value->text);
		else
			fputs(value->text, out);
		fprintf(out, "  # %s\n", sources[value->source]);
	}
}
