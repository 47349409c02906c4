/*
 * NVRTC for tests, loaded at run time: CUDA C to PTX where a toolkit is installed. $GPUDISPATCH_NVRTC names
 * the library when it lies nowhere that the loader looks; the usual toolkit folders are tried too.
 */
#ifndef GD_TESTS_DEVICE_NVRTC_H
#define GD_TESTS_DEVICE_NVRTC_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

typedef void *nvrtc_program;

struct nvrtc {
	void *library;
	int (*create)(nvrtc_program *, const char *, const char *, int, const char *const *,
		      const char *const *);
	int (*compile)(nvrtc_program, int, const char *const *);
	int (*ptx_size)(nvrtc_program, size_t *);
	int (*ptx)(nvrtc_program, char *);
	int (*log_size)(nvrtc_program, size_t *);
	int (*log)(nvrtc_program, char *);
	int (*destroy)(nvrtc_program *);
};

/* Load the library once. NULL when there is none. */
__attribute__((unused)) static struct nvrtc *nvrtc_load(void)
{
	static struct nvrtc nvrtc;
	static bool is_tried;
	const char *const names[] = {getenv("GPUDISPATCH_NVRTC"),
				     "libnvrtc.so",
				     "libnvrtc.so.13",
				     "libnvrtc.so.12",
				     "/usr/local/cuda/lib64/libnvrtc.so",
				     "/usr/local/cuda/lib64/libnvrtc.so.13",
				     "/usr/local/cuda/lib64/libnvrtc.so.12"};
	for (size_t i = 0; !is_tried && i < sizeof(names) / sizeof(names[0]) && !nvrtc.library; i++) {
		if (names[i])
			nvrtc.library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	}
	if (!is_tried && nvrtc.library) {
		*(void **)&nvrtc.create = dlsym(nvrtc.library, "nvrtcCreateProgram");
		*(void **)&nvrtc.compile = dlsym(nvrtc.library, "nvrtcCompileProgram");
		*(void **)&nvrtc.ptx_size = dlsym(nvrtc.library, "nvrtcGetPTXSize");
		*(void **)&nvrtc.ptx = dlsym(nvrtc.library, "nvrtcGetPTX");
		*(void **)&nvrtc.log_size = dlsym(nvrtc.library, "nvrtcGetProgramLogSize");
		*(void **)&nvrtc.log = dlsym(nvrtc.library, "nvrtcGetProgramLog");
		*(void **)&nvrtc.destroy = dlsym(nvrtc.library, "nvrtcDestroyProgram");
	}
	is_tried = true;
	return nvrtc.library && nvrtc.create && nvrtc.compile && nvrtc.ptx ? &nvrtc : NULL;
}

/* Compile; the caller frees the text. NULL after printing the log. `option` and the next may be NULL. */
__attribute__((unused)) static char *nvrtc_compile(struct nvrtc *nvrtc, const char *source,
						   const char *option, const char *option2)
{
	const char *options[4] = {"--gpu-architecture=compute_90", "--std=c++17"};
	int count = 2;
	nvrtc_program program = NULL;
	size_t size = 0;
	char *text = NULL;
	if (option)
		options[count++] = option;
	if (option2)
		options[count++] = option2;
	if (nvrtc->create(&program, source, "kernel.cu", 0, NULL, NULL))
		return NULL;
	bool is_compiled = !nvrtc->compile(program, count, options);
	if (is_compiled ? !nvrtc->ptx_size(program, &size) : !nvrtc->log_size(program, &size))
		text = calloc(1, size + 1);
	if (text && is_compiled) {
		nvrtc->ptx(program, text);
	} else if (text) {
		nvrtc->log(program, text);
		fprintf(stderr, "%s\n", text);
		free(text);
		text = NULL;
	}
	nvrtc->destroy(&program);
	return text;
}

#endif
