"""The candidates for guides: what `--from` names, read at a small size."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..errors import InputError, MlsolveError, OptionError
from ..guides import FAMILIES
from ..job.job import Job, parse_generated
from .crew import Crew
from .likeness import SAME, Likeness
from .small_pictures import small_picture

FloatArray = npt.NDArray[np.float32]

GENERATED: Final = "generated"
"""Stands for all families."""

SEEDS: Final = 10
"""Seeds of a family of which none are named: 0 to 9."""

MOST: Final = 500
"""Most candidates; each takes about a megabyte."""

_SUFFIXES: Final = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".webp", ".avif", ".heic", ".heif", ".gif", ".jxl", ".bmp"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".pam"),
)
"""Ends of the names of files in a folder that are taken for pictures; other files are passed over."""

_SOURCE: Final = re.compile(r"([a-z]+)(?::(\d{1,9})(?:-(\d{1,9}))?(?::(.+))?)?")


@dataclass(frozen=True)
class Candidates:
    """Candidates, and what was left out."""

    entries: tuple[Path | str, ...]
    """Files, and generated guides as FAMILY:SEED or FAMILY:SEED:PALETTE."""
    images: tuple[FloatArray, ...]
    """The same, (H, W, C) float32 sRGB, at the small size."""
    left_out: tuple[str, ...]
    """A line for every file that was left out, with the reason."""
    alike: tuple[str, ...] = ()
    """A line for every file that shows what a target shows but was named itself, so it is a candidate."""

    def name(self, number: int) -> str:
        """Return a short name of a candidate."""
        entry = self.entries[number]
        return entry if isinstance(entry, str) else entry.name


def listed(sources: Sequence[str]) -> list[tuple[Path | str, bool]]:
    """Return what `sources` name, each once: picture files and generated guides, and whether it was named itself.

    A source is a folder, a picture file, FAMILY, FAMILY:SEED, FAMILY:FIRST-LAST, either with :PALETTE, or
    "generated". Raises InputError for a folder without pictures and for names of nothing, OptionError for seeds.
    """
    found: dict[Path | str, bool] = {}
    for source in sources:
        path = Path(source)
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if _is_picture(file))
            if not files:
                raise InputError(f"--from is {source}, a folder without pictures: put some in, or name another")
            found |= {file: found.get(file, False) for file in files}
        elif path.exists():
            found[path] = True
        else:
            found |= dict.fromkeys(_generated(source), True)
    if len(found) > MOST:
        raise InputError(f"--from names {len(found)} candidates: name {MOST} or fewer")
    return list(found.items())


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in _SUFFIXES and not file.name.startswith(".") and file.is_file()


def _generated(source: str) -> list[str]:
    """Return the generated guides that a source names."""
    if source == GENERATED:
        return [f"{family}:{seed}" for family in FAMILIES for seed in range(SEEDS)]
    match = _SOURCE.fullmatch(source)
    if match is None or match[1] not in FAMILIES:
        raise InputError(
            f"--from is {source}, which does not exist: give a folder, a picture, {', '.join(FAMILIES)} "
            f"(as rosette or rosette:0-19), or {GENERATED}"
        )
    family, first, last, colours = match.groups()
    first, last = first or "0", last or first or str(SEEDS - 1)
    seeds = range(int(first), int(last) + 1)
    if not 0 < len(seeds) <= MOST:
        raise OptionError(f"--from is {source}: name 1 to {MOST} seeds, the lower one first, as in {family}:0-19")
    entries = [f"{family}:{seed}{'' if colours is None else ':' + colours}" for seed in seeds]
    parse_generated(entries[0])
    return entries


def read_candidates(
    sources: Sequence[str],
    job: Job,
    size: tuple[int, int],
    targets: Sequence[FloatArray],
    layers: int,
    crew: Crew,
) -> Candidates:
    """Return the candidates that `sources` name, at `size` = (width, height), at least `layers` of them.

    job: says how pictures are fitted, and which targets must not be candidates. targets: at that size. A file of
    a folder that cannot be read is left out; one that was named is refused. A file of a folder that shows what
    a target shows (likeness.py) is left out, too; one that was named is kept. Raises InputError for a named file
    that cannot be read, and if too few candidates are left.
    """
    named = listed(sources)
    own = {path.resolve() for path in (*job.targets, *job.masks)}
    shown = [(path.name, Likeness(target)) for path, target in zip(job.targets, targets, strict=True)]
    for _, one in shown:
        one.prepare()

    def read(one: tuple[Path | str, bool]) -> tuple[FloatArray | None, str]:
        entry, itself = one
        if isinstance(entry, Path) and entry.resolve() in own:
            return None, f"{entry} is a picture to show, not a guide: left out"
        try:
            image = small_picture(entry, size, job)
        except MlsolveError as error:
            if itself:
                raise
            return None, f"{error} (left out)"
        if isinstance(entry, Path):
            own_likeness = Likeness(image)
            name, found = max(((name, one.to(own_likeness)) for name, one in shown), key=lambda pair: pair[1])
            if found >= SAME:
                shows = f"{entry} shows what {name} shows (likeness {found:.2f}) and would give it away"
                if itself:
                    return image, f"{shows}: kept, because --from names the file itself"
                return None, f"{shows}: left out; to keep it, name the file itself with --from"
        return image, ""

    results = crew.map(read, named)
    kept = [(entry, image) for (entry, _), (image, _) in zip(named, results, strict=True) if image is not None]
    left_out = tuple(why for image, why in results if image is None)
    if len(kept) < layers:
        number = f"{len(kept)} candidate{'' if len(kept) == 1 else 's'}"
        without = f" ({len(left_out)} left out, the first: {left_out[0]})" if left_out else ""
        raise InputError(f"--from names {number} for {layers} layers{without}: name more, or give fewer --layers")
    alike = tuple(why for image, why in results if image is not None and why)
    return Candidates(tuple(entry for entry, _ in kept), tuple(image for _, image in kept), left_out, alike)
