#include "gpu/device/reference/heap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define UNIT 16u /* bytes; the books count in it */

/* For the first unit of every run: its length and whether it is taken. Runs lie one behind the other. */
struct gd_vm_heap {
	pthread_mutex_t lock;
	uint8_t *memory;
	uint32_t units;
	uint32_t *runs; /* units << 1 | taken, at the run's first unit; 0 elsewhere */
};

struct gd_vm_heap *gd_vm_heap_new(size_t bytes)
{
	struct gd_vm_heap *heap = calloc(1, sizeof(*heap));
	if (!heap)
		return NULL;
	heap->units = (uint32_t)(bytes / UNIT);
	heap->runs = calloc(heap->units, sizeof(*heap->runs));
	heap->memory =
	    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (heap->memory == MAP_FAILED || !heap->runs) {
		if (heap->memory != MAP_FAILED)
			munmap(heap->memory, bytes);
		free(heap->runs);
		free(heap);
		return NULL;
	}
	pthread_mutex_init(&heap->lock, NULL);
	heap->runs[0] = heap->units << 1;
	return heap;
}

void gd_vm_heap_free(struct gd_vm_heap *heap)
{
	if (!heap)
		return;
	munmap(heap->memory, (size_t)heap->units * UNIT);
	pthread_mutex_destroy(&heap->lock);
	free(heap->runs);
	free(heap);
}

uint8_t *gd_vm_heap_memory(struct gd_vm_heap *heap)
{
	return heap->memory;
}

bool gd_vm_heap_take(struct gd_vm_heap *heap, uint64_t bytes, uint64_t *out_offset)
{
	bool is_taken = false;
	if (bytes > (uint64_t)heap->units * UNIT)
		return false;
	/* One unit more than asked for stays empty between two runs. */
	uint32_t units = (uint32_t)((bytes + UNIT - 1) / UNIT) + 1;
	pthread_mutex_lock(&heap->lock);
	for (uint32_t at = 0; at < heap->units && !is_taken;) {
		uint32_t length = heap->runs[at] >> 1;
		bool is_free = !(heap->runs[at] & 1);
		/* Free neighbours behind it become one run with it. */
		while (is_free && at + length < heap->units && !(heap->runs[at + length] & 1)) {
			uint32_t next = at + length;
			length += heap->runs[next] >> 1;
			heap->runs[next] = 0;
			heap->runs[at] = length << 1;
		}
		if (is_free && length >= units) {
			if (length > units)
				heap->runs[at + units] = (length - units) << 1;
			heap->runs[at] = units << 1 | 1;
			*out_offset = (uint64_t)at * UNIT;
			memset(heap->memory + *out_offset, 0, (size_t)units * UNIT);
			is_taken = true;
		}
		at += length;
	}
	pthread_mutex_unlock(&heap->lock);
	return is_taken;
}

bool gd_vm_heap_give(struct gd_vm_heap *heap, uint64_t offset)
{
	bool is_ours = false;
	if (offset % UNIT || offset / UNIT >= heap->units)
		return false;
	pthread_mutex_lock(&heap->lock);
	uint32_t *run = &heap->runs[offset / UNIT];
	if (*run & 1) {
		*run &= ~1u;
		is_ours = true;
	}
	pthread_mutex_unlock(&heap->lock);
	return is_ours;
}
