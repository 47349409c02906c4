/*
 * Every operation of the machine, once: the lists below make the enumeration, and in exec/ the handlers and
 * their table. Expressions see the operands as a, b, c (and d for four) of the types named.
 *
 * Nothing but lists: include what the expressions need (exec/lane.h) before expanding them.
 */
#ifndef GD_REFERENCE_OPS_LIST_H
#define GD_REFERENCE_OPS_LIST_H

/* X(name, result, a, expression) */
#define GD_OPS_INT_UNARY(X)                                                                                  \
	X(mov_16, uint16_t, uint16_t, a)                                                                     \
	X(mov_32, uint32_t, uint32_t, a)                                                                     \
	X(mov_64, uint64_t, uint64_t, a)                                                                     \
	X(neg_16, uint16_t, uint16_t, 0u - a)                                                                \
	X(neg_32, uint32_t, uint32_t, 0u - a)                                                                \
	X(neg_64, uint64_t, uint64_t, 0u - a)                                                                \
	X(not_16, uint16_t, uint16_t, ~a)                                                                    \
	X(not_32, uint32_t, uint32_t, ~a)                                                                    \
	X(not_64, uint64_t, uint64_t, ~a)                                                                    \
	X(cnot_16, uint16_t, uint16_t, a == 0)                                                               \
	X(cnot_32, uint32_t, uint32_t, a == 0)                                                               \
	X(cnot_64, uint64_t, uint64_t, a == 0)                                                               \
	X(abs_s16, uint16_t, uint16_t, (int16_t)a < 0 ? 0u - a : a)                                          \
	X(abs_s32, uint32_t, uint32_t, (int32_t)a < 0 ? 0u - a : a)                                          \
	X(abs_s64, uint64_t, uint64_t, (int64_t)a < 0 ? 0u - a : a)                                          \
	X(popc_32, uint32_t, uint32_t, __builtin_popcount(a))                                                \
	X(popc_64, uint32_t, uint64_t, __builtin_popcountll(a))                                              \
	X(clz_32, uint32_t, uint32_t, lane_clz32(a))                                                         \
	X(clz_64, uint32_t, uint64_t, lane_clz64(a))                                                         \
	X(brev_32, uint32_t, uint32_t, lane_brev32(a))                                                       \
	X(brev_64, uint64_t, uint64_t, lane_brev64(a))                                                       \
	X(bfind_u32, uint32_t, uint32_t, 31u - lane_clz32(a))                                                \
	X(bfind_s32, uint32_t, uint32_t, 31u - lane_clz32((int32_t)a < 0 ? ~a : a))                          \
	X(bfind_u64, uint32_t, uint64_t, 63u - lane_clz64(a))                                                \
	X(bfind_s64, uint32_t, uint64_t, 63u - lane_clz64((int64_t)a < 0 ? ~a : a))                          \
	X(bfind_amount_u32, uint32_t, uint32_t, a ? lane_clz32(a) : ~0u)                                     \
	X(bfind_amount_s32, uint32_t, uint32_t, lane_bfind_amount32((int32_t)a < 0 ? ~a : a))                \
	X(bfind_amount_u64, uint32_t, uint64_t, lane_bfind_amount64(a))                                      \
	X(bfind_amount_s64, uint32_t, uint64_t, lane_bfind_amount64((int64_t)a < 0 ? ~a : a))                \
	X(cvt_16_u8, uint16_t, uint16_t, (uint8_t)a)                                                         \
	X(cvt_16_s8, uint16_t, uint16_t, (int8_t)a)                                                          \
	X(cvt_32_u8, uint32_t, uint16_t, (uint8_t)a)                                                         \
	X(cvt_32_s8, uint32_t, uint16_t, (int8_t)a)                                                          \
	X(cvt_64_u8, uint64_t, uint16_t, (uint8_t)a)                                                         \
	X(cvt_64_s8, uint64_t, uint16_t, (int8_t)a)                                                          \
	X(cvt_32_u16, uint32_t, uint16_t, a)                                                                 \
	X(cvt_32_s16, uint32_t, uint16_t, (int16_t)a)                                                        \
	X(cvt_64_u16, uint64_t, uint16_t, a)                                                                 \
	X(cvt_64_s16, uint64_t, uint16_t, (int16_t)a)                                                        \
	X(cvt_16_u32, uint16_t, uint32_t, a)                                                                 \
	X(cvt_64_u32, uint64_t, uint32_t, a)                                                                 \
	X(cvt_64_s32, uint64_t, uint32_t, (int32_t)a)                                                        \
	X(cvt_16_u64, uint16_t, uint64_t, a)                                                                 \
	X(cvt_32_u64, uint32_t, uint64_t, a)

/* X(name, result, a, b, expression) */
#define GD_OPS_INT_BINARY(X)                                                                                 \
	X(add_16, uint16_t, uint16_t, uint16_t, a + b)                                                       \
	X(add_32, uint32_t, uint32_t, uint32_t, a + b)                                                       \
	X(add_64, uint64_t, uint64_t, uint64_t, a + b)                                                       \
	X(sub_16, uint16_t, uint16_t, uint16_t, a - b)                                                       \
	X(sub_32, uint32_t, uint32_t, uint32_t, a - b)                                                       \
	X(sub_64, uint64_t, uint64_t, uint64_t, a - b)                                                       \
	X(add_sat_s32, int32_t, int32_t, int32_t, lane_sat32((int64_t)a + b))                                \
	X(sub_sat_s32, int32_t, int32_t, int32_t, lane_sat32((int64_t)a - b))                                \
	X(mul_16, uint16_t, uint16_t, uint16_t, (uint32_t)a *b)                                              \
	X(mul_32, uint32_t, uint32_t, uint32_t, a *b)                                                        \
	X(mul_64, uint64_t, uint64_t, uint64_t, a *b)                                                        \
	X(mul_hi_u16, uint16_t, uint16_t, uint16_t, ((uint32_t)a * b) >> 16)                                 \
	X(mul_hi_s16, uint16_t, int16_t, int16_t, (a * b) >> 16)                                             \
	X(mul_hi_u32, uint32_t, uint32_t, uint32_t, ((uint64_t)a * b) >> 32)                                 \
	X(mul_hi_s32, uint32_t, int32_t, int32_t, ((int64_t)a * b) >> 32)                                    \
	X(mul_hi_u64, uint64_t, uint64_t, uint64_t, lane_mulhi_u64(a, b))                                    \
	X(mul_hi_s64, uint64_t, int64_t, int64_t, lane_mulhi_s64(a, b))                                      \
	X(mul_wide_u16, uint32_t, uint16_t, uint16_t, (uint32_t)a *b)                                        \
	X(mul_wide_s16, uint32_t, int16_t, int16_t, a *b)                                                    \
	X(mul_wide_u32, uint64_t, uint32_t, uint32_t, (uint64_t)a *b)                                        \
	X(mul_wide_s32, uint64_t, int32_t, int32_t, (int64_t)a *b)                                           \
	X(mul24_lo_u32, uint32_t, uint32_t, uint32_t, (a & 0xffffffu) * (b & 0xffffffu))                     \
	X(mul24_lo_s32, uint32_t, uint32_t, uint32_t, lane_s24(a) * lane_s24(b))                             \
	X(mul24_hi_u32, uint32_t, uint32_t, uint32_t, ((uint64_t)(a & 0xffffffu) * (b & 0xffffffu)) >> 16)   \
	X(mul24_hi_s32, uint32_t, uint32_t, uint32_t, (lane_s24(a) * lane_s24(b)) >> 16)                     \
	X(div_u16, uint16_t, uint16_t, uint16_t, b ? a / b : 0xffff)                                         \
	X(div_s16, uint16_t, int16_t, int16_t, b ? a / b : -1)                                               \
	X(div_u32, uint32_t, uint32_t, uint32_t, b ? a / b : ~0u)                                            \
	X(div_s32, uint32_t, int32_t, int32_t, b ? (int64_t)a / b : -1)                                      \
	X(div_u64, uint64_t, uint64_t, uint64_t, b ? a / b : ~0ull)                                          \
	X(div_s64, uint64_t, int64_t, int64_t, lane_div_s64(a, b))                                           \
	X(rem_u16, uint16_t, uint16_t, uint16_t, b ? a % b : a)                                              \
	X(rem_s16, uint16_t, int16_t, int16_t, b ? a % b : a)                                                \
	X(rem_u32, uint32_t, uint32_t, uint32_t, b ? a % b : a)                                              \
	X(rem_s32, uint32_t, int32_t, int32_t, b ? (int64_t)a % b : a)                                       \
	X(rem_u64, uint64_t, uint64_t, uint64_t, b ? a % b : a)                                              \
	X(rem_s64, uint64_t, int64_t, int64_t, b &&b != -1 ? a % b : b ? 0 : a)                              \
	X(min_u16, uint16_t, uint16_t, uint16_t, a < b ? a : b)                                              \
	X(min_s16, int16_t, int16_t, int16_t, a < b ? a : b)                                                 \
	X(min_u32, uint32_t, uint32_t, uint32_t, a < b ? a : b)                                              \
	X(min_s32, int32_t, int32_t, int32_t, a < b ? a : b)                                                 \
	X(min_u64, uint64_t, uint64_t, uint64_t, a < b ? a : b)                                              \
	X(min_s64, int64_t, int64_t, int64_t, a < b ? a : b)                                                 \
	X(max_u16, uint16_t, uint16_t, uint16_t, a > b ? a : b)                                              \
	X(max_s16, int16_t, int16_t, int16_t, a > b ? a : b)                                                 \
	X(max_u32, uint32_t, uint32_t, uint32_t, a > b ? a : b)                                              \
	X(max_s32, int32_t, int32_t, int32_t, a > b ? a : b)                                                 \
	X(max_u64, uint64_t, uint64_t, uint64_t, a > b ? a : b)                                              \
	X(max_s64, int64_t, int64_t, int64_t, a > b ? a : b)                                                 \
	X(add_16x2, uint32_t, uint32_t, uint32_t, lane_pair((uint16_t)(a + b), (a >> 16) + (b >> 16)))       \
	X(min_u16x2, uint32_t, uint32_t, uint32_t,                                                           \
	  lane_pair(LANE_MIN(uint16_t, a, b), LANE_MIN(uint16_t, a >> 16, b >> 16)))                         \
	X(min_s16x2, uint32_t, uint32_t, uint32_t,                                                           \
	  lane_pair(LANE_MIN(int16_t, a, b), LANE_MIN(int16_t, a >> 16, b >> 16)))                           \
	X(max_u16x2, uint32_t, uint32_t, uint32_t,                                                           \
	  lane_pair(LANE_MAX(uint16_t, a, b), LANE_MAX(uint16_t, a >> 16, b >> 16)))                         \
	X(max_s16x2, uint32_t, uint32_t, uint32_t,                                                           \
	  lane_pair(LANE_MAX(int16_t, a, b), LANE_MAX(int16_t, a >> 16, b >> 16)))                           \
	X(and_16, uint16_t, uint16_t, uint16_t, (a & b))                                                     \
	X(and_32, uint32_t, uint32_t, uint32_t, (a & b))                                                     \
	X(and_64, uint64_t, uint64_t, uint64_t, (a & b))                                                     \
	X(or_16, uint16_t, uint16_t, uint16_t, a | b)                                                        \
	X(or_32, uint32_t, uint32_t, uint32_t, a | b)                                                        \
	X(or_64, uint64_t, uint64_t, uint64_t, a | b)                                                        \
	X(xor_16, uint16_t, uint16_t, uint16_t, a ^ b)                                                       \
	X(xor_32, uint32_t, uint32_t, uint32_t, a ^ b)                                                       \
	X(xor_64, uint64_t, uint64_t, uint64_t, a ^ b)                                                       \
	X(shl_16, uint16_t, uint16_t, uint32_t, b < 16 ? (uint32_t)a << b : 0)                               \
	X(shl_32, uint32_t, uint32_t, uint32_t, b < 32 ? a << (b & 31) : 0)                                  \
	X(shl_64, uint64_t, uint64_t, uint32_t, b < 64 ? a << (b & 63) : 0)                                  \
	X(shr_u16, uint16_t, uint16_t, uint32_t, b < 16 ? a >> (b & 15) : 0)                                 \
	X(shr_u32, uint32_t, uint32_t, uint32_t, b < 32 ? a >> (b & 31) : 0)                                 \
	X(shr_u64, uint64_t, uint64_t, uint32_t, b < 64 ? a >> (b & 63) : 0)                                 \
	X(shr_s16, int16_t, int16_t, uint32_t, a >> (b < 15 ? b : 15))                                       \
	X(shr_s32, int32_t, int32_t, uint32_t, a >> (b < 31 ? b : 31))                                       \
	X(shr_s64, int64_t, int64_t, uint32_t, a >> (b < 63 ? b : 63))                                       \
	X(bmsk_clamp, uint32_t, uint32_t, uint32_t, lane_bmsk_clamp(a, b))                                   \
	X(bmsk_wrap, uint32_t, uint32_t, uint32_t, lane_bmsk_clamp(a & 31, b & 31))                          \
	X(szext_clamp_u32, uint32_t, uint32_t, uint32_t, lane_szext(a, b > 32 ? 32 : b, false))              \
	X(szext_clamp_s32, uint32_t, uint32_t, uint32_t, lane_szext(a, b > 32 ? 32 : b, true))               \
	X(szext_wrap_u32, uint32_t, uint32_t, uint32_t, lane_szext(a, b & 31, false))                        \
	X(szext_wrap_s32, uint32_t, uint32_t, uint32_t, lane_szext(a, b & 31, true))                         \
	X(pack_16, uint32_t, uint16_t, uint16_t, (uint32_t)a | (uint32_t)b << 16)                            \
	X(pack_32, uint64_t, uint32_t, uint32_t, (uint64_t)a | (uint64_t)b << 32)

/* X(name, result, a, b, c, expression) */
#define GD_OPS_INT_TERNARY(X)                                                                                \
	X(mad_16, uint16_t, uint16_t, uint16_t, uint16_t, (uint32_t)a *b + c)                                \
	X(mad_32, uint32_t, uint32_t, uint32_t, uint32_t, a *b + c)                                          \
	X(mad_64, uint64_t, uint64_t, uint64_t, uint64_t, a *b + c)                                          \
	X(mad_hi_sat_s32, int32_t, int32_t, int32_t, int32_t, lane_sat32((((int64_t)a * b) >> 32) + c))      \
	X(mad_wide_u16, uint32_t, uint16_t, uint16_t, uint32_t, (uint32_t)a *b + c)                          \
	X(mad_wide_s16, uint32_t, int16_t, int16_t, uint32_t, (uint32_t)(a * b) + c)                         \
	X(mad_wide_u32, uint64_t, uint32_t, uint32_t, uint64_t, (uint64_t)a *b + c)                          \
	X(mad_wide_s32, uint64_t, int32_t, int32_t, uint64_t, (uint64_t)((int64_t)a * b) + c)                \
	X(sad_u16, uint16_t, uint16_t, uint16_t, uint16_t, c + (a < b ? b - a : a - b))                      \
	X(sad_s16, uint16_t, int16_t, int16_t, uint16_t, c + (a < b ? b - a : a - b))                        \
	X(sad_u32, uint32_t, uint32_t, uint32_t, uint32_t, c + (a < b ? b - a : a - b))                      \
	X(sad_s32, uint32_t, int32_t, int32_t, uint32_t,                                                     \
	  c + (a < b ? (uint32_t)b - (uint32_t)a : (uint32_t)a - (uint32_t)b))                               \
	X(sad_u64, uint64_t, uint64_t, uint64_t, uint64_t, c + (a < b ? b - a : a - b))                      \
	X(sad_s64, uint64_t, int64_t, int64_t, uint64_t,                                                     \
	  c + (a < b ? (uint64_t)b - (uint64_t)a : (uint64_t)a - (uint64_t)b))                               \
	X(bfe_u32, uint32_t, uint32_t, uint32_t, uint32_t, lane_bfe32(a, b, c, false))                       \
	X(bfe_s32, uint32_t, uint32_t, uint32_t, uint32_t, lane_bfe32(a, b, c, true))                        \
	X(bfe_u64, uint64_t, uint64_t, uint32_t, uint32_t, lane_bfe64(a, b, c, false))                       \
	X(bfe_s64, uint64_t, uint64_t, uint32_t, uint32_t, lane_bfe64(a, b, c, true))                        \
	X(shf_l_wrap, uint32_t, uint32_t, uint32_t, uint32_t,                                                \
	  (uint32_t)(((uint64_t)b << 32 | a) << (c & 31) >> 32))                                             \
	X(shf_l_clamp, uint32_t, uint32_t, uint32_t, uint32_t, lane_shf_l_clamp(a, b, c))                    \
	X(shf_r_wrap, uint32_t, uint32_t, uint32_t, uint32_t,                                                \
	  (uint32_t)(((uint64_t)b << 32 | a) >> (c & 31)))                                                   \
	X(shf_r_clamp, uint32_t, uint32_t, uint32_t, uint32_t,                                               \
	  (uint32_t)(((uint64_t)b << 32 | a) >> (c < 32 ? c : 32)))                                          \
	X(prmt, uint32_t, uint32_t, uint32_t, uint32_t, lane_prmt(a, b, c))                                  \
	X(prmt_f4e, uint32_t, uint32_t, uint32_t, uint32_t,                                                  \
	  (uint32_t)(((uint64_t)b << 32 | a) >> (8 * (c & 3))))                                              \
	X(prmt_b4e, uint32_t, uint32_t, uint32_t, uint32_t, lane_prmt(a, b, lane_b4e(c)))                    \
	X(prmt_rc8, uint32_t, uint32_t, uint32_t, uint32_t, lane_prmt(a, b, (c & 3) * 0x1111u))              \
	X(prmt_ecl, uint32_t, uint32_t, uint32_t, uint32_t, lane_prmt(a, b, lane_ecl(c)))                    \
	X(prmt_ecr, uint32_t, uint32_t, uint32_t, uint32_t, lane_prmt(a, b, lane_ecr(c)))                    \
	X(prmt_rc16, uint32_t, uint32_t, uint32_t, uint32_t, lane_prmt(a, b, (c & 1) ? 0x3232u : 0x1010u))   \
	X(dp4a_uu, uint32_t, uint32_t, uint32_t, uint32_t, lane_dp4a(a, b, c, false, false))                 \
	X(dp4a_us, uint32_t, uint32_t, uint32_t, uint32_t, lane_dp4a(a, b, c, false, true))                  \
	X(dp4a_su, uint32_t, uint32_t, uint32_t, uint32_t, lane_dp4a(a, b, c, true, false))                  \
	X(dp4a_ss, uint32_t, uint32_t, uint32_t, uint32_t, lane_dp4a(a, b, c, true, true))                   \
	X(dp2a_lo_uu, uint32_t, uint32_t, uint32_t, uint32_t, lane_dp2a(a, b, c, false, false))              \
	X(dp2a_lo_us, uint32_t, uint32_t, uint32_t, uint32_t, lane_dp2a(a, b, c, false, true))               \
	X(dp2a_lo_su, uint32_t, uint32_t, uint32_t, uint32_t, lane_dp2a(a, b, c, true, false))               \
	X(dp2a_lo_ss, uint32_t, uint32_t, uint32_t, uint32_t, lane_dp2a(a, b, c, true, true))                \
	X(dp2a_hi_uu, uint32_t, uint32_t, uint32_t, uint32_t, lane_dp2a(a, b >> 16, c, false, false))        \
	X(dp2a_hi_us, uint32_t, uint32_t, uint32_t, uint32_t, lane_dp2a(a, b >> 16, c, false, true))         \
	X(dp2a_hi_su, uint32_t, uint32_t, uint32_t, uint32_t, lane_dp2a(a, b >> 16, c, true, false))         \
	X(dp2a_hi_ss, uint32_t, uint32_t, uint32_t, uint32_t, lane_dp2a(a, b >> 16, c, true, true))          \
	X(fns, uint32_t, uint32_t, uint32_t, int32_t, lane_fns(a, b, c))                                     \
	X(slct_16_s32, uint16_t, uint16_t, uint16_t, int32_t, c >= 0 ? a : b)                                \
	X(slct_32_s32, uint32_t, uint32_t, uint32_t, int32_t, c >= 0 ? a : b)                                \
	X(slct_64_s32, uint64_t, uint64_t, uint64_t, int32_t, c >= 0 ? a : b)                                \
	X(slct_16_f32, uint16_t, uint16_t, uint16_t, float, c >= 0 ? a : b)                                  \
	X(slct_32_f32, uint32_t, uint32_t, uint32_t, float, c >= 0 ? a : b)                                  \
	X(slct_64_f32, uint64_t, uint64_t, uint64_t, float, c >= 0 ? a : b)

/* X(name, a, b, expression): the result is a predicate */
#define GD_OPS_COMPARE(X)                                                                                    \
	X(set_eq_16, uint16_t, uint16_t, a == b)                                                             \
	X(set_eq_32, uint32_t, uint32_t, a == b)                                                             \
	X(set_eq_64, uint64_t, uint64_t, a == b)                                                             \
	X(set_ne_16, uint16_t, uint16_t, a != b)                                                             \
	X(set_ne_32, uint32_t, uint32_t, a != b)                                                             \
	X(set_ne_64, uint64_t, uint64_t, a != b)                                                             \
	X(set_lt_u16, uint16_t, uint16_t, a < b)                                                             \
	X(set_lt_s16, int16_t, int16_t, a < b)                                                               \
	X(set_lt_u32, uint32_t, uint32_t, a < b)                                                             \
	X(set_lt_s32, int32_t, int32_t, a < b)                                                               \
	X(set_lt_u64, uint64_t, uint64_t, a < b)                                                             \
	X(set_lt_s64, int64_t, int64_t, a < b)                                                               \
	X(set_le_u16, uint16_t, uint16_t, a <= b)                                                            \
	X(set_le_s16, int16_t, int16_t, a <= b)                                                              \
	X(set_le_u32, uint32_t, uint32_t, a <= b)                                                            \
	X(set_le_s32, int32_t, int32_t, a <= b)                                                              \
	X(set_le_u64, uint64_t, uint64_t, a <= b)                                                            \
	X(set_le_s64, int64_t, int64_t, a <= b)                                                              \
	X(set_eq_f32, float, float, a == b)                                                                  \
	X(set_ne_f32, float, float, a<b || a> b)                                                             \
	X(set_lt_f32, float, float, a < b)                                                                   \
	X(set_le_f32, float, float, a <= b)                                                                  \
	X(set_equ_f32, float, float, !(a < b || a > b))                                                      \
	X(set_neu_f32, float, float, a != b)                                                                 \
	X(set_ltu_f32, float, float, !(a >= b))                                                              \
	X(set_leu_f32, float, float, !(a > b))                                                               \
	X(set_num_f32, float, float, a == a && b == b)                                                       \
	X(set_nan_f32, float, float, a != a || b != b)                                                       \
	X(set_eq_f64, double, double, a == b)                                                                \
	X(set_ne_f64, double, double, a<b || a> b)                                                           \
	X(set_lt_f64, double, double, a < b)                                                                 \
	X(set_le_f64, double, double, a <= b)                                                                \
	X(set_equ_f64, double, double, !(a < b || a > b))                                                    \
	X(set_neu_f64, double, double, a != b)                                                               \
	X(set_ltu_f64, double, double, !(a >= b))                                                            \
	X(set_leu_f64, double, double, !(a > b))                                                             \
	X(set_num_f64, double, double, a == a && b == b)                                                     \
	X(set_nan_f64, double, double, a != a || b != b)                                                     \
	/* testp, on the bits; b is the same operand again */                                                \
	X(test_finite_f32, uint32_t, uint32_t, ((a & b) & 0x7f800000u) != 0x7f800000u)                       \
	X(test_infinite_f32, uint32_t, uint32_t, ((a & b) & 0x7fffffffu) == 0x7f800000u)                     \
	X(test_nan_f32, uint32_t, uint32_t, ((a & b) & 0x7fffffffu) > 0x7f800000u)                           \
	X(test_normal_f32, uint32_t, uint32_t, ((a & b) & 0x7f800000u) - 0x800000u < 0x7f000000u)            \
	X(test_subnormal_f32, uint32_t, uint32_t, !((a & b) & 0x7f800000u) && (a & 0x7fffffu))               \
	X(test_finite_f64, uint64_t, uint64_t, ((a & b) << 1 >> 53) != 0x7ffu)                               \
	X(test_infinite_f64, uint64_t, uint64_t, (a & b) << 1 == 0xffeull << 52)                             \
	X(test_nan_f64, uint64_t, uint64_t, (a & b) << 1 > 0xffeull << 52)                                   \
	X(test_normal_f64, uint64_t, uint64_t, ((a & b) << 1 >> 53) - 1 < 0x7fe)                             \
	X(test_subnormal_f64, uint64_t, uint64_t, !((a & b) << 1 >> 53) && (a & b) << 1)

/* X(name, result, a, expression) */
#define GD_OPS_FLOAT_UNARY(X)                                                                                \
	X(abs_f32, uint32_t, uint32_t, a & 0x7fffffffu)                                                      \
	X(neg_f32, uint32_t, uint32_t, a ^ 0x80000000u)                                                      \
	X(abs_f64, uint64_t, uint64_t, a & ~(1ull << 63))                                                    \
	X(neg_f64, uint64_t, uint64_t, a ^ 1ull << 63)                                                       \
	X(abs_f16, uint16_t, uint16_t, a & 0x7fff)                                                           \
	X(neg_f16, uint16_t, uint16_t, a ^ 0x8000)                                                           \
	X(ftz_f32, uint32_t, uint32_t, lane_ftz32(a))                                                        \
	X(ftz_f16, uint16_t, uint16_t, (a & 0x7c00) ? a : a & 0x8000)                                        \
	X(sat_f32, float, float, a >= 1.0f ? 1.0f : a > 0.0f ? a : 0.0f)                                     \
	X(sat_f64, double, double, a >= 1.0 ? 1.0 : a > 0.0 ? a : 0.0)                                       \
	X(relu_f32, float, float, a < 0.0f ? 0.0f : a)                                                       \
	X(sqrt_f32, float, float, lane_nan32(__builtin_sqrtf(a)))                                            \
	X(sqrt_f64, double, double, __builtin_sqrt(a))                                                       \
	X(rcp_f32, float, float, lane_nan32(1.0f / a))                                                       \
	X(rcp_f64, double, double, 1.0 / a)                                                                  \
	X(rsqrt_f32, float, float, lane_rsqrt(a))                                                            \
	X(rsqrt_f64, double, double, 1.0 / __builtin_sqrt(a))                                                \
	X(rcp_high_f64, uint64_t, double, lane_high64(1.0 / lane_ftz64(a)))                                  \
	X(rsqrt_high_f64, uint64_t, double, lane_high64(1.0 / __builtin_sqrt(lane_ftz64(a))))                \
	X(ex2_f32, float, float, lane_ex2(a))                                                                \
	X(lg2_f32, float, float, lane_lg2(a))                                                                \
	X(sin_f32, float, float, lane_nan32((float)sin((double)a)))                                          \
	X(cos_f32, float, float, lane_nan32((float)cos((double)a)))                                          \
	X(tanh_f32, float, float, lane_nan32((float)tanh((double)a)))                                        \
	X(rni_f32, float, float, lane_nan32(__builtin_rintf(a)))                                             \
	X(rzi_f32, float, float, lane_nan32(__builtin_truncf(a)))                                            \
	X(rmi_f32, float, float, lane_nan32(__builtin_floorf(a)))                                            \
	X(rpi_f32, float, float, lane_nan32(__builtin_ceilf(a)))                                             \
	X(rni_f64, double, double, __builtin_rint(a))                                                        \
	X(rzi_f64, double, double, __builtin_trunc(a))                                                       \
	X(rmi_f64, double, double, __builtin_floor(a))                                                       \
	X(rpi_f64, double, double, __builtin_ceil(a))                                                        \
	X(cvt_f64_f32, double, float, (double)a)                                                             \
	X(cvt_f32_f64, float, double, lane_nan32((float)a))                                                  \
	X(cvt_f32_s32, float, int32_t, (float)a)                                                             \
	X(cvt_f32_u32, float, uint32_t, (float)a)                                                            \
	X(cvt_f32_s64, float, int64_t, (float)a)                                                             \
	X(cvt_f32_u64, float, uint64_t, (float)a)                                                            \
	X(cvt_f64_s32, double, int32_t, (double)a)                                                           \
	X(cvt_f64_u32, double, uint32_t, (double)a)                                                          \
	X(cvt_f64_s64, double, int64_t, (double)a)                                                           \
	X(cvt_f64_u64, double, uint64_t, (double)a)                                                          \
	X(cvt_s32_f32, int32_t, float, lane_s32_f32(a))                                                      \
	X(cvt_u32_f32, uint32_t, float, lane_u32_f32(a))                                                     \
	X(cvt_s64_f32, int64_t, float, lane_s64_f64((double)a))                                              \
	X(cvt_u64_f32, uint64_t, float, lane_u64_f64((double)a))                                             \
	X(cvt_s32_f64, int32_t, double, lane_s32_f64(a))                                                     \
	X(cvt_u32_f64, uint32_t, double, lane_u32_f64(a))                                                    \
	X(cvt_s64_f64, int64_t, double, lane_s64_f64(a))                                                     \
	X(cvt_u64_f64, uint64_t, double, lane_u64_f64(a))                                                    \
	X(cvt_f32_f16, float, uint16_t, lane_f32_f16(a))                                                     \
	X(cvt_f32_bf16, float, uint16_t, lane_f32_bf16(a))                                                   \
	X(cvt_f16_f64, uint16_t, double, lane_f16_f64(a, 0))                                                 \
	X(cvt_f16_f64_rz, uint16_t, double, lane_f16_f64(a, 1))                                              \
	X(cvt_f16_f64_rm, uint16_t, double, lane_f16_f64(a, 2))                                              \
	X(cvt_f16_f64_rp, uint16_t, double, lane_f16_f64(a, 3))                                              \
	X(cvt_bf16_f64, uint16_t, double, lane_bf16_f64(a, 0))                                               \
	X(cvt_bf16_f64_rz, uint16_t, double, lane_bf16_f64(a, 1))                                            \
	X(cvt_bf16_f64_rm, uint16_t, double, lane_bf16_f64(a, 2))                                            \
	X(cvt_bf16_f64_rp, uint16_t, double, lane_bf16_f64(a, 3))                                            \
	X(cvt_tf32_f32, uint32_t, uint32_t, lane_tf32(a))

/* X(name, result, a, b, expression) */
#define GD_OPS_FLOAT_BINARY(X)                                                                               \
	X(add_f32, float, float, float, lane_nan32(a + b))                                                   \
	X(sub_f32, float, float, float, lane_nan32(a - b))                                                   \
	X(mul_f32, float, float, float, lane_nan32(a *b))                                                    \
	X(add_ftz_f32, float, float, float, lane_ftz(lane_nan32(lane_ftz(a) + lane_ftz(b))))                 \
	X(sub_ftz_f32, float, float, float, lane_ftz(lane_nan32(lane_ftz(a) - lane_ftz(b))))                 \
	X(mul_ftz_f32, float, float, float, lane_ftz(lane_nan32(lane_ftz(a) * lane_ftz(b))))                 \
	X(div_f32, float, float, float, lane_nan32(a / b))                                                   \
	X(div_approx_f32, float, float, float, lane_div_approx(a, b))                                        \
	X(min_f32, float, float, float, lane_min32(a, b))                                                    \
	X(max_f32, float, float, float, lane_max32(a, b))                                                    \
	X(min_nan_f32, float, float, float, lane_nan32(a != a ? a : b != b ? b : lane_min32(a, b)))          \
	X(max_nan_f32, float, float, float, lane_nan32(a != a ? a : b != b ? b : lane_max32(a, b)))          \
	X(copysign_f32, uint32_t, uint32_t, uint32_t, (a & 0x80000000u) | (b & 0x7fffffffu))                 \
	X(add_f64, double, double, double, a + b)                                                            \
	X(sub_f64, double, double, double, a - b)                                                            \
	X(mul_f64, double, double, double, a *b)                                                             \
	X(div_f64, double, double, double, a / b)                                                            \
	X(min_f64, double, double, double, lane_min64(a, b))                                                 \
	X(max_f64, double, double, double, lane_max64(a, b))                                                 \
	X(copysign_f64, uint64_t, uint64_t, uint64_t, (a & 1ull << 63) | (b & ~(1ull << 63)))

/* X(name, result, a, b, c, expression) */
#define GD_OPS_FLOAT_TERNARY(X)                                                                              \
	X(fma_f32, float, float, float, float, lane_nan32(lane_fma32(a, b, c)))                              \
	X(fma_ftz_f32, float, float, float, float,                                                           \
	  lane_ftz(lane_nan32(lane_fma32(lane_ftz(a), lane_ftz(b), lane_ftz(c)))))                           \
	X(fma_f64, double, double, double, double, __builtin_fma(a, b, c))                                   \
	/* exact product, sum rounded to odd: rounding that once more to a half gives the half's fma */      \
	X(fma_odd_f32, double, float, float, float, lane_add_odd((double)a *(double)b, (double)c))

/* Loads: X(name, memory type, register type); stores: X(name, memory type, register type) */
#define GD_OPS_LOAD(X)                                                                                       \
	X(ld_u8_16, uint8_t, uint16_t)                                                                       \
	X(ld_s8_16, int8_t, uint16_t)                                                                        \
	X(ld_u8_32, uint8_t, uint32_t)                                                                       \
	X(ld_s8_32, int8_t, uint32_t)                                                                        \
	X(ld_u8_64, uint8_t, uint64_t)                                                                       \
	X(ld_s8_64, int8_t, uint64_t)                                                                        \
	X(ld_u16_16, uint16_t, uint16_t)                                                                     \
	X(ld_u16_32, uint16_t, uint32_t)                                                                     \
	X(ld_s16_32, int16_t, uint32_t)                                                                      \
	X(ld_u16_64, uint16_t, uint64_t)                                                                     \
	X(ld_s16_64, int16_t, uint64_t)                                                                      \
	X(ld_u32_32, uint32_t, uint32_t)                                                                     \
	X(ld_u32_64, uint32_t, uint64_t)                                                                     \
	X(ld_s32_64, int32_t, uint64_t)                                                                      \
	X(ld_u64_64, uint64_t, uint64_t)
#define GD_OPS_STORE(X)                                                                                      \
	X(st_8_16, uint8_t, uint16_t)                                                                        \
	X(st_8_32, uint8_t, uint32_t)                                                                        \
	X(st_8_64, uint8_t, uint64_t)                                                                        \
	X(st_16_16, uint16_t, uint16_t)                                                                      \
	X(st_16_32, uint16_t, uint32_t)                                                                      \
	X(st_16_64, uint16_t, uint64_t)                                                                      \
	X(st_32_32, uint32_t, uint32_t)                                                                      \
	X(st_32_64, uint32_t, uint64_t)                                                                      \
	X(st_64_64, uint64_t, uint64_t)

/* clang-format off: it gives no two runs the same form here */
/* Handlers written by hand, X(name): in exec/ (selection and moves) and in op_*.c. */
#define GD_OPS_EXEC(X)                                                                                       \
	X(special_lane)                                                                                      \
	X(special_32)                                                                                        \
	X(lop3_32)                                                                                           \
	X(bfi_32)                                                                                            \
	X(bfi_64)                                                                                            \
	X(selp_16)                                                                                           \
	X(selp_32)                                                                                           \
	X(selp_64)                                                                                           \
	X(unpack_16)                                                                                         \
	X(unpack_32)                                                                                         \
	X(add_cc_32)                                                                                         \
	X(add_cc_64)                                                                                         \
	X(sub_cc_32)                                                                                         \
	X(sub_cc_64)                                                                                         \
	X(extract)                                                                                           \
	X(insert)                                                                                            \
	X(uniform_16)                                                                                        \
	X(uniform_32)                                                                                        \
	X(uniform_64)                                                                                        \
	X(unpack4_16)                                                                                        \
	X(pack4_16)
#define GD_OPS_OTHER(X)                                                                                      \
	X(guarded)                                                                                           \
	X(bra)                                                                                               \
	X(jump)                                                                                              \
	X(join)                                                                                              \
	X(brx)                                                                                               \
	X(exit)                                                                                              \
	X(ret)                                                                                               \
	X(call)                                                                                              \
	X(call_indirect)                                                                                     \
	X(trap)                                                                                              \
	X(yield)                                                                                             \
	X(spin)                                                                                              \
	X(fence)                                                                                             \
	X(nop)                                                                                               \
	X(pred_mov)                                                                                          \
	X(pred_not)                                                                                          \
	X(pred_and)                                                                                          \
	X(pred_or)                                                                                           \
	X(pred_xor)                                                                                          \
	X(selp_pred)                                                                                         \
	X(special_64)                                                                                        \
	X(local_address)                                                                                     \
	X(isspacep)                                                                                          \
	X(shfl)                                                                                              \
	X(vote)                                                                                              \
	X(match)                                                                                             \
	X(redux)                                                                                             \
	X(warp_sync)                                                                                         \
	X(activemask)                                                                                        \
	X(elect)                                                                                             \
	X(barrier)                                                                                           \
	X(barrier_red)                                                                                       \
	X(barrier_arrive)                                                                                    \
	X(atom_16)                                                                                           \
	X(atom_32)                                                                                           \
	X(atom_64)                                                                                           \
	X(round_f32)                                                                                         \
	X(round_f64)                                                                                         \
	X(round_cvt)                                                                                         \
	X(vsimd)                                                                                             \
	X(builtin_assert)                                                                                    \
	X(builtin_malloc)                                                                                    \
	X(builtin_free)
/* clang-format on */

#endif
