"""The settings of a solve, checked on construction."""

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

from .errors import OptionError

Backend = Literal["auto", "cpu", "cuda"]

MAX_LAYERS: Final = 16
"""Most layers a stack may have."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to solve. Every field has a default; a value out of range raises OptionError."""

    iterations: int = 100
    """Steps at each level of the pyramid, 1 or more."""
    levels: int | None = None
    """Sizes solved from coarse to fine, each twice the last; 1 solves at full size only. None: as many
    as keep the short side of the coarsest at 64 pixels or more."""
    exposure: float = 0.25
    """Share of the backlight that the white of the stack lets through, (0, 1]: the box is 1/exposure
    brighter than a white sheet, the eye adapts. The lower, the freer the layers to look like their guides."""
    backend: Backend = "auto"
    """What computes: "cpu", "cuda", or "auto" for the best that works here."""
    seed: int = 0
    """Seed of the faint noise at the start, 0 or more; it tells layers with equal guides apart."""
    ssim_weight: float = 3.0
    """Weight of 1 - SSIM of the stack to the target, 0 or more."""
    mse_weight: float = 10.0
    """Weight of the mean squared error of the stack against the target, 0 or more."""
    guide_weight: float | None = None
    """Weight of 1 - SSIM of each layer to its guide, 0 or more. None: 1, but 3/N where N layers are more
    than three, so that many guides do not outvote the target."""
    min_density: float = 0.0
    """Optical density of the clearest a sheet can be, 0 or more; 0 counts densities from clear film."""
    max_density: float = 2.5
    """Optical density of the darkest the printer can lay down, more than min_density, at most 6."""
    learning_rate: float = 0.03
    """Step size at the start of each level, (0, 1]; it falls to a twentieth along a cosine."""
    target_ssim: float | None = None
    """Stop at full size once the stack's SSIM reaches this, (0, 1]; None: never."""
    patience: int | None = None
    """End a level after this many iterations without the loss falling by a ten-thousandth; None: never."""
    threads: int | None = None
    """Threads of the CPU backend, 1 or more; None: one per core. The result does not depend on it."""

    def __post_init__(self) -> None:
        """Check every field."""
        _check_count("iterations", self.iterations, 1)
        _check_count("levels", self.levels, 1)
        _check_count("seed", self.seed, 0)
        _check_count("patience", self.patience, 1)
        _check_count("threads", self.threads, 1)
        check_exposure(self.exposure)
        for name in ("ssim_weight", "mse_weight", "guide_weight"):
            if name != "guide_weight" or self.guide_weight is not None:
                _check_number(name, getattr(self, name), 0, math.inf, "0 or more")
        if self.ssim_weight == self.mse_weight == 0:
            raise OptionError("ssim_weight and mse_weight are both 0: the target needs one of them")
        _check_number("min_density", self.min_density, 0, 6, "from 0 to 6")
        _check_number("max_density", self.max_density, 0, 6, "from 0 to 6")
        if self.max_density <= self.min_density:
            raise OptionError(
                f"max_density is {self.max_density:g} and min_density {self.min_density:g}: "
                "max_density must be the larger"
            )
        _check_share("learning_rate", self.learning_rate)
        if self.target_ssim is not None:
            _check_share("target_ssim", self.target_ssim)
        if self.backend not in get_args(Backend):
            raise OptionError(f"backend is {self.backend!r}: use {', '.join(get_args(Backend))}")

    def guide_weight_for(self, layers: int) -> float:
        """Return the weight of each guide in a stack of `layers`."""
        return min(1.0, 3 / layers) if self.guide_weight is None else self.guide_weight


def check_exposure(exposure: float) -> None:
    """Raise OptionError unless `exposure` is in (0, 1]."""
    _check_share("exposure", exposure)


def _check_share(name: str, value: float) -> None:
    _check_number(name, value, 0, 1, "more than 0 and at most 1")
    if value == 0:
        raise OptionError(f"{name} is {value:g}: it must be more than 0 and at most 1")


def _check_number(name: str, value: float, low: float, high: float, words: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError(f"{name} is {value!r}: it must be a number {words}")
    if not (math.isfinite(value) and low <= value <= high):
        raise OptionError(f"{name} is {value:g}: it must be {words}")


def _check_count(name: str, value: int | None, low: int) -> None:
    """Check a whole number; None passes only where the field's own type allows it."""
    if value is None and name in ("levels", "patience", "threads"):
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(f"{name} is {value!r}: it must be a whole number, {low} or more")
    if value < low:
        raise OptionError(f"{name} is {value}: it must be {low} or more")
