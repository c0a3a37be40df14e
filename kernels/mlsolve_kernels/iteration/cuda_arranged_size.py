"""The memory of the iteration in cuda_arranged.py, and which of its arrays an objective needs."""

from ..cuda.geometry import pitch_of
from ..light import declared
from .cuda_carriers import carriers_bytes
from .cuda_inked import inked_device_bytes
from .cuda_state import state_bytes
from .objective import Objective, Shape


def arranged_device_bytes(shape: Shape, objective: Objective, windows: int = 1) -> int:
    """Return the bytes of device memory of an `ArrangedCudaWorkspace` of `shape`, without sums and tables."""
    of_stack = 1 + max(map(len, sheets_of(objective, shape.layers))) + declared(objective.light).couples_planes
    planes = shape.planes * (of_stack + most_leaking(objective, shape.layers))
    plane = 4 * shape.height * pitch_of(shape.width)
    own = state_bytes(shape, len(objective.stacks), objective.step)
    own += carriers_bytes(objective, shape, windows) + inked_device_bytes(objective.inks, shape)
    return own + plane * (planes + windows * weights_of(objective))


def sheets_of(objective: Objective, layers: int) -> list[tuple[int, ...]]:
    """Return the layers of each stack."""
    return [stack.sheets(layers) for stack in objective.stacks]


def most_leaking(objective: Objective, layers: int) -> int:
    """Return the largest number of sheets of a stack whose leak counts; 0 if there is none."""
    return max((len(stack.sheets(layers)) for stack in objective.stacks if stack.weight("leak")), default=0)


def weights_of(objective: Objective) -> int:
    """Return the number of sets of pixel weights: the disc, which comes first, and those of stacks."""
    return int(objective.disc) + sum(stack.weighted for stack in objective.stacks)
