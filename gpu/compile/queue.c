#include "gpu/compile/queue.h"

void gd_job_queue_append(struct gd_job_queue *queue, struct gd_compile_job *job)
{
	job->state = GD_JOB_WAITING;
	job->next = NULL;
	if (queue->last)
		queue->last->next = job;
	else
		queue->first = job;
	queue->last = job;
	queue->count++;
}

void gd_job_queue_prepend(struct gd_job_queue *queue, struct gd_compile_job *job)
{
	job->state = GD_JOB_WAITING;
	job->next = queue->first;
	queue->first = job;
	if (!queue->last)
		queue->last = job;
	queue->count++;
}

struct gd_compile_job *gd_job_queue_take(struct gd_job_queue *queue)
{
	struct gd_compile_job *job = queue->first;
	if (job)
		gd_job_queue_remove(queue, job);
	return job;
}

void gd_job_queue_remove(struct gd_job_queue *queue, struct gd_compile_job *job)
{
	struct gd_compile_job *before = NULL;
	for (struct gd_compile_job *at = queue->first; at != job; at = at->next)
		before = at;
	if (before)
		before->next = job->next;
	else
		queue->first = job->next;
	if (queue->last == job)
		queue->last = before;
	job->next = NULL;
	queue->count--;
}
