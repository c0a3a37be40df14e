"""The declaration of the SSIM of layers to their guides."""

from typing import Final

from ...exact import SSIM_BITS
from ...window import REACH
from ..term import Term

TERM: Final = Term(
    name="guide_ssim",
    acts_on="layer",
    bits=SSIM_BITS,
    reach=REACH,
    rewards=True,
    always=True,
    option="guide_weight",
)
