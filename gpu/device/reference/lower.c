#include "gpu/device/reference/lower.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* "line 12 of kernel.cu, " when known. */
static void describe_source(const struct gd_lower *lower, char *text, size_t room)
{
	const struct gd_ptx_module *module = lower->module;
	text[0] = 0;
	if (!module->place.source_line)
		return;
	if (module->source_name && strlen(module->source_name) < 80)
		snprintf(text, room, "line %u of %s, ", module->place.source_line, module->source_name);
	else
		snprintf(text, room, "source line %u, ", module->place.source_line);
}

void gd_lower_say_unknown(struct gd_lower *lower, const char *format, ...)
{
	const struct gd_token *opcode = &lower->stmt.opcode;
	char what[128], where[128];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	describe_source(lower, where, sizeof(where));
	gd_error_set(lower->error, GD_UNSUPPORTED_FEATURE, "Use the cuda device for this program.",
		     "the reference device does not know the instruction `%.*s`%s (%sPTX line %u)",
		     (int)(opcode->length < 100 ? opcode->length : 100), opcode->text, what, where,
		     lower->module->place.line);
	if (lower->arena->failed)
		gd_ptx_say_no_memory(lower->module);
}

void gd_lower_say_wrong(struct gd_lower *lower, const char *format, ...)
{
	const struct gd_token *opcode = &lower->stmt.opcode;
	char what[200];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	gd_error_set(lower->error, GD_INVALID_PROGRAM, "Post PTX as NVRTC or ptxas accepts it.",
		     "PTX line %u: `%.*s`: %s", lower->module->place.line,
		     (int)(opcode->length < 100 ? opcode->length : 100), opcode->text, what);
	if (lower->arena->failed)
		gd_ptx_say_no_memory(lower->module);
}

bool gd_lower_mod(struct gd_lower *lower, const char *name)
{
	size_t length = strlen(name);
	for (uint32_t i = 0; i < lower->stmt.mod_count; i++) {
		struct gd_ptx_mod *mod = &lower->stmt.mods[i];
		if (mod->length == length && !memcmp(mod->text, name, length)) {
			mod->is_used = true;
			return true;
		}
	}
	return false;
}

uint32_t gd_lower_mod_of(struct gd_lower *lower, const char *const *names, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (gd_lower_mod(lower, names[i]))
			return i + 1;
	}
	return 0;
}

uint32_t gd_lower_types(struct gd_lower *lower, enum gd_ptx_type types[4])
{
	uint32_t count = 0;
	memset(types, 0, 4 * sizeof(types[0]));
	for (uint32_t i = 0; i < lower->stmt.mod_count && count < 4; i++) {
		struct gd_ptx_mod *mod = &lower->stmt.mods[i];
		enum gd_ptx_type type = gd_ptx_type_named(mod->text, mod->length);
		if (!type || mod->is_used)
			continue;
		mod->is_used = true;
		types[count++] = type;
	}
	return count;
}

bool gd_lower_operands(struct gd_lower *lower, uint32_t least, uint32_t most)
{
	if (lower->stmt.operand_count >= least && lower->stmt.operand_count <= most)
		return true;
	return gd_lower_wrong(lower, "%u operands", lower->stmt.operand_count);
}

bool gd_lower_want(struct gd_lower *lower, struct gd_ptx_func *func)
{
	if (func->is_wanted || !func->has_body)
		return true;
	lower->wanted = gd_scratch_grow(lower->arena, lower->wanted, lower->wanted_count,
					&lower->wanted_capacity, sizeof(*lower->wanted));
	if (!lower->wanted)
		return gd_ptx_no_memory(lower->module);
	func->is_wanted = true;
	lower->wanted[lower->wanted_count++] = func;
	return true;
}

static const struct gd_lower_rule *rule_named(const char *text, uint32_t length)
{
	static const struct gd_lower_rule *const families[] = {
	    gd_lower_move_rules,   gd_lower_int_rules,  gd_lower_float_rules,
	    gd_lower_memory_rules, gd_lower_flow_rules, gd_lower_compare_rules,
	    gd_lower_cvt_rules,    gd_lower_warp_rules, gd_lower_video_rules,
	};
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		for (const struct gd_lower_rule *rule = families[i]; rule->name; rule++) {
			if (strlen(rule->name) == length && !memcmp(rule->name, text, length))
				return rule;
		}
	}
	return NULL;
}

/* A predicated instruction that may leave its warp becomes a branch around it. */
static bool branch_around(struct gd_lower *lower, uint32_t *out_label)
{
	struct gd_ptx_stmt *stmt = &lower->stmt;
	if (!gd_lower_label_new(lower, out_label))
		return false;
	stmt->has_guard = false;
	struct gd_lir *lir = gd_lower_emit(lower, GD_OP_bra);
	if (!lir)
		return gd_lower_wrong(lower, "too many instructions");
	lir->kind = GD_LIR_BRA;
	lir->o[0] = GD_OPND(GD_OPND_REG, stmt->guard);
	lir->aux2 = !stmt->guard_negated;
	lir->target = *out_label;
	lir->target_count = 1;
	return true;
}

static bool lower_statement(struct gd_lower *lower)
{
	struct gd_ptx_stmt *stmt = &lower->stmt;
	const struct gd_lower_rule *rule;
	uint32_t around = UINT32_MAX;
	if (!gd_ptx_parse_statement(lower->module, stmt))
		return false;
	rule = rule_named(stmt->opcode.text, stmt->base_length);
	if (!rule)
		return gd_lower_unknown(lower, "%s", "");
	if (rule->is_branchy && stmt->has_guard && !branch_around(lower, &around))
		return false;
	if (!rule->fn(lower))
		return lower->arena->failed && gd_ptx_no_memory(lower->module);
	if (around != UINT32_MAX)
		gd_lower_label_set(lower, around);
	for (uint32_t i = 0; i < stmt->mod_count; i++) {
		if (!stmt->mods[i].is_used)
			return gd_lower_unknown(lower, " with `.%.*s`", (int)(stmt->mods[i].length & 63),
						stmt->mods[i].text);
	}
	return true;
}

/* .reg .type name, name<count>; */
static bool declare_registers(struct gd_lower *lower)
{
	struct gd_ptx_module *module = lower->module;
	struct gd_lower_func *func = lower->func;
	enum gd_ptx_type type = GD_T_NONE;
	gd_ptx_advance(module);
	if (module->token.kind == GD_TOK_WORD && module->token.text[0] == '.')
		type = gd_ptx_type_named(module->token.text + 1, module->token.length - 1);
	if (!type)
		return gd_ptx_fail(module, "registers without type");
	/* 128-bit registers may be declared; whatever uses one is refused. */
	enum gd_class class =
	    gd_ptx_types[type].class == GD_CLASS_COUNT ? GD_CLASS_64 : gd_ptx_types[type].class;
	gd_ptx_advance(module);
	do {
		struct gd_token name = module->token;
		int64_t count = 1;
		bool is_range = false;
		if (name.kind != GD_TOK_WORD || name.text[0] == '.')
			return gd_ptx_fail(module, "expected the name of a register");
		gd_ptx_advance(module);
		if (gd_ptx_accept(module, '<')) {
			is_range = true;
			if (!gd_ptx_parse_int(module, &count) || !gd_ptx_expect(module, '>'))
				return false;
		}
		if (count < 0 || (uint64_t)count > GD_PTX_REGISTERS_MAX - func->reg_count)
			return gd_ptx_fail(module, "more than %u registers", GD_PTX_REGISTERS_MAX);
		struct gd_symbol *symbol = gd_symbols_add(&module->symbols, lower->arena, name.text,
							  name.length, is_range ? GD_SYM_RANGE : GD_SYM_REG);
		if (!symbol)
			return gd_ptx_no_memory(module);
		symbol->type = type;
		symbol->first = (uint32_t)func->reg_count;
		symbol->count = (uint32_t)count;
		while (func->reg_count + (size_t)count > func->reg_capacity) {
			func->classes = gd_scratch_grow(lower->arena, func->classes, func->reg_capacity,
							&func->reg_capacity, 1);
			if (!func->classes)
				return gd_ptx_no_memory(module);
		}
		memset(func->classes + func->reg_count, (int)class, (size_t)count);
		func->reg_count += (size_t)count;
	} while (gd_ptx_accept(module, ','));
	return gd_ptx_expect(module, ';');
}

void gd_lower_touch(struct gd_lower *lower, struct gd_ptx_var *var)
{
	uint64_t align = var->align;
	if (var->space != GD_SP_SHARED || var->is_placed)
		return;
	var->is_placed = true;
	if (var->is_dynamic) {
		lower->has_dynamic_shared = true;
		if (var->align > lower->dynamic_align)
			lower->dynamic_align = var->align;
		return;
	}
	/* A gap behind each variable, so that running out of one is not hidden by the next; it is not
	 * counted. */
	uint64_t at = (lower->shared_top + align - 1) & ~(align - 1);
	var->address = GD_SHARED_START + at;
	lower->shared_top = at + var->size + GD_SHARED_GAP;
	lower->shared_bytes = ((lower->shared_bytes + align - 1) & ~(align - 1)) + var->size;
}

/* Give the variables declared since `var` their places in the function or in shared memory. */
static bool place_variables(struct gd_lower *lower, struct gd_ptx_var *var)
{
	struct gd_lower_func *func = lower->func;
	for (; var; var = var->next) {
		uint64_t align = var->align;
		if (var->space == GD_SP_LOCAL) {
			var->address = (func->local_bytes + align - 1) & ~(align - 1);
			if (var->address + var->size > GD_LOCAL_MAX)
				return gd_error_set(
				    lower->error, GD_UNSUPPORTED_FEATURE, "Use smaller arrays in the kernel.",
				    "PTX line %u: more than %u bytes of local memory per thread", var->line,
				    GD_LOCAL_MAX);
			func->local_bytes = (uint32_t)(var->address + var->size);
		} else if (var->space == GD_SP_PARAM_FUNC) {
			uint64_t bytes = (var->size + 3) & ~3ull;
			var->address = func->word_top;
			if (bytes > GD_WORDS_MAX * 4 - func->word_top)
				return gd_ptx_fail(lower->module, "too many parameters of calls");
			func->word_top += (uint32_t)bytes;
			if (func->word_top > func->word_max)
				func->word_max = func->word_top;
		} else {
			gd_lower_touch(lower, var);
			continue;
		}
		var->is_placed = true;
	}
	return true;
}

static bool declare_variables(struct gd_lower *lower, enum gd_ptx_space space)
{
	struct gd_ptx_module *module = lower->module;
	struct gd_ptx_var **tail = module->vars_end;
	gd_ptx_advance(module);
	return gd_ptx_parse_variables(module, space, false) && place_variables(lower, *tail);
}

static bool lower_directive(struct gd_lower *lower)
{
	struct gd_ptx_module *module = lower->module;
	const struct gd_token *token = &module->token;
	if (gd_token_is(token, ".reg"))
		return declare_registers(lower);
	if (gd_token_is(token, ".param"))
		return declare_variables(lower, GD_SP_PARAM_FUNC);
	if (gd_token_is(token, ".local"))
		return declare_variables(lower, GD_SP_LOCAL);
	if (gd_token_is(token, ".shared"))
		return declare_variables(lower, GD_SP_SHARED);
	if (gd_token_is(token, ".loc"))
		return gd_ptx_parse_loc(module);
	if (gd_token_is(token, ".pragma"))
		return gd_ptx_skip_statement(module);
	return gd_error_set(lower->error, GD_UNSUPPORTED_FEATURE, "Use the cuda device for this program.",
			    "PTX line %u: the directive `%.*s` is not known", token->line,
			    (int)(token->length < 60 ? token->length : 60), token->text);
}

/* `name:` with what may follow a name. Returns false with *out_is_label false when it is no label. */
static bool lower_label(struct gd_lower *lower, bool *out_is_label)
{
	struct gd_ptx_module *module = lower->module;
	struct gd_lexer lexer = module->lexer;
	struct gd_token name = module->token;
	struct gd_ptx_operand *targets = NULL;
	uint32_t count = 0;
	gd_ptx_advance(module);
	*out_is_label = gd_ptx_accept(module, ':');
	if (!*out_is_label) {
		module->lexer = lexer;
		module->token = name;
		return false;
	}
	if (gd_token_is(&module->token, ".branchtargets")) {
		gd_ptx_advance(module);
		if (!gd_ptx_parse_names(module, &targets, &count))
			return false;
	} else if (gd_token_is(&module->token, ".callprototype") ||
		   gd_token_is(&module->token, ".calltargets")) {
		/* The parameters of the call itself say all that a prototype does. */
		return gd_ptx_skip_statement(module);
	}
	return gd_lower_label_define(lower, &name, targets, count);
}

static bool enter(struct gd_lower *lower)
{
	struct gd_lower_func *func = lower->func;
	if (!gd_symbols_enter(&lower->module->symbols))
		return gd_ptx_fail(lower->module, "blocks deeper than %d", GD_PTX_SCOPES_MAX);
	func->scope_parent = gd_scratch_grow(lower->arena, func->scope_parent, func->scope_count,
					     &func->scope_capacity, sizeof(*func->scope_parent));
	if (!func->scope_parent)
		return gd_ptx_no_memory(lower->module);
	func->scope_parent[func->scope_count] =
	    lower->scope_depth ? lower->scopes[lower->scope_depth] : UINT32_MAX;
	lower->scope_depth++;
	lower->scopes[lower->scope_depth] = (uint32_t)func->scope_count++;
	lower->word_tops[lower->scope_depth] = func->word_top;
	return true;
}

static void leave(struct gd_lower *lower)
{
	lower->func->word_top = lower->word_tops[lower->scope_depth];
	lower->scope_depth--;
	gd_symbols_leave(&lower->module->symbols);
}

/* Declare parameters and results; those of functions are words of the frame. */
static bool declare_signature(struct gd_lower *lower, const struct gd_ptx_param *params, size_t count,
			      uint32_t base, struct gd_vm_words **out_words)
{
	struct gd_vm_words *words = gd_scratch_take(lower->arena, count, sizeof(*words));
	if (!words)
		return gd_ptx_no_memory(lower->module);
	for (size_t i = 0; i < count; i++) {
		struct gd_ptx_var *var = params[i].var;
		struct gd_symbol *symbol = gd_symbols_add(&lower->module->symbols, lower->arena, var->name,
							  (uint32_t)strlen(var->name), GD_SYM_VAR);
		if (!symbol)
			return gd_ptx_no_memory(lower->module);
		symbol->var = var;
		var->address = base + params[i].offset;
		words[i] = (struct gd_vm_words){.offset = (uint32_t)(var->address / 4 * 128),
						.words = (uint32_t)((var->size + 3) / 4)};
	}
	*out_words = words;
	return true;
}

static bool lower_body(struct gd_lower *lower)
{
	struct gd_ptx_module *module = lower->module;
	uint32_t outermost = lower->scope_depth;
	for (;;) {
		if (gd_ptx_accept(module, '{')) {
			if (!enter(lower))
				return false;
		} else if (gd_ptx_at(module, '}')) {
			if (lower->scope_depth == outermost)
				return true;
			gd_ptx_advance(module);
			leave(lower);
		} else if (gd_ptx_accept(module, ';')) {
			continue;
		} else if (module->token.kind == GD_TOK_WORD && module->token.text[0] == '.') {
			if (!lower_directive(lower))
				return false;
		} else {
			bool is_label = false;
			bool is_done = module->token.kind == GD_TOK_WORD && lower_label(lower, &is_label);
			if (!is_done && (is_label || !lower_statement(lower)))
				return false;
		}
	}
}

bool gd_lower_function(struct gd_lower *lower, struct gd_ptx_func *func)
{
	struct gd_ptx_module *module = lower->module;
	struct gd_lower_func *lowered = gd_scratch_take(lower->arena, 1, sizeof(*lowered));
	if (!lowered)
		return gd_ptx_no_memory(module);
	lowered->func = func;
	func->lowered = lowered;
	lower->func = lowered;
	lower->scope_depth = 0;
	module->place = (struct gd_ptx_place){0};
	module->lexer = func->body;
	gd_ptx_advance(module);
	if (!enter(lower))
		return false;
	/* Register 0 is never used, so that 0 can mean none. */
	lowered->classes = gd_scratch_grow(lower->arena, NULL, 0, &lowered->reg_capacity, 1);
	if (!lowered->classes)
		return gd_ptx_no_memory(module);
	lowered->reg_count = 1;
	if (!func->is_entry) {
		uint32_t returns_at = (func->param_bytes + 3) & ~3u;
		lowered->word_top = lowered->word_max = returns_at + ((func->return_bytes + 3) & ~3u);
		if (!declare_signature(lower, func->returns, func->return_count, returns_at,
				       &lowered->returns))
			return false;
	}
	if (!declare_signature(lower, func->params, func->param_count, 0, &lowered->params) ||
	    !lower_body(lower))
		return false;
	struct gd_lir *end = NULL;
	lower->stmt.has_guard = false;
	end = gd_lower_emit(lower, func->is_entry ? GD_OP_exit : GD_OP_ret);
	if (!end)
		return gd_ptx_no_memory(module);
	end->kind = GD_LIR_END;
	bool is_resolved = gd_lower_labels_resolve(lower);
	leave(lower);
	return is_resolved;
}
