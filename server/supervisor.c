#include "server/supervisor.h"

#include "gpu/base/clock.h"
#include "server/acceptor.h"
#include "server/files.h"
#include "server/log.h"
#include "server/orphans.h"
#include "server/processors.h"
#include "server/shard.h"
#include "server/signals.h"
#include "server/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	MANY_PROCESSORS = 8,
	SHARDS_MAX = 64,
	SHARDS_STANDARD_MAX = 16,
	DRAIN_LOOK_MS = 10,  /* how often it is looked whether all requests are done */
	DRAIN_QUIET_MS = 50, /* without any request before it counts as done: one may just be on its way in */
	WATCH_MS = 200,      /* how often devices are looked at for the log */
	DESCRIPTORS_KEPT = 256,  /* for everything but connections */
	ANSWER_SPARE_MS = 60000, /* a compile and a dispatch may both come before an answer, and then some */
};

enum stage { RUNNING, DRAINING, STOPPING, STOPPED };

struct supervisor {
	const struct gd_config *config;
	struct gd_limits limits;
	struct gd_server_facts facts;
	struct gd_listener listeners[GD_LISTENERS_MAX];
	size_t listener_count;
	char url[GD_URL_MAX]; /* of the first listener */
	bool port_file_written;

	struct gd_loop *loop;
	struct gd_signals *signals;
	struct gd_engine *engine;
	struct gd_api *api;
	struct gd_shard *shards[SHARDS_MAX];
	uint32_t shard_count, ended_count;
	struct gd_acceptor *acceptor;
	uint64_t connections_max;

	enum stage stage;
	uint64_t drain_end_ns, quiet_since_ns;
	struct gd_timer drain_timer, watch_timer;
	struct gd_watch watch;
	struct gd_orphans orphans;
};

static uint64_t number(const struct supervisor *self, enum gd_option_id id)
{
	return gd_config_number(self->config, id);
}

static const char *text_or_null(const struct supervisor *self, enum gd_option_id id)
{
	const char *text = gd_config_text(self->config, id);
	return *text ? text : NULL;
}

static void fill_limits(struct supervisor *self)
{
	uint64_t answer_ms =
	    number(self, GD_OPTION_MAX_TIMEOUT_MS) + number(self, GD_OPTION_COMPILE_TIMEOUT_MS);
	self->limits = (struct gd_limits){
	    .header_ns = number(self, GD_OPTION_HEADER_TIMEOUT_MS) * GD_NS_PER_MS,
	    .body_ns = number(self, GD_OPTION_BODY_TIMEOUT_MS) * GD_NS_PER_MS,
	    .min_rate = number(self, GD_OPTION_MIN_RATE),
	    .idle_ns = number(self, GD_OPTION_IDLE_TIMEOUT_MS) * GD_NS_PER_MS,
	    .answer_ns = (answer_ms + ANSWER_SPARE_MS) * GD_NS_PER_MS,
	    .log_access = number(self, GD_OPTION_LOG_ACCESS) || gd_log_wants(GD_LOG_DEBUG),
	};
}

/* Raise the soft limit of descriptors; accept no more connections than there can be. */
static void fit_connections(struct supervisor *self)
{
	struct rlimit files;
	self->connections_max = number(self, GD_OPTION_MAX_CONNECTIONS);
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	uint64_t room =
	    files.rlim_cur > 2 * DESCRIPTORS_KEPT ? files.rlim_cur - DESCRIPTORS_KEPT : files.rlim_cur / 2;
	if (self->connections_max > room) {
		gd_log(GD_LOG_WARN, "fewer connections than asked for: descriptors are limited",
		       gd_log_number("max_connections", room), gd_log_number("descriptors", files.rlim_cur));
		self->connections_max = room;
	}
}

static void harden(void)
{
	struct rlimit no_core = {0, 0};
	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static bool start_engine(struct supervisor *self, struct gd_error *error)
{
	struct gd_engine_config config;
	gd_engine_config_init(&config);
	/* one processor to spare pays for 20 us (measured on two); many for a whole round trip of a GPU */
	uint32_t processors = gd_processors();
	config.spin_us = processors >= MANY_PROCESSORS ? 60 : processors > 1 ? 20 : 0;
	config.backend = (enum gd_backend)number(self, GD_OPTION_BACKEND);
	config.nvrtc = text_or_null(self, GD_OPTION_NVRTC);
	config.lane_count = self->shard_count;
	config.compile_jobs = (uint32_t)number(self, GD_OPTION_COMPILE_JOBS);
	config.compile_timeout_ms = (uint32_t)number(self, GD_OPTION_COMPILE_TIMEOUT_MS);
	config.compile_memory_bytes = number(self, GD_OPTION_COMPILE_MEMORY_MB) << 20;
	config.slab_bytes = (size_t)number(self, GD_OPTION_SLAB_MB) << 20;
	config.queue_limit = (uint32_t)number(self, GD_OPTION_QUEUE_LIMIT);
	config.cache_bytes = (size_t)number(self, GD_OPTION_CACHE_MB) << 20;
	return gd_engine_new(&config, self->loop, &self->engine, error);
}

static bool start_api(struct supervisor *self, struct gd_error *error)
{
	struct gd_api_config config;
	gd_api_config_init(&config);
	config.body_bytes_max = number(self, GD_OPTION_MAX_BODY_MB) << 20;
	config.source_bytes_max = number(self, GD_OPTION_MAX_SOURCE_KB) << 10;
	config.json_bytes_max = number(self, GD_OPTION_MAX_JSON_KB) << 10;
	config.timeout_ms_default = (uint32_t)number(self, GD_OPTION_DEFAULT_TIMEOUT_MS);
	config.timeout_ms_max = (uint32_t)number(self, GD_OPTION_MAX_TIMEOUT_MS);
	config.alarm_threshold_bps = (uint32_t)number(self, GD_OPTION_ALARM_THRESHOLD_BPS);
	self->facts.started_unix_s = (uint64_t)time(NULL);
	return gd_api_new(&config, self->engine, &self->facts, &self->api, error);
}

static void on_shard_ended(struct gd_mail *mail);

static bool start_shards(struct supervisor *self, struct gd_error *error)
{
	for (uint32_t i = 0; i < self->shard_count; i++) {
		struct gd_shard **shard = &self->shards[i];
		if (!gd_shard_new(i, &self->limits, &self->facts, shard, error))
			return false;
		(*shard)->supervisor = self;
		if (!gd_lane_new(self->engine, i, (*shard)->loop, &(*shard)->lane, error) ||
		    !gd_api_lane_new(self->api, i, (*shard)->lane, (*shard)->loop, &(*shard)->api_lane,
				     error))
			return false;
	}
	for (uint32_t i = 0; i < self->shard_count; i++)
		if (!gd_shard_start(self->shards[i], self->loop, on_shard_ended, error))
			return false;
	return true;
}

static bool open_state_dir(struct supervisor *self, struct gd_error *error)
{
	const char *path = text_or_null(self, GD_OPTION_STATE_DIR);
	bool read_only = false;
	if (!path)
		return true;
	if (!gd_state_dir_open(path, &read_only, error))
		return false;
	if (read_only)
		gd_log(GD_LOG_WARN, "the state folder is on a read-only file system",
		       gd_log_text("path", path));
	return true;
}

static bool announce(struct supervisor *self, struct gd_error *error)
{
	const char *path = text_or_null(self, GD_OPTION_PORT_FILE);
	if (path && !gd_port_file_write(path, self->url, error))
		return false;
	self->port_file_written = path != NULL;
	for (size_t i = 0; i < self->listener_count; i++)
		printf("listening on %s\n", self->listeners[i].url);
	fflush(stdout);
	gd_log(GD_LOG_INFO, "started", gd_log_text("version", GD_VERSION), gd_log_text("url", self->url),
	       gd_log_text("backend", gd_engine_backend(self->engine)),
	       gd_log_number("shards", self->shard_count));
	return true;
}

/* ---- stopping ---- */

static void stop_shards(struct supervisor *self)
{
	if (self->stage == STOPPING)
		return;
	self->stage = STOPPING;
	for (uint32_t i = 0; i < self->shard_count; i++)
		gd_shard_stop(self->shards[i]);
}

static void on_shard_ended(struct gd_mail *mail)
{
	struct gd_shard *shard = gd_container(mail, struct gd_shard, ended);
	struct supervisor *self = shard->supervisor;
	pthread_join(shard->thread, NULL);
	shard->started = false;
	if (++self->ended_count == self->shard_count)
		self->stage = STOPPED;
}

static uint32_t requests_under_way(const struct supervisor *self)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < self->shard_count; i++)
		count += atomic_load(&self->shards[i]->requests);
	return count;
}

static void look_at_drain(struct gd_timer *timer)
{
	struct supervisor *self = gd_container(timer, struct supervisor, drain_timer);
	uint64_t now = gd_now_ns();
	uint32_t left = requests_under_way(self);
	if (left)
		self->quiet_since_ns = now;
	bool is_quiet = now - self->quiet_since_ns >= DRAIN_QUIET_MS * GD_NS_PER_MS;
	if (!is_quiet && now >= self->drain_end_ns)
		gd_log(GD_LOG_WARN, "requests are cut off: --drain-timeout-ms is over",
		       gd_log_number("requests", left));
	if (is_quiet || now >= self->drain_end_ns ||
	    !gd_loop_arm(self->loop, timer, now + DRAIN_LOOK_MS * GD_NS_PER_MS))
		stop_shards(self);
}

static void on_stop_signal(struct supervisor *self, const char *name)
{
	if (self->stage != RUNNING) {
		gd_log(GD_LOG_WARN, "second signal: ending at once", gd_log_text("signal", name));
		stop_shards(self);
		return;
	}
	self->stage = DRAINING;
	gd_log(GD_LOG_INFO, "draining", gd_log_text("signal", name),
	       gd_log_number("requests", requests_under_way(self)));
	atomic_store(&self->facts.draining, true);
	gd_acceptor_stop(self->acceptor);
	uint64_t now = gd_now_ns();
	self->quiet_since_ns = now;
	self->drain_end_ns = now + number(self, GD_OPTION_DRAIN_TIMEOUT_MS) * GD_NS_PER_MS;
	look_at_drain(&self->drain_timer);
}

static void on_signal(void *context, int signal)
{
	struct supervisor *self = context;
	if (signal == SIGCHLD)
		gd_orphans_look(&self->orphans, self->engine);
	else if (signal == SIGHUP)
		gd_log(GD_LOG_INFO, "SIGHUP is ignored: settings are read at start only");
	else
		on_stop_signal(self, signal == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void look_at_devices(struct gd_timer *timer)
{
	struct supervisor *self = gd_container(timer, struct supervisor, watch_timer);
	gd_watch_look(&self->watch, self->engine);
	if (self->orphans.pending)
		gd_orphans_look(&self->orphans, self->engine);
	gd_loop_arm(self->loop, timer, gd_now_ns() + WATCH_MS * GD_NS_PER_MS);
}

/* In any state that start() may have left behind. */
static void take_down(struct supervisor *self)
{
	if (self->acceptor)
		gd_acceptor_stop(self->acceptor);
	for (uint32_t i = 0; i < self->shard_count; i++)
		if (self->shards[i] && self->shards[i]->started) {
			gd_shard_stop(self->shards[i]);
			pthread_join(self->shards[i]->thread, NULL);
		}
	for (uint32_t i = 0; i < self->shard_count; i++)
		if (self->shards[i]) {
			/* in this order: after it the engine calls back no more, and the API frees what it
			 * kept */
			gd_lane_free(self->shards[i]->lane);
			gd_api_lane_free(self->shards[i]->api_lane);
		}
	gd_api_free(self->api);
	if (self->engine)
		gd_engine_free(self->engine);
	for (uint32_t i = 0; i < self->shard_count; i++)
		gd_shard_free(self->shards[i]);
	gd_acceptor_free(self->acceptor);
	gd_listeners_close(self->listeners, self->listener_count);
	gd_signals_free(self->signals);
	gd_loop_free(self->loop);
	if (self->port_file_written)
		gd_port_file_remove(gd_config_text(self->config, GD_OPTION_PORT_FILE), self->url);
}

static bool start(struct supervisor *self, struct gd_error *error)
{
	fill_limits(self);
	fit_connections(self);
	if (!gd_listen(gd_config_text(self->config, GD_OPTION_LISTEN), number(self, GD_OPTION_INSECURE),
		       self->listeners, &self->listener_count, error))
		return false;
	memcpy(self->url, self->listeners[0].url, sizeof self->url);
	self->shard_count = (uint32_t)number(self, GD_OPTION_SHARDS);
	if (!self->shard_count)
		self->shard_count = gd_processors();
	if (!number(self, GD_OPTION_SHARDS) && self->shard_count > SHARDS_STANDARD_MAX)
		self->shard_count = SHARDS_STANDARD_MAX;
	struct gd_listener given[GD_LISTENERS_MAX];
	memcpy(given, self->listeners, sizeof given);
	if (!open_state_dir(self, error) || !gd_loop_new(&self->loop, error) ||
	    !gd_signals_new(self->loop, on_signal, self, &self->signals, error) ||
	    !start_engine(self, error) || !start_api(self, error) || !start_shards(self, error))
		return false;
	size_t count = self->listener_count;
	for (size_t i = 0; i < count; i++)
		self->listeners[i].fd = -1; /* the acceptor's now */
	if (!gd_acceptor_new(given, count, self->shards, self->shard_count, self->connections_max,
			     &self->facts, &self->acceptor, error) ||
	    !gd_acceptor_start(self->acceptor, error))
		return false;
	self->drain_timer.fn = look_at_drain;
	self->watch_timer.fn = look_at_devices;
	gd_loop_arm(self->loop, &self->watch_timer, gd_now_ns());
	return announce(self, error);
}

int gd_supervise(const struct gd_config *config)
{
	struct gd_error error;
	struct supervisor *self = calloc(1, sizeof *self);
	if (!self) {
		fputs("gpudispatchd: no memory\n", stderr);
		return 1;
	}
	self->config = config;
	harden();
	gd_signals_block();
	bool ok = start(self, &error);
	while (ok && self->stage != STOPPED)
		gd_loop_run(self->loop, 1000);
	take_down(self);
	free(self);
	if (ok) {
		gd_log(GD_LOG_INFO, "stopped");
		return 0;
	}
	fprintf(stderr, "gpudispatchd: %s\n", error.text);
	return error.code == GD_INVALID_REQUEST ? 2 : 1;
}
