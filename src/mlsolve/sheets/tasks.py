"""A finished run, and the files that are to be made of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError, OptionError
from ..job.depths import print_scales
from ..job.job import Job
from ..job.job_file import load_job
from ..job.print_size import INCH
from ..pictures.picture_files import Picture, open_picture
from ..scoring.layer_files import layer_files
from .inks import FilmInks, Intent
from .plan import Plan, Side, millimetres, sheet_plan
from .rows import LayerRows
from .screens import Screen
from .sheet_files import margin_of
from .shop import Shop


@dataclass(frozen=True)
class Wanted:
    """What is asked for besides the shop."""

    dpi: float | None = None
    """Pixels per inch of layers that do not say; else as they say."""
    profile: Path | None = None
    intent: Intent = "relative"
    split: tuple[int, int] = (1, 1)
    """Columns and rows that each sheet is cut into."""
    memory: int | None = None
    threads: int | None = None
    overwrite: bool = False
    progress: Callable[[float], None] = lambda share: None


@dataclass(frozen=True)
class Task:
    """A sheet, or a part of one, and its file."""

    name: str
    picture: Picture
    dpi: float
    plan: Plan
    rows: LayerRows
    margin: int
    title: str
    ink: int = 0
    screen: Screen | None = None
    part: tuple[int, int] = (1, 1)
    """Row and column of the part, from 1."""


@dataclass
class Run:
    """A finished run."""

    folder: Path
    job: Job
    pictures: list[Picture]
    dpi: list[float]
    digest: str
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What sheets say of the run."""
        return f"{self.folder.absolute().name}   ·   {self.digest}"


def run_in(folder: Path, dpi: float | None) -> Run:
    """Return the run in `folder`; dpi: of layers that do not say."""
    files = layer_files(folder)
    job = load_job(folder / "job.toml")
    pictures = [open_picture(path) for path in files]
    try:
        found = (folder / "result.json").read_bytes() + (folder / "job.toml").read_bytes()
    except OSError:
        raise InputError(f"{folder} contains no result.json: give the folder that mlsolve run wrote") from None
    if job.dpi is not None and dpi is not None and abs(job.dpi - dpi) > 0.01:
        raise OptionError(
            f"dpi is {dpi:g}, the layers have {job.dpi:g}: leave --dpi out, or solve again with mlsolve run "
            f"--dpi {dpi:g}"
        )
    first = job.dpi if dpi is None else dpi
    if first is None:
        raise OptionError(f"{folder} does not say how large it is printed: give --dpi, as in --dpi 100")
    # A sheet that is printed larger for the viewer has fewer pixels to the inch.
    scales = print_scales(job.options, job.arrangements, len(files))
    digest = hashlib.sha256(found).hexdigest()[:8]
    return Run(folder, job, pictures, [first / scale for scale in scales], digest)


def tasks_of(run: Run, shop: Shop, wanted: Wanted, inks: FilmInks | None) -> list[Task]:
    """Return all files that are to be written."""
    (columns, rows), count = wanted.split, len(run.pictures)
    if (columns, rows) != (1, 1):
        moved = any(not one.still for lain in run.job.arrangements for one in lain.placed(count))
        if moved:
            raise OptionError(
                "split is given, and sheets are turned, flipped or shifted: only unmoved sheets can be split"
            )
        if shop.paper is not None:
            raise OptionError(f"split is given, and {shop.name} tiles sheets over pages: leave --split out")
        if max(columns, rows) > 2 and len(set(run.dpi)) > 1:
            raise OptionError(
                f"split is {columns}x{rows}, and deeper sheets are printed larger for the viewer, so that only "
                "cuts through the middle coincide: give 2x1, 1x2 or 2x2"
            )
    found, width, height = list[Task](), *run.pictures[0].size
    suffix = "tif" if shop.kind == "tiff" else "pdf"
    inks_of = (None,) if inks is None else inks.names
    for number, (picture, dpi) in enumerate(zip(run.pictures, run.dpi, strict=True), start=1):
        for row in range(rows):
            for column in range(columns):
                window = (
                    *(width * column // columns, height * row // rows),
                    *(width * (column + 1) // columns, height * (row + 1) // rows),
                )
                size = in_millimetres(window, dpi)
                largest = in_millimetres(window, min(run.dpi))
                part = "" if (columns, rows) == (1, 1) else f"-r{row + 1}c{column + 1}"
                words = f", row {row + 1} of {rows}, column {column + 1} of {columns}" if part else ""
                joined = _joined(column, row, columns, rows)
                # Sheets of different sizes have one middle.
                larger = millimetres(1, dpi) - millimetres(1, min(run.dpi))
                beside = (window[0] - width / 2) * larger, (window[1] - height / 2) * larger
                for ink, name in enumerate(inks_of):
                    of_ink = "" if name is None else f", {name}"
                    plan = sheet_plan(number, count, size, largest, shop, run.name, words + of_ink, joined, beside)
                    margin = margin_of(shop.bleed, dpi)
                    bits = 16 if _deep(inks, wanted) else shop.bits
                    around = shop.bleed * dpi / INCH if run.job.shape == "disc" else None
                    layer = LayerRows(picture, window, margin, shop.edge, bits, around)
                    file = f"sheet-{number}{part}{'' if name is None else '-' + name}.{suffix}"
                    title = f"{run.folder.absolute().name} {run.digest}, sheet {number} of {count}{words}{of_ink}"
                    screen = None
                    if name is not None:
                        screen = Screen(shop, (number - 1) * len(inks_of) + ink, count * len(inks_of))
                    part_of = row + 1, column + 1
                    found.append(Task(file, picture, dpi, plan, layer, margin, title, ink, screen, part_of))
    run.notes += (
        [f"the sheets are too small for {', '.join(found[0].plan.omitted)}"] if found[0].plan.omitted else []
    )
    return found


def _joined(column: int, row: int, columns: int, rows: int) -> tuple[Side, ...]:
    """Return the sides of a part where others join it."""
    sides: list[tuple[Side, bool]] = [
        ("left", column > 0),
        ("top", row > 0),
        ("right", column + 1 < columns),
        ("bottom", row + 1 < rows),
    ]
    return tuple(side for side, joins in sides if joins)


def _deep(inks: FilmInks | None, wanted: Wanted) -> bool:
    """Tell whether rows are read in 16 bits, because they are converted."""
    return inks is not None or wanted.profile is not None


def in_millimetres(window: tuple[int, ...], dpi: float) -> tuple[float, float]:
    """Return width and height of a window."""
    return millimetres(window[2] - window[0], dpi), millimetres(window[3] - window[1], dpi)
