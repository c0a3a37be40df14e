"""Light boxes: a spectrum, and how its light falls off towards the edges."""

from dataclasses import dataclass

import numpy as np

from .spectra import Array, Images, lobes


@dataclass(frozen=True)
class LightBox:
    """A light box. Its brightness is 1 in the middle: everything is relative to that."""

    spectrum: Array
    """Power at WAVES, (31,), in any unit."""
    fall_off: float = 0.0
    """Share of light that is lacking in the corners."""
    reflectance: float = 0.0
    """Share of light from the sheets that the diffuser sends back. Real boxes have 0.3 to 0.8."""

    def brightness(self, height: int, width: int) -> Images:
        """Return the brightness over an area that covers the box, (H, W): 1 in the middle."""
        y = (np.arange(height) + 0.5) / height * 2 - 1
        x = (np.arange(width) + 0.5) / width * 2 - 1
        away = (y[:, np.newaxis] ** 2 + x**2) / 2
        return np.asarray(1 - self.fall_off * away, dtype=np.float32)


def led(fall_off: float = 0.0, reflectance: float = 0.0) -> LightBox:
    """Return a box with white LEDs: a blue line at 450 nm and a broad yellow phosphor."""
    return LightBox(lobes((1.0, 450, 9, 12), (0.75, 560, 42, 62), floor=0.01), fall_off, reflectance)


def fluorescent(fall_off: float = 0.0, reflectance: float = 0.0) -> LightBox:
    """Return a box with three-band fluorescent tubes: lines at 436, 546 and 611 nm on a low continuum."""
    lines = lobes((1.0, 436, 8, 8), (0.4, 490, 12, 14), (1.9, 546, 7, 7), (0.35, 587, 9, 9), (1.5, 611, 8, 8))
    return LightBox(lines + lobes((0.12, 540, 90, 90), floor=0.03), fall_off, reflectance)
