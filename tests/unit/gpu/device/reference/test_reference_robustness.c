/*
 * Hostile PTX: a valid module that uses every part of the language is damaged at random, loaded, and, when it
 * still loads, run under a budget. Nothing may crash; an error must say something.
 */
#include "tests/unit/gpu/device/reference/rig.h"

#include <stdio.h>

static const char ptx[] =
    ".version 8.0\n.target sm_90\n.address_size 64\n"
    ".file 1 \"a/b.cu\"\n"
    ".extern .func (.param .b32 r) vprintf(.param .b64 a, .param .b64 b);\n"
    ".extern .func (.param .b64 r) malloc(.param .b64 a);\n"
    ".extern .func free(.param .b64 a);\n"
    ".global .align 4 .u32 counter = 7;\n.global .align 8 .u64 where[2] = {generic(counter), f};\n"
    ".const .align 4 .f32 tab[4] = {0f3F800000, 1.5, 0f40000000, 0f40400000};\n.global .align 1 .b8 text[4] "
    "= {104, 105, 10, 0};\n"
    ".global .align 8 .b8 mixed[16] = {1, 0, 0, 0, 0, 0, 0, 0, 0xFF(counter), 0xFF00(counter), "
    "0xFF0000(counter), 0, 0, 0, 0, 0};\n"
    ".extern .shared .align 16 .b8 dyn[];\n"
    ".func (.param .b32 out) f(.param .b32 n, .param .align 4 .b8 s[8])\n{\n"
    ".local .align 8 .b8 depot[24];\n.reg .b64 %SP; .reg .b32 %r<8>; .reg .pred %p<2>; .reg .b64 %d<3>; .reg "
    ".b16 %h<3>;\n"
    "mov.u64 %SP, depot; ld.param.u32 %r1, [n]; ld.param.u16 %h1, [s+2]; ld.param.v2.u8 {%h1, %h2}, [s+4];\n"
    "st.local.u32 [%SP+4], %r1; ld.local.v2.u32 {%r2, %r3}, [%SP]; cvta.local.u64 %d1, %SP; ld.u32 %r3, "
    "[%d1+4];\n"
    "setp.lt.s32 %p1, %r1, 2; @%p1 bra $done;\n"
    "{ .param .b32 p0; .param .align 4 .b8 p1[8]; .param .b32 q; sub.s32 %r4, %r1, 1; st.param.b32 [p0+0], "
    "%r4;\n"
    "st.param.v2.b8 [p1+4], {%h1, %h2}; call.uni (q), f, (p0, p1); ld.param.b32 %r5, [q+0]; }\n"
    "add.s32 %r1, %r5, %r1;\n$done: st.param.b32 [out+0], %r1; ret;\n}\n"
    ".visible .entry k(.param .u64 a, .param .u64 b, .param .align 4 .b8 c[12])\n.maxntid 128, 1, 1\n{\n"
    ".shared .align 4 .b8 s[256];\n.reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<40>; .reg .f32 %f<9>; "
    ".reg .b64 %rd<20>; .reg "
    ".f64 %fd<4>;\n"
    ".loc 1 5 3\nld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.v2.u32 {%r1, %r2}, [c+4]; mov.u64 "
    "%rd9, c; ld.param.u32 "
    "%r3, [%rd9+8];\n"
    "cvta.to.global.u64 %rd3, %rd1; cvta.to.global.u64 %rd4, %rd2; mov.u32 %r4, %tid.x; mul.wide.u32 %rd5, "
    "%r4, 4;\n"
    "add.s64 %rd6, %rd3, %rd5; ld.global.u32 %r5, [%rd6]; ld.global.nc.v4.f32 {%f1, %f2, %f3, %f4}, [%rd3];\n"
    "mov.u32 %r6, s; shl.b32 %r7, %r4, 2; add.u32 %r8, %r6, %r7; st.shared.u32 [%r8], %r5; bar.sync 0;\n"
    "ld.shared.u32 %r9, [s+12]; atom.shared.add.u32 %r10, [s], 1; red.global.max.s32 [%rd4+64], %r5;\n"
    "atom.global.cas.b32 %r11, [%rd4+68], 0, %r5; atom.global.add.f32 %f5, [%rd4+72], 0f3F800000;\n"
    "shfl.sync.down.b32 %r12|%p1, %r5, 1, 31, -1; vote.sync.ballot.b32 %r13, %p1, -1; match.any.sync.b32 "
    "%r14, %r5, -1;\n"
    "redux.sync.add.u32 %r15, %r5, -1; activemask.b32 %r16; bar.red.popc.u32 %r17, 0, %p1; bar.warp.sync "
    "-1;\n"
    "fma.rn.f32 %f6, %f1, %f2, %f3; sqrt.rz.f32 %f7, %f6; ex2.approx.ftz.f32 %f8, %f7; cvt.rzi.s32.f32 %r18, "
    "%f8;\n"
    "cvt.f64.f32 %fd1, %f1; div.rn.f64 %fd2, %fd1, 0d4008000000000000; cvt.rn.f16.f32 %h1, %f1; add.f16 %h2, "
    "%h1, %h1;\n"
    "ld.const.f32 %f5, [tab+4]; ld.global.u32 %r19, [counter]; ld.global.u64 %rd7, [where+8];\n"
    "add.cc.u32 %r20, %r5, %r4; addc.u32 %r21, %r5, 0; prmt.b32 %r22, %r5, %r4, 0x3210; lop3.b32 %r23, %r5, "
    "%r4, %r9, 0x96;\n"
    "bfe.u32 %r24, %r5, 3, 5; mad.wide.u32 %rd8, %r5, %r4, %rd5; dp4a.u32.u32 %r25, %r5, %r4, %r9; rem.s32 "
    "%r26, %r5, 7;\n"
    "setp.gt.and.u32 %p2|%p3, %r4, 3, !%p1; selp.b32 %r27, %r5, %r4, %p2; @%p2 add.u32 %r27, %r27, 1; "
    "not.pred %p4, %p2;\n"
    "{ .param .b32 p0; .param .align 4 .b8 p1[8]; .param .b32 q; and.b32 %r28, %r4, 7; st.param.b32 [p0+0], "
    "%r28; st.param.b32 [p1+4], "
    "%r4;\n"
    "proto: .callprototype (.param .b32 _) _ (.param .b32 _, .param .align 4 .b8 _[8]);\n"
    "call (q), %rd7, (p0, p1), proto; ld.param.b32 %r29, [q+0]; }\n"
    "{ .param .b64 m0; .param .b64 m1; mov.b64 %rd10, 40; st.param.b64 [m0+0], %rd10; call.uni (m1), malloc, "
    "(m0); ld.param.b64 %rd11, "
    "[m1+0]; }\n"
    "setp.ne.s64 %p5, %rd11, 0; @!%p5 bra $none; st.u32 [%rd11+4], %r5; { .param .b64 m0; st.param.b64 "
    "[m0+0], %rd11; call.uni free, "
    "(m0); }\n"
    "$none: mov.u32 %r30, 0;\n$loop: add.u32 %r30, %r30, 1; setp.lt.u32 %p6, %r30, %r4; @%p6 bra $loop;\n"
    "and.b32 %r31, %r4, 3;\n$list: .branchtargets $c0, $c1, $c2, $c3;\nbrx.idx %r31, $list;\n"
    "$c0: add.u32 %r30, %r30, 10; bra.uni $join;\n$c1: add.u32 %r30, %r30, 20; bra.uni $join;\n$c2: @%p2 bra "
    "$join; add.u32 %r30, %r30, "
    "30;\n"
    "$c3: mov.b64 {%r32, %r33}, %rd8; mov.b64 %rd12, {%r33, %r32};\n$join: add.s64 %rd13, %rd4, %rd5;\n"
    "add.u32 %r30, %r30, %r29; st.global.u32 [%rd13], %r30; membar.gl; st.volatile.global.u32 [%rd4+80], "
    "%r30;\n"
    "setp.gt.u32 %p7, %r4, 1000; @%p7 trap; ret;\n}\n";

static struct rig rig;
static uint64_t random_state = 88172645463325252ull;

static uint32_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

static bool run_once(void)
{
	static int in[64], out[64];
	static const uint32_t c[3] = {1, 2, 3};
	memset(out, 0, sizeof(out));
	if (rig.kernel.param_count != 3 || rig.kernel.param_bytes != 28 || rig.kernel.params[2].size != 12)
		return false;
	const struct rig_buffer buffers[] = {{RIG_IN, in, sizeof(in)}, {RIG_INOUT, out, sizeof(out)}};
	bool is_done = rig_run(&rig, &(struct rig_launch){.grid = {2},
							  .block = {40},
							  .shared_bytes = 64,
							  .buffers = buffers,
							  .buffer_count = 2,
							  .scalars = {c}});
	if (!is_done)
		assert_true(rig.error.text[0]);
	return is_done;
}

static void the_undamaged_module_runs(void **state)
{
	(void)state;
	rig_open(&rig);
	rig_load(&rig, ptx, "k");
	if (!run_once())
		fail_msg("%s", rig.error.text);
	rig_close(&rig);
}

/* How often to damage the module; REFERENCE_MUTATIONS raises it. */
static uint32_t mutations(void)
{
	const char *text = getenv("REFERENCE_MUTATIONS");
	return text ? (uint32_t)strtoul(text, NULL, 10) : 3000;
}

/* Another digit for a digit: other registers, labels, offsets, sizes and types, most of which still load. */
static void change_digits(char *text, size_t length)
{
	for (uint32_t changes = 1 + next_random() % 3; changes;) {
		size_t at = next_random() % length;
		if (text[at] < '0' || text[at] > '9')
			continue;
		text[at] = (char)('0' + next_random() % 10);
		changes--;
	}
}

/* Exchange two statements of the same length or copy one over the other's beginning. */
static void change_statements(char *text, size_t length)
{
	char kept[200];
	size_t from = next_random() % length, to = next_random() % length;
	while (from < length && text[from] != ';')
		from++;
	while (to < length && text[to] != ';')
		to++;
	size_t end = from + 1;
	while (end < length && text[end] != ';')
		end++;
	size_t run = end - from;
	if (end >= length || run > sizeof(kept) || to + run >= length)
		return;
	memcpy(kept, text + from, run);
	memmove(text + from, text + from + run, length - from - run);
	if (to > length - run)
		to = length - run;
	memmove(text + to + run, text + to, length - run - to);
	memcpy(text + to, kept, run);
}

/* Any damage at all. Returns the new length. */
static size_t change_bytes(char *text, size_t length)
{
	for (uint32_t changes = 1 + next_random() % 4; changes; changes--) {
		size_t at = next_random() % length, from = next_random() % length;
		size_t run = 1 + next_random() % 12;
		run = at + run > length ? length - at : run;
		run = from + run > length ? length - from : run;
		switch (next_random() % 4) {
		case 0:
			text[at] = (char)next_random();
			break;
		case 1:
			text[at] ^= (char)(1 << next_random() % 8);
			break;
		case 2: /* copy a piece over another */
			memmove(text + at, text + from, run);
			break;
		default: /* cut a piece out */
			memmove(text + at, text + at + run, length - at - run);
			length -= run;
			break;
		}
	}
	return length;
}

static void damaged_modules_never_crash(void **state)
{
	static char text[sizeof(ptx) + 64];
	uint32_t loaded = 0, done = 0, count = mutations();
	(void)state;
	rig_open(&rig);
	gd_reference_set_budget(rig.device, 200000);
	for (uint32_t i = 0; i < count; i++) {
		size_t length = sizeof(ptx) - 1;
		memcpy(text, ptx, sizeof(ptx));
		if (i % 4 < 2)
			change_digits(text, length);
		if (i % 4 == 1 || i % 4 == 2)
			change_statements(text, length);
		if (i % 4 == 3)
			length = change_bytes(text, length);
		text[length] = 0;
		memset(&rig.error, 0, sizeof(rig.error));
		if (!rig_try_load(&rig, text, length, "k")) {
			if (rig.error.code == GD_OK || rig.error.code == GD_DEVICE_OUT_OF_MEMORY)
				fail_msg("mutation %u: %s", i, rig.error.text);
			continue;
		}
		loaded++;
		done += run_once();
	}
	print_message("%u of %u damaged modules loaded, %u of them ran to their end\n", loaded, count, done);
	assert_true(loaded > count / 10);
	rig_close(&rig);
}

static void truncated_modules_never_crash(void **state)
{
	(void)state;
	rig_open(&rig);
	for (size_t length = 0; length < sizeof(ptx) - 1; length += 3) {
		/* In memory of its own size, so that reading past the end is seen by a sanitizer. */
		char *copy = malloc(length ? length : 1);
		assert_non_null(copy);
		memcpy(copy, ptx, length);
		rig_try_load(&rig, copy, length, "k");
		free(copy);
	}
	rig_close(&rig);
}

/* A chain of blocks and a nest of loops that would take for ever in an algorithm with a bad worst case. */
static void large_modules_load_in_time(void **state)
{
	enum { BLOCKS = 20000 };
	size_t room = BLOCKS * 120 + 1000, length;
	char *text = malloc(room);
	(void)state;
	assert_non_null(text);
	rig_open(&rig);
	length = (size_t)snprintf(
	    text, room,
	    ".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 a)\n{\n.reg .b32 "
	    "%%r<9000>; .reg .pred %%p<3>;\nmov.u32 %%r0, 0;\n");
	for (int i = 0; i < BLOCKS; i++)
		length += (size_t)snprintf(
		    text + length, room - length,
		    "$L%d: add.u32 %%r%d, %%r%d, 1; setp.eq.u32 %%p1, %%r%d, 3; @%%p1 bra $L%d;\n", i,
		    i % 9000, (i + 4500) % 9000, (i * 7) % 9000, BLOCKS - 1 - i);
	length += (size_t)snprintf(text + length, room - length, "ret;\n}\n");
	memset(&rig.error, 0, sizeof(rig.error));
	if (!rig_try_load(&rig, text, length, "k"))
		assert_true(rig.error.text[0]);
	rig_close(&rig);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_undamaged_module_runs),
	    cmocka_unit_test(damaged_modules_never_crash),
	    cmocka_unit_test(truncated_modules_never_crash),
	    cmocka_unit_test(large_modules_load_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
