"""mandelbrot: the same steps in Python's doubles. The pipeline is compiled with --fmad=false, so that the device rounds
after each operation as Python does; every pixel must be equal.
"""

import common

WIDTH, HEIGHT, CENTER_X, CENTER_Y, PIXEL_SIZE, STEPS = 300, 200, -0.7, 0.0, 0.01, 85


def make(_directory):
    pass


def shade(cx, cy):
    x = y = 0.0
    for step in range(STEPS):
        if x * x + y * y > 4.0:
            return 255 - step * 255 // STEPS
        x, y = x * x - y * y + cx, 2.0 * x * y + cy
    return 0


def check(directory):
    want = [shade(CENTER_X + (column - WIDTH // 2) * PIXEL_SIZE, CENTER_Y + (row - HEIGHT // 2) * PIXEL_SIZE)
            for row in range(HEIGHT) for column in range(WIDTH)]
    common.finish_integers("mandelbrot", "pixels", common.read(directory, "mandelbrot.pixels.u8"), want)


common.main(make, check)
