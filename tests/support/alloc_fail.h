/*
 * Allocations that fail on purpose, for each-allocation-fails loops. Include it in one file of a test binary:
 * it defines malloc, calloc and realloc for the code that is linked into the binary (ours), not for
 * libraries.
 *
 * Works with the shared runtimes of ASan and TSan, whose allocator is the next one asked. strdup, asprintf
 * and their like allocate inside libc and are not refused. Arm it on one thread at a time.
 */
#ifndef GD_TEST_ALLOC_FAIL_H
#define GD_TEST_ALLOC_FAIL_H

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static _Atomic unsigned long gd_alloc_left, gd_alloc_refused;

/* The n-th allocation from now on fails, once; 0: none. */
static inline void gd_alloc_fail_at(unsigned long n)
{
	atomic_store(&gd_alloc_refused, 0);
	atomic_store(&gd_alloc_left, n);
}

/* Stop refusing. Returns whether one was refused since it was armed: when not, the loop is at its end. */
static inline bool gd_alloc_failed(void)
{
	atomic_store(&gd_alloc_left, 0);
	return atomic_load(&gd_alloc_refused) != 0;
}

static inline bool gd_alloc_refuses(void)
{
	unsigned long left = atomic_load(&gd_alloc_left);
	while (left && !atomic_compare_exchange_weak(&gd_alloc_left, &left, left - 1))
		;
	if (left != 1)
		return false;
	atomic_fetch_add(&gd_alloc_refused, 1);
	errno = ENOMEM;
	return true;
}

static inline void gd_alloc_next(const char *name, void *out_function)
{
	void *symbol = dlsym(RTLD_NEXT, name);
	memcpy(out_function, &symbol, sizeof symbol);
}

__attribute__((visibility("hidden"))) void *malloc(size_t bytes)
{
	static void *(*_Atomic next)(size_t);
	void *(*function)(size_t) = atomic_load(&next);
	if (!function) {
		gd_alloc_next("malloc", &function);
		atomic_store(&next, function);
	}
	return gd_alloc_refuses() ? NULL : function(bytes);
}

__attribute__((visibility("hidden"))) void *calloc(size_t count, size_t bytes)
{
	static void *(*_Atomic next)(size_t, size_t);
	void *(*function)(size_t, size_t) = atomic_load(&next);
	if (!function) {
		gd_alloc_next("calloc", &function);
		atomic_store(&next, function);
	}
	return gd_alloc_refuses() ? NULL : function(count, bytes);
}

__attribute__((visibility("hidden"))) void *realloc(void *memory, size_t bytes)
{
	static void *(*_Atomic next)(void *, size_t);
	void *(*function)(void *, size_t) = atomic_load(&next);
	if (!function) {
		gd_alloc_next("realloc", &function);
		atomic_store(&next, function);
	}
	return gd_alloc_refuses() ? NULL : function(memory, bytes);
}

#endif
