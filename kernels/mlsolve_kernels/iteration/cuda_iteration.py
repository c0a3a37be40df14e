"""The iteration on a GPU, as far as all its paths share it: batches, Adam's own kernel, sums."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from ..adam.cuda import grid_for as update_grid
from ..adam.step import Rates
from ..cuda.device import Device
from ..cuda.geometry import CARRYING
from ..newton.cuda import NewtonOnDevice
from ..newton.step import NewtonRates
from ..placement.move import Placing
from .cuda_state import CudaState
from .groups import groups_of, sums_of
from .objective import Objective, Sums, Terms

BATCH: Final = 10
"""Iterations that are launched before the terms are fetched, in a single transfer for all of them."""


class CudaIteration(CudaState):
    """A state and the iterations on it. Each path of the iteration has its own passes (`_passes`)."""

    batch: int = BATCH
    """The most iterations that one call of `advance` takes, and the number at which it is fastest."""

    def _allocate(self) -> None:
        super()._allocate()
        device = self._device
        self._groups = groups_of(self._objective, self.shape.layers)
        self._table = device.zeros(BATCH, len(self._groups), 2, dtype=np.int64)
        self._rates = device.zeros(BATCH, len(Rates._fields))
        self._turns = device.zeros(2, dtype=np.int32)
        self._steps = _is_fused(device, self._objective)
        # A batch is recorded after an iteration of its kind has run once, because then everything is compiled. A
        # recording is for one place of the layers (`_side`).
        self._warm: set[Hashable] = set()
        self._replays: dict[Hashable, Callable[[], None] | None] = {}

    def evaluate(self, moves: Placing | None = None) -> Terms:
        """Return the terms at the present layers; store their gradient, which `gradient` returns."""
        self._begin([moves])
        for launch in self._passes(steps=False).values():
            launch()
        return self._sums(1)[0].terms(self.pixels, self._objective)

    def iterate(self, rate: float) -> Terms:
        """Take one step at learning rate `rate`; return the terms at the layers it started from."""
        return self.advance([rate])[0].terms(self.pixels, self._objective)

    def advance(self, rates: Sequence[float], moves: Sequence[Placing] | None = None) -> list[Sums]:
        """Take one step for each of `rates`; return, for each, the sums of the terms before the step.

        moves: the placement of the sheets of every stack in each of these steps; None: unmoved.
        Raises ValueError for more than BATCH rates.
        """
        if not rates:
            return []
        if len(rates) > BATCH:
            raise ValueError(f"rates are {len(rates)}: give {BATCH} at the most")
        lines = np.zeros((BATCH, len(Rates._fields)), dtype=np.float32)
        for line, rate in zip(lines, rates, strict=False):
            self._step += 1
            line[:] = self._rates_at(rate)
        self._device.upload(lines, self._rates)
        by_step = (None,) * len(rates) if moves is None else moves
        self._begin([lying for _, lying in zip(rates, by_step, strict=True)])
        count = len(rates)
        if self._recording not in self._warm:
            self._iteration()
            self._warm.add(self._recording)
            count -= 1
        replay = self._recorded() if count == BATCH else None
        if replay is not None:
            replay()
        else:
            for _ in range(count):
                self._iteration()
        return self._sums(len(rates))

    def _rates_at(self, rate: float) -> Rates | NewtonRates:
        """Return the constants of the present step."""
        if self._newton is not None:
            return NewtonRates.at(rate, self.shape.layers, self._bounds)
        return Rates.at(self._step, rate, self._bounds, self._betas)

    def _begin(self, moves: Sequence[Placing | None]) -> None:
        """Prepare the device for iterations with sheets placed by `moves`."""
        self._device.clear(self._table)
        self._device.clear(self._turns)
        self._take_moves(moves)

    def _recorded(self) -> Callable[[], None] | None:
        """Return what replays a batch of iterations; None if the device records nothing."""
        assert BATCH % 2 == 0, "after a batch the layers are where they were"
        key = self._side, self._recording
        if key not in self._replays:
            self._replays[key] = self._device.record(self._batch)
            self._side = key[0]  # also if recording failed in the middle
        return self._replays[key]

    def _batch(self) -> None:
        for _ in range(BATCH):
            self._iteration()

    def _take_moves(self, moves: Sequence[Placing | None]) -> None:
        """Prepare for iterations with sheets placed by `moves`, if the path can place any."""

    @property
    def _recording(self) -> Hashable:
        """What else the launches of an iteration depend on."""
        return None

    def _iteration(self) -> None:
        """Launch one iteration. Everything that changes between iterations is in device memory."""
        for launch in self.parts().values():
            launch()

    def parts(self) -> dict[str, Callable[[], None]]:
        """Return the launches of one iteration by what they do, in their order."""
        parts = self._passes(self._steps)
        if self._newton is not None:
            find_stack = partial(self._newton.find_stack, self._layers, self._find_statistics)
            return parts | {"stack": find_stack, "Newton": partial(self._step_together, self._newton)}
        if not self._steps:
            return parts | {"Adam": self._update}
        *_, last = parts

        def step(launch: Callable[[], None] = parts[last]) -> None:
            launch()
            self._side = 1 - self._side

        return parts | {last: step}

    def _update(self) -> None:
        """Take the step of Adam, given the gradient."""
        count, planes, height, width = self.shape
        rows, arrays = count * planes * height, (self._layers, self._first, self._second, self._gradient)
        size = rows, width, self._pitch
        self._device.launch(
            "update", 1, update_grid(rows, width), CARRYING, *arrays, self._rates, self._turns, *size
        )

    def _step_together(self, newton: NewtonOnDevice) -> None:
        """Take a Newton step, given the gradient."""
        newton.update(self._sheets_on, self._target[1], self._counting, self._rates, self._turns)

    def _passes(self, steps: bool) -> dict[str, Callable[[], None]]:
        """Return the launches that compute gradient and sums; steps: whether the last one also takes the step."""
        raise NotImplementedError("each path has its own")

    def _sums(self, number: int) -> list[Sums]:
        """Fetch the first `number` lines of the table."""
        lines = self._device.download(self._table)[:number].tolist()
        return [sums_of(line, self._groups) for line in lines]

    def _sums_to(self, group: int) -> tuple[Any, Any, Any, int, int]:
        """Return the arguments of a pass that say where its sums go, from group `group` on, and what they count."""
        return self._table, self._turns, self._counted, len(self._groups), group


def adam_on(device: Device, objective: Objective | None = None) -> str:
    """Return where the step is taken on `device` and how it is compiled; objective: None: one for Adam."""
    if objective is not None and objective.step == "newton":
        return "newton, in a kernel of its own"
    where = "in the layer pass" if _is_fused(device, objective) else "in a kernel of its own"
    return f"{where}, {device.adam}"


def _is_fused(device: Device, objective: Objective | None) -> bool:
    """Return whether the layer pass takes the step: not Newton's, nor if its gradient is not yet the whole.

    A term may add to it afterwards, and that by the looks of sheets must become that by device codes.
    """
    if objective is None:
        return device.fuses_adam
    return device.fuses_adam and not (objective.own_passes or objective.inks or objective.step == "newton")
