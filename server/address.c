#include "server/address.h"

#include "gpu/base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { HOST_BYTES = 256, PORT_BYTES = 8 };

static bool not_an_address(const char *text, size_t bytes, struct gd_error *error)
{
	return gd_error_set(error, GD_INVALID_REQUEST, NULL,
			    "--listen: '%.*s' is not HOST:PORT (such as 127.0.0.1:8080 or [::1]:0)",
			    bytes > 100 ? 100 : (int)bytes, text);
}

bool gd_address_split(const char *text, size_t bytes, char *host, char *port, struct gd_error *error)
{
	const char *end = text + bytes;
	const char *host_at = text, *host_end, *colon;
	if (bytes && *text == '[') {
		host_at = text + 1;
		host_end = memchr(host_at, ']', (size_t)(end - host_at));
		colon = host_end ? host_end + 1 : NULL;
	} else {
		colon = memchr(text, ':', bytes);
		host_end = colon;
	}
	if (!colon || colon >= end || *colon != ':' || host_end == host_at)
		return not_an_address(text, bytes, error);
	size_t host_bytes = (size_t)(host_end - host_at), port_bytes = (size_t)(end - colon - 1);
	if (host_bytes >= HOST_BYTES || port_bytes < 1 || port_bytes > 5)
		return not_an_address(text, bytes, error);
	unsigned number = 0;
	for (const char *digit = colon + 1; digit < end; digit++) {
		if (*digit < '0' || *digit > '9')
			return not_an_address(text, bytes, error);
		number = number * 10 + (unsigned)(*digit - '0');
	}
	if (number > 65535)
		return not_an_address(text, bytes, error);
	memcpy(host, host_at, host_bytes);
	host[host_bytes] = '\0';
	memcpy(port, colon + 1, port_bytes);
	port[port_bytes] = '\0';
	return true;
}

bool gd_address_is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)address;
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)address;
		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
			return v6->sin6_addr.s6_addr[12] == 127;
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	}
	return false;
}

static bool tell_url(struct gd_listener *listener, struct gd_error *error)
{
	struct sockaddr_storage bound;
	socklen_t bytes = sizeof bound;
	char host[INET6_ADDRSTRLEN] = "";
	if (getsockname(listener->fd, (void *)&bound, &bytes) < 0)
		return gd_error_errno(error, errno, "cannot tell the port that is listened on");
	if (bound.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)&bound;
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
		snprintf(listener->url, sizeof listener->url, "http://[%s]:%u", host, ntohs(v6->sin6_port));
	} else {
		const struct sockaddr_in *v4 = (const void *)&bound;
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
		snprintf(listener->url, sizeof listener->url, "http://%s:%u", host, ntohs(v4->sin_port));
	}
	return true;
}

static bool listen_on(const struct addrinfo *found, const char *shown, struct gd_listener *out_listener,
		      struct gd_error *error)
{
	gd_auto_close int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;
	if (fd < 0)
		return gd_error_errno(error, errno, "cannot listen on %s", shown);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (found->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, GD_LISTEN_BACKLOG) < 0)
		return gd_error_errno(error, errno, "cannot listen on %s", shown);
	struct gd_listener listener = {.fd = fd};
	if (!tell_url(&listener, error))
		return false;
	gd_move_fd(&fd);
	*out_listener = listener;
	return true;
}

static void addrinfo_done(struct addrinfo **found)
{
	if (*found)
		freeaddrinfo(*found);
}

static bool listen_one(const char *text, size_t bytes, bool insecure, struct gd_listener *out_listener,
		       struct gd_error *error)
{
	char host[HOST_BYTES], port[PORT_BYTES], shown[HOST_BYTES + PORT_BYTES + 2];
	if (!gd_address_split(text, bytes, host, port, error))
		return false;
	snprintf(shown, sizeof shown, "%.*s", (int)bytes, text);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	gd_scoped(addrinfo_done) struct addrinfo *found = NULL;
	int failed = getaddrinfo(host, port, &hints, &found);
	if (failed || !found)
		return gd_error_set(error, GD_INVALID_REQUEST, NULL, "--listen: no address for '%s': %s",
				    host, gai_strerror(failed));
	if (!insecure && !gd_address_is_loopback(found->ai_addr))
		return gd_error_set(
		    error, GD_INVALID_REQUEST, NULL,
		    "--listen %s: other machines could reach it and there are no keys; serve on "
		    "127.0.0.1, or say --insecure if the network is yours alone",
		    shown);
	return listen_on(found, shown, out_listener, error);
}

bool gd_listen(const char *list, bool insecure, struct gd_listener out_listeners[GD_LISTENERS_MAX],
	       size_t *out_count, struct gd_error *error)
{
	struct gd_listener listeners[GD_LISTENERS_MAX];
	size_t count = 0;
	for (const char *at = list;; at++) {
		size_t bytes = strcspn(at, ",");
		bool ok = count < GD_LISTENERS_MAX
			      ? listen_one(at, bytes, insecure, &listeners[count], error)
			      : gd_error_set(error, GD_INVALID_REQUEST, NULL,
					     "--listen: more than %d addresses", GD_LISTENERS_MAX);
		if (!ok) {
			gd_listeners_close(listeners, count);
			return false;
		}
		count++;
		at += bytes;
		if (!*at)
			break;
	}
	memcpy(out_listeners, listeners, count * sizeof *listeners);
	*out_count = count;
	return true;
}

void gd_listeners_close(struct gd_listener *listeners, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (listeners[i].fd >= 0)
			close(listeners[i].fd);
		listeners[i].fd = -1;
	}
}
