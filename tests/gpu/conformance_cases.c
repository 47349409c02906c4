/* Cases about what a kernel is given and what comes back: arguments, memory of a launch, variables, refusals.
 */
#include "rig.h"

#include "nvrtc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char saxpy_source[] =
    "extern \"C\" __global__ void saxpy(float a, const float *x, float *y, int n)\n"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = a * x[i] + y[i]; }\n";

struct saxpy_params {
	float a;
	uint32_t pad;
	uint64_t x, y;
	int32_t n;
	uint32_t end;
};

static bool saxpy_once(struct rig *rig, struct gd_module *module, uint32_t count)
{
	uint64_t bytes = (uint64_t)count * 4, second = (bytes + 255) / 256 * 256;
	float *x = (float *)(void *)rig->in, *y = (float *)(void *)(rig->in + second);
	const float *result = (const float *)(const void *)rig->out;
	for (uint32_t i = 0; i < count; i++) {
		x[i] = (float)(i % 1000);
		y[i] = (float)(i % 77);
	}
	memset(rig->out, 0xEE, bytes + 64);
	struct saxpy_params params = {.a = 2.0f, .n = (int32_t)count};
	struct gd_buffer_arg buffers[] = {rig_in(8, 0, bytes), rig_in_out(16, 0, second, bytes)};
	struct gd_launch launch = rig_launch(rig, module, count, &params, buffers, 2);
	if (!rig_run(rig, &launch))
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (result[i] != 2.0f * (float)(i % 1000) + (float)(i % 77))
			return rig_fail(rig, "%u elements: element %u is %g", count, i, (double)result[i]);
	for (uint32_t i = 0; i < 64; i++)
		if (rig->out[bytes + i] != 0xEE)
			return rig_fail(rig, "%u elements: byte %u behind the output was written", count, i);
	return rig->timing.kernel_ns || rig_fail(rig, "the launch took no device time");
}

static bool saxpy_of_all_sizes(struct rig *rig)
{
	uint32_t largest = rig_is_cuda(rig) ? 16u << 20 : 256u << 10;
	struct gd_module *module = rig_load(rig, saxpy_source, "saxpy");
	bool ok = module != NULL;
	if (ok && (rig->kernel.param_count != 4 || rig->kernel.param_bytes != 28))
		ok = rig_fail(rig, "%u parameters of %u bytes", rig->kernel.param_count,
			      rig->kernel.param_bytes);
	for (uint32_t count = 1; ok && count <= largest; count *= 4)
		/* Twice each: a launch like one before may take another way to its memory. */
		for (uint32_t odd = 0; ok && odd < (count == 1 ? 1 : 2); odd++)
			ok = saxpy_once(rig, module, count - odd) && saxpy_once(rig, module, count - odd);
	rig->ops->module_free(rig->device, module);
	return ok;
}

static bool float_atomics_add_up(struct rig *rig)
{
	static const char source[] = "extern \"C\" __global__ void sum(const float *x, float *total, int n)\n"
				     "{ int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
				     "  if (i < n) atomicAdd(total, x[i]); }\n";
	static const uint32_t counts[] = {1000, 1000, 1000, 100000};
	struct gd_module *module = rig_load(rig, source, "sum");
	bool ok = module != NULL;
	for (size_t i = 0; ok && i < sizeof counts / sizeof *counts; i++) {
		struct {
			uint64_t x, total;
			int32_t n, end;
		} params = {.n = (int32_t)counts[i]};
		float *x = (float *)(void *)rig->in;
		for (uint32_t k = 0; k < counts[i]; k++)
			x[k] = 1.0f;
		struct gd_buffer_arg buffers[] = {rig_in(0, 0, counts[i] * 4ull), rig_out(8, 0, 4)};
		struct gd_launch launch = rig_launch(rig, module, counts[i], &params, buffers, 2);
		ok = rig_run(rig, &launch);
		float total;
		memcpy(&total, rig->out, sizeof total);
		if (ok && total != (float)counts[i])
			ok = rig_fail(rig, "the sum of %u ones is %g", counts[i], (double)total);
	}
	rig->ops->module_free(rig->device, module);
	return ok;
}

static bool shared_memory_static_and_dynamic(struct rig *rig)
{
	static const char source[] =
	    "extern \"C\" __global__ void reverse(const int *in, int *out, int words)\n"
	    "{ extern __shared__ int wide[]; __shared__ int narrow[256];\n"
	    "  for (int i = threadIdx.x; i < words; i += 256) wide[i] = in[i];\n"
	    "  narrow[threadIdx.x] = threadIdx.x; __syncthreads();\n"
	    "  for (int i = threadIdx.x; i < words; i += 256) out[i] = wide[words - 1 - i] + narrow[255 - "
	    "threadIdx.x]; }\n";
	static const uint32_t sizes[] = {4096, 100 << 10};
	struct gd_module *module = rig_load(rig, source, "reverse");
	bool ok = module != NULL;
	int32_t *in = (int32_t *)(void *)rig->in, *out = (int32_t *)(void *)rig->out;
	for (size_t k = 0; ok && k < 2; k++) {
		uint32_t words = sizes[k] / 4;
		struct {
			uint64_t in, out;
			int32_t words, end;
		} params = {.words = (int32_t)words};
		for (uint32_t i = 0; i < words; i++)
			in[i] = (int32_t)(i * 3);
		struct gd_buffer_arg buffers[] = {rig_in(0, 0, sizes[k]), rig_out(8, 0, sizes[k])};
		struct gd_launch launch = rig_launch(rig, module, 1, &params, buffers, 2);
		launch.shared_bytes = sizes[k];
		ok = rig_run(rig, &launch);
		for (uint32_t i = 0; ok && i < words; i++)
			if (out[i] != (int32_t)((words - 1 - i) * 3 + 255 - i % 256))
				ok = rig_fail(rig, "word %u of %u is %d", i, words, out[i]);
	}
	if (ok) {
		struct gd_launch launch = rig_launch(rig, module, 1, (uint8_t[24]){0}, NULL, 0);
		launch.shared_bytes = rig->kernel.max_dynamic_shared_bytes + 1;
		if (rig->ops->submit(rig->stream, &launch, &rig->error) ||
		    rig->error.code != GD_INVALID_REQUEST)
			ok = rig_fail(rig, "more shared memory than there is was not refused");
	}
	rig->ops->module_free(rig->device, module);
	return ok;
}

static bool variables_start_anew_in_each_dispatch(struct rig *rig)
{
	static const char source[] =
	    "__device__ int zeroed; __device__ int ten = 10; __constant__ int five = 5;\n"
	    "extern \"C\" __global__ void step(int *out) { static int calls = 100;\n"
	    "  out[0] = ++zeroed; out[1] = ++ten; out[2] = ++calls; out[3] = five; }\n";
	struct gd_module *module = rig_load(rig, source, "step");
	bool ok = module != NULL;
	uint64_t params = 0;
	const int32_t *out = (const int32_t *)(const void *)rig->out;
	struct gd_buffer_arg buffer = rig_out(0, 0, 16);
	for (int i = 0; ok && i < 4; i++) {
		int32_t n = i == 3 ? 7 : 1; /* the last dispatch has iterations, which see each other's */
		struct gd_launch launch = rig_launch(rig, module, 1, &params, &buffer, 1);
		launch.block[0] = 1;
		launch.iterations = (uint32_t)n;
		ok = rig_run(rig, &launch);
		if (ok && (out[0] != n || out[1] != 10 + n || out[2] != 100 + n || out[3] != 5))
			ok = rig_fail(rig, "dispatch %d of %d launches: %d %d %d %d", i, n, out[0], out[1],
				      out[2], out[3]);
	}
	rig->ops->module_free(rig->device, module);
	return ok;
}

static bool structs_by_value_up_to_4_kib(struct rig *rig)
{
	static const char source[] =
	    "struct pair { char c; double d; short s[3]; };\n"
	    "struct wide { int words[1015]; };\n"
	    "extern \"C\" __global__ void by_value(int *out, pair p, char k, wide w)\n"
	    "{ out[0] = p.c; out[1] = (int)p.d; out[2] = p.s[2]; out[3] = k;\n"
	    "  int sum = 0; for (int i = 0; i < 1015; i++) sum += w.words[i]; out[4] = sum; }\n";
	static struct {
		uint64_t out;
		struct {
			int8_t c;
			double d;
			int16_t s[3];
		} p;
		int8_t k;
		int32_t words[1015];
	} params = {.p = {.c = -3, .d = 41.5, .s = {1, 2, -300}}, .k = 9};
	_Static_assert(sizeof params <= GD_PARAM_BYTES_MAX, "a launch block is 4 KiB at most");
	int32_t sum = 0;
	for (int32_t i = 0; i < 1015; i++) {
		params.words[i] = i * 7 - 1000;
		sum += params.words[i];
	}
	struct gd_module *module = rig_load(rig, source, "by_value");
	bool ok = module != NULL;
	if (ok && (rig->kernel.params[1].offset != 8 || rig->kernel.params[1].size != 24 ||
		   rig->kernel.params[2].offset != 32 || rig->kernel.params[3].offset != 36))
		ok = rig_fail(rig, "parameters at %u, %u, %u", rig->kernel.params[1].offset,
			      rig->kernel.params[2].offset, rig->kernel.params[3].offset);
	if (ok) {
		struct gd_buffer_arg buffer = rig_out(0, 0, 20);
		struct gd_launch launch = rig_launch(rig, module, 1, &params, &buffer, 1);
		launch.block[0] = 1;
		int32_t out[5];
		ok = rig_run(rig, &launch);
		memcpy(out, rig->out, sizeof out);
		if (ok && (out[0] != -3 || out[1] != 41 || out[2] != -300 || out[3] != 9 || out[4] != sum))
			ok = rig_fail(rig, "%d %d %d %d %d", out[0], out[1], out[2], out[3], out[4]);
	}
	rig->ops->module_free(rig->device, module);
	return ok;
}

static bool a_null_pointer_and_no_parameters(struct rig *rig)
{
	static const char source[] =
	    "extern \"C\" __global__ void is_null(const int *p, int *out) { out[0] = p == 0; }\n"
	    "extern \"C\" __global__ void nothing() {}\n";
	struct gd_module *module = rig_load(rig, source, "is_null"), *nothing = NULL;
	uint64_t params[2] = {0x1234, 0};
	struct gd_buffer_arg buffers[] = {rig_in(0, 0, 0), rig_out(8, 0, 4)};
	bool ok = module != NULL;
	if (ok) {
		struct gd_launch launch = rig_launch(rig, module, 1, params, buffers, 2);
		ok = rig_run(rig, &launch) &&
		     (rig->out[0] == 1 || rig_fail(rig, "a buffer of 0 bytes is no null"));
	}
	if (ok && (nothing = rig_load(rig, source, "nothing"))) {
		struct gd_launch launch = rig_launch(rig, nothing, 1, NULL, NULL, 0);
		ok = rig_run(rig, &launch) && (rig->timing.kernel_ns || rig_fail(rig, "no device time"));
	}
	ok = ok && nothing;
	rig->ops->module_free(rig->device, module);
	rig->ops->module_free(rig->device, nothing);
	return ok;
}

static bool a_thousand_iterations_on_the_same_memory(struct rig *rig)
{
	static const char source[] = "extern \"C\" __global__ void add(int *x) { x[threadIdx.x] += 1; }\n";
	struct gd_module *module = rig_load(rig, source, "add");
	uint64_t params = 0;
	struct gd_buffer_arg buffer = rig_in_out(0, 0, 0, 1024);
	bool ok = module != NULL;
	memset(rig->in, 0, 1024);
	if (ok) {
		struct gd_launch launch = rig_launch(rig, module, 256, &params, &buffer, 1);
		launch.iterations = 1000;
		ok = rig_run(rig, &launch);
	}
	for (int i = 0; ok && i < 256; i++) {
		int32_t value;
		memcpy(&value, rig->out + i * 4, sizeof value);
		if (value != 1000)
			ok = rig_fail(rig, "word %d is %d", i, value);
	}
	rig->ops->module_free(rig->device, module);
	return ok;
}

static bool calls_that_recurse(struct rig *rig)
{
	static const char source[] =
	    "__device__ __noinline__ int depth(int n) { return n ? 1 + depth(n - 1) : 0; }\n"
	    "extern \"C\" __global__ void recurse(int *out, int n) { out[0] = depth(n); }\n";
	struct gd_module *module = rig_load(rig, source, "recurse");
	struct {
		uint64_t out;
		int32_t n, end;
	} params = {.n = 20};
	struct gd_buffer_arg buffer = rig_out(0, 0, 4);
	bool ok = module != NULL;
	if (ok) {
		struct gd_launch launch = rig_launch(rig, module, 1, &params, &buffer, 1);
		launch.block[0] = 1;
		ok = rig_run(rig, &launch) && (rig->out[0] == 20 || rig_fail(rig, "depth %d", rig->out[0]));
	}
	rig->ops->module_free(rig->device, module);
	return ok;
}

static bool cooperative_launches_fit_or_are_refused(struct rig *rig)
{
	static const char source[] =
	    "extern \"C\" __global__ void mark(int *x) { if (!threadIdx.x) atomicAdd(x, 1); }\n";
	struct gd_module *module = rig_load(rig, source, "mark");
	uint64_t params = 0;
	struct gd_buffer_arg buffer = rig_out(0, 0, 4);
	bool ok = module != NULL;
	if (ok) {
		struct gd_launch launch = rig_launch(rig, module, 4 * 256, &params, &buffer, 1);
		launch.cooperative = true;
		ok = rig_run(rig, &launch) &&
		     (rig->out[0] == 4 || rig_fail(rig, "%d blocks ran", rig->out[0]));
		launch.grid[0] = 1u << 20;
		if (ok && (rig->ops->submit(rig->stream, &launch, &rig->error) ||
			   rig->error.code != GD_COOPERATIVE_RESIDENCY_EXCEEDED))
			ok = rig_fail(rig, "a grid that cannot be resident: code %d %s", (int)rig->error.code,
				      rig->error.text);
	}
	rig->ops->module_free(rig->device, module);
	return ok;
}

static bool a_kernel_that_is_not_there_is_refused(struct rig *rig)
{
	struct gd_module *module = rig_load(rig, saxpy_source, "saxpi");
	if (module) {
		rig->ops->module_free(rig->device, module);
		return rig_fail(rig, "it was loaded");
	}
	if (rig->error.code != GD_INVALID_PROGRAM || rig->error.sticky)
		return rig_fail(rig, "code %d: %s", (int)rig->error.code, rig->error.text);
	rig->why[0] = '\0';
	return saxpy_of_all_sizes(rig);
}

static bool truncated_cubins_are_refused(struct rig *rig)
{
	void *data;
	size_t bytes;
	if (!nvrtc_compile(saxpy_source, rig->info.architecture, &data, &bytes))
		return rig_fail(rig, "NVRTC does not compile");
	bool ok = true;
	for (size_t cut = 0; ok && cut < bytes; cut += 64) {
		struct gd_module *module = NULL;
		struct gd_image image = {
		    .kind = GD_IMAGE_CUBIN, .data = data, .bytes = cut, .entry = "saxpy"};
		memset(&rig->error, 0, sizeof rig->error);
		if (rig->ops->module_load(rig->device, &image, &module, &rig->kernel, &rig->error) ||
		    rig->error.code != GD_INVALID_PROGRAM || rig->error.sticky)
			ok = rig_fail(rig, "cut to %zu of %zu: code %d", cut, bytes, (int)rig->error.code);
		rig->ops->module_free(rig->device, module);
	}
	free(data);
	return ok && saxpy_of_all_sizes(rig);
}

static bool ptx_is_compiled_by_the_driver_and_its_words_are_told(struct rig *rig)
{
	char ptx[512];
	static const char format[] =
	    ".version 7.0\n.target sm_70\n.address_size 64\n"
	    ".visible .entry set(.param .u64 p) { .reg .u64 %%a; .reg .u32 %%v;\n"
	    "ld.param.u64 %%a, [p]; mov.u32 %%v, 77; %s st.global.u32 [%%a], %%v; ret; }\n";
	struct gd_image image = {.kind = GD_IMAGE_PTX, .data = ptx, .entry = "set"};
	struct gd_module *module = NULL;
	image.bytes = (size_t)snprintf(ptx, sizeof ptx, format, "");
	if (!rig->ops->module_load(rig->device, &image, &module, &rig->kernel, &rig->error))
		return rig_fail(rig, "%s", rig->error.text);
	uint64_t params = 0;
	struct gd_buffer_arg buffer = rig_out(0, 0, 4);
	struct gd_launch launch = rig_launch(rig, module, 1, &params, &buffer, 1);
	bool ok = rig_run(rig, &launch) && (rig->out[0] == 77 || rig_fail(rig, "it wrote %d", rig->out[0]));
	rig->ops->module_free(rig->device, module);
	image.bytes = (size_t)snprintf(ptx, sizeof ptx, format, "frobnicate.u32 %v;");
	memset(&rig->error, 0, sizeof rig->error);
	if (ok && (rig->ops->module_load(rig->device, &image, &module, &rig->kernel, &rig->error) ||
		   rig->error.code != GD_INVALID_PROGRAM || !strstr(rig->error.text, "frobnicate")))
		ok = rig_fail(rig, "code %d: %s", (int)rig->error.code, rig->error.text);
	return ok;
}

static bool absurd_local_memory_is_refused(struct rig *rig)
{
	static const char source[] = "extern \"C\" __global__ void hoard(int *x, int n) { int big[120000];\n"
				     "for (int i = 0; i < n; i++) big[(i * 7919) % 120000] = x[i];\n"
				     "x[0] = big[x[1] % 120000]; }\n";
	struct gd_module *module = rig_load(rig, source, "hoard");
	if (module) {
		rig->ops->module_free(rig->device, module);
		return rig_fail(rig, "%u bytes of local memory were let through", rig->kernel.local_bytes);
	}
	if (rig->error.code != GD_DEVICE_OUT_OF_MEMORY || rig->error.sticky)
		return rig_fail(rig, "code %d: %s", (int)rig->error.code, rig->error.text);
	rig->why[0] = '\0';
	return true;
}

const struct rig_case conformance_cases[] = {
    {"saxpy of all sizes, mapped and staged", saxpy_of_all_sizes, false},
    {"float atomics add up", float_atomics_add_up, false},
    {"shared memory, static and dynamic, up to 100 KiB", shared_memory_static_and_dynamic, false},
    {"variables start anew in each dispatch", variables_start_anew_in_each_dispatch, false},
    {"structs by value, 4 KiB of parameters", structs_by_value_up_to_4_kib, false},
    {"a null pointer, no parameters", a_null_pointer_and_no_parameters, false},
    {"a thousand iterations on the same memory", a_thousand_iterations_on_the_same_memory, false},
    {"calls that recurse", calls_that_recurse, false},
    {"cooperative launches fit or are refused", cooperative_launches_fit_or_are_refused, false},
    {"a kernel that is not there is refused", a_kernel_that_is_not_there_is_refused, false},
    {"truncated cubins are refused", truncated_cubins_are_refused, true},
    {"PTX is compiled, and its errors told", ptx_is_compiled_by_the_driver_and_its_words_are_told, true},
    {"absurd local memory is refused", absurd_local_memory_is_refused, true},
    {NULL, NULL, false},
};
