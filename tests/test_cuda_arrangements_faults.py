"""Faults planted into the CUDA kernels of arrangements, which the tests must catch, and the sanitizers."""

import itertools

import numpy as np
import pytest

import test_route
from cuda_host.arrangements import Both
from cuda_host.checks import FORMS, MODES
from cuda_host.device import HostDevice, needs_compiler
from cuda_host.sanitized import run_sanitized
from mlsolve_kernels.cuda.source import WEIGHTED
from mlsolve_kernels.iteration import cuda_arranged
from mlsolve_kernels.placement.move import move_of
from mlsolve_kernels.placement.reference import give_back
from planted_faults import Fault, assert_noticed, each
from test_cuda_arrangements import carried

pytestmark = needs_compiler


FAULTS = [
    Fault("turned tile read before it is written", "gather", "__syncthreads();", ""),
    Fault("off the sheet is dark", "gather", "pitch, 1.0f}", "pitch, 0.0f}"),
    Fault("the window's rows for the image's", "gather", "y = tile.row(0) + map.top,", "y = tile.row(0),"),
    Fault("places of the row below", "gather", "at_row += CARRYING / TILE *", "at_row += 2 * CARRYING / TILE *"),
    Fault("columns of the row above", "gather", "at_column += CARRYING / TILE * map.forward[3];", ""),
    Fault("padding not zero", "gather", "column < width ? value[i] : 0.0f", "value[i]"),
    Fault("always the first turn", "gather", "*turn, all", "0, all"),
    Fault("another window's planes", "gather", "map.window * of_window", "0 * of_window"),
    Fault("never added", "chain_scatter", "add ? to[at] + value : value", "value"),
    Fault("next place for the nearest", "chain_scatter", "1LL << (FRACTION - 1)", "0LL"),
    Fault(
        "there for back",
        "chain_scatter",
        "row_at(map.inverse, first_row, first_column)",
        "row_at(map.forward, first_row, first_column)",
    ),
    Fault("back along the other axis", "chain_scatter", "j * map.inverse[1]", "j * map.inverse[3]"),
    Fault(
        "places read before they are written",
        "chain_scatter",
        "            }\n        }\n        __syncthreads();",
        "            }\n        }\n",
    ),
    Fault("the last column of places", "scatter", "column <= right - left;", "column < right - left;"),
    Fault("the last row of places", "scatter", "row <= bottom - top;", "row < bottom - top;"),
    Fault("places begin a row too late", "scatter", "top = min(top, row - 1)", "top = min(top, row)"),
    Fault("places of the window", "chain_scatter", "source.at(top + row - map.to_top,", "source.at(top + row,"),
    Fault(
        "own sheet in the product of the others", "chain_scatter", "other - 1 < k ? other - 1 : other", "other - 1"
    ),
    Fault("what a sheet shows is not added", "chain_scatter", "return leaks ? ", "return !leaks ? "),
    Fault("what another sheet shows is added", "chain_scatter", "by_sheet[k * sheet_stride + at]", "by_sheet[at]"),
    Fault("the composite of another window", "chain_scatter", "by_composite + from", "by_composite"),
    Fault(
        "weights left out of the error",
        "stack_pass_weighted",
        "weight.of(c, squared_error(x[c], y[c]))",
        "squared_error(x[c], y[c])",
    ),
    Fault(
        "weights left out of its gradient",
        "stack_pass_weighted",
        "weight.of(c, by_squared_error(x[c], y[c]))",
        "by_squared_error(x[c], y[c])",
    ),
    Fault("weights of another window", "stack_pass_weighted", "pixel_weights + window * plane", "pixel_weights"),
    Fault(
        "weights of the row that leaves",
        "stack_pass_weighted",
        "fetches.derive<WEIGHT>(pixel_weights)",
        "fetches.leave<WEIGHT>(pixel_weights)",
    ),
    Fault(
        "leaving weights of the row of the partials",
        "stack_pass_weighted",
        "strip.origin(weights, LEAVING + 1)",
        "strip.origin(weights, DERIVED + 1)",
    ),
    Fault(
        "weights of another window with Adam",
        "guide_step_weighted",
        "pixel_weights + window * plane",
        "pixel_weights",
    ),
    Fault("another window's counted region", "stack_pass_weighted", "counted_in + 4 * window", "counted_in"),
    Fault("negative SSIM counts", "leak_pass_weighted", "at.value < 0.0f ? 0.0f : at.value", "at.value"),
    Fault("outside the disc they change", "guide_pass_weighted", "weight.value[c] == 0.0f ? 0.0f :", ""),
    Fault("outside the disc they take a step", "guide_step_weighted", "weight.value[c] == 0.0f ? 0.0f :", ""),
    Fault(
        "the gradient of another plane", "guide_step", "(THROUGH_LIGHT ? colour * plane : at)", "(colour * plane)"
    ),
    Fault(
        "the gradient of the row below",
        "guide_step",
        "colour * plane : at), LEAVING)",
        "colour * plane : at), LEAVING - 1)",
    ),
    Fault(
        "moments of the row below",
        "guide_step",
        "strip.origin(first + at, LEAVING)",
        "strip.origin(first + at, LEAVING - 1)",
    ),
    Fault("sums of the sheet beside", "leak_pass", "add(group + sheet, sum)", "add(group + (sheet ^ 1), sum)"),
    Fault(
        "sums of the leak in the turn after", "leak_pass", "(size_t)turn * groups", "(size_t)(turn + 1) * groups"
    ),
    Fault("sums of the first stack", "stack_pass", "add(group + term,", "add(term,"),
    Fault("sums of the guides in the groups before", "guide_step", "add(group + layer, sum)", "add(layer, sum)"),
    Fault("a turn that blocks count up", "guide_step", "WITH_STEP ? LAST : NOW", "NOW"),
    Fault("turn counted by a stack", "stack_pass", "    hand_over(turns, turn);\n}", "    count(turns, turn);\n}"),
    Fault("turn not counted", "guide_step", "if (WITH_STEP) count(", "if (!WITH_STEP) count("),
    Fault(
        "layers are changed where neighbours read them",
        "guide_step",
        "strip.own(out + at), ",
        "strip.own(const_cast<float*>(layers) + at), ",
    ),
    Fault("a circle too small", "disc", "<= side * side", "< side * side - 2 * side"),
    Fault("one colour of the window", "disc", "of < of_window", "of < 1"),
]


@pytest.fixture(scope="module")
def both():
    return [Both(1), Both(2), Both(2, slice(1))]


def check_more(folder, edits):
    """Raise AssertionError where a stack taken through the light gives other bytes than by the way back.

    No case of `Both` needs these kernels.
    """
    for name, fuses in itertools.product(("the first of two", "one stack that hides"), (True, False)):
        one, still = test_route.CASES[name]
        moves = test_route.moves_of(one, still)
        found = test_route.solved(one, moves, HostDevice(folder, edits=edits, fuses_adam=fuses))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cuda_arranged, "route_of", test_route.always_carried)
            right = test_route.solved(one, moves, HostDevice(folder, fuses_adam=fuses))
        for array, expected in zip(found, right, strict=True):
            np.testing.assert_array_equal(array, expected)


def check_carried_back(folder, edits):
    """Raise AssertionError where sheets of several tiles, turned between pixels, are not carried back."""
    gradient = np.random.default_rng(5).normal(size=(2, 70, 41)).astype(np.float32)
    for degrees, reverse in ((3, False), (44.9, True), (-20, True)):
        move = move_of(gradient.shape[1:], degrees, None, (0.3, -0.4))
        device = HostDevice(folder, reverse=reverse, edits=edits)
        found = carried(device, gradient, move, back=True)
        np.testing.assert_allclose(found, give_back(gradient, move), atol=2e-6)


def check(folder, both, edits):
    """Raise AssertionError where the kernels are not right, in any of the modes."""
    if any("more" in kernel for kernel in edits):
        check_more(folder, edits)
    if "scatter" in edits:
        check_carried_back(folder, edits)
    runs = [*((FORMS[0], mode) for mode in MODES), (FORMS[1], MODES[0])]
    for ((chip, inlines), (reverse, early)), one in itertools.product(runs, both):
        one.assert_found(
            HostDevice(folder, reverse=reverse, early=early, edits=edits, chip=chip, fuses_adam=inlines)
        )


@each(FAULTS)
def test_planted_faults_are_caught(folder, both, fault):
    with_weights = fault.where.endswith(WEIGHTED) or fault.where == "disc"
    assert_noticed(fault, lambda edits: check(folder, both[2:] if with_weights else both[:2], edits))


def test_nothing_is_caught_in_what_is_right(folder, both):
    check(folder, both, {})
    check_more(folder, {})
    check_carried_back(folder, {})


_SANITIZED_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from cuda_host.device import SANITIZED, HostDevice
from cuda_host.arrangements import Both
from planted_faults import Fault
both = Both(2, slice(1))
device = HostDevice(Path({folder!r}), flags=SANITIZED, reverse=True, edits={edits})
work = both.on(device)
work.evaluate(both.lying[0])
work.advance([0.05] * 2, both.lying)
print("clean")
"""

# Reads and writes out of range that may go unseen on the numbers alone.
OUT_OF_RANGE = [
    Fault("a row below the last", "gather", "row < height)", "row <= height)"),
    Fault("a line too far", "leak_pass_weighted", "(size_t)turn * groups", "(size_t)(turn + 10) * groups"),
    Fault(
        "partials of a row below the last",
        "guide_pass_weighted",
        "derives = derived_from + derived - FULL - AHEAD;",
        "derives = derived_from + derived - FULL - AHEAD + 1;",
    ),
    Fault(
        "moments of a row below the last",
        "guide_step_weighted",
        "leaves = rows - AHEAD;",
        "leaves = rows - AHEAD + 1;",
    ),
]


@pytest.mark.slow
def test_the_sanitizers_find_nothing(folder):
    run_sanitized(_SANITIZED_RUN, folder)


@each(OUT_OF_RANGE)
def test_address_and_bounds_sanitizers(folder, fault):
    run_sanitized(_SANITIZED_RUN, folder, fault)
