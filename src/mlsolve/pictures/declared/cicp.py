"""Coding-independent code points (ITU-T H.273): numbers with which PNG, AVIF and HEIC declare their colours."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ...errors import InputError
from ..colour import light_from_srgb
from .colour_space import D65, SRGB_PRIMARIES, ColourSpace, Curve, FloatArray, Primaries, power_curve

UNSPECIFIED: Final = 2

_C: Final = (0.3101, 0.3162)
_DCI: Final = (0.314, 0.351)

PRIMARIES: Final = {
    1: SRGB_PRIMARIES,
    4: Primaries((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: Primaries((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),
    6: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    7: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    8: Primaries((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
    22: Primaries((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
}
"""ColourPrimaries (H.273, table 2): BT.709, BT.470 M and B/G, BT.601 twice, film, BT.2020, DCI-P3, Display P3,
EBU 3213."""


def _with_linear_toe(alpha: float, slope: float, exponent: float, below: float) -> Curve:
    """Return the inverse of value = α·light^exponent - (α - 1), or value = slope·light for values < `below`."""

    def curve(values: FloatArray) -> FloatArray:
        upper = (np.maximum(values, below) + alpha - 1) / alpha
        return np.where(values < below, values / slope, upper ** (1 / exponent))

    return curve


_BT709: Final = _with_linear_toe(1.099296826809442, 4.5, 0.45, 4.5 * 0.018053968510807)
_SMPTE_240M: Final = _with_linear_toe(1.111572195921731, 4.0, 0.45, 4.0 * 0.022821585529445)


def _dci(values: FloatArray) -> FloatArray:
    return np.asarray(np.minimum(values**2.6 * (52.37 / 48), 1.0))


TRANSFERS: Final[dict[int, Curve]] = {
    1: _BT709,
    4: power_curve(2.2),
    5: power_curve(2.8),
    6: _BT709,
    7: _SMPTE_240M,
    8: power_curve(1.0),
    13: light_from_srgb,
    14: _BT709,
    15: _BT709,
    17: _dci,
}
"""TransferCharacteristics (H.273, table 3), from values to light: BT.709, BT.601 and BT.2020, which share a curve,
gamma 2.2 and 2.8, SMPTE 240M, linear, sRGB, SMPTE 428."""

_HDR: Final = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True)
class CodePoints:
    """The code points that a file declares."""

    primaries: int
    transfer: int
    full_range: bool = True
    """False: code values run from 16 to 235 (at 8 bits), as in video. Decoders expand those of YCbCr themselves."""
    bits: int = 8
    """Bits of a code value."""

    def space(self, grey: bool, path: object) -> ColourSpace | None:
        """Return the colour space; None if a code point is unknown, or if both are unspecified.

        If only one is unspecified, that of sRGB is assumed. grey: whether the picture is grey. Raises InputError,
        naming `path`, for PQ and HLG, whose highlights are brighter than any print.
        """
        refuse_hdr(self.transfer, path)
        if self.transfer == self.primaries == UNSPECIFIED:
            return None
        curve = light_from_srgb if self.transfer == UNSPECIFIED else TRANSFERS.get(self.transfer)
        primaries = SRGB_PRIMARIES if self.primaries == UNSPECIFIED else PRIMARIES.get(self.primaries)
        if curve is None or primaries is None:
            return None
        if not self.full_range:
            curve = _narrow(curve, self.bits)
        return ColourSpace.grey(curve) if grey else ColourSpace.of(primaries, curve)


def refuse_hdr(transfer: int, path: object) -> None:
    """Raise InputError, naming `path`, if the transfer characteristic is one of high dynamic range."""
    if transfer in _HDR:
        raise InputError(
            f"{path} has high dynamic range ({_HDR[transfer]}), which no print can show: "
            "save it with standard range, in sRGB or Display P3"
        )


def _narrow(curve: Curve, bits: int) -> Curve:
    """Return `curve` for code values of limited range; at 8 bits, 16 is black and 235 is white."""
    unit, highest = 2 ** (bits - 8), 2**bits - 1
    return lambda values: curve(np.clip((values * highest - 16 * unit) / (219 * unit), 0.0, 1.0))
