"""The declaration of light by the power law."""

from typing import Final, NamedTuple

import numpy as np

from ..light import Light


class Power(NamedTuple):
    """The constants of the power law, in the form that kernels use."""

    inverse_scale: np.float32
    """1 / the encoded exposure."""


LIGHT: Final = Light("power", lambda scale: Power(np.float32(1 / scale)))
