"""Sums and tiles of the CUDA kernels, on the host: a tile with its halo gives the bytes that the whole gives."""

import contextlib
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import test_tiles_of_kernels as tiles
from cuda_host.checks import BETAS, BOUNDS, FORMS, MODES, OBJECTIVE, problem, state_of, workspace
from cuda_host.device import HostDevice, needs_compiler
from mlsolve_kernels.cuda.geometry import LONGEST_PIECE, OWN
from mlsolve_kernels.exact import ERROR_BITS
from mlsolve_kernels.iteration.cuda import CudaWorkspace
from mlsolve_kernels.iteration.objective import Shape, one_stack
from mlsolve_kernels.iteration.sweep import CpuWorkspace
from mlsolve_kernels.region import Region
from mlsolve_kernels.threads import Team
from planted_faults import Fault, assert_noticed, each
from test_tiles_of_kernels import advance_tile, cut

pytestmark = needs_compiler

RATES = [0.03, 0.02]


@pytest.fixture
def two_steps(monkeypatch):
    """Halos of 20 pixels instead of 40."""
    monkeypatch.setattr(tiles, "RATES", RATES)


def tiles_differ(rng, device, planes=2, size=(47, OWN + 30), tile=(24, 80), path=CudaWorkspace):
    """Take two rounds of RATES by tiles and as a whole; say what is not the same."""
    target, guides, layers = tiles.problem(rng, 2, planes, *size)
    whole = CudaWorkspace(target, guides, tiles.OBJECTIVE, tiles.BOUNDS, tiles.BETAS, device)
    whole.start(layers)
    start, moments = whole.layers, None
    for steps in (0, len(RATES)):
        expected_sums, expected = whole.advance(RATES), state_of(whole)
        found, found_sums = np.empty_like(expected), [None] * len(RATES)
        for top, left in itertools.product(range(0, size[0], tile[0]), range(0, size[1], tile[1])):
            inner = Region(top, min(top + tile[0], size[0]), left, min(left + tile[1], size[1]))
            for plane in range(planes):
                state, sums = advance_tile((target, guides, start), moments, inner, plane, steps, device, path)
                cut(found[:, :, plane], inner)[...] = state
                found_sums = [s if t is None else t.plus(s) for t, s in zip(found_sums, sums, strict=True)]
        if found.tobytes() != expected.tobytes():
            return f"state after {steps} steps"
        if found_sums != expected_sums:
            return f"sums after {steps} steps"
        assert all(type(value) is int for sums in found_sums for term in sums.values() for value in term)
        start, moments = found[0], (found[1], found[2])
    return None


@pytest.mark.usefixtures("two_steps")
@pytest.mark.parametrize(("tile", "resident"), [((24, 80), 8), ((47, 31), 1), ((16, OWN + 30), 1000)])
def test_tiles_are_the_whole(rng, folder, tile, resident):
    assert tiles_differ(rng, HostDevice(folder, resident=resident), tile=tile) is None


class MomentsNotLoaded(CudaWorkspace):
    def put_layer(self, layer, plane, image, moments=None):
        super().put_layer(layer, plane, image)


class FirstForBothMoments(CudaWorkspace):
    def put_layer(self, layer, plane, image, moments=None):
        super().put_layer(layer, plane, image, None if moments is None else (moments[0], moments[0]))


class StepNotRestored(CudaWorkspace):
    def prepare(self, step=0, counted=None, iterations=None, **others):
        super().prepare(0, counted, iterations, **others)


class HaloCounted(CudaWorkspace):
    def prepare(self, step=0, counted=None, iterations=None, **others):
        super().prepare(step, None, iterations, **others)


class NotSettled(CudaWorkspace):
    # A fault from within: what it leaves out is private.
    def prepare(self, step=0, counted=None, iterations=None, **others):
        self._step = step
        if counted:
            self._device.upload(np.array(counted, dtype=np.int32), self._counted)


@pytest.mark.usefixtures("two_steps")
@pytest.mark.parametrize(
    ("path", "what"),
    [
        (MomentsNotLoaded, "state after 2 steps"),
        (FirstForBothMoments, "state after 2 steps"),
        (StepNotRestored, "state after 2 steps"),
        (HaloCounted, "sums after 0 steps"),
        (NotSettled, "state after 0 steps"),
    ],
)
def test_faults_of_a_tile_are_caught(rng, folder, path, what):
    assert tiles_differ(rng, HostDevice(folder), 1, (30, 90), (30, 45), path) == what


@pytest.mark.usefixtures("two_steps")
def test_a_workspace_is_filled_again_and_nothing_is_allocated(rng, folder, monkeypatch):
    """What the tile before left, statistics, moments and counted region, has no part in the next."""
    device = HostDevice(folder)
    used = CudaWorkspace.blank(Shape(2, 1, 30, 40), tiles.OBJECTIVE, tiles.BOUNDS, tiles.BETAS, device)
    monkeypatch.setattr(device, "zeros", lambda *_, **__: pytest.fail("allocated"))
    moments = rng.random((2, 2, 1, 30, 40), dtype=np.float32)

    class Used(CudaWorkspace):
        @classmethod
        def blank(cls, *_):
            return used

    for inner, before in (
        (Region(3, 30, 0, 40), moments),
        (Region(0, 12, 7, 33), None),
        (Region(0, 30, 0, 40), None),
    ):
        pictures = tiles.problem(rng, 2, 1, 30, 40)
        state, sums = advance_tile(pictures, before, inner, 0, 2, device, Used)
        fresh, right = advance_tile(pictures, before, inner, 0, 2, HostDevice(folder), CudaWorkspace)
        assert state.tobytes() == fresh.tobytes()
        assert sums == right
    assert device.intact()


def errors_of(target, layers, counted):
    """The sum of squared errors in quanta, as exact.py would have it, in float32 and float64."""
    seen = np.float32(1 / OBJECTIVE.stacks[0].scale) * layers[0]
    for layer in layers[1:]:
        seen = seen * layer
    squared = cut((seen - target) * (seen - target), counted).astype(np.float64)
    return int(np.rint(squared * 2.0**ERROR_BITS).astype(np.int64).sum())


def assert_sums_are_right(device, target, guides, layers, team):
    """Errors to the quantum, SSIM as on the CPU or a quantum beside; regions add up; what is no number is seen."""
    height, width = target.shape[1:]
    rows, columns = (0, height // 3, height), sorted((0, 1, width // 2 + 1, OWN, width))
    work = workspace(target, guides, layers, device)
    layers = work.layers
    parts = []
    for (top, bottom), (left, right) in itertools.product(itertools.pairwise(rows), itertools.pairwise(columns)):
        counted = Region(top, bottom, left, right)
        work.prepare(0, (counted,))
        parts.extend(work.advance([0.0]))
        assert parts[-1]["stack_mse"] == (errors_of(target, layers, counted),)
        on_cpu = CpuWorkspace(target, guides, OBJECTIVE, BOUNDS, BETAS, team)
        on_cpu.start(layers)
        on_cpu.prepare(0, (counted,))
        expected = on_cpu.advance([0.0])[0]
        far = 0.3 * target.shape[0] * (bottom - top) * (right - left) + 3
        found = (*parts[-1]["stack_ssim"], *parts[-1]["guide_ssim"])
        for sum_of, right_sum in zip(found, (*expected["stack_ssim"], *expected["guide_ssim"]), strict=True):
            assert abs(sum_of - right_sum) < far
    work.prepare()
    (whole,), total = work.advance([0.0]), parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    assert total == whole
    assert device.intact()
    layers = layers.copy()
    layers[0, 0, 5, 7] = layers[0, 0, height - 3, width - 3] = np.nan  # in separate blocks, which must not cancel
    for counted, of_ssim, of_error in (
        (Region(5, 6, 7, 8), True, True),
        (Region(0, 20, 0, width), True, True),
        (Region(5, 6, 9, 12), True, False),
        (Region(11, height - 9, 0, width), False, False),
        (Region(height - 3, height, width - 9, width), True, True),
        (Region(0, height, 0, width), True, True),
    ):
        work.start(layers)
        work.prepare(0, (counted,))
        (sums,) = work.advance([0.0])
        assert np.isnan(sums["stack_ssim"][0]) == np.isnan(sums["guide_ssim"][0]) == of_ssim
        assert np.isnan(sums["stack_mse"][0]) == of_error
        assert not np.isnan(sums["guide_ssim"][1])


@pytest.mark.parametrize("shape", [(2, 1, 30, OWN + 12), (3, 2, 40, 2 * OWN + 1)])
def test_sums_are_exact(rng, folder, shape):
    team = Team(1)
    for (reverse, early), (chip, inlines) in zip(MODES, FORMS, strict=True):
        device = HostDevice(folder, reverse=reverse, early=early, chip=chip, fuses_adam=inlines)
        assert_sums_are_right(device, *problem(rng, *shape), team)
    team.close()


@pytest.mark.parametrize("exposure", [0.0001, 1.0])
def test_long_pieces_and_large_errors(folder, exposure):
    """One thread sums the longest piece there is, of the largest and the smallest errors, in 32 bits."""
    scale = exposure ** (1 / 2.2)
    layers = np.ones((1, 1, LONGEST_PIECE, 5), dtype=np.float32)
    target = np.full(layers.shape[1:], 0.0 if exposure < 1 else 1 - 1e-4, dtype=np.float32)
    device = HostDevice(folder, resident=1)
    work = CudaWorkspace(target, layers, one_stack(scale, 1, 1, 1), BOUNDS, BETAS, device)
    work.start(layers)
    (sums,) = work.advance([0.01])
    assert device.grids["stack_pass"] == (1, 1, 1)
    error = (np.float32(1 / scale) - target[0, 0, 0]) ** 2
    assert sums["stack_mse"] == (layers.size * int(np.rint(np.float64(error) * 2.0**ERROR_BITS)),)
    assert sums["guide_ssim"] == pytest.approx((layers.size * 2**18,), abs=layers.size)


def test_two_devices_from_two_threads(rng, tmp_path):
    """Each with libraries of its own, for a library has one shared memory."""
    problems = [problem(rng, 2, 1, 30, 50), problem(rng, 2, 1, 26, 70)]

    def solve(number, folder):
        folder.mkdir()
        work = workspace(*problems[number], HostDevice(folder, reverse=bool(number)))
        found = [work.advance(RATES) for _ in range(4)]
        return found, work.layers.tobytes()

    alone = [solve(number, tmp_path / f"alone {number}") for number in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(solve, (0, 1), (tmp_path / "a", tmp_path / "b")))
    assert together == alone


FAULTS = [
    Fault(
        "counts from a row too late", "layer_pass", "max(strip.first, region[0])", "max(strip.first, region[0] + 1)"
    ),
    Fault(
        "counts from a row too early",
        "layer_step",
        "max(strip.first, region[0])",
        "max(strip.first, region[0] - 1)",
    ),
    Fault(
        "counts to a row too early", "stack_pass", "min(strip.last, region[1])", "min(strip.last, region[1] - 1)"
    ),
    Fault("counts to a row too late", "stack_pass", "min(strip.last, region[1])", "min(strip.last, region[1] + 1)"),
    Fault("counts from a column too late", "layer_step", "region[2] <= at", "region[2] < at"),
    Fault("counts from a column too early", "stack_pass", "region[2] <= at", "region[2] - 1 <= at"),
    Fault("counts to a column too early", "stack_pass", "at < region[3]", "at < region[3] - 1"),
    Fault("counts to a column too late", "layer_pass", "at < region[3]", "at <= region[3]"),
    Fault(
        "pieces without counted rows count",
        "layer_step",
        "rows = max(0, min(strip.last, region[1]) - first)",
        "rows = min(strip.last, region[1]) - first",
    ),
    Fault("all rows of the error", "stack_pass", "counts = counted.row(leaving.row)", "counts = ~0u"),
    Fault("rows of the neighbours", "layer_pass", "counts = counted.row(middle)", "counts = in_image"),
    Fault("rows of the neighbours with Adam", "layer_step", "counts = counted.row(middle)", "counts = in_image"),
    Fault("sums of the neighbours' columns", "stack_pass", "strip.mine && region[2]", "region[2]"),
    Fault("a quantum missing", "layer_step", " - __float_as_uint(rounder);", " - __float_as_uint(rounder) - 1;"),
    Fault("fine quanta without sign", "stack_pass", "static_cast<int>(pass.fine)", "pass.fine"),
    Fault("fine quanta not of the rest", "stack_pass", "rest + FINE_ROUNDER,", "FINE_ROUNDER,"),
    Fault("no number goes unseen", "layer_step", "wrong >> 23 ? NONE :", ""),
    Fault("no number of the error goes unseen", "stack_pass", "wrong >> 23 ? NONE :", ""),
    Fault("no numbers cancel in a block", "layer_pass", "a == NONE || b == NONE ? NONE : a + b", "a + b"),
    Fault("no numbers are added like others", "layer_step", "if (sum == NONE) {", "if (false) {"),
    Fault("no numbers of the error are added like others", "stack_pass", "if (sum == NONE) {", "if (false) {"),
    Fault("no numbers are forgotten", "layer_pass", "atomicAdd(line + 2 * group + 1, 1ULL);", ""),
    Fault(
        "no numbers cancel in the table",
        "layer_step",
        "atomicAdd(line + 2 * group + 1, 1ULL)",
        "line[2 * group + 1] ^= 1",
    ),
    Fault(
        "the last block alone counts",
        "stack_pass",
        "atomicAdd(line + 2 * group, s",
        "*line = 0, atomicAdd(line + 2 * group, s",
    ),
    Fault(
        "no numbers in the group after", "layer_step", "line + 2 * group + 1, 1ULL", "line + 2 * group + 3, 1ULL"
    ),
    Fault("barrier in the sum of a block", "layer_step", "= value;\n    __syncthreads();", "= value;"),
    Fault("a warp of the block", "stack_pass", "warp < COUNT / 32", "warp < COUNT / 32 - 1"),
]


def check(rng, folder, edits):
    """Raise AssertionError where sums are not right, threads in order or in reverse."""
    target, guides, layers = problem(rng, 2, 1, 30, OWN + 12)
    with contextlib.closing(Team(1)) as team:
        for reverse, inlines in itertools.product((False, True), repeat=2):
            device = HostDevice(folder, reverse=reverse, fuses_adam=inlines, resident=20, edits=edits)
            assert_sums_are_right(device, target, guides, layers, team)


@each(FAULTS)
def test_planted_faults_are_caught(rng, folder, fault):
    assert_noticed(fault, lambda edits: check(rng, folder, edits))


def test_nothing_is_caught_in_what_is_right(rng, folder):
    check(rng, folder, {})
