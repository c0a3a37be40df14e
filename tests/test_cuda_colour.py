"""The colour term's CUDA kernel on the host: the CPU's pass, windows, the disc, and planted faults."""

import numpy as np
import pytest

from cuda_host.checks import state_of
from cuda_host.device import HostDevice, needs_compiler
from mlsolve_kernels.cuda.source import WEIGHTED
from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace
from mlsolve_kernels.iteration.cuda_arranged_size import arranged_device_bytes
from mlsolve_kernels.iteration.cuda_iteration import adam_on
from mlsolve_kernels.iteration.objective import Shape
from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
from mlsolve_kernels.placement.frames import WHOLE, Frame
from mlsolve_kernels.placement.move import move_of
from mlsolve_kernels.region import Region
from mlsolve_kernels.terms.colour import reference
from mlsolve_kernels.terms.colour.term import TERM
from mlsolve_kernels.threads import Team
from objectives import composite_placed, objective_of
from planted_faults import Fault, assert_noticed, each

pytestmark = needs_compiler

BOUNDS, BETAS = (0.073, 1.0), (0.8, 0.95)
SIZE = (37, 70)


class Case:
    """Two layers of three planes in one or two windows, on a team or a device."""

    def __init__(self, windows, disc):
        rng = np.random.default_rng(5)
        stack = composite_placed(0.4, 3.0, 10.0, (0, 1))
        self.objective = objective_of([stack], 0.7, disc, 0.7 if disc else 1.0, colour=3.0)
        self.windows = windows
        self.shape = Shape(2, 3 * windows, *SIZE)
        self.images = rng.random((5, 3 * windows, *SIZE), dtype=np.float32)
        self.frames = (Frame(0, 0, (-1, 0)), Frame(37, 0, (1, 0))) if windows == 2 else WHOLE
        self.image = (37 * windows, 70)
        self.counted = (Region(3, 30, 5, 66), Region(0, 37, 2, 41))[:windows]
        moves = ((move_of(self.image), move_of(self.image)),)
        team = Team(1)
        work = self.on(team, StepwiseWorkspace)
        self.layers = work.layers
        self.right = work.advance([0.0], [moves])[0], work.gradient
        self.moves = moves
        team.close()

    def on(self, on, path=ArrangedCudaWorkspace):
        work = path.blank(self.shape, self.objective, BOUNDS, BETAS, on, self.windows)
        for plane in range(self.shape.planes):
            work.put_target(plane, self.images[0, plane])
            for k in range(2):
                work.put_guide(k, plane, self.images[1 + k, plane])
                work.put_layer(k, plane, 0.1 + 0.9 * self.images[3 + k, plane])
        work.prepare(0, self.counted, None, self.frames, self.image)
        return work

    def assert_right(self, device):
        work = self.on(device)
        sums, (expected, gradient) = work.advance([0.0], [self.moves])[0], self.right
        near = (
            np.abs(np.subtract(sums["colour"], expected["colour"]).astype(float))
            < 0.3 * self.shape.planes * 37 * 70
        )
        error = np.linalg.norm(work.gradient - gradient) / np.linalg.norm(gradient)
        assert near.all()
        assert error < 1e-5
        assert device.intact()


CASES = [(1, False), (2, False), (1, True), (2, True)]


@pytest.fixture(scope="module")
def cases():
    return [Case(*kind) for kind in CASES]


@pytest.mark.parametrize("reverse", [False, True])
def test_it_is_the_pass_of_the_cpu(folder, cases, reverse):
    for case in cases:
        case.assert_right(HostDevice(folder, reverse=reverse))
        found = case.right[0]["colour"]
        assert all(isinstance(one, int) and one > 0 for one in found)


def test_adam_comes_after_it(folder, cases):
    """It adds to the gradient after the guide pass, so that pass takes no step, even if it could."""
    found = set()
    for fused in (True, False):
        device = HostDevice(folder, fuses_adam=fused)
        assert adam_on(device, cases[0].objective).startswith("in a kernel of its own, ")
        work = cases[0].on(device)
        work.advance([0.05, 0.02], [cases[0].moves] * 2)
        assert list(work.parts())[-2:] == ["colour pass", "Adam"]
        assert "guide_step" not in device.grids
        found.add(state_of(work).tobytes())
    assert len(found) == 1


def test_its_sum_is_the_reference(folder, cases):
    case = cases[0]
    region = (..., slice(3, 30), slice(5, 66))
    work = case.on(HostDevice(folder))
    sums = work.advance([0.0], [case.moves])[0]["colour"]
    for k in range(2):
        expected = reference.value(case.layers[k][region], case.images[1 + k][region], np.ones((27, 61)))
        assert sums[k] / 2**TERM.bits == pytest.approx(expected, rel=3e-6)


def test_no_number_is_told(folder, cases):
    case = cases[0]
    work = case.on(HostDevice(folder))
    image = case.images[3, 1].copy()
    work.put_guide(0, 1, np.where(np.arange(70) == 20, np.nan, image))
    sums = work.advance([0.0], [case.moves])[0]["colour"]
    assert np.isnan(sums[0])
    assert not np.isnan(sums[1])


def test_it_takes_no_memory_of_its_own(cases):
    with_it, without = cases[0].objective, objective_of(cases[0].objective.stacks, 0.7)
    assert arranged_device_bytes(cases[0].shape, with_it) == arranged_device_bytes(cases[0].shape, without)


FAULTS = [
    Fault(
        "one plane left out of the mean",
        "colour_pass",
        "plane < planes; ++plane) mean",
        "plane < planes - 1; ++plane) mean",
    ),
    Fault("the mean is a sum", "colour_pass", "mean *= 1.0f / planes;", ""),
    Fault("half the gradient", "colour_pass", "fmaf(2.0f * weight,", "fmaf(weight,"),
    Fault(
        "another window's planes",
        "colour_pass",
        "(size_t)blockIdx.z * of_window + plane",
        "(size_t)blockIdx.z + plane",
    ),
    Fault("another window's counted region", "colour_pass", "counted + 4 * window()", "counted"),
    Fault("everything is summed", "colour_pass", "if (work.counts(row, column)) ", ""),
    Fault(
        "the disc left out of the value",
        f"colour_pass{WEIGHTED}",
        "const float value = counts * ",
        "const float value = ",
    ),
    Fault("the disc left out of the gradient", f"colour_pass{WEIGHTED}", "weight * counts)", "weight)"),
    Fault(
        "sums of another layer",
        "colour_pass",
        "sums.add(group + blockIdx.z / windows, sum)",
        "sums.add(group + (blockIdx.z / windows ^ 1), sum)",
    ),
    Fault(
        "the quantum", "colour_pass", "tally.add(value + COLOUR_ROUNDER", "tally.add(2.0f * value + COLOUR_ROUNDER"
    ),
]


def check(folder, cases, edits):
    """Raise AssertionError where the kernel is not right."""
    for case in cases:
        case.assert_right(HostDevice(folder, edits=edits))


@each(FAULTS)
def test_planted_faults_are_found(folder, cases, fault):
    assert_noticed(fault, lambda edits: check(folder, cases, edits))
