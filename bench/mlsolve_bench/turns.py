"""Opponents take turns, so that what else the machine is doing hits all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Final

REST: Final = 0.02
"""Seconds between turns: OpenMP's threads spin for a while after torch's last loop, on the next one's time."""

STRETCH: Final = 0.25
"""Seconds of a turn at the least: iterations follow each other, as in a solve. The first of them finds the caches
full of what the opponent left there, and threads that sleep; where there are several, it does not count."""


def take_turns(iterations: Mapping[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Let every one of `iterations` have its turn, in order; return the seconds of one call, by name and turn.

    turns: how many are measured, 1 or more. One call each goes before them and is thrown away: it compiles and
    allocates. A turn is a stretch of calls, STRETCH seconds long or one call if that takes longer; it counts as
    the median of its calls but the first, or as its only one.
    """
    if turns < 1:
        raise ValueError(f"turns is {turns}: measure at least one")
    for iterate in iterations.values():
        iterate()
    seconds: dict[str, list[float]] = {name: [] for name in iterations}
    for _ in range(turns):
        for name, iterate in iterations.items():
            time.sleep(REST)
            calls = _stretch(iterate)
            seconds[name].append(statistics.median(calls[1:] or calls))
    return seconds


def _stretch(iterate: Callable[[], object]) -> list[float]:
    """Return the seconds of each call of a stretch."""
    calls: list[float] = []
    while sum(calls) < STRETCH:
        began = time.perf_counter()
        iterate()
        calls.append(time.perf_counter() - began)
    return calls


def median_ratio(seconds: Mapping[str, list[float]], opponent: str, ours: str = "mlsolve") -> float:
    """Return how many times longer `opponent` takes than `ours`: the ratio of the medians."""
    return statistics.median(seconds[opponent]) / statistics.median(seconds[ours])
