/*
 * The device heap behind malloc and free in kernels: one per launch, fixed in size, its books kept outside of
 * the memory that kernels write. Any thread.
 */
#ifndef GD_REFERENCE_HEAP_H
#define GD_REFERENCE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gd_vm_heap;

/* Make a heap over `bytes` of memory that this call takes. NULL when there is none. */
struct gd_vm_heap *gd_vm_heap_new(size_t bytes);
void gd_vm_heap_free(struct gd_vm_heap *heap); /* NULL is a no-op */
uint8_t *gd_vm_heap_memory(struct gd_vm_heap *heap);

/* Take zeroed memory, aligned to 16; false when it does not fit. */
bool gd_vm_heap_take(struct gd_vm_heap *heap, uint64_t bytes, uint64_t *out_offset);
/* Give back what take answered; false when `offset` was never given out. */
bool gd_vm_heap_give(struct gd_vm_heap *heap, uint64_t offset);

#endif
