"""Stacks of sheets: what they let through together."""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np

from .sheets import Sheet, shares
from .spectra import BANDS, Array, Images

_CELLS = 1 << 23
"""Numbers that are held at a time."""
_MOST_HALFTONES = 4
"""Halftones whose points are followed together: there are 8 ways to print a point of each."""


def transmittance(stack: Sequence[Sheet], box_reflectance: float = 0.0) -> Images:
    """Return what a stack lets through, (H, W, 31), relative to the box without it.

    Sheets lie with air between them, the first on the box. Light that their surfaces reflect is followed through
    any number of reflections (the adding method, Stokes 1862). Points of up to 4 halftones that lie on each other
    are followed as such: straight light passes the same place of all sheets. The share that films scatter is
    spread, and passes the next sheet as an even mixture of its points.
    """
    if not stack:
        raise ValueError("the stack has no sheet: give at least one")
    height, width = stack[0].shape
    if any(one.shape != (height, width) for one in stack):
        raise ValueError("the sheets differ in size: print pictures of the same size")
    means = [_mean(one) for one in stack]
    direct = np.ones((height, width, BANDS), np.float32)
    plain = np.ones_like(direct)
    for rows in _blocks(stack):
        there = [at for at, one in enumerate(stack) if one.has(rows)]
        chosen, through = [stack[at] for at in there], [means[at][rows].astype(np.float64) for at in there]
        if not there:
            continue
        plain[rows] = np.prod(through, axis=0)
        if _halftones(chosen):
            direct[rows] = _points(chosen, rows, box_reflectance)
        else:
            direct[rows] = _added(through, _backs(chosen, through), box_reflectance)
    if all(one.film.haze == 0 for one in stack):
        return direct
    straight = float(np.prod([1 - one.film.haze for one in stack]))
    scattered = _scattered(stack, means) - straight * plain
    # Reflections brighten the scattered light as they brighten the straight light.
    for rows in _blocks(stack):
        there = [at for at, one in enumerate(stack) if one.has(rows)]
        through = [means[at][rows].astype(np.float64) for at in there]
        chosen = [stack[at] for at in there]
        if there:
            gain = _added(through, _backs(chosen, through), box_reflectance) / np.prod(through, axis=0)
            scattered[rows] *= gain
    return np.asarray(straight * direct + scattered, dtype=np.float32)


def _halftones(stack: Sequence[Sheet]) -> bool:
    """Return whether the points of these sheets are followed."""
    fine = {one.fine if one.screen is not None else 0 for one in stack}
    return len(fine) == 1 and 0 not in fine and len(stack) <= _MOST_HALFTONES


def _blocks(stack: Sequence[Sheet]) -> list[slice]:
    """Return a few rows at a time, in each of which every sheet is there or is not."""
    height, width = stack[0].shape
    points = stack[0].fine ** 2 * 2 if stack[0].screen is not None else 0
    step = max(1, _CELLS // (width * max(8 ** min(len(stack), _MOST_HALFTONES) + points, BANDS * 4)))
    ends = sorted({0, height, *(end for one in stack for end in one.extent)})
    return [
        slice(at, min(at + step, bottom))
        for top, bottom in itertools.pairwise(ends)
        for at in range(top, bottom, step)
    ]


def _mean(sheet: Sheet) -> Images:
    """Return what a sheet lets through, (H, W, 31), 1 where there is none."""
    found = np.ones((*sheet.shape, BANDS), np.float32)
    for rows in _blocks([sheet]):
        if sheet.has(rows):
            found[rows] = sheet.mean(rows)
    return found


def _added(through: Sequence[Array], back: Sequence[Array], box_reflectance: float) -> Array:
    """Return what sheets let through together, from what each lets through and reflects; any shapes that fit."""
    behind: Array = np.full(1, box_reflectance)
    total: Array = np.ones(1)
    for one, reflected in zip(through, back, strict=True):
        multiple = 1 / (1 - behind * reflected)
        total = total * one * multiple
        behind = reflected + one * one * behind * multiple
    return total


def _points(stack: Sequence[Sheet], rows: slice, box_reflectance: float) -> Array:
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
    return np.asarray(shares(states, len(spectra)) @ spectra, dtype=np.float64)


def _backs(stack: Sequence[Sheet], through: Sequence[Array]) -> list[Array]:
    """Return how much light even sheets reflect, from what they let through."""
    found = []
    for one, passed in zip(stack, through, strict=True):
        surface = one.film.reflectance
        entering = (1 - surface) ** 2
        inside = 2 * passed / (entering + np.sqrt(entering**2 + (2 * surface * passed) ** 2))
        found.append(surface + surface * inside * passed)
    return found


def _scattered(stack: Sequence[Sheet], means: Sequence[Images]) -> Images:
    """Return all light, straight and scattered, (H, W, 31), through a stack without reflections between sheets."""
    light = np.ones_like(means[0])
    for one, mean in zip(stack, means, strict=True):
        light *= mean
        top, bottom = one.extent
        for band in range(BANDS):
            straight = light[..., band]
            spread = cv2.GaussianBlur(straight, (0, 0), one.film.spread, borderType=cv2.BORDER_REFLECT)
            light[top:bottom, :, band] += one.film.haze * (spread - straight)[top:bottom]
    return light
