#include "server/log.h"

#include "gpu/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { METERS = 64 };

static const char *const level_names[] = {
    [GD_LOG_ERROR] = "error", [GD_LOG_WARN] = "warn", [GD_LOG_INFO] = "info", [GD_LOG_DEBUG] = "debug"};

static struct {
	enum gd_log_level level;
	enum gd_log_format format;
	pthread_mutex_t lock; /* guards meters */
	struct gd_log_meter meters[METERS];
} log_state = {.level = GD_LOG_INFO, .lock = PTHREAD_MUTEX_INITIALIZER};

/* A line being composed: always leaves room for the newline. */
struct line {
	char *out;
	size_t len;
};

static void put(struct line *line, const char *text, size_t bytes)
{
	size_t room = GD_LOG_LINE_MAX - 2 - line->len;
	if (bytes > room)
		bytes = room;
	memcpy(line->out + line->len, text, bytes);
	line->len += bytes;
}

static void put_text(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Text in quotes: JSON's escapes, which the text form shares. Bytes over 0x7f are shown as Latin-1 code
 * points. */
static void put_quoted(struct line *line, const char *text)
{
	put(line, "\"", 1);
	for (const char *at = text; *at; at++) {
		unsigned char c = (unsigned char)*at;
		char escape[8];
		if (is_plain(c)) {
			put(line, at, 1);
		} else if (c == '"' || c == '\\') {
			put(line, "\\", 1);
			put(line, at, 1);
		} else {
			snprintf(escape, sizeof escape, "\\u%04x", c);
			put_text(line, escape);
		}
	}
	put(line, "\"", 1);
}

static bool needs_quotes(const char *text)
{
	if (!*text)
		return true;
	for (const char *at = text; *at; at++)
		if (!is_plain((unsigned char)*at) || *at == ' ' || *at == '=')
			return true;
	return false;
}

static void put_number(struct line *line, int64_t number)
{
	char digits[24];
	snprintf(digits, sizeof digits, "%lld", (long long)number);
	put_text(line, digits);
}

static void put_field(struct line *line, enum gd_log_format format, const struct gd_log_field *field)
{
	const char *text = field->text ? field->text : "";
	if (format == GD_LOG_JSON) {
		put_text(line, ",\"");
		put_text(line, field->key);
		put_text(line, "\":");
	} else {
		put_text(line, " ");
		put_text(line, field->key);
		put_text(line, "=");
	}
	if (field->is_number)
		put_number(line, field->number);
	else if (format == GD_LOG_JSON || needs_quotes(text))
		put_quoted(line, text);
	else
		put_text(line, text);
}

static void put_time(struct line *line, uint64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm utc;
	char text[40], fraction[8];
	gmtime_r(&seconds, &utc);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(fraction, sizeof fraction, ".%03uZ", (unsigned)(unix_ms % 1000));
	put_text(line, text);
	put_text(line, fraction);
}

size_t gd_log_compose(enum gd_log_format format, enum gd_log_level level, uint64_t unix_ms,
		      const char *message, const struct gd_log_field *fields, uint64_t repeated, char *out)
{
	struct line line = {.out = out};
	bool json = format == GD_LOG_JSON;
	put_text(&line, json ? "{\"time\":\"" : "");
	put_time(&line, unix_ms);
	put_text(&line, json ? "\",\"level\":\"" : " ");
	put_text(&line, level_names[level]);
	if (json) {
		put_text(&line, "\",\"message\":");
		put_quoted(&line, message);
	} else {
		put_text(&line, " ");
		put_text(&line, message);
	}
	for (; fields && fields->key; fields++)
		put_field(&line, format, fields);
	if (repeated) {
		struct gd_log_field field = gd_log_number("repeated", repeated);
		put_field(&line, format, &field);
	}
	if (json && line.len < GD_LOG_LINE_MAX - 2)
		put_text(&line, "}");
	else if (json)
		memcpy(out + line.len - 2, "\"}", 2); /* a cut line stays an object more often than not */
	out[line.len++] = '\n';
	return line.len;
}

bool gd_log_meter_take(struct gd_log_meter *meter, uint64_t now_ns, uint64_t *out_repeated)
{
	if (now_ns - meter->window_ns >= GD_NS_PER_S) {
		meter->window_ns = now_ns;
		meter->count = 0;
	}
	if (meter->count >= GD_LOG_BURST) {
		meter->held_back++;
		return false;
	}
	meter->count++;
	*out_repeated = meter->held_back;
	meter->held_back = 0;
	return true;
}

/* The message's meter, or the last one when all are taken: messages are few and static. */
static struct gd_log_meter *meter_of(const char *message)
{
	unsigned i = 0;
	while (i < METERS - 1 && log_state.meters[i].message && log_state.meters[i].message != message)
		i++;
	log_state.meters[i].message = message;
	return &log_state.meters[i];
}

void gd_log_init(enum gd_log_level level, enum gd_log_format format)
{
	log_state.level = level;
	log_state.format = format;
}

bool gd_log_wants(enum gd_log_level level)
{
	return level <= log_state.level;
}

static void emit(enum gd_log_level level, const char *message, const struct gd_log_field *fields,
		 uint64_t repeated)
{
	char line[GD_LOG_LINE_MAX];
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t unix_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / GD_NS_PER_MS;
	size_t len = gd_log_compose(log_state.format, level, unix_ms, message, fields, repeated, line);
	ssize_t written;
	do {
		written = write(STDERR_FILENO, line, len);
	} while (written < 0 && errno == EINTR);
	/* A log that cannot be written has nowhere to say so. */
}

void gd_log_write(enum gd_log_level level, const char *message, const struct gd_log_field *fields)
{
	uint64_t repeated = 0;
	pthread_mutex_lock(&log_state.lock);
	bool may = gd_log_meter_take(meter_of(message), gd_now_ns(), &repeated);
	pthread_mutex_unlock(&log_state.lock);
	if (may)
		emit(level, message, fields, repeated);
}

void gd_log_always(enum gd_log_level level, const char *message, const struct gd_log_field *fields)
{
	emit(level, message, fields, 0);
}
