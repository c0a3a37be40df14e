"""What light by the power law declares."""

from typing import Final, NamedTuple

import numpy as np

from ..light import Light


class Power(NamedTuple):
    """The constants of the power law, as kernels take them."""

    inverse_scale: np.float32
    """1 / the encoded exposure."""


LIGHT: Final = Light("power", lambda scale: Power(np.float32(1 / scale)))
