/* The engine beneath the fake API: nothing but its shape. The cuda backend is refused, as where there is no
 * GPU. */
#include "gpu/compile/compiler.h"
#include "gpu/dispatch/engine.h"
#include "gpu/worker/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct gd_engine {
	uint32_t lanes;
};

struct gd_lane {
	struct gd_loop *loop;
};

void gd_engine_config_init(struct gd_engine_config *out_config)
{
	memset(out_config, 0, sizeof *out_config);
}

bool gd_engine_new(const struct gd_engine_config *config, struct gd_loop *loop, struct gd_engine **out_engine,
		   struct gd_error *error)
{
	(void)loop;
	if (config->backend == GD_BACKEND_CUDA)
		return gd_error_set(error, GD_BACKEND_UNAVAILABLE, NULL, "there is no GPU here");
	struct gd_engine *engine = calloc(1, sizeof *engine);
	if (!engine)
		return gd_error_errno(error, ENOMEM, "fake");
	*out_engine = engine;
	return true;
}

void gd_engine_free(struct gd_engine *engine)
{
	free(engine);
}

bool gd_lane_new(struct gd_engine *engine, uint32_t index, struct gd_loop *loop, struct gd_lane **out_lane,
		 struct gd_error *error)
{
	(void)engine;
	(void)index;
	struct gd_lane *lane = calloc(1, sizeof *lane);
	if (!lane)
		return gd_error_errno(error, ENOMEM, "fake");
	lane->loop = loop;
	*out_lane = lane;
	return true;
}

void gd_lane_free(struct gd_lane *lane)
{
	free(lane);
}

uint32_t gd_lane_inflight(const struct gd_lane *lane)
{
	(void)lane;
	return 0;
}

uint32_t gd_engine_devices(struct gd_engine *engine, struct gd_device_status out_devices[GD_DEVICES_MAX])
{
	(void)engine;
	(void)out_devices;
	return 0;
}

const char *gd_engine_backend(const struct gd_engine *engine)
{
	(void)engine;
	return "fake";
}

void gd_engine_toolchain(struct gd_engine *engine, struct gd_toolchain *out_toolchain)
{
	(void)engine;
	memset(out_toolchain, 0, sizeof *out_toolchain);
}

uint32_t gd_engine_children(struct gd_engine *engine, int32_t *out_pids, uint32_t max)
{
	(void)engine;
	(void)out_pids;
	(void)max;
	return 0;
}

int gd_worker_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 1;
}

int gd_compiler_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 1;
}
