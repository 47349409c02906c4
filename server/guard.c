#include "server/guard.h"

#include <string.h>
#include <strings.h>

static bool is_token_char(unsigned char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return true;
	return c && strchr("!#$%&'*+-.^_`|~", c);
}

static bool is_token(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (!is_token_char((unsigned char)text[i]))
			return false;
	return bytes > 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte that text[at] stands for, with percent decoding; -1 for a bad escape. Moves *at over it. */
static int decoded(const char *text, size_t *at)
{
	if (text[*at] != '%')
		return (unsigned char)text[(*at)++];
	int high = hex_digit(text[*at + 1]);
	int low = high < 0 ? -1 : hex_digit(text[*at + 2]);
	*at += 3;
	return low < 0 ? -1 : high * 16 + low;
}

/* Path from its first slash up to '?' or the end. */
static const char *path_fault(const char *path)
{
	size_t dots = 0, others = 0; /* of the segment so far */
	for (size_t at = 1;;) {
		char raw = path[at];
		if (raw == '\0' || raw == '?' || raw == '/') {
			if (!others && (dots == 1 || dots == 2))
				return "the path has a '.' or '..' segment";
			if (raw == '/' && !dots && !others)
				return "the path has an empty segment";
			if (raw != '/')
				return NULL;
			dots = others = 0;
			at++;
			continue;
		}
		int byte = decoded(path, &at);
		if (byte < 0)
			return "the target has a '%' without two hex digits";
		if (byte < 0x20 || byte == 0x7f)
			return "the path has a control character";
		if (byte == '\\' || (raw == '%' && byte == '/'))
			return "the path has a backslash or an encoded slash";
		if (byte == '.')
			dots++;
		else
			others++;
	}
}

static const char *query_fault(const char *query)
{
	for (size_t at = 0; query[at];) {
		int byte = decoded(query, &at);
		if (byte < 0)
			return "the target has a '%' without two hex digits";
		if (byte == 0)
			return "the target has an encoded NUL";
	}
	return NULL;
}

const char *gd_guard_target(const char *target, const char *method, const char **out_origin)
{
	const char *origin = target;
	for (const char *at = target; *at; at++)
		if (*at <= 0x20 || *at == 0x7f || (signed char)*at < 0 || *at == '#')
			return "the target has a character that must be percent-encoded";
	if (strcmp(target, "*") == 0 && strcmp(method, "OPTIONS") == 0) {
		*out_origin = target;
		return NULL;
	}
	if (strncasecmp(target, "http://", 7) == 0) {
		/* absolute-form, which a server must take (RFC 9112, 3.2.2): only the path matters to us */
		size_t authority = strcspn(target + 7, "/?");
		if (authority == 0 || memchr(target + 7, '@', authority))
			return "the target's host is missing or has user information";
		origin = target + 7 + authority;
		if (*origin == '?')
			return "the target has a query but no path";
		if (!*origin)
			origin = "/";
	}
	if (*origin != '/')
		return "the target must begin with '/'";
	const char *fault = path_fault(origin);
	const char *query = strchr(origin, '?');
	if (!fault && query)
		fault = query_fault(query + 1);
	if (!fault)
		*out_origin = origin;
	return fault;
}

bool gd_guard_layout(const struct gd_guard_request *request)
{
	const char *target_end = request->target_at + strlen(request->target);
	if (request->target_at != request->method + strlen(request->method) + 1 ||
	    request->version != target_end + 1)
		return false;
	const char *line = request->version + strlen(request->version) + 2;
	for (size_t i = 0; i < request->header_count; i++) {
		const struct gd_guard_header *header = &request->headers[i];
		if (header->name != line || header->value <= header->name + header->name_bytes)
			return false;
		line = header->value + header->value_bytes + 2;
	}
	return line + 2 == request->method + request->head_bytes;
}

static bool refuse(struct gd_guard_verdict *verdict, unsigned status, const char *text, const char *fix)
{
	verdict->status = status;
	verdict->text = text;
	verdict->fix = fix;
	return false;
}

static bool bad(struct gd_guard_verdict *verdict, const char *text)
{
	return refuse(verdict, 400, text, "send a request that follows RFC 9112");
}

/* Headers that may stand once at most: framing, routing, and what bodies are read by. */
enum single {
	CONTENT_LENGTH,
	TRANSFER_ENCODING,
	HOST,
	CONTENT_TYPE,
	CONTENT_ENCODING,
	HEADER_LENGTH,
	EXPECT,
	SINGLES
};

static const struct {
	const char *name, *repeated;
} singles[SINGLES] = {
    [CONTENT_LENGTH] = {"Content-Length", "there is more than one Content-Length"},
    [TRANSFER_ENCODING] = {"Transfer-Encoding", "there is more than one Transfer-Encoding"},
    [HOST] = {"Host", "there is more than one Host"},
    [CONTENT_TYPE] = {"Content-Type", "there is more than one Content-Type"},
    [CONTENT_ENCODING] = {"Content-Encoding", "there is more than one Content-Encoding"},
    [HEADER_LENGTH] = {"Inference-Header-Content-Length",
		       "there is more than one Inference-Header-Content-Length"},
    [EXPECT] = {"Expect", "there is more than one Expect"},
};

static bool check_value(const struct gd_guard_header *header)
{
	for (size_t i = 0; i < header->value_bytes; i++) {
		unsigned char c = (unsigned char)header->value[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool check_headers(const struct gd_guard_request *request,
			  const struct gd_guard_header *found[SINGLES], struct gd_guard_verdict *verdict)
{
	for (size_t i = 0; i < request->header_count; i++) {
		const struct gd_guard_header *header = &request->headers[i];
		if (!is_token(header->name, header->name_bytes))
			return bad(verdict,
				   "a header's name has a space or another character that it may not have");
		if (!check_value(header))
			return bad(verdict, "a header's value has a control character");
		for (unsigned k = 0; k < SINGLES; k++) {
			if (strcasecmp(header->name, singles[k].name) != 0)
				continue;
			if (found[k])
				return bad(verdict, singles[k].repeated);
			found[k] = header;
		}
	}
	return true;
}

/* RFC 3986's host and port; blanks may end it (RFC 9110, 5.5), and it may be empty. */
static bool is_host(const struct gd_guard_header *host)
{
	size_t bytes = host->value_bytes;
	while (bytes && (host->value[bytes - 1] == ' ' || host->value[bytes - 1] == '\t'))
		bytes--;
	return strspn(host->value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "-._~%!$&'()*+;=[]:") >= bytes;
}

static bool is_length(const struct gd_guard_header *header)
{
	for (size_t i = 0; i < header->value_bytes; i++)
		if (header->value[i] < '0' || header->value[i] > '9')
			return false;
	return header->value_bytes > 0 && header->value_bytes < 19; /* what an int64_t takes */
}

static int64_t length_of(const struct gd_guard_header *header)
{
	int64_t length = 0;
	for (size_t i = 0; i < header->value_bytes; i++)
		length = length * 10 + (header->value[i] - '0');
	return length;
}

static bool check_framing(const struct gd_guard_request *request,
			  const struct gd_guard_header *found[SINGLES], struct gd_guard_verdict *verdict)
{
	const struct gd_guard_header *length = found[CONTENT_LENGTH], *coding = found[TRANSFER_ENCODING];
	bool is_11 = strcmp(request->version, "HTTP/1.1") == 0;
	if (!found[HOST] && is_11)
		return bad(verdict, "HTTP/1.1 needs a Host header");
	if (found[HOST] && !is_host(found[HOST]))
		return bad(verdict, "the Host header is not a host");
	if (length && coding)
		return bad(verdict, "Content-Length and Transfer-Encoding exclude each other");
	if (length && !is_length(length))
		return bad(verdict, "Content-Length is not a number");
	if (coding && (!is_11 || strcasecmp(coding->value, "chunked") != 0))
		return bad(verdict, "the only Transfer-Encoding is chunked, with HTTP/1.1");
	if (coding)
		verdict->body_bytes = -1;
	else if (length)
		verdict->body_bytes = length_of(length);
	verdict->awaits_continue = verdict->body_bytes != 0 && is_11 && found[EXPECT] &&
				   strcasecmp(found[EXPECT]->value, "100-continue") == 0;
	return true;
}

bool gd_guard_check(const struct gd_guard_request *request, struct gd_guard_verdict *out_verdict)
{
	*out_verdict = (struct gd_guard_verdict){.target = "/"};
	const struct gd_guard_header *found[SINGLES] = {NULL};
	if (strlen(request->target) > GD_TARGET_BYTES_MAX)
		return refuse(out_verdict, 414, "the request target is too long",
			      "send long parameters in the body");
	if (request->head_bytes > GD_HEAD_BYTES_MAX || request->header_count > GD_HEADERS_MAX_COUNT)
		return refuse(out_verdict, 431, "there are too many or too long headers",
			      "send fewer headers");
	if (request->target_at && !gd_guard_layout(request))
		return bad(out_verdict,
			   "the request line or a header has a NUL, a bare line feed, a folded line or "
			   "extra blanks");
	size_t method_bytes = strlen(request->method);
	if (method_bytes > GD_METHOD_BYTES_MAX || !is_token(request->method, method_bytes))
		return bad(out_verdict, "the method is not a token");
	if (!check_headers(request, found, out_verdict) || !check_framing(request, found, out_verdict))
		return false;
	const char *fault = gd_guard_target(request->target, request->method, &out_verdict->target);
	if (fault)
		return refuse(out_verdict, 400, fault,
			      "send the path as the documentation writes it, encoded once");
	return true;
}
