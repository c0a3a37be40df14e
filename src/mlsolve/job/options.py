"""The settings of a solve, checked on construction."""

from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from ..errors import OptionError
from ..ranges import MIN_EXPOSURE, count
from .settings import MAX_COUNT, THREADS, check_fields, option
from .viewing import GAP, MATERIAL, MATERIALS, VIEW, VIEWER, checked_gap, checked_material, checked_viewer

Backend = Literal["auto", "cpu", "cuda"]
Solver = Literal["auto", "adam", "newton"]
Step = Literal["adam", "newton"]

ITERATIONS: Final[dict[Step, int]] = {"adam": 60, "newton": 24}
"""Iterations at each level, by what moves the layers (bench/LOG.md, mlsolve_records.convergence)."""

MAX_WEIGHT: Final = 1e6
MAX_DENSITY: Final = 6.0
MAX_REGISTRATION: Final = 1000.0
"""Largest misalignment of the sheets, in pixels."""
MAX_CARRIERS: Final = 200
_REGIONS: Final = 3
"""Regions with carriers for each sheet of a stack, by default."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to solve. Every field has a default; a value out of range raises OptionError. See docs/options.md."""

    iterations: int | None = option(
        None,
        help="Iterations at each level; more of them reach a lower loss.",
        kind=int,
        unit="iterations",
        low=1,
        high=MAX_COUNT,
        otherwise="24 of newton, 60 of adam",
        example="200",
    )
    solver: Solver = option(
        "auto",
        help="What moves the layers; auto takes newton for one picture of unmoved sheets, else adam.",
        more="newton needs fewer iterations (docs/maths.md §5). It knows how one stack answers to each layer, so "
        "it takes neither several arrangements nor placed sheets, a tolerance or hidden pictures. With a colour "
        "term or a learning rate auto takes adam.",
        kind=str,
        choices=get_args(Solver),
        example="adam",
    )
    levels: int | None = option(
        None,
        help="Levels solved from coarse to fine, each twice the size of the last; 1 solves at full size only.",
        kind=int,
        unit="levels",
        low=1,
        high=MAX_COUNT,
        otherwise="as many as keep the short side of the coarsest at 32 pixels or more",
        example="2",
    )
    exposure: float = option(
        0.25,
        help="Share of the backlight that the white of the stack lets through.",
        more="The box must be 1/exposure times as bright as the picture is to look. "
        "A lower exposure gives the layers more freedom to look like their guides. With several arrangements it is "
        "the largest exposure, and the others are balanced against it (docs/maths.md §10).",
        low=MIN_EXPOSURE,
        high=1.0,
        example="0.05",
    )
    backend: Backend = option(
        "auto",
        help="What computes; auto takes an NVIDIA GPU that works, else the CPU.",
        kind=str,
        choices=get_args(Backend),
        example="cpu",
    )
    seed: int = option(
        0,
        help="Seed of the start, and of the guides that --layers generates.",
        more="The solve starts from the guides with faint noise, which lets layers with equal guides diverge.",
        kind=int,
        low=0,
        high=MAX_COUNT,
        example="7",
    )
    ssim_weight: float = option(
        3.0,
        help="Weight of 1 - SSIM between stack and target.",
        low=0.0,
        high=MAX_WEIGHT,
        example="2",
    )
    mse_weight: float | None = option(
        None,
        help="Weight of the mean squared error between stack and target.",
        more="Arrangements that share sheets agree least on light and dark, so they get the larger default.",
        low=0.0,
        high=MAX_WEIGHT,
        otherwise="10, or 20 with several arrangements",
        example="5",
    )
    guide_weight: float | None = option(
        None,
        help="Weight of 1 - SSIM between each layer and its guide.",
        more="With N > 3 layers the default is lower, so that many guides do not outvote the target.",
        low=0.0,
        high=MAX_WEIGHT,
        otherwise="1, or 3/N with N > 3 layers",
        example="0.5",
    )
    hide_weight: float = option(
        0.0,
        help="Weight of the leak term: what a sheet alone shows of a target; 3 cuts it to about a third.",
        more="The leak term is the mean of max(0, SSIM)² between the sheet and the target, with the sheet placed "
        "as in the stack. At 0 the solver ignores it.",
        low=0.0,
        high=MAX_WEIGHT,
        flag="--hide",
        metavar="W",
        example="3",
    )
    colour_weight: float = option(
        0.0,
        help="Weight of the mean squared difference in chroma between each layer and its guide.",
        low=0.0,
        high=MAX_WEIGHT,
        example="4",
    )
    registration: float = option(
        0.0,
        help="Misalignment of the sheets along either axis that the picture must tolerate, as 0.3mm or 3px.",
        more="Tolerance costs some sharpness and guide fidelity. A number without a unit means pixels, and so does "
        "the field in Python; a length needs dpi. At most a quarter of the short side.",
        as_text=True,
        unit="pixels",
        low=0.0,
        high=MAX_REGISTRATION,
        metavar="LENGTH",
        example="0.3mm",
        toml='"0.3mm"',
        python="1.2",
    )
    registration_turn: float = option(
        0.0,
        help="Rotation of the sheets that the picture must tolerate in addition.",
        unit="degrees",
        low=0.0,
        high=5.0,
        example="0.2",
    )
    gap: tuple[float, ...] | None = option(None, GAP)
    material: str | float = option("acrylic", MATERIAL)
    viewer: float | None = option(None, VIEWER)
    view: float = option(0.0, VIEW)
    carriers: str | int = option(
        "auto",
        help="Regions in which one sheet carries the detail, so that it may move with that sheet, or off.",
        more="auto takes them with a registration tolerance and several sheets, but not with view: parts of the "
        "picture would move as the viewer does. The detail of the target is then shared out among the sheets "
        "instead of fleeing into the first, and the leak term asks a sheet half as much where it is the carrier "
        "(docs/several-pictures.md).",
        kind=str,
        as_text=True,
        limits=f"auto, off, or 1 to {MAX_CARRIERS} regions",
        metavar="N",
        example="40",
        toml="40",
        python="40",
    )
    min_density: float = option(
        0.0,
        help="Optical density of the clearest area that the printer leaves; 0 counts densities from clear film.",
        low=0.0,
        high=MAX_DENSITY,
        example="0.05",
    )
    max_density: float = option(
        2.5,
        help="Optical density of the darkest area that the printer can print; it must exceed the minimum.",
        low=0.0,
        high=MAX_DENSITY,
        example="2",
    )
    white: float = option(
        200.0,
        help="Brightness that the white of the stack is to have.",
        more="The box must give white / exposure; with a media profile, `run` and `verify` say how much that is.",
        unit="cd/m²",
        low=1.0,
        high=1e5,
        example="120",
    )
    room: float = option(
        0.0,
        help="Light of the room that the front of the stack reflects to the eye; it needs a media profile.",
        more="A matt wall at 100 lux behind the viewer gives about 1 cd/m² on plain acrylic.",
        unit="cd/m²",
        low=0.0,
        high=1e4,
        example="5",
    )
    learning_rate: float | None = option(
        None,
        help="Step size of adam at the start of each level; it falls with the square root of the iterations left.",
        more="With a tolerance the sheets are placed differently at every iteration, which needs smaller steps; "
        "then it falls in proportion to the iterations left.",
        low=1e-6,
        high=1.0,
        otherwise="0.045, or 0.03 with registration or view; newton has none",
        example="0.03",
    )
    target_ssim: float | None = option(
        None,
        help="Stop at full size once the SSIM of the stack reaches this value.",
        low=1e-6,
        high=1.0,
        otherwise="never stop early",
        example="0.9",
    )
    patience: int | None = option(
        None,
        help="End a level after this many iterations in which the loss did not fall by a ten-thousandth.",
        kind=int,
        unit="iterations",
        low=1,
        high=MAX_COUNT,
        otherwise="never end a level early",
        example="20",
    )
    threads: int | None = option(None, THREADS)

    def __post_init__(self) -> None:
        """Check every field; NumPy's numbers become Python's."""
        check_fields(self)
        object.__setattr__(self, "carriers", _carriers(self.carriers))
        object.__setattr__(self, "gap", checked_gap(self.gap))
        object.__setattr__(self, "material", checked_material(self.material))
        object.__setattr__(self, "viewer", checked_viewer(self.viewer))
        if self.ssim_weight == self.mse_weight == 0:
            raise OptionError("ssim_weight and mse_weight are both 0: the target needs one of them")
        if self.max_density <= self.min_density:
            raise OptionError(
                f"max_density is {self.max_density:g} and min_density {self.min_density:g}: "
                "max_density must be the larger"
            )

        if self.solver == "newton":
            self._check_newton()

    @property
    def tolerant(self) -> bool:
        """Whether the picture must hold for sheets that are seen displaced: misaligned, or at an angle."""
        return self.registration > 0 or self.registration_turn > 0 or self.view > 0

    @property
    def refraction(self) -> float:
        """The refractive index of what fills the gaps."""
        return MATERIALS[self.material] if isinstance(self.material, str) else self.material

    def at_scale(self, scale: float) -> "Options":
        """Return the options for a print where a pixel at full size is `scale` pixels."""
        gap = None if self.gap is None else tuple(length * scale for length in self.gap)
        viewer = None if self.viewer is None else self.viewer * scale
        return replace(self, registration=self.registration * scale, gap=gap, viewer=viewer)

    def carriers_for(self, sheets: int) -> int:
        """Return the number of regions with carriers in a stack of `sheets` sheets; 0: it has no carriers.

        Raises OptionError if a number was given where carriers change nothing.
        """
        if sheets == 1 or self.carriers == "off":
            return 0
        if self.carriers == "auto":
            return _REGIONS * sheets if self.tolerant and not self.view else 0
        if not (self.tolerant or self.hide_weight):
            raise OptionError(
                f"carriers is {self.carriers}, which has no effect without registration, registration_turn, view "
                "or hide_weight: give one of them, or leave carriers out"
            )
        return int(self.carriers)

    def _check_newton(self) -> None:
        """Raise OptionError for what a Newton step cannot take into account."""
        for name in ("registration", "registration_turn", "view", "hide_weight"):
            if getattr(self, name):
                raise OptionError(f"solver is newton with {name} {getattr(self, name):g}: use solver adam or auto")
        if self.learning_rate is not None:
            raise OptionError("solver is newton, which has no learning_rate: leave it out, or use solver adam")

    def step_for(self, moved: bool, inks: bool = False) -> Step:
        """Return what moves the layers; moved: whether there are several arrangements, or one of placed sheets.

        inks: whether there is a media profile.

        Raises OptionError if a Newton step is asked for that cannot be taken.
        """
        if self.solver == "newton" and moved:
            raise OptionError("solver is newton with arrangements of placed sheets: use solver adam or auto")
        if self.solver == "newton" and inks:
            raise OptionError("solver is newton with a media profile: use solver adam or auto")
        if self.solver != "auto":
            return self.solver
        others = self.tolerant, self.hide_weight, self.colour_weight
        return "adam" if moved or inks or any(others) or self.learning_rate is not None else "newton"

    def iterations_for(self, step: Step) -> int:
        """Return the iterations at each level where `step` moves the layers."""
        return ITERATIONS[step] if self.iterations is None else self.iterations

    def mse_weight_for(self, stacks: int) -> float:
        """Return the weight of each squared error with this many stacks."""
        return (10.0 if stacks == 1 else 20.0) if self.mse_weight is None else self.mse_weight

    @property
    def rate(self) -> float:
        """The learning rate of Adam at the start of each level."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 0.03 if self.tolerant else 0.045

    def guide_weight_for(self, layers: int) -> float:
        """Return the weight of each guide in a stack of `layers`."""
        return min(1.0, 3 / layers) if self.guide_weight is None else self.guide_weight


def _carriers(value: str | int) -> str | int:
    """Return "auto", "off" or a number of regions. Raises OptionError for anything else."""
    text = value.strip() if isinstance(value, str) else value
    if text in ("auto", "off"):
        return str(text)
    if isinstance(text, str):
        if not text.isascii() or not text.isdigit():
            raise OptionError(f"carriers is {value!r}: give auto, off, or a number of regions up to {MAX_CARRIERS}")
        text = int(text[:9])
    return count("carriers", text, 1, MAX_CARRIERS)
