"""How good a stack is: SSIM and PSNR of code values, as anybody else would measure them from the files."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..pictures.arrays import as_image, planar, same_planes, spread_grey
from ..pictures.colour import compose

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Misalignment:
    """What a stack scores whose sheets lie off by so many pixels, the first excepted."""

    pixels: float
    """How far every other sheet is shifted, one to the right, the next down, and so on around."""
    ssim: float
    psnr: float


@dataclass(frozen=True)
class StackScores:
    """What a stack scores."""

    ssim: float
    """Mean SSIM of the stack as seen to its target, sRGB code values."""
    psnr: float
    """Peak signal-to-noise ratio of the same, in decibels."""
    leak: tuple[float, ...] = ()
    """Mean SSIM of each of its sheets alone, as it lies there, to the target: what it gives away of the picture."""
    off: tuple[Misalignment, ...] = ()
    """What it scores with its sheets off."""


@dataclass(frozen=True)
class Scores:
    """What stacks and layers score."""

    stacks: tuple[StackScores, ...]
    """Of every arrangement."""
    guide_ssim: tuple[float, ...]
    """Mean SSIM of each layer to its guide, sRGB code values."""

    @property
    def target_ssim(self) -> float:
        """SSIM of the stack to its target; of several the lowest."""
        return min(stack.ssim for stack in self.stacks)

    @property
    def target_psnr(self) -> float:
        """Peak signal-to-noise ratio of the same, in decibels; of several the lowest."""
        return min(stack.psnr for stack in self.stacks)

    @property
    def mean_guide_ssim(self) -> float:
        """Mean of `guide_ssim`."""
        return sum(self.guide_ssim) / len(self.guide_ssim)


def ssim(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the mean structural similarity of two pictures (Wang et al. 2004, eq. 13).

    x, y: (H, W), (H, W, 3) or (H, W, 4) of one size, uint8, uint16 or float in [0, 1]. 11×11 Gaussian
    window, sigma 1.5, K1 = 0.01, K2 = 0.03, data range 1, zeros beyond the border, mean over all pixels
    and planes; float32 inside, good to about 1e-6. 1 for equal pictures, at least -1. Raises InputError
    for pictures that cannot be compared.
    """
    return similarity(*_pair(x, y))


def similarity(x: FloatArray, y: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the mean SSIM of two pictures (H, W, C) in [0, 1], as `ssim` does; weights: of the pixels, (H, W)."""
    from mlsolve_kernels.exact import SSIM_BITS
    from mlsolve_kernels.ssim.cpu import ssim_sums
    from mlsolve_kernels.threads import Team

    team = Team()
    try:
        total = sum(ssim_sums(planar(x), planar(y), team, weights=weights))
    finally:
        team.close()
    pixels = x.shape[0] * x.shape[1] if weights is None else float(weights.sum())
    return float(total / (pixels * x.shape[2] * 2.0**SSIM_BITS))


def psnr(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the peak signal-to-noise ratio of two pictures in decibels, infinite if they are equal.

    x, y: as for `ssim`.
    """
    return decibels(*_pair(x, y))


def decibels(x: FloatArray, y: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the PSNR of two pictures (H, W, C) in [0, 1], as `psnr` does; weights: of the pixels, (H, W)."""
    counts = None if weights is None else np.repeat(weights[..., np.newaxis], x.shape[2], axis=2)
    error = float(np.average(np.square(x - y, dtype=np.float64), weights=counts))
    return math.inf if error == 0 else -10 * math.log10(error)


def score(layers: npt.ArrayLike, target: npt.ArrayLike, guides: npt.ArrayLike, exposure: float) -> Scores:
    """Return what `layers` score as a stack for `target` and one by one for `guides`.

    layers, guides: N pictures each, target: one, all of one size, in any form `ssim` takes. exposure: in
    (0, 1]. Raises InputError if the numbers or sizes do not agree.
    """
    sheets, wanted = same_planes(list(layers), "layer"), list(guides)  # type: ignore[arg-type]
    if len(sheets) != len(wanted):
        raise InputError(f"there are {len(sheets)} layers and {len(wanted)} guides: give one guide per layer")
    stack = compose(sheets, exposure)
    away = tuple(ssim(sheet, target) for sheet in sheets)
    return Scores(
        (StackScores(ssim(stack, target), psnr(stack, target), away),),
        tuple(ssim(sheet, guide) for sheet, guide in zip(sheets, wanted, strict=True)),
    )


def _pair(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    first, second = as_image(x, "the first picture"), as_image(y, "the second picture")
    if first.shape[:2] != second.shape[:2]:
        raise InputError(
            f"the first picture is {first.shape[1]}×{first.shape[0]}, the second "
            f"{second.shape[1]}×{second.shape[0]}: make them one size"
        )
    first, second = spread_grey([first, second])
    return first, second
