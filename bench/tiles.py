"""The cost of tiles: python bench/tiles.py [--memory 2GiB] [--side 7680x5120] [--iterations 60]

It times one round of a level that is solved in tiles from a store on disk, as in a run, against iterations in
memory at 2048×2048 with three colour layers, in turns. The cost is per value: a pixel of a plane of a layer. It
also reports how the time of a tile outside its iterations is spent, summed over threads.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from mlsolve import Options
from mlsolve.job.job import parse_size
from mlsolve.run.solver import Callbacks
from mlsolve.solving import rounds
from mlsolve.solving.backends import CpuBackend, fill
from mlsolve.solving.executors.serial import Serial
from mlsolve.solving.level_pictures import name_of
from mlsolve.solving.levels import PICTURE_SIDE, Record, solve_levels
from mlsolve.solving.plan import Limits, plan_level
from mlsolve.solving.spec import BETAS, Spec
from mlsolve.solving.store import DiskStore
from mlsolve.solving.tiles import tiles_of
from mlsolve.system.memory import parse_memory
from mlsolve_kernels.iteration.objective import Shape
from mlsolve_kernels.threads import available_cores

LAYERS = 3
MEMORY_SIDE = 2048


def prepare(store, size, options, coarse):
    """Put a target and guides of noise into `store`; coarse: also a coarser level that is already solved."""
    width, height = size
    shapes = ((-(-height // 2), -(-width // 2)), (height, width)) if coarse else ((height, width),)
    problem = Spec(LAYERS, 1, shapes, (1,) * (LAYERS + 1), options, "cpu")
    problem.save(store)
    rng = np.random.default_rng(0)
    level = problem.levels
    for number in range(LAYERS + 1):
        array = store.create(name_of(level, number), (1, height, width), np.uint16, (PICTURE_SIDE, PICTURE_SIDE))
        for region in tiles_of((height, width), (PICTURE_SIDE, PICTURE_SIDE)):
            with array.tile((), region) as tile:
                tile.put((0,), rng.integers(0, 65536, (region.height, region.width), dtype=np.uint16))
    if coarse:
        below = store.create("level-1/round-1/state", (1, 1, LAYERS, *shapes[0]), np.float32, (1024, 1024))
        for region in tiles_of(shapes[0], (1024, 1024)):
            with below.tile((), region) as tile:
                for layer in range(LAYERS):
                    tile.put((0, 0, layer), rng.uniform(0.1, 1, (region.height, region.width)).astype(np.float32))
        Record(2, 0, 0, "level-1/round-1", 1).save(store)
    return problem


def in_memory(threads, iterations, options):
    """Return the seconds of an iteration in memory, per value."""
    rng = np.random.default_rng(0)
    backend = CpuBackend(threads, BETAS)
    shape = Shape(LAYERS, 3, MEMORY_SIDE, MEMORY_SIDE)
    problem = Spec(LAYERS, 3, ((MEMORY_SIDE, MEMORY_SIDE),), (3,) * (LAYERS + 1), options, "cpu")
    work = backend.workspace(shape, problem.objective, problem.bounds)
    guides = rng.random((LAYERS, 3, MEMORY_SIDE, MEMORY_SIDE), dtype=np.float32)
    fill(work, guides[0], guides, guides)
    times = []
    for _ in range(iterations):
        began = time.perf_counter()
        work.advance([0.01])
        times.append(time.perf_counter() - began)
    backend.close()
    return statistics.median(times) / guides.size


class Clock:
    """Sums the time that is spent in some functions."""

    def __init__(self):
        self.spent = {}

    def watch(self, owner, name):
        call = getattr(owner, name)

        def timed(*arguments, **named):
            began = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - began

        setattr(owner, name, timed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", default="2GiB")
    parser.add_argument("--side", default="7680x5120", help="of the level")
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--coarse", action="store_true", help="start from a coarser level, as large prints do")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--folder", type=Path, help="on the disk to be used")
    given = parser.parse_args()
    options = Options(iterations=given.iterations, levels=2 if given.coarse else 1, exposure=0.2)
    size = parse_size(given.side)
    # As if the level were part of a print of any size: one round, whatever space the disk has.
    limits = Limits(parse_memory(given.memory), given.threads, 0)
    plan = plan_level((size[1], size[0]), (LAYERS, 1), given.iterations, limits)
    print(f"tiles of {plan.sides[1]}×{plan.sides[0]}, {plan.iterations} iterations, said to cost {plan.cost:.2f}")
    clock, ratios = Clock(), []
    from mlsolve_kernels.iteration.sweep import CpuWorkspace

    for name in ("put_target", "put_guide", "put_layer", "prepare", "measure", "take_layer"):
        clock.watch(CpuWorkspace, name)
    clock.watch(rounds.LevelPictures, "read")
    clock.watch(rounds.UpsampledLevel, "read_layer" if hasattr(rounds.UpsampledLevel, "read_layer") else "read")
    for _ in range(given.turns):
        memory = in_memory(given.threads, 12, options)
        with tempfile.TemporaryDirectory(dir=given.folder) as place:
            store = DiskStore(Path(place))
            problem = prepare(store, size, options, given.coarse)
            executor = Serial(CpuBackend(given.threads, BETAS))
            clock.spent.clear()
            began = time.perf_counter()
            solve_levels(store, executor, limits, Callbacks())
            seconds = time.perf_counter() - began
            executor.close()
        memory = (memory + in_memory(given.threads, 12, options)) / 2
        values = problem.layers * problem.pixels(problem.levels)
        tiled = seconds / values / given.iterations
        ratios.append(tiled / memory)
        parts = ", ".join(f"{name} {spent / seconds:.0%}" for name, spent in clock.spent.items())
        print(
            f"memory {memory * 1e9:.2f} ns, tiles {tiled * 1e9:.2f} ns: {ratios[-1]:.2f}; {seconds:.1f} s: {parts}"
        )
    print(f"median {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
