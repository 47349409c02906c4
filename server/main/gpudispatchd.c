/*
 * gpudispatchd: one executable, several roles. Children are this file started under another name (argv[0]);
 * the front is everything else.
 */
#include "api/api.h"
#include "gpu/compile/compiler.h"
#include "gpu/worker/worker.h"
#include "server/config.h"
#include "server/log.h"
#include "server/supervisor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int front(int argc, char **argv)
{
	struct gd_config config;
	struct gd_error error;
	if (!gd_config_load(argc, argv, environ, &config, &error)) {
		fprintf(stderr, "gpudispatchd: %s\n", error.text);
		return 2;
	}
	int status = 0;
	if (gd_config_number(&config, GD_OPTION_HELP)) {
		gd_config_print_help(stdout);
	} else if (gd_config_number(&config, GD_OPTION_VERSION)) {
		puts("gpudispatchd " GD_VERSION);
	} else if (gd_config_number(&config, GD_OPTION_PRINT_CONFIG)) {
		gd_config_print(&config, stdout);
	} else if (gd_config_number(&config, GD_OPTION_PRINT_ROUTES)) {
		gd_api_print_routes();
	} else {
		gd_log_init((enum gd_log_level)gd_config_number(&config, GD_OPTION_LOG_LEVEL),
			    (enum gd_log_format)gd_config_number(&config, GD_OPTION_LOG_FORMAT));
		status = gd_supervise(&config);
	}
	gd_config_done(&config);
	return status;
}

int main(int argc, char **argv)
{
	const char *role = argc > 0 ? argv[0] : "";
	if (strcmp(role, "gd-worker") == 0)
		return gd_worker_main(argc, argv);
	if (strcmp(role, GD_COMPILER_ROLE) == 0)
		return gd_compiler_main(argc, argv);
	return front(argc, argv);
}
