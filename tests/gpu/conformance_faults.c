/* Kernels that fault. A fault may cost the process its device, so each runs in a child: this program, started
 * again. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How a child ends: as it should, with another code or none, in another way. */
enum { CHILD_RIGHT = 0, CHILD_WRONG = 10, CHILD_BROKEN = 11 };

static const struct {
	const char *name, *entry, *source;
	bool is_cuda_only;
} faults[] = {
    {"null", "f", "extern \"C\" __global__ void f(int *x, int n) { x[n] = 1; }", false},
    {"far out of bounds", "f",
     "extern \"C\" __global__ void f(int *x, long long n) { x[(1ll << 40) + n] = 1; }", false},
    {"misaligned", "f", "extern \"C\" __global__ void f(int *x, int n) { *(int *)((char *)x + 1 + n) = 1; }",
     false},
    {"trap", "f", "extern \"C\" __global__ void f(int *x, int n) { if (!n) __trap(); x[0] = 1; }", false},
    {"assert", "f",
     "extern \"C\" __device__ void __assertfail(const char *, const char *, unsigned, const char *, "
     "size_t);\n"
     "extern \"C\" __global__ void f(int *x, int n)\n"
     "{ if (!n) __assertfail(\"n\", \"case.cu\", 2, \"f\", 1); x[0] = 1; }",
     false},
    {"write to a chunk that is lent for reading", "w",
     "extern \"C\" __global__ void w(const int *x, int n) { ((int *)x)[n] = 1; }", true},
    {"shared memory out of bounds", "f",
     "extern \"C\" __global__ void f(int *x, int n)\n"
     "{ __shared__ int s[32]; s[threadIdx.x & 31] = 1; __syncthreads(); x[0] = s[(1 << 24) + n]; }",
     false},
};

int conformance_fault_child(struct rig *rig, const char *name)
{
	struct {
		uint64_t x;
		int64_t n;
	} params = {0};
	size_t which = 0;
	while (which < sizeof faults / sizeof *faults && strcmp(faults[which].name, name) != 0)
		which++;
	if (which == sizeof faults / sizeof *faults)
		return CHILD_BROKEN;
	struct gd_module *module = rig_load(rig, faults[which].source, faults[which].entry);
	if (!module) {
		fprintf(stderr, "%s\n", rig->why);
		return CHILD_BROKEN;
	}
	struct gd_buffer_arg buffer = rig_out(0, 0, 1024);
	struct gd_chunk *chunk;
	uint64_t bytes;
	int fd;
	if (!rig->ops->chunk_new(rig->device, 4096, &chunk, &bytes, &fd, &rig->error))
		return CHILD_BROKEN;
	if (faults[which].is_cuda_only)
		buffer = rig_chunk(0, GD_ACCESS_READ, chunk, 0, 1024);
	struct gd_launch launch = rig_launch(rig, module, 1, &params, &buffer, 1);
	launch.block[0] = 32;
	if (!strcmp(name, "null"))
		buffer.bytes = 0;
	uint64_t start = gd_now_ns();
	bool is_done = rig_run(rig, &launch);
	double ms = (double)(gd_now_ns() - start) / 1e6;
	printf("      %s: %s after %.0f ms; sticky %d; %s\n", name,
	       rig->error.native_name ? rig->error.native_name : "-", ms, rig->error.sticky,
	       is_done ? "it ended well" : rig->error.text);
	if (is_done || rig->error.code != GD_DISPATCH_FAILED || rig->error.sticky != rig_is_cuda(rig))
		return CHILD_WRONG;
	/* Where the fault is sticky, the next call says the same; where not, the device goes on. */
	int native = rig->error.native;
	bool is_usable = rig->ops->chunk_new(rig->device, 4096, &chunk, &bytes, &fd, &rig->error);
	if (is_usable == rig_is_cuda(rig) || (!is_usable && rig->error.native != native))
		return CHILD_WRONG;
	return CHILD_RIGHT;
}

static bool run_child(const char *self, const char *name)
{
	fflush(stdout);
	pid_t child = fork();
	if (child < 0)
		return false;
	if (!child) {
		execl("/proc/self/exe", self, "--fault", name, (char *)NULL);
		_exit(CHILD_BROKEN);
	}
	int status = 0;
	return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == CHILD_RIGHT;
}

int conformance_faults(struct rig *rig, const char *self)
{
	int failed = 0;
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		if (faults[i].is_cuda_only && !rig_is_cuda(rig))
			continue;
		uint64_t start = gd_now_ns();
		bool ok = run_child(self, faults[i].name);
		printf("%s  fault: %-49s %8.1f ms\n", ok ? "pass" : "FAIL", faults[i].name,
		       (double)(gd_now_ns() - start) / 1e6);
		failed += !ok;
	}
	return failed;
}
