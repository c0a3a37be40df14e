"""Which work a batch of iterations on a GPU can do without, given how the sheets lie in it.

A stack of unmoved sheets needs neither copies of its sheets nor a way back for its gradient. The bytes of the
result are the same either way. They must be: whether sheets lie still may differ from batch to batch, and batches
are cut differently when a run is resumed.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..light import declared
from ..placement.move import STILL, Moves
from .objective import Objective, Stack


class Route(NamedTuple):
    """The way of one batch through the kernels."""

    in_place: tuple[bool, ...]
    """For every stack, whether its sheets are read where the layers are: they are consecutive layers, unmoved."""
    through: int | None
    """The stack whose gradient the layer pass takes through the light itself; None: the layer pass is given the
    gradient of all stacks by the layers."""
    adds: tuple[bool, ...]
    """For every sheet of every stack, whether its gradient is added to that of an earlier stack, or of its leak."""
    unused: tuple[int, ...]
    """The layers to which no stack leaves a gradient."""
    more: bool
    """Whether there is a gradient by the layers besides that of the stack `through`."""
    alone_adds: tuple[bool, ...] = ()
    """For every sheet of every stack, whether the gradient of its leak, which sheets of a stack with carriers leave
    on their own, is added to that of an earlier stack."""


def route_of(objective: Objective, layers: int, moves: Sequence[Moves | None]) -> Route:
    """Return the route of a batch for `layers` layers whose sheets lie as `moves` says in each iteration.

    A stack can be `through` if all layers lie in it in their order, and if the sum of gradients by a layer keeps
    its order: the stack is the last one, or the sum has two summands. None can be if layers are device codes: the
    layer pass looks at sheets then, and the gradient goes on to the codes.
    """
    sheets = [stack.sheets(layers) for stack in objective.stacks]
    coupled = declared(objective.light).couples_planes
    in_place = tuple(
        not coupled
        and numbers == tuple(range(numbers[0], numbers[0] + len(numbers)))
        and all(lying is None or all(move == STILL for move in lying[stack]) for lying in moves)
        for stack, numbers in enumerate(sheets)
    )
    last, through = len(sheets) - 1, None
    for stack, numbers in enumerate(sheets):
        leaks = objective.stacks[stack].weight("leak") != 0
        alone = [_leaks_alone(one) for one in objective.stacks]
        of_two = last == 1 and not any(alone)
        keeps_order = last == 0 or (not leaks and (stack == last or of_two))
        keeps_order = keeps_order and not alone[stack]
        if in_place[stack] and len(numbers) == layers and keeps_order and objective.inks is None:
            through = stack
    adds, alone_adds = list[bool](), list[bool]()
    found: set[int] = set()
    for stack, numbers in enumerate(sheets):
        alone_adds += [number in found for number in numbers]
        adds += [number in found or _leaks_alone(objective.stacks[stack]) for number in numbers]
        found |= set(numbers) if stack != through else set()
    leaks = through is not None and objective.stacks[through].weight("leak") != 0
    return Route(
        in_place,
        through,
        tuple(adds),
        tuple(number for number in range(layers) if number not in found),
        through is not None and (last > 0 or leaks),
        tuple(alone_adds),
    )


def _leaks_alone(stack: Stack) -> bool:
    """Return whether the leak of the sheets has its own way back to the layers, without their misalignment."""
    return stack.carriers and stack.weight("leak") != 0
