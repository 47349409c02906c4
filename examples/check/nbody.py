"""nbody: the step in double precision. Coordinates and speeds are kept away from zero so that ULPs mean something;
rsqrtf is good to 2 ULP (CUDA C++ Programming Guide, mathematical functions), a sum of 400 pulls to some more.
"""

import math

import common

N, DT, SOFTENING, LIMIT_ULP = 400, 0.01, 0.05, 16


def make(directory):
    position = common.uniform(10, 4 * N, 1.0, 3.0)
    velocity = common.uniform(11, 4 * N, 0.5, 1.0)
    for i in range(N):
        position[4 * i + 3] /= N  # the mass
        velocity[4 * i + 3] = 0.0
    common.write(directory, "nbody.from.f32", position)
    common.write(directory, "nbody.velocity0.f32", velocity)


def check(directory):
    p, v = common.read(directory, "nbody.from.f32"), common.read(directory, "nbody.velocity0.f32")
    bodies = [tuple(p[4 * i:4 * i + 4]) for i in range(N)]
    to, velocity = [], []
    for i, (x, y, z, mass) in enumerate(bodies):
        ax = ay = az = 0.0
        for ox, oy, oz, other in bodies:
            dx, dy, dz = ox - x, oy - y, oz - z
            pull = other / math.sqrt(dx * dx + dy * dy + dz * dz + SOFTENING * SOFTENING) ** 3
            ax += pull * dx
            ay += pull * dy
            az += pull * dz
        vx, vy, vz = v[4 * i] + ax * DT, v[4 * i + 1] + ay * DT, v[4 * i + 2] + az * DT
        velocity += (vx, vy, vz, 0.0)
        to += (x + vx * DT, y + vy * DT, z + vz * DT, mass)
    text, good = common.floats_within(common.read(directory, "nbody.to.f32"), to, LIMIT_ULP)
    more, also_good = common.floats_within(common.read(directory, "nbody.velocity.f32"), velocity, LIMIT_ULP)
    common.finish("nbody", f"positions: {text}; velocities: {more}", good and also_good)


common.main(make, check)
