"""The declaration of the leak."""

from typing import Final

from ...exact import SSIM_BITS
from ...window import REACH
from ..term import Term

TERM: Final = Term(
    name="leak",
    acts_on="sheet",
    bits=SSIM_BITS,
    reach=REACH,
    option="hide_weight",
)
