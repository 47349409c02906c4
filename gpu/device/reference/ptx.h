/*
 * What the parser makes of PTX text: types, symbols, operands, statements, variables and functions.
 *
 * All of it lives in the arena of one module load and points into the PTX text. One thread. Nothing here
 * knows how an instruction is executed; lower.h turns statements into instructions.
 */
#ifndef GD_REFERENCE_PTX_H
#define GD_REFERENCE_PTX_H

#include "gpu/device/reference/arena.h"
#include "gpu/device/reference/lex.h"

#include "gpu/base/error.h"

#include <stdint.h>

/* Limits on what a module may contain; each is refused with its name when one past it. */
#define GD_PTX_BYTES_MAX        (64u << 20)
#define GD_PTX_ARENA_MAX        ((size_t)1 << 30)
#define GD_PTX_REGISTERS_MAX    (1u << 20) /* declared per function */
#define GD_PTX_INSTRUCTIONS_MAX (1u << 20) /* per function */
#define GD_PTX_SCOPES_MAX       64
#define GD_PTX_MODS_MAX         14
#define GD_PTX_OPERANDS_MAX     10
#define GD_PTX_LIST_MAX         512 /* elements of one list: call arguments, vectors, branch targets are apart */
#define GD_PTX_VARIABLE_MAX     (1ull << 30) /* bytes of all variables of one state space */

enum gd_ptx_type {
	GD_T_NONE,
	GD_T_PRED,
	GD_T_B8,
	GD_T_U8,
	GD_T_S8,
	GD_T_B16,
	GD_T_U16,
	GD_T_S16,
	GD_T_F16,
	GD_T_BF16,
	GD_T_B32,
	GD_T_U32,
	GD_T_S32,
	GD_T_F32,
	GD_T_F16X2,
	GD_T_BF16X2,
	GD_T_U16X2,
	GD_T_S16X2,
	GD_T_B64,
	GD_T_U64,
	GD_T_S64,
	GD_T_F64,
	GD_T_B128,
	GD_T_COUNT
};

enum gd_ptx_kind { GD_K_BITS, GD_K_UNSIGNED, GD_K_SIGNED, GD_K_FLOAT };

/* Register classes: what one lane's slot of a register is wide. 8-bit registers live in 16-bit slots. */
enum gd_class { GD_CLASS_PRED, GD_CLASS_16, GD_CLASS_32, GD_CLASS_64, GD_CLASS_COUNT };

struct gd_ptx_type_info {
	const char *name; /* without the dot */
	uint8_t bytes;    /* of one element; 0 for predicates */
	uint8_t kind;     /* enum gd_ptx_kind */
	uint8_t class;    /* enum gd_class; GD_CLASS_COUNT where no register can hold it */
};

extern const struct gd_ptx_type_info gd_ptx_types[GD_T_COUNT];

/* The type named by `text` (without the dot), or GD_T_NONE. */
enum gd_ptx_type gd_ptx_type_named(const char *text, uint32_t length);

enum gd_ptx_space {
	GD_SP_GENERIC,
	GD_SP_GLOBAL,
	GD_SP_CONST,
	GD_SP_SHARED,
	GD_SP_LOCAL,
	GD_SP_PARAM_ENTRY, /* parameters of the kernel */
	GD_SP_PARAM_FUNC,  /* parameters and return values of device functions and of calls */
	GD_SP_COUNT
};

struct gd_ptx_func;

/* A value in an initialiser that is an address, filled in once all variables are placed. */
struct gd_ptx_reloc {
	struct gd_ptx_reloc *next;
	uint64_t offset; /* into the variable */
	struct gd_token symbol;
	int64_t addend;
	uint8_t bytes; /* 1, 4 or 8 */
	uint8_t shift; /* of the address, in bits: the mask operator picks one byte */
	bool generic;  /* generic(symbol) */
};

struct gd_ptx_var {
	struct gd_ptx_var *next; /* of the module, in order */
	const char *name;        /* NUL-terminated, in the arena */
	enum gd_ptx_space space;
	uint32_t align;
	uint64_t size;
	bool is_dynamic; /* .extern .shared name[] */
	bool is_extern;  /* declared only */
	bool is_placed;
	uint64_t address; /* offset in its state space, or generic address for global and const */
	uint8_t *init;    /* `init_bytes` of initial value; the rest is zero */
	uint64_t init_bytes;
	struct gd_ptx_reloc *relocs;
	uint32_t line;
};

enum gd_symbol_kind {
	GD_SYM_VAR,
	GD_SYM_FUNC,
	GD_SYM_REG,  /* one register */
	GD_SYM_RANGE /* name<count> */
};

struct gd_symbol {
	struct gd_symbol *next;        /* in its bucket */
	struct gd_symbol *next_scoped; /* of the same scope */
	const char *text;
	uint32_t length, hash;
	enum gd_symbol_kind kind;
	uint32_t scope;
	enum gd_ptx_type type; /* of registers */
	uint32_t first, count; /* register ids */
	union {
		struct gd_ptx_var *var;
		struct gd_ptx_func *func;
	};
};

struct gd_symbols {
	struct gd_symbol **buckets;
	uint32_t bucket_count; /* power of two */
	uint32_t scope;
	struct gd_symbol *scopes[GD_PTX_SCOPES_MAX + 1];
};

/*
 * A label, or a named list of labels (.branchtargets). Labels belong to the block they stand in and may be
 * used before they are declared, so uses are kept by name and block and resolved at the end of the function.
 */
struct gd_ptx_label {
	struct gd_ptx_label *next; /* in its bucket */
	const char *text;
	uint32_t length, hash, scope;
	uint32_t at; /* index of the instruction it stands before */
	struct gd_ptx_operand *targets;
	uint32_t target_count;
};

enum gd_operand_kind {
	GD_O_NONE,
	GD_O_REG,     /* reg, type */
	GD_O_INT,     /* value */
	GD_O_F32,     /* value */
	GD_O_F64,     /* value */
	GD_O_SPECIAL, /* text: a special register */
	GD_O_VAR,     /* var + value: an address */
	GD_O_FUNC,    /* func */
	GD_O_NAME,    /* text: a name that no variable, register or function has: a label */
	GD_O_LIST,    /* {..} or (..): items */
	GD_O_SINK     /* _ */
};

struct gd_ptx_operand {
	enum gd_operand_kind kind;
	enum gd_ptx_type type; /* of a register */
	bool is_memory;        /* stood in [ ]: value is the offset */
	bool is_negated;       /* !p, or -x for a register (not legal anywhere) */
	uint32_t reg;
	uint32_t count; /* of items */
	uint64_t value;
	const char *text;
	uint32_t length;
	union {
		struct gd_ptx_var *var;
		struct gd_ptx_func *func;
		struct gd_ptx_operand *items;
	};
	struct gd_ptx_operand *second; /* p|q: the second */
};

struct gd_ptx_mod {
	const char *text;
	uint32_t length;
	bool is_used;
};

struct gd_ptx_stmt {
	struct gd_token opcode; /* the whole word, for messages */
	uint32_t base_length;   /* up to the first dot */
	struct gd_ptx_mod mods[GD_PTX_MODS_MAX];
	uint32_t mod_count;
	struct gd_ptx_operand operands[GD_PTX_OPERANDS_MAX];
	uint32_t operand_count;
	bool has_guard, guard_negated;
	uint32_t guard;
};

/* Where an instruction came from. */
struct gd_ptx_place {
	uint32_t line;                     /* of the PTX text */
	uint32_t source_file, source_line; /* by .loc; 0 when unknown */
};

struct gd_ptx_param {
	struct gd_ptx_var *var;
	uint32_t offset, size;
};

struct gd_ptx_func {
	struct gd_ptx_func *next; /* of the module, in order */
	const char *name;         /* NUL-terminated */
	uint32_t line, index;
	bool is_entry, has_body;
	struct gd_ptx_param *params, *returns;
	size_t param_count, return_count;
	size_t param_capacity, return_capacity;
	uint32_t param_bytes, return_bytes; /* of their blocks */
	uint32_t max_threads;               /* .maxntid or .reqntid product; 0 when not said */
	uint32_t required[3];               /* .reqntid; 0 when not said */
	struct gd_lexer body;               /* stands behind the opening brace */
	bool is_wanted;                     /* reachable from the entry: is lowered */
	struct gd_lower_func *lowered;
};

struct gd_ptx_file {
	const char *name;
	uint32_t length, index;
};

struct gd_ptx_module {
	struct gd_scratch *arena;
	struct gd_error *error;
	struct gd_symbols symbols;
	struct gd_ptx_var *vars, **vars_end;
	struct gd_ptx_func *funcs, **funcs_end;
	uint32_t func_count;
	struct gd_ptx_file *files;
	size_t file_count, file_capacity;
	struct gd_lexer lexer;
	struct gd_token token; /* the current one */
	struct gd_ptx_place place;
	uint64_t declared[GD_SP_COUNT]; /* bytes of variables so far, by state space */
	const char *source_name;
};

/*
 * Parse the module level of `text`: variables, signatures, where each body begins. Bodies are only skipped.
 * Fails: GD_INVALID_PROGRAM with the line, GD_DEVICE_OUT_OF_MEMORY.
 */
bool gd_ptx_parse(struct gd_ptx_module *module, struct gd_scratch *arena, const char *text, size_t bytes,
		  struct gd_error *error);

/* The rest is for the parser's own files and the lowering. */

/* Report a syntax error at the current token, or that memory ran out. The macros are false. */
void gd_ptx_say_wrong(struct gd_ptx_module *module, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void gd_ptx_say_no_memory(struct gd_ptx_module *module);
#define gd_ptx_fail(module, ...) (gd_ptx_say_wrong(module, __VA_ARGS__), false)
#define gd_ptx_no_memory(module) (gd_ptx_say_no_memory(module), false)

void gd_ptx_advance(struct gd_ptx_module *module);
/* Is the current token this punctuation? */
bool gd_ptx_at(const struct gd_ptx_module *module, char punct);
/* Step over it if so. */
bool gd_ptx_accept(struct gd_ptx_module *module, char punct);
/* Step over it or fail. */
bool gd_ptx_expect(struct gd_ptx_module *module, char punct);
/* Step over everything up to and with the next `;`. */
bool gd_ptx_skip_statement(struct gd_ptx_module *module);
/* Step over a `{` and everything up to its `}`. */
bool gd_ptx_skip_braces(struct gd_ptx_module *module);
/* `.loc` and `.file`, which end without a semicolon; the current token is the directive. */
bool gd_ptx_parse_loc(struct gd_ptx_module *module);
bool gd_ptx_parse_file(struct gd_ptx_module *module);
/* A positive or negative integer constant. */
bool gd_ptx_parse_int(struct gd_ptx_module *module, int64_t *out_value);
/*
 * Variables of one declaration, up to and with its `;`: the current token is behind the state space. Adds
 * them to the module and to the symbols of the current scope. Parameters of functions have no `;` and go
 * through parse_param.
 */
bool gd_ptx_parse_variables(struct gd_ptx_module *module, enum gd_ptx_space space, bool is_extern);
bool gd_ptx_parse_param(struct gd_ptx_module *module, enum gd_ptx_space space, struct gd_ptx_var **out_var);

/*
 * One statement up to and with its `;`: the current token is its guard or opcode. Registers get the ids of
 * their symbols. Lists are taken from the arena.
 */
bool gd_ptx_parse_statement(struct gd_ptx_module *module, struct gd_ptx_stmt *out_stmt);
/* A list of names up to and with its `;` (.branchtargets). */
bool gd_ptx_parse_names(struct gd_ptx_module *module, struct gd_ptx_operand **out_items, uint32_t *out_count);

/* Text of a token, NUL-terminated in the arena; NULL when memory ran out. */
const char *gd_ptx_text(struct gd_ptx_module *module, const char *text, uint32_t length);

bool gd_symbols_init(struct gd_symbols *symbols, struct gd_scratch *arena, size_t text_bytes);
bool gd_symbols_enter(struct gd_symbols *symbols); /* false: too deep */
void gd_symbols_leave(struct gd_symbols *symbols);
/* Declare a name in the current scope; NULL when memory ran out. Redeclaring shadows. */
struct gd_symbol *gd_symbols_add(struct gd_symbols *symbols, struct gd_scratch *arena, const char *text,
				 uint32_t length, enum gd_symbol_kind kind);
/* Find the innermost declaration; ranges are found by their prefix and give the index. NULL when there is
 * none. */
struct gd_symbol *gd_symbols_find(const struct gd_symbols *symbols, const char *text, uint32_t length,
				  uint32_t *out_index);

#endif
