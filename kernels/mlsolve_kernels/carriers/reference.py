"""float64 reference of the target that moves with its carriers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..placement.move import Move
from ..placement.reference import place
from . import FIXED

Images = npt.NDArray[np.floating]


def moved_target(target: Images, masks: Images, off: Sequence[Move]) -> npt.NDArray[np.float64]:
    """Return T'(p) = (Σ m_k(off_k(p))·T(off_k(p)) + FIXED·T(p)) / (Σ m_k(off_k(p)) + FIXED), (C, H, W).

    target: T, (C, H, W), encoded transmittance. masks: m, (K, H, W) in [0, 1]. off: for each mask, the map from a
    place of the stack to the place of the target that is seen there. Between pixels the product m·T and m are
    interpolated; both are 0 outside the image.
    """
    total, weight = FIXED * np.asarray(target, dtype=np.float64), np.full(target.shape[-2:], FIXED)
    for mask, move in zip(masks, off, strict=True):
        total += place(mask * target, move, 0.0)
        weight += place(mask, move, 0.0)
    return np.asarray(total / weight)
