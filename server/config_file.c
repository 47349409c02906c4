/* The --config file: one flat YAML mapping, read with libyaml's event parser. See config.h. */
#include "server/config.h"

#include "gpu/base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

enum { FILE_BYTES_MAX = 1 << 20 };

static void event_done(yaml_event_t *event)
{
	yaml_event_delete(event);
}

static bool next(yaml_parser_t *parser, yaml_event_t *event, struct gd_error *error)
{
	yaml_event_delete(event);
	if (!yaml_parser_parse(parser, event)) {
		memset(event, 0, sizeof *event);
		return gd_error_set(error, GD_INVALID_REQUEST, NULL, "line %zu: %s",
				    parser->problem_mark.line + 1,
				    parser->problem ? parser->problem : "not YAML");
	}
	return true;
}

static bool wrong(const yaml_event_t *event, const char *what, struct gd_error *error)
{
	return gd_error_set(error, GD_INVALID_REQUEST, NULL, "line %zu: %s", event->start_mark.line + 1,
			    what);
}

static bool is_text(const yaml_event_t *event)
{
	return event->type == YAML_SCALAR_EVENT &&
	       strlen((const char *)event->data.scalar.value) == event->data.scalar.length;
}

/* The option that a key names, or NULL with an error. */
static const struct gd_option *option_of(const yaml_event_t *event, const bool seen[GD_OPTION_COUNT],
					 struct gd_error *error)
{
	const char *name = (const char *)event->data.scalar.value;
	size_t bytes = event->data.scalar.length;
	int id = gd_option_find(name, bytes);
	char what[160];
	if (id >= 0 && !seen[id] && !gd_options[id].flag_only)
		return &gd_options[id];
	if (id < 0) {
		const char *nearest = gd_option_nearest(name, bytes);
		snprintf(what, sizeof what, "unknown setting '%.60s'%s%s%s", name,
			 nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
	} else if (seen[id]) {
		snprintf(what, sizeof what, "'%s' stands here twice", name);
	} else {
		snprintf(what, sizeof what, "'%s' can only be given as a flag", name);
	}
	wrong(event, what, error);
	return NULL;
}

static bool read_pairs(yaml_parser_t *parser, struct gd_option_value values[GD_OPTION_COUNT],
		       struct gd_error *error)
{
	bool seen[GD_OPTION_COUNT] = {false};
	gd_scoped(event_done) yaml_event_t event = {0};
	for (;;) {
		if (!next(parser, &event, error))
			return false;
		if (event.type == YAML_MAPPING_END_EVENT)
			return true;
		if (!is_text(&event))
			return wrong(&event, "a name was expected", error);
		const struct gd_option *option = option_of(&event, seen, error);
		if (!option)
			return false;
		if (!next(parser, &event, error))
			return false;
		if (!is_text(&event)) {
			char what[120];
			snprintf(what, sizeof what,
				 "the value of '%s' must be plain text, a number, true or false",
				 option->name);
			return wrong(&event, what, error);
		}
		long id = option - gd_options;
		if (!gd_option_set(option, &values[id], (const char *)event.data.scalar.value, GD_FROM_FILE,
				   error))
			return gd_error_context(error, "line %zu: %s", event.start_mark.line + 1,
						option->name);
		seen[id] = true;
	}
}

static bool read_document(yaml_parser_t *parser, struct gd_option_value values[GD_OPTION_COUNT],
			  struct gd_error *error)
{
	gd_scoped(event_done) yaml_event_t event = {0};
	if (!next(parser, &event, error) || !next(parser, &event, error))
		return false;
	if (event.type == YAML_STREAM_END_EVENT)
		return true; /* an empty file, or comments alone */
	if (!next(parser, &event, error))
		return false;
	if (event.type == YAML_SCALAR_EVENT && event.data.scalar.length == 0)
		return true;
	if (event.type != YAML_MAPPING_START_EVENT)
		return wrong(&event, "the file must be lines of 'name: value'", error);
	if (!read_pairs(parser, values, error))
		return false;
	if (!next(parser, &event, error) || !next(parser, &event, error))
		return false;
	return event.type == YAML_STREAM_END_EVENT || wrong(&event, "a second document", error);
}

bool gd_config_read_file(const char *path, struct gd_option_value values[GD_OPTION_COUNT],
			 struct gd_error *error)
{
	gd_auto_file FILE *file = fopen(path, "re");
	struct stat info;
	if (!file || fstat(fileno(file), &info) < 0)
		return gd_error_set(error, GD_INVALID_REQUEST, NULL, "--config %.200s: %s", path,
				    strerror(errno));
	if (!S_ISREG(info.st_mode) || info.st_size > FILE_BYTES_MAX)
		return gd_error_set(error, GD_INVALID_REQUEST, NULL,
				    "--config %.200s: not a file of at most %d bytes", path, FILE_BYTES_MAX);
	yaml_parser_t parser;
	if (!yaml_parser_initialize(&parser))
		return gd_error_errno(error, ENOMEM, "cannot read the configuration");
	yaml_parser_set_input_file(&parser, file);
	bool ok = read_document(&parser, values, error);
	yaml_parser_delete(&parser);
	return ok || gd_error_context(error, "%.200s", path);
}
