"""The picture of a media profile: ramps of its channels, their densities, colours of a sheet and of a stack."""

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.light.ink.reference import GAMMA, develop, look

from ..media import Media
from ..media.media import CHANNELS
from ..pictures.colour import encode, srgb_from_light
from ..pictures.difference import lab_from_light
from .lettering import SMALL, TEXT, fitted, font

Array = npt.NDArray[np.float64]
Colour = tuple[int, int, int]
Point = tuple[float, float]

_WIDTH: Final = 1180
_MARGIN: Final = 48
_PLOT: Final = 500
"""Side of a plot in pixels."""
_RAMP: Final = 44
_INK: Final[Colour] = (24, 25, 29)
_PAPER: Final[Colour] = (246, 245, 241)
_FAINT: Final[Colour] = (112, 113, 118)
_GRID: Final[Colour] = (222, 220, 214)
_LINES: Final[dict[str, Colour]] = {
    "red": (196, 50, 44),
    "green": (42, 132, 62),
    "blue": (46, 84, 178),
    "grey": (60, 60, 66),
}
_STEPS: Final = 257
_GRID_STEPS: Final = 17
"""Steps of every channel of which the gamut is made."""
_SHEETS: Final = 3
"""Sheets of the stack whose gamut is shown, all alike."""
_EXTENT: Final = 128.0
"""a* and b* at the edges of the gamut's plot."""


def media_picture(media: Media) -> npt.NDArray[np.uint8]:
    """Return the picture, (H, W, 3) uint8 sRGB: ramps, densities by device code, and gamuts in CIELAB."""
    names = CHANNELS[media.planes]
    ramps = [(f"{name} alone", _ramp(media.inks, (k,))) for k, name in enumerate(names)]
    if media.planes > 1:
        ramps.append(("all channels", _ramp(media.inks, range(media.planes))))
    top = 120 + len(ramps) * (_RAMP + 12) + 40
    image = Image.new("RGB", (_WIDTH, top + _PLOT + 120), _PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((_MARGIN, 30), fitted(media.name, _WIDTH - 2 * _MARGIN, 30), _INK, font(30))
    pen.text((_MARGIN, 74), fitted(_note(media), _WIDTH - 2 * _MARGIN, SMALL), _FAINT, font(SMALL))
    for number, (name, colours) in enumerate(ramps):
        y = 120 + number * (_RAMP + 12)
        pen.text((_MARGIN, y + 10), name, _INK, font(TEXT))
        strip = Image.fromarray(np.broadcast_to(colours, (_RAMP, *colours.shape)).copy())
        image.paste(strip.resize((_WIDTH - 2 * _MARGIN - 160, _RAMP)), (_MARGIN + 160, y))
    _densities(pen, media, names, (_MARGIN + 40, top + 40))
    _gamut(pen, media, (_WIDTH - _MARGIN - _PLOT, top + 40))
    return np.asarray(image)


def _note(media: Media) -> str:
    base = ", ".join(f"{-GAMMA * np.log10(one):.2f}" for one in media.inks.base)
    index = "" if media.index is None else f"; refractive index {media.index:g}"
    fit = media.fit
    known = (
        ""
        if fit is None
        else f"; each patch predicted by the others: dE00 {fit.median:.1f}, 95 % {fit.percentile95:.1f}"
    )
    return f"density of the clear film {base}{index}{known}; {media.digest}"


def _light(inks: Inks, codes: Array) -> Array:
    """Return the bands (n, B), encoded, of sheets of device codes (n, C) in [0, 1]."""
    values = encode(codes.astype(np.float32)).astype(np.float64)
    return np.asarray(develop(values.T[:, :, np.newaxis], inks)[..., 0].T)


def _seen(inks: Inks, bands: Array, sheets: int, exposure: float) -> Array:
    """Return the linear sRGB light (n, P) of encoded bands (n, B)."""
    shown = look(bands.T[:, :, np.newaxis], inks, sheets, exposure)[..., 0].T
    return np.asarray(np.clip(shown**GAMMA, 0, 1))


def _srgb(light: Array) -> npt.NDArray[np.uint8]:
    """Return sRGB code values (…, 3) uint8 of linear light (…, 1 or 3)."""
    codes = np.rint(255 * srgb_from_light(light)).astype(np.uint8)
    return np.repeat(codes, 3 // codes.shape[-1], axis=-1)


def _ramp(inks: Inks, channels: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Return how sheets look whose `channels` run from code 0 to 1 while the others are clear, (steps, 3) uint8."""
    codes = np.ones((_STEPS, inks.planes))
    codes[:, list(channels)] = np.linspace(0, 1, _STEPS)[:, np.newaxis]
    return _srgb(_seen(inks, _light(inks, codes), 1, 1.0))


def _densities(pen: ImageDraw.ImageDraw, media: Media, names: Sequence[str], corner: tuple[int, int]) -> None:
    """Plot the density of every channel in its own band, film included, by device code."""
    codes = np.linspace(0, 1, _STEPS)
    curves = []
    for k in range(media.planes):
        sheet = np.ones((_STEPS, media.planes))
        sheet[:, k] = codes
        curves.append(-GAMMA * np.log10(_light(media.inks, sheet)[:, k]))
    highest = max(1.0, float(np.ceil(2 * max(curve.max() for curve in curves)) / 2))
    step = 0.5 if highest <= 3 else 1.0
    _frame(pen, corner, "density in its own band, by device code (0: full ink, 255: none)")
    for number in range(int(highest / step) + 1):
        y = corner[1] + _PLOT * (1 - number * step / highest)
        pen.line([(corner[0], y), (corner[0] + _PLOT, y)], _GRID)
        pen.text((corner[0] - 12, y), f"{number * step:g}", _FAINT, font(SMALL), anchor="rm")
    for code in (0, 64, 128, 192, 255):
        x = corner[0] + _PLOT * code / 255
        pen.line([(x, corner[1]), (x, corner[1] + _PLOT)], _GRID)
        pen.text((x, corner[1] + _PLOT + 10), f"{code}", _FAINT, font(SMALL), anchor="ma")
    for name, curve in zip(names, curves, strict=True):
        points = [
            (corner[0] + _PLOT * code, corner[1] + _PLOT * (1 - value / highest))
            for code, value in zip(codes.tolist(), curve.tolist(), strict=True)
        ]
        pen.line(points, _LINES[name], 4, "curve")


def _gamut(pen: ImageDraw.ImageDraw, media: Media, corner: tuple[int, int]) -> None:
    """Plot a* and b* of what a sheet can look like, and around it what a stack can."""
    _frame(pen, corner, f"CIELAB a, b of a sheet; thin: of {_SHEETS} alike, brightened to white")
    middle = corner[0] + _PLOT / 2, corner[1] + _PLOT / 2
    pen.line([(corner[0], middle[1]), (corner[0] + _PLOT, middle[1])], _GRID, 2)
    pen.line([(middle[0], corner[1]), (middle[0], corner[1] + _PLOT)], _GRID, 2)

    def place(lab: Array) -> list[Point]:
        scaled = lab[:, 1:] / _EXTENT * (_PLOT / 2)
        return [(middle[0] + a, middle[1] - b) for a, b in scaled.tolist()]

    steps = np.linspace(0, 1, _GRID_STEPS)
    codes = np.array(list(itertools.product(steps, repeat=media.planes)))
    bands = _light(media.inks, codes)
    light = _seen(media.inks, bands, 1, 1.0)
    lab = lab_from_light(light)
    order = np.argsort(lab[:, 0])
    dots, colours = place(lab[order]), _srgb(light)[order].tolist()
    for (x, y), colour in zip(dots, colours, strict=True):
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), tuple(colour))
    exposure = float((bands.max(axis=0) ** GAMMA).max() ** _SHEETS)
    stack = _seen(media.inks, bands**_SHEETS / exposure ** (1 / GAMMA), _SHEETS, exposure)
    for found, colour, width in ((lab_from_light(stack), _FAINT, 2), (lab, _INK, 3)):
        outline = _hull(place(found))
        if len(outline) > 2:
            pen.line([*outline, outline[0]], colour, width)


def _frame(pen: ImageDraw.ImageDraw, corner: tuple[int, int], words: str) -> None:
    pen.text((corner[0], corner[1] - 32), words, _INK, font(SMALL))
    pen.rectangle((*corner, corner[0] + _PLOT, corner[1] + _PLOT), outline=_GRID, width=2)


def _hull(points: Sequence[Point]) -> list[Point]:
    """Return the convex hull of points, in order (Andrew's monotone chain)."""

    def chain(ordered: Sequence[Point]) -> list[Point]:
        found: list[Point] = []
        for x, y in ordered:
            while len(found) > 1:
                (x0, y0), (x1, y1) = found[-2:]
                if (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0:
                    break
                found.pop()
            found.append((x, y))
        return found[:-1]

    ordered = sorted(set(points))
    return ordered if len(ordered) < 3 else [*chain(ordered), *chain(ordered[::-1])]
