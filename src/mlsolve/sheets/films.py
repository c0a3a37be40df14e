"""Writes the binary film of one ink of a sheet, as a PDF of one picture of bits."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..job.print_size import INCH
from ..pictures.writers.deflating import RAW, joined_adler
from ..pictures.writers.png import HEADER, LAST_BLOCK
from ..system.files import Partial, refusals
from .document import Canvas, Document, OutputColours
from .inks import FilmInks
from .marks import Mark, draw, marks_of
from .output_profile import grey_output_profile
from .plan import Box
from .rows import BAND
from .screens import Screen
from .sheet_files import Sheet, in_order, pixels_of

_LEVEL: Final = 4
"""Of Deflate: 6 makes films of dots a quarter smaller and takes three times as long (bench/LOG.md #274)."""


def write_film(path: Path, sheet: Sheet, inks: FilmInks, ink: int, screen: Screen) -> None:
    """Write the binary film of ink number `ink` to `path`: black where there is to be ink, marks too.

    Raises errors as `write_pdf`.
    """
    plan, dpi = sheet.plan, screen.device_dpi
    size = pixels_of(plan.page, dpi)
    grey = OutputColours("grey", grey_output_profile(), "Film, binary")
    with refusals(path):
        partial = Partial(path)
        try:
            document = Document(partial.file, sheet.title, grey)
            bitmap = document.bitmap(size, _stream(sheet, inks, ink, screen, size))
            canvas = Canvas(plan.page, black="")
            # The box is as large as its pixels, which may exceed the page by a part of one.
            canvas.picture(bitmap, Box(0.0, 0.0, size[0] * INCH / dpi, size[1] * INCH / dpi))
            document.page(plan.page, Box(plan.bleed, plan.bleed, *plan.trim), canvas)
            document.finish()
            partial.keep()
        finally:
            partial.discard()


@dataclass(frozen=True)
class _Band:
    """Rows of a film, and what their dots are made from."""

    top: int
    height: int
    first: int
    """The first of its rows on which the picture is."""
    which: npt.NDArray[np.intp]
    """Which row of `coverage` each row from there on shows."""
    coverage: npt.NDArray[np.uint16]
    """(n, width of the layer)."""


def _stream(sheet: Sheet, inks: FilmInks, ink: int, screen: Screen, size: tuple[int, int]) -> Iterator[bytes]:
    """Yield a compressed stream of bits, 0 where there is ink, made by several threads, band by band.

    Each band is a part of the stream of its own, so that its bytes do not depend on who made it.
    """
    marks = marks_of(sheet.plan)
    box, dpi = sheet.placed, screen.device_dpi
    columns = _sources(size[0], dpi, sheet.plan.bleed + box.x, sheet.dpi, sheet.rows.size[0])
    sums, done = list[tuple[int, int]](), 0
    yield HEADER

    def made(band: _Band) -> tuple[bytes, tuple[int, int], int]:
        bits = ~np.packbits(_dots(band, marks, columns, screen, sheet), axis=1)
        stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, RAW)
        data = stream.compress(bits.data) + stream.flush(zlib.Z_SYNC_FLUSH)
        return data, (zlib.adler32(bits.data), bits.size), band.height

    for data, checked, height in in_order(made, _bands(sheet, inks, ink, screen, size), sheet.threads):
        sums.append(checked)
        done += height
        sheet.progress(done / size[1])
        yield data
    yield LAST_BLOCK + joined_adler(sums).to_bytes(4, "big")


def _bands(sheet: Sheet, inks: FilmInks, ink: int, screen: Screen, size: tuple[int, int]) -> Iterator[_Band]:
    """Yield the bands of a film with the rows of the layer that they show."""
    box, dpi = sheet.placed, screen.device_dpi
    lines = _sources(size[1], dpi, sheet.plan.bleed + box.y, sheet.dpi, sheet.rows.size[1])
    coming = (inks.coverage(band)[..., ink] for band in sheet.rows.bands())
    held, first = np.empty((0, sheet.rows.size[0]), np.uint16), 0
    for top in range(0, size[1], BAND):
        rows = lines[top : top + BAND]
        inside = np.flatnonzero(rows >= 0)
        if not inside.size:
            yield _Band(top, len(rows), 0, inside, held[:0])
            continue
        low, high = int(rows[inside[0]]), int(rows[inside[-1]])
        while first + len(held) <= high:
            dropped = min(max(0, low - first), len(held))
            held, first = np.concatenate((held[dropped:], next(coming))), first + dropped
        yield _Band(top, len(rows), int(inside[0]), rows[inside] - low, held[low - first : high + 1 - first])


def _dots(
    band: _Band, marks: list[Mark], columns: npt.NDArray[np.intp], screen: Screen, sheet: Sheet
) -> npt.NDArray[np.bool_]:
    """Return where ink is on a band, (h, width) bool, with the marks."""
    plan = sheet.plan
    drawn = np.zeros((band.height, len(columns)), np.uint8)
    draw(marks, drawn, band.top, screen.device_dpi, (-plan.bleed, -plan.bleed))
    found = drawn.view(np.bool_)
    wide = np.flatnonzero(columns >= 0)
    if band.which.size and wide.size:
        left, right = int(wide[0]), int(wide[-1]) + 1
        wanted = screen.wanted(band.coverage)[:, columns[left:right]]
        rows = slice(band.first, band.first + len(band.which))
        found[rows, left:right] |= screen.rows(wanted, band.which, (left, band.top + band.first))
    return found[:, ::-1] if plan.mirrored else found


def _sources(count: int, device_dpi: float, start: float, dpi: float, size: int) -> npt.NDArray[np.intp]:
    """Return which pixel of a layer each of `count` pixels of a device shows, -1 beside it.

    start: where the layer begins, in mm.
    """
    middles = (np.arange(count) + 0.5) * INCH / device_dpi
    places = np.floor((middles - start) * dpi / INCH + 1e-9).astype(np.intp)
    return np.where((places >= 0) & (places < size), places, -1)
