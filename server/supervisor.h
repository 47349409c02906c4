/*
 * The supervisor: the main thread of the front. Starts everything in order, runs the loop that the engine's
 * children and compile jobs live on, and takes everything down again.
 *
 * Start: signals blocked, limits raised, listeners bound (a port in use is told before any child starts),
 * state folder, loop, engine (children start in the background), API, shards and their lanes, shard threads,
 * acceptor, port file, "listening on …". Stop, on SIGTERM or SIGINT: draining is told (readyz 503, answers
 * close their connections), acceptor and listeners closed, requests under way go on until --drain-timeout-ms
 * or a second signal, then connections are ended, shard threads end, lanes, API, engine (its children end and
 * are reaped), loop, port file.
 */
#ifndef GD_SERVER_SUPERVISOR_H
#define GD_SERVER_SUPERVISOR_H

#include "server/config.h"

/* Serve until told to stop. Returns the exit status: 0, 1 could not run (told on stderr), 2 wrong settings.
 */
int gd_supervise(const struct gd_config *config);

#endif
