"""Opponents take turns, so that other load on the machine affects all of them equally."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Final

REST: Final = 0.02
"""Seconds between turns: after torch's last loop OpenMP's threads spin for a while, which slows the next turn."""

STRETCH: Final = 0.25
"""Minimum seconds of a turn, in which iterations follow each other as in a solve. The first one finds the caches
full of the opponent's data, and threads asleep; if there are several, it does not count."""


def take_turns(iterations: Mapping[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Time all `iterations` in turns, in order; return the seconds of one call, by name and turn.

    turns: the number of measured turns, at least 1. One call of each comes before them and is not timed: it
    compiles and allocates. A turn is a stretch of calls, STRETCH seconds long, or a single call if that takes
    longer. Its result is the median of its calls without the first, or its only call.
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
    """Return how many times as long as `ours` the `opponent` takes: the ratio of the medians."""
    return statistics.median(seconds[opponent]) / statistics.median(seconds[ours])
