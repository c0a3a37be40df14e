"""Writes one file of a sheet: PDF or TIFF."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from ..job.print_size import INCH
from ..pictures.writers.png import compressed_rows
from ..pictures.writers.tiff import TiffWriter
from ..system.files import Partial, refusals
from .document import BLACK, Canvas, Document, OutputColours
from .marks import draw, marks_of
from .plan import Box, Plan
from .rows import BAND, LayerRows, Rows
from .sizes import written_sizes
from .tiling import tiled_pages

AHEAD: Final = 2
"""Bands that wait for each thread."""


Given = TypeVar("Given")
Made = TypeVar("Made")


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

    return in_order(one, sheet.bands(), sheet.threads)


def in_order(work: Callable[[Given], Made], items: Iterable[Given], threads: int) -> Iterator[Made]:
    """Yield what `work` makes of each of `items`, in their order, by `threads` threads; AHEAD wait for each."""
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(threads, "mlsolve-sheets") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def write_tiff(path: Path, sheet: Sheet) -> None:
    """Write `sheet` to `path` as TIFF, completely or not at all. Raises errors as `write_pdf`."""
    colours = sheet.colours
    size = pixels_of(sheet.plan.page, sheet.dpi)
    tagged = colours.profile is not None
    # Of RGB the usual profile of sRGB; that of an output device is what PDF/X asks for.
    profile = None if colours.name == "rgb" else colours.profile
    words = f"{sheet.title}: {written_sizes(sheet.plan.trim, sheet.plan.bleed)}"
    with TiffWriter(path, size, colours.planes, sheet.bits, sheet.dpi, tagged, profile, words) as writer:
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


def pixels_of(size: tuple[float, float], dpi: float) -> tuple[int, int]:
    """Return the pixels that cover `size` in mm."""
    width, height = (max(1, round(side * dpi / INCH)) for side in size)
    return width, height
