"""The store: what is written by tile is read by region, and a tile is there whole or not at all."""

import gc
import json
import pickle
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from conftest import tree
from mlsolve.errors import OutputError
from mlsolve.solving.store import DiskStore, MemoryStore
from mlsolve.solving.store.chunks import CHUNK
from mlsolve.solving.store.zarr import MOST_OPEN
from mlsolve.solving.tiles import tiles_of
from mlsolve_kernels.region import Region
from stores import STORES, TILE_BYTES, everything, filling, part, refusal, small_store, values, words, write

# Shape, type, tile, axes apart: several tiles, several chunks to a tile and more than are read together, a tile
# larger than the image, odd sizes.
CASES = [
    ((2, 301, 339), np.uint16, (128, 256), 0),
    ((2, 257, 128), np.uint16, (256, 128), 1),
    ((1, 11, 13), np.uint16, (11, 13), 0),
    ((3, 3, 2, 150, 131), np.float32, (128, 128), 1),
    ((2, 1, 2, 129, 260), np.float32, (1024, 1024), 0),
    ((1, 30, 4500), np.uint16, (128, 4352), 0),
]


@pytest.fixture
def small(tmp_path, rng):
    return small_store(tmp_path, rng)


@pytest.mark.parametrize("make", STORES, ids=["disk", "memory"])
@pytest.mark.parametrize(("shape", "dtype", "tile", "apart"), CASES)
def test_what_is_written_by_tile_is_read_by_region(tmp_path, rng, make, shape, dtype, tile, apart):
    store, data = make(tmp_path), values(rng, shape, dtype)
    write(store.create("deep/a", shape, dtype, tile, apart), data, tile, apart)
    array = store.open("deep/a")
    assert (array.shape, array.dtype) == (shape, dtype)
    assert everything(array).tobytes() == data.tobytes()
    height, width = shape[-2:]
    edges = {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, *rng.integers(0, max(height, width), 8).tolist()}
    for _ in range(40):
        top, bottom, left, right = (
            int(edge)
            for side in (height, width)
            for edge in sorted(rng.choice([*(edge for edge in edges if edge < side), side], 2, replace=False))
        )
        region = Region(top, bottom, left, right)
        index = tuple(rng.integers(0, shape[:-2]).tolist())
        # Into a part of something larger, which is how callers use it.
        out = np.full((region.height + 2, region.width + 3), 7, dtype=dtype)
        assert array.read(index, region, out[1:-1, 1:-2]).tobytes() == part(data[index], region).tobytes()
        assert (out[[0, -1]] == 7).all()
        assert (out[:, [0, -2, -1]] == 7).all()


@pytest.mark.parametrize("make", STORES, ids=["disk", "memory"])
@pytest.mark.parametrize("rows", [CHUNK, 2 * CHUNK, 1024])
def test_a_tile_may_be_put_in_bands_of_rows(tmp_path, rng, make, rows):
    """Whole inner chunks high but for the last, one plane's after the other's, in any order."""
    store, data = make(tmp_path), values(rng, (2, 700, 150), np.uint16)
    array = store.create("a", data.shape, np.uint16, (512, 256))
    for region in tiles_of((700, 150), (512, 256)):
        bands = [(plane, top) for top in range(0, region.height, rows) for plane in (0, 1)]
        with array.tile((), region) as tile:
            for plane, top in rng.permutation(bands).tolist():
                tile.put((plane,), part(data[plane], region)[top : top + rows], top)
    assert everything(store.open("a")).tobytes() == data.tobytes()


@pytest.mark.parametrize("make", STORES, ids=["disk", "memory"])
def test_codes_are_looked_up_in_a_table(tmp_path, rng, make):
    store, data = make(tmp_path), values(rng, (2, 150, 270), np.uint16)
    write(store.create("a", data.shape, np.uint16, (128, 128)), data, (128, 128), 0)
    table, region = rng.random(65536, dtype=np.float32), Region(100, 140, 120, 269)
    found = store.open("a").read((1,), region, np.empty((40, 149), dtype=np.float32), table)
    assert found.tobytes() == table[part(data[1], region)].tobytes()


def crc32c(data, table=[]):  # noqa: B006  filled at the first call
    """CRC-32C (RFC 3720, B.4), byte by byte."""
    if not table:
        for entry in range(256):
            for _ in range(8):
                entry = entry >> 1 ^ 0x82F63B78 * (entry & 1)
            table.append(entry)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return (crc ^ 0xFFFFFFFF).to_bytes(4, "little")


def read_as_the_specification_says(folder):
    """Zarr 3 with the codecs sharding_indexed, bytes and crc32c, written from zarr-specs and nothing else.

    Beyond the array its chunks hold zeros, so that the same values are the same bytes.
    """
    description = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
    assert (description["zarr_format"], description["node_type"]) == (3, "array")
    assert description["chunk_key_encoding"] == {"name": "default", "configuration": {"separator": "/"}}
    ((name, sharding),) = ((codec["name"], codec["configuration"]) for codec in description["codecs"])
    assert (name, sharding["index_location"]) == ("sharding_indexed", "end")
    checked = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    assert sharding["codecs"] == sharding["index_codecs"] == checked
    dtype = np.dtype({"uint16": "<u2", "float32": "<f4"}[description["data_type"]])
    outer = np.array(description["chunk_grid"]["configuration"]["chunk_shape"])
    shape, inner = np.array(description["shape"]), np.array(sharding["chunk_shape"])
    assert (outer % inner == 0).all()
    whole = np.full(-(-shape // outer) * outer, description["fill_value"], dtype=dtype)
    for place in np.ndindex(*-(-shape // outer)):
        path = folder / "c" / "/".join(map(str, place))
        if not path.exists():
            continue
        data, grid = path.read_bytes(), outer // inner
        size = 16 * int(np.prod(grid))
        index = data[-size - 4 : -4]
        assert crc32c(index) == data[-4:]
        entries = np.frombuffer(index, "<u8").reshape(-1, 2)
        for inside, (offset, length) in zip(np.ndindex(*grid), entries, strict=True):
            if offset == length == 2**64 - 1:
                continue
            chunk = data[int(offset) : int(offset + length)]
            assert crc32c(chunk[:-4]) == chunk[-4:]
            start = np.array(place) * outer + np.array(inside) * inner
            here = tuple(slice(at, at + side) for at, side in zip(start, inner, strict=True))
            whole[here] = np.frombuffer(chunk[:-4], dtype).reshape(inner)
    inside = tuple(map(slice, shape))
    found = whole[inside].copy()
    whole[inside] = 0
    assert not whole.view(np.uint8).any()
    return found


@pytest.mark.parametrize(("shape", "dtype", "tile", "apart"), [*CASES[:2], ((2, 3, 1, 140, 131), *CASES[3][1:])])
def test_a_reader_written_from_the_specification_reads_the_same(tmp_path, rng, shape, dtype, tile, apart):
    assert crc32c(b"123456789") == 0xE3069283.to_bytes(4, "little")
    store, data = DiskStore(tmp_path), values(rng, shape, dtype)
    write(store.create("a", shape, dtype, tile, apart), data, tile, apart)
    assert read_as_the_specification_says(tmp_path / "a").tobytes() == data.tobytes()


@pytest.fixture
def disk(monkeypatch):
    return filling(monkeypatch)


@pytest.mark.parametrize("room", [0, 1, CHUNK * CHUNK * 2 + 4, 100_000, TILE_BYTES - 68, TILE_BYTES - 1])
def test_a_tile_that_the_disk_does_not_take_is_not_there(small, disk, room):
    store, data = small
    path, before = store.path / "a/c/0/0/0", tree(store.path)
    assert path.stat().st_size == TILE_BYTES
    region = Region(0, 140, 0, 90)
    for there in (True, False):
        if not there:
            path.unlink()
        disk(room)
        with pytest.raises(OutputError) as error:
            write(store.open("a"), data[::-1], (256, 128), 0)
        disk(None)
        words(error, path, "No space left on device", "free some space")
        assert store.open("a").has_tile((), region) == there
        assert tree(store.path) == {name: was for name, was in before.items() if there or name != "a/c/0/0/0"}


def test_chunks_may_lie_in_any_order(tmp_path, rng):
    """As another program may have written them."""
    store, data = DiskStore(tmp_path), values(rng, (2, 140, 300), np.uint16)
    write(store.create("a", data.shape, np.uint16, (256, 384)), data, (256, 384), 0)
    path, size = tmp_path / "a/c/0/0/0", 2 * CHUNK * CHUNK + 4
    order, whole = rng.permutation(12), path.read_bytes()
    places = np.frombuffer(whole[12 * size : -4], "<u8").reshape(-1, 2).copy()
    chunks = [whole[at * size : (at + 1) * size] for at in order]
    places[:, 0] = np.argsort(order)[places[:, 0] // size] * size
    path.write_bytes(b"".join(chunks) + places.tobytes() + crc32c(places.tobytes()))
    assert everything(store.open("a")).tobytes() == data.tobytes()
    assert store.open("a").has_tile((), Region(0, 140, 0, 300))


def test_a_tile_whose_task_fails_is_not_there(small):
    store, data = small
    before = tree(store.path)

    def fail():
        with store.open("a").tile((), Region(0, 140, 0, 90)) as tile:
            tile.put((0,), data[1])
            assert everything(store.open("a")).tobytes() == data.tobytes()
            raise KeyError("lightning")

    with pytest.raises(KeyError, match="lightning"):
        fail()
    assert tree(store.path) == before


def test_a_tile_is_there_once_it_is_whole(small):
    """Also beside what a process left that was killed while it wrote."""
    store, data = small
    shutil.rmtree(store.path / "a/c")
    left = store.path / "a/c/0/0/.0.partial-1-1"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    region, array = Region(0, 140, 0, 90), store.open("a")
    with array.tile((), region) as tile:
        for plane in (0, 1):
            tile.put((plane,), data[plane])
            assert not array.has_tile((), region)
            refusal(store)
    assert array.has_tile((), region)
    assert not MemoryStore().create("a", (140, 90), np.uint16, (140, 90)).has_tile((), region)
    assert everything(array).tobytes() == data.tobytes()


def test_a_plane_that_was_never_written_is_refused(small):
    store, data = small
    with store.open("a").tile((), Region(0, 140, 0, 90)) as tile:
        tile.put((0,), data[1])
    region, out = Region(0, 140, 0, 90), np.empty((140, 90), np.uint16)
    assert (store.open("a").read((0,), region, out) == data[1]).all()
    assert "is damaged" in refusal(store)


def test_a_tile_that_is_written_again_is_read_as_it_is_now(small):
    store, data = small
    array = store.open("a")
    assert everything(array).tobytes() == data.tobytes()
    write(array, data[::-1], (256, 128), 0)
    assert everything(array).tobytes() == data[::-1].tobytes()


def test_tiles_are_written_from_several_threads(tmp_path, rng):
    """Two of them even the same one, at the same time: it is whole, and one of the two."""
    store, data = DiskStore(tmp_path), values(rng, (3, 2, 128, 256), np.uint16)
    store.create("a", data.shape[1:], np.uint16, (128, 128))
    regions, barrier = [Region(0, 128, left, left + 128) for left in (0, 128, 128)], threading.Barrier(3)

    def task(number):
        with store.open("a").tile((), regions[number]) as tile:
            for plane in (0, 1):
                barrier.wait()
                tile.put((plane,), part(data[number, plane], regions[number]))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(task, range(3)))
    found = everything(store.open("a"))
    assert (found[..., :128] == data[0, ..., :128]).all()
    assert any((found[..., 128:] == data[number, ..., 128:]).all() for number in (1, 2))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files in /proc: run it on Linux")
def test_many_tiles_do_not_use_up_the_open_files(tmp_path, rng):
    data = values(rng, (3 * MOST_OPEN, 5, 4), np.uint16)
    array = DiskStore(tmp_path).create("a", data.shape, np.uint16, (5, 4), 1)
    write(array, data, (5, 4), 1)
    gc.collect()  # what other tests have left open

    def count():
        return len(list(Path("/proc/self/fd").iterdir()))

    before, most = count(), 0
    for index in [*range(len(data)), *rng.permutation(len(data)).tolist()]:
        assert (array.read((index,), Region(0, 5, 0, 4), np.empty((5, 4), np.uint16)) == data[index]).all()
        most = max(most, count())
    assert before < most <= before + MOST_OPEN + 1
    array.close()
    assert count() == before
    for index in (3, 4):
        array.path((index, 0, 0)).write_bytes(b"damaged")
        assert not array.has_tile((index,), Region(0, 5, 0, 4))
    assert count() == before
    write(array, data, (5, 4), 1)
    assert everything(array).tobytes() == data.tobytes()
    del array
    assert count() == before


def test_stores_and_arrays_can_be_sent_to_another_process(small):
    """An array goes without its open files: they are the sender's, and stay open when the copy goes."""
    store, data = small
    array = store.open("a")
    everything(array)
    copy = pickle.loads(pickle.dumps(array))
    assert everything(copy).tobytes() == data.tobytes()
    del copy
    gc.collect()
    assert everything(array).tobytes() == data.tobytes()
    code = (
        "import pickle, sys, numpy as np; from mlsolve_kernels.region import Region\n"
        "store, array = pickle.load(sys.stdin.buffer)\n"
        "for one in (store.open('a'), array):\n"
        "    out = np.empty((140, 90), np.uint16)\n"
        "    sys.stdout.buffer.write(one.read((1,), Region(0, 140, 0, 90), out).tobytes())\n"
    )
    sent = pickle.dumps((store, array))
    found = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True).stdout
    assert found == data[1].tobytes() * 2
