#include "server/address.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void addresses_split_into_host_and_port(void **state)
{
	(void)state;
	static const struct {
		const char *text, *host, *port;
	} rows[] = {
	    {"127.0.0.1:8080", "127.0.0.1", "8080"},
	    {"[::1]:0", "::1", "0"},
	    {"localhost:65535", "localhost", "65535"},
	    {"127.0.0.1:65536", NULL, NULL},
	    {"127.0.0.1", NULL, NULL},
	    {":8080", NULL, NULL},
	    {"[]:1", NULL, NULL},
	    {"[::1]", NULL, NULL},
	    {"[::1:80", NULL, NULL},
	    {"::1:80", NULL, NULL},
	    {"a:", NULL, NULL},
	    {"a:x", NULL, NULL},
	    {"a:-1", NULL, NULL},
	    {"a:123456", NULL, NULL},
	    {"", NULL, NULL},
	    {"[::1]x:80", NULL, NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char host[256] = "", port[8] = "";
		struct gd_error error = {0};
		bool ok = gd_address_split(rows[i].text, strlen(rows[i].text), host, port, &error);
		if (ok != (rows[i].host != NULL))
			fail_msg("'%s' %s", rows[i].text, ok ? "passed" : error.text);
		if (ok) {
			assert_string_equal(host, rows[i].host);
			assert_string_equal(port, rows[i].port);
		}
	}
}

static void a_port_of_zero_becomes_a_real_one(void **state)
{
	(void)state;
	struct gd_listener listeners[GD_LISTENERS_MAX];
	size_t count = 0;
	struct gd_error error;
	assert_true(gd_listen("127.0.0.1:0,127.0.0.2:0", false, listeners, &count, &error));
	assert_int_equal(count, 2);
	unsigned port = 0;
	assert_int_equal(sscanf(listeners[0].url, "http://127.0.0.1:%5u", &port), 1);
	assert_true(port > 0);
	gd_listeners_close(listeners, count);
	assert_int_equal(listeners[0].fd, -1);
}

static void a_port_in_use_is_told(void **state)
{
	(void)state;
	struct gd_listener first[GD_LISTENERS_MAX], second[GD_LISTENERS_MAX];
	size_t count = 0, none = 77;
	struct gd_error error;
	assert_true(gd_listen("127.0.0.1:0", false, first, &count, &error));
	assert_false(gd_listen(first[0].url + strlen("http://"), false, second, &none, &error));
	assert_int_equal(none, 77);
	assert_int_equal(error.code, GD_INTERNAL_STATE);
	assert_non_null(strstr(error.text, "Address already in use"));
	gd_listeners_close(first, count);
}

static void addresses_that_others_reach_need_a_word(void **state)
{
	(void)state;
	static const char *const open[] = {"0.0.0.0:0", "[::]:0"};
	struct gd_listener listeners[GD_LISTENERS_MAX];
	size_t count = 0;
	struct gd_error error;
	for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
		assert_false(gd_listen(open[i], false, listeners, &count, &error));
		assert_int_equal(error.code, GD_INVALID_REQUEST);
		assert_non_null(strstr(error.text, "--insecure"));
	}
	assert_true(gd_listen("0.0.0.0:0", true, listeners, &count, &error));
	gd_listeners_close(listeners, count);
}

static void too_many_addresses_are_refused_and_none_stays_open(void **state)
{
	(void)state;
	char list[256] = "127.0.0.1:0";
	for (int i = 0; i < GD_LISTENERS_MAX; i++)
		strncat(list, ",127.0.0.1:0", sizeof list - strlen(list) - 1);
	struct gd_listener listeners[GD_LISTENERS_MAX];
	size_t count = 0;
	struct gd_error error;
	assert_false(gd_listen(list, false, listeners, &count, &error));
	assert_non_null(strstr(error.text, "more than 8"));
	assert_false(gd_listen("127.0.0.1:0,", false, listeners, &count, &error));
}

static void loopback_is_known_in_all_forms(void **state)
{
	(void)state;
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f123456)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	assert_true(gd_address_is_loopback((struct sockaddr *)&v4));
	assert_true(gd_address_is_loopback((struct sockaddr *)&v6));
	v4.sin_addr.s_addr = htonl(0x80000001);
	v6.sin6_addr = in6addr_any;
	assert_false(gd_address_is_loopback((struct sockaddr *)&v4));
	assert_false(gd_address_is_loopback((struct sockaddr *)&v6));
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
	memcpy(&v6.sin6_addr, mapped, sizeof mapped);
	assert_true(gd_address_is_loopback((struct sockaddr *)&v6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses_split_into_host_and_port),
	    cmocka_unit_test(a_port_of_zero_becomes_a_real_one),
	    cmocka_unit_test(a_port_in_use_is_told),
	    cmocka_unit_test(addresses_that_others_reach_need_a_word),
	    cmocka_unit_test(too_many_addresses_are_refused_and_none_stays_open),
	    cmocka_unit_test(loopback_is_known_in_all_forms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
