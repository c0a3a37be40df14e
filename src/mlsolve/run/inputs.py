"""Picture files and generated guides, fitted to the size of the print region by region, as codes in the store."""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.region import Region
from mlsolve_kernels.resample.cpu import area_taps, cubic_taps, resample, span

from ..errors import InputError
from ..guides import Drawing, generated
from ..job.job import Job, parse_generated
from ..pictures.colour import light_from_srgb, srgb_from_light
from ..pictures.picture_files import Picture
from ..pictures.resize import Geometry, fit_geometry
from ..solving.decoding import decode_into
from ..solving.executors.base import Executor
from ..solving.level_pictures import HIGHEST, as_codes, name_of
from ..solving.spec import Spec
from ..solving.store import Array, Store
from ..solving.tiles import tiles_of

CodeArray = npt.NDArray[np.uint16]

WHITE: Final = 65535

_OF_EIGHT_BITS: Final = np.uint16(257)
"""Factor from 8-bit to 16-bit code values."""

_SPOOL: Final = "pictures/file-{}"


def _spool(store: Store, number: int, picture: Picture) -> None:
    """Decode `picture` into `store`, with the facts a task needs."""
    name = _SPOOL.format(number)
    decode_into(store, name, picture)
    stored = list(picture.stored_size)
    store.save(name + "-facts", {"planes": picture.planes, "stored": stored, "orientation": picture.orientation})


def fit_tile(store: Store, number: int, fit: str, region: Region) -> None:
    """Task: fit `region` of a decoded picture to the size of the print, as `resize.fit_image` does."""
    spec = Spec.load(store)
    name = _SPOOL.format(number)
    facts = store.load(name + "-facts")
    source = _Upright(store.open(name), tuple(facts["stored"]), facts["orientation"])
    height, width = spec.shapes[-1]
    geometry = fit_geometry(source.size, (width, height), fit)  # type: ignore[arg-type]
    with store.open(name_of(spec.levels, number)).tile((), region) as tile:
        fitted = (_fitted(source, plane, geometry, region) for plane in range(facts["planes"]))
        if spec.picture_planes[number] < facts["planes"]:  # weights of pixels, which have no colour
            total = sum(codes.astype(np.uint32) for codes in fitted)
            tile.put((0,), np.asarray(total // facts["planes"], dtype=np.uint16))
            return
        for plane, codes in enumerate(fitted):
            tile.put((plane,), codes)


def draw_tile(store: Store, number: int, guide: str, region: Region) -> None:
    """Task: draw `region` of a generated guide, "FAMILY:SEED:PALETTE"."""
    spec = Spec.load(store)
    height, width = spec.shapes[-1]
    family, seed, palette = parse_generated(guide)
    drawn = _drawing(family, (width, height), seed, palette).region(*region)
    with store.open(name_of(spec.levels, number)).tile((), region) as tile:
        for plane in range(drawn.shape[2]):
            tile.put((plane,), drawn[..., plane].astype(np.uint16) * _OF_EIGHT_BITS)


@lru_cache(1)
def _drawing(family: str, size: tuple[int, int], seed: int, palette: str | None) -> Drawing:
    """Return a generated guide; the last one is cached for its next tile."""
    return generated(family, size, seed, palette)


def make_pictures(
    store: Store,
    job: Job,
    files: dict[Path, Picture],
    executor: Executor,
    side: int,
    tell: Callable[[int, float], None],
) -> None:
    """Put targets, guides and masks at full size into `store`, which holds the spec; skip those already there.

    files: the opened pictures of `job`. side: of the tiles, in pixels. tell: called with the number of a picture
    and the share of it that is done.
    """
    spec = Spec.load(store)
    shape = spec.shapes[-1]
    regions = list(tiles_of(shape, (side, side)))
    for number, entry in enumerate(job.entries):
        done = f"pictures/picture-{number}-done"
        if store.has(done):
            continue
        tell(number, 0.0)
        planes = spec.picture_planes[number]
        sides = min(side, shape[0]), min(side, shape[1])
        store.create(name_of(spec.levels, number), (planes, *shape), np.uint16, sides)
        calls: list[tuple[Any, ...]]
        if isinstance(entry, Path):
            _spool(store, number, files[entry])
            tell(number, 0.3)
            task: Callable[..., None] = fit_tile
            calls = [(store, number, job.fit, region) for region in regions]
        else:
            task, calls = draw_tile, [(store, number, entry, region) for region in regions]
        for count, _ in enumerate(executor.map(task, calls), start=1):
            tell(number, 0.3 + 0.7 * count / len(calls))
        _drawing.cache_clear()
        store.remove(_SPOOL.format(number))
        store.remove(_SPOOL.format(number) + "-facts")
        store.flush()
        store.save(done, {})


def digest_of(path: Path) -> dict[str, Any]:
    """Return what identifies the content of a file: its size in bytes and its SHA-256."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return {"bytes": file.tell(), "sha256": digest.hexdigest()}
    except FileNotFoundError:
        raise InputError(f"{path} no longer exists: restore it, or run again") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


class _Upright:
    """A decoded picture, upright whichever way it is stored (EXIF 2.3, §4.6.4)."""

    def __init__(self, array: Array, stored: tuple[int, int], orientation: int) -> None:
        self._array, self._stored, self._orientation = array, stored, orientation
        self._sideways = orientation in (5, 6, 7, 8)
        self.size = stored[::-1] if self._sideways else stored

    def read(self, plane: int, region: Region) -> CodeArray:
        """Return a region (h, w) of a plane."""
        top, bottom, left, right = region
        width, height = self.size
        # Undone in the opposite order of picture_files.upright: columns, rows, then the axes.
        if self._orientation in (2, 3, 6, 7):
            left, right = width - right, width - left
        if self._orientation in (3, 4, 7, 8):
            top, bottom = height - bottom, height - top
        stored = Region(left, right, top, bottom) if self._sideways else Region(top, bottom, left, right)
        part = self._array.read((plane,), stored, np.empty((stored.height, stored.width), dtype=np.uint16))
        if self._sideways:
            part = part.T
        if self._orientation in (3, 4, 7, 8):
            part = part[::-1]
        if self._orientation in (2, 3, 6, 7):
            part = part[:, ::-1]
        return part


def _fitted(source: _Upright, plane: int, geometry: Geometry, region: Region) -> CodeArray:
    """Return `region` of a plane of the print: the part of `source` that covers it, white beside it."""
    part_left, part_top, part_width, part_height = geometry.part
    inner_left, inner_top, inner_width, inner_height = geometry.inner
    result = np.full((region.height, region.width), WHITE, dtype=np.uint16)
    top, bottom = max(region.top, inner_top), min(region.bottom, inner_top + inner_height)
    left, right = max(region.left, inner_left), min(region.right, inner_left + inner_width)
    if top >= bottom or left >= right:
        return result
    inside = result[top - region.top : bottom - region.top, left - region.left : right - region.left]
    top, bottom, left, right = top - inner_top, bottom - inner_top, left - inner_left, right - inner_left
    if geometry.identity:
        inside[...] = source.read(
            plane, Region(part_top + top, part_top + bottom, part_left + left, part_left + right)
        )
        return result
    taps = area_taps if geometry.shrinks else cubic_taps
    rows = taps(part_height, inner_height, top, bottom, part_top)
    columns = taps(part_width, inner_width, left, right, part_left)
    (first_row, last_row), (first_column, last_column) = span(rows), span(columns)
    codes = source.read(plane, Region(first_row, last_row, first_column, last_column))
    values = codes.astype(np.float32) / HIGHEST
    if geometry.shrinks:
        values = np.asarray(light_from_srgb(values), dtype=np.float32)
    found = resample(values[np.newaxis], (first_row, first_column), rows, columns)[0]
    inside[...] = as_codes(srgb_from_light(np.clip(found, 0, 1)) if geometry.shrinks else found)
    return result
