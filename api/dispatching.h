/*
 * One POST …/dispatch on its way: body in, launch, answer out. For the dispatch_*.c files only.
 *
 * It belongs to its exchange and owns everything it points at but that. The engine's callbacks and the timer
 * run on the lane's thread. Order of phases: TAKING (the body, or its header, is collected until the layout
 * is known), PLANNING, FEEDING (what was collected goes to the engine), STREAMING (the rest of the body is
 * poured into it), RUNNING, OVER.
 */
#ifndef GD_API_DISPATCHING_H
#define GD_API_DISPATCHING_H

#include "api/base.h"
#include "api/call.h"
#include "api/json_filter.h"
#include "api/multipart.h"

enum gd_dispatch_phase {
	GD_NOW_TAKING,
	GD_NOW_PLANNING,
	GD_NOW_FEEDING,
	GD_NOW_STREAMING,
	GD_NOW_RUNNING,
	GD_NOW_OVER
};

/* A part of an answer that is read as it is sent. */
struct gd_segment {
	enum { GD_SEGMENT_TEXT, GD_SEGMENT_RAW, GD_SEGMENT_BASE64 } kind;
	uint32_t arg;   /* of RAW and BASE64 */
	size_t text_at; /* of TEXT, in exchange->text */
	uint64_t bytes; /* as sent */
	uint64_t start; /* offset in the pulled part of the answer */
};

enum { GD_STAGE_BYTES = 12288 }; /* a multiple of 3 */

struct gd_stage {
	uint64_t encoded_at; /* offset in the segment of what `text` holds */
	size_t raw_bytes, text_bytes;
	uint8_t raw[GD_STAGE_BYTES];
	char text[GD_STAGE_BYTES / 3 * 4];
};

struct gd_dispatching {
	struct gd_exchange *exchange;
	struct gd_pipeline *pipeline;
	struct gd_call call;
	enum gd_dispatch_phase phase;
	bool answers_json;
	uint64_t body_seen, header_bytes;
	struct gd_buf store; /* decoded and collected buffer bytes */
	struct gd_json_filter filter;
	/* multipart; the name and text of the part under way, its parameter or -1 */
	struct gd_multipart *multipart;
	char *part_name;
	int part_param;
	size_t part_at;
	struct gd_buf part_text;
	/* the engine's side */
	struct gd_dispatch *dispatch;
	struct gd_timer timer;
	uint32_t cursor; /* argument being fed or streamed */
	uint64_t cursor_at;
	uint64_t deadline_ns;
	/* the answer */
	struct gd_segment *segments;
	uint32_t segment_count, segment;
	struct gd_stage *stage;
};

/* Refuse, and give back what the engine holds. */
void gd_dispatching_fail(struct gd_dispatching *work, const struct gd_error *error);

/* dispatch_feed.c: the call is settled; make the dispatch and go on as far as possible. */
void gd_dispatching_prepare(struct gd_dispatching *work);
/* Pour body bytes; returns how many were taken. */
size_t gd_dispatching_pour(struct gd_dispatching *work, const uint8_t *data, size_t bytes);
/* Look again at what can be done: after room came free, after the body's end. */
void gd_dispatching_step(struct gd_dispatching *work);

/* dispatch_answer.c: the launch has ended. */
void gd_dispatching_answer(struct gd_dispatching *work);
/* More of an output has come. */
void gd_dispatching_readable(struct gd_dispatch *dispatch);

#endif
