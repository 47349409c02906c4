/*
 * The addresses that are served: parsing HOST:PORT, listening, and telling which port it became.
 *
 * Main thread. Names are resolved by the C library once, at start.
 */
#ifndef GD_SERVER_ADDRESS_H
#define GD_SERVER_ADDRESS_H

#include "gpu/base/error.h"

#include <stddef.h>
#include <sys/socket.h>

enum {
	GD_LISTENERS_MAX = 8,
	GD_URL_MAX = 128, /* bytes of "http://[…]:65535" */
	GD_LISTEN_BACKLOG = 1024
};

struct gd_listener {
	int fd;
	char url[GD_URL_MAX];
};

/*
 * Listen on every address of `list`: HOST:PORT or [V6]:PORT, comma-separated, port 0 picks one. Addresses
 * that are not loopback are refused unless `insecure`. *out_count listeners are set; the caller closes them.
 * Fails: GD_INVALID_REQUEST (not an address, or one that needs --insecure), GD_INTERNAL_STATE with errno (in
 * use …).
 */
bool gd_listen(const char *list, bool insecure, struct gd_listener out_listeners[GD_LISTENERS_MAX],
	       size_t *out_count, struct gd_error *error);
void gd_listeners_close(struct gd_listener *listeners, size_t count);

/* Split "host:port" or "[v6]:port" into its parts; `host` has 256 bytes, `port` 8. Pure. */
bool gd_address_split(const char *text, size_t bytes, char *host, char *port, struct gd_error *error);
bool gd_address_is_loopback(const struct sockaddr *address);

#endif
