/*
 * Lowering: statements become instructions of the machine, still with virtual registers (struct gd_lir).
 * Every operand is checked here for kind, type and range, so that execution needs no checks but those of
 * addresses.
 *
 * All memory is the arena's. One thread. An instruction that is not known ends the load with
 * GD_UNSUPPORTED_FEATURE, its name, its PTX line and its source line.
 */
#ifndef GD_REFERENCE_LOWER_H
#define GD_REFERENCE_LOWER_H

#include "gpu/device/reference/ops.h"
#include "gpu/device/reference/ptx.h"

#define GD_CONSTANT_BYTES_MAX ((size_t)256 << 20)
#define GD_SHARED_GAP         64u    /* bytes behind each static shared variable */
#define GD_WORDS_MAX          65536u /* parameter words of one function */

/*
 * Operands before registers are assigned: the low two bits say what the rest is. Words are parameters of
 * functions and calls, at fixed places in the frame.
 */
enum gd_opnd { GD_OPND_NONE, GD_OPND_REG, GD_OPND_CONST, GD_OPND_WORD };
#define GD_OPND(kind, id)  ((uint32_t)(id) << 2 | (uint32_t)(kind))
#define GD_OPND_KIND(opnd) ((opnd)&3u)
#define GD_OPND_ID(opnd)   ((opnd) >> 2)
#define GD_OPND_MAX        (1u << 29)

enum gd_lir_kind {
	GD_LIR_PLAIN,
	GD_LIR_BRA,  /* o[0] predicate, aux2 negated, target */
	GD_LIR_JUMP, /* target */
	GD_LIR_BRX,  /* o[0] index, targets */
	GD_LIR_END   /* exit, ret: nothing follows */
};

struct gd_lir {
	uint16_t op;        /* enum gd_op */
	uint8_t kind, defs; /* defs: bit i: o[i] is written; the others are read */
	bool guard_negated;
	uint32_t guard; /* operand; GD_OPND_NONE without */
	uint32_t o[GD_OPERANDS];
	uint32_t aux, aux2;
	uint64_t imm;
	uint32_t target, target_count; /* label ids: the first, how many */
	struct gd_ptx_place place;
};

/* A use of a label, found by name at the end of the function. */
struct gd_lower_use {
	const char *text;
	uint32_t length, scope, line;
};

struct gd_lower_func {
	struct gd_ptx_func *func;
	struct gd_lir *lir;
	size_t lir_count, lir_capacity;
	uint8_t *classes; /* enum gd_class of each virtual register */
	size_t reg_count, reg_capacity;
	uint32_t word_top, word_max; /* in bytes */
	uint32_t local_bytes, local_align;
	uint32_t *label_at; /* instruction index of each label id */
	size_t label_count, label_capacity;
	struct gd_lower_use *uses; /* parallel to label_at: name is NULL for internal labels */
	size_t use_capacity;
	uint32_t *scope_parent;
	size_t scope_count, scope_capacity;
	struct gd_ptx_label **label_buckets;
	uint32_t label_bucket_count;
	uint32_t *callees; /* indices of functions called by name */
	size_t callee_count, callee_capacity;
	bool has_indirect_call;
	uint32_t carry; /* virtual register of CC, or 0 */
	struct gd_vm_words *params, *returns;
};

/* Pool entries whose value is known only when all static shared memory is. */
struct gd_lower_patch {
	uint32_t offset; /* of the pool entry */
	uint64_t addend;
};

struct gd_lower {
	struct gd_ptx_module *module;
	struct gd_scratch *arena;
	struct gd_error *error;
	struct gd_lower_func *func;
	struct gd_ptx_stmt stmt;
	uint32_t scopes[GD_PTX_SCOPES_MAX + 1], word_tops[GD_PTX_SCOPES_MAX + 1], scope_depth;
	uint8_t *pool; /* constants, each for 32 lanes */
	size_t pool_bytes, pool_capacity;
	uint32_t *pool_hash; /* offset / 64 + 1 by hash of class and value */
	struct gd_pool_key *pool_keys;
	size_t pool_hash_size, pool_key_count, pool_key_capacity;
	struct gd_lower_patch *patches;
	size_t patch_count, patch_capacity;
	uint32_t site_count;
	uint64_t shared_top, shared_bytes; /* with and without the gaps */
	uint32_t dynamic_align;
	bool has_dynamic_shared, uses_heap;
	struct gd_ptx_func **wanted; /* functions to lower, in the order they were found */
	size_t wanted_count, wanted_capacity;
};

/* Lower one function's body into func->lowered. */
bool gd_lower_function(struct gd_lower *lower, struct gd_ptx_func *func);
/* Ask for a function to be lowered. */
bool gd_lower_want(struct gd_lower *lower, struct gd_ptx_func *func);

/*
 * Report that the current instruction (and what `format` adds to its name) is not known, or that it is wrong.
 * The macros are false, in a way that the compiler sees.
 */
void gd_lower_say_unknown(struct gd_lower *lower, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void gd_lower_say_wrong(struct gd_lower *lower, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
#define gd_lower_unknown(lower, ...) (gd_lower_say_unknown(lower, __VA_ARGS__), false)
#define gd_lower_wrong(lower, ...)   (gd_lower_say_wrong(lower, __VA_ARGS__), false)

/* Does the instruction have this modifier? Marks it as understood. */
bool gd_lower_mod(struct gd_lower *lower, const char *name);
/* Index + 1 of the first of `names` that it has, 0 for none. */
uint32_t gd_lower_mod_of(struct gd_lower *lower, const char *const *names, uint32_t count);
/* The types among the modifiers, in order; returns how many (at most 4), marked as understood. */
uint32_t gd_lower_types(struct gd_lower *lower, enum gd_ptx_type types[4]);
/* Demand a number of operands. */
bool gd_lower_operands(struct gd_lower *lower, uint32_t least, uint32_t most);

/* A new virtual register; 0 when there are too many or memory ran out (0 is never a register). */
uint32_t gd_lower_temp(struct gd_lower *lower, enum gd_class class);
/* The constant `value` for all lanes; GD_OPND_NONE when memory ran out. For predicates 0 or all ones. */
uint32_t gd_lower_const(struct gd_lower *lower, enum gd_class class, uint64_t value);
/* The address of dynamic shared memory plus `addend`. */
uint32_t gd_lower_dynamic(struct gd_lower *lower, uint64_t addend);

/* Operand `index` as a source of exactly the class of `type`; immediates are converted to it. */
bool gd_lower_src(struct gd_lower *lower, uint32_t index, enum gd_ptx_type type, uint32_t *out_opnd);
bool gd_lower_src_of(struct gd_lower *lower, const struct gd_ptx_operand *operand, enum gd_ptx_type type,
		     uint32_t *out_opnd);
/* Operand `index` as a destination register of the class of `type`; `_` gives a scratch register. */
bool gd_lower_dst(struct gd_lower *lower, uint32_t index, enum gd_ptx_type type, uint32_t *out_opnd);
bool gd_lower_dst_of(struct gd_lower *lower, const struct gd_ptx_operand *operand, enum gd_ptx_type type,
		     uint32_t *out_opnd);
/* A predicate source with its negation. */
bool gd_lower_pred(struct gd_lower *lower, const struct gd_ptx_operand *operand, uint32_t *out_opnd,
		   bool *out_negated);

/* Append an instruction with the statement's guard. NULL when there are too many or memory ran out. */
struct gd_lir *gd_lower_emit(struct gd_lower *lower, enum gd_op op);
/* The usual shape: o[0] written, up to four sources. False like emit. */
bool gd_lower_op(struct gd_lower *lower, enum gd_op op, uint32_t to, uint32_t a, uint32_t b, uint32_t c);

/* A label of our own: make one, jump to it, set it here. */
bool gd_lower_label_new(struct gd_lower *lower, uint32_t *out_label);
bool gd_lower_label_named(struct gd_lower *lower, const struct gd_ptx_operand *name, uint32_t *out_label);
void gd_lower_label_set(struct gd_lower *lower, uint32_t label);
/* Declare `name` (a label, or a list of labels when `targets` is not NULL) at this place. */
bool gd_lower_label_define(struct gd_lower *lower, const struct gd_token *name,
			   struct gd_ptx_operand *targets, uint32_t count);
/* Resolve all uses; after the last instruction. */
bool gd_lower_labels_resolve(struct gd_lower *lower);
/* The list declared under a name, seen from the current scope; NULL when there is none yet. */
struct gd_ptx_label *gd_lower_label_find(const struct gd_lower_func *func, const char *text, uint32_t length,
					 uint32_t scope);

/* A shared variable is placed when the code that is lowered first names it; others are left alone. */
void gd_lower_touch(struct gd_lower *lower, struct gd_ptx_var *var);

/* How a family of instructions is lowered. */
typedef bool (*gd_lower_fn)(struct gd_lower *lower);
struct gd_lower_rule {
	const char *name;
	gd_lower_fn fn;
	bool is_branchy; /* may leave its warp: a guard becomes a branch around it */
};
/* Each family has its rules, ended by a NULL name. */
extern const struct gd_lower_rule gd_lower_int_rules[], gd_lower_float_rules[], gd_lower_move_rules[],
    gd_lower_compare_rules[], gd_lower_cvt_rules[], gd_lower_memory_rules[], gd_lower_flow_rules[],
    gd_lower_warp_rules[], gd_lower_video_rules[];

/* Opcodes that integers and floats share: the float family asks the integer one (lower_int.c). */
bool gd_lower_int_add(struct gd_lower *lower);
bool gd_lower_int_sub(struct gd_lower *lower);
bool gd_lower_int_mul(struct gd_lower *lower);
bool gd_lower_int_mad(struct gd_lower *lower);
bool gd_lower_int_div(struct gd_lower *lower);
bool gd_lower_int_abs(struct gd_lower *lower);
bool gd_lower_int_neg(struct gd_lower *lower);
bool gd_lower_int_min(struct gd_lower *lower);
bool gd_lower_int_max(struct gd_lower *lower);

/* Half precision: every element widened to f32, `op` applied, the result narrowed (lower_half.c). */
bool gd_lower_half(struct gd_lower *lower, enum gd_ptx_type type, enum gd_op op, uint32_t sources);
bool gd_lower_is_half(enum gd_ptx_type type);
/* One 16-bit operand widened into a new f32 register, and back from an f32 or f64 register. */
bool gd_lower_widen(struct gd_lower *lower, enum gd_ptx_type type, uint32_t from, uint32_t *out_f32);
bool gd_lower_narrow(struct gd_lower *lower, enum gd_ptx_type type, uint32_t f32, uint32_t to);
/* .sat: clamp the f32 or f64 in `opnd` in place. */
bool gd_lower_saturate(struct gd_lower *lower, enum gd_ptx_type type, uint32_t opnd);
/* Call-site lowering of malloc, free, printf and assert; *out_known says whether `name` is one
 * (lower_builtin.c). */
bool gd_lower_builtin(struct gd_lower *lower, const char *name, const struct gd_vm_call *call,
		      bool *out_known);

#endif
