"""Faults of barriers, copies and slots planted into the marching kernels, which must be caught; and sanitizers."""

import pytest

from cuda_host.checks import problem, workspace
from cuda_host.device import HostDevice, LaunchError, needs_compiler
from cuda_host.marching import check
from cuda_host.sanitized import run_sanitized
from mlsolve_kernels.cuda.geometry import OWN
from planted_faults import Fault, assert_noticed, each

pytestmark = needs_compiler


BARRIER = "__syncthreads();  // everybody's fetches"
"""The barrier of a step."""

BARRIERS = [
    Fault("no barrier in the steps of a stack", "stack_pass", BARRIER, "// everybody's fetches"),
    Fault("no barrier in the steps of layers", "layer_pass", BARRIER, "// everybody's fetches"),
    Fault("no barrier in the steps with Adam", "layer_step", BARRIER, "// everybody's fetches"),
    Fault("barrier after the sum of a block", "stack_pass", "__syncthreads();  // the next call may write", ""),
    Fault(
        "barrier in statistics",
        "statistics",
        "__syncthreads();  // everybody's fetches have arrived, and nobody still reads the row that",
        "// everybody's fetches have arrived, and nobody still reads the row that",
    ),
    Fault("barrier that some do not reach", "layer_pass", BARRIER, f"if (threadIdx.x < 40) {BARRIER}"),
    Fault(
        "fetches not waited for",
        "layer_pass",
        f"        fetches_arrived();\n        {BARRIER}",
        f"        {BARRIER}",
    ),
    Fault(
        "barrier before fetches have arrived",
        "layer_pass",
        f"        fetches_arrived();\n        {BARRIER}",
        f"        __syncthreads();\n        fetches_arrived(); // {BARRIER}",
    ),
    *(
        Fault(
            f"fetches of {name} waited for a step late", name, "copies_arrived(AHEAD - 1)", "copies_arrived(AHEAD)"
        )
        for name in ("stack_pass", "layer_pass", "layer_step", "statistics")
    ),
]

RINGS = [
    Fault(
        "x and y kept one row too short",
        "layer_pass",
        "constexpr int KEPT = AHEAD + REACH + 2",
        "constexpr int KEPT = AHEAD + REACH + 1",
    ),
    Fault("memory for a row of x and y too few", "layer_pass", "float kept[KEPT][2]", "float kept[KEPT - 1][2]"),
    Fault(
        "memory for passing rows of a step too few",
        "stack_pass",
        "float passing[PASSING][ROWS]",
        "float passing[PASSING - 1][ROWS]",
    ),
    Fault(
        "rows of statistics one too few",
        "statistics",
        "constexpr int PASSING = AHEAD + 1",
        "constexpr int PASSING = AHEAD",
    ),
    Fault(
        "partials cross in a single slot",
        "layer_pass",
        "FROM = (SLOT + PASSING - 1) % PASSING, TO = SLOT",
        "FROM = AHEAD, TO = AHEAD",
    ),
    Fault(
        "partials of the row before",
        "layer_pass",
        "FROM = (SLOT + PASSING - 1) % PASSING",
        "FROM = (SLOT + PASSING - 2) % PASSING",
    ),
    Fault(
        "first partials into the wrong slot",
        "layer_pass",
        "first_crossing + AHEAD * CROSSING_SLOT",
        "first_crossing + (AHEAD - 1) * CROSSING_SLOT",
    ),
    Fault(
        "fetched ahead into the slot before",
        "layer_pass",
        "FETCHED_TO = (PASSES + AHEAD) % PASSING",
        "FETCHED_TO = (PASSES + AHEAD - 1) % PASSING",
    ),
    Fault(
        "fetched ahead into the slot in use",
        "stack_pass",
        "FETCHED_TO = (PASSES + AHEAD) % PASSING",
        "FETCHED_TO = PASSES",
    ),
    Fault(
        "first rows fetched ahead into the slot before",
        "stack_pass",
        "passes == 0 ? AHEAD : passes - 1",
        "passes == 0 ? AHEAD - 1 : passes - 1",
    ),
    Fault(
        "x and y fetched into the slot before", "layer_pass", "fetch(kept[AHEAD], FE", "fetch(kept[AHEAD - 1], FE"
    ),
    Fault(
        "slots turn too early",
        "layer_pass",
        "== (KEPT - 1) * KEPT_SLOT ? 0",
        "== (KEPT - 2) * KEPT_SLOT ? 0",
    ),
    Fault("x and y of the row below", "layer_pass", "first_slot + kept[AHEAD + 1];", "first_slot + kept[AHEAD];"),
    Fault("composed into the row before", "stack_pass", "first_slot + kept[1])", "first_slot + kept[0])"),
    Fault(
        "the first slot of the steps",
        "stack_pass",
        "PASSES = (FULL - START + SLOT) % PASSING",
        "PASSES = (FULL + SLOT) % PASSING",
    ),
    Fault(
        "a thread too many fetches",
        "layer_pass",
        "takes = threadIdx.x < FETCHED / 4",
        "takes = threadIdx.x <= FETCHED / 4",
    ),
]

FAULTS = [*BARRIERS, *RINGS]


@each(FAULTS)
def test_planted_faults_are_caught(folder, fault):
    assert_noticed(fault, lambda edits: check(folder, edits))


def test_nothing_is_caught_in_what_is_right(folder):
    check(folder, {})


def test_a_barrier_in_different_places_is_refused(rng, folder):
    either = "if (threadIdx.x < 32) {\n__syncthreads();\n} else {\n\n__syncthreads();\n}  // everybody's fetches"
    fault = Fault("two barriers", "layer_pass", BARRIER, either)
    target, guides, layers = problem(rng, 1, 1, 5, 5)
    with pytest.raises(LaunchError):
        workspace(target, guides, layers, HostDevice(folder, edits=fault.edits)).evaluate()


_SANITIZED_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import numpy as np
from cuda_host.device import SANITIZED, HostDevice
from planted_faults import Fault
from mlsolve_kernels.iteration.cuda import CudaWorkspace
from mlsolve_kernels.iteration.objective import one_stack
rng = np.random.default_rng(0)
shapes = ((1, 13, 1), (1, 1, {own} + 1), (3, 30, 40), (1, 5, 32), (1, 12, {own}), (2, 11, 11))
for number, (planes, height, width) in enumerate(shapes):
    for reverse, early in ((False, False), (True, True)):
        guides = rng.random((2, planes, height, width)).astype(np.float32)
        device = HostDevice(
            Path({folder!r}), flags=SANITIZED, reverse=reverse, early=early, edits={edits}, chip=90 - 10 * early
        )
        work = CudaWorkspace(guides[0], guides, one_stack(0.5, 3, 10, 1), (0.1, 1.0), (0.8, 0.95), device)
        work.start(guides)
        work.evaluate()
        work.advance([0.05] * (10 if number == 0 else 2))
print("clean")
"""

# Reads and writes out of range, which the numbers alone need not show.
OUT_OF_RANGE = [
    Fault(
        "a row below the plane",
        "layer_pass",
        "entering = min(strip.height, strip.last + REACH)",
        "entering = min(strip.height + 1, strip.last + REACH)",
    ),
    Fault(
        "partials of a row below the plane",
        "layer_pass",
        "derived = min(strip.height, strip.last + RADIUS)",
        "derived = min(strip.height + 1, strip.last + RADIUS)",
    ),
    *(
        Fault(f"{count} counts a row below the plane", name, f"{count} = {of};", f"{count} = {of} + 1;")
        for count, of, name in (
            ("enters", "entering_from + entering - FULL - AHEAD", "layer_pass"),
            ("composes", "enters - 1", "stack_pass"),
            ("derives", "derived_from + derived - FULL - AHEAD", "layer_pass"),
            ("leaves", "rows - AHEAD", "layer_pass"),
        )
    ),
    Fault(
        "the first row that leaves is fetched too early",
        "layer_pass",
        "within(step - FULL, rows)",
        "within(step - FULL + 1, rows)",
    ),
    Fault(
        "columns behind the last",
        "layer_pass",
        "within(left + 4 * static_cast<int>(threadIdx.x), pitch)",
        "within(left + 4 * static_cast<int>(threadIdx.x), pitch + 4)",
    ),
    Fault(
        "a window too wide",
        "layer_pass",
        "if constexpr (PAIR + 1 < COLUMNS / 2 + MARGIN)",
        "if constexpr (PAIR < COLUMNS / 2 + MARGIN)",
    ),
    Fault(
        "passing rows of layers one too few",
        "layer_pass",
        "constexpr int PASSING = AHEAD + 1",
        "constexpr int PASSING = AHEAD",
    ),
    Fault(
        "passing rows of a stack one too few",
        "stack_pass",
        "constexpr int PASSING = AHEAD + 1",
        "constexpr int PASSING = AHEAD",
    ),
    Fault(
        "a slot of crossing partials too few",
        "layer_pass",
        "float crossing[PASSING][3]",
        "float crossing[PASSING - 1][3]",
    ),
    Fault("rows after the last take a step", "layer_step", "has_pixels && number < rows}", "has_pixels}"),
    Fault(
        "rates of the turn after",
        "layer_step",
        "rates[RATES * turn + threadIdx.x]",
        "rates[RATES * (turn + 1) + threadIdx.x]",
    ),
    Fault("sums of the turn after", "layer_step", "(size_t)turn * groups", "(size_t)(turn + 1) * groups"),
]


@pytest.mark.slow
def test_the_sanitizers_find_nothing(folder):
    run_sanitized(_SANITIZED_RUN, folder, own=OWN)


@each(OUT_OF_RANGE)
def test_address_and_bounds_sanitizers(folder, fault):
    run_sanitized(_SANITIZED_RUN, folder, fault, own=OWN)
