"""histogram: a length that fills no block, bytes that favour small values; all 256 counts must be equal."""

import collections
import random

import common

N = 200001


def make(directory):
    source = random.Random(4)
    common.write(directory, "histogram.bytes.u8", (int(256 * source.random() ** 2) for _ in range(N)))


def check(directory):
    counts = collections.Counter(common.read(directory, "histogram.bytes.u8"))
    want = [counts[value] for value in range(256)]
    common.finish_integers("histogram", "counts", common.read(directory, "histogram.bins.u32"), want)


common.main(make, check)
