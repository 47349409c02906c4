/* Request ids: the client's when it is one, else a random one. */
#ifndef GD_SERVER_REQUEST_ID_H
#define GD_SERVER_REQUEST_ID_H

#include "api/exchange.h"

#include <stdbool.h>
#include <stdint.h>

enum { GD_ID_POOL_BYTES = 512 };

/* Random bytes drawn in bulk, so that an id costs no system call. One per shard; its thread. Zeroed at first.
 */
struct gd_id_pool {
	uint8_t bytes[GD_ID_POOL_BYTES];
	uint32_t left;
};

/* 1 to GD_REQUEST_ID_MAX characters of RFC 9110's token, or of the base64 and UUID alphabets: + / = : too.
 * Pure. */
bool gd_request_id_is_valid(const char *text);

/* Write a new id: 32 lower-case hex digits from the system's generator. */
void gd_request_id_make(struct gd_id_pool *pool, char out_id[GD_REQUEST_ID_MAX + 1]);

#endif
