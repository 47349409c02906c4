/* The compiler's life: many jobs, limits, and how it outlives its processes. */
#include "harness.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

/* Long enough for an honest compile, also of an instrumented program on a busy machine. */
enum { HANG_TIMEOUT_MS = 2000 };

static struct harness usual;

static int open_usual(void **state)
{
	(void)state;
	harness_open(&usual, (struct gd_compiler_config){.jobs = 2});
	return 0;
}

static int close_usual(void **state)
{
	(void)state;
	harness_close(&usual);
	return 0;
}

static const char saxpy[] =
    "extern \"C\" __global__ void saxpy(float a, const float *x, float *y, int n)\n"
    "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = a * x[i] + y[i]; }\n";

/* Only time ends it. */
static const char endless[] = "template<class T> struct X { X<X<T>> operator->() { return {}; } };\n"
			      "extern \"C\" __global__ void k(int *o) { X<int> x; *o = x->y; }";

static void expect_made(const struct harness_job *job)
{
	if (!job->job.artifact)
		fail_msg("%s; %s; log: %s", job->job.error.text, job->job.error.fix,
			 job->job.diagnostics.log ? job->job.diagnostics.log : "");
}

static void expect_failure(const struct harness_job *job, enum gd_code code, const char *words)
{
	assert_null(job->job.artifact);
	if (job->job.error.code != code || !strstr(job->job.error.text, words))
		fail_msg("want %d with '%s', got %d: %s", (int)code, words, (int)job->job.error.code,
			 job->job.error.text);
	assert_true(job->job.error.fix[0] != '\0');
}

static void twenty_compiles_at_once_are_all_right(void **state)
{
	(void)state;
	enum { COUNT = 20 };
	static struct harness_job jobs[COUNT];
	static char sources[COUNT][128];
	harness_need_nvrtc(&usual);
	for (int i = 0; i < COUNT; i++) {
		snprintf(sources[i], sizeof sources[i],
			 "extern \"C\" __global__ void kernel_%d(int *o) { *o = %d; }", i, 77000 + i);
		struct gd_program_input input = harness_source(sources[i], NULL);
		harness_submit(&usual, &jobs[i], &input, GD_COMPILE_REFERENCE);
	}
	uint32_t waiting, running;
	gd_compiler_load(usual.compiler, &waiting, &running);
	assert_int_equal(running, 2);
	assert_int_equal(waiting, COUNT - 2);
	for (int i = 0; i < COUNT; i++) {
		char want[32];
		harness_wait(&usual, &jobs[i].done);
		expect_made(&jobs[i]);
		snprintf(want, sizeof want, "kernel_%d", i);
		assert_string_equal(jobs[i].job.artifact->entry, want);
		snprintf(want, sizeof want, "%d;", 77000 + i);
		assert_non_null(strstr(jobs[i].job.artifact->ptx, want));
		harness_drop(&jobs[i]);
	}
	gd_compiler_load(usual.compiler, &waiting, &running);
	assert_int_equal(waiting + running, 0);
}

static void a_queue_that_is_full_refuses(void **state)
{
	(void)state;
	struct harness harness;
	static struct harness_job first, second, third;
	harness_open(&harness, (struct gd_compiler_config){.jobs = 1, .queue_max = 1});
	harness_need_nvrtc(&harness);
	struct gd_program_input input = harness_source(saxpy, NULL);
	harness_submit(&harness, &first, &input, GD_COMPILE_REFERENCE);
	harness_submit(&harness, &second, &input, GD_COMPILE_REFERENCE);
	struct gd_error error = {0};
	third = (struct harness_job){
	    .job = {.program = harness_program(&input), .kind = GD_COMPILE_REFERENCE, .done = harness_done}};
	assert_false(gd_compiler_submit(harness.compiler, &third.job, &error));
	assert_int_equal(error.code, GD_OVERLOADED);
	harness_wait(&harness, &second.done);
	assert_true(gd_compiler_submit(harness.compiler, &third.job, &error));
	harness_wait(&harness, &third.done);
	expect_made(&first);
	expect_made(&second);
	expect_made(&third);
	harness_drop(&first);
	harness_drop(&second);
	harness_drop(&third);
	harness_close(&harness);
}

static void a_compile_that_takes_too_long_is_ended(void **state)
{
	(void)state;
	struct harness harness;
	static struct harness_job job;
	harness_open(&harness, (struct gd_compiler_config){.jobs = 1, .timeout_ms = 500});
	harness_need_nvrtc(&harness);
	struct gd_program_input input = harness_source(endless, NULL);
	uint64_t before = gd_now_ns();
	harness_compile(&harness, &job, &input, GD_COMPILE_CUDA);
	assert_true(gd_now_ns() - before < 3 * GD_NS_PER_S);
	expect_failure(&job, GD_KERNEL_COMPILE_FAILED, "longer than 500 ms");
	harness_drop(&job);
	harness_close(&harness);
}

/* Pids of processes that are children of `parent`; 0 ends the list. */
static void find_children(pid_t parent, pid_t *out, size_t capacity)
{
	DIR *proc = opendir("/proc");
	size_t count = 0;
	assert_non_null(proc);
	for (struct dirent *entry; (entry = readdir(proc)) && count + 1 < capacity;) {
		char path[300], line[512];
		int ppid = 0;
		snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
		if (!file)
			continue;
		if (fgets(line, sizeof line, file) && strrchr(line, ')') &&
		    sscanf(strrchr(line, ')') + 2, "%*c %d", &ppid) == 1 && ppid == parent)
			out[count++] = (pid_t)strtol(entry->d_name, NULL, 10);
		fclose(file);
	}
	closedir(proc);
	out[count] = 0;
}

static pid_t wait_for_child(struct harness *harness, pid_t parent)
{
	uint64_t deadline = gd_now_ns() + HARNESS_WAIT_NS;
	for (;;) {
		pid_t pids[8];
		find_children(parent, pids, 8);
		if (pids[0])
			return pids[0];
		assert_true(gd_now_ns() < deadline);
		gd_loop_run(harness->loop, 5);
	}
}

static void a_killed_server_is_replaced_and_its_jobs_are_done_again(void **state)
{
	(void)state;
	struct harness harness;
	static struct harness_job jobs[4];
	harness_open(&harness, (struct gd_compiler_config){.jobs = 2});
	harness_need_nvrtc(&harness);
	struct gd_program_input input = harness_source(saxpy, NULL);
	for (int i = 0; i < 4; i++)
		harness_submit(&harness, &jobs[i], &input, GD_COMPILE_CUDA);
	pid_t pids[8];
	find_children(getpid(), pids, 8);
	/* the usual compiler's server is a child too: ours is the younger one */
	pid_t server = pids[0];
	for (int i = 1; pids[i]; i++)
		server = pids[i] > server ? pids[i] : server;
	assert_int_equal(kill(server, SIGKILL), 0);
	for (int i = 0; i < 4; i++) {
		harness_wait(&harness, &jobs[i].done);
		expect_made(&jobs[i]);
		harness_drop(&jobs[i]);
	}
	harness_close(&harness);
}

static void a_job_under_which_the_server_dies_twice_fails_and_may_be_sent_again(void **state)
{
	(void)state;
	struct harness harness;
	static struct harness_job job;
	harness_open(&harness, (struct gd_compiler_config){.jobs = 1});
	harness_need_nvrtc(&harness);
	struct gd_program_input input = harness_source(endless, NULL);
	harness_submit(&harness, &job, &input, GD_COMPILE_CUDA);
	for (int i = 0; i < 2; i++) {
		/* only a server that has a fork is compiling */
		pid_t pids[8], server = 0;
		uint64_t deadline = gd_now_ns() + HARNESS_WAIT_NS;
		while (!server) {
			pid_t forks[8];
			find_children(getpid(), pids, 8);
			for (int j = 0; pids[j] && !server; j++) {
				find_children(pids[j], forks, 8);
				server = forks[0] ? pids[j] : 0;
			}
			assert_true(gd_now_ns() < deadline);
			gd_loop_run(harness.loop, 5);
		}
		pid_t fork_pid = wait_for_child(&harness, server);
		assert_int_equal(kill(server, SIGKILL), 0);
		/* a fork dies with its server */
		while (kill(fork_pid, 0) == 0) {
			assert_true(gd_now_ns() < deadline);
			gd_loop_run(harness.loop, 5);
		}
	}
	harness_wait(&harness, &job.done);
	expect_failure(&job, GD_INTERNAL_STATE, "died");
	assert_true(job.job.retryable);
	harness_drop(&job);
	harness_close(&harness);
}

static void a_server_that_hangs_is_replaced(void **state)
{
	(void)state;
	struct harness harness;
	static struct harness_job job;
	pid_t before[8], after[8];
	find_children(getpid(), before, 8);
	harness_open(&harness, (struct gd_compiler_config){.jobs = 1, .timeout_ms = HANG_TIMEOUT_MS});
	harness_need_nvrtc(&harness);
	find_children(getpid(), after, 8);
	pid_t server = 0;
	for (int i = 0; after[i]; i++) {
		bool is_old = false;
		for (int j = 0; before[j]; j++)
			is_old = is_old || before[j] == after[i];
		server = is_old ? server : after[i];
	}
	assert_int_equal(kill(server, SIGSTOP), 0);
	struct gd_program_input input = harness_source(saxpy, NULL);
	harness_compile(&harness, &job, &input, GD_COMPILE_CUDA);
	expect_made(&job);
	assert_int_not_equal(kill(server, 0), 0);
	harness_drop(&job);
	harness_close(&harness);
}

static void a_cancelled_job_makes_room_at_once(void **state)
{
	(void)state;
	struct harness harness;
	static struct harness_job running, waiting, next;
	harness_open(&harness, (struct gd_compiler_config){.jobs = 1});
	harness_need_nvrtc(&harness);
	struct gd_program_input bad = harness_source(endless, NULL), good = harness_source(saxpy, NULL);
	harness_submit(&harness, &running, &bad, GD_COMPILE_CUDA);
	harness_submit(&harness, &waiting, &bad, GD_COMPILE_CUDA);
	harness_submit(&harness, &next, &good, GD_COMPILE_CUDA);
	gd_compiler_cancel(harness.compiler, &waiting.job);
	gd_compiler_cancel(harness.compiler, &running.job);
	uint64_t before = gd_now_ns();
	harness_wait(&harness, &next.done);
	expect_made(&next);
	assert_true(gd_now_ns() - before < 5 * GD_NS_PER_S);
	assert_false(running.done || waiting.done);
	harness_drop(&running);
	harness_drop(&waiting);
	harness_drop(&next);
	harness_close(&harness);
}

static void ending_the_compiler_ends_its_jobs_and_leaves_no_process(void **state)
{
	(void)state;
	struct harness harness;
	static struct harness_job jobs[3];
	harness_open(&harness, (struct gd_compiler_config){.jobs = 1});
	harness_need_nvrtc(&harness);
	pid_t before[8], after[8];
	find_children(getpid(), before, 8);
	struct gd_program_input input = harness_source(endless, NULL);
	for (int i = 0; i < 3; i++)
		harness_submit(&harness, &jobs[i], &input, GD_COMPILE_CUDA);
	harness_close(&harness);
	for (int i = 0; i < 3; i++) {
		assert_true(jobs[i].done);
		assert_int_equal(jobs[i].job.error.code, GD_DRAINING);
		harness_drop(&jobs[i]);
	}
	find_children(getpid(), after, 8);
	int count_before = 0, count_after = 0;
	while (before[count_before])
		count_before++;
	while (after[count_after])
		count_after++;
	assert_int_equal(count_after, count_before - 1);
}

static void an_architecture_that_nvrtc_cannot_make_is_refused(void **state)
{
	(void)state;
	harness_need_nvrtc(&usual);
	struct gd_error error = {0};
	struct gd_program_input input = harness_source(saxpy, NULL);
	struct gd_compile_job job = {
	    .program = harness_program(&input), .kind = GD_COMPILE_CUDA, .compute_capability = 20};
	assert_false(gd_compiler_submit(usual.compiler, &job, &error));
	assert_int_equal(error.code, GD_INVALID_REQUEST);
	assert_non_null(strstr(error.text, "sm_20"));
	gd_program_free(job.program);
}

static void a_compiler_without_nvrtc_says_why(void **state)
{
	(void)state;
	static const char *const wrong[] = {"/nonexistent/libnvrtc.so", "/proc/self/exe", "/etc/passwd",
					    "/etc"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct harness harness;
		struct gd_error error = {0};
		harness_open(&harness, (struct gd_compiler_config){.nvrtc = wrong[i]});
		const struct gd_toolchain *toolchain = gd_compiler_toolchain(harness.compiler);
		assert_true(toolchain->known);
		assert_false(toolchain->available);
		assert_true(toolchain->why_not[0] != '\0');
		assert_null(strchr(toolchain->why_not, '/'));
		struct gd_program_input input = harness_source(saxpy, NULL);
		struct gd_compile_job job = {.program = harness_program(&input),
					     .kind = GD_COMPILE_REFERENCE};
		assert_false(gd_compiler_submit(harness.compiler, &job, &error));
		assert_int_equal(error.code, GD_BACKEND_UNAVAILABLE);
		gd_program_free(job.program);
		harness_close(&harness);
	}
}

int main(int argc, char **argv)
{
	harness_role(argc, argv);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(twenty_compiles_at_once_are_all_right),
	    cmocka_unit_test(a_queue_that_is_full_refuses),
	    cmocka_unit_test(a_compile_that_takes_too_long_is_ended),
	    cmocka_unit_test(a_killed_server_is_replaced_and_its_jobs_are_done_again),
	    cmocka_unit_test(a_job_under_which_the_server_dies_twice_fails_and_may_be_sent_again),
	    cmocka_unit_test(a_server_that_hangs_is_replaced),
	    cmocka_unit_test(a_cancelled_job_makes_room_at_once),
	    cmocka_unit_test(ending_the_compiler_ends_its_jobs_and_leaves_no_process),
	    cmocka_unit_test(an_architecture_that_nvrtc_cannot_make_is_refused),
	    cmocka_unit_test(a_compiler_without_nvrtc_says_why),
	};
	return cmocka_run_group_tests(tests, open_usual, close_usual);
}
