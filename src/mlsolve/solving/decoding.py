"""Picture files in a store, where any region of them can be had."""

import numpy as np

from mlsolve_kernels.region import Region

from ..pictures.picture_files import Picture
from .store import Array, Store
from .store.zarr import CHUNK


def decode_into(store: Store, name: str, picture: Picture) -> Array:
    """Put `picture`, as it is stored in its file, into array `name` of `store`, (C, H, W) uint16; return the array.

    A band of rows at a time, so that no picture is in memory at once.
    """
    width, height = picture.stored_size
    array = store.create(name, (picture.planes, height, width), np.uint16, (min(CHUNK, height), width))
    top = 0
    for band in picture.bands(CHUNK):
        region = Region(top, top + len(band), 0, width)
        with array.tile((), region) as tile:
            for plane in range(picture.planes):
                tile.put((plane,), band[..., plane])
        top = region.bottom
    return array
