"""Late writers and readers: a process that was stopped between any two calls, and goes on when all has changed."""

import os
import pickle
import shutil

import numpy as np
import pytest

from conftest import tree
from mlsolve.errors import OutputError, StoreError
from mlsolve.solving.store import DiskStore, MemoryStore
from mlsolve_kernels.region import Region
from stores import everything, values

REGION, SHAPE = Region(0, 140, 0, 90), (2, 140, 90)
REFUSED = "was removed or replaced since its task was planned"
CALLS = [name for name in ("open", "mkdir", "replace", "fsync", "pread", "preadv") if hasattr(os, name)]

SYSTEMS = pytest.mark.parametrize("relative", [True, False], ids=["open folders", "paths"])


def as_on(monkeypatch, relative):
    """Use names relative to open folders, or paths, as a system must that knows nothing else."""
    if relative and os.name != "posix":
        pytest.skip("names relative to an open folder: run it on Linux or macOS")
    monkeypatch.setattr("mlsolve.solving.store.folder.RELATIVE", relative)


def stop_before(patch, number, happening):
    """Let something happen before call `number` of the file system; return a list that then holds its result."""
    calls, count, happened = {name: getattr(os, name) for name in CALLS}, [0], []

    def watched(call):
        def instead(*arguments, **names):
            count[0] += 1
            if count[0] == number:
                for name, right in calls.items():
                    patch.setattr(os, name, right)
                happened.append(happening())
            return call(*arguments, **names)

        return instead

    for name, call in calls.items():
        patch.setattr(os, name, watched(call))
    return happened


def at_every_moment(begin, happening, monkeypatch):
    """Do begin()() with `happening` before its first, second … call; yield (what happened, result or error)."""
    for number in range(1, 100):
        act = begin()
        with monkeypatch.context() as patch:
            happened = stop_before(patch, number, happening)
            try:
                found = act()
            except (StoreError, OutputError) as error:
                found = error
        if not happened:
            assert number > 3
            assert not isinstance(found, Exception)
            return
        yield happened[0], found
    raise AssertionError("it has no end")


def array_of(store, data, name="a"):
    """A new array; data: of its only tile, or None."""
    array = store.create(name, SHAPE, np.uint16, (256, 128))
    if data is not None:
        put(array, data)
    return array


def put(array, data):
    with array.tile((), REGION) as tile:
        for plane in (0, 1):
            tile.put((plane,), data[plane])


def files(folder):
    """What is in a folder, without the folders in it."""
    return {name: data for name, data in tree(folder).items() if data is not None}


@SYSTEMS
@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("has_tile", [False, True])
def test_a_late_writer_leaves_alone_what_has_replaced_its_array(
    tmp_path, rng, monkeypatch, relative, durable, has_tile
):
    """An array of the same name, shape and tiles, whether that tile is written or not."""
    as_on(monkeypatch, relative)
    theirs = values(rng, SHAPE, np.uint16)
    store, own = DiskStore(tmp_path / "s", durable), values(rng, SHAPE, np.uint16)

    def replace():
        array_of(DiskStore(tmp_path / "s"), theirs if has_tile else None)
        return tree(tmp_path)

    def begin():
        array = array_of(store, None)
        return lambda: put(array, own)

    refused = 0
    for then, error in at_every_moment(begin, replace, monkeypatch):
        if relative:
            assert tree(tmp_path) == then
        assert files(tmp_path) == {name: data for name, data in then.items() if data is not None}
        refused += isinstance(error, StoreError) and REFUSED in str(error) and "\n" not in str(error)
    assert refused > 4


@SYSTEMS
@pytest.mark.parametrize("what", ["a", "deep", None], ids=["array", "folder above it", "store"])
def test_a_late_writer_brings_nothing_back_to_life(tmp_path, rng, monkeypatch, relative, what):
    as_on(monkeypatch, relative)
    own, name = values(rng, SHAPE, np.uint16), "a" if what == "a" else "deep/a"

    def remove():
        if what is None:
            shutil.rmtree(tmp_path / "s")
        else:
            DiskStore(tmp_path / "s").remove(what)

    for durable in (False, True):
        store = DiskStore(tmp_path / "s", durable)

        def begin(store=store):
            (tmp_path / "s").mkdir(exist_ok=True)
            array = array_of(store, None, name)

            def act():
                put(array, own)
                array.save("d", {"much": 1})

            return act

        for _, error in at_every_moment(begin, remove, monkeypatch):
            assert isinstance(error, StoreError | None)
            assert files(tmp_path) == {}
            assert not (tmp_path / "s" / name).exists()
            assert not (tmp_path / "s").exists() or what is not None


@pytest.mark.skipif(os.name != "posix", reason="names relative to an open folder: run it on Linux or macOS")
def test_a_late_document_is_not_one_of_another_array(tmp_path, rng, monkeypatch):
    store = DiskStore(tmp_path)

    def replace():
        array_of(DiskStore(tmp_path), None).save("d", {"of": "the new one"})
        return tree(tmp_path)

    def begin():
        array = array_of(store, None)
        return lambda: array.save("d", {"of": "the old one"})

    refused = 0
    for then, error in at_every_moment(begin, replace, monkeypatch):
        assert tree(tmp_path) == then
        refused += REFUSED in str(error)
    assert refused > 1


@SYSTEMS
def test_a_late_reader_reads_its_own_array_or_nothing(tmp_path, rng, monkeypatch, relative):
    """Pictures are decoded one after the other into an array of one name: none may be taken for another."""
    as_on(monkeypatch, relative)
    store, (own, theirs) = DiskStore(tmp_path), values(rng, (2, *SHAPE), np.uint16)

    def begin():
        array = pickle.loads(pickle.dumps(array_of(store, own)))
        return lambda: everything(array).tobytes()

    def replace():
        array_of(store, theirs)

    refused = 0
    for _, found in at_every_moment(begin, replace, monkeypatch):
        assert isinstance(found, StoreError) or found == own.tobytes()
        refused += isinstance(found, StoreError)
    assert refused > 2
    array = array_of(store, own)
    replace()
    assert not array.has_tile((), REGION)
    with pytest.raises(StoreError, match=REFUSED):
        array.load("d")


def test_arrays_know_who_they_are(tmp_path, rng):
    for store in (DiskStore(tmp_path), MemoryStore()):
        array = array_of(store, None)
        assert store.open("a").identity == store.open("a", array.identity).identity == array.identity
        assert pickle.loads(pickle.dumps(array)).identity == array.identity
        array.save("d", {"one": 1})
        assert store.open("a").load("d") == {"one": 1}
        other = array_of(store, None)
        assert other.identity != array.identity
        with pytest.raises(StoreError, match="missing" if isinstance(store, DiskStore) else "no d"):
            other.load("d")
        for identity in (array.identity, "", "x"):
            with pytest.raises(StoreError, match=REFUSED if isinstance(store, DiskStore) else "there is no a"):
                store.open("a", identity)


def test_a_store_that_is_gone_is_not_made_again(tmp_path):
    """Neither by who made it nor by a copy in another process, which does not even make a new one."""
    store = DiskStore(tmp_path / "s")
    copies = [pickle.loads(pickle.dumps(store))]
    store.save("deep/d", {})
    copies += [store, pickle.loads(pickle.dumps(store))]
    shutil.rmtree(tmp_path / "s")
    for one in copies:
        for act in (lambda one=one: one.save("deep/d", {}), lambda one=one: array_of(one, None)):
            with pytest.raises(OutputError, match="cannot be written"):
                act()
    assert tree(tmp_path) == {}
