"""Sheets as they lie: against NumPy where pixels are moved, against the reference between them, in any bands."""

import numpy as np
import pytest

import mlsolve
from mlsolve.job.arrangements import Placement
from mlsolve.pictures.colour import decode, encode
from mlsolve.scoring.developing import composite_placed
from mlsolve.scoring.placed import place_sheet, placed_rows
from mlsolve.scoring.stack_scoring import distances_for, misaligned
from mlsolve_kernels.placement.reference import place

WAYS = [
    {"rotate": 90},
    {"rotate": 180},
    {"rotate": -90, "flip": "v"},
    {"flip": "h"},
    {"shift": (3, -2)},
    {"rotate": 90, "shift": (0, 5)},
    {"rotate": 27.5},
    {"shift": (0.5, 0.25)},
    {"rotate": 3, "flip": "h", "shift": (1.5, 2)},
]


def read(image):
    return lambda region: image[region.top : region.bottom, region.left : region.right]


@pytest.mark.parametrize("side", [29, 30])
def test_pixels_that_are_moved(rng, side):
    image = rng.random((side, side, 3), dtype=np.float32)
    for quarters in range(4):
        for flip, axis in ((None, ()), ("h", 1), ("v", 0)):
            expected = np.rot90(np.flip(image, axis), quarters)
            np.testing.assert_array_equal(
                place_sheet(image, Placement(1, rotate=90 * quarters, flip=flip)), expected
            )
    shifted = np.ones_like(image)
    shifted[2:, :-5] = image[:-2, 5:]
    np.testing.assert_array_equal(place_sheet(image, Placement(1, shift=(-5, 2))), shifted)
    np.testing.assert_array_equal(place_sheet(image, Placement(1, shift=(side - 1, 0)))[:, -1], image[:, 0])
    assert (place_sheet(image, Placement(1, shift=(side, 0))) == 1).all()


@pytest.mark.parametrize("how", WAYS)
def test_between_pixels_light_is_encoded(rng, how):
    """As the solver sees it; and off the sheet there is the light box."""
    image = rng.random((21, 21, 2), dtype=np.float32)
    placement = Placement(1, **how)
    planes = np.moveaxis(encode(image), -1, 0).astype(np.float64)
    expected = decode(np.moveaxis(place(planes, placement.move((21, 21))), 0, -1).astype(np.float32))
    np.testing.assert_allclose(place_sheet(image, placement), expected, atol=2e-6)


@pytest.mark.parametrize("how", WAYS)
def test_bands_are_the_whole(rng, how):
    """And of columns beyond those that are interpolated together."""
    shape = (23, 23) if how.get("rotate", 0) % 180 == 90 else (23, 1100)
    image = rng.random((*shape, 1), dtype=np.float32)
    move = Placement(1, **how).move(shape)
    whole = placed_rows(read(image), shape, move)
    parts = [placed_rows(read(image), shape, move, top, min(top + 5, 23)) for top in range(0, 23, 5)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_stack_is_composed_of_what_lies_there(rng):
    layers = [rng.uniform(0.4, 1, (15, 15, 3)).astype(np.float32) for _ in range(3)]
    place_ = [Placement(3, rotate=90), Placement(1)]
    expected = mlsolve.compose([np.rot90(layers[2]), layers[0]], 0.3)
    np.testing.assert_allclose(composite_placed(layers, place_, 0.3), expected, atol=1e-7)


def test_how_far_sheets_are_tried_off():
    assert distances_for(0) == (1, 2)
    assert distances_for(1) == (1, 2)
    assert distances_for(2) == (1, 2, 4)
    assert distances_for(3) == (2, 3, 6)
    assert distances_for(0.4) == (1, 2)
    assert distances_for(10) == (5, 10, 20)


def test_sheets_off_go_round_and_the_first_stays(rng):
    shape, image = (17, 17), rng.random((17, 17, 1), dtype=np.float32)
    still = [Placement(k).move(shape) for k in range(1, 6)]
    for move, shift in zip(misaligned(shape, still, 2), [(0, 0), (2, 0), (0, 2), (-2, 0), (0, -2)], strict=True):
        np.testing.assert_array_equal(
            placed_rows(read(image), shape, move), place_sheet(image, Placement(1, shift=shift))
        )
    # A turned sheet is shifted as it lies, not as it was solved.
    turned = Placement(2, rotate=90).move(shape)
    found = placed_rows(read(image), shape, misaligned(shape, [still[0], turned], 3)[1])
    expected = np.ones_like(image)
    expected[:, 3:] = np.rot90(image)[:, :-3]
    np.testing.assert_array_equal(found, expected)
