"""Makes the sheets for a shop from the output folder of a run."""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import InputError, OptionError, OutputError
from ..job.depths import print_scales
from ..job.job import Job
from ..job.job_file import load_job
from ..pictures.picture_files import Picture, open_picture, write_bytes
from ..report.folder import check_output, staged
from ..scoring.layer_files import layer_files
from ..system.memory import available_memory, in_words, return_memory_early
from .assembly import write_assembly
from .document import OutputColours, srgb
from .inks import CmykProfile, FilmInks, Intent, film_inks, load_profile
from .order import order_text
from .plan import Plan, millimetres, sheet_plan
from .rows import BAND, LayerRows, Rows
from .screens import Screen
from .sheet_files import AHEAD, Sheet, margin_of, write_film, write_pdf, write_tiff
from .shop import Shop
from .stopping import obeyed_between
from .tiling import tiles

OURS: Final = re.compile(
    r"sheet-\d+(?:-r\d+c\d+)?(?:-(?:cyan|magenta|yellow|black))?\.(?:pdf|tif)|assembly\.pdf|for-the-shop\.txt"
)
"""Names of the files that are written into the folder."""

_DEFAULT_MEMORY: Final = 1 << 30
_MARKS: Final = 64 << 10
"""Bytes of a file besides its picture: marks, text, a profile of sRGB."""


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
class Written:
    """What was written."""

    files: tuple[str, ...]
    plan: Plan
    """Of the first sheet."""
    dpi: float
    colours: str
    pages: int
    """Pages of paper for each sheet."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Task:
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


@dataclass
class _Run:
    """A finished run."""

    folder: Path
    job: Job
    pictures: list[Picture]
    dpi: list[float]
    digest: str
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What sheets say of the run."""
        return f"{self.folder.absolute().name}   ·   {self.digest}"


def make_sheets(folder: Path, out: Path, shop: Shop, wanted: Wanted) -> Written:
    """Write the sheets of the run in `folder`, for `shop`, into the folder `out`, all of them or none.

    Everything is checked before anything is written. Raises InputError for a run, layer or profile that cannot be
    used, OptionError for what the shop does not take, with the way out, and OutputError if `out` cannot be written.
    """
    check_output(out, wanted.overwrite, OURS)
    if out.resolve() == folder.resolve():
        raise OutputError(f"{out} is the folder of the run: choose another --out")
    run = _run(folder, wanted.dpi)
    profile = None if wanted.profile is None else load_profile(wanted.profile, wanted.intent)
    if profile is not None and shop.paper is not None:
        raise OptionError(f"profile is {wanted.profile}, and {shop.name} prints RGB on paper: leave --profile out")
    colours = srgb() if profile is None else profile.colours
    if run.job.media is not None:
        if profile is not None:
            raise OptionError(
                f"profile is {wanted.profile}, and the layers are device codes for {run.job.media}: leave it out, "
                "or solve again without --media"
            )
        named = Path(str(run.job.media)).stem
        colours = OutputColours("rgb", None, f"RGB as the printer takes it, for {named}")
        run.notes.append(
            f"the colours are the printer's own codes, for {named}: print them without colour management, and let "
            "nothing convert them; the files declare no profile on purpose"
        )
    if shop.colour == "cmyk" and profile is None and run.job.media is None:
        run.notes.append(
            f"{shop.name} takes CMYK: without --profile the files are RGB (sRGB), ask the shop for its ICC profile"
        )
    inks = None
    if shop.colour == "films":
        grey = all(one.planes == 1 for one in run.pictures)
        inks = film_inks(grey, profile, run.job.media is not None)
    tasks = _tasks(run, shop, wanted, inks)
    _check(run, tasks, shop, colours)
    threads = _threads(tasks, wanted, 4 if profile is not None else 3)
    return_memory_early()
    with staged(out, wanted.overwrite, OURS) as stage, obeyed_between() as check:
        for number, task in enumerate(tasks):
            sheet = Sheet(
                task.plan,
                task.title,
                task.rows,
                task.margin,
                task.dpi,
                colours,
                _conversion(profile if inks is None else None, shop.bits),
                shop.bits,
                threads,
                _progress(wanted.progress, check, number, len(tasks)),
            )
            _write(stage / task.name, sheet, task, shop, inks)
            size = (stage / task.name).stat().st_size
            shop.check_file(task.name, size, task.dpi)
        names = tuple(task.name for task in tasks)
        dpi = shop.device_dpi if inks is not None else run.dpi[0]
        screens = [f"{task.name}   {task.screen.described()}" for task in tasks if task.screen is not None]
        described = colours.described if inks is None else "binary films, solid black"
        plans = [task.plan for task in tasks]
        text = order_text(run.name, shop, plans, names, dpi, described, screens, run.notes)
        write_bytes(stage / "for-the-shop.txt", text.encode())
        write_assembly(stage / "assembly.pdf", folder, run.job, run.name, plans[0], run.dpi[0])
    pages = len(tiles(plans[0].trim, shop.paper, shop.margin, shop.overlap)) if shop.paper is not None else 1
    return Written((*names, "assembly.pdf", "for-the-shop.txt"), plans[0], dpi, described, pages, tuple(run.notes))


def _progress(
    listener: Callable[[float], None], check: Callable[[], None], number: int, count: int
) -> Callable[[float], None]:
    """Return what is called with the share of file `number` of `count` that is done."""

    def heard(share: float) -> None:
        check()
        listener((number + share) / count)

    return heard


def _write(path: Path, sheet: Sheet, task: _Task, shop: Shop, inks: FilmInks | None) -> None:
    """Write one file."""
    if inks is not None and task.screen is not None:
        write_film(path, sheet, inks, task.ink, task.screen, shop.device_dpi)
    elif shop.kind == "tiff":
        write_tiff(path, sheet)
    else:
        write_pdf(path, sheet, None if shop.paper is None else (shop.paper, shop.margin, shop.overlap))


def _run(folder: Path, dpi: float | None) -> _Run:
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
    return _Run(folder, job, pictures, [first / scale for scale in scales], digest)


def _tasks(run: _Run, shop: Shop, wanted: Wanted, inks: FilmInks | None) -> list[_Task]:
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
    found, width, height = list[_Task](), *run.pictures[0].size
    suffix = "tif" if shop.kind == "tiff" else "pdf"
    inks_of = (None,) if inks is None else inks.names
    for number, (picture, dpi) in enumerate(zip(run.pictures, run.dpi, strict=True), start=1):
        for row in range(rows):
            for column in range(columns):
                window = (
                    *(width * column // columns, height * row // rows),
                    *(width * (column + 1) // columns, height * (row + 1) // rows),
                )
                size = _in_millimetres(window, dpi)
                largest = _in_millimetres(window, min(run.dpi))
                part = "" if (columns, rows) == (1, 1) else f"-r{row + 1}c{column + 1}"
                words = f", row {row + 1} of {rows}, column {column + 1} of {columns}" if part else ""
                for ink, name in enumerate(inks_of):
                    of_ink = "" if name is None else f", {name}"
                    plan = sheet_plan(number, count, size, largest, shop, run.name, words + of_ink)
                    margin = margin_of(shop.bleed, dpi)
                    layer = LayerRows(picture, window, margin, shop.edge, 16 if _deep(inks, wanted) else shop.bits)
                    file = f"sheet-{number}{part}{'' if name is None else '-' + name}.{suffix}"
                    title = f"{run.folder.absolute().name} {run.digest}, sheet {number} of {count}{words}{of_ink}"
                    screen = None
                    if name is not None:
                        screen = Screen(shop, (number - 1) * len(inks_of) + ink, count * len(inks_of))
                    found.append(_Task(file, picture, dpi, plan, layer, margin, title, ink, screen))
    run.notes += (
        [f"the sheets are too small for {', '.join(found[0].plan.omitted)}"] if found[0].plan.omitted else []
    )
    return found


def _deep(inks: FilmInks | None, wanted: Wanted) -> bool:
    """Tell whether rows are read in 16 bits, because they are converted."""
    return inks is not None or wanted.profile is not None


def _in_millimetres(window: tuple[int, ...], dpi: float) -> tuple[float, float]:
    """Return width and height of a window."""
    return millimetres(window[2] - window[0], dpi), millimetres(window[3] - window[1], dpi)


def _check(run: _Run, tasks: Sequence[_Task], shop: Shop, colours: OutputColours) -> None:
    """Raise OptionError for what the shop does not take."""
    for dpi in run.dpi:
        shop.check_dpi(dpi)
    for task in tasks:
        frame = 2 * (shop.border + shop.bleed)
        size = _in_millimetres((0, 0, *task.picture.size), min(run.dpi))
        shop.check_page(task.plan.page, (size[0] + frame, size[1] + frame))
        width, height = task.rows.size
        if task.screen is not None:
            pixels = task.plan.page[0] * task.plan.page[1] * (shop.device_dpi / 25.4) ** 2
            estimate = pixels / 8 * 0.6
        else:
            # A layer is as large in its own file: it is compressed in the same way.
            share = width * height / (task.picture.size[0] * task.picture.size[1])
            estimate = task.picture.path.stat().st_size * share * colours.planes / task.picture.planes
            estimate *= shop.bits / task.picture.bits
        shop.check_file(task.name, estimate + len(colours.profile or b"") + _MARKS, task.dpi)


def _threads(tasks: Sequence[_Task], wanted: Wanted, planes: int) -> int:
    """Return how many threads compress, as memory allows. Raises OptionError if there is not enough for one."""
    available = available_memory()
    budget = wanted.memory or (_DEFAULT_MEMORY if available is None else available // 2)
    most = wanted.threads or os.cpu_count() or 1
    need = max(task.rows.memory() for task in tasks)
    # A band in memory as it is read, converted, filtered and compressed, in up to 16 bits, and floats on the way.
    band = max(task.rows.size[0] for task in tasks) * BAND * planes * 2
    converting = band * 8 if wanted.profile is not None else 0
    films = max((_film_bytes(task) for task in tasks if task.screen is not None), default=0)
    each = band * (AHEAD + 4 if tasks[0].rows.bits == 16 else AHEAD + 2)
    least = need + converting + films + each
    if least > budget:
        raise OptionError(
            f"memory is {in_words(budget)}: sheets this wide need {in_words(least)}, give --memory that"
        )
    return max(1, min(most, 1 + (budget - least) // each))


def _film_bytes(task: _Task) -> int:
    """Return the bytes that a band of a film takes while its dots are computed."""
    assert task.screen is not None
    width = task.plan.page[0] / 25.4 * task.screen.device_dpi
    return int(width * BAND * 20)


def _conversion(profile: CmykProfile | None, bits: int) -> Callable[[Rows], Rows]:
    """Return what turns the rows of a layer into codes of the file."""
    if profile is None:
        return lambda rows: rows
    return lambda rows: profile.rows(rows, bits)
