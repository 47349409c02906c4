/*
 * Cuts PTX text into tokens. Words keep their dots ("ld.global.v4.f32", ".reg", "%tid.x"), so an opcode with
 * its modifiers is one token.
 *
 * The lexer borrows the text, allocates nothing, and never reads past `end`; any bytes at all are legal
 * input. Any thread. It does not say what a word means.
 */
#ifndef GD_REFERENCE_LEX_H
#define GD_REFERENCE_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gd_tok {
	GD_TOK_END,
	GD_TOK_WORD,   /* identifier, directive or opcode */
	GD_TOK_INT,    /* value: two's complement, 64 bits */
	GD_TOK_F32,    /* 0fXXXXXXXX: value holds the bits */
	GD_TOK_F64,    /* 0dXXXXXXXXXXXXXXXX or a decimal with a point: value holds the bits of the double */
	GD_TOK_STRING, /* text without its quotes */
	GD_TOK_PUNCT,  /* one character, in `punct` */
	GD_TOK_BAD     /* a number that is none, a string or comment without end */
};

struct gd_token {
	enum gd_tok kind;
	char punct;
	uint32_t length, line;
	const char *text;
	uint64_t value;
};

struct gd_lexer {
	const char *at, *end;
	uint32_t line;
};

/* Start at the text's first byte; lines count from 1. */
void gd_lexer_init(struct gd_lexer *lexer, const char *text, size_t bytes);

/* Read the next token. After the last one it answers GD_TOK_END for ever. */
void gd_lexer_next(struct gd_lexer *lexer, struct gd_token *out_token);

/* Is the token this word? */
bool gd_token_is(const struct gd_token *token, const char *word);

#endif
