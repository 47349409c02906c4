#include "gpu/device/reference/ptx.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void gd_ptx_say_wrong(struct gd_ptx_module *module, const char *format, ...)
{
	char what[256];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	gd_error_set(module->error, GD_INVALID_PROGRAM, "Post PTX as NVRTC or ptxas accepts it.",
		     "PTX line %u: %s", module->token.line, what);
	if (module->arena->failed)
		gd_ptx_say_no_memory(module);
}

void gd_ptx_say_no_memory(struct gd_ptx_module *module)
{
	gd_error_set(module->error, GD_DEVICE_OUT_OF_MEMORY, "Make the program smaller.",
		     "no memory to load the program");
}

void gd_ptx_advance(struct gd_ptx_module *module)
{
	gd_lexer_next(&module->lexer, &module->token);
}

bool gd_ptx_at(const struct gd_ptx_module *module, char punct)
{
	return module->token.kind == GD_TOK_PUNCT && module->token.punct == punct;
}

bool gd_ptx_accept(struct gd_ptx_module *module, char punct)
{
	if (!gd_ptx_at(module, punct))
		return false;
	gd_ptx_advance(module);
	return true;
}

bool gd_ptx_expect(struct gd_ptx_module *module, char punct)
{
	if (gd_ptx_accept(module, punct))
		return true;
	return gd_ptx_fail(module, "expected `%c` before `%.*s`", punct, (int)(module->token.length & 63),
			   module->token.text);
}

bool gd_ptx_skip_statement(struct gd_ptx_module *module)
{
	while (!gd_ptx_at(module, ';')) {
		if (module->token.kind == GD_TOK_END || module->token.kind == GD_TOK_BAD)
			return gd_ptx_fail(module, "a statement without end");
		gd_ptx_advance(module);
	}
	gd_ptx_advance(module);
	return true;
}

bool gd_ptx_skip_braces(struct gd_ptx_module *module)
{
	uint32_t depth = 0;
	if (!gd_ptx_at(module, '{'))
		return gd_ptx_fail(module, "expected `{`");
	do {
		if (gd_ptx_at(module, '{'))
			depth++;
		else if (gd_ptx_at(module, '}'))
			depth--;
		else if (module->token.kind == GD_TOK_END || module->token.kind == GD_TOK_BAD)
			return gd_ptx_fail(module, "a body without end");
		gd_ptx_advance(module);
	} while (depth);
	return true;
}

const char *gd_ptx_text(struct gd_ptx_module *module, const char *text, uint32_t length)
{
	char *copy = gd_scratch_take(module->arena, (size_t)length + 1, 1);
	if (copy)
		memcpy(copy, text, length);
	return copy;
}

bool gd_ptx_parse_int(struct gd_ptx_module *module, int64_t *out_value)
{
	bool is_negative = false;
	while (gd_ptx_at(module, '-') || gd_ptx_at(module, '+')) {
		is_negative ^= module->token.punct == '-';
		gd_ptx_advance(module);
	}
	if (module->token.kind != GD_TOK_INT)
		return gd_ptx_fail(module, "expected an integer");
	*out_value = (int64_t)(is_negative ? 0 - module->token.value : module->token.value);
	gd_ptx_advance(module);
	return true;
}

static bool parse_u32(struct gd_ptx_module *module, uint32_t *out_value)
{
	int64_t value;
	if (!gd_ptx_parse_int(module, &value))
		return false;
	if (value < 0 || value > UINT32_MAX)
		return gd_ptx_fail(module, "a number out of range");
	*out_value = (uint32_t)value;
	return true;
}

bool gd_ptx_parse_loc(struct gd_ptx_module *module)
{
	uint32_t column;
	gd_ptx_advance(module);
	if (!parse_u32(module, &module->place.source_file) ||
	    !parse_u32(module, &module->place.source_line) || !parse_u32(module, &column))
		return false;
	if (!gd_ptx_accept(module, ','))
		return true;
	/* function_name label[+n], inlined_at file line column */
	gd_ptx_advance(module);
	gd_ptx_advance(module);
	if (gd_ptx_accept(module, '+') && !parse_u32(module, &column))
		return false;
	if (!gd_ptx_expect(module, ','))
		return false;
	gd_ptx_advance(module);
	return parse_u32(module, &column) && parse_u32(module, &column) && parse_u32(module, &column);
}

bool gd_ptx_parse_file(struct gd_ptx_module *module)
{
	uint32_t index, ignored;
	gd_ptx_advance(module);
	if (!parse_u32(module, &index))
		return false;
	if (module->token.kind != GD_TOK_STRING)
		return gd_ptx_fail(module, "expected a file name");
	module->files = gd_scratch_grow(module->arena, module->files, module->file_count,
					&module->file_capacity, sizeof(*module->files));
	if (!module->files)
		return gd_ptx_no_memory(module);
	module->files[module->file_count++] =
	    (struct gd_ptx_file){.name = module->token.text, .length = module->token.length, .index = index};
	gd_ptx_advance(module);
	while (gd_ptx_accept(module, ',')) {
		if (!parse_u32(module, &ignored))
			return false;
	}
	return true;
}

static bool parse_params(struct gd_ptx_module *module, struct gd_ptx_func *func, bool is_return)
{
	enum gd_ptx_space space = func->is_entry ? GD_SP_PARAM_ENTRY : GD_SP_PARAM_FUNC;
	struct gd_ptx_param **list = is_return ? &func->returns : &func->params;
	size_t *count = is_return ? &func->return_count : &func->param_count;
	size_t *capacity = is_return ? &func->return_capacity : &func->param_capacity;
	uint64_t top = 0;
	*count = 0;
	while (!gd_ptx_at(module, ')')) {
		struct gd_ptx_var *var;
		if (*count && !gd_ptx_expect(module, ','))
			return false;
		if (!gd_token_is(&module->token, ".param"))
			return gd_error_set(
			    module->error, GD_UNSUPPORTED_FEATURE, "Pass parameters as .param.",
			    "PTX line %u: only .param parameters are known", module->token.line);
		gd_ptx_advance(module);
		if (!gd_ptx_parse_param(module, space, &var))
			return false;
		if (*count == GD_PTX_LIST_MAX)
			return gd_ptx_fail(module, "more than %d parameters", GD_PTX_LIST_MAX);
		*list = gd_scratch_grow(module->arena, *list, *count, capacity, sizeof(**list));
		if (!*list)
			return gd_ptx_no_memory(module);
		uint64_t align = func->is_entry || var->align > 4 ? var->align : 4;
		top = (top + align - 1) & ~(align - 1);
		if (var->size > 65536 || top > 65536)
			return gd_ptx_fail(module, "parameters of more than 65536 bytes");
		(*list)[(*count)++] =
		    (struct gd_ptx_param){.var = var, .offset = (uint32_t)top, .size = (uint32_t)var->size};
		top += func->is_entry ? var->size : (var->size + 3) & ~3ull;
	}
	gd_ptx_advance(module);
	*(is_return ? &func->return_bytes : &func->param_bytes) = (uint32_t)top;
	return true;
}

static struct gd_ptx_func *func_named(struct gd_ptx_module *module, const struct gd_token *name,
				      bool is_entry)
{
	uint32_t index;
	struct gd_symbol *symbol = gd_symbols_find(&module->symbols, name->text, name->length, &index);
	if (symbol && symbol->kind == GD_SYM_FUNC)
		return symbol->func;
	struct gd_ptx_func *func = gd_scratch_take(module->arena, 1, sizeof(*func));
	symbol = gd_symbols_add(&module->symbols, module->arena, name->text, name->length, GD_SYM_FUNC);
	if (!func || !symbol)
		return NULL;
	symbol->func = func;
	func->name = gd_ptx_text(module, name->text, name->length);
	func->is_entry = is_entry;
	func->index = module->func_count++;
	*module->funcs_end = func;
	module->funcs_end = &func->next;
	return func->name ? func : NULL;
}

/* .maxntid, .reqntid, .minnctapersm and their like, between the signature and the body. */
static bool parse_performance(struct gd_ptx_module *module, struct gd_ptx_func *func)
{
	while (module->token.kind == GD_TOK_WORD && module->token.text[0] == '.') {
		bool is_max = gd_token_is(&module->token, ".maxntid");
		bool is_required = gd_token_is(&module->token, ".reqntid");
		uint32_t dims[3] = {1, 1, 1}, count = 0;
		gd_ptx_advance(module);
		while (module->token.kind == GD_TOK_INT) {
			if (count == 3 || !parse_u32(module, &dims[count]))
				return gd_ptx_fail(module, "too many numbers in a directive");
			count++;
			if (!gd_ptx_accept(module, ','))
				break;
		}
		if ((is_max || is_required) && count) {
			uint64_t product = 1;
			for (int i = 0; i < 3; i++)
				product *= dims[i] < 1025 ? dims[i] : 1025;
			func->max_threads = product && product <= 1024 ? (uint32_t)product : 1024;
		}
		if (is_required && count)
			memcpy(func->required, dims, sizeof(dims));
	}
	return true;
}

static bool parse_func(struct gd_ptx_module *module, bool is_entry, bool is_extern)
{
	struct gd_ptx_func returns = {0};
	uint32_t line = module->token.line;
	gd_ptx_advance(module);
	if (!is_entry && gd_ptx_accept(module, '(') && !parse_params(module, &returns, true))
		return false;
	struct gd_token name = module->token;
	if (name.kind != GD_TOK_WORD || name.text[0] == '.')
		return gd_ptx_fail(module, "expected the name of a function");
	struct gd_ptx_func *func = func_named(module, &name, is_entry);
	if (!func)
		return gd_ptx_no_memory(module);
	if (func->is_entry != is_entry || (func->has_body && !is_extern))
		return gd_ptx_fail(module, "`%s` is declared twice", func->name);
	func->line = line;
	func->returns = returns.returns;
	func->return_count = returns.return_count;
	func->return_capacity = returns.return_capacity;
	func->return_bytes = returns.return_bytes;
	func->param_count = 0;
	gd_ptx_advance(module);
	if (gd_ptx_accept(module, '(') && !parse_params(module, func, false))
		return false;
	if (!parse_performance(module, func))
		return false;
	if (gd_ptx_accept(module, ';'))
		return true;
	if (!gd_ptx_at(module, '{'))
		return gd_ptx_fail(module, "expected the body of `%s`", func->name);
	func->has_body = true;
	func->body = module->lexer;
	return gd_ptx_skip_braces(module);
}

static bool parse_version(struct gd_ptx_module *module)
{
	gd_ptx_advance(module);
	if (module->token.kind != GD_TOK_F64 && module->token.kind != GD_TOK_INT)
		return gd_ptx_fail(module, "expected a version number");
	gd_ptx_advance(module);
	return true;
}

static bool parse_target(struct gd_ptx_module *module)
{
	do {
		gd_ptx_advance(module);
		if (module->token.kind != GD_TOK_WORD)
			return gd_ptx_fail(module, "expected a target");
		gd_ptx_advance(module);
	} while (gd_ptx_at(module, ','));
	return true;
}

static bool parse_address_size(struct gd_ptx_module *module)
{
	int64_t bits;
	gd_ptx_advance(module);
	if (!gd_ptx_parse_int(module, &bits))
		return false;
	return bits == 64 || gd_ptx_fail(module, "only .address_size 64 is known");
}

static bool parse_section(struct gd_ptx_module *module)
{
	gd_ptx_advance(module);
	gd_ptx_advance(module);
	return gd_ptx_skip_braces(module);
}

static bool parse_directive(struct gd_ptx_module *module)
{
	static const struct {
		const char *word;
		enum gd_ptx_space space;
	} spaces[] = {{".global", GD_SP_GLOBAL}, {".const", GD_SP_CONST}, {".shared", GD_SP_SHARED}};
	const struct gd_token *token = &module->token;
	bool is_extern = false;
	while (gd_token_is(token, ".visible") || gd_token_is(token, ".weak") ||
	       gd_token_is(token, ".common") || gd_token_is(token, ".extern")) {
		is_extern |= gd_token_is(token, ".extern");
		gd_ptx_advance(module);
	}
	if (gd_token_is(token, ".entry") || gd_token_is(token, ".func"))
		return parse_func(module, gd_token_is(token, ".entry"), is_extern);
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		if (!gd_token_is(token, spaces[i].word))
			continue;
		gd_ptx_advance(module);
		return gd_ptx_parse_variables(module, spaces[i].space, is_extern);
	}
	if (gd_token_is(token, ".version"))
		return parse_version(module);
	if (gd_token_is(token, ".target"))
		return parse_target(module);
	if (gd_token_is(token, ".address_size"))
		return parse_address_size(module);
	if (gd_token_is(token, ".file"))
		return gd_ptx_parse_file(module);
	if (gd_token_is(token, ".loc"))
		return gd_ptx_parse_loc(module);
	if (gd_token_is(token, ".section"))
		return parse_section(module);
	if (gd_token_is(token, ".pragma"))
		return gd_ptx_skip_statement(module);
	if (token->kind == GD_TOK_WORD && token->text[0] == '.')
		return gd_error_set(module->error, GD_UNSUPPORTED_FEATURE,
				    "Use the cuda device for this program.",
				    "PTX line %u: the directive `%.*s` is not known", token->line,
				    (int)(token->length < 60 ? token->length : 60), token->text);
	return gd_ptx_fail(module, "expected a directive");
}

bool gd_ptx_parse(struct gd_ptx_module *module, struct gd_scratch *arena, const char *text, size_t bytes,
		  struct gd_error *error)
{
	*module = (struct gd_ptx_module){.arena = arena, .error = error};
	module->vars_end = &module->vars;
	module->funcs_end = &module->funcs;
	if (bytes > GD_PTX_BYTES_MAX)
		return gd_error_set(error, GD_INVALID_PROGRAM, "Make the program smaller.",
				    "the PTX has %zu bytes, at most %u are taken", bytes, GD_PTX_BYTES_MAX);
	if (!gd_symbols_init(&module->symbols, arena, bytes))
		return gd_ptx_no_memory(module);
	gd_lexer_init(&module->lexer, text, bytes);
	gd_ptx_advance(module);
	while (module->token.kind != GD_TOK_END) {
		if (!parse_directive(module))
			return false;
	}
	return true;
}
