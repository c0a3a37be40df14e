"""Fill a workspace from the store and save it back, one band of rows at a time, never a whole image."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.light import reference_of
from mlsolve_kernels.light.ink.reference import GAMMA, develop, look
from mlsolve_kernels.placement.frames import Frame, disc
from mlsolve_kernels.region import Region

from ..pictures.code_steps import code_steps
from .backends import ArrangedWorkspace, RemoteWorkspace, Workspace
from .carriers import Carriers
from .level_pictures import LevelPictures
from .spec import Spec
from .start import Checkpoint, Guides, UpsampledLevel
from .store import TileWriter
from .store.chunks import CHUNK
from .tiles import Tile

Source = Guides | UpsampledLevel | Checkpoint

_BAND: Final = 1 << 20
"""Approximate pixels of a band: enough that the overhead per band is small."""

ARRAYS: Final = 5
"""Images of a band's size that a thread holds: layer and two moments, their source and their result."""


def band_rows(height: int, width: int, threads: int = 1) -> int:
    """Return the rows of a band of an image: whole inner chunks, and at least one band for each thread."""
    share = -(-height // (threads * CHUNK)) * CHUNK
    return min(max(1, _BAND // (width * CHUNK)) * CHUNK, share)


def bands_of(region: Region, threads: int) -> Iterator[Region]:
    """Yield `region` from the top in bands that end where inner chunks of the store end, so none is read twice."""
    rows, top = band_rows(region.height, region.width, threads), region.top
    while top < region.bottom:
        bottom = min((top // rows + 1) * rows, region.bottom)
        yield Region(top, bottom, region.left, region.right)
        top = bottom


def load_pictures(
    work: Workspace, pictures: Callable[[], LevelPictures], tile: Tile, outer: Sequence[Region], threads: int
) -> None:
    """Copy targets, guides, pixel weights and carriers of the windows `outer` into `work`.

    pictures: opens the pictures; called once in each thread. For round sheets that are never moved, target and
    guides are clear outside the circle, as the stack and the sheets are there.
    """

    def share(first: int) -> None:
        opened = pictures()
        spec, carriers = opened.spec, Carriers(opened.store, opened.spec, opened.level)
        clear = _Clear(spec, opened.level) if spec.disc and spec.objective.still else None
        by_codes = work.remote and clear is None
        whole = _band_image(outer[0], threads, np.uint16 if by_codes else np.float32)
        for window, band in list(_bands_of_windows(outer, threads))[first::threads]:
            image, top = whole[: band.height], band.top - outer[window].top
            read = partial(_read, opened, by_codes, band, image)  # fills `image`, which then is put
            if clear is not None:
                clear.look_at(band)
            for slot, plane in _planes(tile, window):
                for stack in range(len(spec.stacks)):
                    given = read(stack, plane)
                    if clear is not None:
                        clear.stack(image, plane)
                    work.put_target(slot, image, top, stack, **given)
                for layer in range(spec.layers):
                    given = read(spec.guide(layer), plane)
                    if clear is not None:
                        clear.sheet(image, plane)
                    work.put_guide(layer, slot, image, top, **given)
            for stack, one in enumerate(spec.stacks):
                if one.masked:
                    masks = cast(ArrangedWorkspace, work)
                    masks.put_weights(stack, window, image, top, **read(spec.mask(stack), 0))
                for sheet, _ in enumerate(one.placed(spec.layers) if one.carriers else ()):
                    table = carriers.read(stack, sheet, band, image)
                    given = {"table": table} if by_codes else {}
                    cast(ArrangedWorkspace, work).put_carrier(stack, sheet, window, image, top, **given)

    _in_threads(threads, share)


class _Clear:
    """Makes pictures of round sheets clear outside the circle.

    A window near the circle also holds pixels outside it. If the picture had other values there than the stack or
    the sheet, SSIM would compare them, and most of what it finds would be this step.
    """

    def __init__(self, spec: Spec, level: int) -> None:
        """Find how light a clear sheet and a stack of them are."""
        self._shape, inks, scale = spec.shapes[level - 1], spec.inks, spec.objective.stacks[0].scale
        sheets: npt.NDArray[np.floating] = np.full((spec.layers, spec.planes, 1, 1), np.float32(spec.bounds[1]))
        if inks is not None:
            sheets = develop(sheets, inks)
        together, alone = reference_of(spec.objective.light).compose(sheets, scale), sheets[0]
        if inks is not None:
            exposure = scale**GAMMA
            together = look(together, inks, spec.layers, exposure)
            alone = look(alone, inks, room=inks.room * exposure)
        self._stack, self._sheet = (one[:, 0, 0].astype(np.float32) for one in (together, alone))
        self._outside = np.empty((0, 0), dtype=np.bool_)

    def look_at(self, band: Region) -> None:
        """Find the pixels of a band that are outside the circle."""
        inside = disc(self._shape, Frame(band.top, band.left), (band.height, band.width))
        self._outside = inside == 0

    def sheet(self, image: npt.NDArray[Any], plane: int) -> None:
        """Make the band `image` (h, w) of a plane of a guide clear."""
        image[self._outside] = self._sheet[plane]

    def stack(self, image: npt.NDArray[Any], plane: int) -> None:
        """Make the band `image` (h, w) of a plane of the target as light as all clear sheets are together."""
        image[self._outside] = self._stack[plane]


def _read(
    opened: LevelPictures, by_codes: bool, band: Region, image: npt.NDArray[Any], picture: int, plane: int
) -> dict[str, Any]:
    """Read a band of a picture into `image`: codes or values. Return what else its workspace is given with it."""
    if by_codes:
        return {"table": opened.read_codes(picture, plane, band, image)}
    opened.read(picture, plane, band, image)
    return {}


def load_layers(
    work: Workspace, source: Callable[[], Source], tile: Tile, layers: int, outer: Sequence[Region], threads: int
) -> None:
    """Copy layers and moments of the windows `outer` into `work`; source: opens their source in each thread."""

    def share(first: int) -> None:
        opened = source()
        carried = isinstance(opened, Checkpoint) and opened.has_moments
        whole = [_band_image(outer[0], threads) for _ in range(3 if carried else 1)]
        for window, band in list(_bands_of_windows(outer, threads))[first::threads]:
            (image, *moments), top = (image[: band.height] for image in whole), band.top - outer[window].top
            for slot, plane in _planes(tile, window):
                for layer in range(layers):
                    if work.remote and isinstance(opened, UpsampledLevel):
                        made_of = opened.read_coarse(layer, plane, band)
                        cast(RemoteWorkspace, work).put_resampled(layer, slot, *made_of, top)
                        continue
                    if isinstance(opened, Checkpoint):
                        for number, moment in enumerate(moments, start=1):
                            opened.read_kind(number, layer, plane, band, moment)
                    opened.read(layer, plane, band, image)
                    pair = (moments[0], moments[1]) if moments else None
                    work.put_layer(layer, slot, image, pair, top)

    _in_threads(threads, share)


def save(
    work: Workspace,
    place: TileWriter,
    tile: Tile,
    layers: int,
    inner: Region,
    moments: bool,
    window: int = 0,
    bits: int | None = None,
) -> None:
    """Write one region of a tile: the layers in the region `inner` of a window of `work`.

    inner: in coordinates of the window. moments: whether the moments are written, too. bits: of the code values
    that are written instead of encoded transmittance; None: none are.
    """
    width = work.shape.width
    columns, rows = slice(inner.left, inner.right), band_rows(inner.height, width)
    image = np.empty((min(rows, inner.height), width), dtype=state_type(bits))
    for slot, plane in _planes(tile, window):
        for layer in range(layers):
            for kind in range(3 if moments else 1):
                for top in range(0, inner.height, rows):
                    part = image[: min(rows, inner.height - top)]
                    if bits is not None:
                        steps = code_steps(bits)
                        work.take_codes(layer, slot, steps.floors, steps.steps, part, inner.top + top)
                    elif kind == 0:
                        work.take_layer(layer, slot, part, inner.top + top)
                    else:
                        work.take_moment(kind - 1, layer, slot, part, inner.top + top)
                    place.put((plane, kind, layer), part[:, columns], top)


def state_type(bits: int | None) -> np.dtype[Any]:
    """Return the type of the values that a round leaves: codes of 8 or 16 bits, or float32 if `bits` is None."""
    return np.dtype({None: np.float32, 8: np.uint8, 16: np.uint16}[bits])


def _bands_of_windows(outer: Sequence[Region], threads: int) -> Iterator[tuple[int, Region]]:
    """Yield (number of the window, band) for every band of every window."""
    for window, region in enumerate(outer):
        for band in bands_of(region, threads):
            yield window, band


def _planes(tile: Tile, window: int) -> Iterator[tuple[int, int]]:
    """Yield (number of the plane in the workspace, number of the plane in the picture) for a window's planes."""
    for plane in range(tile.first, tile.last):
        yield window * (tile.last - tile.first) + plane - tile.first, plane


def _band_image(region: Region, threads: int, kind: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Return an image that all bands of `region` use in turn: allocating memory costs as much as reading."""
    return np.empty((band_rows(region.height, region.width, threads), region.width), dtype=kind)


def _in_threads(threads: int, share: Callable[[int], None]) -> None:
    """Call share(0) … share(threads - 1), each in its own thread; return when all have finished."""
    if threads == 1:
        share(0)
        return
    with ThreadPoolExecutor(threads, "mlsolve-loader") as pool:
        for done in [pool.submit(share, first) for first in range(threads)]:
            done.result()
