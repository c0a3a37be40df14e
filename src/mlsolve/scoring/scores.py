"""SSIM and PSNR of stacks and layers, on sRGB code values, as anyone else would measure them from the files."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..pictures.arrays import as_image, planar, same_planes, spread_grey
from ..pictures.colour import compose

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ColourDifference:
    """How far colours are from those wanted, in ΔE00 (CIEDE2000); only with a media profile."""

    median: float
    percentile95: float
    lacking: float
    """Share of the pixels whose colour is out of reach of film and inks by a noticeable difference."""


@dataclass(frozen=True)
class Misalignment:
    """Scores of a stack whose sheets are misaligned: every sheet except the first is shifted."""

    pixels: float
    """Distance by which each sheet is shifted: the second to the right, the third down, the fourth left, the fifth
    up, and so on in turn."""
    ssim: float
    """Mean SSIM of the misaligned stack against its target."""
    psnr: float
    """Peak signal-to-noise ratio of the same, in decibels."""
    ssim_moved: float | None = None
    """Mean SSIM against the target moved: each window of some 60 pixels may find it up to `pixels` away
    (docs/maths.md §7). None without a registration tolerance."""


@dataclass(frozen=True)
class AtAngle:
    """Scores of a stack with gaps, seen from the right at an angle: deeper sheets are seen displaced."""

    degrees: float
    """The angle to the normal of the sheets."""
    pixels: float
    """How far the deepest sheet is seen displaced to the right; scores round it to whole pixels."""
    ssim: float
    """Mean SSIM of the stack against its target."""
    psnr: float
    """Peak signal-to-noise ratio of the same, in decibels."""


@dataclass(frozen=True)
class StackScores:
    """Scores of one stack."""

    ssim: float
    """Mean SSIM of the stack, as seen on the light box, against its target, on sRGB code values."""
    psnr: float
    """Peak signal-to-noise ratio of the same, in decibels."""
    leak: tuple[float, ...] = ()
    """For each sheet, in the order of the arrangement: mean SSIM of the placed sheet alone against the target."""
    misaligned: tuple[Misalignment, ...] = ()
    """Scores of the stack at each tested misalignment."""
    difference: ColourDifference | None = None
    """Of the stack to its target."""
    views: tuple[AtAngle, ...] = ()
    """Scores of the stack at half of the angle `view` and at all of it; () without one."""


@dataclass(frozen=True)
class Scores:
    """Scores of all stacks and layers."""

    stacks: tuple[StackScores, ...]
    """One for each arrangement."""
    guide_ssim: tuple[float, ...]
    """Mean SSIM of each layer against its guide, on sRGB code values; with a media profile, as the layer looks."""
    guide_difference: tuple[ColourDifference, ...] = ()
    """Of each layer to its guide; () without a media profile."""

    @property
    def target_ssim(self) -> float:
        """SSIM of the stack against its target; the lowest if there are several stacks."""
        return min(stack.ssim for stack in self.stacks)

    @property
    def target_psnr(self) -> float:
        """PSNR of the stack against its target in decibels; the lowest if there are several stacks."""
        return min(stack.psnr for stack in self.stacks)

    @property
    def mean_guide_ssim(self) -> float:
        """Mean of `guide_ssim`."""
        return sum(self.guide_ssim) / len(self.guide_ssim)


def ssim(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the mean structural similarity of two pictures (Wang et al. 2004, eq. 13).

    x, y: (H, W), (H, W, 3) or (H, W, 4) of the same size, uint8, uint16 or float in [0, 1]. The result is 1 for
    equal pictures and never below -1.

    The window is Gaussian, 11×11, sigma 1.5; K1 = 0.01, K2 = 0.03, data range 1; pixels beyond the border count as
    zeros. The mean is over all pixels and planes. Computed in float32, accurate to about 1e-6. Raises InputError if
    a picture cannot be used or the sizes differ.
    """
    return similarity(*_pair(x, y))


def similarity(x: FloatArray, y: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the mean SSIM of two pictures (H, W, C) float32 in [0, 1], as `ssim` does.

    weights: (H, W) float32, the weight of each pixel; None: all pixels count equally.
    """
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


def ssim_moved(x: npt.ArrayLike, target: npt.ArrayLike, pixels: int) -> float:
    """Return the mean SSIM of `x` to a `target` that each window of some 60 pixels may find up to `pixels` away.

    x, target: as for `ssim`, with the same errors. pixels: 0 or more; 0 gives `ssim`. Never less than `ssim`, but
    for rounding. Every window takes the one offset that suits it best. Along either axis the offsets are all whole
    pixels if `pixels` is 3 or less; otherwise seven, the thirds of `pixels`, rounded, and 96 pixels at most
    (docs/maths.md §7).
    """
    return moved_similarity(*_pair(x, target), pixels)


def moved_similarity(x: FloatArray, target: FloatArray, pixels: int, weights: FloatArray | None = None) -> float:
    """Return the mean SSIM of `x` to the `target` moved, (H, W, C) float32 in [0, 1] each, as `ssim_moved` does.

    weights: (H, W) float32, the weight of each pixel; None: all pixels count equally.
    """
    from mlsolve_kernels.exact import SSIM_BITS
    from mlsolve_kernels.scoring.moved import best_of, moved_sums

    size = x.shape[0], x.shape[1]
    _, sums = moved_sums(planar(x), planar(target), weights, (0, size[0]), size, (0, 0), pixels)
    counted = size[0] * size[1] if weights is None else float(weights.sum())
    return float(best_of(sums) / (counted * x.shape[2] * 2.0**SSIM_BITS))


def psnr(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the peak signal-to-noise ratio of two pictures in decibels; infinity if they are equal.

    x, y: as for `ssim`, with the same errors. The peak is 1.
    """
    return decibels(*_pair(x, y))


def decibels(x: FloatArray, y: FloatArray, weights: FloatArray | None = None) -> float:
    """Return the PSNR of two pictures (H, W, C) float32 in [0, 1], in decibels, as `psnr` does.

    weights: (H, W) float32, the weight of each pixel; None: all pixels count equally.
    """
    counts = None if weights is None else np.repeat(weights[..., np.newaxis], x.shape[2], axis=2)
    error = float(np.average(np.square(x - y, dtype=np.float64), weights=counts))
    return math.inf if error == 0 else -10 * math.log10(error)


def score(layers: npt.ArrayLike, target: npt.ArrayLike, guides: npt.ArrayLike, exposure: float) -> Scores:
    """Score `layers` as a stack against `target`, and each layer against its guide.

    layers, guides: N pictures each; target: one picture; all of the same size, in any form that `ssim` takes.
    exposure: in (0, 1]. Raises InputError if the numbers or sizes do not match, OptionError for the exposure.
    """
    sheets, wanted = same_planes(list(layers), "layer"), list(guides)  # type: ignore[arg-type]
    if len(sheets) != len(wanted):
        raise InputError(f"there are {len(sheets)} layers and {len(wanted)} guides: give one guide per layer")
    stack = compose(sheets, exposure)
    leak = tuple(ssim(sheet, target) for sheet in sheets)
    return Scores(
        (StackScores(ssim(stack, target), psnr(stack, target), leak),),
        tuple(ssim(sheet, guide) for sheet, guide in zip(sheets, wanted, strict=True)),
    )


def _pair(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    first, second = as_image(x, "the first picture"), as_image(y, "the second picture")
    if first.shape[:2] != second.shape[:2]:
        raise InputError(
            f"the first picture is {first.shape[1]}×{first.shape[0]}, the second is "
            f"{second.shape[1]}×{second.shape[0]}: make them the same size"
        )
    first, second = spread_grey([first, second])
    return first, second
