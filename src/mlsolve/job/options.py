"""The settings of a solve, checked on construction."""

from dataclasses import dataclass, fields
from typing import Final, Literal, get_args

from ..errors import OptionError
from ..ranges import MIN_EXPOSURE, count, number

Backend = Literal["auto", "cpu", "cuda"]

MAX_LAYERS: Final = 16
"""Most layers a stack may have."""

MAX_WEIGHT: Final = 1e6
MAX_DENSITY: Final = 6.0
MAX_REGISTRATION: Final = 1000.0
"""Farthest that sheets may lie off, in pixels."""
MAX_COUNT: Final = 2**31 - 1
MAX_THREADS: Final = 1024


_COUNTS: Final = (
    ("iterations", 1, MAX_COUNT),
    ("levels", 1, MAX_COUNT),
    ("seed", 0, MAX_COUNT),
    ("patience", 1, MAX_COUNT),
    ("threads", 1, MAX_THREADS),
)
_NUMBERS: Final = (
    ("exposure", MIN_EXPOSURE, 1.0),
    ("ssim_weight", 0.0, MAX_WEIGHT),
    ("mse_weight", 0.0, MAX_WEIGHT),
    ("guide_weight", 0.0, MAX_WEIGHT),
    ("min_density", 0.0, MAX_DENSITY),
    ("max_density", 0.0, MAX_DENSITY),
    ("hide_weight", 0.0, MAX_WEIGHT),
    ("registration", 0.0, MAX_REGISTRATION),
    ("registration_turn", 0.0, 5.0),
    ("learning_rate", 1e-6, 1.0),
    ("target_ssim", 1e-6, 1.0),
)
"""The ranges of the fields; weights that are not named here may be from 0 to MAX_WEIGHT."""

_MAY_BE_NONE: Final = (
    *("levels", "patience", "threads", "guide_weight", "target_ssim", "mse_weight", "learning_rate"),
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to solve. Every field has a default; a value out of range raises OptionError."""

    iterations: int = 60
    """Steps at each level of the pyramid, 1 or more."""
    levels: int | None = None
    """Sizes solved from coarse to fine, each twice the last; 1 solves at full size only. None: as many
    as keep the short side of the coarsest at 32 pixels or more."""
    exposure: float = 0.25
    """Share of the backlight that the white of the stack lets through, 0.0001 to 1: the box is 1/exposure
    brighter than a white sheet, the eye adapts. The lower, the freer the layers to look like their guides. Of
    several arrangements it is the largest one; the others are balanced against it (docs/maths.md §10)."""
    backend: Backend = "auto"
    """What computes: "cpu", "cuda", or "auto" for the best that works here."""
    seed: int = 0
    """Seed of the faint noise at the start, 0 or more; it tells layers with equal guides apart."""
    ssim_weight: float = 3.0
    """Weight of 1 - SSIM of the stack to the target, 0 or more."""
    mse_weight: float | None = None
    """Weight of the mean squared error of the stack against the target, 0 or more. None: 10, and of several
    arrangements, which agree on light and dark least of all, 20."""
    guide_weight: float | None = None
    """Weight of 1 - SSIM of each layer to its guide, 0 or more. None: 1, but 3/N where N layers are more
    than three, so that many guides do not outvote the target."""
    hide_weight: float = 0.0
    """Weight of what each sheet alone shows of a target, the mean of max(0, SSIM)² to it as it lies there, 0 or
    more; 0 does not mind."""
    colour_weight: float = 0.0
    """Weight of the mean squared difference between the chroma of each layer and that of its guide, 0 or more."""
    registration: float = 0.0
    """How far, in pixels along either axis, sheets may lie off and the picture shall still be seen, 0 or more."""
    registration_turn: float = 0.0
    """How far, in degrees, they may be turned off besides, 0 to 5."""
    min_density: float = 0.0
    """Optical density of the clearest a sheet can be, 0 or more; 0 counts densities from clear film."""
    max_density: float = 2.5
    """Optical density of the darkest the printer can lay down, more than min_density, at most 6."""
    learning_rate: float | None = None
    """Step size at the start of each level, (0, 1]; it falls with the square root of the iterations left. None:
    0.045, and 0.02 with `registration`, where sheets lie differently at every step."""
    target_ssim: float | None = None
    """Stop at full size once the stack's SSIM reaches this, (0, 1]; None: never."""
    patience: int | None = None
    """End a level after this many iterations without the loss falling by a ten-thousandth; None: never."""
    threads: int | None = None
    """Threads of the CPU backend, 1 or more; None: one per core. The result does not depend on it."""

    def __post_init__(self) -> None:
        """Check every field; NumPy's numbers become Python's."""
        for name, fewest, most in _COUNTS:
            value = getattr(self, name)
            if value is not None or name not in _MAY_BE_NONE:
                object.__setattr__(self, name, count(name, value, fewest, most))
        for name, low, high in _NUMBERS:
            value = getattr(self, name)
            if value is not None or name not in _MAY_BE_NONE:
                object.__setattr__(self, name, number(name, value, low, high))
        for field in fields(self):
            if field.name.endswith("_weight") and field.name not in {name for name, _, _ in _NUMBERS}:
                value = number(field.name, getattr(self, field.name), 0.0, MAX_WEIGHT)
                object.__setattr__(self, field.name, value)
        if self.ssim_weight == self.mse_weight == 0:
            raise OptionError("ssim_weight and mse_weight are both 0: the target needs one of them")
        if self.max_density <= self.min_density:
            raise OptionError(
                f"max_density is {self.max_density:g} and min_density {self.min_density:g}: "
                "max_density must be the larger"
            )
        if self.backend not in get_args(Backend):
            raise OptionError(f"backend is {self.backend!r}: use {', '.join(get_args(Backend))}")

    def mse_weight_for(self, stacks: int) -> float:
        """Return the weight of each squared error where there are so many stacks."""
        return (10.0 if stacks == 1 else 20.0) if self.mse_weight is None else self.mse_weight

    @property
    def rate(self) -> float:
        """The learning rate at the start of each level."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 0.02 if self.registration or self.registration_turn else 0.045

    def guide_weight_for(self, layers: int) -> float:
        """Return the weight of each guide in a stack of `layers`."""
        return min(1.0, 3 / layers) if self.guide_weight is None else self.guide_weight
