/*
 * Jobs that wait for the fork server, oldest first; linked through the jobs themselves, so that waiting
 * cannot fail. The supervisor's thread; owns nothing.
 */
#ifndef GD_COMPILE_QUEUE_H
#define GD_COMPILE_QUEUE_H

#include "gpu/compile/compiler.h"

/* Values of gd_compile_job's state. */
enum gd_job_state { GD_JOB_NONE, GD_JOB_WAITING, GD_JOB_RUNNING };

struct gd_job_queue {
	struct gd_compile_job *first, *last;
	uint32_t count;
};

/* Both set the job's state to WAITING. */
void gd_job_queue_append(struct gd_job_queue *queue, struct gd_compile_job *job);
void gd_job_queue_prepend(struct gd_job_queue *queue, struct gd_compile_job *job);
/* The oldest job, NULL when none waits. */
struct gd_compile_job *gd_job_queue_take(struct gd_job_queue *queue);
/* Take out a job that is in it. */
void gd_job_queue_remove(struct gd_job_queue *queue, struct gd_compile_job *job);

#endif
