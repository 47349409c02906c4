/*
 * The answer to a dispatch: JSON with base64, or raw bytes, framed when there are several outputs.
 *
 * Outputs that lie in memory are sent from where they are (raw) or encoded at once (small JSON); the rest is
 * pulled as it is sent, so that a large answer never stands in the front's memory as a whole.
 */
#include "api/dispatching.h"

#include "api/base64.h"
#include "api/json_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ENCODE_AT_ONCE_MAX = 1 << 20, /* bytes of outputs */
	ANSWER_TEXT_MAX = 4 << 20
};

static const void *output_memory(const struct gd_dispatching *work, uint32_t arg)
{
	if (!work->call.args[arg].bytes)
		return "";
	return gd_dispatch_output(work->dispatch, work->call.args[arg].buffer);
}

void gd_dispatching_readable(struct gd_dispatch *dispatch)
{
	struct gd_dispatching *work = gd_dispatch_owner(dispatch);
	struct gd_exchange *exchange = work->exchange;
	if (!exchange->entered && exchange->head.wake)
		exchange->head.wake(exchange->head.owner);
}

/* Up to `bytes` of an output; 0: not here yet, -1: lost. */
static int64_t read_output(struct gd_dispatching *work, uint32_t arg, uint64_t offset, void *data,
			   size_t bytes)
{
	const uint8_t *memory = output_memory(work, arg);
	if (!memory)
		return gd_dispatch_read(work->dispatch, work->call.args[arg].buffer, offset, data, bytes);
	memcpy(data, memory + offset, bytes);
	return (int64_t)bytes;
}

/* Encoded text of an output from `offset` on. */
static int64_t read_base64(struct gd_dispatching *work, const struct gd_segment *segment, uint64_t offset,
			   char *out, size_t bytes)
{
	struct gd_stage *stage = work->stage;
	uint64_t total = work->call.args[segment->arg].bytes;
	if (!offset) {
		stage->encoded_at = 0;
		stage->raw_bytes = stage->text_bytes = 0;
	}
	if (offset == stage->encoded_at + stage->text_bytes && (offset || !stage->text_bytes)) {
		uint64_t raw_at = offset / 4 * 3;
		size_t want = total - raw_at < GD_STAGE_BYTES ? (size_t)(total - raw_at) : GD_STAGE_BYTES;
		/* what is begun stays in raw until it is whole: text_bytes 0 marks that */
		if (stage->text_bytes) {
			stage->encoded_at = offset;
			stage->raw_bytes = stage->text_bytes = 0;
		}
		while (stage->raw_bytes < want) {
			int64_t got = read_output(work, segment->arg, raw_at + stage->raw_bytes,
						  stage->raw + stage->raw_bytes, want - stage->raw_bytes);
			if (got <= 0)
				return got;
			stage->raw_bytes += (size_t)got;
		}
		stage->text_bytes = gd_base64_encode(stage->raw, want, stage->text);
	}
	size_t skip = (size_t)(offset - stage->encoded_at), left = stage->text_bytes - skip;
	size_t part = bytes < left ? bytes : left;
	memcpy(out, stage->text + skip, part);
	return (int64_t)part;
}

static int64_t pull(struct gd_exchange *exchange, uint64_t offset, void *data, size_t bytes)
{
	struct gd_dispatching *work = exchange->work;
	size_t done = 0;
	while (done < bytes && work->segment < work->segment_count) {
		const struct gd_segment *segment = &work->segments[work->segment];
		uint64_t inside = offset + done - segment->start;
		if (inside == segment->bytes) {
			work->segment++;
			continue;
		}
		uint64_t left = segment->bytes - inside;
		size_t part = bytes - done < left ? bytes - done : (size_t)left;
		char *out = (char *)data + done;
		int64_t got = (int64_t)part;
		if (segment->kind == GD_SEGMENT_TEXT)
			memcpy(out, exchange->text.data + segment->text_at + inside, part);
		else if (segment->kind == GD_SEGMENT_RAW)
			got = read_output(work, segment->arg, inside, out, part);
		else
			got = read_base64(work, segment, inside, out, part);
		if (got < 0)
			return -1;
		done += (size_t)got;
		if (!got)
			break;
	}
	return (int64_t)done;
}

/* `"data":"…"` encoded at once. */
static void put_encoded(struct gd_dispatching *work, uint32_t arg)
{
	struct gd_buf *text = &work->exchange->text;
	size_t bytes = (size_t)work->call.args[arg].bytes;
	char *room = gd_buf_reserve(text, (size_t)gd_base64_length(bytes));
	if (room)
		text->len += gd_base64_encode(output_memory(work, arg), bytes, room);
}

static struct gd_segment *add_segment(struct gd_dispatching *work, uint64_t bytes)
{
	struct gd_segment *segment = &work->segments[work->segment_count];
	*segment = (struct gd_segment){.bytes = bytes};
	if (work->segment_count)
		segment->start = segment[-1].start + segment[-1].bytes;
	work->segment_count++;
	return segment;
}

/* The text written since `from` becomes a segment. */
static void add_text_segment(struct gd_dispatching *work, size_t from)
{
	struct gd_segment *segment = add_segment(work, work->exchange->text.len - from);
	segment->kind = GD_SEGMENT_TEXT;
	segment->text_at = from;
}

enum data_form { DATA_ENCODED, DATA_PULLED, DATA_FRAMED };

static void write_json(struct gd_dispatching *work, const struct gd_dispatch_timing *timing,
		       enum data_form form)
{
	const struct gd_call *call = &work->call;
	struct gd_buf *text = &work->exchange->text;
	size_t from = text->len;
	bool is_first = true;
	gd_buf_printf(text, "{\"id\":\"%s\",\"outputs\":[", work->pipeline->id);
	for (uint32_t i = 0; i < call->count; i++) {
		if (!call->args[i].is_output)
			continue;
		const char *name = call->signature->params[i].name;
		gd_buf_printf(text, "%s{\"index\":%u,\"name\":", is_first ? "" : ",", i);
		gd_json_string(text, name && *name ? name : NULL);
		gd_buf_printf(text, ",\"bytes\":%" PRIu64 ",", call->args[i].bytes);
		if (form == DATA_FRAMED) {
			gd_buf_printf(text, "\"binary_data_size\":%" PRIu64 "}", call->args[i].bytes);
		} else {
			gd_buf_puts(text, "\"data\":\"");
			if (form == DATA_ENCODED) {
				put_encoded(work, i);
			} else {
				add_text_segment(work, from);
				struct gd_segment *segment =
				    add_segment(work, gd_base64_length(call->args[i].bytes));
				segment->kind = GD_SEGMENT_BASE64;
				segment->arg = i;
				from = text->len;
			}
			gd_buf_puts(text, "\"}");
		}
		is_first = false;
	}
	gd_buf_puts(text, "],\"grid\":");
	gd_json_dims(text, call->grid);
	gd_buf_puts(text, ",\"workgroup_size\":");
	gd_json_dims(text, call->block);
	if (gd_config_has(&call->config, GD_CONFIG_PROFILE)) {
		gd_buf_puts(text, ",\"profile\":");
		gd_json_string(text, call->config.profile);
	}
	gd_buf_printf(text,
		      ",\"timing\":{\"queue_ns\":%" PRIu64 ",\"compile_ns\":0,\"h2d_ns\":%" PRIu64
		      ",\"kernel_ns\":%" PRIu64 ",\"d2h_ns\":%" PRIu64 ",\"total_ns\":%" PRIu64 "}}",
		      timing->queue_ns, timing->h2d_ns, timing->kernel_ns, timing->d2h_ns, timing->total_ns);
	if (form == DATA_PULLED)
		add_text_segment(work, from);
}

static bool all_in_memory(const struct gd_dispatching *work)
{
	for (uint32_t i = 0; i < work->call.count; i++)
		if (work->call.args[i].is_output && !output_memory(work, i))
			return false;
	return true;
}

static void answer_pulled(struct gd_dispatching *work, const char *type)
{
	struct gd_exchange *exchange = work->exchange;
	struct gd_response *response = &exchange->response;
	const struct gd_segment *last = &work->segments[work->segment_count - 1];
	response->status = 200;
	gd_exchange_add_header(exchange, "Content-Type", type);
	response->pull = pull;
	response->pull_bytes = last->start + last->bytes;
	gd_exchange_set(exchange, GD_EXCHANGE_DONE);
}

static bool make_segments(struct gd_dispatching *work, bool is_json)
{
	work->segments = calloc(2u * work->call.output_count + 2, sizeof *work->segments);
	if (is_json)
		work->stage = calloc(1, sizeof *work->stage);
	return work->segments && (!is_json || work->stage);
}

static void refuse_memory(struct gd_dispatching *work)
{
	struct gd_error error;
	gd_error_set(&error, GD_OVERLOADED, NULL, "no memory for the answer");
	gd_dispatching_fail(work, &error);
}

static void answer_json(struct gd_dispatching *work, const struct gd_dispatch_timing *timing)
{
	struct gd_exchange *exchange = work->exchange;
	if (work->call.output_bytes <= ENCODE_AT_ONCE_MAX && all_in_memory(work)) {
		write_json(work, timing, DATA_ENCODED);
		gd_exchange_answer(exchange, 200, "application/json");
		return;
	}
	if (!make_segments(work, true)) {
		refuse_memory(work);
		return;
	}
	write_json(work, timing, DATA_PULLED);
	if (exchange->text.failed)
		refuse_memory(work);
	else
		answer_pulled(work, "application/json");
}

static void answer_raw(struct gd_dispatching *work, const struct gd_dispatch_timing *timing)
{
	static const char type[] = "application/octet-stream";
	struct gd_call *call = &work->call;
	struct gd_exchange *exchange = work->exchange;
	struct gd_response *response = &exchange->response;
	if (call->is_framed || call->output_count > 1) {
		write_json(work, timing, DATA_FRAMED);
		if (exchange->text.failed) {
			refuse_memory(work);
			return;
		}
		snprintf(exchange->length, sizeof exchange->length, "%zu", exchange->text.len);
		gd_exchange_add_header(exchange, "Inference-Header-Content-Length", exchange->length);
		response->pieces[response->piece_count++] =
		    (struct gd_piece){exchange->text.data, exchange->text.len};
	}
	if (response->piece_count + call->output_count <= GD_PIECES_MAX && all_in_memory(work)) {
		for (uint32_t i = 0; i < call->count; i++)
			if (call->args[i].is_output && call->args[i].bytes)
				response->pieces[response->piece_count++] =
				    (struct gd_piece){output_memory(work, i), (size_t)call->args[i].bytes};
		response->status = 200;
		gd_exchange_add_header(exchange, "Content-Type", type);
		gd_exchange_set(exchange, GD_EXCHANGE_DONE);
		return;
	}
	if (!make_segments(work, false)) {
		refuse_memory(work);
		return;
	}
	for (uint32_t i = 0; i < call->count; i++) {
		if (!call->args[i].is_output)
			continue;
		struct gd_segment *segment = add_segment(work, call->args[i].bytes);
		segment->kind = GD_SEGMENT_RAW;
		segment->arg = i;
	}
	answer_pulled(work, type);
}

void gd_dispatching_answer(struct gd_dispatching *work)
{
	struct gd_exchange *exchange = work->exchange;
	struct gd_dispatch_timing timing;
	struct gd_error error;
	if (!gd_dispatch_result(work->dispatch, &timing, &error)) {
		gd_dispatching_fail(work, &error);
		return;
	}
	snprintf(exchange->timing, sizeof exchange->timing,
		 "queue;dur=%.4f, h2d;dur=%.4f, kernel;dur=%.4f, d2h;dur=%.4f", (double)timing.queue_ns / 1e6,
		 (double)timing.h2d_ns / 1e6, (double)timing.kernel_ns / 1e6, (double)timing.d2h_ns / 1e6);
	gd_buf_done(&exchange->text);
	gd_buf_init(&exchange->text, ANSWER_TEXT_MAX);
	gd_exchange_add_header(exchange, "Vary", "Accept");
	if (work->answers_json)
		answer_json(work, &timing);
	else
		answer_raw(work, &timing);
}
