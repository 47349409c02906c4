#include "gpu/program/declaration.h"

#include "gpu/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

struct token {
	const char *text;
	size_t length; /* 0: the end; of a parameter: nameless */
};

struct scanner {
	const char *start, *at, *end;
	bool saw_directive; /* what lies around one may hold alternatives: names there cannot be told */
};

/* The parameters' names of one declaration; they point into the source. */
struct names {
	struct token *items; /* [GD_SIGNATURE_PARAMS_MAX] */
	uint32_t count;
	bool has_body;
};

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       (unsigned char)c >= 0x80;
}

static bool is(struct token token, const char *text)
{
	return token.length == strlen(text) && !memcmp(token.text, text, token.length);
}

static bool looks_at(const struct scanner *scan, const char *text)
{
	size_t n = strlen(text);
	return (size_t)(scan->end - scan->at) >= n && !memcmp(scan->at, text, n);
}

static void skip_past(struct scanner *scan, const char *what, size_t length)
{
	const char *found = memmem(scan->at, (size_t)(scan->end - scan->at), what, length);
	scan->at = found ? found + length : scan->end;
}

/* A line comment or directive: to the end of the line, of the next one after a backslash. */
static void skip_line(struct scanner *scan)
{
	while (scan->at < scan->end) {
		skip_past(scan, "\n", 1);
		const char *last = scan->at - 1;
		if (last > scan->start && last[-1] == '\r')
			last--;
		if (last <= scan->start || last[-1] != '\\')
			return;
	}
}

static bool begins_line(const struct scanner *scan)
{
	for (const char *p = scan->at; p > scan->start; p--) {
		if (p[-1] == '\n')
			return true;
		if (p[-1] != ' ' && p[-1] != '\t')
			return false;
	}
	return true;
}

static void skip_blank(struct scanner *scan)
{
	while (scan->at < scan->end) {
		if (*scan->at == ' ' || (*scan->at >= '\t' && *scan->at <= '\r') || looks_at(scan, "\\\n")) {
			scan->at++;
		} else if (looks_at(scan, "//")) {
			skip_line(scan);
		} else if (*scan->at == '#' && begins_line(scan)) {
			scan->saw_directive = true;
			skip_line(scan);
		} else if (looks_at(scan, "/*")) {
			skip_past(scan, "*/", 2);
		} else {
			return;
		}
	}
}

static void skip_quoted(struct scanner *scan)
{
	char quote = *scan->at++;
	while (scan->at < scan->end && *scan->at != quote && *scan->at != '\n')
		scan->at += *scan->at == '\\' && scan->end - scan->at > 1 ? 2 : 1;
	scan->at += scan->at < scan->end;
}

/* R"mark( … )mark" */
static void skip_raw(struct scanner *scan)
{
	enum { MARK_MAX = 16 }; /* ISO C++, [lex.string] */
	const char *mark = scan->at + 1;
	size_t length = 0;
	while (mark + length < scan->end && mark[length] != '(' && length <= MARK_MAX)
		length++;
	char close[MARK_MAX + 3];
	if (length > MARK_MAX || mark + length >= scan->end) {
		skip_quoted(scan);
		return;
	}
	close[0] = ')';
	memcpy(close + 1, mark, length);
	close[length + 1] = '"';
	skip_past(scan, close, length + 2);
}

static struct token next_token(struct scanner *scan)
{
	skip_blank(scan);
	struct token token = {scan->at, 0};
	if (scan->at >= scan->end)
		return token;
	if (is_word(*scan->at)) {
		while (scan->at < scan->end && is_word(*scan->at))
			scan->at++;
		token.length = (size_t)(scan->at - token.text);
		if (scan->at < scan->end && *scan->at == '"' && token.text[token.length - 1] == 'R')
			skip_raw(scan);
		return token;
	}
	if (*scan->at == '"' || *scan->at == '\'')
		skip_quoted(scan);
	else if (looks_at(scan, "::"))
		scan->at += 2;
	else
		scan->at++;
	token.length = (size_t)(scan->at - token.text);
	return token;
}

static struct token peek(struct scanner scan)
{
	return next_token(&scan);
}

static int nesting(struct token token, bool angles)
{
	if (token.length != 1)
		return 0;
	if (strchr("([{", *token.text) || (angles && *token.text == '<'))
		return 1;
	return strchr(")]}", *token.text) || (angles && *token.text == '>') ? -1 : 0;
}

/* After an opening bracket: to its closing one. */
static void skip_nested(struct scanner *scan, bool angles)
{
	for (int depth = 1; depth > 0;) {
		struct token token = next_token(scan);
		if (!token.length || is(token, ";"))
			return;
		depth += nesting(token, angles);
	}
}

static bool is_one_of(struct token token, const char *const *words)
{
	for (; *words; words++)
		if (is(token, *words))
			return true;
	return false;
}

/* The declarator in (*name)[4] or (&name)(int): its first word that is no qualifier. */
static struct token read_inner_name(struct scanner *scan)
{
	struct token name = {NULL, 0};
	for (;;) {
		struct token token = next_token(scan);
		if (!token.length || is(token, ")"))
			return name;
		if (is_word(*token.text) && !is(token, "const") && !is(token, "volatile") && !name.length)
			name = token;
		if (nesting(token, false) > 0)
			skip_nested(scan, false);
	}
}

static const char *const qualifiers[] = {
    "const",  "volatile", "__restrict__", "__restrict", "restrict", "register", "__grid_constant__",
    "struct", "class",    "enum",         "union",      "typename", NULL};
static const char *const type_words[] = {"void", "bool",    "char",     "short",    "int",
					 "long", "float",   "double",   "signed",   "unsigned",
					 "auto", "wchar_t", "char16_t", "char32_t", NULL};

/* One parameter up to ',' or ')'. `out_void` says that it is nothing but the word void. */
static struct token read_param(struct scanner *scan, struct token *out_stop, bool *out_void)
{
	struct token name = {NULL, 0};
	struct token before = {NULL, 0};
	bool typed = false, fixed = false;
	unsigned tokens = 0;
	*out_void = false;
	for (;;) {
		struct token token = next_token(scan);
		if (!token.length || is(token, ",") || is(token, ")") || is(token, ";")) {
			*out_stop = token;
			*out_void = *out_void && tokens == 1;
			return name;
		}
		*out_void = *out_void || is(token, "void");
		tokens++;
		if (is(token, "=")) {
			fixed = true; /* a default argument holds no name */
		} else if (is(token, "(") && !fixed && (is(peek(*scan), "*") || is(peek(*scan), "&"))) {
			name = read_inner_name(scan);
			fixed = true;
		} else if (nesting(token, !fixed) > 0) {
			skip_nested(scan, is(token, "<"));
			if (is(token, "<"))
				name.length = 0;
			typed = true;
		} else if (is_word(*token.text) && !fixed && !is_one_of(token, qualifiers)) {
			bool part_of_type = !typed || is(before, "::") || is_one_of(token, type_words);
			name = part_of_type ? (struct token){NULL, 0} : token;
			typed = true;
		} else if ((is(token, "*") || is(token, "&")) && !fixed) {
			name.length = 0;
			typed = true;
		}
		before = token;
	}
}

/* After the '(' of a function's parameters. */
static bool read_params(struct scanner *scan, struct names *out)
{
	struct token stop = {NULL, 0};
	scan->saw_directive = false;
	out->count = 0;
	if (is(peek(*scan), ")")) {
		next_token(scan);
		return true;
	}
	do {
		bool nothing;
		struct token name = read_param(scan, &stop, &nothing);
		if (nothing && !out->count && is(stop, ")"))
			return true;
		if (out->count == GD_SIGNATURE_PARAMS_MAX)
			return false;
		out->items[out->count++] = name;
	} while (is(stop, ","));
	return is(stop, ")") && !scan->saw_directive;
}

/* After __global__: is it a declaration of `function`? Then its names. */
static bool read_declaration(struct scanner *scan, const char *function, struct names *out)
{
	for (;;) {
		struct token token = next_token(scan);
		if (!token.length || is(token, ";") || is(token, "{") || is(token, "}"))
			return false;
		if (is(token, function)) {
			if (is(peek(*scan), "<")) {
				next_token(scan);
				skip_nested(scan, true);
			}
			if (is(peek(*scan), "("))
				break;
		} else if (nesting(token, false) > 0) {
			skip_nested(scan, false);
		}
	}
	next_token(scan);
	if (!read_params(scan, out))
		return false;
	for (;;) {
		struct token token = next_token(scan);
		if (!token.length || is(token, ";") || is(token, "{")) {
			out->has_body = is(token, "{");
			return true;
		}
	}
}

static bool same_names(const struct names *a, const struct names *b)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (a->items[i].length != b->items[i].length ||
		    (a->items[i].length &&
		     memcmp(a->items[i].text, b->items[i].text, a->items[i].length) != 0))
			return false;
	return true;
}

static bool are_unique(const struct names *names)
{
	for (uint32_t i = 1; i < names->count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (names->items[i].length && names->items[i].length == names->items[j].length &&
			    !memcmp(names->items[i].text, names->items[j].text, names->items[i].length))
				return false;
	return true;
}

static bool give_names(const struct names *names, struct gd_signature *signature)
{
	for (uint32_t i = 0; i < names->count; i++)
		if (!gd_signature_name(signature, i, names->items[i].text, names->items[i].length)) {
			gd_signature_forget_names(signature);
			return false;
		}
	return true;
}

bool gd_declaration_names(const char *source, size_t bytes, const char *function,
			  struct gd_signature *signature)
{
	struct scanner scan = {.start = source, .at = source, .end = source + bytes};
	gd_auto_free struct token *items = calloc(2u * GD_SIGNATURE_PARAMS_MAX, sizeof *items);
	if (!items || !signature->count)
		return false;
	struct names here = {.items = items}, best = {.items = items + GD_SIGNATURE_PARAMS_MAX};
	bool found = false;
	for (;;) {
		struct token token = next_token(&scan);
		if (!token.length)
			break;
		if (!is(token, "__global__"))
			continue;
		/* from here again afterwards: a declaration that was none may hide the next one */
		struct scanner inner = scan;
		if (!read_declaration(&inner, function, &here) || here.count != signature->count)
			continue;
		if (found && best.has_body && here.has_body && !same_names(&best, &here))
			return false;
		if (!found || (here.has_body && !best.has_body)) {
			memcpy(best.items, here.items, here.count * sizeof *here.items);
			best.count = here.count;
			best.has_body = here.has_body;
			found = true;
		}
	}
	return found && are_unique(&best) && give_names(&best, signature);
}
