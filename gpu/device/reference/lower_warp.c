/* Warp-synchronous instructions and barriers. */
#include "gpu/device/reference/lower.h"
#include "gpu/device/reference/sync.h"

static struct gd_lir *emit(struct gd_lower *lower, enum gd_op op)
{
	struct gd_lir *lir = gd_lower_emit(lower, op);
	if (!lir)
		gd_lower_say_wrong(lower, "too many instructions");
	return lir;
}

/* Result of `d|p`: the second, or a register nobody reads. */
static bool second_result(struct gd_lower *lower, const struct gd_ptx_operand *result, uint32_t *out_pred)
{
	if (result->second)
		return gd_lower_dst_of(lower, result->second, GD_T_PRED, out_pred);
	*out_pred = gd_lower_temp(lower, GD_CLASS_PRED);
	return *out_pred || gd_lower_wrong(lower, "too many registers");
}

static bool lower_shfl(struct gd_lower *lower)
{
	static const char *const modes[] = {"up", "down", "bfly", "idx"};
	enum gd_ptx_type types[4];
	uint32_t mode = gd_lower_mod_of(lower, modes, 4), to, p, a, b, c, members;
	if (!gd_lower_mod(lower, "sync") || !mode || gd_lower_types(lower, types) != 1 ||
	    types[0] != GD_T_B32)
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_operands(lower, 5, 5) || !gd_lower_dst(lower, 0, GD_T_B32, &to) ||
	    !second_result(lower, &lower->stmt.operands[0], &p) || !gd_lower_src(lower, 1, GD_T_B32, &a) ||
	    !gd_lower_src(lower, 2, GD_T_B32, &b) || !gd_lower_src(lower, 3, GD_T_B32, &c) ||
	    !gd_lower_src(lower, 4, GD_T_B32, &members))
		return false;
	struct gd_lir *lir = emit(lower, GD_OP_shfl);
	if (!lir)
		return false;
	lir->o[0] = to;
	lir->o[1] = p;
	lir->o[2] = a;
	lir->o[3] = b;
	lir->o[4] = c;
	lir->o[5] = members;
	lir->aux = mode - 1;
	lir->defs = 3;
	return true;
}

static bool lower_vote(struct gd_lower *lower)
{
	static const char *const modes[] = {"all", "any", "uni", "ballot"};
	enum gd_ptx_type types[4];
	uint32_t mode = gd_lower_mod_of(lower, modes, 4), to, p, members;
	bool is_negated;
	if (!gd_lower_mod(lower, "sync") || !mode || gd_lower_types(lower, types) != 1 ||
	    types[0] != (mode == 4 ? GD_T_B32 : GD_T_PRED))
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_operands(lower, 3, 3) || !gd_lower_dst(lower, 0, types[0], &to) ||
	    !gd_lower_pred(lower, &lower->stmt.operands[1], &p, &is_negated) ||
	    !gd_lower_src(lower, 2, GD_T_B32, &members))
		return false;
	struct gd_lir *lir = emit(lower, GD_OP_vote);
	if (!lir)
		return false;
	lir->o[0] = to;
	lir->o[1] = p;
	lir->o[5] = members;
	lir->aux = mode - 1;
	lir->aux2 = is_negated;
	lir->defs = 1;
	return true;
}

static bool lower_match(struct gd_lower *lower)
{
	static const char *const modes[] = {"any", "all"};
	enum gd_ptx_type types[4];
	uint32_t mode = gd_lower_mod_of(lower, modes, 2), to, p, a, members;
	if (!gd_lower_mod(lower, "sync") || !mode || gd_lower_types(lower, types) != 1 ||
	    (types[0] != GD_T_B32 && types[0] != GD_T_B64))
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_operands(lower, 3, 3) || !gd_lower_dst(lower, 0, GD_T_B32, &to) ||
	    !second_result(lower, &lower->stmt.operands[0], &p) || !gd_lower_src(lower, 1, types[0], &a) ||
	    !gd_lower_src(lower, 2, GD_T_B32, &members))
		return false;
	struct gd_lir *lir = emit(lower, GD_OP_match);
	if (!lir)
		return false;
	lir->o[0] = to;
	lir->o[1] = p;
	lir->o[2] = a;
	lir->o[5] = members;
	lir->aux = mode == 2 ? GD_MATCH_ALL : GD_MATCH_ANY;
	lir->aux2 = types[0] == GD_T_B64;
	lir->defs = 3;
	return true;
}

static bool lower_redux(struct gd_lower *lower)
{
	static const char *const names[] = {"add", "min", "max", "and", "or", "xor"};
	static const uint32_t ops[] = {GD_REDUX_ADD, GD_REDUX_MIN_U, GD_REDUX_MAX_U,
				       GD_REDUX_AND, GD_REDUX_OR,    GD_REDUX_XOR};
	enum gd_ptx_type types[4];
	uint32_t which = gd_lower_mod_of(lower, names, 6), to, a, members, op;
	if (!gd_lower_mod(lower, "sync") || !which || gd_lower_types(lower, types) != 1 ||
	    gd_ptx_types[types[0]].bytes != 4 || gd_ptx_types[types[0]].kind == GD_K_FLOAT)
		return gd_lower_unknown(lower, "%s", "");
	op = ops[which - 1];
	if (types[0] == GD_T_S32 && op == GD_REDUX_MIN_U)
		op = GD_REDUX_MIN_S;
	else if (types[0] == GD_T_S32 && op == GD_REDUX_MAX_U)
		op = GD_REDUX_MAX_S;
	if (!gd_lower_operands(lower, 3, 3) || !gd_lower_dst(lower, 0, GD_T_B32, &to) ||
	    !gd_lower_src(lower, 1, GD_T_B32, &a) || !gd_lower_src(lower, 2, GD_T_B32, &members))
		return false;
	struct gd_lir *lir = emit(lower, GD_OP_redux);
	if (!lir)
		return false;
	lir->o[0] = to;
	lir->o[1] = a;
	lir->o[5] = members;
	lir->aux = op;
	lir->defs = 1;
	return true;
}

static bool lower_activemask(struct gd_lower *lower)
{
	uint32_t to;
	gd_lower_mod(lower, "b32");
	return gd_lower_operands(lower, 1, 1) && gd_lower_dst(lower, 0, GD_T_B32, &to) &&
	       gd_lower_op(lower, GD_OP_activemask, to, 0, 0, 0);
}

static bool lower_elect(struct gd_lower *lower)
{
	uint32_t to, p, members;
	if (!gd_lower_mod(lower, "sync"))
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_operands(lower, 2, 2) || !gd_lower_dst(lower, 0, GD_T_B32, &to) ||
	    !second_result(lower, &lower->stmt.operands[0], &p) ||
	    !gd_lower_src(lower, 1, GD_T_B32, &members))
		return false;
	struct gd_lir *lir = emit(lower, GD_OP_elect);
	if (!lir)
		return false;
	lir->o[0] = to;
	lir->o[1] = p;
	lir->o[5] = members;
	lir->defs = 3;
	return true;
}

/* Barrier number and, if there, the count of threads, from operand `index` on. */
static bool barrier_operands(struct gd_lower *lower, struct gd_lir *lir, uint32_t id, uint32_t count)
{
	lir->o[2] = id;
	lir->o[3] = count;
	lir->aux2 |= count != GD_OPND_NONE;
	(void)lower;
	return true;
}

static bool lower_warp_barrier(struct gd_lower *lower)
{
	uint32_t members;
	if (!gd_lower_mod(lower, "sync"))
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_operands(lower, 1, 1) || !gd_lower_src(lower, 0, GD_T_B32, &members))
		return false;
	struct gd_lir *lir = emit(lower, GD_OP_warp_sync);
	if (!lir)
		return false;
	lir->o[5] = members;
	return true;
}

static bool barrier_red(struct gd_lower *lower)
{
	static const char *const names[] = {"popc", "and", "or"};
	uint32_t which = gd_lower_mod_of(lower, names, 3), count_of = lower->stmt.operand_count, to, id;
	uint32_t threads = GD_OPND_NONE, p;
	bool is_negated, is_popc = which == 1;
	if (!which || !gd_lower_mod(lower, is_popc ? "u32" : "pred"))
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_operands(lower, 3, 4) || !gd_lower_dst(lower, 0, is_popc ? GD_T_U32 : GD_T_PRED, &to) ||
	    !gd_lower_src(lower, 1, GD_T_U32, &id) ||
	    (count_of == 4 && !gd_lower_src(lower, 2, GD_T_U32, &threads)) ||
	    !gd_lower_pred(lower, &lower->stmt.operands[count_of - 1], &p, &is_negated))
		return false;
	struct gd_lir *lir = emit(lower, GD_OP_barrier_red);
	if (!lir)
		return false;
	lir->o[0] = to;
	lir->o[1] = p;
	lir->aux = which - 1;
	lir->aux2 = is_negated ? 2 : 0;
	lir->defs = 1;
	return barrier_operands(lower, lir, id, threads);
}

/* bar, barrier: .sync (also the meaning of nothing), .arrive, .red, .warp.sync. */
static bool lower_bar(struct gd_lower *lower)
{
	uint32_t id, threads = GD_OPND_NONE;
	gd_lower_mod(lower, "cta");
	gd_lower_mod(lower, "aligned");
	if (gd_lower_mod(lower, "warp"))
		return lower_warp_barrier(lower);
	if (gd_lower_mod(lower, "red"))
		return barrier_red(lower);
	bool is_arrive = gd_lower_mod(lower, "arrive");
	if (!is_arrive && !gd_lower_mod(lower, "sync"))
		return gd_lower_unknown(lower, "%s", "");
	if (!gd_lower_operands(lower, is_arrive ? 2 : 1, 2) || !gd_lower_src(lower, 0, GD_T_U32, &id) ||
	    (lower->stmt.operand_count == 2 && !gd_lower_src(lower, 1, GD_T_U32, &threads)))
		return false;
	struct gd_lir *lir = emit(lower, is_arrive ? GD_OP_barrier_arrive : GD_OP_barrier);
	return lir && barrier_operands(lower, lir, id, threads);
}

const struct gd_lower_rule gd_lower_warp_rules[] = {
    {.name = "shfl", .fn = lower_shfl, .is_branchy = true},
    {.name = "vote", .fn = lower_vote, .is_branchy = true},
    {.name = "match", .fn = lower_match, .is_branchy = true},
    {.name = "redux", .fn = lower_redux, .is_branchy = true},
    {.name = "elect", .fn = lower_elect, .is_branchy = true},
    {.name = "bar", .fn = lower_bar, .is_branchy = true},
    {.name = "barrier", .fn = lower_bar, .is_branchy = true},
    {.name = "activemask", .fn = lower_activemask},
    {.name = NULL},
};
