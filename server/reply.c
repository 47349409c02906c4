/* Answers: a gd_response handed to the daemon, or written past it. See connection.h. */
#include "gpu/base/buf.h"
#include "gpu/base/clock.h"
#include "server/connection.h"
#include "server/refusals.h"
#include "server/shard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>
#include <time.h>

enum { TIMING_BYTES = 256, HEAD_BYTES_MAX = 16 << 10 };

static uint64_t pieces_bytes(const struct gd_response *response)
{
	uint64_t bytes = 0;
	for (unsigned i = 0; i < response->piece_count; i++)
		bytes += response->pieces[i].bytes;
	return bytes;
}

/* Part of the pieces from `offset` on, for a response that goes on with a pull. */
static size_t copy_pieces(const struct gd_response *response, uint64_t offset, char *out, size_t max)
{
	size_t copied = 0;
	for (unsigned i = 0; i < response->piece_count && copied < max; i++) {
		const struct gd_piece *piece = &response->pieces[i];
		if (offset >= piece->bytes) {
			offset -= piece->bytes;
			continue;
		}
		size_t bytes = piece->bytes - (size_t)offset;
		if (bytes > max - copied)
			bytes = max - copied;
		memcpy(out + copied, (const char *)piece->data + offset, bytes);
		copied += bytes;
		offset = 0;
	}
	return copied;
}

/* The daemon wants more of a pulled body. When nothing is there it is suspended, else it would spin. */
static ssize_t pull(void *closure, uint64_t offset, char *out, size_t max)
{
	struct gd_connection *connection = closure;
	struct gd_exchange *exchange = connection->request.exchange;
	if (connection->ending || !exchange)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	const struct gd_response *response = gd_exchange_response(exchange);
	uint64_t fixed = pieces_bytes(response);
	if (offset < fixed)
		return (ssize_t)copy_pieces(response, offset, out, max);
	connection->inside = true;
	int64_t bytes = response->pull(exchange, offset - fixed, out, max);
	connection->inside = false;
	if (bytes < 0 || (uint64_t)bytes > max)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (bytes == 0)
		gd_connection_suspend(connection);
	return (ssize_t)bytes;
}

static struct MHD_Response *make_body(struct gd_connection *connection, const struct gd_response *response)
{
	if (response->pull) {
		uint64_t total = pieces_bytes(response) + response->pull_bytes;
		size_t block = total < GD_PULL_BYTES ? (size_t)total + 1 : GD_PULL_BYTES;
		return MHD_create_response_from_callback(total, block, pull, connection, NULL);
	}
	if (response->piece_count > 1) {
		struct MHD_IoVec iov[GD_PIECES_MAX];
		for (unsigned i = 0; i < response->piece_count; i++)
			iov[i] = (struct MHD_IoVec){.iov_base = response->pieces[i].data,
						    .iov_len = response->pieces[i].bytes};
		return MHD_create_response_from_iovec(iov, response->piece_count, NULL, NULL);
	}
	/* PERSISTENT: the exchange owns the bytes and outlives the response (gd_request_completed frees it).
	 */
	if (response->piece_count == 1 && response->pieces[0].bytes)
		return MHD_create_response_from_buffer(response->pieces[0].bytes,
						       (void *)(uintptr_t)response->pieces[0].data,
						       MHD_RESPMEM_PERSISTENT);
	return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
}

static void write_timing(const struct gd_connection *connection, const struct gd_exchange *exchange,
			 char out[TIMING_BYTES])
{
	uint64_t total_ns = gd_now_ns() - connection->request.head.started_ns;
	const char *phases = gd_exchange_timing(exchange);
	bool has_phases = phases && *phases;
	snprintf(out, TIMING_BYTES, "total;dur=%llu.%03llu%s%s",
		 (unsigned long long)(total_ns / GD_NS_PER_MS),
		 (unsigned long long)(total_ns / GD_NS_PER_US % 1000), has_phases ? ", " : "",
		 has_phases ? phases : "");
}

static bool wants_close(const struct gd_connection *connection, const struct gd_response *response)
{
	return response->close || connection->reserved || atomic_load(&connection->shard->facts->draining);
}

static bool add_headers(const struct gd_connection *connection, const struct gd_response *response,
			struct MHD_Response *out)
{
	char timing[TIMING_BYTES];
	write_timing(connection, connection->request.exchange, timing);
	bool ok =
	    MHD_add_response_header(out, MHD_HTTP_HEADER_SERVER, "gpudispatchd") == MHD_YES &&
	    MHD_add_response_header(out, "X-Request-ID", connection->request.head.request_id) == MHD_YES &&
	    MHD_add_response_header(out, "Server-Timing", timing) == MHD_YES;
	for (unsigned i = 0; ok && i < response->header_count; i++)
		ok = MHD_add_response_header(out, response->headers[i].name, response->headers[i].value) ==
		     MHD_YES;
	if (ok && wants_close(connection, response))
		ok = MHD_add_response_header(out, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
	return ok;
}

bool gd_reply_queue(struct gd_connection *connection)
{
	struct gd_request *request = &connection->request;
	const struct gd_response *response = gd_exchange_response(request->exchange);
	struct MHD_Response *out = make_body(connection, response);
	if (!out)
		return false;
	request->step = GD_STEP_REPLIED;
	request->status = response->status;
	gd_connection_enter(connection, GD_WIRE_SEND, connection->shard->limits->body_ns);
	bool ok = add_headers(connection, response, out) &&
		  gd_daemon_queue(connection->daemon, response->status, out) == MHD_YES;
	MHD_destroy_response(out);
	return ok;
}

static void write_head(const struct gd_connection *connection, const struct gd_exchange *exchange,
		       struct gd_buf *head)
{
	const struct gd_response *response = gd_exchange_response(exchange);
	char timing[TIMING_BYTES], date[40];
	time_t now = time(NULL);
	struct tm utc;
	gmtime_r(&now, &utc);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
	write_timing(connection, exchange, timing);
	gd_buf_printf(head,
		      "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\nServer: gpudispatchd\r\n"
		      "X-Request-ID: %s\r\nServer-Timing: %s\r\nContent-Length: %llu\r\n",
		      response->status, MHD_get_reason_phrase_for(response->status), date,
		      connection->request.head.request_id, timing,
		      (unsigned long long)pieces_bytes(response));
	for (unsigned i = 0; i < response->header_count; i++)
		gd_buf_printf(head, "%s: %s\r\n", response->headers[i].name, response->headers[i].value);
	gd_buf_puts(head, "\r\n");
}

bool gd_reply_write(const struct gd_connection *connection, struct gd_exchange *exchange)
{
	const struct gd_response *response = gd_exchange_response(exchange);
	gd_auto_buf struct gd_buf head;
	gd_buf_init(&head, HEAD_BYTES_MAX);
	write_head(connection, exchange, &head);
	if (response->pull || head.failed)
		return false;
	struct iovec iov[1 + GD_PIECES_MAX] = {{.iov_base = head.data, .iov_len = head.len}};
	size_t count = 1, total = head.len;
	bool with_body = strcmp(connection->request.method, "HEAD") != 0;
	for (unsigned i = 0; with_body && i < response->piece_count; i++) {
		iov[count++] = (struct iovec){.iov_base = (void *)(uintptr_t)response->pieces[i].data,
					      .iov_len = response->pieces[i].bytes};
		total += response->pieces[i].bytes;
	}
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
	ssize_t sent = sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent >= 0 && (size_t)sent == total;
}

void gd_reply_cut(struct gd_connection *connection)
{
	struct gd_request *request = &connection->request;
	request->step = GD_STEP_CUT;
	if (!gd_reply_write(connection, request->exchange)) {
		gd_connection_end(connection);
		return;
	}
	request->status = gd_exchange_response(request->exchange)->status;
	shutdown(connection->fd, SHUT_WR);
	gd_connection_enter(connection, GD_WIRE_LINGER, GD_LINGER_MS * GD_NS_PER_MS);
	gd_connection_resume(connection);
}
