"""`make bench`: what generated guides are made of, for a tile of 256×256 and a block of 512×512."""

import numpy as np

from mlsolve_kernels.drawing.cpu import average, place


def measure(benchmark, work, pixels):
    benchmark.pedantic(work, rounds=9, warmup_rounds=1)
    benchmark.extra_info["ns per pixel"] = benchmark.stats.stats.median * 1e9 / pixels


def test_averaging_sub_pixels(benchmark):
    """A tile with an edge in every thirty-second pixel."""
    numbers, out = np.zeros((1024, 1024), dtype=np.uint8), np.empty((256, 256, 3), dtype=np.uint8)
    numbers[:, ::128] = 1
    colours = np.array([[10, 20, 30], [200, 100, 0]], dtype=np.uint8)
    measure(benchmark, lambda: average(numbers, colours, out), 256**2)


def test_places_in_a_photo(benchmark):
    """A block within one half wedge."""
    across, down = np.empty((2, 512, 512), dtype=np.float32)
    maps, chosen, middle = np.full((2, 2, 1), 0.7), np.zeros((1, 1), dtype=np.int64), np.array([900.0, 800.0])
    measure(benchmark, lambda: place(-3000.0, 1000.0, maps, chosen, middle, across, down), 512**2)
