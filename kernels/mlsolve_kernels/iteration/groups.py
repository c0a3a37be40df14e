"""The integers that an iteration on a GPU leaves: a line of a table, one group for each sum over some blocks."""

from collections.abc import Sequence
from typing import NamedTuple

from ..exact import COARSE_BITS, ERROR_BITS, Exact
from ..terms import BY_NAME
from .objective import Objective, Sums


class Group(NamedTuple):
    """One integer in an iteration's line of the table: the sum over some blocks."""

    term: str
    number: int
    """The number of the term's value to which it belongs."""
    factor: int = 1
    """The factor by which it is multiplied."""


def groups_of(objective: Objective, layers: int) -> list[Group]:
    """Return the groups of a line of the table: three per stack, one per layer, then those of other terms."""
    coarse = 2 ** (ERROR_BITS - COARSE_BITS)
    groups = []
    for stack in range(len(objective.stacks)):
        groups += [Group("stack_ssim", stack), Group("stack_mse", stack, coarse), Group("stack_mse", stack)]
    groups += [Group("guide_ssim", layer) for layer in range(layers)]
    groups += [Group("leak", number) for number, _ in enumerate(objective.sheets(BY_NAME["leak"]))]
    groups += [Group(term.name, layer) for term in objective.own_passes for layer in range(layers)]
    return groups


def sums_of(line: list[tuple[int, int]], groups: Sequence[Group]) -> Sums:
    """Return the sums in a line of the table: for each group the sum, and the number of blocks that had none."""
    found: dict[str, list[Exact]] = {group.term: [] for group in groups}
    for (value, nones), (term, number, factor) in zip(line, groups, strict=True):
        part: Exact = float("nan") if nones else value * factor
        if number < len(found[term]):
            found[term][number] += part
        else:
            found[term].append(part)
    return Sums((term, tuple(values)) for term, values in found.items())
