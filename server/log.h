/*
 * The process's log: one line per event on stderr, as text or as JSON, written with a single write(2).
 *
 * Any thread may log once gd_log_init has been called. Only server/ logs; the layers below return errors.
 * Values are escaped, so that nothing a client sends can forge a line. A message that repeats quickly is held
 * back and counted; the next line of it that is let through says how often it was.
 *
 * It never logs request bodies, sources, keys or addresses of this process's memory.
 */
#ifndef GD_SERVER_LOG_H
#define GD_SERVER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gd_log_level { GD_LOG_ERROR, GD_LOG_WARN, GD_LOG_INFO, GD_LOG_DEBUG };
enum gd_log_format { GD_LOG_TEXT, GD_LOG_JSON };

enum {
	GD_LOG_LINE_MAX = 2048, /* longer lines are cut */
	GD_LOG_BURST = 10       /* lines of one message per second before it is held back */
};

struct gd_log_field {
	const char *key; /* static, [a-z_]; NULL ends the list */
	const char *text;
	int64_t number;
	bool is_number;
};

#define gd_log_text(key_, text_) ((struct gd_log_field){.key = (key_), .text = (text_)})
#define gd_log_number(key_, number_)                                                                         \
	((struct gd_log_field){.key = (key_), .number = (int64_t)(number_), .is_number = true})

/* Choose what is logged and how. Main thread, before any other thread starts. */
void gd_log_init(enum gd_log_level level, enum gd_log_format format);

bool gd_log_wants(enum gd_log_level level);

/* Write one line; `message` is a static string and the key by which repetitions are counted. */
void gd_log_write(enum gd_log_level level, const char *message, const struct gd_log_field *fields);

/* As gd_log_write, at any level and never held back: for lines that are asked for one by one (access lines).
 */
void gd_log_always(enum gd_log_level level, const char *message, const struct gd_log_field *fields);

#define gd_log_fields(...) ((const struct gd_log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define gd_log(level_, message_, ...)                                                                        \
	do {                                                                                                 \
		if (gd_log_wants(level_))                                                                    \
			gd_log_write(level_, message_, gd_log_fields(__VA_ARGS__));                          \
	} while (0)

/*
 * Compose a line into `out` (at least GD_LOG_LINE_MAX bytes) and return its length, the newline included.
 * Pure; what gd_log_write does apart from the clock and the file. `unix_ms` is wall-clock time; `repeated` is
 * left out when 0.
 */
size_t gd_log_compose(enum gd_log_format format, enum gd_log_level level, uint64_t unix_ms,
		      const char *message, const struct gd_log_field *fields, uint64_t repeated, char *out);

/* One message's allowance: GD_LOG_BURST lines per second. Pure. */
struct gd_log_meter {
	const char *message;
	uint64_t window_ns;
	uint32_t count;
	uint64_t held_back;
};

/* May a line go out now? True sets *out_repeated to how many were held back since the last one. */
bool gd_log_meter_take(struct gd_log_meter *meter, uint64_t now_ns, uint64_t *out_repeated);

#endif
