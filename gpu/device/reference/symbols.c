#include "gpu/device/reference/ptx.h"

#include <string.h>

static uint32_t hash_of(const char *text, uint32_t length)
{
	uint32_t hash = 2166136261u;
	for (uint32_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619u;
	return hash;
}

bool gd_symbols_init(struct gd_symbols *symbols, struct gd_scratch *arena, size_t text_bytes)
{
	uint32_t count = 256;
	while (count < 1u << 18 && count < text_bytes / 64)
		count *= 2;
	*symbols = (struct gd_symbols){.bucket_count = count};
	symbols->buckets = gd_scratch_take(arena, count, sizeof(struct gd_symbol *));
	return symbols->buckets;
}

bool gd_symbols_enter(struct gd_symbols *symbols)
{
	if (symbols->scope == GD_PTX_SCOPES_MAX)
		return false;
	symbols->scopes[++symbols->scope] = NULL;
	return true;
}

void gd_symbols_leave(struct gd_symbols *symbols)
{
	/* Later declarations stand in front in their buckets, so every head of this scope goes first. */
	for (struct gd_symbol *symbol = symbols->scopes[symbols->scope]; symbol; symbol = symbol->next_scoped)
		symbols->buckets[symbol->hash & (symbols->bucket_count - 1)] = symbol->next;
	symbols->scope--;
}

struct gd_symbol *gd_symbols_add(struct gd_symbols *symbols, struct gd_scratch *arena, const char *text,
				 uint32_t length, enum gd_symbol_kind kind)
{
	struct gd_symbol *symbol = gd_scratch_take(arena, 1, sizeof(*symbol));
	if (!symbol)
		return NULL;
	symbol->text = text;
	symbol->length = length;
	symbol->hash = hash_of(text, length);
	symbol->kind = kind;
	symbol->scope = symbols->scope;
	struct gd_symbol **bucket = &symbols->buckets[symbol->hash & (symbols->bucket_count - 1)];
	symbol->next = *bucket;
	*bucket = symbol;
	symbol->next_scoped = symbols->scopes[symbols->scope];
	symbols->scopes[symbols->scope] = symbol;
	return symbol;
}

static struct gd_symbol *find(const struct gd_symbols *symbols, const char *text, uint32_t length,
			      bool is_range)
{
	uint32_t hash = hash_of(text, length);
	struct gd_symbol *symbol = symbols->buckets[hash & (symbols->bucket_count - 1)];
	for (; symbol; symbol = symbol->next) {
		if (symbol->hash == hash && symbol->length == length &&
		    (symbol->kind == GD_SYM_RANGE) == is_range && !memcmp(symbol->text, text, length))
			return symbol;
	}
	return NULL;
}

struct gd_symbol *gd_symbols_find(const struct gd_symbols *symbols, const char *text, uint32_t length,
				  uint32_t *out_index)
{
	struct gd_symbol *symbol = find(symbols, text, length, false);
	uint32_t prefix = length;
	uint64_t index = 0, scale = 1;
	while (prefix > 0 && length - prefix < 9 && text[prefix - 1] >= '0' && text[prefix - 1] <= '9') {
		index += (uint64_t)(text[--prefix] - '0') * scale;
		scale *= 10;
		if (length - prefix > 1 && text[prefix] == '0')
			continue;
		/* "%r12" may be %r<20>[12] or %r1<20>[2]: every split is tried, as ptxas does. */
		struct gd_symbol *range = find(symbols, text, prefix, true);
		if (range && index < range->count && (!symbol || range->scope > symbol->scope)) {
			symbol = range;
			*out_index = (uint32_t)index;
		}
	}
	return symbol;
}
