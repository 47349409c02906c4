"""matmul: edges that fill no tile; positive values, so that no cancellation blows up the relative error.

A sum of 100 positive products, rounded after each step, is off by 100 half ULPs at the very worst; 16 is generous for
fused multiply-adds and catches any wrong index at once.
"""

import common

ROWS, INNER, COLUMNS, LIMIT_ULP = 120, 100, 72, 16


def make(directory):
    common.write(directory, "matmul.a.f32", common.uniform(1, ROWS * INNER, 0.0, 1.0))
    common.write(directory, "matmul.b.f32", common.uniform(2, INNER * COLUMNS, 0.0, 1.0))


def check(directory):
    a, b = common.read(directory, "matmul.a.f32"), common.read(directory, "matmul.b.f32")
    columns = [b[column::COLUMNS] for column in range(COLUMNS)]
    want = []
    for row in range(ROWS):
        values = a[row * INNER:(row + 1) * INNER]
        want += [sum(p * q for p, q in zip(values, column)) for column in columns]
    common.finish("matmul", *common.floats_within(common.read(directory, "matmul.c.f32"), want, LIMIT_ULP))


common.main(make, check)
