#include "common.h"

#include "gpu/program/declaration.h"

struct row {
	const char *why, *source, *want; /* names with a comma behind each; NULL: none are set */
	uint32_t count;
};

static const struct row rows[] = {
    {"plain", "__global__ void k(float a, const float *x, int n) {}", "a,x,n,", 3},
    {"spaces and newlines", "__global__\nvoid\nk\n(\nfloat  a ,\n int\tb\n)\n{}", "a,b,", 2},
    {"the void list", "__global__ void k(void) {}", NULL, 0},
    {"types of several words",
     "__global__ void k(unsigned long long int a, const struct S *b, ns::T<int, 3> c, ::U d) {}", "a,b,c,d,",
     4},
    {"types without a name", "__global__ void k(int, const P, struct Q, float *, unsigned x, T<int>) {}",
     ",,,,x,,", 6},
    {"qualifiers behind", "__global__ void k(float *__restrict__ a, int const b, float const *const c) {}",
     "a,b,c,", 3},
    {"arrays", "__global__ void k(float a[], int b[4][N * 2], double (*c)[3], char (&d)[2]) {}", "a,b,c,d,",
     4},
    {"functions", "__global__ void k(void (*f)(int, float), int n) {}", "f,n,", 2},
    {"defaults", "__global__ void k(int a = 3, int b = f(1, 2), int c = (4, 5)) {}", "a,b,c,", 3},
    {"attributes",
     "__global__ __launch_bounds__(128, 2) void __attribute__((noinline)) k([[maybe_unused]] int a) {}", "a,",
     1},
    {"grid constants", "__global__ void k(const __grid_constant__ P p) {}", "p,", 1},
    {"the qualifier after the type", "void __global__ k(int a) {}", "a,", 1},
    {"templates", "template<class T, int N = 3> __global__ void k(T *a, const V<T, (N > 2)> b) {}", "a,b,",
     2},
    {"a specialisation", "template<> __global__ void k<float, 2>(float *a) {}", "a,", 1},
    {"comments", "__global__ void k(int a /* , int b */, // int c,\n int d) {}", "a,d,", 2},
    {"comments and strings before",
     "// __global__ void k(int x)\nconst char *s = \"__global__ void k(int y) {}\"; "
     "__global__ void k(int z) {}",
     "z,", 1},
    {"raw strings", "const char *s = R\"x(\" __global__ void k(int y) {} )x\"; __global__ void k(int z) {}",
     "z,", 1},
    {"directives",
     "#define K __global__ void k(int a)\n#define M \\\n __global__ void k(int b)\n__global__ void k(int c) "
     "{}",
     "c,", 1},
    {"others before", "__global__ void j(int a) {} __global__ void kk(int b) {} __global__ void k(int c) {}",
     "c,", 1},
    {"the definition wins",
     "__global__ void k(int first); __global__ void k(int second) {} __global__ void k(int third);",
     "second,", 1},
    {"a declaration alone will do", "__global__ void k(int only);", "only,", 1},
    {"overloads by their count", "__global__ void k(int a) {} __global__ void k(int b, int c) {}", "b,c,", 2},
    {"overloads that disagree", "__global__ void k(int a) {} __global__ void k(float b) {}", NULL, 1},
    {"overloads that agree", "__global__ void k(int a) {} __global__ void k(float a) {}", "a,", 1},
    {"another count", "__global__ void k(int a) {}", NULL, 2},
    {"conditions inside", "__global__ void k(int a,\n#if X\n int b\n#else\n int c\n#endif\n) {}", NULL, 2},
    {"one name twice", "__global__ void k(int a, int a) {}", NULL, 2},
    {"an operator of the same name is none", "__global__ void x() { k(1); } __device__ void k(int a) {}",
     NULL, 1},
    {"no kernel", "void k(int a) {}", NULL, 1},
    {"cut", "__global__ void k(int a, ", NULL, 1},
    {"cut after the list", "__global__ void k(int a)", "a,", 1},
    {"UTF-8",
     "__global__ void k(int gr\xc3\xb6\xc3\x9f"
     "e) {}",
     "gr\xc3\xb6\xc3\x9f"
     "e,",
     1},
};

static void names_come_from_the_declaration(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gd_signature signature;
		struct gd_error error;
		char found[256] = "";
		assert_true(gd_signature_init(&signature, rows[i].count, &error));
		bool set = gd_declaration_names(rows[i].source, strlen(rows[i].source), "k", &signature);
		for (uint32_t j = 0; j < signature.count; j++) {
			strncat(found, signature.params[j].name, 60);
			strncat(found, ",", 2);
		}
		if (set != (rows[i].want != NULL) || (set && strcmp(found, rows[i].want) != 0))
			fail_msg("%s: %s '%s'", rows[i].why, set ? "got" : "none", found);
		gd_signature_done(&signature);
	}
}

static void a_source_cut_anywhere_is_read_safely(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t bytes = strlen(rows[i].source);
		for (size_t cut = 0; cut <= bytes; cut++) {
			struct gd_signature signature;
			struct gd_error error;
			char *copy = malloc(cut + 1);
			assert_non_null(copy);
			memcpy(copy, rows[i].source, cut);
			assert_true(gd_signature_init(&signature, 2, &error));
			gd_declaration_names(copy, cut, "k", &signature);
			gd_signature_done(&signature);
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_come_from_the_declaration),
	    cmocka_unit_test(a_source_cut_anywhere_is_read_safely),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
