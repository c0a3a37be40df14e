"""Noise by the place of a pixel: against its reference, whose numbers are published, and in regions."""

import numpy as np
import pytest

from mlsolve_kernels.noise.cpu import add_noise
from mlsolve_kernels.noise.reference import uniform_noise

PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]
"""The first numbers of SplitMix64 from seed 1234567, as other implementations print them."""


def noise(shape, seed, first=0, pitch=None, width=1.0):
    """What `add_noise` adds to zeros."""
    image = np.zeros(shape, dtype=np.float32)
    numbers = (np.uint64(number) for number in (seed, first, shape[1] if pitch is None else pitch))
    add_noise(image, *numbers, np.float32(width))
    return image


def test_the_reference_is_the_published_sequence():
    expected = [(number >> 40) / 2**24 for number in PUBLISHED]
    assert uniform_noise(1234567, 0, 5).tolist() == expected
    assert uniform_noise(1234567, 3, 2).tolist() == expected[3:]


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (37, 1), (5, 17)])
@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("first", [0, 16 * 3 * 10**12])
def test_against_the_reference(shape, seed, first):
    """24 bits, less a half, are exact in float32."""
    found = noise(shape, seed, first)
    assert found.dtype == np.float32
    expected = uniform_noise(seed, first, shape[0] * shape[1]).reshape(shape) - 0.5
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_it_is_added_at_its_width(rng):
    image = rng.random((9, 20), dtype=np.float32)
    width = np.float32(1 / 255)
    found = image.copy()
    add_noise(found, np.uint64(3), np.uint64(7), np.uint64(20), width)
    np.testing.assert_array_equal(found, image + width * noise((9, 20), 3, 7))


def test_regions_are_the_whole(rng):
    """A region of a picture counts from where it begins, a row of the picture further with each of its own."""
    height, width, before = 61, 83, 12345
    whole = noise((height, width), 5, before)
    for _ in range(40):
        top, left = rng.integers(0, height), rng.integers(0, width)
        bottom, right = rng.integers(top, height) + 1, rng.integers(left, width) + 1
        part = noise((bottom - top, right - left), 5, before + top * width + left, width)
        assert part.tobytes() == whole[top:bottom, left:right].tobytes()


def test_it_is_even_and_of_all_places_different():
    found = noise((400, 400), 11)
    assert found.min() >= -0.5
    assert found.max() < 0.5
    counts = np.histogram(found, bins=16, range=(-0.5, 0.5))[0]
    assert counts == pytest.approx(np.full(16, 10_000), rel=0.05)
    for other in (
        np.roll(found, 1, 0),
        np.roll(found, 1, 1),
        noise((400, 400), 12),
        noise((400, 400), 11, 160_000),
    ):
        assert abs(np.corrcoef(found.ravel(), other.ravel())[0, 1]) < 0.01
