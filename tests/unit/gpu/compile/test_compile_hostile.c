/* Sources that want files, time or memory that are not theirs. Limits are small so that the tests are short.
 */
#include "harness.h"

#include "gpu/base/buf.h"

#include <dirent.h>
#include <unistd.h>

/* The limits that the bombs must meet; instrumented code, which NVRTC's callers are then, gets more time. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { CPU_MS = 4000, TIMEOUT_MS = 20000 };
#else
enum { CPU_MS = 1500, TIMEOUT_MS = 8000 };
#endif
static const uint64_t memory_bytes = 768ull << 20;

static struct harness harness;

static int open_compiler(void **state)
{
	(void)state;
	harness_open(&harness, (struct gd_compiler_config){.jobs = 2,
							   .cpu_ms = CPU_MS,
							   .timeout_ms = TIMEOUT_MS,
							   .memory_bytes = memory_bytes});
	return 0;
}

static int close_compiler(void **state)
{
	(void)state;
	harness_close(&harness);
	return 0;
}

static bool contains(const void *memory, size_t bytes, const char *needle)
{
	return memory && memmem(memory, bytes, needle, strlen(needle)) != NULL;
}

static bool text_contains(const char *text, const char *needle)
{
	return text && strstr(text, needle);
}

/* Is `needle` anywhere in what the client would see? */
static bool answer_has(const struct harness_job *job, const char *needle)
{
	const struct gd_compile_job *it = &job->job;
	bool found = text_contains(it->error.text, needle) || text_contains(it->error.fix, needle) ||
		     text_contains(it->diagnostics.log, needle);
	for (uint32_t i = 0; i < it->diagnostics.count; i++)
		found = found || text_contains(it->diagnostics.items[i].message, needle) ||
			text_contains(it->diagnostics.items[i].excerpt, needle) ||
			text_contains(it->diagnostics.items[i].file, needle);
	if (!it->artifact)
		return found;
	return found || contains(it->artifact->ptx, it->artifact->ptx_bytes, needle) ||
	       contains(it->artifact->cubin, it->artifact->cubin_bytes, needle) ||
	       text_contains(it->artifact->diagnostics.log, needle);
}

static void compile(struct harness_job *job, const char *source)
{
	struct gd_program_input input = harness_source(source, NULL);
	harness_compile(&harness, job, &input, GD_COMPILE_CUDA);
}

/* Lines of a host file that would betray it. */
static void expect_nothing_of(const char *path, const struct harness_job *job, const char *why)
{
	FILE *file = fopen(path, "r");
	char line[512];
	if (!file)
		return;
	for (int i = 0; i < 200 && fgets(line, sizeof line, file); i++) {
		line[strcspn(line, "\n")] = '\0';
		if (strlen(line) >= 8 && answer_has(job, line))
			fail_msg("%s: a line of %s is in the answer", why, path);
	}
	fclose(file);
}

#define KERNEL "\nextern \"C\" __global__ void k(unsigned *o) { *o = 1; }\n"

static void no_source_can_read_a_file_of_the_host(void **state)
{
	(void)state;
	static const struct {
		const char *why, *source, *path;
	} rows[] = {
	    {"quotes", "#include \"/etc/passwd\"" KERNEL, "/etc/passwd"},
	    {"angle brackets", "#include </etc/passwd>" KERNEL, "/etc/passwd"},
	    {"upwards", "#include \"../../../../../../etc/passwd\"" KERNEL, "/etc/passwd"},
	    {"upwards, angle brackets", "#include <../../../../etc/group>" KERNEL, "/etc/group"},
	    {"through a macro", "#define F \"/etc/passwd\"\n#include F" KERNEL, "/etc/passwd"},
	    {"digraph", "%:include \"/etc/passwd\"" KERNEL, "/etc/passwd"},
	    {"import", "#import \"/etc/passwd\"" KERNEL, "/etc/passwd"},
	    {"include_next", "#include_next \"/etc/passwd\"" KERNEL, "/etc/passwd"},
	    {"the environment", "#include \"/proc/self/environ\"" KERNEL, "/proc/self/environ"},
	    {"the environment, no number", "#include </proc/self/environ>" KERNEL, "/proc/self/environ"},
	    {"the command line", "#include \"/proc/self/cmdline\"" KERNEL, "/proc/self/cmdline"},
	    {"the memory map", "#include \"/proc/self/maps\"" KERNEL, "/proc/version"},
	    {"a descriptor", "#include \"/proc/self/fd/3\"" KERNEL, "/proc/version"},
	    {"a descriptor by its device", "#include \"/dev/fd/3\"" KERNEL, "/proc/version"},
	    {"standard input", "#include \"/dev/stdin\"" KERNEL, "/proc/version"},
	    {"zeroes", "#include \"/dev/zero\"" KERNEL, "/proc/version"},
	    {"a folder", "#include \"/etc\"" KERNEL, "/etc/passwd"},
	    {"a line directive", "#line 1 \"/etc/passwd\"\n#error here" KERNEL, "/etc/passwd"},
	    {"a line directive, then an error", "#line 2 \"/etc/group\"\nint broken = ;" KERNEL,
	     "/etc/group"},
	    {"inline PTX include",
	     "extern \"C\" __global__ void k() { asm(\".include \\\"/etc/passwd\\\"\"); }", "/etc/passwd"},
	    {"inline PTX file", "extern \"C\" __global__ void k() { asm(\".file 9 \\\"/etc/passwd\\\"\"); }",
	     "/etc/passwd"},
	    {"embed", "__device__ char x[] = {\n#embed \"/etc/passwd\"\n};" KERNEL, "/etc/passwd"},
	    {"dependency pragma", "#pragma GCC dependency \"/etc/passwd\"" KERNEL, "/etc/passwd"},
	    {"include alias", "#pragma include_alias(\"a.h\", \"/etc/passwd\")\n#include \"a.h\"" KERNEL,
	     "/etc/passwd"},
	};
	harness_need_nvrtc(&harness);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static struct harness_job job;
		compile(&job, rows[i].source);
		expect_nothing_of(rows[i].path, &job, rows[i].why);
		if (answer_has(&job, "root:") || answer_has(&job, "CUDA_CACHE_DISABLE"))
			fail_msg("%s", rows[i].why);
		harness_drop(&job);
	}
}

static void a_number_in_a_file_does_not_get_into_a_cubin(void **state)
{
	(void)state;
	static struct harness_job job;
	harness_need_nvrtc(&harness);
	compile(&job, "__device__ unsigned x[] = {\n#include \"/proc/sys/kernel/pid_max\"\n};\n"
		      "extern \"C\" __global__ void k(unsigned *o) { *o = x[0]; }");
	assert_null(job.job.artifact);
	assert_int_equal(job.job.error.code, GD_KERNEL_COMPILE_FAILED);
	harness_drop(&job);
}

static void whether_a_host_file_exists_cannot_be_asked(void **state)
{
	(void)state;
	static const char *const paths[] = {"/etc/passwd", "/etc/shadow", "/proc/self/environ", "/bin/sh",
					    "/tmp"};
	harness_need_nvrtc(&harness);
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		char source[256];
		static struct harness_job job;
		snprintf(source, sizeof source,
			 "#if __has_include(\"%s\") || __has_include(<%s>)\n#error it exists\n#endif" KERNEL,
			 paths[i], paths[i]);
		compile(&job, source);
		if (!job.job.artifact)
			fail_msg("%s: %s", paths[i], job.job.error.text);
		harness_drop(&job);
	}
}

static void a_file_that_exists_answers_as_one_that_does_not(void **state)
{
	(void)state;
	static struct harness_job there, missing;
	harness_need_nvrtc(&harness);
	compile(&there, "#include \"/etc/passwd\"" KERNEL);
	compile(&missing, "#include \"/etc/passwx\"" KERNEL);
	assert_int_equal(there.job.error.code, GD_KERNEL_COMPILE_FAILED);
	assert_int_equal(missing.job.error.code, GD_KERNEL_COMPILE_FAILED);
	assert_int_equal(strlen(there.job.diagnostics.log), strlen(missing.job.diagnostics.log));
	char *x = strstr(missing.job.diagnostics.log, "passwx");
	while (x) {
		x[5] = 'd';
		x = strstr(x, "passwx");
	}
	assert_string_equal(there.job.diagnostics.log, missing.job.diagnostics.log);
	harness_drop(&there);
	harness_drop(&missing);
}

static void bombs_end_within_their_limits(void **state)
{
	(void)state;
	static const struct {
		const char *why, *source;
	} rows[] = {
	    {"a tree of templates that doubles",
	     "template<int D, int I> struct T { typename T<D - 1, 2 * I>::t a; typename T<D - 1, 2 * I + "
	     "1>::t b; typedef int t; };\n"
	     "template<int I> struct T<0, I> { typedef int t; };\n"
	     "extern \"C\" __global__ void k(int *o) { T<26, 1> t; *o = sizeof t; }"},
	    {"a chain of templates without end",
	     "template<class T> struct X { X<X<T>> operator->() { return {}; } };\n"
	     "extern \"C\" __global__ void k(int *o) { X<int> x; *o = x->y; }"},
	    {"macros that expand to a thousand million words",
	     "#define A x+x+x+x+x+x+x+x+x+x\n#define B A+A+A+A+A+A+A+A+A+A\n#define C B+B+B+B+B+B+B+B+B+B\n"
	     "#define D C+C+C+C+C+C+C+C+C+C\n#define E D+D+D+D+D+D+D+D+D+D\n#define F E+E+E+E+E+E+E+E+E+E\n"
	     "#define G F+F+F+F+F+F+F+F+F+F\n#define H G+G+G+G+G+G+G+G+G+G\n#define I H+H+H+H+H+H+H+H+H+H\n"
	     "extern \"C\" __global__ void k(int *o) { int x = 1; *o = I; }"},
	    {"eight gigabytes of initialised array", "__device__ char big[1ull << 33] = {1};\nextern \"C\" "
						     "__global__ void k(char *o) { *o = big[o[1]]; }"},
	    {"a loop unrolled two hundred thousand times",
	     "extern \"C\" __global__ void k(float *o) { float x = o[0];\n#pragma unroll\n"
	     "for (int i = 0; i < 200000; i++) { x = x * 1.0001f + o[i]; if (x > 3) x = sinf(x); } o[0] = x; "
	     "}"},
	    {"constexpr that runs for ever",
	     "__device__ constexpr unsigned f(unsigned n) { unsigned s = 0; for "
	     "(unsigned i = 0; i < n; i++) s += i ^ s; return s; }\n"
	     "extern \"C\" __global__ void k(unsigned *o) { constexpr "
	     "unsigned v = f(4000000000u); *o = v; }"},
	};
	harness_need_nvrtc(&harness);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static struct harness_job job;
		uint64_t before = gd_now_ns();
		compile(&job, rows[i].source);
		uint64_t took_ms = (gd_now_ns() - before) / GD_NS_PER_MS;
		printf("  %-48s %5llu ms: %s\n", rows[i].why, (unsigned long long)took_ms,
		       job.job.error.text);
		if (took_ms > TIMEOUT_MS + 2000)
			fail_msg("%s took %llu ms", rows[i].why, (unsigned long long)took_ms);
		if (job.job.artifact)
			printf("  %s compiled\n", rows[i].why);
		else if (job.job.error.code != GD_KERNEL_COMPILE_FAILED)
			fail_msg("%s: error %d, %s", rows[i].why, (int)job.job.error.code,
				 job.job.error.text);
		harness_drop(&job);
		compile(&job, KERNEL);
		if (!job.job.artifact)
			fail_msg("after %s a good source fails: %s", rows[i].why, job.job.error.text);
		harness_drop(&job);
	}
}

static void deep_nesting_is_only_slow(void **state)
{
	(void)state;
	enum { DEPTH = 20000 };
	static struct harness_job job;
	harness_need_nvrtc(&harness);
	gd_auto_buf struct gd_buf source;
	gd_buf_init(&source, 2 * DEPTH + 200);
	gd_buf_puts(&source, "extern \"C\" __global__ void k(int *o) { *o = ");
	for (int i = 0; i < DEPTH; i++)
		gd_buf_puts(&source, "(");
	gd_buf_puts(&source, "1");
	for (int i = 0; i < DEPTH; i++)
		gd_buf_puts(&source, ")");
	assert_true(gd_buf_puts(&source, "; }"));
	compile(&job, source.data);
	assert_true(job.job.artifact || job.job.error.code == GD_KERNEL_COMPILE_FAILED);
	harness_drop(&job);
}

static void a_log_without_end_is_cut(void **state)
{
	(void)state;
	enum { WARNINGS = 20000 };
	static struct harness_job job;
	harness_need_nvrtc(&harness);
	static const char line[] = "#warning a warning like many others\n";
	char *source = calloc(1, WARNINGS * (sizeof line - 1) + sizeof KERNEL);
	assert_non_null(source);
	char *at = source;
	for (int i = 0; i < WARNINGS; i++, at += sizeof line - 1)
		memcpy(at, line, sizeof line - 1);
	memcpy(at, KERNEL, sizeof KERNEL);
	compile(&job, source);
	assert_non_null(job.job.artifact);
	const struct gd_diagnostics *found = &job.job.artifact->diagnostics;
	assert_true(strlen(found->log) <= GD_LOG_BYTES_MAX);
	assert_non_null(strstr(found->log, "cut off"));
	assert_int_equal(found->count, GD_DIAGNOSTICS_MAX);
	assert_int_equal(found->items[0].number, 1105);
	free(source);
	harness_drop(&job);
}

static void a_source_that_includes_itself_is_refused(void **state)
{
	(void)state;
	static struct harness_job job;
	harness_need_nvrtc(&harness);
	compile(&job, "#include \"kernel.cu\"\n#include __FILE__" KERNEL);
	assert_null(job.job.artifact);
	harness_drop(&job);
}

/* Names injected behind the expression's end are refused before NVRTC sees them; what the grammar lets
 * through fails. */
static void a_kernel_expression_cannot_add_code(void **state)
{
	(void)state;
	static const char *const kernels[] = {"k<float>; } int y; {",
					      "k\n#include \"/etc/passwd\"",
					      "k{}",
					      "k#",
					      "k\"\"",
					      "k'a'",
					      "k\\",
					      "k@",
					      "k$",
					      "a b, c"};
	static const char source[] = "template<class T> __global__ void k(T *p) {}";
	struct gd_program_limits limits = gd_program_limits_default();
	for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
		struct gd_error error = {0};
		struct gd_program *program = NULL;
		struct gd_program_input input = harness_source(source, kernels[i]);
		if (gd_program_new(&input, &limits, &program, &error))
			fail_msg("%s", kernels[i]);
		assert_int_equal(error.code, GD_INVALID_REQUEST);
		assert_string_equal(error.pointer, "/kernel");
	}
	harness_need_nvrtc(&harness);
	static const char *const allowed[] = {"sizeof(int)",   "k<float>+1", "k<k>",
					      "__nv_name_map", "int",        "k<float>(0)"};
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
		static struct harness_job job;
		struct gd_program_input input = harness_source(source, allowed[i]);
		harness_compile(&harness, &job, &input, GD_COMPILE_REFERENCE);
		if (job.job.artifact || job.job.error.code != GD_INVALID_PROGRAM)
			fail_msg("%s: %d %s", allowed[i], (int)job.job.error.code, job.job.error.text);
		harness_drop(&job);
	}
}

int main(int argc, char **argv)
{
	harness_role(argc, argv);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_source_can_read_a_file_of_the_host),
	    cmocka_unit_test(a_number_in_a_file_does_not_get_into_a_cubin),
	    cmocka_unit_test(whether_a_host_file_exists_cannot_be_asked),
	    cmocka_unit_test(a_file_that_exists_answers_as_one_that_does_not),
	    cmocka_unit_test(bombs_end_within_their_limits),
	    cmocka_unit_test(deep_nesting_is_only_slow),
	    cmocka_unit_test(a_log_without_end_is_cut),
	    cmocka_unit_test(a_source_that_includes_itself_is_refused),
	    cmocka_unit_test(a_kernel_expression_cannot_add_code),
	};
	return cmocka_run_group_tests(tests, open_compiler, close_compiler);
}
