"""Documents of the store, and the store itself: whole or not at all, and refused in one line where damaged."""

import os

import numpy as np
import pytest

from conftest import tree
from mlsolve.errors import OutputError, StoreError
from mlsolve.solving.store import DiskStore
from mlsolve_kernels.region import Region
from stores import STORES, everything, filling, flipped, or_refused, words, write

DOCUMENT = {
    "words": 'Größe\n\u2028 "x"',
    "numbers": [0, -1, 2**70, 0.1, 1e-300, -0.0, float("inf")],
    "rest": {"none": None, "truth": [True, False], "empty": [{}, [], ""]},
}


@pytest.mark.parametrize("make", STORES, ids=["disk", "memory"])
def test_documents_come_back_as_they_went(tmp_path, make):
    store = make(tmp_path)
    assert not store.has("deep/down/d")
    store.save("deep/down/d", {"old": 1})
    store.save("deep/down/d", DOCUMENT)
    assert store.has("deep/down/d")
    assert not store.has("deep/down")
    assert repr(store.load("deep/down/d")) == repr(DOCUMENT)
    store.flush()


def test_a_document_that_is_there_is_not_written_again(tmp_path):
    """What was synced once needs no second sync; a damaged one is written."""
    store, path = DiskStore(tmp_path), tmp_path / "d.json"
    store.save("d", DOCUMENT)
    before = path.stat()
    store.save("d", dict(DOCUMENT))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    path.write_bytes(path.read_bytes()[:-1])
    store.save("d", DOCUMENT)
    assert store.load("d") == DOCUMENT


@pytest.mark.parametrize("make", STORES, ids=["disk", "memory"])
def test_what_is_removed_is_gone_and_nothing_else(tmp_path, make):
    store = make(tmp_path)
    for name in ("level-1/a", "level-1/deep/a", "level-10/a"):
        write(store.create(name, (1, 20, 30), np.uint16, (20, 30)), np.ones((1, 20, 30), np.uint16), (20, 30), 0)
        store.save(f"{name}-facts", {"name": name})
    store.save("level-1", {})
    store.remove("level-1")
    store.remove("never there")
    for name in ("level-1/a", "level-1/deep/a"):
        assert not store.has(f"{name}-facts")
        for act in (store.open, store.load):
            with pytest.raises(StoreError, match=name):
                act(name)
    assert not store.has("level-1")
    assert store.load("level-10/a-facts") == {"name": "level-10/a"}
    assert (everything(store.open("level-10/a")) == 1).all()
    new = store.create("level-10/a", (1, 20, 30), np.uint16, (20, 30))
    assert not new.has_tile((), Region(0, 20, 0, 30))


def test_no_flipped_bit_of_a_document_is_ever_believed(tmp_path):
    store = DiskStore(tmp_path)
    store.save("d", DOCUMENT)
    path = tmp_path / "d.json"
    for _ in flipped(path, [(place, 1 << bit) for place, bit in np.ndindex(path.stat().st_size, 8)]):
        found = or_refused(lambda: store.load("d"), f"{path} is damaged")
        assert found is None or repr(found) == repr(DOCUMENT)


NO_DOCUMENTS = [b"", b"\xff", b"[]", b"3", b"null", b"{}", b'"document"', b"[" * 100_000]
NO_DOCUMENTS += [b'{"crc32c": 0, "document": 3}', b'{"crc32c": 0, "document": "{}"}', b'{"document": "{}"}']


@pytest.mark.parametrize("found", NO_DOCUMENTS, ids=lambda found: found[:20])
def test_what_is_no_document_is_refused(tmp_path, found):
    store = DiskStore(tmp_path)
    (tmp_path / "d.json").write_bytes(found)
    with pytest.raises(StoreError) as error:
        store.load("d")
    words(error, tmp_path / "d.json", "is damaged", "run again")


def test_a_document_that_is_missing_or_cut_or_a_folder_is_refused(tmp_path):
    store, path = DiskStore(tmp_path), tmp_path / "d.json"
    store.save("d", DOCUMENT)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError) as error:
            store.load("d")
        words(error, path, "is damaged", "run again")
    path.unlink()
    with pytest.raises(StoreError) as error:
        store.load("d")
    words(error, path, "is missing", "run again")
    path.mkdir()
    assert not store.has("d")
    with pytest.raises(StoreError) as error:
        store.load("d")
    words(error, path, "is damaged", "run again")
    with pytest.raises(OutputError) as error:
        store.save("d", DOCUMENT)
    words(error, "cannot be written", "Is a directory", "choose another --out")


@pytest.fixture
def disk(monkeypatch):
    return filling(monkeypatch)


def refused(*_, **__):
    raise PermissionError


def test_a_document_is_replaced_whole_or_not_at_all(tmp_path, disk, monkeypatch):
    store = DiskStore(tmp_path)
    store.save("d", {"old": 1})
    before = tree(tmp_path)
    for room in (0, 1, 100):
        disk(room)
        with pytest.raises(OutputError) as error:
            store.save("d", DOCUMENT)
        words(error, tmp_path, "No space left on device", "free some space")
        assert tree(tmp_path) == before
    disk(None)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refused)
        with pytest.raises(OutputError):
            store.save("d", DOCUMENT)
    assert tree(tmp_path) == before
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(tree(tmp_path)["d.json"] == before["d.json"]))
    store.save("d", DOCUMENT)
    # Its bytes are on the disk before its name is changed, and its name before it is taken for saved.
    assert synced == ([True, False] if os.name == "posix" else [True])
    assert repr(store.load("d")) == repr(DOCUMENT)


def test_a_store_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    store = DiskStore(tmp_path / "file")
    for act in (lambda: store.save("d", {}), lambda: store.create("a", (1, 1), np.uint16, (1, 1)), store.flush):
        if act != store.flush or os.name != "posix":
            with pytest.raises(OutputError) as error:
                act()
            words(error, tmp_path / "file", "cannot be written", "choose another --out")
    with pytest.raises(OutputError) as error:
        DiskStore(tmp_path / "nowhere").flush()
    words(error, tmp_path / "nowhere", "cannot be written", "choose another --out")
