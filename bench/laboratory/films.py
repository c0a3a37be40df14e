"""Films: what the clear sheet does to light."""

from dataclasses import dataclass, field

import numpy as np

from .spectra import WAVES, Array, Numbers


def _polyester() -> Array:
    """Return the transmittance of what is between the surfaces: a little yellow."""
    return np.asarray(0.99 - 0.05 * np.exp(-(WAVES - 400) / 45))


@dataclass(frozen=True)
class Film:
    """A clear sheet. The ink is taken as part of its inside, the light as perpendicular."""

    inside: Array = field(default_factory=_polyester)
    """Transmittance between its two surfaces at WAVES, (31,)."""
    index: float = 1.57
    """Refractive index; 1 has no reflections. Polyester 1.57 to 1.65, acrylic 1.49."""
    haze: float = 0.03
    """Share of light that is scattered on its way through."""
    spread: float = 2.0
    """How far it is scattered: standard deviation in pixels of the picture."""

    @property
    def reflectance(self) -> float:
        """Share of light that a surface reflects (Fresnel, perpendicular)."""
        return ((self.index - 1) / (self.index + 1)) ** 2

    def through(self, inked: Numbers) -> Array:
        """Return transmittances in air, (…, 31), of a sheet whose ink has the transmittances `inked`."""
        surface = self.reflectance
        inside = inked * self.inside
        return np.asarray((1 - surface) ** 2 * inside / (1 - (surface * inside) ** 2))

    def back(self, inked: Numbers) -> Array:
        """Return how much light the sheet reflects in air, (…, 31): at its front, and from its back through it."""
        surface = self.reflectance
        inside = inked * self.inside
        return np.asarray(surface + surface * inside * self.through(inked))
