/*
 * From a program to a loaded kernel: the cache, single flight, the compiler, the load on every device.
 *
 * A flight is one compile under way, owned by the supervisor; everyone who asks for the same key meanwhile
 * waits in the cache's entry. What the requests get is decided once, when the flight ends.
 */
#include "gpu/dispatch/inside.h"

#include "gpu/base/clock.h"

#include <stdlib.h>

struct gd_flight {
	struct gd_flight *next, **link;
	struct gd_engine *engine;
	struct gd_mail mail;
	struct gd_program *program;
	uint8_t key[GD_CACHE_KEY_BYTES];
	bool cached;               /* others may wait in the cache's entry; it is stored at the end */
	struct gd_waiter *first;   /* whose request made it; compared only */
	struct gd_waiter *private; /* the one request of a flight that is not cached */
	enum gd_miss_reason reason;
	struct gd_compile_job job;
	bool job_out;
	struct gd_kernel *kernel;
	uint64_t started_ns, load_started_ns;
	struct gd_load_wait loads[GD_DEVICES_MAX];
	uint32_t loads_out;
	struct gd_error error;
};

static const char *const backend_names[] = {"auto", "cuda", "reference", "echo"};

static void audit(struct gd_lane *lane, const struct gd_compile_request *request)
{
	struct gd_lane_counts *counts = &lane->counts;
	if (request->cache_hit < 0 || request->miss_reason == GD_MISS_BYPASSED)
		gd_count_add(counts, GD_COUNT_CACHE_UNKNOWNS, 1);
	else if (request->cache_hit)
		gd_count_add(counts, GD_COUNT_CACHE_HITS, 1);
	else
		gd_count_add(counts, GD_COUNT_CACHE_MISSES, 1);
	if (request->tier == GD_TIER_MEMORY)
		gd_count_add(counts, GD_COUNT_CACHE_MEMORY_HITS, 1);
	if (request->tier == GD_TIER_COALESCED)
		gd_count_add(counts, GD_COUNT_CACHE_COALESCED, 1);
	if (!request->cache_hit) {
		_Atomic uint64_t *misses = &counts->misses[request->miss_reason];
		atomic_fetch_add_explicit(misses, 1, memory_order_relaxed);
	}
	if (request->tier == GD_TIER_COMPILED) {
		gd_count_add(counts, request->kernel ? GD_COUNT_COMPILES_OK : GD_COUNT_COMPILES_FAILED, 1);
		gd_count_phase(counts, GD_PHASE_COMPILE, request->compile_ns);
	}
}

static void enter_lane(struct gd_lane *lane, struct gd_compile_request *request)
{
	request->next = lane->compiling;
	request->link = &lane->compiling;
	if (request->next)
		request->next->link = &request->next;
	lane->compiling = request;
}

static void leave_lane(struct gd_compile_request *request)
{
	*request->link = request->next;
	if (request->next)
		request->next->link = request->link;
}

static void request_ended(struct gd_mail *mail)
{
	struct gd_compile_request *request = gd_container(mail, struct gd_compile_request, mail);
	leave_lane(request);
	audit(request->lane, request);
	request->done(request);
}

/* What one waiter gets. The first in line made the compile happen; the others were coalesced with it. */
static void settle(struct gd_flight *flight, struct gd_compile_request *request, bool first)
{
	bool no_cache_notion = gd_program_language(flight->program) != GD_LANGUAGE_CUDA;
	request->cache_hit = no_cache_notion ? -1 : first ? 0 : 1;
	request->tier = no_cache_notion ? GD_TIER_NONE : first ? GD_TIER_COMPILED : GD_TIER_COALESCED;
	request->miss_reason = first && !no_cache_notion ? flight->reason : GD_MISS_NONE;
	request->compile_ns = first ? flight->job.compile_ns : 0;
	request->load_ns = flight->load_started_ns ? gd_now_ns() - flight->load_started_ns : 0;
	request->kernel = NULL;
	if (flight->kernel && !flight->error.code) {
		request->kernel = gd_kernel_ref(flight->kernel);
	} else {
		request->error = flight->error;
		if (!gd_diagnostics_copy(&flight->job.diagnostics, &request->diagnostics, NULL))
			request->diagnostics = (struct gd_diagnostics){0};
	}
	request->mail.fn = request_ended;
	gd_lane_post(request->lane, &request->mail);
}

static void end_flight(struct gd_flight *flight)
{
	struct gd_engine *engine = flight->engine;
	bool good = flight->kernel && !flight->error.code;
	struct gd_waiter *waiter = flight->private, *next;
	if (flight->cached)
		waiter = gd_cache_finish(
		    engine->cache, flight->key, good ? flight->kernel : NULL,
		    good ? gd_artifact_bytes(flight->kernel->artifact) + sizeof *flight->kernel : 0);
	for (; waiter; waiter = next) {
		next = waiter->next;
		struct gd_compile_request *request = waiter->owner;
		settle(flight, request, waiter == flight->first);
	}
	atomic_fetch_sub(&engine->compiles_inflight, 1);
	*flight->link = flight->next;
	if (flight->next)
		flight->next->link = flight->link;
	gd_kernel_unref(flight->kernel);
	gd_program_free(flight->program);
	gd_diagnostics_done(&flight->job.diagnostics);
	free(flight);
}

static void load_ended(struct gd_mail *mail)
{
	struct gd_load_wait *wait = gd_container(mail, struct gd_load_wait, mail);
	struct gd_flight *flight = wait->flight;
	if (!wait->loaded && !flight->error.code)
		flight->error = wait->error;
	if (--flight->loads_out == 0)
		end_flight(flight);
}

static void load_everywhere(struct gd_flight *flight, struct gd_artifact *artifact)
{
	struct gd_engine *engine = flight->engine;
	const uint32_t *block = gd_program_workgroup_size(flight->program);
	flight->kernel = gd_kernel_new(engine, artifact, block[0] * block[1] * block[2]);
	if (!flight->kernel) {
		gd_error_set(&flight->error, GD_OVERLOADED, NULL, "out of memory");
		end_flight(flight);
		return;
	}
	flight->load_started_ns = gd_now_ns();
	/* one for ourselves, so that a load that ends at once does not end the flight under us */
	flight->loads_out = 1;
	for (uint32_t i = 0; i < engine->station_count; i++) {
		if (!engine->stations[i].link || !engine->stations[i].link->ready)
			continue;
		struct gd_load_wait *wait = &flight->loads[i];
		*wait = (struct gd_load_wait){
		    .mail.fn = load_ended, .flight = flight, .kernel = flight->kernel, .station = i};
		flight->loads_out++;
		gd_station_load(engine, wait);
	}
	if (flight->loads_out == 1 && !flight->error.code)
		gd_error_set(&flight->error, GD_DEVICE_LOST, "Send the request again in a moment.",
			     "no device is ready to load the kernel");
	if (--flight->loads_out == 0)
		end_flight(flight);
}

static void compile_done(struct gd_compile_job *job)
{
	struct gd_flight *flight = gd_container(job, struct gd_flight, job);
	flight->job_out = false;
	if (!job->artifact) {
		flight->error = job->error;
		end_flight(flight);
		return;
	}
	struct gd_artifact *artifact = job->artifact;
	job->artifact = NULL;
	load_everywhere(flight, artifact);
	gd_artifact_free(artifact);
}

static void begin_flight(struct gd_mail *mail)
{
	struct gd_flight *flight = gd_container(mail, struct gd_flight, mail);
	struct gd_engine *engine = flight->engine;
	const struct gd_device_info *info = &engine->stations[0].status.info;
	flight->next = engine->flights;
	flight->link = &engine->flights;
	if (flight->next)
		flight->next->link = &flight->next;
	engine->flights = flight;
	atomic_fetch_add(&engine->compiles_inflight, 1);
	if (engine->ending) {
		gd_error_set(&flight->error, GD_DRAINING, NULL, "the service is shutting down");
		end_flight(flight);
		return;
	}
	if (gd_program_language(flight->program) != GD_LANGUAGE_CUDA) {
		struct gd_artifact *artifact = NULL;
		if (!gd_artifact_from_posted(flight->program, info->architecture, &artifact,
					     &flight->error)) {
			end_flight(flight);
			return;
		}
		load_everywhere(flight, artifact);
		gd_artifact_free(artifact);
		return;
	}
	flight->job.program = flight->program;
	flight->job.kind = engine->backend == GD_BACKEND_CUDA ? GD_COMPILE_CUDA : GD_COMPILE_REFERENCE;
	flight->job.compute_capability = info->compute_major * 10 + info->compute_minor;
	flight->job.done = compile_done;
	flight->job_out = gd_compiler_submit(engine->compiler, &flight->job, &flight->error);
	if (!flight->job_out)
		end_flight(flight);
}

static void fail_now(struct gd_compile_request *request)
{
	request->kernel = NULL;
	audit(request->lane, request);
	request->done(request);
}

/* There is no memory to make the flight that all of these wait for. */
static void fail_waiters(struct gd_engine *engine, const uint8_t key[GD_CACHE_KEY_BYTES],
			 struct gd_waiter *waiter)
{
	if (!waiter)
		waiter = gd_cache_finish(engine->cache, key, NULL, 0);
	for (struct gd_waiter *next; waiter; waiter = next) {
		next = waiter->next;
		struct gd_compile_request *request = waiter->owner;
		gd_error_set(&request->error, GD_OVERLOADED, NULL, "out of memory");
		request->mail.fn = request_ended;
		gd_loop_post(request->lane->loop, &request->mail);
	}
}

static bool check_backend(struct gd_lane *lane, struct gd_compile_request *request)
{
	struct gd_engine *engine = lane->engine;
	if (request->backend != GD_BACKEND_AUTO && request->backend != engine->backend)
		return gd_error_set(&request->error, GD_BACKEND_UNAVAILABLE,
				    "Leave backend out, or send it to a server that has such a device.",
				    "this server has no %s device; it runs %s",
				    backend_names[request->backend], backend_names[engine->backend]);
	if (gd_program_language(request->program) == GD_LANGUAGE_CUBIN && engine->backend != GD_BACKEND_CUDA)
		return gd_error_set(&request->error, GD_UNSUPPORTED_FEATURE, "Post the source or the PTX.",
				    "the %s device cannot run a cubin", backend_names[engine->backend]);
	return true;
}

/* The key of the program on this engine's devices. False while they are not known yet. */
static bool make_key(struct gd_engine *engine, const struct gd_program *program, struct gd_cache_key *out_key,
		     struct gd_error *error)
{
	char target[sizeof engine->stations[0].status.info.architecture];
	struct gd_toolchain_id toolchain = {0};
	pthread_mutex_lock(&engine->lock);
	memcpy(target, engine->stations[0].status.info.architecture, sizeof target);
	bool known = engine->toolchain.known, available = engine->toolchain.available;
	if (gd_program_language(program) == GD_LANGUAGE_CUDA)
		toolchain = engine->toolchain.id;
	char why_not[sizeof engine->toolchain.why_not];
	memcpy(why_not, engine->toolchain.why_not, sizeof why_not);
	pthread_mutex_unlock(&engine->lock);
	if (!target[0])
		return gd_error_set(error, GD_DEVICE_LOST, "Send the request again in a moment.",
				    "no device is ready yet");
	if (gd_program_language(program) == GD_LANGUAGE_CUDA && (!known || !available))
		return gd_error_set(
		    error, GD_BACKEND_UNAVAILABLE,
		    known ? "Install NVRTC (CUDA toolkit, or the PyPI wheel nvidia-cuda-nvrtc) and start "
			    "the service with --nvrtc."
			  : "Send the request again in a moment.",
		    "sources cannot be compiled here: %s", known ? why_not : "the compiler is starting");
	gd_artifact_key(gd_program_digest(program), target, &toolchain, out_key->key);
	memcpy(out_key->program, gd_program_digest(program), sizeof out_key->program);
	out_key->kernel = gd_program_kernel(program);
	return true;
}

void gd_lane_compile(struct gd_lane *lane, struct gd_compile_request *request)
{
	struct gd_engine *engine = lane->engine;
	struct gd_cache_key key;
	request->lane = lane;
	request->kernel = NULL;
	request->error = (struct gd_error){0};
	request->diagnostics = (struct gd_diagnostics){0};
	request->cache_hit = 0;
	request->tier = GD_TIER_NONE;
	request->miss_reason = GD_MISS_KEY_ABSENT;
	request->compile_ns = request->load_ns = 0;
	request->waiter = (struct gd_waiter){.owner = request};
	if (!check_backend(lane, request) || !make_key(engine, request->program, &key, &request->error)) {
		fail_now(request);
		return;
	}
	memcpy(request->key, key.key, sizeof request->key);
	void *value = NULL;
	bool joinable = false;
	enum gd_miss_reason reason = GD_MISS_BYPASSED;
	enum gd_lookup lookup = GD_LOOKUP_OWNER;
	/* before others can see it: a flight may end on the supervisor's thread at once */
	enter_lane(lane, request);
	if (request->mode != GD_CACHE_BYPASS)
		lookup = gd_cache_begin(engine->cache, &key, request->mode, &request->waiter, &value, &reason,
					&joinable);
	if (lookup == GD_LOOKUP_JOINED)
		return;
	if (lookup == GD_LOOKUP_HIT) {
		leave_lane(request);
		bool no_notion = gd_program_language(request->program) == GD_LANGUAGE_CUBIN;
		request->kernel = value;
		request->cache_hit = no_notion ? -1 : 1;
		request->tier = no_notion ? GD_TIER_NONE : GD_TIER_MEMORY;
		request->miss_reason = GD_MISS_NONE;
		audit(lane, request);
		request->done(request);
		return;
	}
	struct gd_flight *flight = calloc(1, sizeof *flight);
	if (!flight) {
		fail_waiters(engine, key.key, joinable ? NULL : &request->waiter);
		return;
	}
	flight->engine = engine;
	flight->program = gd_program_ref(request->program);
	flight->first = &request->waiter;
	flight->cached = joinable;
	flight->private = joinable ? NULL : &request->waiter;
	flight->reason = reason;
	flight->started_ns = gd_now_ns();
	memcpy(flight->key, key.key, sizeof flight->key);
	flight->mail.fn = begin_flight;
	gd_loop_post(engine->loop, &flight->mail);
}

void gd_engine_end_flights(struct gd_engine *engine)
{
	while (engine->flights) {
		struct gd_flight *flight = engine->flights;
		if (flight->job_out)
			gd_compiler_cancel(engine->compiler, &flight->job);
		gd_error_set(&flight->error, GD_DRAINING, NULL, "the service is shutting down");
		end_flight(flight);
	}
}

void gd_engine_forget_requests(struct gd_engine *engine, struct gd_lane *lane)
{
	/* flights that a late letter still has to begin are begun now, so that all are on the list */
	gd_loop_deliver(engine->loop);
	gd_loop_deliver(lane->loop);
	while (lane->compiling) {
		struct gd_compile_request *request = lane->compiling;
		leave_lane(request);
		gd_cache_forget(engine->cache, request->key, &request->waiter);
		for (struct gd_flight *flight = engine->flights; flight; flight = flight->next)
			if (flight->private == &request->waiter)
				flight->private = NULL;
	}
}
