#include "tests/unit/api/fake_engine.h"

#include "gpu/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* gpu/dispatch/inside.h is not for us; this is all that a lane needs here. */
struct gd_lane {
	struct gd_engine *engine;
	struct gd_loop *loop;
};

struct gd_kernel {
	unsigned references;
	struct gd_engine *engine;
	struct gd_artifact *artifact;
	struct gd_kernel_info info;
	struct gd_device_info device;
};

const uint64_t gd_bucket_bounds_ns[GD_BUCKETS] = {
    10000ull,       25000ull,       50000ull,       100000ull,       250000ull,       500000ull,
    1000000ull,     2500000ull,     5000000ull,     10000000ull,     25000000ull,     50000000ull,
    100000000ull,   250000000ull,   500000000ull,   1000000000ull,   2500000000ull,   5000000000ull,
    10000000000ull, 25000000000ull, 50000000000ull, 100000000000ull, 250000000000ull, UINT64_MAX,
};

void fake_engine_init(struct gd_engine *engine, struct gd_loop *loop)
{
	*engine = (struct gd_engine){
	    .backend = "reference", .state = GD_DEVICE_READY, .canary_passed = true, .loop = loop};
}

static struct gd_device_info device_info(const struct gd_engine *engine)
{
	struct gd_device_info info = {.id = "fake",
				      .name = "A \"fake\" device",
				      .compute_major = 9,
				      .memory_bytes = 1 << 30,
				      .max_threads_per_block = 1024,
				      .max_block = {1024, 1024, 64},
				      .max_grid = {2147483647, 65535, 65535},
				      .max_shared_bytes = 49152,
				      .max_shared_optin_bytes = 232448,
				      .warp_size = 32,
				      .can_export = true};
	snprintf(info.architecture, sizeof info.architecture, "%s",
		 strcmp(engine->backend, "cuda") ? "reference-sm_90" : "sm_90");
	return info;
}

uint32_t gd_engine_devices(struct gd_engine *engine, struct gd_device_status out_devices[GD_DEVICES_MAX])
{
	if (engine->has_no_device)
		return 0;
	out_devices[0] = (struct gd_device_status){.backend = engine->backend,
						   .state = engine->state,
						   .info = device_info(engine),
						   .workers = 1,
						   .queue_depth = engine->queue_depth,
						   .queue_limit = FAKE_QUEUE_LIMIT,
						   .canary_passed = engine->canary_passed};
	snprintf(out_devices[0].id, sizeof out_devices[0].id, "%s:0", engine->backend);
	return 1;
}

const char *gd_engine_backend(const struct gd_engine *engine)
{
	return engine->backend;
}

void gd_engine_toolchain(struct gd_engine *engine, struct gd_toolchain *out_toolchain)
{
	*out_toolchain = (struct gd_toolchain){.id = {.version = "13.0"}};
	out_toolchain->known = out_toolchain->available = !engine->has_no_compiler_yet;
}

uint32_t gd_engine_children(struct gd_engine *engine, int32_t *out_pids, uint32_t max)
{
	(void)engine, (void)out_pids, (void)max;
	return 0;
}

void gd_engine_counts(struct gd_engine *engine, struct gd_engine_counts *out_counts)
{
	*out_counts = (struct gd_engine_counts){.cache_limit_bytes = 1 << 20};
	memcpy(out_counts->counters, engine->counters, sizeof engine->counters);
	out_counts->phases[GD_PHASE_QUEUE].buckets[3] = engine->counters[GD_COUNT_LAUNCHES];
	out_counts->phases[GD_PHASE_QUEUE].count = engine->counters[GD_COUNT_LAUNCHES];
	snprintf(out_counts->device_errors[0].name, sizeof out_counts->device_errors[0].name,
		 "CUDA_ERROR_FAKE");
	out_counts->device_errors[0].count = 2;
	out_counts->device_error_count = 1;
}

bool gd_lane_new(struct gd_engine *engine, uint32_t index, struct gd_loop *loop, struct gd_lane **out_lane,
		 struct gd_error *error)
{
	(void)index;
	struct gd_lane *lane = calloc(1, sizeof *lane);
	if (!lane)
		return gd_error_set(error, GD_INTERNAL_STATE, NULL, "out of memory");
	*lane = (struct gd_lane){engine, loop};
	*out_lane = lane;
	return true;
}

void gd_lane_free(struct gd_lane *lane)
{
	free(lane);
}

/* ---- kernels and compiles ---- */

struct gd_kernel *gd_kernel_ref(struct gd_kernel *kernel)
{
	kernel->references++;
	return kernel;
}

void gd_kernel_unref(struct gd_kernel *kernel)
{
	if (!kernel || --kernel->references)
		return;
	kernel->engine->kernels_alive--;
	gd_artifact_free(kernel->artifact);
	free(kernel);
}

struct gd_artifact *gd_kernel_artifact(const struct gd_kernel *kernel)
{
	return kernel->artifact;
}

const struct gd_kernel_info *gd_kernel_info(const struct gd_kernel *kernel)
{
	return &kernel->info;
}

const struct gd_device_info *gd_kernel_device(const struct gd_kernel *kernel)
{
	return &kernel->device;
}

static bool saxpy(struct gd_signature *out, struct gd_error *error)
{
	static const struct {
		const char *name;
		enum gd_type type;
		uint32_t size;
		enum gd_param_access access;
	} params[] = {{"a", GD_TYPE_F32, 4, 0},
		      {"x", GD_TYPE_POINTER, 8, GD_PARAM_READ},
		      {"y", GD_TYPE_POINTER, 8, GD_PARAM_READ_WRITE},
		      {"n", GD_TYPE_I32, 4, 0}};
	if (!gd_signature_init(out, 4, error))
		return false;
	for (uint32_t i = 0; i < 4; i++) {
		gd_signature_name(out, i, params[i].name, strlen(params[i].name));
		out->params[i].type = params[i].type;
		out->params[i].size = out->params[i].align = params[i].size;
		out->params[i].access = params[i].access;
		out->params[i].element = params[i].access ? GD_TYPE_F32 : GD_TYPE_NONE;
		out->params[i].element_size = params[i].access ? 4 : 0;
	}
	return gd_signature_place(out, error);
}

static bool declared(const struct gd_signature *from, struct gd_signature *out, struct gd_error *error)
{
	if (!gd_signature_copy(from, out, error))
		return false;
	for (uint32_t i = 0; i < out->count; i++) {
		struct gd_param *param = &out->params[i];
		if (!param->align)
			param->align = param->type == GD_TYPE_BYTES ? 4 : param->size;
		/* what the compiler would have found */
		if (param->type == GD_TYPE_POINTER && !param->access)
			param->access = GD_PARAM_READ_WRITE;
	}
	return gd_signature_place(out, error);
}

static struct gd_kernel *make_kernel(struct gd_engine *engine, const struct gd_program *program,
				     struct gd_error *error)
{
	gd_auto_signature struct gd_signature signature = {0};
	const struct gd_signature *given = gd_program_declared(program);
	if (!(given ? declared(given, &signature, error) : saxpy(&signature, error)))
		return NULL;
	bool is_cuda = !strcmp(engine->backend, "cuda");
	struct gd_artifact_parts parts = {.target = is_cuda ? "sm_90" : "reference-sm_90",
					  .toolchain = {.version = "13.0"},
					  .entry = "saxpy",
					  .signature = &signature,
					  .ptx = ".version 9.0",
					  .ptx_bytes = 12,
					  .cubin = is_cuda ? "\x7f"
							     "ELF fake"
							   : NULL,
					  .cubin_bytes = is_cuda ? 9 : 0,
					  .reproducible = true,
					  .compile_ns = 2000000};
	struct gd_kernel *kernel = calloc(1, sizeof *kernel);
	if (!kernel)
		gd_error_set(error, GD_OVERLOADED, NULL, "out of memory");
	if (!kernel || !gd_artifact_new(&parts, &kernel->artifact, error)) {
		free(kernel);
		return NULL;
	}
	kernel->references = 1;
	kernel->engine = engine;
	kernel->device = device_info(engine);
	kernel->info = (struct gd_kernel_info){.param_count = signature.count,
					       .param_bytes = signature.bytes,
					       .registers = 12,
					       .max_threads = 1024,
					       .max_dynamic_shared_bytes = 49152};
	for (uint32_t i = 0; i < signature.count; i++) {
		kernel->info.params[i].offset = signature.params[i].offset;
		kernel->info.params[i].size = signature.params[i].size;
	}
	engine->kernels_alive++;
	return kernel;
}

static bool look_up(struct gd_engine *engine, const uint8_t *digest)
{
	for (unsigned i = 0; i < engine->seen_count; i++)
		if (!memcmp(engine->seen[i], digest, 32))
			return true;
	if (engine->seen_count < FAKE_PROGRAMS)
		memcpy(engine->seen[engine->seen_count++], digest, 32);
	return false;
}

static void finish_compile(struct gd_compile_request *request)
{
	struct gd_engine *engine = request->lane->engine;
	bool is_posted = gd_program_language(request->program) == GD_LANGUAGE_CUBIN;
	bool is_hit = look_up(engine, gd_program_digest(request->program)) && request->mode == GD_CACHE_USE;
	if (engine->compile_error.code != GD_OK)
		request->error = engine->compile_error;
	else
		request->kernel = make_kernel(engine, request->program, &request->error);
	request->cache_hit = is_posted ? -1 : is_hit;
	request->tier = is_hit ? GD_TIER_MEMORY : GD_TIER_COMPILED;
	request->miss_reason = is_hit                             ? GD_MISS_NONE
			       : request->mode == GD_CACHE_BYPASS ? GD_MISS_BYPASSED
								  : GD_MISS_EMPTY_CACHE;
	request->compile_ns = is_hit ? 0 : 2000000;
	engine->compiles += !is_hit;
	engine->counters[request->mode != GD_CACHE_USE || is_posted ? GD_COUNT_CACHE_UNKNOWNS
			 : is_hit && request->kernel                ? GD_COUNT_CACHE_HITS
								    : GD_COUNT_CACHE_MISSES]++;
	request->done(request);
}

static void compile_mail(struct gd_mail *mail)
{
	finish_compile(gd_container(mail, struct gd_compile_request, mail));
}

void gd_lane_compile(struct gd_lane *lane, struct gd_compile_request *request)
{
	request->lane = lane;
	if (lane->engine->never_compiles) {
		lane->engine->pending = request;
	} else if (lane->engine->is_late) {
		request->mail.fn = compile_mail;
		gd_loop_post(lane->loop, &request->mail);
	} else {
		finish_compile(request);
	}
}

void fake_compile_finish(struct gd_engine *engine)
{
	struct gd_compile_request *request = engine->pending;
	engine->pending = NULL;
	finish_compile(request);
}
