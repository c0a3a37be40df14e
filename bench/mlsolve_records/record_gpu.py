"""Runs the benches on an NVIDIA GPU and records the figures: python -m mlsolve_records.record_gpu.

    --quick          small sizes and few turns, to test that everything works
    --only SECTION   measure one section again and keep the rest of the file
    --sides N,N      sides of the pictures in pixels, by default 600,2048,7087
    --results FOLDER folder of the file; by default bench/results of the clone

Writes <device>.json. mlsolve takes turns with one opponent at a time, because at the largest size two opponents in
PyTorch would not fit into memory together. Times are wall-clock, from the launch of a batch of iterations to the
arrival of its terms, divided by the iterations of the batch, for torch as for mlsolve.
"""

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from mlsolve.errors import DeviceMemoryError, MlsolveError
from mlsolve.solving.backends import open_device
from mlsolve_bench.problem import LAYERS, PLANES, RATE, noise
from mlsolve_bench.turns import median_ratio, take_turns
from mlsolve_kernels.cuda.geometry import THREADS, grid_for, pitch_of
from mlsolve_kernels.iteration.cuda import BATCH, device_bytes

from . import machine, opponents, quality
from .arrangements import arrangements
from .arrangements import workspace as arranged_workspace
from .opponents import DESCRIBED, GRAPH, OURS, STRONGEST
from .record import RESULTS, write

SIDES: Final = (600, 2048, 7087)
TURNS: Final = 5
QUALITY_SIDE: Final = 600

COPIED_BYTES: Final = 152
"""Minimum bytes per pixel and plane that an iteration of three layers moves, with a separate Adam. The target time
is measured in copies of this size (docs/gpu.md)."""

THREADS_OF_TORCH: Final = 1
"""Torch's CPU threads; its GPU work does not depend on them."""


def iterations_section(device: Any, sides: tuple[int, ...], quick: bool) -> dict[str, Any]:
    """Milliseconds of an iteration of mlsolve and of every available opponent, and ratios of the medians."""
    turns = 2 if quick else TURNS
    found: dict[str, Any] = {}
    for side in sides:
        entry: dict[str, Any] = {"milliseconds": {}, "ours in the same turns": {}, "times ours": {}}
        for name in opponents.available("cuda"):
            free_all()
            try:
                opponents.check(device="cuda", names=dict.fromkeys((OURS, name)))
                seconds = _in_turns(tuple(dict.fromkeys((OURS, name))), side, turns)
            except Exception as error:
                entry.setdefault("failed", {})[name] = reason_of(error)
                _say(f"{side}×{side}: {name}: {reason_of(error)}")
                continue
            taken, ratio = statistics.median(seconds[name]) * 1e3, median_ratio(seconds, name)
            entry["milliseconds"][name] = taken
            if name == OURS:
                _say(f"{side}×{side}: {name} {taken:.3f} ms")
                continue
            entry["ours in the same turns"][name] = statistics.median(seconds[OURS]) * 1e3
            entry["times ours"][name] = ratio
            _say(f"{side}×{side}: {name} {taken:.3f} ms, {ratio:.2f} times ours")
        found[str(side)] = entry
        free_all()
    return {"batch": BATCH, "missing": opponents.missing("cuda"), "sizes": found}


def floor_section(device: Any, sides: tuple[int, ...], quick: bool) -> dict[str, Any]:
    """Bytes per second of a copy on the device; mlsolve's time in copies of COPIED_BYTES per pixel and plane."""
    rate = copy_rate(1 << 26 if quick else 1 << 30)
    found: dict[str, Any] = {}
    for side in sides:
        milliseconds = statistics.median(take_turns({OURS: batch_of(OURS, side)}, 3)[OURS]) / BATCH * 1e3
        free_all()
        copied = COPIED_BYTES * side**2 * PLANES / rate * 1e3
        kernels = kernel_times(side)
        found[str(side)] = {
            "milliseconds": milliseconds,
            "copying its bytes": copied,
            "times the copy": milliseconds / copied,
            "bytes a second": COPIED_BYTES * side**2 * PLANES / milliseconds * 1e3,
            "kernels": kernels,
        }
        _say(f"{side}×{side}: {milliseconds:.3f} ms, {milliseconds / copied:.2f} times the copy; {kernels}")
        free_all()
    return {"copy": rate, "sizes": found}


def arrangements_section(device: Any, sides: tuple[int, ...], quick: bool) -> dict[str, Any]:
    """Milliseconds of mlsolve's iteration, for a plain stack and for several arrangements."""
    turns = 2 if quick else TURNS
    found: dict[str, Any] = {}
    for side in sides:
        plain = statistics.median(take_turns({OURS: batch_of(OURS, side)}, turns)[OURS]) / BATCH * 1e3
        entry = found[str(side)] = {"plain": plain}
        for name, (objective, moves) in arrangements(side).items():
            free_all()
            work = arranged_workspace(noise(side), objective, device)
            batch = partial(work.advance, [RATE] * BATCH, [moves] * BATCH)
            entry[name] = statistics.median(take_turns({name: batch}, turns)[name]) / BATCH * 1e3
            _say(f"{side}×{side}, {name}: {entry[name]:.3f} ms, {entry[name] / plain:.2f} times a plain one")
            del work, batch
        free_all()
    return {"milliseconds": found}


def memory_section(device: Any, sides: tuple[int, ...], quick: bool) -> dict[str, Any]:
    """Peak device memory in bytes: mlsolve's, computed and from CuPy's pool, and torch's from its allocator."""
    found: dict[str, Any] = {}
    for side in sides:
        entry = found[str(side)] = {"counted": device_bytes(LAYERS, PLANES, side, side)}
        for name in opponents.available("cuda"):
            if name == GRAPH:
                continue
            free_all()
            try:
                entry[name] = _peak_of(name, side)
            except Exception as error:
                entry[name] = None
                _say(f"{side}×{side}: {name}: {reason_of(error)}")
        _say(f"{side}×{side}: " + ", ".join(f"{n} {(b or 0) / 1e9:.3g} GB" for n, b in entry.items()))
    return {"bytes": found}


def quality_section(device: Any, sides: tuple[int, ...], quick: bool) -> dict[str, Any]:
    """Seconds to the required quality, at full size only and with the default levels."""
    side = 96 if quick else QUALITY_SIDE
    found: dict[str, Any] = {}
    names = [name for name in (OURS, STRONGEST, DESCRIBED) if name in opponents.available("cuda")]
    for name in names:
        for label, levels in (("default levels", None), ("full size only", 1)):
            reached = quality.time_to_quality(name, side, THREADS_OF_TORCH, levels, "cuda")
            found.setdefault(name, {})[label] = reached
            _say(f"quality, {name}, {label}: {reached['seconds']} s")
    return {
        "side": side,
        "asked": {"target SSIM": quality.TARGET_SSIM, "mean guide SSIM": quality.GUIDE_SSIM},
        "reached": found,
    }


def check_section(device: Any, sides: tuple[int, ...], quick: bool) -> dict[str, Any]:
    """Differences from the float64 reference; opponents that solve a different problem are not timed."""
    found: dict[str, Any] = {}
    for name in opponents.available("cuda"):
        try:
            found[name] = opponents.check(device="cuda", names=dict.fromkeys((OURS, name)))[name]._asdict()
        except Exception as error:
            found[name] = reason_of(error)
        _say(f"check, {name}: {found[name]}")
    return found


SECTIONS: Final[dict[str, Callable[[Any, tuple[int, ...], bool], dict[str, Any]]]] = {
    "check": check_section,
    "iterations": iterations_section,
    "floor": floor_section,
    "arrangements": arrangements_section,
    "memory": memory_section,
    "quality": quality_section,
}


def copy_rate(size: int) -> float:
    """Return the bytes per second, read and written, of a copy of `size` bytes within device memory."""
    import cupy

    source = cupy.ones(size // 4, dtype=cupy.float32)
    to = cupy.empty_like(source)
    times = [_device_seconds(lambda: cupy.copyto(to, source), cupy.cuda.Stream.null) for _ in range(12)]
    return float(2 * source.nbytes / statistics.median(times[2:]))


def kernel_times(side: int) -> dict[str, float]:
    """Return the milliseconds of each kernel of an iteration at `side`×`side` pixels, on the device's clock."""
    work = opponents.workspace(OURS, noise(side), THREADS_OF_TORCH, "cuda")
    work.iterate(RATE)
    parts = {
        "target pass": work._target_pass,
        "layer pass": work._layer_pass,
        "adam": work._update,
        "sums": work._sum_up,
        "all": work._iteration,
    }
    found = {}
    for name, run in parts.items():
        seconds = []
        for _ in range(7):
            work._device.clear(work._turn)
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


def _in_turns(names: tuple[str, ...], side: int, turns: int) -> dict[str, list[float]]:
    """Return the seconds of an iteration of `names`, in turns; one after the other if memory is too small."""
    seconds: dict[str, list[float]] = {}
    try:
        seconds = take_turns({name: batch_of(name, side) for name in names}, turns)
    except Exception as error:
        if len(names) == 1 or not _is_out_of_memory(error):
            raise
    if not seconds:  # not inside the except block, which keeps the arrays alive
        for name in reversed(names):
            free_all()
            seconds |= take_turns({name: batch_of(name, side)}, turns)
    return {name: [second / BATCH for second in times] for name, times in seconds.items()}


def batch_of(name: str, side: int) -> Callable[[], object]:
    """Return a function without arguments that runs a batch of iterations of `name`."""
    prepared = opponents.workspace(name, noise(side), THREADS_OF_TORCH, "cuda")
    rates = [RATE] * BATCH
    return lambda: prepared.advance(rates)


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
    for name, planes in (("target_pass", PLANES), ("layer_pass", PLANES * LAYERS)):
        resident = device.resident(name, LAYERS, THREADS)
        found[name] = {"resident": resident, "grid": list(grid_for(planes, side, side, resident))}
    return {"pitch": pitch_of(side), **found}


def record(folder: Path, names: list[str], sides: tuple[int, ...], quick: bool) -> Path:
    """Measure the sections `names`, merge them into this device's file in `folder`, and return the file.

    Each section records its date and commit. The file is written after each section.
    """
    device = open_device()
    here = {**machine.describe(), "device": device.name, **versions()}
    path = folder / f"{machine.words(device.name)}{'-quick' if quick else ''}.json"
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    results["machine"] = here
    results["launches"] = {str(side): launches(device, side) for side in sides}
    for name in names:
        began = time.perf_counter()
        _say(f"{name} …")
        measured = SECTIONS[name](device, sides, quick)
        seconds = round(time.perf_counter() - began, 1)
        results[name] = {"date": here["date"], "commit": here["commit"], "took": seconds, **measured}
        write(path, results)
    return path


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


def main(arguments: list[str]) -> None:
    """Read the command line and record."""
    parser = argparse.ArgumentParser("python -m mlsolve_records.record_gpu", description="Run the GPU benches.")
    parser.add_argument("--quick", action="store_true", help="small sizes and few turns")
    parser.add_argument("--only", choices=list(SECTIONS), help="measure one section anew")
    parser.add_argument("--sides", help="sides in pixels, as in 600,2048")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    chosen = parser.parse_args(arguments)
    names = list(SECTIONS) if chosen.only is None else [chosen.only]
    sides: tuple[int, ...] = (96, 200) if chosen.quick else SIDES
    if chosen.sides:
        sides = tuple(int(side) for side in chosen.sides.split(","))
    try:
        _say(f"written: {record(chosen.results, names, sides, chosen.quick)}")
    except MlsolveError as error:
        print(f"mlsolve_records: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
