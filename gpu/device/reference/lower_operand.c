#include "gpu/device/reference/lower.h"

#include <string.h>

struct gd_pool_key {
	uint64_t value;
	uint32_t class, offset;
};

static const uint32_t class_bytes[GD_CLASS_COUNT] = {
    [GD_CLASS_PRED] = 64, [GD_CLASS_16] = 64, [GD_CLASS_32] = 128, [GD_CLASS_64] = 256};

uint32_t gd_lower_temp(struct gd_lower *lower, enum gd_class class)
{
	struct gd_lower_func *func = lower->func;
	if (func->reg_count == GD_PTX_REGISTERS_MAX)
		return GD_OPND_NONE;
	func->classes = gd_scratch_grow(lower->arena, func->classes, func->reg_count, &func->reg_capacity, 1);
	if (!func->classes)
		return GD_OPND_NONE;
	func->classes[func->reg_count] = (uint8_t) class;
	return GD_OPND(GD_OPND_REG, func->reg_count++);
}

/* Append an entry for all lanes. Returns its operand. */
static uint32_t pool_append(struct gd_lower *lower, enum gd_class class, uint64_t value)
{
	uint32_t bytes = class_bytes[class];
	while (lower->pool_bytes + bytes > lower->pool_capacity) {
		if (lower->pool_capacity > GD_CONSTANT_BYTES_MAX)
			return GD_OPND_NONE;
		size_t capacity = lower->pool_capacity ? lower->pool_capacity : 2048;
		uint8_t *moved = gd_scratch_take(lower->arena, 2 * capacity + 64, 1);
		if (!moved)
			return GD_OPND_NONE;
		if (lower->pool_bytes)
			memcpy(moved, lower->pool, lower->pool_bytes);
		lower->pool = moved;
		lower->pool_capacity = 2 * capacity;
	}
	uint8_t *entry = lower->pool + lower->pool_bytes;
	for (uint32_t lane = 0; lane < GD_LANES; lane++) {
		if (class == GD_CLASS_64)
			memcpy(entry + 8 * lane, &value, 8);
		else if (class == GD_CLASS_32)
			memcpy(entry + 4 * lane, &value, 4);
		else if (class == GD_CLASS_16)
			memcpy(entry + 2 * lane, &value, 2);
	}
	if (class == GD_CLASS_PRED)
		memset(entry, value ? 0xff : 0, 4);
	uint32_t offset = (uint32_t)lower->pool_bytes;
	lower->pool_bytes += bytes;
	return GD_OPND(GD_OPND_CONST, offset / 64);
}

static size_t hash_of(enum gd_class class, uint64_t value)
{
	uint64_t hash = (value ^ (uint64_t) class << 61) * 0x9e3779b97f4a7c15ull;
	return (size_t)(hash >> 20);
}

/* Keep the table at most half full. */
static bool hash_grow(struct gd_lower *lower)
{
	size_t size = lower->pool_hash_size ? 2 * lower->pool_hash_size : 256;
	uint32_t *table = gd_scratch_take(lower->arena, size, sizeof(*table));
	if (!table)
		return false;
	for (size_t i = 0; i < lower->pool_key_count; i++) {
		const struct gd_pool_key *key = &lower->pool_keys[i];
		size_t at = hash_of(key->class, key->value) & (size - 1);
		while (table[at])
			at = (at + 1) & (size - 1);
		table[at] = (uint32_t)i + 1;
	}
	lower->pool_hash = table;
	lower->pool_hash_size = size;
	return true;
}

uint32_t gd_lower_const(struct gd_lower *lower, enum gd_class class, uint64_t value)
{
	if (class == GD_CLASS_32)
		value &= UINT32_MAX;
	else if (class == GD_CLASS_16)
		value &= 0xffff;
	else if (class == GD_CLASS_PRED)
		value = value != 0;
	if (2 * lower->pool_key_count >= lower->pool_hash_size && !hash_grow(lower))
		return GD_OPND_NONE;
	size_t at = hash_of(class, value) & (lower->pool_hash_size - 1);
	for (; lower->pool_hash[at]; at = (at + 1) & (lower->pool_hash_size - 1)) {
		const struct gd_pool_key *key = &lower->pool_keys[lower->pool_hash[at] - 1];
		if (key->class == class && key->value == value)
			return GD_OPND(GD_OPND_CONST, key->offset / 64);
	}
	uint32_t opnd = pool_append(lower, class, value);
	lower->pool_keys = gd_scratch_grow(lower->arena, lower->pool_keys, lower->pool_key_count,
					   &lower->pool_key_capacity, sizeof(*lower->pool_keys));
	if (opnd == GD_OPND_NONE || !lower->pool_keys)
		return GD_OPND_NONE;
	lower->pool_keys[lower->pool_key_count++] =
	    (struct gd_pool_key){.value = value, .class = class, .offset = GD_OPND_ID(opnd) * 64};
	lower->pool_hash[at] = (uint32_t)lower->pool_key_count;
	return opnd;
}

uint32_t gd_lower_dynamic(struct gd_lower *lower, uint64_t addend)
{
	uint32_t opnd = pool_append(lower, GD_CLASS_64, 0);
	lower->patches = gd_scratch_grow(lower->arena, lower->patches, lower->patch_count,
					 &lower->patch_capacity, sizeof(*lower->patches));
	if (opnd == GD_OPND_NONE || !lower->patches)
		return GD_OPND_NONE;
	lower->patches[lower->patch_count++] =
	    (struct gd_lower_patch){.offset = GD_OPND_ID(opnd) * 64, .addend = addend};
	return opnd;
}

/* An immediate as the bits of `type`. */
static bool immediate_bits(struct gd_lower *lower, const struct gd_ptx_operand *operand,
			   enum gd_ptx_type type, uint64_t *out_bits)
{
	const struct gd_ptx_type_info *info = &gd_ptx_types[type];
	float single;
	double number;
	uint32_t narrow;
	if (operand->kind == GD_O_INT) {
		/* An integer for a floating type would be its bits in ptxas, too: that is an error there. */
		if (info->kind == GD_K_FLOAT && info->bytes > 2 && operand->value && type != GD_T_F16X2 &&
		    type != GD_T_BF16X2)
			return gd_lower_wrong(lower, "an integer where a floating constant is expected");
		*out_bits = operand->value;
		return true;
	}
	if (info->kind != GD_K_FLOAT && info->kind != GD_K_BITS)
		return gd_lower_wrong(lower, "a floating constant where an integer is expected");
	if (operand->kind == GD_O_F32) {
		*out_bits = operand->value;
		if (info->bytes == 4)
			return true;
		narrow = (uint32_t)operand->value;
		memcpy(&single, &narrow, sizeof(single));
		number = (double)single;
		memcpy(out_bits, &number, sizeof(number));
		return info->bytes == 8 || gd_lower_wrong(lower, "a constant of the wrong size");
	}
	*out_bits = operand->value;
	if (info->bytes == 8)
		return true;
	memcpy(&number, &operand->value, sizeof(number));
	single = (float)number;
	memcpy(&narrow, &single, sizeof(narrow));
	*out_bits = narrow;
	return info->bytes == 4 || gd_lower_wrong(lower, "a constant of the wrong size");
}

bool gd_lower_src_of(struct gd_lower *lower, const struct gd_ptx_operand *operand, enum gd_ptx_type type,
		     uint32_t *out_opnd)
{
	enum gd_class class = gd_ptx_types[type].class;
	uint64_t bits = 0;
	if (class == GD_CLASS_COUNT)
		return gd_lower_unknown(lower, " with 128-bit operands");
	if (operand->is_memory || operand->is_negated || operand->second)
		return gd_lower_wrong(lower, "an operand of the wrong form");
	switch (operand->kind) {
	case GD_O_REG:
		if (gd_ptx_types[operand->type].class != class || operand->value)
			return gd_lower_wrong(lower, "`%.*s` is declared .%s, which does not fit .%s",
					      (int)(operand->length & 63), operand->text,
					      gd_ptx_types[operand->type].name, gd_ptx_types[type].name);
		*out_opnd = GD_OPND(GD_OPND_REG, operand->reg);
		return true;
	case GD_O_INT:
	case GD_O_F32:
	case GD_O_F64:
		if (!immediate_bits(lower, operand, type, &bits))
			return false;
		*out_opnd = gd_lower_const(lower, class, bits);
		return *out_opnd != GD_OPND_NONE || gd_lower_wrong(lower, "too many constants");
	default:
		return gd_lower_wrong(lower, "`%.*s` is no register and no constant",
				      (int)(operand->length & 63), operand->text ? operand->text : "");
	}
}

bool gd_lower_src(struct gd_lower *lower, uint32_t index, enum gd_ptx_type type, uint32_t *out_opnd)
{
	if (index >= lower->stmt.operand_count)
		return gd_lower_wrong(lower, "too few operands");
	return gd_lower_src_of(lower, &lower->stmt.operands[index], type, out_opnd);
}

bool gd_lower_dst_of(struct gd_lower *lower, const struct gd_ptx_operand *operand, enum gd_ptx_type type,
		     uint32_t *out_opnd)
{
	enum gd_class class = gd_ptx_types[type].class;
	if (class == GD_CLASS_COUNT)
		return gd_lower_unknown(lower, " with 128-bit operands");
	if (operand->kind == GD_O_SINK) {
		*out_opnd = gd_lower_temp(lower, class);
		return *out_opnd != GD_OPND_NONE || gd_lower_wrong(lower, "too many registers");
	}
	if (operand->kind != GD_O_REG || operand->is_memory || operand->is_negated || operand->value)
		return gd_lower_wrong(lower, "a result that is no register");
	if (gd_ptx_types[operand->type].class != class)
		return gd_lower_wrong(lower, "`%.*s` is declared .%s, which does not fit .%s",
				      (int)(operand->length & 63), operand->text,
				      gd_ptx_types[operand->type].name, gd_ptx_types[type].name);
	*out_opnd = GD_OPND(GD_OPND_REG, operand->reg);
	return true;
}

bool gd_lower_dst(struct gd_lower *lower, uint32_t index, enum gd_ptx_type type, uint32_t *out_opnd)
{
	if (index >= lower->stmt.operand_count)
		return gd_lower_wrong(lower, "too few operands");
	return gd_lower_dst_of(lower, &lower->stmt.operands[index], type, out_opnd);
}

bool gd_lower_pred(struct gd_lower *lower, const struct gd_ptx_operand *operand, uint32_t *out_opnd,
		   bool *out_negated)
{
	if (operand->kind == GD_O_INT && !operand->is_memory) {
		*out_negated = operand->is_negated;
		*out_opnd = gd_lower_const(lower, GD_CLASS_PRED, operand->value);
		return *out_opnd != GD_OPND_NONE || gd_lower_wrong(lower, "too many constants");
	}
	if (operand->kind != GD_O_REG || operand->type != GD_T_PRED || operand->is_memory || operand->value)
		return gd_lower_wrong(lower, "expected a predicate");
	*out_negated = operand->is_negated;
	*out_opnd = GD_OPND(GD_OPND_REG, operand->reg);
	return true;
}

struct gd_lir *gd_lower_emit(struct gd_lower *lower, enum gd_op op)
{
	struct gd_lower_func *func = lower->func;
	if (func->lir_count == GD_PTX_INSTRUCTIONS_MAX)
		return NULL;
	func->lir = gd_scratch_grow(lower->arena, func->lir, func->lir_count, &func->lir_capacity,
				    sizeof(*func->lir));
	if (!func->lir)
		return NULL;
	struct gd_lir *lir = &func->lir[func->lir_count++];
	*lir = (struct gd_lir){.op = (uint16_t)op, .place = lower->module->place};
	if (lower->stmt.has_guard) {
		lir->guard = GD_OPND(GD_OPND_REG, lower->stmt.guard);
		lir->guard_negated = lower->stmt.guard_negated;
	}
	return lir;
}

bool gd_lower_op(struct gd_lower *lower, enum gd_op op, uint32_t to, uint32_t a, uint32_t b, uint32_t c)
{
	struct gd_lir *lir = gd_lower_emit(lower, op);
	if (!lir)
		return gd_lower_wrong(lower, "too many instructions");
	lir->o[0] = to;
	lir->o[1] = a;
	lir->o[2] = b;
	lir->o[3] = c;
	lir->defs = 1;
	return true;
}
