"""Rounds over tiles of arrangements: whatever the tiles, rounds and processes, the bytes are those of the whole."""

import tracemalloc

import numpy as np
import pytest

import mlsolve
from mlsolve.job.arrangements import Placement
from mlsolve.solving.backends import CpuBackend
from mlsolve.solving.callbacks import Callbacks
from mlsolve.solving.carriers import draw_carriers
from mlsolve.solving.executors.processes import Processes
from mlsolve.solving.executors.serial import Serial
from mlsolve.solving.level_pictures import as_codes, name_of
from mlsolve.solving.levels import halve_pictures, solve_levels, to_full_size
from mlsolve.solving.plan import LevelPlan, Limits, plan_level, window_sides
from mlsolve.solving.spec import BETAS, Spec, StackSpec
from mlsolve.solving.store import DiskStore, MemoryStore
from mlsolve.solving.tile_coupling import coupling_at
from mlsolve_kernels.region import Region

ALL = (Placement(1), Placement(2))
CASES = {
    "quarter turns": ((StackSpec(ALL), StackSpec((Placement(1), Placement(2, rotate=90)))), {}),
    "turned and flipped": ((StackSpec((Placement(1, flip="h"), Placement(2, rotate=270))), StackSpec(ALL)), {}),
    "shifted": ((StackSpec((Placement(1), Placement(2, shift=(5.0, -3.0)))),), {}),
    # Sheet by sheet this goes on in one direction, the farthest an iteration can look.
    "shifted both ways": (
        (
            StackSpec((Placement(1, shift=(16.0, 0.0)), Placement(2, shift=(-16.0, 0.0)))),
            StackSpec((Placement(1, shift=(-16.0, 0.0)), Placement(2, shift=(16.0, 0.0)))),
        ),
        {},
    ),
    "between pixels": ((StackSpec((Placement(1), Placement(2, rotate=180, shift=(2.5, 0.0)))),), {}),
    "loose": ((StackSpec(),), {"registration": 2.5}),
    "carried": ((StackSpec(carriers=7, carried=(0.4, 0.6)),), {"registration": 2.5, "hide_weight": 1.0}),
    "carried and turned": (
        (StackSpec(ALL, carriers=5, masked=True, share=0.5), StackSpec((Placement(1), Placement(2, rotate=90)))),
        {"registration": 1.0, "hide_weight": 0.5},
    ),
    "carried between pixels": ((StackSpec(carriers=4),), {"registration": 1.0, "registration_turn": 0.2}),
    "seen at an angle": (
        (StackSpec(), StackSpec((Placement(2), Placement(1, rotate=180)), carriers=5, carried=(0.5, 0.5))),
        {"gap": (60.0,), "view": 20.0, "registration": 1.0},
    ),
    "hidden": ((StackSpec(ALL), StackSpec((Placement(2, rotate=180),), 0.5)), {"hide_weight": 1.0}),
    "coloured": ((StackSpec(ALL), StackSpec((Placement(1, rotate=90), Placement(2)))), {"colour_weight": 2.0}),
    "coloured and still": ((StackSpec(),), {"colour_weight": 2.0}),
    "still": ((StackSpec(masked=True, share=0.5),), {}),
    "weighted": ((StackSpec(ALL, masked=True, share=0.5), StackSpec((Placement(1, flip="v"),), 0.7)), {}),
}


def prepared(store, name, side=301, disc=False, levels=2, planes=1, inks=None):
    """Put a problem and its pictures into `store`."""
    stacks, options = CASES[name]
    masks = sum(stack.masked for stack in stacks)
    shapes = tuple((-(-side // 2**k),) * 2 for k in reversed(range(levels)))
    settings = mlsolve.Options(iterations=6, levels=levels, exposure=0.1, seed=3, **options)
    of_pictures = (planes,) * (len(stacks) + 2) + (1,) * masks
    spec = Spec(2, planes, shapes, of_pictures, settings, "cpu", stacks, disc, 0.785 if disc else 1.0, inks)
    spec.save(store)
    rng = np.random.default_rng(5)
    for number, own in enumerate(of_pictures):
        blocks = rng.random((own, side // 16 + 1, side // 16 + 1)).repeat(16, 1).repeat(16, 2)[:, :side, :side]
        codes = as_codes(0.8 * blocks + 0.2 * rng.random((own, side, side)))
        array = store.create(name_of(levels, number), (own, side, side), np.uint16, (1024, 1024))
        with array.tile((), Region(0, side, 0, side)) as tile:
            for plane in range(own):
                tile.put((plane,), codes[plane])
    return spec


def solved(store, name, executor=None, limits=None, **changes):
    """Solve a case; return the layers, as bytes, and the history."""
    spec = prepared(store, name, **changes)
    executor = executor or Serial(CpuBackend(1, BETAS))
    try:
        halve_pictures(store, spec, executor)
        draw_carriers(store, spec)
        history, record = solve_levels(store, executor, limits or Limits(), Callbacks())
        array = store.open(to_full_size(store, executor, record))
    finally:
        executor.close()
    side = spec.shapes[-1][0]
    layers = np.empty((2, spec.planes, side, side), dtype=np.float32)
    for k, plane in np.ndindex(layers.shape[:2]):
        array.read((plane, 0, k), Region(0, side, 0, side), layers[k, plane])
    return layers.tobytes(), tuple(history)


@pytest.fixture
def in_tiles(monkeypatch):
    """A function that has levels solved in tiles and rounds that nobody would choose."""
    seen = []

    def choose(sides, length):
        def plan(shape, stack, iterations, limits, lying):
            own = tuple(min(side, whole) for side, whole in zip(sides, shape, strict=True))
            seen.append((shape, own, lying.windows))
            return LevelPlan(own, window_sides(shape, own, length, lying), length, lying.together, 1.0)

        monkeypatch.setattr("mlsolve.solving.levels.plan_level", plan)
        return seen

    return choose


@pytest.mark.parametrize("name", CASES)
def test_tiles_are_the_whole(name, in_tiles):
    whole = solved(MemoryStore(), name)
    seen = in_tiles((128, 128), 4)
    assert solved(MemoryStore(), name) == whole
    assert any(own != shape for shape, own, _ in seen)
    assert {windows for *_, windows in seen} == {len(coupling_at(prepared(MemoryStore(), name), 2).facings)}


@pytest.mark.parametrize("name", ["quarter turns", "carried and turned", "coloured and still"])
def test_device_codes_in_tiles_are_the_whole(name, in_tiles):
    """A tile holds all planes, because inks couple them."""
    inks = mlsolve.load_media("inkjet-film").inks._replace(room=0.02)
    whole = solved(MemoryStore(), name, planes=3, inks=inks)
    assert whole != solved(MemoryStore(), name, planes=3)
    seen = in_tiles((128, 128), 4)
    assert solved(MemoryStore(), name, planes=3, inks=inks) == whole
    assert any(own != shape for shape, own, _ in seen)


@pytest.mark.parametrize("name", ["quarter turns", "still"])
def test_round_sheets_in_tiles_are_the_whole(name, in_tiles):
    """What is outside the circle is clear in every tile, by Adam and by Newton."""
    whole = solved(MemoryStore(), name, disc=True)
    in_tiles((128, 128), 2)
    assert solved(MemoryStore(), name, disc=True) == whole
    layers = np.frombuffer(whole[0], dtype=np.float32).reshape(2, 301, 301)
    y, x = np.mgrid[:301, :301] - 150
    outside = y * y + x * x > 150.5**2
    assert (layers[:, outside] == 1).all()
    assert (layers[:, ~outside] < 1).mean() > 0.9


@pytest.mark.parametrize("name", ["turned and flipped", "carried and turned"])
def test_processes_and_a_store_on_disk_leave_no_trace(name, in_tiles, tmp_path):
    whole = solved(MemoryStore(), name)
    in_tiles((128, 128), 3)
    assert solved(DiskStore(tmp_path), name, Processes(2, 1)) == whole


@pytest.mark.parametrize(
    "name",
    ["quarter turns", *(pytest.param(name, marks=pytest.mark.slow) for name in ("weighted", "hidden", "carried"))],
)
def test_a_tile_keeps_within_what_is_told(name):
    """Of memory that NumPy takes, the most at a time; told and taken are within a quarter of each other."""
    spec = prepared(MemoryStore(), name, side=701, levels=1)
    lying, shape = coupling_at(spec, 1), spec.shapes[-1]
    enough = Limits().tile_bytes(2, 1, shape, lying.whole) // 2
    plan = plan_level(shape, (2, 1), 6, Limits(enough), lying)
    told = Limits().tile_bytes(2, 1, plan.window, lying)
    assert plan.sides != shape
    assert told <= enough
    assert plan.sides[0] == plan.sides[1] or not lying.square
    solved(MemoryStore(), name, side=101, levels=1)  # compiles
    store, executor = MemoryStore(), Serial(CpuBackend(1, BETAS))
    draw_carriers(store, prepared(store, name, side=701, levels=1))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        solve_levels(store, executor, Limits(enough), Callbacks())
        taken = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
        executor.close()
    # The states, which lie in memory here and elsewhere on disk.
    states = 4 * 2 * 701 * 701 * (6 if plan.iterations < 6 else 1)
    assert 0.6 * told < taken - states < told * 1.02


@pytest.mark.parametrize("name", ["coloured", "coloured and still"])
def test_tiles_hold_all_planes_where_a_term_couples_them(name, in_tiles):
    whole = solved(MemoryStore(), name, planes=3, levels=1)
    in_tiles((128, 128), 4)
    tiled = solved(MemoryStore(), name, planes=3, levels=1)
    assert tiled == whole
    assert all(step.terms["colour"][0] > 0 for step in tiled[1])
