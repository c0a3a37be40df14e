"""Rounds over tiles: whatever the tiles, rounds, stores and processes, the bytes are those of the whole."""

import dataclasses
import json

import numpy as np
import pytest

import mlsolve
from mlsolve.pictures.colour import decode
from mlsolve.solving import levels
from mlsolve.solving.backends import CpuBackend
from mlsolve.solving.callbacks import Listener
from mlsolve.solving.executors.processes import Processes
from mlsolve.solving.executors.serial import Serial
from mlsolve.solving.level_pictures import as_codes, name_of
from mlsolve.solving.levels import Record, halve_pictures, solve_levels, to_full_size
from mlsolve.solving.plan import LevelPlan, Limits
from mlsolve.solving.spec import BETAS, Spec
from mlsolve.solving.store import DiskStore, MemoryStore
from mlsolve_kernels.region import Region

OPTIONS = mlsolve.Options(iterations=8, levels=2, exposure=0.1, seed=3)
SHAPES = ((151, 170), (301, 339))


class Heard(Listener):
    """Listens to nothing; stops when told to."""

    def __init__(self, stop=None):
        self.steps, self.rounds, self.tiles, self.stop = [], [], 0, stop

    def begin_round(self, plan, tiles):
        self.rounds.append((plan.level, plan.first, plan.iterations, tiles))

    def iteration(self, plan, tile, at):
        pass

    def tile(self, plan, tile):
        self.tiles += 1

    def step(self, step):
        self.steps.append(step)
        return self.stop is not None and self.stop(step)


def prepared(store, options=OPTIONS, layers=2, planes=3, grey=(), bits=None):
    """Put a problem and its pictures into `store`."""
    rng = np.random.default_rng(5)
    picture_planes = tuple(1 if k in grey else planes for k in range(layers + 1))
    spec = Spec(layers, planes, SHAPES, picture_planes, options, "cpu", bits=bits)
    spec.save(store)
    height, width = SHAPES[-1]
    for number, own in enumerate(picture_planes):
        blocks = rng.random((own, height // 16 + 1, width // 16 + 1)).repeat(16, 1).repeat(16, 2)
        codes = as_codes(0.8 * blocks[:, :height, :width] + 0.2 * rng.random((own, height, width)))
        array = store.create(name_of(2, number), (own, height, width), np.uint16, (1024, 1024))
        with array.tile((), Region(0, height, 0, width)) as tile:
            for plane in range(own):
                tile.put((plane,), codes[plane])
    return spec


def finish(store, executor, limits, listener=None):
    """Do what is left in `store`; return the layers (N, C, H, W) and the history."""
    spec = Spec.load(store)
    history, record = solve_levels(store, executor, limits, listener or Heard())
    state = store.open(to_full_size(store, executor, record))
    height, width = SHAPES[-1]
    layers = np.empty((spec.layers, spec.planes, height, width), dtype=state.dtype)
    for k, plane in np.ndindex(layers.shape[:2]):
        state.read((plane, 0, k), Region(0, height, 0, width), layers[k, plane])
    return layers, history, record.stop


def solved(store, limits=None, executor=None, listener=None, **changes):
    """Solve from the beginning."""
    executor = executor or Serial(CpuBackend(1, BETAS))
    try:
        prepared(store, **changes)
        halve_pictures(store, Spec.load(store), executor)
        return finish(store, executor, limits or Limits(), listener)
    finally:
        executor.close()


def forced(monkeypatch, sides, iterations, together=False):
    """Let every level be cut like this."""

    def plan(shape, *rest):
        return LevelPlan((min(sides, shape[0]), min(sides, shape[1])), (0, 0), iterations, together, 1.0)

    monkeypatch.setattr(levels, "plan_level", plan)


@pytest.fixture(scope="module")
def whole():
    return solved(MemoryStore())


@pytest.mark.parametrize(
    ("sides", "iterations", "together"),
    [(128, 3, False), (256, 8, False), (128, 1, True), (1024, 5, True), (1024, 8, False)],
)
def test_tiles_on_disk_are_the_whole_in_memory(whole, tmp_path, monkeypatch, sides, iterations, together):
    forced(monkeypatch, sides, iterations, together)
    listener = Heard()
    layers, history, stop = solved(DiskStore(tmp_path / "store"), listener=listener)
    assert layers.tobytes() == whole[0].tobytes()
    assert tuple(history) == tuple(whole[1])
    assert stop == "iterations"
    assert [first for level, first, _, _ in listener.rounds if level == 2] == list(range(0, 8, iterations))
    if sides == 128:
        assert listener.rounds[-1][3] == 9 * (1 if together else 3)


def test_tiles_of_adam_are_the_whole(tmp_path, monkeypatch):
    options = dataclasses.replace(OPTIONS, solver="adam")
    expected = solved(MemoryStore(), options=options)
    forced(monkeypatch, 128, 3)
    found = solved(DiskStore(tmp_path / "store"), options=options)
    assert found[0].tobytes() == expected[0].tobytes()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("sides", "iterations"), [(1024, 8), (128, 3)])
def test_the_last_round_leaves_codes_where_they_are_asked_for(
    whole, tmp_path, monkeypatch, bits, sides, iterations
):
    """Those of its layers; whole and in tiles, and only the last round, because others go on from what is left."""
    forced(monkeypatch, sides, iterations)
    codes, history, _ = solved(DiskStore(tmp_path / "store"), bits=bits)
    highest = np.float32(2**bits - 1)
    np.testing.assert_array_equal(codes, np.rint(decode(whole[0]) * highest))
    assert tuple(history) == tuple(whole[1])
    (state,) = tmp_path.glob("store/level-2/round-*/state/zarr.json")
    assert json.loads(state.read_text())["data_type"] == f"uint{bits}"


def test_several_processes_compute_the_same(whole, tmp_path, monkeypatch):
    forced(monkeypatch, 128, 4)
    layers, history, _ = solved(DiskStore(tmp_path / "store"), executor=Processes(2, 1))
    assert layers.tobytes() == whole[0].tobytes()
    assert tuple(history) == tuple(whole[1])


def test_a_budget_is_planned_for(whole, tmp_path):
    listener = Heard()
    layers, _, _ = solved(DiskStore(tmp_path / "store"), Limits(5 << 20), listener=listener)
    assert layers.tobytes() == whole[0].tobytes()
    assert max(tiles for _, _, _, tiles in listener.rounds) > 3


def test_grey_pictures_are_held_once(tmp_path, monkeypatch):
    expected = solved(MemoryStore(), grey=(1,))
    forced(monkeypatch, 256, 3)
    found = solved(DiskStore(tmp_path / "store"), grey=(1,))
    assert found[0].tobytes() == expected[0].tobytes()
    assert DiskStore(tmp_path / "store").open(name_of(1, 1)).shape == (1, *SHAPES[0])


@pytest.mark.parametrize("change", [{"target_ssim": 0.5}, {"patience": 1, "learning_rate": 0.9}])
def test_a_stop_in_the_middle_of_a_round_is_exact(tmp_path, monkeypatch, change):
    options = dataclasses.replace(OPTIONS, **change)
    expected = solved(MemoryStore(), options=options)
    assert expected[2] == next(iter(change))
    assert len(expected[1]) < 16
    forced(monkeypatch, 128, 8)
    found = solved(DiskStore(tmp_path / "store"), options=options)
    assert found[0].tobytes() == expected[0].tobytes()
    assert tuple(found[1]) == tuple(expected[1])
    assert found[2] == expected[2]


@pytest.mark.parametrize("after", [1, 23, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 5, 11, 17))])
def test_a_solve_goes_on_where_it_was_left(whole, tmp_path, monkeypatch, after):
    """An exception out of the blue after so many tiles; what was finished is not done again."""
    forced(monkeypatch, 128, 3)

    class Fails(Heard):
        def tile(self, plan, tile):
            super().tile(plan, tile)
            if self.tiles > after:
                raise RuntimeError("lightning")

    store = DiskStore(tmp_path / "store")
    with pytest.raises(RuntimeError, match="lightning"):
        solved(store, listener=Fails())
    done = Record.load(store)
    computed = []
    advance = levels.advance_tile
    monkeypatch.setattr(levels, "advance_tile", lambda *call: computed.append(call[2]) or advance(*call))
    executor = Serial(CpuBackend(2, BETAS))
    layers, history, _ = finish(DiskStore(tmp_path / "store"), executor, Limits())
    executor.close()
    assert layers.tobytes() == whole[0].tobytes()
    assert tuple(history) == tuple(whole[1])
    rounds_left = 3 * (3 - done.level) - done.number
    per_round = {1: 4 * 3, 2: 9 * 3}
    everything = sum(per_round[level] * 3 for level in range(done.level, 3)) - done.number * per_round[done.level]
    assert rounds_left > 0
    assert len(computed) < everything or after == 0


def test_a_stop_by_the_listener_in_a_round_of_tiles_leaves_what_can_be_resumed(whole, tmp_path, monkeypatch):
    """Asked for after the first of three iterations of a round: the round is kept, and others go on from it."""
    forced(monkeypatch, 128, 3)
    stopping = Heard(lambda step: (step.level, step.iteration) == (2, 4))
    layers, history, stop = solved(DiskStore(tmp_path / "store"), listener=stopping)
    assert stop == "callback"
    assert [(step.level, step.iteration) for step in history][-1] == (2, 6)
    assert layers.tobytes() != whole[0].tobytes()
    executor = Serial(CpuBackend(2, BETAS))
    layers, history, stop = finish(DiskStore(tmp_path / "store"), executor, Limits())
    executor.close()
    assert stop == "iterations"
    assert layers.tobytes() == whole[0].tobytes()
    assert tuple(history) == tuple(whole[1])


def test_a_stop_by_the_callback_at_a_coarse_level_is_brought_to_full_size():
    layers, history, stop = solved(MemoryStore(), listener=Heard(lambda step: step.iteration == 4))
    assert stop == "callback"
    assert len(history) == 4
    assert layers.shape[-2:] == SHAPES[-1]
