/* Settings: sources and their order, what each kind takes, and the one line that a mistake gets. */
#include "server/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 8 };

static char file_path[64];

/* Write `text` to a new file; its path stays valid until the next call. */
static const char *file_of(const char *text)
{
	snprintf(file_path, sizeof file_path, "/tmp/gd-config-XXXXXX");
	int fd = mkstemp(file_path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return file_path;
}

static bool load(const char *const *arguments, const char *const *environment, struct gd_config *config,
		 struct gd_error *error)
{
	char *argv[ARGUMENTS_MAX + 2] = {(char *)"gpudispatchd"};
	int argc = 1;
	for (; arguments && *arguments; arguments++)
		argv[argc++] = (char *)(uintptr_t)*arguments;
	static const char *const none[] = {NULL};
	return gd_config_load(argc, argv, (char *const *)(uintptr_t)(environment ? environment : none),
			      config, error);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void defaults_hold_when_nothing_is_said(void **state)
{
	(void)state;
	struct gd_config config;
	struct gd_error error;
	assert_true(load(NULL, NULL, &config, &error));
	assert_string_equal(gd_config_text(&config, GD_OPTION_LISTEN), "127.0.0.1:8080");
	assert_int_equal(gd_config_number(&config, GD_OPTION_MAX_BODY_MB), 1024);
	assert_int_equal(gd_config_number(&config, GD_OPTION_MAX_TIMEOUT_MS), 300000);
	assert_int_equal(gd_config_number(&config, GD_OPTION_BACKEND), 0);
	assert_int_equal(gd_config_number(&config, GD_OPTION_INSECURE), 0);
	assert_int_equal(config.values[GD_OPTION_LISTEN].source, GD_FROM_DEFAULT);
	gd_config_done(&config);
}

static void a_flag_beats_the_environment_which_beats_the_file(void **state)
{
	(void)state;
	struct gd_config config;
	struct gd_error error;
	const char *path = file_of("shards: 1\ncache-mb: 1\nmax-body-mb: 1\n");
	assert_true(load(LIST("--shards", "3", "--config", path),
			 LIST("GPUDISPATCH_SHARDS=2", "GPUDISPATCH_CACHE_MB=2", "OTHER=x"), &config, &error));
	assert_int_equal(gd_config_number(&config, GD_OPTION_SHARDS), 3);
	assert_int_equal(gd_config_number(&config, GD_OPTION_CACHE_MB), 2);
	assert_int_equal(gd_config_number(&config, GD_OPTION_MAX_BODY_MB), 1);
	assert_int_equal(config.values[GD_OPTION_SHARDS].source, GD_FROM_FLAG);
	assert_int_equal(config.values[GD_OPTION_CACHE_MB].source, GD_FROM_ENVIRONMENT);
	assert_int_equal(config.values[GD_OPTION_MAX_BODY_MB].source, GD_FROM_FILE);
	gd_config_done(&config);
	unlink(path);
}

static void the_environment_may_name_the_file(void **state)
{
	(void)state;
	struct gd_config config;
	struct gd_error error;
	char variable[128];
	snprintf(variable, sizeof variable, "GPUDISPATCH_CONFIG=%s",
		 file_of("# nothing but\nlog-format: json\n"));
	assert_true(load(NULL, LIST(variable), &config, &error));
	assert_int_equal(gd_config_number(&config, GD_OPTION_LOG_FORMAT), 1);
	gd_config_done(&config);
	unlink(file_path);
}

static void every_option_has_an_environment_name_and_help(void **state)
{
	(void)state;
	for (int id = 0; id < GD_OPTION_COUNT; id++) {
		char name[64];
		assert_non_null(gd_options[id].name);
		assert_non_null(gd_options[id].help);
		assert_non_null(gd_options[id].standard);
		gd_option_environment(&gd_options[id], name);
		assert_true(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == strlen(name));
		assert_int_equal(gd_option_find(gd_options[id].name, strlen(gd_options[id].name)), id);
	}
}

static void the_printed_configuration_reads_back_the_same(void **state)
{
	(void)state;
	struct gd_config first, second;
	struct gd_error error;
	char *text = NULL;
	size_t bytes = 0;
	assert_true(load(LIST("--nvrtc=/opt/a \"b\"\\c", "--insecure", "--shards=7"), NULL, &first, &error));
	FILE *memory = open_memstream(&text, &bytes);
	gd_config_print(&first, memory);
	fclose(memory);
	const char *path = file_of(text);
	assert_true(load(LIST("--config", path), NULL, &second, &error));
	for (int id = 0; id < GD_OPTION_COUNT; id++) {
		if (gd_options[id].flag_only)
			continue;
		assert_string_equal(gd_config_text(&first, (enum gd_option_id)id),
				    gd_config_text(&second, (enum gd_option_id)id));
		assert_int_equal(second.values[id].source, GD_FROM_FILE);
	}
	free(text);
	gd_config_done(&first);
	gd_config_done(&second);
	unlink(path);
}

static void each_mistake_gets_one_clear_line(void **state)
{
	(void)state;
	static const struct {
		const char *argument, *second, *says;
	} rows[] = {
	    {"--lisen", "x", "unknown flag --lisen; did you mean --listen?"},
	    {"--qqqqqqqqqqqq", NULL, "unknown flag --qqqqqqqqqqqq; --help lists them"},
	    {"--shards", NULL, "--shards needs a value: --shards N"},
	    {"--shards", "x", "--shards: must be a number from 0 to 64, not 'x'"},
	    {"--shards", "65", "--shards: must be a number from 0 to 64, not '65'"},
	    {"--shards", "-1", "--shards: must be a number from 0 to 64, not '-1'"},
	    {"--shards", " 1", "--shards: must be a number from 0 to 64, not ' 1'"},
	    {"--shards", "99999999999999999999", "must be a number from 0 to 64"},
	    {"--shards=", NULL, "must be a number from 0 to 64, not ''"},
	    {"--backend", "gpu", "--backend: must be one of auto, cuda, reference, not 'gpu'"},
	    {"--insecure=maybe", NULL, "--insecure: must be true or false, not 'maybe'"},
	    {"listen", NULL, "'listen' is not a flag"},
	    {"-x", NULL, "'-x' is not a flag"},
	    {"--", NULL, "'--' is not a flag"},
	    {"--config", "/nonexistent/file", "--config /nonexistent/file: No such file or directory"},
	    {"--config", "/", "not a file of at most"},
	    {"--default-timeout-ms", "300001",
	     "default-timeout-ms (300001) is longer than max-timeout-ms (300000)"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_config config;
		struct gd_error error = {0};
		bool ok = load(LIST(rows[i].argument, rows[i].second), NULL, &config, &error);
		if (ok || !strstr(error.text, rows[i].says) || strchr(error.text, '\n'))
			fail_msg("%s: '%s'", rows[i].argument, ok ? "passed" : error.text);
	}
}

static void each_mistake_in_the_file_names_its_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} rows[] = {
	    {"shards: 1\nshard: 2\n", "line 2: unknown setting 'shard'; did you mean 'shards'?"},
	    {"shards: 1\nshards: 2\n", "line 2: 'shards' stands here twice"},
	    {"shards: [1]\n", "line 1: the value of 'shards' must be plain text"},
	    {"shards: {a: 1}\n", "line 1: the value of 'shards' must be plain text"},
	    {"\nshards: many\n", "line 2: shards: must be a number from 0 to 64, not 'many'"},
	    {"- shards\n", "line 1: the file must be lines of 'name: value'"},
	    {"shards\n", "line 1: the file must be lines of 'name: value'"},
	    {"shards: 1\n---\nshards: 2\n", "a second document"},
	    {"help: true\n", "'help' can only be given as a flag"},
	    {"config: x\n", "'config' can only be given as a flag"},
	    {"[1]: 2\n", "line 1: a name was expected"},
	    {"shards: 1\n\tx: 2\n", "line 2"},
	    {"shards: \"1\n", "line"},
	    {"nvrtc: \"a\\0b\"\n", "line 1: the value of 'nvrtc' must be plain text"},
	    {"a: &x 1\nshards: *x\n", "line 1: unknown setting 'a'"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_config config;
		struct gd_error error = {0};
		bool ok = load(LIST("--config", file_of(rows[i].text)), NULL, &config, &error);
		if (ok || !strstr(error.text, rows[i].says))
			fail_msg("%s: '%s'", rows[i].text, ok ? "passed" : error.text);
		unlink(file_path);
	}
}

static void empty_files_say_nothing(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "\n", "# a comment\n", "---\n"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct gd_config config;
		struct gd_error error = {0};
		if (!load(LIST("--config", file_of(texts[i])), NULL, &config, &error))
			fail_msg("'%s': %s", texts[i], error.text);
		gd_config_done(&config);
		unlink(file_path);
	}
}

static void help_is_given_whatever_the_environment_says(void **state)
{
	(void)state;
	struct gd_config config;
	struct gd_error error;
	assert_true(load(LIST("--help"), LIST("GPUDISPATCH_SHARDS=wrong"), &config, &error));
	assert_int_equal(gd_config_number(&config, GD_OPTION_HELP), 1);
	gd_config_done(&config);
	assert_false(load(NULL, LIST("GPUDISPATCH_SHARDS=wrong"), &config, &error));
	assert_non_null(strstr(error.text, "GPUDISPATCH_SHARDS: must be a number"));
}

static void the_hidden_backend_is_taken_and_not_told(void **state)
{
	(void)state;
	struct gd_config config;
	struct gd_error error;
	assert_true(load(LIST("--backend", "echo"), NULL, &config, &error));
	assert_int_equal(gd_config_number(&config, GD_OPTION_BACKEND), 3);
	gd_config_done(&config);
	char *text = NULL;
	size_t bytes = 0;
	FILE *memory = open_memstream(&text, &bytes);
	gd_config_print_help(memory);
	fclose(memory);
	assert_non_null(strstr(text, "--backend auto|cuda|reference "));
	assert_null(strstr(text, "echo"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_hold_when_nothing_is_said),
	    cmocka_unit_test(a_flag_beats_the_environment_which_beats_the_file),
	    cmocka_unit_test(the_environment_may_name_the_file),
	    cmocka_unit_test(every_option_has_an_environment_name_and_help),
	    cmocka_unit_test(the_printed_configuration_reads_back_the_same),
	    cmocka_unit_test(each_mistake_gets_one_clear_line),
	    cmocka_unit_test(each_mistake_in_the_file_names_its_line),
	    cmocka_unit_test(empty_files_say_nothing),
	    cmocka_unit_test(help_is_given_whatever_the_environment_says),
	    cmocka_unit_test(the_hidden_backend_is_taken_and_not_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
