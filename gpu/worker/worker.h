/*
 * The worker process: one device, its context, its modules, its streams. Started by the front, ends with it,
 * holds no state that matters: everything that must outlive it is a descriptor in the front.
 *
 * Threads: the main thread reads control messages (loading, chunks); up to GD_PUMPS_MAX pumps take cells from
 * the rings of all lanes, run them on streams of their own and push completions.
 */
#ifndef GD_WORKER_WORKER_H
#define GD_WORKER_WORKER_H

/*
 * Role "gd-worker": argv = {role, parent pid, device kind, ordinal or "probe", lanes}. With "probe" it only
 * counts the devices, tells the front and ends. Returns the process's exit status.
 */
int gd_worker_main(int argc, char **argv);

#endif
