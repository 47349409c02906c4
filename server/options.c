#include "server/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS 86400000u

const struct gd_option gd_options[GD_OPTION_COUNT] = {
    [GD_OPTION_LISTEN] =
	{"listen", GD_OPTION_IS_TEXT, "HOST:PORT", "127.0.0.1:8080",
	 .help = "address to serve on; port 0 picks one; several with commas; [::1]:8080 for IPv6"},
    [GD_OPTION_PORT_FILE] = {"port-file", GD_OPTION_IS_TEXT, "FILE", "",
			     .help = "write the address that is served here, remove it at the end"},
    [GD_OPTION_INSECURE] = {"insecure", GD_OPTION_IS_SWITCH, NULL, "false",
			    .help = "serve on addresses that other machines can reach, without keys"},
    [GD_OPTION_BACKEND] = {"backend", GD_OPTION_IS_CHOICE, NULL, "auto",
			   .choices = {"auto", "cuda", "reference"}, .hidden_choice = "echo",
			   .help = "cuda: the GPUs; reference: PTX on the CPU; auto: cuda if a GPU answers"},
    [GD_OPTION_NVRTC] = {"nvrtc", GD_OPTION_IS_TEXT, "PATH", "",
			 .help = "libnvrtc or the folder that holds it; searched for when not given"},
    [GD_OPTION_STATE_DIR] = {"state-dir", GD_OPTION_IS_TEXT, "DIR", "",
			     .help =
				 "folder for what outlives the process; made with mode 0700 when missing"},
    [GD_OPTION_CONFIG] = {"config", GD_OPTION_IS_TEXT, "FILE", "", .flag_only = true,
			  .help = "YAML file of 'name: value' lines, the names as here without the dashes"},
    [GD_OPTION_SHARDS] = {"shards", GD_OPTION_IS_NUMBER, "N", "0", 0, 64,
			  .help = "HTTP threads; 0: as many as processors may be used, at most 16"},
    [GD_OPTION_COMPILE_JOBS] = {"compile-jobs", GD_OPTION_IS_NUMBER, "N", "0", 0, 64,
				.help = "compiles at the same time; 0: as many as processors"},
    [GD_OPTION_COMPILE_TIMEOUT_MS] = {"compile-timeout-ms", GD_OPTION_IS_NUMBER, "MS", "30000", 100, 600000,
				      .help = "time that one compile may take"},
    [GD_OPTION_COMPILE_MEMORY_MB] = {"compile-memory-mb", GD_OPTION_IS_NUMBER, "MB", "2048", 256, 1 << 20,
				     .help = "memory that one compile may take"},
    [GD_OPTION_SLAB_MB] =
	{"slab-mb", GD_OPTION_IS_NUMBER, "MB", "0", 0, 65536,
	 .help = "shared memory per worker and direction for payloads up to 1 MiB; 0: 64, at most "
		 "an eighth of the memory"},
    [GD_OPTION_QUEUE_LIMIT] = {"queue-limit", GD_OPTION_IS_NUMBER, "N", "4096", 1, 1000000,
			       .help = "dispatches waiting or running per device before 503"},
    [GD_OPTION_CACHE_MB] = {"cache-mb", GD_OPTION_IS_NUMBER, "MB", "512", 1, 1 << 20,
			    .help = "compiled kernels kept in memory"},
    [GD_OPTION_MAX_BODY_MB] = {"max-body-mb", GD_OPTION_IS_NUMBER, "MB", "1024", 1, 1 << 20,
			       .help = "longest request body"},
    [GD_OPTION_MAX_SOURCE_KB] = {"max-source-kb", GD_OPTION_IS_NUMBER, "KB", "1024", 1, 1 << 20,
				 .help = "longest kernel source"},
    [GD_OPTION_MAX_JSON_KB] = {"max-json-kb", GD_OPTION_IS_NUMBER, "KB", "1024", 1, 1 << 20,
			       .help = "longest JSON, bulk strings not counted"},
    [GD_OPTION_DEFAULT_TIMEOUT_MS] = {"default-timeout-ms", GD_OPTION_IS_NUMBER, "MS", "30000", 1, DAY_MS,
				      .help = "a dispatch's time when it names none"},
    [GD_OPTION_MAX_TIMEOUT_MS] = {"max-timeout-ms", GD_OPTION_IS_NUMBER, "MS", "300000", 1, DAY_MS,
				  .help = "the longest time a dispatch may ask for"},
    [GD_OPTION_MAX_CONNECTIONS] =
	{"max-connections", GD_OPTION_IS_NUMBER, "N", "4096", 1, 1000000,
	 .help = "connections at the same time; a few more are kept for health and metrics"},
    [GD_OPTION_HEADER_TIMEOUT_MS] = {"header-timeout-ms", GD_OPTION_IS_NUMBER, "MS", "10000", 50, DAY_MS,
				     .help = "time in which a request's headers must be complete"},
    [GD_OPTION_BODY_TIMEOUT_MS] = {"body-timeout-ms", GD_OPTION_IS_NUMBER, "MS", "30000", 50, DAY_MS,
				   .help = "in any such span a client must send, or take, at least min-rate"},
    [GD_OPTION_MIN_RATE] = {"min-rate", GD_OPTION_IS_NUMBER, "BYTES", "1024", 1, 1 << 30,
			    .help = "bytes per second, mean over body-timeout-ms"},
    [GD_OPTION_IDLE_TIMEOUT_MS] = {"idle-timeout-ms", GD_OPTION_IS_NUMBER, "MS", "75000", 50, DAY_MS,
				   .help = "how long a connection may wait for its next request"},
    [GD_OPTION_DRAIN_TIMEOUT_MS] = {"drain-timeout-ms", GD_OPTION_IS_NUMBER, "MS", "30000", 0, DAY_MS,
				    .help = "how long requests under way may go on after SIGTERM"},
    [GD_OPTION_ALARM_THRESHOLD_BPS] = {"alarm-threshold-bps", GD_OPTION_IS_NUMBER, "BPS", "0", 0, 10000,
				       .help =
					   "cache hit rate under which /metrics raises its alarm; 0: never"},
    [GD_OPTION_LOG_LEVEL] = {"log-level", GD_OPTION_IS_CHOICE, NULL, "info",
			     .choices = {"error", "warn", "info", "debug"},
			     .help = "what is logged to stderr"},
    [GD_OPTION_LOG_FORMAT] = {"log-format", GD_OPTION_IS_CHOICE, NULL, "text", .choices = {"text", "json"},
			      .help = "how it is written"},
    [GD_OPTION_LOG_ACCESS] = {"log-access", GD_OPTION_IS_SWITCH, NULL, "false",
			      .help = "log a line per request (also done at log-level debug)"},
    [GD_OPTION_HELP] = {"help", GD_OPTION_IS_ACTION, NULL, "false", .flag_only = true, .help = "this text"},
    [GD_OPTION_VERSION] = {"version", GD_OPTION_IS_ACTION, NULL, "false", .flag_only = true,
			   .help = "print the version"},
    [GD_OPTION_PRINT_CONFIG] = {"print-config", GD_OPTION_IS_ACTION, NULL, "false", .flag_only = true,
				.help = "print every setting and where it comes from"},
    [GD_OPTION_PRINT_ROUTES] = {"print-routes", GD_OPTION_IS_ACTION, NULL, "false", .flag_only = true,
				.help = "print the routes that are served"},
};

int gd_option_find(const char *name, size_t bytes)
{
	for (int i = 0; i < GD_OPTION_COUNT; i++)
		if (strlen(gd_options[i].name) == bytes && memcmp(gd_options[i].name, name, bytes) == 0)
			return i;
	return -1;
}

enum { NAME_MAX_LENGTH = 40 };

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;
	return least < c ? least : c;
}

/* Levenshtein's distance (Wagner and Fischer 1974), two rows at a time. Both at most NAME_MAX_LENGTH long. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[NAME_MAX_LENGTH + 1];
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t above = row[j];
			row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[b_len];
}

const char *gd_option_nearest(const char *name, size_t bytes)
{
	const char *best = NULL;
	size_t best_distance = bytes / 3 + 2;
	if (bytes > NAME_MAX_LENGTH)
		return NULL;
	for (int i = 0; i < GD_OPTION_COUNT; i++) {
		size_t far = distance(name, bytes, gd_options[i].name, strlen(gd_options[i].name));
		if (far < best_distance) {
			best = gd_options[i].name;
			best_distance = far;
		}
	}
	return best;
}

void gd_option_environment(const struct gd_option *option, char out[64])
{
	int used = snprintf(out, 64, "GPUDISPATCH_%s", option->name);
	for (int i = 0; i < used && i < 63; i++) {
		if (out[i] == '-')
			out[i] = '_';
		else if (out[i] >= 'a' && out[i] <= 'z')
			out[i] = (char)(out[i] - 'a' + 'A');
	}
}

static bool parse_number(const struct gd_option *option, const char *text, uint64_t *out_number,
			 struct gd_error *error)
{
	char *end = NULL;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number < option->min || number > option->max)
		return gd_error_set(error, GD_INVALID_REQUEST, NULL,
				    "must be a number from %llu to %llu, not '%.40s'",
				    (unsigned long long)option->min, (unsigned long long)option->max, text);
	*out_number = number;
	return true;
}

static bool parse_choice(const struct gd_option *option, const char *text, uint64_t *out_number,
			 struct gd_error *error)
{
	char told[120] = "";
	uint64_t count = 0;
	for (; option->choices[count]; count++) {
		if (strcmp(option->choices[count], text) == 0) {
			*out_number = count;
			return true;
		}
		size_t used = strlen(told);
		snprintf(told + used, sizeof told - used, "%s%s", count ? ", " : "", option->choices[count]);
	}
	if (option->hidden_choice && strcmp(option->hidden_choice, text) == 0) {
		*out_number = count;
		return true;
	}
	return gd_error_set(error, GD_INVALID_REQUEST, NULL, "must be one of %s, not '%.40s'", told, text);
}

static bool parse_switch(const char *text, uint64_t *out_number, struct gd_error *error)
{
	if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
		*out_number = 1;
	else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
		*out_number = 0;
	else
		return gd_error_set(error, GD_INVALID_REQUEST, NULL, "must be true or false, not '%.40s'",
				    text);
	return true;
}

static bool parse(const struct gd_option *option, const char *text, uint64_t *out_number,
		  struct gd_error *error)
{
	if (strlen(text) >= GD_OPTION_TEXT_MAX)
		return gd_error_set(error, GD_INVALID_REQUEST, NULL, "is longer than %d bytes",
				    GD_OPTION_TEXT_MAX - 1);
	switch (option->kind) {
	case GD_OPTION_IS_NUMBER:
		return parse_number(option, text, out_number, error);
	case GD_OPTION_IS_CHOICE:
		return parse_choice(option, text, out_number, error);
	case GD_OPTION_IS_SWITCH:
	case GD_OPTION_IS_ACTION:
		return parse_switch(text, out_number, error);
	case GD_OPTION_IS_TEXT:
		break;
	}
	return true;
}

bool gd_option_set(const struct gd_option *option, struct gd_option_value *value, const char *text,
		   enum gd_option_source source, struct gd_error *error)
{
	uint64_t number = 0;
	if (!parse(option, text, &number, error))
		return false;
	if (value->text && value->source > source)
		return true;
	char *copy = strdup(text);
	if (!copy)
		return gd_error_errno(error, ENOMEM, "cannot keep the value");
	free(value->text);
	*value = (struct gd_option_value){.text = copy, .number = number, .source = source};
	return true;
}
