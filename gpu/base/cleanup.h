/*
 * Scoped cleanup by attribute. A type T with a function `void T_free(struct T *)` that takes NULL gets its
 * scoped form with GD_DEFINE_SCOPED(T); gd_move() hands a scoped pointer on and leaves NULL behind.
 */
#ifndef GD_BASE_CLEANUP_H
#define GD_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define gd_scoped(fn) __attribute__((cleanup(fn)))

/* Take the value of a scoped pointer and leave NULL in it. */
#define gd_move(pointer)                                                                                     \
	__extension__({                                                                                      \
		__typeof__(pointer) gd_moved_ = (pointer);                                                   \
		(pointer) = NULL;                                                                            \
		gd_moved_;                                                                                   \
	})

#define GD_DEFINE_SCOPED(type)                                                                               \
	__attribute__((unused)) static inline void type##_scoped(struct type **object)                       \
	{                                                                                                    \
		type##_free(*object);                                                                        \
	}                                                                                                    \
	struct gd_swallow_semicolon

static inline void gd_free_scoped(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

static inline void gd_close_scoped(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void gd_fclose_scoped(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define gd_auto_free  gd_scoped(gd_free_scoped)
#define gd_auto_close gd_scoped(gd_close_scoped)
#define gd_auto_file  gd_scoped(gd_fclose_scoped)

/* Take the descriptor out of a gd_auto_close variable and leave -1. */
static inline int gd_move_fd(int *fd)
{
	int moved = *fd;
	*fd = -1;
	return moved;
}

#endif
