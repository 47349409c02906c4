#include "gpu/compile/headers.h"

#include "gpu/base/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADERS_MAX = 4096, FOLDERS_MAX = 16, FILE_MAX = 4 << 20, TOTAL_MAX = 64 << 20 };

/* Folders of headers relative to the library's, for the layouts that exist; each may keep libcu++ in cccl/.
 */
static const char *const layouts[] = {
    "../include",                      /* toolkit: lib64; wheels of CUDA 13: nvidia/cu13/lib */
    "../targets/x86_64-linux/include", /* toolkit, where include is no link to it */
    "../../include",                   /* Debian: lib/x86_64-linux-gnu */
    "../../cuda_runtime/include",      /* wheels of CUDA 12: nvidia/cuda_nvrtc/lib */
    "../../cuda_crt/include",
    "../../cuda_cccl/include",
    "../../curand/include",
};

/* What a client may start from; what these include comes along. */
static const char *const roots[] = {
    "cuda_fp16.h",
    "cuda_bf16.h",
    "cuda_fp8.h",
    "cuda_fp6.h",
    "cuda_fp4.h",
    "cuComplex.h",
    "math_constants.h",
    "vector_types.h",
    "vector_functions.h",
    "mma.h",
    "cuda_runtime.h",
    "cuda_runtime_api.h",
    "device_launch_parameters.h",
    "cooperative_groups.h",
    "curand_kernel.h",
    "nv/target",
    "cuda_pipeline.h",
    "cuda_awbarrier.h",
    "cooperative_groups/reduce.h",
    "cooperative_groups/scan.h",
    "cooperative_groups/memcpy_async.h",
    "cuda/std/type_traits",
    "cuda/std/cstdint",
    "cuda/std/limits",
    "cuda/std/array",
    "cuda/std/complex",
    "cuda/std/tuple",
    "cuda/std/utility",
    "cuda/std/cmath",
    "cuda/std/atomic",
    "cuda/atomic",
    "cuda/barrier",
    "cuda/pipeline",
    "cuda/std/cstddef",
    "cuda/std/climits",
    "cuda/std/functional",
    "cuda/std/span",
    "cuda/std/optional",
    "cuda/std/bit",
    "cuda/std/numbers",
    "cuda/std/algorithm",
    "cuda/std/cassert",
    "cuda/std/cstring",
};

/* A name that is CUDA's: anything else in these folders is somebody else's header. */
static bool is_cuda_name(const char *name)
{
	static const char *const prefixes[] = {"cuda_",
					       "cuda/",
					       "cuda.h",
					       "cuComplex",
					       "crt/",
					       "nv/",
					       "vector_",
					       "cooperative_groups",
					       "curand",
					       "device_",
					       "sm_",
					       "mma.h",
					       "math_",
					       "driver_",
					       "builtin_types.h",
					       "surface_",
					       "texture_",
					       "library_types.h",
					       "channel_descriptor.h",
					       "host_config.h",
					       "host_defines.h",
					       "common_functions.h",
					       "detail/",
					       "cudart_",
					       "fatbinary_section.h"};
	if (strstr(name, ".."))
		return false;
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

struct folders {
	char paths[FOLDERS_MAX][PATH_MAX];
	size_t count;
};

static void add_folder(struct folders *out, const char *base, int base_length, const char *rest)
{
	gd_auto_free char *path = NULL;
	if (out->count == FOLDERS_MAX || asprintf(&path, "%.*s/%s", base_length, base, rest) < 0)
		path = NULL;
	else if (realpath(path, out->paths[out->count]))
		out->count++;
}

static void find_folders(const char *library_path, struct folders *out)
{
	const char *slash = strrchr(library_path, '/');
	int length = slash ? (int)(slash - library_path) : 0;
	for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
		add_folder(out, library_path, length, layouts[i]);
	for (size_t i = 0, plain = out->count; i < plain; i++)
		add_folder(out, out->paths[i], (int)strlen(out->paths[i]), "cccl");
}

static char *read_file(const char *path, size_t *out_bytes)
{
	gd_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return NULL;
	size_t bytes = (size_t)st.st_size, done = 0;
	gd_auto_free char *text = malloc(bytes + 1);
	while (text && done < bytes) {
		ssize_t n = read(fd, text + done, bytes - done);
		if (n <= 0)
			return NULL;
		done += (size_t)n;
	}
	if (text)
		text[bytes] = '\0';
	*out_bytes = bytes;
	return gd_move(text);
}

const char *gd_headers_find(const struct gd_headers *headers, const char *name)
{
	for (size_t i = 0; i < headers->count; i++)
		if (!strcmp(headers->names[i], name))
			return headers->texts[i];
	return NULL;
}

bool gd_headers_mean_large(const char *text)
{
	static const char *const words[] = {"cuda/", "cooperative_groups", "curand", "cuda_pipeline",
					    "cuda_awbarrier"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strstr(text, words[i]))
			return true;
	return false;
}

/* Take the file `path` of the folders under `name`. */
static bool take_as(struct gd_headers *headers, const struct folders *folders, const char *name,
		    const char *path)
{
	if (gd_headers_find(headers, name))
		return true;
	if (headers->count == HEADERS_MAX || !is_cuda_name(path))
		return false;
	for (size_t i = 0; i < folders->count; i++) {
		gd_auto_free char *full = NULL;
		size_t bytes = 0;
		if (asprintf(&full, "%s/%s", folders->paths[i], path) < 0) {
			full = NULL;
			return false;
		}
		gd_auto_free char *text = read_file(full, &bytes);
		if (!text)
			continue;
		gd_auto_free char *copy = strdup(name);
		if (!copy || bytes > TOTAL_MAX - headers->bytes)
			return false;
		headers->is_large[headers->count] = gd_headers_mean_large(path);
		headers->names[headers->count] = gd_move(copy);
		headers->texts[headers->count++] = gd_move(text);
		headers->bytes += bytes;
		return true;
	}
	return false;
}

/* Follow every #include of a header; conditions do not matter, a header too many costs nothing. */
static void take_included(struct gd_headers *headers, const struct folders *folders, size_t index)
{
	const char *own = headers->names[index];
	const char *slash = strrchr(own, '/');
	for (const char *at = headers->texts[index]; (at = strstr(at, "include"));) {
		at += strlen("include");
		const char *open = at + strspn(at, " \t");
		if (*open != '<' && *open != '"')
			continue;
		size_t length = strcspn(open + 1, *open == '<' ? ">\n" : "\"\n");
		char name[NAME_MAX], beside[2 * NAME_MAX];
		if (length >= sizeof name)
			continue;
		memcpy(name, open + 1, length);
		name[length] = '\0';
		/* NVRTC does not know where a header in memory lies: "x.hpp" inside crt/x.h keeps its short
		 * name */
		if (!take_as(headers, folders, name, name) && *open == '"' && slash) {
			snprintf(beside, sizeof beside, "%.*s/%s", (int)(slash - own), own, name);
			take_as(headers, folders, name, beside);
		}
	}
}

bool gd_headers_load(const char *library_path, struct gd_headers *out_headers)
{
	struct gd_headers headers = {0};
	gd_auto_free struct folders *folders = calloc(1, sizeof *folders);
	headers.names = calloc(HEADERS_MAX, sizeof *headers.names);
	headers.texts = calloc(HEADERS_MAX, sizeof *headers.texts);
	headers.is_large = calloc(HEADERS_MAX, sizeof *headers.is_large);
	if (!folders || !headers.names || !headers.texts || !headers.is_large) {
		gd_headers_done(&headers);
		return false;
	}
	find_folders(library_path, folders);
	for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
		take_as(&headers, folders, roots[i], roots[i]);
	for (size_t i = 0; i < headers.count; i++)
		take_included(&headers, folders, i);
	bool found = gd_headers_find(&headers, "cuda_fp16.h") != NULL;
	*out_headers = headers;
	return found;
}

void gd_headers_done(struct gd_headers *headers)
{
	for (size_t i = 0; i < headers->count; i++) {
		free(headers->names[i]);
		free(headers->texts[i]);
	}
	free(headers->names);
	free(headers->texts);
	free(headers->is_large);
	*headers = (struct gd_headers){0};
}
