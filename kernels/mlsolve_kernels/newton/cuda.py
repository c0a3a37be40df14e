"""The Newton step on a GPU: what it keeps there, and its kernels in their order.

The stack and its windowed mean are found once more, by kernels of their own: the passes that find gradients store
neither.
"""

from typing import Any, NamedTuple, Protocol

from ..cuda.geometry import CARRYING, pitch_of, tiles_for
from .step import LEAST, LEAST_SHARE


class Statistics(Protocol):
    """Finds the windowed mean and variance of planes on the device."""

    def __call__(self, image: Any, mean: Any, variance: Any) -> None:
        """Store those of `image` in `mean` and `variance`, all (planes, height, pitch)."""


class Sheets(NamedTuple):
    """The layers on the device, each (N, planes, height, pitch)."""

    layers: Any
    velocities: Any
    curvatures: Any
    gradient: Any


class NewtonOnDevice:
    """The curvatures of a level on the device, and the step."""

    def __init__(self, device: Any, shape: tuple[int, int, int, int], constant: float) -> None:
        """Make room for `shape` = (layers, planes, height, width).

        constant: by which the product of the layers is multiplied. Raises OutOfDeviceMemory.
        """
        self._count, planes, height, width = shape
        self._device, self._constant = device, constant
        pitch = pitch_of(width)
        self._size, self._planes = (height, width, pitch), planes
        self._tiles = tiles_for(planes, height, width)
        self._stack, self._windowed, self._aside, self._by_stack = (
            device.zeros(planes, height, pitch) for _ in range(4)
        )

    def find_curvatures(
        self,
        variances: tuple[Any, Any],
        sheets: Sheets,
        weights: tuple[float, float, float],
        counting: tuple[Any, int, int],
        statistics: Statistics,
    ) -> None:
        """Find the curvatures by the stack and by the layers; `sheets.gradient` is overwritten.

        variances: of the target and of the guides. weights: of SSIM, of the squared error, of the guides. counting:
        pixel weights of the target, whether they count, and the planes of a window.
        """
        ssim, error, guide = weights
        self._find(
            variances[0], self._aside, self._by_stack, self._stack, counting, (ssim, 2 * error), 0, statistics
        )
        for k in range(self._count):
            own, (anything, _, of_window) = (sheets.gradient[k], sheets.curvatures[k]), counting
            uncounted = anything, 0, of_window
            self._find(variances[1][k], own[0], own[1], self._aside, uncounted, (guide, 0.0), 1, statistics)

    def _find(
        self,
        variance: Any,
        bend: Any,
        out: Any,
        aside: Any,
        counting: tuple[Any, int, int],
        factors: tuple[float, float],
        bounded: int,
        statistics: Statistics,
    ) -> None:
        """Find one curvature; bend, aside: overwritten. bounded: 1 if that by the stack bounds it from below."""
        self._launch("newton_bend", variance, bend, *counting, *self._size)
        statistics(bend, out, aside)
        bound = self._by_stack if bounded else self._windowed
        least = bounded * LEAST_SHARE, bounded * LEAST
        self._launch("newton_curvature", out, bound, *counting, *self._size, *factors, *least)

    def find_stack(self, layers: Any, statistics: Statistics) -> None:
        """Find the stack of `layers` and its windowed mean."""
        self._launch("newton_compose", layers, self._stack, *self._size, self._constant, layers=self._count)
        statistics(self._stack, self._windowed, self._aside)

    def update(self, sheets: Sheets, wanted: Any, counting: tuple[Any, int, int], rates: Any, turns: Any) -> None:
        """Take the step; wanted: B[target]. It is the last kernel of an iteration (cuda/turns.cuh)."""
        known = *sheets, self._by_stack, self._windowed, wanted
        self._launch(
            "newton_update", *known, *counting, rates, turns, *self._size, self._constant, layers=self._count
        )

    def _launch(self, kernel: str, *arguments: Any, layers: int = 1) -> None:
        self._device.launch(kernel, layers, self._tiles, CARRYING, *arguments)


def newton_bytes(planes: int, height: int, width: int) -> int:
    """Return the bytes of device memory of a `NewtonOnDevice`."""
    return 4 * 4 * planes * height * pitch_of(width)
