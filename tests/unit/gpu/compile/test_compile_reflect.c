/* What the compiler finds of kernels' signatures, against a table; every row is compiled for real. */
#include "harness.h"

static struct harness harness;

static int open_compiler(void **state)
{
	(void)state;
	harness_open(&harness, (struct gd_compiler_config){.jobs = 2});
	return 0;
}

static int close_compiler(void **state)
{
	(void)state;
	harness_close(&harness);
	return 0;
}

/* "a:f32 x:buffer<f32>/read y:buffer<bytes16>/read_write @28" */
static void describe(const struct gd_signature *signature, char *out, size_t capacity)
{
	size_t used = 0;
	out[0] = '\0';
	for (uint32_t i = 0; i < signature->count; i++) {
		const struct gd_param *param = &signature->params[i];
		char element[48] = "", size[24] = "";
		if (param->type == GD_TYPE_BYTES)
			snprintf(size, sizeof size, "%u", param->size);
		if (param->type == GD_TYPE_POINTER && param->element == GD_TYPE_BYTES)
			snprintf(element, sizeof element, "<bytes%llu>/%s",
				 (unsigned long long)param->element_size, gd_access_text(param->access));
		else if (param->type == GD_TYPE_POINTER)
			snprintf(element, sizeof element, "<%s>/%s", gd_type_text(param->element),
				 gd_access_text(param->access));
		used += (size_t)snprintf(out + used, capacity - used, "%s:%s%s%s ", param->name,
					 gd_type_text(param->type), size, element);
		assert_true(used < capacity);
	}
	snprintf(out + used, capacity - used, "@%u", signature->bytes);
}

struct row {
	const char *why, *source, *kernel, *want;
	const char *option;
};

static const struct row rows[] = {
    {"extern C scalars and pointers",
     "extern \"C\" __global__ void k(float a, const float *x, float *y, int n) { y[n] = a * x[n]; }", "k",
     "a:f32 x:buffer<f32>/read y:buffer<f32>/read_write n:i32 @28", NULL},
    {"the only kernel needs no name", "extern \"C\" __global__ void k(double *y) { *y = 1; }", NULL,
     "y:buffer<f64>/read_write @8", NULL},
    {"no parameters", "extern \"C\" __global__ void k() {}", NULL, "@0", NULL},
    {"void is no parameter", "extern \"C\" __global__ void k(void) {}", "k", "@0", NULL},
    {"C++ linkage", "__global__ void k(float a, const double *x, unsigned char *y) { *y = a + *x; }", NULL,
     "a:f32 x:buffer<f64>/read y:buffer<u8>/read_write @24", NULL},
    {"every integer",
     "extern \"C\" __global__ void k(char a, signed char b, unsigned char c, short d, unsigned short e, int "
     "f, unsigned g, "
     "long h, unsigned long i, long long j, unsigned long long l) {}",
     "k", "a:i8 b:i8 c:u8 d:i16 e:u16 f:i32 g:u32 h:i64 i:u64 j:i64 l:u64 @48", NULL},
    {"every integer, C++ linkage",
     "__global__ void k(char a, signed char b, unsigned char c, short d, unsigned short e, int f, unsigned "
     "g, "
     "long h, unsigned long i, long long j, unsigned long long l) {}",
     "k", "a:i8 b:i8 c:u8 d:i16 e:u16 f:i32 g:u32 h:i64 i:u64 j:i64 l:u64 @48", NULL},
    {"bool and wide characters",
     "extern \"C\" __global__ void k(bool a, wchar_t b, char16_t c, char32_t d, bool *e) {}", "k",
     "a:bool b:i32 c:u16 d:u32 e:buffer<bool>/read_write @24", NULL},
    {"char8_t of C++20", "extern \"C\" __global__ void k(char8_t a, const char8_t *b) {}", "k",
     "a:u8 b:buffer<u8>/read @16", "--std=c++20"},
    {"void pointers count bytes", "extern \"C\" __global__ void k(void *a, const void *b) {}", "k",
     "a:buffer<bytes1>/read_write b:buffer<bytes1>/read @16", NULL},
    {"void pointers, C++ linkage", "__global__ void k(void *a, const void *b) {}", "k",
     "a:buffer<bytes1>/read_write b:buffer<bytes1>/read @16", NULL},
    {"a struct by value",
     "struct P { int a; double b; }; extern \"C\" __global__ void k(P p, int *o) { *o = p.a; }", "k",
     "p:bytes16 o:buffer<i32>/read_write @24", NULL},
    {"a struct by value, C++ linkage",
     "struct P { char a[3]; }; __global__ void k(P p, int *o) { *o = p.a[0]; }", "k",
     "p:bytes3 o:buffer<i32>/read_write @16", NULL},
    {"pointers to structs",
     "struct P { int a; double b; }; __global__ void k(P *p, const P *q) { p->a = q->a; }", "k",
     "p:buffer<bytes16>/read_write q:buffer<bytes16>/read @16", NULL},
    {"CUDA's vector types", "extern \"C\" __global__ void k(float4 a, float3 b, int2 *c, const float4 *d) {}",
     "k", "a:bytes16 b:bytes12 c:buffer<bytes8>/read_write d:buffer<bytes16>/read @48", NULL},
    {"an incomplete pointee", "struct H; extern \"C\" __global__ void k(H *a, const H *b) {}", "k",
     "a:buffer<bytes0>/read_write b:buffer<bytes0>/read @16", NULL},
    {"an empty struct", "struct E {}; extern \"C\" __global__ void k(E e, int n) {}", "k",
     "e:bytes1 n:i32 @8", NULL},
    {"a union", "union U { int i; float f[2]; }; extern \"C\" __global__ void k(U u) {}", "k", "u:bytes8 @8",
     NULL},
    {"an over-aligned struct",
     "struct __align__(32) A { int i; }; extern \"C\" __global__ void k(int n, A a) {}", "k",
     "n:i32 a:bytes32 @64", NULL},
    {"an enum takes its integer", "enum E { X, Y }; extern \"C\" __global__ void k(E e, E *p) {}", "k",
     "e:i32 p:buffer<i32>/read_write @16", NULL},
    {"enum classes",
     "enum class F : short { X }; enum class G { Y }; __global__ void k(F f, G g, const F *p) {}", "k",
     "f:i16 g:i32 p:buffer<i16>/read @16", NULL},
    {"a signed enum", "enum E { X = -1 }; __global__ void k(E e) {}", "k", "e:i32 @4", NULL},
    {"top-level const", "extern \"C\" __global__ void k(const int n, int *const p, const int *const q) {}",
     "k", "n:i32 p:buffer<i32>/read_write q:buffer<i32>/read @24", NULL},
    {"restrict", "extern \"C\" __global__ void k(const float *__restrict__ x, float *__restrict__ y) {}", "k",
     "x:buffer<f32>/read y:buffer<f32>/read_write @16", NULL},
    {"volatile", "extern \"C\" __global__ void k(volatile int *a, const volatile int *b) {}", "k",
     "a:buffer<i32>/read_write b:buffer<i32>/read @16", NULL},
    {"volatile, C++ linkage", "__global__ void k(volatile int *a, const volatile int *b) {}", "k",
     "a:buffer<i32>/read_write b:buffer<i32>/read @16", NULL},
    {"__grid_constant__",
     "struct P { int a[8]; }; extern \"C\" __global__ void k(const __grid_constant__ P p, const "
     "__grid_constant__ int n) {}",
     "k", "p:bytes32 n:i32 @36", NULL},
    {"typedefs and using",
     "typedef const float *in; using out = float *; typedef unsigned u; extern \"C\" __global__ void "
     "k(in x, out y, u n) {}",
     "k", "x:buffer<f32>/read y:buffer<f32>/read_write n:u32 @20", NULL},
    {"arrays decay", "extern \"C\" __global__ void k(float a[], const int b[4], double c[][3]) {}", "k",
     "a:buffer<f32>/read_write b:buffer<i32>/read c:buffer<f64>/read_write @24", NULL},
    {"pointers to arrays", "extern \"C\" __global__ void k(int (*a)[4], const short (*b)[2][2]) {}", "k",
     "a:buffer<i32>/read_write b:buffer<i16>/read @16", NULL},
    {"pointers to pointers", "extern \"C\" __global__ void k(float **a, float *const *b) {}", "k",
     "a:buffer<bytes8>/read_write b:buffer<bytes8>/read @16", NULL},
    {"references", "__global__ void k(int &a, const float &b) { a = b; }", "k",
     "a:buffer<i32>/read_write b:buffer<f32>/read @16", NULL},
    {"function pointers hold no data", "extern \"C\" __global__ void k(void (*f)(int), int n) {}", "k",
     "f:buffer<bytes0>/read_write n:i32 @12", NULL},
    {"halves by name",
     "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\nextern \"C\" __global__ void k(__half a, const half "
     "*b, "
     "__nv_bfloat16 c, __nv_bfloat16 *d, __half2 e, const __half2 *f) {}",
     "k", "a:f16 b:buffer<f16>/read c:bf16 d:buffer<bf16>/read_write e:bytes4 f:buffer<bytes4>/read @48",
     NULL},
    {"halves, C++ linkage", "#include <cuda_fp16.h>\n__global__ void k(__half a, const half *b) {}", "k",
     "a:f16 b:buffer<f16>/read @16", NULL},
    {"a template through an expression",
     "template<class T, int N> __global__ void fill(T *o, T v) { o[0] = v * N; }", "fill<short, 3>",
     "o:buffer<i16>/read_write v:i16 @10", NULL},
    {"a template of a struct",
     "struct S { float x[3]; }; template<class T> __global__ void k(const T *a, T b) {}", "k<S>",
     "a:buffer<bytes12>/read b:bytes12 @20", NULL},
    {"nested templates",
     "template<class T> struct V { T a, b; }; template<template<class> class C, class T> __global__ void "
     "k(C<T> *p, C<C<T>> q) {}",
     "k<V, double>", "p:buffer<bytes16>/read_write q:bytes32 @40", NULL},
    {"a parameter pack", "template<class... T> __global__ void k(int n, T... rest) {}",
     "k<float, const double *, char>", ":i32 :f32 :buffer<f64>/read :i8 @17", NULL},
    {"an explicit instantiation needs no name",
     "template<class T> __global__ void k(T *p, int n) {} template __global__ void k<double>(double *, int);",
     NULL, "p:buffer<f64>/read_write n:i32 @12", NULL},
    {"an explicit instantiation with a struct",
     "namespace n { struct S { int a[5]; }; template<class T, int N> __global__ void "
     "k(T *p) {} template __global__ void k<S, -3>(S *); }",
     NULL, "p:buffer<bytes20>/read_write @8", NULL},
    {"namespaces",
     "namespace a { namespace b { struct S { short s; }; __global__ void k(S s, const S *t) {} } }",
     "a::b::k", "s:bytes2 t:buffer<bytes2>/read @16", NULL},
    {"namespaces without a name", "namespace a { struct S { short s; }; __global__ void k(S s) {} }", NULL,
     "s:bytes2 @2", NULL},
    {"a static kernel", "struct S { long s; }; static __global__ void k(S *p) { p->s = 1; }", "k",
     "p:buffer<bytes8>/read_write @8", NULL},
    {"an anonymous namespace",
     "namespace { struct S { int a, b; }; __global__ void k(S s, S *p) { *p = s; } }", "k",
     "s:bytes8 p:buffer<bytes8>/read_write @16", NULL},
    {"overloads, chosen by a cast", "__global__ void k(int *p) {} __global__ void k(float *p, int n) {}",
     "(void (*)(float *, int))k", "p:buffer<f32>/read_write n:i32 @12", NULL},
    {"C++11", "struct S { int a; }; extern \"C\" __global__ void k(S *p, float v) {}", "k",
     "p:buffer<bytes4>/read_write v:f32 @12", "--std=c++11"},
    {"C++14", "struct S { int a; }; extern \"C\" __global__ void k(S *p, float v) {}", "k",
     "p:buffer<bytes4>/read_write v:f32 @12", "--std=c++14"},
    {"C++20", "struct S { int a; }; extern \"C\" __global__ void k(S *p, float v) {}", "k",
     "p:buffer<bytes4>/read_write v:f32 @12", "--std=c++20"},
    {"default device",
     "int helper(int a) { return a; } extern \"C\" __global__ void k(int *p) { *p = helper(1); }", "k",
     "p:buffer<i32>/read_write @8", "--default-device"},
    {"the source ends in a line comment", "extern \"C\" __global__ void k(int *p) {} // tail", "k",
     "p:buffer<i32>/read_write @8", NULL},
    {"the source ends in a backslash", "extern \"C\" __global__ void k(int *p) {} // tail \\", "k",
     "p:buffer<i32>/read_write @8", NULL},
    {"the source ends in a backslash and newline", "extern \"C\" __global__ void k(int *p) {} // tail \\\n",
     "k", "p:buffer<i32>/read_write @8", NULL},
    {"a macro called template", "extern \"C\" __global__ void k(int *p) {}\n#define template struct\n", "k",
     "p:buffer<i32>/read_write @8", NULL},
    {"a macro called decltype", "#define decltype(x) void(float)\nextern \"C\" __global__ void k(int *p) {}",
     "k", "p:buffer<i32>/read_write @8", NULL},
    {"macros called struct, const, unsigned",
     "extern \"C\" __global__ void k(const unsigned *p) {}\n#define struct class\n#define const\n#define "
     "unsigned signed\n",
     "k", "p:buffer<u32>/read @8", NULL},
    {"a macro called __global__",
     "extern \"C\" __global__ void k(const float *p) {}\n#undef __global__\n#define __global__ oops\n", "k",
     "p:buffer<f32>/read @8", NULL},
    {"its own type called __half",
     "typedef unsigned short __half; extern \"C\" __global__ void k(__half h, const __half *p) {}", "k",
     "h:u16 p:buffer<u16>/read @16", NULL},
    {"a name like the probe's",
     "template<class K> struct gd_of {}; extern \"C\" __global__ void k(int *p) {}", "k",
     "p:buffer<i32>/read_write @8", NULL},
    {"nameless parameters", "extern \"C\" __global__ void k(int, float *y, const float *) {}", "k",
     ":i32 y:buffer<f32>/read_write :buffer<f32>/read @24", NULL},
    {"launch bounds and attributes",
     "extern \"C\" __global__ __launch_bounds__(128, 2) void k(int *p /* first, not n */, int n = (1, 2)) {}",
     "k", "p:buffer<i32>/read_write n:i32 @12", NULL},
    {"a kernel made by a macro has no names",
     "#define K(n) extern \"C\" __global__ void n(float *a, int b)\nK(k) { a[b] = 1; }", "k",
     ":buffer<f32>/read_write :i32 @12", NULL},
    {"a declaration first, other names",
     "extern \"C\" __global__ void k(int *q);\nextern \"C\" __global__ void k(int *p) {}", "k",
     "p:buffer<i32>/read_write @8", NULL},
    {"doubles", "extern \"C\" __global__ void k(double a, double *b) {}", "k",
     "a:f64 b:buffer<f64>/read_write @16", NULL},
};

static void the_signature_is_found_without_params(void **state)
{
	(void)state;
	harness_need_nvrtc(&harness);
	unsigned wrong = 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char found[600];
		static struct harness_job job;
		struct gd_program_input input = harness_source(rows[i].source, rows[i].kernel);
		input.options = &rows[i].option;
		input.option_count = rows[i].option ? 1 : 0;
		harness_compile(&harness, &job, &input, GD_COMPILE_REFERENCE);
		if (job.job.artifact)
			describe(&job.job.artifact->signature, found, sizeof found);
		else
			snprintf(found, sizeof found, "error %d: %s | %s", (int)job.job.error.code,
				 job.job.error.text, job.job.diagnostics.log ? job.job.diagnostics.log : "");
		if (strcmp(found, rows[i].want) != 0) {
			print_error("%s\n  want %s\n  got  %s\n", rows[i].why, rows[i].want, found);
			wrong++;
		}
		harness_drop(&job);
	}
	assert_int_equal(wrong, 0);
}

int main(int argc, char **argv)
{
	harness_role(argc, argv);
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_signature_is_found_without_params)};
	return cmocka_run_group_tests(tests, open_compiler, close_compiler);
}
