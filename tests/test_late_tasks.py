"""Tasks that come late: given up, stopped for minutes, and going on when their round is not what it was."""

import dataclasses
import shutil

import numpy as np
import pytest

from conftest import tree
from mlsolve.errors import MlsolveError, StoreError
from mlsolve.solving import levels, rounds
from mlsolve.solving.backends import CpuBackend
from mlsolve.solving.executors.resources import provided
from mlsolve.solving.level_pictures import halve_tile
from mlsolve.solving.levels import Record, upsample_tile
from mlsolve.solving.plan import LevelPlan, Limits
from mlsolve.solving.rounds import Round, advance_tile, solve_tile, tiles_of_round
from mlsolve.solving.spec import BETAS
from mlsolve.solving.store import DiskStore, MemoryStore
from mlsolve_kernels.region import Region
from test_rounds import OPTIONS, SHAPES, prepared

REFUSED = "was removed or replaced since its task was planned"


def begun(store, spec, sides=256, iterations=3):
    """Begin the first round of the finest level, from the guides, as a run of one level would."""
    record = Record(level=2)
    chosen = LevelPlan((sides, sides), (0, 0), iterations, False, 1.0)
    plan = dataclasses.replace(levels._begin_round(store, spec, record, chosen), source="guides")
    plan.save(store)
    return plan


@pytest.fixture
def backend():
    with provided(CpuBackend(1, BETAS)) as resources:
        yield resources


@pytest.fixture
def store(tmp_path):
    return DiskStore(tmp_path / "s")


@pytest.fixture
def spec(store):
    return prepared(store)


def another_run(store, spec):
    """The folder is cleared; another problem of the same size is solved there, whose round has tiles already."""
    for name in ("pictures", "level-2", "progress"):
        store.remove(name)
    own = prepared(store, dataclasses.replace(OPTIONS, seed=9))
    plan = begun(store, own)
    with provided(CpuBackend(1, BETAS)):
        for tile in tiles_of_round(own, plan)[:2]:
            solve_tile(store, plan, tile)


CHANGES = {
    "fewer iterations": lambda store, spec: begun(store, spec, iterations=2),
    "other sides": lambda store, spec: begun(store, spec, sides=128),
    "the same again": lambda store, spec: begun(store, spec),
    "removed": lambda store, spec: store.remove("level-2"),
    "another run": another_run,
    "gone": lambda store, spec: shutil.rmtree(store.path),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("moment", ["before", "amid", "before its sums"])
def test_a_late_tile_does_no_harm(store, spec, backend, monkeypatch, change, moment):
    """It is refused in one line, and everything in the store is as it was."""
    plan = begun(store, spec)
    tile, then = tiles_of_round(spec, plan)[0], {}

    def happen():
        if not then:
            then["happened"] = True
            CHANGES[change](store, spec)
            then["tree"] = tree(store.path)

    def watch(at, sums):
        if moment == "amid":
            happen()

    def advance(*arguments):
        sums = advance_tile(*arguments)
        if moment == "before its sums":
            happen()
        return sums

    monkeypatch.setattr(rounds, "advance_tile", advance)
    if moment == "before":
        happen()
    with pytest.raises(StoreError) as error:
        solve_tile(store, plan, tile, watch)
    assert "\n" not in str(error.value)
    assert REFUSED in str(error.value) or "is missing" in str(error.value)
    assert tree(store.path) == then["tree"]
    assert store.path.exists() == (change != "gone")


def test_a_task_never_reads_the_plan_again(store, spec, backend):
    """It has what the caller had; the document is for whoever resumes the run."""
    plan = begun(store, spec)
    tile = tiles_of_round(spec, plan)[0]
    first = solve_tile(store, plan, tile)
    (store.path / f"{plan.name}/plan.json").write_text("not a plan")
    assert solve_tile(store, plan, tile) == first
    assert len(advance_tile(store, plan, tile)) == plan.iterations


@pytest.mark.parametrize("make", [DiskStore, lambda _: MemoryStore()], ids=["disk", "memory"])
def test_a_plan_of_another_array_is_refused(tmp_path, backend, make):
    store = make(tmp_path)
    spec = prepared(store)
    plan = begun(store, spec)
    for other in (dataclasses.replace(plan, identity="0" * 24), dataclasses.replace(plan, identity="")):
        for task in (solve_tile, advance_tile):
            with pytest.raises(MlsolveError, match=r"was removed or replaced|there is no level-2/round-1/state"):
                task(store, other, tiles_of_round(spec, plan)[0])


def test_a_round_whose_array_is_another_is_begun_anew(store, spec):
    plan, record = begun(store, spec), Record(level=2)
    assert levels._unfinished_round(store, spec, record, Limits()) == plan
    assert Round.load(store, 2, 1) == plan
    array = store.open(plan.state)
    store.create(plan.state, array.shape, array.dtype, plan.sides, 1)
    assert levels._unfinished_round(store, spec, record, Limits()) is None


@pytest.mark.parametrize("wrong", ["identity", "sums", "nothing"])
def test_sums_of_another_array_are_not_believed(store, spec, backend, monkeypatch, wrong):
    """Nor fewer than the round has iterations: the tile is computed again."""
    plan = begun(store, spec)
    tile, computed = tiles_of_round(spec, plan)[0], []
    first = solve_tile(store, plan, tile)
    state, name = store.open(plan.state), f"tile-{tile.first}-{tile.region.top}-{tile.region.left}"
    document = state.load(name)
    document["sums"] = document["sums"][: len(document["sums"]) - (wrong == "sums")]
    state.save(name, {**document, "identity": "other"} if wrong == "identity" else document)
    advance = rounds.advance_tile
    monkeypatch.setattr(rounds, "advance_tile", lambda *call: computed.append(call[2]) or advance(*call))
    assert solve_tile(store, plan, tile) == first
    assert computed == ([] if wrong == "nothing" else [tile])


def test_late_pictures_and_larger_layers_do_no_harm(store, spec):
    """Their tasks are given the array that they write, not its name."""
    regions = Region(0, SHAPES[0][0], 0, SHAPES[0][1]), Region(0, SHAPES[1][0], 0, SHAPES[1][1])
    below = store.create("below", (3, 1, 2, *SHAPES[0]), np.float32, SHAPES[0])
    with below.tile((), regions[0]) as tile:
        for plane, layer in np.ndindex(3, 2):
            tile.put((plane, 0, layer), np.full(SHAPES[0], 0.5, np.float32))

    def made():
        half = store.create("half", (3, *SHAPES[0]), np.uint16, SHAPES[0])
        return half, store.create("enlarged", (3, 1, 2, *SHAPES[1]), np.float32, SHAPES[1])

    picture = store.open("pictures/level-2/picture-0")
    half, enlarged = made()
    made()
    before = tree(store.path)
    for call in (
        lambda: halve_tile(spec, 0, 1, [half, picture], regions[0]),
        lambda: upsample_tile(store, 2, "below", enlarged, regions[1]),
    ):
        with pytest.raises(StoreError, match=REFUSED):
            call()
    assert tree(store.path) == before
    half, enlarged = made()
    halve_tile(spec, 0, 1, [half, picture], regions[0])
    upsample_tile(store, 2, "below", enlarged, regions[1])
    assert half.has_tile((), regions[0])
    assert enlarged.has_tile((), regions[1])
