"""SSIM to a target that may move by windows: against its reference, and by bands."""

import cv2
import numpy as np
import pytest

import mlsolve
from mlsolve.scoring.stack_scoring import MovedScoring
from mlsolve_kernels.exact import SSIM_BITS
from mlsolve_kernels.scoring import reference
from mlsolve_kernels.scoring.moved import FARTHEST, best_of, moved_sums, offsets_of, windows_of
from mlsolve_kernels.window import RADIUS


def drawn(rng, height, width, planes=1):
    """A picture with detail of a few pixels, (C, H, W)."""
    noise = rng.standard_normal((planes, height, width))
    soft = np.stack([cv2.GaussianBlur(plane, (0, 0), 1.5) for plane in noise])
    return np.ascontiguousarray(np.clip(0.5 + soft, 0, 1), dtype=np.float32)


def shifted(picture, down, right):
    """The picture (C, H, W) moved within its frame; its border goes on."""
    rows = np.clip(np.arange(picture.shape[1]) - down, 0, picture.shape[1] - 1)
    columns = np.clip(np.arange(picture.shape[2]) - right, 0, picture.shape[2] - 1)
    return np.ascontiguousarray(picture[:, rows][:, :, columns])


def test_offsets_are_all_pixels_then_thirds():
    assert [offsets_of(pixels) for pixels in (0, 1, 2, 3)] == [
        (0,),
        (-1, 0, 1),
        (-2, -1, 0, 1, 2),
        (-3, -2, -1, 0, 1, 2, 3),
    ]
    assert offsets_of(6) == (-6, -4, -2, 0, 2, 4, 6)
    assert offsets_of(10) == (-10, -7, -3, 0, 3, 7, 10)
    assert offsets_of(500) == (-96, -64, -32, 0, 32, 64, 96) == offsets_of(FARTHEST)


def test_windows_are_of_some_sixty_pixels():
    assert windows_of(600) == list(range(0, 601, 60))
    assert windows_of(1) == [0, 1]
    assert windows_of(89) == [0, 89]
    assert windows_of(90) == [0, 45, 90]
    for side in range(90, 2000):
        assert 45 <= min(np.diff(windows_of(side))) <= max(np.diff(windows_of(side))) <= 75


@pytest.mark.parametrize(
    ("size", "planes", "pixels", "weighted"),
    [
        ((11, 13), 1, 2, False),
        ((47, 95), 3, 1, True),
        ((200, 190), 1, 3, True),
        ((190, 217), 1, 7, False),
    ],
)
def test_against_the_reference(rng, size, planes, pixels, weighted):
    target = drawn(rng, *size, planes)
    image = np.clip(shifted(target, 1, -2) + 0.1 * drawn(rng, *size, planes) - 0.05, 0, 1).astype(np.float32)
    weights = rng.random(size, dtype=np.float32) * (rng.random(size) > 0.3) if weighted else None
    _, sums = moved_sums(image, target, weights, (0, size[0]), size, (0, 0), pixels)
    counts = np.ones(size) if weights is None else weights
    expected = reference.moved_ssim(image, target, pixels, counts)
    assert best_of(sums) / 2.0**SSIM_BITS / (counts.sum() * planes) == pytest.approx(expected, abs=2e-6)


def test_a_target_that_stands_still_gives_the_ssim_of_before(rng):
    x, y = (np.moveaxis(drawn(rng, 131, 170, 3), 0, 2) for _ in range(2))
    assert mlsolve.ssim_moved(x, y, 0) == pytest.approx(mlsolve.ssim(x, y), abs=1e-6)


@pytest.mark.parametrize("pixels", [3, 6])
def test_a_picture_that_moved_as_a_whole_is_found(rng, pixels):
    target = drawn(rng, 130, 190)
    moved = shifted(target, pixels, -pixels)
    assert mlsolve.ssim(moved[0], target[0]) < 0.3
    assert mlsolve.ssim_moved(moved[0], target[0], pixels) == pytest.approx(1, abs=1e-5)


def test_a_picture_whose_regions_moved_is_found(rng):
    """Each window by another offset: only where windows meet is SSIM below 1."""
    target = drawn(rng, 240, 240)[0]
    image, edges = target.copy(), windows_of(240)
    for number, (y, x) in enumerate(np.ndindex(4, 4)):
        part = np.s_[edges[y] : edges[y + 1], edges[x] : edges[x + 1]]
        down, right = ((3, -2), (-2, 3), (2, 2), (-3, -3))[number % 4 if y % 2 else number % 3]
        image[part] = shifted(target[np.newaxis], down, right)[0][part]
    assert mlsolve.ssim(image, target) < 0.3
    assert 0.85 < mlsolve.ssim_moved(image, target, 3) < 0.99
    assert mlsolve.ssim_moved(image, target, 1) < 0.5  # not far enough


@pytest.mark.parametrize("height", [1, 8, 64])
@pytest.mark.parametrize("pixels", [2, 5])
def test_bands_add_up_to_the_whole(rng, height, pixels):
    """To the last bit, however the rows are cut, with no more rows than a band is promised."""
    size = 187, 130
    target, weights = drawn(rng, *size, 2), rng.random(size, dtype=np.float32)
    image = np.clip(shifted(target, -2, 1) + 0.2 * drawn(rng, *size, 2) - 0.1, 0, 1).astype(np.float32)
    _, whole = moved_sums(image, target, weights, (0, size[0]), size, (0, 0), pixels)
    gathered, reach = MovedScoring(pixels), max(offsets_of(pixels))
    for top in range(0, size[0], height):
        rows = top, min(top + height, size[0])
        above, below = max(0, top - RADIUS), min(size[0], rows[1] + RADIUS)
        first, last = max(0, above - reach), min(size[0], below + reach)
        parts = np.ascontiguousarray(image[:, above:below]), np.ascontiguousarray(target[:, first:last])
        gathered.add(*moved_sums(*parts, weights[above:below], rows, size, (above, first), pixels))
    assert gathered.total == best_of(whole)
