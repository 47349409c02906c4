/*
 * The front's side of tests with evil workers: an engine whose workers are chosen by kind, and what must be
 * as before when an honest one follows.
 */
#ifndef GD_TEST_RIG_FRONT_H
#define GD_TEST_RIG_FRONT_H

#include "tests/unit/gpu/dispatch/rig_evil.h"
#include "tests/unit/gpu/dispatch/rig_more.h"

enum { LIMIT_MS = 700, TRY_MS = 250 };

extern struct rig rig;
extern struct gd_kernel *kernel; /* of RIG_TWO_BUFFERS */
extern unsigned fds_before;
extern uint64_t generation_before;

struct gd_station *station(void);
/* Run both loops until it is so, failing the test after RIG_WAIT_MS. */
void wait_for(bool (*there)(void), const char *what);
/* Is the worker of generation_before gone? */
bool was_lost(void);
/* Is there a worker that is ready, and does the lane know? */
bool is_up(void);
/* Replace the worker of now by one of this kind. */
void replace_by(enum evil evil);
/* A round trip that has to succeed. */
void honest_round(size_t bytes, uint8_t seed);

int set_up(void **state);
/* Whatever it was, an honest worker follows, and all is as it was before. */
int tear_down(void **state);

/* main() of these tests: the roles, or -1 when the tests are to be run. */
int front_roles(int argc, char **argv);

#endif
