"""What is decided on a device by measurement: alternatives of the CUDA backend, in turns in one process."""

import inspect
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

from mlsolve.solving.backends import CudaBackend
from mlsolve_bench.pair import our_workspace
from mlsolve_bench.problem import RATE, noise
from mlsolve_kernels.iteration.cuda import BATCH

from . import gpu_sections

SIDES: Final = {"graphs": (600, 2048)}
"""The sides at which an argument of the backend is decided, where these are not USUAL_SIDES."""

USUAL_SIDES: Final = (600, 2048, 7087)

TURNS: Final = 5

NO_CHOICE: Final = ("self", "betas", "device", "return")


class Decision(NamedTuple):
    """An argument of the CUDA backend, the values that are compared, and the sides."""

    argument: str
    values: tuple[Any, ...]
    sides: tuple[int, ...]


def offered(backend: Callable[..., Any] = CudaBackend) -> list[Decision]:
    """Return what can be decided: every argument of `backend` that is a bool or one of several literals."""
    found = []
    made = backend.__init__ if inspect.isclass(backend) else backend
    for name, hint in get_type_hints(made).items():
        values = _values(hint)
        if name not in NO_CHOICE and len(values) > 1:
            found.append(Decision(name, values, SIDES.get(name, USUAL_SIDES)))
    return found


def _values(hint: Any) -> tuple[Any, ...]:
    """Return the values of a type that has few; of an optional one those that are not None."""
    if hint is bool:
        return True, False
    if get_origin(hint) is Literal:
        return get_args(hint)
    several = [_values(one) for one in get_args(hint) if one is not type(None)]
    return several[0] if len(several) == 1 else ()


def decide(
    argument: str, values: Sequence[Any], side: int, backend: Callable[..., Any] = CudaBackend
) -> dict[str, float | str]:
    """Return the milliseconds of an iteration at `side`×`side` pixels for each value of an argument of `backend`.

    In place of those of a value that fails, why. Then the others are timed one after the other.
    """

    def batch(value: Any) -> Callable[[], object]:
        problem = noise(side)
        work = our_workspace(problem, backend(problem.betas, **{argument: value}))
        return partial(work.advance, [RATE] * BATCH)

    makers = {str(value): partial(batch, value) for value in values}
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
