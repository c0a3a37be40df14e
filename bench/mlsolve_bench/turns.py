"""Opponents take turns, so that what else the machine is doing hits all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Final

REST: Final = 0.02
"""Seconds between calls: OpenMP's threads spin for a while after torch's last loop, on the next one's time."""


def take_turns(iterations: Mapping[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Call every one of `iterations` once a turn, in their order; return the seconds of each call, by name.

    turns: how many are measured, 1 or more. One more goes before them and is thrown away: it compiles and
    allocates.
    """
    if turns < 1:
        raise ValueError(f"turns is {turns}: measure at least one")
    seconds: dict[str, list[float]] = {name: [] for name in iterations}
    for turn in range(turns + 1):
        for name, iterate in iterations.items():
            time.sleep(REST)
            began = time.perf_counter()
            iterate()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def median_ratio(seconds: Mapping[str, list[float]], opponent: str, ours: str = "mlsolve") -> float:
    """Return how many times longer `opponent` takes than `ours`: the ratio of the medians."""
    return statistics.median(seconds[opponent]) / statistics.median(seconds[ours])
