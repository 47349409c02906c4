/* multipart/form-data: every split gives the same parts; what is malformed is refused; mutations do no harm.
 */
#include "api/multipart.h"

#include "gpu/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What happened, as text: "name(data)name(data)". */
static struct gd_buf seen;

static bool on_part(void *owner, const char *name, struct gd_error *error)
{
	(void)owner, (void)error;
	return gd_buf_printf(&seen, "%s(", name);
}

static bool on_data(void *owner, const void *data, size_t bytes, struct gd_error *error)
{
	(void)owner, (void)error;
	assert_true(bytes > 0);
	return gd_buf_add(&seen, data, bytes);
}

static bool on_end(void *owner, struct gd_error *error)
{
	(void)owner, (void)error;
	return gd_buf_puts(&seen, ")");
}

static const struct gd_multipart_events events = {on_part, on_data, on_end};

static bool run(const char *boundary, const char *body, size_t bytes, size_t piece, struct gd_error *error)
{
	struct gd_multipart *multipart = malloc(sizeof *multipart);
	assert_non_null(multipart);
	gd_multipart_init(multipart, boundary, &events, NULL);
	gd_buf_done(&seen);
	gd_buf_init(&seen, 1 << 20);
	bool is_good = true;
	for (size_t at = 0; at < bytes && is_good; at += piece) {
		size_t part = bytes - at < piece ? bytes - at : piece;
		char *copy = malloc(part);
		assert_non_null(copy);
		memcpy(copy, body + at, part);
		is_good = gd_multipart_feed(multipart, copy, part, error);
		free(copy);
	}
	is_good = is_good && gd_multipart_end(multipart, error);
	free(multipart);
	return is_good;
}

#define HEAD(name) "Content-Disposition: form-data; name=" name "\r\n\r\n"

static void every_split_gives_the_same_parts(void **state)
{
	(void)state;
	static const struct {
		const char *boundary, *body, *parts;
	} rows[] = {
	    {"b", "--b\r\n" HEAD("\"x\"") "1\r\n--b--", "x(1)"},
	    {"b", "--b\r\n" HEAD("\"x\"") "1\r\n--b--\r\n", "x(1)"},
	    {"b", "--b\r\n" HEAD("x") "\r\n--b--", "x()"},
	    {"b",
	     "preamble\r\n\r\n--b \t\r\n" HEAD("\"x\"") "1\r\n--b\r\n" HEAD(
		 "\"y\"") "2\r\n--b--epilogue\r\n--b\r\n",
	     "x(1)y(2)"},
	    {"b", "--b\r\n" HEAD("\"x\"") "\r\n--a\r\n-\r\n--\r\n-b\r\r\n\r\n--b--",
	     "x(\r\n--a\r\n-\r\n--\r\n-b\r\r\n)"},
	    {"--", "----\r\n" HEAD("\"x\"") "\r\n--\r\n---\r\n------", "x(\r\n--\r\n---)"},
	    {"b", "--b\r\n" HEAD("\"a\\\"b\\\\c\"") "1\r\n--b--", "a\"b\\c(1)"},
	    {"b",
	     "--b\r\ncontent-type: x/y\r\nCONTENT-DISPOSITION:form-data;filename=\"name=z;\"; name=q\r\nX-Y: "
	     "z\r\n\r\n1\r\n--b--",
	     "q(1)"},
	    {"b",
	     "--b\r\nContent-Disposition: form-data; name=\"x\"; "
	     "filename*=UTF-8''a\r\nContent-Transfer-Encoding: binary\r\n\r\n1\r\n--b--",
	     "x(1)"},
	    {"b", "--b--", ""},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (size_t piece = 1; piece <= strlen(rows[i].body); piece++) {
			struct gd_error error = {0};
			bool is_good =
			    run(rows[i].boundary, rows[i].body, strlen(rows[i].body), piece, &error);
			if (!is_good)
				print_error("row %u, pieces of %zu: %s\n", i, piece, error.text);
			assert_true(is_good);
			assert_string_equal(seen.data ? seen.data : "", rows[i].parts);
		}
	}
}

static void what_is_malformed_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *body, *why;
	} rows[] = {
	    {"", "nothing"},
	    {"--b", "cut behind the first boundary"},
	    {"--b-", "cut inside the closing boundary"},
	    {"--b\r", "cut inside the line"},
	    {"--b\r\n" HEAD("\"x\"") "1", "no closing boundary"},
	    {"--b\r\n" HEAD("\"x\"") "1\r\n--b", "the last boundary does not close"},
	    {"--b\r\n" HEAD("\"x\"") "1\n--b--", "a bare line feed"},
	    {"--bx\r\n" HEAD("\"x\"") "1\r\n--b--", "a longer boundary"},
	    {"--b\n" HEAD("\"x\"") "1\r\n--b--", "a bare line feed behind the boundary"},
	    {"--b\r\n\r\n1\r\n--b--", "no headers"},
	    {"--b\r\nX: y\r\n\r\n1\r\n--b--", "no Content-Disposition"},
	    {"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--", "no name"},
	    {"--b\r\nContent-Disposition: form-data; name=\"\"\r\n\r\n1\r\n--b--", "an empty name"},
	    {"--b\r\nContent-Disposition: form-data; name=\"x\r\n\r\n1\r\n--b--",
	     "a name that is not closed"},
	    {"--b\r\nContent-Disposition: attachment; name=\"x\"\r\n\r\n1\r\n--b--", "no form-data"},
	    {"--b\r\nContent-Disposition: form-data; name=x\r\nContent-Disposition: form-data; "
	     "name=y\r\n\r\n1\r\n--b--",
	     "two names"},
	    {"--b\r\nno colon\r\n" HEAD("x") "1\r\n--b--", "a header without a colon"},
	    {"--b\r\nContent-Transfer-Encoding: base64\r\n" HEAD("x") "1\r\n--b--", "an encoded part"},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (size_t piece = 1; piece <= strlen(rows[i].body) + 1; piece++) {
			struct gd_error error = {0};
			bool is_good = run("b", rows[i].body, strlen(rows[i].body), piece, &error);
			if (is_good)
				print_error("taken: %s\n", rows[i].why);
			assert_false(is_good);
			assert_int_equal(error.code, GD_MALFORMED_BODY);
		}
	}
}

static void names_headers_and_parts_have_limits(void **state)
{
	(void)state;
	char *body = malloc(200000);
	assert_non_null(body);
	struct gd_error error;
	for (size_t over = 0; over < 2; over++) {
		/* the name, at its limit and one past */
		char name[GD_PART_NAME_MAX + 2];
		memset(name, 'n', sizeof name);
		name[GD_PART_NAME_MAX + over] = 0;
		int bytes = snprintf(
		    body, 200000, "--b\r\nContent-Disposition: form-data; name=%s\r\n\r\n1\r\n--b--", name);
		assert_int_equal(run("b", body, (size_t)bytes, 4096, &error), !over);
		/* all headers of a part */
		static const char rest[] = "\r\n" HEAD("x");
		size_t fill = GD_PART_HEADERS_MAX + over - (sizeof rest - 1) - 2;
		bytes = snprintf(body, 200000, "--b\r\nA:%0*d%s1\r\n--b--", (int)fill, 0, rest);
		assert_int_equal(run("b", body, (size_t)bytes, 4096, &error), !over);
		if (over)
			assert_int_equal(error.code, GD_HEADERS_TOO_LARGE);
		/* the number of parts */
		size_t used = 0;
		for (size_t i = 0; i < GD_PARTS_MAX + over; i++)
			used += (size_t)snprintf(body + used, 200000 - used, "--b\r\n" HEAD("x") "\r\n");
		used += (size_t)snprintf(body + used, 200000 - used, "--b--");
		assert_int_equal(run("b", body, used, 1000, &error), !over);
		if (over)
			assert_int_equal(error.code, GD_INVALID_REQUEST);
	}
	free(body);
}

static void mutations_are_judged_alike_whole_and_in_pieces(void **state)
{
	(void)state;
	static const char body[] =
	    "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\na\r\n--b\r\n" HEAD("y") "\r\n--b--\r\n";
	static const char bytes[] = "\r\n-b\":;= x\x01\xff";
	char text[sizeof body];
	for (size_t at = 0; at < sizeof body - 1; at++) {
		for (size_t b = 0; b < sizeof bytes; b++) {
			struct gd_error error = {0};
			memcpy(text, body, sizeof body);
			text[at] = bytes[b];
			bool whole = run("b", text, sizeof body - 1, sizeof body, &error);
			char *parts = gd_buf_take(&seen, NULL);
			for (size_t piece = 1; piece < 4; piece++) {
				assert_int_equal(run("b", text, sizeof body - 1, piece, &error), whole);
				assert_string_equal(seen.data ? seen.data : "", parts);
			}
			free(parts);
		}
	}
	gd_buf_done(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_split_gives_the_same_parts),
	    cmocka_unit_test(what_is_malformed_is_refused),
	    cmocka_unit_test(names_headers_and_parts_have_limits),
	    cmocka_unit_test(mutations_are_judged_alike_whole_and_in_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
