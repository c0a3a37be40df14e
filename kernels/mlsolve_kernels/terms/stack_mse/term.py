"""The declaration of the squared error of stacks."""

from typing import Final

from ...exact import ERROR_BITS
from ..term import Term

TERM: Final = Term(
    name="stack_mse",
    acts_on="stack",
    bits=ERROR_BITS,
    reach=0,
    always=True,
    column="target_mse",
    option="mse_weight",
)
