"""Arrangements that are timed on a GPU: the cost of rotations, more stacks and hiding, against one unmoved stack.

A quarter turn is exact, any other rotation interpolates between pixels; its angle does not affect the cost.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from mlsolve_bench.problem import LAYERS, OBJECTIVE, Problem
from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace
from mlsolve_kernels.iteration.objective import Objective, Shape
from mlsolve_kernels.placement.move import Moves, move_of


def arrangements(side: int) -> dict[str, tuple[Objective, Moves]]:
    """Return by name what is asked of the stacks of `problem.noise(side)`, and how the sheets lie there."""
    still, quarter, half, slight = (move_of((side, side), degrees) for degrees in (0, 90, 180, 0.1))
    stack = replace(OBJECTIVE.stacks[0], layers=tuple(range(LAYERS)))
    guides = OBJECTIVE.weights
    hiding = replace(stack, weights={**stack.weights, "leak": 1.0})
    one, two = Objective((stack,), guides), Objective((stack, stack), guides)
    return {
        "still": (one, ((still, still, still),)),
        "quarter turns": (one, ((still, quarter, half),)),
        "slight turns": (one, ((still, slight, slight),)),
        "two stacks": (two, ((still, still, still), (still, quarter, half))),
        "nothing given away": (Objective((hiding,), guides), ((still, still, still),)),
    }


def workspace(problem: Problem, objective: Objective, device: Any) -> ArrangedCudaWorkspace:
    """Return a workspace for `problem`, every stack with the same target; the layers are the guides."""
    work = ArrangedCudaWorkspace.blank(
        Shape(*problem.guides.shape), objective, problem.bounds, problem.betas, device
    )
    for number, plane in np.ndindex(len(objective.stacks), len(problem.target)):
        work.put_target(plane, problem.target[plane], stack=number)
    for layer, plane in np.ndindex(problem.guides.shape[:2]):
        work.put_guide(layer, plane, problem.guides[layer, plane])
        work.put_layer(layer, plane, problem.guides[layer, plane])
    work.prepare()
    return work
