#include "gpu/program/diagnostics.h"

#include "gpu/program/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *gd_severity_text(enum gd_severity severity)
{
	static const char *const texts[GD_SEVERITY_COUNT] = {"note", "warning", "error"};
	return severity < GD_SEVERITY_COUNT ? texts[severity] : "error";
}

struct span {
	const char *text;
	size_t length;
};

/* What one header line of the log says; the lines after it belong to it until the next. */
struct head {
	enum gd_severity severity;
	struct span file, message;
	uint32_t line, number;
};

static const struct {
	const char *word;
	enum gd_severity severity;
} severities[] = {
    {"catastrophic error", GD_SEVERITY_ERROR},
    {"internal error", GD_SEVERITY_ERROR},
    {"error", GD_SEVERITY_ERROR},
    {"fatal", GD_SEVERITY_ERROR},
    {"warning", GD_SEVERITY_WARNING},
    {"remark", GD_SEVERITY_NOTE},
    {"note", GD_SEVERITY_NOTE},
    {"info", GD_SEVERITY_NOTE},
};

static struct span next_line(const char **at, const char *end)
{
	const char *start = *at;
	const char *stop = memchr(start, '\n', (size_t)(end - start));
	*at = stop ? stop + 1 : end;
	return (struct span){start, (size_t)((stop ? stop : end) - start)};
}

static size_t read_number(const char *text, size_t length, uint32_t *out_value)
{
	size_t n = 0;
	uint32_t value = 0;
	for (; n < length && n < 9 && text[n] >= '0' && text[n] <= '9'; n++)
		value = value * 10 + (uint32_t)(text[n] - '0');
	*out_value = value;
	return n;
}

/* " #177-D" after the severity; how many bytes it takes, 0 when there is none */
static size_t read_tag(const char *text, size_t length, uint32_t *out_number)
{
	if (length < 3 || text[0] != ' ' || text[1] != '#')
		return 0;
	size_t n = read_number(text + 2, length - 2, out_number);
	if (!n)
		return 0;
	n += 2;
	if (n + 2 <= length && !memcmp(text + n, "-D", 2))
		n += 2;
	return n;
}

/* "error #12-D: message" or "error   : message" at the start of `text` */
static bool read_severity(struct span text, struct head *head)
{
	for (size_t i = 0; i < sizeof severities / sizeof *severities; i++) {
		size_t n = strlen(severities[i].word);
		if (text.length <= n || memcmp(text.text, severities[i].word, n))
			continue;
		head->severity = severities[i].severity;
		head->number = 0;
		n += read_tag(text.text + n, text.length - n, &head->number);
		while (n < text.length && text.text[n] == ' ')
			n++;
		if (n >= text.length || text.text[n] != ':')
			return false;
		n++;
		while (n < text.length && text.text[n] == ' ')
			n++;
		head->message = (struct span){text.text + n, text.length - n};
		return true;
	}
	return false;
}

/* "FILE(LINE): error…", as cudafe prints it */
static bool read_placed(struct span line, struct head *head)
{
	for (size_t i = 1; i + 4 < line.length; i++) {
		if (line.text[i] != '(')
			continue;
		uint32_t number;
		size_t digits = read_number(line.text + i + 1, line.length - i - 1, &number);
		size_t after = i + 1 + digits;
		if (!digits || after + 3 > line.length || memcmp(line.text + after, "): ", 3))
			continue;
		struct span rest = {line.text + after + 3, line.length - after - 3};
		if (read_severity(rest, head)) {
			head->file = (struct span){line.text, i};
			head->line = number;
			return true;
		}
	}
	return false;
}

/* "nvrtc: error: …", "ptxas error   : …", "ptxas application ptx input, line 24; error   : …" */
static bool read_tool(struct span line, struct head *head)
{
	static const char *const tools[] = {"nvrtc: ", "ptxas ", "nvvm ", "libnvvm "};
	for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
		size_t n = strlen(tools[i]);
		if (line.length <= n || memcmp(line.text, tools[i], n))
			continue;
		struct span rest = {line.text + n, line.length - n};
		head->file = (struct span){"", 0};
		head->line = 0;
		static const char place[] = "application ptx input, line ";
		if (rest.length > sizeof place && !memcmp(rest.text, place, sizeof place - 1)) {
			const char *from = rest.text + sizeof place - 1;
			size_t digits = read_number(from, rest.length - (sizeof place - 1), &head->line);
			from += digits;
			size_t left = (size_t)(rest.text + rest.length - from);
			if (left < 2 || memcmp(from, "; ", 2))
				return false;
			rest = (struct span){from + 2, left - 2};
			head->file = (struct span){"ptx", 3};
		}
		return read_severity(rest, head);
	}
	return false;
}

static bool read_head(struct span line, struct head *head)
{
	return read_placed(line, head) || read_tool(line, head);
}

static char *copy_span(struct span span)
{
	char *copy = malloc(span.length + 1);
	if (!copy)
		return NULL;
	if (span.length)
		memcpy(copy, span.text, span.length);
	copy[span.length] = '\0';
	return copy;
}

static bool append(struct gd_diagnostics *list, const struct gd_diagnostic *head, struct span file,
		   struct span message, struct span excerpt)
{
	if (list->count >= GD_DIAGNOSTICS_MAX)
		return true;
	if ((list->count & (list->count - 1)) == 0) {
		size_t cap = list->count ? list->count * 2 : 1;
		struct gd_diagnostic *grown = realloc(list->items, cap * sizeof *grown);
		if (!grown)
			return false;
		list->items = grown;
	}
	struct gd_diagnostic *item = &list->items[list->count];
	*item = *head;
	item->file = copy_span(file);
	item->message = copy_span(message);
	item->excerpt = copy_span(excerpt);
	if (!item->file || !item->message || !item->excerpt) {
		free(item->file);
		free(item->message);
		free(item->excerpt);
		return false;
	}
	list->count++;
	return true;
}

bool gd_diagnostics_add(struct gd_diagnostics *diagnostics, const struct gd_diagnostic *diagnostic)
{
	const char *file = diagnostic->file ? diagnostic->file : "";
	const char *message = diagnostic->message ? diagnostic->message : "";
	const char *excerpt = diagnostic->excerpt ? diagnostic->excerpt : "";
	return append(diagnostics, diagnostic, (struct span){file, strlen(file)},
		      (struct span){message, strlen(message)}, (struct span){excerpt, strlen(excerpt)});
}

static bool is_caret(struct span line)
{
	size_t n = 0;
	while (n < line.length && (line.text[n] == ' ' || line.text[n] == '\t'))
		n++;
	return n + 1 == line.length && line.text[n] == '^';
}

/* The lines after a header: source line and caret are the excerpt, other text continues the message. */
struct body {
	struct span excerpt;
	struct span more; /* "detected during instantiation of …" */
	uint32_t column;
	const char *end;
};

static struct body read_body(const char *at, const char *end)
{
	struct body body = {.excerpt = {"", 0}, .more = {"", 0}};
	struct span previous = {NULL, 0};
	for (;;) {
		const char *here = at;
		struct span line = at < end ? next_line(&at, end) : (struct span){NULL, 0};
		struct head ignored;
		if (!line.length || read_head(line, &ignored)) {
			body.end = here;
			break;
		}
		if (is_caret(line) && previous.text && !body.column) {
			/* the compiler puts two blanks before the source line, and tabs as they are: bytes
			 * count */
			body.column = line.length > 2 ? (uint32_t)(line.length - 2) : 1;
			body.excerpt =
			    (struct span){previous.text, (size_t)(line.text + line.length - previous.text)};
		} else if (body.column) {
			const char *from = body.more.length ? body.more.text : line.text;
			body.more = (struct span){from, (size_t)(line.text + line.length - from)};
		}
		previous = line;
	}
	if (!body.column && previous.text)
		body.excerpt = previous;
	return body;
}

static struct span trimmed(struct span span)
{
	while (span.length && (*span.text == ' ' || *span.text == '\t')) {
		span.text++;
		span.length--;
	}
	return span;
}

static bool append_joined(struct gd_diagnostics *list, const struct gd_diagnostic *item,
			  const struct head *head, const struct body *body)
{
	struct span more = trimmed(body->more);
	if (!more.length)
		return append(list, item, head->file, head->message, body->excerpt);
	size_t length = head->message.length + 1 + more.length;
	char *joined = malloc(length);
	if (!joined)
		return false;
	memcpy(joined, head->message.text, head->message.length);
	joined[head->message.length] = '\n';
	memcpy(joined + head->message.length + 1, more.text, more.length);
	bool ok = append(list, item, head->file, (struct span){joined, length}, body->excerpt);
	free(joined);
	return ok;
}

static bool parse(const char *at, const char *end, struct gd_diagnostics *list)
{
	while (at < end) {
		struct head head = {0};
		struct span line = next_line(&at, end);
		if (!read_head(line, &head))
			continue;
		struct body body = read_body(at, end);
		at = body.end;
		struct gd_diagnostic item = {.severity = head.severity,
					     .line = head.line,
					     .column = body.column,
					     .number = head.number};
		if (!append_joined(list, &item, &head, &body))
			return false;
	}
	return true;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

bool gd_diagnostics_parse(const char *log, size_t bytes, struct gd_diagnostics *out_diagnostics,
			  struct gd_error *error)
{
	struct gd_diagnostics list = {0};
	bytes = bytes ? strnlen(log, bytes) : 0;
	if (bytes > GD_LOG_BYTES_MAX)
		bytes = GD_LOG_BYTES_MAX;
	list.log = copy_span((struct span){log, bytes});
	bool ok = list.log != NULL;
	if (ok)
		gd_utf8_mend(list.log, bytes);
	if (ok && is_blank(list.log)) {
		free(list.log);
		list.log = NULL;
	} else if (ok) {
		ok = parse(list.log, list.log + bytes, &list);
		if (ok && !list.count) {
			struct gd_diagnostic raw = {.severity = GD_SEVERITY_NOTE, .message = list.log};
			ok = gd_diagnostics_add(&list, &raw);
		}
	}
	if (!ok) {
		gd_diagnostics_done(&list);
		return gd_error_errno(error, ENOMEM, "cannot hold a compile log");
	}
	*out_diagnostics = list;
	return true;
}

bool gd_diagnostics_copy(const struct gd_diagnostics *from, struct gd_diagnostics *out_diagnostics,
			 struct gd_error *error)
{
	struct gd_diagnostics copy = {0};
	bool ok = true;
	if (from->log) {
		copy.log = strdup(from->log);
		ok = copy.log != NULL;
	}
	for (uint32_t i = 0; ok && i < from->count; i++)
		ok = gd_diagnostics_add(&copy, &from->items[i]);
	if (!ok) {
		gd_diagnostics_done(&copy);
		return gd_error_errno(error, ENOMEM, "cannot copy diagnostics");
	}
	*out_diagnostics = copy;
	return true;
}

void gd_diagnostics_done(struct gd_diagnostics *diagnostics)
{
	for (uint32_t i = 0; diagnostics->items && i < diagnostics->count; i++) {
		free(diagnostics->items[i].file);
		free(diagnostics->items[i].message);
		free(diagnostics->items[i].excerpt);
	}
	free(diagnostics->items);
	free(diagnostics->log);
	*diagnostics = (struct gd_diagnostics){0};
}
