/*
 * What a kernel takes: its parameters with type, size, offset and, for pointers, what they point at.
 *
 * A signature is plain data that owns its array and names; gd_signature_done releases both. Pure functions,
 * any thread. It does not find signatures: the compiler does (gpu/compile), or the client declares them.
 */
#ifndef GD_PROGRAM_SIGNATURE_H
#define GD_PROGRAM_SIGNATURE_H

#include "gpu/base/error.h"

#include <stddef.h>
#include <stdint.h>

#define GD_SIGNATURE_PARAMS_MAX                                                                              \
	512u /* parameters of one kernel; the same as GD_PARAMS_MAX of the device seam */
#define GD_SIGNATURE_BYTES_MAX                                                                               \
	4096u /* bytes of all parameters (CUDA C++ Programming Guide, function parameters) */

/* The values are part of stored artifacts: never renumber. */
enum gd_type {
	GD_TYPE_NONE = 0, /* not told */
	GD_TYPE_I8 = 1,
	GD_TYPE_U8 = 2,
	GD_TYPE_I16 = 3,
	GD_TYPE_U16 = 4,
	GD_TYPE_I32 = 5,
	GD_TYPE_U32 = 6,
	GD_TYPE_I64 = 7,
	GD_TYPE_U64 = 8,
	GD_TYPE_F16 = 9,
	GD_TYPE_BF16 = 10,
	GD_TYPE_F32 = 11,
	GD_TYPE_F64 = 12,
	GD_TYPE_BOOL = 13,
	GD_TYPE_BYTES =
	    14, /* a struct by value; as an element: void (1 byte each) or a struct of element_size */
	GD_TYPE_POINTER = 15, /* a buffer */
	GD_TYPE_COUNT
};

/* The same values as enum gd_access of the device seam. */
enum gd_param_access { GD_PARAM_READ = 1, GD_PARAM_WRITE = 2, GD_PARAM_READ_WRITE = 3 };

struct gd_param {
	char *name; /* owned; never NULL; empty when not known */
	enum gd_type type;
	uint32_t size;   /* bytes in the launch block; 8 for a pointer */
	uint32_t align;  /* 0 when not known */
	uint32_t offset; /* into the launch block; meaningful when the signature is laid_out */
	/* for pointers; NONE and 0 otherwise. element_size 0: a type that the source leaves incomplete */
	enum gd_type element;
	uint64_t element_size;
	enum gd_param_access access; /* READ for const T *, READ_WRITE for T *, or what the client declared */
};

struct gd_signature {
	uint32_t count;
	uint32_t bytes; /* end of the last parameter; 0 without parameters */
	bool laid_out;  /* offsets and bytes come from the image; false for posted cubins: ask the loaded
			   kernel */
	struct gd_param *params; /* owned; NULL when count is 0 */
};

/* "i8" … "f64", "bool", "bytes", "buffer"; "" for NONE. Never NULL. */
const char *gd_type_text(enum gd_type type);
/* The inverse. Returns NONE for anything else. */
enum gd_type gd_type_of(const char *text);
/* Bytes of a scalar type; 8 for a pointer; 0 for BYTES and NONE. */
uint32_t gd_type_size(enum gd_type type);
/* "read", "write", "read_write". Never NULL. */
const char *gd_access_text(enum gd_param_access access);

/* Start with `count` zeroed parameters (names empty). Fails: GD_INVALID_PROGRAM over the limit,
 * GD_INTERNAL_STATE. */
bool gd_signature_init(struct gd_signature *out_signature, uint32_t count, struct gd_error *error);
void gd_signature_done(struct gd_signature *signature);
bool gd_signature_copy(const struct gd_signature *from, struct gd_signature *out_signature,
		       struct gd_error *error);
/* Give a parameter its name; `length` bytes of text. False only without memory. */
bool gd_signature_name(struct gd_signature *signature, uint32_t index, const char *text, size_t length);
/* Drop all names (the scan that found them disagrees with the compiler). */
void gd_signature_forget_names(struct gd_signature *signature);

/* Index of the parameter of that name, or of the position written as a decimal number; -1 when there is none.
 */
int gd_signature_find(const struct gd_signature *signature, const char *name);

/* One `.param` of an entry, as PTX states it. */
struct gd_slot {
	uint32_t size, align;
};

/*
 * Make a signature that is laid out and has sizes, but no types and names yet. Fails: GD_INVALID_PROGRAM (too
 * many or too large parameters), GD_INTERNAL_STATE without memory.
 */
bool gd_signature_of_slots(const struct gd_slot *slots, uint32_t count, struct gd_signature *out_signature,
			   struct gd_error *error);

/*
 * Fill offsets and bytes from sizes and alignments by PTX's rule: each parameter at the next multiple of its
 * alignment. Fails: GD_INVALID_PROGRAM (an alignment that is none, more bytes than a kernel can take).
 */
bool gd_signature_place(struct gd_signature *signature, struct gd_error *error);

/*
 * Merge what the client declared into what was found: names and narrower access are taken over, types too
 * where none was found; a type, size, element or count that differs is refused. `declared` may be NULL.
 * Fails: GD_INVALID_PROGRAM, naming the parameter, with the pointer /params/N; also when a type is neither
 * found nor declared.
 */
bool gd_signature_merge(struct gd_signature *signature, const struct gd_signature *declared,
			struct gd_error *error);

#define gd_auto_signature __attribute__((cleanup(gd_signature_done)))

#endif
