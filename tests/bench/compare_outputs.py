"""Compare the outputs that two runs of the examples kept, say one on cuda and one on reference.

usage: compare_outputs.py OUT_DIR OUT_DIR

Prints a markdown table, a row per output file. Integers must be equal. Floats: the largest distance in ULPs, and the
largest difference relative to the largest value of the array (which says more where a value is near zero). Exits 1 when
integers differ, a file is absent, or a float is off by more than 1e-5 of the largest value.
"""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "examples", "check"))

import common  # noqa: E402  the arrays and ULPs of the examples' own checks

OUTPUTS = ("saxpy.y.f32", "matmul.c.f32", "reduce.sum.f32", "reduce.above.u32", "histogram.bins.u32",
           "mandelbrot.pixels.u8", "blackscholes.call.f32", "blackscholes.put.f32", "blur.to.u8", "scan.out.u32",
           "nbody.to.f32", "nbody.velocity.f32")
FLOAT_LIMIT = 1e-5


def row(first, second, name):
    """(text of the row, good)"""
    try:
        a, b = common.read(first, name), common.read(second, name)
    except FileNotFoundError as error:
        return f"| {name} | | absent: {error.filename} | | no |", False
    if len(a) != len(b):
        return f"| {name} | {len(a)} and {len(b)} | | | no |", False
    if name.endswith("f32"):
        ulp, _ = common.worst(a, b)
        scale = max(map(abs, b), default=0) or 1.0
        relative = max((abs(x - y) for x, y in zip(a, b)), default=0) / scale
        good = relative <= FLOAT_LIMIT and ulp != float("inf")
        return f"| {name} | {len(a)} | {ulp} | {relative:.1e} | {'yes' if good else 'no'} |", good
    different = sum(x != y for x, y in zip(a, b))
    return f"| {name} | {len(a)} | {f'{different} differ' if different else 'equal'} | | " \
           f"{'no' if different else 'yes'} |", different == 0


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print("| output | values | ULP apart, at most | of the largest value | good |\n|---|---:|---:|---:|---|")
    good = True
    for name in OUTPUTS:
        text, fine = row(sys.argv[1], sys.argv[2], name)
        print(text)
        good = good and fine
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
