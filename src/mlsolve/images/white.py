"""Decoded rows → sRGB rows: inks subtracted from white where no profile says better, alpha laid over white."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .stored import BANDS, Stored

_WHITE: Final = np.uint32(65535)


def over_white(chunk: npt.NDArray[Any], stored: Stored, converted: bool) -> npt.NDArray[np.uint16]:
    """Return `chunk` (h, w, channels) uint8 or uint16 as (h, w, planes) uint16 sRGB code values.

    converted: the colours are sRGB already; else they are as `stored` has them. Code values of 8 bits become those
    of 16 bits, which are 257 times as large.
    """
    channels = chunk.shape[2] - stored.alpha if converted else BANDS[stored.mode]
    colours, alpha = _sixteen_bits(chunk[..., :channels]), chunk[..., channels:]
    if stored.mode == "CMYK" and not converted:
        colours = _without_inks(colours)
    if not stored.alpha:
        return np.ascontiguousarray(colours)
    through = _sixteen_bits(alpha).astype(np.uint32)
    # The largest sum is 65535² + 32767, which just fits.
    mixed = colours * through + _WHITE * (_WHITE - through) + np.uint32(32767)
    return np.asarray(mixed // _WHITE, dtype=np.uint16)


def _without_inks(inks: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Return white less `inks` (h, w, 4), each colour darkened by black: what is left of (1 - C)·(1 - K)."""
    left = _WHITE - inks.astype(np.uint32)
    through = left[..., :3] * left[..., 3:] + np.uint32(32767)
    return np.asarray(through // _WHITE, dtype=np.uint16)


def _sixteen_bits(codes: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    return codes if codes.dtype == np.uint16 else codes * np.uint16(257)
