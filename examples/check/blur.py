"""blur: a picture with rings, a hard-edged square and noise, of a size that fills no block; every pixel must be equal."""

import math
import random

import common

WIDTH, HEIGHT = 250, 170
WEIGHTS = (1, 4, 6, 4, 1)


def picture():
    noise = random.Random(8)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            distance = math.hypot(column - WIDTH / 3, row - HEIGHT / 2)
            value = 128 + 90 * math.sin(distance / 3)
            if column > WIDTH * 2 // 3 and HEIGHT // 4 < row < HEIGHT * 3 // 4:
                value = 255 if (column // 8 + row // 8) % 2 else 0
            yield max(0, min(255, int(value + 60 * (noise.random() - 0.5))))


def make(directory):
    common.write(directory, "blur.from.u8", picture())


def check(directory):
    source = common.read(directory, "blur.from.u8")
    columns = [[min(max(column + d, 0), WIDTH - 1) for d in range(-2, 3)] for column in range(WIDTH)]
    # The weights separate: rows first, then columns, in exact integers.
    across = [[sum(w * source[row * WIDTH + c] for w, c in zip(WEIGHTS, near)) for near in columns]
              for row in range(HEIGHT)]
    want = []
    for row in range(HEIGHT):
        near = [across[min(max(row + d, 0), HEIGHT - 1)] for d in range(-2, 3)]
        want += [(sum(w * line[column] for w, line in zip(WEIGHTS, near)) + 128) // 256 for column in range(WIDTH)]
    common.finish_integers("blur", "pixels", common.read(directory, "blur.to.u8"), want)


common.main(make, check)
