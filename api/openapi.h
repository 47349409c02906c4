/* The interface description that is built into the binary: openapi.yaml of the project's root, byte for byte.
 */
#ifndef GD_API_OPENAPI_H
#define GD_API_OPENAPI_H

#include <stddef.h>

extern const char gd_openapi_text[];
/* Without the NUL that follows. */
size_t gd_openapi_bytes(void);

#endif
