/*
 * Figures of the cuda device: launch round trips in the three ways of placement.h, what modules, streams and
 * chunks cost, alone and beside a kernel that runs, and launches per second of several threads. Needs a GPU
 * and NVRTC; exits 77 without. What it prints chooses GD_CUDA_SMALL_BYTES_MAX and the limits in mapping.h.
 */
#include "bench_driver.h"
#include "nvrtc.h"

#include "gpu/base/clock.h"
#include "gpu/device/cuda/placement.h"

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
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) atomicAdd(y, x[i]); }\n";
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

enum way { WAY_MAPPED, WAY_BOUNCED, WAY_FROM_SLABS, WAY_COUNT };

/* Make all launches of the module go one way. */
static void choose_way(struct gd_module *module, enum way way)
{
	device->small_bytes_max = way == WAY_FROM_SLABS ? 0 : GD_CUDA_BOUNCE_BYTES;
	device->maps_untried = way == WAY_MAPPED;
	atomic_store(&module->mapping.strikes, way == WAY_BOUNCED ? GD_CUDA_MAPPED_STRIKES_MAX : 0);
}

/* Back to what the product does. */
static void choose_default(void)
{
	device->small_bytes_max = GD_CUDA_SMALL_BYTES_MAX;
	device->maps_untried = false;
}

/* Median round trip in microseconds of `module` on vectors of `bytes`; also the device's time of the kernel.
 */
static double round_trip(struct gd_stream *stream, struct gd_module *module, uint64_t bytes,
			 uint64_t out_bytes, enum way way, double *out_kernel_us)
{
	static double samples[SAMPLES_MAX], kernels[SAMPLES_MAX];
	size_t count = bytes >= (1u << 20) ? 50 : way == WAY_MAPPED && out_bytes != bytes ? 20 : 500;
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
	choose_way(module, way);
	for (size_t i = 0; i < count; i++) {
		struct gd_launch_timing timing;
		uint64_t start = gd_now_ns();
		if (!ops->submit(stream, &launch, &error))
			die("submit");
		finish(stream, &timing);
		samples[i] = (double)(gd_now_ns() - start) / 1e3;
		kernels[i] = (double)timing.kernel_ns / 1e3;
	}
	*out_kernel_us = bench_median(kernels, count);
	return bench_median(samples, count);
}

static void print_round_trips(struct gd_stream *stream)
{
	static const char *const names[] = {"stream", "stencil", "total", "histogram"};
	printf("\nround trip, us (device time of the kernel)\n%-10s %10s %22s %22s %22s\n", "kernel",
	       "bytes in", "mapped", "bounced", "from the slabs");
	for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
		struct gd_module *module = load(source, names[k]);
		uint64_t largest =
		    k >= 2 ? 64u << 10 : 16u << 20; /* mapped atomics take a microsecond each */
		for (uint64_t bytes = 4; bytes <= largest; bytes *= bytes == 4 ? 1024 : 4) {
			uint64_t out_bytes = k == 2 ? 256 : k == 3 ? 1024 : bytes;
			printf("%-10s %10llu", names[k], (unsigned long long)bytes);
			for (enum way way = WAY_MAPPED; way < WAY_COUNT; way++) {
				double kernel_us, trip_us = 0;
				if (way == WAY_FROM_SLABS || bytes + out_bytes <= GD_CUDA_BOUNCE_BYTES)
					trip_us =
					    round_trip(stream, module, bytes, out_bytes, way, &kernel_us);
				if (trip_us > 0)
					printf(" %12.1f (%7.1f)", trip_us, kernel_us);
				else
					printf(" %22s", "-");
			}
			printf("\n");
			fflush(stdout);
		}
		ops->module_free(device, module);
	}
	choose_default();
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

#define COST_SAMPLES 8

/* What the costs below are about; each action is done COST_SAMPLES times and its undoing as often. */
struct costs {
	void *cubin;
	size_t cubin_bytes;
	struct gd_stream *stream, *busy;
	struct gd_module *counting, *waiting;
	struct gd_cuda_instance instances[COST_SAMPLES];
	struct gd_module *modules[COST_SAMPLES];
	struct gd_stream *streams[COST_SAMPLES];
	struct gd_chunk *chunks[COST_SAMPLES];
};

static void launch_counting(struct costs *costs, int i)
{
	static const uint8_t params[8];
	struct gd_buffer_arg target = buffer(0, true, 0, 4);
	struct gd_launch_timing timing;
	struct gd_launch launch = {.module = costs->counting,
				   .grid = {1, 1, 1},
				   .block = {1, 1, 1},
				   .iterations = 1,
				   .params = params,
				   .param_bytes = 8,
				   .buffers = &target,
				   .buffer_count = 1};
	(void)i;
	costs->counting->has_variables = false; /* the instances have their own rows */
	if (!ops->submit(costs->stream, &launch, &error))
		die("submit");
	finish(costs->stream, &timing);
	costs->counting->has_variables = true;
}

static void instance_take(struct costs *costs, int i)
{
	if (!gd_cuda_instance_take(device, costs->counting, 0, &costs->instances[i], &error))
		die("instance");
}

static void instance_drop(struct costs *costs, int i)
{
	gd_cuda_instance_drop(device, costs->counting, &costs->instances[i]);
}

static void module_load(struct costs *costs, int i)
{
	struct gd_image image = {.kind = GD_IMAGE_CUBIN,
				 .data = costs->cubin,
				 .bytes = costs->cubin_bytes,
				 .entry = "count",
				 .occupancy_threads = 256};
	if (!ops->module_load(device, &image, &costs->modules[i], &kernel, &error))
		die("module_load");
}

static void module_free(struct costs *costs, int i)
{
	ops->module_free(device, costs->modules[i]);
}

static void stream_new(struct costs *costs, int i)
{
	if (!ops->stream_new(device, &costs->streams[i], &error))
		die("stream_new");
}

static void stream_free(struct costs *costs, int i)
{
	ops->stream_free(costs->streams[i]);
}

static void chunk_new(struct costs *costs, int i)
{
	uint64_t bytes;
	int fd;
	if (!ops->chunk_new(device, 32u << 20, &costs->chunks[i], &bytes, &fd, &error))
		die("chunk_new");
	close(fd);
}

static void chunk_free(struct costs *costs, int i)
{
	ops->chunk_free(device, costs->chunks[i]);
}

/* Start a kernel that keeps one multiprocessor for 200 ms by its own clock. */
static void start_busy(struct costs *costs)
{
	static struct {
		uint64_t ns, out;
	} params = {.ns = 200 * GD_NS_PER_MS};
	static struct gd_buffer_arg target;
	target = buffer(8, true, 4096, 4);
	struct gd_launch launch = {.module = costs->waiting,
				   .grid = {1, 1, 1},
				   .block = {1, 1, 1},
				   .iterations = 1,
				   .params = (const uint8_t *)&params,
				   .param_bytes = 16,
				   .buffers = &target,
				   .buffer_count = 1};
	if (!ops->submit(costs->busy, &launch, &error))
		die("submit");
}

/* Alone, and beside a kernel that runs: whatever takes as long as that kernel waits for it. */
static void print_costs(struct gd_stream *stream)
{
	static const struct {
		const char *name;
		void (*act)(struct costs *costs, int i);
	} rows[] = {{"launch", launch_counting},  {"instance for a program with variables", instance_take},
		    {"drop it", instance_drop},   {"module load", module_load},
		    {"module free", module_free}, {"stream new", stream_new},
		    {"stream free", stream_free}, {"chunk of 32 MiB new", chunk_new},
		    {"chunk free", chunk_free}};
	static struct costs costs;
	costs.stream = stream;
	costs.waiting = load(counting_source, "wait");
	costs.waiting->has_variables = false;
	costs.counting = load(counting_source, "count");
	if (!nvrtc_compile(counting_source, info.architecture, &costs.cubin, &costs.cubin_bytes) ||
	    !ops->stream_new(device, &costs.busy, &error))
		die("setting up");
	for (int is_beside = 0; is_beside < 2; is_beside++) {
		printf("\n%s, us: median, longest\n", is_beside ? "beside a kernel of 200 ms" : "alone");
		for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
			double samples[COST_SAMPLES];
			struct gd_launch_timing timing;
			if (is_beside)
				start_busy(&costs);
			for (int i = 0; i < COST_SAMPLES; i++) {
				uint64_t start = gd_now_ns();
				rows[row].act(&costs, i);
				samples[i] = (double)(gd_now_ns() - start) / 1e3;
			}
			if (is_beside)
				finish(costs.busy, &timing);
			double middle = bench_median(samples, COST_SAMPLES);
			printf("%-44s %10.1f %10.1f\n", rows[row].name, middle, samples[COST_SAMPLES - 1]);
			fflush(stdout);
		}
	}
	ops->stream_free(costs.busy);
	ops->module_free(device, costs.waiting);
	ops->module_free(device, costs.counting);
	free(costs.cubin);
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
	printf(
	    "\nlaunches per second, 4 KiB in and out, %d streams a thread: mapped, bounced, from the slabs\n",
	    STREAMS_A_THREAD);
	for (unsigned threads = 1; threads <= THREADS_MAX; threads *= 2) {
		printf("%u threads", threads);
		for (enum way way = WAY_MAPPED; way < WAY_COUNT; way++) {
			struct pump pumps[THREADS_MAX] = {{0}};
			pthread_t ids[THREADS_MAX];
			uint64_t launches = 0;
			choose_way(module, way);
			for (unsigned i = 0; i < threads; i++) {
				pumps[i] = (struct pump){.module = module, .index = i};
				if (pthread_create(&ids[i], NULL, pump, &pumps[i]))
					die("threads");
			}
			for (unsigned i = 0; i < threads; i++) {
				pthread_join(ids[i], NULL);
				launches += pumps[i].launches;
			}
			printf(" %12.0f", (double)launches / ((double)RATE_NS / 1e9));
		}
		printf("\n");
	}
	choose_default();
	ops->module_free(device, module);
}

int main(void)
{
	struct gd_stream *stream;
	if (!nvrtc_open())
		return EXIT_SKIPPED;
	const struct gd_cuda_driver *driver = gd_cuda_driver_get(&error);
	if (driver && ops->count(&error) && !bench_driver(driver))
		die("the driver alone");
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
	printf("\n%s: open %.0f ms, slabs of 2 x 64 MiB %.0f ms, in %s\n", info.name, open_ms,
	       (double)(gd_now_ns() - start) / 1e6,
	       device->in_is_registered ? "registered" : "not registered");
	print_round_trips(stream);
	print_costs(stream);
	print_rates();
	print_recursion(stream);
	ops->stream_free(stream);
	ops->close(device);
	return EXIT_SUCCESS;
}
