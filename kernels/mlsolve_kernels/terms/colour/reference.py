"""float64 reference of the colour term (docs/maths.md §11)."""

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.floating]
Array = npt.NDArray[np.float64]


def chroma(image: Images) -> Array:
    """Return the planes of `image` (C, H, W) minus their mean at each pixel, (C, H, W)."""
    planes = np.asarray(image, dtype=np.float64)
    return np.asarray(planes - planes.mean(axis=0))


def value(layer: Images, guide: Images, counts: Images) -> float:
    """Return C times the weighted SUM of (chroma of `layer` - chroma of `guide`)² over all pixels and planes.

    The factor is C because the term is a mean over pixels, and the loss divides by C·H·W. layer, guide: (C, H, W),
    encoded transmittance. counts: weights of the pixels, (H, W) in [0, 1].
    """
    return float(len(layer) * (counts * (chroma(layer) - chroma(guide)) ** 2).sum())


def gradient(layer: Images, guide: Images, counts: Images) -> Array:
    """Return the gradient of `value` with respect to `layer`, (C, H, W).

    Subtracting the mean is an orthogonal projection, so the chain rule through it changes nothing.
    """
    return np.asarray(2 * len(layer) * counts * (chroma(layer) - chroma(guide)))
