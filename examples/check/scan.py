"""scan: a length that fills no block, values so large that sums wrap at 2^32; every sum must be equal."""

import random

import common

N = 60001


def make(directory):
    source = random.Random(9)
    common.write(directory, "scan.in.u32", (int(source.random() * 2 ** 20) for _ in range(N)))


def check(directory):
    want, sum_before = [], 0
    for value in common.read(directory, "scan.in.u32"):
        want.append(sum_before)
        sum_before = (sum_before + value) % 2 ** 32
    common.finish_integers("scan", "sums", common.read(directory, "scan.out.u32"), want)


common.main(make, check)
