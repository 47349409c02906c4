#include "server/request_id.h"

#include "gpu/base/sha256.h"

#include <string.h>
#include <sys/random.h>

enum { ID_BYTES = 16 };

bool gd_request_id_is_valid(const char *text)
{
	size_t bytes = strlen(text);
	if (bytes < 1 || bytes > GD_REQUEST_ID_MAX)
		return false;
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "!#$%&'*+-.^_`|~/=:") == bytes;
}

void gd_request_id_make(struct gd_id_pool *pool, char out_id[GD_REQUEST_ID_MAX + 1])
{
	if (pool->left < ID_BYTES) {
		/* up to 256 bytes a call are whole once the generator is seeded; ids need no secrecy, only be
		 * unlike */
		for (size_t at = 0; at < sizeof pool->bytes; at += 256)
			if (getrandom(pool->bytes + at, 256, 0) < 0)
				break;
		pool->left = sizeof pool->bytes;
	}
	pool->left -= ID_BYTES;
	gd_hex(pool->bytes + pool->left, ID_BYTES, out_id);
}
