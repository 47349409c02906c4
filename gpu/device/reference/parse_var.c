#include "gpu/device/reference/ptx.h"

#include <string.h>

#define DIMENSIONS_MAX 8

struct shape {
	uint32_t align;
	uint32_t vector; /* elements: 1, 2 or 4 */
	enum gd_ptx_type type;
};

/* [.align N] [.v2|.v4] .type [.ptr ...] in any order that NVRTC and people write. */
static bool parse_shape(struct gd_ptx_module *module, struct shape *out_shape)
{
	struct shape shape = {.vector = 1};
	while (module->token.kind == GD_TOK_WORD && module->token.text[0] == '.') {
		const struct gd_token word = module->token;
		int64_t align;
		gd_ptx_advance(module);
		if (gd_token_is(&word, ".align")) {
			if (!gd_ptx_parse_int(module, &align))
				return false;
			if (align < 1 || align > 4096 || (align & (align - 1)))
				return gd_ptx_fail(module, "an alignment must be a power of two up to 4096");
			/* behind .ptr it is the pointee's */
			if (!shape.type)
				shape.align = (uint32_t)align;
		} else if (gd_token_is(&word, ".v2")) {
			shape.vector = 2;
		} else if (gd_token_is(&word, ".v4")) {
			shape.vector = 4;
		} else if (gd_token_is(&word, ".ptr") || gd_token_is(&word, ".global") ||
			   gd_token_is(&word, ".shared") || gd_token_is(&word, ".local") ||
			   gd_token_is(&word, ".const") || gd_token_is(&word, ".weak")) {
			continue;
		} else if (gd_token_is(&word, ".attribute")) {
			while (!gd_ptx_at(module, ')')) {
				if (module->token.kind == GD_TOK_END || module->token.kind == GD_TOK_BAD)
					return gd_ptx_fail(module, "an attribute without end");
				gd_ptx_advance(module);
			}
			gd_ptx_advance(module);
		} else {
			enum gd_ptx_type type = gd_ptx_type_named(word.text + 1, word.length - 1);
			if (shape.type || !type || type == GD_T_PRED)
				return gd_error_set(module->error, GD_UNSUPPORTED_FEATURE,
						    "Use the cuda device for this program.",
						    "PTX line %u: a variable of type `%.*s` is not known",
						    word.line, (int)(word.length < 60 ? word.length : 60),
						    word.text);
			shape.type = type;
		}
	}
	if (!shape.type)
		return gd_ptx_fail(module, "a variable without type");
	if (!shape.align)
		shape.align = gd_ptx_types[shape.type].bytes * shape.vector;
	*out_shape = shape;
	return true;
}

/* One name with its dimensions; dims[0] 0 stands for `[]`. */
static bool parse_name(struct gd_ptx_module *module, const struct shape *shape, enum gd_ptx_space space,
		       struct gd_ptx_var **out_var, uint64_t dims[DIMENSIONS_MAX], uint32_t *out_dim_count)
{
	const struct gd_token name = module->token;
	uint64_t size = (uint64_t)gd_ptx_types[shape->type].bytes * shape->vector;
	uint32_t dim_count = 0;
	if (name.kind != GD_TOK_WORD || name.text[0] == '.')
		return gd_ptx_fail(module, "expected the name of a variable");
	gd_ptx_advance(module);
	while (gd_ptx_accept(module, '[')) {
		int64_t count = 0;
		if (dim_count == DIMENSIONS_MAX)
			return gd_ptx_fail(module, "more than %d dimensions", DIMENSIONS_MAX);
		if (!gd_ptx_at(module, ']') && !gd_ptx_parse_int(module, &count))
			return false;
		if (count < 0 || !gd_ptx_expect(module, ']'))
			return gd_ptx_fail(module, "a dimension out of range");
		dims[dim_count++] = (uint64_t)count;
		if (__builtin_mul_overflow(size, (uint64_t)count, &size) || size > GD_PTX_VARIABLE_MAX)
			return gd_ptx_fail(module, "a variable of more than %llu bytes", GD_PTX_VARIABLE_MAX);
	}
	struct gd_ptx_var *var = gd_scratch_take(module->arena, 1, sizeof(*var));
	if (!var)
		return gd_ptx_no_memory(module);
	var->name = gd_ptx_text(module, name.text, name.length);
	if (!var->name)
		return gd_ptx_no_memory(module);
	var->space = space;
	var->align = shape->align;
	var->size = size;
	var->line = name.line;
	*out_var = var;
	*out_dim_count = dim_count;
	return true;
}

bool gd_ptx_parse_param(struct gd_ptx_module *module, enum gd_ptx_space space, struct gd_ptx_var **out_var)
{
	struct shape shape;
	uint64_t dims[DIMENSIONS_MAX];
	uint32_t dim_count;
	return parse_shape(module, &shape) && parse_name(module, &shape, space, out_var, dims, &dim_count);
}

struct initialiser {
	struct gd_ptx_var *var;
	const struct shape *shape;
	const uint64_t *dims;
	uint32_t dim_count;
	uint64_t at; /* byte that the next value goes to */
	size_t capacity;
};

/* Make var->init hold at least `bytes`. */
static bool init_reserve(struct gd_ptx_module *module, struct initialiser *init, uint64_t bytes)
{
	struct gd_ptx_var *var = init->var;
	if (bytes > init->capacity) {
		size_t larger = init->capacity ? init->capacity : 64;
		while (larger < bytes)
			larger *= 2;
		uint8_t *moved = gd_scratch_take(module->arena, larger, 1);
		if (!moved)
			return gd_ptx_no_memory(module);
		if (var->init_bytes)
			memcpy(moved, var->init, var->init_bytes);
		var->init = moved;
		init->capacity = larger;
	}
	if (var->init_bytes < bytes)
		var->init_bytes = bytes;
	return true;
}

/* symbol, symbol+4, generic(symbol), generic(symbol)+4; `mask` other than 0 picks one byte of it. */
static bool parse_address(struct gd_ptx_module *module, struct initialiser *init, uint64_t mask)
{
	struct gd_ptx_reloc *reloc = gd_scratch_take(module->arena, 1, sizeof(*reloc));
	uint8_t bytes = gd_ptx_types[init->shape->type].bytes;
	if (!reloc)
		return gd_ptx_no_memory(module);
	if (gd_token_is(&module->token, "generic")) {
		reloc->generic = true;
		gd_ptx_advance(module);
		if (!gd_ptx_expect(module, '('))
			return false;
	}
	reloc->symbol = module->token;
	if (reloc->symbol.kind != GD_TOK_WORD)
		return gd_ptx_fail(module, "expected a name in an initialiser");
	gd_ptx_advance(module);
	if ((gd_ptx_at(module, '+') || gd_ptx_at(module, '-')) && !gd_ptx_parse_int(module, &reloc->addend))
		return false;
	if (reloc->generic && !gd_ptx_expect(module, ')'))
		return false;
	if ((gd_ptx_at(module, '+') || gd_ptx_at(module, '-')) && !gd_ptx_parse_int(module, &reloc->addend))
		return false;
	if (mask ? bytes != 1 : bytes != 4 && bytes != 8)
		return gd_ptx_fail(module, "an address does not fit its element");
	reloc->shift = mask ? (uint8_t)__builtin_ctzll(mask) : 0;
	reloc->bytes = bytes;
	reloc->offset = init->at;
	reloc->next = init->var->relocs;
	init->var->relocs = reloc;
	init->at += bytes;
	return true;
}

static bool parse_value(struct gd_ptx_module *module, struct initialiser *init)
{
	const struct gd_ptx_type_info *type = &gd_ptx_types[init->shape->type];
	uint64_t value = 0;
	bool is_negative = false;
	if (type->bytes > 8)
		return gd_ptx_fail(module, "an initialiser of a type that has none");
	if (!init_reserve(module, init, init->at + type->bytes))
		return false;
	while (gd_ptx_at(module, '-') || gd_ptx_at(module, '+')) {
		is_negative ^= module->token.punct == '-';
		gd_ptx_advance(module);
	}
	if (module->token.kind == GD_TOK_WORD)
		return parse_address(module, init, 0);
	value = module->token.value;
	if (module->token.kind == GD_TOK_INT) {
		gd_ptx_advance(module);
		if (gd_ptx_accept(module, '('))
			return value ? parse_address(module, init, value) && gd_ptx_expect(module, ')')
				     : gd_ptx_fail(module, "an empty mask");
		value = is_negative ? 0 - value : value;
		if (type->kind == GD_K_FLOAT && type->bytes == 8) {
			double number = (double)(int64_t)value;
			memcpy(&value, &number, sizeof(value));
		} else if (type->kind == GD_K_FLOAT && type->bytes == 4) {
			float number = (float)(int64_t)value;
			memcpy(&value, &number, sizeof(number));
		}
	} else if (module->token.kind == GD_TOK_F32 || module->token.kind == GD_TOK_F64) {
		bool is_wide = module->token.kind == GD_TOK_F64;
		gd_ptx_advance(module);
		if (is_negative)
			value ^= is_wide ? 1ull << 63 : 1ull << 31;
		if (is_wide && type->bytes == 4) {
			double number;
			memcpy(&number, &value, sizeof(number));
			float narrow = (float)number;
			value = 0;
			memcpy(&value, &narrow, sizeof(narrow));
		} else if (type->bytes != (is_wide ? 8 : 4)) {
			return gd_ptx_fail(module, "a floating constant does not fit its element");
		}
	} else {
		return gd_ptx_fail(module, "expected a constant");
	}
	memcpy(init->var->init + init->at, &value, type->bytes);
	init->at += type->bytes;
	return true;
}

/* `{ ... }` of dimension `depth`; a row that is not full is filled with zeroes. */
static bool parse_row(struct gd_ptx_module *module, struct initialiser *init, uint32_t depth)
{
	uint64_t row = (uint64_t)gd_ptx_types[init->shape->type].bytes * init->shape->vector;
	uint64_t start = init->at;
	if (depth > DIMENSIONS_MAX)
		return gd_ptx_fail(module, "braces too deep");
	for (uint32_t i = depth; i < init->dim_count; i++)
		row *= init->dims[i];
	uint64_t limit = row && !init->var->is_dynamic ? start + row : GD_PTX_VARIABLE_MAX;
	while (!gd_ptx_at(module, '}')) {
		if (init->at >= limit)
			return gd_ptx_fail(module, "more initial values than elements");
		if (gd_ptx_accept(module, '{') ? !parse_row(module, init, depth + 1)
					       : !parse_value(module, init))
			return false;
		if (!gd_ptx_at(module, '}') && !gd_ptx_expect(module, ','))
			return false;
	}
	gd_ptx_advance(module);
	if (limit != GD_PTX_VARIABLE_MAX)
		init->at = limit;
	return true;
}

static bool parse_initialiser(struct gd_ptx_module *module, struct gd_ptx_var *var, const struct shape *shape,
			      const uint64_t *dims, uint32_t dim_count)
{
	struct initialiser init = {.var = var, .shape = shape, .dims = dims, .dim_count = dim_count};
	if (var->space != GD_SP_GLOBAL && var->space != GD_SP_CONST)
		return gd_ptx_fail(module, "`%s` cannot have an initial value", var->name);
	if (gd_ptx_accept(module, '{') ? !parse_row(module, &init, 0) : !parse_value(module, &init))
		return false;
	if (!var->size && dim_count)
		var->size = init.at;
	if (var->init_bytes > var->size)
		return gd_ptx_fail(module, "more initial values than elements");
	return true;
}

bool gd_ptx_parse_variables(struct gd_ptx_module *module, enum gd_ptx_space space, bool is_extern)
{
	struct shape shape;
	if (!parse_shape(module, &shape))
		return false;
	do {
		struct gd_ptx_var *var;
		uint64_t dims[DIMENSIONS_MAX];
		uint32_t dim_count;
		if (!parse_name(module, &shape, space, &var, dims, &dim_count))
			return false;
		if (gd_ptx_accept(module, '=') && !parse_initialiser(module, var, &shape, dims, dim_count))
			return false;
		var->is_extern = is_extern;
		var->is_dynamic = space == GD_SP_SHARED && is_extern && !var->size;
		module->declared[space] += var->size + var->align;
		if (module->declared[space] > GD_PTX_VARIABLE_MAX)
			return gd_ptx_fail(module, "variables of more than %llu bytes", GD_PTX_VARIABLE_MAX);
		struct gd_symbol *symbol = gd_symbols_add(&module->symbols, module->arena, var->name,
							  (uint32_t)strlen(var->name), GD_SYM_VAR);
		if (!symbol)
			return gd_ptx_no_memory(module);
		symbol->var = var;
		*module->vars_end = var;
		module->vars_end = &var->next;
	} while (gd_ptx_accept(module, ','));
	return gd_ptx_expect(module, ';');
}
