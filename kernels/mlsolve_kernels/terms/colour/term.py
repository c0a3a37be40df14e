"""What the colour term declares."""

from typing import Final

from ..term import Term

TERM: Final = Term(
    name="colour",
    acts_on="layer",
    bits=18,  # a GPU's float32 holds a pixel's value, 8 at the most, to 2⁻¹⁸
    reach=0,
    couples_planes=True,
    own_pass=True,
)
