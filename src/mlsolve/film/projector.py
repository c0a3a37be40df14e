"""Renders a scene: first as linear light, then as the sRGB pixels of a frame."""

import math
from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from mlsolve_kernels.light import pictures_of
from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.placement.frames import WHOLE, disc

from ..pictures.colour import light_from_srgb, srgb_from_light
from .eye import Eye
from .poses import Matrix, Pose, unmoved_pose
from .script import Scene
from .table import Table

FloatArray = npt.NDArray[np.float32]
Frame = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 sRGB."""

_LEVELS: Final = 65535
"""Number of steps of the table from light to sRGB: one step is 1/20 of a code value where the curve is steepest."""
_SMALLEST: Final = 8
"""Minimum length of the shorter side of a reduced sheet, in pixels."""
_EDGE_ON: Final = 1e-3
"""A sheet that is turning over is not drawn while it is narrower than this share of its width."""
_GROUND: Final = (0.0052, 0.0054, 0.0062)
"""Light of the dark table: red, green, blue."""
_GRAIN: Final = 0.07
"""Relative variation of the table's light from pixel to pixel: one code value where the table is darkest."""
_GLOW: Final = (1.0, 0.975, 0.93)
"""Colour of the glow around the light box: red, green, blue."""
_NEAR_GLOW, _FAR_GLOW = 0.020, 0.10
"""Reach of the sharp and of the soft part of the glow, as shares of the frame's longer side."""


class Projector:
    """Renders frames of one table. Holds the stacks, and every sheet in linear light at size 1, 1/2, 1/4, …"""

    def __init__(
        self,
        table: Table,
        layers: Sequence[Frame | FloatArray],
        exposures: Sequence[float],
        stacks: Sequence[Frame] | None,
        inks: Inks | None = None,
    ) -> None:
        """layers, stacks: (h, w, 3) sRGB, of the table's picture size; the stacks at these `exposures`.

        They are uint8, layers also float32 in [0, 1]. inks: how the eye sees the layers, which are then light in
        bands; None: as it is.
        """
        self._table, self._eye = table, None if inks is None else Eye(inks, len(layers))
        codes = np.arange(256, dtype=np.float64) / 255
        self._light = np.asarray(light_from_srgb(codes), dtype=np.float32)
        steps = srgb_from_light(np.arange(_LEVELS + 1) / _LEVELS)
        self._codes = np.rint(255 * steps).astype(np.uint8)
        height, width = table.picture[::-1]
        self._covers = np.ones((height, width, 1), dtype=np.float32)
        if table.round:
            self._covers *= disc((height, width), WHOLE[0], (height, width))[..., np.newaxis]
        self._sheets = [_halved(self._of_sheet(layer)) for layer in layers]
        self._stacks = [
            self._of_stack(stack) * np.float32(exposure)
            for stack, exposure in zip(stacks or (), exposures, strict=False)
        ]
        x, y = (np.arange(side, dtype=np.float32) for side in table.frame)
        self._across, self._down = np.abs(x - table.focus[0]), np.abs(y - table.focus[1])[:, np.newaxis]
        fall = 1 - 0.45 * np.hypot(self._across / table.frame[0], self._down / table.frame[1])[..., np.newaxis]
        self._ground = np.asarray(fall * np.array(_GROUND), dtype=np.float32)
        self._grain = _grain(table.frame)

    def frame(self, scene: Scene) -> Frame:
        """Return `scene` as the camera sees it, (height, width, 3) uint8 sRGB."""
        zoom = self._table.zoom(scene.nearness, scene.back)
        through = np.ones((*self._table.frame[::-1], 3), dtype=np.float32)
        counts = np.zeros(through.shape[:2], dtype=np.float32)
        for sheet, pose in zip(self._sheets, scene.poses, strict=True):
            self._lay(through, counts, sheet, pose, zoom)
        if self._eye is not None:
            through = self._eye.see(through, counts)
        self._blend_stack(through, scene, zoom)
        lit, around = self._box(scene, zoom)
        on_box = through * np.float32(math.exp(scene.stops))
        if self._eye is not None:
            on_box, through = np.maximum(self._eye.veil(on_box, scene.room), 0), np.maximum(through, 0)
        on_box = np.minimum(on_box, 1)
        light = lit * on_box + (1 - lit) * (through * around)
        steps = np.asarray(light * np.float32(_LEVELS) + np.float32(0.5), dtype=np.uint16)
        return np.asarray(self._codes[steps], dtype=np.uint8)

    def _of_sheet(self, layer: Frame | FloatArray) -> FloatArray:
        """Return the light that a sheet lets through. Beside a round one there is no film, even if it is clear."""
        if layer.dtype == np.uint8:
            light = self._light[layer]
        else:
            light = np.asarray(light_from_srgb(np.asarray(layer, dtype=np.float32)), dtype=np.float32)
        return light if self._eye is None else np.where(self._covers == 0, np.float32(1), light)

    def _of_stack(self, stack: Frame) -> FloatArray:
        """Return the light of the picture of a stack, without that of the room."""
        return self._light[stack] if self._eye is None else self._eye.unveil(self._light[stack])

    def _lay(
        self, through: FloatArray, counts: FloatArray, levels: list[FloatArray], pose: Pose, zoom: float
    ) -> None:
        """Add a sheet to `through`, the light that passes a whole frame; beside the sheet all light passes.

        counts: the number of sheets at a pixel, which is counted only where light is reflected between them.
        levels: the sheet at full size, half, a quarter …
        """
        linear = zoom * pose.linear
        scales = np.linalg.svd(linear, compute_uv=False)
        if scales[1] < _EDGE_ON * scales[0]:
            return
        halvings = math.floor(1e-6 - math.log2(scales[0] * scales[1]) / 2)
        level = min(len(levels) - 1, max(0, halvings))
        warped = self._warped(levels[level], linear, zoom * pose.middle, (1.0, 1.0, 1.0))
        if warped is not None:
            window, image = warped
            pictures_of().lay(through[window], image)
        if self._eye is not None and self._eye.reflects:
            warped = self._warped(self._covers, linear, zoom * pose.middle, (0.0, 0.0, 0.0))
            if warped is not None:
                window, covered = warped
                counts[window] += covered

    def _blend_stack(self, through: FloatArray, scene: Scene, zoom: float) -> None:
        """Blend the picture of the stack into `through` as far as the sheets are in register.

        It is needed because the product of reduced sheets is not the reduced stack.
        """
        number, share = scene.register
        if not self._stacks or share == 0:
            return
        pose, stack = unmoved_pose(0, 0), self._stacks[number - 1]
        # Beside round sheets the bare box shows, which a picture of the stack cannot distinguish from white.
        covers = np.repeat(self._covers, 3, axis=2)
        warped = self._warped(stack * covers, zoom * pose.linear, pose.middle, (0.0, 0.0, 0.0))
        covered = self._warped(covers, zoom * pose.linear, pose.middle, (0.0, 0.0, 0.0))
        if warped is not None and covered is not None:
            window, image = warped
            through[window] += np.float32(share) * (image - covered[1] * through[window])

    def _warped(
        self, image: FloatArray, linear: Matrix, middle: Matrix, beside: tuple[float, ...]
    ) -> tuple[tuple[slice, slice], FloatArray] | None:
        """Return the rows and columns of the frame that `image` covers, and its pixels there; None if outside.

        image: (h, w, 3) a sheet at any size. linear, middle: map positions on the sheet, at the picture's size and
        from its centre, to positions in the frame relative to the table's focus. beside: the value beside the
        sheet.
        """
        size = np.array(self._table.picture, dtype=np.float64)
        there = np.array(self._table.focus) + middle
        reach = np.abs(linear) @ size / 2 + 1
        low = np.clip(np.floor(there - reach), 0, self._table.frame).astype(int)
        high = np.clip(np.ceil(there + reach) + 1, 0, self._table.frame).astype(int)
        if np.any(low >= high):
            return None
        # From pixel centres of the image to pixel centres of the picture, then to the part of the frame.
        ratio = size / image.shape[1::-1]
        matrix = np.empty((2, 3))
        matrix[:, :2] = linear * ratio
        matrix[:, 2] = linear @ (ratio / 2 - size / 2) + there - low
        warped: Any = cv2.warpAffine(
            image,
            matrix,
            (int(high[0] - low[0]), int(high[1] - low[1])),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=beside,
        )
        return (slice(low[1], high[1]), slice(low[0], high[0])), warped

    def _box(self, scene: Scene, zoom: float) -> tuple[FloatArray, FloatArray]:
        """Return the share of each pixel that the light box covers, (h, w, 1), and the light around, (h, w, 3)."""
        half_x, half_y, radius = (zoom * length for length in self._table.box(scene.nearness, scene.back))
        x, y = self._across - np.float32(half_x - radius), self._down - np.float32(half_y - radius)
        distance = (
            np.hypot(np.maximum(x, 0), np.maximum(y, 0)) + np.minimum(np.maximum(x, y), 0) - np.float32(radius)
        )
        distance = distance[..., np.newaxis]
        lit = np.clip(0.5 - distance, 0, 1)
        beyond, longest = np.maximum(distance, 0), max(self._table.frame)
        strength = 0.03 + 0.028 * scene.stops
        glow = 0.6 * np.exp(-beyond / np.float32(_NEAR_GLOW * longest))
        glow += 0.4 * np.exp(-beyond / np.float32(_FAR_GLOW * longest))
        around = self._ground + np.float32(strength) * glow * np.array(_GLOW, dtype=np.float32)
        return lit, np.minimum(around * self._grain, 1)


def _halved(light: FloatArray) -> list[FloatArray]:
    """Return `light` (h, w, 3), and its averages at half the size, a quarter …, down to _SMALLEST pixels."""
    levels = [np.ascontiguousarray(light)]
    while min(levels[-1].shape[:2]) >= 2 * _SMALLEST:
        height, width = levels[-1].shape[:2]
        size = (max(1, width // 2), max(1, height // 2))
        levels.append(np.asarray(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA), dtype=np.float32))
    return levels


def _grain(frame: tuple[int, int]) -> FloatArray:
    """Return factors near 1 for the light of the table, (h, w, 1), which hide steps between dark code values.

    It is the ordered dither pattern of 8×8 pixels. Because it never changes, a film with it is smaller than with
    noise.
    """
    cell = np.zeros((1, 1))
    for _ in range(3):
        cell = np.block([[4 * cell, 4 * cell + 2], [4 * cell + 3, 4 * cell + 1]])
    cell = 1 + _GRAIN * ((cell + 0.5) / cell.size - 0.5)
    across, down = -(-frame[0] // 8), -(-frame[1] // 8)
    return np.asarray(np.tile(cell, (down, across))[: frame[1], : frame[0], np.newaxis], dtype=np.float32)
