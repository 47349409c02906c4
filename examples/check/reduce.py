"""reduce: the count must be equal; the sum depends on the order of additions and gets 64 ULP (4e-6 relative)."""

import math

import common

N, THRESHOLD, LIMIT_ULP = 50000, 0.75, 64


def make(directory):
    common.write(directory, "reduce.x.f32", common.uniform(3, N, 0.0, 1.0))


def check(directory):
    x = common.read(directory, "reduce.x.f32")
    above = sum(value > THRESHOLD for value in x)
    got_above = list(common.read(directory, "reduce.above.u32"))
    text, good = common.floats_within(common.read(directory, "reduce.sum.f32"), [math.fsum(x)], LIMIT_ULP)
    if got_above != [above]:
        common.finish("reduce", f"{got_above} values above {THRESHOLD}, should be {above}", False)
    common.finish("reduce", f"{above} of {N} values above {THRESHOLD}, as counted here; sum: {text}", good)


common.main(make, check)
