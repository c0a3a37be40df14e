"""What the GPU benches measure, part by part (gpu_parts.py); each runs in a process of its own.

Times are wall-clock, from the launch of a batch of iterations to the arrival of its terms, divided by the
iterations of the batch, for torch as for mlsolve. Those of single kernels are on the device's clock.
"""

import gc
import statistics
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from mlsolve.errors import DeviceMemoryError
from mlsolve.solving.backends import open_device
from mlsolve_bench.problem import LAYERS, PLANES, RATE, noise
from mlsolve_bench.turns import median_ratio, take_turns
from mlsolve_kernels.cuda.geometry import THREADS, grid_for, pitch_of
from mlsolve_kernels.iteration.cuda import BATCH, device_bytes

from . import machine, opponents, quality
from .arrangements import arrangements
from .arrangements import workspace as arranged_workspace
from .gpu_parts import Part
from .opponents import LAUNCHES, OURS, OWN

TURNS: Final = 5
QUALITY_SIDE: Final = 600

COPIED_BYTES: Final = 152
"""Minimum bytes per pixel and plane that an iteration of three layers moves, with a separate Adam. The target time
is measured in copies of this size (docs/gpu.md)."""

THREADS_OF_TORCH: Final = 1
"""Torch's CPU threads; its GPU work does not depend on them."""


def iterations(part: Part, quick: bool) -> dict[str, Any]:
    """Milliseconds of an iteration of mlsolve or of an opponent in turns with mlsolve, and the ratio of medians.

    With them, whether mlsolve replayed its batches as graphs.
    """
    side, name = _side(part), _name(part)
    opponents.check(device="cuda", names=dict.fromkeys((OURS, name)))
    free_all()
    names = tuple(dict.fromkeys((OURS, name)))
    opened: dict[str, Any] = {}
    seconds = in_turns({one: partial(batch_of, one, side, opened) for one in names}, 2 if quick else TURNS)
    entry: dict[str, Any] = {"milliseconds": {name: statistics.median(seconds[name]) * 1e3}}
    entry |= {"ours in the same turns": {}, "times ours": {}}
    entry["ours as graphs"] = {name: replays_graphs(opened.get(OURS))}
    if name != OURS:
        entry["ours in the same turns"][name] = statistics.median(seconds[OURS]) * 1e3
        entry["times ours"][name] = median_ratio(seconds, name)
    return {"batch": BATCH, "sizes": {str(side): entry}}


def floor(part: Part, quick: bool) -> dict[str, Any]:
    """Bytes per second of a copy on the device; mlsolve's time in copies of COPIED_BYTES per pixel and plane."""
    side, rate = _side(part), copy_rate(1 << 26 if quick else 1 << 30)
    free_all()
    opened: dict[str, Any] = {}
    milliseconds = statistics.median(take_turns({OURS: batch_of(OURS, side, opened)}, 3)[OURS]) / BATCH * 1e3
    free_all()
    copied = COPIED_BYTES * side**2 * PLANES / rate * 1e3
    entry = {
        "milliseconds": milliseconds,
        "copying its bytes": copied,
        "times the copy": milliseconds / copied,
        "bytes a second": COPIED_BYTES * side**2 * PLANES / milliseconds * 1e3,
        "ours as graphs": replays_graphs(opened.get(OURS)),
        "kernels": kernel_times(side),
    }
    return {"copy": rate, "sizes": {str(side): entry}}


def arranged(part: Part, quick: bool) -> dict[str, Any]:
    """Milliseconds of mlsolve's iteration, for a plain stack and for several arrangements."""
    side, turns, device = _side(part), 2 if quick else TURNS, open_device(True)
    opened: dict[str, Any] = {}
    plain = statistics.median(take_turns({OURS: batch_of(OURS, side, opened)}, turns)[OURS])
    entry = {"plain": plain / BATCH * 1e3}
    for name, (objective, moves) in arrangements(side).items():
        free_all()
        work = arranged_workspace(noise(side), objective, device)
        batch = partial(work.advance, [RATE] * BATCH, [moves] * BATCH)
        entry[name] = statistics.median(take_turns({name: batch}, turns)[name]) / BATCH * 1e3
        del work, batch
    graphs = {"plain": replays_graphs(opened.get(OURS)), "arranged": replays_graphs(device)}
    return {"ours as graphs": {str(side): graphs}, "milliseconds": {str(side): entry}}


def memory(part: Part, quick: bool) -> dict[str, Any]:
    """Peak device memory in bytes: mlsolve's, computed and from CuPy's pool, and torch's from its allocator."""
    side, name = _side(part), _name(part)
    counted = device_bytes(LAYERS, PLANES, side, side)
    return {"bytes": {str(side): {"counted": counted, name: _peak_of(name, side)}}}


def to_quality(part: Part, quick: bool) -> dict[str, Any]:
    """Seconds to the required quality, at full size only and with the default levels."""
    side, name = 96 if quick else QUALITY_SIDE, _name(part)
    reached = {
        label: quality.time_to_quality(name, side, THREADS_OF_TORCH, levels, "cuda")
        for label, levels in (("default levels", None), ("full size only", 1))
    }
    asked = {"target SSIM": quality.TARGET_SSIM, "mean guide SSIM": quality.GUIDE_SSIM}
    return {"side": side, "asked": asked, "reached": {name: reached}}


def check(part: Part, quick: bool) -> dict[str, Any]:
    """Differences from the float64 reference; an opponent that solves a different problem is not timed."""
    name = _name(part)
    return {name: opponents.check(device="cuda", names=dict.fromkeys((OURS, name)))[name]._asdict()}


MEASURE: Final[Mapping[str, Callable[[Part, bool], dict[str, Any]]]] = {
    "check": check,
    "floor": floor,
    "iterations": iterations,
    "arrangements": arranged,
    "memory": memory,
    "quality": to_quality,
}
"""What measures the parts of a section, and returns their fragment of its results."""


def describe(sides: tuple[int, ...], tries: bool = True) -> dict[str, Any]:
    """Return a description of this machine and its device, and how the passes are launched at `sides`.

    tries: see `opponents.missing`; False: torch is not imported.
    """
    device = open_device()
    return {
        "machine": {**machine.describe(), "device": device.name, **versions()},
        "launches": {str(side): launches(device, side) for side in sides},
        "missing": opponents.missing("cuda", tries),
    }


def _side(part: Part) -> int:
    assert part.side is not None, part
    return part.side


def _name(part: Part) -> str:
    assert part.name is not None, part
    return part.name


def copy_rate(size: int) -> float:
    """Return the bytes per second, read and written, of a copy of `size` bytes within device memory."""
    import cupy

    source = cupy.ones(size // 4, dtype=cupy.float32)
    to = cupy.empty_like(source)
    times = [_device_seconds(lambda: cupy.copyto(to, source), cupy.cuda.Stream.null) for _ in range(12)]
    return float(2 * source.nbytes / statistics.median(times[2:]))


def kernel_times(side: int) -> dict[str, float]:
    """Return the milliseconds of each launch of an iteration at `side`×`side` pixels, on the device's clock."""
    work = opponents.workspace(LAUNCHES, noise(side), THREADS_OF_TORCH, "cuda")
    work.iterate(RATE)
    found = {}
    for name, run in {**work.parts(), "all": work._iteration}.items():
        seconds = []
        for _ in range(7):
            work._device.clear(work._turns)
            seconds.append(_device_seconds(run, work._device.stream))
        found[name] = statistics.median(seconds[2:]) * 1e3
    return found


def _device_seconds(run: Callable[[], Any], stream: Any) -> float:
    """Return the seconds of device time that the work of `run` takes on `stream`."""
    import cupy

    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    begin.record(stream)
    run()
    end.record(stream)
    end.synchronize()
    return float(cupy.cuda.get_elapsed_time(begin, end)) / 1e3


def in_turns(makers: Mapping[str, Callable[[], Callable[[], object]]], turns: int) -> dict[str, list[float]]:
    """Return the seconds of an iteration by name and turn; one after the other if memory is too small for all.

    makers: what prepares each, and returns a function that runs a batch.
    """
    seconds: dict[str, list[float]] = {}
    try:
        seconds = take_turns({name: make() for name, make in makers.items()}, turns)
    except Exception as error:
        if len(makers) == 1 or not _is_out_of_memory(error):
            raise
    if not seconds:  # not inside the except block, which keeps the arrays alive
        for name in reversed(list(makers)):
            free_all()
            seconds |= take_turns({name: makers[name]()}, turns)
    return {name: [second / BATCH for second in times] for name, times in seconds.items()}


def batch_of(name: str, side: int, opened: dict[str, Any] | None = None) -> Callable[[], object]:
    """Return a function without arguments that runs a batch of iterations of `name`.

    opened: takes the device by name, where mlsolve opens one; a device holds no arrays.
    """
    prepared = opponents.workspace(name, noise(side), THREADS_OF_TORCH, "cuda")
    if opened is not None and name in OWN:
        opened[name] = prepared._device
    rates = [RATE] * BATCH
    return lambda: prepared.advance(rates)


def replays_graphs(device: Any) -> bool | None:
    """Return whether `device` replays batches as graphs, known once one has run; None if there is no device."""
    records = getattr(device, "records", None)
    return None if records is None else bool(records)


def _peak_of(name: str, side: int) -> int:
    """Return the peak device memory of a batch of `name`, in bytes."""
    import cupy

    if name != OURS:
        import torch

        torch.cuda.reset_peak_memory_stats()
        batch_of(name, side)()
        return int(torch.cuda.max_memory_allocated())
    iterate = batch_of(name, side)
    iterate()
    return int(cupy.get_default_memory_pool().total_bytes())


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, DeviceMemoryError) or "out of memory" in str(error).lower()


def reason_of(error: Exception) -> str:
    """Return why an opponent failed, in one line."""
    lines = str(error).strip().splitlines()
    return "out of device memory" if _is_out_of_memory(error) else (lines[0] if lines else type(error).__name__)


def free_all() -> None:
    """Free all device memory that is no longer used."""
    import cupy

    gc.collect()
    cupy.get_default_memory_pool().free_all_blocks()
    if "torch" in sys.modules:
        sys.modules["torch"].cuda.empty_cache()


def launches(device: Any, side: int) -> dict[str, Any]:
    """Return how the passes are launched at `side`×`side` pixels: blocks that run at once, and the grid."""
    found = {}
    for name, planes in (("stack_pass", PLANES), ("layer_step", PLANES * LAYERS)):
        resident = device.resident(name, LAYERS, THREADS)
        found[name] = {"resident": resident, "grid": list(grid_for(planes, side, side, resident))}
    return {"pitch": pitch_of(side), **found}


def versions() -> dict[str, Any]:
    """Return the versions of what the figures depend on."""
    import cupy

    runtime = cupy.cuda.runtime
    return {
        "cupy": cupy.__version__,
        "driver": runtime.driverGetVersion(),
        "cuda": runtime.runtimeGetVersion(),
        "fused_ssim": machine.version_of("fused-ssim"),
    }
