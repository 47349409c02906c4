#include "gpu/program/ptx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct token {
	const char *text;
	size_t length; /* 0 at the end */
};

struct scanner {
	const char *at, *end;
};

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '$' || c == '%' || c == '.';
}

static void skip_to(struct scanner *scan, const char *what)
{
	const char *found = memmem(scan->at, (size_t)(scan->end - scan->at), what, strlen(what));
	scan->at = found ? found + strlen(what) : scan->end;
}

static void skip_blank(struct scanner *scan)
{
	while (scan->at < scan->end) {
		size_t left = (size_t)(scan->end - scan->at);
		if (*scan->at == ' ' || (*scan->at >= '\t' && *scan->at <= '\r'))
			scan->at++;
		else if (left > 1 && !memcmp(scan->at, "//", 2))
			skip_to(scan, "\n");
		else if (left > 1 && !memcmp(scan->at, "/*", 2))
			skip_to(scan, "*/");
		else
			return;
	}
}

/* A word (directives begin with a dot), a string, or one other character. */
static struct token next_token(struct scanner *scan)
{
	skip_blank(scan);
	struct token token = {scan->at, 0};
	if (scan->at == scan->end)
		return token;
	if (*scan->at == '"') {
		scan->at++;
		while (scan->at < scan->end && *scan->at != '"')
			scan->at += *scan->at == '\\' && scan->end - scan->at > 1 ? 2 : 1;
		scan->at += scan->at < scan->end;
	} else if (is_word(*scan->at)) {
		do
			scan->at++;
		while (scan->at < scan->end && is_word(*scan->at) && *scan->at != '.');
	} else {
		scan->at++;
	}
	token.length = (size_t)(scan->at - token.text);
	return token;
}

static bool is(struct token token, const char *text)
{
	return token.length == strlen(text) && !memcmp(token.text, text, token.length);
}

static bool number_of(struct token token, uint32_t *out_value)
{
	uint64_t value = 0;
	if (!token.length || token.length > 9)
		return false;
	for (size_t i = 0; i < token.length; i++) {
		if (token.text[i] < '0' || token.text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(token.text[i] - '0');
	}
	*out_value = (uint32_t)value;
	return true;
}

/* Bytes of ".u32", ".b8", ".f64" …; 0 for another word */
static uint32_t type_bytes(struct token token)
{
	static const struct {
		const char *text;
		uint32_t bytes;
	} known[] = {{"8", 1}, {"16", 2}, {"32", 4}, {"64", 8}, {"128", 16}};
	if (token.length < 3 || token.text[0] != '.')
		return 0;
	size_t skip = is(token, ".bf16") ? 3 : 2;
	if (!strchr("usbf", token.text[1]))
		return 0;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (is((struct token){token.text + skip, token.length - skip}, known[i].text))
			return known[i].bytes;
	return 0;
}

static bool unreadable(struct gd_error *error)
{
	return gd_error_set(error, GD_INVALID_PROGRAM, "Send PTX as a CUDA compiler writes it.",
			    "the parameters of a PTX entry cannot be read");
}

/*
 * One parameter after its ".param", up to ',' or ')': [.align N] .type [.ptr [.space] [.align N]] name [[N]].
 * The alignment after .ptr is that of what is pointed at.
 */
static bool read_param(struct scanner *scan, struct gd_slot *out_slot, struct token *out_stop,
		       struct gd_error *error)
{
	uint32_t align = 0, bytes = 0, count = 1;
	bool pointer = false;
	for (;;) {
		struct token token = next_token(scan);
		uint32_t value;
		if (is(token, ",") || is(token, ")")) {
			*out_stop = token;
			break;
		}
		if (!token.length)
			return unreadable(error);
		if (is(token, ".ptr")) {
			pointer = true;
		} else if (is(token, ".align")) {
			if (!number_of(next_token(scan), &value) || !value || (value & (value - 1)))
				return unreadable(error);
			if (!pointer)
				align = value;
		} else if (is(token, "[")) {
			if (!number_of(next_token(scan), &count) || !is(next_token(scan), "]"))
				return unreadable(error);
		} else if (!bytes) {
			bytes = type_bytes(token);
		}
	}
	if (!bytes || !count || count > GD_SIGNATURE_BYTES_MAX / bytes || align > GD_SIGNATURE_BYTES_MAX)
		return unreadable(error);
	*out_slot = (struct gd_slot){.size = bytes * count, .align = align ? align : bytes};
	return true;
}

static bool read_params(struct scanner *scan, struct gd_slot *slots, uint32_t *out_count,
			struct gd_error *error)
{
	uint32_t count = 0;
	struct token token = next_token(scan);
	while (!is(token, ")")) {
		if (count == GD_SIGNATURE_PARAMS_MAX)
			return gd_error_set(error, GD_INVALID_PROGRAM, NULL,
					    "a PTX entry has more than %u parameters",
					    GD_SIGNATURE_PARAMS_MAX);
		if (is(token, ","))
			token = next_token(scan);
		if (!is(token, ".param") || !read_param(scan, &slots[count], &token, error))
			return unreadable(error);
		count++;
	}
	*out_count = count;
	return true;
}

static bool keep_entry(struct gd_ptx *ptx, struct token name, const struct gd_slot *slots, uint32_t count,
		       struct gd_error *error)
{
	if (ptx->count == GD_PTX_ENTRIES_MAX)
		return gd_error_set(error, GD_INVALID_PROGRAM, "Send fewer kernels in one program.",
				    "there are more than %u kernels", GD_PTX_ENTRIES_MAX);
	if ((ptx->count & (ptx->count - 1)) == 0) {
		struct gd_ptx_entry *grown =
		    realloc(ptx->entries, (ptx->count ? ptx->count * 2 : 1) * sizeof *grown);
		if (!grown)
			return gd_error_errno(error, ENOMEM, "cannot hold the entries of a program");
		ptx->entries = grown;
	}
	struct gd_ptx_entry entry = {.name = strndup(name.text, name.length), .count = count};
	if (entry.name && count) {
		entry.slots = malloc(count * sizeof *slots);
		if (entry.slots)
			memcpy(entry.slots, slots, count * sizeof *slots);
	}
	if (!entry.name || (count && !entry.slots)) {
		free(entry.name);
		return gd_error_errno(error, ENOMEM, "cannot hold the entries of a program");
	}
	ptx->entries[ptx->count++] = entry;
	return true;
}

/* After ".entry": name, parameters if any, and a body; a declaration that ends in ';' is left out. */
static bool read_entry(struct scanner *scan, struct gd_slot *slots, struct gd_ptx *ptx,
		       struct gd_error *error)
{
	struct token name = next_token(scan);
	uint32_t count = 0;
	struct scanner before = *scan;
	if (!name.length || !is_word(*name.text))
		return unreadable(error);
	if (!is(next_token(scan), "("))
		*scan = before;
	else if (!read_params(scan, slots, &count, error))
		return false;
	for (;;) {
		struct token token = next_token(scan);
		if (is(token, "{"))
			return keep_entry(ptx, name, slots, count, error);
		if (!token.length || is(token, ";"))
			return true;
	}
}

bool gd_ptx_scan(const char *text, size_t bytes, struct gd_ptx *out_ptx, struct gd_error *error)
{
	struct scanner scan = {text, text + bytes};
	gd_auto_ptx struct gd_ptx ptx = {0};
	struct gd_slot *slots = calloc(GD_SIGNATURE_PARAMS_MAX, sizeof *slots);
	bool ok = slots || gd_error_errno(error, ENOMEM, "cannot hold the entries of a program");
	while (ok) {
		struct token token = next_token(&scan);
		if (!token.length)
			break;
		if (is(token, ".entry"))
			ok = read_entry(&scan, slots, &ptx, error);
	}
	free(slots);
	if (!ok)
		return false;
	*out_ptx = ptx;
	ptx = (struct gd_ptx){0};
	return true;
}

void gd_ptx_done(struct gd_ptx *ptx)
{
	for (uint32_t i = 0; i < ptx->count; i++) {
		free(ptx->entries[i].name);
		free(ptx->entries[i].slots);
	}
	free(ptx->entries);
	*ptx = (struct gd_ptx){0};
}

const struct gd_ptx_entry *gd_ptx_find(const struct gd_ptx *ptx, const char *name)
{
	for (uint32_t i = 0; i < ptx->count; i++)
		if (!strcmp(ptx->entries[i].name, name))
			return &ptx->entries[i];
	return NULL;
}

void gd_ptx_list(const struct gd_ptx *ptx, char *out, size_t capacity)
{
	enum { SHOWN = 6 };
	size_t used = 0;
	out[0] = '\0';
	for (uint32_t i = 0; i < ptx->count && i < SHOWN && used < capacity; i++) {
		int n =
		    snprintf(out + used, capacity - used, "%s`%.48s`", i ? ", " : "", ptx->entries[i].name);
		used += n > 0 ? (size_t)n : 0;
	}
	if (ptx->count > SHOWN && used < capacity)
		snprintf(out + used, capacity - used, " and %u more", ptx->count - SHOWN);
}
