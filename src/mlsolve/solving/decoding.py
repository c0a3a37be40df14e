"""Decode picture files to the store, from which any region can be read."""

import numpy as np

from mlsolve_kernels.region import Region

from ..pictures.picture_files import Picture
from .store import Array, Store
from .store.zarr import CHUNK


def decode_into(store: Store, name: str, picture: Picture) -> Array:
    """Decode `picture`, in the orientation of its file, to array `name` of `store`, (C, H, W) uint16; return it.

    It decodes one band of rows at a time, so that memory never holds a whole picture.
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
