"""Filling a workspace from the store and emptying it, a band of rows at a time: no image of its size is held."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, cast

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.region import Region

from .backends import ArrangedWorkspace, Workspace
from .level_pictures import LevelPictures
from .start import Checkpoint, Guides, UpsampledLevel
from .store import TileWriter
from .store.zarr import CHUNK
from .tiles import Tile

Source = Guides | UpsampledLevel | Checkpoint

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
    work: Workspace, pictures: Callable[[], LevelPictures], tile: Tile, outer: Sequence[Region], threads: int
) -> None:
    """Put targets, guides and weights of the windows `outer` into `work`; pictures: opens them, for each thread."""

    def share(first: int) -> None:
        opened = pictures()
        spec, whole = opened.spec, _image(outer[0], threads)
        for window, band in list(_windowed(outer, threads))[first::threads]:
            image, top = whole[: band.height], band.top - outer[window].top
            for own, plane in _planes(tile, window):
                for stack in range(len(spec.stacks)):
                    work.put_target(own, opened.read(stack, plane, band, image), top, stack)
                for layer in range(spec.layers):
                    work.put_guide(layer, own, opened.read(spec.guide(layer), plane, band, image), top)
            for stack, one in enumerate(spec.stacks):
                if one.masked:
                    weights = opened.read(spec.mask(stack), 0, band, image)
                    cast(ArrangedWorkspace, work).put_weights(stack, window, weights, top)

    _by(threads, share)


def load_layers(
    work: Workspace, source: Callable[[], Source], tile: Tile, layers: int, outer: Sequence[Region], threads: int
) -> None:
    """Put layers and moments of the windows `outer` into `work`; source: opens their origin, for each thread."""

    def share(first: int) -> None:
        opened = source()
        carried = isinstance(opened, Checkpoint) and opened.has_moments
        whole = [_image(outer[0], threads) for _ in range(3 if carried else 1)]
        for window, band in list(_windowed(outer, threads))[first::threads]:
            (image, *moments), top = (image[: band.height] for image in whole), band.top - outer[window].top
            for own, plane in _planes(tile, window):
                for layer in range(layers):
                    if isinstance(opened, Checkpoint):
                        for number, moment in enumerate(moments, start=1):
                            opened.read_kind(number, layer, plane, band, moment)
                    opened.read(layer, plane, band, image)
                    both = (moments[0], moments[1]) if moments else None
                    work.put_layer(layer, own, image, both, top)

    _by(threads, share)


def save(
    work: Workspace, place: TileWriter, tile: Tile, layers: int, inner: Region, moments: bool, window: int = 0
) -> None:
    """Write a region of the tile: `inner` of layers, and moments if so, of a window of `work`; inner: within it."""
    width = work.shape.width
    columns, rows = slice(inner.left, inner.right), band_rows(inner.height, width)
    image = np.empty((min(rows, inner.height), width), dtype=np.float32)
    for own, plane in _planes(tile, window):
        for layer in range(layers):
            for kind in range(3 if moments else 1):
                for top in range(0, inner.height, rows):
                    part = image[: min(rows, inner.height - top)]
                    if kind == 0:
                        work.take_layer(layer, own, part, inner.top + top)
                    else:
                        work.take_moment(kind - 1, layer, own, part, inner.top + top)
                    place.put((plane, kind, layer), part[:, columns], top)


def _windowed(outer: Sequence[Region], threads: int) -> Iterator[tuple[int, Region]]:
    """Yield the bands of every window, each with the window's number."""
    for window, region in enumerate(outer):
        for band in bands_of(region, threads):
            yield window, band


def _planes(tile: Tile, window: int) -> Iterator[tuple[int, int]]:
    """Yield the number of every plane of a window in the workspace, and which plane of the picture it is."""
    for plane in range(tile.first, tile.last):
        yield window * (tile.last - tile.first) + plane - tile.first, plane


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
