#include "tests/unit/gpu/dispatch/rig_front.h"

#include "gpu/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct rig rig;
struct gd_kernel *kernel;
unsigned fds_before;

struct gd_station *station(void)
{
	return &rig.engine->stations[0];
}

void wait_for(bool (*there)(void), const char *what)
{
	uint64_t end = gd_now_ns() + RIG_WAIT_MS * GD_NS_PER_MS;
	while (!there()) {
		rig_step(&rig);
		if (gd_now_ns() > end)
			fail_msg("waited in vain: %s", what);
	}
}

uint64_t generation_before;

static bool is_next_generation(void)
{
	return station()->generation > generation_before;
}

bool was_lost(void)
{
	return !station()->link || station()->generation > generation_before;
}

bool is_up(void)
{
	return station()->link && station()->link->ready && rig.lane->views[0] &&
	       rig.lane->views[0]->link == station()->link;
}

void replace_by(enum evil evil)
{
	evil_choose(evil);
	generation_before = station()->generation;
	if (station()->link)
		gd_child_kill(&station()->link->child);
	wait_for(is_next_generation, "another worker");
}

void honest_round(size_t bytes, uint8_t seed)
{
	struct outcome outcome;
	if (!rig_round(&rig, kernel, bytes, seed, 10000, &outcome))
		fail_msg("an honest round failed: %s", outcome.error.text);
}

int set_up(void **state)
{
	(void)state;
	evil_choose(EVIL_NOT);
	rig_begin(&rig, LIMIT_MS);
	rig_until_state(&rig, GD_DEVICE_READY);
	kernel = rig_kernel(&rig, RIG_TWO_BUFFERS, 2, 16);
	honest_round(100, 1);
	fds_before = rig_open_fds();
	return 0;
}

int tear_down(void **state)
{
	(void)state;
	replace_by(EVIL_NOT);
	rig_until_state(&rig, GD_DEVICE_READY);
	honest_round(5000, 2);
	honest_round(3u << 20, 3);
	gd_kernel_unref(kernel);
	/* the chunk of the large round is kept; it may have one descriptor */
	unsigned fds = rig_open_fds();
	if (fds > fds_before + 1)
		fail_msg("%u descriptors were open, and now %u", fds_before, fds);
	rig_end(&rig);
	return 0;
}

int front_roles(int argc, char **argv)
{
	bool was_role;
	enum evil evil = strcmp(argv[0], "gd-worker") ? EVIL_NOT : evil_chosen(argc, argv);
	if (evil)
		return evil_main(evil, argc, argv);
	int status = rig_roles(argc, argv, &was_role);
	return was_role ? status : -1;
}
