"""A case for the kernels of arrangements, on the host and on a GPU alike, and what the CPU's path finds of it."""

import itertools
from dataclasses import replace
from functools import cached_property

import numpy as np

from cuda_host.checks import state_of
from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace
from mlsolve_kernels.iteration.objective import Shape
from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
from mlsolve_kernels.placement.frames import WHOLE, Frame
from mlsolve_kernels.placement.move import move_of
from mlsolve_kernels.region import Region
from mlsolve_kernels.threads import Team
from test_arrangements import BETAS, BOUNDS, PLACEMENTS, case


class Both:
    """Two windows or one, all kinds of terms and placements: what the CPU finds, and whether a device does.

    inks: those of layers that are device codes.
    """

    def __init__(self, windows, stacks=slice(None), inks=None):
        kind = (0.6, False, False) if windows == 1 else (0.5, True, True)
        planes = windows * (windows if inks is None else inks.planes)
        objective, *others = case(np.random.default_rng(7), (26, 26), planes, *kind)
        self.case = replace(objective, inks=inks), *others
        self.stacks = range(3)[stacks]
        self.frames = (Frame(0, 0, (-1, -1)), Frame(13, 9, (1, 1))) if windows == 2 else WHOLE
        self.counted = (Region(3, 25, 0, 26), Region(0, 22, 11, 19))[:windows]
        self.image = (26, 26) if windows == 1 else (39, 35)
        placements = [move_of(self.image, *how) for how in (*PLACEMENTS, (183, None, (0.3, 0)))]
        if windows == 2:  # half turns lay them on each other
            placements = [move for move in placements if move.facing in ((1, 0, 0, 1), (-1, 0, 0, -1))]
        lying = itertools.cycle(placements)
        self.lying = [tuple(tuple(itertools.islice(lying, 3 - n)) for n in self.stacks) for _ in range(2)]

    @cached_property
    def right(self):
        """The sums of all iterations, the last gradient and the moments."""
        team = Team(2)
        work = self.on(team, StepwiseWorkspace)
        found = work.advance([0.0] * 2, self.lying), work.gradient, state_of(work)[1:]
        team.close()
        return found

    def on(self, on, path=ArrangedCudaWorkspace):
        objective, arranged, guides, layers = self.case
        objective = replace(objective, stacks=tuple(objective.stacks[number] for number in self.stacks))
        work = path.blank(Shape(*guides.shape), objective, BOUNDS, BETAS, on, len(self.frames))
        for number, of_case in enumerate(self.stacks):
            for plane, image in enumerate(arranged.targets[of_case]):
                work.put_target(plane, image, stack=number)
            for window in range(len(self.frames)) if objective.stacks[number].weighted else ():
                work.put_weights(number, window, np.roll(arranged.weights[of_case], 7 * window, axis=0))
        for k, plane in np.ndindex(guides.shape[:2]):
            work.put_guide(k, plane, guides[k, plane])
            work.put_layer(k, plane, layers[k, plane])
        work.prepare(0, self.counted, None, self.frames, self.image)
        return work

    def assert_found(self, device):
        (expected, gradient, moments), work = self.right, self.on(device)
        before = work.layers
        found = work.advance([0.0] * 2, self.lying)
        np.testing.assert_array_equal(work.layers, before)
        for moment, right in zip(state_of(work)[1:], moments, strict=True):
            assert np.linalg.norm(moment - right) < 2e-5 * np.linalg.norm(right)
        work.evaluate(self.lying[-1])
        assert np.linalg.norm(work.gradient - gradient) < 1e-5 * np.linalg.norm(gradient)
        assert not work._layers[..., work.shape.width :].any()
        far = 0.3 * work.pixels + 3
        for sums, right in zip(found, expected, strict=True):
            for name, quanta in (("stack_ssim", 1), ("guide_ssim", 1), ("leak", 1), ("stack_mse", 4096)):
                difference = np.subtract(sums[name], right[name]).astype(float)
                assert (np.abs(difference) < far * quanta).all(), name
        assert getattr(device, "intact", lambda: True)()  # a GPU cannot tell
