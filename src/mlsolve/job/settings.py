"""What a user may set, said once: each setting declares its meaning, range, default and an example.

The fields of Options, Job and Budget carry a `Setting`. Their checks, the options of the command line, docs/cli.md
and docs/options.md are made from it. Nothing heavy is imported, so that `--help` answers at once.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..ranges import choice, count, number, one_of
from .print_size import DEFAULT_DPI, MAX_DPI, MAX_SIDE

MAX_COUNT: Final = 2**31 - 1
MAX_THREADS: Final = 1024
MAX_PROCESSES: Final = 256
MAX_DEVICES: Final = 255
"""Highest number of a GPU."""
MAX_LAYERS: Final = 16
"""Most layers a stack may have."""

_KEY: Final = "setting"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One thing that can be set."""

    help: str
    """One sentence that says what it does."""
    more: str = ""
    """More sentences, for docs/options.md."""
    kind: Any = float
    """Type of a value: int, float, str, bool or Path."""
    as_text: bool = False
    """Whether the command line takes text that is parsed later: 0.3mm, 4GiB, A3."""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    """Smallest and largest value."""
    choices: tuple[Any, ...] = ()
    """All values, where they are few."""
    limits: str = ""
    """The range in words, where it is not from `low` to `high`."""
    otherwise: str | None = None
    """What happens where it is None, as a default in words; None: it cannot be None."""
    flag: str = ""
    """Name on the command line; "": made from the field's name."""
    short: str = ""
    """Short name on the command line, as -g."""
    metavar: str = ""
    """What stands for the value in the help."""
    example: str = ""
    """An example value, as typed on the command line."""
    toml: str | None = None
    """The same value in a job file, None: as on the command line; "": a job file cannot set it."""
    python: str | None = None
    """The same value in Python, None: as on the command line."""

    @property
    def range(self) -> str:
        """The allowed values in words, "" if any will do."""
        if self.choices:
            return one_of(self.choices)
        if self.limits or self.low is None:
            return self.limits
        if self.high is None or self.high >= MAX_COUNT:
            return f"{in_digits(self.low)} or more"
        return f"{in_digits(self.low)} to {in_digits(self.high)}"

    @property
    def values(self) -> str:
        """The allowed values and their unit in words."""
        return f"{self.range} {self.unit}".strip() if self.range else self.unit

    def check(self, name: str, value: Any) -> Any:
        """Return `value` as a Python value of the right type, or raise OptionError; name: of the setting."""
        if value is None and self.otherwise is not None:
            return None
        if self.choices:
            return choice(name, value, self.choices)
        if self.low is None or self.high is None:
            return value
        if self.kind is int:
            return count(name, value, int(self.low), int(self.high))
        return number(name, value, self.low, self.high)


def option(default: Any, setting: Setting | None = None, **declared: Any) -> Any:
    """Return a dataclass field with this default and this setting, or one of what is `declared`."""
    return field(default=default, metadata={_KEY: setting or Setting(**declared)})


def settings_of(kind: type) -> dict[str, tuple[Setting, Any]]:
    """Return setting and default of the fields of the dataclass `kind` that declare a setting, by name."""
    return {one.name: (one.metadata[_KEY], one.default) for one in dataclasses.fields(kind) if _KEY in one.metadata}


def check_fields(instance: Any) -> None:
    """Check every declared field of a frozen dataclass; numbers of NumPy become Python's."""
    for name, (setting, _) in settings_of(type(instance)).items():
        object.__setattr__(instance, name, setting.check(name, getattr(instance, name)))


def in_digits(value: float) -> str:
    """Return a number without an exponent: 0.0001, 1000000."""
    return f"{value:.10f}".rstrip("0").rstrip(".")


TARGET: Final = Setting(
    help="Picture that the stack shows on the light box.",
    more="Any format that mlsolve reads. In a job file with several pictures each `[[arrangement]]` has its own.",
    kind=Path,
    metavar="TARGET",
    example="portrait.jpg",
)
GUIDE: Final = Setting(
    help="Picture that a layer looks like on its own: a file, or FAMILY:SEED for a generated guide, as rosette:7.",
    more="Give one per layer: the number of guides is the number of layers. FAMILY is rosette, mosaic or "
    "kaleidoscope, and FAMILY:SEED:PALETTE chooses the colours too. A job file must name the guides.",
    kind=str,
    limits=f"1 to {MAX_LAYERS} of them",
    otherwise="generated guides, as many as --layers",
    short="-g",
    metavar="FILE|FAMILY:SEED",
    example="leaves.png",
    toml='["leaves.png", "rosette:7"]',
    python='(Path("leaves.png"), "rosette:7")',
)
MASK: Final = Setting(
    help="Picture that weights the pixels of the target: white counts in full, black not at all.",
    kind=Path,
    otherwise="every pixel counts in full",
    metavar="FILE",
    example="mask.png",
)
CMYK_PROFILE: Final = Setting(
    help="ICC profile of CMYK pictures that carry none.",
    kind=Path,
    otherwise="ideal inks",
    metavar="FILE.icc",
    example="press.icc",
)
MEDIA: Final = Setting(
    help="Printer and film to print on: the file of a profile, or the name of an included one.",
    more="The layers are then the device codes that this printer is to be given, and stack and sheets are compared "
    "as they will look. `mlsolve media` lists the included profiles, `mlsolve calibrate` makes one of your own "
    "(docs/calibration.md).",
    kind=str,
    otherwise="ideal inks that a layer's colours name",
    metavar="FILE.toml|NAME",
    example="inkjet-film",
)
SIZE: Final = Setting(
    help="Size of the sheets: N for a square, or WxH.",
    kind=tuple,
    as_text=True,
    unit="pixels",
    limits=f"sides of 11 to {MAX_SIDE}",
    otherwise="the size of the target",
    metavar="N|WxH",
    example="1200x900",
    toml="[1200, 900]",
    python="(1200, 900)",
)
PRINT: Final = Setting(
    help="Size of the print, instead of --size: WIDTHxHEIGHT with a unit, or a paper size.",
    more="Width comes first; the unit is mm, cm, m or in; paper sizes are A0 to A10, portrait, or landscape as in "
    "A2-landscape. dpi turns it into pixels.",
    kind=str,
    limits="up to 1 km a side",
    otherwise="as --size says",
    metavar="WxH(mm|cm|in)|A3",
    example="600x900mm",
    python="",
)
DPI: Final = Setting(
    help="Resolution of the print, which is also written into the layer files.",
    unit="pixels per inch",
    low=1,
    high=MAX_DPI,
    otherwise=f"{DEFAULT_DPI} with --print, else none",
    example="150",
)
FIT: Final = Setting(
    help="How pictures with other proportions fill the sheet.",
    more="cover crops what overhangs, contain adds white margins, stretch changes the proportions.",
    kind=str,
    choices=("cover", "contain", "stretch"),
    example="contain",
)
SHAPE: Final = Setting(
    help="Outline of the sheets; disc is clear outside the largest circle and needs square sheets.",
    kind=str,
    choices=("sheet", "disc"),
    example="disc",
)
FORMAT: Final = Setting(
    help="File format of the layers; tiff is tiled, and becomes BigTIFF where it must.",
    kind=str,
    choices=("png", "tiff"),
    example="tiff",
)
BITS: Final = Setting(help="Bits per channel in the layer files.", kind=int, choices=(8, 16), example="16")
MEMORY: Final = Setting(
    help="Memory to use, on a cluster by each worker; larger prints are solved in tiles, to the same bytes.",
    more="Memory that the processes hold before the run begins is not counted. If it is too little for the print, "
    "the refusal names the minimum.",
    kind=int,
    as_text=True,
    low=1,
    high=2**62,
    limits="bytes, or with a unit as in 4GiB or 500MB",
    otherwise="half of the free memory",
    metavar="SIZE",
    example="500MiB",
    toml="",
    python="500 * 2**20",
)
PROCESSES: Final = Setting(
    help="Processes that share the tiles of a large print.",
    kind=int,
    unit="processes",
    low=1,
    high=MAX_PROCESSES,
    example="2",
    toml="",
)
CLUSTER: Final = Setting(
    help="Solve on many machines: the address of a Dask scheduler, or local:N for N workers of this machine.",
    more="Then memory and threads are those of each worker. The folder that is written must be on a file system "
    "that all workers see under the same name.",
    kind=str,
    limits="tcp://host:8786, tls://host:8786 or local:4",
    otherwise="this machine, without Dask",
    metavar="ADDRESS",
    example="local:2",
    toml="",
)
DEVICES: Final = Setting(
    help="GPUs that share the tiles, by their numbers; the result does not depend on how many there are.",
    more="`mlsolve info` shows the numbers, which count what `CUDA_VISIBLE_DEVICES` leaves. All must be of a kind, "
    "because bytes depend on it. A run is refused if a GPU that is named cannot be used; one that is not named is "
    "left out with a warning (docs/gpu.md).",
    kind=tuple[int, ...],
    as_text=True,
    limits="numbers from 0, with commas between them",
    otherwise="all that are of the first one's kind",
    metavar="N[,N...]",
    example="0,2",
    toml="",
    python="(0, 2)",
)
THREADS: Final = Setting(
    help="Threads of the run, all processes together, or of each worker of a cluster; with a GPU, those that make "
    "pictures, write and score. The result does not depend on it.",
    kind=int,
    unit="threads",
    low=1,
    high=MAX_THREADS,
    otherwise="one per core",
    example="2",
    toml="",
)
