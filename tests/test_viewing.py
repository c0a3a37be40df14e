"""Sheets with gaps: the optics, what is asked for, what is drawn, and what is written, scored and shown."""

import dataclasses
import json
import math

import numpy as np
import pytest
from PIL import Image

import mlsolve
from mlsolve.errors import OptionError
from mlsolve.job.arrangements import Arrangement, Placement
from mlsolve.job.depths import check_views, depths_of, print_scales, views_of
from mlsolve.job.job_file import load_job
from mlsolve.job.options import Options
from mlsolve.job.viewing import View, magnification, seen_shift, with_lengths
from mlsolve.pictures.colour import compose
from mlsolve.scoring.stack_scoring import seen_at
from mlsolve.solving.spec import Spec, StackSpec
from mlsolve.solving.tile_coupling import Registration, moves_at
from mlsolve_kernels.placement.move import STILL, move_of

ACRYLIC = 1.49


def ray(depth, degrees, index):
    """How far a ray goes aside on its way down through `depth`, by the vector form of Snell's law."""
    inside = math.sin(math.radians(degrees)) / index
    return depth * inside / math.sqrt(1 - inside**2)


def test_a_sheet_is_seen_displaced_as_a_ray_is_refracted():
    assert seen_shift(3.0, 30, ACRYLIC) == pytest.approx(1.07, abs=0.005)
    assert seen_shift(0.125, 30, ACRYLIC) == pytest.approx(0.045, abs=0.0005)
    assert seen_shift(2.0, 45, 1.0) == pytest.approx(2.0)
    assert seen_shift(7.0, 0, 1.57) == 0
    for degrees in (5, 12, 60, 80):
        assert seen_shift(17.7, degrees, 1.52) == pytest.approx(ray(17.7, degrees, 1.52), rel=1e-12)


def test_a_deeper_sheet_is_printed_larger_for_the_viewer():
    """The edge of 600 mm, seen from 1.5 m through 3 mm of acrylic, is 0.40 mm farther out."""
    scale = magnification(3.0, ACRYLIC, 1500.0)
    assert scale == pytest.approx(1 + 3 / (1.49 * 1500))
    assert 300 * (scale - 1) == pytest.approx(0.40, abs=0.005)
    at_the_edge = math.degrees(math.atan(300 / 1500))
    assert at_the_edge == pytest.approx(11, abs=0.5)
    assert 300 * (scale - 1) == pytest.approx(ray(3.0, at_the_edge, ACRYLIC), abs=0.005)
    assert magnification(3.0, ACRYLIC, None) == 1


def test_depths_add_up_from_the_front():
    assert depths_of(Options(), 3) == (0, 0, 0)
    assert depths_of(Options(gap=2.5), 4) == (0, 2.5, 5, 7.5)
    assert depths_of(Options(gap=[1, 3]), 3) == (0, 1, 4)
    # A list belongs to one number of sheets; of the sheets alone nothing is asked.
    assert depths_of(Options(gap=2), 1) == (0,)


@pytest.mark.parametrize(
    ("given", "dpi", "found"),
    [
        ({"gap": "3mm"}, 254, {"gap": (30,)}),
        ({"gap": "3mm, 0.5cm,7"}, 254, {"gap": (30, 50, 7)}),
        ({"gap": ["3mm", 4, "5px"]}, 254, {"gap": (30, 4, 5)}),
        ({"gap": 4}, None, {"gap": (4,)}),
        ({"viewer": "1.5m", "registration": "0.1mm"}, 254, {"viewer": 15000, "registration": 1}),
        ({"view": "15deg"}, None, {"view": 15}),
        ({"view": " 7.5° "}, None, {"view": 7.5}),
        ({"view": 3, "material": "glass"}, None, {"view": 3, "material": "glass"}),
    ],
)
def test_lengths_and_angles_as_people_write_them(given, dpi, found):
    read = with_lengths(given, dpi)
    assert read.keys() == found.keys()
    for name, value in found.items():
        assert read[name] == (value if isinstance(value, str) else pytest.approx(value)), name
    Options(**read)


@pytest.mark.parametrize(
    ("given", "dpi", "says"),
    [
        ({"gap": "3mm"}, None, "--gap is '3mm': give --dpi as well, or say it in pixels, as in 3px"),
        ({"gap": "3mm,,2mm"}, 100, "--gap is '': give pixels or a length, as in 3px or 0.3mm"),
        ({"gap": "thick"}, 100, "--gap is 'thick': give pixels or a length"),
        ({"viewer": "near"}, 100, "--viewer is 'near': give pixels or a length"),
        ({"view": "15 rad"}, 100, "--view is '15 rad': give an angle, as in 15deg"),
    ],
)
def test_what_is_no_length_and_no_angle_is_refused(given, dpi, says):
    with pytest.raises(OptionError) as refused:
        with_lengths(given, dpi, "--")
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"gap": 0}, "gap is 0: it must be from 1e-06 to 1e+09"),
        ({"gap": (3, -1)}, "gap is -1: it must be from 1e-06 to 1e+09"),
        ({"gap": ()}, "gap has 0 lengths: give one, or one for each gap between the sheets"),
        ({"gap": (1,) * 16}, "gap has 16 lengths: give one, or one for each gap between the sheets"),
        (
            {"material": "wood"},
            "material is 'wood': use acrylic, film, glass, air, or a refractive index from 1 to 3",
        ),
        ({"material": 0.9}, "material is 0.9: it must be from 1 to 3"),
        ({"viewer": 0, "gap": 1}, "viewer is 0: it must be from 1e-06 to 1e+09"),
        ({"view": 81, "gap": 1}, "view is 81: it must be from 0 to 80"),
        ({"view": 10, "gap": 1, "solver": "newton"}, "solver is newton with view 10: use solver adam or auto"),
    ],
)
def test_options_out_of_range_are_refused(options, says):
    with pytest.raises(OptionError) as refused:
        Options(**options)
    assert str(refused.value) == says


ALL = Arrangement(np.zeros((8, 8)))


@pytest.mark.parametrize(
    ("arrangements", "options", "says"),
    [
        ((ALL,), {"view": 9}, "view is 9 and there is no gap: give --gap 3mm, or leave view out"),
        ((ALL,), {"viewer": 9}, "viewer is 9 and there is no gap: give --gap 3mm, or leave viewer out"),
        (
            (ALL,),
            {"gap": (3, 5, 7)},
            "gap has 3 lengths and there are 3 sheets: give one length for all gaps, or 2",
        ),
        (
            (ALL, Arrangement(ALL.target, [Placement(1), Placement(3)])),
            {"gap": (3, 5)},
            "gap has 2 lengths and arrangement 2 has 2 sheets: give one length for all gaps, or 1",
        ),
        (
            (ALL,),
            {"gap": 10, "viewer": 134},
            "viewer is 134 pixels away and the last sheet 20 pixels deep: give 135 pixels or more",
        ),
        (
            (ALL,),
            {"gap": 40, "view": 30},
            "view is 30 degrees, at which the last sheet is seen 28.5 pixels off, and the sheets are 90×100: "
            "give an angle or gaps for which it is 22 or less",
        ),
        (
            (ALL, Arrangement(ALL.target, [Placement(2), Placement(1)])),
            {"gap": 4, "viewer": 9000},
            "viewer asks for layer 2 at another size in arrangement 2, because it lies at another depth: place it "
            "as deep everywhere, or leave viewer out",
        ),
    ],
)
def test_what_does_not_suit_the_sheets_is_refused(arrangements, options, says):
    with pytest.raises(OptionError) as refused:
        check_views(Options(**options), arrangements, 3, (100, 90))
    assert str(refused.value) == says


def test_sizes_of_the_sheets():
    options = Options(gap=(30, 50), viewer=15000, material=1.25)
    scales = 1, 1 + 30 / 18750, 1 + 80 / 18750
    assert print_scales(options, [ALL], 3) == pytest.approx(scales)
    back = [Placement(3), Placement(1, 90), Placement(2)]
    assert print_scales(options, [back], 3) == pytest.approx((scales[1], scales[2], 1))
    # Of several, none at another depth.
    assert print_scales(options, [ALL, [Placement(1), Placement(2)]], 3) == pytest.approx(scales)
    assert print_scales(Options(gap=30), [ALL], 3) == (1, 1, 1)


def test_a_smaller_picture_is_seen_from_nearer():
    """All lengths shrink with it, so that the angles and the sizes of the sheets stay."""
    options = Options(registration=2, gap=(30, 50), viewer=15000, view=10, registration_turn=0.5)
    small = options.at_scale(0.5)
    assert small == dataclasses.replace(options, registration=1, gap=(15, 25), viewer=7500)
    assert print_scales(small, [ALL], 3) == pytest.approx(print_scales(options, [ALL], 3))
    assert Options(seed=3).at_scale(0.5) == Options(seed=3)
    assert spec(**dataclasses.asdict(Options(gap=6, viewer=900))).scaled((60, 50), 0.5).options.gap == (3,)


def test_a_cone_needs_adam_and_no_carriers():
    """Parts that carriers leave to sheets would move as the viewer does; by number they may be had."""
    options = Options(gap=3, view=10)
    assert options.step_for(False) == "adam"
    assert options.rate == 0.03
    assert options.carriers_for(3) == dataclasses.replace(options, registration=1).carriers_for(3) == 0
    assert dataclasses.replace(options, carriers=7).carriers_for(3) == 7
    # A gap and a viewer leave the solve as it is.
    plain = Options(gap=3, viewer=4000)
    assert plain.step_for(False) == "newton"
    assert not plain.tolerant


PLAIN = (StackSpec(),)


def spec(layers=3, stacks=PLAIN, shapes=((50, 60), (100, 120)), **options):
    planes = (1,) * (len(stacks) + layers)
    return Spec(layers, 1, shapes, planes, Options(**{**options, "levels": len(shapes)}), "cpu", stacks)


CONE = {"gap": (20.0, 30.0), "view": 25.0}
DEPTHS = 0, 20, 50


def test_views_are_spread_evenly_over_the_cone():
    """Every fourth is from the front. The others: as many in every ring of the same area, and to every side."""
    cone = Registration(spec(**CONE), 2)
    seen = np.array([cone.seen(iteration, 0, 3) for iteration in range(1, 801)])
    assert (seen[:, 0] == 0).all()
    assert (seen[3::4] == 0).all()
    others = np.delete(seen, np.s_[3::4], axis=0)
    # All sheets from one direction, by their depth.
    assert others[:, 2] == pytest.approx(others[:, 1] * 50 / 20)
    far = np.hypot(*others[:, 2].T) / 50
    assert far.max() <= seen_shift(1, 25, ACRYLIC)
    angles = np.degrees(np.arcsin(ACRYLIC * np.sin(np.arctan(far))))
    rings, _ = np.histogram((angles / 25) ** 2, bins=10, range=(0, 1))
    sides, _ = np.histogram(np.arctan2(*others[:, 2].T), bins=12, range=(-np.pi, np.pi))
    # Of random ones the counts would scatter by their roots, 8 and 7.
    assert np.abs(rings - 60).max() <= 3
    assert np.abs(sides - 50).max() <= 3


def test_ten_iterations_see_all_sides():
    """Few iterations are even, too: this is what random directions are not."""
    cone = Registration(spec(**CONE), 2)
    for first in range(1, 60, 7):
        few = np.array([cone.seen(iteration, 0, 3)[2] for iteration in range(first, first + 12)])
        assert np.abs(few.mean(axis=0)).max() < 0.25 * seen_shift(50, 25, ACRYLIC)


def test_what_is_seen_depends_on_seed_level_iteration_and_stack_alone():
    one, other = (spec(seed=seed, **CONE) for seed in (1, 2))
    first = Registration(one, 2).seen(7, 0, 3)
    assert Registration(one, 2).seen(7, 0, 3) == first
    assert Registration(one, 2).seen(7, 0, 2) == first[:2]
    for different in (
        Registration(other, 2).seen(7, 0, 3),
        Registration(one, 2).seen(6, 0, 3),
        Registration(one, 2).seen(7, 1, 3),
        Registration(one, 1).seen(7, 0, 3),
    ):
        assert different != first
    # Half as large a picture, half the displacement.
    assert Registration(one, 1).seen_farthest == pytest.approx(Registration(one, 2).seen_farthest / 2)


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_a_view_adds_to_the_misalignment(turn):
    """Rounded to whole pixels, unless a rotation lays sheets between them."""
    both = Registration(spec(registration=2.0, registration_turn=turn, **CONE), 2)
    alone = Registration(spec(registration=2.0, registration_turn=turn), 2)
    for iteration in range(1, 30):
        moves, seen = both.moves(iteration, 0, 3), both.seen(iteration, 0, 3)
        assert moves[0] == STILL
        for move, without, (right, down) in zip(moves, alone.moves(iteration, 0, 3), seen, strict=True):
            aside = (right, down) if turn else (math.floor(right + 0.5), math.floor(down + 0.5))
            expected = without.after(move_of((100, 120), shift=aside))
            assert move == pytest.approx(expected)
            assert move.exact or turn


def test_the_sheets_of_a_stack_are_displaced_as_they_lie():
    """The place on the sheet is found from where it is seen: first the view, then the placement."""
    place = (Placement(2), Placement(1, rotate=180))
    found = spec(2, (StackSpec(place),), shapes=((50, 50), (100, 100)), gap=(30.0,), view=25.0)
    drawn = moves_at(found, 2, 1)
    (_, shift), (_, turned) = drawn.off[0], drawn.moves[0]
    assert drawn.moves[0][0] == STILL
    assert (shift.row_0, shift.column_0) != (0, 0)
    assert turned == place[1].move((100, 100)).after(shift)


def test_from_the_right_a_deeper_sheet_is_seen_to_the_right():
    """The eye at the right looks through the first sheet to what lies farther left behind it."""
    options = Options(gap=10, view=30)
    half, whole = views_of(options, 3)
    assert (half.degrees, whole.degrees) == (15, 30)
    assert whole.shifts == pytest.approx((0, ray(10, 30, ACRYLIC), ray(20, 30, ACRYLIC)))
    assert views_of(options, 1) == views_of(Options(gap=10), 3) == ()
    moves = seen_at((8, 9), [STILL] * 3, View(30, (0, 3.4, 6.6)))
    assert [(move.row_0, move.column_0) for move in moves] == [(0, 0), (0, -3), (0, -7)]


def stack_seen(layers, shifts, exposure):
    """The stack from the files, whose deeper sheets are seen displaced to the right; beside them is the light."""
    moved = []
    for layer, shift in zip(layers, shifts, strict=True):
        by = math.floor(shift + 0.5)
        image = np.ones_like(layer)
        image[:, by:] = layer[:, : layer.shape[1] - by]
        moved.append(image)
    return compose(moved, exposure)


@pytest.fixture
def guides(save, picture):
    for seed, name in enumerate(("t", "a", "b", "c")):
        save(f"{name}.png", picture(60, 48, seed))
    return "-g", "a.png", "-g", "b.png", "-g", "c.png"


def loaded(path):
    with Image.open(path) as image:
        return np.asarray(image, dtype=np.float32) / 255


def test_a_run_writes_scores_and_repeats_what_was_asked_for(guides, mlsolve, tmp_path):
    asked = "--dpi", 254, "--gap", "1mm,0.5mm", "--material", "glass", "--viewer", "30mm", "--view", "20deg"
    run = mlsolve("run", "t.png", *guides, "--exposure", 0.2, "--iterations", 12, *asked, "-o", "out")
    assert run.status == 0, run.err
    options = load_job(tmp_path / "out/job.toml").options
    assert options.gap == pytest.approx((10, 5))
    assert (options.material, options.viewer, options.view) == ("glass", pytest.approx(300), 20)
    assert options.refraction == 1.52
    report = json.loads((tmp_path / "out/result.json").read_text())
    scales = [1, 1 + 10 / (1.52 * 300), 1 + 15 / (1.52 * 300)]
    assert report["print_scale"] == pytest.approx(scales, abs=1e-6)
    layers, target = [loaded(tmp_path / f"out/layer-{k}.png") for k in (1, 2, 3)], loaded(tmp_path / "t.png")
    for k, scale in enumerate(scales, start=1):
        with Image.open(tmp_path / f"out/layer-{k}.png") as image:
            assert image.info["dpi"] == pytest.approx((254 / scale,) * 2, rel=1e-4)
    views = report["arrangements"][0]["views"]
    assert [one["degrees"] for one in views] == [10, 20]
    for one in views:
        shifts = [ray(depth, one["degrees"], 1.52) for depth in (0, 10, 15)]
        assert one["pixels"] == pytest.approx(shifts[-1], abs=1e-3)
        assert one["ssim"] == pytest.approx(mlsolve_ssim(stack_seen(layers, shifts, 0.2), target), abs=2e-6)
    shown = f"SSIM seen at 0°: {report['arrangements'][0]['ssim']:.3f}, 10° (1.7 px): {views[0]['ssim']:.3f}"
    assert shown in run.out
    assert f"layer 2 {100 * scales[1]:.3f} %" in run.out
    # The job file repeats the run, and verify the scores.
    again = mlsolve("run", "--job", "out/job.toml", "-o", "again")
    assert again.status == 0, again.err
    for k in (1, 2, 3):
        assert (tmp_path / f"again/layer-{k}.png").read_bytes() == (tmp_path / f"out/layer-{k}.png").read_bytes()
    checked = json.loads(mlsolve("verify", "out", "--json").out)
    assert checked["arrangements"][0]["views"] == views
    assert checked["print_scale"] == report["print_scale"]


mlsolve_ssim = mlsolve.ssim


def test_verify_looks_at_any_print_from_the_side(guides, mlsolve, tmp_path):
    """At a stack that was solved without a gap, by Newton's steps, without changing anything."""
    assert mlsolve("run", "t.png", *guides, "--iterations", 5, "-o", "out").status == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    plain = mlsolve("verify", "out", "--json")
    assert json.loads(plain.out)["arrangements"][0]["views"] == []
    seen = mlsolve("verify", "out", "--json", "--dpi", 127, "--gap", "1mm", "--view", 30)
    (_, full) = json.loads(seen.out)["arrangements"][0]["views"]
    layers, target = [loaded(tmp_path / f"out/layer-{k}.png") for k in (1, 2, 3)], loaded(tmp_path / "t.png")
    stack = stack_seen(layers, [ray(depth, 30, ACRYLIC) for depth in (0, 5, 10)], 0.25)
    assert full["ssim"] == pytest.approx(mlsolve_ssim(stack, target), abs=2e-6)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    refused = mlsolve("verify", "out", "--view", 30)
    assert refused.status == 2
    assert refused.err == "mlsolve: error: view is 30 and there is no gap: give --gap 3mm, or leave view out\n"


def test_a_viewer_changes_no_pixel(guides, mlsolve, tmp_path):
    common = "run", "t.png", *guides, "--iterations", 5, "--format", "tiff", "--dpi", 254
    assert mlsolve(*common, "-o", "far").status == 0
    near = mlsolve(*common, "--gap", "1mm", "--viewer", "10cm", "--material", 1.25, "-o", "near")
    assert near.status == 0, near.err
    for k in (1, 2, 3):
        far, near = (tmp_path / f"{name}/layer-{k}.tif" for name in ("far", "near"))
        assert (loaded(far) == loaded(near)).all()
        with Image.open(near) as image:
            assert float(image.info["dpi"][0]) == pytest.approx(254 / (1 + (k - 1) / 125), rel=1e-5)


def test_the_picture_holds_within_the_cone(picture):
    """What it is for: from the side a stack that was solved for it keeps its picture, another does not."""
    side = 96
    y, x = np.mgrid[:side, :side]
    target = 0.5 + 0.4 * np.sign(np.sin(x / 2.1) * np.sin(y / 2.7))
    sheets = [picture(side, side, seed)[..., :1] for seed in (1, 2, 3)]
    common = {"exposure": 0.1, "levels": 2, "backend": "cpu", "threads": 1}
    plain = mlsolve.solve(target, sheets, Options(**common))
    cone = mlsolve.solve(target, sheets, Options(gap=8.0, view=12.0, **common))
    at_ten = [seen_shift(depth, 10, ACRYLIC) for depth in (0, 8, 16)]
    kept, lost = (mlsolve.ssim(stack_seen(solution.layers, at_ten, 0.1), target) for solution in (cone, plain))
    assert lost < 0.65 < 0.85 < kept, (lost, kept)
