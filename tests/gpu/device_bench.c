/*
 * Figures of the cuda device: launch round trips mapped and staged, what modules, streams, chunks and timing
 * events cost, the same beside a kernel that runs, and launches per second of several threads. Needs a GPU
 * and NVRTC; exits 77 without. What it prints chose GD_CUDA_MAPPED_BYTES_MAX.
 */
#include "nvrtc.h"

#include "gpu/base/clock.h"
#include "gpu/device/cuda/context.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXIT_SKIPPED     77
#define SLAB_BYTES       (64ull << 20)
#define SAMPLES_MAX      2000
#define THREADS_MAX      4
#define STREAMS_A_THREAD 8
#define RATE_NS          (300 * GD_NS_PER_MS)

static const struct gd_device_ops *const ops = &gd_device_cuda_ops;
static struct gd_device *device;
static struct gd_device_info info;
static struct gd_kernel_info kernel;
static struct gd_error error;
static uint8_t *in, *out;

static const char source[] =
    "extern \"C\" __global__ void stream(const float *x, float *y, int n)\n"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = 2.0f * x[i] + 1.0f; }\n"
    "extern \"C\" __global__ void stencil(const float *x, float *y, int n)\n"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i >= n) return; float s = 0;\n"
    "  for (int k = -12; k <= 12; k++) { int j = i + 64 * k; s += x[j < 0 ? 0 : j >= n ? n - 1 : j]; } y[i] "
    "= s; }\n"
    "extern \"C\" __global__ void histogram(const unsigned char *x, unsigned *y, int n)\n"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n * 4) atomicAdd(&y[x[i] % n], 1u); }\n"
    "extern \"C\" __global__ void total(const float *x, float *y, int n)\n"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) atomicAdd(y, x[i]); }\n"
    "__device__ int counter;\n";
static const char counting_source[] =
    "__device__ int counter;\n"
    "extern \"C\" __global__ void count(int *x) { x[0] = ++counter; }\n"
    "extern \"C\" __global__ void wait(unsigned long long ns, int *out)\n"
    "{ unsigned long long t0, t; asm volatile(\"mov.u64 %0, %globaltimer;\" : \"=l\"(t0));\n"
    "  do asm volatile(\"mov.u64 %0, %globaltimer;\" : \"=l\"(t)); while (t - t0 < ns); out[0] = 1; }\n";

struct params {
	uint64_t x, y;
	int32_t n, end;
};

__attribute__((noreturn)) static void die(const char *what)
{
	printf("FAIL  %s: %s\n", what, error.text);
	exit(EXIT_FAILURE);
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

static double median(double *samples, size_t count)
{
	qsort(samples, count, sizeof *samples, compare);
	return samples[count / 2];
}

static struct gd_module *load(const char *text, const char *entry)
{
	void *data;
	size_t bytes;
	struct gd_module *module = NULL;
	if (!nvrtc_compile(text, info.architecture, &data, &bytes))
		die(entry);
	struct gd_image image = {
	    .kind = GD_IMAGE_CUBIN, .data = data, .bytes = bytes, .entry = entry, .occupancy_threads = 256};
	if (!ops->module_load(device, &image, &module, &kernel, &error))
		die(entry);
	free(data);
	return module;
}

static struct gd_buffer_arg buffer(uint32_t param, bool is_output, uint64_t offset, uint64_t bytes)
{
	return (struct gd_buffer_arg){.param_offset = param,
				      .access = is_output ? GD_ACCESS_WRITE : GD_ACCESS_READ,
				      .space = is_output ? GD_SPACE_OUT : GD_SPACE_IN,
				      .source = is_output ? GD_SPACE_NULL : GD_SPACE_IN,
				      .offset = offset,
				      .source_offset = is_output ? 0 : offset,
				      .bytes = bytes};
}

static void finish(struct gd_stream *stream, struct gd_launch_timing *timing)
{
	enum gd_poll poll;
	while ((poll = ops->poll(stream, timing, &error)) == GD_POLL_PENDING)
		continue;
	if (poll != GD_POLL_DONE)
		die("launch");
}

/* Median round trip in microseconds of `module` on vectors of `bytes`; also the device's time of the kernel.
 */
static double round_trip(struct gd_stream *stream, struct gd_module *module, uint64_t bytes,
			 uint64_t out_bytes, bool is_mapped, double *out_kernel_us)
{
	static double samples[SAMPLES_MAX], kernels[SAMPLES_MAX];
	size_t count = bytes >= (1u << 20) ? 50 : is_mapped && out_bytes != bytes ? 20 : 500;
	struct params params = {.n = (int32_t)(out_bytes == 1024 ? 256 : bytes / 4)};
	struct gd_buffer_arg buffers[] = {buffer(0, false, 0, bytes), buffer(8, true, 0, out_bytes)};
	struct gd_launch launch = {.module = module,
				   .grid = {(uint32_t)(bytes / 4 + 255) / 256, 1, 1},
				   .block = {256, 1, 1},
				   .iterations = 1,
				   .params = (const uint8_t *)&params,
				   .param_bytes = 20,
				   .buffers = buffers,
				   .buffer_count = 2};
	uint64_t limit = device->mapped_bytes_max;
	device->maps_untried = is_mapped;
	device->mapped_bytes_max = is_mapped ? UINT64_MAX : 0;
	for (size_t i = 0; i < count; i++) {
		struct gd_launch_timing timing;
		uint64_t start = gd_now_ns();
		if (!ops->submit(stream, &launch, &error))
			die("submit");
		finish(stream, &timing);
		samples[i] = (double)(gd_now_ns() - start) / 1e3;
		kernels[i] = (double)timing.kernel_ns / 1e3;
	}
	device->mapped_bytes_max = limit;
	device->maps_untried = false;
	*out_kernel_us = median(kernels, count);
	return median(samples, count);
}

static void print_round_trips(struct gd_stream *stream)
{
	static const char *const names[] = {"stream", "stencil", "total", "histogram"};
	printf("\nround trip, us (device time of the kernel)\n%-10s %10s %22s %22s\n", "kernel", "bytes in",
	       "mapped", "staged");
	for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
		struct gd_module *module = load(source, names[k]);
		uint64_t largest =
		    k >= 2 ? 64u << 10 : 16u << 20; /* mapped atomics take a microsecond each */
		for (uint64_t bytes = 4; bytes <= largest; bytes *= bytes == 4 ? 1024 : 4) {
			double mapped_kernel, staged_kernel;
			uint64_t out_bytes = k == 2 ? 256 : k == 3 ? 1024 : bytes;
			double mapped = round_trip(stream, module, bytes, out_bytes, true, &mapped_kernel);
			double staged = round_trip(stream, module, bytes, out_bytes, false, &staged_kernel);
			printf("%-10s %10llu %12.1f (%7.1f) %12.1f (%7.1f)\n", names[k],
			       (unsigned long long)bytes, mapped, mapped_kernel, staged, staged_kernel);
			fflush(stdout);
		}
		ops->module_free(device, module);
	}
}

/* Launch `function` and query an event until it is done, in one of four ways; the median in microseconds. */
static double time_events(const struct gd_cuda_driver *driver, struct CUfunc_st *function,
			  gd_cu_pointer scratch, int way)
{
	static double samples[SAMPLES_MAX];
	struct CUstream_st *stream;
	struct CUevent_st *plain, *first, *second;
	struct {
		uint64_t ns, out;
	} params = {0, scratch};
	size_t bytes = sizeof params;
	void *extra[] = {GD_CU_LAUNCH_PARAM_BUFFER_POINTER, &params, GD_CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
			 GD_CU_LAUNCH_PARAM_END};
	driver->stream_create(&stream, GD_CU_STREAM_NON_BLOCKING);
	driver->event_create(&plain, GD_CU_EVENT_DISABLE_TIMING);
	driver->event_create(&first, GD_CU_EVENT_DEFAULT);
	driver->event_create(&second, GD_CU_EVENT_DEFAULT);
	for (size_t i = 0; i < SAMPLES_MAX; i++) {
		float ms;
		struct CUevent_st *last = way ? second : plain;
		uint64_t start = gd_now_ns();
		if (way >= 2)
			driver->event_record(first, stream);
		driver->launch(function, 1, 1, 1, 32, 1, 1, 0, stream, NULL, extra);
		driver->event_record(last, stream);
		while (driver->event_query(last) == GD_CUDA_ERROR_NOT_READY)
			continue;
		if (way == 3)
			driver->event_elapsed(&ms, first, second);
		samples[i] = (double)(gd_now_ns() - start) / 1e3;
	}
	driver->event_destroy(plain);
	driver->event_destroy(first);
	driver->event_destroy(second);
	driver->stream_destroy(stream);
	return median(samples, SAMPLES_MAX);
}

/* What events cost under each scheduling flag, by the driver alone: a fresh primary context for each. */
static void print_event_costs(void)
{
	static const struct {
		unsigned flag;
		const char *name;
	} rows[] = {{GD_CU_CTX_SCHED_AUTO, "auto"},
		    {GD_CU_CTX_SCHED_SPIN, "spin"},
		    {GD_CU_CTX_SCHED_YIELD, "yield"},
		    {GD_CU_CTX_SCHED_BLOCKING_SYNC, "blocking"}};
	const struct gd_cuda_driver *driver = gd_cuda_driver_get(&error);
	void *cubin;
	size_t bytes;
	if (!driver)
		return;
	int major = 0, minor = 0;
	char architecture[16];
	driver->device_attribute(&major, GD_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0);
	driver->device_attribute(&minor, GD_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0);
	snprintf(architecture, sizeof architecture, "sm_%d%d", major, minor);
	if (!nvrtc_compile(counting_source, architecture, &cubin, &bytes))
		die("wait");
	printf("launch and query until done, us: one event; one timed; two timed; two timed and read\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct CUctx_st *context;
		struct CUmod_st *module;
		struct CUfunc_st *function;
		gd_cu_pointer scratch;
		driver->primary_set_flags(0, rows[i].flag);
		if (driver->primary_retain(&context, 0) || driver->ctx_set_current(context) ||
		    driver->module_load(&module, cubin, 0, NULL, NULL) ||
		    driver->module_function(&function, module, "wait") || driver->mem_alloc(&scratch, 256))
			die("a context");
		printf("%-10s", rows[i].name);
		for (int way = 0; way < 4; way++)
			printf(" %8.2f", time_events(driver, function, scratch, way));
		printf("\n");
		driver->mem_free(scratch);
		driver->module_unload(module);
		driver->ctx_set_current(NULL);
		driver->primary_release(0);
	}
	free(cubin);
}

/* How deep calls may go on the default stack; ends the process's use of the device where they may not. */
static void print_recursion(struct gd_stream *stream)
{
	static const char text[] =
	    "__device__ __noinline__ int depth(int n) { return n ? 1 + depth(n - 1) : 0; }\n"
	    "extern \"C\" __global__ void recurse(int *out, int n) { out[0] = depth(n); }\n";
	struct gd_module *module = load(text, "recurse");
	struct {
		uint64_t out;
		int32_t n, end;
	} params = {0};
	struct gd_buffer_arg target = buffer(0, true, 0, 4);
	struct gd_launch launch = {.module = module,
				   .grid = {1, 1, 1},
				   .block = {1, 1, 1},
				   .iterations = 1,
				   .params = (const uint8_t *)&params,
				   .param_bytes = 12,
				   .buffers = &target,
				   .buffer_count = 1};
	printf("\nrecursion (local memory %u bytes a thread):", kernel.local_bytes);
	enum gd_poll poll = GD_POLL_DONE;
	for (params.n = 8; poll == GD_POLL_DONE && params.n <= 65536; params.n *= 2) {
		struct gd_launch_timing timing;
		if (!ops->submit(stream, &launch, &error))
			break;
		while ((poll = ops->poll(stream, &timing, &error)) == GD_POLL_PENDING)
			continue;
		printf(" %d %s", params.n, poll == GD_POLL_DONE ? "ok" : error.text);
	}
	printf("\n");
	ops->module_free(device, module);
}

/* Time one action several times; returns the median and sets the longest, in microseconds. */
static double time_action(void (*action)(void *), void *context, size_t count, double *out_longest)
{
	static double samples[SAMPLES_MAX];
	for (size_t i = 0; i < count; i++) {
		uint64_t start = gd_now_ns();
		action(context);
		samples[i] = (double)(gd_now_ns() - start) / 1e3;
	}
	double middle = median(samples, count);
	*out_longest = samples[count - 1];
	return middle;
}

struct actions {
	void *cubin;
	size_t cubin_bytes;
	struct gd_stream *stream;
	struct gd_module *counting, *plain;
	struct gd_launch launch;
};

static void load_and_free_module(void *context)
{
	struct actions *actions = context;
	struct gd_module *module;
	struct gd_image image = {.kind = GD_IMAGE_CUBIN,
				 .data = actions->cubin,
				 .bytes = actions->cubin_bytes,
				 .entry = "count",
				 .occupancy_threads = 256};
	if (!ops->module_load(device, &image, &module, &kernel, &error))
		die("module_load");
	ops->module_free(device, module);
}

static void make_and_free_stream(void *context)
{
	struct gd_stream *stream;
	(void)context;
	if (!ops->stream_new(device, &stream, &error))
		die("stream_new");
	ops->stream_free(stream);
}

static void make_and_free_chunk(void *context)
{
	struct gd_chunk *chunk;
	uint64_t bytes;
	int fd;
	(void)context;
	if (!ops->chunk_new(device, 32u << 20, &chunk, &bytes, &fd, &error))
		die("chunk_new");
	close(fd);
	ops->chunk_free(device, chunk);
}

static void launch_counting(void *context)
{
	struct actions *actions = context;
	struct gd_launch_timing timing;
	actions->launch.module = actions->counting;
	if (!ops->submit(actions->stream, &actions->launch, &error))
		die("submit");
	finish(actions->stream, &timing);
}

static void launch_counting_without_reset(void *context)
{
	struct actions *actions = context;
	actions->counting->has_variables = false;
	launch_counting(context);
	actions->counting->has_variables = true;
}

static void print_costs(const char *title, struct actions *actions, size_t count)
{
	static const struct {
		const char *name;
		void (*action)(void *);
	} rows[] = {{"launch, no variables", launch_counting_without_reset},
		    {"launch, variables reset", launch_counting},
		    {"module load and free", load_and_free_module},
		    {"stream new and free", make_and_free_stream},
		    {"chunk of 32 MiB new and free", make_and_free_chunk}};
	printf("\n%s, us: median, longest\n", title);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		double longest, middle = time_action(rows[i].action, actions, count, &longest);
		printf("%-44s %10.1f %10.1f\n", rows[i].name, middle, longest);
		fflush(stdout);
	}
}

/* The same costs alone and beside a kernel that keeps one multiprocessor for a second, by its own clock. */
static void print_costs_twice(struct gd_stream *stream)
{
	static const uint8_t count_params[8];
	static struct gd_buffer_arg count_buffer, wait_buffer;
	struct {
		uint64_t ns, out;
	} wait_params = {.ns = GD_NS_PER_S};
	struct gd_stream *busy;
	struct gd_launch_timing timing;
	struct actions actions = {.stream = stream};
	struct gd_module *wait = load(counting_source, "wait");
	actions.counting = load(counting_source, "count");
	count_buffer = buffer(0, true, 0, 4);
	wait_buffer = buffer(8, true, 4096, 4);
	actions.launch = (struct gd_launch){.grid = {1, 1, 1},
					    .block = {1, 1, 1},
					    .iterations = 1,
					    .params = count_params,
					    .param_bytes = 8,
					    .buffers = &count_buffer,
					    .buffer_count = 1};
	struct gd_launch waiting = actions.launch;
	waiting.module = wait;
	waiting.params = (const uint8_t *)&wait_params;
	waiting.param_bytes = 16;
	waiting.buffers = &wait_buffer;
	if (!nvrtc_compile(counting_source, info.architecture, &actions.cubin, &actions.cubin_bytes) ||
	    !ops->stream_new(device, &busy, &error))
		die("setting up");
	wait->has_variables = false;
	print_costs("alone", &actions, 200);
	if (!ops->submit(busy, &waiting, &error))
		die("submit");
	uint64_t start = gd_now_ns();
	print_costs("beside a kernel that runs", &actions, 20);
	double used_ms = (double)(gd_now_ns() - start) / 1e6;
	bool still_runs = ops->poll(busy, &timing, &error) == GD_POLL_PENDING;
	printf("(all that took %.0f ms; the kernel of 1000 ms was %s)\n", used_ms,
	       still_runs ? "running" : "over");
	if (still_runs)
		finish(busy, &timing);
	ops->stream_free(busy);
	ops->module_free(device, wait);
	ops->module_free(device, actions.counting);
	free(actions.cubin);
}

struct pump {
	struct gd_module *module;
	unsigned index;
	uint64_t launches;
};

static void *pump(void *context)
{
	struct pump *self = context;
	struct gd_stream *streams[STREAMS_A_THREAD];
	struct gd_buffer_arg buffers[STREAMS_A_THREAD][2];
	struct gd_launch launches[STREAMS_A_THREAD];
	static const struct params params = {.n = 1024};
	bool is_busy[STREAMS_A_THREAD] = {false};
	struct gd_error mine;
	for (unsigned i = 0; i < STREAMS_A_THREAD; i++) {
		uint64_t offset = (self->index * STREAMS_A_THREAD + i) * 8192ull;
		buffers[i][0] = buffer(0, false, offset, 4096);
		buffers[i][1] = buffer(8, true, offset, 4096);
		launches[i] = (struct gd_launch){.module = self->module,
						 .grid = {4, 1, 1},
						 .block = {256, 1, 1},
						 .iterations = 1,
						 .params = (const uint8_t *)&params,
						 .param_bytes = 20,
						 .buffers = buffers[i],
						 .buffer_count = 2};
		if (!ops->stream_new(device, &streams[i], &mine))
			return NULL;
	}
	uint64_t end = gd_now_ns() + RATE_NS;
	for (bool is_any_busy = true; is_any_busy;) {
		bool is_time_up = gd_now_ns() > end;
		is_any_busy = false;
		for (unsigned i = 0; i < STREAMS_A_THREAD; i++) {
			struct gd_launch_timing timing;
			if (is_busy[i] && ops->poll(streams[i], &timing, &mine) == GD_POLL_DONE) {
				is_busy[i] = false;
				self->launches++;
			}
			if (!is_busy[i] && !is_time_up)
				is_busy[i] = ops->submit(streams[i], &launches[i], &mine);
			is_any_busy |= is_busy[i];
		}
	}
	for (unsigned i = 0; i < STREAMS_A_THREAD; i++)
		ops->stream_free(streams[i]);
	return NULL;
}

static void print_rates(void)
{
	struct gd_module *module = load(source, "stream");
	printf("\nlaunches per second, 4 KiB in and out, %d streams a thread: mapped, staged\n",
	       STREAMS_A_THREAD);
	for (unsigned threads = 1; threads <= THREADS_MAX; threads *= 2) {
		printf("%u threads", threads);
		for (int is_staged = 0; is_staged < 2; is_staged++) {
			struct pump pumps[THREADS_MAX] = {{0}};
			pthread_t ids[THREADS_MAX];
			uint64_t limit = device->mapped_bytes_max, launches = 0;
			device->mapped_bytes_max = is_staged ? 0 : UINT64_MAX;
			device->maps_untried = !is_staged;
			for (unsigned i = 0; i < threads; i++) {
				pumps[i] = (struct pump){.module = module, .index = i};
				if (pthread_create(&ids[i], NULL, pump, &pumps[i]))
					die("threads");
			}
			for (unsigned i = 0; i < threads; i++) {
				pthread_join(ids[i], NULL);
				launches += pumps[i].launches;
			}
			device->mapped_bytes_max = limit;
			device->maps_untried = false;
			printf(" %12.0f", (double)launches / ((double)RATE_NS / 1e9));
		}
		printf("\n");
	}
	ops->module_free(device, module);
}

int main(void)
{
	struct gd_stream *stream;
	if (!nvrtc_open())
		return EXIT_SKIPPED;
	print_event_costs();
	uint64_t start = gd_now_ns();
	if (!ops->open(0, &device, &info, &error)) {
		fprintf(stderr, "%s\n", error.text);
		return error.code == GD_BACKEND_UNAVAILABLE ? EXIT_SKIPPED : EXIT_FAILURE;
	}
	double open_ms = (double)(gd_now_ns() - start) / 1e6;
	in = mmap(NULL, SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	out =
	    mmap(NULL, SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	start = gd_now_ns();
	if (in == MAP_FAILED || out == MAP_FAILED ||
	    !ops->slabs(device, in, SLAB_BYTES, out, SLAB_BYTES, &error) ||
	    !ops->stream_new(device, &stream, &error))
		die("slabs");
	printf("%s: open %.0f ms, slabs of 2 x 64 MiB %.0f ms, in %s, out %s\n", info.name, open_ms,
	       (double)(gd_now_ns() - start) / 1e6, device->in_device ? "mapped" : "not mapped",
	       device->out_device ? "mapped" : "not mapped");
	print_round_trips(stream);
	print_costs_twice(stream);
	print_rates();
	print_recursion(stream);
	ops->stream_free(stream);
	ops->close(device);
	return EXIT_SUCCESS;
}
