"""Scores and previews from rows that pass by: they are those of the whole, however many rows come at a time."""

import math

import numpy as np
import pytest

import mlsolve
from mlsolve.folder import prove
from mlsolve.images import PngWriter, load
from mlsolve.proof import CELL, STACK, Preview, Proof, same_planes_of, shown
from mlsolve.rounds.pictures import as_codes
from mlsolve_kernels.threads import Team
from mlsolve_kernels.window import RADIUS
from oracle import mean_ssim

# Width and height: all previews as large as the picture; sheets are shrunk; the stack as well; the smallest.
SIZES = [(90, 101), (450, 97), (2100, 43), (12, 2100), (11, 11)]
EXPOSURE = 0.2


@pytest.fixture
def pictures(picture):
    """A function that draws target, layers and guides of a size as codes, (h, W, C) uint16."""

    def draw(size, layers=2, planes=3):
        width, height = size
        target, *guides = (picture(height, width, seed, planes) for seed in range(layers + 1))
        rng = np.random.default_rng(width * height)
        sheets = [np.clip(0.6 * guide + 0.4 + 0.05 * rng.standard_normal(guide.shape), 0, 1) for guide in guides]
        return as_codes(target), [as_codes(sheet) for sheet in sheets], [as_codes(guide) for guide in guides]

    return draw


def fed(size, target, layers, guides, heights, exposure=EXPOSURE, threads=1):
    """What comes of rows in portions of `heights`, over and over: the proof, and the rows of the stack."""
    stack, team, top = [], Team(threads), 0
    proof = Proof(size, len(layers), exposure, team, stack.append)
    turn = 0
    while top < size[1]:
        rows = slice(top, top + heights[turn % len(heights)])
        proof.feed([layer[rows] for layer in layers], target[rows], [guide[rows] for guide in guides])
        assert len(proof._held[0]) <= max(heights) + 2 * RADIUS
        for preview in (proof.target, proof._stack):
            assert preview._held is None or preview._held.shape[1] <= preview._rows.weights.shape[1]
        top, turn = rows.stop, turn + 1
    team.close()
    return proof, np.concatenate(stack)


def seen(proof, stack):
    """All previews of a proof and its stack, as bytes, and its scores."""
    previews = [proof.target, proof.stack_cell, *proof.layers, *proof.guides]
    return [preview.image.tobytes() for preview in previews], stack.tobytes(), proof.scores


@pytest.mark.parametrize("size", SIZES)
def test_rows_may_come_in_any_portions(pictures, size):
    """One by one, as a decoder gives them, all at once; portions smaller than the window as well."""
    drawn = pictures(size)
    expected = seen(*fed(size, *drawn, [size[1]]))
    assert 0.05 < expected[2].target_ssim < 0.99
    for heights in ([1], [7], [64], [1, 30, 2, 11, 5])[size[1] > 1000 :]:  # one by one they would take seconds
        assert seen(*fed(size, *drawn, heights)) == expected
    assert seen(*fed(size, *drawn, [16], threads=2)) == expected


def light(code):
    """IEC 61966-2-1, in float64."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def srgb(value):
    return np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)


def as_seen(layers, exposure=EXPOSURE):
    """The stack of code values (h, W, C), in float64."""
    return srgb(np.clip(np.prod([light(layer / 65535) for layer in layers], axis=0) / exposure, 0, 1))


def by_planes(*images):
    return mean_ssim(*(np.moveaxis(image, -1, 0) for image in images))


@pytest.mark.parametrize("planes", [1, 3])
def test_scores_are_what_anybody_would_measure(pictures, planes):
    """In float64, by loops over pixels, with constants of their own."""
    size = 37, 29
    target, layers, guides = pictures(size, planes=planes)
    scores = fed(size, target, layers, guides, [7])[0].scores
    stack = as_seen(layers)
    error = np.mean((stack - target / 65535) ** 2)
    assert scores.target_ssim == pytest.approx(by_planes(stack, target / 65535), abs=1e-5)
    assert scores.target_psnr == pytest.approx(-10 * np.log10(error), abs=1e-5)
    expected = [by_planes(a / 65535, b / 65535) for a, b in zip(layers, guides, strict=True)]
    assert scores.guide_ssim == pytest.approx(expected, abs=1e-5)


def test_the_ratio_is_right_where_little_is_wrong(pictures):
    """Rounded to eight bits: squared errors are counted in whole quanta, to the nearest."""
    size = 90, 60
    _, layers, guides = pictures(size)
    stack = as_seen(layers)
    target = np.rint(255 * stack).astype(np.uint16) * np.uint16(257)
    found = fed(size, target, layers, guides, [13])[0].scores.target_psnr
    assert found == pytest.approx(-10 * np.log10(np.mean((stack - target / 65535) ** 2)), abs=1e-4)
    assert found > 58


@pytest.mark.parametrize("size", SIZES)
def test_scores_are_those_of_pictures_in_memory(pictures, size):
    target, layers, guides = pictures(size)
    found = fed(size, target, layers, guides, [13])[0].scores
    expected = mlsolve.score(layers, target, guides, EXPOSURE)
    assert found.target_ssim == pytest.approx(expected.target_ssim, abs=1e-5)
    assert found.target_psnr == pytest.approx(expected.target_psnr, abs=1e-5)
    assert found.guide_ssim == pytest.approx(expected.guide_ssim, abs=1e-5)


def test_the_stack_is_what_compose_shows(pictures):
    size = 90, 40
    target, layers, guides = pictures(size)
    stack = fed(size, target, layers, guides, [7])[1]
    expected = np.rint(mlsolve.compose(layers, EXPOSURE) * np.float32(255)).astype(np.uint8)
    assert stack.tobytes() == expected.tobytes()


def averaged(image, size):
    """`image` (h, W, C) averaged over what lies under each pixel of a picture of `size`: sums up to its edges."""
    for axis, length in enumerate(size[::-1]):
        image = np.moveaxis(image, axis, 0)
        edges = np.arange(length + 1) * len(image) / length
        before = edges.astype(int)
        sums = np.concatenate([np.zeros_like(image[:1]), np.cumsum(image, axis=0)])
        cut = np.concatenate([image, image[-1:]])[before]
        up_to = sums[before] + (edges - before).reshape(-1, 1, 1) * cut
        image = np.moveaxis(np.diff(up_to, axis=0) * length / len(image), 0, axis)
    return image


@pytest.mark.parametrize("size", SIZES)
def test_previews_are_averages_of_light(pictures, size):
    target, layers, guides = pictures(size)
    proof, stack = fed(size, target, layers, guides, [5, 40])
    whole = as_seen(layers)
    codes = [target, *layers, *guides]
    shrunk = zip([proof.target, *proof.layers, *proof.guides], [code / 65535 for code in codes], strict=True)
    for found, code, longest in [
        *((preview.image, code, CELL) for preview, code in [*shrunk, (proof.stack_cell, whole)]),
        (stack, whole, STACK),
    ]:
        expected = 255 * srgb(averaged(light(code), shown(size, longest)))
        assert found.dtype == np.uint8
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 0.51


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((2048, 2048), (2048, 2048)),
        ((2049, 11), (2048, 11)),
        ((11, 100), (11, 100)),
        ((30000, 20000), (2048, 1365)),
        ((20000, 30000), (1365, 2048)),
        ((1_000_000, 11), (2048, 1)),
    ],
)
def test_the_stack_is_shown_no_larger_than_it_may_be(size, expected):
    assert shown(size) == expected
    assert max(shown(size, CELL)) <= CELL
    assert shown((100, 50), CELL, enlarge=True) == (CELL, CELL // 2)


def test_a_strip_of_any_length_has_a_preview():
    """Eleven rows become one, and three become none before their time."""
    rows = np.linspace(0, 1, 11 * 30000, dtype=np.float32).reshape(11, 30000, 1)
    preview = Preview((30000, 11), STACK)
    for start in range(0, 11, 3):
        assert not preview._images
        preview.feed(rows[start : start + 3])
    assert preview.image.shape == (1, 2048, 1)
    expected = 255 * srgb(averaged(light(rows.astype(np.float64)), (2048, 1)))
    assert np.abs(preview.image - expected).max() < 0.51


def test_an_exact_stack_has_an_infinite_ratio_and_a_wrong_pixel_has_not(pictures):
    size = 40, 30
    target, _, guides = pictures(size, layers=1)
    proof = fed(size, target, [target], guides, [7], exposure=1.0)[0]
    assert proof.scores.target_psnr == math.inf
    assert proof.scores.target_ssim == pytest.approx(1, abs=2e-6)
    layer = target.copy()
    layer[29, 39, 2] ^= 0x8000
    wrong = fed(size, target, [layer], guides, [7], exposure=1.0)[0].scores
    assert wrong.target_psnr == pytest.approx(-10 * math.log10((32768 / 65535) ** 2 / target.size), abs=1e-3)
    assert wrong.target_ssim < 1 - 1e-4


def test_grey_pictures_among_coloured_ones_count_three_times(pictures):
    """They are repeated, and what is all of one kind stays as it is."""
    target, layers, guides = pictures((40, 30))
    grey = layers[0][..., :1]
    found = same_planes_of([grey, target, *guides])
    assert [image.shape[2] for image in found] == [3] * 4
    assert (found[0] == np.repeat(grey, 3, axis=2)).all()
    assert all((a == b).all() for a, b in zip(found[1:], [target, *guides], strict=True))
    assert [image.shape[2] for image in same_planes_of([grey, grey])] == [1, 1]


@pytest.mark.parametrize("height", [64, 130, 139])
def test_scores_of_files_do_not_depend_on_the_rows_at_a_time(tmp_path, pictures, height):
    """A grey layer and a grey guide among coloured ones; the last rows are fewer than the window has, or not."""
    size = 90, height
    target, layers, guides = pictures(size)
    layers[0], guides[1] = layers[0][..., :1], guides[1][..., :1]
    sheets = [(layer >> 8).astype(np.uint8) for layer in layers]
    for number, sheet in enumerate(sheets, start=1):
        with PngWriter(tmp_path / f"layer-{number}.png", size, sheet.shape[2], 8) as file:
            file.write(sheet)
    found, shares = [], []
    for rows in (1, 7, 64, 128, height):
        proof = prove(tmp_path, EXPOSURE, lambda k, rows: (target, *guides)[k][rows], 1, rows, shares.append)
        found.append((proof.scores, proof.stack_cell.image.tobytes(), (tmp_path / "stack.png").read_bytes()))
        assert shares[-1] == 1
    assert all(one == found[0] for one in found)
    expected = mlsolve.score(sheets, target, guides, EXPOSURE)
    assert found[0][0].target_ssim == pytest.approx(expected.target_ssim, abs=1e-5)
    assert found[0][0].target_psnr == pytest.approx(expected.target_psnr, abs=1e-5)
    assert found[0][0].guide_ssim == pytest.approx(expected.guide_ssim, abs=1e-5)
    stack = np.rint(mlsolve.compose(sheets, EXPOSURE) * 255)
    assert load(tmp_path / "stack.png") * 255 == pytest.approx(stack, abs=0.01)
