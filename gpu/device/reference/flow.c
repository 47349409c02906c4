#include "gpu/device/reference/flow.h"

#include <string.h>

#define NONE     UINT32_MAX
#define WORK_MAX (1u << 25) /* visits before loops nested absurdly deep are laid out as they stand */

static bool find_blocks(struct gd_lower *lower, struct gd_flow *flow, uint32_t *block_of)
{
	const struct gd_lower_func *func = lower->func;
	uint32_t count = (uint32_t)func->lir_count, blocks = 0;
	uint8_t *is_leader = gd_scratch_take(lower->arena, (size_t)count + 1, 1);
	if (!is_leader)
		return false;
	is_leader[0] = 1;
	for (uint32_t i = 0; i < count; i++) {
		const struct gd_lir *lir = &func->lir[i];
		if (lir->kind != GD_LIR_PLAIN)
			is_leader[i + 1] = 1;
		for (uint32_t j = 0; j < lir->target_count; j++)
			is_leader[func->label_at[lir->target + j]] = 1;
	}
	for (uint32_t i = 0; i < count; i++)
		blocks += is_leader[i];
	flow->blocks = gd_scratch_take(lower->arena, blocks, sizeof(*flow->blocks));
	if (!flow->blocks)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (is_leader[i])
			flow->blocks[flow->block_count++] = (struct gd_flow_block){.first = i, .next = NONE};
		block_of[i] = flow->block_count - 1;
		flow->blocks[flow->block_count - 1].end = i + 1;
	}
	return true;
}

/* Step over blocks that do nothing but jump. */
static uint32_t final_target(const struct gd_flow *flow, const struct gd_lower_func *func,
			     const uint32_t *block_of, uint32_t block)
{
	for (uint32_t steps = 0; steps < 64; steps++) {
		const struct gd_flow_block *at = &flow->blocks[block];
		const struct gd_lir *lir = &func->lir[at->first];
		if (at->end != at->first + 1 || lir->kind != GD_LIR_JUMP)
			break;
		block = block_of[func->label_at[lir->target]];
	}
	return block;
}

static bool find_edges(struct gd_lower *lower, struct gd_flow *flow, const uint32_t *block_of)
{
	const struct gd_lower_func *func = lower->func;
	for (uint32_t i = 0; i < flow->block_count; i++) {
		struct gd_flow_block *block = &flow->blocks[i];
		const struct gd_lir *last = &func->lir[block->end - 1];
		if (last->kind == GD_LIR_PLAIN || last->kind == GD_LIR_BRA) {
			/* The last instruction of a function is an end, so there is a next block. */
			block->next = final_target(flow, func, block_of, i + 1);
		}
		block->target_count = last->target_count;
		if (!last->target_count)
			continue;
		block->targets = gd_scratch_take(lower->arena, last->target_count, sizeof(*block->targets));
		if (!block->targets)
			return false;
		for (uint32_t j = 0; j < last->target_count; j++)
			block->targets[j] =
			    final_target(flow, func, block_of, block_of[func->label_at[last->target + j]]);
	}
	return true;
}

static uint32_t successor_count(const struct gd_flow_block *block)
{
	return block->target_count + (block->next != NONE);
}

static uint32_t successor(const struct gd_flow_block *block, uint32_t index)
{
	return index < block->target_count ? block->targets[index] : block->next;
}

/* A strongly connected component to lay out: nodes[0] is its head. */
struct task {
	uint32_t *nodes;
	uint32_t count;
	bool is_loop;
};

struct layout {
	struct gd_lower *lower;
	struct gd_flow *flow;
	uint32_t *set;            /* which run's subgraph a block belongs to */
	uint32_t *number;         /* order of discovery in the current run; 0: not yet */
	uint32_t *low;            /* Tarjan's low link */
	uint32_t *edge;           /* next successor to look at */
	uint32_t *path, *pending; /* depth-first path; Tarjan's stack */
	uint8_t *is_pending;
	uint32_t path_count, pending_count, run, next_number, work;
	struct task *tasks;
	size_t task_count, task_capacity;
};

static bool push_task(struct layout *layout, uint32_t root)
{
	struct gd_flow_block *block = &layout->flow->blocks[root];
	uint32_t count = 0, at = layout->pending_count;
	bool is_loop;
	do {
		at--;
		count++;
	} while (layout->pending[at] != root);
	uint32_t *nodes = gd_scratch_take(layout->lower->arena, count, sizeof(*nodes));
	layout->tasks = gd_scratch_grow(layout->lower->arena, layout->tasks, layout->task_count,
					&layout->task_capacity, sizeof(*layout->tasks));
	if (!nodes || !layout->tasks)
		return false;
	memcpy(nodes, layout->pending + at, count * sizeof(*nodes));
	layout->pending_count = at;
	for (uint32_t i = 0; i < count; i++)
		layout->is_pending[nodes[i]] = 0;
	is_loop = count > 1;
	for (uint32_t i = 0; i < successor_count(block) && !is_loop; i++)
		is_loop = successor(block, i) == root;
	layout->tasks[layout->task_count++] =
	    (struct task){.nodes = nodes, .count = count, .is_loop = is_loop};
	return true;
}

static void discover(struct layout *layout, uint32_t node)
{
	layout->number[node] = layout->low[node] = ++layout->next_number;
	layout->edge[node] = 0;
	layout->path[layout->path_count++] = node;
	layout->pending[layout->pending_count++] = node;
	layout->is_pending[node] = 1;
	layout->work++;
}

/* Tarjan's algorithm from `start` within the current set, without recursion; components become tasks. */
static bool components_from(struct layout *layout, uint32_t start)
{
	const struct gd_flow_block *blocks = layout->flow->blocks;
	discover(layout, start);
	while (layout->path_count) {
		uint32_t node = layout->path[layout->path_count - 1];
		if (layout->edge[node] < successor_count(&blocks[node])) {
			uint32_t next = successor(&blocks[node], layout->edge[node]++);
			if (layout->set[next] != layout->run)
				continue;
			if (!layout->number[next])
				discover(layout, next);
			else if (layout->is_pending[next] && layout->number[next] < layout->low[node])
				layout->low[node] = layout->number[next];
			continue;
		}
		layout->path_count--;
		if (layout->path_count) {
			uint32_t parent = layout->path[layout->path_count - 1];
			if (layout->low[node] < layout->low[parent])
				layout->low[parent] = layout->low[node];
		}
		if (layout->low[node] == layout->number[node] && !push_task(layout, node))
			return false;
	}
	return true;
}

static bool lay_out(struct layout *layout)
{
	struct gd_flow *flow = layout->flow;
	layout->run = 1;
	for (uint32_t i = 0; i < flow->block_count; i++)
		layout->set[i] = 1;
	if (!components_from(layout, 0))
		return false;
	while (layout->task_count) {
		/* Components come out last first, so the top of the stack is the first in topological order.
		 */
		struct task task = layout->tasks[--layout->task_count];
		flow->order[flow->order_count++] = task.nodes[0];
		if (task.count == 1)
			continue;
		if (layout->work > WORK_MAX) {
			memcpy(flow->order + flow->order_count, task.nodes + 1,
			       (task.count - 1) * sizeof(uint32_t));
			flow->order_count += task.count - 1;
			continue;
		}
		/* The loop without its head: its inner loops are components again. */
		layout->run++;
		layout->next_number = 0;
		for (uint32_t i = 1; i < task.count; i++) {
			layout->set[task.nodes[i]] = layout->run;
			layout->number[task.nodes[i]] = 0;
		}
		for (uint32_t i = 1; i < task.count; i++) {
			if (!layout->number[task.nodes[i]] && !components_from(layout, task.nodes[i]))
				return false;
		}
	}
	return true;
}

static void count_preds(struct gd_flow *flow)
{
	for (uint32_t i = 0; i < flow->order_count; i++) {
		const struct gd_flow_block *block = &flow->blocks[flow->order[i]];
		for (uint32_t j = 0; j < successor_count(block); j++)
			flow->blocks[successor(block, j)].preds++;
	}
}

bool gd_flow_build(struct gd_lower *lower, struct gd_flow *out_flow)
{
	struct gd_flow flow = {0};
	struct layout layout = {.lower = lower, .flow = &flow};
	uint32_t *block_of = gd_scratch_take(lower->arena, lower->func->lir_count, sizeof(*block_of));
	if (!block_of || !find_blocks(lower, &flow, block_of) || !find_edges(lower, &flow, block_of))
		return gd_ptx_no_memory(lower->module);
	size_t count = flow.block_count;
	flow.order = gd_scratch_take(lower->arena, count, sizeof(uint32_t));
	layout.set = gd_scratch_take(lower->arena, count, sizeof(uint32_t));
	layout.number = gd_scratch_take(lower->arena, count, sizeof(uint32_t));
	layout.low = gd_scratch_take(lower->arena, count, sizeof(uint32_t));
	layout.edge = gd_scratch_take(lower->arena, count, sizeof(uint32_t));
	layout.path = gd_scratch_take(lower->arena, count, sizeof(uint32_t));
	layout.pending = gd_scratch_take(lower->arena, count, sizeof(uint32_t));
	layout.is_pending = gd_scratch_take(lower->arena, count, 1);
	if (lower->arena->failed || !lay_out(&layout))
		return gd_ptx_no_memory(lower->module);
	count_preds(&flow);
	*out_flow = flow;
	return true;
}
