"""Objectives for the tests of kernels, their weights in the order of the equation (docs/maths.md §2)."""

import numpy as np

from mlsolve_kernels.iteration.inked import Inked
from mlsolve_kernels.iteration.objective import Objective, Stack


def composite_placed(scale, ssim, mse, layers=None, leak=0.0, share=1.0, weighted=False):
    """A stack with these weights."""
    return Stack(scale, {"stack_ssim": ssim, "stack_mse": mse, "leak": leak}, layers, share, weighted)


def objective_of(stacks, guide, disc=False, share=1.0, **weights):
    """An objective with this weight of the guides; weights: of other terms of layers."""
    return Objective(tuple(stacks), {"guide_ssim": guide, **weights}, disc, share)


def bytes_held(work) -> int:
    """The bytes of all arrays that a workspace holds, each counted once."""
    held = {}

    def count(value):
        if isinstance(value, np.ndarray):
            while value.base is not None:
                value = value.base
            held[id(value)] = value.nbytes
        elif isinstance(value, (tuple, list)):
            for one in value:
                count(one)
        elif isinstance(value, Inked):
            count(list(vars(value).values()))

    for value in vars(work).values():
        count(value)
    return sum(held.values())
