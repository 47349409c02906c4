/* The dispatches of the fake engine; included behind fake_engine.c. */
struct fake_buffer {
	uint32_t param;
	uint64_t bytes, written, window;
	enum gd_access access;
	enum gd_init init;
	uint8_t *data;
	bool is_dry; /* the next read says 0 first */
};

struct gd_dispatch {
	struct gd_engine *engine;
	struct gd_kernel *kernel;
	void *owner;
	void (*done)(struct gd_dispatch *dispatch);
	void (*writable)(struct gd_dispatch *dispatch);
	void (*readable)(struct gd_dispatch *dispatch);
	uint8_t params[4096];
	struct fake_buffer buffers[FAKE_BUFFERS];
	uint32_t count;
	struct gd_timer timer; /* mail that can be taken back */
	void (*next)(struct gd_dispatch *dispatch);
	bool is_done;
};

static void on_timer(struct gd_timer *timer)
{
	struct gd_dispatch *dispatch = gd_container(timer, struct gd_dispatch, timer);
	dispatch->next(dispatch);
}

static void soon(struct gd_dispatch *dispatch, void (*next)(struct gd_dispatch *dispatch))
{
	dispatch->next = next;
	dispatch->timer.fn = on_timer;
	gd_loop_arm(dispatch->engine->loop, &dispatch->timer, gd_now_ns());
}

bool gd_dispatch_new(struct gd_lane *lane, struct gd_kernel *kernel, struct gd_dispatch **out_dispatch,
		     struct gd_error *error)
{
	if (lane->engine->new_error.code != GD_OK) {
		*error = lane->engine->new_error;
		return false;
	}
	struct gd_dispatch *dispatch = calloc(1, sizeof *dispatch);
	if (!dispatch)
		return gd_error_set(error, GD_OVERLOADED, NULL, "out of memory");
	dispatch->engine = lane->engine;
	dispatch->kernel = gd_kernel_ref(kernel);
	lane->engine->dispatches_alive++;
	*out_dispatch = dispatch;
	return true;
}

void gd_dispatch_free(struct gd_dispatch *dispatch)
{
	if (!dispatch)
		return;
	gd_loop_disarm(dispatch->engine->loop, &dispatch->timer);
	for (uint32_t i = 0; i < dispatch->count; i++)
		free(dispatch->buffers[i].data);
	dispatch->engine->dispatches_alive--;
	gd_kernel_unref(dispatch->kernel);
	free(dispatch);
}

uint8_t *gd_dispatch_params(struct gd_dispatch *dispatch)
{
	return dispatch->params;
}

int gd_dispatch_add(struct gd_dispatch *dispatch, uint32_t param, uint64_t bytes, enum gd_access access,
		    enum gd_init init, struct gd_error *error)
{
	if (bytes > 1u << 28 || dispatch->count == FAKE_BUFFERS) {
		gd_error_set(error, GD_TOO_LARGE, NULL, "the fake engine has no room for that");
		return -1;
	}
	struct fake_buffer *buffer = &dispatch->buffers[dispatch->count];
	*buffer = (struct fake_buffer){.param = param, .bytes = bytes, .access = access, .init = init};
	buffer->data = calloc(1, bytes + 1);
	if (!buffer->data) {
		gd_error_set(error, GD_OVERLOADED, NULL, "out of memory");
		return -1;
	}
	return (int)dispatch->count++;
}

static void wake_writable(struct gd_dispatch *dispatch)
{
	for (uint32_t i = 0; i < dispatch->count; i++)
		dispatch->buffers[i].window = 0;
	dispatch->writable(dispatch);
}

enum gd_plan gd_dispatch_plan(struct gd_dispatch *dispatch, struct gd_error *error)
{
	(void)error;
	struct gd_engine *engine = dispatch->engine;
	if (!engine->plan_waits)
		return GD_PLAN_READY;
	if (engine->plan_waits != UINT32_MAX)
		engine->plan_waits--;
	if (engine->plan_wakes)
		soon(dispatch, wake_writable);
	return GD_PLAN_WAIT;
}

size_t gd_dispatch_write(struct gd_dispatch *dispatch, uint32_t index, uint64_t offset, const void *data,
			 size_t bytes)
{
	struct fake_buffer *buffer = &dispatch->buffers[index];
	struct gd_engine *engine = dispatch->engine;
	engine->writes++;
	if (offset != buffer->written || offset > buffer->bytes || bytes > buffer->bytes - offset)
		abort(); /* the API broke the engine's rules */
	size_t room =
	    engine->window_bytes > buffer->window ? engine->window_bytes - (size_t)buffer->window : 0;
	size_t taken = bytes < room ? bytes : room;
	memcpy(buffer->data + offset, data, taken);
	buffer->written += taken;
	buffer->window += taken;
	if (taken < bytes)
		soon(dispatch, wake_writable);
	return taken;
}

void *gd_dispatch_input(struct gd_dispatch *dispatch, uint32_t index)
{
	return dispatch->engine->window_bytes ? NULL : dispatch->buffers[index].data;
}

/* Output slots as the contract's counters define them. */
static void count_slot(struct gd_engine *engine, const struct fake_buffer *buffer)
{
	uint64_t *retained = &engine->retained[buffer->param % FAKE_BUFFERS];
	engine->counters[GD_COUNT_OUTPUT_BYTES] += buffer->bytes;
	engine->counters[GD_COUNT_OUTPUT_SLOTS]++;
	engine->counters[*retained >= buffer->bytes ? GD_COUNT_OUTPUT_SLOTS_REUSED
			 : *retained                ? GD_COUNT_OUTPUT_SLOTS_MOVED
						    : GD_COUNT_OUTPUT_SLOTS_APPENDED]++;
	if (*retained < buffer->bytes)
		*retained = buffer->bytes;
}

static void run(struct gd_dispatch *dispatch)
{
	struct gd_engine *engine = dispatch->engine;
	const struct fake_buffer *from = NULL;
	dispatch->is_done = true;
	for (uint32_t i = 0; i < dispatch->count && !from; i++)
		if (dispatch->buffers[i].access == GD_ACCESS_READ)
			from = &dispatch->buffers[i];
	for (uint32_t i = 0; i < dispatch->count; i++) {
		struct fake_buffer *buffer = &dispatch->buffers[i];
		engine->input_bytes[i] = buffer->init == GD_INIT_DATA ? buffer->bytes : 0;
		engine->counters[GD_COUNT_INPUT_BYTES] += engine->input_bytes[i];
		if (!(buffer->access & GD_ACCESS_WRITE))
			continue;
		if (from)
			memcpy(buffer->data, from->data,
			       from->bytes < buffer->bytes ? from->bytes : buffer->bytes);
		count_slot(engine, buffer);
		engine->last_output = buffer->data;
	}
	engine->counters[GD_COUNT_LAUNCHES]++;
	engine->counters[GD_COUNT_DISPATCH_OK]++;
	dispatch->done(dispatch);
}

void gd_dispatch_start(struct gd_dispatch *dispatch, const struct gd_dispatch_options *options)
{
	dispatch->engine->options = *options;
	memcpy(dispatch->engine->params, dispatch->params, sizeof dispatch->params);
	if (dispatch->engine->is_late)
		soon(dispatch, run);
	else
		run(dispatch);
}

void gd_dispatch_notify(struct gd_dispatch *dispatch, void *owner, void (*done)(struct gd_dispatch *dispatch),
			void (*writable)(struct gd_dispatch *dispatch),
			void (*readable)(struct gd_dispatch *dispatch))
{
	dispatch->owner = owner;
	dispatch->done = done;
	dispatch->writable = writable;
	dispatch->readable = readable;
}

void *gd_dispatch_owner(const struct gd_dispatch *dispatch)
{
	return dispatch->owner;
}

bool gd_dispatch_result(const struct gd_dispatch *dispatch, struct gd_dispatch_timing *out_timing,
			struct gd_error *error)
{
	if (dispatch->engine->dispatch_error.code != GD_OK) {
		*error = dispatch->engine->dispatch_error;
		return false;
	}
	*out_timing = (struct gd_dispatch_timing){
	    .queue_ns = 1, .h2d_ns = 2, .kernel_ns = 3, .d2h_ns = 4, .total_ns = 10};
	return true;
}

const void *gd_dispatch_output(struct gd_dispatch *dispatch, uint32_t index)
{
	return dispatch->engine->window_bytes ? NULL : dispatch->buffers[index].data;
}

int64_t gd_dispatch_read(struct gd_dispatch *dispatch, uint32_t index, uint64_t offset, void *data,
			 size_t bytes)
{
	struct fake_buffer *buffer = &dispatch->buffers[index];
	dispatch->engine->reads++;
	buffer->is_dry = !buffer->is_dry;
	if (buffer->is_dry) {
		soon(dispatch, dispatch->readable);
		return 0;
	}
	size_t part = bytes < dispatch->engine->window_bytes ? bytes : dispatch->engine->window_bytes;
	if (offset > buffer->bytes || part > buffer->bytes - offset)
		abort();
	memcpy(data, buffer->data + offset, part);
	return (int64_t)part;
}
