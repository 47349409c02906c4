#include "gpu/compile/probe.h"

#include "gpu/base/buf.h"
#include "gpu/base/cleanup.h"
#include "gpu/base/sha256.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool gd_probe_tag(char out_tag[GD_PROBE_TAG_BYTES])
{
	uint8_t random[16];
	if (getrandom(random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
		return false;
	memcpy(out_tag, "gd_", 3);
	gd_hex(random, sizeof random, out_tag + 3);
	memcpy(out_tag + 3 + 2 * sizeof random, "_", 2);
	return true;
}

/* Words that the probe uses and a source may have made macros of. */
static const char *const words[] = {"template", "class",         "struct",        "typename",
				    "typedef",  "static",        "const",         "volatile",
				    "unsigned", "signed",        "long",          "short",
				    "int",      "char",          "bool",          "float",
				    "double",   "void",          "wchar_t",       "char16_t",
				    "char32_t", "char8_t",       "sizeof",        "decltype",

				    "false",    "true",          "__is_enum",     "__underlying_type",
				    "__half",   "__nv_bfloat16", "__attribute__", "global"};

/*
 * `$` stands for the tag; every name has one, since a source may have made macros of all others. A
 * parameter's number, from the low end: 8 bits type (enum gd_type), 8 bits element type, 1 bit const pointee,
 * 15 bits size, 32 bits element size (0: incomplete, or beyond 30 bits).
 */
#define VALUE "static const unsigned long long $v = "

static const char halves[] = "struct __half; struct __nv_bfloat16;\n"
			     "template<> struct $kind<__half> { " VALUE "9; };\n"
			     "template<> struct $kind<__nv_bfloat16> { " VALUE "10; };\n";

static const char templates[] =
    "template<unsigned long long... $N> struct $list {};\n"
    "template<class $L> __attribute__((global)) void $out() {}\n"
    "template<bool $N> struct $bool {};\n"
    /* what is pointed at: element of an array, without const and volatile */
    "template<class $T> struct $item { typedef $T $type; };\n"
    "template<class $T> struct $item<$T[]> : $item<$T> {};\n"
    "template<class $T, unsigned long $N> struct $item<$T[$N]> : $item<$T> {};\n"
    "template<class $T> struct $bare { typedef $T $type; " VALUE "0; };\n"
    "template<class $T> struct $bare<const $T> { typedef $T $type; " VALUE "1; };\n"
    "template<class $T> struct $bare<volatile $T> { typedef $T $type; " VALUE "0; };\n"
    "template<class $T> struct $bare<const volatile $T> { typedef $T $type; " VALUE "1; };\n"
    "template<class $T, bool $E = __is_enum($T)> struct $plain { typedef $T $type; };\n"
    "template<class $T> struct $plain<$T, true> { typedef __underlying_type($T) $type; };\n"
    /* size, 0 where the type is incomplete */
    "template<class $T, class $K = $bool<true> > struct $complete { " VALUE "0; };\n"
    "template<class $T> struct $complete<$T, $bool<sizeof($T) != 0> > { " VALUE "sizeof($T); };\n"
    "template<class $T> struct $size { " VALUE "$complete<$T>::$v >> 30 ? 0 : $complete<$T>::$v; };\n"
    "template<> struct $size<void> { " VALUE "1; };\n"
    "template<class $R, class... $A> struct $size<$R($A...)> { " VALUE "0; };\n"
    "template<class $T> struct $kind { " VALUE "14; };\n"
    "template<class $T> struct $param {\n"
    "  typedef typename $plain<typename $bare<$T>::$type>::$type $type;\n"
    "  " VALUE "$kind<$type>::$v | (unsigned long long)sizeof($T) << 17; };\n"
    "template<class $T> struct $param<$T *> {\n"
    "  typedef typename $item<$T>::$type $pointee;\n"
    "  typedef typename $plain<typename $bare<$pointee>::$type>::$type $type;\n"
    "  " VALUE "15 | $kind<$type>::$v << 8 | $bare<$pointee>::$v << 16 |\n"
    "    (unsigned long long)sizeof($T *) << 17 | $size<$type>::$v << 32; };\n"
    "template<class $T> struct $param<$T &> : $param<$T *> {};\n"
    "template<class $F> struct $of;\n"
    "template<class $R, class... $A> struct $of<$R($A...)> { typedef $list<$param<$A>::$v...> $codes; };\n"
    "template<class $F> struct $of<$F *> : $of<$F> {};\n"
    "template<class $F> struct $of<$F &> : $of<$F> {};\n";

static const struct {
	const char *type;
	enum gd_type kind;
} kinds[] = {
    {"char", GD_TYPE_I8},
    {"signed char", GD_TYPE_I8},
    {"unsigned char", GD_TYPE_U8},
    {"short", GD_TYPE_I16},
    {"unsigned short", GD_TYPE_U16},
    {"int", GD_TYPE_I32},
    {"unsigned int", GD_TYPE_U32},
    {"long", GD_TYPE_I64},
    {"unsigned long", GD_TYPE_U64},
    {"long long", GD_TYPE_I64},
    {"unsigned long long", GD_TYPE_U64},
    {"float", GD_TYPE_F32},
    {"double", GD_TYPE_F64},
    {"bool", GD_TYPE_BOOL},
    {"wchar_t", GD_TYPE_I32},
    {"char16_t", GD_TYPE_U16},
    {"char32_t", GD_TYPE_U32},
};

static void put_tagged(struct gd_buf *buf, const char *text, const char *tag)
{
	for (const char *dollar; (dollar = strchr(text, '$')); text = dollar + 1) {
		gd_buf_add(buf, text, (size_t)(dollar - text));
		gd_buf_puts(buf, tag);
	}
	gd_buf_puts(buf, text);
}

static void put_kind(struct gd_buf *buf, const char *type, enum gd_type kind, const char *tag)
{
	gd_buf_printf(buf, "template<> struct %skind<%s> { static const unsigned long long %sv = %d; };\n",
		      tag, type, tag, (int)kind);
}

char *gd_probe_source(const char *source, size_t bytes, const char *tag, bool with_halves)
{
	enum { PROBE_MAX = 32 * 1024 };
	gd_auto_buf struct gd_buf buf;
	gd_buf_init(&buf, bytes + PROBE_MAX);
	gd_buf_add(&buf, source, bytes);
	/* the first newline ends a comment or is eaten by a backslash, the second then counts */
	gd_buf_puts(&buf, "\n\n");
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		gd_buf_printf(&buf, "#undef %s\n", words[i]);
	put_tagged(&buf, templates, tag);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		put_kind(&buf, kinds[i].type, kinds[i].kind, tag);
	gd_buf_puts(&buf, "#if __cpp_char8_t\n");
	put_kind(&buf, "char8_t", GD_TYPE_U8, tag);
	gd_buf_puts(&buf, "#endif\n");
	if (with_halves)
		put_tagged(&buf, halves, tag);
	return buf.failed ? NULL : gd_buf_take(&buf, NULL);
}

char *gd_probe_expression(const char *tag, const char *kernel)
{
	gd_auto_buf struct gd_buf buf;
	gd_buf_init(&buf, 4096);
	gd_buf_printf(&buf, "%sout<%sof<decltype(%s)>::%scodes>", tag, tag, kernel, tag);
	return buf.failed ? NULL : gd_buf_take(&buf, NULL);
}

static bool agrees(uint64_t code, const struct gd_param *slot)
{
	enum gd_type type = (enum gd_type)(code & 0xff), element = (enum gd_type)(code >> 8 & 0xff);
	bool pointer = type == GD_TYPE_POINTER;
	return type > GD_TYPE_NONE && type < GD_TYPE_COUNT && (code >> 17 & 0x7fff) == slot->size &&
	       (element == GD_TYPE_NONE) == !pointer && element < GD_TYPE_POINTER;
}

static void apply(uint64_t code, struct gd_param *param)
{
	param->type = (enum gd_type)(code & 0xff);
	if (param->type != GD_TYPE_POINTER)
		return;
	param->element = (enum gd_type)(code >> 8 & 0xff);
	param->element_size = code >> 32;
	param->access = code >> 16 & 1 ? GD_PARAM_READ : GD_PARAM_READ_WRITE;
}

/* …<tag>listIJLy15ELy18EEE…: Itanium C++ ABI, 5.1.6.2, an argument pack of unsigned long long literals */
bool gd_probe_read(const char *lowered, const char *tag, struct gd_signature *signature)
{
	char head[GD_PROBE_TAG_BYTES + 8];
	snprintf(head, sizeof head, "%slistIJ", tag);
	const char *at = strstr(lowered, head);
	gd_auto_free uint64_t *codes = calloc(signature->count + 1, sizeof *codes);
	uint32_t count = 0;
	if (!at || !codes)
		return false;
	for (at += strlen(head); !strncmp(at, "Ly", 2); count++) {
		char *end;
		if (count == signature->count)
			return false;
		codes[count] = strtoull(at + 2, &end, 10);
		if (end == at + 2 || *end != 'E' || !agrees(codes[count], &signature->params[count]))
			return false;
		at = end + 1;
	}
	if (*at != 'E' || count != signature->count)
		return false;
	for (uint32_t i = 0; i < count; i++)
		apply(codes[i], &signature->params[i]);
	return true;
}
