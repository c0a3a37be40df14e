"""A check of the marching kernels in all modes and forms: what is planted into one of them must not pass it."""

from cuda_host.checks import (
    FORMS,
    MODES,
    assert_padding_is_zero,
    assert_right,
    pieces_of,
    problem,
    state_of,
    workspace,
)
from cuda_host.device import HostDevice
from mlsolve_kernels.cuda.geometry import OWN, pitch_of

RATES = [0.05, 0.02, 0.03]


def pictures_of(rng):
    """Pictures and the rows of pieces of them.

    Without padding, so that a store too far hits the next row; and of an odd width, with padding, the second piece
    less than a halo below the upper border.
    """
    wide, odd = (2, 1, 30, OWN + 12), (2, 2, 14, 33)
    assert pitch_of(wide[-1]) == wide[-1]
    return (problem(rng, *wide), None), (problem(rng, *odd), 9)


class Right:
    """What three steps make of pictures, by kernels without faults: sums and state.

    The gradient is stored and Adam is a kernel of its own, which test_cuda_host.py compares with float64.
    """

    def __init__(self, folder):
        self.folder, self.known = folder, {}

    def of(self, pictures):
        key = pictures[2].tobytes()
        if key not in self.known:
            work = workspace(*pictures, HostDevice(self.folder, fuses_adam=False))
            self.known[key] = work.advance(RATES), state_of(work).tobytes()
        return self.known[key]


RUNS = [*((FORMS[0], mode) for mode in MODES), *zip(FORMS[1:], MODES[1:], strict=True)]
"""All modes in the usual form, and every other form in one of them."""


def check(rng, folder, right, edits):
    """Raise AssertionError where the kernels are not right, in any of the modes and forms."""
    for pictures, rows in pictures_of(rng):
        for (chip, inlines), (reverse, early) in RUNS:
            device = HostDevice(folder, reverse=reverse, early=early, edits=edits, chip=chip, fuses_adam=inlines)
            with pieces_of(rows):
                work = workspace(*pictures, device)
            assert_right(work, *pictures)
            sums = work.advance(RATES)
            assert (sums, state_of(work).tobytes()) == right.of(pictures), "every iteration has a line of its own"
            assert_padding_is_zero(work)
            assert device.intact()
