"""Durable stores: what a task has written would survive a power cut before the task returns, in the right order."""

import errno
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from conftest import tree
from mlsolve.errors import OutputError
from mlsolve.solving.store import DiskStore
from mlsolve_kernels.region import Region
from stores import everything, values, words, write

SHAPE, TILE = (2, 300, 200), (128, 128)

linux = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="names open files by /proc: run it on Linux")


@pytest.fixture
def record(tmp_path, monkeypatch):
    """A list of what is made durable and what is renamed, in order, with partial names shortened."""
    seen, sync, replace = [], os.fsync, os.replace

    def name_of(descriptor):
        return str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path.resolve()))

    def short(name):
        return name[: name.index(".partial-") + 8] if ".partial-" in name else name

    def fsync(descriptor):
        seen.append(("durable", short(name_of(descriptor))))
        sync(descriptor)

    def renamed(source, target, *, src_dir_fd=None, dst_dir_fd=None):
        seen.append(("named", f"{name_of(dst_dir_fd)}/{target}"))
        replace(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", renamed)
    return seen


@linux
def test_a_tile_is_durable_before_its_name_and_its_name_before_the_task_returns(tmp_path, record, rng):
    """Folders on the way to it first, also those that another process has made and not made durable yet."""
    data, sent = values(rng, SHAPE, np.uint16), DiskStore(tmp_path / "s", durable=True)
    sent.create("r/a", SHAPE, np.uint16, TILE)
    made = [("durable", name) for name in ("s/r/a/zarr.json", "s/r", "s/r/a")]
    assert record[-3:] == made
    assert record.index(("durable", "s")) < record.index(made[0])
    store = pickle.loads(pickle.dumps(sent))
    tile = [
        *(("durable", f"s/r/a{name}") for name in ("", "/c", "/c/0")),
        ("durable", "s/r/a/c/0/0/.0.partial"),
        ("named", "s/r/a/c/0/0/0"),
        ("durable", "s/r/a/c/0/0"),
    ]
    for array in (store.open("r/a"), pickle.loads(pickle.dumps(store.open("r/a"))), store.open("r/a")):
        del record[:]
        write(array, data, TILE, 0, [Region(0, 128, 0, 128)])
        assert record == tile


@linux
def test_what_need_not_be_durable_costs_nothing(tmp_path, record, rng):
    store = DiskStore(tmp_path / "s")
    write(store.create("r/a", SHAPE, np.uint16, TILE), values(rng, SHAPE, np.uint16), TILE, 0)
    assert {what for what, _ in record} == {"named"}


@linux
@pytest.mark.parametrize("durable", [False, True])
def test_documents_are_durable_either_way(tmp_path, record, durable):
    store = DiskStore(tmp_path / "s", durable)
    array = store.create("a", SHAPE, np.uint16, TILE)
    for act, name in ((lambda: array.save("d", {}), "s/a"), (lambda: store.save("r/d", {}), "s/r")):
        del record[:]
        act()
        document = [("durable", f"{name}/.d.json.partial"), ("named", f"{name}/d.json"), ("durable", name)]
        found = [(what, where if what == "durable" else f"{name}/d.json") for what, where in record]
        assert found[-3:] == document
        assert found[:-3] == ([("durable", "s")] if durable and name == "s/r" else [])


def test_durable_or_not_the_bytes_are_the_same(tmp_path, rng):
    data = values(rng, SHAPE, np.uint16)
    for durable in (False, True):
        store = DiskStore(tmp_path / str(durable), durable)
        write(store.create("a", SHAPE, np.uint16, TILE), data, TILE, 0)
        assert everything(store.open("a")).tobytes() == data.tobytes()
    assert tree(tmp_path / "False/a/c") == tree(tmp_path / "True/a/c")
    assert len(tree(tmp_path / "False/a/c")) == 1 + 3 * 3


@pytest.mark.skipif(os.name != "posix", reason="Windows has no call that makes names durable: run it elsewhere")
def test_a_disk_that_cannot_is_refused_unless_it_never_could(tmp_path, rng, monkeypatch):
    """A tile that is not durable is not there. Some file systems have no call for the names in a folder."""
    data, store = values(rng, SHAPE, np.uint16), DiskStore(tmp_path, durable=True)
    array, right = store.create("a", SHAPE, np.uint16, TILE), os.fsync
    before = {name for name, data in tree(tmp_path).items() if data is not None}

    def fails(code, folders):
        def fsync(descriptor):
            if Path(f"/proc/self/fd/{descriptor}").is_dir() == folders:
                raise OSError(code, os.strerror(code))
            right(descriptor)

        return fsync

    if Path("/proc/self/fd").is_dir():
        for folders in (False, True):
            monkeypatch.setattr(os, "fsync", fails(errno.EIO, folders))
            with pytest.raises(OutputError) as error:
                write(array, data, TILE, 0)
            words(error, "Input/output error", tmp_path / "a/c/0/0/0")
            assert {name for name, data in tree(tmp_path).items() if data is not None} == before
        monkeypatch.setattr(os, "fsync", fails(errno.EINVAL, True))
        write(array, data, TILE, 0)
        assert everything(array).tobytes() == data.tobytes()
