"""What tests of the store share: values and where they go, disks that fill, bits that flip."""

import errno
import io
import os

import numpy as np
import pytest

from mlsolve.errors import StoreError
from mlsolve.solving.store import DiskStore, MemoryStore
from mlsolve.solving.store.chunks import CHUNK
from mlsolve.solving.tiles import tiles_of
from mlsolve_kernels.region import Region

STORES = [lambda folder: DiskStore(folder / "store"), lambda _: MemoryStore()]


def values(rng, shape, dtype):
    """Values of any bits, of floats as well."""
    return np.frombuffer(rng.bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize), dtype).reshape(shape)


def write(array, data, tile, apart, regions=None):
    """Write `data` into `array`, all its tiles or those of `regions`."""
    sides = tuple(-(-side // CHUNK) * CHUNK for side in tile)
    for region in regions or tiles_of(data.shape[-2:], sides):
        for own in np.ndindex(data.shape[:apart]):
            with array.tile(own, region) as place:
                for rest in np.ndindex(data.shape[apart:-2]):
                    place.put((*own, *rest), part(data[own + rest], region))


def part(plane, region):
    return plane[region.top : region.bottom, region.left : region.right]


def everything(array):
    """All values of an array."""
    out = np.empty(array.shape, dtype=array.dtype)
    height, width = array.shape[-2:]
    for index in np.ndindex(array.shape[:-2]):
        array.read(index, Region(0, height, 0, width), out[index])
    return out


def words(error, *parts):
    """The message of an error: one line in which all of `parts` stand, each once."""
    message = str(error.value)
    assert "\n" not in message
    for one in parts:
        assert message.count(str(one)) == 1, message
    return message


def or_refused(read, words):
    """What `read` returns; None where it raises StoreError, in one line with `words`."""
    try:
        return read()
    except StoreError as error:
        found = str(error)
    assert words in found
    assert "\n" not in found
    return None


def filling(monkeypatch):
    """A function that lets files take so many bytes more: what is beyond is written in part, then refused."""
    room = [None]

    class Filling(io.FileIO):
        def write(self, data):
            if room[0] is None:
                return super().write(data)
            if room[0] == 0 < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written = super().write(bytes(data)[: room[0]])
            room[0] -= written
            return written

    monkeypatch.setattr("mlsolve.solving.store.folder.FileIO", Filling)
    return lambda size: room.__setitem__(0, size)


def flipped(path, flips):
    """Flip bits of a byte of the file, for each (place, bits) in turn; yield when it is so, and mend it."""
    right = path.read_bytes()
    for place, bits in flips:
        for byte in (right[place] ^ bits, right[place]):
            with path.open("r+b") as file:
                file.seek(place)
                file.write(bytes([byte]))
            if byte != right[place]:
                yield
    assert path.read_bytes() == right


def small_store(folder, rng):
    """A store with an array of four inner chunks, two of them in each of two planes, and its values."""
    store, data = DiskStore(folder / "store"), values(rng, (2, 140, 90), np.uint16)
    write(store.create("a", data.shape, np.uint16, (256, 128)), data, (256, 128), 0)
    return store, data


TILE_BYTES = 4 * (2 * CHUNK * CHUNK + 4) + 16 * 4 + 4
"""Of its one tile: chunks, each with its checksum, and the index with its own."""


def refusal(store, path="a/c/0/0/0"):
    """Read all of the array, which must be refused in one line with a path and a remedy; return the line."""
    with pytest.raises(StoreError) as error:
        everything(store.open("a"))
    return words(error, store.path / path, "run again")
