"""Resampling: against its reference, against OpenCV, and in regions against the whole."""

import cv2
import numpy as np
import pytest

from mlsolve_kernels.resample.cpu import area_taps, cubic_taps, resample, span
from mlsolve_kernels.resample.reference import area_matrix, cubic_matrix
from mlsolve_kernels.resample.reference import resample as reference_resample
from mlsolve_kernels.threads import Team

AREA = [(64, 32), (65, 33), (17, 17), (40, 13), (97, 60), (31, 1), (50, 49), (2, 1), (1, 1)]
CUBIC = [(32, 64), (33, 65), (17, 17), (13, 40), (60, 97), (1, 9), (2, 5), (2, 40), (3, 7), (40, 13)]
KINDS = {"area": (area_taps, area_matrix, AREA), "cubic": (cubic_taps, cubic_matrix, CUBIC)}
CASES = [(kind, sizes) for kind, (_, _, all_sizes) in KINDS.items() for sizes in all_sizes]
EXACT = [("area", (64, 32), 2.0), ("area", (65, 33), 2.0), ("cubic", (33, 65), 0.5), ("cubic", (33, 66), 0.5)]


def dense(taps, source):
    """The matrix that `taps` stand for."""
    matrix = np.zeros((len(taps.first), source))
    for row, first, weights in zip(matrix, taps.first, taps.weights, strict=True):
        row[first : first + len(weights)] = weights
    return matrix


@pytest.mark.parametrize(("kind", "sizes"), CASES)
def test_taps_are_those_of_the_reference(kind, sizes):
    taps, matrix, _ = KINDS[kind]
    np.testing.assert_allclose(dense(taps(*sizes, 0, sizes[1]), sizes[0]), matrix(*sizes), atol=1e-7)


@pytest.mark.parametrize(("kind", "sizes", "factor"), EXACT)
def test_taps_of_a_given_factor(kind, sizes, factor):
    taps, matrix, _ = KINDS[kind]
    found = taps(*sizes, 0, sizes[1], 0, factor)
    np.testing.assert_allclose(dense(found, sizes[0]), matrix(*sizes, factor), atol=1e-7)
    assert found.weights.shape[1] == {"area": 2, "cubic": 4}[kind]


@pytest.mark.parametrize(("kind", "sizes"), [*CASES, ("area", (30001, 977)), ("cubic", (977, 200001))])
def test_weights_sum_to_one(kind, sizes):
    weights = KINDS[kind][0](*sizes, 0, sizes[1]).weights
    np.testing.assert_allclose(weights.sum(axis=1, dtype=np.float64), 1, atol=3e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_taps_depend_on_the_index_alone(kind, rng):
    source, target = (199_999, 70_001) if kind == "area" else (70_001, 199_999)
    taps = KINDS[kind][0]
    whole = taps(source, target, 0, target, 5)
    for start in rng.integers(0, target, 30):
        stop = int(rng.integers(start, target)) + 1
        part = taps(source, target, int(start), stop, 5)
        assert np.array_equal(part.first, whole.first[start:stop])
        assert np.array_equal(part.weights, whole.weights[start:stop])


@pytest.mark.parametrize(("kind", "sizes"), CASES)
@pytest.mark.parametrize("across", [0, 3])
def test_against_the_reference(rng, kind, sizes, across):
    taps, matrix, all_sizes = KINDS[kind]
    wide = all_sizes[across]
    source = rng.random((2, sizes[0], wide[0]), np.float32)
    found = resample(source, (0, 0), taps(*sizes, 0, sizes[1]), taps(*wide, 0, wide[1]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference_resample(source, matrix(*sizes), matrix(*wide)), atol=2e-6)


@pytest.mark.parametrize(("source", "target"), [(63, 32), (64, 32), (95, 48), (70, 35), (65, 33), (9, 5)])
def test_halving_against_the_reference(rng, source, target):
    """Whole vectors of pairs, and what is left; an odd side, whose last sample goes alone."""
    image, taps = rng.random((1, 7, source), np.float32), area_taps(source, target, 0, target, 0, 2.0)
    found = resample(image, (0, 0), area_taps(7, 4, 0, 4, 0, 2.0), taps)
    expected = reference_resample(image, area_matrix(7, 4, 2.0), area_matrix(source, target, 2.0))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(100, 70), (50, 35), (80, 50), (40, 20)])
def test_against_opencv(rng, kind, size):
    # OpenCV leaves out what an average covers by less than a thousandth of a sample; here there is no such.
    small, large = (size, (200, 140)) if kind == "area" else ((200, 140), size)
    width, height = large if kind == "area" else small
    to = small if kind == "area" else large
    image = rng.random((height, width), np.float32)
    flag = cv2.INTER_AREA if kind == "area" else cv2.INTER_CUBIC
    taps = KINDS[kind][0]
    found = resample(image[np.newaxis], (0, 0), taps(height, to[1], 0, to[1]), taps(width, to[0], 0, to[0]))
    np.testing.assert_allclose(found[0], cv2.resize(image, to, interpolation=flag), atol=1e-4)


def test_enlarging_against_opencv(rng):
    image = rng.random((51, 83), np.float32)
    found = resample(image[np.newaxis], (0, 0), cubic_taps(51, 140, 0, 140), cubic_taps(83, 301, 0, 301))
    np.testing.assert_allclose(found[0], cv2.resize(image, (301, 140), interpolation=cv2.INTER_CUBIC), atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "height", "width", "factor"),
    [
        ("area", (131, 66), (201, 101), 2.0),
        ("area", (131, 47), (201, 89), None),
        ("area", (131, 131), (200, 10), None),
        ("cubic", (66, 131), (101, 202), 0.5),
        ("cubic", (47, 131), (89, 201), None),
    ],
)
def test_regions_are_the_whole_byte_for_byte(rng, kind, height, width, factor):
    taps = KINDS[kind][0]
    top, left = 7, 19  # the part that is resampled begins within a picture
    picture = rng.random((2, top + height[0] + 3, left + width[0] + 2), np.float32)
    rows = taps(*height, 0, height[1], top, factor)
    columns = taps(*width, 0, width[1], left, factor)
    whole = resample(picture, (0, 0), rows, columns)
    for _ in range(60):
        start = rng.integers(0, height[1]), rng.integers(0, width[1])
        stop = rng.integers(start[0], height[1]) + 1, rng.integers(start[1], width[1]) + 1
        rows = taps(*height, int(start[0]), int(stop[0]), top, factor)
        columns = taps(*width, int(start[1]), int(stop[1]), left, factor)
        (y, y_end), (x, x_end) = span(rows), span(columns)
        assert top <= y < y_end <= top + height[0]
        assert left <= x < x_end <= left + width[0]
        part = resample(picture[:, y:y_end, x:x_end], (y, x), rows, columns)
        assert part.tobytes() == whole[:, start[0] : stop[0], start[1] : stop[1]].tobytes()


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_any_team_gives_the_same_bytes(rng, kind, workers):
    sizes = (65, 33) if kind == "area" else (33, 66)
    taps = KINDS[kind][0](*sizes, 0, sizes[1])
    source = rng.random((3, sizes[0], sizes[0]), np.float32)
    team = Team(workers)
    found = resample(source, (0, 0), taps, taps, team)
    team.close()
    assert found.tobytes() == resample(source, (0, 0), taps, taps).tobytes()


@pytest.mark.parametrize(("kind", "sizes"), CASES)
def test_constant_pictures_stay_constant(kind, sizes):
    taps = KINDS[kind][0](*sizes, 0, sizes[1])
    source = np.full((1, sizes[0], sizes[0]), 0.7, np.float32)
    np.testing.assert_allclose(resample(source, (0, 0), taps, taps), 0.7, atol=1e-6)


def test_memory_of_any_kind_is_read(rng):
    source = rng.random((40, 40, 2)).astype(np.float32)
    taps = area_taps(40, 20, 0, 20)
    expected = resample(np.ascontiguousarray(np.moveaxis(source, -1, 0)), (0, 0), taps, taps)
    source.flags.writeable = False
    assert np.array_equal(resample(np.moveaxis(source, -1, 0), (0, 0), taps, taps), expected)
    assert np.array_equal(resample(np.moveaxis(source, -1, 0)[::-1], (0, 0), taps, taps), expected[::-1])


def test_refusals():
    with pytest.raises(ValueError, match="outputs 5 to 21 are asked for: there are 20"):
        area_taps(40, 20, 5, 21)
    with pytest.raises(ValueError, match=r"factor is 0\.5: it does not bring 20 samples to 40"):
        area_taps(20, 40, 0, 40)
    with pytest.raises(ValueError, match="factor is 2: it does not bring 38 samples to 20"):
        area_taps(38, 20, 0, 20, 0, 2.0)
    taps = area_taps(40, 20, 0, 20)
    with pytest.raises(ValueError, match="source holds columns 1 to 40: 0 to 40 are read"):
        resample(np.zeros((1, 40, 39), np.float32), (0, 1), taps, taps)
