#include "gpu/device/reference/ptx.h"

#include <string.h>

const struct gd_ptx_type_info gd_ptx_types[GD_T_COUNT] = {
    [GD_T_NONE] = {"", 0, GD_K_BITS, GD_CLASS_COUNT},
    [GD_T_PRED] = {"pred", 0, GD_K_BITS, GD_CLASS_PRED},
    [GD_T_B8] = {"b8", 1, GD_K_BITS, GD_CLASS_16},
    [GD_T_U8] = {"u8", 1, GD_K_UNSIGNED, GD_CLASS_16},
    [GD_T_S8] = {"s8", 1, GD_K_SIGNED, GD_CLASS_16},
    [GD_T_B16] = {"b16", 2, GD_K_BITS, GD_CLASS_16},
    [GD_T_U16] = {"u16", 2, GD_K_UNSIGNED, GD_CLASS_16},
    [GD_T_S16] = {"s16", 2, GD_K_SIGNED, GD_CLASS_16},
    [GD_T_F16] = {"f16", 2, GD_K_FLOAT, GD_CLASS_16},
    [GD_T_BF16] = {"bf16", 2, GD_K_FLOAT, GD_CLASS_16},
    [GD_T_B32] = {"b32", 4, GD_K_BITS, GD_CLASS_32},
    [GD_T_U32] = {"u32", 4, GD_K_UNSIGNED, GD_CLASS_32},
    [GD_T_S32] = {"s32", 4, GD_K_SIGNED, GD_CLASS_32},
    [GD_T_F32] = {"f32", 4, GD_K_FLOAT, GD_CLASS_32},
    [GD_T_F16X2] = {"f16x2", 4, GD_K_FLOAT, GD_CLASS_32},
    [GD_T_BF16X2] = {"bf16x2", 4, GD_K_FLOAT, GD_CLASS_32},
    [GD_T_U16X2] = {"u16x2", 4, GD_K_UNSIGNED, GD_CLASS_32},
    [GD_T_S16X2] = {"s16x2", 4, GD_K_SIGNED, GD_CLASS_32},
    [GD_T_B64] = {"b64", 8, GD_K_BITS, GD_CLASS_64},
    [GD_T_U64] = {"u64", 8, GD_K_UNSIGNED, GD_CLASS_64},
    [GD_T_S64] = {"s64", 8, GD_K_SIGNED, GD_CLASS_64},
    [GD_T_F64] = {"f64", 8, GD_K_FLOAT, GD_CLASS_64},
    [GD_T_B128] = {"b128", 16, GD_K_BITS, GD_CLASS_COUNT},
};

enum gd_ptx_type gd_ptx_type_named(const char *text, uint32_t length)
{
	for (unsigned int type = GD_T_PRED; type < GD_T_COUNT; type++) {
		if (strlen(gd_ptx_types[type].name) == length &&
		    !memcmp(gd_ptx_types[type].name, text, length))
			return (enum gd_ptx_type)type;
	}
	return GD_T_NONE;
}
