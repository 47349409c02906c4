/* The kernels of examples/ in small, against the same computation on the host. */
#include "tests/unit/gpu/device/reference/rig.h"

#include <math.h>

static const char source[] =
    "extern \"C\" __global__ void saxpy(const float *x, float *y, float a, int n)\n"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = a * x[i] + y[i]; }\n"
    "#define T 16\n"
    "extern \"C\" __global__ void matmul(const float *a, const float *b, float *c, int n)\n"
    "{ __shared__ float s[T][T], t[T][T]; int x = threadIdx.x, y = threadIdx.y;\n"
    "  int row = blockIdx.y * T + y, col = blockIdx.x * T + x; float sum = 0;\n"
    "  for (int k = 0; k < n; k += T) {\n"
    "    s[y][x] = row < n && k + x < n ? a[row * n + k + x] : 0;\n"
    "    t[y][x] = k + y < n && col < n ? b[(k + y) * n + col] : 0;\n"
    "    __syncthreads();\n"
    "    for (int i = 0; i < T; i++) sum += s[y][i] * t[i][x];\n"
    "    __syncthreads(); }\n"
    "  if (row < n && col < n) c[row * n + col] = sum; }\n"
    "extern \"C\" __global__ void reduce(const float *x, float *sum, int n)\n"
    "{ float v = 0; for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) "
    "v += x[i];\n"
    "  for (int d = 16; d; d >>= 1) v += __shfl_down_sync(~0u, v, d);\n"
    "  __shared__ float part[32]; if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v; __syncthreads();\n"
    "  if (threadIdx.x < 32) { v = threadIdx.x < blockDim.x / 32 ? part[threadIdx.x] : 0;\n"
    "    for (int d = 16; d; d >>= 1) v += __shfl_down_sync(~0u, v, d); if (!threadIdx.x) atomicAdd(sum, v); "
    "} }\n"
    "extern \"C\" __global__ void histogram(const unsigned char *x, unsigned *bins, int n)\n"
    "{ __shared__ unsigned local[256]; for (int i = threadIdx.x; i < 256; i += blockDim.x) local[i] = 0; "
    "__syncthreads();\n"
    "  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) "
    "atomicAdd(&local[x[i]], 1);\n"
    "  __syncthreads(); for (int i = threadIdx.x; i < 256; i += blockDim.x) atomicAdd(&bins[i], local[i]); "
    "}\n"
    "extern \"C\" __global__ void mandelbrot(int *out, int w, int h, int most)\n"
    "{ int px = blockIdx.x * blockDim.x + threadIdx.x, py = blockIdx.y * blockDim.y + threadIdx.y;\n"
    "  if (px >= w || py >= h) return; double cx = -2.0 + 3.0 * px / w, cy = -1.5 + 3.0 * py / h, x = 0, y = "
    "0; int i = 0;\n"
    "  while (i < most && x * x + y * y <= 4.0) { double t = __dadd_rn(__dadd_rn(__dmul_rn(x, x), "
    "-__dmul_rn(y, y)), cx);\n"
    "    y = __dadd_rn(__dmul_rn(2.0 * x, y), cy); x = t; i++; } out[py * w + px] = i; }\n"
    "extern \"C\" __global__ void blackscholes(const float *s, const float *k, const float *t, float *call, "
    "float r, float v, int n)\n"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i >= n) return; float q = sqrtf(t[i]);\n"
    "  float d1 = (logf(s[i] / k[i]) + (r + 0.5f * v * v) * t[i]) / (v * q), d2 = d1 - v * q;\n"
    "  call[i] = s[i] * 0.5f * (1 + erff(d1 * 0.70710678f)) - k[i] * expf(-r * t[i]) * 0.5f * (1 + erff(d2 * "
    "0.70710678f)); }\n"
    "extern \"C\" __global__ void blur(const unsigned char *in, unsigned char *out, int w, int h)\n"
    "{ int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y; if (x >= w "
    "|| y >= h) return;\n"
    "  const int k[5] = {1, 4, 6, 4, 1}; int sum = 0;\n"
    "  for (int j = -2; j <= 2; j++) for (int i = -2; i <= 2; i++) { int u = min(max(x + i, 0), w - 1), v = "
    "min(max(y + j, 0), h - 1);\n"
    "    sum += k[i + 2] * k[j + 2] * in[v * w + u]; } out[y * w + x] = (unsigned char)((sum + 128) >> 8); "
    "}\n"
    "extern \"C\" __global__ void scan(const int *in, int *out, int n)\n"
    "{ extern __shared__ int s[]; int i = threadIdx.x; s[i] = i < n ? in[i] : 0; __syncthreads();\n"
    "  for (int d = 1; d < blockDim.x; d *= 2) { int v = i >= d ? s[i - d] : 0; __syncthreads(); s[i] += v; "
    "__syncthreads(); }\n"
    "  if (i < n) out[i] = i ? s[i - 1] : 0; }\n"
    "extern \"C\" __global__ void nbody(const float4 *p, float4 *a, int n)\n"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i >= n) return; float4 me = p[i]; float x = 0, y = "
    "0, z = 0;\n"
    "  for (int j = 0; j < n; j++) { float4 o = p[j]; float dx = o.x - me.x, dy = o.y - me.y, dz = o.z - "
    "me.z;\n"
    "    float q = rsqrtf(dx * dx + dy * dy + dz * dz + 0.01f); float f = o.w * q * q * q; x += dx * f; y += "
    "dy * f; z += dz * f; }\n"
    "  a[i] = make_float4(x, y, z, 0); }\n";

static float noise(uint32_t i)
{
	return (float)((i * 2654435761u) >> 8) / 16777216.0f;
}

static void is_near(float got, float want, float tolerance)
{
	float scale = fabsf(want) > 1 ? fabsf(want) : 1;
	if (!(fabsf(got - want) <= tolerance * scale))
		fail_msg("%.9g is not %.9g", (double)got, (double)want);
}

static void saxpy_matches_the_host_bit_for_bit(void **state)
{
	static struct rig rig;
	static float x[1000], y[1000], want[1000];
	float a = 2.5f;
	int n = 1000;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "saxpy", NULL, NULL);
	for (uint32_t i = 0; i < 1000; i++) {
		x[i] = noise(i);
		y[i] = noise(i + 5000);
		want[i] = fmaf(a, x[i], y[i]);
	}
	const struct rig_buffer buffers[] = {{RIG_IN, x, sizeof(x)}, {RIG_INOUT, y, sizeof(y)}};
	rig_must_run(
	    &rig,
	    &(struct rig_launch){
		.grid = {4}, .block = {256}, .buffers = buffers, .buffer_count = 2, .scalars = {&a, &n}});
	assert_memory_equal(y, want, sizeof(y));
	assert_true(rig.timing.kernel_ns >= 1);
	rig_close(&rig);
}

static void a_tiled_product_sums_in_the_order_of_its_loop(void **state)
{
	enum { N = 50 };
	static struct rig rig;
	static float a[N * N], b[N * N], c[N * N];
	int n = N;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "matmul", NULL, NULL);
	for (uint32_t i = 0; i < N * N; i++) {
		a[i] = noise(i);
		b[i] = noise(i + 77777);
	}
	const struct rig_buffer buffers[] = {
	    {RIG_IN, a, sizeof(a)}, {RIG_IN, b, sizeof(b)}, {RIG_OUT, c, sizeof(c)}};
	rig_must_run(
	    &rig,
	    &(struct rig_launch){
		.grid = {4, 4}, .block = {16, 16}, .buffers = buffers, .buffer_count = 3, .scalars = {&n}});
	for (int i = 0; i < N; i++) {
		for (int j = 0; j < N; j++) {
			float sum = 0;
			for (int k = 0; k < N; k++)
				sum = fmaf(a[i * N + k], b[k * N + j], sum);
			assert_memory_equal(&c[i * N + j], &sum, sizeof(sum));
		}
	}
	rig_close(&rig);
}

static void a_reduction_with_shuffles_and_float_atomics_sums_integers_exactly(void **state)
{
	enum { N = 100000 };
	static struct rig rig;
	static float x[N];
	float sum = 0;
	int n = N;
	double want = 0;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "reduce", NULL, NULL);
	for (uint32_t i = 0; i < N; i++) {
		x[i] = (float)(i % 7);
		want += (double)x[i];
	}
	const struct rig_buffer buffers[] = {{RIG_IN, x, sizeof(x)}, {RIG_INOUT, &sum, sizeof(sum)}};
	rig_must_run(
	    &rig, &(struct rig_launch){
		      .grid = {20}, .block = {256}, .buffers = buffers, .buffer_count = 2, .scalars = {&n}});
	assert_true((double)sum == want);
	rig_close(&rig);
}

static void a_histogram_counts_every_byte(void **state)
{
	enum { N = 100003 };
	static struct rig rig;
	static unsigned char x[N];
	unsigned int bins[256] = {0}, want[256] = {0};
	int n = N;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "histogram", NULL, NULL);
	for (uint32_t i = 0; i < N; i++)
		want[x[i] = (unsigned char)(i * 2654435761u >> 21)]++;
	const struct rig_buffer buffers[] = {{RIG_IN, x, sizeof(x)}, {RIG_INOUT, bins, sizeof(bins)}};
	rig_must_run(
	    &rig, &(struct rig_launch){
		      .grid = {7}, .block = {192}, .buffers = buffers, .buffer_count = 2, .scalars = {&n}});
	assert_memory_equal(bins, want, sizeof(bins));
	rig_close(&rig);
}

static void mandelbrot_diverges_and_counts_exactly(void **state)
{
	enum { W = 70, H = 45, MOST = 200 };
	static struct rig rig;
	static int out[W * H];
	int w = W, h = H, most = MOST;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "mandelbrot", "--fmad=false", NULL);
	const struct rig_buffer buffers[] = {{RIG_OUT, out, sizeof(out)}};
	rig_must_run(&rig, &(struct rig_launch){.grid = {5, 3},
						.block = {16, 16},
						.buffers = buffers,
						.buffer_count = 1,
						.scalars = {&w, &h, &most}});
	for (int py = 0; py < H; py++) {
		for (int px = 0; px < W; px++) {
			volatile double cx = -2.0 + 3.0 * px / W, cy = -1.5 + 3.0 * py / H, x = 0, y = 0;
			int i = 0;
			while (i < MOST) {
				volatile double xx = x * x, yy = y * y, twice = 2.0 * x;
				if (!(xx + yy <= 4.0))
					break;
				volatile double t = xx - yy, product = twice * y;
				y = product + cy;
				x = t + cx;
				i++;
			}
			assert_int_equal(out[py * W + px], i);
		}
	}
	rig_close(&rig);
}

static void black_scholes_is_near_the_host_in_double(void **state)
{
	enum { N = 500 };
	static struct rig rig;
	static float s[N], k[N], t[N], call[N];
	float r = 0.02f, v = 0.3f;
	int n = N;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "blackscholes", NULL, NULL);
	for (uint32_t i = 0; i < N; i++) {
		s[i] = 5 + 25 * noise(i);
		k[i] = 1 + 99 * noise(i + 1000);
		t[i] = 0.25f + 9.75f * noise(i + 2000);
	}
	const struct rig_buffer buffers[] = {{RIG_IN, s, sizeof(s)},
					     {RIG_IN, k, sizeof(k)},
					     {RIG_IN, t, sizeof(t)},
					     {RIG_OUT, call, sizeof(call)}};
	rig_must_run(
	    &rig,
	    &(struct rig_launch){
		.grid = {4}, .block = {128}, .buffers = buffers, .buffer_count = 4, .scalars = {&r, &v, &n}});
	for (int i = 0; i < N; i++) {
		double S = (double)s[i], K = (double)k[i], T = (double)t[i], R = (double)r, V = (double)v,
		       q = sqrt(T);
		double d1 = (log(S / K) + (R + 0.5 * V * V) * T) / (V * q), d2 = d1 - V * q;
		double want = S * 0.5 * erfc(-d1 * M_SQRT1_2) - K * exp(-R * T) * 0.5 * erfc(-d2 * M_SQRT1_2);
		is_near(call[i], (float)want, 1e-5f);
	}
	rig_close(&rig);
}

static void a_blur_of_bytes_clamps_at_the_borders(void **state)
{
	enum { W = 61, H = 37 };
	static const int kernel[5] = {1, 4, 6, 4, 1};
	static struct rig rig;
	static unsigned char in[W * H], out[W * H];
	int w = W, h = H;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "blur", NULL, NULL);
	for (uint32_t i = 0; i < W * H; i++)
		in[i] = (unsigned char)(i * 2654435761u >> 24);
	const struct rig_buffer buffers[] = {{RIG_IN, in, sizeof(in)}, {RIG_OUT, out, sizeof(out)}};
	rig_must_run(&rig, &(struct rig_launch){.grid = {4, 5},
						.block = {16, 8},
						.buffers = buffers,
						.buffer_count = 2,
						.scalars = {&w, &h}});
	for (int y = 0; y < H; y++) {
		for (int x = 0; x < W; x++) {
			int sum = 0;
			for (int j = -2; j <= 2; j++) {
				for (int i = -2; i <= 2; i++) {
					int u = x + i < 0 ? 0 : x + i >= W ? W - 1 : x + i;
					int v = y + j < 0 ? 0 : y + j >= H ? H - 1 : y + j;
					sum += kernel[i + 2] * kernel[j + 2] * in[v * W + u];
				}
			}
			assert_int_equal(out[y * W + x], (sum + 128) >> 8);
		}
	}
	rig_close(&rig);
}

static void a_scan_with_many_barriers_runs_in_dynamic_shared_memory(void **state)
{
	enum { N = 1000 };
	static struct rig rig;
	static int in[N], out[N];
	int n = N, sum = 0;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "scan", NULL, NULL);
	for (uint32_t i = 0; i < N; i++)
		in[i] = (int)(i * 2654435761u >> 20) - 2048;
	const struct rig_buffer buffers[] = {{RIG_IN, in, sizeof(in)}, {RIG_OUT, out, sizeof(out)}};
	rig_must_run(&rig, &(struct rig_launch){.block = {1024},
						.shared_bytes = 4096,
						.buffers = buffers,
						.buffer_count = 2,
						.scalars = {&n}});
	for (int i = 0; i < N; i++) {
		assert_int_equal(out[i], sum);
		sum += in[i];
	}
	rig_close(&rig);
}

static void an_n_body_step_reads_float4(void **state)
{
	enum { N = 200 };
	static struct rig rig;
	static float p[N][4], a[N][4];
	int n = N;
	(void)state;
	rig_open(&rig);
	rig_compile(&rig, source, "nbody", NULL, NULL);
	for (uint32_t i = 0; i < 4 * N; i++)
		p[i / 4][i % 4] = noise(i);
	const struct rig_buffer buffers[] = {{RIG_IN, p, sizeof(p)}, {RIG_OUT, a, sizeof(a)}};
	rig_must_run(
	    &rig, &(struct rig_launch){
		      .grid = {2}, .block = {128}, .buffers = buffers, .buffer_count = 2, .scalars = {&n}});
	for (int i = 0; i < N; i++) {
		double sum[3] = {0};
		for (int j = 0; j < N; j++) {
			double d[3], r = 0.01;
			for (int k = 0; k < 3; k++) {
				d[k] = (double)p[j][k] - (double)p[i][k];
				r += d[k] * d[k];
			}
			for (int k = 0; k < 3; k++)
				sum[k] += (double)p[j][3] * d[k] / (r * sqrt(r));
		}
		for (int k = 0; k < 3; k++)
			is_near(a[i][k], (float)sum[k], 1e-3f);
	}
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(saxpy_matches_the_host_bit_for_bit),
	    cmocka_unit_test(a_tiled_product_sums_in_the_order_of_its_loop),
	    cmocka_unit_test(a_reduction_with_shuffles_and_float_atomics_sums_integers_exactly),
	    cmocka_unit_test(a_histogram_counts_every_byte),
	    cmocka_unit_test(mandelbrot_diverges_and_counts_exactly),
	    cmocka_unit_test(black_scholes_is_near_the_host_in_double),
	    cmocka_unit_test(a_blur_of_bytes_clamps_at_the_borders),
	    cmocka_unit_test(a_scan_with_many_barriers_runs_in_dynamic_shared_memory),
	    cmocka_unit_test(an_n_body_step_reads_float4),
	};
	return rig_run_variants(tests);
}
