"""What the colour term declares."""

from typing import Final

from ..term import Term

TERM: Final = Term(
    name="colour",
    acts_on="layer",
    bits=20,  # a GPU's float32 holds a pixel's value, below 4, to 2⁻²⁰
    reach=0,
    couples_planes=True,
    own_pass=True,
)
