/*
 * Warp-synchronous instructions. Lanes that arrive bring their operands to the warp and wait until every live
 * lane of their member mask has arrived at an instruction of the same kind with the same mask, wherever it
 * stands; then all of them get their results. Lanes that arrive together and complete the mask do not wait.
 */
#include "gpu/device/reference/ops.h"
#include "gpu/device/reference/sync.h"

/* Operand positions: o[5] is always the member mask. */
static void stage_shfl(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	const uint32_t *a = gd_vm_at(vm, in->o[2]), *b = gd_vm_at(vm, in->o[3]), *c = gd_vm_at(vm, in->o[4]);
	for (gd_vm_each(lane, left, vm->mask)) {
		vm->warp->sync_value[lane] = a[lane];
		vm->warp->sync_b[lane] = b[lane];
		vm->warp->sync_c[lane] = c[lane];
	}
}

/* PTX ISA, shfl.sync: which lane a lane reads; *out_valid is the predicate. */
static uint32_t shfl_source(uint32_t mode, uint32_t lane, uint32_t b, uint32_t c, bool *out_valid)
{
	uint32_t segment = c >> 8 & 31, clamp = c & 31, step = b & 31;
	int32_t most = (int32_t)((lane & segment) | (clamp & ~segment)), from;
	switch (mode) {
	case GD_SHFL_UP:
		from = (int32_t)lane - (int32_t)step;
		*out_valid = from >= most;
		break;
	case GD_SHFL_DOWN:
		from = (int32_t)(lane + step);
		*out_valid = from <= most;
		break;
	case GD_SHFL_BFLY:
		from = (int32_t)(lane ^ step);
		*out_valid = from <= most;
		break;
	default:
		from = (int32_t)((lane & segment) | (step & ~segment));
		*out_valid = from <= most;
		break;
	}
	return *out_valid ? (uint32_t)from & 31 : lane;
}

static void finish_shfl(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t present)
{
	struct gd_vm_warp *warp = vm->warp;
	uint32_t *to = gd_vm_at(vm, in->o[0]), *p = gd_vm_at(vm, in->o[1]), truth = 0;
	for (gd_vm_each(lane, left, vm->mask)) {
		bool is_valid;
		uint32_t from = shfl_source(in->aux, lane, warp->sync_b[lane], warp->sync_c[lane], &is_valid);
		/* A lane that does not take part has nothing to give: the result is undefined, here its own
		 * value. */
		to[lane] = (uint32_t)warp->sync_value[present >> from & 1 ? from : lane];
		truth |= (uint32_t)is_valid << lane;
	}
	*p = (*p & ~vm->mask) | truth;
}

/* o[1] predicate, aux2 negated. */
static void stage_vote(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t p = *(const uint32_t *)gd_vm_at(vm, in->o[1]) ^ (0u - in->aux2);
	for (gd_vm_each(lane, left, vm->mask))
		vm->warp->sync_value[lane] = p >> lane & 1;
}

static void finish_vote(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t present)
{
	uint32_t ballot = 0, *to = gd_vm_at(vm, in->o[0]);
	for (gd_vm_each(lane, left, present))
		ballot |= (uint32_t)vm->warp->sync_value[lane] << lane;
	if (in->aux == GD_VOTE_BALLOT) {
		for (gd_vm_each(lane, left, vm->mask))
			to[lane] = ballot;
		return;
	}
	bool all = ballot == present, none = !ballot;
	bool truth = in->aux == GD_VOTE_ALL ? all : in->aux == GD_VOTE_ANY ? !none : all || none;
	*to = (*to & ~vm->mask) | (truth ? vm->mask : 0);
}

/* o[2] value, aux2 it has 64 bits; o[0] mask, o[1] predicate. */
static void stage_match(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	const uint64_t *wide = gd_vm_at(vm, in->o[2]);
	const uint32_t *narrow = gd_vm_at(vm, in->o[2]);
	for (gd_vm_each(lane, left, vm->mask))
		vm->warp->sync_value[lane] = in->aux2 ? wide[lane] : narrow[lane];
}

static void finish_match(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t present)
{
	const uint64_t *value = vm->warp->sync_value;
	uint32_t *to = gd_vm_at(vm, in->o[0]), *p = gd_vm_at(vm, in->o[1]), truth = 0;
	for (gd_vm_each(lane, left, vm->mask)) {
		uint32_t same = 0;
		for (gd_vm_each(other, rest, present))
			same |= (uint32_t)(value[other] == value[lane]) << other;
		bool all = same == present;
		truth |= (uint32_t)all << lane;
		to[lane] = in->aux == GD_MATCH_ALL && !all ? 0 : same;
	}
	*p = (*p & ~vm->mask) | truth;
}

static void stage_redux(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	const uint32_t *a = gd_vm_at(vm, in->o[1]);
	for (gd_vm_each(lane, left, vm->mask))
		vm->warp->sync_value[lane] = a[lane];
}

static uint32_t redux(uint32_t operation, uint32_t a, uint32_t b)
{
	switch (operation) {
	case GD_REDUX_ADD:
		return a + b;
	case GD_REDUX_MIN_U:
		return a < b ? a : b;
	case GD_REDUX_MAX_U:
		return a > b ? a : b;
	case GD_REDUX_MIN_S:
		return (int32_t)a < (int32_t)b ? a : b;
	case GD_REDUX_MAX_S:
		return (int32_t)a > (int32_t)b ? a : b;
	case GD_REDUX_AND:
		return a & b;
	case GD_REDUX_OR:
		return a | b;
	default:
		return a ^ b;
	}
}

static void finish_redux(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t present)
{
	const uint64_t *value = vm->warp->sync_value;
	uint32_t first = gd_vm_first(present), result = (uint32_t)value[first], *to = gd_vm_at(vm, in->o[0]);
	for (gd_vm_each(lane, left, present & ~(1u << first)))
		result = redux(in->aux, result, (uint32_t)value[lane]);
	for (gd_vm_each(lane, left, vm->mask))
		to[lane] = result;
}

static void stage_nothing(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	(void)vm;
	(void)in;
}

static void finish_nothing(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t present)
{
	(void)vm;
	(void)in;
	(void)present;
}

/* o[0] the leader, o[1] whether it is this lane. */
static void finish_elect(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t present)
{
	uint32_t leader = gd_vm_first(present), *to = gd_vm_at(vm, in->o[0]), *p = gd_vm_at(vm, in->o[1]);
	for (gd_vm_each(lane, left, vm->mask))
		to[lane] = leader;
	*p = (*p & ~vm->mask) | (vm->mask & 1u << leader);
}

static const struct gd_vm_insn *op_shfl(struct gd_vm *vm, const struct gd_vm_insn *in);
static const struct gd_vm_insn *op_vote(struct gd_vm *vm, const struct gd_vm_insn *in);
static const struct gd_vm_insn *op_match(struct gd_vm *vm, const struct gd_vm_insn *in);
static const struct gd_vm_insn *op_redux(struct gd_vm *vm, const struct gd_vm_insn *in);
static const struct gd_vm_insn *op_warp_sync(struct gd_vm *vm, const struct gd_vm_insn *in);
static const struct gd_vm_insn *op_elect(struct gd_vm *vm, const struct gd_vm_insn *in);

struct sync_kind {
	gd_vm_fn fn;
	void (*stage)(struct gd_vm *vm, const struct gd_vm_insn *in);
	void (*finish)(struct gd_vm *vm, const struct gd_vm_insn *in, uint32_t present);
};

static const struct sync_kind kinds[] = {
    {op_shfl, stage_shfl, finish_shfl},
    {op_vote, stage_vote, finish_vote},
    {op_match, stage_match, finish_match},
    {op_redux, stage_redux, finish_redux},
    {op_warp_sync, stage_nothing, finish_nothing},
    {op_elect, stage_nothing, finish_elect},
};
enum { KIND_SHFL, KIND_VOTE, KIND_MATCH, KIND_REDUX, KIND_SYNC, KIND_ELECT, KIND_COUNT };

static const struct sync_kind *kind_of(const struct gd_vm_insn *in)
{
	for (uint32_t i = 0; i < KIND_COUNT; i++) {
		if (kinds[i].fn == in->fn)
			return &kinds[i];
	}
	return NULL;
}

/* Lanes with another member mask than the first stay behind, to come here again by themselves. */
static void keep_same_members(struct gd_vm *vm, const struct gd_vm_insn *in, const uint32_t *members)
{
	uint32_t first = members[gd_vm_first(vm->mask)], same = 0;
	for (gd_vm_each(lane, left, vm->mask))
		same |= (uint32_t)(members[lane] == first) << lane;
	if (same == vm->mask)
		return;
	gd_vm_split_add(vm->warp, in, vm->frame, vm->mask & ~same);
	vm->warp->splits[vm->warp->current].mask = same;
	gd_vm_set_mask(vm, same);
	vm->merge_at = in;
}

static const struct gd_vm_insn *arrive(struct gd_vm *vm, const struct gd_vm_insn *in,
				       const struct sync_kind *kind)
{
	const uint32_t *members = gd_vm_at(vm, in->o[5]);
	struct gd_vm_warp *warp = vm->warp;
	keep_same_members(vm, in, members);
	uint32_t wanted = members[gd_vm_first(vm->mask)] & warp->live;
	kind->stage(vm, in);
	if (!(wanted & ~vm->mask)) {
		kind->finish(vm, in, wanted & vm->mask ? wanted & vm->mask : vm->mask);
		return in + 1;
	}
	for (gd_vm_each(lane, left, vm->mask))
		warp->sync_members[lane] = members[lane];
	struct gd_vm_split *split = &warp->splits[warp->current];
	split->state = GD_SPLIT_SYNC;
	split->at = in;
	gd_vm_sync_recheck(vm, warp);
	return gd_vm_leave(vm, split->at);
}

static const struct gd_vm_insn *op_shfl(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return arrive(vm, in, &kinds[KIND_SHFL]);
}

static const struct gd_vm_insn *op_vote(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return arrive(vm, in, &kinds[KIND_VOTE]);
}

static const struct gd_vm_insn *op_match(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return arrive(vm, in, &kinds[KIND_MATCH]);
}

static const struct gd_vm_insn *op_redux(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return arrive(vm, in, &kinds[KIND_REDUX]);
}

static const struct gd_vm_insn *op_warp_sync(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return arrive(vm, in, &kinds[KIND_SYNC]);
}

static const struct gd_vm_insn *op_elect(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	return arrive(vm, in, &kinds[KIND_ELECT]);
}

/* Finish the waiting splits of split `index`'s group if the group is whole. */
static bool complete_group(struct gd_vm *vm, struct gd_vm_warp *warp, uint32_t index)
{
	const struct gd_vm_split *split = &warp->splits[index];
	const struct sync_kind *kind = kind_of(split->at);
	uint32_t members = warp->sync_members[gd_vm_first(split->mask)], present = 0, group = 0;
	for (uint32_t i = 0; i < warp->split_count; i++) {
		const struct gd_vm_split *other = &warp->splits[i];
		if (other->state == GD_SPLIT_SYNC && other->at->fn == split->at->fn &&
		    warp->sync_members[gd_vm_first(other->mask)] == members) {
			present |= other->mask;
			group |= 1u << i;
		}
	}
	if (members & warp->live & ~present)
		return false;
	for (gd_vm_each(i, left, group)) {
		struct gd_vm_split *other = &warp->splits[i];
		vm->base[0] = other->frame->regs;
		gd_vm_set_mask(vm, other->mask);
		kind->finish(vm, other->at, present);
		other->state = GD_SPLIT_READY;
		other->at++;
	}
	return true;
}

void gd_vm_sync_recheck(struct gd_vm *vm, struct gd_vm_warp *warp)
{
	struct gd_vm_warp *running = vm->warp;
	vm->warp = warp;
	for (uint32_t i = 0; i < warp->split_count; i++) {
		if (warp->splits[i].state == GD_SPLIT_SYNC)
			complete_group(vm, warp, i);
	}
	vm->warp = running;
}

static const struct gd_vm_insn *op_activemask(struct gd_vm *vm, const struct gd_vm_insn *in)
{
	uint32_t *to = gd_vm_at(vm, in->o[0]);
	for (gd_vm_each(lane, left, vm->mask))
		to[lane] = vm->mask;
	return in + 1;
}

void gd_vm_warp_ops(gd_vm_fn *table)
{
	table[GD_OP_shfl] = op_shfl;
	table[GD_OP_vote] = op_vote;
	table[GD_OP_match] = op_match;
	table[GD_OP_redux] = op_redux;
	table[GD_OP_warp_sync] = op_warp_sync;
	table[GD_OP_elect] = op_elect;
	table[GD_OP_activemask] = op_activemask;
}
