"""sRGB as the profile of an output device, which PDF/X asks of an output intent (ISO 15930-7, 6.2.2; ICC.1, 8.5).

Profiles of sRGB are those of a display, made of a matrix and curves. That of an output device is made of tables,
from codes to CIELAB and back.
"""

import struct
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from ..pictures.colour import light_from_srgb, srgb_from_light
from ..pictures.declared.colour_space import D50, to_linear_srgb
from ..pictures.writers.srgb_profile import grey_profile

FloatArray = npt.NDArray[np.float64]

_GRID: Final = 33
"""Steps of each channel of the tables."""
_GAMUT_GRID: Final = 17
_CLASS: Final = slice(12, 16)
_OUTPUT: Final = b"prtr"
"""The class of a profile, a field of its header, and that of output devices (ICC.1, 7.2.5)."""
_NAME: Final = b"sRGB IEC61966-2.1, as an output device"
_UNITS: Final = np.array([65280 / 100, 256.0, 256.0])
_ZEROS: Final = np.array([0.0, 128.0, 128.0])
"""L*, a* and b* in 16 bits (ICC.1:2001-04, 6.4.4)."""
_BENT: Final = (6 / 29) ** 3
_SLOPE: Final = 3 * (6 / 29) ** 2


@cache
def srgb_output_profile() -> bytes:
    """Return the profile of sRGB as an output device."""
    codes = _grid(_GRID)
    to_lab = _rounded((_lab_from_codes(codes) + _ZEROS) * _UNITS)
    labs = _grid(_GRID) * 65535 / _UNITS - _ZEROS
    light = _light_from_lab(labs)
    to_codes = _rounded(srgb_from_light(np.clip(light, 0, 1)) * 65535)
    seen = _light_from_lab(_grid(_GAMUT_GRID) * 65535 / _UNITS - _ZEROS)
    beyond = _rounded(65535.0 * np.any((seen < -0.001) | (seen > 1.001), axis=1, keepdims=True))
    there, back = _table(to_lab, _GRID), _table(to_codes, _GRID)
    text = b"desc" + bytes(4) + struct.pack(">I", len(_NAME) + 1) + _NAME + bytes(1 + 4 + 4 + 2 + 1 + 67)
    tags = {
        b"desc": text,
        b"cprt": b"text" + bytes(4) + b"No copyright, use freely\0",
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in D50)),
        **dict.fromkeys((b"A2B0", b"A2B1", b"A2B2"), there),
        **dict.fromkeys((b"B2A0", b"B2A1", b"B2A2"), back),
        b"gamt": _table(beyond, _GAMUT_GRID),
    }
    return _assembled(tags)


@cache
def grey_output_profile() -> bytes:
    """Return the profile of an output device of one ink, with the curve of sRGB."""
    data = bytearray(grey_profile())
    data[_CLASS] = _OUTPUT
    return bytes(data)


def _grid(steps: int) -> FloatArray:
    """Return all points of a grid in the unit cube, the last channel fastest, (steps³, 3)."""
    axis = np.linspace(0, 1, steps)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


def _lab_from_codes(codes: FloatArray) -> FloatArray:
    """Return CIELAB under D50 of sRGB codes (n, 3) in [0, 1]."""
    share = light_from_srgb(codes) @ np.linalg.inv(to_linear_srgb(np.eye(3))).T / D50
    root = np.where(share > _BENT, np.cbrt(share), share / _SLOPE + 4 / 29)
    x, y, z = root.T
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=1)


def _light_from_lab(lab: FloatArray) -> FloatArray:
    """Return linear sRGB, unclipped, of CIELAB (n, 3) under D50."""
    y = (lab[:, 0] + 16) / 116
    root = np.stack((y + lab[:, 1] / 500, y, y - lab[:, 2] / 200), axis=1)
    share = np.where(root > 6 / 29, root**3, (root - 4 / 29) * _SLOPE)
    return np.asarray((share * D50) @ to_linear_srgb(np.eye(3)).T, dtype=np.float64)


def _rounded(values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint16]:
    return np.asarray(np.clip(np.rint(values), 0, 65535), dtype=np.uint16)


def _table(values: npt.NDArray[np.uint16], steps: int) -> bytes:
    """Return a table of 16 bits with straight curves before and behind it (ICC.1, 10.10)."""
    planes = values.shape[1]
    unit = struct.pack(">9i", *(65536 * (k % 4 == 0) for k in range(9)))
    straight = struct.pack(">2H", 0, 65535)
    head = b"mft2" + bytes(4) + bytes((3, planes, steps, 0)) + unit + struct.pack(">2H", 2, 2)
    codes: bytes = values.astype(">u2").tobytes()
    return b"".join((head, 3 * straight, codes, planes * straight))


def _assembled(tags: dict[bytes, bytes]) -> bytes:
    """Return a profile of these tags; equal ones are stored once."""
    start, places, body = 128 + 4 + 12 * len(tags), dict[bytes, int](), b""
    table = struct.pack(">I", len(tags))
    for name, content in tags.items():
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"\0\0\0\0", 0x02400000, _OUTPUT, b"RGB ", b"Lab ")
    date = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    white = struct.pack(">3i", *(round(value * 65536) for value in D50))
    rest = b"acsp" + bytes(4 + 4 + 4 + 4 + 8 + 4) + white
    return (head + date + rest).ljust(128, b"\0") + table + body
