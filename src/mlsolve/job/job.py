"""A job: the pictures and settings of a run, and the TOML file that repeats it."""

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
import numpy.typing as npt
import tomli_w

from mlsolve_kernels.window import SIZE

from ..errors import InputError, OptionError
from ..media import Media, load_media
from ..pictures.resize import Fit, fit_image
from ..system.memory import check_memory
from . import settings as declared
from .arrangements import Arrangement, Outline, Placement, check_arrangements
from .options import Options
from .print_size import MAX_SIDE
from .settings import MAX_LAYERS, check_fields, option, settings_of

FloatArray = npt.NDArray[np.float32]

FileFormat = Literal["png", "tiff"]

OPTION_KEYS: Final = tuple(name for name, (setting, _) in settings_of(Options).items() if setting.toml != "")
"""Options that a job file may set; the others do not change the result."""


@dataclass(frozen=True)
class Job:
    """The pictures and settings of a run."""

    arrangements: tuple[Arrangement, ...]
    """The stacks and their targets; targets and masks are picture files. A Path alone means one arrangement of all
    sheets, unmoved."""
    guides: tuple[Path | str, ...]
    """One per layer: a picture file (Path), or a generated guide (str) as FAMILY:SEED or FAMILY:SEED:PALETTE."""
    size: tuple[int, int] | None = option(None, declared.SIZE)
    fit: Fit = option("cover", declared.FIT)
    options: Options = field(default_factory=Options)
    """The settings of the solver."""
    dpi: float | None = option(None, declared.DPI)
    format: FileFormat = option("png", declared.FORMAT)
    bits: int = option(8, declared.BITS)
    shape: Outline = option("sheet", declared.SHAPE)
    cmyk_profile: Path | None = option(None, declared.CMYK_PROFILE)
    media: Path | str | None = option(None, declared.MEDIA)
    """The file of a media profile (Path), or the name of an included one (str)."""

    def __post_init__(self) -> None:
        """Check everything that does not need the pictures."""
        if isinstance(self.arrangements, Path):
            object.__setattr__(self, "arrangements", (Arrangement(self.arrangements),))
        check_fields(self)
        if not 1 <= len(self.guides) <= MAX_LAYERS:
            raise InputError(f"there are {len(self.guides)} guides: give 1 to {MAX_LAYERS}, one per layer")
        if self.size is not None:
            parse_size(self.size)
        check_arrangements(self.arrangements, len(self.guides), self.size, self.shape)
        for path in self.inputs:
            try:
                str(path).encode("utf-8")
            except UnicodeEncodeError:
                shown = os.fsencode(path).decode("utf-8", "backslashreplace")
                raise InputError(f"{shown} is not a UTF-8 name, which job.toml needs: rename the file") from None

    @property
    def targets(self) -> tuple[Path, ...]:
        """The targets of the arrangements."""
        return tuple(cast(Path, one.target) for one in self.arrangements)

    @property
    def target(self) -> Path:
        """The first target."""
        return self.targets[0]

    @property
    def masks(self) -> tuple[Path, ...]:
        """The masks of the arrangements that have one."""
        return tuple(cast(Path, one.mask) for one in self.arrangements if one.mask is not None)

    @property
    def entries(self) -> tuple[Path | str, ...]:
        """Targets, guides and masks, in the order of `solving.spec.Spec`."""
        return (*self.targets, *self.guides, *self.masks)

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Every file the run reads, each once: the pictures and the profiles."""
        profiles = (one for one in (self.cmyk_profile, self.media) if isinstance(one, Path))
        return (*self.files, *profiles)

    @property
    def files(self) -> tuple[Path, ...]:
        """The picture files, each once."""
        return tuple(entry for entry in dict.fromkeys(self.entries) if isinstance(entry, Path))

    def profile(self) -> Media | None:
        """Return the media profile, if there is one. Raises InputError if it cannot be used."""
        return None if self.media is None else load_media(self.media)

    def pictures(self) -> tuple[FloatArray, list[FloatArray]]:
        """Return the first target and the guides at the job's size, each (H, W, C) float32 sRGB in [0, 1].

        Raises InputError for a picture that cannot be read.
        """
        from ..guides import generate
        from ..pictures import picture_files
        from ..pictures.arrays import as_image

        target = picture_files.load_picture(self.target, self.cmyk_profile)
        size = self.size or (target.shape[1], target.shape[0])
        check_memory(size, len(self.guides), 3)

        def guide(entry: Path | str) -> FloatArray:
            if isinstance(entry, Path):
                return fit_image(picture_files.load_picture(entry, self.cmyk_profile), size, self.fit)
            family, seed, palette = parse_generated(entry)
            return as_image(generate(family, size, seed, palette), entry)

        return fit_image(target, size, self.fit), [guide(entry) for entry in self.guides]

    def resolved(self, size: tuple[int, int], options: Options) -> "Job":
        """Return this job with the resolved `size` and `options`."""
        return dataclasses.replace(self, size=size, options=options)

    def toml(self, folder: Path | None) -> str:
        """Return the job as the text of a TOML file, with file names relative to `folder`; None: absolute names."""
        guides = [entry if isinstance(entry, str) else relative_name(entry, folder) for entry in self.guides]
        settings: dict[str, Any] = {"guides": guides}
        tables = [_table(one, folder) for one in self.arrangements]
        if len(tables) == 1 and tables[0].keys() <= {"target", "mask"}:
            settings = {**tables[0], "guides": guides}
        if self.shape != "sheet":
            settings["shape"] = self.shape
        if self.size is not None:
            settings["size"] = list(self.size)
        if self.dpi is not None:
            settings["dpi"] = self.dpi
        settings["fit"] = self.fit
        settings["format"] = self.format
        settings["bits"] = self.bits
        if self.cmyk_profile is not None:
            settings["cmyk_profile"] = relative_name(self.cmyk_profile, folder)
        if self.media is not None:
            media = self.media
            settings["media"] = media if isinstance(media, str) else relative_name(media, folder)
        for key in OPTION_KEYS:
            value = getattr(self.options, key)
            if value is not None:
                settings[key] = value
        if "target" not in settings:
            settings["arrangement"] = tables
        return tomli_w.dumps(settings)


def _table(arrangement: Arrangement, folder: Path | None) -> dict[str, Any]:
    """Return the table of an arrangement for a job file, without defaults."""
    table: dict[str, Any] = {"target": relative_name(cast(Path, arrangement.target), folder)}
    if arrangement.mask is not None:
        table["mask"] = relative_name(cast(Path, arrangement.mask), folder)
    if arrangement.weight != 1:
        table["weight"] = arrangement.weight
    if arrangement.exposure is not None:
        table["exposure"] = arrangement.exposure
    if arrangement.place is not None:
        table["place"] = [placement_table(one) for one in arrangement.place]
    return table


def placement_table(placement: Placement) -> dict[str, Any]:
    """Return the table of a placement for a job file, without defaults."""
    table: dict[str, Any] = {"layer": placement.layer}
    if placement.rotate:
        table["rotate"] = placement.rotate
    if placement.flip:
        table["flip"] = placement.flip
    if placement.shift != (0.0, 0.0):
        table["shift"] = list(placement.shift)
    return table


def parse_generated(text: str) -> tuple[str, int, str | None]:
    """Return family, seed and palette of a generated guide, "FAMILY", "FAMILY:SEED" or "FAMILY:SEED:PALETTE"."""
    from ..guides import FAMILIES
    from ..guides.palette import palette

    family, _, rest = text.partition(":")
    seed, _, colours = rest.partition(":")
    if family not in FAMILIES or not (seed or "0").isdecimal():
        raise OptionError(
            f"guide is {text!r}: use FAMILY:SEED with a family of {', '.join(FAMILIES)} and a whole number"
        )
    palette(colours or None, 0)
    return family, int(seed or 0), colours or None


def own_guides(layers: int, seed: int) -> tuple[str, ...]:
    """Return `layers` generated guides, all different."""
    from ..guides import FAMILIES

    families = list(FAMILIES)
    return tuple(f"{families[k % len(families)]}:{seed * MAX_LAYERS + k}" for k in range(layers))


def parse_size(value: object) -> tuple[int, int]:
    """Return (width, height) for N, [W, H], "N" or "WxH" in pixels; N alone means a square."""
    parts: list[Any] = [value]
    if isinstance(value, str):
        parts = value.lower().replace("×", "x").split("x")
        parts = [int(part) if part.strip().isdecimal() and len(part) < 10 else None for part in parts]
    elif isinstance(value, list | tuple):
        parts = list(value)
    if len(parts) == 1:
        parts = parts * 2
    if len(parts) != 2 or not all(isinstance(part, int) and not isinstance(part, bool) for part in parts):
        raise OptionError(f"size is {value!r}: give N for a square or WxH, in pixels")
    width, height = parts
    if min(width, height) < SIZE:
        raise OptionError(f"size is {width}×{height}: the smallest side must be {SIZE} pixels or more")
    if max(width, height) > MAX_SIDE:
        raise OptionError(f"size is {width}×{height}: the largest side may be {MAX_SIDE} pixels")
    return width, height


def relative_name(path: Path, folder: Path | None) -> str:
    """Return `path` relative to `folder`, with forward slashes; absolute if they have no common root.

    folder: None for the absolute name.
    """
    if folder is None:
        return path.absolute().as_posix()
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
