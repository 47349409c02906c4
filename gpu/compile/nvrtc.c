#include "gpu/compile/nvrtc.h"

#include "gpu/base/cleanup.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char *const library_names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};
enum { LIBRARY_NAMES = sizeof library_names / sizeof *library_names };

static const char fix_install[] = "Install NVRTC of CUDA 12 or 13, or name its library with --nvrtc.";

static bool unavailable(struct gd_error *error, const char *why)
{
	return gd_error_set(error, GD_BACKEND_UNAVAILABLE, fix_install, "%s", why);
}

static void *open_in(const char *folder)
{
	for (int i = 0; i < LIBRARY_NAMES; i++) {
		gd_auto_free char *path = NULL;
		if (asprintf(&path, "%s/%s", folder, library_names[i]) < 0) {
			path = NULL;
			continue;
		}
		void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (library)
			return library;
	}
	return NULL;
}

/* CUDA toolkits install to /usr/local/cuda-X.Y, with /usr/local/cuda pointing at the chosen one. */
static void *open_in_toolkits(void)
{
	void *library = open_in("/usr/local/cuda/lib64");
	DIR *folder = library ? NULL : opendir("/usr/local");
	for (struct dirent *entry; folder && !library && (entry = readdir(folder));) {
		char path[sizeof entry->d_name + 32];
		if (strncmp(entry->d_name, "cuda-", 5) != 0)
			continue;
		snprintf(path, sizeof path, "/usr/local/%s/lib64", entry->d_name);
		library = open_in(path);
	}
	if (folder)
		closedir(folder);
	return library;
}

static void *open_library(const char *where, struct gd_error *error)
{
	struct stat st;
	void *library = NULL;
	if (where[0]) {
		bool exists = stat(where, &st) == 0;
		if (!exists)
			unavailable(error, "the NVRTC library that was named does not exist");
		else if (!(library =
			       S_ISDIR(st.st_mode) ? open_in(where) : dlopen(where, RTLD_NOW | RTLD_LOCAL)))
			unavailable(error, "the NVRTC library that was named cannot be loaded");
		return library;
	}
	for (int i = 0; i < LIBRARY_NAMES && !library; i++)
		library = dlopen(library_names[i], RTLD_NOW | RTLD_LOCAL);
	if (!library)
		library = open_in_toolkits();
	if (!library)
		unavailable(error, "there is no NVRTC on this machine");
	return library;
}

#define BIND(field, symbol, needed)                                                                          \
	{                                                                                                    \
		offsetof(struct gd_nvrtc, field), symbol, needed                                             \
	}

static const struct {
	size_t offset;
	const char *symbol;
	bool is_needed;
} symbols[] = {
    BIND(version, "nvrtcVersion", true),
    BIND(error_string, "nvrtcGetErrorString", true),
    BIND(create, "nvrtcCreateProgram", true),
    BIND(destroy, "nvrtcDestroyProgram", true),
    BIND(compile, "nvrtcCompileProgram", true),
    BIND(ptx_size, "nvrtcGetPTXSize", true),
    BIND(ptx, "nvrtcGetPTX", true),
    BIND(cubin_size, "nvrtcGetCUBINSize", true),
    BIND(cubin, "nvrtcGetCUBIN", true),
    BIND(log_size, "nvrtcGetProgramLogSize", true),
    BIND(log, "nvrtcGetProgramLog", true),
    BIND(add_name, "nvrtcAddNameExpression", true),
    BIND(lowered_name, "nvrtcGetLoweredName", true),
    BIND(arch_count, "nvrtcGetNumSupportedArchs", false),
    BIND(archs, "nvrtcGetSupportedArchs", false),
};

/*
 * NVRTC opens libnvrtc-builtins.so.MAJOR.MINOR by its bare name when it first compiles, and has no search
 * path of its own: beside a library outside the loader's paths (a wheel, a toolkit that ldconfig does not
 * know) it is not found. One that is loaded already is. A failure here is told by the warm-up's compile.
 */
static void open_builtins(const struct gd_nvrtc *nvrtc)
{
	int major = 0, minor = 0;
	char *path = NULL;
	const char *slash = strrchr(nvrtc->path, '/');
	if (!slash || nvrtc->version(&major, &minor) != NVRTC_SUCCESS)
		return;
	if (asprintf(&path, "%.*s/libnvrtc-builtins.so.%d.%d", (int)(slash - nvrtc->path), nvrtc->path, major,
		     minor) < 0)
		return;
	(void)dlopen(path, RTLD_NOW | RTLD_LOCAL);
	free(path);
}

bool gd_nvrtc_load(const char *where, struct gd_nvrtc *out_nvrtc, struct gd_error *error)
{
	void *library = open_library(where, error);
	if (!library)
		return false;
	memset(out_nvrtc, 0, sizeof *out_nvrtc);
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		void *found = dlsym(library, symbols[i].symbol);
		if (!found && symbols[i].is_needed)
			return unavailable(error,
					   "the NVRTC on this machine is too old: a function is missing");
		memcpy((char *)out_nvrtc + symbols[i].offset, &found, sizeof found);
	}
	struct link_map *map = NULL;
	if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0 || !realpath(map->l_name, out_nvrtc->path))
		return unavailable(error, "the NVRTC library's file cannot be found");
	open_builtins(out_nvrtc);
	return true;
}

static bool compiles_with(const struct gd_nvrtc *nvrtc, const char *option, int *out_result)
{
	static const char source[] =
	    "extern \"C\" __global__ void gd_warm(float *y, int n) { y[n] = sinf(y[n]); }";
	nvrtc_program program = NULL;
	const char *options[2] = {option};
	*out_result = nvrtc->create(&program, source, "kernel.cu", 0, NULL, NULL);
	if (*out_result != NVRTC_SUCCESS)
		return false;
	*out_result = nvrtc->compile(program, option ? 1 : 0, options);
	nvrtc->destroy(&program);
	return *out_result == NVRTC_SUCCESS;
}

bool gd_nvrtc_warm(struct gd_nvrtc *nvrtc, struct gd_error *error)
{
	int result;
	char architecture[48];
	int archs[GD_TOOLCHAIN_ARCHS * 4], count = 0;
	if (!nvrtc->arch_count || nvrtc->arch_count(&count) != NVRTC_SUCCESS || count < 1 ||
	    count > (int)(sizeof archs / sizeof *archs) || nvrtc->archs(archs) != NVRTC_SUCCESS)
		return unavailable(error, "the NVRTC on this machine does not tell its architectures");
	/* a real architecture, so that the assembler runs too */
	snprintf(architecture, sizeof architecture, "--gpu-architecture=sm_%d", archs[count - 1]);
	if (!compiles_with(nvrtc, architecture, &result)) {
		gd_error_set(error, GD_BACKEND_UNAVAILABLE,
			     "Reinstall NVRTC together with its builtins library.",
			     "the NVRTC on this machine cannot compile: %s", nvrtc->error_string(result));
		return gd_error_native(error, result, NULL, false);
	}
	nvrtc->has_no_cache = compiles_with(nvrtc, "--no-cache", &result);
	nvrtc->has_syntax_only = compiles_with(nvrtc, "-fdevice-syntax-only", &result);
	return true;
}

static bool hash_file(const char *path, char out_hex[GD_SHA256_HEX + 1])
{
	gd_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
		return false;
	void *file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED)
		return false;
	uint8_t digest[GD_SHA256_BYTES];
	gd_sha256_of(file, (size_t)st.st_size, digest);
	munmap(file, (size_t)st.st_size);
	gd_hex(digest, sizeof digest, out_hex);
	return true;
}

bool gd_nvrtc_describe(const struct gd_nvrtc *nvrtc, struct gd_toolchain *out_toolchain,
		       struct gd_error *error)
{
	int major, minor, count = 0, archs[GD_TOOLCHAIN_ARCHS * 4];
	if (nvrtc->version(&major, &minor) != NVRTC_SUCCESS || nvrtc->arch_count(&count) != NVRTC_SUCCESS ||
	    count < 1 || count > (int)(sizeof archs / sizeof *archs) || nvrtc->archs(archs) != NVRTC_SUCCESS)
		return unavailable(error, "the NVRTC on this machine does not tell its version");
	snprintf(out_toolchain->id.version, sizeof out_toolchain->id.version, "%d.%d", major, minor);
	/* the newest ones where there are more than we keep */
	int first = count > (int)GD_TOOLCHAIN_ARCHS ? count - (int)GD_TOOLCHAIN_ARCHS : 0;
	for (int i = first; i < count; i++)
		out_toolchain->archs[i - first] = archs[i];
	out_toolchain->arch_count = (uint32_t)(count - first);
	if (!hash_file(nvrtc->path, out_toolchain->id.build_id))
		return unavailable(error, "the NVRTC library's file cannot be read");
	return true;
}
