"""What the light of inks knows about film, printer, box and room: plain numbers, one set for every sheet."""

import math
from typing import Final, NamedTuple

DEGREE: Final = 6
"""Degree of the curve of a channel. Six fits dyes and halftones up to a density of 2.2 to 0.01 (bench/LOG.md)."""


class Inks(NamedTuple):
    """Film, inks and room as numbers. There are as many bands as channels, and as many channels as colour planes.

    A band is a range of wavelengths, red, green and blue for three channels. A layer value v in [0, 1] belongs to a
    channel: 1 leaves no ink, 0 all that there is.
    """

    base: tuple[float, ...]
    """Encoded transmittance of the clear sheet in every band, in (0, 1]."""
    curves: tuple[tuple[tuple[float, ...], ...], ...]
    """For every band and channel the DEGREE + 1 control points, from v = 0 to v = 1, of a Bernstein polynomial: the
    encoded transmittance of the channel's ink in that band, beside the base. They rise from above 0 to 1, so the
    curve does. A channel's own band sees most of its ink; the curves of other bands are crosstalk."""
    to_eye: tuple[tuple[float, ...], ...]
    """For every plane of the eye (linear sRGB), its share of the light of every band. The rows add up to 1, so the
    light box is white."""
    reflectance: float = 0.0
    """Share of light that a surface of a sheet reflects; 0: light reflected between sheets does not count."""
    room: float = 0.0
    """Light of the room that the front reflects to the eye, as a share of the white of the stack."""

    @property
    def planes(self) -> int:
        """Number of bands, channels and colour planes."""
        return len(self.base)

    def polynomials(self) -> tuple[tuple[tuple[float, ...], ...], ...]:
        """Return every curve, by band and channel, as coefficients of 1, v, v², …"""
        return tuple(tuple(monomials(curve) for curve in band) for band in self.curves)


def monomials(points: tuple[float, ...]) -> tuple[float, ...]:
    """Return the coefficients of 1, v, v², … of the Bernstein polynomial with these control points."""
    degree = len(points) - 1
    return tuple(
        math.comb(degree, power)
        * math.fsum((-1) ** (power - k) * math.comb(power, k) * points[k] for k in range(power + 1))
        for power in range(degree + 1)
    )
