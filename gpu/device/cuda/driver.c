#include "gpu/device/cuda/driver.h"

#include "gpu/device/cuda/result.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define INSTALL_FIX                                                                                          \
	"Install an NVIDIA driver for CUDA 12.4 or newer (release 550 or newer), or use --backend "          \
	"reference."

static struct gd_cuda_driver driver;

/* NULL when every required function is there, else the name of the first that is not. */
static const char *take_functions(void *library)
{
	const char *missing = NULL;
	void *symbol;
#define TAKE_OPTIONAL(field, name, parameters)                                                               \
	symbol = dlsym(library, name);                                                                       \
	memcpy(&driver.field, &symbol, sizeof symbol); /* ISO C has no cast from object to function pointer  \
							*/
#define TAKE_REQUIRED(field, name, parameters)                                                               \
	TAKE_OPTIONAL(field, name, parameters)                                                               \
	if (!symbol && !missing)                                                                             \
		missing = name;
	GD_CUDA_REQUIRED(TAKE_REQUIRED)
	GD_CUDA_OPTIONAL(TAKE_OPTIONAL)
#undef TAKE_REQUIRED
#undef TAKE_OPTIONAL
	return missing;
}

static bool load(struct gd_error *error)
{
	const char *name = secure_getenv(GD_CUDA_LIBRARY_ENV);
	if (!name || !*name)
		name = "libcuda.so.1";
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		/* dlerror's text is read once and may name folders of this machine: it stays out of the
		 * error. */
		(void)dlerror();
		return gd_error_set(error, GD_BACKEND_UNAVAILABLE, INSTALL_FIX,
				    "there is no CUDA driver here (libcuda.so.1 cannot be opened)");
	}
	const char *missing = take_functions(library);
	gd_cu_result result =
	    driver.driver_version ? driver.driver_version(&driver.version) : GD_CUDA_SUCCESS;
	if (missing)
		return gd_error_set(error, GD_BACKEND_UNAVAILABLE, INSTALL_FIX,
				    "the CUDA driver is too old: it supports CUDA %d.%d and lacks %s",
				    driver.version / 1000, driver.version % 1000 / 10, missing);
	if (result == GD_CUDA_SUCCESS)
		result = driver.init(0);
	if (result != GD_CUDA_SUCCESS) {
		gd_cuda_error(error, result, "cuInit");
		if (error)
			error->code = GD_BACKEND_UNAVAILABLE;
		return false;
	}
	return true;
}

const struct gd_cuda_driver *gd_cuda_driver_get(struct gd_error *error)
{
	static bool is_tried, is_loaded;
	static struct gd_error failure;
	if (!is_tried)
		is_loaded = load(&failure);
	is_tried = true;
	if (is_loaded)
		return &driver;
	if (error)
		*error = failure;
	return NULL;
}
