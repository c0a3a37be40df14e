"""Layers on the device have two sides: a step reads them from one and writes them to the other. And turns."""

import itertools

import numpy as np
import pytest

from cuda_host.arrangements import Both
from cuda_host.checks import BETAS, BOUNDS, FORMS, OBJECTIVE, problem, state_of, workspace
from cuda_host.device import HostDevice, needs_compiler
from mlsolve_kernels.adam import reference
from mlsolve_kernels.iteration.cuda import BATCH, CudaWorkspace
from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace

pytestmark = needs_compiler

RATES = [0.05, 0.02, 0.03, 0.04, 0.01]
SHAPE = (2, 1, 15, 33)


@pytest.fixture
def pictures(rng):
    return problem(rng, *SHAPE)


def on_sides(folder, pictures, **settings):
    """A workspace whose layers change sides, and one whose layers stay, because Adam is a kernel of its own."""
    return [workspace(*pictures, HostDevice(folder, fuses_adam=inlines, **settings)) for inlines in (True, False)]


def test_a_step_changes_the_side(folder, pictures):
    changing, staying = on_sides(folder, pictures)
    for step in range(1, 4):
        assert changing.iterate(0.03) == staying.iterate(0.03)
        assert (changing._side, staying._side) == (step % 2, 0)
        assert state_of(changing).tobytes() == state_of(staying).tobytes()
    assert changing.layers.tobytes() == staying.layers.tobytes()


def test_an_evaluation_changes_no_side(folder, pictures):
    """It leaves the gradient where the next step puts the layers."""
    changing, staying = on_sides(folder, pictures)
    for number in range(3):
        before = changing._side, state_of(changing).tobytes()
        assert changing.evaluate() == changing.evaluate() == staying.evaluate()
        assert (changing._side, state_of(changing).tobytes()) == before
        assert changing.gradient.tobytes() == staying.gradient.tobytes()
        for work in (changing, staying):
            work.advance(RATES[: number + 1])
        assert state_of(changing).tobytes() == state_of(staying).tobytes()


def test_a_step_is_that_of_the_gradient(folder, pictures):
    """Against float64, from the gradient that an evaluation gives on either side."""
    work = workspace(*pictures, HostDevice(folder))
    moments = (np.zeros(SHAPE),) * 2
    for number, rate in enumerate(RATES[:3], 1):
        work.evaluate()
        x, gradient = work.layers.astype(np.float64), work.gradient.astype(np.float64)
        work.iterate(rate)
        expected, moments = reference.step(x, moments, gradient, number, rate, BOUNDS, (0.8, 0.95))
        found = state_of(work)
        for array, right in zip(found, (expected, *moments), strict=True):
            np.testing.assert_allclose(array, right, rtol=3e-6, atol=1e-7)
        moments = found[1].astype(np.float64), found[2].astype(np.float64)


@pytest.mark.parametrize("steps", [1, 2])
def test_what_is_put_comes_to_the_side_of_the_layers(rng, folder, pictures, steps):
    """After odd and even numbers of steps: layers, moments, resampled layers; nothing of before comes back."""
    found = []
    images, moments = rng.random(SHAPE, dtype=np.float32), rng.random((2, *SHAPE), dtype=np.float32)
    for work in on_sides(folder, pictures):
        work.advance(RATES[:steps])
        work.put_layer(0, 0, images[0, 0], (moments[0, 0, 0], moments[1, 0, 0]))
        work.put_layer(1, 0, images[1, 0, :4], top=5)
        at_once = state_of(work)
        np.testing.assert_array_equal(at_once[0, 0, 0], np.clip(images[0, 0], *map(np.float32, BOUNDS)))
        np.testing.assert_array_equal(at_once[1:, 0, 0], moments[:, 0, 0])
        assert not at_once[1:, 1, 0, 5:9].any()
        assert at_once[1:, 1, 0, 9:].any()
        sums = work.advance(RATES[:3])
        found.append((sums, state_of(work).tobytes(), at_once.tobytes()))
    assert found[0] == found[1]


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_start_begins_anew(folder, pictures, steps):
    """On whichever side the layers are."""
    layers = pictures[2]
    fresh = workspace(*pictures, HostDevice(folder))
    expected = fresh.advance(RATES), state_of(fresh).tobytes()
    for work in on_sides(folder, pictures):
        work.advance(RATES[:steps])
        work.evaluate()
        work.start(layers)
        work.iterate(RATES[0])
        work.start(layers)
        assert (work.advance(RATES), state_of(work).tobytes()) == expected


def test_a_start_is_split_anywhere(folder, pictures):
    """Steps one by one, or several at a time, or with evaluations between: the same bytes."""
    found = set()
    for chip, inlines in FORMS:
        for parts in ((5,), (1, 4), (2, 1, 2), (1,) * 5):
            work, sums, done = workspace(*pictures, HostDevice(folder, chip=chip, fuses_adam=inlines)), [], 0
            for part in parts:
                sums += work.advance(RATES[done : done + part])
                done += part
                if part == 1:
                    work.evaluate()
            found.add((repr(sums), state_of(work).tobytes()))
    assert len(found) == 1


def test_padding_stays_zero_on_both_sides(folder, pictures):
    """An evaluation may leave a gradient in the column behind the last; the next step clears it."""
    work = workspace(*pictures, HostDevice(folder))
    width, numbers = SHAPE[-1], itertools.count()
    for evaluates in (False, True, True, False, True):
        if evaluates:
            work.evaluate()
        work.advance(RATES[: 1 + next(numbers) % 2])
        for array in (*work._sides, work._first, work._second):
            assert not array[..., width:].any()


def test_every_iteration_of_a_batch_has_a_turn(folder, pictures):
    """Sums go to the line of their iteration and rates come from it; every call begins at the first one."""
    whole = workspace(*pictures, HostDevice(folder))
    rates = [0.05 / (1 + t) for t in range(BATCH)]
    expected = [whole.iterate(rate) for rate in rates]
    for inlines in (True, False):
        work = workspace(*pictures, HostDevice(folder, fuses_adam=inlines))
        work.evaluate()
        np.testing.assert_array_equal(work._turns, [0, 0])  # an evaluation is no turn
        found = work.advance(rates)
        assert [sums.terms(work.pixels, work._objective) for sums in found] == expected
        np.testing.assert_array_equal(work._turns, [BATCH, BATCH - 1])
        work.advance(rates[:3])
        np.testing.assert_array_equal(work._turns, [3, 2])
        assert not work._table[3:].any()
        assert (work._table[:3, :, 0] != 0).all()


def test_a_batch_is_recorded_on_both_sides(folder, pictures):
    """What is replayed reads the layers where they were when it was recorded."""

    class Recording(HostDevice):
        recorded = 0

        def launch(self, *arguments):
            if self.works is None:
                super().launch(*arguments)
            else:
                self.works.append(arguments)

        works = None

        def record(self, run):
            self.recorded += 1
            self.works = works = []
            run()
            self.works = None

            def replay():
                for arguments in works:
                    self.launch(*arguments)

            return replay

    device = Recording(folder)
    plain, recording = workspace(*pictures, HostDevice(folder)), workspace(*pictures, device)
    rates = [0.05 / (1 + t) for t in range(BATCH)]
    sides = []
    for count in (BATCH, BATCH, 1, BATCH, BATCH, 1, BATCH, 2, BATCH):
        sides.append(recording._side)
        assert recording.advance(rates[:count]) == plain.advance(rates[:count])
        assert recording._side == plain._side
        assert state_of(recording).tobytes() == state_of(plain).tobytes()
    assert set(sides) == {0, 1}
    assert device.recorded == 2


@pytest.mark.parametrize(
    ("windows", "stacks"), [(2, slice(2)), pytest.param(1, slice(None), marks=pytest.mark.slow)]
)
def test_arrangements_have_sides_too(folder, windows, stacks):
    """The gradient that comes back from the stacks lies where the next layers go. With weights, and without."""
    both = Both(windows, stacks)
    found = set()
    for chip, inlines in FORMS if windows == 1 else FORMS[::3]:
        work = both.on(HostDevice(folder, fuses_adam=inlines, chip=chip))
        sums = []
        for count in (1, 2, 2):
            sums += work.advance(RATES[:count], both.lying[:count])
            work.evaluate(both.lying[0])
        assert work._side == (5 % 2 if inlines else 0)
        found.add((repr(sums), state_of(work).tobytes(), work.gradient.tobytes()))
    assert len(found) == 1


class OneSide(CudaWorkspace):
    def _allocate(self):
        super()._allocate()
        self._sides = (self._sides[0],) * 2


class SideNotChanged(CudaWorkspace):
    def parts(self):
        return self._passes(self._steps)


class PutOnTheOtherSide(CudaWorkspace):
    def put_layer(self, *arguments):
        self._side = 1 - self._side
        super().put_layer(*arguments)
        self._side = 1 - self._side


class TakenFromTheFirstSide(CudaWorkspace):
    def take_layer(self, layer, plane, out, top=0):
        out[...] = self._sides[0][layer, plane, top : top + len(out), : self.shape.width]


class TurnsNotCleared(CudaWorkspace):
    def _begin(self, moves):
        self._device.clear(self._table)


class TableNotCleared(CudaWorkspace):
    def _begin(self, moves):
        self._device.clear(self._turns)


@pytest.mark.parametrize(
    "path", [OneSide, SideNotChanged, PutOnTheOtherSide, TakenFromTheFirstSide, TurnsNotCleared, TableNotCleared]
)
def test_faults_of_sides_and_turns_are_caught(folder, pictures, path):
    target, guides, layers = pictures

    def run(kind):
        work = kind(target, guides, OBJECTIVE, BOUNDS, BETAS, HostDevice(folder, resident=40))
        work.start(layers)
        sums = work.advance(RATES[:2]) + work.advance(RATES[2:])
        state = state_of(work)
        work.start(layers)
        return sums, state.tobytes(), work.layers.tobytes()

    assert run(CudaWorkspace) != run(path)


def test_both_kinds_of_workspace_are_of_one_state():
    """What is tested here of one holds of the other, because neither has sides or turns of its own."""
    for name in ("_begin", "parts", "advance", "evaluate", "put_layer", "take_layer", "_layers", "_gradient"):
        assert name not in vars(CudaWorkspace)
        assert name not in vars(ArrangedCudaWorkspace)
