"""The benches, without torch: turns, opponents, floor, memory, quality. Torch's side is tested by `make bench`."""

import numpy as np
import pytest

import mlsolve as package
from mlsolve import Options
from mlsolve_bench import turns
from mlsolve_bench.problem import OBJECTIVE, RATE, Problem, noise
from mlsolve_kernels.iteration import reference
from mlsolve_records import floor, memory, opponents, quality
from mlsolve_records.opponents import OURS, STRONGEST
from mlsolve_records.pictures import cat
from mlsolve_records.published_reference import published_loss
from oracle import mean_ssim


@pytest.fixture
def no_torch(monkeypatch):
    """A machine without torch."""
    monkeypatch.setattr(opponents, "find_spec", lambda name: None)


def clock(monkeypatch, ticks):
    """Let the calls that are timed take the seconds `ticks`, one after the other; nobody rests."""
    now = [0.0]
    for tick in ticks:
        now += [now[-1], now[-1] + tick]
    monkeypatch.setattr(turns, "REST", 0)
    monkeypatch.setattr(turns.time, "perf_counter", iter(now[1:]).__next__)


def test_turns_alternate_and_the_first_call_is_thrown_away(monkeypatch):
    clock(monkeypatch, [1.0, 2.0, 3.0, 4.0])
    calls = []
    seconds = turns.take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert seconds == {"a": [1.0, 3.0], "b": [2.0, 4.0]}


def test_a_turn_is_a_stretch_of_calls_of_which_the_first_does_not_count(monkeypatch):
    monkeypatch.setattr(turns, "STRETCH", 1.0)
    clock(monkeypatch, [0.6, 0.1, 0.2, 0.3, 5.0])
    calls = []
    seconds = turns.take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 1)
    assert calls == ["a", "b", "a", "a", "a", "a", "b"]
    assert seconds == {"a": [pytest.approx(0.2)], "b": [pytest.approx(5.0)]}


def test_no_turns_are_refused():
    with pytest.raises(ValueError, match="turns is 0: measure at least one"):
        turns.take_turns({}, 0)


def test_ratios_are_of_medians():
    seconds = {"mlsolve": [1.0, 2.0, 90.0], "slow": [8.0, 7.0, 6.0]}
    assert turns.median_ratio(seconds, "slow") == 3.5
    assert turns.median_ratio(seconds, "mlsolve", ours="slow") == 2 / 7


@pytest.mark.slow
def test_without_torch_ours_is_all_there_is(no_torch):
    assert opponents.available() == [OURS]
    (line,) = opponents.left_out()
    assert line.startswith("left out: torch as published")
    assert line.endswith("torch is not installed: pip install 'mlsolve[bench]'")
    iterations = opponents.steps(24, threads=2)
    assert list(iterations) == [OURS]
    assert iterations[OURS]()["stack_ssim"][0] < 1
    assert set(opponents.missing()) == set(opponents.NAMES) - {OURS}


def test_ours_is_checked_against_the_reference(no_torch):
    assert opponents.check(32)[OURS].loss < 1e-6


def test_who_solves_another_problem_is_refused(no_torch, monkeypatch):
    wrong = reference.terms
    monkeypatch.setattr(reference, "terms", lambda *given: wrong(*given) | {"stack_mse": (1.0,)})
    with pytest.raises(AssertionError, match="mlsolve does not solve the problem it should"):
        opponents.check(32)


def test_an_unknown_opponent_is_named():
    with pytest.raises(ValueError, match="opponent is 'jax': use mlsolve, torch as published"):
        opponents.workspace("jax", noise(16), 1)


def test_the_problem_is_always_the_same():
    first, second = noise(20), noise(20)
    assert first.target.tobytes() == second.target.tobytes()
    assert first.guides.shape == (3, 3, 20, 20)
    assert cat(32).target.shape == (3, 32, 32)


def test_published_takes_rows_for_channels(rng):
    """SSIM of channels-last pictures as if they were channels-first, in the naive writing of tests/oracle.py."""
    layers, guides = rng.random((2, 3, 7, 6)), rng.random((2, 3, 7, 6))
    target = rng.random((3, 7, 6))
    last = [np.moveaxis(z, -3, -1) for z in (layers, target, guides)]
    expected = 1 - mean_ssim(last[0].mean(axis=0), last[1])
    expected += sum(1 - mean_ssim(a, b) for a, b in zip(last[0], last[2], strict=True))
    assert published_loss(layers, target, guides)[0] == pytest.approx(expected, abs=1e-12)


def test_published_gradient_against_central_differences(rng):
    layers, guides, target = rng.random((2, 3, 5, 6)), rng.random((2, 3, 5, 6)), rng.random((3, 5, 6))
    layers[0, 0, 0, 0], layers[1, 2, 3, 3] = -0.2, 1.3  # beyond the clamp nothing changes
    _, gradient = published_loss(layers, target, guides)
    for index in [(0, 0, 0, 0), (1, 2, 3, 3), (0, 1, 2, 3), (1, 0, 4, 5)]:
        up, down = layers.copy(), layers.copy()
        up[index] += 1e-6
        down[index] -= 1e-6
        slope = (published_loss(up, target, guides)[0] - published_loss(down, target, guides)[0]) / 2e-6
        assert gradient[index] == pytest.approx(slope * target.size, abs=1e-5)


def test_bytes_and_operations_of_an_iteration():
    """Counted out for one pixel of two layers, one plane."""
    per_layer = len(["layer", "first", "second", "guide", "B[y]", "variance"]) + len(["layer", "first", "second"])
    assert floor.iteration_bytes(1, layers=2, planes=1) == 4 * (2 * per_layer + 3)
    blurs = len(["x", "x²", "xy", "q", "by variance", "by covariance"])
    assert floor.iteration_operations(1, layers=2, planes=1) == 3 * blurs * (2 * 6 + 2 * 5)
    assert floor.iteration_bytes(10) == 3 * 100 * floor.iteration_bytes(1, planes=1)


def test_the_floor_is_the_larger_time():
    rates = floor.Rates(
        threads=1, copy=1.0, update=floor.iteration_bytes(50) / 2, fma=floor.iteration_operations(50)
    )
    assert floor.floor_seconds(50, rates) == {"memory": 2.0, "arithmetic": 1.0, "floor": 2.0}
    entry = floor.shares(rates, {50: 8000.0})["sizes"]["50"]
    assert entry["share of the floor"] == 0.25
    assert entry["floor ms"] == 2000.0


def test_the_kernels_of_the_floor_do_what_they_are_counted_for():
    rates = floor.measure(2, megabytes=1, rounds=3)
    assert rates.threads == 2
    assert all(np.isfinite(rate) and rate > 0 for rate in (rates.copy, rates.update, rates.fma))
    chains = np.full((2, floor.CHAINS), 3, dtype=np.float32)
    floor.multiply_add_chains(chains, 2, 1, 2)
    links = 2 * floor.LINKS
    assert chains[0] == pytest.approx(3)
    assert chains[1] == pytest.approx(1 + 2 * 0.99**links, rel=1e-5)
    a, b = np.arange(48, dtype=np.float32), np.ones(48, dtype=np.float32)
    for worker in range(2):
        floor.update_array(a, b, worker, 2)
    assert list(b) == list(a + 1)
    for worker in range(2):
        floor.copy_array(a, b, worker, 2)
    assert list(b) == list(a)


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own():
    side = 512
    figures = memory.measure(OURS, side, threads=1)
    problem_and_layers = 4 * side**2 * (3 + 9 + 9)
    assert problem_and_layers < figures["bytes"] < 20 * problem_and_layers
    assert figures["bytes per pixel, plane and layer"] == figures["bytes"] / (9 * side**2)


def test_memory_says_what_went_wrong():
    with pytest.raises(RuntimeError, match=r"(?s)memory of nobody at 16×16 failed: .*opponent is 'nobody'"):
        memory.measure("nobody", 16, 1)


def small_pictures(side):
    problem = noise(side)
    return np.moveaxis(problem.target, 0, -1), list(np.moveaxis(problem.guides, 1, -1))


class AsTorchHasIt:
    """Our iteration behind what a workspace in torch offers, and nothing else: terms, layers as a whole."""

    batch = 1

    def __init__(self, problem, threads):
        self.ours = opponents.workspace(OURS, problem, threads)

    def start(self, layers):
        self.ours.start(layers)

    def advance(self, rates):
        return [self.ours.iterate(rate) for rate in rates]

    @property
    def layers(self):
        return self.ours.layers


@pytest.fixture
def computed_by_ours(monkeypatch):
    """The opponent computes what we do; what it was made for, in order."""
    made = []

    def fake(name, problem, threads, device):
        made.append((name, problem.target.shape[1:], threads, device))
        return AsTorchHasIt(problem, threads)

    monkeypatch.setattr(quality, "workspace", fake)
    return made


@pytest.mark.parametrize("ends_at", [None, 1, 3])
def test_an_opponent_computes_the_iterations_of_mlsolves_own_loop(computed_by_ours, ends_at):
    """Also where a callback ends it: the solver may then begin anew from where the level began."""
    target, guides = small_pictures(40)
    options = Options(iterations=4, levels=2, threads=1)

    def ends(step):
        return step.level == 2 and step.iteration == ends_at

    with quality.computed_by(STRONGEST, 1, "cpu"):
        theirs = package.solve(target, guides, options, ends)
    assert computed_by_ours == [(STRONGEST, (20, 20), 1, "cpu"), (STRONGEST, (40, 40), 1, "cpu")]
    ours = package.solve(target, guides, options, ends)
    assert len(computed_by_ours) == 2
    assert theirs.layers.tobytes() == ours.layers.tobytes()
    assert len(theirs.history) == len(ours.history) == (8 if ends_at is None else 4 + ends_at)
    for their_step, our_step in zip(theirs.history, ours.history, strict=True):
        assert their_step.loss == pytest.approx(our_step.loss, rel=1e-12)
        assert their_step.guide_ssim == pytest.approx(our_step.guide_ssim, rel=1e-12)


def test_a_solve_that_lost_keeps_where_the_level_began(computed_by_ours):
    """With an opponent as without: layers that the solver puts back are the ones it takes."""
    _, (guide, *_) = small_pictures(40)
    options = Options(iterations=4, levels=1, threads=1, exposure=1, learning_rate=1.0)

    def ends(step):
        return step.iteration == 2

    with quality.computed_by(STRONGEST, 1, "cpu"):
        theirs = package.solve(guide, [guide], options, ends)
    assert theirs.history[1].loss > theirs.history[0].loss  # nothing is better than the guide itself
    ours = package.solve(guide, [guide], options, ends)
    assert theirs.layers.tobytes() == ours.layers.tobytes()


def test_time_to_quality(monkeypatch):
    monkeypatch.setattr(quality, "TARGET_SSIM", 1.1)
    never = quality.time_to_quality(OURS, 24, 1, levels=1, load=small_pictures)
    assert never["seconds"] is None
    assert never["iterations at full size"] == Options().iterations_for("adam")
    monkeypatch.setattr(quality, "TARGET_SSIM", -1.0)
    monkeypatch.setattr(quality, "GUIDE_SSIM", 1.1)
    assert quality.time_to_quality(OURS, 24, 1, levels=1, load=small_pictures)["seconds"] is None
    monkeypatch.setattr(quality, "GUIDE_SSIM", -1.0)
    at_once = quality.time_to_quality(OURS, 24, 1, levels=2, load=small_pictures)
    assert (at_once["levels"], at_once["iterations at full size"]) == (2, 1)
    assert at_once["seconds"] > 0


def test_parity_tells_differences(monkeypatch):
    problem = noise(24)
    same = quality.apart_after(OURS, problem, 1, steps=3)
    assert same["largest layer difference"] == same["loss difference"] == 0
    other = Problem(problem.target[:, ::-1].copy(), problem.guides)
    given = iter([problem, other])
    monkeypatch.setattr(quality, "workspace", lambda name, _, *rest: opponents.workspace(name, next(given), *rest))
    apart = quality.apart_after(OURS, problem, 1, steps=3)
    assert RATE < apart["largest layer difference"] <= 2 * 3 * RATE * 1.05  # Adam may exceed its rate a little
    assert 0 < apart["mean layer difference"] < apart["largest layer difference"]
    assert apart["loss difference"] > 1e-3


def test_settings_are_those_of_the_solver():
    options = Options()
    (stack,) = OBJECTIVE.stacks
    assert stack.weights == {"stack_ssim": options.ssim_weight, "stack_mse": options.mse_weight_for(1)}
    assert OBJECTIVE.weights == {"guide_ssim": options.guide_weight_for(3)}


def test_cost_of_a_value():
    assert quality.per_value(9e-3, 1000) == pytest.approx(1.0)
