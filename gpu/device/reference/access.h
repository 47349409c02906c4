/*
 * What aux2 of a memory instruction says: how many elements of what size, how the address comes, in which
 * state space it must lie. Written by the lowering, read by the handlers and the address check.
 */
#ifndef GD_REFERENCE_ACCESS_H
#define GD_REFERENCE_ACCESS_H

#define GD_ACCESS_COUNT       0x0fu /* elements: 1, 2 or 4 */
#define GD_ACCESS_WIDE        0x10u /* the address register has 64 bits */
#define GD_ACCESS_SPACE_SHIFT 8     /* enum gd_ptx_space of the instruction */
#define GD_ACCESS_SPACE(aux2) (((aux2) >> GD_ACCESS_SPACE_SHIFT) & 0x0fu)

#endif
