"""A check of the marching kernels in all modes and forms: what is planted into one of them must not pass it."""

from functools import cache

import numpy as np

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


def _pictures():
    """Target, guides and layers, and the rows of pieces of them; None: as the device has it.

    Without padding, so that a store too far hits the next row; and of an odd width, with padding, the second piece
    less than a halo below the upper border.
    """
    rng = np.random.default_rng(20261123)
    wide, odd = (2, 1, 30, OWN + 12), (2, 2, 14, 33)
    assert pitch_of(wide[-1]) == wide[-1]
    return (problem(rng, *wide), None), (problem(rng, *odd), 9)


PICTURES = _pictures()


@cache
def right(folder, number):
    """What three steps make of picture `number`, by kernels without faults: sums and state.

    The gradient is stored and Adam is a kernel of its own, which test_cuda_host.py compares with float64.
    """
    pictures, _ = PICTURES[number]
    work = workspace(*pictures, HostDevice(folder, fuses_adam=False))
    return work.advance(RATES), state_of(work).tobytes()


RUNS = [*((FORMS[0], mode) for mode in MODES), *zip(FORMS[1:], MODES[1:], strict=True)]
"""All modes in the usual form, and every other form in one of them."""


def check(folder, edits):
    """Raise AssertionError where the kernels are not right, in any of the modes and forms."""
    for number, (pictures, rows) in enumerate(PICTURES):
        for (chip, inlines), (reverse, early) in RUNS:
            device = HostDevice(folder, reverse=reverse, early=early, edits=edits, chip=chip, fuses_adam=inlines)
            with pieces_of(rows):
                work = workspace(*pictures, device)
            assert_right(work, *pictures)
            sums = work.advance(RATES)
            found = sums, state_of(work).tobytes()
            assert found == right(folder, number), "every iteration has a line of its own"
            assert_padding_is_zero(work)
            assert device.intact()
