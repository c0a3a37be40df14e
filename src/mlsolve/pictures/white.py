"""Converts decoded rows to sRGB rows: colours are converted, alpha is composited over white."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .conversion import Conversion

_WHITE: Final = np.uint32(65535)


def over_white(chunk: npt.NDArray[Any], alpha: bool, conversion: Conversion | None) -> npt.NDArray[np.uint16]:
    """Return `chunk` (h, w, channels) uint8 or uint16 as (h, w, planes) uint16 sRGB code values, over white.

    alpha: whether the last channel is alpha. 8-bit code values are multiplied by 257.
    """
    channels = chunk.shape[2] - alpha
    colours = chunk[..., :channels]
    if conversion is not None and conversion.on_rows is not None:
        colours = conversion.on_rows(colours)
    codes = _sixteen_bits(colours)
    if not alpha:
        return np.ascontiguousarray(codes)
    through = _sixteen_bits(chunk[..., channels:]).astype(np.uint32)
    # The largest sum is 65535² + 32767, which just fits.
    mixed = codes * through + _WHITE * (_WHITE - through) + np.uint32(32767)
    return np.asarray(mixed // _WHITE, dtype=np.uint16)


def _sixteen_bits(codes: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    return codes if codes.dtype == np.uint16 else codes * np.uint16(257)
