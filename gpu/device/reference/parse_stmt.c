#include "gpu/device/reference/ptx.h"

#include <string.h>

static bool name_operand(struct gd_ptx_module *module, struct gd_ptx_operand *operand)
{
	const struct gd_token name = module->token;
	uint32_t index = 0;
	operand->text = name.text;
	operand->length = name.length;
	gd_ptx_advance(module);
	if (name.length == 1 && name.text[0] == '_') {
		operand->kind = GD_O_SINK;
		return true;
	}
	struct gd_symbol *symbol = gd_symbols_find(&module->symbols, name.text, name.length, &index);
	if (!symbol && gd_token_is(&name, "WARP_SZ")) {
		operand->kind = GD_O_INT;
		operand->value = 32;
		return true;
	}
	if (!symbol) {
		operand->kind = name.text[0] == '%' ? GD_O_SPECIAL : GD_O_NAME;
		return true;
	}
	switch (symbol->kind) {
	case GD_SYM_VAR:
		operand->kind = GD_O_VAR;
		operand->var = symbol->var;
		break;
	case GD_SYM_FUNC:
		operand->kind = GD_O_FUNC;
		operand->func = symbol->func;
		break;
	case GD_SYM_REG:
	case GD_SYM_RANGE:
		operand->kind = GD_O_REG;
		operand->type = symbol->type;
		operand->reg = symbol->first + index;
		break;
	}
	return true;
}

/* A name, a constant, `_`; with a sign or `!` before it and an offset behind it. */
static bool simple_operand(struct gd_ptx_module *module, struct gd_ptx_operand *operand)
{
	bool is_negative = false;
	int64_t offset = 0;
	if (gd_ptx_accept(module, '!'))
		operand->is_negated = true;
	while (gd_ptx_at(module, '-') || gd_ptx_at(module, '+')) {
		is_negative ^= module->token.punct == '-';
		gd_ptx_advance(module);
	}
	switch (module->token.kind) {
	case GD_TOK_WORD:
		if (is_negative)
			return gd_ptx_fail(module, "a sign before a name");
		if (!name_operand(module, operand))
			return false;
		break;
	case GD_TOK_INT:
		operand->kind = GD_O_INT;
		operand->value = is_negative ? 0 - module->token.value : module->token.value;
		gd_ptx_advance(module);
		break;
	case GD_TOK_F32:
	case GD_TOK_F64:
		operand->kind = module->token.kind == GD_TOK_F32 ? GD_O_F32 : GD_O_F64;
		operand->value = module->token.value;
		if (is_negative)
			operand->value ^= module->token.kind == GD_TOK_F32 ? 1ull << 31 : 1ull << 63;
		gd_ptx_advance(module);
		break;
	default:
		return gd_ptx_fail(module, "expected an operand");
	}
	if (gd_ptx_at(module, '+') || gd_ptx_at(module, '-')) {
		if (!gd_ptx_parse_int(module, &offset))
			return false;
		if (operand->kind == GD_O_REG || operand->kind == GD_O_VAR || operand->kind == GD_O_INT)
			operand->value += (uint64_t)offset;
		else
			return gd_ptx_fail(module, "an offset to something that has none");
	}
	return true;
}

/* The elements of a list up to and with `close`. */
static bool list_operand(struct gd_ptx_module *module, char close, struct gd_ptx_operand *operand)
{
	struct gd_ptx_operand *items = NULL;
	size_t count = 0, capacity = 0;
	while (!gd_ptx_at(module, close)) {
		if (count && !gd_ptx_expect(module, ','))
			return false;
		if (count == GD_PTX_LIST_MAX)
			return gd_ptx_fail(module, "a list of more than %d elements", GD_PTX_LIST_MAX);
		items = gd_scratch_grow(module->arena, items, count, &capacity, sizeof(*items));
		if (!items)
			return gd_ptx_no_memory(module);
		items[count] = (struct gd_ptx_operand){0};
		if (!simple_operand(module, &items[count]))
			return false;
		count++;
	}
	gd_ptx_advance(module);
	operand->kind = GD_O_LIST;
	operand->items = items;
	operand->count = (uint32_t)count;
	return true;
}

static bool parse_operand(struct gd_ptx_module *module, struct gd_ptx_operand *operand)
{
	if (gd_ptx_accept(module, '{'))
		return list_operand(module, '}', operand);
	if (gd_ptx_accept(module, '('))
		return list_operand(module, ')', operand);
	if (gd_ptx_accept(module, '[')) {
		operand->is_memory = true;
		return simple_operand(module, operand) && gd_ptx_expect(module, ']');
	}
	if (!simple_operand(module, operand))
		return false;
	if (gd_ptx_accept(module, '|')) {
		operand->second = gd_scratch_take(module->arena, 1, sizeof(*operand->second));
		if (!operand->second)
			return gd_ptx_no_memory(module);
		return simple_operand(module, operand->second);
	}
	return true;
}

static bool parse_guard(struct gd_ptx_module *module, struct gd_ptx_stmt *stmt)
{
	struct gd_ptx_operand guard = {0};
	if (gd_ptx_accept(module, '!'))
		stmt->guard_negated = true;
	if (module->token.kind != GD_TOK_WORD || !name_operand(module, &guard))
		return gd_ptx_fail(module, "expected a predicate");
	if (guard.kind != GD_O_REG || guard.type != GD_T_PRED)
		return gd_ptx_fail(module, "`%.*s` is no predicate", (int)(guard.length & 63), guard.text);
	stmt->has_guard = true;
	stmt->guard = guard.reg;
	return true;
}

/* Cut "ld.global.v4.f32" at its dots. */
static bool split_opcode(struct gd_ptx_module *module, struct gd_ptx_stmt *stmt)
{
	const char *text = stmt->opcode.text, *end = text + stmt->opcode.length;
	const char *dot = memchr(text, '.', stmt->opcode.length);
	stmt->base_length = dot ? (uint32_t)(dot - text) : stmt->opcode.length;
	while (dot) {
		const char *start = dot + 1;
		dot = memchr(start, '.', (size_t)(end - start));
		if (stmt->mod_count == GD_PTX_MODS_MAX)
			return gd_ptx_fail(module, "an instruction with more than %d modifiers",
					   GD_PTX_MODS_MAX);
		stmt->mods[stmt->mod_count++] =
		    (struct gd_ptx_mod){.text = start, .length = (uint32_t)((dot ? dot : end) - start)};
	}
	return true;
}

bool gd_ptx_parse_statement(struct gd_ptx_module *module, struct gd_ptx_stmt *out_stmt)
{
	struct gd_ptx_stmt *stmt = out_stmt;
	memset(stmt, 0, sizeof(*stmt));
	if (gd_ptx_accept(module, '@') && !parse_guard(module, stmt))
		return false;
	if (module->token.kind != GD_TOK_WORD || module->token.text[0] == '.' || module->token.text[0] == '%')
		return gd_ptx_fail(module, "expected an instruction");
	stmt->opcode = module->token;
	module->place.line = module->token.line;
	if (!split_opcode(module, stmt))
		return false;
	gd_ptx_advance(module);
	while (!gd_ptx_at(module, ';')) {
		if (stmt->operand_count && !gd_ptx_expect(module, ','))
			return false;
		if (stmt->operand_count == GD_PTX_OPERANDS_MAX)
			return gd_ptx_fail(module, "more than %d operands", GD_PTX_OPERANDS_MAX);
		if (!parse_operand(module, &stmt->operands[stmt->operand_count]))
			return false;
		stmt->operand_count++;
	}
	gd_ptx_advance(module);
	return true;
}

bool gd_ptx_parse_names(struct gd_ptx_module *module, struct gd_ptx_operand **out_items, uint32_t *out_count)
{
	struct gd_ptx_operand list = {0};
	if (!list_operand(module, ';', &list))
		return false;
	*out_items = list.items;
	*out_count = list.count;
	return true;
}
