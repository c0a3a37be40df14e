"""The declaration of the colour term."""

from typing import Final

from ..term import Term

TERM: Final = Term(
    name="colour",
    acts_on="layer",
    bits=18,  # float32 on a GPU holds the value of a pixel, which is at most 8, to 2⁻¹⁸
    reach=0,
    couples_planes=True,
    own_pass=True,
)
