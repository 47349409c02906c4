"""What the checks of all examples share: raw little-endian arrays on disk, ULPs, and the closing line.

Plain python3, standard library only. The expected values are computed in double precision (or in integers)
by code that shares nothing with the kernels; `worst` then says how far the device's floats are from them.
"""

import array
import os
import random
import struct
import sys

CODES = {"u8": "B", "u32": "I", "i32": "i", "f32": "f", "f64": "d"}


def read(directory, name):
    """Read DIR/NAME.TYPE into an array; the suffix says the element type."""
    values = array.array(CODES[name.rsplit(".", 1)[1]])
    with open(os.path.join(directory, name), "rb") as file:
        values.frombytes(file.read())
    if sys.byteorder == "big":
        values.byteswap()
    return values


def write(directory, name, values):
    """Write values as DIR/NAME.TYPE, little-endian."""
    data = array.array(CODES[name.rsplit(".", 1)[1]], values)
    if sys.byteorder == "big":
        data.byteswap()
    with open(os.path.join(directory, name), "wb") as file:
        file.write(data.tobytes())


def uniform(seed, count, low, high):
    """The same `count` floats every time, rounded to f32 so that host and device start from equal values."""
    source = random.Random(seed)
    return array.array("f", (low + (high - low) * source.random() for _ in range(count)))


def ordinal(value):
    """Number the f32 values in order, so that the difference of two ordinals is their distance in ULPs."""
    bits = struct.unpack("<i", struct.pack("<f", value))[0]
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def worst(got, want):
    """Largest distance in ULPs and largest relative error of f32 `got` from double `want`; NaN is infinitely far."""
    ulp = relative = 0
    for g, w in zip(got, want):
        if g != g:
            return float("inf"), float("inf")
        ulp = max(ulp, abs(ordinal(g) - ordinal(w)))
        relative = max(relative, abs(g - w) / abs(w) if w else float(g != w))
    return ulp, relative


def finish(example, text, good):
    """Print the verdict and end the process with the status that says it."""
    print(f"{example}: {text}: {'ok' if good else 'WRONG'}")
    sys.exit(0 if good else 1)


def finish_integers(example, what, got, want):
    """Every integer must be the expected one; the first that is not is named."""
    if len(got) != len(want):
        finish(example, f"{len(got)} {what} instead of {len(want)}", False)
    for index, (g, w) in enumerate(zip(got, want)):
        if g != w:
            finish(example, f"{what}[{index}] is {g}, should be {w}", False)
    finish(example, f"all {len(want)} {what} equal", True)


def floats_within(got, want, limit_ulp):
    """(text, good) for floats that must lie within `limit_ulp` of the value computed in double precision."""
    if len(got) != len(want):
        return f"{len(got)} values instead of {len(want)}", False
    ulp, relative = worst(got, want)
    return (f"{len(want)} values, at most {ulp} ULP off (limit {limit_ulp}), relative error {relative:.1e}",
            ulp <= limit_ulp)


def main(make, check):
    """`make DIR` writes the inputs, `check DIR` judges the outputs beside them."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("make", "check"):
        sys.exit(f"usage: {sys.argv[0]} make|check DIRECTORY")
    (make if sys.argv[1] == "make" else check)(sys.argv[2])
