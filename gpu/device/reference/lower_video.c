/* vadd2, vabsdiff4 and the other SIMD video instructions without selectors, masks or merging of a subset. */
#include "gpu/device/reference/lower.h"
#include "gpu/device/reference/sync.h"

static bool vsimd(struct gd_lower *lower, uint32_t operation, bool is_bytes)
{
	enum gd_ptx_type types[4];
	uint32_t to, a, b, c, flags = is_bytes ? GD_VSIMD_BYTES : 0;
	if (gd_lower_types(lower, types) != 3)
		return gd_lower_unknown(lower, "%s", "");
	for (uint32_t i = 0; i < 3; i++) {
		if (types[i] != GD_T_U32 && types[i] != GD_T_S32)
			return gd_lower_unknown(lower, "%s", "");
	}
	flags |= types[0] == GD_T_S32 ? GD_VSIMD_D_SIGNED : 0;
	flags |= types[1] == GD_T_S32 ? GD_VSIMD_A_SIGNED : 0;
	flags |= types[2] == GD_T_S32 ? GD_VSIMD_B_SIGNED : 0;
	flags |= gd_lower_mod(lower, "sat") ? GD_VSIMD_SATURATE : 0;
	flags |= gd_lower_mod(lower, "add") ? GD_VSIMD_ACCUMULATE : 0;
	if (!gd_lower_operands(lower, 4, 4) || !gd_lower_dst(lower, 0, GD_T_B32, &to) ||
	    !gd_lower_src(lower, 1, GD_T_B32, &a) || !gd_lower_src(lower, 2, GD_T_B32, &b) ||
	    !gd_lower_src(lower, 3, GD_T_B32, &c) || !gd_lower_op(lower, GD_OP_vsimd, to, a, b, c))
		return false;
	struct gd_lir *lir = &lower->func->lir[lower->func->lir_count - 1];
	lir->aux = operation;
	lir->aux2 = flags;
	return true;
}

#define VSIMD(name, operation)                                                                               \
	static bool lower_##name##2(struct gd_lower * lower)                                                 \
	{                                                                                                    \
		return vsimd(lower, operation, false);                                                       \
	}                                                                                                    \
	static bool lower_##name##4(struct gd_lower * lower)                                                 \
	{                                                                                                    \
		return vsimd(lower, operation, true);                                                        \
	}

VSIMD(vadd, GD_VSIMD_ADD)
VSIMD(vsub, GD_VSIMD_SUB)
VSIMD(vavrg, GD_VSIMD_AVRG)
VSIMD(vabsdiff, GD_VSIMD_ABSDIFF)
VSIMD(vmin, GD_VSIMD_MIN)
VSIMD(vmax, GD_VSIMD_MAX)

const struct gd_lower_rule gd_lower_video_rules[] = {
    {.name = "vadd2", .fn = lower_vadd2},
    {.name = "vadd4", .fn = lower_vadd4},
    {.name = "vsub2", .fn = lower_vsub2},
    {.name = "vsub4", .fn = lower_vsub4},
    {.name = "vavrg2", .fn = lower_vavrg2},
    {.name = "vavrg4", .fn = lower_vavrg4},
    {.name = "vabsdiff2", .fn = lower_vabsdiff2},
    {.name = "vabsdiff4", .fn = lower_vabsdiff4},
    {.name = "vmin2", .fn = lower_vmin2},
    {.name = "vmin4", .fn = lower_vmin4},
    {.name = "vmax2", .fn = lower_vmax2},
    {.name = "vmax4", .fn = lower_vmax4},
    {.name = NULL},
};
