#include "bench_driver.h"

#include "nvrtc.h"

#include "gpu/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SAMPLES    1000
#define HOST_BYTES (64ull << 20)

static const char source[] = "extern \"C\" __global__ void put(int *y, const int *x, int n)\n"
			     "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = 1; }\n"
			     "extern \"C\" __global__ void get(int *y, const int *x, int n)\n"
			     "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = x[i]; }\n";

struct context {
	const struct gd_cuda_driver *driver;
	struct CUctx_st *handle;
	struct CUmod_st *module;
	struct CUfunc_st *put, *get;
	struct CUstream_st *stream;
	struct CUevent_st *plain, *first, *second;
	gd_cu_pointer memory; /* 64 KiB on the device */
};

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

double bench_median(double *samples, size_t count)
{
	qsort(samples, count, sizeof *samples, compare);
	return samples[count / 2];
}

static bool context_open(const struct gd_cuda_driver *driver, unsigned flag, const void *cubin,
			 struct context *context)
{
	*context = (struct context){.driver = driver};
	driver->primary_set_flags(0, flag);
	return !driver->primary_retain(&context->handle, 0) && !driver->ctx_set_current(context->handle) &&
	       !driver->module_load(&context->module, cubin, 0, NULL, NULL) &&
	       !driver->module_function(&context->put, context->module, "put") &&
	       !driver->module_function(&context->get, context->module, "get") &&
	       !driver->stream_create(&context->stream, GD_CU_STREAM_NON_BLOCKING) &&
	       !driver->event_create(&context->plain, GD_CU_EVENT_DISABLE_TIMING) &&
	       !driver->event_create(&context->first, GD_CU_EVENT_DEFAULT) &&
	       !driver->event_create(&context->second, GD_CU_EVENT_DEFAULT) &&
	       !driver->mem_alloc(&context->memory, 65536);
}

static void context_close(struct context *context)
{
	const struct gd_cuda_driver *driver = context->driver;
	driver->mem_free(context->memory);
	driver->event_destroy(context->plain);
	driver->event_destroy(context->first);
	driver->event_destroy(context->second);
	driver->stream_destroy(context->stream);
	driver->module_unload(context->module);
	driver->ctx_set_current(NULL);
	driver->primary_release(0);
}

struct arguments {
	gd_cu_pointer y, x;
	int n, end;
};

static void launch(const struct context *context, struct CUfunc_st *function, gd_cu_pointer y,
		   gd_cu_pointer x)
{
	struct arguments arguments = {.y = y, .x = x, .n = 1024};
	size_t bytes = 20;
	void *extra[] = {GD_CU_LAUNCH_PARAM_BUFFER_POINTER, &arguments, GD_CU_LAUNCH_PARAM_BUFFER_SIZE,
			 &bytes, GD_CU_LAUNCH_PARAM_END};
	context->driver->launch(function, 4, 1, 1, 256, 1, 1, 0, context->stream, NULL, extra);
}

static void await(const struct context *context, struct CUevent_st *event)
{
	while (context->driver->event_query(event) == GD_CUDA_ERROR_NOT_READY)
		continue;
}

static double now_us(void)
{
	return (double)gd_now_ns() / 1e3;
}

static double time_events(const struct context *context, int way)
{
	static double samples[SAMPLES];
	const struct gd_cuda_driver *driver = context->driver;
	for (size_t i = 0; i < SAMPLES; i++) {
		float ms;
		struct CUevent_st *last = way ? context->second : context->plain;
		double start = now_us();
		if (way >= 2)
			driver->event_record(context->first, context->stream);
		launch(context, context->put, context->memory, 0);
		driver->event_record(last, context->stream);
		await(context, last);
		if (way == 3)
			driver->event_elapsed(&ms, context->first, context->second);
		samples[i] = now_us() - start;
	}
	return bench_median(samples, SAMPLES);
}

static bool print_events(const struct gd_cuda_driver *driver, const void *cubin)
{
	static const struct {
		unsigned flag;
		const char *name;
	} rows[] = {{GD_CU_CTX_SCHED_AUTO, "auto"},
		    {GD_CU_CTX_SCHED_SPIN, "spin"},
		    {GD_CU_CTX_SCHED_YIELD, "yield"},
		    {GD_CU_CTX_SCHED_BLOCKING_SYNC, "blocking"}};
	printf("launch and query until done, us: one event; one timed; two timed; two timed and read\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct context context;
		if (!context_open(driver, rows[i].flag, cubin, &context))
			return false;
		printf("%-10s", rows[i].name);
		for (int way = 0; way < 4; way++)
			printf(" %8.2f", time_events(&context, way));
		printf("\n");
		context_close(&context);
	}
	return true;
}

/* Each step of one dispatch; `way` 0: a kernel that reads `x`, 1: a copy of 4 KiB from `host`, 2: neither. */
static void print_steps(const struct context *context, const char *name, int way, void *host, gd_cu_pointer x)
{
	static const char *const ways[] = {"kernel reads", "copy", "untouched"};
	static double steps[6][SAMPLES];
	const struct gd_cuda_driver *driver = context->driver;
	for (size_t i = 0; i < SAMPLES; i++) {
		float ms;
		double t[7];
		t[0] = now_us();
		driver->event_record(context->first, context->stream);
		t[1] = now_us();
		if (way == 1)
			driver->copy_to_device(context->memory, host, 4096, context->stream);
		else
			launch(context, way ? context->put : context->get, context->memory, x);
		t[2] = now_us();
		driver->event_record(context->second, context->stream);
		t[3] = now_us();
		await(context, context->second);
		t[4] = now_us();
		driver->event_elapsed(&ms, context->first, context->second);
		t[5] = now_us();
		for (int k = 0; k < 5; k++)
			steps[k][i] = t[k + 1] - t[k];
		steps[5][i] = (double)ms * 1e3;
	}
	printf("%-34s %-13s", name, ways[way]);
	for (int k = 0; k < 6; k++)
		printf(" %8.2f", bench_median(steps[k], SAMPLES));
	printf("\n");
}

/* The same pages, seen writable or read-only, registered with the flag or without. */
static void print_registrations(const struct context *context)
{
	static const struct {
		const char *name;
		int rights;
		unsigned flags;
	} rows[] = {
	    {"writable, plain", PROT_READ | PROT_WRITE, GD_CU_MEMHOSTREGISTER_DEVICEMAP},
	    {"writable, plain, portable", PROT_READ | PROT_WRITE,
	     GD_CU_MEMHOSTREGISTER_DEVICEMAP | GD_CU_MEMHOSTREGISTER_PORTABLE},
	    {"writable, read-only flag", PROT_READ | PROT_WRITE,
	     GD_CU_MEMHOSTREGISTER_DEVICEMAP | GD_CU_MEMHOSTREGISTER_READ_ONLY},
	    {"read-only, read-only flag", PROT_READ,
	     GD_CU_MEMHOSTREGISTER_DEVICEMAP | GD_CU_MEMHOSTREGISTER_READ_ONLY},
	    {"read-only, plain", PROT_READ, GD_CU_MEMHOSTREGISTER_DEVICEMAP},
	};
	const struct gd_cuda_driver *driver = context->driver;
	printf("\ndispatch on host memory, us: record, launch or copy, record, wait, elapsed; device time\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int fd = memfd_create("bench", MFD_CLOEXEC);
		gd_cu_pointer x = 0;
		if (fd < 0 || ftruncate(fd, (off_t)HOST_BYTES) < 0)
			return;
		void *host = mmap(NULL, HOST_BYTES, rows[i].rights, MAP_SHARED | MAP_POPULATE, fd, 0);
		close(fd);
		if (host == MAP_FAILED)
			return;
		gd_cu_result result = driver->host_register(host, HOST_BYTES, rows[i].flags);
		if (!result)
			result = driver->host_device_pointer(&x, host, 0);
		if (result)
			printf("%-34s not possible (%d)\n", rows[i].name, result);
		for (int way = 0; !result && way < 3; way++)
			print_steps(context, rows[i].name, way, host, x);
		driver->host_unregister(host);
		munmap(host, HOST_BYTES);
	}
}

bool bench_driver(const struct gd_cuda_driver *driver)
{
	void *cubin;
	size_t bytes;
	int major = 0, minor = 0;
	char architecture[16];
	struct context context;
	driver->device_attribute(&major, GD_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0);
	driver->device_attribute(&minor, GD_CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0);
	snprintf(architecture, sizeof architecture, "sm_%d%d", major, minor);
	if (!nvrtc_compile(source, architecture, &cubin, &bytes))
		return false;
	bool ok = print_events(driver, cubin) && context_open(driver, GD_CU_CTX_SCHED_AUTO, cubin, &context);
	if (ok) {
		print_registrations(&context);
		context_close(&context);
	}
	free(cubin);
	return ok;
}
