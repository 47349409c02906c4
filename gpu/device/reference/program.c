#include "gpu/device/reference/program.h"

#include "gpu/device/reference/flow.h"

#include <stdlib.h>
#include <string.h>

#define VARIABLE_GAP 256u /* unmapped bytes between two variables, so that running out of one is seen */

struct loader {
	struct gd_ptx_program *program;
	struct gd_ptx_module module;
	struct gd_lower lower;
	struct gd_vm_code *codes;
	uint8_t *images[GD_SP_COUNT];
	uint64_t tops[GD_SP_COUNT];
	uint32_t counts[GD_SP_COUNT];
};

static bool is_image_space(const struct gd_ptx_var *var)
{
	return (var->space == GD_SP_GLOBAL || var->space == GD_SP_CONST) && !var->is_extern;
}

/* Give globals and constants their addresses, and the initialised ones a place in the image. */
static bool place_variables(struct loader *loader)
{
	for (struct gd_ptx_var *var = loader->module.vars; var; var = var->next) {
		if (!is_image_space(var))
			continue;
		uint64_t align = var->align > 16 ? var->align : 16, *top = &loader->tops[var->space];
		uint64_t at = (*top + align - 1) & ~(align - 1);
		var->address = GD_SLOT_BASE(var->space == GD_SP_CONST ? GD_SLOT_CONST : GD_SLOT_GLOBAL) + at;
		var->is_placed = true;
		*top = at + var->size + VARIABLE_GAP;
		loader->counts[var->space]++;
		if (*top > 2 * GD_PTX_VARIABLE_MAX)
			return gd_error_set(loader->module.error, GD_DEVICE_OUT_OF_MEMORY,
					    "Use smaller variables.",
					    "the variables of the program take more than %llu bytes",
					    2 * GD_PTX_VARIABLE_MAX);
	}
	return true;
}

/* Where a variable's initial value goes. */
static uint8_t *image_of(const struct loader *loader, const struct gd_ptx_var *var)
{
	uint64_t base = GD_SLOT_BASE(var->space == GD_SP_CONST ? GD_SLOT_CONST : GD_SLOT_GLOBAL);
	return loader->images[var->space] + (var->address - base);
}

static bool apply_relocation(struct loader *loader, const struct gd_ptx_var *var,
			     const struct gd_ptx_reloc *reloc)
{
	uint32_t index;
	const struct gd_symbol *symbol =
	    gd_symbols_find(&loader->module.symbols, reloc->symbol.text, reloc->symbol.length, &index);
	uint64_t address = (uint64_t)reloc->addend;
	if (symbol && symbol->kind == GD_SYM_VAR && symbol->var->is_placed) {
		address += symbol->var->address;
	} else if (symbol && symbol->kind == GD_SYM_FUNC && symbol->func->has_body &&
		   !symbol->func->is_entry) {
		address += GD_SLOT_BASE(GD_SLOT_CODE) + (uint64_t)symbol->func->index * GD_CODE_STEP;
		if (!gd_lower_want(&loader->lower, symbol->func))
			return false;
	} else {
		return gd_error_set(
		    loader->module.error, GD_INVALID_PROGRAM, "Define what the program refers to.",
		    "PTX line %u: the initial value of `%.60s` names `%.*s`, which is defined nowhere",
		    reloc->symbol.line, var->name, (int)(reloc->symbol.length & 63), reloc->symbol.text);
	}
	address >>= reloc->shift;
	memcpy(image_of(loader, var) + reloc->offset, &address, reloc->bytes);
	return true;
}

/* The images reach up to the last byte that is not zero. */
static bool make_images(struct loader *loader)
{
	uint64_t ends[GD_SP_COUNT] = {0};
	for (const struct gd_ptx_var *var = loader->module.vars; var; var = var->next) {
		uint64_t base = GD_SLOT_BASE(var->space == GD_SP_CONST ? GD_SLOT_CONST : GD_SLOT_GLOBAL);
		if (!is_image_space(var))
			continue;
		/* Constants are read from their image, so it has all of them. */
		uint64_t bytes = var->space == GD_SP_CONST ? var->size : var->init_bytes;
		if (bytes && var->address - base + bytes > ends[var->space])
			ends[var->space] = var->address - base + bytes;
	}
	for (uint32_t space = GD_SP_GLOBAL; space <= GD_SP_CONST; space++) {
		loader->images[space] = gd_scratch_take(&loader->program->arena, ends[space] + 16, 1);
		if (!loader->images[space])
			return gd_ptx_no_memory(&loader->module);
	}
	for (const struct gd_ptx_var *var = loader->module.vars; var; var = var->next) {
		if (!is_image_space(var))
			continue;
		if (var->init_bytes)
			memcpy(image_of(loader, var), var->init, var->init_bytes);
		for (const struct gd_ptx_reloc *reloc = var->relocs; reloc; reloc = reloc->next) {
			if (!apply_relocation(loader, var, reloc))
				return false;
		}
	}
	loader->program->vm.global_image = loader->images[GD_SP_GLOBAL];
	loader->program->vm.const_image = loader->images[GD_SP_CONST];
	loader->program->vm.global_image_bytes = ends[GD_SP_GLOBAL];
	loader->program->vm.global_bytes = loader->tops[GD_SP_GLOBAL];
	return true;
}

static struct gd_ptx_func *entry_named(struct loader *loader, const char *name)
{
	struct gd_ptx_func *found = NULL, *only = NULL;
	uint32_t count = 0;
	for (struct gd_ptx_func *func = loader->module.funcs; func; func = func->next) {
		if (!func->is_entry || !func->has_body)
			continue;
		only = func;
		count++;
		if (name && !strcmp(func->name, name))
			found = func;
	}
	if (found)
		return found;
	gd_error_set(loader->module.error, GD_INVALID_PROGRAM, "Name a kernel that the program defines.",
		     "the program has no kernel `%.100s`; it has %u%s%.100s%s", name ? name : "", count,
		     count == 1 ? ", `" : "", count == 1 ? only->name : "", count == 1 ? "`" : "");
	return NULL;
}

static bool lower_all(struct loader *loader)
{
	struct gd_lower *lower = &loader->lower;
	loader->codes =
	    gd_scratch_take(&loader->program->arena, loader->module.func_count, sizeof(*loader->codes));
	if (!loader->codes)
		return gd_ptx_no_memory(&loader->module);
	for (const struct gd_ptx_func *func = loader->module.funcs; func; func = func->next) {
		loader->codes[func->index].name = func->name;
		loader->codes[func->index].is_entry = func->is_entry;
	}
	for (size_t i = 0; i < lower->wanted_count; i++) {
		struct gd_ptx_func *func = lower->wanted[i];
		struct gd_flow flow;
		struct gd_slots slots;
		if (!gd_lower_function(lower, func) || !gd_flow_build(lower, &flow) ||
		    !gd_slots_assign(lower, &flow, &slots) ||
		    !gd_assemble(lower, &flow, &slots, &loader->codes[func->index]))
			return false;
		if (func->is_entry)
			loader->program->info.registers = slots.words;
	}
	return true;
}

/* Local memory that a function's calls need at most; recursion is given a stack of its own. */
struct depth {
	struct loader *loader;
	uint32_t *need; /* by function: bytes + 1 when known */
	uint8_t *is_open;
	bool is_recursive;
};

static uint32_t local_need(struct depth *depth, const struct gd_ptx_func *func, uint32_t level)
{
	const struct gd_lower_func *lowered = func->lowered;
	uint32_t most = 0;
	if (depth->need[func->index])
		return depth->need[func->index] - 1;
	if (depth->is_open[func->index] || level > 200) {
		depth->is_recursive = true;
		return 0;
	}
	depth->is_open[func->index] = 1;
	depth->is_recursive |= lowered->has_indirect_call;
	for (size_t i = 0; i < lowered->callee_count; i++) {
		for (size_t j = 0; j < depth->loader->lower.wanted_count; j++) {
			const struct gd_ptx_func *callee = depth->loader->lower.wanted[j];
			if (callee->index != lowered->callees[i])
				continue;
			uint32_t need = local_need(depth, callee, level + 1);
			most = need > most ? need : most;
			break;
		}
	}
	depth->is_open[func->index] = 0;
	uint32_t own = ((lowered->local_bytes + 15) & ~15u) + most;
	if (own > GD_LOCAL_MAX)
		own = GD_LOCAL_MAX + 1;
	depth->need[func->index] = own + 1;
	return own;
}

static bool find_local(struct loader *loader, const struct gd_ptx_func *entry)
{
	struct depth depth = {.loader = loader};
	bool has_local = false;
	depth.need = gd_scratch_take(&loader->program->arena, loader->module.func_count, sizeof(*depth.need));
	depth.is_open = gd_scratch_take(&loader->program->arena, loader->module.func_count, 1);
	if (!depth.need || !depth.is_open)
		return gd_ptx_no_memory(&loader->module);
	uint32_t bytes = local_need(&depth, entry, 0);
	for (size_t i = 0; i < loader->lower.wanted_count; i++)
		has_local |= loader->lower.wanted[i]->lowered->local_bytes != 0;
	if (depth.is_recursive && has_local)
		bytes = bytes + GD_LOCAL_STACK;
	if (bytes > GD_LOCAL_MAX)
		return gd_error_set(
		    loader->module.error, GD_UNSUPPORTED_FEATURE, "Use smaller arrays in the kernel.",
		    "`%.60s` needs more than %u bytes of local memory per thread", entry->name, GD_LOCAL_MAX);
	loader->program->vm.local_bytes = (bytes + 63) & ~63u;
	loader->program->info.local_bytes = bytes;
	return true;
}

static struct gd_vm_span span_of(const struct gd_ptx_var *var)
{
	struct gd_vm_span span = {.base = var->address, .size = var->size, .name = var->name};
	span.flags = GD_SPAN_READ;
	if (var->space == GD_SP_GLOBAL) {
		span.slot = GD_SLOT_GLOBAL;
		span.flags |= GD_SPAN_WRITE | GD_SPAN_ATOMIC;
	} else if (var->space == GD_SP_CONST) {
		span.slot = GD_SLOT_CONST;
	} else {
		span.slot = GD_SLOT_SHARED;
		span.base += GD_SLOT_BASE(GD_SLOT_SHARED);
		span.flags |= GD_SPAN_WRITE;
	}
	return span;
}

static int by_base(const void *a, const void *b)
{
	const struct gd_vm_span *left = a, *right = b;
	return left->base < right->base ? -1 : left->base > right->base;
}

/* All variables as spans; shared ones were placed as the code named them. */
static bool make_spans(struct loader *loader)
{
	struct gd_vm_program *vm = &loader->program->vm;
	uint32_t total = 0, at = 0;
	for (const struct gd_ptx_var *var = loader->module.vars; var; var = var->next)
		total++;
	struct gd_vm_span *spans = gd_scratch_take(&loader->program->arena, total, sizeof(*spans));
	if (!spans)
		return gd_ptx_no_memory(&loader->module);
	static const enum gd_ptx_space order[] = {GD_SP_GLOBAL, GD_SP_CONST, GD_SP_SHARED};
	uint32_t counts[3] = {0};
	for (uint32_t i = 0; i < 3; i++) {
		for (const struct gd_ptx_var *var = loader->module.vars; var; var = var->next) {
			if (var->space != order[i] || !var->is_placed || var->is_dynamic)
				continue;
			spans[at++] = span_of(var);
			counts[i]++;
		}
		qsort(spans + at - counts[i], counts[i], sizeof(*spans), by_base);
	}
	vm->vars = spans;
	vm->global_count = counts[0];
	vm->const_count = counts[1];
	vm->shared_count = counts[2];
	return true;
}

/* Dynamic shared memory begins behind the static: now its address is known. */
static bool finish_shared(struct loader *loader)
{
	struct gd_lower *lower = &loader->lower;
	struct gd_vm_program *vm = &loader->program->vm;
	uint64_t align = lower->dynamic_align > 16 ? lower->dynamic_align : 16, bytes = lower->shared_bytes;
	if (bytes > GD_SHARED_STATIC_MAX)
		return gd_error_set(
		    loader->module.error, GD_INVALID_PROGRAM, "Use dynamic shared memory for more.",
		    "the kernel uses %llu bytes of static shared memory, at most %u are there",
		    (unsigned long long)bytes, GD_SHARED_STATIC_MAX);
	loader->program->info.shared_bytes = (uint32_t)bytes;
	loader->program->info.max_dynamic_shared_bytes =
	    GD_SHARED_OPTIN_MAX - (uint32_t)((bytes + align - 1) & ~(align - 1));
	bytes = (lower->shared_top + align - 1) & ~(align - 1);
	vm->shared_bytes = (uint32_t)bytes;
	vm->has_dynamic_shared = lower->has_dynamic_shared;
	for (size_t i = 0; i < lower->patch_count; i++) {
		uint64_t address = GD_SHARED_START + bytes + lower->patches[i].addend;
		for (uint32_t lane = 0; lane < GD_LANES; lane++)
			memcpy(lower->pool + lower->patches[i].offset + 8 * lane, &address, 8);
	}
	return true;
}

static bool describe(struct loader *loader, const struct gd_ptx_func *entry, uint32_t occupancy_threads)
{
	struct gd_kernel_info *info = &loader->program->info;
	if (entry->param_count > GD_PARAMS_MAX || entry->param_bytes > GD_PARAM_BYTES_MAX)
		return gd_error_set(
		    loader->module.error, GD_INVALID_PROGRAM, "Pass fewer or smaller parameters.",
		    "`%.60s` takes %zu parameters of %u bytes; at most %d of %d bytes are taken", entry->name,
		    entry->param_count, entry->param_bytes, GD_PARAMS_MAX, GD_PARAM_BYTES_MAX);
	info->param_count = (uint32_t)entry->param_count;
	info->param_bytes = entry->param_bytes;
	for (size_t i = 0; i < entry->param_count; i++) {
		info->params[i].offset = entry->params[i].offset;
		info->params[i].size = entry->params[i].size;
	}
	memcpy(loader->program->required_block, entry->required, sizeof(entry->required));
	info->max_threads = entry->max_threads ? entry->max_threads : GD_THREADS_PER_BLOCK;
	/* As if a compiler had spilled what does not fit: a kernel never has too many registers for its
	 * blocks. */
	uint32_t most = GD_REGISTERS_PER_BLOCK / info->max_threads;
	most = most > 255 ? 255 : most;
	info->registers = info->registers > most ? most : info->registers < 16 ? 16 : info->registers;
	info->const_bytes = 0;
	for (const struct gd_ptx_var *var = loader->module.vars; var; var = var->next)
		info->const_bytes += var->space == GD_SP_CONST ? (uint32_t)var->size : 0;
	info->occupancy_threads = occupancy_threads ? occupancy_threads : info->max_threads;
	info->occupancy_blocks = gd_ptx_program_occupancy(loader->program, info->occupancy_threads, 0);
	return true;
}

uint32_t gd_ptx_program_occupancy(const struct gd_ptx_program *program, uint32_t threads,
				  uint32_t dynamic_bytes)
{
	uint32_t warps = (threads + GD_LANES - 1) / GD_LANES;
	if (!threads || threads > program->info.max_threads)
		return 0;
	uint32_t shared = program->info.shared_bytes + dynamic_bytes + GD_SHARED_RESERVED;
	uint32_t registers = (program->info.registers * GD_LANES + 255) / 256 * 256 * warps;
	uint32_t blocks = GD_SM_THREADS / (warps * GD_LANES);
	if (blocks > GD_SM_BLOCKS)
		blocks = GD_SM_BLOCKS;
	if (blocks > GD_REGISTERS_PER_BLOCK / registers)
		blocks = GD_REGISTERS_PER_BLOCK / registers;
	return blocks < GD_SM_SHARED_BYTES / shared ? blocks : GD_SM_SHARED_BYTES / shared;
}

static bool load(struct loader *loader, const struct gd_image *image, struct gd_error *error)
{
	struct gd_ptx_program *program = loader->program;
	struct gd_lower *lower = &loader->lower;
	const char *source_name = image->source_name;
	if (!gd_ptx_parse(&loader->module, &program->arena, image->data, image->bytes, error))
		return false;
	if (source_name)
		source_name = gd_ptx_text(&loader->module, source_name, (uint32_t)strnlen(source_name, 100));
	loader->module.source_name = source_name;
	lower->module = &loader->module;
	lower->arena = &program->arena;
	lower->error = error;
	struct gd_ptx_func *entry = entry_named(loader, image->entry);
	if (!entry)
		return false;
	if (!gd_lower_want(lower, entry) || !place_variables(loader) || !make_images(loader) ||
	    !lower_all(loader) || !find_local(loader, entry) || !finish_shared(loader) ||
	    !make_spans(loader) || !describe(loader, entry, image->occupancy_threads))
		return false;
	struct gd_vm_program *vm = &program->vm;
	vm->codes = loader->codes;
	vm->code_count = loader->module.func_count;
	vm->entry = &loader->codes[entry->index];
	/* The pool must not be empty: operands that nobody reads point at its start. */
	if (!gd_lower_const(lower, GD_CLASS_64, 0))
		return gd_ptx_no_memory(&loader->module);
	vm->constants = (uint8_t *)(((uintptr_t)lower->pool + 63) & ~(uintptr_t)63);
	if (vm->constants != lower->pool)
		memmove(vm->constants, lower->pool, lower->pool_bytes);
	vm->site_count = lower->site_count;
	vm->uses_heap = lower->uses_heap;
	vm->source_name = source_name;
	vm->files = loader->module.files;
	vm->file_count = (uint32_t)loader->module.file_count;
	return !program->arena.failed || gd_ptx_no_memory(&loader->module);
}

/* The text is copied first: names and files point into it, and the caller's may go. */
static bool copy_text(struct gd_ptx_program *program, const struct gd_image *image,
		      struct gd_image *out_image)
{
	char *text = gd_scratch_take(&program->arena, image->bytes + 1, 1);
	if (!text)
		return false;
	memcpy(text, image->data, image->bytes);
	*out_image = *image;
	out_image->data = text;
	return true;
}

bool gd_ptx_program_load(const struct gd_image *image, struct gd_ptx_program **out_program,
			 struct gd_error *error)
{
	struct gd_error why = {0};
	struct gd_image copy;
	if (image->kind != GD_IMAGE_PTX)
		return gd_error_set(error, GD_UNSUPPORTED_FEATURE,
				    "Use the cuda device, or post source or PTX.",
				    "the reference device executes PTX, not cubin images");
	if (image->bytes > GD_PTX_BYTES_MAX)
		return gd_error_set(error, GD_INVALID_PROGRAM, "Make the program smaller.",
				    "the PTX has %zu bytes, at most %u are taken", image->bytes,
				    GD_PTX_BYTES_MAX);
	struct gd_ptx_program *program = calloc(1, sizeof(*program));
	struct loader *loader = calloc(1, sizeof(*loader));
	bool is_loaded = false;
	if (program && loader) {
		gd_scratch_init(&program->arena, GD_PTX_ARENA_MAX);
		loader->program = program;
		is_loaded = copy_text(program, image, &copy) && load(loader, &copy, &why);
	}
	if (is_loaded) {
		*out_program = program;
	} else {
		if (why.code == GD_OK)
			gd_error_set(&why, GD_DEVICE_OUT_OF_MEMORY, "Make the program smaller.",
				     "no memory to load the program (PTX line %u)",
				     loader ? loader->module.token.line : 0);
		if (error)
			*error = why;
		gd_ptx_program_free(program);
	}
	free(loader);
	return is_loaded;
}

void gd_ptx_program_free(struct gd_ptx_program *program)
{
	if (!program)
		return;
	gd_scratch_done(&program->arena);
	free(program);
}
