"""Rosettes: concentric rings of petals and points, drawn from the outside in."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from .canvas import Canvas, Polygon
from .palette import Palette, shade

_RINGS: Final = 11
_OUTLINE: Final = 0.10
"""Each petal is drawn again inside itself, smaller by twice this share, so that it gets an outline."""

POLYGON_BYTES: Final = 5_000_000
"""Bytes of the polygons, of their borders, and of what it takes to find the visible ones, measured."""


def rosette(size: tuple[int, int], seed: int, colours: Palette) -> Canvas:
    """Return a rosette of `size` = (width, height) in pixels."""
    width, height = size
    rng = np.random.default_rng([seed, 0x726F])
    fold = int(rng.choice([8, 10, 12, 14, 16]))
    centre = np.array([width / 2, height / 2])
    # The outermost ring extends past the corners, so that it leaves no part of the picture empty.
    radii = math.hypot(width, height) * 0.62 * np.linspace(1, 0, _RINGS, endpoint=False) ** 1.15
    polygons: list[Polygon] = []
    for ring, radius in enumerate(radii):
        dark, light = rng.uniform(0.0, 0.35), rng.uniform(0.6, 1.0)
        outer, inner = (dark, light) if ring % 2 else (light, dark)
        half_turn = (ring % 2) * math.pi / fold
        disc = _ellipse(radius * 0.86, radius * 0.86)
        polygons.append((centre + disc, shade(colours, rng.uniform(0.25, 0.75))))
        petal = _petal(int(rng.integers(3)), radius, fold)
        core = _petal(int(rng.integers(3)), radius, fold)
        for number in range(fold):
            angle = 2 * math.pi * number / fold + half_turn
            for shape, scale, at in (
                (petal, 1.0, outer),
                (petal, 1 - 2 * _OUTLINE, inner),
                (core, 0.4, outer),
            ):
                polygons.append((centre + _place(shape, scale, radius * 0.74, angle), shade(colours, at)))
    polygons.append((centre + _ellipse(radii[-1], radii[-1]) * 0.7, shade(colours, 0.95)))
    return Canvas(polygons, size, shade(colours, 0.1))


def _petal(kind: int, radius: float, fold: int) -> npt.NDArray[np.float64]:
    """Return the outline of a petal, centred at the origin and pointing along x, (n, 2) x, y in pixels."""
    length, breadth = radius * 0.26, radius * math.sin(math.pi / fold) * 0.74
    if kind == 0:
        return _ellipse(length, breadth)
    if kind == 1:
        return np.array([[-length, 0], [0.15 * length, -breadth], [length, 0], [0.15 * length, breadth]])
    at = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    # A leaf: an ellipse with pointed ends.
    return np.stack([length * np.cos(at), breadth * np.sin(at) * np.abs(np.sin(at)) ** 0.6], axis=1)


def _ellipse(along: float, across: float) -> npt.NDArray[np.float64]:
    at = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    return np.stack([along * np.cos(at), across * np.sin(at)], axis=1)


def _place(shape: npt.NDArray[np.float64], scale: float, radius: float, angle: float) -> npt.NDArray[np.float64]:
    """Return `shape` scaled, moved along x by `radius`, and then rotated about the origin by `angle` in radians."""
    moved = shape * scale + [radius, 0]
    cos, sin = math.cos(angle), math.sin(angle)
    return np.asarray(moved @ np.array([[cos, sin], [-sin, cos]]))
