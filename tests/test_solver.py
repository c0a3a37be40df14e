import math

import numpy as np
import pytest

import mlsolve
from mlsolve.pictures.colour import encode, printable_range
from mlsolve.solving.levels import reason_to_stop
from mlsolve.solving.rounds import rate_of
from mlsolve.solving.spec import BETAS, Spec
from mlsolve.system import memory

FAST = mlsolve.Options(iterations=20, levels=2, exposure=0.1)


@pytest.fixture
def pictures(picture):
    return picture(48, 61, 1), [picture(48, 61, seed) for seed in (2, 3, 4)]


def test_the_stack_shows_the_target_and_layers_keep_their_guides(pictures):
    target, guides = pictures
    solution = mlsolve.solve(target, guides, mlsolve.Options(exposure=0.1, iterations=80))
    assert solution.scores.target_ssim > 0.97
    assert solution.scores.target_psnr > 30
    assert solution.scores.mean_guide_ssim > 0.6
    assert solution.layers.shape == (3, 48, 61, 3)
    assert solution.stack.shape == (48, 61, 3)
    np.testing.assert_array_equal(solution.stack, mlsolve.compose(solution.printed, 0.1))
    # The layers by themselves do not multiply to the target: the solver did something.
    assert mlsolve.score(guides, target, guides, 0.1).target_ssim < 0.6


@pytest.mark.parametrize("count", [1, 2, 9, 16])
def test_any_number_of_layers(picture, count):
    target = picture(40, 40, 0)
    guides = [picture(40, 40, seed + 1) for seed in range(count)]
    solution = mlsolve.solve(target, guides, mlsolve.Options(exposure=0.1, iterations=60))
    assert solution.layers.shape[0] == len(solution.scores.guide_ssim) == count
    # One sheet cannot be two pictures; any more can.
    assert solution.scores.target_ssim > (0.6 if count == 1 else 0.95)


def test_grey_is_solved_as_one_plane(picture):
    target, guides = picture(32, 32, 0, 1)[..., 0], [picture(32, 32, k, 1) for k in (1, 2)]
    assert mlsolve.solve(target, guides, FAST).layers.shape == (2, 32, 32, 1)
    guides[1] = picture(32, 32, 5)
    assert mlsolve.solve(target, guides, FAST).layers.shape == (2, 32, 32, 3)


def test_pictures_as_users_hold_them_give_the_same(pictures):
    target, guides = pictures
    codes = [np.rint(image * 255).astype(np.uint8) for image in (target, *guides)]
    opaque = np.concatenate([codes[0], np.full_like(codes[0][..., :1], 255)], axis=2)
    deep = [code.astype(np.uint16) * 257 for code in codes]
    floats = [code / 255.0 for code in codes]
    first = mlsolve.solve(codes[0], codes[1:], FAST).layers
    for other_target, others in ((opaque, codes[1:]), (deep[0], deep[1:]), (floats[0], floats[1:])):
        np.testing.assert_allclose(mlsolve.solve(other_target, others, FAST).layers, first, atol=2e-3)


def test_layers_stay_in_the_printable_range(pictures):
    target, guides = pictures
    options = mlsolve.Options(iterations=30, exposure=0.05, min_density=0.1, max_density=1.2)
    layers = encode(mlsolve.solve(target, guides, options).layers)
    low, high = printable_range(0.1, 1.2)
    assert layers.min() == pytest.approx(low, abs=1e-5)
    assert layers.max() == pytest.approx(high, abs=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_same_bytes_for_any_number_of_threads(pictures, threads):
    target, guides = pictures
    options = mlsolve.Options(iterations=12, threads=threads)
    again = mlsolve.solve(target, guides, mlsolve.Options(iterations=12, threads=1))
    solution = mlsolve.solve(target, guides, options)
    assert solution.layers.tobytes() == again.layers.tobytes()
    assert solution.history == again.history


def test_the_seed_tells_equal_guides_apart(picture):
    target, guide = picture(32, 32, 0), picture(32, 32, 1)
    first = mlsolve.solve(target, [guide, guide], FAST)
    other = mlsolve.solve(target, [guide, guide], mlsolve.Options(iterations=20, levels=2, exposure=0.1, seed=1))
    assert not np.array_equal(first.layers[0], first.layers[1])
    assert not np.array_equal(first.layers, other.layers)


def test_history_holds_every_term(pictures):
    target, guides = pictures
    solution = mlsolve.solve(target, guides, FAST)
    history = solution.history
    assert len(history) == 40
    assert history.level.tolist() == [1] * 20 + [2] * 20
    assert history.guide_ssim.shape == (40, 3)
    loss = 3 * (1 - history.target_ssim) + 10 * history.target_mse + (1 - history.guide_ssim).sum(axis=1)
    np.testing.assert_allclose(history.loss, loss, rtol=1e-12)
    assert history.loss[19] < history.loss[0]
    lines = history.csv().splitlines()
    assert lines[0] == "level,iteration,loss,target_ssim,target_mse,guide_ssim_1,guide_ssim_2,guide_ssim_3"
    assert len(lines) == 41


def test_a_longer_run_ends_lower(pictures):
    target, guides = pictures
    losses = [
        mlsolve.solve(target, guides, mlsolve.Options(iterations=n, levels=1)).history[-1].loss for n in (10, 40)
    ]
    assert losses[1] < losses[0]


def test_stop_at_target_ssim(pictures):
    target, guides = pictures
    solution = mlsolve.solve(target, guides, mlsolve.Options(iterations=80, target_ssim=0.9, exposure=0.1))
    assert solution.stop == "target_ssim"
    assert solution.history[-1].target_ssim >= 0.9
    assert solution.history[-1].level == solution.history[-1].levels
    assert solution.scores.target_ssim > 0.88
    full = [step for step in solution.history if step.level == step.levels]
    assert all(step.target_ssim < 0.9 for step in full[:-1])


def test_stop_when_patience_runs_out(pictures):
    target, guides = pictures
    solution = mlsolve.solve(target, guides, mlsolve.Options(iterations=1000, patience=5, levels=1))
    assert solution.stop == "patience"
    assert len(solution.history) < 1000
    loss = solution.history.loss
    assert loss[-6] <= loss[-5:].min() / (1 - 1e-4)


def test_patience_counts_gains_of_a_ten_thousandth():
    """A loss that creeps down by a hundred-thousandth a step tries the patience; by a thousandth it does not."""

    options = mlsolve.Options(iterations=50, patience=5)
    problem = Spec(1, 1, ((20, 20), (40, 40)), (1, 1), options, "cpu")
    for share, count in ((1e-5, 6), (1e-3, None)):
        steps, reasons = [], []
        for number in range(1, 51):
            loss = (1 - share) ** number
            steps.append(mlsolve.Step(1, 2, number, 50, (20, 20), loss, {"stack_ssim": (1.0,)}))
            reasons.append(reason_to_stop(problem, steps))
        assert ("patience" in reasons) == (count is not None)
        assert count is None or reasons.index("patience") == count - 1


def test_an_interrupted_run_stays_in_the_printable_range(picture):
    """Bringing coarse layers to full size overshoots at edges; what is kept can be printed all the same."""
    options = mlsolve.Options(iterations=30, levels=2, exposure=0.05, min_density=0.1, max_density=0.8)
    guides = [np.round(picture(48, 48, seed)) for seed in (1, 2)]
    solution = mlsolve.solve(picture(48, 48), guides, options, lambda step: step.iteration == 20)
    low, high = printable_range(0.1, 0.8)
    layers = encode(solution.layers)
    assert layers.min() == pytest.approx(low, abs=1e-5)
    assert layers.max() <= high + 1e-5


def test_neither_stop_is_on_unless_asked_for(pictures):
    target, guides = pictures
    solution = mlsolve.solve(target, guides, FAST)
    assert solution.stop == "iterations"
    assert len(solution.history) == 40


def test_callback_sees_every_step_and_can_stop(pictures):
    target, guides = pictures
    seen = []

    def watch(step):
        seen.append(step)
        return step.level == 1 and step.iteration == 7

    solution = mlsolve.solve(target, guides, FAST, watch)
    assert solution.stop == "callback"
    assert tuple(seen) == tuple(solution.history)
    assert len(seen) == 7
    # Stopped at half size: the layers are at full size all the same.
    assert solution.layers.shape == (3, 48, 61, 3)


def test_a_stop_right_after_a_level_began_keeps_the_better_layers(pictures):
    """The first steps of a level may lose; what is kept is no worse than where the level began."""
    target, guides = pictures
    options = mlsolve.Options(iterations=60, levels=2, exposure=0.1, learning_rate=1.0)
    stops = {}
    for at in (1, 3):
        solution = mlsolve.solve(
            target, guides, options, lambda step, at=at: step.level == 2 and step.iteration == at
        )
        stops[at] = solution
    began = stops[1].history[-1].loss
    assert stops[3].history[-1].loss > began  # this rate is far too high: it got worse
    objective = stops[3].scores
    assert objective.target_ssim >= stops[1].scores.target_ssim - 1e-9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, g: (t, []), "there are 0 guides: give 1 to 16"),
        (lambda t, g: (t, g * 6), "there are 18 guides: give 1 to 16"),
        (lambda t, g: (t, [g[0], g[1][:40]]), "guide 2 is 61×40, the target is 61×48: bring it to that size"),
        (lambda t, g: (t * 255, g), "target contains values from"),
        (lambda t, g: (t, [g[0], np.full_like(t, np.nan)]), "guide 2 contains NaN"),
        (lambda t, g: (t[:5], g), "target is 61×5 pixels"),
    ],
)
def test_refused_pictures(pictures, change, words):
    with pytest.raises(mlsolve.InputError) as error:
        mlsolve.solve(*change(*pictures), FAST)
    assert words in str(error.value)


def test_guides_in_any_iterable(pictures):
    target, guides = pictures
    whole = mlsolve.solve(target, np.stack(guides), FAST)
    assert np.array_equal(mlsolve.solve(target, (guide for guide in guides), FAST).layers, whole.layers)
    with pytest.raises(mlsolve.InputError, match="guides is None: give a sequence of pictures"):
        mlsolve.solve(target, None, FAST)


def test_the_rate_rises_then_falls_like_a_root():
    spec = Spec(1, 1, ((40, 40),), (1, 1), mlsolve.Options(iterations=101, learning_rate=0.1), "cpu")
    rates = [rate_of(spec, 1, iteration) for iteration in range(1, 102)]
    assert rates[0] == pytest.approx(0.02)
    assert rates.index(max(rates)) == 4
    assert rates[50] == pytest.approx(0.1 * math.sqrt(51 / 101))
    assert rates[-1] == pytest.approx(0.1 * math.sqrt(1 / 101))
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert BETAS == (0.8, 0.95)


@pytest.mark.parametrize("tolerance", [{"registration": 2}, {"registration_turn": 0.1}])
def test_with_a_tolerance_the_rate_falls_with_what_is_left(tolerance):
    spec = Spec(1, 1, ((40, 40),), (1, 1), mlsolve.Options(iterations=100, **tolerance), "cpu")
    assert [rate_of(spec, 1, iteration) for iteration in (5, 51, 100)] == pytest.approx([0.0288, 0.015, 0.0003])


def test_a_newton_step_is_told_what_is_left():
    spec = Spec(1, 1, ((40, 40),), (1, 1), mlsolve.Options(iterations=4), "cpu")
    assert [rate_of(spec, 1, iteration) for iteration in range(1, 5)] == [1, 0.75, 0.5, 0.25]


def test_the_coarsest_of_several_levels_belongs_to_adam():
    spec = Spec(1, 1, ((40, 40), (80, 80)), (1, 1), mlsolve.Options(iterations=4), "cpu")
    assert [spec.objective_at(level).step for level in (1, 2)] == ["adam", "newton"]
    assert [rate_of(spec, level, 4) for level in (1, 2)] == [0.045 * 0.8 * 0.5, 0.25]


def test_more_than_the_memory_is_refused_before_it_is_taken(pictures, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 1_000_000)
    with pytest.raises(mlsolve.InputError, match=r"3 layers of 61×48 pixels need about 0\.00145 GB of memory"):
        mlsolve.solve(*pictures, FAST)
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    assert mlsolve.solve(*pictures, FAST).layers.size


def test_refused_options(pictures):
    with pytest.raises(mlsolve.OptionError, match="levels is 9"):
        mlsolve.solve(*pictures, mlsolve.Options(levels=9))
    with pytest.raises(mlsolve.BackendError, match="backend is cuda: there is no NVIDIA driver here"):
        mlsolve.solve(*pictures, mlsolve.Options(backend="cuda"))


def test_the_inputs_are_left_alone(pictures):
    target, guides = pictures
    before = target.copy(), [guide.copy() for guide in guides]
    mlsolve.solve(target, guides, FAST)
    np.testing.assert_array_equal(target, before[0])
    np.testing.assert_array_equal(guides, before[1])
