/* The worker process's inside: what its control thread and its pumps share. */
#ifndef GD_WORKER_PROCESS_H
#define GD_WORKER_PROCESS_H

#include "gpu/worker/protocol.h"

#include <pthread.h>

/* Exit statuses that the front tells apart. */
enum { GD_WORKER_EXIT_OK = 0, GD_WORKER_EXIT_START = 3, GD_WORKER_EXIT_FAULT = 4 };

struct gd_process {
	const struct gd_device_ops *ops;
	struct gd_device *device;
	int socket;
	struct gd_control *control;
	uint32_t lane_count, pump_count;
	const uint8_t *in;
	uint8_t *out;
	uint64_t in_bytes, out_bytes;
	int events[GD_LANES_MAX];
	_Atomic(struct gd_module *) modules[GD_MODULES_MAX];
	_Atomic(struct gd_chunk *) chunks[GD_CHUNKS_MAX];
	pthread_mutex_t take_locks[GD_LANES_MAX]; /* one pump at a time takes from a lane; only ever tried */
	pthread_mutex_t give_locks[GD_LANES_MAX]; /* one pump at a time completes to a lane */
	pthread_mutex_t lost_lock;                /* held for ever by the pump that found the device lost */
	struct gd_message failure;        /* the last words; under lost_lock or before there are pumps */
	struct gd_message request, reply; /* the control thread's */
	_Atomic uint32_t running;         /* operations started and not ended, in all pumps */
};

/* Tell the front about a failure that ends the process, then end it. Any thread. Does not return. */
_Noreturn void gd_process_fail(struct gd_process *process, const struct gd_error *error, int status);

/* Body of a pump thread; `argument` is the process. Never returns. */
void *gd_pump_main(void *argument);

#endif
