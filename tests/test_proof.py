"""Scores and previews from rows that pass by: they are those of the whole, however many rows come at a time."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest

import mlsolve
from mlsolve import Placement
from mlsolve.job.job import Job
from mlsolve.pictures.picture_files import PngWriter, load_picture, open_picture
from mlsolve.report.result import Summary, write_report
from mlsolve.run.budget import scoring_bytes
from mlsolve.run.outputs import placed_stacks
from mlsolve.scoring.bands import Scoring
from mlsolve.scoring.desk import Desk
from mlsolve.scoring.layer_files import Bands, score_layer_files
from mlsolve.scoring.previews import CELL, SHEET_CELL, STACK, Preview, shown
from mlsolve.scoring.stack_scoring import PlacedStack, distances_for
from mlsolve.solving.balance import Balance
from mlsolve.solving.history import History, Step
from mlsolve.solving.level_pictures import as_codes
from mlsolve.solving.spec import Spec, StackSpec
from mlsolve.solving.store import DiskStore, MemoryStore
from mlsolve_kernels.scoring.reference import moved_ssim
from mlsolve_kernels.window import RADIUS
from oracle import lies, mean_ssim

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


def unmoved(layers, exposure=EXPOSURE):
    """One stack of so many sheets that lie as they are."""
    return [PlacedStack(tuple(Placement(k) for k in range(1, layers + 1)), exposure)]


def part(images):
    """What gives regions of `images`, codes; and the heights of those it was asked for."""
    heights = []

    def read(number, region):
        heights.append(region.height)
        return images[number][region.top : region.bottom, region.left : region.right]

    return read, heights


def fed(size, targets, layers, guides, heights, stacks=None, registration=0.0):
    """What comes of rows in portions of `heights`, over and over: the proof, and the rows of the first stack."""
    targets = targets if isinstance(targets, list) else [targets]
    stacks = stacks or unmoved(len(layers))
    rows, planes = [[] for _ in stacks], targets[0].shape[2]
    proof = Scoring(size, len(layers), stacks, [one.append for one in rows], planes, registration)
    (layer, asked), (wanted, compared) = part(layers), part([*targets, *guides])
    still = all(one.still for stack in stacks for one in stack.place)
    reach, bottom = 4 if proof.reach is None else max(proof.reach), 0
    for height in portions(size[1], heights):
        top, bottom = bottom, min(bottom + height, size[1])
        proof.add(proof.measured(top, bottom, layer, wanted, Desk(planes, size[0])))
        # Nothing of the print's size is asked for, but for sheets that are turned.
        assert max(compared) <= height + 2 * RADIUS + 2 * proof.target_reach
        assert not still or max(asked) <= height + 2 * RADIUS + reach
        asked.clear()
        compared.clear()
        # What a preview holds is nobody's business but its own; here it is the point.
        for preview in (proof.stacks[0].target, proof.stacks[0].output):
            assert preview._held is None or preview._held.shape[1] <= preview._rows.weights.shape[1]
            # No part of what was there: that would be held as well.
            assert preview._held is None or preview._held.base is None
    return proof, np.concatenate(rows[0])


def portions(height, heights):
    """`heights` over and over, until there are so many rows."""
    for portion in itertools.cycle(heights):
        yield portion
        height -= portion
        if height <= 0:
            return


def seen(proof, stack):
    """All previews of a proof and its stack, as bytes, and its scores."""
    previews = [*proof.layers, *proof.guides]
    for one in proof.stacks:
        sheets = [] if proof.unmoved else one.sheets
        previews += [one.target, one.cell, *sheets, *(preview for _, preview in one.misaligned)]
    return [preview.image.tobytes() for preview in previews], stack.tobytes(), proof.scores


@pytest.mark.parametrize(
    "size", [pytest.param(size, marks=[pytest.mark.slow] * (max(size) > 400)) for size in SIZES]
)
def test_rows_may_come_in_any_portions(pictures, size):
    """One by one, as a decoder gives them, all at once; portions smaller than the window as well."""
    drawn = pictures(size)
    expected = seen(*fed(size, *drawn, [size[1]]))
    assert 0.05 < expected[2].target_ssim < 0.99
    for heights in ([1], [7], [64], [1, 30, 2, 11, 5])[size[1] > 1000 :]:  # one by one they would take seconds
        assert seen(*fed(size, *drawn, heights)) == expected


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
    swapped = [PlacedStack((Placement(2), Placement(1)), EXPOSURE)]  # of unmoved layers, sheets are not shown again
    proof, stack = fed(size, target, layers, guides, [5, 40], swapped)
    whole = as_seen(layers)
    codes = [target, *layers, *guides]
    (one,) = proof.stacks
    shrunk = zip([one.target, *proof.layers, *proof.guides], [code / 65535 for code in codes], strict=True)
    small = zip(one.sheets, [code / 65535 for code in layers[::-1]], strict=True)
    for found, code, longest in [
        *((preview.image, code, CELL) for preview, code in [*shrunk, (one.cell, whole)]),
        *((preview.image, code, SHEET_CELL) for preview, code in small),
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
    made = []
    preview = Preview((30000, 11), STACK, made.append)
    for start in range(0, 11, 3):
        assert not made
        preview.feed(rows[start : start + 3])
    (image,) = made
    assert image.shape == (1, 2048, 1)
    expected = 255 * srgb(averaged(light(rows.astype(np.float64)), (2048, 1)))
    assert np.abs(image - expected).max() < 0.51


def test_an_exact_stack_has_an_infinite_ratio_and_a_wrong_pixel_has_not(pictures):
    size = 40, 30
    target, _, guides = pictures(size, layers=1)
    proof = fed(size, target, [target], guides, [7], unmoved(1, exposure=1.0))[0]
    assert proof.scores.target_psnr == math.inf
    assert proof.scores.target_ssim == pytest.approx(1, abs=2e-6)
    layer = target.copy()
    layer[29, 39, 2] ^= 0x8000
    wrong = fed(size, target, [layer], guides, [7], unmoved(1, exposure=1.0))[0].scores
    assert wrong.target_psnr == pytest.approx(-10 * math.log10((32768 / 65535) ** 2 / target.size), abs=1e-3)
    assert wrong.target_ssim < 1 - 1e-4


def written(folder, size, sheets):
    """Layers of 8 bits as files in `folder`."""
    for number, sheet in enumerate(sheets, start=1):
        with PngWriter(folder / f"layer-{number}.png", size, sheet.shape[2], 8) as file:
            file.write(sheet)


def given(images):
    """What gives regions of `images`, codes."""
    return lambda number, region: images[number][region.top : region.bottom, region.left : region.right]


@pytest.mark.parametrize("grey", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_grey_pictures_among_coloured_ones_count_three_times(tmp_path, pictures, grey):
    """They are repeated, whichever of target, layer and guide they are; where all are grey, the stack is."""
    size = 40, 30
    target, layers, guides = pictures(size, layers=1)
    parts = [target, (layers[0] >> 8).astype(np.uint8), guides[0]]
    for number in grey:
        parts[number] = parts[number][..., :1]
    written(tmp_path, size, [parts[1]])
    proof = score_layer_files(tmp_path, unmoved(1), lambda: given([parts[0], parts[2]]), MemoryStore())
    expected = mlsolve.score([parts[1]], parts[0], [parts[2]], EXPOSURE)
    assert proof.scores.target_ssim == pytest.approx(expected.target_ssim, abs=1e-5)
    assert proof.scores.target_psnr == pytest.approx(expected.target_psnr, abs=1e-5)
    assert proof.scores.guide_ssim == pytest.approx(expected.guide_ssim, abs=1e-5)
    planes = 1 if len(grey) == 3 else 3
    stack = np.rint(mlsolve.compose([parts[1]], EXPOSURE) * 255)
    stack = np.repeat(stack, planes // stack.shape[2], axis=2)
    assert open_picture(tmp_path / "stack.png").planes == planes
    assert load_picture(tmp_path / "stack.png") * 255 == pytest.approx(stack, abs=0.01)
    shown = [proof.stacks[0].target, proof.stacks[0].cell, *proof.layers, *proof.guides]
    assert [preview.image.shape[2] for preview in shown] == [planes] * 4


@pytest.mark.parametrize("kind", [DiskStore, lambda _: MemoryStore()])
@pytest.mark.parametrize("height", [64, *(pytest.param(n, marks=pytest.mark.slow) for n in (130, 139))])
def test_scores_of_files_do_not_depend_on_the_rows_at_a_time(tmp_path, pictures, height, kind):
    """A grey layer and a grey guide among coloured ones; the last rows are fewer than the window has, or not."""
    size = 90, height
    target, layers, guides = pictures(size)
    layers[0], guides[1] = layers[0][..., :1], guides[1][..., :1]
    sheets = [(layer >> 8).astype(np.uint8) for layer in layers]
    written(tmp_path, size, sheets)
    found, shares, store = [], [], kind(tmp_path / "store")
    wanted = given([target, *guides])
    ways = [Bands(rows) for rows in (1, 7, 64, 128, height)]
    for bands in (*ways, Bands(7, 3), Bands(64, 2), Bands(64, 1, passing=False), Bands(7, 2, passing=False)):
        proof = score_layer_files(tmp_path, unmoved(2), lambda: wanted, store, bands, progress=shares.append)
        found.append((proof.scores, proof.stacks[0].cell.image.tobytes(), (tmp_path / "stack.png").read_bytes()))
        assert shares == sorted(shares)
        assert shares[-1] == 1
        shares.clear()
    assert all(one == found[0] for one in found)
    expected = mlsolve.score(sheets, target, guides, EXPOSURE)
    assert found[0][0].target_ssim == pytest.approx(expected.target_ssim, abs=1e-5)
    assert found[0][0].target_psnr == pytest.approx(expected.target_psnr, abs=1e-5)
    assert found[0][0].guide_ssim == pytest.approx(expected.guide_ssim, abs=1e-5)
    stack = np.rint(mlsolve.compose(sheets, EXPOSURE) * 255)
    assert load_picture(tmp_path / "stack.png") * 255 == pytest.approx(stack, abs=0.01)
    # Of what was decoded nothing is left.
    assert not (tmp_path / "store" / "decoded").exists()


ARRANGED = [
    PlacedStack((Placement(2), Placement(1, rotate=90), Placement(3, flip="v", shift=(-3, 2))), 0.3),
    PlacedStack((Placement(3, rotate=180, flip="h"), Placement(1, shift=(4, -1))), 0.5),
]
"""Two stacks of three square sheets."""


def lying(layers, away=(0, 0)):
    """Their sheets where they lie, values (h, W, C); away: by how much the second and the third lie off."""
    two = lies(layers[0], 1), lies(layers[2], 0, "v", (-3, 2))
    first = [layers[1], lies(two[0], shift=(away[0], 0)), lies(two[1], shift=(0, away[1]))]
    return first, [lies(layers[2], 2, "h"), lies(lies(layers[0], 0, None, (4, -1)), shift=(away[0], 0))]


@pytest.mark.parametrize("planes", [1, 3])
def test_stacks_of_sheets_that_lie_otherwise(pictures, planes):
    """Scores of stacks, leak, and scores of misaligned stacks, in float64, from pixels."""
    size = 33, 33
    target, layers, guides = pictures(size, layers=3, planes=planes)
    targets = [target, guides[0][:, ::-1]]
    proof, stack = fed(size, targets, layers, guides, [7], ARRANGED, registration=2.0)
    values = [layer / 65535 for layer in layers]
    assert distances_for(2.0) == (1, 2, 4)
    for number, scores in enumerate(proof.scores.stacks):
        sheets, wanted = lying(values)[number], targets[number] / 65535
        whole = srgb(np.clip(np.prod([light(one) for one in sheets], axis=0) / ARRANGED[number].exposure, 0, 1))
        assert scores.ssim == pytest.approx(by_planes(whole, wanted), abs=1e-5)
        assert scores.psnr == pytest.approx(-10 * np.log10(np.mean((whole - wanted) ** 2)), abs=1e-5)
        assert scores.leak == pytest.approx([by_planes(one, wanted) for one in sheets], abs=1e-5)
        assert [one.pixels for one in scores.misaligned] == [1, 2, 4]
        if number == 0:
            assert np.abs(stack - 255 * whole).max() < 0.51
        for one in scores.misaligned:
            sheets = lying(values, (int(one.pixels), int(one.pixels)))[number]
            whole = srgb(np.clip(np.prod([light(x) for x in sheets], axis=0) / ARRANGED[number].exposure, 0, 1))
            assert one.ssim == pytest.approx(by_planes(whole, wanted), abs=1e-5)
            assert one.psnr == pytest.approx(-10 * np.log10(np.mean((whole - wanted) ** 2)), abs=1e-5)
            planar = (np.moveaxis(picture, 2, 0) for picture in (whole, wanted))
            moved = moved_ssim(*planar, int(one.pixels), np.ones(size[::-1]))
            assert one.ssim_moved == pytest.approx(moved, abs=1e-5)
            assert one.ssim_moved > one.ssim - 1e-5
    assert proof.scores.target_ssim == min(one.ssim for one in proof.scores.stacks)
    assert proof.scores.target_psnr == min(one.psnr for one in proof.scores.stacks)


WARPED = PlacedStack((Placement(1), Placement(2, rotate=31.0, shift=(0.4, 2)), Placement(3, shift=(-0.5, 0))), 0.4)


@pytest.mark.parametrize("size", [(90, 90), pytest.param((450, 450), marks=pytest.mark.slow)])
def test_rows_of_sheets_that_lie_otherwise_may_come_in_any_portions(pictures, size):
    """As of sheets that lie as they are, by quarter turns, shifts, and between pixels."""
    target, layers, guides = pictures(size, layers=3, planes=1)
    drawn = [target, guides[0], guides[1]], layers, guides
    stacks = [*ARRANGED, WARPED]
    expected = seen(*fed(size, *drawn, [size[1]], stacks, 2.0))
    assert 0.02 < expected[2].target_ssim < 0.99
    for heights in ([7], [64], [30, 2, 11, 5])[:: 1 if size[0] < 100 else 2]:
        assert seen(*fed(size, *drawn, heights, stacks, 2.0)) == expected


@pytest.mark.parametrize(
    ("registration", "distances"),
    [(0, (1, 2)), (0.4, (1, 2)), (1, (1, 2)), (1.5, (2, 3)), (2, (1, 2, 4)), (3, (2, 3, 6)), (3.3, (2, 3, 7))],
)
def test_misalignments_that_are_scored(registration, distances):
    """Half, once and twice the tolerance, to the nearest pixel, 1 at least."""
    assert distances_for(registration) == distances


def test_one_sheet_alone_cannot_be_misaligned(pictures):
    size = 30, 20
    target, layers, guides = pictures(size, layers=1)
    (scores,) = fed(size, target, layers, guides, [9])[0].scores.stacks
    assert scores.misaligned == ()
    assert len(scores.leak) == 1


TURNED = StackSpec(tuple(Placement(k, rotate=90.0 * k) for k in (1, 2, 3)))
WARPS = StackSpec(tuple(Placement(k, rotate=10.0 * k, shift=(3.5, 0)) for k in (1, 2, 3)))


@pytest.mark.parametrize(
    ("size", "planes", "stacks", "bands", "disc"),
    [
        pytest.param((500, 150), 3, (StackSpec(),), Bands(8), False, marks=pytest.mark.slow),
        pytest.param((500, 150), 3, (StackSpec(),), Bands(8, passing=False), False, marks=pytest.mark.slow),
        ((3000, 300), 3, (StackSpec(),), Bands(64), False),
        pytest.param((3000, 700), 3, (StackSpec(),), Bands(128, 3), False, marks=pytest.mark.slow),
        pytest.param((500, 500), 3, (TURNED, WARPS), Bands(128), False, marks=pytest.mark.slow),
        pytest.param((500, 500), 3, (TURNED,), Bands(64, 3), False, marks=pytest.mark.slow),
        pytest.param((1420, 420), 1, (StackSpec(), WARPS), Bands(32, 2), True, marks=pytest.mark.slow),
    ],
)
def test_scoring_takes_the_memory_that_is_told(tmp_path, rng, size, planes, stacks, bands, disc):
    """Measured, at its peak, contact sheet and all. What decoders hold of their own NumPy does not know."""
    options = mlsolve.Options(iterations=1, levels=1, registration=2.0)
    of_pictures = (planes,) * (len(stacks) + 3)
    problem = Spec(3, planes, (size[::-1],), of_pictures, options, "cpu", stacks, disc)
    written(tmp_path, size, [rng.integers(0, 256, (*size[::-1], planes), dtype=np.uint8) for _ in range(3)])
    codes, few = (rng.integers(0, 65536, (*shape, planes), dtype=np.uint16) for shape in (size[::-1], (64, 64)))
    terms = {"stack_ssim": (0.5,) * len(stacks), "stack_mse": (0.1,) * len(stacks), "guide_ssim": (0.5,) * 3}
    one = Step(1, 1, 1, 1, size, 1.0, terms)
    cast, densities = np.zeros((len(stacks), planes)), np.zeros((3, planes))
    balance = Balance((0.5,) * len(stacks), cast, densities, ((0,),) * len(stacks), (True,), 0.5, (0, 2.5))
    summary = Summary(balance, 2.0, History([one]), "iterations", 1.0, "cpu", None, disc)
    store = DiskStore(tmp_path / "store")

    def scored(folder, pictures):
        stacks = placed_stacks(problem)
        proof = score_layer_files(folder, stacks, lambda: pictures, store, bands, 2.0, round_sheets=disc)
        write_report(folder, folder, summary, proof)

    (tmp_path / "small").mkdir()
    written(tmp_path / "small", (64, 64), [few.astype(np.uint8)] * 3)
    scored(tmp_path / "small", given([few] * len(of_pictures)))  # what this loads stays
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        scored(tmp_path, given([codes] * len(of_pictures)))
        taken = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    told = scoring_bytes(bands, problem, Job(tmp_path, ("mosaic:1",)))
    assert 0.5 * told < taken <= told
