"""What an iteration on the CPU works on, whichever path it takes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..adam.step import Rates
from ..layout import FloatArray, from_strips, masks_of, stored, strips_for, to_strips
from ..ssim.cpu import constant
from ..ssim.stream import new_streams
from ..threads import Team
from .terms import Objective, Terms, Weights


class State:
    """Layers, moments and constants of one size of image, allocated once.

    Per pixel, plane and layer six float32: layer, two moments, guide and its two statistics; per pixel and
    plane three more for the target; and some per cent for the halos of the strips.
    """

    batch: int = 1
    """Iterations that `advance` is best given at a time: the terms of each are at hand when it ends."""

    def __init__(
        self,
        target: npt.NDArray[np.floating],
        guides: npt.NDArray[np.floating],
        objective: Objective,
        bounds: tuple[float, float],
        betas: tuple[float, float],
        team: Team,
    ) -> None:
        """Prepare to solve for `target` (C, H, W) and `guides` (N, C, H, W), encoded transmittance in [0, 1].

        bounds: the printable range of encoded transmittance (low, high), 0 < low < high ≤ 1.
        betas: the decay rates of Adam's moments.
        """
        count, planes, height, width = guides.shape
        self._bounds = bounds
        self._betas = betas
        self._team = team
        self._step = 0
        self._weights = Weights.of(objective)
        self._strips = strips = strips_for(height, width)
        self._masks = masks_of(strips)
        self._target = constant(target, strips, team)
        self._guides = constant(guides.reshape(-1, height, width), strips, team)
        self._layers, self._first, self._second = (stored(strips, count, planes) for _ in range(3))
        self._streams = new_streams(team.workers, count + 1, strips)
        self._target_sums = tuple(np.zeros((planes, strips.across, height), dtype=np.float32) for _ in range(2))
        self._guide_sums = np.zeros((count * planes, strips.across, height), dtype=np.float32)

    @property
    def layers(self) -> FloatArray:
        """The layers as they stand, (N, C, H, W) float32: a copy."""
        return from_strips(self._layers, self._strips)

    def start(self, layers: npt.NDArray[np.floating]) -> None:
        """Begin anew from `layers` (N, C, H, W), clamped to the bounds."""
        low, high = (np.float32(bound) for bound in self._bounds)
        for images, planes in zip(layers, self._layers, strict=True):
            planes[...] = to_strips(np.clip(images, low, high), self._strips)
        self._first.fill(0)
        self._second.fill(0)
        self._step = 0

    def iterate(self, rate: float) -> Terms:
        """Take one step at learning rate `rate`; return the terms at the layers it started from."""
        raise NotImplementedError("each path has its own")

    def advance(self, rates: Sequence[float]) -> list[Terms]:
        """Take a step at each of `rates`; return the terms at the layers each started from."""
        return [self.iterate(rate) for rate in rates]

    def _next_rates(self, rate: float) -> Rates:
        """Count a step and return its constants."""
        self._step += 1
        return Rates.at(self._step, rate, self._bounds, self._betas)

    def _terms(self) -> Terms:
        """Add the row sums up in float64, in a fixed order."""
        count, planes = self._layers.shape[:2]
        size = planes * self._strips.height * self._strips.width
        ssim, error = (float(sums.sum(dtype=np.float64)) / size for sums in self._target_sums)
        by_layer = self._guide_sums.reshape(count, -1).sum(axis=1, dtype=np.float64) / size
        return Terms(ssim, error, tuple(float(value) for value in by_layer))
