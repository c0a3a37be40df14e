"""What is drawn: sub-pixels averaged, and places in the photo of a kaleidoscope, against the references."""

import cv2
import numpy as np
import pytest

from mlsolve_kernels.drawing import cpu, reference


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (64, 33)])
def test_sub_pixels_are_averaged(rng, kind, shape):
    """By two colours of four pixels in five, so that flat pixels and halves occur; as OpenCV does it."""
    most = np.iinfo(kind).max + 1 if kind is np.uint8 else 1000
    colours = rng.integers(0, 256, (most, 3), dtype=np.uint8)
    pixels = np.repeat(np.repeat(rng.integers(0, most, shape, dtype=kind), 4, axis=0), 4, axis=1)
    others = rng.integers(0, most, pixels.shape, dtype=kind)
    mixed = np.repeat(np.repeat(rng.random(shape) < 0.5, 4, axis=0), 4, axis=1) & (rng.random(pixels.shape) < 0.5)
    numbers = np.where(mixed, others, pixels)
    numbers[0, 0] = most - 1
    found = np.empty((*shape, 3), dtype=np.uint8)
    cpu.average(numbers, colours, found)
    np.testing.assert_array_equal(found, np.rint(reference.average(numbers, colours)))
    painted = cv2.resize(colours[numbers], shape[::-1], interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(found, painted)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (31, 20)])
@pytest.mark.parametrize("same", [True, False])
def test_places_in_a_photo(rng, shape, same):
    """To 1/1024 of a pixel, with the samples around them that bicubic interpolation needs, and no others."""
    maps, middle = rng.normal(0, 2, (2, 2, 5)), np.array([4000.3, 2500.7])
    chosen = rng.integers(0, 5, (1, 1) if same else shape)
    across, down = np.empty((2, *shape), dtype=np.float32)
    top, bottom, left, right = cpu.place(-5.5, 3.0, maps, chosen, middle, across, down)
    expected = reference.place(-5.5, 3.0, maps, chosen, middle, shape)
    found = np.stack([across + np.float64(left), down + np.float64(top)])
    assert np.abs(found - expected).max() <= 0.5 / 1024 + 1e-9
    assert (found * 1024 == np.rint(found * 1024)).all()
    ends = [(np.floor(one.min()) - 1, np.floor(one.max()) + 3) for one in found]
    assert ends == [(left, right), (top, bottom)]
