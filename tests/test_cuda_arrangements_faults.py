"""Faults planted into the CUDA kernels of arrangements, which the tests must catch, and the sanitizers."""

import itertools
from pathlib import Path

import pytest

from cuda_host.arrangements import Both
from cuda_host.device import HostDevice, compiler
from cuda_host.sanitized import run_sanitized
from mlsolve_kernels.cuda.source import WEIGHTED, source

pytestmark = pytest.mark.skipif(compiler() is None, reason="needs g++ to run CUDA kernels on the host: install g++")

MODES = list(itertools.product((False, True), (False, True)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the kernels are compiled, once for all tests of arrangements."""
    folder = tmp_path_factory.getbasetemp() / "cuda_arrangements"
    folder.mkdir(exist_ok=True)
    return folder


# A kernel, text that occurs once, and what it becomes.
FAULTS = {
    "turned tile read before it is written": ("gather", "__syncthreads();", ""),
    "off the sheet is dark": ("gather", "pitch, 1.0f}", "pitch, 0.0f}"),
    "the window's rows for the image's": ("gather", "tile.row(i) + map.top, column", "tile.row(i), column"),
    "padding not zero": ("gather", "column < width ? value[i] : 0.0f", "value[i]"),
    "always the first turn": ("gather", "*turn, all", "0, all"),
    "another window's planes": ("gather", "map.window * of_window", "0 * of_window"),
    "never added": ("scatter", "add ? to[at] + value[i] : value[i]", "value[i]"),
    "next place for the nearest": ("scatter", "1LL << (FRACTION - 1)", "0LL"),
    "there for back": ("scatter", "row_at(map.inverse, row, column), y", "row_at(map.forward, row, column), y"),
    "own sheet in the product of the others": ("chain", "other - 1 < k ? other - 1 : other", "other - 1"),
    "what a sheet shows is not added": ("chain", "if (adds)", "if (!adds)"),
    "weights left out of the error": (
        "stack_pass_weighted",
        "weight.of(c, squared_error(x[c], y[c]))",
        "squared_error(x[c], y[c])",
    ),
    "weights left out of its gradient": (
        "stack_pass_weighted",
        "weight.of(c, by_squared_error(x[c], y[c]))",
        "by_squared_error(x[c], y[c])",
    ),
    "weights of another window": ("stack_pass_weighted", "pixel_weights + window * plane", "pixel_weights"),
    "weights fetched too late": ("stack_pass_weighted", "Ring<PASSING> weights", "Ring<PASSING - 1> weights"),
    "another window's counted region": ("stack_pass_weighted", "counted_in + 4 * window", "counted_in"),
    "negative SSIM counts": ("leak_pass_weighted", "at.value < 0.0f ? 0.0f : at.value", "at.value"),
    "outside the disc they change": ("guide_pass_weighted", "weight.value[c] == 0.0f ? 0.0f :", ""),
    "groups from one too late": ("totals", "ends[group - 1]", "ends[group - 1] + 1"),
    "a lane left out": ("totals", "first + lane", "first + lane + 1"),
    "turn counted too early": ("totals", "__syncthreads();  // everybody has read the turn", ""),
    "a circle too small": ("disc", "<= side * side", "< side * side - 2 * side"),
    "one colour of the window": ("disc", "of < of_window", "of < 1"),
}


@pytest.fixture(scope="module")
def both():
    return [Both(1), Both(2), Both(2, slice(1))]


def caught(folder, both, edits):
    """Tell whether the checks above see that the kernels are not right."""
    try:
        for (reverse, early), one in itertools.product(MODES, both):
            one.assert_found(HostDevice(folder, reverse=reverse, early=early, edits=edits))
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(folder, both, fault):
    name, old, new = FAULTS[fault]

    def plant(text):
        assert text.count(old) == 1, f"the fault {fault!r} does not fit the source any more"
        return text.replace(old, new)

    plant(source(name, 3))
    with_weights = name.endswith(WEIGHTED) or name == "disc"
    assert caught(folder, both[2:] if with_weights else both[:2], {name: plant})


def test_nothing_is_caught_in_what_is_right(folder, both):
    assert not caught(folder, both[:2], {})


_SANITIZED_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from cuda_host.device import SANITIZED, HostDevice
from cuda_host.arrangements import Both
def plant(text):
    assert text.count({old!r}) == 1
    return text.replace({old!r}, {new!r})
both = Both(2, slice(1))
device = HostDevice(Path({folder!r}), flags=SANITIZED, reverse=True, edits={{{name!r}: plant}})
both.on(device).evaluate(both.lying[0])
print("clean")
"""

# Reads and writes out of range that may go unseen on the numbers alone.
OUT_OF_RANGE = {
    "none": ("gather", "row < height)", "row < height)"),
    "a row below the last": ("gather", "row < height)", "row <= height)"),
    "a group too many": ("totals", "group < groups", "group <= groups"),
}


@pytest.mark.parametrize("fault", OUT_OF_RANGE)
def test_address_and_bounds_sanitizers(folder, fault):
    name, old, new = OUT_OF_RANGE[fault]
    values = {"tests": str(Path(__file__).parent), "folder": str(folder), "name": name, "old": old, "new": new}
    run_sanitized(_SANITIZED_RUN.format(**values), fault == "none")
