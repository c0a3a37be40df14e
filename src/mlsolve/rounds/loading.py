"""Filling a workspace from the store and emptying it, a band of rows at a time: no image of its size is held."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.region import Region

from ..backends import Workspace
from ..store import TileWriter
from ..store.zarr import CHUNK
from .pictures import LevelPictures
from .start import Doubled, Generation, Guides
from .tiles import Tile

Source = Guides | Doubled | Generation

_BAND: Final = 1 << 20
"""Pixels of a band, about: enough for most of the time to go into pixels."""

ARRAYS: Final = 5
"""Images of a band's size that a thread holds: layer and moments, what they are made from, what is made of them."""


def band_rows(height: int, width: int, threads: int = 1) -> int:
    """Return the rows of the bands of an image, whole inner chunks; there is one for each of `threads` or more."""
    share = -(-height // (threads * CHUNK)) * CHUNK
    return min(max(1, _BAND // (width * CHUNK)) * CHUNK, share)


def bands_of(region: Region, threads: int) -> Iterator[Region]:
    """Yield `region` from the top in bands that end where inner chunks of the store end: none is read twice."""
    rows, top = band_rows(region.height, region.width, threads), region.top
    while top < region.bottom:
        bottom = min((top // rows + 1) * rows, region.bottom)
        yield Region(top, bottom, region.left, region.right)
        top = bottom


def load_pictures(
    work: Workspace, pictures: Callable[[], LevelPictures], tile: Tile, outer: Region, threads: int
) -> None:
    """Put target and guides of `outer` into `work`; pictures: opens them, for every thread its own."""

    def share(first: int) -> None:
        opened = pictures()
        whole = _image(outer, threads)
        for band in list(bands_of(outer, threads))[first::threads]:
            image, top = whole[: band.height], band.top - outer.top
            for plane in range(tile.first, tile.last):
                work.put_target(plane - tile.first, opened.read(0, plane, band, image), top)
                for layer in range(opened.layers):
                    work.put_guide(layer, plane - tile.first, opened.read(layer + 1, plane, band, image), top)

    _by(threads, share)


def load_layers(
    work: Workspace, source: Callable[[], Source], tile: Tile, layers: int, outer: Region, threads: int
) -> None:
    """Put layers and moments of `outer` into `work`; source: opens what they come from, for each thread anew."""

    def share(first: int) -> None:
        opened = source()
        carried = isinstance(opened, Generation) and opened.has_moments
        whole = [_image(outer, threads) for _ in range(3 if carried else 1)]
        for band in list(bands_of(outer, threads))[first::threads]:
            (image, *moments), top = (image[: band.height] for image in whole), band.top - outer.top
            for plane in range(tile.first, tile.last):
                for layer in range(layers):
                    if isinstance(opened, Generation):
                        for number, moment in enumerate(moments, start=1):
                            opened.read_kind(number, layer, plane, band, moment)
                    opened.read(layer, plane, band, image)
                    both = (moments[0], moments[1]) if moments else None
                    work.put_layer(layer, plane - tile.first, image, both, top)

    _by(threads, share)


def save(work: Workspace, place: TileWriter, tile: Tile, layers: int, inner: Region, moments: bool) -> None:
    """Write the tile: `inner` of layers, and moments if so, of `work`; inner: within its window."""
    width = work.shape.width
    columns, rows = slice(inner.left, inner.right), band_rows(inner.height, width)
    image = np.empty((min(rows, inner.height), width), dtype=np.float32)
    for plane in range(tile.first, tile.last):
        for layer in range(layers):
            for kind in range(3 if moments else 1):
                for top in range(0, inner.height, rows):
                    part = image[: min(rows, inner.height - top)]
                    if kind == 0:
                        work.take_layer(layer, plane - tile.first, part, inner.top + top)
                    else:
                        work.take_moment(kind - 1, layer, plane - tile.first, part, inner.top + top)
                    place.put((plane, kind, layer), part[:, columns], top)


def _image(region: Region, threads: int) -> npt.NDArray[np.float32]:
    """Return an image for one band of `region` after the other: new memory costs as much as reading does."""
    return np.empty((band_rows(region.height, region.width, threads), region.width), dtype=np.float32)


def _by(threads: int, share: Callable[[int], None]) -> None:
    """Call share(0) … share(threads - 1) at a time."""
    if threads == 1:
        share(0)
        return
    with ThreadPoolExecutor(threads, "mlsolve-loader") as pool:
        for done in [pool.submit(share, first) for first in range(threads)]:
            done.result()
