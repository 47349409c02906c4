#include "gpu/device/reference/lex.h"

#include <stdlib.h>
#include <string.h>

void gd_lexer_init(struct gd_lexer *lexer, const char *text, size_t bytes)
{
	*lexer = (struct gd_lexer){.at = text, .end = text + bytes, .line = 1};
}

bool gd_token_is(const struct gd_token *token, const char *word)
{
	return token->kind == GD_TOK_WORD && strlen(word) == token->length &&
	       !memcmp(token->text, word, token->length);
}

static bool is_word_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_word_start(c) || is_digit(c);
}

/* Skip blanks and comments. Returns false at a comment without end. */
static bool skip_blank(struct gd_lexer *lexer)
{
	while (lexer->at < lexer->end) {
		char c = *lexer->at;
		size_t left = (size_t)(lexer->end - lexer->at);
		if (c == '\n')
			lexer->line++;
		if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v') {
			lexer->at++;
		} else if (c == '/' && left > 1 && lexer->at[1] == '/') {
			while (lexer->at < lexer->end && *lexer->at != '\n')
				lexer->at++;
		} else if (c == '/' && left > 1 && lexer->at[1] == '*') {
			lexer->at += 2;
			for (;;) {
				if (lexer->end - lexer->at < 2)
					return false;
				if (lexer->at[0] == '*' && lexer->at[1] == '/')
					break;
				if (*lexer->at == '\n')
					lexer->line++;
				lexer->at++;
			}
			lexer->at += 2;
		} else {
			return true;
		}
	}
	return true;
}

static int digit_of(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* Read digits of a base. Returns how many; a value over 64 bits makes it -1. */
static int read_digits(struct gd_lexer *lexer, int base, uint64_t *out_value)
{
	int count = 0;
	bool overflow = false;
	uint64_t value = 0;
	for (; lexer->at < lexer->end && digit_of(*lexer->at) < base; lexer->at++, count++) {
		overflow |= __builtin_mul_overflow(value, (uint64_t)base, &value);
		overflow |= __builtin_add_overflow(value, (uint64_t)digit_of(*lexer->at), &value);
	}
	*out_value = value;
	return overflow ? -1 : count;
}

/* A decimal constant with a point or an exponent; the text is copied because strtod needs an end. */
static void read_decimal(struct gd_lexer *lexer, struct gd_token *token)
{
	char text[64];
	size_t length = 0;
	while (lexer->at < lexer->end && length < sizeof(text) - 1 &&
	       (is_digit(*lexer->at) || *lexer->at == '.' || *lexer->at == 'e' || *lexer->at == 'E' ||
		((*lexer->at == '+' || *lexer->at == '-') && (text[length - 1] | 0x20) == 'e')))
		text[length++] = *lexer->at++;
	text[length] = 0;
	char *end;
	double value = strtod(text, &end);
	token->kind = *end || !length ? GD_TOK_BAD : GD_TOK_F64;
	memcpy(&token->value, &value, sizeof(value));
}

static void read_number(struct gd_lexer *lexer, struct gd_token *token)
{
	const char *start = lexer->at;
	char second = lexer->end - start > 1 ? start[1] : 0;
	int digits;
	token->kind = GD_TOK_INT;
	if (*start == '0' && (second == 'f' || second == 'F' || second == 'd' || second == 'D')) {
		bool single = (second | 0x20) == 'f';
		lexer->at += 2;
		digits = read_digits(lexer, 16, &token->value);
		token->kind = digits != (single ? 8 : 16) ? GD_TOK_BAD : single ? GD_TOK_F32 : GD_TOK_F64;
		return;
	}
	if (*start == '0' && (second == 'x' || second == 'X' || second == 'b' || second == 'B')) {
		lexer->at += 2;
		digits = read_digits(lexer, (second | 0x20) == 'x' ? 16 : 2, &token->value);
	} else {
		digits = read_digits(lexer, *start == '0' ? 8 : 10, &token->value);
		if (lexer->at < lexer->end &&
		    (*lexer->at == '.' || (*lexer->at | 0x20) == 'e' || is_digit(*lexer->at))) {
			lexer->at = start;
			read_decimal(lexer, token);
			return;
		}
	}
	if (digits < 1)
		token->kind = GD_TOK_BAD;
	if (lexer->at < lexer->end && (*lexer->at == 'U' || *lexer->at == 'u'))
		lexer->at++;
	if (lexer->at < lexer->end && is_word(*lexer->at))
		token->kind = GD_TOK_BAD;
}

/* Words run over single dots and over "::" when a letter or digit follows; directives end at the next dot. */
static void read_word(struct gd_lexer *lexer)
{
	bool is_directive = *lexer->at == '.';
	lexer->at++;
	while (lexer->at < lexer->end) {
		size_t left = (size_t)(lexer->end - lexer->at);
		if (is_word(*lexer->at))
			lexer->at++;
		else if (!is_directive && *lexer->at == '.' && left > 1 && is_word(lexer->at[1]))
			lexer->at += 2;
		else if (left > 2 && lexer->at[0] == ':' && lexer->at[1] == ':' && is_word(lexer->at[2]))
			lexer->at += 3;
		else
			break;
	}
}

void gd_lexer_next(struct gd_lexer *lexer, struct gd_token *out_token)
{
	struct gd_token *token = out_token;
	*token = (struct gd_token){.kind = GD_TOK_END};
	bool whole = skip_blank(lexer);
	token->line = lexer->line;
	token->text = lexer->at;
	if (!whole) {
		token->kind = GD_TOK_BAD;
		lexer->at = lexer->end;
	} else if (lexer->at == lexer->end) {
		return;
	} else if (is_word_start(*lexer->at) ||
		   (*lexer->at == '.' && lexer->end - lexer->at > 1 && is_word_start(lexer->at[1]))) {
		token->kind = GD_TOK_WORD;
		read_word(lexer);
	} else if (is_digit(*lexer->at)) {
		read_number(lexer, token);
	} else if (*lexer->at == '"') {
		const char *start = ++lexer->at;
		while (lexer->at < lexer->end && *lexer->at != '"' && *lexer->at != '\n')
			lexer->at++;
		token->text = start;
		token->length = (uint32_t)(lexer->at - start);
		token->kind = lexer->at < lexer->end && *lexer->at == '"' ? GD_TOK_STRING : GD_TOK_BAD;
		if (token->kind == GD_TOK_STRING)
			lexer->at++;
		return;
	} else {
		token->kind = GD_TOK_PUNCT;
		token->punct = *lexer->at++;
	}
	token->length = (uint32_t)(lexer->at - token->text);
}
