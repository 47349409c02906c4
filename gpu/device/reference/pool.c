#include "gpu/device/reference/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct helper {
	struct gd_pool *pool;
	pthread_t thread;
	struct gd_vm vm;
	uint64_t seen; /* the last job it looked at */
};

struct gd_pool {
	pthread_mutex_t lock;
	pthread_cond_t wake, idle;
	struct gd_vm_launch *launch; /* what the helpers may join; NULL: nothing */
	uint64_t job;
	uint32_t count, working;
	bool is_taken, is_stopping;
	struct helper helpers[];
};

static void *helper_main(void *argument)
{
	struct helper *helper = argument;
	struct gd_pool *pool = helper->pool;
	struct gd_error ignored;
	pthread_mutex_lock(&pool->lock);
	while (!pool->is_stopping) {
		if (!pool->launch || helper->seen == pool->job) {
			pthread_cond_wait(&pool->wake, &pool->lock);
			continue;
		}
		struct gd_vm_launch *launch = pool->launch;
		helper->seen = pool->job;
		pool->working++;
		pthread_mutex_unlock(&pool->lock);
		/* A helper without memory leaves the work to the others. */
		if (gd_vm_prepare(&helper->vm, launch, &ignored))
			gd_vm_run(&helper->vm, 0);
		pthread_mutex_lock(&pool->lock);
		if (!--pool->working)
			pthread_cond_signal(&pool->idle);
	}
	pthread_mutex_unlock(&pool->lock);
	gd_vm_done(&helper->vm);
	return NULL;
}

struct gd_pool *gd_pool_new(uint32_t helpers)
{
	sigset_t all, before;
	if (helpers > GD_POOL_MAX)
		helpers = GD_POOL_MAX;
	size_t bytes = sizeof(struct gd_pool) + helpers * sizeof(struct helper);
	struct gd_pool *pool = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
	if (!pool)
		return NULL;
	*pool = (struct gd_pool){0};
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pthread_cond_init(&pool->idle, NULL);
	/* Signals are for the threads that expect them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (uint32_t i = 0; i < helpers; i++) {
		struct helper *helper = &pool->helpers[pool->count];
		*helper = (struct helper){.pool = pool};
		if (pthread_create(&helper->thread, NULL, helper_main, helper))
			break;
		pool->count++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pool;
}

void gd_pool_free(struct gd_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->is_stopping = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (uint32_t i = 0; i < pool->count; i++)
		pthread_join(pool->helpers[i].thread, NULL);
	pthread_cond_destroy(&pool->idle);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

bool gd_pool_start(struct gd_pool *pool, struct gd_vm_launch *launch)
{
	if (!pool || !pool->count)
		return false;
	pthread_mutex_lock(&pool->lock);
	bool is_ours = !pool->is_taken;
	if (is_ours) {
		pool->is_taken = true;
		pool->launch = launch;
		pool->job++;
		pthread_cond_broadcast(&pool->wake);
	}
	pthread_mutex_unlock(&pool->lock);
	return is_ours;
}

void gd_pool_finish(struct gd_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	/* Who has not woken yet must not begin any more. */
	pool->launch = NULL;
	while (pool->working)
		pthread_cond_wait(&pool->idle, &pool->lock);
	pool->is_taken = false;
	pthread_mutex_unlock(&pool->lock);
}
