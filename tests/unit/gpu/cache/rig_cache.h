/* A cache of counted values, for its tests. */
#ifndef GD_TEST_RIG_CACHE_H
#define GD_TEST_RIG_CACHE_H

#include "gpu/cache/cache.h"

#include <stdatomic.h>

struct value {
	_Atomic int references;
	unsigned key;
};

extern _Atomic int values_alive;
extern struct gd_cache *cache;

struct value *new_value(unsigned key);
void *retain(void *value);
void release(void *value);
void open_cache(size_t bytes_max, uint32_t entries_max);
/* Free it; no value may be left. */
void close_cache(void);
/* Key `number` of program `program`, kernel `kernel`. */
struct gd_cache_key key_of(unsigned number, unsigned program, const char *kernel);

#endif
