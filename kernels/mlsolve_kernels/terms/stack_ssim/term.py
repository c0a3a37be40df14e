"""The declaration of the SSIM of stacks to their targets."""

from typing import Final

from ...exact import SSIM_BITS
from ...window import REACH
from ..term import Term

TERM: Final = Term(
    name="stack_ssim",
    acts_on="stack",
    bits=SSIM_BITS,
    reach=REACH,
    rewards=True,
    always=True,
    column="target_ssim",
    option="ssim_weight",
)
