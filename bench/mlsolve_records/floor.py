"""The limits of this machine, and the share of them that an iteration reaches.

An iteration cannot be faster than its memory traffic, nor than its arithmetic. The floor is the larger of the two
times, because memory traffic and arithmetic may overlap.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.compiled import kernel
from mlsolve_kernels.lanes import LANES, fma, load, row, store
from mlsolve_kernels.threads import Team, share_of
from mlsolve_kernels.window import RADIUS

FloatArray = npt.NDArray[np.float32]

LAYER_FLOATS: Final = 9
"""Floats that cross the memory bus for each pixel, plane and layer: layer, two moments, guide and its two
statistics are read, layer and moments written."""

TARGET_FLOATS: Final = 3
"""The same for each pixel and plane: the target and its two statistics are read."""

BLURS: Final = 6
"""Blurs of an SSIM and its gradient: B[x], B[x²], B[xy] forward, three maps backward; each along and down."""

CHAINS: Final = 256
"""Independent chains of multiply-adds: many vectors, more than the latency of the units requires."""

LINKS: Final = 16
"""Multiply-adds of a chain between a load and a store: enough to hide these, but few enough that an out-of-order
CPU has several vectors in flight (on a Zen 4, 64 in a row reach 60 % of the rate of 8 to 24)."""


@dataclass(frozen=True)
class Rates:
    """What was measured with a number of threads."""

    threads: int
    copy: float
    """Bytes a second, b = a, a read and b written counted."""
    update: float
    """Bytes a second, b = a + b, two reads and one write counted: the way an iteration uses memory."""
    fma: float
    """Fused multiply-adds a second, float32."""


def iteration_bytes(side: int, layers: int = 3, planes: int = 3) -> int:
    """Return the bytes that an iteration moves at `side`×`side` pixels if everything is read and written once."""
    return 4 * side**2 * planes * (LAYER_FLOATS * layers + TARGET_FLOATS)


def iteration_operations(side: int, layers: int = 3, planes: int = 3) -> int:
    """Return the vector operations of the blurs of one iteration, a multiply-add counted as one.

    An SSIM for each layer and one for the stack; each has BLURS, along and down, folded by the window's symmetry:
    RADIUS adds and RADIUS + 1 multiply-adds. The rest, some 60 operations an SSIM, is not counted.
    """
    each = BLURS * 2 * ((RADIUS + 1) + RADIUS)
    return side**2 * planes * (layers + 1) * each


def floor_seconds(side: int, rates: Rates, layers: int = 3, planes: int = 3) -> dict[str, float]:
    """Return the minimum seconds of an iteration: by memory, by arithmetic, and the larger of the two.

    Adds are counted as multiply-adds; a CPU with separate units for adds can be slightly faster than this floor by
    arithmetic.
    """
    memory = iteration_bytes(side, layers, planes) / rates.update
    arithmetic = iteration_operations(side, layers, planes) / rates.fma
    return {"memory": memory, "arithmetic": arithmetic, "floor": max(memory, arithmetic)}


@kernel
def copy_array(a: FloatArray, b: FloatArray, worker: int, workers: int) -> None:
    """Copy one worker's share of `a` to `b`."""
    start, stop = share_of(a.size // LANES, worker, workers)
    source, target = row(a, (0,)), row(b, (0,))
    for at in range(start * LANES, stop * LANES, LANES):
        store(target, at, load(source, at))


@kernel
def update_array(a: FloatArray, b: FloatArray, worker: int, workers: int) -> None:
    """Add one worker's share of `a` to `b`."""
    start, stop = share_of(a.size // LANES, worker, workers)
    source, target = row(a, (0,)), row(b, (0,))
    for at in range(start * LANES, stop * LANES, LANES):
        store(target, at, load(source, at) + load(target, at))


@kernel
def multiply_add_chains(values: FloatArray, rounds: int, worker: int, workers: int) -> None:
    """Run `rounds` × LINKS multiply-adds in each of the chains of `values` (workers, CHAINS)."""
    chains = row(values, (worker,))
    factor, offset = np.float32(0.99), np.float32(0.01)
    for _ in range(rounds):
        for at in range(0, CHAINS, LANES):
            value = load(chains, at)
            for _ in range(LINKS):
                value = fma(value, factor, offset)
            store(chains, at, value)


def measure(threads: int, megabytes: int = 256, rounds: int = 100_000) -> Rates:
    """Return the rates that `threads` threads reach, each the best of fifteen runs.

    megabytes: the size of each of the two arrays that are moved, several times the last-level cache. rounds: of
    LINKS multiply-adds a chain.
    """
    team = Team(threads)
    try:
        a, b = (np.ones(megabytes * 2**20 // 4, dtype=np.float32) for _ in range(2))
        chains = np.ones((threads, CHAINS), dtype=np.float32)
        return Rates(
            threads,
            copy=2 * a.nbytes / _seconds(lambda: team.run(copy_array, a, b)),
            update=3 * a.nbytes / _seconds(lambda: team.run(update_array, a, b)),
            fma=threads * CHAINS * LINKS * rounds / _seconds(lambda: team.run(multiply_add_chains, chains, rounds)),
        )
    finally:
        team.close()


def _seconds(run: Callable[[], object]) -> float:
    """Return the seconds of the fastest of fifteen calls, after one that is not timed."""
    times = []
    for _ in range(16):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times[1:])


def shares(rates: Rates, milliseconds: dict[int, float]) -> dict[str, Any]:
    """Return `rates`, and for every side the bytes, operations and floor of an iteration, and the share reached.

    milliseconds: the time of an iteration, by side.
    """
    sizes = {}
    for side, taken in milliseconds.items():
        floor = floor_seconds(side, rates)
        sizes[str(side)] = {
            "bytes": iteration_bytes(side),
            "operations": iteration_operations(side),
            **{f"{name} ms": seconds * 1e3 for name, seconds in floor.items()},
            "taken ms": taken,
            "share of the floor": floor["floor"] * 1e3 / taken,
        }
    return {"rates": asdict(rates), "sizes": sizes}
