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

struct fake_buffer {
	uint32_t param;
	uint64_t bytes, written, window;
	enum gd_access access;
	enum gd_init init;
	uint8_t *data;
	bool is_dry; /* the next read says 0 first */
};

struct gd_dispatch {
	struct gd_engine *engine;
	struct gd_kernel *kernel;
	void *owner;
	void (*done)(struct gd_dispatch *dispatch);
	void (*writable)(struct gd_dispatch *dispatch);
	void (*readable)(struct gd_dispatch *dispatch);
	uint8_t params[4096];
	struct fake_buffer buffers[FAKE_BUFFERS];
	uint32_t count;
	struct gd_timer timer; /* mail that can be taken back */
	void (*next)(struct gd_dispatch *dispatch);
	bool is_done;
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
	(void)engine;
	*out_toolchain = (struct gd_toolchain){.known = true, .available = true, .id = {.version = "13.0"}};
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

/* ---- dispatches ---- */

static void on_timer(struct gd_timer *timer)
{
	struct gd_dispatch *dispatch = gd_container(timer, struct gd_dispatch, timer);
	dispatch->next(dispatch);
}

static void soon(struct gd_dispatch *dispatch, void (*next)(struct gd_dispatch *dispatch))
{
	dispatch->next = next;
	dispatch->timer.fn = on_timer;
	gd_loop_arm(dispatch->engine->loop, &dispatch->timer, gd_now_ns());
}

bool gd_dispatch_new(struct gd_lane *lane, struct gd_kernel *kernel, struct gd_dispatch **out_dispatch,
		     struct gd_error *error)
{
	if (lane->engine->new_error.code != GD_OK) {
		*error = lane->engine->new_error;
		return false;
	}
	struct gd_dispatch *dispatch = calloc(1, sizeof *dispatch);
	if (!dispatch)
		return gd_error_set(error, GD_OVERLOADED, NULL, "out of memory");
	dispatch->engine = lane->engine;
	dispatch->kernel = gd_kernel_ref(kernel);
	lane->engine->dispatches_alive++;
	*out_dispatch = dispatch;
	return true;
}

void gd_dispatch_free(struct gd_dispatch *dispatch)
{
	if (!dispatch)
		return;
	gd_loop_disarm(dispatch->engine->loop, &dispatch->timer);
	for (uint32_t i = 0; i < dispatch->count; i++)
		free(dispatch->buffers[i].data);
	dispatch->engine->dispatches_alive--;
	gd_kernel_unref(dispatch->kernel);
	free(dispatch);
}

uint8_t *gd_dispatch_params(struct gd_dispatch *dispatch)
{
	return dispatch->params;
}

int gd_dispatch_add(struct gd_dispatch *dispatch, uint32_t param, uint64_t bytes, enum gd_access access,
		    enum gd_init init, struct gd_error *error)
{
	if (bytes > 1u << 28 || dispatch->count == FAKE_BUFFERS) {
		gd_error_set(error, GD_TOO_LARGE, NULL, "the fake engine has no room for that");
		return -1;
	}
	struct fake_buffer *buffer = &dispatch->buffers[dispatch->count];
	*buffer = (struct fake_buffer){.param = param, .bytes = bytes, .access = access, .init = init};
	buffer->data = calloc(1, bytes + 1);
	if (!buffer->data) {
		gd_error_set(error, GD_OVERLOADED, NULL, "out of memory");
		return -1;
	}
	return (int)dispatch->count++;
}

static void wake_writable(struct gd_dispatch *dispatch)
{
	for (uint32_t i = 0; i < dispatch->count; i++)
		dispatch->buffers[i].window = 0;
	dispatch->writable(dispatch);
}

enum gd_plan gd_dispatch_plan(struct gd_dispatch *dispatch, struct gd_error *error)
{
	(void)error;
	struct gd_engine *engine = dispatch->engine;
	if (!engine->plan_waits)
		return GD_PLAN_READY;
	if (engine->plan_waits != UINT32_MAX)
		engine->plan_waits--;
	if (engine->plan_wakes)
		soon(dispatch, wake_writable);
	return GD_PLAN_WAIT;
}

size_t gd_dispatch_write(struct gd_dispatch *dispatch, uint32_t index, uint64_t offset, const void *data,
			 size_t bytes)
{
	struct fake_buffer *buffer = &dispatch->buffers[index];
	struct gd_engine *engine = dispatch->engine;
	engine->writes++;
	if (offset != buffer->written || offset > buffer->bytes || bytes > buffer->bytes - offset)
		abort(); /* the API broke the engine's rules */
	size_t room =
	    engine->window_bytes > buffer->window ? engine->window_bytes - (size_t)buffer->window : 0;
	size_t taken = bytes < room ? bytes : room;
	memcpy(buffer->data + offset, data, taken);
	buffer->written += taken;
	buffer->window += taken;
	if (taken < bytes)
		soon(dispatch, wake_writable);
	return taken;
}

void *gd_dispatch_input(struct gd_dispatch *dispatch, uint32_t index)
{
	return dispatch->engine->window_bytes ? NULL : dispatch->buffers[index].data;
}

/* Output slots as the contract's counters define them. */
static void count_slot(struct gd_engine *engine, const struct fake_buffer *buffer)
{
	uint64_t *retained = &engine->retained[buffer->param % FAKE_BUFFERS];
	engine->counters[GD_COUNT_OUTPUT_BYTES] += buffer->bytes;
	engine->counters[GD_COUNT_OUTPUT_SLOTS]++;
	engine->counters[*retained >= buffer->bytes ? GD_COUNT_OUTPUT_SLOTS_REUSED
			 : *retained                ? GD_COUNT_OUTPUT_SLOTS_MOVED
						    : GD_COUNT_OUTPUT_SLOTS_APPENDED]++;
	if (*retained < buffer->bytes)
		*retained = buffer->bytes;
}

static void run(struct gd_dispatch *dispatch)
{
	struct gd_engine *engine = dispatch->engine;
	const struct fake_buffer *from = NULL;
	dispatch->is_done = true;
	for (uint32_t i = 0; i < dispatch->count && !from; i++)
		if (dispatch->buffers[i].access == GD_ACCESS_READ)
			from = &dispatch->buffers[i];
	for (uint32_t i = 0; i < dispatch->count; i++) {
		struct fake_buffer *buffer = &dispatch->buffers[i];
		engine->input_bytes[i] = buffer->init == GD_INIT_DATA ? buffer->bytes : 0;
		engine->counters[GD_COUNT_INPUT_BYTES] += engine->input_bytes[i];
		if (!(buffer->access & GD_ACCESS_WRITE))
			continue;
		if (from)
			memcpy(buffer->data, from->data,
			       from->bytes < buffer->bytes ? from->bytes : buffer->bytes);
		count_slot(engine, buffer);
		engine->last_output = buffer->data;
	}
	engine->counters[GD_COUNT_LAUNCHES]++;
	engine->counters[GD_COUNT_DISPATCH_OK]++;
	dispatch->done(dispatch);
}

void gd_dispatch_start(struct gd_dispatch *dispatch, const struct gd_dispatch_options *options)
{
	dispatch->engine->options = *options;
	memcpy(dispatch->engine->params, dispatch->params, sizeof dispatch->params);
	if (dispatch->engine->is_late)
		soon(dispatch, run);
	else
		run(dispatch);
}

void gd_dispatch_notify(struct gd_dispatch *dispatch, void *owner, void (*done)(struct gd_dispatch *dispatch),
			void (*writable)(struct gd_dispatch *dispatch),
			void (*readable)(struct gd_dispatch *dispatch))
{
	dispatch->owner = owner;
	dispatch->done = done;
	dispatch->writable = writable;
	dispatch->readable = readable;
}

void *gd_dispatch_owner(const struct gd_dispatch *dispatch)
{
	return dispatch->owner;
}

bool gd_dispatch_result(const struct gd_dispatch *dispatch, struct gd_dispatch_timing *out_timing,
			struct gd_error *error)
{
	if (dispatch->engine->dispatch_error.code != GD_OK) {
		*error = dispatch->engine->dispatch_error;
		return false;
	}
	*out_timing = (struct gd_dispatch_timing){
	    .queue_ns = 1, .h2d_ns = 2, .kernel_ns = 3, .d2h_ns = 4, .total_ns = 10};
	return true;
}

const void *gd_dispatch_output(struct gd_dispatch *dispatch, uint32_t index)
{
	return dispatch->engine->window_bytes ? NULL : dispatch->buffers[index].data;
}

int64_t gd_dispatch_read(struct gd_dispatch *dispatch, uint32_t index, uint64_t offset, void *data,
			 size_t bytes)
{
	struct fake_buffer *buffer = &dispatch->buffers[index];
	dispatch->engine->reads++;
	buffer->is_dry = !buffer->is_dry;
	if (buffer->is_dry) {
		soon(dispatch, dispatch->readable);
		return 0;
	}
	size_t part = bytes < dispatch->engine->window_bytes ? bytes : dispatch->engine->window_bytes;
	if (offset > buffer->bytes || part > buffer->bytes - offset)
		abort();
	memcpy(data, buffer->data + offset, part);
	return (int64_t)part;
}
