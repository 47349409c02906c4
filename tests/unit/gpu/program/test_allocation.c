/*
 * Every allocation fails once: what is made then is an error, and nothing leaks. The C library's allocator is
 * replaced by one that counts; sanitizers replace it themselves, so there this test says that it is skipped.
 */
#include "common.h"

#include "gpu/program/ptx.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OWN_ALLOCATOR 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OWN_ALLOCATOR 0
#endif
#endif
#ifndef HAS_OWN_ALLOCATOR
#define HAS_OWN_ALLOCATOR 1
#endif

#if HAS_OWN_ALLOCATOR

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void __libc_free(void *memory);

/* exported, so that strdup and its like inside the C library use them too */
#define REPLACES_LIBC __attribute__((visibility("default")))

static bool counting;
static long made, live, fail_at;

static bool may_allocate(void)
{
	if (!counting)
		return true;
	if (++made == fail_at)
		return false;
	live++;
	return true;
}

REPLACES_LIBC void *malloc(size_t bytes)
{
	return may_allocate() ? __libc_malloc(bytes) : NULL;
}

REPLACES_LIBC void *calloc(size_t count, size_t bytes)
{
	return may_allocate() ? __libc_calloc(count, bytes) : NULL;
}

REPLACES_LIBC void *realloc(void *memory, size_t bytes)
{
	if (counting && ++made == fail_at)
		return NULL;
	live += counting && !memory;
	return __libc_realloc(memory, bytes);
}

REPLACES_LIBC void free(void *memory)
{
	live -= counting && memory;
	__libc_free(memory);
}

static bool make_program(struct gd_error *error)
{
	static const struct gd_header_input headers[] = {{"b.h", "2", 1}, {"a.h", "1", 1}};
	static const char *const options[] = {"-DX=1", "--lineinfo", "-DX=1"};
	static const struct gd_param_input params[] = {{.name = "a", .type = "f32"}, {.type = "buffer"}};
	struct gd_program_limits limits = gd_program_limits_default();
	struct gd_program *program = NULL;
	struct gd_program_input input = common_input("__global__ void k(float a, int *b) {}");
	input.kernel = "k";
	input.headers = headers;
	input.header_count = 2;
	input.options = options;
	input.option_count = 3;
	input.params = params;
	input.param_count = 2;
	bool ok = gd_program_new(&input, &limits, &program, error);
	gd_program_free(program);
	return ok;
}

static bool make_posted(struct gd_error *error)
{
	static const struct gd_param_input params[] = {{.name = "a", .type = "f32"}, {.type = "buffer"}};
	struct gd_program_limits limits = gd_program_limits_default();
	struct gd_program *program = NULL;
	struct gd_artifact *artifact = NULL;
	struct gd_program_input input =
	    common_input(".entry j() { ret; } .entry k(.param .f32 a, .param .u64 b) { ret; }");
	input.language = GD_LANGUAGE_PTX;
	input.kernel = "k";
	input.params = params;
	input.param_count = 2;
	bool ok = gd_program_new(&input, &limits, &program, error) &&
		  gd_artifact_from_posted(program, "sm_90", &artifact, error);
	gd_artifact_free(artifact);
	gd_program_free(program);
	return ok;
}

static bool make_diagnostics(struct gd_error *error)
{
	static const char log[] = "a.cu(1): error: one\n  x\n  ^\n      detected during this\n\n"
				  "a.cu(2): warning #1-D: two\n\na.cu(3): error: three\n";
	struct gd_diagnostics found = {0}, copy = {0};
	bool ok = gd_diagnostics_parse(log, sizeof log - 1, &found, error) &&
		  gd_diagnostics_copy(&found, &copy, error);
	gd_diagnostics_done(&found);
	gd_diagnostics_done(&copy);
	return ok;
}

static void fail_each_allocation(bool (*make)(struct gd_error *error))
{
	for (fail_at = 1;; fail_at++) {
		struct gd_error error = {0};
		made = live = 0;
		counting = true;
		bool ok = make(&error);
		counting = false;
		if (live)
			fail_msg("%ld pieces of memory are lost when allocation %ld fails", live, fail_at);
		if (made < fail_at) {
			assert_true(ok);
			break;
		}
		assert_false(ok);
		if (error.code != GD_INTERNAL_STATE)
			fail_msg("allocation %ld: code %d, %s", fail_at, (int)error.code, error.text);
	}
	assert_true(fail_at > 5);
}

static void a_program_survives_each_failed_allocation(void **state)
{
	(void)state;
	fail_each_allocation(make_program);
}

static void a_posted_artifact_survives_each_failed_allocation(void **state)
{
	(void)state;
	fail_each_allocation(make_posted);
}

static void diagnostics_survive_each_failed_allocation(void **state)
{
	(void)state;
	fail_each_allocation(make_diagnostics);
}

#else

static void a_program_survives_each_failed_allocation(void **state)
{
	(void)state;
	printf("SKIP: the sanitizer has an allocator of its own\n");
	skip();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_survives_each_failed_allocation),
#if HAS_OWN_ALLOCATOR
		cmocka_unit_test(a_posted_artifact_survives_each_failed_allocation),
		cmocka_unit_test(diagnostics_survive_each_failed_allocation),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
