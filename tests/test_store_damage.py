"""Arrays of the store that are damaged: refused in one line, and never taken for a picture."""

import errno
import os

import numpy as np
import pytest

from mlsolve.errors import OutputError, StoreError
from mlsolve.solving.store import DiskStore
from mlsolve.solving.store.chunks import CHUNK
from mlsolve_kernels.region import Region
from stores import TILE_BYTES, everything, flipped, or_refused, refusal, small_store, values, words, write


@pytest.fixture
def small(tmp_path, rng):
    return small_store(tmp_path, rng)


def test_no_flipped_byte_is_ever_read_as_a_picture(small, rng):
    """Every byte of the index and of the checksums, and a few hundred others."""
    store, data = small
    path, chunk = store.path / "a/c/0/0/0", 2 * CHUNK * CHUNK + 4
    checksums = [end - back for end in range(chunk, 4 * chunk + 1, chunk) for back in (1, 2, 3, 4)]
    places = [*range(4 * chunk, TILE_BYTES), *checksums, *rng.integers(0, TILE_BYTES, 300).tolist()]
    for _ in flipped(path, [(place, int(rng.integers(1, 256))) for place in places]):
        assert "is damaged" in refusal(store)
        assert not store.open("a").has_tile((), Region(0, 140, 0, 90))
    assert everything(store.open("a")).tobytes() == data.tobytes()


def test_every_chunk_of_a_row_is_checked(tmp_path, rng):
    store, data = DiskStore(tmp_path), values(rng, (1, 5, 20 * CHUNK), np.uint16)
    write(store.create("a", data.shape, np.uint16, (128, 20 * CHUNK)), data, (128, 20 * CHUNK), 0)
    for _ in flipped(tmp_path / "a/c/0/0/0", [((2 * CHUNK * CHUNK + 4) * chunk, 1) for chunk in range(20)]):
        refusal(store)
        assert not store.open("a").has_tile((), Region(0, 5, 0, 20 * CHUNK))
    assert store.open("a").has_tile((), Region(0, 5, 0, 20 * CHUNK))


def test_a_file_that_is_cut_while_it_is_open_is_refused(small):
    """What was read before is not taken for what is not there any more."""
    store, data = small
    array, region, out = store.open("a"), Region(0, 140, 0, 90), np.empty((140, 90), np.uint16)
    assert (array.read((0,), region, out) == data[0]).all()
    os.truncate(store.path / "a/c/0/0/0", 10)
    with pytest.raises(StoreError, match="is damaged"):
        array.read((1,), region, out)
    assert not array.has_tile((), region)


def test_no_flipped_bit_of_a_description_is_ever_believed(small):
    store, data = small
    path = store.path / "a/zarr.json"
    for _ in flipped(path, [(place, 1 << bit) for place, bit in np.ndindex(path.stat().st_size, 8)]):
        found = or_refused(lambda: everything(store.open("a")), f"{path} is damaged")
        assert found is None or found.tobytes() == data.tobytes()  # white space may be of another kind


LENGTHS = [0, 1, 67, 68, 2 * CHUNK * CHUNK, TILE_BYTES - 1, TILE_BYTES + 1, TILE_BYTES * 2]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_tile_that_is_shorter_or_longer_is_refused(small, length):
    store, data = small
    path = store.path / "a/c/0/0/0"
    path.write_bytes((path.read_bytes() * 2)[:length])
    if length == TILE_BYTES * 2:  # begins and ends as it should
        assert everything(store.open("a")).tobytes() == data.tobytes()
        return
    assert "is damaged" in refusal(store)
    assert not store.open("a").has_tile((), Region(0, 140, 0, 90))


@pytest.mark.parametrize("name", ["a/c/0/0/0", "a/zarr.json"])
def test_what_is_missing_or_no_file_is_refused(small, name):
    store, _ = small
    path = store.path / name
    path.unlink()
    assert "is missing" in refusal(store, path=name)
    path.mkdir()
    for number in range(64):  # on some file systems the size of a folder is that of its names
        (path / str(number)).touch()
    refusal(store, path=name)
    if name == "a/c/0/0/0":
        assert not store.open("a").has_tile((), Region(0, 140, 0, 90))
        with pytest.raises(OutputError) as error:
            write(store.open("a"), np.zeros((2, 140, 90), np.uint16), (256, 128), 0)
        words(error, path)


def test_what_cannot_be_read_is_refused(small, monkeypatch):
    """A sector that is gone; a file that may not be opened."""
    store, _ = small

    def fails(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    # The index of a tile and its chunks are read by different calls, where there are several.
    index, chunks = ("pread", "preadv") if hasattr(os, "preadv") else ("read", "read")
    for name in (index, chunks, "open"):
        array = store.open("a")
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fails)
            with pytest.raises(StoreError) as error:
                everything(array)
        words(error, store.path / "a/c/0/0/0", "Input/output error", "run again")
    array, out = store.open("a"), np.empty((140, 90), np.uint16)
    array.read((0,), Region(0, 140, 0, 90), out)
    monkeypatch.setattr(os, chunks, fails)
    with pytest.raises(StoreError) as error:
        array.read((1,), Region(0, 140, 0, 90), out)
    words(error, store.path / "a/c/0/0/0", "Input/output error", "run again")
