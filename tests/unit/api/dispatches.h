/* What the tests of dispatches share; included behind harness.h. */
#ifndef GD_TESTS_API_DISPATCHES_H
#define GD_TESTS_API_DISPATCHES_H

#include "tests/unit/api/harness.h"

#define OCTETS "application/octet-stream"

__attribute__((unused)) static const float x4[4] = {1, 2, 3, 4};

static char target_text[400];

static const char *target_of(const char *id, const char *query)
{
	snprintf(target_text, sizeof target_text, "/pipelines/%s/dispatch%s", id, query);
	return target_text;
}

__attribute__((unused)) static struct reply post(struct bench *bench, const char *id, const char *query,
						 const char *type, const void *body, size_t bytes)
{
	return send_ask(bench, &(struct ask){.method = "POST",
					     .target = target_of(id, query),
					     .headers = {type ? "Content-Type" : NULL, type},
					     .body = body,
					     .bytes = bytes});
}

__attribute__((unused)) static void assert_floats(const struct reply *reply, const float *expected,
						  size_t count)
{
	if (reply->status != 200)
		print_error("%u %s\n", reply->status, reply->body.data);
	assert_int_equal(reply->status, 200);
	assert_int_equal(reply->body.len, count * sizeof(float));
	assert_memory_equal(reply->body.data, expected, count * sizeof(float));
}

__attribute__((unused)) static const char saxpy_json[] =
    "{\"args\": [{\"value\": 2.0}, {\"data\": \"AACAPwAAAEAAAEBAAACAQA==\"}, {\"bytes\": 16}, "
    "{\"value\": 4}]}";
#define BOUNDARY "multipart/form-data; boundary=\"b-0\""

#endif
