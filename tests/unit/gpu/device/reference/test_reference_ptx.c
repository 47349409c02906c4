/*
 * PTX written out: instructions that CUDA C++ reaches only through assembly, rounding modes, halves,
 * conversions. These need no NVRTC. Each row is a body that turns %r1..%r3 (or the wide %rd1..%rd3) into %r0
 * (or %rd0).
 */
#include "tests/unit/gpu/device/reference/rig.h"

#include <fenv.h>
#include <math.h>
#include <stdio.h>

static struct rig rig;

static const char head[] =
    ".version 8.0\n.target sm_90\n.address_size 64\n"
    ".visible .entry k(.param .u64 in, .param .u64 out)\n{\n"
    ".reg .pred %p<8>; .reg .b16 %h<16>; .reg .b32 %r<16>; .reg .f32 %f<8>; .reg .b64 %rd<16>;\n"
    ".reg .f64 %fd<8>; .reg .b64 %a<4>;\n"
    "ld.param.u64 %a0, [in]; ld.param.u64 %a1, [out];\n"
    "cvta.to.global.u64 %a0, %a0; cvta.to.global.u64 %a1, %a1;\n"
    "mov.u32 %r15, %tid.x; mul.wide.u32 %a2, %r15, 8; add.s64 %a1, %a1, %a2;\n"
    "mul.wide.u32 %a2, %r15, 24; add.s64 %a0, %a0, %a2;\n"
    "ld.global.u64 %rd1, [%a0]; ld.global.u64 %rd2, [%a0+8]; ld.global.u64 %rd3, [%a0+16];\n"
    "cvt.u32.u64 %r1, %rd1; cvt.u32.u64 %r2, %rd2; cvt.u32.u64 %r3, %rd3;\n"
    "mov.b32 %f1, %r1; mov.b32 %f2, %r2; mov.b32 %f3, %r3;\n"
    "mov.b64 %fd1, %rd1; mov.b64 %fd2, %rd2; mov.b64 %fd3, %rd3;\n"
    "cvt.u16.u32 %h1, %r1; cvt.u16.u32 %h2, %r2; cvt.u16.u32 %h3, %r3;\n"
    "mov.u32 %r0, 0; mov.u64 %rd0, 0; mov.f32 %f0, 0f00000000; mov.f64 %fd0, 0d0000000000000000;\n"
    "mov.u16 %h0, 0;\n";

/* What carries the result. */
static const char *const tails[] = {
    ['r'] = "cvt.u64.u32 %rd0, %r0;\n",
    ['d'] = "",
    ['f'] = "mov.b32 %r0, %f0; cvt.u64.u32 %rd0, %r0;\n",
    ['D'] = "mov.b64 %rd0, %fd0;\n",
    ['h'] = "cvt.u64.u16 %rd0, %h0;\n",
    ['p'] = "selp.u64 %rd0, 1, 0, %p0;\n",
};

static uint64_t value_of(char kind, const char *body, uint64_t a, uint64_t b, uint64_t c)
{
	static char text[8192];
	uint64_t in[3 * 40], out[40];
	for (int i = 0; i < 40; i++) {
		in[3 * i] = a;
		in[3 * i + 1] = b;
		in[3 * i + 2] = c;
	}
	snprintf(text, sizeof(text), "%s%s\n%sst.global.u64 [%%a1], %%rd0;\nret;\n}\n", head, body,
		 tails[(int)kind]);
	if (!rig_try_load(&rig, text, strlen(text), "k"))
		fail_msg("%s: %s", body, rig.error.text);
	const struct rig_buffer buffers[] = {{RIG_IN, in, sizeof(in)}, {RIG_OUT, out, sizeof(out)}};
	rig_must_run(&rig, &(struct rig_launch){.block = {40}, .buffers = buffers, .buffer_count = 2});
	for (int i = 1; i < 40; i++)
		assert_true(out[i] == out[0]);
	return out[0];
}

struct row {
	char kind;
	const char *body;
	uint64_t a, b, c, want;
};

static void check(const struct row *rows, size_t count)
{
	rig_open(&rig);
	for (size_t i = 0; i < count; i++) {
		uint64_t got = value_of(rows[i].kind, rows[i].body, rows[i].a, rows[i].b, rows[i].c);
		if (got != rows[i].want)
			fail_msg("%s of 0x%llx, 0x%llx, 0x%llx is 0x%llx, not 0x%llx", rows[i].body,
				 (unsigned long long)rows[i].a, (unsigned long long)rows[i].b,
				 (unsigned long long)rows[i].c, (unsigned long long)got,
				 (unsigned long long)rows[i].want);
	}
	rig_close(&rig);
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof(rows[0]))

static void integer_instructions_do_what_the_isa_says(void **state)
{
	static const struct row rows[] = {
	    {'r', "add.sat.s32 %r0, %r1, %r2;", 0x7fffffff, 1, 0, 0x7fffffff},
	    {'r', "sub.sat.s32 %r0, %r1, %r2;", 0x80000000, 1, 0, 0x80000000},
	    {'r', "mad.hi.sat.s32 %r0, %r1, %r2, %r3;", 0x7fffffff, 0x7fffffff, 0x7fffffff, 0x7fffffff},
	    {'r', "mad.hi.u32 %r0, %r1, %r2, %r3;", 0xffffffff, 0xffffffff, 3, 1},
	    {'d', "mad.wide.s32 %rd0, %r1, %r2, %rd3;", 0xffffffff, 5, 7, 2},
	    {'d', "mad.lo.s64 %rd0, %rd1, %rd2, %rd3;", 1ull << 40, 1ull << 30, 9, 9},
	    {'r', "mul24.hi.u32 %r0, %r1, %r2;", 0xffffff, 0xffffff, 0, 0xfffffe00},
	    {'r', "mad24.lo.s32 %r0, %r1, %r2, %r3;", 0xffffff, 3, 10, 7},
	    {'r', "sad.u32 %r0, %r1, %r2, %r3;", 3, 10, 100, 107},
	    {'r', "sad.s32 %r0, %r1, %r2, %r3;", 0xfffffff0, 16, 1, 33},
	    {'r', "bfe.u32 %r0, %r1, %r2, %r3;", 0x12345678, 8, 12, 0x456},
	    {'r', "bfe.s32 %r0, %r1, %r2, %r3;", 0x00f00000, 20, 4, 0xffffffff},
	    {'r', "bfe.s32 %r0, %r1, %r2, %r3;", 0x80000000, 28, 20, 0xfffffff8},
	    {'r', "bfe.s32 %r0, %r1, %r2, %r3;", 0x80000000, 40, 5, 0xffffffff},
	    {'r', "bfe.u32 %r0, %r1, %r2, %r3;", 0x80000000, 4, 0, 0},
	    {'d', "bfe.u64 %rd0, %rd1, %r2, %r3;", 0x123456789abcdef0, 32, 16, 0x5678},
	    {'d', "bfe.s64 %rd0, %rd1, %r2, %r3;", 1ull << 63, 60, 64, 0xfffffffffffffff8},
	    {'r', "bfi.b32 %r0, %r1, %r2, 8, %r3;", 0xabc, 0xffffffff, 12, 0xfffabcff},
	    {'r', "bfi.b32 %r0, %r1, %r2, 40, %r3;", 0xabc, 7, 12, 7},
	    {'d', "bfi.b64 %rd0, %rd1, %rd2, 60, %r3;", 0xff, 0, 16, 0xf000000000000000},
	    {'r', "bfind.u32 %r0, %r1;", 0x00010000, 0, 0, 16},
	    {'r', "bfind.u32 %r0, %r1;", 0, 0, 0, 0xffffffff},
	    {'r', "bfind.s32 %r0, %r1;", 0xfffeffff, 0, 0, 16},
	    {'r', "bfind.shiftamt.u32 %r0, %r1;", 0x00010000, 0, 0, 15},
	    {'r', "bfind.s64 %r0, %rd1;", ~0ull << 40, 0, 0, 39},
	    {'r', "bfind.shiftamt.u64 %r0, %rd1;", 0, 0, 0, 0xffffffff},
	    {'r', "clz.b64 %r0, %rd1;", 1, 0, 0, 63},
	    {'r', "popc.b64 %r0, %rd1;", 0xf0f0f0f0f0f0f0f0, 0, 0, 32},
	    {'d', "brev.b64 %rd0, %rd1;", 1, 0, 0, 1ull << 63},
	    {'r', "bmsk.clamp.b32 %r0, %r1, %r2;", 4, 8, 0, 0xff0},
	    {'r', "bmsk.clamp.b32 %r0, %r1, %r2;", 40, 8, 0, 0},
	    {'r', "bmsk.wrap.b32 %r0, %r1, %r2;", 36, 8, 0, 0xff0},
	    {'r', "szext.wrap.s32 %r0, %r1, %r2;", 0xff, 4, 0, 0xffffffff},
	    {'r', "szext.clamp.u32 %r0, %r1, %r2;", 0xff, 4, 0, 15},
	    {'r', "fns.b32 %r0, %r1, %r2, %r3;", 0xf0, 0, 2, 5},
	    {'r', "fns.b32 %r0, %r1, %r2, %r3;", 0xf0, 31, 0xfffffffe, 6},
	    {'r', "fns.b32 %r0, %r1, %r2, %r3;", 0xf0, 4, 0, 4},
	    {'r', "fns.b32 %r0, %r1, %r2, %r3;", 0xf0, 0, 9, 0xffffffff},
	    {'r', "prmt.b32 %r0, %r1, %r2, %r3;", 0x83020100, 0x07060504, 0xb740, 0xff070400},
	    {'r', "prmt.b32.f4e %r0, %r1, %r2, %r3;", 0x03020100, 0x07060504, 1, 0x04030201},
	    {'r', "prmt.b32.b4e %r0, %r1, %r2, %r3;", 0x03020100, 0x07060504, 1, 0x06070001},
	    {'r', "prmt.b32.rc8 %r0, %r1, %r2, %r3;", 0x03020100, 0, 2, 0x02020202},
	    {'r', "prmt.b32.ecl %r0, %r1, %r2, %r3;", 0x03020100, 0, 2, 0x03020202},
	    {'r', "prmt.b32.ecr %r0, %r1, %r2, %r3;", 0x03020100, 0, 1, 0x01010100},
	    {'r', "prmt.b32.rc16 %r0, %r1, %r2, %r3;", 0x03020100, 0, 1, 0x03020302},
	    {'r', "shf.l.clamp.b32 %r0, %r1, %r2, %r3;", 0x80000000, 1, 33, 0x80000000},
	    {'r', "shf.l.wrap.b32 %r0, %r1, %r2, %r3;", 0x80000000, 1, 33, 3},
	    {'r', "shf.r.clamp.b32 %r0, %r1, %r2, %r3;", 1, 0xabcd, 40, 0xabcd},
	    {'r', "shf.r.wrap.b32 %r0, %r1, %r2, %r3;", 0x10, 1, 36, 0x10000001},
	    {'r', "shl.b32 %r0, %r1, %r2;", 1, 32, 0, 0},
	    {'r', "shr.s32 %r0, %r1, %r2;", 0x80000000, 99, 0, 0xffffffff},
	    {'h', "shr.u16 %h0, %h1, %r2;", 0x8000, 16, 0, 0},
	    {'h', "shr.s16 %h0, %h1, %r2;", 0x8000, 3, 0, 0xf000},
	    {'d', "shr.s64 %rd0, %rd1, %r2;", 1ull << 63, 63, 0, ~0ull},
	    {'r', "lop3.b32 %r0, %r1, %r2, %r3, 0xe8;", 12, 10, 6, 14},
	    {'r', "cnot.b32 %r0, %r1;", 0, 0, 0, 1},
	    {'r', "slct.u32.s32 %r0, %r1, %r2, %r3;", 5, 6, 0x80000000, 6},
	    {'r', "slct.u32.f32 %r0, %r1, %r2, %f3;", 5, 6, 0x80000000, 5},
	    {'r', "slct.u32.f32 %r0, %r1, %r2, %f3;", 5, 6, 0x7fc00000, 6},
	    {'r', "add.cc.u32 %r4, %r1, %r2; addc.u32 %r0, %r3, 0;", 0xffffffff, 1, 5, 6},
	    {'r', "sub.cc.u32 %r4, %r1, %r2; subc.u32 %r0, %r3, 0;", 0, 1, 5, 4},
	    {'r', "add.cc.u32 %r4, %r1, %r2; addc.cc.u32 %r5, %r3, 0; addc.u32 %r0, 0, 0;", 0xffffffff, 1,
	     0xffffffff, 1},
	    {'r', "mad.lo.cc.u32 %r4, %r1, %r2, %r3; madc.hi.u32 %r0, %r1, %r2, 0;", 0xffffffff, 0xffffffff,
	     0xffffffff, 0xffffffff},
	    {'d', "add.cc.u64 %rd4, %rd1, %rd2; addc.u64 %rd0, %rd3, 0;", ~0ull, 1, 5, 6},
	    {'r', "min.s16x2 %r0, %r1, %r2;", 0x8000ffff, 0x00010001, 0, 0x8000ffff},
	    {'r', "max.u16x2 %r0, %r1, %r2;", 0x8000ffff, 0x00010001, 0, 0x8000ffff},
	    {'r', "add.u16x2 %r0, %r1, %r2;", 0x0001ffff, 0x00020001, 0, 0x00030000},
	    {'r', "dp2a.hi.s32.s32 %r0, %r1, %r2, %r3;", 0xffff0002, 0xff030000, 10, 17},
	    {'r', "dp4a.s32.u32 %r0, %r1, %r2, %r3;", 0xff000000, 0xff000000, 300, 45},
	    {'r', "vabsdiff4.s32.s32.s32.sat %r0, %r1, %r2, %r3;", 0x80017f00, 0x7f020000, 0, 0x7f017f00},
	    {'r', "vadd2.u32.u32.u32.sat %r0, %r1, %r2, %r3;", 0xffff0001, 0x00010001, 0, 0xffff0002},
	    {'r', "vsub4.s32.s32.s32.add %r0, %r1, %r2, %r3;", 0x00000005, 0x00000107, 10, 7},
	    {'r', "isspacep.global %p1, %a0; selp.u32 %r0, 1, 0, %p1;", 0, 0, 0, 1},
	    {'r', "isspacep.shared %p1, %a0; selp.u32 %r0, 1, 0, %p1;", 0, 0, 0, 0},
	    {'r', "setp.lt.u32 %p1|%p2, %r1, %r2; selp.u32 %r4, 1, 0, %p1; selp.u32 %r0, 2, %r4, %p2;", 3, 2,
	     0, 2},
	    {'r',
	     "setp.eq.u32 %p1, %r1, 1; setp.lt.and.s32 %p2|%p3, %r1, %r2, !%p1; selp.u32 %r4, 1, 0, %p2; "
	     "selp.u32 %r5, 2, 0, %p3; or.b32 %r0, %r4, %r5;",
	     0, 9, 0, 1},
	    {'r', "set.lt.u32.s32 %r0, %r1, %r2;", 0xffffffff, 0, 0, 0xffffffff},
	    {'r', "set.gtu.f32.f32 %f0, %f1, %f2; mov.b32 %r0, %f0;", 0x7fc00000, 0, 0, 0x3f800000},
	    {'r', "setp.ne.u32 %p1, %r1, 0; @%p1 mov.u32 %r0, 5; @!%p1 mov.u32 %r0, 6;", 0, 0, 0, 6},
	    {'r',
	     "{ .reg .u32 t; mov.u32 t, %r1; { .reg .u32 t; mov.u32 t, %r2; add.u32 %r0, t, %r0; } add.u32 "
	     "%r0, t, %r0; }",
	     3, 4, 0, 7},
	    {'d', "mov.b64 {%h4, %h5, %h6, %h7}, %rd1; mov.b64 %rd0, {%h7, %h6, %h5, %h4};",
	     0x0001000200030004, 0, 0, 0x0004000300020001},
	    {'d', "mov.b64 {%r4, _}, %rd1; mov.b64 %rd0, {0, %r4};", 0x123456789, 0, 0, 0x2345678900000000},
	    {'r',
	     "mov.u32 %r4, %r1; $loop: add.u32 %r0, %r0, %r4; sub.u32 %r4, %r4, 1; setp.ne.u32 %p1, %r4, 0; "
	     "@%p1 bra "
	     "$loop;",
	     10, 0, 0, 55},
	    {'r',
	     "$list: .branchtargets $one, $two, $three; brx.idx %r1, $list; $one: mov.u32 %r0, 1; bra $end; "
	     "$two: mov.u32 "
	     "%r0, 2; bra $end; $three: mov.u32 %r0, 3; $end:",
	     2, 0, 0, 3},
	    {'r', "mov.u32 %r0, %ntid.x; mov.u32 %r4, %nctaid.y; add.u32 %r0, %r0, %r4;", 0, 0, 0, 41},
	    {'r', "mov.u32 %r0, WARP_SZ;", 0, 0, 0, 32},
	};
	(void)state;
	CHECK(rows);
}

static void conversions_round_clamp_and_extend(void **state)
{
	static const struct row rows[] = {
	    {'r', "cvt.rni.s32.f32 %r0, %f1;", 0x40200000, 0, 0, 2}, /* 2.5 */
	    {'r', "cvt.rzi.s32.f32 %r0, %f1;", 0xc0200000, 0, 0, 0xfffffffe},
	    {'r', "cvt.rmi.s32.f32 %r0, %f1;", 0xc0200000, 0, 0, 0xfffffffd},
	    {'r', "cvt.rpi.u32.f32 %r0, %f1;", 0x40200000, 0, 0, 3},
	    {'r', "cvt.rzi.s32.f32 %r0, %f1;", 0x7f800000, 0, 0, 0x7fffffff},
	    {'r', "cvt.rzi.s32.f32 %r0, %f1;", 0x7fc00000, 0, 0, 0},
	    {'r', "cvt.rzi.u32.f32 %r0, %f1;", 0xbf800000, 0, 0, 0},
	    {'r', "cvt.rzi.u32.f32 %r0, %f1;", 0x4f800000, 0, 0, 0xffffffff},
	    {'d', "cvt.rzi.s64.f32 %rd0, %f1;", 0x7fc00000, 0, 0, 1ull << 63},
	    {'d', "cvt.rzi.u64.f64 %rd0, %fd1;", 0x43f0000000000000, 0, 0, ~0ull},
	    {'d', "cvt.rzi.s64.f64 %rd0, %fd1;", 0x7ff8000000000000, 0, 0, 1ull << 63},
	    {'r', "cvt.rzi.s32.f64 %r0, %fd1;", 0x7ff8000000000000, 0, 0, 1u << 31},
	    {'r', "cvt.rzi.u8.f32 %r0, %f1;", 0x43960000, 0, 0, 255}, /* 300 */
	    {'r', "cvt.rzi.s8.f32 %r0, %f1;", 0xc3960000, 0, 0, 0xffffff80},
	    {'h', "cvt.rzi.s16.f32 %h0, %f1;", 0x47c35000, 0, 0, 0x7fff}, /* 100000 */
	    {'r', "cvt.sat.u8.s32 %r0, %r1;", 0xffffffff, 0, 0, 0},
	    {'r', "cvt.sat.s8.s32 %r0, %r1;", 200, 0, 0, 127},
	    {'r', "cvt.sat.u32.s64 %r0, %rd1;", 1ull << 40, 0, 0, 0xffffffff},
	    {'r', "cvt.sat.s32.u32 %r0, %r1;", 0xffffffff, 0, 0, 0x7fffffff},
	    {'r', "cvt.s32.s8 %r0, %r1;", 0x1ff, 0, 0, 0xffffffff},
	    {'r', "cvt.u32.u8 %r0, %r1;", 0x1ff, 0, 0, 255},
	    {'d', "cvt.s64.s16 %rd0, %h1;", 0x8000, 0, 0, 0xffffffffffff8000},
	    {'d', "cvt.s8.s64 %rd0, %rd1;", 0x180, 0, 0, 0xffffffffffffff80},
	    {'h', "cvt.u16.u64 %h0, %rd1;", 0x12345, 0, 0, 0x2345},
	    {'f', "cvt.rn.f32.u32 %f0, %r1;", 0xffffffff, 0, 0, 0x4f800000},
	    {'f', "cvt.rz.f32.u32 %f0, %r1;", 0xffffffff, 0, 0, 0x4f7fffff},
	    {'f', "cvt.rp.f32.s32 %f0, %r1;", 0x01000001, 0, 0, 0x4b800001},
	    {'f', "cvt.rm.f32.s64 %f0, %rd1;", 0xfffffffffeffffff, 0, 0, 0xcb800001},
	    {'f', "cvt.rn.f32.u64 %f0, %rd1;", ~0ull, 0, 0, 0x5f800000},
	    {'D', "cvt.rz.f64.u64 %fd0, %rd1;", ~0ull, 0, 0, 0x43efffffffffffff},
	    {'f', "cvt.rn.f32.f64 %f0, %fd1;", 0x3ff0000010000000, 0, 0, 0x3f800000},
	    {'f', "cvt.rp.f32.f64 %f0, %fd1;", 0x3ff0000010000000, 0, 0, 0x3f800001},
	    {'f', "cvt.rz.f32.f64 %f0, %fd1;", 0x7fe0000000000000, 0, 0, 0x7f7fffff},
	    {'f', "cvt.sat.f32.f32 %f0, %f1;", 0x7fc00000, 0, 0, 0},
	    {'f', "cvt.rni.f32.f32 %f0, %f1;", 0x3f000000, 0, 0, 0},
	    {'f', "cvt.rpi.f32.f32 %f0, %f1;", 0xbf000000, 0, 0, 0x80000000},
	    {'f', "cvt.ftz.f32.f32 %f0, %f1;", 0x80000001, 0, 0, 0x80000000},
	    {'h', "cvt.rn.f16.f32 %h0, %f1;", 0x477ff000, 0, 0, 0x7c00}, /* 65520 */
	    {'h', "cvt.rn.f16.f32 %h0, %f1;", 0x477fefff, 0, 0, 0x7bff},
	    {'h', "cvt.rz.f16.f32 %h0, %f1;", 0x477ff000, 0, 0, 0x7bff},
	    {'h', "cvt.rn.f16.f32 %h0, %f1;", 0x33000000, 0, 0, 0}, /* 2^-25: half of the least */
	    {'h', "cvt.rn.f16.f32 %h0, %f1;", 0x33000001, 0, 0, 1},
	    {'h', "cvt.rp.f16.f32 %h0, %f1;", 0x00000001, 0, 0, 1},
	    {'h', "cvt.rn.f16.f64 %h0, %fd1;", 0x3ff0020000000001, 0, 0, 0x3c01},
	    {'h', "cvt.rn.bf16.f32 %h0, %f1;", 0x3f808000, 0, 0, 0x3f80},
	    {'h', "cvt.rn.bf16.f32 %h0, %f1;", 0x3f818000, 0, 0, 0x3f82},
	    {'h', "cvt.rn.bf16.f32 %h0, %f1;", 0x7f7fffff, 0, 0, 0x7f80},
	    {'f', "cvt.f32.f16 %f0, %h1;", 0x0001, 0, 0, 0x33800000},
	    {'f', "cvt.f32.f16 %f0, %h1;", 0xfc00, 0, 0, 0xff800000},
	    {'f', "cvt.f32.bf16 %f0, %h1;", 0xbf80, 0, 0, 0xbf800000},
	    {'r', "cvt.rn.f16x2.f32 %r0, %f1, %f2;", 0x3f800000, 0x40000000, 0, 0x3c004000},
	    {'r', "cvt.rn.relu.bf16x2.f32 %r0, %f1, %f2;", 0xbf800000, 0x40000000, 0, 0x00004000},
	    {'r', "cvt.rzi.s32.f16 %r0, %h1;", 0xc100, 0, 0, 0xfffffffe}, /* -2.5 */
	    {'h', "cvt.rn.f16.s32 %h0, %r1;", 2049, 0, 0, 0x6800},
	    {'r', "cvt.rna.tf32.f32 %r0, %f1;", 0x3f801000, 0, 0, 0x3f802000},
	};
	(void)state;
	CHECK(rows);
}

static void halves_and_their_pairs_round_once(void **state)
{
	static const struct row rows[] = {
	    {'h', "add.f16 %h0, %h1, %h2;", 0x3c00, 0x1001, 0, 0x3c01}, /* 1 + a bit more than half an ULP */
	    {'h', "add.f16 %h0, %h1, %h2;", 0x3c00, 0x1000, 0, 0x3c00},
	    {'h', "sub.f16 %h0, %h1, %h2;", 0x3c00, 0x3c00, 0, 0},
	    {'h', "mul.f16 %h0, %h1, %h2;", 0x7bff, 0x4000, 0, 0x7c00},
	    {'h', "fma.rn.f16 %h0, %h1, %h2, %h3;", 0x3c01, 0x3c01, 0xbc02, 0x0010}, /* 2^-20 exactly */
	    {'h', "fma.rn.relu.f16 %h0, %h1, %h2, %h3;", 0x3c00, 0xbc00, 0, 0},
	    {'h', "fma.rn.sat.f16 %h0, %h1, %h2, %h3;", 0x4000, 0x4000, 0, 0x3c00},
	    {'h', "neg.f16 %h0, %h1;", 0x3c00, 0, 0, 0xbc00},
	    {'h', "abs.f16 %h0, %h1;", 0xbc00, 0, 0, 0x3c00},
	    {'h', "min.f16 %h0, %h1, %h2;", 0x7e00, 0x3c00, 0, 0x3c00},
	    {'h', "max.NaN.f16 %h0, %h1, %h2;", 0x7e00, 0x3c00, 0, 0x7fff},
	    {'h', "mul.bf16 %h0, %h1, %h2;", 0x3f81, 0x3f81, 0, 0x3f82},
	    {'h', "fma.rn.bf16 %h0, %h1, %h2, %h3;", 0x3f81, 0x3f81, 0xbf82, 0x3880},
	    {'r', "add.f16x2 %r0, %r1, %r2;", 0x3c004000, 0x3c003c00, 0, 0x40004200},
	    {'r', "fma.rn.f16x2 %r0, %r1, %r2, %r3;", 0x40004000, 0x3c004200, 0x00003c00, 0x40004700},
	    {'r', "neg.bf16x2 %r0, %r1;", 0x3f80bf80, 0, 0, 0xbf803f80},
	    {'r', "abs.f16x2 %r0, %r1;", 0xbc00bc00, 0, 0, 0x3c003c00},
	    {'p', "setp.lt.f16 %p0, %h1, %h2;", 0xbc00, 0, 0, 1},
	    {'r',
	     "setp.gt.f16x2 %p1|%p2, %r1, %r2; selp.u32 %r4, 1, 0, %p1; selp.u32 %r5, 2, 0, %p2; or.b32 %r0, "
	     "%r4, %r5;",
	     0x3c004000, 0x40003c00, 0, 1},
	    {'r', "set.eq.f16x2.f16x2 %r0, %r1, %r2;", 0x3c004000, 0x3c003c00, 0, 0x3c000000},
	    {'h', "ex2.approx.f16 %h0, %h1;", 0x4000, 0, 0, 0x4400},
	    {'h', "tanh.approx.f16 %h0, %h1;", 0, 0, 0, 0},
	};
	(void)state;
	CHECK(rows);
}

static void floats_round_in_every_direction(void **state)
{
	static const struct row rows[] = {
	    {'f', "add.rn.f32 %f0, %f1, %f2;", 0x3f800000, 0x33000000, 0, 0x3f800000}, /* 1 + 2^-25 */
	    {'f', "add.rp.f32 %f0, %f1, %f2;", 0x3f800000, 0x33000000, 0, 0x3f800001},
	    {'f', "add.rm.f32 %f0, %f1, %f2;", 0xbf800000, 0xb3000000, 0, 0xbf800001},
	    {'f', "sub.rz.f32 %f0, %f1, %f2;", 0x3f800000, 0x33000000, 0, 0x3f7fffff},
	    {'f', "mul.rz.f32 %f0, %f1, %f2;", 0x3f800001, 0x3f800001, 0, 0x3f800002},
	    {'f', "mul.rp.f32 %f0, %f1, %f2;", 0x3f800001, 0x3f800001, 0, 0x3f800003},
	    {'f', "fma.rn.f32 %f0, %f1, %f2, %f3;", 0x3f800001, 0x3f800001, 0xbf800002, 0x28800000},
	    {'f', "fma.rp.f32 %f0, %f1, %f2, %f3;", 0x3f800001, 0x3f800001, 0x3f800000, 0x40000002},
	    {'f', "div.rz.f32 %f0, %f1, %f2;", 0x3f800000, 0x40400000, 0, 0x3eaaaaaa},
	    {'f', "div.rn.f32 %f0, %f1, %f2;", 0x3f800000, 0x40400000, 0, 0x3eaaaaab},
	    {'f', "rcp.rm.f32 %f0, %f1;", 0x40400000, 0, 0, 0x3eaaaaaa},
	    {'f', "sqrt.rp.f32 %f0, %f1;", 0x40000000, 0, 0, 0x3fb504f4},
	    {'f', "sqrt.rz.f32 %f0, %f1;", 0x40000000, 0, 0, 0x3fb504f3},
	    {'D', "add.rp.f64 %fd0, %fd1, %fd2;", 0x3ff0000000000000, 0x3c90000000000000, 0,
	     0x3ff0000000000001},
	    {'D', "div.rm.f64 %fd0, %fd1, %fd2;", 0xbff0000000000000, 0x4008000000000000, 0,
	     0xbfd5555555555556},
	    {'D', "sqrt.rz.f64 %fd0, %fd1;", 0x4000000000000000, 0, 0, 0x3ff6a09e667f3bcc},
	    {'D', "fma.rz.f64 %fd0, %fd1, %fd2, %fd3;", 0x3ff0000000000001, 0x3ff0000000000001, 0,
	     0x3ff0000000000002},
	    {'f', "add.ftz.f32 %f0, %f1, %f2;", 0x00000001, 0x00000001, 0, 0},
	    {'f', "add.f32 %f0, %f1, %f2;", 0x00000001, 0x00000001, 0, 2},
	    {'f', "mul.ftz.f32 %f0, %f1, %f2;", 0x80800000, 0x3f000000, 0, 0x80000000},
	    {'f', "add.sat.f32 %f0, %f1, %f2;", 0x3f800000, 0x3f800000, 0, 0x3f800000},
	    {'f', "fma.rn.ftz.sat.f32 %f0, %f1, %f2, %f3;", 0xbf800000, 0x3f800000, 0, 0},
	    {'f', "add.f32 %f0, %f1, %f2;", 0x7f800000, 0xff800000, 0, 0x7fffffff}, /* canonical NaN */
	    {'f', "mul.f32 %f0, %f1, %f2;", 0x7fc12345, 0x3f800000, 0, 0x7fffffff},
	    {'f', "min.f32 %f0, %f1, %f2;", 0x7fc00000, 0x3f800000, 0, 0x3f800000},
	    {'f', "min.f32 %f0, %f1, %f2;", 0x80000000, 0x00000000, 0, 0x80000000},
	    {'f', "max.f32 %f0, %f1, %f2;", 0x80000000, 0x00000000, 0, 0},
	    {'f', "max.f32 %f0, %f1, %f2;", 0x7fc00001, 0xffc00000, 0, 0x7fffffff},
	    {'f', "max.NaN.f32 %f0, %f1, %f2;", 0x7fc00000, 0x3f800000, 0, 0x7fffffff},
	    {'D', "min.f64 %fd0, %fd1, %fd2;", 0x7ff8000000000000, 0x3ff0000000000000, 0, 0x3ff0000000000000},
	    {'f', "rcp.approx.ftz.f32 %f0, %f1;", 0x00000001, 0, 0, 0x7f800000},
	    {'f', "rsqrt.approx.f32 %f0, %f1;", 0x40800000, 0, 0, 0x3f000000},
	    {'f', "rsqrt.approx.f32 %f0, %f1;", 0xbf800000, 0, 0, 0x7fffffff},
	    {'f', "sqrt.approx.f32 %f0, %f1;", 0x40800000, 0, 0, 0x40000000},
	    {'f', "ex2.approx.f32 %f0, %f1;", 0x41200000, 0, 0, 0x44800000},
	    {'f', "ex2.approx.f32 %f0, %f1;", 0xff800000, 0, 0, 0},
	    {'f', "ex2.approx.f32 %f0, %f1;", 0x43000000, 0, 0, 0x7f800000},
	    {'f', "ex2.approx.f32 %f0, %f1;", 0xc3000000, 0, 0, 0x00200000},
	    {'f', "ex2.approx.ftz.f32 %f0, %f1;", 0xc3000000, 0, 0, 0},
	    {'f', "lg2.approx.f32 %f0, %f1;", 0x44800000, 0, 0, 0x41200000},
	    {'f', "lg2.approx.f32 %f0, %f1;", 0, 0, 0, 0xff800000},
	    {'f', "lg2.approx.f32 %f0, %f1;", 0x00000001, 0, 0, 0xc3150000},
	    {'f', "sin.approx.f32 %f0, %f1;", 0, 0, 0, 0},
	    {'f', "cos.approx.f32 %f0, %f1;", 0, 0, 0, 0x3f800000},
	    {'f', "tanh.approx.f32 %f0, %f1;", 0x7f800000, 0, 0, 0x3f800000},
	    {'f', "div.approx.f32 %f0, %f1, %f2;", 0x3f800000, 0x7e800001, 0, 0},
	    {'f', "div.full.f32 %f0, %f1, %f2;", 0x40c00000, 0x40000000, 0, 0x40400000},
	    {'D', "rcp.approx.ftz.f64 %fd0, %fd1;", 0x4000000000000000, 0, 0, 0x3fe0000000000000},
	    {'f', "copysign.f32 %f0, %f1, %f2;", 0x80000000, 0x3f800000, 0, 0xbf800000},
	    {'p', "testp.subnormal.f32 %p0, %f1;", 0x00000001, 0, 0, 1},
	    {'p', "testp.number.f32 %p0, %f1;", 0x7fc00000, 0, 0, 0},
	    {'p', "testp.infinite.f64 %p0, %fd1;", 0xfff0000000000000, 0, 0, 1},
	    {'p', "testp.normal.f64 %p0, %fd1;", 0x3ff0000000000000, 0, 0, 1},
	    {'p', "setp.ne.f32 %p0, %f1, %f2;", 0x7fc00000, 0, 0, 0},
	    {'p', "setp.neu.f32 %p0, %f1, %f2;", 0x7fc00000, 0, 0, 1},
	    {'p', "setp.geu.f64 %p0, %fd1, %fd2;", 0x7ff8000000000000, 0, 0, 1},
	    {'p', "setp.num.f32 %p0, %f1, %f2;", 0, 0, 0, 1},
	    {'p', "setp.lt.ftz.f32 %p0, %f1, %f2;", 0x80000001, 0, 0, 0},
	    {'f', "mov.f32 %f0, 0f3F800000; add.f32 %f0, %f0, 1.5;", 0, 0, 0, 0x40200000},
	};
	(void)state;
	CHECK(rows);
}

/* Random operands against the processor's own rounding modes. */
static void directed_rounding_agrees_with_the_processor(void **state)
{
	static const char *const names[] = {"rn", "rz", "rm", "rp"};
	static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
	char body[80];
	(void)state;
	rig_open(&rig);
	for (uint32_t i = 0; i < 60; i++) {
		uint32_t a = i * 2654435761u, b = i * 40503u * 65537u + 77u, bits;
		volatile float x, y, want;
		int mode = (int)(i % 4);
		a = (a & 0x87ffffffu) | 0x3c000000u;
		b = (b & 0x87ffffffu) | 0x3a000000u;
		memcpy((void *)&x, &a, 4);
		memcpy((void *)&y, &b, 4);
		for (int operation = 0; operation < 4; operation++) {
			static const char *const opcodes[] = {"add", "sub", "mul", "div"};
			fesetround(modes[mode]);
			want = operation == 0   ? x + y
			       : operation == 1 ? x - y
			       : operation == 2 ? x * y
						: x / y;
			fesetround(FE_TONEAREST);
			memcpy(&bits, (void *)&want, 4);
			snprintf(body, sizeof(body), "%s.%s.f32 %%f0, %%f1, %%f2;", opcodes[operation],
				 names[mode]);
			assert_int_equal(value_of('f', body, a, b, 0), bits);
		}
	}
	rig_close(&rig);
}

/* fma.rn.f16 against exact arithmetic in long double. */
static void half_fma_is_exact_over_many_operands(void **state)
{
	(void)state;
	rig_open(&rig);
	for (uint32_t i = 0; i < 40; i++) {
		uint32_t h[3];
		long double v[3];
		for (uint32_t j = 0; j < 3; j++) {
			h[j] = ((i * 3 + j) * 2654435761u >> 16 & 0x83ff) |
			       (0x2000 + (i * 7 + j * 3) % 20 * 0x400);
			v[j] = ldexpl((long double)((h[j] & 0x3ff) | 0x400), (int)(h[j] >> 10 & 31) - 25);
			if (h[j] & 0x8000)
				v[j] = -v[j];
		}
		long double exact = v[0] * v[1] + v[2], size = fabsl(exact);
		int exponent;
		frexpl(size, &exponent);
		int step = exponent - 11 < -24 ? -24 : exponent - 11;
		long double rounded = ldexpl(rintl(ldexpl(exact, -step)), step);
		uint64_t got = value_of('h', "fma.rn.f16 %h0, %h1, %h2, %h3;", h[0], h[1], h[2]);
		long double result =
		    (got & 0x7c00) ? ldexpl((long double)((got & 0x3ff) | 0x400), (int)(got >> 10 & 31) - 25)
				   : ldexpl((long double)(got & 0x3ff), -24);
		if (got & 0x8000)
			result = -result;
		if ((got & 0x7c00) == 0x7c00)
			assert_true(fabsl(rounded) > 65504);
		else
			assert_true(result == rounded);
	}
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(integer_instructions_do_what_the_isa_says),
	    cmocka_unit_test(conversions_round_clamp_and_extend),
	    cmocka_unit_test(halves_and_their_pairs_round_once),
	    cmocka_unit_test(floats_round_in_every_direction),
	    cmocka_unit_test(directed_rounding_agrees_with_the_processor),
	    cmocka_unit_test(half_fma_is_exact_over_many_operands),
	};
	return rig_run_variants(tests);
}
