"""Decode picture files to the store, from which any region can be read, or to memory."""

from contextlib import ExitStack

import numpy as np

from mlsolve_kernels.region import Region

from ..pictures.picture_files import Picture
from .store import Array, MemoryArray, Store
from .store.chunks import CHUNK


def array_for(picture: Picture, store: Store, name: str) -> Array:
    """Return a new array `name` of `store` for `picture`, in the orientation of its file: (C, H, W) uint16."""
    width, height = picture.stored_size
    return store.create(name, (picture.planes, height, width), np.uint16, (min(CHUNK, height), width))


def decode_into(array: Array, picture: Picture) -> None:
    """Decode `picture` to `array`, which `array_for` returned for it, by this process or another.

    It decodes one band of rows at a time, so that memory never holds a whole picture.
    """
    width, top = picture.stored_size[0], 0
    for band in picture.bands(CHUNK):
        region = Region(top, top + len(band), 0, width)
        with array.tile((), region) as tile:
            for plane in range(picture.planes):
                tile.put((plane,), band[..., plane])
        top = region.bottom


def decode_to_memory(picture: Picture) -> MemoryArray:
    """Return `picture` decoded, in the orientation of its file, (C, H, W) uint16 in memory."""
    width, height = picture.stored_size
    data, top = np.empty((picture.planes, height, width), dtype=np.uint16), 0
    for band in picture.bands(CHUNK):
        data[:, top : top + len(band)] = np.moveaxis(band, 2, 0)
        top += len(band)
    return MemoryArray(data)


def decode_in_tiles(array: Array, picture: Picture, side: int) -> None:
    """Decode `picture`, in the orientation of its file, to `array`, which has its shape (C, H, W) and is uint16.

    side: of the tiles of `array`, in pixels, a multiple of CHUNK. The tiles of a row are written side by side.
    """
    width, height = picture.stored_size
    bands, top = picture.bands(CHUNK), 0
    while top < height:
        bottom = min(top + side, height)
        with ExitStack() as opened:
            parts = [(left, min(left + side, width)) for left in range(0, width, side)]
            tiles = [opened.enter_context(array.tile((), Region(top, bottom, *part))) for part in parts]
            for first in range(top, bottom, CHUNK):
                band = next(bands)
                for tile, (left, right) in zip(tiles, parts, strict=True):
                    for plane in range(picture.planes):
                        tile.put((plane,), band[:, left:right, plane], first - top)
        top = bottom
