"""What is decided on a device by measurement: alternatives of the CUDA backend, in turns in one process."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

from mlsolve.solving.backends import CudaBackend
from mlsolve_bench.pair import our_workspace
from mlsolve_bench.problem import RATE, noise
from mlsolve_kernels.iteration.cuda import BATCH

from . import gpu_sections

TURNS: Final = 5


class Decision(NamedTuple):
    """An argument of the CUDA backend, the values that are compared, and the sides."""

    argument: str
    values: tuple[Any, ...]
    sides: tuple[int, ...]


OFFERED: Final = (
    Decision("graphs", (True, False), (600, 2048)),
    Decision("fuses_adam", (True, False), (600, 2048, 7087)),
)
"""What is decided, the default first. At 7087² an iteration takes so long that its launches do not count."""

NOT_RECORDED: Final = "not recorded"
"""In place of milliseconds with graphs, where the device launches kernel by kernel all the same."""


def decide(
    argument: str, values: Sequence[Any], side: int, backend: Callable[..., Any] = CudaBackend
) -> dict[str, float | str]:
    """Return the milliseconds of an iteration at `side`×`side` pixels for each value of an argument of `backend`.

    In place of those of a value that fails, why. Then the others are timed one after the other. Graphs that the
    device does not record are not timed: that would compare launches with launches.
    """
    problem, devices = noise(side), dict[str, Any]()

    def batch(value: Any) -> Callable[[], object]:
        made = backend(problem.betas, **{argument: value})
        devices[str(value)] = getattr(made, "_device", None)
        return partial(our_workspace(problem, made).advance, [RATE] * BATCH)

    found = _timed({str(value): partial(batch, value) for value in values})
    if argument == "graphs" and gpu_sections.replays_graphs(devices.get(str(True))) is False:
        found[str(True)] = NOT_RECORDED
    return found


def _timed(makers: Mapping[str, Callable[[], Callable[[], object]]]) -> dict[str, float | str]:
    """Return the milliseconds of an iteration by value, or why it fails."""
    with suppress(Exception):  # which value fails is found below
        return _medians(gpu_sections.in_turns(makers, TURNS))
    found: dict[str, float | str] = {}
    for value, make in makers.items():
        gpu_sections.free_all()
        try:
            found |= _medians(gpu_sections.in_turns({value: make}, TURNS))
        except Exception as error:
            found[value] = gpu_sections.reason_of(error)
    return found


def _medians(seconds: Mapping[str, list[float]]) -> dict[str, float | str]:
    return {value: statistics.median(times) * 1e3 for value, times in seconds.items()}
