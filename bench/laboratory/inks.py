"""Inks: what a full layer of cyan, magenta and yellow absorbs."""

from dataclasses import dataclass

import numpy as np

from .spectra import Array, lobes


@dataclass(frozen=True)
class InkSet:
    """Cyan, magenta and yellow."""

    densities: Array
    """Optical density of a full layer at WAVES, (3, 31)."""
    trapping: float = 1.0
    """Share of an ink that stays where another one was printed before it."""

    def layers(self, amounts: Array) -> Array:
        """Return the transmittances, (…, 31), of amounts of ink, (…, 3), by Beer and Lambert."""
        return np.asarray(10 ** -(amounts @ self.densities))

    def overprints(self) -> Array:
        """Return the transmittances of the eight ways to print the inks over each other, (8, 31).

        Bit i of the number is set where ink i is printed, cyan first. What is printed on another ink is thinner.
        """
        printed = np.array([[number >> ink & 1 for ink in range(3)] for number in range(8)], dtype=np.float64)
        before = np.cumsum(printed, axis=1) - printed
        return self.layers(printed * self.trapping**before)


def dyes(density: float = 1.8) -> InkSet:
    """Return dyes of an inkjet printer: broad bands, with side absorptions where they should let light through."""
    return InkSet(
        density
        * np.stack(
            [
                lobes((0.86, 662, 46, 60), (0.55, 614, 32, 30), (0.13, 410, 40, 50), floor=0.04),
                lobes((0.92, 548, 26, 22), (0.50, 516, 24, 20), (0.24, 430, 60, 55), floor=0.03),
                lobes((1.00, 438, 42, 34), (0.10, 505, 20, 26), floor=0.01),
            ]
        )
    )


def process_inks(density: float = 1.5, trapping: float = 0.9) -> InkSet:
    """Return pigments of an offset or laser printer: greyer than dyes."""
    return InkSet(
        density
        * np.stack(
            [
                lobes((0.90, 640, 52, 80), (0.40, 592, 26, 26), (0.16, 420, 50, 40), floor=0.06),
                lobes((0.90, 562, 26, 18), (0.62, 526, 26, 22), (0.30, 430, 70, 50), floor=0.05),
                lobes((0.95, 432, 50, 40), (0.25, 478, 22, 20), floor=0.02),
            ]
        ),
        trapping,
    )
