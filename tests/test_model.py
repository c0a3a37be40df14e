"""What is asked for: placements, arrangements, and what of them cannot be."""

from pathlib import Path

import numpy as np
import pytest

import mlsolve
from mlsolve import Arrangement, InputError, OptionError, Options, Placement, Problem
from mlsolve.job.arrangements import check_arrangements, check_registration
from mlsolve_kernels.ssim.reference import ssim_map
from oracle import lies


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"layer": 0}, "layer is 0: give the number of a layer, from 1"),
        ({"layer": True}, "layer is True: give the number of a layer, from 1"),
        ({"layer": 1.0}, "layer is 1.0: give the number of a layer, from 1"),
        ({"rotate": "90"}, "rotate is '90': it must be a number from -3600 to 3600"),
        ({"rotate": 3601}, "rotate is 3601: it must be from -3600 to 3600"),
        ({"rotate": float("nan")}, "rotate is nan: it must be from -3600 to 3600"),
        ({"rotate": True}, "rotate is True: it must be a number from -3600 to 3600"),
        ({"flip": "x"}, 'flip is \'x\': use "h" (left and right) or "v" (top and bottom)'),
        ({"flip": ""}, "flip is ''"),
        ({"shift": 3}, "shift is 3: give two numbers, to the right and down"),
        ({"shift": "33"}, "shift is '33': give two numbers"),
        ({"shift": (1, 2, 3)}, "shift is (1, 2, 3): give two numbers"),
        ({"shift": (1, None)}, "shift is None: it must be a number from -1e+06 to 1e+06"),
        ({"shift": (1e7, 0)}, "shift is 1e+07: it must be from -1e+06 to 1e+06"),
        ({"shift": (0, 10**400)}, "shift is inf: it must be from -1e+06 to 1e+06"),
    ],
)
def test_placements_that_mean_nothing(fields, words):
    with pytest.raises(OptionError) as refusal:
        Placement(**{"layer": 1, **fields})
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_numbers_of_numpy_become_pythons():
    one = Placement(np.int64(2), np.float32(90), "h", [np.int32(3), np.float64(-1.5)])
    assert one == Placement(2, 90.0, "h", (3.0, -1.5))
    assert [type(value) for value in (one.layer, one.rotate, *one.shift)] == [int, float, float, float]
    assert type(Arrangement(np.zeros((3, 3)), weight=np.float32(2)).weight) is float


@pytest.mark.parametrize(
    ("fields", "still", "sideways", "words"),
    [
        ({}, True, False, "3"),
        ({"rotate": 360}, True, False, "3"),
        ({"rotate": -720, "shift": (0, 0)}, True, False, "3"),
        ({"rotate": 90}, False, True, "3, turned 90°"),
        ({"rotate": -90}, False, True, "3, turned 270°"),
        ({"rotate": 450.0, "flip": "v"}, False, True, "3, turned 90°, flipped v"),
        ({"rotate": 180}, False, False, "3, turned 180°"),
        ({"rotate": 12.5, "shift": (3, -0.5)}, False, False, "3, turned 12.5°, shifted 3, -0.5"),
        ({"flip": "h", "shift": (0, 2)}, False, False, "3, flipped h, shifted 0, 2"),
    ],
)
def test_how_a_sheet_lies_in_words(fields, still, sideways, words):
    one = Placement(3, **fields)
    assert (one.still, one.sideways, one.words()) == (still, sideways, words)


@pytest.mark.parametrize("quarters", range(-1, 5))
@pytest.mark.parametrize("flip", [None, "h", "v"])
def test_moves_lead_from_the_stack_to_the_sheet(quarters, flip):
    """Every place of the stack shows the pixel of the sheet that NumPy's rot90, flip and shift bring there."""
    side, shift = 7, (2, -3)
    sheet = np.arange(side * side).reshape(side, side)
    seen = lies(sheet, quarters, flip, shift, off=-1)
    move = Placement(1, 90 * quarters, flip, shift).move((side, side))
    assert move.exact
    for y in range(side):
        for x in range(side):
            row, column = move.row_y * y + move.row_x * x + move.row_0, move.column_y * y + move.column_x * x
            column += move.column_0
            on_it = 0 <= row < side and 0 <= column < side
            assert seen[y, x] == (sheet[int(row), int(column)] if on_it else -1)


def test_moves_of_coarser_levels_shift_by_less():
    move = Placement(1, shift=(6, -10)).move((30, 40), 0.25)
    assert move == Placement(1, shift=(1.5, -2.5)).move((30, 40))
    assert not move.exact


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"weight": 0}, "weight is 0: it must be from 1e-06 to 1e+06"),
        ({"weight": "heavy"}, "weight is 'heavy': it must be a number from 1e-06 to 1e+06"),
        ({"exposure": 0}, "exposure is 0: it must be from 0.0001 to 1"),
        ({"exposure": 1.5}, "exposure is 1.5: it must be from 0.0001 to 1"),
        ({"place": ()}, "place is (): give a Placement for every sheet, one at least"),
        ({"place": [1, 2]}, "place is [1, 2]: give a Placement for every sheet, one at least"),
        ({"place": [Placement(1), 2]}, "give a Placement for every sheet"),
    ],
)
def test_arrangements_that_mean_nothing(fields, words):
    with pytest.raises(OptionError) as refusal:
        Arrangement(np.zeros((30, 30)), **fields)
    assert words in str(refusal.value)


def test_without_placements_all_sheets_lie_as_they_are():
    assert Arrangement(None).placed(3) == (Placement(1), Placement(2), Placement(3))
    assert Arrangement(None, [Placement(2, 90)]).placed(3) == (Placement(2, 90),)


def arranged(*places):
    return [Arrangement(None, None if place is None else place) for place in places]


P = Placement


@pytest.mark.parametrize(
    ("places", "size", "shape", "words"),
    [
        ([], (30, 30), "sheet", "there are 0 arrangements: give 1 to 16"),
        ([None] * 17, (30, 30), "sheet", "there are 17 arrangements: give 1 to 16"),
        ([None], (30, 30), "ring", "shape is 'ring': use sheet or disc"),
        ([None], (30, 31), "disc", "the sheets are 30×31 pixels: round ones must be square, give --size N"),
        ([None, [P(1), P(4)]], None, "sheet", "arrangement 2 places layer 4: there are 3 guides, so 3 layers"),
        (
            [[P(1), P(2), P(1, 90)], None],
            None,
            "sheet",
            "arrangement 1 places layer 1 twice: place every sheet once",
        ),
        (
            [None, [P(2, 90)]],
            (40, 30),
            "sheet",
            "arrangement 2 rotates layer 2 by 90°, and the sheets are 40×30 pixels: sheets with quarter "
            "turns must be square, give --size N",
        ),
        ([None, [P(1, -270)]], (40, 30), "sheet", "arrangement 2 rotates layer 1 by -270°"),
        (
            [None, [P(3, shift=(-40, 2))]],
            (40, 30),
            "sheet",
            "arrangement 2 shifts layer 3 by -40, 2 pixels, which is off the sheet of 40×30: shift it less",
        ),
        ([None, [P(3, shift=(2, 30))]], (40, 30), "sheet", "arrangement 2 shifts layer 3 by 2, 30 pixels"),
        (
            [[P(1), P(3)], [P(1)]],
            None,
            "sheet",
            "layer 2 is in no arrangement: add it to one, or leave its guide out",
        ),
    ],
)
def test_what_cannot_be_laid(places, size, shape, words):
    with pytest.raises(OptionError) as refusal:
        check_arrangements(arranged(*places), 3, size, shape)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_can_be_laid():
    for place in ([P(1, 180)], [P(1, 30)], [P(2, flip="v")], [P(3, shift=(39.5, -29))], [P(3, 90), P(1)]):
        size = (40, 40) if place[0].sideways else (40, 30)
        check_arrangements(arranged(None, place), 3, size)
    check_arrangements(arranged(*[None] * 16), 16, (30, 30), "disc")


def test_how_far_off_sheets_may_lie():
    check_registration(7, (30, 90))
    with pytest.raises(OptionError, match=r"registration is 7\.5 pixels, sheets 90×30: it must be 7 or less"):
        check_registration(7.5, (30, 90))


@pytest.fixture
def grey(picture):
    return [picture(24, 24, seed, 1) for seed in range(4)]


def solve(problem, **options):
    return mlsolve.solve(problem, options=Options(**{"iterations": 2, "levels": 1, **options}))


def test_solve_refuses_what_cannot_be(grey):
    a, b, c, d = grey
    one = Arrangement(a)
    for problem, error, words in [
        (Problem([b], [one, c]), InputError, "arrangements hold something else: give mlsolve.Arrangement objects"),
        (Problem([], [one]), InputError, "there are 0 guides: give 1 to 16, one per layer"),
        (Problem([b], []), OptionError, "there are 0 arrangements: give 1 to 16"),
        (Problem([b], [one], "ring"), OptionError, "shape is 'ring': use sheet or disc"),
        (Problem([b[:, :20]], [Arrangement(a[:, :20])], "disc"), OptionError, "round ones must be square"),
        (Problem([b, c], [Arrangement(a, [P(2)])]), OptionError, "layer 1 is in no arrangement"),
        (Problem([b], [one, Arrangement(d[:20])]), InputError, "target 2 is 24×20, the target 1 is 24×24"),
        (Problem([b[:20]], [one, Arrangement(d)]), InputError, "guide 1 is 24×20, the target 1 is 24×24"),
        (Problem([b], [Arrangement(a, mask=c[:20])]), InputError, "mask of target is 24×20, the target is 24×24"),
        (
            Problem([b], [one, Arrangement(d, mask=np.zeros((24, 24)))]),
            InputError,
            "mask of target 2 is black everywhere: nothing of the target would count",
        ),
        (Problem([b], [one, Arrangement(d, mask=np.full((24, 24), np.nan))]), InputError, "mask of target 2"),
    ]:
        with pytest.raises(error) as refusal:
            solve(problem)
        assert words in str(refusal.value)
        assert "\n" not in str(refusal.value)
    with pytest.raises(InputError, match="guides are given beside a Problem, which holds its own: leave them out"):
        mlsolve.solve(Problem([b], [one]), [c])


def test_one_arrangement_of_unmoved_sheets_is_what_it_always_was(grey):
    """To the byte, by either way of asking; and a Problem can be solved again and again."""
    a, b, c, _ = grey
    plain = mlsolve.solve(a, [b, c], Options(iterations=5, levels=1))
    problem = Problem((b, c), (Arrangement(a),))
    for _ in range(2):
        asked = solve(problem, iterations=5)
        assert asked.layers.tobytes() == plain.layers.tobytes()
        assert asked.scores == plain.scores
        assert asked.history == plain.history
        assert asked.arrangements == ((P(1), P(2)),)
        assert asked.exposures == (0.25,)
        assert asked.target.tobytes() == plain.targets[0].tobytes()
        assert asked.stack.tobytes() == mlsolve.compose(asked.printed, 0.25).tobytes()


def test_a_solution_of_several_arrangements(grey):
    """Stacks, exposures and scores are of every arrangement; the stack is what NumPy lays over each other."""
    a, b, c, d = grey
    arrangements = [Arrangement(a, exposure=0.3), Arrangement(d, [P(2, 90, "h", (3, -2))], weight=2, exposure=0.5)]
    found = solve(Problem([b, c], arrangements), iterations=8)
    assert found.exposures == (0.3, 0.5)
    assert found.arrangements == ((P(1), P(2)), (P(2, 90, "h", (3, -2)),))
    assert found.targets.shape == (2, 24, 24, 1)
    sheets = [one.astype(np.float32) / np.float32(255) for one in found.printed]
    turned = lies(sheets[1], 1, "h", (3, -2))
    assert found.stacks[0].tobytes() == mlsolve.compose(sheets, 0.3).tobytes()
    assert found.stacks[1].tobytes() == mlsolve.compose([turned], 0.5).tobytes()
    assert found.stack.tobytes() == found.stacks[0].tobytes()
    first, second = found.scores.stacks
    assert first.ssim == pytest.approx(mlsolve.ssim(found.stacks[0], found.targets[0]), abs=1e-6)
    assert second.ssim == pytest.approx(mlsolve.ssim(found.stacks[1], found.targets[1]), abs=1e-6)
    assert second.leak == (pytest.approx(mlsolve.ssim(turned, found.targets[1]), abs=1e-6),)
    assert found.scores.target_ssim == min(first.ssim, second.ssim)
    assert len(found.history[0].stack_ssim) == 2
    heads = found.history.csv().splitlines()[0]
    assert heads == (
        "level,iteration,loss,target_ssim_1,target_ssim_2,target_mse_1,target_mse_2,guide_ssim_1,guide_ssim_2"
    )


def test_scores_of_round_sheets_are_weighted_by_the_mask_within_the_circle(grey):
    a, b, c, _ = grey
    mask = np.linspace(0, 1, 24 * 24).reshape(24, 24).astype(np.float32)
    found = solve(Problem([b, c], [Arrangement(a, mask=mask)], "disc"), iterations=2)
    y, x = np.mgrid[0:24, 0:24] - 11.5
    weights = found.masks[0][..., 0] * (y * y + x * x <= 144)
    stack, target = found.stacks[0][..., 0].astype(np.float64), found.targets[0][..., 0].astype(np.float64)
    expected = (weights * ssim_map(stack, target)).sum() / weights.sum()
    assert found.scores.stacks[0].ssim == pytest.approx(expected, abs=1e-5)
    error = (weights * (stack - target) ** 2).sum() / weights.sum()
    assert found.scores.stacks[0].psnr == pytest.approx(-10 * np.log10(error), abs=1e-3)


def test_round_sheets_are_clear_outside_the_circle(grey):
    a, b, c, _ = grey
    found = solve(Problem([b, c], [Arrangement(a)], "disc"), iterations=6)
    y, x = np.mgrid[0:24, 0:24] - 11.5
    outside = y * y + x * x > 144
    assert (found.printed[:, outside] == 255).all()
    assert (found.targets[0][outside] == 1).all()
    assert (found.guides[:, outside] == 1).all()
    assert (found.printed[:, ~outside] < 255).any()


def test_black_of_a_mask_does_not_count(grey):
    """Two targets that differ only where the mask is black come to the same layers, and others do not."""
    a, b, c, d = grey
    mask = np.zeros((24, 24), dtype=np.float32)
    mask[:, :14] = 1
    # What does not count of a target is seen by no window that counts: these reach five pixels.
    other = np.where(np.arange(24)[:, np.newaxis] < 19, a, d)
    found = [
        solve(Problem([b, c], [Arrangement(target, mask=mask, exposure=0.3)]), iterations=6).layers.tobytes()
        for target in (a, other, d)
    ]
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_arrangements_of_arrays_are_compared_without_looking_into_them(picture):
    one, other = picture(20, 20), picture(20, 20)
    assert Arrangement(one) == Arrangement(one)
    assert hash(Arrangement(one)) == hash(Arrangement(one))
    assert Arrangement(one) != Arrangement(other)
    assert Arrangement(one, weight=2) != Arrangement(one)
    assert Arrangement(Path("a.png")) == Arrangement(Path("a.png"))
    assert Arrangement(Path("a.png")) != Arrangement(Path("b.png"))
    assert Arrangement(Path("a.png"), mask=Path("m.png")) != Arrangement(Path("a.png"))
    assert Arrangement(one) != 3


def test_options_may_follow_a_problem(picture):
    problem = Problem([picture(20, 20, 1)], [Arrangement(picture(20, 20))])
    found = mlsolve.solve(problem, mlsolve.Options(iterations=2, exposure=0.3))
    assert (found.options.iterations, found.exposures) == (2, (0.3,))
