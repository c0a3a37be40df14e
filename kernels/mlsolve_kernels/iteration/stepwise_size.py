"""The memory of the iteration in stepwise.py, and which of its arrays an objective needs."""

from ..carriers.cpu import scratch_bytes
from ..lanes import LANES
from ..layout import BLOCK, strips_for
from ..light import declared
from ..placement.cpu import tables_bytes
from .inked import inked_bytes
from .objective import Objective, Shape
from .state import state_bytes


def stepwise_bytes(shape: Shape, workers: int, objective: Objective, windows: int = 1) -> int:
    """Return the bytes of a `StepwiseWorkspace` of `shape` for a team of `workers` workers."""
    strips = strips_for(shape.height, shape.width)
    sheets = max(len(one.sheets(shape.layers)) for one in objective.stacks)
    leaking = leaking_in(objective, shape.layers)
    coupled = 1 + sheets if declared(objective.light).couples_planes else objective.inks is not None
    planes = shape.planes * (shape.layers + 1 + sheets + max(leaking, default=0) + coupled)
    weights = windows * (objective.disc + sum(one.weighted for one in objective.stacks))
    plane = (strips.across * strips.height + BLOCK) * strips.groups * LANES
    own = len(objective.own_passes) * shape.layers
    row_sums = (sum(leaking) + own) * shape.planes * strips.across * strips.height
    masks = (windows + 3) * strips.across * strips.groups * LANES
    for count, one in zip(carrying := carrying_in(objective, shape.layers), objective.stacks, strict=True):
        weights += windows * count * (2 if one.weight("leak") else 1)
    planes += 3 * shape.planes if any(carrying) else 0
    state = state_bytes(shape, workers, len(objective.stacks), objective.step)
    state += inked_bytes(shape, strips, objective.inks, workers)
    state += scratch_bytes(strips, workers, sheets if any(carrying) else 0)
    return state + 4 * ((planes + weights) * plane + masks) + 8 * row_sums + tables_bytes(strips, workers)


def leaking_in(objective: Objective, layers: int) -> list[int]:
    """Return the number of sheets of each stack in which the leak counts."""
    return [len(one.sheets(layers)) for one in objective.stacks if one.weight("leak")]


def carrying_in(objective: Objective, layers: int) -> list[int]:
    """Return the number of sheets of each stack that has carriers, 0 for others."""
    return [len(one.sheets(layers)) if one.carriers else 0 for one in objective.stacks]
