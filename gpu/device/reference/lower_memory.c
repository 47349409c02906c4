/*
 * Loads, stores, atomics and address conversions. Addresses of the shared, local and parameter spaces become
 * generic by adding the base of their window, so execution knows generic addresses only.
 */
#include "gpu/device/reference/access.h"
#include "gpu/device/reference/lower.h"
#include "gpu/device/reference/lower_access.h"
#include "gpu/device/reference/sync.h"

static bool read_space(struct gd_lower *lower, enum gd_ptx_space *out_space)
{
	static const struct {
		const char *name;
		enum gd_ptx_space space;
	} names[] = {{"global", GD_SP_GLOBAL},
		     {"shared", GD_SP_SHARED},
		     {"shared::cta", GD_SP_SHARED},
		     {"local", GD_SP_LOCAL},
		     {"const", GD_SP_CONST},
		     {"param", GD_SP_PARAM_ENTRY},
		     {"param::entry", GD_SP_PARAM_ENTRY},
		     {"param::func", GD_SP_PARAM_FUNC}};
	*out_space = GD_SP_GENERIC;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!gd_lower_mod(lower, names[i].name))
			continue;
		if (*out_space != GD_SP_GENERIC)
			return gd_lower_wrong(lower, "two state spaces");
		*out_space = names[i].space;
	}
	return true;
}

/* Memory order and scope, cache hints: what one thread per block and a coherent host memory give anyway. */
static bool read_order(struct gd_lower *lower, bool *out_waits)
{
	static const char *const waiting[] = {"volatile", "relaxed", "acquire", "mmio"};
	static const char *const others[] = {"weak",
					     "release",
					     "acq_rel",
					     "sc",
					     "cta",
					     "cluster",
					     "gpu",
					     "sys",
					     "nc",
					     "ca",
					     "cg",
					     "cs",
					     "lu",
					     "cv",
					     "wb",
					     "wt",
					     "L1::evict_normal",
					     "L1::evict_unchanged",
					     "L1::evict_first",
					     "L1::evict_last",
					     "L1::no_allocate",
					     "L2::64B",
					     "L2::128B",
					     "L2::256B"};
	*out_waits = false;
	for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++)
		*out_waits |= gd_lower_mod(lower, waiting[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		gd_lower_mod(lower, others[i]);
	return true;
}

uint64_t gd_lower_window(enum gd_ptx_space space)
{
	switch (space) {
	case GD_SP_SHARED:
		return GD_SLOT_BASE(GD_SLOT_SHARED);
	case GD_SP_LOCAL:
		return GD_SLOT_BASE(GD_SLOT_LOCAL);
	case GD_SP_PARAM_ENTRY:
		return GD_SLOT_BASE(GD_SLOT_PARAM);
	default:
		return 0;
	}
}

bool gd_lower_address(struct gd_lower *lower, const struct gd_ptx_operand *operand, enum gd_ptx_space space,
		      struct gd_lower_place *out_place)
{
	struct gd_lower_place place = {.is_wide = true, .imm = operand->value + gd_lower_window(space)};
	const struct gd_ptx_var *var = operand->var;
	if (!operand->is_memory)
		return gd_lower_wrong(lower, "expected an address in [ ]");
	switch (operand->kind) {
	case GD_O_REG:
		if (gd_ptx_types[operand->type].class != GD_CLASS_64 &&
		    (gd_ptx_types[operand->type].class != GD_CLASS_32 || space == GD_SP_GENERIC ||
		     space == GD_SP_GLOBAL || space == GD_SP_CONST))
			return gd_lower_wrong(lower, "an address in a register of the wrong size");
		place.is_wide = gd_ptx_types[operand->type].class == GD_CLASS_64;
		place.base = GD_OPND(GD_OPND_REG, operand->reg);
		break;
	case GD_O_INT:
		place.base = gd_lower_const(lower, GD_CLASS_64, 0);
		break;
	case GD_O_VAR:
		if (var->is_extern && !var->is_dynamic)
			return gd_lower_wrong(lower, "`%.60s` is defined nowhere", var->name);
		if (var->space == GD_SP_PARAM_FUNC || (space != GD_SP_GENERIC && space != var->space))
			return gd_lower_wrong(lower, "`%.60s` lies in another state space", var->name);
		gd_lower_touch(lower, operand->var);
		place.imm = operand->value + gd_lower_window(var->space);
		if (var->is_dynamic) {
			place.base = gd_lower_dynamic(lower, 0);
		} else if (var->space == GD_SP_LOCAL) {
			place.base = gd_lower_temp(lower, GD_CLASS_64);
			if (!place.base || !gd_lower_op(lower, GD_OP_local_address, place.base, 0, 0, 0))
				return gd_lower_wrong(lower, "too many registers");
			lower->func->lir[lower->func->lir_count - 1].imm = var->address;
		} else {
			place.base = gd_lower_const(lower, GD_CLASS_64, 0);
			place.imm += var->address;
		}
		break;
	default:
		return gd_lower_wrong(lower, "`%.*s` is no address", (int)(operand->length & 63),
				      operand->text ? operand->text : "");
	}
	*out_place = place;
	return place.base || gd_lower_wrong(lower, "too many constants");
}

/* The registers of a load or store: one, or a list of two or four. */
static bool read_elements(struct gd_lower *lower, const struct gd_ptx_operand *operand,
			  struct gd_lower_elements *elements)
{
	bool has_v2 = gd_lower_mod(lower, "v2"), has_v4 = gd_lower_mod(lower, "v4");
	enum gd_ptx_type types[4];
	if (gd_lower_types(lower, types) != 1 || types[0] == GD_T_PRED ||
	    gd_ptx_types[types[0]].class == GD_CLASS_COUNT)
		return gd_lower_unknown(lower, "%s", "");
	elements->type = types[0];
	elements->count = has_v4 ? 4 : has_v2 ? 2 : 1;
	elements->items = elements->count > 1 ? operand->items : operand;
	if ((elements->count > 1) != (operand->kind == GD_O_LIST) ||
	    (elements->count > 1 && operand->count != elements->count))
		return gd_lower_wrong(lower, "a vector of another length");
	if (elements->count * gd_ptx_types[types[0]].bytes > 16)
		return gd_lower_unknown(lower, "%s", "");
	return true;
}

bool gd_lower_element_class(struct gd_lower *lower, const struct gd_ptx_operand *operand,
			    enum gd_ptx_type type, enum gd_class *out_class)
{
	enum gd_class own = gd_ptx_types[type].class;
	*out_class = operand->kind == GD_O_REG ? gd_ptx_types[operand->type].class : own;
	if (*out_class == GD_CLASS_PRED || *out_class == GD_CLASS_COUNT || *out_class < own)
		return gd_lower_wrong(lower, "a register narrower than its type");
	return true;
}

static const enum gd_ptx_type type_of_class[GD_CLASS_COUNT] = {[GD_CLASS_PRED] = GD_T_PRED,
							       [GD_CLASS_16] = GD_T_B16,
							       [GD_CLASS_32] = GD_T_B32,
							       [GD_CLASS_64] = GD_T_B64};

bool gd_lower_element_dst(struct gd_lower *lower, const struct gd_ptx_operand *operand, enum gd_ptx_type type,
			  enum gd_class *out_class, uint32_t *out_opnd)
{
	return gd_lower_element_class(lower, operand, type, out_class) &&
	       gd_lower_dst_of(lower, operand, type_of_class[*out_class], out_opnd);
}

bool gd_lower_element_src(struct gd_lower *lower, const struct gd_ptx_operand *operand, enum gd_ptx_type type,
			  enum gd_class *out_class, uint32_t *out_opnd)
{
	bool is_register = operand->kind == GD_O_REG;
	return gd_lower_element_class(lower, operand, type, out_class) &&
	       gd_lower_src_of(lower, operand, is_register ? type_of_class[*out_class] : type, out_opnd);
}

static enum gd_op load_op(enum gd_ptx_type type, enum gd_class class)
{
	static const enum gd_op ops[9][2][GD_CLASS_COUNT] = {
	    [1] = {{[GD_CLASS_16] = GD_OP_ld_u8_16,
		    [GD_CLASS_32] = GD_OP_ld_u8_32,
		    [GD_CLASS_64] = GD_OP_ld_u8_64},
		   {[GD_CLASS_16] = GD_OP_ld_s8_16,
		    [GD_CLASS_32] = GD_OP_ld_s8_32,
		    [GD_CLASS_64] = GD_OP_ld_s8_64}},
	    [2] = {{[GD_CLASS_16] = GD_OP_ld_u16_16,
		    [GD_CLASS_32] = GD_OP_ld_u16_32,
		    [GD_CLASS_64] = GD_OP_ld_u16_64},
		   {[GD_CLASS_16] = GD_OP_ld_u16_16,
		    [GD_CLASS_32] = GD_OP_ld_s16_32,
		    [GD_CLASS_64] = GD_OP_ld_s16_64}},
	    [4] = {{[GD_CLASS_32] = GD_OP_ld_u32_32, [GD_CLASS_64] = GD_OP_ld_u32_64},
		   {[GD_CLASS_32] = GD_OP_ld_u32_32, [GD_CLASS_64] = GD_OP_ld_s32_64}},
	    [8] = {{[GD_CLASS_64] = GD_OP_ld_u64_64}, {[GD_CLASS_64] = GD_OP_ld_u64_64}},
	};
	return ops[gd_ptx_types[type].bytes][gd_ptx_types[type].kind == GD_K_SIGNED][class];
}

static enum gd_op store_op(enum gd_ptx_type type, enum gd_class class)
{
	static const enum gd_op ops[9][GD_CLASS_COUNT] = {
	    [1] =
		{[GD_CLASS_16] = GD_OP_st_8_16, [GD_CLASS_32] = GD_OP_st_8_32, [GD_CLASS_64] = GD_OP_st_8_64},
	    [2] = {[GD_CLASS_16] = GD_OP_st_16_16,
		   [GD_CLASS_32] = GD_OP_st_16_32,
		   [GD_CLASS_64] = GD_OP_st_16_64},
	    [4] = {[GD_CLASS_32] = GD_OP_st_32_32, [GD_CLASS_64] = GD_OP_st_32_64},
	    [8] = {[GD_CLASS_64] = GD_OP_st_64_64},
	};
	return ops[gd_ptx_types[type].bytes][class];
}

/* One memory instruction; all elements have registers of the same class. */
static bool emit_access(struct gd_lower *lower, enum gd_op op, const struct gd_lower_place *place,
			enum gd_ptx_space space, const uint32_t *values, uint32_t count, bool is_load)
{
	struct gd_lir *lir = gd_lower_emit(lower, op);
	if (!lir)
		return gd_lower_wrong(lower, "too many instructions");
	lir->o[0] = place->base;
	for (uint32_t i = 0; i < count; i++) {
		lir->o[1 + i] = values[i];
		if (is_load)
			lir->defs |= (uint8_t)(2u << i);
	}
	lir->imm = place->imm;
	lir->aux = lower->site_count++;
	lir->aux2 = count | (place->is_wide ? GD_ACCESS_WIDE : 0) | (uint32_t)space << GD_ACCESS_SPACE_SHIFT;
	return true;
}

/* Registers of several classes in one vector: `_` and wider registers may stand beside others. */
static bool same_class(struct gd_lower *lower, enum gd_class *class, enum gd_class next, uint32_t index)
{
	if (!index)
		*class = next;
	return *class == next || gd_lower_unknown(lower, " with registers of several sizes");
}

static bool load(struct gd_lower *lower)
{
	struct gd_lower_elements elements;
	struct gd_lower_place place;
	enum gd_ptx_space space;
	enum gd_class class = GD_CLASS_16, next;
	uint32_t values[4];
	bool waits;
	const struct gd_ptx_operand *from = &lower->stmt.operands[1];
	if (!gd_lower_operands(lower, 2, 2) || !read_space(lower, &space) || !read_order(lower, &waits) ||
	    !read_elements(lower, &lower->stmt.operands[0], &elements))
		return false;
	if (from->kind == GD_O_VAR && from->var->space == GD_SP_PARAM_FUNC)
		return gd_lower_words_load(lower, from, &elements);
	if (from->kind == GD_O_VAR && from->var->space == GD_SP_PARAM_ENTRY)
		return gd_lower_params_load(lower, from, &elements);
	if (space == GD_SP_PARAM_FUNC || (space == GD_SP_PARAM_ENTRY && !lower->func->func->is_entry))
		return gd_lower_unknown(lower, ": the address of a parameter of a function");
	if (waits && !gd_lower_emit(lower, GD_OP_spin))
		return gd_lower_wrong(lower, "too many instructions");
	for (uint32_t i = 0; i < elements.count; i++) {
		if (!gd_lower_element_dst(lower, &elements.items[i], elements.type, &next, &values[i]) ||
		    !same_class(lower, &class, next, i))
			return false;
	}
	return gd_lower_address(lower, from, space, &place) &&
	       emit_access(lower, load_op(elements.type, class), &place, space, values, elements.count, true);
}

static bool store(struct gd_lower *lower)
{
	struct gd_lower_elements elements;
	struct gd_lower_place place;
	enum gd_ptx_space space;
	enum gd_class class = GD_CLASS_16, next;
	uint32_t values[4];
	bool waits;
	const struct gd_ptx_operand *to = &lower->stmt.operands[0];
	if (!gd_lower_operands(lower, 2, 2) || !read_space(lower, &space) || !read_order(lower, &waits) ||
	    !read_elements(lower, &lower->stmt.operands[1], &elements))
		return false;
	if (to->kind == GD_O_VAR && to->var->space == GD_SP_PARAM_FUNC)
		return gd_lower_words_store(lower, to, &elements);
	if (space == GD_SP_PARAM_ENTRY || space == GD_SP_PARAM_FUNC || space == GD_SP_CONST)
		return gd_lower_wrong(lower, "a store to a state space that is read only");
	for (uint32_t i = 0; i < elements.count; i++) {
		if (!gd_lower_element_src(lower, &elements.items[i], elements.type, &next, &values[i]) ||
		    !same_class(lower, &class, next, i))
			return false;
	}
	return gd_lower_address(lower, to, space, &place) &&
	       emit_access(lower, store_op(elements.type, class), &place, space, values, elements.count,
			   false);
}

static bool atomic_operation(struct gd_lower *lower, enum gd_ptx_type type, enum gd_ptx_space space,
			     uint32_t *out_op)
{
	static const char *const names[] = {"add", "min",  "max", "and", "or",
					    "xor", "exch", "cas", "inc", "dec"};
	static const enum gd_atom ops[] = {GD_ATOM_ADD, GD_ATOM_MIN_U, GD_ATOM_MAX_U, GD_ATOM_AND,
					   GD_ATOM_OR,  GD_ATOM_XOR,   GD_ATOM_EXCH,  GD_ATOM_CAS,
					   GD_ATOM_INC, GD_ATOM_DEC};
	uint32_t which = gd_lower_mod_of(lower, names, 10), bytes = gd_ptx_types[type].bytes;
	bool is_float = gd_ptx_types[type].kind == GD_K_FLOAT, sign = gd_ptx_types[type].kind == GD_K_SIGNED;
	gd_lower_mod(lower, "noftz");
	if (!which || bytes < 2 || bytes > 8 || type == GD_T_U16X2 || type == GD_T_S16X2)
		return gd_lower_unknown(lower, "%s", "");
	enum gd_atom op = ops[which - 1];
	if (sign && (op == GD_ATOM_MIN_U || op == GD_ATOM_MAX_U))
		op = op == GD_ATOM_MIN_U ? GD_ATOM_MIN_S : GD_ATOM_MAX_S;
	if (is_float) {
		if (op != GD_ATOM_ADD)
			return gd_lower_unknown(lower, "%s", "");
		op = GD_ATOM_ADD_F;
		/* In global memory subnormals are flushed (PTX ISA, atom). */
		if (type == GD_T_F32 && space != GD_SP_SHARED)
			op = GD_ATOM_ADD_FTZ;
		else if (type == GD_T_BF16)
			op = GD_ATOM_ADD_BF16;
		else if (type == GD_T_F16X2)
			op = GD_ATOM_ADD_F16X2;
		else if (type == GD_T_BF16X2)
			op = GD_ATOM_ADD_BF16X2;
	} else if (bytes == 2 && op != GD_ATOM_CAS && op != GD_ATOM_EXCH) {
		return gd_lower_unknown(lower, "%s", "");
	}
	*out_op = op;
	return true;
}

/* What one atom or red does; its elements differ in operands and place only. */
struct update {
	enum gd_ptx_type type;
	enum gd_ptx_space space;
	uint32_t operation;
	struct gd_lower_place place;
};

/* `result` is NULL for red, `c` for all but cas. */
static bool emit_update(struct gd_lower *lower, const struct update *update,
			const struct gd_ptx_operand *result, const struct gd_ptx_operand *b,
			const struct gd_ptx_operand *c, uint32_t offset)
{
	static const enum gd_op ops[GD_CLASS_COUNT] = {
	    [GD_CLASS_16] = GD_OP_atom_16, [GD_CLASS_32] = GD_OP_atom_32, [GD_CLASS_64] = GD_OP_atom_64};
	enum gd_class class = gd_ptx_types[update->type].class;
	uint32_t to = 0, value, other;
	if (result ? !gd_lower_dst_of(lower, result, update->type, &to) : !(to = gd_lower_temp(lower, class)))
		return false;
	if (!gd_lower_src_of(lower, b, update->type, &value))
		return false;
	other = value;
	if (c && !gd_lower_src_of(lower, c, update->type, &other))
		return false;
	struct gd_lir *lir = gd_lower_emit(lower, ops[class]);
	if (!lir)
		return gd_lower_wrong(lower, "too many instructions");
	lir->o[0] = to;
	lir->o[1] = update->place.base;
	lir->o[2] = value;
	lir->o[3] = other;
	lir->defs = 1;
	lir->imm = update->place.imm + offset;
	lir->aux = lower->site_count++;
	lir->aux2 = 1 | (update->place.is_wide ? GD_ACCESS_WIDE : 0) |
		    (uint32_t)update->space << GD_ACCESS_SPACE_SHIFT | update->operation << GD_ATOM_SHIFT;
	return true;
}

/* atom has a result, red none. Vectors are as many separate updates: only each element is atomic (PTX ISA).
 */
static bool update(struct gd_lower *lower, bool has_result)
{
	static const char *const vectors[] = {"v2", "v4", "v8"};
	const struct gd_ptx_operand *o = lower->stmt.operands;
	struct update update = {0};
	enum gd_ptx_type types[4];
	uint32_t first = has_result ? 1 : 0, vector = gd_lower_mod_of(lower, vectors, 3);
	bool waits;
	if (!read_space(lower, &update.space) || !read_order(lower, &waits))
		return false;
	if (gd_lower_types(lower, types) != 1 || gd_ptx_types[types[0]].class == GD_CLASS_COUNT ||
	    types[0] == GD_T_PRED ||
	    (update.space != GD_SP_GENERIC && update.space != GD_SP_GLOBAL && update.space != GD_SP_SHARED))
		return gd_lower_unknown(lower, "%s", "");
	update.type = types[0];
	if (!atomic_operation(lower, update.type, update.space, &update.operation))
		return false;
	bool is_cas = update.operation == GD_ATOM_CAS;
	uint32_t count = first + (is_cas ? 3 : 2), elements = vector ? 1u << vector : 1;
	if (!gd_lower_operands(lower, count, count) ||
	    !gd_lower_address(lower, &o[first], update.space, &update.place))
		return false;
	if (!vector)
		return emit_update(lower, &update, has_result ? &o[0] : NULL, &o[first + 1],
				   is_cas ? &o[first + 2] : NULL, 0);
	if (is_cas || o[first + 1].kind != GD_O_LIST || o[first + 1].count != elements ||
	    (has_result && (o[0].kind != GD_O_LIST || o[0].count != elements)))
		return gd_lower_wrong(lower, "a vector of another length");
	for (uint32_t i = 0; i < elements; i++) {
		if (!emit_update(lower, &update, has_result ? &o[0].items[i] : NULL, &o[first + 1].items[i],
				 NULL, i * gd_ptx_types[update.type].bytes))
			return false;
	}
	return true;
}

static bool lower_atom(struct gd_lower *lower)
{
	return update(lower, true);
}

static bool lower_red(struct gd_lower *lower)
{
	return update(lower, false);
}

static bool lower_cvta(struct gd_lower *lower)
{
	enum gd_ptx_space space;
	enum gd_ptx_type types[4];
	struct gd_ptx_operand *from = &lower->stmt.operands[1];
	struct gd_lower_place place;
	uint32_t to, base;
	bool is_to = gd_lower_mod(lower, "to");
	if (!gd_lower_operands(lower, 2, 2) || !read_space(lower, &space))
		return false;
	if (gd_lower_types(lower, types) != 1 || types[0] != GD_T_U64 || space == GD_SP_GENERIC ||
	    space == GD_SP_PARAM_FUNC)
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_dst(lower, 0, GD_T_U64, &to))
		return false;
	uint64_t window = gd_lower_window(space);
	if (from->kind == GD_O_VAR && !is_to) {
		/* The variable's generic address, as a memory operand would have it. */
		from->is_memory = true;
		return gd_lower_address(lower, from, space, &place) &&
		       (base = gd_lower_const(lower, GD_CLASS_64, place.imm)) != GD_OPND_NONE &&
		       gd_lower_op(lower, GD_OP_add_64, to, place.base, base, 0);
	}
	if (!gd_lower_src(lower, 1, GD_T_U64, &base))
		return false;
	if (!window)
		return gd_lower_op(lower, GD_OP_mov_64, to, base, 0, 0);
	uint32_t offset = gd_lower_const(lower, GD_CLASS_64, window);
	return offset && gd_lower_op(lower, is_to ? GD_OP_sub_64 : GD_OP_add_64, to, base, offset, 0);
}

static bool lower_isspacep(struct gd_lower *lower)
{
	enum gd_ptx_space space;
	uint32_t to, a;
	if (!gd_lower_operands(lower, 2, 2) || !read_space(lower, &space))
		return false;
	if (space == GD_SP_GENERIC || space == GD_SP_PARAM_FUNC)
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_dst(lower, 0, GD_T_PRED, &to) || !gd_lower_src(lower, 1, GD_T_U64, &a) ||
	    !gd_lower_op(lower, GD_OP_isspacep, to, a, 0, 0))
		return false;
	lower->func->lir[lower->func->lir_count - 1].aux = space;
	return true;
}

/* prefetch, discard and their like change nothing that a program can see. */
static bool lower_prefetch(struct gd_lower *lower)
{
	static const char *const hints[] = {"L1",     "L2",    "L2::evict_last", "L2::evict_normal",
					    "global", "local", "uniform",        "global::L2"};
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		gd_lower_mod(lower, hints[i]);
	return gd_lower_operands(lower, 1, 2);
}

const struct gd_lower_rule gd_lower_memory_rules[] = {
    {.name = "ld", .fn = load},
    {.name = "ldu", .fn = load},
    {.name = "st", .fn = store},
    {.name = "atom", .fn = lower_atom},
    {.name = "red", .fn = lower_red},
    {.name = "cvta", .fn = lower_cvta},
    {.name = "isspacep", .fn = lower_isspacep},
    {.name = "prefetch", .fn = lower_prefetch},
    {.name = "prefetchu", .fn = lower_prefetch},
    {.name = "applypriority", .fn = lower_prefetch},
    {.name = NULL},
};
