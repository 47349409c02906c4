/* What the lowering of memory instructions shares between kernel memory and parameter words. */
#ifndef GD_REFERENCE_LOWER_ACCESS_H
#define GD_REFERENCE_LOWER_ACCESS_H

#include "gpu/device/reference/lower.h"

/* An address: a register (of 64 bits, or 32 in small windows) plus a number. */
struct gd_lower_place {
	uint32_t base;
	bool is_wide;
	uint64_t imm;
};

/* The registers that a load fills or a store reads. */
struct gd_lower_elements {
	enum gd_ptx_type type;
	uint32_t count; /* 1, 2 or 4 */
	const struct gd_ptx_operand *items;
};

/* Generic address of a state space's offset 0; 0 for those whose addresses are generic. */
uint64_t gd_lower_window(enum gd_ptx_space space);
/* The generic address that a memory operand of this state space stands for. */
bool gd_lower_address(struct gd_lower *lower, const struct gd_ptx_operand *operand, enum gd_ptx_space space,
		      struct gd_lower_place *out_place);

/* The class of an element's register: that of its type or wider. */
bool gd_lower_element_class(struct gd_lower *lower, const struct gd_ptx_operand *operand,
			    enum gd_ptx_type type, enum gd_class *out_class);
bool gd_lower_element_dst(struct gd_lower *lower, const struct gd_ptx_operand *operand, enum gd_ptx_type type,
			  enum gd_class *out_class, uint32_t *out_opnd);
bool gd_lower_element_src(struct gd_lower *lower, const struct gd_ptx_operand *operand, enum gd_ptx_type type,
			  enum gd_class *out_class, uint32_t *out_opnd);

/* Parameters and results of functions and calls, which live in the frame (lower_param.c). */
bool gd_lower_words_load(struct gd_lower *lower, const struct gd_ptx_operand *from,
			 const struct gd_lower_elements *elements);
bool gd_lower_words_store(struct gd_lower *lower, const struct gd_ptx_operand *to,
			  const struct gd_lower_elements *elements);
/* Parameters of the kernel at a fixed offset. */
bool gd_lower_params_load(struct gd_lower *lower, const struct gd_ptx_operand *from,
			  const struct gd_lower_elements *elements);

#endif
