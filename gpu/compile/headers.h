/*
 * CUDA's own headers in memory, so that a compile that cannot open files can include them.
 *
 * Loaded once by the fork server before the sandbox closes; its forks inherit the pages. Found beside the
 * NVRTC library in the layouts of toolkits, distribution packages and wheels. Only CUDA's headers are taken,
 * by name: the folder may be a system's /usr/include. One thread.
 */
#ifndef GD_COMPILE_HEADERS_H
#define GD_COMPILE_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

struct gd_headers {
	size_t count;
	char **names, **texts; /* name as an #include says it; text NUL-terminated */
	bool *
	    is_large; /* part of the C++ library: hundreds of files, passed on where a source may mean them */
	size_t bytes;
};

/* Load what is there for the library at `library_path`. Returns false when cuda_fp16.h is not among it. */
bool gd_headers_load(const char *library_path, struct gd_headers *out_headers);
void gd_headers_done(struct gd_headers *headers);

/* May a text that includes something mean one of the large ones? */
bool gd_headers_mean_large(const char *text);

/* The text of a header, NULL when it is not there. */
const char *gd_headers_find(const struct gd_headers *headers, const char *name);

#endif
