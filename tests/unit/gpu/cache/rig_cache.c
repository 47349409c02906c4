#include "tests/unit/gpu/cache/rig_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

_Atomic int values_alive;

struct value *new_value(unsigned key)
{
	struct value *value = calloc(1, sizeof *value);
	assert_non_null(value);
	value->references = 1;
	value->key = key;
	values_alive++;
	return value;
}

void *retain(void *value)
{
	atomic_fetch_add(&((struct value *)value)->references, 1);
	return value;
}

void release(void *pointer)
{
	struct value *value = pointer;
	if (atomic_fetch_sub(&value->references, 1) != 1)
		return;
	values_alive--;
	free(value);
}

struct gd_cache *cache;

void open_cache(size_t bytes_max, uint32_t entries_max)
{
	struct gd_error error = {0};
	struct gd_cache_config config = {
	    .bytes_max = bytes_max, .entries_max = entries_max, .retain = retain, .release = release};
	if (!gd_cache_new(&config, &cache, &error))
		fail_msg("%s", error.text);
}

void close_cache(void)
{
	gd_cache_free(cache);
	cache = NULL;
	assert_int_equal(values_alive, 0);
}

struct gd_cache_key key_of(unsigned number, unsigned program, const char *kernel)
{
	struct gd_cache_key key = {.kernel = kernel};
	/* spread like a digest */
	uint64_t mixed = (number + 1) * 0x9e3779b97f4a7c15ull;
	memcpy(key.key, &mixed, sizeof mixed);
	memcpy(key.key + 8, &number, sizeof number);
	memcpy(key.program, &program, sizeof program);
	return key;
}
