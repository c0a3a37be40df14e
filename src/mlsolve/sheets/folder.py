"""Makes the sheets for a shop from the output folder of a run."""

import itertools
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import OptionError, OutputError
from ..pictures.picture_files import write_bytes
from ..report.folder import check_output, staged
from ..system.memory import available_memory, in_words, return_memory_early
from .assembly import write_assembly
from .document import OutputColours, srgb
from .films import write_film
from .inks import CmykProfile, FilmInks, film_inks, load_profile
from .inventory import Inventory, SheetFile
from .order import order_text
from .plan import Plan
from .rows import BAND, Rows
from .sheet_files import AHEAD, Sheet, write_pdf, write_tiff
from .shop import Shop
from .stopping import obeyed_between
from .tasks import Run, Task, Wanted, in_millimetres, run_in, tasks_of
from .tiling import page_of, tiles

OURS: Final = re.compile(
    r"sheet-\d+(?:-r\d+c\d+)?(?:-(?:cyan|magenta|yellow|black))?\.(?:pdf|tif)|assembly\.pdf|for-the-shop\.txt"
)
"""Names of the files that are written into the folder."""

_TOO_CLOSE: Final = 0.5
"""Degrees between two screens, below which their dots coincide over centimetres."""
_DEFAULT_MEMORY: Final = 1 << 30
_MARKS: Final = 64 << 10
"""Bytes of a file besides its picture: marks, text, a profile of sRGB."""


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
    warnings: tuple[str, ...] = ()
    """What the shop asks for and the files are not."""


def make_sheets(folder: Path, out: Path, shop: Shop, wanted: Wanted) -> Written:
    """Write the sheets of the run in `folder`, for `shop`, into the folder `out`, all of them or none.

    Everything is checked before anything is written. Raises InputError for a run, layer or profile that cannot be
    used, OptionError for what the shop does not take, with the way out, and OutputError if `out` cannot be written.
    """
    if out.resolve() == folder.resolve():
        raise OutputError(f"{out} is the folder of the run: choose another --out")
    check_output(out, wanted.overwrite, OURS)
    run = run_in(folder, wanted.dpi)
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
            f"the layers are codes for {named}, and a film covers what the code of its ink says"
            if shop.colour == "films"
            else f"the colours are the printer's own codes, for {named}: print them without colour management, and "
            "let nothing convert them; the files declare no profile on purpose"
        )
    run.warnings += _objections(shop, profile, colours)
    inks = None
    if shop.colour == "films":
        grey = all(one.planes == 1 for one in run.pictures)
        inks = film_inks(grey, profile, run.job.media is not None)
    tasks = tasks_of(run, shop, wanted, inks)
    if inks is not None and shop.screen == "am":
        run.warnings += _same_angles(run, tasks)
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
        made = _inventory(run, tasks, shop, wanted, inks)
        names = tuple(task.name for task in tasks)
        dpi = shop.device_dpi if inks is not None else run.dpi[0]
        described = colours.described if inks is None else "binary films, solid black"
        text = order_text(made, dpi, described, [*run.warnings, *run.notes])
        write_bytes(stage / "for-the-shop.txt", text.encode())
        write_assembly(stage / "assembly.pdf", folder, run.job, made, run.dpi[0])
    files = (*names, "assembly.pdf", "for-the-shop.txt")
    notes, warnings = tuple(run.notes), tuple(run.warnings)
    return Written(files, made.plan, dpi, described, max(1, len(made.tiles)), notes, warnings)


def _objections(shop: Shop, profile: CmykProfile | None, colours: OutputColours) -> list[str]:
    """Return what `mlsolve inspect --shop` says against the colours of the files that are about to be written."""
    if shop.colour == "cmyk" and profile is None:
        way_out = "ask the shop for its ICC profile, and give it with --profile"
        if colours.profile is None:
            way_out = "ask it to print them as they are"
        return [f"the files are RGB, and {shop.name} takes CMYK: {way_out}"]
    if shop.colour == "rgb" and profile is not None:
        return [f"the files are CMYK by --profile, and {shop.name} takes RGB: leave --profile out, or ask the shop"]
    return []


def _same_angles(run: Run, tasks: Sequence[Task]) -> list[str]:
    """Return a warning if turns and flips of an arrangement give films of two sheets the same angle."""
    angles: dict[int, list[tuple[float, str]]] = {}
    for task in tasks:
        if task.screen is not None and task.part == (1, 1):
            angles.setdefault(task.plan.number, []).append((task.screen.angle, task.name))
    for number, lain in enumerate(run.job.arrangements, start=1):
        place = lain.placed(len(run.pictures))
        for one, other in itertools.combinations(place, 2):
            for (a, first), (b, second) in itertools.product(angles[one.layer], angles[other.layer]):
                # Screens repeat every 90°. Their angles are counted with the clock, those of sheets against it.
                apart = (a if one.flip else -a) + one.rotate - (b if other.flip else -b) - other.rotate
                if one.layer != other.layer and abs((apart + 45) % 90 - 45) < _TOO_CLOSE:
                    return [
                        f"as arrangement {number} turns the sheets, {first} and {second} have the same angle, so "
                        "that their dots may coincide: use --screen fm"
                    ]
    return []


def _inventory(run: Run, tasks: Sequence[Task], shop: Shop, wanted: Wanted, inks: FilmInks | None) -> Inventory:
    """Return what is written, file by file."""
    columns, rows = wanted.split
    picture = in_millimetres((0, 0, *run.pictures[0].size), min(run.dpi))
    pages = () if shop.paper is None else tuple(tiles(tasks[0].plan.trim, shop.paper, shop.margin, shop.overlap))
    return Inventory(
        run.name,
        shop,
        len(run.pictures),
        tuple(
            SheetFile(
                task.name,
                task.plan,
                *task.part,
                None if inks is None else inks.names[task.ink],
                "" if task.screen is None else task.screen.described(),
            )
            for task in tasks
        ),
        columns,
        rows,
        (picture[0] + 2 * shop.border, picture[1] + 2 * shop.border),
        pages,
        (0.0, 0.0) if shop.paper is None else page_of(tasks[0].plan.trim, shop.paper, shop.margin, shop.overlap),
    )


def _progress(
    listener: Callable[[float], None], check: Callable[[], None], number: int, count: int
) -> Callable[[float], None]:
    """Return what is called with the share of file `number` of `count` that is done."""

    def heard(share: float) -> None:
        check()
        listener((number + share) / count)

    return heard


def _write(path: Path, sheet: Sheet, task: Task, shop: Shop, inks: FilmInks | None) -> None:
    """Write one file."""
    if inks is not None and task.screen is not None:
        write_film(path, sheet, inks, task.ink, task.screen)
    elif shop.kind == "tiff":
        write_tiff(path, sheet)
    else:
        write_pdf(path, sheet, None if shop.paper is None else (shop.paper, shop.margin, shop.overlap))


def _check(run: Run, tasks: Sequence[Task], shop: Shop, colours: OutputColours) -> None:
    """Raise OptionError for what the shop does not take."""
    for dpi in run.dpi:
        shop.check_dpi(dpi)
    for task in tasks:
        frame = 2 * (shop.border + shop.bleed)
        size = in_millimetres((0, 0, *task.picture.size), min(run.dpi))
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


def _threads(tasks: Sequence[Task], wanted: Wanted, planes: int) -> int:
    """Return how many threads compress, as memory allows. Raises OptionError if there is not enough for one."""
    available = available_memory()
    budget = wanted.memory or (_DEFAULT_MEMORY if available is None else available // 2)
    most = wanted.threads or os.cpu_count() or 1
    need = max(task.rows.memory() for task in tasks)
    # A band in memory as it is read, converted, filtered and compressed, in up to 16 bits, and floats on the way.
    band = max(task.rows.size[0] for task in tasks) * BAND * planes * 2
    converting = band * 8 if wanted.profile is not None else 0
    films = max((_film_bytes(task) for task in tasks if task.screen is not None), default=0)
    each = band * (AHEAD + 4 if tasks[0].rows.bits == 16 else AHEAD + 2) + films
    least = need + converting + each
    if least > budget:
        raise OptionError(
            f"memory is {in_words(budget)}: sheets this wide need {in_words(least)}, give --memory that"
        )
    return max(1, min(most, 1 + (budget - least) // each))


def _film_bytes(task: Task) -> int:
    """Return the bytes that a band of a film takes in a thread while its dots are computed."""
    assert task.screen is not None
    width = task.plan.page[0] / 25.4 * task.screen.device_dpi
    # Marks, dots and what is compressed, as bytes; and a number for each pixel of the rows of the layer.
    rows = min(BAND, math.ceil(BAND * task.dpi / task.screen.device_dpi) + 1)
    return int(width * (4 * BAND + 8 * rows))


def _conversion(profile: CmykProfile | None, bits: int) -> Callable[[Rows], Rows]:
    """Return what turns the rows of a layer into codes of the file."""
    if profile is None:
        return lambda rows: rows
    return lambda rows: profile.rows(rows, bits)
