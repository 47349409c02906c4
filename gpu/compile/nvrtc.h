/*
 * NVRTC, loaded at run time: our own declarations of what we call, so that no CUDA header is needed to build.
 *
 * Runs in the compiler process only. Names, types and values are those of nvrtc.h (CUDA 13.0; unchanged
 * since 8.0 except where marked optional). The table lives as long as the process.
 */
#ifndef GD_COMPILE_NVRTC_H
#define GD_COMPILE_NVRTC_H

#include "gpu/base/error.h"
#include "gpu/base/sha256.h"
#include "gpu/compile/compiler.h"

#include <limits.h>
#include <stddef.h>

enum {
	NVRTC_SUCCESS = 0,
	NVRTC_ERROR_OUT_OF_MEMORY = 1,
	NVRTC_ERROR_INVALID_OPTION = 5,
	NVRTC_ERROR_COMPILATION = 6
};

typedef struct nvrtc_program_opaque *nvrtc_program; /* nvrtcProgram */

struct gd_nvrtc {
	int (*version)(int *major, int *minor);
	const char *(*error_string)(int result);
	int (*create)(nvrtc_program *program, const char *source, const char *name, int header_count,
		      const char *const *headers, const char *const *include_names);
	int (*destroy)(nvrtc_program *program);
	int (*compile)(nvrtc_program program, int option_count, const char *const *options);
	int (*ptx_size)(nvrtc_program program, size_t *bytes);
	int (*ptx)(nvrtc_program program, char *ptx);
	int (*cubin_size)(nvrtc_program program, size_t *bytes); /* NVRTC 11.1 */
	int (*cubin)(nvrtc_program program, char *cubin);
	int (*log_size)(nvrtc_program program, size_t *bytes);
	int (*log)(nvrtc_program program, char *log);
	int (*add_name)(nvrtc_program program, const char *expression);
	int (*lowered_name)(nvrtc_program program, const char *expression, const char **name);
	int (*arch_count)(int *count); /* NVRTC 11.2 */
	int (*archs)(int *archs);
	/* options that this version takes, found by trying */
	bool has_no_cache;    /* --no-cache: 12.9 */
	bool has_syntax_only; /* -fdevice-syntax-only: stops after the front end, and names are lowered by
				 then */
	char path[PATH_MAX];  /* the library file, resolved */
};

/*
 * Load the library. `where` is its path, or a folder that holds it, or "" to search: the loader's own path
 * (libnvrtc.so.13, .12, .so), then /usr/local/cuda*. Fails: GD_BACKEND_UNAVAILABLE, saying what is missing
 * without naming paths of the host.
 */
bool gd_nvrtc_load(const char *where, struct gd_nvrtc *out_nvrtc, struct gd_error *error);

/*
 * Compile a small kernel once, so that all that NVRTC opens late (its builtins library) is open before the
 * sandbox closes, and find out which options it takes. Fails: GD_BACKEND_UNAVAILABLE.
 */
bool gd_nvrtc_warm(struct gd_nvrtc *nvrtc, struct gd_error *error);

/* Version, build id (SHA-256 of the library file) and architectures. Fails: GD_BACKEND_UNAVAILABLE. */
bool gd_nvrtc_describe(const struct gd_nvrtc *nvrtc, struct gd_toolchain *out_toolchain,
		       struct gd_error *error);

#endif
