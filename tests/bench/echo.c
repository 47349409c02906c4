/*
 * The HTTP floor of the benchmark: the least that libmicrohttpd can do with the same bytes.
 *
 * Takes a body of up to 1 MiB into a buffer that its connection keeps, and answers with `bytes` (query) of
 * it, or with all. One epoll thread per processor. Prints its address, and runs until SIGTERM or SIGINT.
 * Serves only 127.0.0.1.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY_MAX = 1 << 20, MEMORY_PER_CONNECTION = 128 * 1024 };

struct slot {
	size_t used;
	bool begun;
	char bytes[BODY_MAX];
};

static void connection_changed(void *closure, struct MHD_Connection *connection, void **context,
			       enum MHD_ConnectionNotificationCode code)
{
	(void)closure;
	(void)connection;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = calloc(1, sizeof(struct slot));
	} else {
		free(*context);
		*context = NULL;
	}
}

static enum MHD_Result answer(struct MHD_Connection *connection, struct slot *slot)
{
	const char *wanted = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "bytes");
	size_t bytes = wanted ? strtoul(wanted, NULL, 10) : slot->used;
	struct MHD_Response *response;
	enum MHD_Result result;

	if (bytes > BODY_MAX)
		return MHD_NO;
	response = MHD_create_response_from_buffer(bytes, slot->bytes, MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	slot->begun = false;
	return result;
}

static enum MHD_Result handle(void *closure, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data, size_t *bytes,
			      void **request)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct slot *slot = info ? info->socket_context : NULL;

	(void)closure;
	(void)url;
	(void)method;
	(void)version;
	(void)request;
	if (!slot)
		return MHD_NO;
	if (!slot->begun) {
		slot->begun = true;
		slot->used = 0;
		return MHD_YES;
	}
	if (*bytes == 0)
		return answer(connection, slot);
	if (*bytes > BODY_MAX - slot->used)
		return MHD_NO;
	memcpy(slot->bytes + slot->used, data, *bytes);
	slot->used += *bytes;
	*bytes = 0;
	return MHD_YES;
}

int main(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *daemon;
	sigset_t ending;
	int number;

	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ending, NULL);
	daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, handle, NULL,
				  MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_THREAD_POOL_SIZE,
				  (unsigned)(processors > 1 ? processors : 0),
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_CONNECTION,
				  MHD_OPTION_NOTIFY_CONNECTION, connection_changed, NULL, MHD_OPTION_END);
	if (!daemon) {
		fprintf(stderr, "echo: cannot listen\n");
		return 1;
	}
	info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
	printf("http://127.0.0.1:%u\n", info ? info->port : 0u);
	fflush(stdout);
	sigwait(&ending, &number);
	MHD_stop_daemon(daemon);
	return 0;
}
