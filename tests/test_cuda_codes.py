"""Codes taken from a workspace and put into it: CUDA kernels on the host give what the CPU's kernels give."""

import itertools

import numpy as np
import pytest

from cuda_host.checks import BETAS, OBJECTIVE
from cuda_host.device import HostDevice, needs_compiler
from cuda_host.sanitized import run_sanitized
from mlsolve.pictures.code_steps import code_steps
from mlsolve.solving.level_pictures import code_table
from mlsolve_kernels.codes import reference
from mlsolve_kernels.codes.cpu import to_codes
from mlsolve_kernels.cuda.geometry import TILE
from mlsolve_kernels.iteration.cuda import CudaWorkspace
from mlsolve_kernels.iteration.cuda_state import TABLES
from mlsolve_kernels.iteration.objective import Shape
from mlsolve_kernels.iteration.sweep import CpuWorkspace
from mlsolve_kernels.lookup import reference as lookup
from mlsolve_kernels.threads import Team
from planted_faults import Fault, assert_noticed, each

ANY = (-np.inf, np.inf)
"""Bounds that leave layers as they are put."""

ODD = np.array([-1, -0.0, 1e-45, 0.99999994, 1, 1.0000001, 1e38, np.inf, -np.inf, np.nan], np.float32)

# Height, width, first row, rows: a pixel, a row, a column, a square with a pixel less and more, several squares.
CASES = [
    (1, 1, 0, 1),
    (1, 70, 0, 1),
    (70, 1, 3, 66),
    (TILE, TILE, 0, TILE),
    (TILE + 1, TILE - 1, 0, TILE + 1),
    (TILE + 8, 2 * TILE + 1, 5, TILE + 1),
]


@pytest.fixture
def team():
    team = Team(1)
    yield team
    team.close()


def pictures(rng, height, width, bits):
    """Two layers: noise, values where codes change and just before, values out of range and no numbers."""
    first = code_steps(bits).steps[:-1]
    chosen = rng.choice(first, (2, 1, height, width))
    values = np.where(rng.random(chosen.shape) < 0.5, chosen, np.nextafter(chosen, np.float32(-1)))
    noise = rng.random(chosen.shape, dtype=np.float32)
    values = np.where(rng.random(chosen.shape) < 0.3, noise, values)
    return np.where(rng.random(chosen.shape) < 0.2, rng.choice(ODD, chosen.shape), values).astype(np.float32)


def filled(path, on, layers):
    work = path.blank(Shape(*layers.shape), OBJECTIVE, ANY, BETAS, on)
    work.start(layers)
    return work


def taken(work, bits, top, rows):
    """The codes of the second layer, taken into the middle of a larger array."""
    steps, kind = code_steps(bits), np.uint8 if bits == 8 else np.uint16
    out = np.full((rows + 2, work.shape.width + 2), 77, kind)
    work.take_codes(1, 0, steps.floors, steps.steps, out[1:-1, 1:-1], top)
    inside = out[1:-1, 1:-1].copy()
    out[1:-1, 1:-1] = 77
    assert (out == 77).all()
    return inside


def right(values, bits):
    steps = code_steps(bits)
    out = np.empty((*values.shape, 1), np.uint8 if bits == 8 else np.uint16)
    to_codes(values, steps.floors, steps.steps, out, 0)
    return out[..., 0]


def assert_codes_right(rng, device, path=CudaWorkspace, cases=CASES):
    for (height, width, top, rows), bits in itertools.product(cases, (8, 16)):
        layers = pictures(rng, height, width, bits)
        found = taken(filled(path, device, layers), bits, top, rows)
        np.testing.assert_array_equal(found, right(layers[1, 0, top : top + rows], bits))
    assert getattr(device, "intact", lambda: True)()  # a GPU cannot tell


def assert_values_right(rng, device):
    """Pictures put as codes are there as values, in their rows and nowhere else."""
    for height, width, top, rows in CASES:
        work = CudaWorkspace.blank(Shape(2, 2, height, width), OBJECTIVE, ANY, BETAS, device)
        codes = rng.integers(0, 65536, (2, rows, width), dtype=np.uint16)
        codes[0, 0, 0], codes[1, -1, -1] = 65535, 0
        for full_size in (True, False, True):  # the table of each picture, whichever came before
            table = code_table(full_size)
            work.put_target(1, codes[0], top, table=table)
            work.put_guide(1, 0, codes[1], top, table=table)
            # Nobody is given them, so they have to be looked at.
            for planes, at, put in ((work._target[0], (1,), codes[0]), (work._guides[0], (1, 0), codes[1])):
                found = np.zeros(planes.shape, np.float32)
                found[(*at, slice(top, top + rows), slice(width))] = lookup.look_up(table, put)
                np.testing.assert_array_equal(device.download(planes), found)
    assert getattr(device, "intact", lambda: True)()  # a GPU cannot tell


def check(rng, folder, edits, **more):
    """Raise AssertionError where the kernels are not right, threads in order or in reverse."""
    for reverse in (False, True):
        assert_codes_right(rng, HostDevice(folder, reverse=reverse, edits=edits, **more))
        assert_values_right(rng, HostDevice(folder, reverse=reverse, edits=edits, **more))


@needs_compiler
def test_the_kernels_give_the_codes_and_values_of_the_cpu(rng, folder):
    check(rng, folder, {})


def test_the_state_on_the_cpu_gives_them_too(rng, team):
    """Also where rows are taken in several parts, of which the last is smaller."""
    assert_codes_right(rng, team, CpuWorkspace, (*CASES, (400, 701, 2, 397)))


@needs_compiler
def test_any_steps_and_the_reference(rng, folder, team):
    first = np.array([0.1, 0.3, 0.55, 1.0], np.float32)
    floors = np.searchsorted(first, np.arange(9) / 8, side="right").astype(np.uint16)
    steps = np.append(first, np.float32(np.inf))[floors]
    layers = rng.random((1, 1, 9, 40), dtype=np.float32)
    layers[0, 0, 0, :4] = first
    for path, on in ((CudaWorkspace, HostDevice(folder)), (CpuWorkspace, team)):
        out = np.empty((9, 40), np.uint8)
        filled(path, on, layers).take_codes(0, 0, floors, steps, out)
        np.testing.assert_array_equal(out, reference.to_codes(layers[0, 0], first))


@needs_compiler
def test_tables_are_uploaded_once_and_only_codes_cross_the_bus(rng, folder, monkeypatch):
    device, layers = HostDevice(folder), pictures(rng, 20, 30, 16)
    work = filled(CudaWorkspace, device, layers)
    up, down, upload, download = [], [], device.upload, device.download

    def uploaded(host, to):
        up.append(host.nbytes)
        upload(host, to)

    def downloaded(array, width=None):
        down.append(array.nbytes)
        return download(array, width)

    monkeypatch.setattr(device, "upload", uploaded)
    monkeypatch.setattr(device, "download", downloaded)
    for bits in (16, 16, 8, 8):
        np.testing.assert_array_equal(taken(work, bits, 3, 17), right(layers[1, 0, 3:], bits))
    assert down == [2 * 17 * 30] * 2 + [17 * 30] * 2
    assert sum(up[:2]) + 2 * 4 * 65536 == TABLES
    assert len(up) == 4


@needs_compiler
def test_tables_of_pictures_are_uploaded_once(rng, folder, monkeypatch):
    device, codes, up = HostDevice(folder), rng.integers(0, 65536, (9, 40), dtype=np.uint16), []
    work, upload = CudaWorkspace.blank(Shape(1, 1, 9, 40), OBJECTIVE, ANY, BETAS, device), device.upload

    def uploaded(host, to):
        up.append(host.nbytes)
        upload(host, to)

    monkeypatch.setattr(device, "upload", uploaded)
    for full_size in (True, True, False, True, False):
        work.put_target(0, codes, table=code_table(full_size))
    assert sorted(up) == [2 * codes.size] * 5 + [4 * 65536] * 2


FAULTS = [
    Fault("no number is white", "codes", "value > 0.0f ? value : 0.0f", "value < 0.0f ? 0.0f : value"),
    Fault("too light is black", "codes", "value < 1.0f ? value : 1.0f", "value < 1.0f ? value : 0.0f"),
    Fault("a code too late", "codes", "value >= steps[cell]", "value > steps[cell]"),
    Fault("the cell before", "codes", "floors[cell]", "floors[cell ? cell - 1 : 0]"),
    Fault("codes of the other depth", "codes", "if (bytes == 1)", "if (bytes == 2)"),
    Fault("rows as far apart as on the device", "codes", "(size_t)row * width", "(size_t)row * pitch"),
    Fault("rows without their padding", "codes", "(size_t)row * pitch", "(size_t)row * width"),
    Fault("the step of another cell", "codes", "steps[cell]", "steps[cell + 1]"),
    Fault("a column of the padding", "codes", "column >= width", "column > width"),
    Fault("every other row of a square", "codes", "i < TILE_ROWS; ++i", "i < TILE_ROWS; i += 2"),
    Fault("values in the padding", "look_up", "column >= width", "column > width"),
    Fault("codes as far apart as on the device", "look_up", "(size_t)row * width", "(size_t)row * pitch"),
    Fault("values without their padding", "look_up", "(size_t)row * pitch", "(size_t)row * width"),
    Fault("signed codes", "look_up", "const unsigned short*", "const short*"),
    Fault("another row of a square", "look_up", "i < TILE_ROWS; ++i", "i < TILE_ROWS - 1; ++i"),
]


@needs_compiler
@each(FAULTS)
def test_planted_faults_are_caught(rng, folder, fault):
    assert_noticed(fault, lambda edits: check(rng, folder, edits))


_SANITIZED_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import numpy as np
from cuda_host.device import SANITIZED
from planted_faults import Fault
from test_cuda_codes import check
check(np.random.default_rng(0), Path({folder!r}), {edits}, flags=SANITIZED)
print("clean")
"""

# Reads and writes out of range that may go unseen on the numbers alone.
OUT_OF_RANGE = [
    Fault("a row below the last", "codes", "row >= height", "row > height"),
    Fault("codes of a row below the last", "look_up", "row >= height", "row > height"),
]


@pytest.mark.slow
@needs_compiler
def test_the_sanitizers_find_nothing(folder):
    run_sanitized(_SANITIZED_RUN, folder)


@needs_compiler
@each(OUT_OF_RANGE)
def test_address_and_bounds_sanitizers(folder, fault):
    run_sanitized(_SANITIZED_RUN, folder, fault)
