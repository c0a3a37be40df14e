"""From photographs of a chart, or from a table, to a media profile."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..media.media import Media
from ..pictures.arrays import as_image
from ..pictures.difference import XYZ_FROM_SRGB
from ..pictures.picture_files import load_picture
from ..ranges import number
from .chart import Chart
from .findings import Findings, drawn
from .fitting import Fitted, fit
from .layout import Layout
from .readings import Reading, read
from .registering import register
from .samples import Array, FloatImage, Samples, joined, with_references

Picture = Path | str | npt.ArrayLike
"""A file, or an array (H, W, 3): uint8, uint16, or float in [0, 1], sRGB code values."""

_DRIFT: Final = 0.03
"""Share by which two photographs of a sheet may differ as a whole."""
_MOVED: Final = 0.06
"""Share by which nine of ten patches may differ between them beside that."""
_POOR: Final = 4.0
"""Median ΔE00 above which something else is wrong than inks that are hard to model."""
_DARK: Final = 0.3
"""Code of a dark picture that is not, as a share of a bright one."""
_LEAST_REFERENCES: Final = 8
_MOST_LOST: Final = 0.25
"""Share of a reference that may be left out."""
_TINTED: Final = 0.12
"""Difference between red, green and blue of clear film, as a share of the brightest, that no film has."""
_NEEDS_EYE: Final = "a camera is not an eye: a --reference of stacks would tell what the eye sees"
_NEEDS_BASE: Final = "there is no picture of the empty box: clear film counts as density 0.04"
_NEEDS_STACK: Final = "no strip was laid over: that stacks are as the products of sheets was not measured"


def calibrate(
    chart: Chart,
    shots: Sequence[Picture],
    empty: Picture | None = None,
    dark: Picture | None = None,
    stacked: Sequence[Picture] = (),
    name: str = "calibrated",
    about: str = "",
    index: float | None = None,
    reference: Samples | None = None,
) -> tuple[Media, Findings]:
    """Return the profile of what printed `chart`, and what was found, from photographs of it on a light box.

    shots: of the whole sheet. stacked: of the sheet whose strip was cut off and laid over the marked rows. empty:
    of the box without the sheet, from the same place. dark: with the lens covered. All are taken with one camera at
    one exposure. Code values count as sRGB; red, green and blue, relative to those of the box, as what the eye
    sees, unless there is a `reference`: some of the patches, best stacks, measured by an instrument that sees as
    the eye does. index: refractive index of the sheets. Raises InputError, naming the picture, for what cannot be
    used.
    """
    reflectance = _reflectance(index)
    if not shots:
        raise InputError("there is no shot: give at least one of the whole chart")
    layout = chart.layout
    pictures = [_loaded(one, f"shot {at}") for at, one in enumerate(shots, start=1)]
    laid = [_loaded(one, f"stacked shot {at}") for at, one in enumerate(stacked, start=1)]
    box, black = (
        None if one is None else _loaded(one, what)
        for one, what in ((empty, "the picture of the empty box"), (dark, "the dark picture"))
    )
    for shown, what in (*pictures, *laid):
        for other in (box, black):
            if other is not None and other[0].shape != shown.shape:
                raise InputError(f"{other[1]} differs in size from {what}: take all with the same camera")
    _check_others(layout, pictures[0], box, black)
    flat, nothing = (None if one is None else one[0] for one in (box, black))
    readings = [read(layout, shown, what, flat, nothing) for shown, what in pictures]
    over = [read(layout, shown, what, flat, nothing) for shown, what in laid]
    main = np.array([one.group == "main" for one in layout.patches])
    _agree(readings, np.ones(len(main), dtype=bool))
    _agree([readings[0], *over], main)

    notes = [] if empty is not None else [_NEEDS_BASE]
    if readings[0].place.mirrored:
        notes.append("the chart is seen from its back, which makes no difference")
    sheets = _sheets(layout, readings)
    samples = sheets
    if over:
        pairs, turned = _pairs(layout, over, sheets)
        if turned and reference is not None and reference.stacked.any():
            raise InputError(
                f"the strip is laid {turned}, but the reference names stacks of one that is not: lay it the same "
                "way up as it was printed, photograph it and measure again"
            )
        notes += [f"the strip is laid {turned}: its patches were matched"] if turned else []
        samples = joined([sheets, pairs])
    elif reference is None or not reference.stacked.any():
        notes.append(_NEEDS_STACK)
    if reference is None:
        notes += [_NEEDS_EYE] if layout.channels == 3 else []
    fitted = fit(samples if reference is None else _beside(samples, reference), reflectance)
    media = Media(name, fitted.inks, about, index, fitted.fit)
    if reference is not None:
        notes += _lost(reference, fitted.kept[len(samples.names) :])
        _belongs(samples, fitted, reflectance)
        fitted = fitted.first(len(samples.names))
    seen = [*readings, *over]
    found = replace(
        _findings(samples, fitted, notes),
        blur=max(one.blur for one in seen),
        noise=float(np.nanmedian(np.concatenate([one.noise for one in seen]))),
    )
    shown_over = [(over[0], "laid")] if over else []
    return media, replace(found, picture=drawn(layout, [(readings[0], ""), *shown_over], found))


def calibrate_table(
    samples: Samples,
    name: str = "calibrated",
    about: str = "",
    index: float | None = None,
    reference: Samples | None = None,
) -> tuple[Media, Findings]:
    """Return the profile of what was measured, and what was found. Arguments as above; raises InputError."""
    notes = []
    whole = samples if reference is None else _beside(samples, reference)
    if reference is None and samples.to_light is not None and samples.planes == 3:
        notes.append("densities do not say what the eye sees: the matrix of inkjet-film is used")
    fitted = fit(whole, _reflectance(index))
    if reference is not None:
        notes += _lost(reference, fitted.kept[len(samples.names) :])
        _belongs(samples, fitted, _reflectance(index))
    if not whole.stacked.any():
        notes.append("no stacks were measured: that they are as the products of sheets is taken for granted")
    return Media(name, fitted.inks, about, index, fitted.fit), _findings(whole, fitted, notes)


def _beside(samples: Samples, reference: Samples) -> Samples:
    """Return samples with a reference beside them. Raises InputError if it does not suit them."""
    if reference.planes != samples.planes:
        raise InputError(
            f"the reference has {reference.planes} channels, the chart {samples.planes}: measure its own"
        )
    if reference.to_light is not None and reference.planes == 3:
        raise InputError("the reference holds densities, which are not what the eye sees: give X, Y, Z or spectra")
    kinds = len(np.unique(reference.groups()))
    if kinds < _LEAST_REFERENCES:
        raise InputError(f"the reference has {kinds} different patches: give {_LEAST_REFERENCES} or more")
    _neutral(reference)
    return with_references(samples, reference)


def _neutral(reference: Samples) -> None:
    """Raise InputError if clear film is tinted in a reference: then its X, Y, Z are of another white."""
    clear = reference.light[(np.nan_to_num(reference.codes, nan=1) == 1).all(axis=(0, 2))]
    if reference.planes == 3 and len(clear) and np.ptp(np.median(clear, axis=0)) > _TINTED * clear.max():
        raise InputError(
            "clear film is tinted in the reference: check the order of its rows, and give X, Y and Z as shares of "
            "the empty box, X times 96.42, Y times 100, Z times 82.49"
        )


def _belongs(samples: Samples, fitted: Fitted, reflectance: float) -> None:
    """Raise InputError if the samples are explained far better without their reference."""
    if fitted.fit.median > _POOR and fit(samples, reflectance).fit.median < fitted.fit.median / 2:
        raise InputError(
            f"the reference contradicts the other measurements, ΔE00 median {fitted.fit.median:.1f}: check that "
            "its rows are in order, top row first and from left to right, and in per cent of the empty box"
        )


def _lost(reference: Samples, kept: npt.NDArray[np.bool_]) -> list[str]:
    """Return a note of what was left out of the reference. Raises InputError if that is much of it."""
    lost = [name for name, used in zip(reference.names, kept, strict=True) if not used]
    if len(lost) > _MOST_LOST * len(kept):
        raise InputError(
            f"{len(lost)} of {len(kept)} rows of the reference contradict the other measurements: check their "
            "order, and that they name both sheets (r2, g2, b2)"
        )
    return [f"left out of the reference as wrong: {', '.join(lost)}"] if lost else []


def _reflectance(index: float | None) -> float:
    """Return the share of light that a surface reflects. Raises OptionError."""
    return 0.0 if index is None else ((number("index", index, 1, 3) - 1) / (index + 1)) ** 2


def _findings(samples: Samples, fitted: Fitted, notes: list[str]) -> Findings:
    if fitted.fit.median > _POOR:
        notes = [
            *notes,
            f"the profile predicts poorly, ΔE00 median {fitted.fit.median:.1f}: check that the printer did no "
            "colour management, and that the codes are those that were printed",
        ]
    return Findings(samples.names, samples.light, fitted.predicted, fitted.left_out, fitted.kept, tuple(notes))


def _loaded(picture: Picture, what: str) -> tuple[FloatImage, str]:
    """Return a picture in colour, (H, W, 3) sRGB in [0, 1], and its name in messages."""
    if isinstance(picture, Path | str):
        found, what = load_picture(picture), str(picture)
    else:
        found = as_image(picture, what)
    return np.repeat(found, 3 // found.shape[2], axis=2), what


def _check_others(
    layout: Layout,
    shot: tuple[FloatImage, str],
    box: tuple[FloatImage, str] | None,
    dark: tuple[FloatImage, str] | None,
) -> None:
    """Refuse a picture of the empty box that shows the chart, and a dark one that is not dark."""
    if dark is not None and np.median(dark[0]) > _DARK * np.percentile(shot[0], 90):
        raise InputError(f"{dark[1]} is not dark: cover the lens, with the exposure of the other pictures")
    if box is None:
        return
    try:
        register(layout, *box)
    except InputError:
        return
    raise InputError(f"{box[1]} shows the chart: give the box without it, from the same place")


def _agree(readings: Sequence[Reading], which: npt.NDArray[np.bool_]) -> None:
    """Raise InputError if photographs of the same patches disagree."""
    first = readings[0]
    for other in readings[1:]:
        ratio = (other.light[which] + 0.01) / (first.light[which] + 0.01)
        middle = float(np.nanmedian(ratio))
        if abs(middle - 1) > _DRIFT:
            raise InputError(
                f"{other.named} is {100 * middle:.0f} % as bright as {first.named}: lock exposure and white "
                "balance, and let the lamp warm up"
            )
        off = float(np.nanpercentile(np.abs(ratio / middle - 1).max(axis=1), 90))
        if off > _MOVED:
            raise InputError(
                f"{other.named} and {first.named} differ by {100 * off:.0f} % from patch to patch: take them "
                "without moving camera, box or lamps, and without reflections"
            )


def _sheets(layout: Layout, readings: Sequence[Reading]) -> Samples:
    """Return the patches of single sheets, averaged over the photographs."""
    light = np.mean([one.light for one in readings], axis=0)
    seen = np.isfinite(light).all(axis=1)
    if not all(seen[at] for at, one in enumerate(layout.patches) if one.group != "over"):
        raise InputError(f"{readings[0].named} does not show all of the chart: have the whole sheet in the picture")
    patches = [one for one, shown in zip(layout.patches, seen, strict=True) if shown]
    codes = np.array([one.codes for one in patches], dtype=np.float64) / 255
    return Samples(
        np.stack([codes, np.full_like(codes, np.nan)]),
        _planes(light[seen], layout.channels),
        tuple(one.name for one in patches),
    )


def _pairs(layout: Layout, readings: Sequence[Reading], sheets: Samples) -> tuple[Samples, str]:
    """Return the stacks of two sheets, and how the strip was turned before it was laid over, "" if it was not."""
    under, over = layout.of("under"), layout.of("over")
    where = [at for at, one in enumerate(layout.patches) if one.group == "under"]
    light = _planes(np.mean([one.light[where] for one in readings], axis=0), layout.channels)
    rows = len({one.where[1] for one in over})
    grid = np.arange(len(over)).reshape(rows, -1)
    single = dict(zip(sheets.names, sheets.light, strict=True))
    best: tuple[float, npt.NDArray[np.int64], str] | None = None
    for words, turned in (
        ("", grid),
        ("turned by half a turn", grid[::-1, ::-1]),
        ("with its back up, left to right", grid[:, ::-1]),
        ("with its back up, top to bottom", grid[::-1]),
    ):
        order = turned.ravel()
        try:
            product = np.array(
                [single[below.name] * single[over[at].name] for below, at in zip(under, order, strict=True)]
            )
        except KeyError:  # the strip is not in the photographs of the sheet
            best = best or (0.0, grid.ravel(), "")
            break
        off = float(np.median(np.abs(np.log((light + 0.01) / (product + 0.01)))))
        if best is None or off < 0.5 * best[0]:
            best = off, order, words
    assert best is not None
    alone = np.array([single[below.name] for below in under])
    if np.median(np.abs(np.log((light + 0.01) / (alone + 0.01)))) < 0.5 * best[0]:
        raise InputError(f"{readings[0].named} shows the marked rows bare: lay the strip over them")
    codes = np.array([[below.codes for below in under], [over[at].codes for at in best[1]]], dtype=np.float64) / 255
    names = tuple(f"{below.name}+{other.name}" for below, other in zip(under, over, strict=True))
    return Samples(codes, light, names), best[2]


def _planes(light: Array, channels: int) -> Array:
    """Return light, (n, 3), as the planes of the profile: as it is, or its luminance."""
    return light if channels == 3 else light @ np.array(XYZ_FROM_SRGB[1])[:, np.newaxis]
