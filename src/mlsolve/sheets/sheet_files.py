"""Writes one file of a sheet: PDF, TIFF, or a PDF with the binary film of one ink."""

import math
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..job.print_size import INCH
from ..pictures.writers.png import compressed_rows
from ..pictures.writers.tiff import TiffWriter
from ..system.files import Partial, refusals
from .document import BLACK, Canvas, Document, OutputColours
from .inks import FilmInks
from .marks import draw, marks_of
from .output_profile import grey_output_profile
from .plan import Box, Plan
from .rows import BAND, LayerRows, Rows
from .screens import Screen
from .tiling import tiled_pages

AHEAD: Final = 2
"""Bands that wait for each thread."""


@dataclass(frozen=True)
class Sheet:
    """A sheet that is to be written."""

    plan: Plan
    title: str
    rows: LayerRows
    """The layer, with a margin of `margin` pixels."""
    margin: int
    dpi: float
    colours: OutputColours
    convert: Callable[[Rows], Rows]
    """Turns rows as `rows` gives them into codes of `colours`."""
    bits: int
    threads: int = 1
    progress: Callable[[float], None] = lambda share: None

    @property
    def placed(self) -> Box:
        """Where the picture with its margin is, in mm."""
        return self.plan.picture.grown(self.margin * INCH / self.dpi)

    def bands(self) -> Iterator[Rows]:
        """Yield the codes of the picture with its margin."""
        done, height = 0, self.rows.size[1]
        for band in self.rows.bands():
            yield self.convert(band)
            done += len(band)
            self.progress(done / height)


def margin_of(bleed: float, dpi: float) -> int:
    """Return the pixels that cover `bleed` mm."""
    return math.ceil(round(bleed * dpi / INCH, 6))


def write_pdf(path: Path, sheet: Sheet, paper: tuple[tuple[float, float], float, float] | None = None) -> None:
    """Write `sheet` to `path` as PDF/X-4, completely or not at all.

    paper: its size, margin and overlap in mm, to tile the sheet over several pages. Raises OutputError if it cannot
    be written, InputError for a damaged layer.
    """
    plan, black = sheet.plan, BLACK[sheet.colours.name]
    with refusals(path):
        partial = Partial(path)
        try:
            document = Document(partial.file, sheet.title, sheet.colours)
            picture = document.picture(sheet.rows.size, sheet.bits, _compressed(sheet))
            if paper is not None:
                tiled_pages(document, plan, sheet.title, lambda canvas: _drawn(canvas, picture, sheet), *paper)
            else:
                canvas = Canvas(plan.page, (plan.bleed, plan.bleed), plan.mirrored, black)
                _drawn(canvas, picture, sheet)
                document.page(plan.page, Box(plan.bleed, plan.bleed, *plan.trim), canvas)
            document.finish()
            partial.keep()
        finally:
            partial.discard()


def _drawn(canvas: Canvas, picture: int, sheet: Sheet) -> None:
    """Draw picture and marks of a sheet, with (0, 0) at the corner of the trimmed sheet."""
    canvas.picture(picture, sheet.placed, sheet.plan.printed)
    canvas.marks(marks_of(sheet.plan))


def _compressed(sheet: Sheet) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Yield the rows of a sheet compressed, in their order, by several threads."""

    def one(band: Rows) -> tuple[bytes, tuple[int, int]]:
        data, checked, _ = compressed_rows(band)
        return data, checked

    waiting: deque[Future[tuple[bytes, tuple[int, int]]]] = deque()
    with ThreadPoolExecutor(sheet.threads, "mlsolve-sheets") as pool:
        try:
            for band in sheet.bands():
                waiting.append(pool.submit(one, band))
                if len(waiting) >= AHEAD * sheet.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def write_tiff(path: Path, sheet: Sheet) -> None:
    """Write `sheet` to `path` as TIFF, completely or not at all. Raises errors as `write_pdf`."""
    colours = sheet.colours
    size = _pixels(sheet.plan.page, sheet.dpi)
    tagged = colours.profile is not None
    # Of RGB the usual profile of sRGB; that of an output device is what PDF/X asks for.
    profile = None if colours.name == "rgb" else colours.profile
    with TiffWriter(path, size, colours.planes, sheet.bits, sheet.dpi, tagged, profile) as writer:
        for band in _page_rows(sheet, size):
            writer.write(band)


def _page_rows(sheet: Sheet, size: tuple[int, int]) -> Iterator[Rows]:
    """Yield the rows of a whole page with picture and marks."""
    plan, dpi = sheet.plan, sheet.dpi
    planes = sheet.colours.planes
    kind = np.uint8 if sheet.bits == 8 else np.uint16
    highest = np.iinfo(kind).max
    clear, black = (0, np.array([0, 0, 0, highest], kind)) if planes == 4 else (highest, np.zeros(planes, kind))
    seen = _window(plan, dpi, size)
    left, top = (
        round((plan.bleed + side) * dpi / INCH) - sheet.margin for side in (plan.picture.x, plan.picture.y)
    )
    marks = marks_of(plan)
    coming = _single_rows(sheet.bands(), -top)
    for start in range(0, size[1], BAND):
        page = np.full((min(BAND, size[1] - start), size[0], planes), clear, kind)
        for line in range(len(page)):
            y = start + line
            if not max(seen.y, top) <= y < min(seen.y + seen.height, top + sheet.rows.size[1]):
                if top <= y < top + sheet.rows.size[1]:
                    next(coming, None)
                continue
            row = next(coming)
            first, last = max(int(seen.x), left), min(int(seen.x + seen.width), left + len(row))
            page[line, first:last] = row[first - left : last - left]
        drawn = np.zeros(page.shape[:2], np.uint8)
        draw(marks, drawn, start, dpi, (-plan.bleed, -plan.bleed))
        page[drawn == 1] = black
        yield np.ascontiguousarray(page[:, ::-1]) if plan.mirrored else page


def _single_rows(bands: Iterator[Rows], skipped: int) -> Iterator[Rows]:
    """Yield rows one by one, without those that are above the page."""
    for band in bands:
        yield from band[max(0, skipped) :]
        skipped -= len(band)


def _window(plan: Plan, dpi: float, size: tuple[int, int]) -> Box:
    """Return which pixels of a page the picture and its bleed cover."""
    box = plan.printed
    left, top, right, bottom = (
        round((plan.bleed + place) * dpi / INCH) for place in (box.x, box.y, box.x + box.width, box.y + box.height)
    )
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])
    return Box(left, top, right - left, bottom - top)


def write_film(path: Path, sheet: Sheet, inks: FilmInks, ink: int, screen: Screen, device_dpi: float) -> None:
    """Write the binary film of ink number `ink` to `path`: black where there is to be ink, marks too.

    Raises errors as `write_pdf`.
    """
    plan = sheet.plan
    size = _pixels(plan.page, device_dpi)
    grey = OutputColours("grey", grey_output_profile(), "Film, binary")
    with refusals(path):
        partial = Partial(path)
        try:
            document = Document(partial.file, sheet.title, grey)
            bitmap = document.bitmap(size, _deflated(_film_rows(sheet, inks, ink, screen, device_dpi, size)))
            canvas = Canvas(plan.page, black="")
            # The box is as large as its pixels, which may exceed the page by a part of one.
            canvas.picture(bitmap, Box(0.0, 0.0, size[0] * INCH / device_dpi, size[1] * INCH / device_dpi))
            document.page(plan.page, Box(plan.bleed, plan.bleed, *plan.trim), canvas)
            document.finish()
            partial.keep()
        finally:
            partial.discard()


def _film_rows(
    sheet: Sheet, inks: FilmInks, ink: int, screen: Screen, device_dpi: float, size: tuple[int, int]
) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield bands of a film, (h, width) bool, true where there is ink."""
    plan, box = sheet.plan, sheet.placed
    marks = marks_of(plan)
    columns = _sources(size[0], device_dpi, plan.bleed + box.x, sheet.dpi, sheet.rows.size[0])
    lines = _sources(size[1], device_dpi, plan.bleed + box.y, sheet.dpi, sheet.rows.size[1])
    wide = np.flatnonzero(columns >= 0)
    coming = (inks.coverage(band)[..., ink] for band in sheet.rows.bands())
    held, first = np.empty((0, sheet.rows.size[0]), np.uint16), 0
    for top in range(0, size[1], BAND):
        rows = lines[top : top + BAND]
        drawn = np.zeros((len(rows), size[0]), np.uint8)
        draw(marks, drawn, top, device_dpi, (-plan.bleed, -plan.bleed))
        found = drawn == 1
        inside = np.flatnonzero(rows >= 0)
        if inside.size:
            low, high = int(rows[inside[0]]), int(rows[inside[-1]])
            while first + len(held) <= high:
                dropped = min(max(0, low - first), len(held))
                held, first = np.concatenate((held[dropped:], next(coming))), first + dropped
            sheet.progress((top + len(rows)) / size[1])
            wanted = held[(rows[inside] - first)[:, np.newaxis], columns[wide]]
            dots = screen.ink(_placed(wanted, wide, size[0]), top + int(inside[0]))
            found[inside[0] : inside[-1] + 1, wide[0] : wide[-1] + 1] |= dots[:, wide[0] : wide[-1] + 1]
        yield found[:, ::-1] if plan.mirrored else found


def _placed(wanted: npt.NDArray[np.uint16], wide: npt.NDArray[np.intp], width: int) -> npt.NDArray[np.uint16]:
    """Return coverage over the whole width of a film, 0 beside the picture."""
    found = np.zeros((len(wanted), width), np.uint16)
    found[:, wide[0] : wide[-1] + 1] = wanted
    return found


def _sources(count: int, device_dpi: float, start: float, dpi: float, size: int) -> npt.NDArray[np.intp]:
    """Return which pixel of a layer each of `count` pixels of a device shows, -1 beside it.

    start: where the layer begins, in mm.
    """
    middles = (np.arange(count) + 0.5) * INCH / device_dpi
    places = np.floor((middles - start) * dpi / INCH + 1e-9).astype(np.intp)
    return np.where((places >= 0) & (places < size), places, -1)


def _deflated(bands: Iterator[npt.NDArray[np.bool_]]) -> Iterator[bytes]:
    """Yield a compressed stream of bits, 0 where there is ink."""
    stream = zlib.compressobj(6)
    for band in bands:
        yield stream.compress(np.packbits(~band, axis=1).data)
    yield stream.flush()


def _pixels(size: tuple[float, float], dpi: float) -> tuple[int, int]:
    """Return the pixels that cover `size` in mm."""
    width, height = (max(1, round(side * dpi / INCH)) for side in size)
    return width, height
