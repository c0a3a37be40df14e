"""The numbers of `Inks` as kernels take them: float32 arrays, for single sheets and for every stack."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .inks import DEGREE, Inks
from .reference import DARKEST, gain

FloatArray = npt.NDArray[np.float32]

GAIN_DEGREE: Final = 8
"""Degree of the polynomial by which kernels know 1 / `gain`; the error with sixteen sheets of PET is 3e-5."""


class Numbers(NamedTuple):
    """What kernels know of inks, and of one stack or of a single sheet."""

    base: FloatArray
    """(B,): the encoded transmittance of the clear sheet."""
    curves: FloatArray
    """(B, C, DEGREE + 1): coefficients of 1, v, v², …"""
    slopes: FloatArray
    """(B, C, DEGREE): coefficients of their derivatives."""
    to_eye: FloatArray
    """(P, B)."""
    gain: FloatArray
    """(GAIN_DEGREE + 1,): 1 / gain as coefficients of 1, t², t⁴, … with t the transmittance of one of equally dense
    sheets."""
    reflects: bool
    """Whether light is reflected between sheets."""
    share: np.float32
    """2.2 / number of sheets: log2 t = share · log2 p + offset."""
    offset: np.float32
    """log2(exposure) / number of sheets."""
    clearest: np.float32
    """The largest t."""
    room: np.float32
    """Light of the room, as a share of the white."""
    inverse: np.float32
    """1 / (1 + room)."""


def numbers_of(inks: Inks, sheets: int = 1, exposure: float = 1.0, room: float | None = None) -> Numbers:
    """Return the numbers for a stack of `sheets` sheets, seen at `exposure`.

    room: light of the room, as a share of the white of what is seen; None: that of `inks`.
    """
    room = inks.room if room is None else room
    clearest = (1 - inks.reflectance) / (1 + inks.reflectance)
    reflects = inks.reflectance > 0 and sheets > 1

    def single(values: object) -> FloatArray:
        return np.ascontiguousarray(values, dtype=np.float32)

    return Numbers(
        single(inks.base),
        single(inks.polynomials()),
        single(np.array(inks.polynomials())[..., 1:] * np.arange(1, DEGREE + 1)),
        single(inks.to_eye),
        single(_gain(sheets, inks.reflectance, clearest) if reflects else np.zeros(GAIN_DEGREE + 1)),
        reflects,
        np.float32(2.2 / sheets),
        np.float32(np.log2(exposure) / sheets),
        np.float32(clearest),
        np.float32(room),
        np.float32(1 / (1 + room)),
    )


def packed(numbers: Numbers) -> FloatArray:
    """Return all of `numbers` but `reflects` in one row, in their order, as CUDA kernels take them (ink.cuh)."""
    arrays = numbers.base, numbers.curves, numbers.slopes, numbers.to_eye, numbers.gain
    rest = numbers.share, numbers.offset, numbers.clearest, numbers.room, numbers.inverse
    return np.concatenate([*(array.ravel() for array in arrays), np.array(rest, dtype=np.float32)])


def is_plain(inks: Inks) -> bool:
    """Return whether the eye sees the bands as they are: no mixing, no light of the room, no reflected light."""
    identity = tuple(tuple(float(p == b) for b in range(inks.planes)) for p in range(inks.planes))
    return inks.to_eye == identity and inks.room == inks.reflectance == 0


def _gain(sheets: int, reflectance: float, clearest: float) -> npt.NDArray[np.float64]:
    """Return the coefficients of the polynomial in t² for 1 / `gain` in [0, clearest], at Chebyshev's points."""
    angles = np.pi * (np.arange(GAIN_DEGREE + 1) + 0.5) / (GAIN_DEGREE + 1)
    squares = clearest**2 * (1 + np.cos(angles)) / 2
    found = np.linalg.solve(np.vander(squares, increasing=True), 1 / gain(np.sqrt(squares), sheets, reflectance)[0])
    return np.asarray(found)


assert DEGREE == 6, "the kernels in cpu.py and ink.cuh are written for curves of degree 6"
assert DARKEST > 2.0**-126, "log2 in powers.py takes no subnormal numbers"
