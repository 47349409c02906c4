/* Each row is a request head as it stands on the wire. It is parsed in place like the daemon does, then
 * judged. */
#include "server/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEAD_MAX = 131072, HEADERS_MAX = GD_HEADERS_MAX_COUNT + 1 };

static char buffer[HEAD_MAX];
static char target[GD_TARGET_BYTES_MAX + 2];
static struct gd_guard_header headers[HEADERS_MAX];

/* Cut a line off at its line feed, the daemon's way: CR and LF become NUL. Returns where the next one begins.
 */
static char *cut(char *line, char *end)
{
	char *feed = memchr(line, '\n', (size_t)(end - line));
	assert_non_null(feed);
	*feed = '\0';
	if (feed > line && feed[-1] == '\r')
		feed[-1] = '\0';
	return feed + 1;
}

/* libmicrohttpd 0.9.75's parse_initial_message_line and process_header_line, as far as they shape what we
 * see. */
static struct gd_guard_request parse(const char *wire, size_t bytes)
{
	assert_true(bytes < sizeof buffer);
	memcpy(buffer, wire, bytes);
	char *end = buffer + bytes, *line = buffer, *next = cut(line, end);
	struct gd_guard_request request = {.method = line, .headers = headers, .target = target};
	char *at = strchr(line, ' ');
	assert_non_null(at);
	*at++ = '\0';
	while (*at == ' ')
		at++;
	char *version = memrchr(at, ' ', (size_t)(next - at));
	assert_non_null(version);
	*version++ = '\0';
	size_t target_bytes = strnlen(at, GD_TARGET_BYTES_MAX + 1);
	memcpy(target, at, target_bytes);
	target[target_bytes] = '\0';
	request.target_at = at;
	request.version = version;
	for (line = next; *line != '\r' && *line != '\n'; line = next) {
		next = cut(line, end);
		char *colon = strchr(line, ':');
		assert_non_null(colon);
		*colon = '\0';
		char *value = colon + 1 + strspn(colon + 1, " \t");
		if (request.header_count < HEADERS_MAX)
			headers[request.header_count++] =
			    (struct gd_guard_header){.name = line,
						     .name_bytes = strlen(line),
						     .value = value,
						     .value_bytes = strlen(value)};
	}
	next = cut(line, end);
	request.head_bytes = (size_t)(next - buffer);
	return request;
}

struct row {
	const char *wire;
	size_t bytes; /* 0: as long as the text */
	unsigned status;
	int64_t body_bytes;
	const char *why;
};

#define H "Host: a\r\n"
#define ROW(wire_, status_, body_, why_)                                                                     \
	{                                                                                                    \
		wire_, sizeof(wire_) - 1, status_, body_, why_                                               \
	}

static const struct row rows[] = {
    ROW("GET / HTTP/1.1\r\n" H "\r\n", 0, 0, "the plainest request"),
    ROW("GET /pipelines/cuda%3Aab?x=1&y=%20 HTTP/1.1\r\n" H "\r\n", 0, 0, "escapes in path and query"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", 0, 5, "a length"),
    ROW("POST / HTTP/1.1\r\n" H "content-length: 0\r\n\r\n", 0, 0, "a length of nothing"),
    ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 0, -1, "chunks"),
    ROW("POST / HTTP/1.1\r\n" H "transfer-encoding: Chunked\r\n\r\n", 0, -1, "coding names ignore case"),
    ROW("GET / HTTP/1.0\r\n\r\n", 0, 0, "HTTP/1.0 needs no Host"),
    ROW("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 0, 0, "a host with port"),
    ROW("GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, 0, "an empty Host is legal (RFC 9112, 3.2)"),
    ROW("GET / HTTP/1.1\r\nHost:a\r\nX:\r\nY: \t z \r\n\r\n", 0, 0, "blanks around values"),
    ROW("GET http://a/livez HTTP/1.1\r\n" H "\r\n", 0, 0, "absolute-form must be taken (RFC 9112, 3.2.2)"),
    ROW("GET http://a HTTP/1.1\r\n" H "\r\n", 0, 0, "absolute-form without a path"),
    ROW("OPTIONS * HTTP/1.1\r\n" H "\r\n", 0, 0, "asterisk-form"),
    ROW("GET /a.b/..c/...?../.. HTTP/1.1\r\n" H "\r\n", 0, 0, "dots that are no segments"),
    ROW("GET /%C3%A4 HTTP/1.1\r\n" H "\r\n", 0, 0, "encoded UTF-8"),
    ROW("GET /?a=%2F%5C HTTP/1.1\r\n" H "\r\n", 0, 0, "slashes in the query are data"),

    ROW("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, 0,
	"differing lengths"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\ncontent-length: 5\r\n\r\n", 400, 0,
	"equal lengths too"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", 400, 0, "a list of lengths"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", 400, 0, "a signed length"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400, 0, "a negative length"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length: 5x\r\n\r\n", 400, 0, "a length with a tail"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", 400, 0, "a hexadecimal length"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length: \r\n\r\n", 400, 0, "an empty length"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n", 400, 0, "2^64"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n", 400, 0, "2^63"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length: 999999999999999999\r\n\r\n", 0, 999999999999999999,
	"18 digits"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\n", 400, 0, "a space before the colon"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length\t: 5\r\n\r\n", 400, 0, "a tab before the colon"),
    ROW("POST / HTTP/1.1\r\n" H " Content-Length: 5\r\n\r\n", 400, 0, "a space before a name"),
    ROW("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, 0,
	"CL with TE"),
    ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, 0,
	"coding twice"),
    ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 400, 0, "two codings"),
    ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 400, 0, "another coding"),
    ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 400, 0, "nearly chunked"),
    ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n", 400, 0, "quoted"),
    ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked \r\n\r\n", 400, 0, "the daemon would not see it"),
    ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", 400, 0, "an empty coding"),
    ROW("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, 0, "HTTP/1.0 has no chunks"),
    ROW("GET / HTTP/1.1\r\n\r\n", 400, 0, "no Host"),
    ROW("GET / HTTP/1.1\r\n" H "Host: b\r\n\r\n", 400, 0, "two Hosts"),
    ROW("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, 0, "a list of Hosts"),
    ROW("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, 0, "a Host with a path"),
    ROW("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, 0, "a Host with a user"),
    ROW("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, 0, "a Host with a blank"),
    ROW("GET / HTTP/1.1\r\n" H "Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n", 400, 0, "two types"),
    ROW("GET / HTTP/1.1\r\n" H
	"Inference-Header-Content-Length: 1\r\nInference-Header-Content-Length: 2\r\n\r\n",
	400, 0, "two inner lengths"),
    ROW("GET / HTTP/1.1\r\n" H "X(y): 1\r\n\r\n", 400, 0, "a name that is no token"),
    ROW("GET / HTTP/1.1\r\n" H ": 1\r\n\r\n", 400, 0, "no name"),
    ROW("GET / HTTP/1.1\r\n" H "X: a\x01z\r\n\r\n", 400, 0, "a control character in a value"),
    ROW("GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", 400, 0, "DEL in a value"),
    ROW("GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 400, 0, "a bare CR in a value"),
    ROW("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", 400, 0, "a NUL in a value, which the daemon cuts"),
    ROW("GET / HTTP/1.1\r\n" H "X: a\0\r\n\r\n", 400, 0, "a NUL at a value's end"),
    ROW("GET / HTTP/1.1\r\n" H "X: a\nY: b\r\n\r\n", 400, 0, "a bare line feed"),
    ROW("GET / HTTP/1.1\n" H "\r\n", 400, 0, "a bare line feed after the request line"),
    ROW("GET / HTTP/1.1\r\n" H "\n", 400, 0, "a bare line feed at the end"),
    ROW("GET  / HTTP/1.1\r\n" H "\r\n", 400, 0, "two blanks after the method"),
    ROW("GET /a\0b HTTP/1.1\r\n" H "\r\n", 400, 0, "a NUL in the target"),
    ROW("G(T / HTTP/1.1\r\n" H "\r\n", 400, 0, "a method that is no token"),
    ROW("GETGETGETGETGETGETGETGETGETGETGETGET / HTTP/1.1\r\n" H "\r\n", 400, 0, "a long method"),
    ROW("GET /a%00b HTTP/1.1\r\n" H "\r\n", 400, 0, "an encoded NUL"),
    ROW("GET /?a=%00 HTTP/1.1\r\n" H "\r\n", 400, 0, "an encoded NUL in the query"),
    ROW("GET //livez HTTP/1.1\r\n" H "\r\n", 400, 0, "an empty segment"),
    ROW("GET /a//b HTTP/1.1\r\n" H "\r\n", 400, 0, "an empty segment inside"),
    ROW("GET /.. HTTP/1.1\r\n" H "\r\n", 400, 0, "dot-dot"),
    ROW("GET /a/../b HTTP/1.1\r\n" H "\r\n", 400, 0, "dot-dot inside"),
    ROW("GET /a/./b HTTP/1.1\r\n" H "\r\n", 400, 0, "dot"),
    ROW("GET /a/%2e%2E/b HTTP/1.1\r\n" H "\r\n", 400, 0, "dot-dot, encoded"),
    ROW("GET /a/.%2e?x HTTP/1.1\r\n" H "\r\n", 400, 0, "dot-dot, half encoded, before a query"),
    ROW("GET /a%2Fb HTTP/1.1\r\n" H "\r\n", 400, 0, "an encoded slash"),
    ROW("GET /a%5cb HTTP/1.1\r\n" H "\r\n", 400, 0, "an encoded backslash"),
    ROW("GET /a\\b HTTP/1.1\r\n" H "\r\n", 400, 0, "a backslash"),
    ROW("GET /a%0d%0aX HTTP/1.1\r\n" H "\r\n", 400, 0, "encoded line ends"),
    ROW("GET /%zz HTTP/1.1\r\n" H "\r\n", 400, 0, "a bad escape"),
    ROW("GET /a% HTTP/1.1\r\n" H "\r\n", 400, 0, "a cut escape"),
    ROW("GET /a?%4 HTTP/1.1\r\n" H "\r\n", 400, 0, "a cut escape in the query"),
    ROW("GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", 400, 0, "bytes that are not ASCII"),
    ROW("GET /a#b HTTP/1.1\r\n" H "\r\n", 400, 0, "a fragment"),
    ROW("GET /a b HTTP/1.1\r\n" H "\r\n", 400, 0, "a blank in the target"),
    ROW("GET a HTTP/1.1\r\n" H "\r\n", 400, 0, "no slash"),
    ROW("GET * HTTP/1.1\r\n" H "\r\n", 400, 0, "asterisk-form is for OPTIONS"),
    ROW("CONNECT a:80 HTTP/1.1\r\n" H "\r\n", 400, 0, "authority-form"),
    ROW("GET https://a/ HTTP/1.1\r\n" H "\r\n", 400, 0, "another scheme"),
    ROW("GET http:///a HTTP/1.1\r\n" H "\r\n", 400, 0, "absolute-form without a host"),
    ROW("GET http://u@a/ HTTP/1.1\r\n" H "\r\n", 400, 0, "absolute-form with a user"),
    ROW("GET http://a/.. HTTP/1.1\r\n" H "\r\n", 400, 0, "absolute-form with dot-dot"),
};

static void every_row_is_judged_as_it_says(void **state)
{
	(void)state;
	unsigned wrong = 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_guard_request request = parse(rows[i].wire, rows[i].bytes);
		struct gd_guard_verdict verdict;
		bool passes = gd_guard_check(&request, &verdict);
		if (passes != (rows[i].status == 0) || verdict.status != rows[i].status ||
		    (passes && verdict.body_bytes != rows[i].body_bytes)) {
			print_error("%s: status %u, body %lld (%s)\n", rows[i].why, verdict.status,
				    (long long)verdict.body_bytes, verdict.text ? verdict.text : "passed");
			wrong++;
		}
		if (!passes)
			assert_true(verdict.text && verdict.fix);
	}
	assert_int_equal(wrong, 0);
}

static void the_origin_form_is_told(void **state)
{
	(void)state;
	const char *origin = NULL;
	assert_null(gd_guard_target("http://host:80/a?b", "GET", &origin));
	assert_string_equal(origin, "/a?b");
	assert_null(gd_guard_target("http://host", "GET", &origin));
	assert_string_equal(origin, "/");
	assert_null(gd_guard_target("*", "OPTIONS", &origin));
	assert_string_equal(origin, "*");
}

static void expecting_clients_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *wire;
		bool awaits;
	} cases[] = {
	    {"POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n", true},
	    {"POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", true},
	    {"POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n", false},
	    {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", false},
	    {"POST / HTTP/1.1\r\n" H "Expect: other\r\nContent-Length: 1\r\n\r\n", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct gd_guard_request request = parse(cases[i].wire, strlen(cases[i].wire));
		struct gd_guard_verdict verdict;
		assert_true(gd_guard_check(&request, &verdict));
		assert_int_equal(verdict.awaits_continue, cases[i].awaits);
	}
}

/* A head with a target of `target_bytes`, `count` headers beside Host, the last value of `value_bytes`. */
static unsigned status_of(size_t target_bytes, unsigned count, size_t value_bytes)
{
	static char wire[HEAD_MAX];
	char *at = wire;
	at += snprintf(at, sizeof wire - (size_t)(at - wire), "GET /");
	memset(at, 'a', target_bytes - 1);
	at += target_bytes - 1;
	at += snprintf(at, sizeof wire - (size_t)(at - wire), " HTTP/1.1\r\n" H);
	for (unsigned i = 0; i < count; i++)
		at += snprintf(at, sizeof wire - (size_t)(at - wire), "X-%u: v\r\n", i);
	at += snprintf(at, sizeof wire - (size_t)(at - wire), "Y: ");
	memset(at, 'b', value_bytes);
	at += value_bytes;
	at += snprintf(at, sizeof wire - (size_t)(at - wire), "\r\n\r\n");
	struct gd_guard_request request = parse(wire, (size_t)(at - wire));
	struct gd_guard_verdict verdict;
	gd_guard_check(&request, &verdict);
	return verdict.status;
}

static void limits_hold_at_the_limit_and_one_past_it(void **state)
{
	(void)state;
	assert_int_equal(status_of(GD_TARGET_BYTES_MAX, 0, 1), 0);
	assert_int_equal(status_of(GD_TARGET_BYTES_MAX + 1, 0, 1), 414);
	assert_int_equal(status_of(1, GD_HEADERS_MAX_COUNT - 2, 1), 0);
	assert_int_equal(status_of(1, GD_HEADERS_MAX_COUNT - 1, 1), 431);
	size_t other = strlen("GET / HTTP/1.1\r\n" H "Y: \r\n\r\n");
	assert_int_equal(status_of(1, 0, GD_HEAD_BYTES_MAX - other), 0);
	assert_int_equal(status_of(1, 0, GD_HEAD_BYTES_MAX - other + 1), 431);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_row_is_judged_as_it_says),
	    cmocka_unit_test(the_origin_form_is_told),
	    cmocka_unit_test(expecting_clients_are_told_apart),
	    cmocka_unit_test(limits_hold_at_the_limit_and_one_past_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
