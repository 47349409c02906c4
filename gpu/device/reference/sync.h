/* Modes of the warp-synchronous, barrier and atomic operations, as instructions carry them in aux. */
#ifndef GD_REFERENCE_SYNC_H
#define GD_REFERENCE_SYNC_H

enum { GD_SHFL_UP, GD_SHFL_DOWN, GD_SHFL_BFLY, GD_SHFL_IDX };
enum { GD_VOTE_ALL, GD_VOTE_ANY, GD_VOTE_UNI, GD_VOTE_BALLOT };
enum { GD_MATCH_ANY, GD_MATCH_ALL };
enum {
	GD_REDUX_ADD,
	GD_REDUX_MIN_U,
	GD_REDUX_MAX_U,
	GD_REDUX_MIN_S,
	GD_REDUX_MAX_S,
	GD_REDUX_AND,
	GD_REDUX_OR,
	GD_REDUX_XOR
};
enum { GD_BARRIER_POPC, GD_BARRIER_AND, GD_BARRIER_OR };

enum gd_atom {
	GD_ATOM_ADD,
	GD_ATOM_MIN_U,
	GD_ATOM_MAX_U,
	GD_ATOM_MIN_S,
	GD_ATOM_MAX_S,
	GD_ATOM_AND,
	GD_ATOM_OR,
	GD_ATOM_XOR,
	GD_ATOM_EXCH,
	GD_ATOM_CAS,
	GD_ATOM_INC,
	GD_ATOM_DEC,
	GD_ATOM_ADD_F,      /* f32, f64 by width; f16 when the width is 16 */
	GD_ATOM_ADD_BF16,   /* 16 bits */
	GD_ATOM_ADD_F16X2,  /* 32 bits */
	GD_ATOM_ADD_BF16X2, /* 32 bits */
	GD_ATOM_ADD_FTZ     /* f32 with subnormals flushed */
};
#define GD_ATOM_SHIFT 16 /* of the operation in aux2, above the access flags */

enum gd_rounding { GD_ROUND_RN, GD_ROUND_RZ, GD_ROUND_RM, GD_ROUND_RP };
enum { GD_ROUND_ADD, GD_ROUND_MUL, GD_ROUND_FMA, GD_ROUND_DIV, GD_ROUND_SQRT, GD_ROUND_RCP };
enum { GD_ROUND_F32_F64, GD_ROUND_F32_S64, GD_ROUND_F32_U64, GD_ROUND_F64_S64, GD_ROUND_F64_U64 };

enum { GD_VSIMD_ADD, GD_VSIMD_SUB, GD_VSIMD_AVRG, GD_VSIMD_ABSDIFF, GD_VSIMD_MIN, GD_VSIMD_MAX };
#define GD_VSIMD_A_SIGNED   1u
#define GD_VSIMD_B_SIGNED   2u
#define GD_VSIMD_D_SIGNED   4u
#define GD_VSIMD_SATURATE   8u
#define GD_VSIMD_ACCUMULATE 16u
#define GD_VSIMD_BYTES      32u

#endif
