"""A chart: its layout, its device codes, its files."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import InputError, OptionError, OutputError
from ..pictures.picture_files import TiffWriter, write_pdf
from ..ranges import number
from ..system.files import refusals, write_bytes
from .drawing import INCH, Image, draw
from .layout import Layout, arrange

FORMATS: Final = ("pdf", "tiff", "both")
LAYOUT: Final = "chart.json"
_SUFFIXES: Final = (".pdf", ".tif", ".tiff")
_OTHERS: Final = (".png", ".jpg", ".jpeg", ".webp", ".svg", ".json", ".csv")
"""Endings of files that a chart is not written as."""
MIN_DPI, MAX_DPI = 72, 2400


@dataclass(frozen=True)
class Chart:
    """A page to print and to measure."""

    layout: Layout
    dpi: float = 300.0

    @cached_property
    def codes(self) -> Image:
        """The device codes that are printed, (H, W, C) uint8, 255 without ink."""
        return draw(self.layout, self.dpi)

    def cut_and_laid(self, sheet: npt.NDArray[Any], air: float = 1.0) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return a printed sheet with its strip cut out, and the strip as it is laid over; both (H, W, …).

        What is below the strip is thrown away.

        sheet: anything of the size of `codes`, as transmittances. air: the value where there is no film.
        """
        scale = self.dpi / INCH
        cut, end = (round(line * scale) for line in self.layout.cut)
        down = round((self.layout.strip[1] - self.layout.laid[1]) * scale)
        below, over = sheet.copy(), np.full_like(sheet, air)
        below[cut:] = air
        over[cut - down : end - down] = sheet[cut:end]
        return below, over

    def save(self, out: Path, kind: str | None = None, overwrite: bool = False) -> list[Path]:
        """Write the chart as pdf, tiff or both (None: as both, or as `out` says), and its layout; return the files.

        out: a folder, which is made, for chart.pdf, chart.tif, chart.json and chart.csv, a table to fill in; or one
        file NAME.pdf or NAME.tif, with NAME.json and NAME.csv beside it. Raises OptionError for a file of another
        kind, and OutputError if a file cannot be written, or is there already.
        """
        suffix = out.suffix.lower()
        if suffix in _OTHERS and not out.is_dir():
            raise OptionError(f"out is {out}: give a folder, or a file NAME.pdf or NAME.tif")
        if suffix in _SUFFIXES and kind is not None:
            raise OptionError(f"format is {kind} beside the file {out}: leave format out, or give a folder")
        if suffix in _SUFFIXES:
            pages, layout = [out], out.with_suffix(".json")
        else:
            endings = {"pdf": ("pdf",), "tiff": ("tif",)}.get(kind or "both", ("pdf", "tif"))
            pages = [out / f"chart.{ending}" for ending in endings]
            layout = out / LAYOUT
        table = layout.with_suffix(".csv")
        for path in (*pages, layout, table):
            if path.exists() and not overwrite:
                raise OutputError(f"{path} exists already: choose another --out or add --overwrite")
        if table.exists() and _filled(table):
            raise OutputError(f"{table} holds measurements: move it away, or choose another --out")
        with refusals(layout):
            layout.parent.mkdir(parents=True, exist_ok=True)
        for path in pages:
            if path.suffix.lower() == ".pdf":
                write_pdf(path, self.codes, self.dpi)
                continue
            height, width, planes = self.codes.shape
            with TiffWriter(path, (width, height), planes, 8, self.dpi) as writer:
                writer.write(self.codes)
        write_bytes(layout, self.layout.text().encode())
        write_bytes(table, self.layout.table().encode())
        return [*pages, layout, table]


def _filled(table: Path) -> bool:
    """Return whether something was written into a table of a chart: its rows end in three empty cells."""
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()[1:]
    except (OSError, UnicodeDecodeError):
        return True
    return any(line.rstrip() and not line.rstrip().endswith((",,,", ";;;")) for line in lines)


def make(channels: str = "rgb", paper: str = "A4", dpi: float = 300.0, seed: int = 0) -> Chart:
    """Return a chart. channels: grey or rgb. paper: A4, letter or roll-WIDTHmm. Raises OptionError."""
    return Chart(arrange(channels, paper, seed), number("dpi", dpi, MIN_DPI, MAX_DPI))


def load(path: Path, dpi: float = 300.0) -> Chart:
    """Return the chart of a chart.json, or of the folder that holds one. Raises InputError."""
    path = path / LAYOUT if path.is_dir() else path
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give the chart.json that mlsolve chart wrote") from None
    return Chart(Layout.parse(text, str(path)), dpi)
