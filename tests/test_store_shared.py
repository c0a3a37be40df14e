"""Stores that several processes and hosts use at once: twice the same tile, and removing what is in use."""

import errno
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from conftest import tree
from mlsolve.errors import OutputError, StoreError
from mlsolve.run.unfinished import check_free, clear, sweep
from mlsolve.solving.store import DiskStore
from mlsolve.system.files import PARTIAL, partial_beside
from mlsolve_kernels.region import Region
from stores import everything, small_store, values, words, write

REGION, SHAPE = Region(0, 140, 0, 90), (2, 140, 90)


@pytest.fixture
def small(tmp_path, rng):
    return small_store(tmp_path, rng)


def test_no_two_partial_names_are_the_same(monkeypatch):
    """Not even where the numbers of process and thread are."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(threading, "get_ident", lambda: 1)
    path = Path("folder") / ("ä" * 200)
    names = {partial_beside(path) for _ in range(100)}
    assert len(names) == 100
    assert all(name.parent == path.parent and name.match(PARTIAL) for name in names)
    assert max(len(os.fsencode(name.name)) for name in names) < 255


WRITER = """
import sys, pickle
import numpy as np
from mlsolve_kernels.region import Region
array, data = pickle.load(sys.stdin.buffer)
for _ in range(60):
    with array.tile((), Region(0, 140, 0, 90)) as tile:
        for plane in (0, 1):
            tile.put((plane,), data[plane])
"""


@pytest.mark.parametrize("durable", [False, True])
def test_processes_that_are_given_the_same_tile_do_no_harm(tmp_path, rng, durable):
    """Two write it again and again, others read it meanwhile: it is always there and always right."""
    store, data = DiskStore(tmp_path, durable), values(rng, SHAPE, np.uint16)
    array = store.create("a", SHAPE, np.uint16, (256, 128))
    write(array, data, (256, 128), 0)
    sent = pickle.dumps((array, data))
    command = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    try:
        for writer in writers:
            writer.stdin.write(sent)
            writer.stdin.close()
        reads, held = 0, store.open("a")
        while any(writer.poll() is None for writer in writers):
            for one in (held, store.open("a")):
                assert everything(one).tobytes() == data.tobytes()
            reads += 1
    finally:
        for writer in writers:
            assert writer.wait() == 0, writer.stderr.read()
            writer.stderr.close()
    assert reads > 5
    assert sorted(tree(tmp_path / "a/c/0/0")) == ["0"]


def test_a_new_array_may_be_made_while_others_write_the_old_one(tmp_path, rng):
    """Threads write without a pause; every new array of that name holds what was written to it and nothing else."""
    store, own = DiskStore(tmp_path), values(rng, SHAPE, np.uint16)
    ended, refusals, arrays = threading.Event(), [], [store.create("deep/a", SHAPE, np.uint16, (256, 128))]

    def late(number):
        other = values(np.random.default_rng(number), SHAPE, np.uint16)
        while not ended.is_set():
            array = arrays[-1]
            time.sleep(0)
            try:
                for _ in range(3):
                    write(array, other, (256, 128), 0)
                    array.save(f"late-{number}", {})
            except StoreError as error:
                refusals.append(str(error))

    with ThreadPoolExecutor(3) as pool:
        tasks = [pool.submit(late, number) for number in range(3)]
        try:
            for _ in range(60):
                arrays.append(store.create("deep/a", SHAPE, np.uint16, (256, 128)))
                time.sleep(0.002)
                store.remove("deep")
                mine = store.create("deep/a", SHAPE, np.uint16, (256, 128))
                write(mine, own, (256, 128), 0)
                time.sleep(0.001)
                assert everything(store.open("deep/a")).tobytes() == own.tobytes()
                assert sorted(tree(tmp_path / "deep/a")) == ["c", "c/0", "c/0/0", "c/0/0/0", "zarr.json"]
        finally:
            ended.set()
        for task in tasks:
            task.result()
    assert len(refusals) > 10
    assert all("removed or replaced" in one for one in refusals)
    store.remove("deep")
    assert tree(tmp_path) == {}


def refusing(monkeypatch, times, code=errno.ENOTEMPTY):
    """Let a folder refuse to be removed so many times: another process writes there, or a file is still in use."""
    right, left = os.rmdir, [times]

    def rmdir(path, *arguments, **names):
        if left[0] > 0:
            left[0] -= 1
            raise OSError(code, os.strerror(code))
        return right(path, *arguments, **names)

    monkeypatch.setattr(os, "rmdir", rmdir)
    monkeypatch.setattr("mlsolve.system.files._PAUSE", 0)


@pytest.mark.parametrize("code", [errno.ENOTEMPTY, errno.EBUSY])
def test_what_is_in_use_is_removed_when_it_can_be(small, monkeypatch, code):
    store, data = small
    with monkeypatch.context() as patch:
        refusing(patch, 3, code)
        store.remove("a")
        assert tree(store.path) == {}
    write(store.create("deep/a", SHAPE, np.uint16, (256, 128)), data, (256, 128), 0)
    with monkeypatch.context() as patch:
        refusing(patch, 1000, code)
        store.remove("deep/a")  # no error, and its name is free
        (left,) = (store.path / "deep").iterdir()
        assert left.match(PARTIAL)
        assert not any(path.is_file() for path in left.rglob("*"))
        with pytest.raises(StoreError, match="is missing"):
            store.open("deep/a")
        write(store.create("deep/a", SHAPE, np.uint16, (256, 128)), data, (256, 128), 0)
        assert left.exists()
    store.remove("something else")
    assert not left.exists()
    assert everything(store.open("deep/a")).tobytes() == data.tobytes()


def test_what_could_not_be_removed_is_cleared_and_swept(small, monkeypatch):
    store, _ = small
    store.create("pictures/b", SHAPE, np.uint16, (256, 128))
    for act in (clear, sweep):
        store.create("level-1/a", SHAPE, np.uint16, (256, 128))
        with monkeypatch.context() as patch:
            refusing(patch, 1000)
            store.remove("level-1/a")
            store.remove("level-1")
            clear(store.path)  # nor can this remove it yet
        assert any(path.match(PARTIAL) for path in store.path.iterdir())
        assert not (store.path / "pictures").exists()
        assert (store.path / "a").exists()
        shutil.rmtree(store.path / "a")
        check_free(store.path, False)  # another run may begin
        act(store.path)
        assert tree(store.path) == {}
        (store.path / "a").mkdir()


def test_a_full_disk_does_not_hinder_removing(small, monkeypatch):
    """There may be no room for another name in its folder."""
    store, _ = small

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "rename", full)
    store.remove("a")
    assert tree(store.path) == {}


def test_what_can_never_be_removed_is_an_error_in_one_line(small, monkeypatch):
    """Under its own name: a new array must not take over its tiles."""
    store, _ = small

    def refused(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "rename", refused)
    refusing(monkeypatch, 1000, errno.EACCES)
    for act in (lambda: store.remove("a"), lambda: store.create("a", SHAPE, np.uint16, (256, 128))):
        with pytest.raises(OutputError) as error:
            act()
        words(error, store.path, "cannot be written", "Permission denied")


def stale(times, right):
    left = [times]

    def call(*arguments, **names):
        if left[0] > 0:
            left[0] -= 1
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return right(*arguments, **names)

    return call


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="the call that reads chunks: run it on Linux")
def test_a_tile_that_another_host_has_written_again_is_opened_again(small, monkeypatch):
    """A network file system loses a file that is replaced while it is open; the new one has the same bytes."""
    store, data = small
    array, out = store.open("a"), np.empty((140, 90), np.uint16)
    array.read((0,), REGION, out)
    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", stale(1, os.preadv))
        assert everything(array).tobytes() == data.tobytes()
    for name in ("preadv", "pread", "open"):
        array = store.open("a")
        with monkeypatch.context() as patch:
            patch.setattr(os, name, stale(1000, getattr(os, name)))
            with pytest.raises(StoreError) as error:
                array.read((0,), REGION, out)
            message = words(error, store.path / "a", "run again")
            assert "Stale file handle" in message or "removed or replaced" in message


@pytest.mark.parametrize("code", [errno.ESTALE, errno.ENOENT, errno.ENOTDIR])
@pytest.mark.parametrize("name", ["open", "mkdir", "replace"])
def test_an_array_that_another_host_has_removed_is_not_called_unwritable(small, monkeypatch, code, name):
    store, data = small
    array = store.open("a")

    def gone(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, name, gone)
    with pytest.raises(StoreError, match="was removed or replaced"):
        write(array, data, (256, 128), 0)


def test_a_document_that_another_host_has_replaced_is_read_again(tmp_path, monkeypatch):
    from mlsolve.solving.store import folder

    class Stale(folder.FileIO):
        def readall(self):
            return then(super().readall)

    store, then = DiskStore(tmp_path), stale(1, lambda read: read())
    store.save("d", {"one": 1})
    monkeypatch.setattr(folder, "FileIO", Stale)
    assert store.load("d") == {"one": 1}
    then = stale(2, lambda read: read())
    with pytest.raises(StoreError, match="Stale file handle"):
        store.load("d")
