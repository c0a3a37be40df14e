"""Stacks of sheets: what they let through together."""

from collections.abc import Sequence

import cv2
import numpy as np

from .sheets import Sheet, shares
from .spectra import BANDS, Array, Images

_CELLS = 1 << 23
"""Numbers that are held at a time."""


def transmittance(stack: Sequence[Sheet], box_reflectance: float = 0.0) -> Images:
    """Return what a stack lets through, (H, W, 31), relative to the box without it.

    Sheets lie with air between them, the first on the box. Light that their surfaces reflect is followed through
    any number of reflections (the adding method, Stokes 1862). Points of halftones that lie on each other are
    followed as such: straight light passes the same place of all sheets. The share that films scatter is spread,
    and passes the next sheet as an even mixture of its points.
    """
    if not stack:
        raise ValueError("the stack has no sheet: give at least one")
    height, width = stack[0].shape
    if any(one.shape != (height, width) for one in stack):
        raise ValueError("the sheets differ in size: print pictures of the same size")
    halftone = all(one.screen is not None and one.fine == stack[0].fine for one in stack) and len(stack) <= 4
    cells = width * ((8 ** len(stack) + stack[0].fine ** 2 * 2) if halftone else BANDS * 4)
    step = max(1, _CELLS // cells)
    found = np.empty((height, width, BANDS), np.float32)
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        found[rows] = _halftones(stack, rows, box_reflectance) if halftone else _even(stack, rows, box_reflectance)
    return found if all(one.film.haze == 0 for one in stack) else _scattered(stack, found, step, box_reflectance)


def _added(through: Sequence[Array], back: Sequence[Array], box_reflectance: float) -> Array:
    """Return what sheets let through together, from what each lets through and reflects; any shapes that fit."""
    behind: Array = np.full(1, box_reflectance)
    total: Array = np.ones(1)
    for one, reflected in zip(through, back, strict=True):
        multiple = 1 / (1 - behind * reflected)
        total = total * one * multiple
        behind = reflected + one * one * behind * multiple
    return total


def _halftones(stack: Sequence[Sheet], rows: slice, box_reflectance: float) -> Array:
    """Return rows of a stack of halftones: the mean over the points of a pixel."""
    through, back = [], []
    states = np.zeros((), np.int64)
    for at, one in enumerate(stack):
        shape = (*[1] * (len(stack) - 1 - at), 8, *[1] * at, BANDS)
        inked = one.inks.overprints()
        through.append(one.film.through(inked).reshape(shape))
        back.append(one.film.back(inked).reshape(shape))
        states = states + (one.states(rows).astype(np.int64) << (3 * at))
    spectra = _added(through, back, box_reflectance).reshape(-1, BANDS)
    return shares(states, len(spectra)) @ spectra


def _even(stack: Sequence[Sheet], rows: slice, box_reflectance: float) -> Array:
    """Return rows of a stack of which each pixel is even."""
    through, back = [], []
    for one in stack:
        through.append(one.mean(rows))
        surface = one.film.reflectance
        back.append(surface + surface * through[-1] ** 2 / (1 - surface) ** 2)
    return _added(through, back, box_reflectance)


def _scattered(stack: Sequence[Sheet], direct: Images, step: int, box_reflectance: float) -> Images:
    """Return what is seen where films scatter, given what is seen through the same stack if they did not."""
    height, width = stack[0].shape
    light = np.ones((height, width, BANDS), np.float32)
    plain = np.ones_like(light)
    straight = 1.0
    for one in stack:
        for top in range(0, height, step):
            rows = slice(top, min(top + step, height))
            mean = one.mean(rows)
            light[rows] *= mean
            plain[rows] *= mean
        straight *= 1 - one.film.haze
        for band in range(BANDS):
            spread = cv2.GaussianBlur(light[..., band], (0, 0), one.film.spread, borderType=cv2.BORDER_REFLECT)
            light[..., band] += one.film.haze * (spread - light[..., band])
    light -= straight * plain
    # Reflections brighten the scattered light as they brighten the straight light.
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        light[rows] *= _even(stack, rows, box_reflectance) / np.maximum(plain[rows], 1e-12)
    return np.asarray(straight * direct + light, dtype=np.float32)
