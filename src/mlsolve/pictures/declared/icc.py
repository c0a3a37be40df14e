"""Reads ICC profiles made of primaries and curves, exactly; all others are left to lcms.

lcms could convert these too, but it converts 16-bit codes through a coarse table, which is wrong by up to 27 of 255
code values in saturated colours (bench/LOG.md #70).
"""

import struct
from typing import Final

import numpy as np

from .colour_space import ColourSpace, Curve, FloatArray, Mode, power_curve

_SPACES: Final[dict[bytes, Mode]] = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK"}

_CLASSES: Final = (b"scnr", b"mntr", b"prtr", b"spac")
"""Input, display and output devices and colour spaces, but no links, abstract profiles or named colours (7.2.8)."""

_HEADER: Final = 128
"""Bytes before the tag table (ICC.1:2022, 7.2)."""

_COLUMNS: Final = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES: Final = (b"rTRC", b"gTRC", b"bTRC")

_TABLES: Final = (b"A2B0", b"A2B1", b"D2B0", b"D2B1")
"""Tags that, where present, take precedence over primaries and curves (ICC.1:2022, 8.10.2)."""


class Profile:
    """An ICC profile."""

    def __init__(self, data: bytes) -> None:
        """Read the tag table of `data`. Raises ValueError or struct.error if it is not a valid ICC profile."""
        if data[36:40] != b"acsp":
            raise ValueError("not an ICC profile")
        self.data = data
        if data[12:16] not in _CLASSES or data[20:24] not in (b"XYZ ", b"Lab "):
            raise ValueError("neither a device profile nor a colour space profile")
        self.mode: Mode | None = _SPACES.get(data[16:20])
        """Mode of the pictures it is for; None: other than grey, RGB and CMYK."""
        (count,) = struct.unpack_from(">I", data, _HEADER)
        entries = (struct.unpack_from(">4sII", data, _HEADER + 4 + 12 * number) for number in range(count))
        self._tags = {name: data[start : start + size] for name, start, size in entries}

    @property
    def transfer(self) -> int | None:
        """The transfer characteristic (cicp.py) that the profile declares (ICC.1:2022, 9.2.17); None if none."""
        tag = self._tags.get(b"cicp", b"")
        return tag[9] if len(tag) >= 12 else None

    def space(self) -> ColourSpace | None:
        """Return the colour space given by primaries and curves; None if the profile is made of tables.

        Raises ValueError or struct.error if the profile is invalid.
        """
        if any(name in self._tags for name in _TABLES):
            return None
        if self.data[20:24] != b"XYZ ":
            if self.mode == "RGB":
                raise ValueError("neither primaries nor tables")
            return None
        if self.mode == "L" and b"kTRC" in self._tags:
            return ColourSpace.grey(_curve(self._tags[b"kTRC"]))
        if self.mode != "RGB" or any(name not in self._tags for name in (*_COLUMNS, *_CURVES)):
            return None
        to_xyz = np.stack([_xyz(self._tags[name]) for name in _COLUMNS], axis=-1)
        return ColourSpace(to_xyz, tuple(_curve(self._tags[name]) for name in _CURVES))


def _xyz(tag: bytes) -> FloatArray:
    """Return an XYZ number (ICC.1:2022, 10.31)."""
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def _curve(tag: bytes) -> Curve:
    """Return a curve: a gamma, a table (10.6) or a formula (10.18); raises ValueError if it does not rise."""
    curve = _read_curve(tag)
    with np.errstate(all="ignore"):
        light = curve(np.linspace(0, 1, 256))
    rises = np.isfinite(light).all() and light[-1] - light[0] > _LEAST_CONTRAST and np.diff(light).min() > -0.01
    if not rises:
        raise ValueError("a curve that does not rise")
    return curve


def _read_curve(tag: bytes) -> Curve:
    if tag[:4] == b"para":
        return _formula(tag)
    if tag[:4] != b"curv":
        raise ValueError(f"a curve of type {tag[:4]!r}")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return power_curve(1.0)
    if count == 1:
        return power_curve(struct.unpack_from(">H", tag, 12)[0] / 256)
    table = np.frombuffer(tag, ">u2", count, 12) / 65535
    return lambda values: np.interp(values, np.linspace(0, 1, count), table)


_LEAST_CONTRAST: Final = 0.05
"""Minimum difference in light between the largest and the smallest code value of a curve."""

_PARAMETERS: Final = (1, 3, 4, 5, 7)
"""Number of parameters of each type of formula."""


def _formula(tag: bytes) -> Curve:
    """Return the curve (a·x + b)^g + e for x ≥ d and c·x + f below; types with fewer parameters imply the rest."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind >= len(_PARAMETERS):
        raise ValueError(f"a formula of type {kind}")
    g, *rest = (number / 65536 for number in struct.unpack_from(f">{_PARAMETERS[kind]}i", tag, 12))
    a, b, c, d, e, f = 1.0, 0.0, 0.0, -np.inf, 0.0, 0.0
    if kind in (1, 2):
        a, b = rest[:2]
        if a == 0:
            raise ValueError("a formula without a slope")
        e = f = rest[2] if kind == 2 else 0.0
        d = -b / a
    elif kind == 3:
        a, b, c, d = rest
    elif kind == 4:
        a, b, c, d, e, f = rest
    return lambda x: np.where(x >= d, np.maximum(a * x + b, 0.0) ** g + e, c * x + f)
