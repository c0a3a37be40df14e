"""The declaration of the colour term."""

from typing import Final

from ..term import Term

TERM: Final = Term(
    name="colour",
    acts_on="layer",
    bits=20,  # float32 on a GPU holds the value of a pixel, which is below 4, to 2⁻²⁰
    reach=0,
    couples_planes=True,
    own_pass=True,
)
