#include "nvrtc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prototypes as in nvrtc.h of CUDA 12 and 13; results are 0 for success. */
static struct {
	int (*create)(void **out_program, const char *source, const char *name, int headers,
		      const char *const *texts, const char *const *names);
	int (*compile)(void *program, int count, const char *const *options);
	int (*destroy)(void **program);
	int (*log_size)(void *program, size_t *out_bytes);
	int (*log)(void *program, char *text);
	int (*ptx_size)(void *program, size_t *out_bytes);
	int (*ptx)(void *program, char *text);
	int (*cubin_size)(void *program, size_t *out_bytes);
	int (*cubin)(void *program, char *data);
} nvrtc;

static bool take(void *library, const char *name, void *target)
{
	void *symbol = dlsym(library, name);
	memcpy(target, &symbol, sizeof symbol);
	return symbol != NULL;
}

bool nvrtc_open(void)
{
	static const char *const names[] = {"libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"};
	void *library = NULL;
	for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	bool is_whole = library && take(library, "nvrtcCreateProgram", &nvrtc.create) &&
			take(library, "nvrtcCompileProgram", &nvrtc.compile) &&
			take(library, "nvrtcDestroyProgram", &nvrtc.destroy) &&
			take(library, "nvrtcGetProgramLogSize", &nvrtc.log_size) &&
			take(library, "nvrtcGetProgramLog", &nvrtc.log) &&
			take(library, "nvrtcGetPTXSize", &nvrtc.ptx_size) &&
			take(library, "nvrtcGetPTX", &nvrtc.ptx) &&
			take(library, "nvrtcGetCUBINSize", &nvrtc.cubin_size) &&
			take(library, "nvrtcGetCUBIN", &nvrtc.cubin);
	if (!is_whole)
		fprintf(stderr, "no NVRTC here (libnvrtc.so)\n");
	return is_whole;
}

static void print_log(void *program)
{
	size_t bytes = 0;
	if (nvrtc.log_size(program, &bytes) || !bytes)
		return;
	char *text = calloc(1, bytes + 1);
	if (text && !nvrtc.log(program, text))
		fprintf(stderr, "%s\n", text);
	free(text);
}

static bool read_result(void *program, bool is_cubin, void **out_data, size_t *out_bytes)
{
	size_t bytes = 0;
	if ((is_cubin ? nvrtc.cubin_size : nvrtc.ptx_size)(program, &bytes) || !bytes)
		return false;
	char *data = calloc(1, bytes + 1);
	if (!data || (is_cubin ? nvrtc.cubin : nvrtc.ptx)(program, data)) {
		free(data);
		return false;
	}
	*out_data = data;
	*out_bytes = is_cubin ? bytes : strlen(data);
	return true;
}

bool nvrtc_compile(const char *source, const char *architecture, void **out_data, size_t *out_bytes)
{
	char option[64];
	snprintf(option, sizeof option, "--gpu-architecture=%s", architecture);
	const char *options[] = {option, "--std=c++17"};
	void *program = NULL;
	if (nvrtc.create(&program, source, "case.cu", 0, NULL, NULL))
		return false;
	bool is_done = !nvrtc.compile(program, 2, options) &&
		       read_result(program, !strncmp(architecture, "sm_", 3), out_data, out_bytes);
	if (!is_done)
		print_log(program);
	nvrtc.destroy(&program);
	return is_done;
}
