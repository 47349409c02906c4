#include "gpu/device/reference/lower.h"

#include <string.h>

#define UNSET UINT32_MAX

static uint32_t hash_of(const char *text, uint32_t length, uint32_t scope)
{
	uint32_t hash = 2166136261u ^ scope;
	for (uint32_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619u;
	return hash;
}

bool gd_lower_label_new(struct gd_lower *lower, uint32_t *out_label)
{
	struct gd_lower_func *func = lower->func;
	size_t capacity = func->label_capacity;
	if (func->label_count == GD_PTX_INSTRUCTIONS_MAX)
		return gd_lower_wrong(lower, "too many branches");
	func->label_at = gd_scratch_grow(lower->arena, func->label_at, func->label_count, &capacity,
					 sizeof(*func->label_at));
	func->label_capacity = capacity;
	func->uses = gd_scratch_grow(lower->arena, func->uses, func->label_count, &func->use_capacity,
				     sizeof(*func->uses));
	if (!func->label_at || !func->uses)
		return gd_ptx_no_memory(lower->module);
	func->label_at[func->label_count] = UNSET;
	func->uses[func->label_count] = (struct gd_lower_use){0};
	*out_label = (uint32_t)func->label_count++;
	return true;
}

bool gd_lower_label_named(struct gd_lower *lower, const struct gd_ptx_operand *name, uint32_t *out_label)
{
	if (name->kind != GD_O_NAME)
		return gd_lower_wrong(lower, "expected a label");
	if (!gd_lower_label_new(lower, out_label))
		return false;
	lower->func->uses[*out_label] = (struct gd_lower_use){.text = name->text,
							      .length = name->length,
							      .scope = lower->scopes[lower->scope_depth],
							      .line = lower->module->place.line};
	return true;
}

void gd_lower_label_set(struct gd_lower *lower, uint32_t label)
{
	lower->func->label_at[label] = (uint32_t)lower->func->lir_count;
}

static struct gd_ptx_label *find_in(const struct gd_lower_func *func, const char *text, uint32_t length,
				    uint32_t scope)
{
	if (!func->label_bucket_count)
		return NULL;
	uint32_t hash = hash_of(text, length, scope);
	struct gd_ptx_label *label = func->label_buckets[hash & (func->label_bucket_count - 1)];
	for (; label; label = label->next) {
		if (label->hash == hash && label->scope == scope && label->length == length &&
		    !memcmp(label->text, text, length))
			return label;
	}
	return NULL;
}

struct gd_ptx_label *gd_lower_label_find(const struct gd_lower_func *func, const char *text, uint32_t length,
					 uint32_t scope)
{
	for (; scope != UINT32_MAX; scope = func->scope_parent[scope]) {
		struct gd_ptx_label *label = find_in(func, text, length, scope);
		if (label)
			return label;
	}
	return NULL;
}

bool gd_lower_label_define(struct gd_lower *lower, const struct gd_token *name,
			   struct gd_ptx_operand *targets, uint32_t count)
{
	struct gd_lower_func *func = lower->func;
	uint32_t scope = lower->scopes[lower->scope_depth];
	if (!func->label_bucket_count) {
		func->label_buckets = gd_scratch_take(lower->arena, 1u << 14, sizeof(*func->label_buckets));
		if (!func->label_buckets)
			return gd_ptx_no_memory(lower->module);
		func->label_bucket_count = 1u << 14;
	}
	if (find_in(func, name->text, name->length, scope))
		return gd_ptx_fail(lower->module, "the label `%.*s` stands twice", (int)(name->length & 63),
				   name->text);
	struct gd_ptx_label *label = gd_scratch_take(lower->arena, 1, sizeof(*label));
	if (!label)
		return gd_ptx_no_memory(lower->module);
	*label = (struct gd_ptx_label){.text = name->text,
				       .length = name->length,
				       .hash = hash_of(name->text, name->length, scope),
				       .scope = scope,
				       .at = (uint32_t)func->lir_count,
				       .targets = targets,
				       .target_count = count};
	struct gd_ptx_label **bucket = &func->label_buckets[label->hash & (func->label_bucket_count - 1)];
	label->next = *bucket;
	*bucket = label;
	return true;
}

bool gd_lower_labels_resolve(struct gd_lower *lower)
{
	struct gd_lower_func *func = lower->func;
	for (size_t i = 0; i < func->label_count; i++) {
		const struct gd_lower_use *use = &func->uses[i];
		if (!use->text)
			continue;
		const struct gd_ptx_label *label =
		    gd_lower_label_find(func, use->text, use->length, use->scope);
		if (!label || label->targets)
			return gd_error_set(lower->error, GD_INVALID_PROGRAM,
					    "Post PTX as NVRTC or ptxas accepts it.",
					    "PTX line %u: there is no label `%.*s`", use->line,
					    (int)(use->length < 100 ? use->length : 100), use->text);
		func->label_at[i] = label->at;
	}
	return true;
}
