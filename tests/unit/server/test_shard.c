/* A shard in this process, with real sockets and the fake API: every allocation of ours fails once, nothing
 * may hang. */
#include "server/shard.h"

#include "gpu/base/clock.h"
#include "server/acceptor.h"
#include "server/config.h"
#include "server/signals.h"
#include "tests/support/alloc_fail.h"
#include "tests/unit/server/fake_api.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 20000, FAILURES_MAX = 2000 };

static const struct gd_limits limits = {
    .header_ns = 10 * GD_NS_PER_S,
    .body_ns = 10 * GD_NS_PER_S,
    .min_rate = 1,
    .idle_ns = 10 * GD_NS_PER_S,
    .answer_ns = 10 * GD_NS_PER_S,
};

struct rig {
	struct gd_server_facts facts;
	struct gd_engine *engine;
	struct gd_api *api;
	struct gd_shard *shard;
	struct gd_loop *loop;
	int listener;
	bool ended;
};

static struct rig rig;

static void on_ended(struct gd_mail *mail)
{
	(void)mail;
	rig.ended = true;
}

static int set_up(void **state)
{
	(void)state;
	struct gd_error error;
	struct gd_engine_config engine;
	struct gd_api_config api;
	memset(&rig, 0, sizeof rig);
	gd_engine_config_init(&engine);
	gd_api_config_init(&api);
	assert_true(gd_loop_new(&rig.loop, &error));
	assert_true(gd_engine_new(&engine, rig.loop, &rig.engine, &error));
	assert_true(gd_api_new(&api, rig.engine, &rig.facts, &rig.api, &error));
	assert_true(gd_shard_new(0, &limits, &rig.facts, &rig.shard, &error));
	assert_true(gd_lane_new(rig.engine, 0, rig.shard->loop, &rig.shard->lane, &error));
	assert_true(
	    gd_api_lane_new(rig.api, 0, rig.shard->lane, rig.shard->loop, &rig.shard->api_lane, &error));
	assert_true(gd_shard_start(rig.shard, rig.loop, on_ended, &error));
	rig.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(rig.listener, (void *)&address, sizeof address), 0);
	assert_int_equal(listen(rig.listener, 8), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gd_shard_stop(rig.shard);
	while (!rig.ended)
		gd_loop_run(rig.loop, 1000);
	pthread_join(rig.shard->thread, NULL);
	assert_int_equal(gd_fake_api_alive(rig.api), 0);
	assert_int_equal(rig.facts.connections, 0);
	assert_int_equal(rig.shard->load, 0);
	assert_int_equal(rig.shard->requests, 0);
	gd_api_lane_free(rig.shard->api_lane);
	gd_lane_free(rig.shard->lane);
	gd_api_free(rig.api);
	gd_engine_free(rig.engine);
	gd_shard_free(rig.shard);
	gd_loop_free(rig.loop);
	close(rig.listener);
	return 0;
}

/* The client's end of a connection whose other end the shard has; the allocation for it may fail. */
static int connect_shard(void)
{
	struct sockaddr_in address;
	socklen_t bytes = sizeof address;
	assert_int_equal(getsockname(rig.listener, (void *)&address, &bytes), 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (void *)&address, bytes), 0);
	int server = accept4(rig.listener, (void *)&address, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(server >= 0);
	struct gd_connection *connection = gd_connection_new(server, (void *)&address, bytes, false);
	if (!connection) {
		close(server);
		return client;
	}
	atomic_fetch_add(&rig.facts.connections, 1);
	gd_shard_take(rig.shard, connection);
	return client;
}

/* Read until the connection closes, or `text` has come. False when neither happens in time. */
static bool settles(int client, const char *text)
{
	static char data[1 << 20];
	size_t used = 0;
	for (;;) {
		struct pollfd poll_one = {.fd = client, .events = POLLIN};
		if (poll(&poll_one, 1, WAIT_MS) != 1)
			return false;
		ssize_t got = recv(client, data + used, sizeof data - 1 - used, 0);
		if (got <= 0)
			return true;
		used += (size_t)got;
		data[used] = '\0';
		if (strstr(data, text))
			return true;
		if (used > sizeof data / 2)
			used = 0;
	}
}

static void a_request_survives_every_failed_allocation(void **state)
{
	(void)state;
	static const struct {
		const char *request, *end;
	} rows[] = {
	    {"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", "live\n"},
	    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	     "abc"},
	    {"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "refused:"},
	    {"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "refused:"},
	    {"GET /pull?bytes=1000&stall=1 HTTP/1.1\r\nHost: a\r\n\r\n", "head:"},
	    {"GET /slow?ms=1 HTTP/1.1\r\nHost: a\r\n\r\n", "slow"},
	    {"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\nabc", "too large"},
	    {"GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n", "one two three"},
	};
	for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
		bool more = true;
		for (unsigned long n = 1; more; n++) {
			assert_true(n < FAILURES_MAX);
			gd_alloc_fail_at(n);
			int client = connect_shard();
			send(client, rows[row].request, strlen(rows[row].request), MSG_NOSIGNAL);
			if (!settles(client, rows[row].end))
				fail_msg("allocation %lu, %s: neither answer nor end", n, rows[row].request);
			more = gd_alloc_failed();
			close(client);
		}
	}
}

static void making_things_fails_cleanly_at_every_allocation(void **state)
{
	(void)state;
	struct gd_error error;
	struct gd_shard *shard = NULL;
	for (unsigned long n = 1; !shard; n++) {
		gd_alloc_fail_at(n);
		bool ok = gd_shard_new(1, &limits, &rig.facts, &shard, &error);
		assert_int_equal(ok, !gd_alloc_failed());
		assert_int_equal(ok, shard != NULL);
	}
	gd_shard_free(shard);

	struct gd_acceptor *acceptor = NULL;
	for (unsigned long n = 1; !acceptor; n++) {
		struct gd_listener listeners[GD_LISTENERS_MAX];
		size_t count = 0;
		assert_true(gd_listen("127.0.0.1:0", false, listeners, &count, &error));
		gd_alloc_fail_at(n);
		bool ok = gd_acceptor_new(listeners, count, &rig.shard, 1, 8, &rig.facts, &acceptor, &error);
		assert_int_equal(ok, !gd_alloc_failed());
		assert_int_equal(listeners[0].fd, -1);
	}
	gd_acceptor_free(acceptor);

	struct gd_signals *signals = NULL;
	for (unsigned long n = 1; !signals; n++) {
		gd_alloc_fail_at(n);
		bool ok = gd_signals_new(rig.loop, NULL, NULL, &signals, &error);
		assert_int_equal(ok, !gd_alloc_failed());
	}
	gd_signals_free(signals);
}

static void nothing_is_a_no_op_when_freed(void **state)
{
	(void)state;
	gd_shard_free(NULL);
	gd_acceptor_free(NULL);
	gd_signals_free(NULL);
}

static void connections_that_are_under_way_end_with_the_shard(void **state)
{
	(void)state;
	static const char *const requests[] = {
	    "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n",
	    "POST /gate HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\nabc",
	    "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\nabc",
	    "GET /pull?bytes=100000000 HTTP/1.1\r\nHost: a\r\n\r\n",
	    "GET /li",
	    "",
	};
	enum { COUNT = sizeof requests / sizeof *requests };
	int clients[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		clients[i] = connect_shard();
		send(clients[i], requests[i], strlen(requests[i]), MSG_NOSIGNAL);
	}
	while (rig.shard->requests < 4 && rig.facts.connections == COUNT)
		usleep(1000);
	gd_shard_stop(rig.shard);
	for (size_t i = 0; i < COUNT; i++) {
		assert_true(settles(clients[i], "never sent"));
		close(clients[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_request_survives_every_failed_allocation, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(making_things_fails_cleanly_at_every_allocation, set_up,
					    tear_down),
	    cmocka_unit_test(nothing_is_a_no_op_when_freed),
	    cmocka_unit_test_setup_teardown(connections_that_are_under_way_end_with_the_shard, set_up,
					    tear_down),
	};
	gd_signals_block();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
